"""Next up, history, what plays now, and everything that changed, through HTTP."""

from typing import Any

import pytest

from shelf import DAY_MS, HOUR_MS, MINUTE_MS, Shelf, id_of
from world import World

pytestmark = [pytest.mark.anyio, pytest.mark.both_engines]


@pytest.fixture
async def shelf(world: World) -> Shelf:
    """Three movies, and a show of two seasons."""
    shelf = Shelf(world)
    await shelf.open()
    await shelf.add_movies("Alien", "Brazil", "Casino")
    await shelf.add_show("Tides", "1x01", "1x02", "1x03", "2x01")
    return shelf


# Next up


async def test_a_show_never_begun_starts_with_its_first_episode(shelf: Shelf):
    found = await shelf.get(f"shows/{id_of('Tides')}/next-up")
    assert found["kind"] == "start"
    episode = found["episode"]
    assert (episode["item"]["id"], episode["show"]["id"]) == (id_of("Tides 1x01"), id_of("Tides"))
    assert (episode["position_seconds"], episode["watched"], episode["last_watched_at"]) == (0, False, None)


async def test_a_show_without_episodes_is_done(shelf: Shelf):
    await shelf.add_show("Empty")
    assert await shelf.get(f"shows/{id_of('Empty')}/next-up") == {"kind": "done", "episode": None}


async def test_what_was_begun_is_continued_where_it_stands(shelf: Shelf):
    await shelf.watch("Tides 1x01", "Tides 1x02")
    await shelf.watch("Tides 1x03", to=3000)
    assert await shelf.next_up("Tides") == ("continue", "Tides 1x03")
    found = await shelf.get(f"shows/{id_of('Tides')}/next-up")
    assert (found["episode"]["position_seconds"], found["episode"]["resume_position_seconds"]) == (3000, 3000)


async def test_after_the_episode_that_was_played_last_comes_the_next_one_also_of_the_next_season(shelf: Shelf):
    for watched, following in (("1x01", "1x02"), ("1x02", "1x03"), ("1x03", "2x01")):
        await shelf.watch(f"Tides {watched}")
        assert await shelf.next_up("Tides") == ("next", f"Tides {following}")
    await shelf.watch("Tides 2x01")
    assert await shelf.next_up("Tides") == ("done", None)


async def test_what_was_skipped_on_purpose_does_not_come_back(shelf: Shelf):
    await shelf.watch("Tides 1x01", "Tides 1x03")
    assert await shelf.next_up("Tides") == ("next", "Tides 2x01")


async def test_the_anchor_is_what_was_played_last_and_not_what_is_furthest(shelf: Shelf):
    await shelf.watch("Tides 1x03", "Tides 1x01")
    assert await shelf.next_up("Tides") == ("next", "Tides 1x02")


async def test_what_is_watched_already_is_passed_over_on_the_first_watching(shelf: Shelf):
    await shelf.player("Tides 1x02").mark(watched_at="2024-01-01T00:00:00Z")
    await shelf.watch("Tides 1x01")
    assert await shelf.next_up("Tides") == ("next", "Tides 1x03")


async def test_plays_of_an_unknown_time_are_the_oldest_and_the_highest_of_them_counts(shelf: Shelf):
    for name in ("Tides 1x02", "Tides 1x01"):
        await shelf.player(name).mark(watched_at=None)
    assert await shelf.next_up("Tides") == ("next", "Tides 1x03")
    await shelf.player("Tides 1x01").mark(watched_at="2001-01-01T00:00:00Z", new_play=True)
    assert await shelf.next_up("Tides") == ("rewatch", "Tides 1x02")


async def test_a_season_marked_at_one_time_goes_on_behind_its_last_episode(shelf: Shelf):
    await shelf.ask("PUT", f"playback/show/{id_of('Tides')}/season/1/watched")
    assert await shelf.next_up("Tides") == ("next", "Tides 2x01")


