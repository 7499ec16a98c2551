"""Continue watching over HTTP, and its cards: hidden, snoozed, dropped."""

import pytest

from listener import Listener
from sample_library import DAY_MS, HOUR_MS, MINUTE_MS, SampleLibrary, id_of
from world import NOWHERE, World

pytestmark = [pytest.mark.anyio, pytest.mark.both_engines]


@pytest.fixture
async def library(world: World) -> SampleLibrary:
    """Three movies, and a show with two seasons."""
    library = SampleLibrary(world)
    await library.open()
    await library.add_movies("Alien", "Brazil", "Casino")
    await library.add_show("Tides", "1x01", "1x02", "1x03", "2x01")
    return library


# What has a card


async def test_a_card_says_what_to_play_and_why(library: SampleLibrary):
    await library.watch("Tides 1x01")
    (card,) = (await library.get("continue-watching"))["items"]
    assert card == {
        "item": {
            "id": id_of("Tides 1x02"),
            "kind": "episode",
            "title": "Tides 1x02",
            "year": None,
            "library": "Shelf",
            "libraries": ["Shelf"],
            "external_ids": {},
            "available": True,
            "runtime_seconds": 5400,
            "show_id": id_of("Tides"),
            "season_number": 1,
            "episode_number": 2,
            "episode_end": None,
            "air_date": None,
        },
        "show": {
            "id": id_of("Tides"),
            "kind": "show",
            "title": "Tides",
            "year": None,
            "library": "Shelf",
            "libraries": ["Shelf"],
            "external_ids": {},
            "available": True,
            "runtime_seconds": None,
        },
        "position_seconds": 0,
        "duration_seconds": None,
        "completion_percentage": 0,
        "watched": False,
        "last_watched_at": None,
        "resume_position_seconds": 0,
        "kind": "next",
        "active_at": "2025-11-08T22:00:00Z",
    }


async def test_the_card_of_a_movie_has_its_progress_and_no_show(library: SampleLibrary):
    await library.watch("Alien", to=3000)
    (card,) = (await library.get("continue-watching"))["items"]
    assert (card["item"]["title"], card["show"], card["kind"]) == ("Alien", None, "continue")
    progress = (card["position_seconds"], card["duration_seconds"], card["completion_percentage"])
    assert progress == (3000, 5400, 55.56)
    assert (card["watched"], card["last_watched_at"]) == (False, "2025-11-08T22:00:00Z")
    assert card["resume_position_seconds"] == 3000


@pytest.mark.parametrize("position", [0, 119, 4860, 5400])
async def test_barely_started_and_finished_items_have_no_card(library: SampleLibrary, position: float):
    await library.watch("Alien", to=position)
    assert await library.cards() == []


async def test_example_5_is_listed(library: SampleLibrary):
    await library.watch("Alien", to=4900)
    assert await library.cards() == []
    library.clock.advance(DAY_MS)
    for position in (600, 3000):
        await library.watch("Alien", to=position)
    assert await library.cards() == [("Alien", "continue")]


async def test_a_watched_film_is_listed_only_once_it_is_armed_again(library: SampleLibrary):
    for position in (4900, 4000):  # back from the credits, but not below 70 %
        await library.watch("Alien", to=position)
    assert await library.cards() == []


async def test_a_film_behind_the_start_of_its_credits_is_finished(library: SampleLibrary):
    await library.change("Alien", credits_ms=4_000_000)
    await library.watch("Alien", to=3999)
    assert await library.cards() == [("Alien", "continue")]
    await library.watch("Alien", to=4000)
    assert await library.cards() == []


async def test_a_show_has_one_card_for_its_most_recently_active_started_episode(library: SampleLibrary):
    await library.watch("Tides 2x01", "Tides 1x03", "Tides 1x02", to=3000)
    assert await library.cards() == [("Tides 1x02", "continue")]


