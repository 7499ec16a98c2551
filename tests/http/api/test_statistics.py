"""Statistics over HTTP: numbers of a period, groups, the time zone, and whose they are."""

from typing import Any

import pytest

from sample_library import DAY_MS, HOUR_MS, SampleLibrary, id_of
from world import NOWHERE, World

pytestmark = [pytest.mark.anyio, pytest.mark.both_engines]


@pytest.fixture
async def library(world: World) -> SampleLibrary:
    """Movies and a show that the member has watched on 8 and 9 November 2025, each for an hour and a half."""
    library = SampleLibrary(world)
    await library.open()
    await library.add_movies("Alien", "Brazil")
    await library.add_show("Tides", "1x01", "1x02", air_date="2019-02-03")
    await library.change("Alien", year=1979)
    await library.watch("Alien", "Tides 1x01")  # from 22:00 UTC on
    library.clock.advance(DAY_MS)
    await library.watch("Tides 1x02")
    return library


async def statistics(library: SampleLibrary, query: str = "", *, headers: dict[str, str] | None = None) -> Any:  # noqa: ANN401 - JSON
    return await library.get(f"statistics?{query}", headers=headers)


async def groups(library: SampleLibrary, by: str, query: str = "") -> list[tuple[str | None, int]]:
    found = await statistics(library, f"by={by}{query}")
    assert found["by"] == by
    return [(each["key"], each["plays"]) for each in found["groups"]]


async def choose_zone(library: SampleLibrary, name: str) -> None:
    accounts = library.world.playhead.installation.accounts
    await accounts.set_time_zone(library.world.user_ids["member"], name)  # pyright: ignore[reportArgumentType]


async def test_all_plays_are_counted_with_their_hours_and_streaks(library: SampleLibrary):
    streak = {"days": 2, "from": "2025-11-08", "until": "2025-11-09"}
    assert await statistics(library) == {
        "from": None,
        "until": None,
        "time_zone": "UTC",
        "total": {"plays": 3, "hours": 4.5, "items": 3, "rewatches": 0},
        "streaks": {"longest": streak, "current": streak},
        "by": None,
        "groups": None,
    }


async def test_without_plays_everything_is_zero(library: SampleLibrary):
    found = await statistics(library, "by=month", headers=library.world.stranger)
    assert found["total"] == {"plays": 0, "hours": 0, "items": 0, "rewatches": 0}
    assert (found["streaks"], found["groups"]) == ({"longest": None, "current": None}, [])


async def test_a_second_play_is_a_rewatch_and_a_mark_has_no_hours(library: SampleLibrary):
    await library.player("Alien").mark(new_play=True)
    await library.player("Brazil").mark(watched_at=None)
    total = (await statistics(library))["total"]
    assert total == {"plays": 5, "hours": 4.5, "items": 4, "rewatches": 1}


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("year", [("2025", 3)]),
        ("month", [("2025-11", 3)]),
        ("week", [("2025-W45", 3)]),
        ("day", [("2025-11-08", 2), ("2025-11-09", 1)]),
        ("weekday", [("6", 2), ("7", 1)]),
        ("hour", [("22", 3)]),
        ("show", [(id_of("Tides"), 2), (None, 1)]),
        ("library", [(id_of("Shelf"), 3)]),
        ("decade", [("1970", 1), ("2010", 2)]),
    ],
)
async def test_plays_are_grouped(library: SampleLibrary, by: str, expected: list[tuple[str | None, int]]):
    assert await groups(library, by) == expected


async def test_groups_of_shows_and_libraries_have_names(library: SampleLibrary):
    for by, name in (("show", "Tides"), ("library", "Shelf")):
        assert (await statistics(library, f"by={by}"))["groups"][0]["name"] == name
    (month,) = (await statistics(library, "by=month"))["groups"]
    assert month == {"key": "2025-11", "name": None, "plays": 3, "hours": 4.5, "items": 3, "rewatches": 0}


async def test_the_decade_of_an_episode_without_a_date_is_that_of_its_show(library: SampleLibrary):
    for number in ("1x01", "1x02"):
        await library.change(f"Tides {number}", air_date=None)
    assert await groups(library, "decade") == [("1970", 1), (None, 2)]
    await library.change("Tides", year=2002)
    assert await groups(library, "decade") == [("1970", 1), ("2000", 2)]


