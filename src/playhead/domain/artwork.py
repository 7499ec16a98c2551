"""Pictures of items: which kinds there are, what shape they have, and which one is meant where none is named."""

from enum import Enum
from typing import Final, NamedTuple

from playhead.domain.model import ItemKind

# A closed set: each picture is kept in every width that somebody asks for, and nobody may fill the disk by asking.
WIDTHS: Final = (240, 480, 960)
WIDTH_DEFAULT: Final = 480

IMAGE_PIXELS_MAX: Final = 20_000_000
"""Of a poster or a still, by its header: a photograph of 20 megapixels is far more than is shown of it."""

FILM_PIXELS_MAX: Final = 36_000_000
"""Of a film's picture: 8K, as cinemas have it, is 8192 x 4320."""


class ArtworkKind(Enum):
    """A poster stands upright, two to three; a still is a frame of a film, sixteen to nine."""

    POSTER = "poster"
    STILL = "still"


class PixelSize(NamedTuple):
    """Width and height in pixels."""

    width: int
    height: int


def size_of(kind: ArtworkKind, width: int) -> PixelSize:
    """Return how large a picture of this width is: its shape says only what kind it is, never whose it is."""
    return PixelSize(width, width * 3 // 2 if kind is ArtworkKind.POSTER else width * 9 // 16)


def usual_kind(kind: ItemKind) -> ArtworkKind:
    """Return what an item is shown by: movies and shows by a poster, episodes by a still."""
    return ArtworkKind.STILL if kind is ItemKind.EPISODE else ArtworkKind.POSTER
