"""Every route of the server, in one table, in the order of the contract in docs/api.md."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from playhead.domain.model import ItemKind
from playhead.errors import Code
from playhead.http.openapi import document
from playhead.http.playback import PlaybackRoutes, ProgressAnswer, SaveRequest, read_noop, save_noop
from playhead.http.route import Access, Route
from playhead.http.service import ServiceRoutes, StatusAnswer
from playhead.services.playback import Playback

_ITEM = (Code.ACCESS_DENIED, Code.NOT_FOUND)
_JSON_OR_BEACON = ("application/json", "text/plain")


@dataclass(frozen=True, slots=True)
class Services:
    """What the routes call: built by bootstrap."""

    playback: Playback
    is_ready: Callable[[], Awaitable[bool]]
    version: str


def table(services: Services) -> list[Route]:
    """Return the rows, each bound to its service."""
    movie = PlaybackRoutes(services.playback, ItemKind.MOVIE)
    episode = PlaybackRoutes(services.playback, ItemKind.EPISODE)
    rows: list[Route] = []

    def describe() -> dict[str, Any]:
        return document(rows, services.version)

    service = ServiceRoutes(services.is_ready, describe)
    # fmt: off
    rows += [
        # Playback progress: frozen
        Route("GET", "/api/v1/playback/movie/{id}", movie.read, "Read the progress of a movie",
              answer=ProgressAnswer, problems=_ITEM, tag="playback", hot=True),
        Route("POST", "/api/v1/playback/movie/{id}", movie.save, "Save the progress of a movie",
              request=SaveRequest, media_types=_JSON_OR_BEACON, answer=ProgressAnswer, problems=_ITEM,
              tag="playback", hot=True),
        Route("GET", "/api/v1/playback/episode/{id}", episode.read, "Read the progress of an episode",
              answer=ProgressAnswer, problems=_ITEM, tag="playback", hot=True),
        Route("POST", "/api/v1/playback/episode/{id}", episode.save, "Save the progress of an episode",
              request=SaveRequest, media_types=_JSON_OR_BEACON, answer=ProgressAnswer, problems=_ITEM,
              tag="playback", hot=True),
        # Service
        Route("GET", "/livez", service.live, "Is the process alive",
              access=Access.ANYONE, answer=StatusAnswer, tag="service"),
        Route("GET", "/readyz", service.ready, "Can the server write",
              access=Access.ANYONE, answer=StatusAnswer, problems=(Code.UNAVAILABLE,), tag="service"),
        Route("GET", "/api/openapi.json", service.openapi, "This document",
              access=Access.ANYONE, answer=dict[str, Any], tag="service"),
        Route("GET", "/api/v1/noop", read_noop, "Answer like a read, without the store",
              answer=ProgressAnswer, tag="service", hot=True),
        Route("POST", "/api/v1/noop", save_noop, "Answer like a save, without the store",
              request=SaveRequest, media_types=_JSON_OR_BEACON, answer=ProgressAnswer, tag="service", hot=True),
    ]
    # fmt: on
    return rows
