"""A library's folder on disk: its videos, the files beside them, and whether a path is inside it at all."""

import os
import re
import stat
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

from playhead.domain.scanning import RULES_VERSION, FoundFile
from playhead.domain.texts import shown
from playhead.media.ignoring import IgnoreFile, find_ignoring, ignored_by
from playhead.media.names.extras import VIDEO_EXTENSIONS, is_extra

# Created by storage systems, never by people; names that begin with a dot are left out, too. In lower case.
_FOREIGN_FOLDERS: Final = frozenset(
    {
        *("@eadir", "@tmp", "@sharebin", "#recycle", "#snapshot"),  # Synology
        *("@recycle", "@recently-snapshot", "@__thumb"),  # QNAP
        *("$recycle.bin", "recycler", "recycled", "system volume information", "found.000"),  # Windows
        *("__macosx", "network trash folder", "temporary items"),  # macOS
        *("lost+found", "~snapshot", "_gsdata_"),
    }
)
# Where SABnzbd and NZBGet unpack downloads, and leave those that failed.
_UNPACKING: Final = re.compile(r"_(?:unpack|failed)_.*|_unpack|__admin__", re.IGNORECASE)

# A disc that was copied with all its folders is cut into files whose order only its menu knows.
_DISC_FOLDERS: Final = frozenset({"video_ts", "audio_ts", "bdmv", "hvdvd_ts"})
# A film's archive; of one in many volumes the first, since `.r00` and `.part02.rar` are parts of it.
_FURTHER_VOLUME: Final = re.compile(r".*\.part(?!0*1\.)\d+\.rar", re.IGNORECASE)
_UNSUPPORTED: Final = {
    **dict.fromkeys((".rar", ".zip", ".7z", ".tar", ".tgz"), "archives are not supported: unpack them"),
    **dict.fromkeys((".iso", ".img", ".nrg", ".mdf", ".daa"), "images of discs are not supported"),
    **dict.fromkeys((".strm", ".disc"), "files that stand for a stream or a disc elsewhere are not supported"),
}

# 'Film cd1.avi' and 'Film.part2.mkv' share Film.nfo; and a folder of parts is in the folder of its film.
_STACKED: Final = re.compile(r"[ _.-]+(?:cd|dvd|part|pt|dis[ck])[ _.-]*(?:\d{1,2}|[a-d])$", re.IGNORECASE)
_PART_FOLDER: Final = re.compile(r"(?:cd|dvd|part|pt|dis[ck])[ _.-]*\d{1,2}", re.IGNORECASE)

_SAMPLE_BYTES = 64 * 1024
_MOVIE_NFO, _SHOW_NFO = "movie.nfo", "tvshow.nfo"
_NFOS_OF_OTHERS: Final = frozenset({_SHOW_NFO, "season.nfo"})


class Skipped(NamedTuple):
    """Something in a library's folder that is not in the catalogue, and why. Terminal sequences are escaped."""

    path: str
    reason: str


class Beside(NamedTuple):
    """The NFO files that apply to a video, and the videos that share its movie.nfo; paths relative to the library."""

    own: str | None = None
    movie: str | None = None
    show: str | None = None
    siblings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Walk:
    """The content of a folder. `beside` has only the videos with an NFO; `unread` the unreadable folders."""

    files: list[FoundFile] = field(default_factory=list[FoundFile])
    beside: dict[str, Beside] = field(default_factory=dict[str, Beside])
    skipped: list[Skipped] = field(default_factory=list[Skipped])
    unread: list[str] = field(default_factory=list[str])


def walk(root: Path, is_video: Callable[[PurePosixPath], bool]) -> Walk:
    """List all videos below `root`, a resolved path; opens files of ignore patterns only. Raises OSError for the root.

    Links to folders are not followed: their content within the library has its own path. A link to a file counts if
    the file is inside and is not found by its own path, or is outside and has the name of a video there.
    """
    return _Walker(root, is_video).walk()


def is_foreign(name: str) -> bool:
    """Return whether a name is hidden, or that of a folder which a storage system creates."""
    return name.startswith(".") or name.lower() in _FOREIGN_FOLDERS


def name_key(name: str) -> str:
    """Return a key that spellings of one file name share: macOS decomposes accents, and Windows ignores case."""
    return unicodedata.normalize("NFC", name).casefold()


class _Nfo(NamedTuple):
    path: str
    stamp: str


class _Video(NamedTuple):
    path: str
    status: os.stat_result
    target: str | None  # where a link leads, relative to the library


