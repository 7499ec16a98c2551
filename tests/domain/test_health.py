"""What an examination finds wrong, and what it recommends."""

from dataclasses import replace

import pytest

from playhead.domain.backups import Backup, BackupPlan
from playhead.domain.health import (
    FileFacts,
    Level,
    ServerFacts,
    examine_file,
    examine_server,
    worst,
)
from playhead.domain.model import Instant

NOW = Instant(1_762_639_200_000)
MIB = 1024 * 1024
HOUR_MS = 3_600_000
WELL = FileFacts(
    sqlite_version="3.54.1",
    is_sqlite_sound=True,
    filesystem="ext4",
    is_network=False,
    folder="/var/lib/playhead",
    is_folder_writable=True,
    free_bytes=1024 * MIB,
    log_bytes=MIB,
    revision="0002",
    head="0002",
    fault=None,
    newest_at=NOW,
    now=NOW,
    backup_plan=BackupPlan(hours=24, keep=7),
    backup_folder="/var/lib/playhead/backups",
    last_backup=Backup("playhead-20251108T200000Z.db", Instant(NOW - 2 * HOUR_MS), MIB),
)

SERVED = ServerFacts(
    folder="/var/lib/playhead",
    is_folder_writable=True,
    revision="0002",
    head="0002",
    fault=None,
    newest_at=NOW,
    now=NOW,
    server="postgresql://playhead@db/playhead",
    server_version="15.18",
    connections_free=90,
    connections_max=100,
    clock=NOW,
)


def test_a_sound_installation_has_no_findings_to_fix():
    findings = examine_file(WELL)
    assert worst(findings) is Level.OK
    assert not any(finding.remedy for finding in findings)


def test_disabled_backups_are_mentioned_and_are_not_a_fault():
    off = replace(WELL, backup_plan=BackupPlan(hours=0, keep=7), last_backup=None, backup_fault="there is no folder")
    assert worst(examine_file(off)) is Level.OK
    assert any("backup_hours is 0" in finding.text for finding in examine_file(off))


def test_before_the_first_backup_nothing_is_wrong():
    assert worst(examine_file(replace(WELL, last_backup=None))) is Level.OK


def test_before_the_first_start_nothing_is_wrong():
    assert worst(examine_file(replace(WELL, revision=None, newest_at=None))) is Level.OK


@pytest.mark.parametrize(
    ("facts", "level", "words"),
    [
        (replace(WELL, is_sqlite_sound=False, sqlite_version="3.45.1"), Level.BAD, "SQLite 3.45.1 can corrupt"),
        (replace(WELL, is_folder_writable=False), Level.BAD, "cannot be written"),
        (replace(WELL, is_network=True, filesystem="nfs4"), Level.BAD, "network file system (nfs4)"),
        (replace(WELL, free_bytes=100 * MIB), Level.WARNING, "Only 100 MiB free"),
        (replace(WELL, fault="file is not a database"), Level.BAD, "file is not a database"),
        (
            replace(WELL, last_backup=Backup("old", Instant(NOW - 50 * HOUR_MS), MIB)),
            Level.WARNING,
            "The last backup is of 2025-11-06 20:00 UTC",
        ),
        (replace(WELL, backup_fault="its disk is full"), Level.WARNING, "No backup can be made: its disk is full"),
        (replace(WELL, revision="0001"), Level.WARNING, "older than this program's 0002"),
        (replace(WELL, revision="0003"), Level.BAD, "newer than this program's 0002"),
        (replace(WELL, log_bytes=100 * MIB), Level.WARNING, "log of 100 MiB"),
        (replace(WELL, now=Instant(0), newest_at=None), Level.BAD, "1970-01-01"),
        (replace(WELL, newest_at=Instant(NOW + 86_400_000)), Level.WARNING, "has seen 2025-11-09"),
        (replace(WELL, missing_folders=("/srv/films",)), Level.WARNING, "/srv/films cannot be read"),
    ],
)
def test_each_fault_is_reported_with_its_remedy(facts: FileFacts, level: Level, words: str):
    (finding,) = (finding for finding in examine_file(facts) if finding.level is not Level.OK)
    assert finding.level is level
    assert words in finding.text
    assert finding.remedy
    assert worst(examine_file(facts)) is level


# On PostgreSQL


def test_a_sound_server_has_no_findings_to_fix():
    findings = examine_server(SERVED)
    assert worst(findings) is Level.OK
    assert not any(finding.remedy for finding in findings)
    assert any("PostgreSQL 15.18, postgresql://playhead@db/playhead" in finding.text for finding in findings)


def test_an_unreachable_server_is_not_judged_by_facts_that_only_it_knows():
    findings = examine_server(replace(SERVED, fault="connection refused", server_version="", connections_free=0))
    assert [finding.level for finding in findings].count(Level.OK) == len(findings) - 1
    assert not any("connections" in finding.text for finding in findings)


@pytest.mark.parametrize(
    ("facts", "level", "words"),
    [
        (replace(SERVED, is_folder_writable=False), Level.BAD, "cannot be written"),
        (replace(SERVED, fault="connection refused"), Level.BAD, "connection refused"),
        (replace(SERVED, revision="0001"), Level.WARNING, "older than this program's 0002"),
        (replace(SERVED, revision="0003"), Level.BAD, "newer than this program's 0002"),
        (replace(SERVED, is_server_new_enough=False, server_version="12.1"), Level.BAD, "PostgreSQL 12.1"),
        (replace(SERVED, unsafe_settings=("fsync",)), Level.BAD, "fsync off"),
        (replace(SERVED, unsafe_settings=("fsync", "full_page_writes")), Level.BAD, "fsync and full_page_writes off"),
        (replace(SERVED, is_read_only=True), Level.BAD, "takes no writes"),
        (replace(SERVED, connections_free=9), Level.WARNING, "Only 9 of the server's 100 connections"),
        (replace(SERVED, clock=Instant(NOW + 61_000)), Level.WARNING, "2025-11-08 22:01:01 UTC"),
        (replace(SERVED, clock=Instant(NOW - 61_000)), Level.WARNING, "2025-11-08 21:58:59 UTC"),
        (replace(SERVED, now=Instant(0), clock=None, newest_at=None), Level.BAD, "1970-01-01"),
        (replace(SERVED, newest_at=Instant(NOW + 86_400_000)), Level.WARNING, "has seen 2025-11-09"),
        (replace(SERVED, missing_folders=("/srv/films",)), Level.WARNING, "/srv/films cannot be read"),
    ],
)
def test_each_fault_of_a_server_is_reported_with_its_remedy(facts: ServerFacts, level: Level, words: str):
    (finding,) = (finding for finding in examine_server(facts) if finding.level is not Level.OK)
    assert finding.level is level
    assert words in finding.text
    assert finding.remedy


@pytest.mark.parametrize("facts", [WELL, SERVED])
def test_files_that_other_users_can_read_are_reported_with_their_modes(facts: FileFacts | ServerFacts):
    wide = replace(facts, wide_paths=("/srv/playhead (0755)", "/srv/playhead/playhead.db (0644)"))
    findings = examine_file(wide) if isinstance(wide, FileFacts) else examine_server(wide)
    [finding] = [each for each in findings if each.level is not Level.OK]
    assert finding.level is Level.WARNING
    assert finding.text == "Other users of this machine can use /srv/playhead (0755), /srv/playhead/playhead.db (0644)"
