"""Posters and stills: access, sources, and the cache of generated pictures."""

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from playhead.domain.artwork import ArtworkKind, PixelSize, size_of, usual_kind
from playhead.domain.catalogue import MediaFile, version_preference
from playhead.domain.model import ItemId, ItemKind, LibraryId
from playhead.errors import Code, PlayheadError, invalid
from playhead.media.artwork import Subject, find_images
from playhead.media.disk_cache import DiskCache
from playhead.media.folders import contained, contained_video
from playhead.services.access import ItemView, Viewer, sight_of, visible_item
from playhead.services.single_flight import SingleFlight, WorkLimits, attempt, key_of
from playhead.storage import artwork, catalogue
from playhead.storage.engine.database import Connection, Database

__all__ = ["MEDIA_TYPE", "Artwork", "ArtworkMissingError", "ArtworkTools", "Picture"]

MEDIA_TYPE: Final = "image/jpeg"

# Part of every cache key. Raise it when pictures are generated differently.
_VERSION = 1

_BOUNDS = WorkLimits(threads=2, waiting=128)

# Disk cache: about 15,000 pictures.
BYTES_MAX = 512 * 1024 * 1024

# The most files tried for one picture, if the first ones are broken.
_IMAGES_MAX = 3
_FILMS_MAX = 2
_EPISODES_LOOKED_AT = 20


class ArtworkMissingError(PlayheadError):
    """The item exists, and no picture can be made of it."""

    def __init__(self) -> None:
        super().__init__(Code.NOT_FOUND, "Artwork not found")


class _Source(NamedTuple):
    """A file from which a picture can be made. `path` is resolved and inside the library."""

    path: Path
    is_film: bool
    stamp: str


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that exists or can be made. `tag` identifies its content, as an ETag."""

    tag: str
    size: PixelSize
    sources: Sequence[_Source]


class MakePicture(Protocol):
    """Makes a JPEG from a file. Raises Unusable."""

    def __call__(self, path: Path, size: PixelSize) -> bytes:
        """Make the picture."""
        ...


class ArtworkTools(NamedTuple):
    """The functions that make pictures."""

    of_image: MakePicture
    of_film: MakePicture


class Artwork:
    """The pictures of items, cached in `folder`. `monotonic` is a monotonic clock in seconds."""

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
        """Find the picture of an item or a season; lists folders, makes nothing.

        `kind` None: the usual kind for the item. Raises NOT_FOUND for the item; ArtworkMissingError if there
        is neither a picture file nor a video; ACCESS_DENIED; INVALID (`season`) if the item is not a show.
        """

        def load(connection: Connection) -> tuple[ItemView, list[tuple[Path, Subject]]]:
            view = visible_item(connection, sight_of(connection, viewer), item_id, None)
            libraries = {library.id: library for library in view.libraries}
            if view.item.kind is ItemKind.SHOW:
                files = artwork.list_episode_files(
                    connection, libraries.keys(), view.item.id, season, _EPISODES_LOOKED_AT
                )
            elif season is not None:
                raise invalid({"season": ["must be left out: only shows have seasons"]})
            else:
                files = catalogue.list_files(connection, view.item.id, libraries.keys())
                files.sort(key=lambda each: version_preference(each[1]))
            of_library: dict[LibraryId, list[MediaFile]] = {}
            for library_id, file in files:
                of_library.setdefault(library_id, []).append(file)
            return view, [
                (Path(root), _subject(view.item.kind, found, season))
                for library_id, found in of_library.items()
                if (root := libraries[library_id].path) is not None
            ]

        view, subjects = await self._database.read(load)
        wanted = kind or usual_kind(view.item.kind)
        sources = await asyncio.to_thread(_find_all_sources, subjects, wanted) if subjects else []
        if not sources:
            raise ArtworkMissingError
        size = size_of(wanted, width)
        tag = key_of(_VERSION, view.item.id, season, size, [source.stamp for source in sources])
        return Picture(tag, size, sources)

    async def content(self, picture: Picture) -> bytes:
        """Return a picture's JPEG from the cache, or make it; concurrent requests share the work.

        Raises ArtworkMissingError if its sources are unusable, which is cached, too, and UNAVAILABLE if too many
        pictures are waiting to be made.
        """
        content = await self._single_flight.get(picture.tag, lambda: self._make(picture))
        if content is None:
            raise ArtworkMissingError
        return content

    async def close(self) -> None:
        """Stop making pictures."""
        await self._single_flight.close()

    def _make(self, picture: Picture) -> bytes | None:
        for source in picture.sources:
            make = self._tools.of_film if source.is_film else self._tools.of_image
            content = attempt("picture", source.path, partial(make, source.path, picture.size))
            if content is not None:
                return content
        return None


def _subject(kind: ItemKind, files: Sequence[MediaFile], season: int | None) -> Subject:
    return Subject(kind, [file.path for file in files], season, any(file.part is not None for file in files))


def _find_all_sources(subjects: Sequence[tuple[Path, Subject]], kind: ArtworkKind) -> list[_Source]:
    """Return the sources in all libraries: pictures before films."""
    found = [source for root, subject in subjects for source in _find_sources(root, subject, kind)]
    return sorted(found, key=lambda source: source.is_film)


def _find_sources(root: Path, subject: Subject, kind: ArtworkKind) -> list[_Source]:
    images = find_images(root, subject, kind)[:_IMAGES_MAX]
    found = [_source(root, path, is_film=False) for path in images]
    found += [_source(root, path, is_film=True) for path in subject.files[:_FILMS_MAX]]
    return [source for source in found if source is not None]


def _source(root: Path, path: str, *, is_film: bool) -> _Source | None:
    real = contained_video(root, path) if is_film else contained(root, path)
    if real is None:
        return None
    try:
        status = real.stat()
    except OSError:
        return None
    return _Source(real, is_film, f"{os.fsencode(path).hex()} {status.st_size} {status.st_mtime_ns}")
