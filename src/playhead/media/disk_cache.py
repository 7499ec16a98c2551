"""A disk cache of bounded size for files that can be regenerated; the least recently used are evicted first.

Several processes may share the folder. Deleting any or all of its files is harmless.
"""

import contextlib
import os
import threading
import time
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

# How far an eviction empties the cache, so that not every new file has to list the folder.
_KEPT_WHEN_FULL = 0.9

# How often a use is recorded, because recording is a write.
_NOTED_EVERY_S = 3600.0


class _Entry(NamedTuple):
    used_at: float
    size: int
    path: Path


class DiskCache:
    """Caches contents by key (hexadecimal digits). Blocks; thread-safe."""

    def __init__(self, folder: Path, bytes_max: int) -> None:
        self._folder = folder
        self._bytes_max = bytes_max
        self._bytes: int | None = None  # unknown until the folder is listed
        self._lock = threading.Lock()

    def get(self, key: str) -> bytes | None:
        """Return the content of a key, or None."""
        path = self._path(key)
        try:
            content = path.read_bytes()
            if time.time() - path.stat().st_mtime > _NOTED_EVERY_S:
                os.utime(path)
        except OSError:
            return None
        return content or None  # an empty file may be the leftover of a power failure

    def put(self, key: str, content: bytes) -> None:
        """Store a content atomically, and evict others if the cache is full. Raises OSError."""
        path = self._path(key)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.parent.mkdir(exist_ok=True)
        unfinished = path.with_name(f"{uuid4().hex}.part")
        try:
            unfinished.write_bytes(content)
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
        with self._lock:
            if self._bytes is not None:
                self._bytes += len(content)
            if self._bytes is None or self._bytes > self._bytes_max:
                self._bytes = self._make_room()

    def _path(self, key: str) -> Path:
        return self._folder / key[:2] / key

    def _make_room(self) -> int:
        """Evict, and return the remaining bytes."""
        entries = self._entries()
        total = sum(entry.size for entry in entries)
        if total <= self._bytes_max:
            return total
        for entry in sorted(entries):
            if total <= self._bytes_max * _KEPT_WHEN_FULL:
                break
            with contextlib.suppress(OSError):  # another process is faster
                entry.path.unlink()
            total -= entry.size
        return total

    def _entries(self) -> list[_Entry]:
        entries: list[_Entry] = []
        for folder, _, names in os.walk(self._folder):
            for name in names:
                path = Path(folder, name)
                with contextlib.suppress(OSError):
                    status = path.stat()
                    entries.append(_Entry(status.st_mtime, status.st_size, path))
        return entries
