"""When a library is scanned without anybody asking."""

import pytest

from playhead.domain.auto_scanning import (
    FAILED_RETRY_MS,
    LONGEST_WAIT_MS,
    QUIET_MS,
    SETTLED_MS,
    ScanSchedule,
    Settling,
)
from playhead.domain.model import Instant
from playhead.domain.scanning import FoundFile

NOW = Instant(1_762_639_200_000)
MINUTE_MS = 60_000
RESCAN_MS = 15 * MINUTE_MS


def after(ms: int) -> Instant:
    return Instant(NOW + ms)


def file(size: int, mtime: int = NOW - 3_600_000) -> FoundFile:
    return FoundFile("Heat.mkv", size, mtime * 1_000_000, "")


def test_without_a_change_and_without_a_period_nothing_is_due() -> None:
    assert ScanSchedule().next_at(NOW, NOW, 0) is None


def test_a_scan_waits_until_nothing_has_changed_for_a_while() -> None:
    schedule = ScanSchedule().changed(NOW)
    assert schedule.next_at(NOW, NOW, 0) == after(QUIET_MS)
    schedule = schedule.changed(after(20_000))
    assert schedule.next_at(after(20_000), NOW, 0) == after(20_000 + QUIET_MS)


def test_a_folder_that_never_rests_is_scanned_nevertheless() -> None:
    schedule = ScanSchedule()
    for second in range(0, 600, 10):
        schedule = schedule.changed(after(second * 1000))
    assert schedule.next_at(after(600_000), NOW, 0) == after(LONGEST_WAIT_MS)


def test_a_scan_answers_the_changes_before_it_and_those_after_it_wait_anew() -> None:
    schedule = ScanSchedule().changed(NOW).begun(after(QUIET_MS))
    assert schedule.next_at(after(QUIET_MS), NOW, 0) is None
    schedule = schedule.changed(after(QUIET_MS + 1)).ended(after(QUIET_MS + 2), None)
    assert schedule.next_at(after(QUIET_MS + 2), NOW, 0) == after(2 * QUIET_MS + 1)


def test_a_scan_by_another_process_answers_the_changes_before_it_only() -> None:
    schedule = ScanSchedule().changed(NOW)
    assert ScanSchedule().scanned_elsewhere(NOW) == ScanSchedule()
    assert schedule.scanned_elsewhere(NOW) == schedule
    assert schedule.scanned_elsewhere(after(1)) == ScanSchedule()


def test_a_library_that_is_not_watched_is_scanned_by_time_after_any_scan() -> None:
    assert ScanSchedule().next_at(NOW, NOW, RESCAN_MS) == after(RESCAN_MS)
    schedule = ScanSchedule().begun(after(1000)).ended(after(1000), None)
    assert schedule.next_at(after(1000), NOW, RESCAN_MS) == after(1000 + RESCAN_MS)
    assert schedule.next_at(after(5000), after(5000), RESCAN_MS) == after(5000 + RESCAN_MS)


def test_a_clock_that_was_set_back_puts_nothing_off() -> None:
    year_ms = 365 * 24 * 60 * MINUTE_MS
    later = after(year_ms)
    schedule = ScanSchedule().begun(later).ended(Instant(later + 1000), None)
    assert schedule.next_at(NOW, later, RESCAN_MS) == after(RESCAN_MS)
    assert ScanSchedule().changed(later).next_at(NOW, NOW, 0) == after(QUIET_MS)
    assert ScanSchedule().begun(later).ended(NOW, None).next_at(NOW, NOW, 0) is None


def test_a_failed_scan_is_tried_again() -> None:
    schedule = ScanSchedule().changed(NOW).begun(after(QUIET_MS)).failed(after(QUIET_MS))
    assert schedule.next_at(after(QUIET_MS), NOW, 0) == after(QUIET_MS + FAILED_RETRY_MS)


