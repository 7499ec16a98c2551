"""Draws and encodes the demo's films: titled pictures with a running clock and a ticking tone that every browser plays.

All titles are invented.
"""

import colorsys
import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.stream import VideoStream

from playhead.demo.films import FILMS, SERIES

FRAMES_PER_SECOND: Final = 10  # the clock shows tenths
KEYFRAME_EVERY_S: Final = 3  # a browser starts a seek at a keyframe, and keyframes are most of the bytes
SAMPLES_PER_SECOND: Final = 24_000
AUDIO_BITS_PER_SECOND: Final = 12_000


@dataclass(frozen=True, slots=True)
class Clip:
    """A film to be encoded. `path` is relative to the demo's folder; `title` and `subtitle` are shown in capitals.

    `hue` is the colour in degrees, and `pitch_hz` the tone that tells it from the others. `width` is a multiple of
    16, so that the encoder's planes hold nothing between two rows, and `height` is even. `captions` are lines of
    subtitles, by language.
    """

    path: str
    title: str
    subtitle: str
    seconds: int
    hue: int
    pitch_hz: int
    width: int = 640
    height: int = 360
    captions: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])


_HARBOUR: Final = f"{FILMS}/Harbour Lights (2019)/Harbour Lights (2019)"
_SPOKEN: Final = {
    "en": ("The lamp is lit again.", "Nobody has been up there since the storm.", "<i>Then who is waving?</i>"),
    "de": ("Das Licht brennt wieder.", "Seit dem Sturm war niemand dort oben.", "<i>Wer winkt uns dann?</i>"),
}
_TIDAL: Final = f"{SERIES}/Tidal Station (2021)"

CLIPS: Final = (
    Clip(f"{_HARBOUR} - 1080p.mp4", "Harbour Lights", "2019", 90, 215, 220, 1920, 1080, captions=_SPOKEN),
    Clip(f"{_HARBOUR} - 360p.mp4", "Harbour Lights", "2019", 90, 215, 220, captions=_SPOKEN),
    Clip(
        f"{FILMS}/The Long Meadow (2022)/The Long Meadow (2022).mp4",
        "The Long Meadow",
        "2022",
        120,
        hue=110,
        pitch_hz=262,
        width=1280,
        height=720,
    ),
    Clip(f"{_TIDAL}/Season 1/Tidal Station S01E01 Slack Water.mp4", "Slack Water", "Season 1 Episode 1", 40, 275, 294),
    Clip(f"{_TIDAL}/Season 1/Tidal Station S01E02 Spring Tide.mp4", "Spring Tide", "Season 1 Episode 2", 30, 320, 330),
    Clip(
        f"{_TIDAL}/Season 1/Tidal Station S01E03 The Bell Buoy.mp4", "The Bell Buoy", "Season 1 Episode 3", 20, 5, 349
    ),
    Clip(f"{_TIDAL}/Season 2/Tidal Station S02E01 Undertow.mp4", "Undertow", "Season 2 Episode 1", 30, 35, 392),
    Clip(f"{_TIDAL}/Season 2/Tidal Station S02E02 Landfall.mp4", "Landfall", "Season 2 Episode 2", 20, 170, 440),
)


