"""Next up, history, now playing, and the list of all changes, over HTTP."""

from typing import Any

import pytest

from sample_library import DAY_MS, HOUR_MS, MINUTE_MS, SampleLibrary, id_of
from world import World

pytestmark = [pytest.mark.anyio, pytest.mark.both_engines]


@pytest.fixture
async def library(world: World) -> SampleLibrary:
    """Three movies, and a show with two seasons."""
    library = SampleLibrary(world)
    await library.open()
    await library.add_movies("Alien", "Brazil", "Casino")
    await library.add_show("Tides", "1x01", "1x02", "1x03", "2x01")
    return library


# Next up


async def test_a_show_that_was_never_started_starts_with_its_first_episode(library: SampleLibrary):
    found = await library.get(f"shows/{id_of('Tides')}/next-up")
    assert found["kind"] == "start"
    episode = found["episode"]
    assert (episode["item"]["id"], episode["show"]["id"]) == (id_of("Tides 1x01"), id_of("Tides"))
    assert (episode["position_seconds"], episode["watched"], episode["last_watched_at"]) == (0, False, None)


async def test_a_show_without_episodes_is_done(library: SampleLibrary):
    await library.add_show("Empty")
    assert await library.get(f"shows/{id_of('Empty')}/next-up") == {"kind": "done", "episode": None}


async def test_a_started_episode_is_continued_at_its_position(library: SampleLibrary):
    await library.watch("Tides 1x01", "Tides 1x02")
    await library.watch("Tides 1x03", to=3000)
    assert await library.next_up("Tides") == ("continue", "Tides 1x03")
    found = await library.get(f"shows/{id_of('Tides')}/next-up")
    assert (found["episode"]["position_seconds"], found["episode"]["resume_position_seconds"]) == (3000, 3000)


async def test_the_next_episode_follows_the_one_played_last_across_seasons(
    library: SampleLibrary,
):
    for watched, following in (("1x01", "1x02"), ("1x02", "1x03"), ("1x03", "2x01")):
        await library.watch(f"Tides {watched}")
        assert await library.next_up("Tides") == ("next", f"Tides {following}")
    await library.watch("Tides 2x01")
    assert await library.next_up("Tides") == ("done", None)


async def test_deliberately_skipped_episodes_are_not_offered(library: SampleLibrary):
    await library.watch("Tides 1x01", "Tides 1x03")
    assert await library.next_up("Tides") == ("next", "Tides 2x01")


async def test_the_anchor_is_the_episode_played_last_and_not_the_furthest(library: SampleLibrary):
    await library.watch("Tides 1x03", "Tides 1x01")
    assert await library.next_up("Tides") == ("next", "Tides 1x02")


async def test_watched_episodes_are_skipped_on_the_first_viewing(library: SampleLibrary):
    await library.player("Tides 1x02").mark(watched_at="2024-01-01T00:00:00Z")
    await library.watch("Tides 1x01")
    assert await library.next_up("Tides") == ("next", "Tides 1x03")


async def test_undated_plays_are_the_oldest_and_the_highest_number_counts(library: SampleLibrary):
    for name in ("Tides 1x02", "Tides 1x01"):
        await library.player(name).mark(watched_at=None)
    assert await library.next_up("Tides") == ("next", "Tides 1x03")
    await library.player("Tides 1x01").mark(watched_at="2001-01-01T00:00:00Z", new_play=True)
    assert await library.next_up("Tides") == ("rewatch", "Tides 1x02")


async def test_a_season_marked_at_one_time_continues_after_its_last_episode(library: SampleLibrary):
    await library.ask("PUT", f"playback/show/{id_of('Tides')}/season/1/watched")
    assert await library.next_up("Tides") == ("next", "Tides 2x01")


async def test_a_show_marked_as_unwatched_continues_after_the_episode_played_last(library: SampleLibrary):
    await library.watch("Tides 1x01", "Tides 1x02")
    await library.ask("DELETE", f"playback/show/{id_of('Tides')}/watched")
    assert await library.next_up("Tides") == ("next", "Tides 1x03")


async def test_the_anchor_counts_even_if_its_file_is_gone(library: SampleLibrary):
    await library.watch("Tides 1x01", "Tides 1x02")
    await library.remove("Tides 1x02")
    assert await library.next_up("Tides") == ("next", "Tides 1x03")


async def test_an_episode_without_a_file_is_skipped(library: SampleLibrary):
    await library.watch("Tides 1x01")
    await library.remove("Tides 1x02")
    assert await library.next_up("Tides") == ("next", "Tides 1x03")


