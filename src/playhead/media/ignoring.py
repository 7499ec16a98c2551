"""Files that tell a scan what to leave out: `.ignore`, `.plexignore`, `.nomedia` and the like.

Reads those files, which are small, and compares names.
"""

import os
import re
import stat
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import translate
from pathlib import Path
from typing import Final

# Jellyfin and Emby, Plex, Kodi and Android, tinyMediaManager. The first two hold patterns, or nothing: then they mean
# the whole folder, as the others always do. (An empty .plexignore leaves nothing out.)
_OF_PATTERNS: Final = (".ignore", ".embyignore", ".plexignore")
_OF_FOLDERS: Final = (".nomedia", ".tmmignore", "tmm.ignore")
_PLEX: Final = ".plexignore"

_BYTES_MAX: Final = 64 * 1024
_PATTERNS_MAX: Final = 500
_PATTERN_MAX: Final = 300  # characters


@dataclass(frozen=True, slots=True)
class IgnoreFile:
    """One such file: `path` relative to the library, `folder` the one that contains it, and its patterns in order."""

    path: str
    folder: str
    patterns: "tuple[_Pattern, ...]"

    def decision(self, path: str, *, is_folder: bool) -> bool | None:
        """Return whether this file leaves out (True) or keeps (False) a path of the library; None: it does not say."""
        inner = path[len(self.folder) + 1 :] if self.folder else path
        parts = _comparable(inner).split("/")
        said = None
        for pattern in self.patterns:
            if pattern.matches(parts, is_folder=is_folder):
                said = not pattern.keeps
        return said


def is_ignore_file(name: str) -> bool:
    """Return whether a file of this name tells a scan what to leave out."""
    return name.lower() in (*_OF_PATTERNS, *_OF_FOLDERS)


def find_ignoring(root: Path, folder: str, names: Sequence[str]) -> tuple[str | None, list[IgnoreFile]]:
    """Return the path of the file that leaves out a whole folder, or None, and the files that hold patterns for it.

    `names` are those of everything in the folder. An unreadable file means the whole folder.
    """
    lower = {name.lower(): name for name in names}
    for name in _OF_FOLDERS:
        if name in lower:
            return _joined(folder, lower[name]), []
    found: list[IgnoreFile] = []
    for name in _OF_PATTERNS:
        if name not in lower:
            continue
        path = _joined(folder, lower[name])
        lines = _lines(root / path)
        read = (_pattern(line, any_depth=name == _PLEX) for line in lines or [])
        patterns = tuple(pattern for pattern in read if pattern is not None)
        if lines is None or (not patterns and name != _PLEX):
            return path, []
        found.append(IgnoreFile(path, folder, patterns))
    return None, found


def ignored_by(path: str, files: Sequence[IgnoreFile], *, is_folder: bool) -> str | None:
    """Return the path of the file that leaves this path out, or None. The last file that says anything decides."""
    for file in reversed(files):
        said = file.decision(path, is_folder=is_folder)
        if said is not None:
            return file.path if said else None
    return None


@dataclass(frozen=True, slots=True)
class _Pattern:
    """A line as in .gitignore. `segments`: regular expressions of names, None for `**`, any number of folders."""

    segments: tuple[re.Pattern[str] | None, ...]
    keeps: bool
    folders_only: bool

    def matches(self, parts: Sequence[str], *, is_folder: bool) -> bool:
        if self.folders_only and not is_folder:
            return False
        # reached[n]: the first n parts are matched by the segments so far.
        reached = [True] + [False] * len(parts)
        for segment in self.segments:
            following = [False] * (len(parts) + 1)
            if segment is None:
                first = reached.index(True) if True in reached else len(reached)
                following[first:] = [True] * (len(reached) - first)
            else:
                for at, part in enumerate(parts):
                    following[at + 1] = reached[at] and segment.fullmatch(part) is not None
            reached = following
        return reached[-1]


def _pattern(line: str, *, any_depth: bool) -> _Pattern | None:
    """Read a line. `any_depth`: a `*` in front stands for any number of folders, as Plex has it."""
    text = _comparable(line.strip().replace("\\", "/"))
    if not text or text.startswith("#") or len(text) > _PATTERN_MAX:
        return None
    keeps, text = text.startswith("!"), text.removeprefix("!")
    folders_only, text = text.endswith("/"), text.rstrip("/")
    anchored = "/" in text
    names = [name for name in text.split("/") if name not in ("", ".")]
    if not names:
        return None
    if any_depth and anchored and names[0] == "*" and len(names) > 1:
        names[0] = "**"
    segments = [None if name == "**" else re.compile(translate(name)) for name in names]
    return _Pattern(tuple(segments if anchored else [None, *segments]), keeps, folders_only)


def _comparable(text: str) -> str:
    """Without case, and with composed accents: people write patterns by what they see."""
    return unicodedata.normalize("NFC", text).casefold()


def _lines(path: Path) -> list[str] | None:
    try:
        # A pipe must not block. The target of a link is compared with names, and shown to nobody.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return None
            content = file.read(_BYTES_MAX)
    except OSError:
        return None
    if len(content) == _BYTES_MAX:
        content = content[: content.rfind(b"\n") + 1]  # half a pattern would leave out too much
    return content.decode("utf-8-sig", "replace").splitlines()[:_PATTERNS_MAX]


def _joined(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name
