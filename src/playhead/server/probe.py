"""The health check of a running server, for containers."""

from http.client import HTTPConnection, HTTPException

# If a server listens on all addresses, the loopback one is used.
_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - nothing is bound here

_OK = 200


def ask(host: str, port: int, path: str, timeout_s: float) -> str | None:
    """Return None if the server on `host` answers 200, else why it is not healthy."""
    connection = HTTPConnection(_LOOPBACK.get(host, host), port, timeout=timeout_s)
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        status = connection.getresponse().status
    except (OSError, HTTPException) as error:
        return f"nothing answers on {host} port {port}: {error}"
    finally:
        connection.close()
    return None if status == _OK else f"{path} answers {status}"
