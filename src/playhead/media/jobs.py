"""The messages between a server and its decoding workers: jobs, their budgets, and answers.

Both sides treat what they receive as data of the declared shape: unlike pickle, it can execute nothing.
"""

from typing import Final, NamedTuple

from msgspec import Struct

from playhead.domain.catalogue import MediaInfo

MESSAGE_LENGTH_BYTES: Final = 4
"""Every message is preceded by its length, big-endian."""

JOB_BYTES_MAX: Final = 32 * 1024
"""More than a path and a few words; less than a pipe's buffer, so that sending a job never blocks."""

ANSWER_BYTES_MAX: Final = 4 * 1024 * 1024 + 4096
"""The largest text of subtitles (`domain.tracks.WEBVTT_BYTES_MAX`), and its framing."""


class ProbeFilm(Struct, tag=True, frozen=True):
    """Read the metadata of a film. Paths are bytes, as in the file system."""

    path: bytes


class PictureOfImage(Struct, tag=True, frozen=True):
    """Make a JPEG of this size from an image file."""

    path: bytes
    width: int
    height: int


class PictureOfFilm(Struct, tag=True, frozen=True):
    """Make a JPEG of this size from a film's cover or one of its frames."""

    path: bytes
    width: int
    height: int


class SubtitlesOfFile(Struct, tag=True, frozen=True):
    """Convert a subtitle file to WebVTT."""

    path: bytes
    codec: str
    language: str | None


class SubtitlesOfFilm(Struct, tag=True, frozen=True):
    """Convert one subtitle stream of a film to WebVTT, by its number among them."""

    path: bytes
    number: int


Job = ProbeFilm | PictureOfImage | PictureOfFilm | SubtitlesOfFile | SubtitlesOfFilm


class Probed(Struct, tag=True, frozen=True):
    """The answer to ProbeFilm."""

    info: MediaInfo


class Made(Struct, tag=True, frozen=True):
    """The answer to all other jobs: a file's content."""

    content: bytes


class Failed(Struct, tag=True, frozen=True):
    """The answer if the file is at fault or, with `passing`, may not be."""

    reason: str
    passing: bool = False


Answer = Probed | Made | Failed


class Budget(NamedTuple):
    """How long a job may take by the clock, and how much processor time it may use."""

    wall_s: int
    cpu_s: int


class Order(NamedTuple):
    """What a worker receives."""

    job: Job
    budget: Budget


# Ten times what the slowest valid file takes, and above the limits that `probe`, `pictures` and `subtitles` set
# themselves, which give better reasons. A film without an index of its subtitles is read completely, which takes
# minutes.
BUDGETS: Final[dict[type[Job], Budget]] = {
    ProbeFilm: Budget(wall_s=60, cpu_s=30),
    PictureOfImage: Budget(wall_s=60, cpu_s=10),
    PictureOfFilm: Budget(wall_s=90, cpu_s=40),
    SubtitlesOfFile: Budget(wall_s=60, cpu_s=20),
    SubtitlesOfFilm: Budget(wall_s=220, cpu_s=120),
}
