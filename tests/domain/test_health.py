"""What an examination finds wrong, and what it recommends."""

from dataclasses import replace

import pytest

from playhead.domain.backups import Backup, BackupPlan
from playhead.domain.health import (
    BackupFacts,
    Finding,
    InstallationFacts,
    Level,
    ServerFacts,
    SqliteFacts,
    examine_file,
    examine_server,
    worst,
)
from playhead.domain.model import Instant

NOW = Instant(1_762_639_200_000)
MIB = 1024 * 1024
HOUR_MS = 3_600_000
WELL = SqliteFacts(
    head="0002",
    revision="0002",
    newest_at=NOW,
    sqlite_version="3.54.1",
    is_sqlite_sound=True,
    filesystem="ext4",
    is_network=False,
    free_bytes=1024 * MIB,
    log_bytes=MIB,
)
SERVED = ServerFacts(
    head="0002",
    revision="0002",
    newest_at=NOW,
    server="postgresql://playhead@db/playhead",
    version="15.18",
    connections_free=90,
    connections_max=100,
    clock=NOW,
)
INSTALLATION = InstallationFacts(folder="/var/lib/playhead", is_folder_writable=True, now=NOW)
BACKUPS = BackupFacts(
    plan=BackupPlan(hours=24, keep=7),
    folder="/var/lib/playhead/backups",
    last=Backup("playhead-20251108T200000Z.db", Instant(NOW - 2 * HOUR_MS), MIB),
)


def examined(
    store: SqliteFacts | ServerFacts = WELL,
    installation: InstallationFacts = INSTALLATION,
    backups: BackupFacts = BACKUPS,
) -> list[Finding]:
    if isinstance(store, SqliteFacts):
        return examine_file(store, installation, backups)
    return examine_server(store, installation)


def test_a_sound_installation_has_no_findings_to_fix():
    assert worst(examined()) is Level.OK
    assert not any(finding.remedy for finding in examined())


def test_disabled_backups_are_mentioned_and_are_not_a_fault():
    findings = examined(
        backups=replace(BACKUPS, plan=BackupPlan(hours=0, keep=7), last=None, fault="there is not a folder")
    )
    assert worst(findings) is Level.OK
    assert any("backup_hours is 0" in finding.text for finding in findings)


def test_before_the_first_backup_nothing_is_wrong():
    assert worst(examined(backups=replace(BACKUPS, last=None))) is Level.OK


def test_before_the_first_start_nothing_is_wrong():
    assert worst(examined(replace(WELL, revision=None, newest_at=None))) is Level.OK


@pytest.mark.parametrize(
    ("findings", "level", "words"),
    [
        (examined(replace(WELL, is_sqlite_sound=False, sqlite_version="3.45.1")), Level.BAD, "3.45.1 can corrupt"),
        (examined(installation=replace(INSTALLATION, is_folder_writable=False)), Level.BAD, "cannot be written"),
        (examined(replace(WELL, is_network=True, filesystem="nfs4")), Level.BAD, "network file system (nfs4)"),
        (examined(replace(WELL, free_bytes=100 * MIB)), Level.WARNING, "Only 100 MiB free"),
        (examined(replace(WELL, fault="file is not a database")), Level.BAD, "file is not a database"),
        (
            examined(backups=replace(BACKUPS, last=Backup("old", Instant(NOW - 50 * HOUR_MS), MIB))),
            Level.WARNING,
            "The last backup was made at 2025-11-06 20:00 UTC",
        ),
        (examined(backups=replace(BACKUPS, fault="its disk is full")), Level.WARNING, "made: its disk is full"),
        (examined(replace(WELL, revision="0001")), Level.WARNING, "older than this program's 0002"),
        (examined(replace(WELL, revision="0003")), Level.BAD, "newer than this program's 0002"),
        (examined(replace(WELL, log_bytes=100 * MIB)), Level.WARNING, "log of 100 MiB"),
        (
            examined(replace(WELL, newest_at=None), replace(INSTALLATION, now=Instant(0))),
            Level.BAD,
            "1970-01-01",
        ),
        (examined(replace(WELL, newest_at=Instant(NOW + 86_400_000))), Level.WARNING, "has seen 2025-11-09"),
        (
            examined(installation=replace(INSTALLATION, missing_folders=("/srv/films",))),
            Level.WARNING,
            "/srv/films cannot be read",
        ),
    ],
)
def test_each_fault_is_reported_with_its_remedy(findings: list[Finding], level: Level, words: str):
    (finding,) = (finding for finding in findings if finding.level is not Level.OK)
    assert finding.level is level
    assert words in finding.text
    assert finding.remedy
    assert worst(findings) is level