async def test_an_episode_appears_on_its_air_date(library: SampleLibrary):
    await library.change("Tides 1x02", air_date="2025-11-09")
    await library.remove("Tides 1x03", "Tides 2x01")
    await library.watch("Tides 1x01")
    assert await library.next_up("Tides") == ("done", None)
    assert await library.cards() == []
    library.clock.advance(2 * HOUR_MS)
    assert await library.next_up("Tides") == ("next", "Tides 1x02")
    assert await library.cards() == [("Tides 1x02", "next")]


async def test_specials_are_neither_anchor_nor_next_but_a_started_one_is_continued(library: SampleLibrary):
    await library.add_show("Tides", "0x01", "0x02")
    await library.watch("Tides 1x01", "Tides 0x01")
    assert await library.next_up("Tides") == ("next", "Tides 1x02")
    await library.watch("Tides 0x02", to=3000)
    assert await library.next_up("Tides") == ("continue", "Tides 0x02")


async def test_a_file_with_several_episodes_is_followed_by_the_one_after_its_last(library: SampleLibrary):
    await library.change("Tides 1x01", episode_end=2)
    await library.watch("Tides 1x01")
    assert await library.next_up("Tides") == ("next", "Tides 1x03")
    assert [play["source"] for play in await library.player("Tides 1x02").plays()] == ["automatic"]


async def test_a_rewatch_continues_from_its_anchor(library: SampleLibrary):
    await library.watch("Tides 1x01", "Tides 1x02", "Tides 1x03", "Tides 2x01")
    assert await library.next_up("Tides") == ("done", None)
    library.clock.advance(DAY_MS)
    for watched, following in (("1x01", "1x02"), ("1x02", "1x03"), ("1x03", "2x01")):
        await library.watch(f"Tides {watched}", to=600)
        await library.watch(f"Tides {watched}")
        assert await library.next_up("Tides") == ("rewatch", f"Tides {following}")
    await library.watch("Tides 2x01", to=600)
    assert await library.next_up("Tides") == ("continue", "Tides 2x01")
    await library.watch("Tides 2x01")
    assert await library.next_up("Tides") == ("done", None)


async def test_episodes_with_dates_instead_of_numbers_are_ordered_by_date(library: SampleLibrary):
    await library.add_show("Daily", "1x01", "1x02", "1x03")
    for number, date in (("1x01", "2025-11-05"), ("1x02", "2025-11-07"), ("1x03", "2025-11-06")):
        await library.change(f"Daily {number}", season_number=None, episode_number=None, air_date=date)
    await library.watch("Daily 1x01")
    assert await library.next_up("Daily") == ("next", "Daily 1x03")
    await library.watch("Daily 1x03")
    assert await library.next_up("Daily") == ("next", "Daily 1x02")


async def test_other_users_plays_make_no_difference(library: SampleLibrary):
    await library.player("Tides 1x02", library.world.admin).report(5400)
    assert await library.next_up("Tides") == ("start", "Tides 1x01")


# History


async def test_a_play_is_in_the_history_with_its_item(library: SampleLibrary):
    await library.watch("Tides 1x01")
    await library.player("Alien").mark()
    alien, tides = (await library.get("history"))["items"]
    assert (alien["source"], alien["watched_at"], alien["item"]["title"], alien["show"]) == (
        "marked",
        "2025-11-08T22:01:00Z",
        "Alien",
        None,
    )
    assert (tides["source"], tides["item"]["title"], tides["show"]["title"]) == ("automatic", "Tides 1x01", "Tides")
    (play,) = await library.player("Alien").plays()
    assert play == {name: alien[name] for name in ("id", "watched_at", "source")}


async def test_the_newest_plays_come_first_and_undated_ones_last(library: SampleLibrary):
    await library.player("Casino").mark(watched_at=None)
    await library.watch("Alien", "Brazil")
    await library.player("Tides 1x01").mark(watched_at="1970-01-01T00:00:00Z")
    assert await library.history() == ["Brazil", "Alien", "Tides 1x01", "Casino"]


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
async def test_every_play_is_on_exactly_one_page_in_the_same_order(library: SampleLibrary, limit: int):
    await library.watch("Alien", "Brazil")
    for name in ("Casino", "Tides 1x01"):
        await library.player(name).mark(watched_at="2024-01-01T00:00:00Z")
    for name in ("Tides 1x02", "Tides 1x03", "Tides 2x01"):
        await library.player(name).mark(watched_at=None)
    whole = await library.pages("history")
    assert len(whole) == 7
    assert await library.pages("history", limit=limit) == whole


