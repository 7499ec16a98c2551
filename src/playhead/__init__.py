"""Playhead: save a playing position on one device, resume on any other."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playhead.asgi import create_app

__all__ = ["create_app"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a module's attribute can be anything
    """Import the application only where it is asked for: `playhead --help` needs none of it."""
    if name == "create_app":
        from playhead.asgi import create_app  # noqa: PLC0415

        return create_app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
