"""A library's folder on disk: which videos it holds, what lies beside them, and what is inside it at all."""

import os
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from playhead.domain.scanning import RULES_VERSION, FoundFile
from playhead.domain.texts import shown

# Made by storage systems, never by people; what begins with a dot is left out too.
_FOREIGN_FOLDERS = frozenset(
    {"@eaDir", "#recycle", "#snapshot", "$RECYCLE.BIN", "System Volume Information", "lost+found"}
)

_SAMPLE_BYTES = 64 * 1024
_MOVIE_NFO, _SHOW_NFO = "movie.nfo", "tvshow.nfo"


class Skipped(NamedTuple):
    """Something in a library's folder that is not in the catalogue, and why. What could steer a terminal is escaped."""

    path: str
    reason: str


class Beside(NamedTuple):
    """The NFO files that speak of a video, and the videos that share its movie.nfo; paths relative to the library."""

    own: str | None = None
    movie: str | None = None
    show: str | None = None
    siblings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Walk:
    """What a folder holds. `beside` has only the videos with an NFO; `unread` the folders that could not be listed."""

    files: list[FoundFile] = field(default_factory=list[FoundFile])
    beside: dict[str, Beside] = field(default_factory=dict[str, Beside])
    skipped: list[Skipped] = field(default_factory=list[Skipped])
    unread: list[str] = field(default_factory=list[str])


def walk(root: Path, is_video: Callable[[PurePosixPath], bool]) -> Walk:
    """List all videos below `root`, a resolved path, without opening any file. Raises OSError for the root itself.

    Links to folders are not followed: what they hold inside the library has a path of its own, and what lies outside
    is not served. A link to a file counts where the file lies inside and is not found by its own path.
    """
    return _Walker(root, is_video).walk()


class _Nfo(NamedTuple):
    path: str
    stamp: str


class _Video(NamedTuple):
    path: str
    status: os.stat_result
    target: str | None  # where a link leads, relative to the library


class _Listing(NamedTuple):
    """One folder, while it is listed. NFO files by their name in lower case."""

    videos: list[_Video]
    nfos: dict[str, _Nfo]
    folders: list[str]