async def test_plays_added_during_paging_move_nothing(library: SampleLibrary):
    await library.watch("Alien", "Brazil", "Casino")
    first = await library.get("history?limit=2")
    await library.watch("Tides 1x01")
    second = await library.get(f"history?limit=2&cursor={first['next_cursor']}")
    titles = [play["item"]["title"] for play in (*first["items"], *second["items"])]
    assert titles == ["Casino", "Brazil", "Alien"]
    assert second["next_cursor"] is None


async def test_removed_items_stay_in_the_history_and_are_marked(library: SampleLibrary):
    await library.watch("Alien")
    await library.remove("Alien")
    (play,) = (await library.get("history"))["items"]
    assert (play["item"]["title"], play["item"]["available"]) == ("Alien", False)


async def test_the_history_excludes_other_users_and_libraries_without_a_grant(library: SampleLibrary):
    await library.watch("Alien")
    other = SampleLibrary(library.world, "Other")
    await other.open()
    await other.add_movies("Dune")
    await other.watch("Dune")
    await library.revoke()
    assert [play["item"]["title"] for play in await library.pages("history")] == ["Dune"]
    await library.grant()
    assert [play["item"]["title"] for play in await library.pages("history")] == ["Dune", "Alien"]
    assert (await library.get("history", headers=library.world.admin))["items"] == []


# Now playing


async def test_an_item_is_playing_from_a_report_until_it_stops(library: SampleLibrary):
    player = library.player("Tides 1x01")
    await player.report(1000, session_id="s1", device="Television", event="progress")
    (playing,) = (await library.get("now-playing"))["items"]
    assert (playing["item"]["title"], playing["show"]["title"]) == ("Tides 1x01", "Tides")
    assert (playing["event"], playing["device"], playing["session"]) == ("progress", "Television", "s1")
    assert (playing["position_seconds"], playing["duration_seconds"]) == (1000, 5400)
    assert "user" not in playing
    await player.report(1010, session_id="s1", event="stop")
    assert (await library.get("now-playing"))["items"] == []


async def test_an_item_without_reports_for_two_minutes_is_not_playing(library: SampleLibrary):
    await library.player("Alien").report(1000)
    library.clock.advance(2 * MINUTE_MS)
    assert len((await library.get("now-playing"))["items"]) == 1
    library.clock.advance(1)
    assert (await library.get("now-playing"))["items"] == []


async def test_a_viewing_reported_later_from_offline_is_not_playing_now(library: SampleLibrary):
    await library.player("Alien").report(1000, observed_at="2025-11-08T21:00:00Z")
    assert (await library.get("now-playing"))["items"] == []


async def test_restoring_a_kept_point_is_not_playing(library: SampleLibrary):
    await library.watch("Alien", to=3000)
    await library.watch("Alien", to=0)
    library.clock.advance(HOUR_MS)
    await library.player("Alien").restore(3000)
    assert (await library.get("now-playing"))["items"] == []


async def test_the_newest_report_comes_first(library: SampleLibrary):
    for name in ("Alien", "Casino", "Brazil"):
        await library.player(name).report(1000)
        library.clock.advance(1000)
    titles = [each["item"]["title"] for each in (await library.get("now-playing"))["items"]]
    assert titles == ["Brazil", "Casino", "Alien"]


async def test_an_admin_may_see_what_everybody_is_playing(library: SampleLibrary):
    admin = library.world.admin
    await library.player("Alien").report(1000)
    await library.player("Alien", admin).report(2000)
    mine = (await library.get("now-playing", headers=admin))["items"]
    assert [each["position_seconds"] for each in mine] == [2000]
    everybodys = (await library.get("now-playing?all=true", headers=admin))["items"]
    assert {(each["user"], each["position_seconds"]) for each in everybodys} == {("member", 1000), ("admin", 2000)}
    assert (await library.get("now-playing?all=false", headers=admin))["items"] == mine


async def test_a_member_sees_only_their_own_in_granted_libraries(library: SampleLibrary):
    await library.player("Alien").report(1000)
    refused = await library.ask("GET", "now-playing?all=true")
    assert (refused.status_code, refused.json()["error"]) == (403, "Access denied")
    assert (await library.get("now-playing", headers=library.world.stranger))["items"] == []
    await library.revoke()
    assert (await library.get("now-playing"))["items"] == []
    assert len((await library.get("now-playing?all=true", headers=library.world.admin))["items"]) == 1


