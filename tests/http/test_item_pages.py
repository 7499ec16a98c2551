"""The pages of movies, episodes, shows and seasons, in a browser without scripts."""

import re
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update

from large_libraries import EPISODES, STATION, episode_id, stock_series
from pages import LENGTH_S, Seen, Visitor, enter, give_folders, submit, words
from playhead.http.pages.text import TINTS
from playhead.storage import schema
from world import EPISODE, LIBRARY, MOVIE, NOWHERE, SHOW, World

pytestmark = pytest.mark.anyio

MOVIE_PAGE = f"/movies/{MOVIE}"
SHOW_PAGE = f"/shows/{STATION}"


@pytest.fixture
async def visitor(stocked: World) -> Visitor:
    await stocked.playhead.installation.database.write(lambda c: stock_series(c, stocked.user_ids["member"]))
    await give_folders(stocked)
    await enter(stocked)
    return Visitor(stocked, "member")


async def write(visitor: Visitor, statement: Any) -> None:  # noqa: ANN401 - any statement
    await visitor.world.playhead.installation.database.write(lambda c: c.execute(statement))


# A movie


async def test_a_movie_that_was_never_started_can_be_played(visitor: Visitor):
    said = await visitor.page(MOVIE_PAGE)
    assert "Harbour Lights" in said
    assert "2019 1 h 30 min Films" in said
    assert "Play" in said
    assert "Resume" not in said
    assert "Mark as watched" in said


async def test_a_movie_in_the_middle_resumes_at_its_position(visitor: Visitor):
    await visitor.report(3730, device="television")
    answer = await visitor.world.client.get(MOVIE_PAGE)
    said = words(answer)
    assert "Resume at 1:02:10" in said
    assert "1:02:10 of 1:30:00 · 28 min left · today at 22:00, television" in said
    assert {f"/watch/movie/{MOVIE}", f"/watch/movie/{MOVIE}?t=0"} <= {*Seen(answer.text).references}


async def test_imported_items_are_not_offered_to_be_played_and_no_picture_of_them_is_requested(visitor: Visitor):
    await write(visitor, update(schema.library).values(path=None))
    await visitor.report(3730)
    for page in ("/", MOVIE_PAGE, f"/shows/{SHOW}", f"/shows/{SHOW}/seasons/1"):
        html = (await visitor.world.client.get(page)).text
        assert "Harbour Lights" in html or SHOW in html
        assert [each for each in Seen(html).references if "/watch/" in each or "/artwork" in each] == []


async def test_a_title_stands_in_for_a_picture_on_a_tint_of_its_own(visitor: Visitor):
    html = (await visitor.world.client.get("/")).text + (await visitor.world.client.get(SHOW_PAGE)).text
    html += (await visitor.world.client.get(f"/libraries/{LIBRARY}")).text
    assert '<span class="instead" aria-hidden="true">Harbour Lights</span>' in html
    assert 1 < len({*re.findall(r'class="picture poster (tint-\d+)"', html)}) <= TINTS
    styles = (await visitor.world.client.get("/static/items.css")).text
    assert all(f".tint-{number} {{" in styles for number in range(TINTS))


async def test_the_versions_of_a_movie_are_listed_and_each_can_be_played(visitor: Visitor):
    files = [
        {"id": NOWHERE, "label": "2160p HEVC", "video_codec": "hevc", "width": 3840, "height": 2160},
        {"id": LIBRARY, "label": "1080p H.264", "video_codec": "h264", "width": 1920, "height": 1080},
    ]
    common = {
        "library_id": LIBRARY,
        "size": 4_509_715_661,
        "mtime_ns": 0,
        "evidence": "",
        "added_at": 0,
        "audio_codec": "aac",
        "container": "matroska",
        "duration_ms": 5_400_000,
    }
    for file in files:
        await write(visitor, insert(schema.media_file).values(common | file | {"path": file["label"]}))
        await write(visitor, insert(schema.file_item).values(file_id=file["id"], item_id=MOVIE))
    answer = await visitor.world.client.get(MOVIE_PAGE)
    assert "Versions" in words(answer)
    assert "2160p HEVC 3840 \N{MULTIPLICATION SIGN} 2160 HEVC + AAC MKV 1:30:00 4.2 GiB" in words(answer)
    assert f"/watch/movie/{MOVIE}?file={NOWHERE}" in answer.text
    assert f"/watch/movie/{MOVIE}?file={LIBRARY}" in answer.text


