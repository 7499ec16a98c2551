"""Watch state over HTTP: the whole state, marks, plays, kept points, forgetting; for items, shows and seasons."""

import json
from typing import Any

import pytest
from sqlalchemy import Connection, insert, update

from player import Player
from playhead.storage import schema
from world import EPISODE, LIBRARY, MOVIE, NOWHERE, RUNTIME_MS, SHOW, World, insert_items

pytestmark = [pytest.mark.anyio, pytest.mark.both_engines]

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

UNAIRED = "33333333-3333-4333-8333-333333333304"


def episode_id(season: int, number: int) -> str:
    return f"33333333-3333-4333-8333-33333333{season}{number:03}"


async def add_episodes(world: World) -> None:
    """Add S01E02, S01E03, S02E01, a special, and S02E02, which airs tomorrow, to the show, which has S01E01."""

    def add(connection: Connection) -> None:
        for season, number, air_date in ((1, 2, None), (1, 3, "2025-11-08"), (2, 1, None), (0, 1, None)):
            insert_items(connection, [row(episode_id(season, number), season, number, air_date)])
        insert_items(connection, [row(UNAIRED, 2, 2, "2025-11-09")])

    def row(item_id: str, season: int, number: int, air_date: str | None) -> dict[str, Any]:
        names = dict.fromkeys(("title", "sort_title", "search_title"), "") | {"identity": item_id}
        return names | {
            "id": item_id,
            "library_id": LIBRARY,
            "kind": "episode",
            "show_id": SHOW,
            "season_number": season,
            "episode_number": number,
            "air_date": air_date,
            "runtime_ms": RUNTIME_MS,
            "added_at": 0,
        }

    await world.playhead.installation.database.write(add)


async def disappear(world: World, removed_at: int | None) -> None:
    """Make all files disappear, or with None come back."""
    holdings = update(schema.holding).values(removed_at=removed_at)
    await world.playhead.installation.database.write(lambda connection: connection.execute(holdings))


def episode(world: World, item_id: str = EPISODE) -> Player:
    return Player(world, item_id, kind="episode")


def show(world: World) -> Player:
    return Player(world, SHOW, kind="show")


# The whole state


async def test_the_state_of_an_untouched_item_is_complete_with_version_0(stocked: World):
    assert await Player(stocked).state() == {
        "position_seconds": 0,
        "duration_seconds": None,
        "completion_percentage": 0,
        "watched": False,
        "last_watched_at": None,
        "resume_position_seconds": 0,
        "play_count": 0,
        "last_played_at": None,
        "session": None,
        "device": None,
        "hidden": False,
        "version": 0,
        "files": [],
    }


async def test_the_state_says_who_is_playing_and_where_to_resume(stocked: World):
    player = Player(stocked)
    await player.report(1000, session_id="s1", device="Phone", event="start")
    await player.report(3000, session_id="s1", device="Phone")
    assert await player.state() == {
        "position_seconds": 3000,
        "duration_seconds": 5400,
        "completion_percentage": 55.56,
        "watched": False,
        "last_watched_at": "2025-11-08T22:00:00Z",
        "resume_position_seconds": 3000,
        "play_count": 0,
        "last_played_at": None,
        "session": "s1",
        "device": "Phone",
        "hidden": False,
        "version": 2,
        "files": [],
    }


async def put_files(world: World, *files: tuple[str, int, int | None], **columns: object) -> None:
    """Give the film these files: id, seconds, part."""
    facts = [[name, LIBRARY, length * 1000, None, part, MOVIE, None] for name, length, part in files]
    text = json.dumps(facts, separators=(",", ":"))
    change = update(schema.item).where(schema.item.c.id == MOVIE).values(files=text, **columns)
    await world.playhead.installation.database.write(lambda connection: connection.execute(change) and None)


async def starts(world: World, headers: dict[str, str] | None = None) -> dict[str, float | None]:
    state = await Player(world, headers=headers).state()
    return {file["id"]: file["resume_position_seconds"] for file in state["files"]}


