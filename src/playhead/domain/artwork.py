"""Pictures of items: their kinds, shapes and sizes, and the default kind of each item."""

from enum import Enum
from typing import Final, NamedTuple

from playhead.domain.model import ItemKind

# A closed set: each picture is cached in every requested width, and requests must not be able to fill the disk.
WIDTHS: Final = (240, 480, 960)
WIDTH_DEFAULT: Final = 480

IMAGE_PIXELS_MAX: Final = 20_000_000
"""Of a poster or a still, by its header: a photograph of 20 megapixels is far larger than its display."""

FILM_PIXELS_MAX: Final = 36_000_000
"""Of a film's picture: 8K cinema is 8192 x 4320."""


class ArtworkKind(Enum):
    """A poster is portrait, two to three; a still is a frame of a film, sixteen to nine."""

    POSTER = "poster"
    STILL = "still"


class PixelSize(NamedTuple):
    """Width and height in pixels."""

    width: int
    height: int


def size_of(kind: ArtworkKind, width: int) -> PixelSize:
    """Return the size of a picture of this width: its shape depends on its kind only."""
    return PixelSize(width, width * 3 // 2 if kind is ArtworkKind.POSTER else width * 9 // 16)


def usual_kind(kind: ItemKind) -> ArtworkKind:
    """Return the default kind: a poster for movies and shows, a still for episodes."""
    return ArtworkKind.STILL if kind is ItemKind.EPISODE else ArtworkKind.POSTER
