"""The doctor's judgement of an installation from gathered facts: findings, each with its remedy."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from playhead.domain.backups import Backup, BackupPlan, is_overdue
from playhead.domain.model import Instant, moment_of

_MIB = 1024 * 1024

# Below it, the log of a busy hour or the backup of an upgrade no longer fits.
LEAST_FREE_BYTES = 256 * _MIB

# The server keeps the log under 64 MiB; a longer one means that checkpoints fail.
LONGEST_LOG_BYTES = 64 * _MIB

# Playhead did not exist before: a clock that shows an earlier time is wrong.
PLAYHEAD_BEGAN = Instant(1_735_689_600_000)  # 2025-01-01T00:00:00Z

CONNECTIONS_OF_A_PROCESS = 10
"""Eight for transactions and two for live changes: docs/decisions/0018-postgresql.md."""

_CLOCK_TOLERANCE_MS = 60_000


class Level(StrEnum):
    """The severity: `bad` stops Playhead or endangers data, `warning` soon might."""

    OK = "ok"
    WARNING = "warning"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """One examined aspect: its state and, unless it is good, what to do."""

    level: Level
    text: str
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreFacts:
    """Facts about a database on any engine.

    `revision` is that of the schema, None before there is one, `head` this program's; `fault` says why the database
    cannot be read. `newest_at` is the latest time of receipt in it, `library_folders` are the folders of libraries
    that are not removed.
    """

    head: str
    revision: str | None = None
    fault: str | None = None
    newest_at: Instant | None = None
    library_folders: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SqliteFacts(StoreFacts):
    """Facts about an SQLite file, which may be missing, and its file system; sizes in bytes."""

    sqlite_version: str
    is_sqlite_sound: bool
    filesystem: str | None
    is_network: bool
    free_bytes: int
    log_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFacts(StoreFacts):
    """Facts about a PostgreSQL database and its server. What only the server knows is empty if there is a fault.

    `version` is of the form 15.4. `unsafe_settings` are the settings required for durability that are off. `clock` is
    the server's time.
    """

    server: str
    version: str = ""
    is_new_enough: bool = True
    unsafe_settings: tuple[str, ...] = ()
    is_read_only: bool = False
    connections_free: int = 0
    connections_max: int = 0
    clock: Instant | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallationFacts:
    """Facts about the machine at `now`, on any engine.

    `missing_folders` are unreadable library folders, `wide_paths` the paths that others than the owner can access, each
    with its mode.
    """

    folder: str
    is_folder_writable: bool
    now: Instant
    missing_folders: tuple[str, ...] = ()
    wide_paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupFacts:
    """Facts about automatic backups. `fault` says why none can be made."""

    plan: BackupPlan
    folder: str
    last: Backup | None = None
    fault: str | None = None


def examine_file(store: SqliteFacts, installation: InstallationFacts, backups: BackupFacts) -> list[Finding]:
    """Judge an installation on SQLite, in the order in which a person would look."""
    return [
        _library(store),
        _folder(installation),
        *_permissions(installation),
        _filesystem(store),
        _free_space(store),
        _database(store, "Stop Playhead, keep a copy of the file, and restore the newest backup."),
        _log(store),
        _backups(backups, installation.now),
        _clock(store, installation.now),
        *_libraries(installation.missing_folders),
    ]


def examine_server(store: ServerFacts, installation: InstallationFacts) -> list[Finding]:
    """Judge an installation on PostgreSQL; if the server cannot be reached, by the facts known without it."""
    found = [
        _folder(installation),
        *_permissions(installation),
        _database(store, "Check that the server runs, and that the URL, user and password are right."),
    ]
    if store.fault is None:
        found += [
            _server(store),
            _durability(store),
            _role(store),
            _connections(store),
            _clocks(store, installation.now),
        ]
    return [*found, _clock(store, installation.now), *_libraries(installation.missing_folders)]


def worst(findings: Iterable[Finding]) -> Level:
    """Return the worst level of all."""
    levels = {finding.level for finding in findings}
    return next((level for level in (Level.BAD, Level.WARNING) if level in levels), Level.OK)


def _library(facts: SqliteFacts) -> Finding:
    text = f"SQLite {facts.sqlite_version}"
    if facts.is_sqlite_sound:
        return Finding(Level.OK, text)
    return Finding(
        Level.BAD,
        f"{text} can corrupt a database when two processes write at the same instant",
        "Install an apsw with SQLite 3.51.3 or newer.",
    )


def _folder(facts: InstallationFacts) -> Finding:
    if facts.is_folder_writable:
        return Finding(Level.OK, f"Data folder {facts.folder}")
    return Finding(
        Level.BAD,
        f"The data folder {facts.folder} cannot be written",
        "Make the user that runs Playhead its owner, or choose another one with --data.",
    )


def _permissions(facts: InstallationFacts) -> Iterable[Finding]:
    if facts.wide_paths:
        yield Finding(
            Level.WARNING,
            f"Other users of this machine can access {', '.join(facts.wide_paths)}",
            "Restart Playhead, which corrects it, or run chmod 700 for folders and 600 for files as their owner.",
        )


def _filesystem(facts: SqliteFacts) -> Finding:
    if facts.is_network:
        return Finding(
            Level.BAD,
            f"The data folder is on a network file system ({facts.filesystem}), on which SQLite loses data",
            "Move it to a local disk; only the media files may be on the network.",
        )
    return Finding(Level.OK, f"File system {facts.filesystem or 'unknown'}")


def _free_space(facts: SqliteFacts) -> Finding:
    text = f"{facts.free_bytes // _MIB} MiB free"
    if facts.free_bytes >= LEAST_FREE_BYTES:
        return Finding(Level.OK, text)
    return Finding(Level.WARNING, f"Only {text}", "Free some space: saves are refused once the disk is full.")


def _database(facts: StoreFacts, mend: str) -> Finding:
    if facts.fault is not None:
        return Finding(Level.BAD, f"The database cannot be read: {facts.fault}", mend)
    if facts.revision is None:
        return Finding(Level.OK, "No database yet; the first start makes one")
    if facts.revision == facts.head:
        return Finding(Level.OK, f"Database of revision {facts.revision}")
    if facts.revision < facts.head:
        return Finding(
            Level.WARNING,
            f"The database is of revision {facts.revision}, older than this program's {facts.head}",
            "Start Playhead, or run `playhead db upgrade`.",
        )
    return Finding(
        Level.BAD,
        f"The database is of revision {facts.revision}, newer than this program's {facts.head}",
        "Install the newer Playhead, or restore the backup that the upgrade left next to the database.",
    )


def _log(facts: SqliteFacts) -> Finding:
    text = f"Write-ahead log of {facts.log_bytes // _MIB} MiB"
    if facts.log_bytes <= LONGEST_LOG_BYTES:
        return Finding(Level.OK, text)
    return Finding(
        Level.WARNING,
        text,
        "Another program reads the database for too long. Stop it; the log then shrinks on its own.",
    )


def _backups(facts: BackupFacts, now: Instant) -> Finding:
    plan, last = facts.plan, facts.last
    if not plan.hours:
        return Finding(Level.OK, "The server makes no backups: backup_hours is 0")
    if facts.fault is not None:
        return Finding(
            Level.WARNING,
            f"No backup can be made: {facts.fault}",
            "Fix it, or choose another folder with backup_folder. The server retries on its own.",
        )
    if last is None:
        return Finding(
            Level.OK, f"No backup yet; the server makes the first one a minute after its start, {facts.folder}"
        )
    text = f"The last backup was made at {moment_of(last.made_at):%Y-%m-%d %H:%M} UTC, in {facts.folder}"
    if not is_overdue(plan, last, now):
        return Finding(Level.OK, text)
    return Finding(
        Level.WARNING,
        f"{text}, and one is due every {plan.hours} h",
        "The server has to run for it. Look for 'backup' in its log.",
    )


def _clock(facts: StoreFacts, now: Instant) -> Finding:
    text = f"The clock shows {moment_of(now):%Y-%m-%d %H:%M:%S} UTC"
    remedy = "Set the clock, and keep it set by NTP: times decide which report is the later one."
    if now < PLAYHEAD_BEGAN:
        return Finding(Level.BAD, text, remedy)
    if facts.newest_at is not None and facts.newest_at > now + _CLOCK_TOLERANCE_MS:
        return Finding(
            Level.WARNING, f"{text}, but the database has seen {moment_of(facts.newest_at):%Y-%m-%d}", remedy
        )
    return Finding(Level.OK, text)


def _server(facts: ServerFacts) -> Finding:
    text = f"PostgreSQL {facts.version}, {facts.server}"
    if facts.is_new_enough:
        return Finding(Level.OK, text)
    return Finding(Level.BAD, f"{text}, is too old for Playhead", "Upgrade the server.")


def _durability(facts: ServerFacts) -> Finding:
    if not facts.unsafe_settings:
        return Finding(Level.OK, "The server syncs what it commits")
    names = " and ".join(facts.unsafe_settings)
    return Finding(
        Level.BAD,
        f"A power loss can lose or damage everything: {names} off at the server",
        "Set this on in postgresql.conf, and restart the server.",
    )


def _role(facts: ServerFacts) -> Finding:
    if not facts.is_read_only:
        return Finding(Level.OK, "The server takes writes")
    return Finding(
        Level.BAD, "The server takes no writes: it is a standby, or read-only", "Name the primary server in --database."
    )


def _connections(facts: ServerFacts) -> Finding:
    text = f"{facts.connections_free} of the server's {facts.connections_max} connections are free"
    if facts.connections_free >= CONNECTIONS_OF_A_PROCESS:
        return Finding(Level.OK, text)
    return Finding(
        Level.WARNING,
        f"Only {text}, and one more process needs {CONNECTIONS_OF_A_PROCESS}",
        "Raise max_connections at the server, or run fewer workers.",
    )


def _clocks(facts: ServerFacts, now: Instant) -> Finding:
    if facts.clock is None or abs(facts.clock - now) <= _CLOCK_TOLERANCE_MS:
        return Finding(Level.OK, "The server's clock shows the same time")
    return Finding(
        Level.WARNING,
        f"The server's clock shows {moment_of(facts.clock):%Y-%m-%d %H:%M:%S} UTC, and this one another time",
        "Set both, and keep them set by NTP: all that serve must agree on which report is the later one.",
    )


def _libraries(missing: Iterable[str]) -> list[Finding]:
    return [
        Finding(
            Level.WARNING,
            f"The library's folder {folder} cannot be read",
            "Mount it or fix its permissions. Progress is kept meanwhile.",
        )
        for folder in missing
    ]