async def test_the_state_says_where_each_version_resumes(stocked: World):
    await put_files(stocked, ("long", 600, None), ("short", 540, None), runtime_ms=540_000)
    player = Player(stocked)
    assert await starts(stocked) == {"long": 0, "short": 0}
    await player.report(500, 600, file_id="long")
    assert await starts(stocked) == {"long": 500, "short": 459}
    await player.report(595, 600, file_id="long")
    assert await starts(stocked) == {"long": 0, "short": 0}
    assert await starts(stocked, stocked.admin) == {"long": 0, "short": 0}


async def test_the_state_says_in_which_part_a_film_resumes(stocked: World):
    await put_files(stocked, ("cd1", 60, 1), ("cd2", 60, 2), runtime_ms=120_000)
    await Player(stocked).report(30, 60, file_id="cd2")
    state = await Player(stocked).state()
    assert state["resume_position_seconds"] == 90
    assert state["files"] == [
        {"id": "cd1", "part": 1, "resume_position_seconds": None},
        {"id": "cd2", "part": 2, "resume_position_seconds": 30},
    ]


async def test_a_film_left_in_its_credits_is_finished_in_that_cut_only(stocked: World):
    await put_files(stocked, ("long", 9900, None), ("short", 7200, None), runtime_ms=7200_000, credits_ms=6000_000)
    player = Player(stocked)
    await player.report(6100, 7200)
    assert (await player.state())["resume_position_seconds"] == 0
    await player.report(6100, 9900)
    assert (await player.state())["resume_position_seconds"] == 6100


async def test_a_finished_film_resumes_at_its_beginning(stocked: World):
    player = Player(stocked)
    await player.report(5300)
    state = await player.state()
    assert (state["position_seconds"], state["resume_position_seconds"]) == (5300, 0)
    assert (state["play_count"], state["last_played_at"]) == (1, "2025-11-08T22:00:00Z")


async def test_a_hidden_item_is_hidden_until_the_next_activity(stocked: World):
    player = Player(stocked)
    await player.report(3000)
    await hide(stocked, MOVIE)
    assert (await player.state())["hidden"]
    stocked.clock.advance(MINUTE_MS)
    await player.report(3060)
    assert not (await player.state())["hidden"]


async def test_an_episode_is_hidden_with_its_show_until_any_of_its_episodes_is_watched(stocked: World):
    await add_episodes(stocked)
    await episode(stocked).report(3000)
    await hide(stocked, SHOW)
    assert (await episode(stocked).state())["hidden"]
    stocked.clock.advance(MINUTE_MS)
    await episode(stocked, episode_id(1, 2)).report(3000)
    assert not (await episode(stocked).state())["hidden"]


async def hide(world: World, item_id: str) -> None:
    row = {"user_id": world.user_ids["member"], "item_id": item_id, "hidden_at": world.clock()}
    await world.playhead.installation.database.write(lambda c: c.execute(insert(schema.list_state).values(row)))


# Watched and not watched


async def test_an_item_that_was_never_played_can_be_marked(stocked: World):
    state = await Player(stocked).mark()
    assert (state["watched"], state["play_count"]) == (True, 1)
    assert state["last_played_at"] == "2025-11-08T22:00:00Z"
    assert state["last_watched_at"] is None
    assert await Player(stocked).state() == state


async def test_the_frozen_read_shows_a_mark(stocked: World):
    player = Player(stocked)
    await player.mark()
    assert await player.get("GET") == {
        "position_seconds": 0,
        "duration_seconds": None,
        "completion_percentage": 0,
        "watched": True,
    }


async def test_a_mark_needs_no_body(stocked: World):
    url = f"/api/v1/playback/movie/{MOVIE}/watched"
    response = await stocked.client.put(url, headers=stocked.member)
    assert response.json()["last_played_at"] == "2025-11-08T22:00:00Z"


async def test_a_mark_may_have_a_time(stocked: World):
    await Player(stocked).mark(watched_at="2024-03-01T22:10:00+01:00")
    (play,) = await Player(stocked).plays()
    assert (play["watched_at"], play["source"]) == ("2024-03-01T21:10:00Z", "marked")


