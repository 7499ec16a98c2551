"""Examines an installation from outside, running or not, and reports problems: `playhead doctor`."""

import os
from collections.abc import Callable
from pathlib import Path

from playhead.bootstrap import backup_folder, now, own_paths
from playhead.config import Settings
from playhead.domain.backups import BackupPlan, newest
from playhead.domain.health import BackupFacts, Finding, InstallationFacts, StoreFacts, examine_file, examine_server
from playhead.domain.model import Instant
from playhead.storage.engine.database import StorageRefused
from playhead.storage.upkeep.inspection import inspect_file, inspect_server
from playhead.storage.upkeep.permissions import find_wide


def examine_installation(settings: Settings, clock: Callable[[], Instant] = now) -> list[Finding]:
    """Examine an installation from outside, whether or not it could be opened, and judge the facts."""
    url = settings.database_url
    if url is None:
        store = inspect_file(settings.database_path)
        installation = _look_at(settings, settings.database_path.parent, store, clock())
        return examine_file(store, installation, _look_at_backups(settings, installation.now))
    store = inspect_server(url)
    return examine_server(store, _look_at(settings, settings.data, store, clock()))


def _look_at(settings: Settings, folder: Path, store: StoreFacts, at: Instant) -> InstallationFacts:
    return InstallationFacts(
        folder=str(folder),
        is_folder_writable=os.access(_nearest(folder), os.W_OK | os.X_OK),
        now=at,
        missing_folders=tuple(each for each in store.library_folders if not os.access(each, os.R_OK | os.X_OK)),
        wide_paths=tuple(str(wide) for wide in find_wide(own_paths(settings))),
    )


def _look_at_backups(settings: Settings, at: Instant) -> BackupFacts:
    plan, folder = BackupPlan(settings.backup_hours, settings.backup_keep), backup_folder(settings)
    try:
        folder.require_usable()
        return BackupFacts(plan=plan, folder=str(settings.backup_path), last=newest(folder.find(), at))
    except StorageRefused as error:
        return BackupFacts(plan=plan, folder=str(settings.backup_path), fault=str(error))


def _nearest(folder: Path) -> Path:
    """Return an existing folder: this one, or its nearest existing parent."""
    return next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
