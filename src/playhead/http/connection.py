"""What a response may do with its connection, if the server is ours."""

from typing import Final, Protocol, cast

from starlette.types import Scope

CONNECTION: Final = "playhead.connection"
"""The key of the `Connection` in the state of a scope. Other servers have none."""


class ConnectionControl(Protocol):
    """The connection of a request."""

    def allow_pauses(self) -> None:
        """Allow the client to read the response as slowly as it likes, such as a film that is paused."""
        ...

    def end_after_answer(self) -> None:
        """Close the connection after the answer to this request."""
        ...

    def dedicate(self) -> None:
        """End the connection with this response, which may last, and buffer little of what its client does not read."""
        ...

    def abort(self) -> None:
        """Close immediately; unsent data is lost."""
        ...


def connection_of(scope: Scope) -> ConnectionControl | None:
    """Return the connection of a request, if the server provides it."""
    return cast("ConnectionControl | None", scope.get("state", {}).get(CONNECTION))