async def test_a_mark_may_have_an_unknown_time(stocked: World):
    state = await Player(stocked).mark(watched_at=None)
    assert (state["watched"], state["play_count"], state["last_played_at"]) == (True, 1, None)
    assert [play["watched_at"] for play in await Player(stocked).plays()] == [None]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("2031-01-01T00:00:00Z", "2025-11-08T22:00:00Z"),
        ("9999-12-31T23:59:59-12:00", "2025-11-08T22:00:00Z"),
        ("0001-01-01T00:00:00+14:00", "1970-01-01T00:00:00Z"),
    ],
)
async def test_a_mark_is_neither_in_the_future_nor_before_1970(stocked: World, given: str, kept: str):
    await Player(stocked).mark(watched_at=given)
    assert [play["watched_at"] for play in await Player(stocked).plays()] == [kept]


async def test_marking_twice_counts_once_unless_a_new_play_is_requested(stocked: World):
    player = Player(stocked)
    first = await player.mark()
    stocked.clock.advance(DAY_MS)
    assert await player.mark() == first
    again = await player.mark(new_play=True)
    assert (again["play_count"], again["last_played_at"]) == (2, "2025-11-09T22:00:00Z")


async def test_a_mark_resets_the_position_and_keeps_the_point(stocked: World):
    player = Player(stocked)
    await player.report(3000, device="Phone")
    state = await player.mark()
    assert (state["position_seconds"], state["watched"], state["resume_position_seconds"]) == (0, True, 0)
    (point,) = await player.positions()
    assert point == {
        "id": point["id"],
        "position_seconds": 3000,
        "kept_at": "2025-11-08T22:00:00Z",
        "device": "Phone",
    }


@pytest.mark.parametrize(
    ("body", "member"),
    [({"watched_at": "yesterday"}, "watched_at"), ({"watched_at": 5}, "watched_at"), ({"new_play": 1}, "new_play")],
)
async def test_a_faulty_mark_is_refused_by_its_member(stocked: World, body: dict[str, object], member: str):
    response = await Player(stocked).ask("PUT", "/watched", body)
    assert response.status_code == 422
    assert [*response.json()["details"]] == [member]
    assert (await Player(stocked).state())["version"] == 0


async def test_unwatched_removes_mark_and_position_and_keeps_the_plays(stocked: World):
    player = Player(stocked)
    await player.report(5000)
    state = await player.unwatch()
    assert (state["watched"], state["position_seconds"], state["play_count"]) == (False, 0, 1)
    assert await player.state() == state


async def test_unwatched_is_harmless_without_saved_state(stocked: World):
    assert (await Player(stocked).unwatch())["version"] == 0


async def test_a_mark_by_hand_is_not_taken_back_by_a_session(stocked: World):
    player = Player(stocked)
    await stocked.playhead.installation.database.write(lambda c: c.execute(update(schema.item).values(runtime_ms=None)))
    await player.report(28, 30, session_id="A")
    await player.mark(new_play=True)
    await player.report(60, 300, session_id="A")
    assert (await player.state())["watched"]


# Plays


async def test_plays_are_listed_newest_first_and_undated_ones_last(stocked: World):
    player = Player(stocked)
    await player.mark(watched_at=None)
    await player.mark(watched_at="2020-01-01T00:00:00Z", new_play=True)
    for position in (600, 5000):
        await player.report(position)
    found = [(play["watched_at"], play["source"]) for play in await player.plays()]
    assert found == [
        ("2025-11-08T22:00:00Z", "automatic"),
        ("2020-01-01T00:00:00Z", "marked"),
        (None, "marked"),
    ]


async def test_a_removed_play_is_gone_and_the_item_stays_watched(stocked: World):
    player = Player(stocked)
    await player.report(5000)
    (play,) = await player.plays()
    assert (await player.ask("DELETE", f"/plays/{play['id']}")).status_code == 204
    state = await player.state()
    assert (state["play_count"], state["watched"]) == (0, True)
    again = await player.ask("DELETE", f"/plays/{play['id']}")
    assert (again.status_code, again.json()["error"]) == (404, "Play not found")