async def test_who_marks_a_show_as_not_watched_goes_on_behind_what_was_played_last(shelf: Shelf):
    await shelf.watch("Tides 1x01", "Tides 1x02")
    await shelf.ask("DELETE", f"playback/show/{id_of('Tides')}/watched")
    assert await shelf.next_up("Tides") == ("next", "Tides 1x03")


async def test_the_anchor_counts_even_if_its_file_is_gone(shelf: Shelf):
    await shelf.watch("Tides 1x01", "Tides 1x02")
    await shelf.remove("Tides 1x02")
    assert await shelf.next_up("Tides") == ("next", "Tides 1x03")


async def test_what_has_no_file_is_passed_over(shelf: Shelf):
    await shelf.watch("Tides 1x01")
    await shelf.remove("Tides 1x02")
    assert await shelf.next_up("Tides") == ("next", "Tides 1x03")


async def test_what_has_not_aired_comes_on_its_day(shelf: Shelf):
    await shelf.change("Tides 1x02", air_date="2025-11-09")
    await shelf.remove("Tides 1x03", "Tides 2x01")
    await shelf.watch("Tides 1x01")
    assert await shelf.next_up("Tides") == ("done", None)
    assert await shelf.cards() == []
    shelf.clock.advance(2 * HOUR_MS)
    assert await shelf.next_up("Tides") == ("next", "Tides 1x02")
    assert await shelf.cards() == [("Tides 1x02", "next")]


async def test_specials_neither_follow_nor_lead_but_one_that_was_begun_is_continued(shelf: Shelf):
    await shelf.add_show("Tides", "0x01", "0x02")
    await shelf.watch("Tides 1x01", "Tides 0x01")
    assert await shelf.next_up("Tides") == ("next", "Tides 1x02")
    await shelf.watch("Tides 0x02", to=3000)
    assert await shelf.next_up("Tides") == ("continue", "Tides 0x02")


async def test_after_a_file_with_several_episodes_comes_what_follows_its_last(shelf: Shelf):
    await shelf.change("Tides 1x01", episode_end=2)
    await shelf.watch("Tides 1x01")
    assert await shelf.next_up("Tides") == ("next", "Tides 1x03")
    assert [play["source"] for play in await shelf.player("Tides 1x02").plays()] == ["automatic"]


async def test_a_show_is_watched_once_more_from_its_anchor_on(shelf: Shelf):
    await shelf.watch("Tides 1x01", "Tides 1x02", "Tides 1x03", "Tides 2x01")
    assert await shelf.next_up("Tides") == ("done", None)
    shelf.clock.advance(DAY_MS)
    for watched, following in (("1x01", "1x02"), ("1x02", "1x03"), ("1x03", "2x01")):
        await shelf.watch(f"Tides {watched}", to=600)
        await shelf.watch(f"Tides {watched}")
        assert await shelf.next_up("Tides") == ("rewatch", f"Tides {following}")
    await shelf.watch("Tides 2x01", to=600)
    assert await shelf.next_up("Tides") == ("continue", "Tides 2x01")
    await shelf.watch("Tides 2x01")
    assert await shelf.next_up("Tides") == ("done", None)


async def test_episodes_that_have_dates_instead_of_numbers_follow_by_date(shelf: Shelf):
    await shelf.add_show("Daily", "1x01", "1x02", "1x03")
    for number, date in (("1x01", "2025-11-05"), ("1x02", "2025-11-07"), ("1x03", "2025-11-06")):
        await shelf.change(f"Daily {number}", season_number=None, episode_number=None, air_date=date)
    await shelf.watch("Daily 1x01")
    assert await shelf.next_up("Daily") == ("next", "Daily 1x03")
    await shelf.watch("Daily 1x03")
    assert await shelf.next_up("Daily") == ("next", "Daily 1x02")


async def test_the_watching_of_others_decides_nothing(shelf: Shelf):
    await shelf.player("Tides 1x02", shelf.world.admin).report(5400)
    assert await shelf.next_up("Tides") == ("start", "Tides 1x01")


# History


