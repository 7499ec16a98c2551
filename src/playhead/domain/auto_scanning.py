"""When a library is scanned without anybody asking: after changes, when copies have settled, and by time. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from playhead.domain.model import Instant
from playhead.domain.scanning import FoundFile

QUIET_MS: Final = 30_000
"""How long nothing must have changed before a scan: by then a file that was copied has settled, too."""

LONGEST_WAIT_MS: Final = 5 * 60_000
"""A folder that never rests is scanned nevertheless: a long copy must not hide what was finished beside it."""

SETTLED_MS: Final = 30_000
"""How long size and time of a file must have been the same for its copy to count as complete."""

FAILED_RETRY_MS: Final = 15 * 60_000
"""The delay before a failed scan is retried, such as after a database outage. A returning folder is noticed sooner."""

_LONG_AGO: Final = Instant(0)

# After a scan the library rests for ten times its duration: automatic scans take a tenth of the time at most.
_REST_FACTOR: Final = 10
_REST_MAX_MS: Final = 15 * 60_000


@dataclass(frozen=True, slots=True)
class ScanSchedule:
    """What one process knows of a library's need to be scanned. Each method returns the next state.

    `begun_at` is when this process last began a scan, `return_at` when it has to come back for files that this scan
    left out, the `returns`th time in a row, or because it failed.
    """

    first_change_at: Instant | None = None
    last_change_at: Instant | None = None
    begun_at: Instant | None = None
    return_at: Instant | None = None
    returns: int = 0
    rests_until: Instant = _LONG_AGO

    def changed(self, at: Instant) -> "ScanSchedule":
        """Note a change in the folder. A file that grows does not settle meanwhile: the quiet is what is waited for."""
        first = at if self.first_change_at is None else self.first_change_at
        return replace(self, first_change_at=first, last_change_at=at, return_at=None)

    def begun(self, now: Instant) -> "ScanSchedule":
        """Note that a scan begins, which sees every change so far."""
        return ScanSchedule(begun_at=now, returns=self.returns, rests_until=self.rests_until)

    def ended(self, now: Instant, settles_at: Instant | None) -> "ScanSchedule":
        """Note that this process's scan ended. `settles_at` is None if it left out no unsettled file.

        The pauses double up to `LONGEST_WAIT_MS`: a file that grows without events must not cause a scan every time.
        """
        began = now if self.begun_at is None else min(now, self.begun_at)
        rests_until = Instant(now + min(_REST_FACTOR * (now - began), _REST_MAX_MS))
        if settles_at is None:
            return replace(self, return_at=None, returns=0, rests_until=rests_until)
        pause_ms = min(SETTLED_MS << min(self.returns, 8), LONGEST_WAIT_MS)
        later = settles_at if self.returns == 0 else Instant(max(settles_at, now + pause_ms))
        return replace(self, return_at=later, returns=self.returns + 1, rests_until=rests_until)

    def failed(self, now: Instant) -> "ScanSchedule":
        """Note that this process's scan failed."""
        return replace(self, return_at=Instant(now + FAILED_RETRY_MS))

    def scanned_elsewhere(self, begun_at: Instant) -> "ScanSchedule":
        """Forget changes that a scan by any process has seen."""
        if self.last_change_at is None or begun_at <= self.last_change_at:
            return self
        return replace(self, first_change_at=None, last_change_at=None)

    def next_at(self, now: Instant, scanned_at: Instant, rescan_ms: int) -> Instant | None:
        """Return when the next scan is due; None if only a change will cause one.

        `scanned_at` is when the library was last scanned by any process. `rescan_ms` is 0 if time causes no scan. A
        clock that was set back does not put off anything by more than its usual wait.
        """
        due = [] if self.return_at is None else [min(self.return_at, now + FAILED_RETRY_MS)]
        if self.first_change_at is not None and self.last_change_at is not None:
            quiet_at = min(self.last_change_at + QUIET_MS, self.first_change_at + LONGEST_WAIT_MS)
            due.append(min(quiet_at, now + QUIET_MS))
        if rescan_ms:
            due.append(min(now, max(scanned_at, self.begun_at or scanned_at)) + rescan_ms)
        if not due:
            return None
        return Instant(max(min(due), min(self.rests_until, now + _REST_MAX_MS)))


class Settling:
    """Which files of one library have been the same for long enough to be complete.

    `begin` a scan, then ask for each new or changed file; `settles_at` says when to look again.
    """

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, int]] = {}
        self._since: dict[str, Instant] = {}
        self._left_out: set[str] = set()

    def touch(self, paths: Iterable[str], now: Instant) -> None:
        """Note that these files, by their paths in the library, have just changed."""
        self._since.update(dict.fromkeys(paths, now))

    def begin(self, now: Instant) -> None:
        """Begin a scan: forget what settled long ago."""
        self._left_out.clear()
        # A clock that was set back must not keep a file out until it has caught up.
        self._since = {path: min(since, now) for path, since in self._since.items() if now - since < _REST_MAX_MS}
        self._seen = {path: seen for path, seen in self._seen.items() if path in self._since}

    def is_settled(self, file: FoundFile, now: Instant) -> bool:
        """Return whether size and time of a file have been the same for `SETTLED_MS`, as far as is known.

        The file's own time is believed, unless it is in the future or did not change with the size.
        """
        stamp = (file.size, file.mtime_ns)
        own_time = Instant(min(file.mtime_ns // 1_000_000, now))
        before = self._seen.get(file.path)
        if before is not None and before != stamp:
            # Some programs copy the time first and then the content.
            self._since[file.path] = own_time if file.mtime_ns != before[1] else now
        elif file.path not in self._since:
            self._since[file.path] = own_time
        self._seen[file.path] = stamp
        if now - self._since[file.path] >= SETTLED_MS:
            return True
        self._left_out.add(file.path)
        return False

    @property
    def settles_at(self) -> Instant | None:
        """When all files that this scan left out may have settled; None if there are none."""
        return max((Instant(self._since[path] + SETTLED_MS) for path in self._left_out), default=None)