async def test_nobody_removes_another_users_play(stocked: World):
    player, admin = Player(stocked), Player(stocked, headers=stocked.admin)
    await player.report(5000)
    (play,) = await player.plays()
    assert (await admin.ask("DELETE", f"/plays/{play['id']}")).status_code == 404
    assert await player.plays() == [play]


# Kept points


async def test_a_viewer_who_fell_asleep_can_restore_the_position(stocked: World):
    player = Player(stocked)
    await player.report(1800, device="Television")
    stocked.clock.advance(HOUR_MS)
    await player.report(5000)
    stocked.clock.advance(12 * HOUR_MS)
    state = await player.restore(1800)
    assert (state["position_seconds"], state["resume_position_seconds"]) == (1800, 1800)
    assert state["last_watched_at"] == "2025-11-09T11:00:00Z"
    assert (state["watched"], state["play_count"], state["session"]) == (True, 1, None)
    assert [point["position_seconds"] for point in await player.positions()] == [1800]


async def test_the_replaced_point_is_kept_too_and_the_newest_comes_first(stocked: World):
    player = Player(stocked)
    for position in (3000, 1000):
        await player.report(position)
        stocked.clock.advance(MINUTE_MS)
    await player.restore(3000)
    assert [point["position_seconds"] for point in await player.positions()] == [1000, 3000]


@pytest.mark.parametrize("position_id", [NOWHERE, "nonsense"])
async def test_a_point_that_was_not_kept_cannot_be_restored(stocked: World, position_id: str):
    player = Player(stocked)
    await player.report(3000)
    response = await player.ask("POST", f"/positions/{position_id}/restore")
    assert (response.status_code, response.json()["error"]) == (404, "Position not found")
    assert (await player.state())["version"] == 1


# Forgetting


async def test_forgetting_removes_everything_about_the_item_for_this_user_only(stocked: World):
    player, admin = Player(stocked), Player(stocked, headers=stocked.admin)
    for each in (player, admin):
        await each.report(3000)
        await each.report(5000)
    await hide(stocked, MOVIE)
    kept = await admin.state()
    assert (await player.ask("DELETE")).status_code == 204
    state = await player.state()
    assert (state["version"], state["play_count"], state["hidden"]) == (0, 0, False)
    assert await player.positions() == []
    assert await admin.state() == kept


async def test_forgetting_twice_counts_once(stocked: World):
    for _ in range(2):
        assert (await Player(stocked).ask("DELETE")).status_code == 204


async def test_a_forgotten_item_can_be_started_again(stocked: World):
    player = Player(stocked)
    await player.report(5000)
    await player.forget()
    await player.report(1250)
    state = await player.state()
    assert (state["watched"], state["version"], state["position_seconds"]) == (False, 1, 1250)


# Shows and seasons


async def test_marking_a_show_marks_aired_unwatched_episodes(stocked: World):
    await add_episodes(stocked)
    await episode(stocked).mark()
    assert await show(stocked).mark() == {"changed": 4}
    for season, number in ((0, 1), (1, 2), (1, 3), (2, 1)):
        state = await episode(stocked, episode_id(season, number)).state()
        assert (state["watched"], state["play_count"]) == (True, 1)
    assert not (await episode(stocked, UNAIRED).state())["watched"]
    assert (await episode(stocked).state())["play_count"] == 1
    assert await show(stocked).mark() == {"changed": 0}


async def test_marking_a_season_leaves_the_others(stocked: World):
    await add_episodes(stocked)
    assert await show(stocked).get("PUT", "/season/1/watched", {"watched_at": None}) == {"changed": 3}
    assert not (await episode(stocked, episode_id(2, 1)).state())["watched"]
    assert await show(stocked).get("PUT", "/season/0/watched") == {"changed": 1}