async def test_a_started_episode_takes_precedence_over_the_next_one(library: SampleLibrary):
    await library.watch("Tides 1x03", to=3000)
    await library.watch("Tides 1x01")
    assert await library.cards() == [("Tides 1x03", "continue")]
    (card,) = (await library.get("continue-watching"))["items"]
    assert card["active_at"] == "2025-11-08T22:01:00Z"


async def test_a_completely_watched_show_returns_with_its_next_season(library: SampleLibrary):
    await library.watch("Tides 1x01", "Tides 1x02", "Tides 1x03", "Tides 2x01")
    assert await library.cards() == []
    await library.add_show("Tides", "3x01")
    assert await library.cards() == [("Tides 3x01", "next")]


async def test_a_show_with_only_a_barely_started_episode_has_no_card(library: SampleLibrary):
    await library.watch("Tides 1x01", to=60)
    assert await library.cards() == []
    assert await library.next_up("Tides") == ("start", "Tides 1x01")


async def test_a_mark_is_not_activity(library: SampleLibrary):
    await library.player("Tides 1x01").mark()
    assert await library.cards() == []
    assert await library.next_up("Tides") == ("next", "Tides 1x02")


async def test_restoring_a_kept_point_is_activity(library: SampleLibrary):
    await library.watch("Alien", to=3000)
    await library.watch("Alien", to=0)
    await library.watch("Brazil", to=3000)
    await library.player("Alien").restore(3000)
    assert await library.cards() == [("Alien", "continue"), ("Brazil", "continue")]


async def test_a_rewatched_show_continues_with_watched_episodes(library: SampleLibrary):
    await library.watch("Tides 1x01", "Tides 1x02", "Tides 1x03", "Tides 2x01")
    library.clock.advance(DAY_MS)
    for position in (600, 5400):
        await library.watch("Tides 1x01", to=position)
    assert await library.cards() == [("Tides 1x02", "rewatch")]


# Selection, number and order


async def test_the_newest_activity_comes_first_then_the_id(library: SampleLibrary):
    await library.watch("Alien", to=3000)
    for name in ("Brazil", "Casino", "Tides 1x01"):
        await library.player(name).report(3000)
    cards = [name for name, _ in await library.cards()]
    assert cards == [*sorted(("Brazil", "Casino", "Tides 1x01"), key=lambda name: id_of(name.split()[0])), "Alien"]


async def test_twenty_are_shown_unless_another_number_is_requested(library: SampleLibrary):
    names = [f"Film {number:02}" for number in range(30)]
    await library.add_movies(*names)
    await library.watch(*names, to=3000)
    newest = [(name, "continue") for name in reversed(names)]
    assert await library.cards() == newest[:20]
    assert await library.cards("?limit=25") == newest[:25]
    assert await library.cards("?limit=200") == newest
    assert await library.cards("?limit=1") == newest[:1]


@pytest.mark.parametrize("limit", ["0", "201", "-1", "many", ""])
async def test_another_number_is_refused(library: SampleLibrary, limit: str):
    response = await library.ask("GET", f"continue-watching?limit={limit}")
    assert (response.status_code, [*response.json()["details"]]) == (422, ["limit"])


async def test_impossible_cards_are_replaced_by_older_ones(library: SampleLibrary):
    await library.watch("Alien", to=3000)
    library.clock.advance(30 * DAY_MS)
    for number in range(25):  # shows with one watched episode: nothing is left to play
        await library.add_show(f"Show {number}", "1x01")
        await library.watch(f"Show {number} 1x01")
    await library.watch("Brazil", to=3000)
    assert await library.cards("?limit=2") == [("Brazil", "continue"), ("Alien", "continue")]


async def test_after_90_days_without_activity_a_card_is_left_out(library: SampleLibrary):
    began = library.clock()
    await library.player("Alien").report(3000)
    library.clock.now = began + 90 * DAY_MS
    assert await library.cards() == [("Alien", "continue")]
    library.clock.advance(1)
    assert await library.cards() == []
    await library.watch("Alien", to=3001)
    assert await library.cards() == [("Alien", "continue")]


