"""Paints posters and stills for the demo's films, hills under an evening sky, and writes their subtitles."""

import colorsys
import math
import re
import textwrap
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Final

from av import VideoFrame

from demo_clips import CLIPS, FONT, Clip
from playhead.demo.films import FILMS
from playhead.media.pictures import encode

_POSTER: Final = (640, 960)
_STILL: Final = (960, 540)
_HILLS: Final = 5  # one behind the other
_LETTERS: Final = 9  # of a title, in one line
_LARGE, _SMALL = 60, 120  # dots of the font that are as wide as a picture
_LINE_DOTS: Final = 10  # from line to line
_QUALITY: Final = 3

Colour = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Painting:
    """A picture to be painted. `path` is relative to the demo's folder; `words` are lines, shown in capitals.

    `hue` is the colour in degrees; `seed` tells hills apart that have the same.
    """

    path: str
    words: tuple[str, ...]
    hue: int
    seed: int
    size: tuple[int, int]


def write_pictures(folder: Path, clips: Sequence[Clip] = CLIPS) -> None:
    """Write the posters, stills and subtitles of these clips."""
    for painting in paintings_of(clips):
        path = folder / painting.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_painted(painting))
    for clip in clips:
        for language, lines in clip.captions.items():
            path = folder / f"{clip.path.rpartition('.')[0]}.{language}.srt"
            path.write_text(_subtitles(lines, clip.seconds), "utf-8")


def paintings_of(clips: Sequence[Clip]) -> list[Painting]:
    """Return what belongs to these clips: a still for each, a poster for each film, show and season."""
    paintings = [painting for clip in clips for painting in _paintings_of(clip)]
    return list({painting.path: painting for painting in reversed(paintings)}.values())[::-1]


def _paintings_of(clip: Clip) -> Iterator[Painting]:
    path = PurePosixPath(clip.path)
    seed = zlib.crc32(clip.title.encode())
    if clip.path.startswith(f"{FILMS}/"):
        yield Painting(f"{path.parent}/poster.jpg", (clip.title,), clip.hue, seed, _POSTER)
        yield Painting(f"{path.parent}/fanart.jpg", (), clip.hue, seed, _STILL)
        return
    show = path.parents[1]
    title = re.sub(r" \(\d+\)$", "", show.name)
    seed_of_show = zlib.crc32(title.encode())
    number = int(re.sub(r"\D", "", path.parent.name))
    yield Painting(f"{show}/poster.jpg", (title,), clip.hue, seed_of_show, _POSTER)
    yield Painting(f"{show}/fanart.jpg", (), clip.hue, seed_of_show, _STILL)
    words = (title, path.parent.name)
    yield Painting(f"{show}/season{number:02}-poster.jpg", words, clip.hue, seed_of_show + number, _POSTER)
    yield Painting(f"{path.with_suffix('')}-thumb.jpg", (), clip.hue, seed, _STILL)


def _subtitles(lines: Sequence[str], seconds: int) -> str:
    """Return SubRip of lines that are spread evenly over a film."""
    each_ms = seconds * 1000 // len(lines)
    blocks = (
        f"{number}\n{_time(number * each_ms - each_ms)} --> {_time(number * each_ms - each_ms // 3)}\n{line}\n"
        for number, line in enumerate(lines, 1)
    )
    return "\n".join(blocks)


def _time(time_ms: int) -> str:
    seconds, milliseconds = divmod(time_ms, 1000)
    return f"00:{seconds // 60:02}:{seconds % 60:02},{milliseconds:03}"


# Painting