# All changes, for clients that synchronise


async def changed(library: SampleLibrary, query: str = "", *, limit: int = 500) -> list[tuple[str, int]]:
    """Return name and version of what was changed, in the order of the list."""
    return [
        (library.name(each["id"]), each["version"])
        for each in await library.pages("playback", limit=limit, query=query)
    ]


async def test_an_entry_has_what_a_client_needs_to_show_and_resume_it(library: SampleLibrary):
    await library.player("Alien").report(1250, observed_at="2025-11-08T20:00:00Z")
    assert (await library.get("playback"))["items"] == [
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


async def test_entries_are_in_the_order_of_their_changes(library: SampleLibrary):
    await library.watch("Casino", "Alien", "Tides 1x01", "Casino", to=3000)
    await library.player("Brazil").mark(watched_at=None)
    assert await changed(library) == [("Alien", 1), ("Tides 1x01", 1), ("Casino", 2), ("Brazil", 1)]


async def test_changed_since_includes_the_given_time(library: SampleLibrary):
    await library.watch("Casino", "Alien", "Brazil", to=3000)
    assert await changed(library, "&changed_since=2025-11-08T22:01:00Z") == [("Alien", 1), ("Brazil", 1)]
    assert await changed(library, "&changed_since=2025-11-08T23:01:00.001%2B01:00") == [("Brazil", 1)]
    assert len(await changed(library, "&changed_since=1900-01-01T00:00:00Z")) == 3
    assert await changed(library, "&changed_since=2025-11-09T00:00:00Z") == []


async def test_the_change_of_a_late_report_counts_from_its_arrival(library: SampleLibrary):
    await library.watch("Alien", to=3000)
    since = "&changed_since=2025-11-08T22:01:00Z"
    await library.watch("Alien", to=100, observed_at="2025-11-08T20:00:00Z")
    assert await changed(library, since) == []
    await library.watch("Alien", observed_at="2025-11-08T20:00:00Z")
    assert await changed(library, since) == [("Alien", 2)]


async def test_the_list_can_be_filtered_by_watched(library: SampleLibrary):
    await library.watch("Alien", "Tides 1x01")
    await library.watch("Brazil", to=3000)
    assert await changed(library, "&watched=true") == [("Alien", 1), ("Tides 1x01", 1)]
    assert await changed(library, "&watched=false") == [("Brazil", 1)]


@pytest.mark.parametrize("limit", [1, 2, 3, 4])
async def test_every_entry_is_on_exactly_one_page(library: SampleLibrary, limit: int):
    for name in ("Alien", "Brazil", "Casino", "Tides 1x01"):  # all at the same instant
        await library.player(name).report(3000)
    whole = await changed(library)
    assert len(whole) == 4
    assert await changed(library, limit=limit) == whole


async def test_an_entry_that_changes_during_paging_is_repeated_at_the_end(library: SampleLibrary):
    await library.watch("Alien", "Brazil", "Casino", to=3000)
    first = await library.get("playback?limit=2")
    await library.watch("Alien", to=3100)
    second = await library.get(f"playback?limit=2&cursor={first['next_cursor']}")
    assert [each["id"] for each in second["items"]] == [id_of("Casino"), id_of("Alien")]


async def test_forgotten_items_disappear(library: SampleLibrary):
    await library.watch("Alien", "Brazil", to=3000)
    await library.player("Alien").forget()
    assert await changed(library) == [("Brazil", 1)]


async def test_items_that_lost_their_file_stay(library: SampleLibrary):
    await library.watch("Alien", to=3000)
    await library.remove("Alien")
    assert await changed(library) == [("Alien", 1)]


async def test_the_list_contains_only_ones_own_items_in_granted_libraries(library: SampleLibrary):
    await library.watch("Alien", to=3000)
    assert (await library.get("playback", headers=library.world.admin))["items"] == []
    await library.revoke()
    assert await changed(library) == []
    await library.grant()
    assert await changed(library) == [("Alien", 1)]


# Faulty queries

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
async def test_a_faulty_query_is_refused_by_member(library: SampleLibrary, path: str, member: str):
    response = await library.ask("GET", path)
    answer: dict[str, Any] = response.json()
    assert (response.status_code, answer["error"], [*answer["details"]]) == (422, "Invalid data", [member])