def write_clip(path: Path, clip: Clip) -> None:
    """Encode a clip as an MP4 file, and make the folder that it lies in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # With its index in front, a browser plays the file from the first bytes on, and seeks without reading its end.
    options = {"movflags": "+faststart"}
    with av.open(f"file:{path.absolute()}", "w", format="mp4", options=options) as container:
        container.metadata["title"] = clip.title
        video = _add_video(container, clip)
        audio = container.add_stream("aac", rate=SAMPLES_PER_SECOND, layout="mono")
        audio.bit_rate = AUDIO_BITS_PER_SECOND
        picture = _Picture(clip)
        sound = _second_of_sound(clip.pitch_hz)
        for second in range(clip.seconds):
            _encode_second(container, (video, picture), (audio, sound), second)
        container.mux(video.encode(None))
        container.mux(audio.encode(None))


def _add_video(container: OutputContainer, clip: Clip) -> VideoStream:
    # One thread, so that every run makes the same bytes.
    options = {"preset": "medium", "tune": "animation", "crf": "36", "threads": "1"}
    video = container.add_stream("libx264", rate=FRAMES_PER_SECOND, options=options)
    video.width, video.height, video.pix_fmt = clip.width, clip.height, "yuv420p"
    video.gop_size = KEYFRAME_EVERY_S * FRAMES_PER_SECOND
    return video


def _encode_second(
    container: OutputContainer,
    seen: tuple[VideoStream, "_Picture"],
    heard: tuple[AudioStream, bytes],
    second: int,
) -> None:
    video, picture = seen
    for number in range(second * FRAMES_PER_SECOND, (second + 1) * FRAMES_PER_SECOND):
        frame = av.VideoFrame(video.width, video.height, "yuv420p")
        for plane, data in zip(frame.planes, picture.at(number), strict=True):
            plane.update(data)
        frame.pts, frame.time_base = number, Fraction(1, FRAMES_PER_SECOND)
        container.mux(video.encode(frame))
    audio, sound = heard
    samples = av.AudioFrame("fltp", "mono", SAMPLES_PER_SECOND)
    samples.planes[0].update(sound)
    samples.sample_rate = SAMPLES_PER_SECOND
    samples.pts, samples.time_base = second * SAMPLES_PER_SECOND, Fraction(1, SAMPLES_PER_SECOND)
    container.mux(audio.encode(samples))


def _second_of_sound(pitch_hz: int) -> bytes:
    """Return one second, to be repeated: a tick of 40 ms, and a soft tone, whose whole hertz join unheard."""
    ticking = SAMPLES_PER_SECOND // 25

    def sample(at: int) -> float:
        turn = 2 * math.pi * at / SAMPLES_PER_SECOND
        tick = 0.25 * math.sin(1000 * turn) * (1 - at / ticking) if at < ticking else 0.0
        return 0.03 * math.sin(pitch_hz * turn) + tick

    return array("f", map(sample, range(SAMPLES_PER_SECOND))).tobytes()


class _Picture:
    """The planes of a clip's frames: title and subtitle, the clock, and a bar that grows with the time."""

    # ITU-R BT.601: luma goes from 16 (black) to 235 (white), chroma is 128 where there is no colour.
    _WHITE = 235

    def __init__(self, clip: Clip) -> None:
        self._width, self._height = clip.width, clip.height
        self._length = clip.seconds * FRAMES_PER_SECOND
        luma, blue, red = _colour(clip.hue)
        self._luma = bytearray([luma]) * (clip.width * clip.height)
        chroma_size = clip.width * clip.height // 4
        self._chroma = (bytes([blue]) * chroma_size, bytes([red]) * chroma_size)
        self._ground = luma
        self._draw(clip.title.upper(), clip.height // 9, clip.width // 128)
        self._draw(clip.subtitle.upper(), clip.height // 4, clip.width // 160)

    def at(self, number: int) -> tuple[bytes, bytes, bytes]:
        """Return the planes of the frame of this number, counted from 0."""
        seconds, tenths = divmod(number * 10 // FRAMES_PER_SECOND, 10)
        minutes, seconds = divmod(seconds, 60)
        self._draw(f"{minutes:02}:{seconds:02}.{tenths}", self._height * 4 // 9, self._width // 64)
        bar = bytes([self._WHITE]) * (self._width * (number + 1) // self._length)
        for row in range(self._height * 9 // 10, self._height * 19 // 20):
            self._luma[row * self._width : row * self._width + len(bar)] = bar
        return bytes(self._luma), *self._chroma

    def _draw(self, text: str, top: int, scale: int) -> None:
        """Write one line in the middle; `scale` is how many pixels a dot of the font is wide and high."""
        dots = [" ".join(rows) for rows in zip(*(FONT[letter] for letter in text), strict=True)]
        inks = {"#": bytes([self._WHITE]) * scale, ".": bytes([self._ground]) * scale}
        inks[" "] = inks["."]
        for line, row_of_dots in enumerate(dots):
            pixels = b"".join(inks[dot] for dot in row_of_dots)
            left = (self._width - len(pixels)) // 2
            for row in range(top + line * scale, top + (line + 1) * scale):
                start = row * self._width + left
                self._luma[start : start + len(pixels)] = pixels


def _colour(hue: int) -> tuple[int, int, int]:
    """Return luma and both chromas (BT.601, studio range) of a dark, rich colour, on which white is easily read."""
    red, green, blue = colorsys.hsv_to_rgb(hue / 360, 0.7, 0.4)
    luma = 16 + 65.481 * red + 128.553 * green + 24.966 * blue
    blueness = 128 - 37.797 * red - 74.203 * green + 112.0 * blue
    redness = 128 + 112.0 * red - 93.786 * green - 18.214 * blue
    return round(luma), round(blueness), round(redness)


# A letter is five dots wide and seven high; the first line of a band names its letters.
_BANDS: Final = (
    (
        "0123456789:. ",
        ".###. ..#.. .###. .###. ...#. ##### .###. ##### .###. .###. ..... ..... .....",
        "#...# .##.. #...# #...# ..##. #.... #.... ....# #...# #...# ..#.. ..... .....",
        "#..## ..#.. ....# ....# .#.#. ####. #.... ...#. #...# #...# ..#.. ..... .....",
        "#.#.# ..#.. ..##. ..##. #..#. ....# ####. ..#.. .###. .#### ..... ..... .....",
        "##..# ..#.. .#... ....# ##### ....# #...# ..#.. #...# ....# ..#.. ..... .....",
        "#...# ..#.. #.... #...# ...#. #...# #...# ..#.. #...# ....# ..#.. ..#.. .....",
        ".###. .###. ##### .###. ...#. .###. .###. ..#.. .###. .###. ..... ..#.. .....",
    ),
    (
        "ABCDEFGHIJKLM",
        ".###. ####. .###. ####. ##### ##### .###. #...# .###. ....# #...# #.... #...#",
        "#...# #...# #...# #...# #.... #.... #...# #...# ..#.. ....# #..#. #.... ##.##",
        "#...# #...# #.... #...# #.... #.... #.... #...# ..#.. ....# #.#.. #.... #.#.#",
        "##### ####. #.... #...# ####. ####. #.### ##### ..#.. ....# ##... #.... #.#.#",
        "#...# #...# #.... #...# #.... #.... #...# #...# ..#.. ....# #.#.. #.... #...#",
        "#...# #...# #...# #...# #.... #.... #...# #...# ..#.. #...# #..#. #.... #...#",
        "#...# ####. .###. ####. ##### #.... .###. #...# .###. .###. #...# ##### #...#",
    ),
    (
        "NOPQRSTUVWXYZ",
        "#...# .###. ####. .###. ####. .#### ##### #...# #...# #...# #...# #...# #####",
        "##..# #...# #...# #...# #...# #.... ..#.. #...# #...# #...# #...# #...# ....#",
        "#.#.# #...# #...# #...# #...# #.... ..#.. #...# #...# #...# .#.#. .#.#. ...#.",
        "#..## #...# ####. #...# ####. .###. ..#.. #...# #...# #.#.# ..#.. ..#.. ..#..",
        "#...# #...# #.... #.#.# #.#.. ....# ..#.. #...# #...# #.#.# .#.#. ..#.. .#...",
        "#...# #...# #.... #..#. #..#. ....# ..#.. #...# .#.#. ##.## #...# ..#.. #....",
        "#...# .###. #.... .##.# #...# ####. ..#.. .###. ..#.. #...# #...# ..#.. #####",
    ),
)
FONT: Final = {
    letter: rows
    for letters, *lines in _BANDS
    for letter, rows in zip(letters, zip(*(line.split() for line in lines), strict=True), strict=True)
}