async def test_days_and_hours_are_those_of_the_users_time_zone(library: SampleLibrary):
    await choose_zone(library, "Asia/Tokyo")
    assert await groups(library, "day") == [("2025-11-09", 2), ("2025-11-10", 1)]
    assert await groups(library, "hour") == [("07", 3)]
    found = await statistics(library, "from=2025-11-10&until=2025-11-10")
    assert (found["time_zone"], found["from"], found["until"], found["total"]["plays"]) == (
        "Asia/Tokyo",
        "2025-11-09T15:00:00Z",
        "2025-11-10T15:00:00Z",
        1,
    )


@pytest.mark.parametrize(
    ("query", "plays"),
    [
        ("from=2025-11-09", 1),
        ("until=2025-11-08", 2),
        ("from=2025-11-08T22:01:00Z", 2),
        ("until=2025-11-08T22:01:00Z", 1),
        ("from=2025-11-08T23:00:30%2B01:00&until=2025-11-08T23:02:00%2B01:00", 1),
        ("from=0001-01-01&until=9999-12-31", 3),
    ],
)
async def test_a_period_includes_its_last_day_and_excludes_its_last_instant(
    library: SampleLibrary, query: str, plays: int
):
    await library.player("Brazil").mark(watched_at=None)
    assert (await statistics(library, query))["total"]["plays"] == plays


@pytest.mark.parametrize(
    ("query", "faulty"),
    [
        ("from=yesterday", ["from"]),
        ("from=2025-13-01&until=2025-11-08T22:00:00", ["from", "until"]),
        ("from=2025-11-09&until=2025-11-08", ["until"]),
        ("from=2025-11-08T00:00:00Z&until=2025-11-08T00:00:00Z", ["until"]),
        ("by=minute", ["by"]),
        ("by=month&by=day", ["by"]),
    ],
)
async def test_faulty_members_are_named(library: SampleLibrary, query: str, faulty: list[str]):
    response = await library.ask("GET", f"statistics?{query}")
    assert (response.status_code, response.json()["error"]) == (422, "Invalid data")
    assert [*response.json()["details"]] == faulty


async def test_an_admin_sees_everybodys_and_a_member_only_their_own(library: SampleLibrary):
    world = library.world
    query = f"statistics?by=library&user={world.user_ids['member']}"
    await choose_zone(library, "Asia/Tokyo")
    seen = (await library.ask("GET", query, headers=world.admin)).json()
    assert (seen["total"]["plays"], seen["time_zone"]) == (3, "Asia/Tokyo")
    assert seen == (await library.ask("GET", query)).json()
    assert (await statistics(library, headers=world.admin))["total"]["plays"] == 0
    refused = await library.ask("GET", query, headers=world.stranger)
    assert (refused.status_code, refused.json()["error"]) == (403, "Access denied")


@pytest.mark.parametrize("user", [NOWHERE, "x"])
async def test_a_user_that_does_not_exist_is_not_found(library: SampleLibrary, user: str):
    response = await library.ask("GET", f"statistics?user={user}", headers=library.world.admin)
    assert (response.status_code, response.json()["error"]) == (404, "User not found")


async def test_plays_of_what_the_user_may_no_longer_see_are_not_counted(library: SampleLibrary):
    await library.revoke()
    assert (await statistics(library))["total"]["plays"] == 0
    seen = await statistics(library, f"user={library.world.user_ids['member']}", headers=library.world.admin)
    assert seen["total"]["plays"] == 3


async def test_an_item_whose_files_the_user_may_not_see_has_no_hours(library: SampleLibrary):
    await library.change("Alien", is_open=True)
    await library.revoke()
    total = (await statistics(library))["total"]
    assert (total["plays"], total["hours"]) == (1, 0)


async def test_a_streak_ends_with_a_day_without_a_play(library: SampleLibrary):
    library.clock.advance(2 * DAY_MS + HOUR_MS)
    found = (await statistics(library))["streaks"]
    assert (found["longest"]["days"], found["current"]) == (2, None)
