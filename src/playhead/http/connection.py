"""What an answer may do with the connection on which it is sent, where the server is ours."""

from typing import Final, Protocol, cast

from starlette.types import Scope

CONNECTION: Final = "playhead.connection"
"""Where the state in a scope has the `Connection`. Other servers than ours have none."""


class ConnectionControl(Protocol):
    """The connection of a request."""

    def allow_pauses(self) -> None:
        """Let the client read the answer as slowly as it likes: a film that is paused."""
        ...

    def end_after_answer(self) -> None:
        """Close the connection after the answer to this request."""
        ...

    def dedicate(self) -> None:
        """Let the connection end with this answer, which may last, and hold little of what its client does not read."""
        ...

    def abort(self) -> None:
        """Close immediately; what is not sent is lost."""
        ...


def connection_of(scope: Scope) -> ConnectionControl | None:
    """Return the connection of a request, if the server tells."""
    return cast("ConnectionControl | None", scope.get("state", {}).get(CONNECTION))