class _Folder(NamedTuple):
    """A folder to list: the NFO files that apply to all of its content, and the ignore patterns."""

    path: str
    show: _Nfo | None = None
    movie: _Nfo | None = None
    ignoring: tuple[IgnoreFile, ...] = ()


class _Listing(NamedTuple):
    """One folder, while it is listed. NFO files by the key of their name."""

    videos: list[_Video]
    nfos: dict[str, _Nfo]
    folders: list[str]
    ignoring: tuple[IgnoreFile, ...]


class _Walker:
    def __init__(self, root: Path, is_video: Callable[[PurePosixPath], bool]) -> None:
        self._root = root
        self._is_video = is_video
        self._result = Walk()
        self._links: list[tuple[str, FoundFile, Beside]] = []
        self._folders: list[_Folder] = []

    def walk(self) -> Walk:
        self._list(_Folder(""))
        while self._folders:
            folder = self._folders.pop()
            try:
                self._list(folder)
            except OSError as error:
                self._unreadable(folder.path, error)
        found = {file.path for file in self._result.files}
        for target, file, beside in self._links:
            if target not in found:
                self._add(file, beside)
        self._result.files.sort(key=lambda file: file.path)
        self._result.skipped.sort()
        return self._result

    def _list(self, folder: _Folder) -> None:
        with os.scandir(self._root / folder.path) as entries:
            ordered = sorted(entries, key=lambda entry: entry.name)
        whole, patterns = find_ignoring(self._root, folder.path, [entry.name for entry in ordered])
        if whole is not None:
            self._skip(folder.path or ".", f"it is left out by {shown(PurePosixPath(whole).name)}")
            return
        listing = _Listing([], {}, [], (*folder.ignoring, *patterns))
        for entry in ordered:
            path = f"{folder.path}/{entry.name}" if folder.path else entry.name
            try:
                self._sort_in(entry, path, listing)
            except FileNotFoundError:
                continue  # deleted since the folder was listed
            except OSError as error:
                self._unreadable(path, error)
        self._describe(folder, listing)

    def _describe(self, folder: _Folder, listing: _Listing) -> None:
        """Find the NFO files of the videos in a folder, and of the folders in it."""
        show = listing.nfos.get(_SHOW_NFO, folder.show)
        movie = self._movie_nfo(folder, listing)
        for path in listing.folders:
            parts_of = movie if _PART_FOLDER.fullmatch(PurePosixPath(path).name) else None
            self._folders.append(_Folder(path, show, parts_of, listing.ignoring))
        names = tuple(video.path for video in listing.videos)
        siblings = names if movie is not None and len(names) > 1 else ()
        for video in listing.videos:
            stem = PurePosixPath(video.path).stem
            own = listing.nfos.get(f"{name_key(stem)}.nfo") or listing.nfos.get(
                f"{name_key(_STACKED.sub('', stem))}.nfo"
            )
            self._take(video, own, movie, show, siblings)

    def _movie_nfo(self, folder: _Folder, listing: _Listing) -> _Nfo | None:
        """Return the NFO of all videos in a folder: movie.nfo, or one called like the folder, or the only one."""
        if not folder.path:
            return None  # at the top it would apply to every film
        for name in (_MOVIE_NFO, f"{name_key(PurePosixPath(folder.path).name)}.nfo"):
            if name in listing.nfos:
                return listing.nfos[name]
        others = [nfo for name, nfo in listing.nfos.items() if name not in _NFOS_OF_OTHERS]
        return others[0] if len(others) == len(listing.videos) == 1 else folder.movie

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
        if is_foreign(entry.name):
            return
        is_folder = entry.is_dir(follow_symlinks=False)
        if (ignored := ignored_by(path, listing.ignoring, is_folder=is_folder)) is not None:
            if is_folder or self._is_video(PurePosixPath(path)):
                self._skip(path, f"it is left out by {shown(ignored)}")
        elif entry.is_symlink():
            self._sort_in_link(path, listing)
        elif is_folder:
            self._sort_in_folder(entry.name, path, listing)
        else:
            self._sort_in_file(entry, path, listing)

    def _sort_in_file(self, entry: os.DirEntry[str], path: str, listing: _Listing) -> None:
        if entry.name.lower().endswith(".nfo"):
            if entry.is_file(follow_symlinks=False) and _is_text(path):
                status = entry.stat(follow_symlinks=False)
                listing.nfos.setdefault(name_key(entry.name), _Nfo(path, f"{status.st_size}:{status.st_mtime_ns}"))
        elif self._is_video(PurePosixPath(path)) and self._is_named(path):
            if entry.is_file(follow_symlinks=False):
                listing.videos.append(_Video(path, entry.stat(follow_symlinks=False), None))
            else:
                self._skip(path, "it is not a regular file")
        elif (reason := _unsupported(PurePosixPath(path))) is not None:
            self._skip(path, reason)

    def _sort_in_folder(self, name: str, path: str, listing: _Listing) -> None:
        if name.lower() in _DISC_FOLDERS:
            self._skip(path, "discs that were copied with their folders are not supported")
        elif _UNPACKING.fullmatch(name):
            self._skip(path, "a download is unpacked there")
        elif self._is_named(path):
            listing.folders.append(path)

    def _sort_in_link(self, path: str, listing: _Listing) -> None:
        try:
            target = (self._root / path).resolve(strict=True)
            status = target.stat()
        except (FileNotFoundError, RuntimeError):  # RuntimeError: links in a circle, up to Python 3.12
            if self._is_video(PurePosixPath(path)):
                self._skip(path, "the link leads nowhere")
            return
        is_inside = target.is_relative_to(self._root)
        if stat.S_ISDIR(status.st_mode):
            if not is_inside:
                self._skip(path, "links to folders outside the library are not followed")
        elif stat.S_ISREG(status.st_mode) and self._is_video(PurePosixPath(path)):
            if not is_inside and not _may_be_linked(target):
                self._skip(path, "the link leads out of the library, to a file that is not called a video")
            elif self._is_named(path):
                where = target.relative_to(self._root).as_posix() if is_inside else str(target)
                listing.videos.append(_Video(path, status, where))

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