async def test_a_play_stands_in_the_history_with_its_item(shelf: Shelf):
    await shelf.watch("Tides 1x01")
    await shelf.player("Alien").mark()
    alien, tides = (await shelf.get("history"))["items"]
    assert (alien["source"], alien["watched_at"], alien["item"]["title"], alien["show"]) == (
        "marked",
        "2025-11-08T22:01:00Z",
        "Alien",
        None,
    )
    assert (tides["source"], tides["item"]["title"], tides["show"]["title"]) == ("automatic", "Tides 1x01", "Tides")
    (play,) = await shelf.player("Alien").plays()
    assert play == {name: alien[name] for name in ("id", "watched_at", "source")}


async def test_newest_plays_come_first_and_those_of_an_unknown_time_last(shelf: Shelf):
    await shelf.player("Casino").mark(watched_at=None)
    await shelf.watch("Alien", "Brazil")
    await shelf.player("Tides 1x01").mark(watched_at="1970-01-01T00:00:00Z")
    assert await shelf.history() == ["Brazil", "Alien", "Tides 1x01", "Casino"]


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
async def test_page_by_page_every_play_comes_once_in_the_same_order(shelf: Shelf, limit: int):
    await shelf.watch("Alien", "Brazil")
    for name in ("Casino", "Tides 1x01"):
        await shelf.player(name).mark(watched_at="2024-01-01T00:00:00Z")
    for name in ("Tides 1x02", "Tides 1x03", "Tides 2x01"):
        await shelf.player(name).mark(watched_at=None)
    whole = await shelf.pages("history")
    assert len(whole) == 7
    assert await shelf.pages("history", limit=limit) == whole


async def test_what_is_played_while_somebody_pages_moves_nothing(shelf: Shelf):
    await shelf.watch("Alien", "Brazil", "Casino")
    first = await shelf.get("history?limit=2")
    await shelf.watch("Tides 1x01")
    second = await shelf.get(f"history?limit=2&cursor={first['next_cursor']}")
    titles = [play["item"]["title"] for play in (*first["items"], *second["items"])]
    assert titles == ["Casino", "Brazil", "Alien"]
    assert second["next_cursor"] is None


async def test_what_was_removed_stays_in_the_history_and_says_so(shelf: Shelf):
    await shelf.watch("Alien")
    await shelf.remove("Alien")
    (play,) = (await shelf.get("history"))["items"]
    assert (play["item"]["title"], play["item"]["available"]) == ("Alien", False)


async def test_the_history_leaves_out_what_is_not_granted_and_not_ones_own(shelf: Shelf):
    await shelf.watch("Alien")
    other = Shelf(shelf.world, "Other")
    await other.open()
    await other.add_movies("Dune")
    await other.watch("Dune")
    await shelf.revoke()
    assert [play["item"]["title"] for play in await shelf.pages("history")] == ["Dune"]
    await shelf.grant()
    assert [play["item"]["title"] for play in await shelf.pages("history")] == ["Dune", "Alien"]
    assert (await shelf.get("history", headers=shelf.world.admin))["items"] == []


# What plays now


async def test_what_reports_is_playing_until_it_stops(shelf: Shelf):
    player = shelf.player("Tides 1x01")
    await player.report(1000, session_id="s1", device="Television", event="progress")
    (playing,) = (await shelf.get("now-playing"))["items"]
    assert (playing["item"]["title"], playing["show"]["title"]) == ("Tides 1x01", "Tides")
    assert (playing["event"], playing["device"], playing["session"]) == ("progress", "Television", "s1")
    assert (playing["position_seconds"], playing["duration_seconds"]) == (1000, 5400)
    assert "user" not in playing
    await player.report(1010, session_id="s1", event="stop")
    assert (await shelf.get("now-playing"))["items"] == []


async def test_what_is_silent_for_two_minutes_does_not_play_any_more(shelf: Shelf):
    await shelf.player("Alien").report(1000)
    shelf.clock.advance(2 * MINUTE_MS)
    assert len((await shelf.get("now-playing"))["items"]) == 1
    shelf.clock.advance(1)
    assert (await shelf.get("now-playing"))["items"] == []


