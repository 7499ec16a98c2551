"""Posters and stills: who may see which, what they are taken from, and that none is made twice."""

import asyncio
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import msgspec

from playhead.domain.artwork import ArtworkKind, PixelSize, size_of, usual_kind
from playhead.domain.catalogue import version_preference
from playhead.domain.model import ItemId, ItemKind
from playhead.domain.texts import shown
from playhead.errors import PlayheadError, invalid, not_found, unavailable
from playhead.media.artwork import Subject, find_images
from playhead.media.contents import Unusable
from playhead.media.disk_cache import DiskCache
from playhead.media.folders import contained
from playhead.services.access import Viewer
from playhead.services.catalogue import visible_item
from playhead.services.single_flight import SingleFlight, WorkLimits
from playhead.storage import artwork, catalogue
from playhead.storage.engine.database import Connection, Database

__all__ = ["MEDIA_TYPE", "Artwork", "ArtworkTools", "Picture"]

MEDIA_TYPE: Final = "image/jpeg"

log = logging.getLogger(__name__)

# Part of every key. Raise it when pictures are made differently: all are then made anew.
_VERSION = 1

_BOUNDS = WorkLimits(threads=2, waiting=128)

# How much is kept on the disk: some 15,000 pictures.
BYTES_MAX = 512 * 1024 * 1024

# Of several files the first are tried: the next where one is broken.
_IMAGES_MAX = 3
_FILMS_MAX = 2
_EPISODES_LOOKED_AT = 20


class _Source(NamedTuple):
    """A file that a picture can be taken from. `path` is real and inside the library."""

    path: Path
    is_film: bool
    stamp: str


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that can be had, made or not. `tag` is the same for the same picture, and another for another."""

    tag: str
    size: PixelSize
    sources: Sequence[_Source]


class MakePicture(Protocol):
    """What makes a JPEG of a file. Raises Unusable."""

    def __call__(self, path: Path, size: PixelSize) -> bytes:
        """Make it."""
        ...


class ArtworkTools(NamedTuple):
    """What pictures are made by."""

    of_image: MakePicture
    of_film: MakePicture


class Artwork:
    """The pictures of items, kept in `folder`. `monotonic` gives seconds that never go back."""

    def __init__(
        self,
        database: Database,
        folder: Path,
        *,
        monotonic: Callable[[], float],
        tools: ArtworkTools,
        bytes_max: int = BYTES_MAX,
    ) -> None:
        self._database = database
        self._single_flight = SingleFlight(
            "playhead-artwork", DiskCache(folder, bytes_max), _BOUNDS, monotonic=monotonic
        )
        self._tools = tools

    async def find(
        self, viewer: Viewer, item_id: ItemId, kind: ArtworkKind | None, width: int, season: int | None = None
    ) -> Picture:
        """Return which picture an item, or a season of a show, has; looks at folders, and makes none.

        `kind` None: what such an item is usually shown by. Raises NOT_FOUND for the item, and where there is neither a
        picture file nor a film; ACCESS_DENIED; INVALID (`season`) where the item is no show.
        """

        def load(connection: Connection) -> tuple[str | None, Subject]:
            view = visible_item(connection, viewer, item_id, None)
            if view.item.kind is ItemKind.SHOW:
                files = artwork.list_episode_files(connection, item_id, season, _EPISODES_LOOKED_AT)
            elif season is not None:
                raise invalid({"season": ["must be left out: only shows have seasons"]})
            else:
                files = sorted(catalogue.list_files(connection, item_id), key=version_preference)
            in_parts = any(file.part is not None for file in files)
            return view.library.path, Subject(view.item.kind, [file.path for file in files], season, in_parts)

        root, subject = await self._database.read(load)
        wanted = kind or usual_kind(subject.kind)
        sources = [] if root is None else await asyncio.to_thread(_find_sources, Path(root), subject, wanted)
        if not sources:
            raise _no_artwork()
        size = size_of(wanted, width)
        evidence = msgspec.json.encode((_VERSION, item_id, season, size, [source.stamp for source in sources]))
        return Picture(blake2b(evidence, digest_size=16).hexdigest(), size, sources)

    async def content(self, picture: Picture) -> bytes:
        """Return a picture's JPEG, made now where it is not kept; who asks for the same one meanwhile waits for it.

        Raises NOT_FOUND where nothing can be made of its sources, which is remembered, and UNAVAILABLE where too many
        pictures wait to be made.
        """
        content = await self._single_flight.get(picture.tag, lambda: self._make(picture))
        if content is None:
            raise _no_artwork()
        return content

    async def close(self) -> None:
        """Make no further picture."""
        await self._single_flight.close()

    def _make(self, picture: Picture) -> bytes | None:
        for source in picture.sources:
            make = self._tools.of_film if source.is_film else self._tools.of_image
            try:
                return make(source.path, picture.size)
            except Unusable as error:
                log.info("No picture of %s: %s", shown(str(source.path)), error)
            except OSError as error:
                log.warning("No picture of %s now: %s", shown(str(source.path)), error.strerror or error)
                raise unavailable() from None
        return None


def _find_sources(root: Path, subject: Subject, kind: ArtworkKind) -> list[_Source]:
    images = find_images(root, subject, kind)[:_IMAGES_MAX]
    found = [_source(root, path, is_film=False) for path in images]
    found += [_source(root, path, is_film=True) for path in subject.files[:_FILMS_MAX]]
    return [source for source in found if source is not None]


def _source(root: Path, path: str, *, is_film: bool) -> _Source | None:
    real = contained(root, path)
    if real is None:
        return None
    try:
        status = real.stat()
    except OSError:
        return None
    return _Source(real, is_film, f"{os.fsencode(path).hex()} {status.st_size} {status.st_mtime_ns}")


def _no_artwork() -> PlayheadError:
    return not_found("Artwork not found")