async def test_activity_of_any_episode_counts_for_the_show(library: SampleLibrary):
    await library.watch("Tides 1x02", to=3000)
    library.clock.advance(89 * DAY_MS)
    await library.watch("Tides 1x01", to=60)
    library.clock.advance(30 * DAY_MS)
    assert await library.cards() == [("Tides 1x02", "continue")]


# Playability and access


async def test_an_item_that_lost_its_file_has_no_card_until_it_returns(library: SampleLibrary):
    await library.watch("Alien", "Tides 1x01", to=3000)
    await library.remove("Alien", "Tides 1x01", "Tides 1x02", "Tides 1x03", "Tides 2x01")
    assert await library.cards() == []
    await library.bring_back("Alien", "Tides 1x01")
    assert await library.cards() == [("Tides 1x01", "continue"), ("Alien", "continue")]


async def test_a_started_episode_without_a_file_is_replaced_by_a_playable_one(library: SampleLibrary):
    await library.watch("Tides 1x01")
    await library.watch("Tides 1x02", to=3000)
    await library.remove("Tides 1x02")
    assert await library.cards() == [("Tides 1x03", "next")]


async def test_items_of_a_library_without_a_grant_are_not_shown(library: SampleLibrary):
    await library.watch("Tides 1x01")
    await library.watch("Alien", to=3000)
    await library.revoke()
    assert await library.cards() == []
    await library.grant()
    assert await library.cards() == [("Alien", "continue"), ("Tides 1x02", "next")]


async def test_every_user_has_their_own_list(library: SampleLibrary):
    await library.watch("Alien", to=3000)
    await library.player("Brazil", library.world.admin).report(3000)
    assert await library.cards() == [("Alien", "continue")]
    assert await library.cards(headers=library.world.admin) == [("Brazil", "continue")]
    assert await library.cards(headers=library.world.stranger) == []


# Hidden


async def hide(library: SampleLibrary, name: str) -> None:
    """Hide a card; the clock moves on by a minute."""
    await library.do("PUT", f"continue-watching/{id_of(name)}/hidden")
    library.clock.advance(MINUTE_MS)


async def test_a_hidden_card_returns_with_the_next_activity(library: SampleLibrary):
    await library.watch("Alien", to=3000)
    await hide(library, "Alien")
    assert await library.cards() == []
    await library.watch("Alien", to=3001)
    assert await library.cards() == [("Alien", "continue")]


async def test_a_late_report_unhides_nothing(library: SampleLibrary):
    await library.watch("Alien", to=3000)
    await hide(library, "Alien")
    await library.watch("Alien", to=2000, observed_at="2025-11-08T20:00:00Z")
    assert await library.cards() == []


async def test_a_mark_unhides_nothing(library: SampleLibrary):
    await library.watch("Tides 1x01")
    await hide(library, "Tides")
    await library.player("Tides 1x02").mark()
    assert await library.cards() == []


async def test_a_hidden_card_can_be_shown_again(library: SampleLibrary):
    await library.watch("Alien", to=3000)
    for _ in range(2):
        await hide(library, "Alien")
    for _ in range(2):
        await library.do("DELETE", f"continue-watching/{id_of('Alien')}/hidden")
    assert await library.cards() == [("Alien", "continue")]


@pytest.mark.parametrize("name", ["Tides", "Tides 1x02"])
async def test_an_episode_is_hidden_with_its_show_until_any_of_them_is_watched(library: SampleLibrary, name: str):
    await library.watch("Tides 1x01")
    await hide(library, name)
    assert await library.cards() == []
    assert (await library.player("Tides 1x03").state())["hidden"]
    await library.watch("Tides 1x03", to=3000)
    assert await library.cards() == [("Tides 1x03", "continue")]