async def test_what_was_played_offline_does_not_play_now(shelf: Shelf):
    await shelf.player("Alien").report(1000, observed_at="2025-11-08T21:00:00Z")
    assert (await shelf.get("now-playing"))["items"] == []


async def test_who_goes_back_to_a_point_does_not_play_yet(shelf: Shelf):
    await shelf.watch("Alien", to=3000)
    await shelf.watch("Alien", to=0)
    shelf.clock.advance(HOUR_MS)
    await shelf.player("Alien").restore(3000)
    assert (await shelf.get("now-playing"))["items"] == []


async def test_the_newest_report_stands_first(shelf: Shelf):
    for name in ("Alien", "Casino", "Brazil"):
        await shelf.player(name).report(1000)
        shelf.clock.advance(1000)
    titles = [each["item"]["title"] for each in (await shelf.get("now-playing"))["items"]]
    assert titles == ["Brazil", "Casino", "Alien"]


async def test_an_admin_may_see_what_everybody_plays_and_who(shelf: Shelf):
    admin = shelf.world.admin
    await shelf.player("Alien").report(1000)
    await shelf.player("Alien", admin).report(2000)
    mine = (await shelf.get("now-playing", headers=admin))["items"]
    assert [each["position_seconds"] for each in mine] == [2000]
    everybodys = (await shelf.get("now-playing?all=true", headers=admin))["items"]
    assert {(each["user"], each["position_seconds"]) for each in everybodys} == {("member", 1000), ("admin", 2000)}
    assert (await shelf.get("now-playing?all=false", headers=admin))["items"] == mine


async def test_a_member_sees_what_is_their_own_and_granted(shelf: Shelf):
    await shelf.player("Alien").report(1000)
    refused = await shelf.ask("GET", "now-playing?all=true")
    assert (refused.status_code, refused.json()["error"]) == (403, "Access denied")
    assert (await shelf.get("now-playing", headers=shelf.world.stranger))["items"] == []
    await shelf.revoke()
    assert (await shelf.get("now-playing"))["items"] == []
    assert len((await shelf.get("now-playing?all=true", headers=shelf.world.admin))["items"]) == 1


# Everything, for who synchronises


async def changed(shelf: Shelf, query: str = "", *, limit: int = 500) -> list[tuple[str, int]]:
    """Return name and version of what was changed, in the order of the list."""
    return [
        (shelf.name(each["id"]), each["version"]) for each in await shelf.pages("playback", limit=limit, query=query)
    ]


async def test_an_entry_has_what_a_client_needs_to_show_and_to_go_on(shelf: Shelf):
    await shelf.player("Alien").report(1250, observed_at="2025-11-08T20:00:00Z")
    assert (await shelf.get("playback"))["items"] == [
        {
            "id": id_of("Alien"),
            "kind": "movie",
            "position_seconds": 1250,
            "duration_seconds": 5400,
            "completion_percentage": 23.15,
            "watched": False,
            "last_watched_at": "2025-11-08T20:00:00Z",
            "resume_position_seconds": 1250,
            "version": 1,
            "changed_at": "2025-11-08T22:00:00Z",
        }
    ]


async def test_everything_stands_in_the_order_of_the_changes(shelf: Shelf):
    await shelf.watch("Casino", "Alien", "Tides 1x01", "Casino", to=3000)
    await shelf.player("Brazil").mark(watched_at=None)
    assert await changed(shelf) == [("Alien", 1), ("Tides 1x01", 1), ("Casino", 2), ("Brazil", 1)]


async def test_what_was_changed_since_a_time_includes_that_time(shelf: Shelf):
    await shelf.watch("Casino", "Alien", "Brazil", to=3000)
    assert await changed(shelf, "&changed_since=2025-11-08T22:01:00Z") == [("Alien", 1), ("Brazil", 1)]
    assert await changed(shelf, "&changed_since=2025-11-08T23:01:00.001%2B01:00") == [("Brazil", 1)]
    assert len(await changed(shelf, "&changed_since=1900-01-01T00:00:00Z")) == 3
    assert await changed(shelf, "&changed_since=2025-11-09T00:00:00Z") == []


