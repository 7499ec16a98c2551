"""Examines an installation from outside, running or not, and says what endangers it: `playhead doctor`."""

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from playhead.bootstrap import backup_folder, now, own_paths
from playhead.config import Settings
from playhead.domain.backups import Backup, BackupPlan, newest
from playhead.domain.health import FileFacts, Finding, ServerFacts, examine_file, examine_server
from playhead.domain.model import Instant
from playhead.storage.engine.database import StorageRefused
from playhead.storage.upkeep.inspection import inspect_file, inspect_server
from playhead.storage.upkeep.permissions import find_wide


def examine_installation(settings: Settings, clock: Callable[[], Instant] = now) -> list[Finding]:
    """Look at an installation from outside, whether or not it could be opened, and judge what was found."""
    url = settings.database_url
    return _examine_file(settings, clock) if url is None else _examine_server(settings, url, clock)


def _examine_file(settings: Settings, clock: Callable[[], Instant]) -> list[Finding]:
    path = settings.database_path
    store = inspect_file(path)
    folder = _nearest(path.parent)
    last_backup, backup_fault = _backups(settings, clock)
    return examine_file(
        FileFacts(
            sqlite_version=store.sqlite_version,
            is_sqlite_sound=store.is_sqlite_sound,
            filesystem=store.filesystem,
            is_network=store.is_network,
            folder=str(path.parent),
            is_folder_writable=_is_writable(folder),
            free_bytes=shutil.disk_usage(folder).free,
            log_bytes=store.log_size,
            revision=store.revision,
            head=store.head,
            fault=store.fault,
            newest_at=store.newest_at,
            now=clock(),
            missing_folders=_missing(store.library_folders),
            wide_paths=_wide(settings),
            backup_plan=BackupPlan(settings.backup_hours, settings.backup_keep),
            backup_folder=str(settings.backup_path),
            last_backup=last_backup,
            backup_fault=backup_fault,
        )
    )


def _backups(settings: Settings, clock: Callable[[], Instant]) -> tuple[Backup | None, str | None]:
    folder = backup_folder(settings)
    try:
        folder.require_usable()
        return newest(folder.find(), clock()), None
    except StorageRefused as error:
        return None, str(error)


def _examine_server(settings: Settings, url: str, clock: Callable[[], Instant]) -> list[Finding]:
    store = inspect_server(url)
    return examine_server(
        ServerFacts(
            server=store.server,
            server_version=store.version,
            is_server_new_enough=store.is_new_enough,
            unsafe_settings=store.unsafe_settings,
            is_read_only=store.is_read_only,
            connections_free=store.connections_free,
            connections_max=store.connections_max,
            clock=store.clock,
            folder=str(settings.data),
            is_folder_writable=_is_writable(_nearest(settings.data)),
            revision=store.revision,
            head=store.head,
            fault=store.fault,
            newest_at=store.newest_at,
            now=clock(),
            missing_folders=_missing(store.library_folders),
            wide_paths=_wide(settings),
        )
    )


def _wide(settings: Settings) -> tuple[str, ...]:
    return tuple(str(wide) for wide in find_wide(own_paths(settings)))


def _nearest(folder: Path) -> Path:
    """Return a folder that is there: this one, or the nearest above it."""
    return next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())


def _is_writable(folder: Path) -> bool:
    return os.access(folder, os.W_OK | os.X_OK)


def _missing(folders: Sequence[str]) -> tuple[str, ...]:
    return tuple(folder for folder in folders if not os.access(folder, os.R_OK | os.X_OK))
