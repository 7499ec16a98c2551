"""When a backup is due, which ones are kept, and when a failed one is retried. Times are UTC, sizes in bytes."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from playhead.domain.model import Instant, moment_of

_HOUR_MS: Final = 3_600_000
_FIRST_RETRY_MS: Final = 60_000
_LONGEST_RETRY_MS: Final = _HOUR_MS

# The space that a backup leaves free on the disk of the database, so that saves continue.
MARGIN_BYTES: Final = 256 * 1024 * 1024

_NAME: Final = re.compile(r"playhead-(\d{8}T\d{6}Z)\.db")
_TIME: Final = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup in the folder of backups. It gets its name only after passing every check."""

    name: str
    made_at: Instant
    size: int


@dataclass(frozen=True, slots=True)
class BackupPlan:
    """How often a backup is made, and how many are kept."""

    hours: int
    keep: int


def backup_name(made_at: Instant) -> str:
    """Return the file name of a backup of this time."""
    return f"playhead-{moment_of(made_at):{_TIME}}.db"


def backup_made_at(name: str) -> Instant | None:
    """Return the time in the name of a backup; None for any other file name."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    try:
        moment = datetime.strptime(found[1], _TIME).replace(tzinfo=UTC)
    except ValueError:  # the 31st of February
        return None
    return Instant(int(moment.timestamp()) * 1000)


def newest(backups: Iterable[Backup], now: Instant) -> Backup | None:
    """Return the newest backup that is not dated in the future, as by a wrong clock."""
    return max((each for each in backups if each.made_at <= now), key=lambda each: each.made_at, default=None)


def due_at(plan: BackupPlan, backups: Iterable[Backup], now: Instant) -> Instant:
    """Return when the next backup is due; `now` if there is none yet."""
    last = newest(backups, now)
    return now if last is None else Instant(last.made_at + plan.hours * _HOUR_MS)


def retry_at(plan: BackupPlan, failed_at: Instant, failures: int) -> Instant:
    """Return when to retry after this many consecutive failures: exponential backoff from a minute to an hour."""
    longest = min(_LONGEST_RETRY_MS, plan.hours * _HOUR_MS)
    return Instant(failed_at + min(longest, _FIRST_RETRY_MS << min(failures - 1, 16)))


def superfluous(plan: BackupPlan, backups: Iterable[Backup], now: Instant) -> list[Backup]:
    """Return what may be removed: all but the newest `keep`, of which there is at least one."""
    past = sorted((each for each in backups if each.made_at <= now), key=lambda each: each.made_at)
    return past[: -max(1, plan.keep)]


def is_overdue(plan: BackupPlan, last: Backup, now: Instant) -> bool:
    """Return whether a backup is more than an hour late."""
    return now > last.made_at + (2 * plan.hours + 1) * _HOUR_MS


def required_bytes(database_bytes: int, *, on_same_disk: bool) -> int:
    """Return the space that a copy requires; on the database's own disk saves keep a margin."""
    return database_bytes + (MARGIN_BYTES if on_same_disk else 0)