async def test_an_earlier_position_can_be_restored(visitor: Visitor):
    await visitor.report(3730, device="television")
    visitor.world.clock.advance(24 * 60 * 60 * 1000)
    await visitor.report(200)
    page = await visitor.world.client.get(MOVIE_PAGE)
    assert "Earlier positions 1:02:10 yesterday at 22:00 , television" in words(page)
    position = re.search(r'name="position" value="([^"]*)"', page.text)
    assert position
    answer = await submit(visitor.world.client, MOVIE_PAGE, do="restore", position=position[1], back=MOVIE_PAGE)
    assert (answer.status_code, answer.headers["location"]) == (303, MOVIE_PAGE)
    assert (await visitor.state())["resume_position_seconds"] == 3730
    assert "Back at 1:02:10" in await visitor.page(MOVIE_PAGE)


async def test_removing_a_play_does_not_change_watched(visitor: Visitor):
    await visitor.report(LENGTH_S)
    page = await visitor.world.client.get(MOVIE_PAGE)
    assert "1 play Today at 22:00" in words(page)
    play = re.search(r'name="play" value="([^"]*)"', page.text)
    assert play
    await submit(visitor.world.client, MOVIE_PAGE, do="remove-play", play=play[1])
    state = await visitor.state()
    assert (state["play_count"], state["watched"]) == (0, True)
    gone = await submit(visitor.world.client, MOVIE_PAGE, do="remove-play", play=play[1])
    assert gone.status_code == 404


async def test_a_title_that_no_library_of_the_user_has_says_so_and_cannot_be_played(visitor: Visitor):
    await visitor.report(3000)
    await write(visitor, delete(schema.holding).where(schema.holding.c.item_id.in_([MOVIE, SHOW])))
    await write(visitor, update(schema.item).where(schema.item.c.id == SHOW).values(is_open=True))
    for path in (MOVIE_PAGE, f"/shows/{SHOW}"):
        said = await visitor.page(path)
        assert "None of your libraries has it. Your progress is kept." in said
        assert "files are missing" not in said
        assert "/watch/" not in (await visitor.world.client.get(path)).text


async def test_a_removed_item_says_so_and_cannot_be_played(visitor: Visitor):
    await visitor.report(3000)
    await write(visitor, update(schema.holding).where(schema.holding.c.item_id == MOVIE).values(removed_at=1))
    said = await visitor.page(MOVIE_PAGE)
    assert "Its files are missing." in said
    assert "Resume" not in said
    assert "50:00 of 1:30:00" in said


async def test_external_ids_are_shown(visitor: Visitor):
    await write(visitor, insert(schema.external_id).values(item_id=MOVIE, source="imdb", value="tt0078748"))
    assert "IMDB tt0078748" in await visitor.page(MOVIE_PAGE)


@pytest.mark.parametrize(
    "path",
    [f"/movies/{NOWHERE}", "/movies/x", f"/movies/{SHOW}", f"/shows/{MOVIE}", f"/episodes/{MOVIE}", "/shows/x"]
    + [f"{SHOW_PAGE}/seasons/{season}" for season in ("3", "x", "-1", "1234567", "%C2%B2")],
)
async def test_a_missing_item_has_no_page(visitor: Visitor, path: str):
    answer = await visitor.world.client.get(path)
    assert answer.status_code == 404
    assert "This page does not exist" in answer.text


async def test_nobody_sees_what_others_have_watched(visitor: Visitor):
    await visitor.report(3730)
    await visitor.watch((1, 1))
    await enter(visitor.world, "admin")
    assert "Resume" not in await visitor.page(MOVIE_PAGE)
    assert "0 of 3 watched" in await visitor.page(SHOW_PAGE)


# An episode


async def test_an_episode_links_to_its_show_its_season_and_its_neighbours(visitor: Visitor):
    answer = await visitor.world.client.get(f"/episodes/{episode_id(1, 3)}")
    assert "Signal Hill · Season 1 Watch 1-3 S1 E3 Aired 1 May 2021 1 h 30 min Series" in words(answer)
    references = Seen(answer.text).references
    for path in (SHOW_PAGE, f"{SHOW_PAGE}/seasons/1", *(f"/episodes/{episode_id(*at)}" for at in ((1, 2), (2, 1)))):
        assert path in references


# A show


async def test_a_show_says_what_is_next_up(visitor: Visitor):
    assert "Start S1 E1" in await visitor.page(SHOW_PAGE)
    await visitor.watch((1, 1))
    assert "Play S1 E2" in await visitor.page(SHOW_PAGE)
    await visitor.report(1000, episode_id(1, 2), "episode")
    said = await visitor.page(SHOW_PAGE)
    assert "Continue S1 E2" in said
    assert "Watch 1-2 · 1 h 14 min left" in said
    await visitor.watch((1, 2), (1, 3), (2, 1), (2, 2))
    said = await visitor.page(SHOW_PAGE)
    assert "All watched" in said
    assert "Watch again from S1 E1" in said


