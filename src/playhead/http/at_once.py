"""Answers hot reads in the turn of the loop in which they come: no task, no scope, no messages."""

from collections.abc import Callable, Sequence

from playhead.domain.accounts import Principal
from playhead.http.bodies import encode
from playhead.http.metrics import Traffic
from playhead.http.route import JSON_HEADERS, Access, EndpointAtOnce, Route

Recall = Callable[[str], Principal | None]
"""Says whose token this is where that needs no look-up."""

_BEARER = b"Bearer "
_HEAD = b"".join(
    [b"HTTP/1.1 200 OK\r\n", *(name + b": " + value + b"\r\n" for name, value in JSON_HEADERS), b"content-length: "]
)

_CAN_BE = ("GET", Access.MEMBER, 200)

# Something is still to come of the request, or to be said before the answer.
_UNUSUAL = frozenset({b"content-length", b"transfer-encoding", b"expect"})


class AtOnce:
    """Answers what needs nothing but what is at hand, and succeeds. Everything else is left to `respond`.

    So who is not known yet, what is refused and what fails is told in one place, and costs a second look.
    """

    def __init__(self, table: Sequence[Route], recall: Recall, traffic: Traffic, *, base_path: str) -> None:
        self._recall = recall
        self._answers = traffic.answers
        self._endpoints: dict[bytes, tuple[EndpointAtOnce, tuple[str, str, int]]] = {}
        for route in table:
            if route.at_once is None:
                continue
            if not route.hot or (route.method, route.access, route.status) != _CAN_BE:
                raise ValueError(f"{route.method} {route.path} cannot be answered at once: only a member's hot GET can")
            for base in {"", base_path}:  # a proxy may hand on its own path, or not
                target = (base + route.path.removesuffix("{id}")).encode()
                self._endpoints[target] = (route.at_once, (route.method, route.path, route.status))

    def __call__(self, target: bytes, headers: Sequence[tuple[bytes, bytes]]) -> bytes | None:
        """Return the whole answer to a GET, or None where it must be answered in the usual way."""
        cut = target.rfind(b"/") + 1
        found = self._endpoints.get(target[:cut]) or self._endpoints.get(target)
        if found is None:
            return None
        credential = b""
        for name, value in headers:
            if name == b"authorization":
                credential = value
            elif name in _UNUSUAL:
                return None
        if not credential.startswith(_BEARER):
            return None
        principal = self._recall(credential[len(_BEARER) :].decode("latin-1"))
        if principal is None:
            return None
        endpoint, counted = found
        try:
            body = encode(endpoint(principal, target[cut:].decode("latin-1")))
        except Exception:  # noqa: BLE001 - whatever it is, the usual way meets it again, and tells it
            return None
        self._answers[counted] += 1
        return b"%b%d\r\n\r\n%b" % (_HEAD, len(body), body)