def test_a_library_rests_for_ten_times_the_duration_of_its_scan() -> None:
    schedule = ScanSchedule().begun(NOW).changed(NOW).ended(after(MINUTE_MS), None)
    assert schedule.next_at(after(MINUTE_MS), NOW, 0) == after(11 * MINUTE_MS)
    schedule = ScanSchedule().begun(NOW).changed(NOW).ended(after(60 * MINUTE_MS), None)
    assert schedule.next_at(after(60 * MINUTE_MS), NOW, 0) == after(75 * MINUTE_MS)
    assert ScanSchedule().ended(NOW, None).next_at(NOW, NOW, 0) is None


def test_a_scan_comes_back_when_the_files_that_it_left_out_have_settled() -> None:
    schedule = ScanSchedule().begun(NOW).ended(NOW, after(12_000))
    assert schedule.next_at(NOW, NOW, 0) == after(12_000)
    assert schedule.changed(after(1000)).next_at(after(1000), NOW, 0) == after(1000 + QUIET_MS)
    schedule = schedule.begun(after(12_000)).ended(after(12_000), None)
    assert schedule.next_at(after(12_000), NOW, 0) is None


@pytest.mark.parametrize("has_events", [True, False])
def test_a_copy_of_twenty_minutes_causes_few_scans_and_is_found_soon_after(has_events: bool) -> None:  # noqa: FBT001
    end_s, schedule, settling, scans = 20 * 60, ScanSchedule(), Settling(), list[int]()
    found_at = None
    schedule = schedule.changed(NOW)
    for second in range(0, 40 * 60, 2):
        now = after(second * 1000)
        copied_s = min(second, end_s)
        if has_events and second < end_s:
            schedule = schedule.changed(now)
            settling.touch(["Heat.mkv"], now)
        due = schedule.next_at(now, NOW, 0)
        if due is not None and due <= now:
            scans.append(second)
            settling.begin(now)
            schedule = schedule.begun(now)
            if settling.is_settled(file(copied_s, after(copied_s * 1000)), now):
                found_at = second
            schedule = schedule.ended(now, settling.settles_at)
    assert len(scans) <= 12
    assert found_at is not None
    assert end_s + SETTLED_MS / 1000 <= found_at <= end_s + LONGEST_WAIT_MS / 1000 + 60


def test_a_file_is_settled_when_it_has_not_changed_for_a_while() -> None:
    settling = Settling()
    assert settling.is_settled(file(1), NOW)
    assert settling.settles_at is None
    assert not settling.is_settled(file(2), after(1000))
    assert settling.settles_at == after(1000 + SETTLED_MS)
    settling.begin(after(SETTLED_MS))
    assert settling.settles_at is None
    assert not settling.is_settled(file(2), after(SETTLED_MS))
    assert settling.is_settled(file(2), after(1000 + SETTLED_MS))


def test_a_fresh_file_waits_and_one_from_the_future_waits_once() -> None:
    assert not Settling().is_settled(file(1, NOW - SETTLED_MS + 1), NOW)
    settling = Settling()
    assert not settling.is_settled(file(1, after(3_600_000)), NOW)
    assert settling.is_settled(file(1, after(3_600_000)), after(SETTLED_MS))


def test_a_file_that_was_touched_waits_although_its_time_is_old() -> None:
    settling = Settling()
    settling.touch(["Heat.mkv"], NOW)
    assert not settling.is_settled(file(1), after(SETTLED_MS - 1))
    assert settling.is_settled(file(1), after(SETTLED_MS))


def test_what_settled_long_ago_is_forgotten_and_a_clock_set_back_keeps_nothing_out() -> None:
    settling = Settling()
    assert settling.is_settled(file(1), NOW)
    settling.begin(after(3_600_000))
    assert settling.is_settled(file(2), after(3_600_000))
    settling.touch(["Heat.mkv"], after(3_600_000))
    settling.begin(NOW)
    assert not settling.is_settled(file(2), NOW)
    assert settling.is_settled(file(2), after(SETTLED_MS))
