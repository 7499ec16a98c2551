"""When backups are due, which of them are removed, and how long a failure delays the next."""

import pytest

from playhead.domain.backups import (
    MARGIN_BYTES,
    Backup,
    BackupPlan,
    backup_made_at,
    backup_name,
    due_at,
    is_overdue,
    newest,
    required_bytes,
    retry_at,
    superfluous,
)
from playhead.domain.model import Instant

HOUR_MS = 3_600_000
NOW = Instant(1_762_639_200_000)
DAILY = BackupPlan(hours=24, keep=3)


def backup(hours_ago: float) -> Backup:
    made_at = Instant(int(NOW - hours_ago * HOUR_MS))
    return Backup(backup_name(made_at), made_at, 1000)


def test_a_name_contains_its_time_to_the_second():
    assert backup_name(NOW) == "playhead-20251108T220000Z.db"
    assert backup_made_at(backup_name(NOW)) == NOW


@pytest.mark.parametrize(
    "name",
    [
        "playhead.db",
        "playhead-20251108T220000Z.db.partial",
        "playhead-20251108T220000Z.db-journal",
        "my-playhead-20251108T220000Z.db",
        "playhead-20250231T220000Z.db",
        "playhead-20251108T990000Z.db",
    ],
)
def test_any_other_name_is_not_a_backup(name: str):
    assert backup_made_at(name) is None


def test_the_first_backup_is_due_immediately_and_the_next_a_period_after_the_newest():
    assert due_at(DAILY, [], NOW) == NOW
    assert due_at(DAILY, [backup(30), backup(4)], NOW) == NOW + 20 * HOUR_MS
    assert due_at(DAILY, [backup(30)], NOW) == NOW - 6 * HOUR_MS


def test_a_backup_dated_into_the_future_by_a_wrong_clock_delays_none_and_is_not_removed():
    future = backup(-1000)
    assert newest([future], NOW) is None
    assert due_at(DAILY, [future], NOW) == NOW
    assert superfluous(BackupPlan(24, 1), [future, backup(1), backup(2)], NOW) == [backup(2)]


def test_the_oldest_beyond_the_number_to_keep_are_superfluous_and_never_the_last():
    five = [backup(hours) for hours in (1, 25, 49, 73, 97)]
    assert superfluous(DAILY, five, NOW) == [backup(97), backup(73)]
    assert superfluous(DAILY, five[:3], NOW) == []
    assert superfluous(BackupPlan(hours=24, keep=0), [backup(1000)], NOW) == []


def test_the_delay_after_failures_doubles_up_to_an_hour():
    pauses = [(retry_at(DAILY, NOW, failures) - NOW) // 60_000 for failures in (1, 2, 3, 4, 5, 6, 7, 8, 1000)]
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_a_backup_is_overdue_after_one_period_and_an_hour():
    assert not is_overdue(DAILY, backup(49), NOW)
    assert is_overdue(DAILY, backup(49.1), NOW)


def test_space_is_reserved_for_saves_only_on_the_disk_of_the_database():
    assert required_bytes(10, on_same_disk=False) == 10
    assert required_bytes(10, on_same_disk=True) == 10 + MARGIN_BYTES
