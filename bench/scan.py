"""A first and a second scan of ten thousand episodes: processor time of the server and of its decoding workers."""

import asyncio
import itertools
import os
import random
import resource
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import av
from installation import fail
from report import at_most, print_row, say

from playhead.bootstrap import open_installation
from playhead.config import Settings
from playhead.domain.model import LibraryId, LibraryKind

SHOWS = 200
SEASONS = 5
EPISODES_A_SEASON = 10
FIRST_S_MAX = 60.0
SECOND_S_MAX = 2.0

_CLIP_S = 20
_FRAMES_A_SECOND = 2
_WORDS = """
    amber harbor winter archive copper bridge velvet ferry crimson railway northern beacon quiet lantern distant
    meadow silver orchard hollow river glass tower paper moon iron garden golden valley broken compass
    """.split()  # noqa: SIM905 - one a line would be a page

# How people and programs name episodes.
_NAMES = (
    "{show} ({year})/Season {s:02}/{show} ({year}) - S{s:02}E{e:02} - {title} WEBDL-1080p.mkv",
    "{show}/Season {s}/{dotted}.S{s:02}E{e:02}.{dotted_title}.1080p.WEB-DL.DDP5.1.H.264-GRP.mkv",
    "{show} ({year})/S{s:02}/S{s:02}E{e:02} - {title}.mkv",
    "{dotted}.S{s:02}.1080p.BluRay.x264-GRP/{dotted}.S{s:02}E{e:02}.1080p.BluRay.x264-GRP.mkv",
    "{show}/Season {s}/{e:02} - {title}.mkv",
    "{show}/{show} - {s}x{e:02} - {title} [720p].mkv",
    "{show}/[Group] {show} - {s}{e:02} [1080p][{checksum:08X}].mkv",
    "{show} ({year})/Staffel {s}/{show} S{s:02}E{e:02} {title} German 720p HDTV x264.mkv",
)


class _Cost(NamedTuple):
    """Processor time of one scan, in seconds, and how long it took."""

    server_s: float
    workers_s: float
    took_s: float

    @property
    def total_s(self) -> float:
        return self.server_s + self.workers_s


def measure_scan(folder: Path) -> None:
    """Scan a new library twice and print the verdicts."""
    root = folder / "shows"
    count = make_library(root)
    say(f"The library has {count:,} episodes of {SHOWS} shows")
    first, second = asyncio.run(_scan_twice(folder / "data", root, count))
    say()
    print_row("Seconds", ["server", "workers", "in total", "took"])
    for name, cost in (("first scan", first), ("second scan", second)):
        print_row(name, [f"{figure:.1f}" for figure in (cost.server_s, cost.workers_s, cost.total_s, cost.took_s)])
    at_most(f"first scan of {count:,} episodes", first.total_s, FIRST_S_MAX, "s of processor time")
    at_most("second scan", second.total_s, SECOND_S_MAX, "s of processor time")


def make_library(root: Path) -> int:
    """Write tiny films, each with content of its own; return how many."""
    root.mkdir(parents=True)
    clip = _clip(root.parent / "clip.mkv")
    count = 0
    for name in episode_names():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(clip + _void(count))
        count += 1
    return count


def episode_names() -> Iterator[str]:
    """Return the paths of all episodes, the same at each run of the benchmark."""
    chance = random.Random(1)
    for number in range(SHOWS):
        name = _NAMES[number % len(_NAMES)]
        show = " ".join(word.capitalize() for word in chance.sample(_WORDS, 2)) + f" {_letters(number)}"
        year = chance.randint(1990, 2025)
        for season, episode in itertools.product(range(1, SEASONS + 1), range(1, EPISODES_A_SEASON + 1)):
            title = " ".join(word.capitalize() for word in chance.choices(_WORDS, k=chance.randint(1, 4)))
            yield name.format(
                show=show,
                dotted=show.replace(" ", "."),
                year=year,
                s=season,
                e=episode,
                title=title,
                dotted_title=title.replace(" ", "."),
                checksum=zlib.crc32(f"{show} {season} {episode}".encode()),
            )


async def _scan_twice(data: Path, root: Path, count: int) -> tuple[_Cost, _Cost]:
    async with open_installation(Settings(data=data), on_failure=fail) as playhead:
        library = await playhead.catalogue.add_library("Shows", LibraryKind.SHOWS, str(root))
        costs: list[_Cost] = []
        for _ in range(2):
            before = _Cost(time.process_time(), _workers_s(), time.monotonic())
            report = await playhead.scanner.scan(LibraryId(library.id))
            after = _Cost(time.process_time(), _workers_s(), time.monotonic())
            costs.append(_Cost(*(late - early for early, late in zip(before, after, strict=True))))
            if len(report.added) + report.unchanged != count:
                fail(f"{len(report.added) + report.unchanged} of {count} episodes are in the catalogue")
        return costs[0], costs[1]


def _workers_s() -> float:
    """Return the processor time of all decoding workers so far: of those that have ended, and those that live."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    ticks = 0
    for task in Path("/proc/self/task").iterdir():
        for child in (task / "children").read_text().split():
            fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])  # proc_pid_stat(5): utime and stime
    return ended.ru_utime + ended.ru_stime + ticks / os.sysconf("SC_CLK_TCK")


def _clip(path: Path) -> bytes:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("h264", rate=_FRAMES_A_SECOND)
        stream.width, stream.height, stream.pix_fmt = 64, 36, "yuv420p"
        for number in range(_FRAMES_A_SECOND * _CLIP_S):
            frame = av.VideoFrame(64, 36, "yuv420p")
            for plane in frame.planes:
                plane.update(bytes((at + number) % 251 for at in range(plane.buffer_size)))
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path.read_bytes()


def _void(number: int) -> bytes:
    """Return an element that players skip (RFC 8794, section 11.3.2), different for each number."""
    return b"\xec\x88" + number.to_bytes(8)


def _letters(number: int) -> str:
    """Return two letters, so that no two shows share a title."""
    return f"{chr(65 + number // 26)}{chr(97 + number % 26)}"