def _unsupported(path: PurePosixPath) -> str | None:
    """Return why a file that may hold a film cannot be used; None for other files and for extras, such as samples."""
    reason = _UNSUPPORTED.get(path.suffix.lower())
    return None if reason is None or _FURTHER_VOLUME.fullmatch(path.name) or is_extra(path) else reason


def _is_text(path: str) -> bool:
    return not any("\udc80" <= character <= "\udcff" for character in path)


def contained(root: Path, path: str) -> Path | None:
    """Return the real path of a file of a library; None if it is missing, or outside, by `..` or by a link."""
    found = _resolved(root, path)
    return found.file if found is not None and found.file.is_relative_to(found.root) else None


def contained_video(root: Path, path: str, size: int | None = None) -> Path | None:
    """Return the real path of a video of a library; None if it is not one, or is outside.

    Only a link to a file may lead out of the library, and only to a file with the name of a video and the size
    that a scan found: whoever can put links into a library must not make the server read out its database or its keys.
    """
    found = _resolved(root, path)
    if found is None or found.file.is_relative_to(found.root):
        return None if found is None else found.file
    link = found.root / path
    is_link = link.is_symlink() and link.parent.resolve().is_relative_to(found.root)
    if not is_link or not _may_be_linked(found.file):
        return None
    return found.file if size in (None, found.file.stat().st_size) else None


def _may_be_linked(target: Path) -> bool:
    return target.suffix.lower() in VIDEO_EXTENSIONS


class _Resolved(NamedTuple):
    root: Path
    file: Path


def _resolved(root: Path, path: str) -> _Resolved | None:
    try:
        real_root = root.resolve(strict=True)
        real = (real_root / path).resolve(strict=True)
    except (OSError, RuntimeError, ValueError):
        return None
    return _Resolved(real_root, real) if real.is_file() else None


def subfolders(folder: Path) -> list[str]:
    """Return the names of the subfolders of a folder, sorted, if they are text; hidden ones are left out.

    Raises OSError if it cannot be listed, ValueError for an invalid path.
    """
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if _is_shown(entry)]
    return sorted(names, key=str.casefold)


def _is_shown(entry: "os.DirEntry[str]") -> bool:
    if is_foreign(entry.name) or not _is_text(entry.name):
        return False
    try:
        return entry.is_dir()
    except OSError:
        return False


def nested(path: Path, others: Iterable[Path]) -> Path | None:
    """Return the first of `others` that is `path`, is in it, or contains it. All are resolved."""
    return next((other for other in others if path.is_relative_to(other) or other.is_relative_to(path)), None)


def fingerprint(path: Path) -> str:
    """Return what two files with the same content share: size, and a hash of the first and last 64 KiB.

    Raises OSError.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        digest = blake2b(file.read(_SAMPLE_BYTES), digest_size=16)
        if size > _SAMPLE_BYTES:
            file.seek(max(_SAMPLE_BYTES, size - _SAMPLE_BYTES))
            digest.update(file.read(_SAMPLE_BYTES))
    return f"{size:x}-{digest.hexdigest()}"