async def test_what_a_late_report_changed_is_told_by_when_the_server_learned_of_it(shelf: Shelf):
    await shelf.watch("Alien", to=3000)
    since = "&changed_since=2025-11-08T22:01:00Z"
    await shelf.watch("Alien", to=100, observed_at="2025-11-08T20:00:00Z")
    assert await changed(shelf, since) == []
    await shelf.watch("Alien", observed_at="2025-11-08T20:00:00Z")
    assert await changed(shelf, since) == [("Alien", 2)]


async def test_only_what_is_watched_or_only_what_is_not(shelf: Shelf):
    await shelf.watch("Alien", "Tides 1x01")
    await shelf.watch("Brazil", to=3000)
    assert await changed(shelf, "&watched=true") == [("Alien", 1), ("Tides 1x01", 1)]
    assert await changed(shelf, "&watched=false") == [("Brazil", 1)]


@pytest.mark.parametrize("limit", [1, 2, 3, 4])
async def test_page_by_page_everything_comes_once(shelf: Shelf, limit: int):
    for name in ("Alien", "Brazil", "Casino", "Tides 1x01"):  # all of one moment
        await shelf.player(name).report(3000)
    whole = await changed(shelf)
    assert len(whole) == 4
    assert await changed(shelf, limit=limit) == whole


async def test_what_is_changed_while_a_client_pages_comes_again_at_the_end(shelf: Shelf):
    await shelf.watch("Alien", "Brazil", "Casino", to=3000)
    first = await shelf.get("playback?limit=2")
    await shelf.watch("Alien", to=3100)
    second = await shelf.get(f"playback?limit=2&cursor={first['next_cursor']}")
    assert [each["id"] for each in second["items"]] == [id_of("Casino"), id_of("Alien")]


async def test_what_was_forgotten_is_not_there_any_more(shelf: Shelf):
    await shelf.watch("Alien", "Brazil", to=3000)
    await shelf.player("Alien").forget()
    assert await changed(shelf) == [("Brazil", 1)]


async def test_what_lost_its_file_stays(shelf: Shelf):
    await shelf.watch("Alien", to=3000)
    await shelf.remove("Alien")
    assert await changed(shelf) == [("Alien", 1)]


async def test_it_is_ones_own_and_granted(shelf: Shelf):
    await shelf.watch("Alien", to=3000)
    assert (await shelf.get("playback", headers=shelf.world.admin))["items"] == []
    await shelf.revoke()
    assert await changed(shelf) == []
    await shelf.grant()
    assert await changed(shelf) == [("Alien", 1)]


# What is asked for wrongly

NO_CURSOR = [
    "nonsense",
    "e30",
    "bnVsbA",
    "WzEsMl0",
    "WzEsIngiXQ",
    "Wy0yLCI5OTk5OTk5OS05OTk5LTQ5OTktODk5OS05OTk5OTk5OTk5OTkiXQ",
]


@pytest.mark.parametrize(
    ("path", "member"),
    [
        *((f"{path}?cursor={cursor}", "cursor") for path in ("history", "playback") for cursor in NO_CURSOR),
        *((f"{path}?limit={limit}", "limit") for path in ("history", "playback") for limit in ("0", "501", "x")),
        *((f"playback?changed_since={time}", "changed_since") for time in ("0.5", "1762639200", "2025-11-08", "now")),
        ("playback?changed_since=2025-11-08T22:00:00", "changed_since"),
        ("playback?watched=maybe", "watched"),
        ("now-playing?all=maybe", "all"),
        ("now-playing?all=true&all=false", "all"),
    ],
)
async def test_what_is_asked_for_wrongly_is_told_by_its_member(shelf: Shelf, path: str, member: str):
    response = await shelf.ask("GET", path)
    answer: dict[str, Any] = response.json()
    assert (response.status_code, answer["error"], [*answer["details"]]) == (422, "Invalid data", [member])