async def test_hiding_affects_only_ones_own_list(library: SampleLibrary):
    admin = library.world.admin
    await library.watch("Alien", to=3000)
    await library.player("Alien", admin).report(3000)
    await library.ask("PUT", f"continue-watching/{id_of('Alien')}/hidden", headers=admin)
    assert await library.cards() == [("Alien", "continue")]
    assert await library.cards(headers=admin) == []


# Snoozed


async def test_a_snoozed_card_returns_at_its_time_and_not_before(library: SampleLibrary):
    await library.watch("Alien", to=3000)
    await library.do("PUT", f"items/{id_of('Alien')}/snoozed", {"until": "2025-11-09T22:00:00+01:00"})
    await library.watch("Alien", to=3001)
    library.clock.advance(22 * HOUR_MS)
    assert await library.cards() == []
    library.clock.advance(HOUR_MS)
    assert await library.cards() == [("Alien", "continue")]


async def test_a_snooze_can_be_cancelled(library: SampleLibrary):
    await library.watch("Tides 1x01")
    await library.do("PUT", f"items/{id_of('Tides 1x02')}/snoozed", {"until": "2026-01-01T00:00:00Z"})
    assert await library.cards() == []
    await library.do("DELETE", f"items/{id_of('Tides')}/snoozed")
    assert await library.cards() == [("Tides 1x02", "next")]


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({}, "is required"),
        ({"until": None}, "must not be null"),
        ({"until": 5}, "must be an RFC 3339 time with its offset from UTC"),
        ({"until": "2026-01-01"}, "must be an RFC 3339 time with its offset from UTC"),
        ({"until": "2026-01-01T00:00:00"}, "must be an RFC 3339 time with its offset from UTC"),
        ({"until": "2025-11-08T22:00:00Z"}, "must be in the future"),
        ({"until": "1969-01-01T00:00:00Z"}, "must be in the future"),
    ],
)
async def test_until_must_be_in_the_future(library: SampleLibrary, body: dict[str, object], fault: str):
    response = await library.ask("PUT", f"items/{id_of('Alien')}/snoozed", body)
    assert (response.status_code, response.json()["details"]) == (422, {"until": [fault]})


async def test_a_card_can_be_snoozed_until_the_last_representable_time(library: SampleLibrary):
    await library.watch("Alien", to=3000)
    await library.do("PUT", f"items/{id_of('Alien')}/snoozed", {"until": "9999-12-31T23:59:59.999Z"})
    assert await library.cards() == []


# Dropped


async def test_a_dropped_show_stays_away_whatever_is_watched_of_it(library: SampleLibrary):
    await library.watch("Tides 1x01")
    await library.do("PUT", f"shows/{id_of('Tides')}/dropped")
    await library.watch("Tides 1x02", to=3000)
    assert await library.cards() == []
    assert (await library.player("Tides 1x02").state())["position_seconds"] == 3000
    await library.do("DELETE", f"shows/{id_of('Tides')}/dropped")
    assert await library.cards() == [("Tides 1x02", "continue")]


async def test_next_up_of_a_dropped_show_can_still_be_read(library: SampleLibrary):
    await library.watch("Tides 1x01")
    await library.do("PUT", f"shows/{id_of('Tides')}/dropped")
    assert await library.next_up("Tides") == ("next", "Tides 1x02")


async def test_hidden_snoozed_and_dropped_are_independent_states(library: SampleLibrary):
    await library.watch("Tides 1x01")
    show = id_of("Tides")
    await library.do("PUT", f"continue-watching/{show}/hidden")
    await library.do("PUT", f"items/{show}/snoozed", {"until": "2026-01-01T00:00:00Z"})
    await library.do("PUT", f"shows/{show}/dropped")
    for path in (f"shows/{show}/dropped", f"items/{show}/snoozed"):
        await library.do("DELETE", path)
        assert await library.cards() == []
    await library.do("DELETE", f"continue-watching/{show}/hidden")
    assert await library.cards() == [("Tides 1x02", "next")]