def _painted(painting: Painting) -> bytes:
    canvas = _Canvas(*painting.size)
    hue = painting.hue / 360
    night, dusk = _colour(hue, 0.6, 0.3), _colour(hue + 0.06, 0.4, 0.85)
    canvas.fill_sky(night, dusk)
    across = 0.25 + (painting.seed % 50) / 100
    canvas.draw_sun(across, 0.3, 0.11, _colour(hue + 0.1, 0.12, 1.0))
    far, near = _colour(hue + 0.03, 0.4, 0.62), _colour(hue - 0.02, 0.65, 0.13)
    for number in range(_HILLS):
        depth = number / (_HILLS - 1)
        canvas.fill_hill(0.48 + 0.3 * depth, painting.seed // (number + 1), _mixed(far, near, depth))
    title, *below = painting.words or ("",)
    canvas.write([*((line, _LARGE) for line in textwrap.wrap(title, _LETTERS)), *((line, _SMALL) for line in below)])
    return canvas.jpeg()


def _colour(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, saturation, value)
    return red * 255, green * 255, blue * 255


def _mixed(one: Colour, other: Colour, share: float) -> Colour:
    return tuple(a + (b - a) * share for a, b in zip(one, other, strict=True))  # pyright: ignore[reportReturnType]


class _Canvas:
    """Three planes of colour, painted by whole rows and columns: a pixel at a time would take seconds."""

    def __init__(self, width: int, height: int) -> None:
        self._width, self._height = width, height
        self._planes = [bytearray(width * height) for _ in range(3)]

    def fill_sky(self, top: Colour, horizon: Colour) -> None:
        for row in range(self._height):
            colour = _mixed(top, horizon, min(1.0, row / (self._height * 0.6)))
            for plane, value in zip(self._planes, colour, strict=True):
                plane[row * self._width : (row + 1) * self._width] = bytes([round(value)]) * self._width

    def draw_sun(self, across: float, down: float, radius: float, colour: Colour) -> None:
        size = radius * max(self._width, self._height) * 0.6
        middle, centre = across * self._width, down * self._height
        for row in range(max(0, int(centre - size)), min(self._height, int(centre + size))):
            half = math.sqrt(max(0.0, size**2 - (row - centre) ** 2))
            left, right = max(0, round(middle - half)), min(self._width, round(middle + half))
            for plane, value in zip(self._planes, colour, strict=True):
                plane[row * self._width + left : row * self._width + right] = bytes([round(value)]) * (right - left)

    def fill_hill(self, down: float, seed: int, colour: Colour) -> None:
        """Fill everything below a line of three waves."""
        phases = [(seed >> shift) % 64 / 10 for shift in (0, 6, 12)]
        lengths = [1.1 + (seed >> 3) % 7 / 10, 2.7 + (seed >> 9) % 9 / 10, 6.1]
        waves = tuple(zip(lengths, phases, (0.045, 0.02, 0.006), strict=True))
        for column in range(self._width):
            turn = 2 * math.pi * column / self._width
            edge = self._height * (down + sum(high * math.sin(length * turn + at) for length, at, high in waves))
            first = min(self._height - 1, int(edge) + 1)
            for plane, value in zip(self._planes, colour, strict=True):
                plane[first * self._width + column :: self._width] = bytes([round(value)]) * (self._height - first)
                at = (first - 1) * self._width + column
                plane[at] = round(plane[at] + (value - plane[at]) * (first - edge))  # no steps along the edge

    def write(self, lines: Sequence[tuple[str, int]]) -> None:
        """Write lines below each other, down to the foot; each with how many of its dots are as wide as the picture."""
        down = self._height * 14 // 15 - sum(_LINE_DOTS * self._width // dots for _, dots in lines)
        for text, dots in lines:
            self._write_line(text, down, self._width // dots)
            down += _LINE_DOTS * self._width // dots

    def _write_line(self, text: str, down: int, scale: int) -> None:
        rows_of_dots = [".".join(rows) for rows in zip(*(FONT[letter] for letter in text.upper()), strict=True)]
        left = (self._width - scale * len(rows_of_dots[0])) // 2
        for high, row_of_dots in enumerate(rows_of_dots):
            for found in re.finditer("#+", row_of_dots):
                start, stop = left + found.start() * scale, left + found.end() * scale
                for row in range(down + high * scale, down + (high + 1) * scale):
                    for plane in self._planes:
                        plane[row * self._width + start : row * self._width + stop] = b"\xf4" * (stop - start)

    def jpeg(self) -> bytes:
        return encode(self._frame(), _QUALITY)

    def _frame(self) -> VideoFrame:
        frame = VideoFrame(self._width, self._height, "gbrp")
        red, green, blue = self._planes
        for plane, content in zip(frame.planes, (green, blue, red), strict=True):
            padded = bytearray(plane.line_size * self._height)
            for row in range(self._height):
                line = content[row * self._width : (row + 1) * self._width]
                padded[row * plane.line_size : row * plane.line_size + self._width] = line
            plane.update(bytes(padded))
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        return frame.reformat(format="yuvj420p")