class _Walker:
    def __init__(self, root: Path, is_video: Callable[[PurePosixPath], bool]) -> None:
        self._root = root
        self._is_video = is_video
        self._result = Walk()
        self._links: list[tuple[str, FoundFile, Beside]] = []
        self._folders: list[tuple[str, _Nfo | None]] = []

    def walk(self) -> Walk:
        self._list("", None)
        while self._folders:
            folder, show = self._folders.pop()
            try:
                self._list(folder, show)
            except OSError as error:
                self._unreadable(folder, error)
        found = {file.path for file in self._result.files}
        for target, file, beside in self._links:
            if target not in found:
                self._add(file, beside)
        self._result.files.sort(key=lambda file: file.path)
        self._result.skipped.sort()
        return self._result

    def _list(self, folder: str, show: _Nfo | None) -> None:
        listing = _Listing([], {}, [])
        with os.scandir(self._root / folder) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                path = f"{folder}/{entry.name}" if folder else entry.name
                try:
                    self._sort_in(entry, path, listing)
                except FileNotFoundError:
                    continue  # gone since the folder was listed
                except OSError as error:
                    self._unreadable(path, error)
        show = listing.nfos.get(_SHOW_NFO, show)
        movie = listing.nfos.get(_MOVIE_NFO) if folder else None  # at the top it would speak of every film
        self._folders += [(path, show) for path in listing.folders]
        names = tuple(video.path for video in listing.videos)
        siblings = names if movie is not None and len(names) > 1 else ()
        for video in listing.videos:
            own = listing.nfos.get(PurePosixPath(video.path).stem.lower() + ".nfo")
            self._take(video, own, movie, show, siblings)

    def _take(
        self, video: _Video, own: _Nfo | None, movie: _Nfo | None, show: _Nfo | None, siblings: tuple[str, ...]
    ) -> None:
        stamps = [f"{mark}{nfo.stamp}" for mark, nfo in (("f", own), ("m", movie), ("s", show)) if nfo is not None]
        evidence = " ".join([f"{RULES_VERSION}", *stamps, *([f"n{len(siblings)}"] if siblings else [])])
        file = FoundFile(video.path, video.status.st_size, video.status.st_mtime_ns, evidence)
        beside = Beside(own and own.path, movie and movie.path, show and show.path, siblings)
        if video.target is None:
            self._add(file, beside)
        else:
            self._links.append((video.target, file, beside))

    def _add(self, file: FoundFile, beside: Beside) -> None:
        self._result.files.append(file)
        if beside != Beside():
            self._result.beside[file.path] = beside

    def _sort_in(self, entry: os.DirEntry[str], path: str, listing: _Listing) -> None:
        if entry.name.startswith(".") or entry.name in _FOREIGN_FOLDERS:
            return
        if entry.is_symlink():
            self._sort_in_link(path, listing)
        elif entry.is_dir(follow_symlinks=False):
            if self._is_named(path):
                listing.folders.append(path)
        elif entry.name.lower().endswith(".nfo"):
            if entry.is_file(follow_symlinks=False) and _is_text(path):
                status = entry.stat(follow_symlinks=False)
                listing.nfos.setdefault(entry.name.lower(), _Nfo(path, f"{status.st_size}:{status.st_mtime_ns}"))
        elif self._is_video(PurePosixPath(path)) and self._is_named(path):
            if entry.is_file(follow_symlinks=False):
                listing.videos.append(_Video(path, entry.stat(follow_symlinks=False), None))
            else:
                self._skip(path, "it is no regular file")

    def _sort_in_link(self, path: str, listing: _Listing) -> None:
        try:
            target = (self._root / path).resolve(strict=True)
            status = target.stat()
        except (FileNotFoundError, RuntimeError):  # RuntimeError: links in a circle, up to Python 3.12
            if self._is_video(PurePosixPath(path)):
                self._skip(path, "the link leads nowhere")
            return
        is_video = stat.S_ISREG(status.st_mode) and self._is_video(PurePosixPath(path))
        if not target.is_relative_to(self._root):
            if is_video or stat.S_ISDIR(status.st_mode):
                self._skip(path, "the link leads out of the library")
        elif is_video and self._is_named(path):
            listing.videos.append(_Video(path, status, target.relative_to(self._root).as_posix()))

    def _is_named(self, path: str) -> bool:
        if _is_text(path):
            return True
        self._skip(path, "the name is not UTF-8")
        return False

    def _skip(self, path: str, reason: str) -> None:
        self._result.skipped.append(Skipped(shown(path), reason))

    def _unreadable(self, path: str, error: OSError) -> None:
        self._result.unread.append(path)
        self._skip(path, f"it cannot be read: {error.strerror or error}")


def _is_text(path: str) -> bool:
    return not any("\udc80" <= character <= "\udcff" for character in path)


def contained(root: Path, path: str) -> Path | None:
    """Return the real path of a file of a library; None where it is none, or lies outside, by `..` or by a link."""
    try:
        real_root = root.resolve(strict=True)
        real = (real_root / path).resolve(strict=True)
    except (OSError, RuntimeError, ValueError):
        return None
    return real if real.is_relative_to(real_root) and real.is_file() else None


def subfolders(folder: Path) -> list[str]:
    """Return the names of the folders in a folder, by name, as far as they are text; hidden ones are left out.

    Raises OSError where it cannot be listed, ValueError for what is no path.
    """
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if _is_shown(entry)]
    return sorted(names, key=str.casefold)


def _is_shown(entry: "os.DirEntry[str]") -> bool:
    if entry.name.startswith(".") or entry.name in _FOREIGN_FOLDERS or not _is_text(entry.name):
        return False
    try:
        return entry.is_dir()
    except OSError:
        return False


def nested(path: Path, others: Iterable[Path]) -> Path | None:
    """Return the first of `others` that is `path`, lies in it, or holds it. All are resolved."""
    return next((other for other in others if path.is_relative_to(other) or other.is_relative_to(path)), None)


def fingerprint(path: Path) -> str:
    """Return what two files of the same content share: size, and a hash of the first and last 64 KiB.

    Raises OSError.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        digest = blake2b(file.read(_SAMPLE_BYTES), digest_size=16)
        if size > _SAMPLE_BYTES:
            file.seek(max(_SAMPLE_BYTES, size - _SAMPLE_BYTES))
            digest.update(file.read(_SAMPLE_BYTES))
    return f"{size:x}-{digest.hexdigest()}"