async def test_none_of_them_changes_a_position(library: SampleLibrary):
    await library.watch("Tides 1x01", to=3000)
    before = await library.player("Tides 1x01").state()
    show = id_of("Tides")
    await library.do("PUT", f"shows/{show}/dropped")
    await library.do("PUT", f"items/{show}/snoozed", {"until": "2026-01-01T00:00:00Z"})
    await library.do("PUT", f"continue-watching/{show}/hidden")
    assert await library.player("Tides 1x01").state() == before | {"hidden": True}


# Notifications, access and missing items


async def test_the_users_other_devices_are_told_which_card_changed(library: SampleLibrary):
    await library.watch("Tides 1x01")
    await library.do("DELETE", f"shows/{id_of('Tides')}/dropped")  # without a change, so nobody is notified
    async with (
        Listener(library.world.playhead, library.world.member) as device,
        Listener(library.world.playhead, library.world.admin) as other,
    ):
        await library.do("PUT", f"continue-watching/{id_of('Tides 1x02')}/hidden")
        assert await device.event() == ("lists", {"items": [id_of("Tides")]})
        await library.do("PUT", f"items/{id_of('Alien')}/snoozed", {"until": "2026-01-01T00:00:00Z"})
        assert await device.event() == ("lists", {"items": [id_of("Alien")]})
        assert other.is_silent


ROUTES = (
    ("PUT", "continue-watching/{}/hidden", "Media item not found"),
    ("DELETE", "continue-watching/{}/hidden", "Media item not found"),
    ("PUT", "items/{}/snoozed", "Media item not found"),
    ("DELETE", "items/{}/snoozed", "Media item not found"),
    ("PUT", "shows/{}/dropped", "Show not found"),
    ("DELETE", "shows/{}/dropped", "Show not found"),
    ("GET", "shows/{}/next-up", "Show not found"),
)


@pytest.mark.parametrize(("method", "path", "missing"), ROUTES)
async def test_the_errors_are_those_of_the_frozen_routes(library: SampleLibrary, method: str, path: str, missing: str):
    body = {"until": "2026-01-01T00:00:00Z"} if (method, path) == ("PUT", "items/{}/snoozed") else None
    for item_id in (NOWHERE, "nonsense"):
        response = await library.ask(method, path.format(item_id), body)
        assert (response.status_code, response.json()["error"]) == (404, missing)
    response = await library.ask(method, path.format(id_of("Tides")), body, headers=library.world.stranger)
    assert (response.status_code, response.json()["error"]) == (403, "Access denied")
    assert (await library.ask(method, path.format(id_of("Tides").upper()), body)).status_code in {200, 204}
    if missing == "Show not found":
        for name in ("Alien", "Tides 1x01"):
            response = await library.ask(method, path.format(id_of(name)), body)
            assert (response.status_code, response.json()["error"]) == (404, missing)


async def test_an_unplayable_item_can_be_hidden(library: SampleLibrary):
    await library.watch("Alien", to=3000)
    await library.remove("Alien")
    await hide(library, "Alien")
    await library.bring_back("Alien")
    assert await library.cards() == []


async def test_a_removed_user_changes_nothing_more(library: SampleLibrary):
    member = library.world.user_ids["member"]
    removed = await library.ask("DELETE", f"users/{member}", headers=library.world.admin)
    assert removed.status_code == 204
    response = await library.ask("PUT", f"continue-watching/{id_of('Alien')}/hidden")
    assert (response.status_code, response.json()["error"]) == (401, "Not authenticated")


async def test_forgetting_an_item_clears_the_states_of_its_card(library: SampleLibrary):
    await library.watch("Alien", to=3000)
    await library.do("PUT", f"items/{id_of('Alien')}/snoozed", {"until": "2026-01-01T00:00:00Z"})
    await library.player("Alien").forget()
    library.clock.advance(MINUTE_MS)
    await library.watch("Alien", to=3000)
    assert await library.cards() == [("Alien", "continue")]