async def test_marking_a_show_again_adds_a_play_to_each_episode(stocked: World):
    await add_episodes(stocked)
    await show(stocked).mark()
    stocked.clock.advance(HOUR_MS)
    assert await show(stocked).mark(new_play=True) == {"changed": 5}
    assert (await episode(stocked).state())["play_count"] == 2


async def test_unwatching_a_show_removes_marks_and_positions(stocked: World):
    await add_episodes(stocked)
    await episode(stocked).mark()
    await episode(stocked, episode_id(1, 2)).report(3000)
    assert await show(stocked).unwatch() == {"changed": 2}
    for item_id in (EPISODE, episode_id(1, 2)):
        state = await episode(stocked, item_id).state()
        assert (state["watched"], state["position_seconds"]) == (False, 0)
    assert (await episode(stocked).state())["play_count"] == 1
    assert await show(stocked).unwatch() == {"changed": 0}


async def test_unwatching_a_season_leaves_the_others(stocked: World):
    await add_episodes(stocked)
    await show(stocked).mark()
    assert await show(stocked).get("DELETE", "/season/2/watched") == {"changed": 1}
    assert (await episode(stocked).state())["watched"]


@pytest.mark.parametrize("season", ["7", "one", "-1", "1.0", "9999999", "²"])
async def test_a_missing_season_is_not_found(stocked: World, season: str):
    for method in ("PUT", "DELETE"):
        response = await show(stocked).ask(method, f"/season/{season}/watched")
        assert (response.status_code, response.json()["error"]) == (404, "Season not found")


# Access and missing items


ITEM_ROUTES = (
    ("GET", "/state"),
    ("DELETE", ""),
    ("PUT", "/watched"),
    ("DELETE", "/watched"),
    ("GET", "/plays"),
    ("DELETE", f"/plays/{NOWHERE}"),
    ("GET", "/positions"),
    ("POST", f"/positions/{NOWHERE}/restore"),
)


@pytest.mark.parametrize(("method", "path"), ITEM_ROUTES)
async def test_the_errors_are_those_of_the_frozen_routes(stocked: World, method: str, path: str):
    for kind, item_id, headers, status, error in (
        ("movie", NOWHERE, stocked.member, 404, "Media item not found"),
        ("movie", "nonsense", stocked.member, 404, "Media item not found"),
        ("movie", SHOW, stocked.member, 404, "Media item is not a movie"),
        ("movie", EPISODE, stocked.member, 404, "Media item is not a movie"),
        ("episode", MOVIE, stocked.member, 404, "Episode not found"),
        ("movie", MOVIE, stocked.stranger, 403, "Access denied"),
        ("movie", SHOW, stocked.stranger, 403, "Access denied"),
    ):
        response = await Player(stocked, item_id, kind=kind, headers=headers).ask(method, path)
        assert (response.status_code, response.json()["error"]) == (status, error)


@pytest.mark.parametrize("path", ["/watched", "/season/1/watched"])
async def test_a_show_is_marked_only_by_users_who_may_see_it(stocked: World, path: str):
    for method in ("PUT", "DELETE"):
        for item_id, headers, status, error in (
            (NOWHERE, stocked.member, 404, "Show not found"),
            (MOVIE, stocked.member, 404, "Show not found"),
            (SHOW, stocked.stranger, 403, "Access denied"),
        ):
            response = await Player(stocked, item_id, kind="show", headers=headers).ask(method, path)
            assert (response.status_code, response.json()["error"]) == (status, error)


async def test_an_item_that_lost_its_files_can_still_be_read_and_marked(stocked: World):
    player = Player(stocked)
    for position in (3000, 600):
        await player.report(position)
    before = await player.state(), await player.positions()
    await disappear(stocked, 1)
    assert (await player.state(), await player.positions()) == before
    assert (await player.mark())["watched"]
    assert await show(stocked).mark() == {"changed": 1}
    await stocked.playhead.installation.database.write(
        lambda c: c.execute(update(schema.holding).values(removed_at=None))
    )
    assert (await player.state())["play_count"] == 1
    assert (await player.restore(3000))["position_seconds"] == 3000