# On PostgreSQL


def test_a_sound_server_has_no_findings_to_fix():
    findings = examined(SERVED)
    assert worst(findings) is Level.OK
    assert not any(finding.remedy for finding in findings)
    assert any("PostgreSQL 15.18, postgresql://playhead@db/playhead" in finding.text for finding in findings)


def test_an_unreachable_server_is_not_judged_by_facts_that_only_it_knows():
    findings = examined(replace(SERVED, fault="connection refused", version="", connections_free=0))
    assert [finding.level for finding in findings].count(Level.OK) == len(findings) - 1
    assert not any("connections" in finding.text for finding in findings)


@pytest.mark.parametrize(
    ("findings", "level", "words"),
    [
        (
            examined(SERVED, replace(INSTALLATION, is_folder_writable=False)),
            Level.BAD,
            "cannot be written",
        ),
        (examined(replace(SERVED, fault="connection refused")), Level.BAD, "connection refused"),
        (examined(replace(SERVED, revision="0001")), Level.WARNING, "older than this program's 0002"),
        (examined(replace(SERVED, revision="0003")), Level.BAD, "newer than this program's 0002"),
        (examined(replace(SERVED, is_new_enough=False, version="12.1")), Level.BAD, "PostgreSQL 12.1"),
        (examined(replace(SERVED, unsafe_settings=("fsync",))), Level.BAD, "fsync off"),
        (
            examined(replace(SERVED, unsafe_settings=("fsync", "full_page_writes"))),
            Level.BAD,
            "fsync and full_page_writes off",
        ),
        (examined(replace(SERVED, is_read_only=True)), Level.BAD, "takes no writes"),
        (examined(replace(SERVED, connections_free=9)), Level.WARNING, "Only 9 of the server's 100 connections"),
        (examined(replace(SERVED, clock=Instant(NOW + 61_000))), Level.WARNING, "2025-11-08 22:01:01 UTC"),
        (examined(replace(SERVED, clock=Instant(NOW - 61_000))), Level.WARNING, "2025-11-08 21:58:59 UTC"),
        (
            examined(replace(SERVED, clock=None, newest_at=None), replace(INSTALLATION, now=Instant(0))),
            Level.BAD,
            "1970-01-01",
        ),
        (examined(replace(SERVED, newest_at=Instant(NOW + 86_400_000))), Level.WARNING, "has seen 2025-11-09"),
        (
            examined(SERVED, replace(INSTALLATION, missing_folders=("/srv/films",))),
            Level.WARNING,
            "/srv/films cannot be read",
        ),
    ],
)
def test_each_fault_of_a_server_is_reported_with_its_remedy(findings: list[Finding], level: Level, words: str):
    (finding,) = (finding for finding in findings if finding.level is not Level.OK)
    assert finding.level is level
    assert words in finding.text
    assert finding.remedy


@pytest.mark.parametrize("store", [WELL, SERVED])
def test_files_that_other_users_can_read_are_reported_with_their_modes(store: SqliteFacts | ServerFacts):
    wide = replace(INSTALLATION, wide_paths=("/srv/playhead (0755)", "/srv/playhead/playhead.db (0644)"))
    [finding] = [each for each in examined(store, wide) if each.level is not Level.OK]
    assert finding.level is Level.WARNING
    assert (
        finding.text == "Other users of this machine can access /srv/playhead (0755), /srv/playhead/playhead.db (0644)"
    )