async def test_a_show_counts_watched_episodes_among_those_that_have_aired(visitor: Visitor):
    await visitor.watch((1, 1), (2, 1), (0, 1))
    said = await visitor.page(SHOW_PAGE)
    assert "2 of 5 watched" in said
    assert "Season 1 1 of 3 watched" in said
    assert "Season 2 1 of 2 watched" in said
    assert "Specials 1 of 1 watched" in said


async def test_a_show_is_marked_and_unmarked_and_both_can_be_undone(visitor: Visitor):
    await visitor.watch((1, 1))
    await visitor.report(1000, episode_id(1, 2), "episode")
    answer = await submit(visitor.world.client, SHOW_PAGE, do="watched", back=SHOW_PAGE)
    page = await visitor.world.client.get(answer.headers["location"])
    assert "Marked as watched: 5 episodes" in words(page)
    assert "All watched" in words(page)
    value = re.search(r'name="value" value="([^"]*)"', page.text)
    assert value
    await submit(visitor.world.client, "/undo", value=value[1], back=SHOW_PAGE)
    said = await visitor.page(SHOW_PAGE)
    assert "1 of 5 watched" in said
    assert "Continue S1 E2" in said
    await submit(visitor.world.client, SHOW_PAGE, do="unwatched")
    assert "0 of 3 watched" in await visitor.page(SHOW_PAGE)


async def test_a_dropped_show_is_on_no_list_until_it_is_taken_up_again(visitor: Visitor):
    await visitor.watch((1, 1))
    assert "Signal Hill" in await visitor.page("/")
    await submit(visitor.world.client, SHOW_PAGE, do="drop", back="/")
    home = await visitor.page("/")
    assert "Dropped: it no longer appears in any list" in home
    assert "Next up" not in home.partition("Recently added")[0].partition("Nothing in progress")[0]
    assert "Pick it up again" in await visitor.page(SHOW_PAGE)
    await submit(visitor.world.client, SHOW_PAGE, do="take-up")
    assert "Pick it up again" not in await visitor.page(SHOW_PAGE)


# A season


async def test_a_season_shows_its_episodes_in_order(visitor: Visitor):
    await visitor.watch((1, 1))
    await visitor.report(1000, episode_id(1, 2), "episode")
    said = await visitor.page(f"{SHOW_PAGE}/seasons/1")
    titles = [said.index(f"Watch 1-{number} ") for number in (1, 2, 3)]
    assert titles == sorted(titles)
    assert "1 of 3 watched" in said
    assert "1 May 2021 1 h 14 min left" in said
    assert "Specials" in await visitor.page(f"{SHOW_PAGE}/seasons/0")


async def test_all_episodes_up_to_here_are_marked_together(visitor: Visitor):
    here = f"{SHOW_PAGE}/seasons/2"
    page = f"/episodes/{episode_id(2, 1)}"
    await submit(visitor.world.client, page, do="watched-up-to", back=here)
    assert "Marked as watched: 4 episodes" in await visitor.page(here)
    watched = [at for at in EPISODES if (await visitor.state(episode_id(*at), "episode"))["watched"]]
    assert watched == [(1, 1), (1, 2), (1, 3), (2, 1)]


async def test_marking_a_season_leaves_out_what_has_not_aired(visitor: Visitor):
    season = f"{SHOW_PAGE}/seasons/2"
    await submit(visitor.world.client, season, do="watched")
    watched = [at for at in EPISODES if (await visitor.state(episode_id(*at), "episode"))["watched"]]
    assert watched == [(2, 1), (2, 2)]
    assert "2 of 2 watched" in await visitor.page(season)
    assert (await submit(visitor.world.client, f"{SHOW_PAGE}/seasons/7", do="watched")).status_code == 404


async def test_an_episode_without_its_file_is_shown_to_users_who_have_watched_it(visitor: Visitor):
    await visitor.watch((1, 1))
    first = select(schema.item.c.id).where(schema.item.c.season_number == 1)
    first = first.where(schema.item.c.show_id == STATION)
    await write(visitor, update(schema.holding).where(schema.holding.c.item_id.in_(first)).values(removed_at=1))
    said = await visitor.page(f"{SHOW_PAGE}/seasons/1")
    assert "Watch 1-1" in said
    assert "The file is missing" in said
    assert "Watch 1-2" not in said


async def test_a_show_without_season_numbers_is_one_season(visitor: Visitor):
    by_date = update(schema.item).where(schema.item.c.id == EPISODE)
    await write(visitor, by_date.values(season_number=None, episode_number=None, air_date="2024-03-04"))
    assert "4 March 2024" in await visitor.page(f"/shows/{SHOW}/seasons/1")
    assert "Start 2024-03-04" in await visitor.page(f"/shows/{SHOW}")
