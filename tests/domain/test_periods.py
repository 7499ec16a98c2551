from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playhead.domain.model import EARLIEST, LATEST, Instant, instant_of, moment_of
from playhead.domain.periods import Period, beginning_of, local_hours, period_of

BERLIN = ZoneInfo("Europe/Berlin")
# Half an hour of daylight saving time; a quarter of an hour off; a day skipped; in the far west, with seconds.
ZONES = ["UTC", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia", "America/St_Johns"]


def at(text: str) -> Instant:
    return instant_of(datetime.fromisoformat(text))


def test_a_period_of_days_includes_both_in_the_time_zone():
    assert period_of(date(2026, 3, 28), date(2026, 3, 29), BERLIN) == (
        at("2026-03-28T00:00:00+01:00"),
        at("2026-03-30T00:00:00+02:00"),
    )


def test_a_period_of_times_excludes_the_last():
    assert period_of(Instant(5), Instant(9), BERLIN) == (5, 9)


def test_a_period_may_be_open():
    assert period_of(None, None, BERLIN) == Period()


@pytest.mark.parametrize("zone", [timezone(timedelta(hours=14)), timezone(timedelta(hours=-12)), UTC])
def test_days_at_the_ends_of_the_calendar_stay_within_what_instants_can_say(zone: timezone):
    for day in (date.min, date(1969, 12, 31), date(1970, 1, 1), date.max):
        assert EARLIEST <= beginning_of(day, zone) <= LATEST
        assert period_of(day, day, zone).end is not None
    assert period_of(None, date.max, zone).end == LATEST


@pytest.mark.parametrize("name", ZONES)
@given(instants=st.lists(st.integers(EARLIEST, LATEST // 4).map(Instant), max_size=20))
def test_local_hours_are_those_of_datetimes(name: str, instants: list[Instant]):
    zone = ZoneInfo(name)
    locals_ = [moment_of(instant).astimezone(zone) for instant in instants]
    assert local_hours(instants, zone) == [each.date().toordinal() * 24 + each.hour for each in locals_]


@pytest.mark.parametrize("name", ZONES)
def test_every_quarter_of_an_hour_of_days_on_which_clocks_change_is_right(name: str):
    zone = ZoneInfo(name)
    starts = ["2026-03-28", "2026-04-04", "2026-10-03", "2026-10-24", "2011-12-29", "2026-11-01", "2026-03-08"]
    instants = [
        Instant(at(f"{start}T00:00:00+00:00") + 900_000 * number) for start in starts for number in range(3 * 96)
    ]
    locals_ = [moment_of(instant).astimezone(zone) for instant in instants]
    assert local_hours(instants, zone) == [each.date().toordinal() * 24 + each.hour for each in locals_]
