"""What an examination finds wrong, and what it advises."""

from dataclasses import replace

import pytest

from playhead.domain.health import Facts, Level, examine, worst
from playhead.domain.model import Instant

NOW = Instant(1_762_639_200_000)
MIB = 1024 * 1024
WELL = Facts(
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
)


def test_a_sound_installation_has_nothing_wrong():
    findings = examine(WELL)
    assert worst(findings) is Level.OK
    assert not any(finding.remedy for finding in findings)


def test_before_the_first_start_nothing_is_wrong_either():
    assert worst(examine(replace(WELL, revision=None, newest_at=None))) is Level.OK


@pytest.mark.parametrize(
    ("facts", "level", "words"),
    [
        (replace(WELL, is_sqlite_sound=False, sqlite_version="3.45.1"), Level.BAD, "SQLite 3.45.1 can corrupt"),
        (replace(WELL, is_folder_writable=False), Level.BAD, "cannot be written"),
        (replace(WELL, is_network=True, filesystem="nfs4"), Level.BAD, "network file system (nfs4)"),
        (replace(WELL, free_bytes=100 * MIB), Level.WARNING, "Only 100 MiB free"),
        (replace(WELL, fault="file is not a database"), Level.BAD, "file is not a database"),
        (replace(WELL, revision="0001"), Level.WARNING, "older than this program's 0002"),
        (replace(WELL, revision="0003"), Level.BAD, "newer than this program's 0002"),
        (replace(WELL, log_bytes=100 * MIB), Level.WARNING, "log of 100 MiB"),
        (replace(WELL, now=Instant(0), newest_at=None), Level.BAD, "1970-01-01"),
        (replace(WELL, newest_at=Instant(NOW + 86_400_000)), Level.WARNING, "has seen 2025-11-09"),
        (replace(WELL, missing_folders=("/srv/films",)), Level.WARNING, "/srv/films cannot be read"),
    ],
)
def test_each_fault_is_found_with_its_remedy(facts: Facts, level: Level, words: str):
    (finding,) = (finding for finding in examine(facts) if finding.level is not Level.OK)
    assert finding.level is level
    assert words in finding.text
    assert finding.remedy
    assert worst(examine(facts)) is level
