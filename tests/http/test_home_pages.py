"""Home, libraries, search and the actions of cards, in a browser without scripts."""

import base64
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, event, insert
from sqlalchemy.engine import Engine

from large_libraries import SERIES, STATION, episode_id, movie_id, stock_movies, stock_series
from pages import LENGTH_S, OWN, Seen, Visitor, enter, give_folders, submit, text_in, words
from playhead.storage import schema
from world import EPISODE, LIBRARY, MOVIE, NOWHERE, SHOW, World, change_holdings

pytestmark = pytest.mark.anyio

DAY_MS = 24 * 60 * 60 * 1000
FILMS = f"/libraries/{LIBRARY}"
SHOWS = f"/libraries/{SERIES}"
WEIGHT_MAX = 100_000
PART = 60


@pytest.fixture
def statements() -> Iterator[list[str]]:
    """The statements that SQLAlchemy executes on connections opened from now on."""
    told: list[str] = []

    def note(*arguments: Any) -> None:  # noqa: ANN401 - what SQLAlchemy hands over
        told.append(arguments[2])

    event.listen(Engine, "before_cursor_execute", note)
    yield told
    event.remove(Engine, "before_cursor_execute", note)


@pytest.fixture
def transactions() -> Iterator[list[None]]:
    """An entry for each transaction that SQLAlchemy begins on connections opened from now on."""
    begun: list[None] = []

    def note(_: object) -> None:
        begun.append(None)

    event.listen(Engine, "begin", note)
    yield begun
    event.remove(Engine, "begin", note)


@pytest.fixture
async def visitor(stocked: World) -> Visitor:
    await stocked.playhead.installation.database.write(lambda c: stock_series(c, stocked.user_ids["member"]))
    await give_folders(stocked)
    await enter(stocked)
    return Visitor(stocked, "member")


def section(html: str, name: str) -> str:
    """The text of a section of a page."""
    found = re.search(rf'<section id="{name}".*?</section>', html, re.DOTALL)
    assert found
    return text_in(found[0])


async def home(visitor: Visitor) -> dict[str, str]:
    html = (await visitor.world.client.get("/")).text
    return {name: section(html, name) for name in ("continue", "next", "recent")}


def cards(html: str) -> list[str]:
    return re.findall(r'class="card"[^>]*data-key="([^"]*)"', html)


# Home


async def test_an_empty_home_says_that_nothing_was_started(visitor: Visitor):
    said = await home(visitor)
    assert "Nothing in progress." in said["continue"]
    assert said["next"] == "Next up"


async def test_items_in_progress_are_separate_from_next_up(visitor: Visitor):
    await visitor.watch((1, 1))
    await visitor.report(3730)
    said = await home(visitor)
    assert "Harbour Lights" in said["continue"]
    assert "28 min left" in said["continue"]
    assert "Signal Hill S1 E2 · Watch 1-2 1 h 30 min" in said["next"]
    assert "Signal Hill" not in said["continue"]
    await visitor.report(1800, episode_id(1, 2), "episode")
    said = await home(visitor)
    assert "Signal Hill S1 E2 · Watch 1-2 1 h left" in said["continue"]
    assert said["next"] == "Next up"


async def test_a_rewatch_is_labelled(visitor: Visitor):
    for _ in range(2):
        await visitor.report(600, episode_id(1, 2), "episode")
        await visitor.watch((1, 2))
    assert "S1 E3 · Watch 1-3 Watch again" in (await home(visitor))["next"]


async def test_the_newest_additions_come_first_and_a_show_once(visitor: Visitor):
    await visitor.world.playhead.installation.database.write(lambda c: stock_movies(c, range(1, 41)))
    html = (await visitor.world.client.get("/")).text
    shown = cards(html.partition('id="recent"')[2])
    assert shown == [movie_id(number) for number in range(40, 22, -1)]
    await visitor.world.playhead.installation.database.write(
        lambda c: change_holdings(c, schema.item.c.show_id == STATION, added_at=1000)
    )
    said = (await home(visitor))["recent"]
    assert said.startswith("Recently added Signal Hill 7 episodes Reel 40")


async def test_a_single_new_episode_is_named_and_playable(visitor: Visitor):
    await visitor.world.playhead.installation.database.write(
        lambda c: change_holdings(c, schema.item.c.id == episode_id(2, 2), added_at=2 * DAY_MS)
    )
    html = (await visitor.world.client.get("/")).text
    assert "Signal Hill S2 E2 · Watch 2-2" in section(html, "recent")
    assert f"/watch/episode/{episode_id(2, 2)}" in Seen(html).references


async def test_a_user_without_libraries_is_told_why(visitor: Visitor):
    await enter(visitor.world, "stranger")
    said = words(await visitor.world.client.get("/"))
    assert "Nothing to watch yet An admin decides who can see which library." in said
    assert "Harbour Lights" not in said


# Actions of cards


async def test_without_scripts_an_action_leads_back_and_is_confirmed_once(visitor: Visitor):
    answer = await submit(visitor.world.client, f"/movies/{MOVIE}", do="hide", back="/history?x=1")
    assert (answer.status_code, answer.headers["location"]) == (303, "/history?x=1")
    assert "httponly" in answer.headers["set-cookie"].lower()
    assert "Hidden until it is played again" in words(await visitor.world.client.get("/"))
    assert "Hidden until it is played again" not in words(await visitor.world.client.get("/"))


@pytest.mark.parametrize("back", ["https://elsewhere.test/", "//elsewhere.test", "", "x"])
async def test_a_form_never_redirects_to_another_site(visitor: Visitor, back: str):
    answer = await submit(visitor.world.client, f"/movies/{MOVIE}", do="hide", back=back)
    assert answer.headers["location"] == "/"


async def test_a_notice_made_for_another_session_offers_nothing(visitor: Visitor):
    client = visitor.world.client
    forged = json.dumps(["Hidden.", "/settings/sessions/end-others", {"x": "y"}]).encode()
    answer = await submit(client, f"/movies/{MOVIE}", do="hide", back="/")
    made = answer.cookies["playhead_notice"].strip('"')
    for cookie in (
        base64.urlsafe_b64encode(forged).decode(),
        f"{base64.urlsafe_b64encode(forged).decode()}.{made.rpartition('.')[2]}",
        f"{base64.urlsafe_b64encode(forged).decode()}.",
    ):
        client.cookies.set("playhead_notice", cookie, domain="playhead.test")
        assert "end-others" not in (await client.get("/")).text
    # Nor does one made for another session of the same user.
    client.cookies.delete("playhead_notice")
    await enter(visitor.world)
    client.cookies.set("playhead_notice", made, domain="playhead.test")
    assert "Hidden until" not in words(await client.get("/"))


@pytest.mark.parametrize("cookie", ["x", "e30", "W10=", "WyJhIiwiaHR0cHM6Ly9lbHNld2hlcmUudGVzdC8iLHt9XQ==", "/w=="])
async def test_a_forged_notice_redirects_nowhere(visitor: Visitor, cookie: str):
    visitor.world.client.cookies.set("playhead_notice", cookie)
    answer = await visitor.world.client.get("/")
    assert answer.status_code == 200
    assert "elsewhere.test" not in answer.text


@pytest.mark.parametrize("do", ["hide", "snooze-day", "snooze-week", "snooze-month"])
async def test_a_hidden_card_returns_by_undo(visitor: Visitor, do: str):
    await visitor.report(3000)
    undo = await act(visitor, f"/movies/{MOVIE}", do)
    assert "Harbour Lights" not in (await home(visitor))["continue"]
    await submit(visitor.world.client, undo["action"], **undo["fields"])
    assert "Harbour Lights" in (await home(visitor))["continue"]


async def test_a_snoozed_card_returns_on_its_own(visitor: Visitor):
    await visitor.report(3000)
    await act(visitor, f"/movies/{MOVIE}", "snooze-week")
    visitor.world.clock.advance(7 * DAY_MS - 1)
    await enter(visitor.world)
    assert "Harbour Lights" not in (await home(visitor))["continue"]
    visitor.world.clock.advance(1)
    assert "Harbour Lights" in (await home(visitor))["continue"]


async def act(visitor: Visitor, path: str, do: str, **fields: str) -> dict[str, Any]:
    """Perform an action as a script does, and return what undoes it."""
    answer = await visitor.world.client.post(
        path, data={"do": do} | fields, headers=OWN | {"accept": "application/json"}
    )
    assert answer.status_code == 200, answer.text
    return answer.json().get("undo", {})


async def test_undoing_a_mark_restores_everything(visitor: Visitor):
    await visitor.report(3730, device="television")
    before = await visitor.state()
    points = await positions(visitor)
    undo = await act(visitor, f"/movies/{MOVIE}", "watched")
    assert (await visitor.state())["play_count"] == 1
    await submit(visitor.world.client, undo["action"], **undo["fields"])
    after = await visitor.state()
    assert after == before | {"version": before["version"] + 2}
    assert await positions(visitor) == points


async def test_undoing_an_unmark_restores_mark_and_position(visitor: Visitor):
    await visitor.report(LENGTH_S)
    visitor.world.clock.advance(DAY_MS // 2)
    await visitor.report(2000)
    before = await visitor.state()
    undo = await act(visitor, f"/movies/{MOVIE}", "unwatched")
    assert not (await visitor.state())["watched"]
    await submit(visitor.world.client, undo["action"], **undo["fields"])
    assert await visitor.state() == before | {"version": before["version"] + 2}


async def positions(visitor: Visitor) -> list[dict[str, Any]]:
    path = f"/api/v1/playback/movie/{MOVIE}/positions"
    return (await visitor.world.client.get(path, headers=visitor.headers)).json()["items"]


async def test_later_plays_survive_an_undo(visitor: Visitor):
    await visitor.report(3000)
    undo = await act(visitor, f"/movies/{MOVIE}", "watched")
    await visitor.report(600)
    before = await visitor.state()
    answer = await submit(visitor.world.client, undo["action"], **undo["fields"])
    assert answer.status_code == 409
    assert "It has been changed since." in answer.text
    assert await visitor.state() == before


async def test_a_mark_is_undone_only_once(visitor: Visitor):
    undo = await act(visitor, f"/movies/{MOVIE}", "watched")
    for status in (303, 409):
        answer = await submit(visitor.world.client, undo["action"], **undo["fields"])
        assert answer.status_code == status


async def test_an_action_without_effect_offers_no_undo(visitor: Visitor):
    await act(visitor, f"/movies/{MOVIE}", "watched")
    assert await act(visitor, f"/movies/{MOVIE}", "watched") == {}


async def test_nobody_can_use_another_users_undo(visitor: Visitor):
    await visitor.report(3000)
    undo = await act(visitor, f"/movies/{MOVIE}", "watched")
    before = await visitor.state()
    await enter(visitor.world, "stranger")
    answer = await submit(visitor.world.client, undo["action"], **undo["fields"])
    assert answer.status_code == 403
    await enter(visitor.world, "admin")
    answer = await submit(visitor.world.client, undo["action"], **undo["fields"])
    assert answer.status_code == 409
    assert await visitor.state() == before


@pytest.mark.parametrize("value", ["", "x", "!", "kA", "gA", "kJA", "_", "\0", "A" * 60_000])
async def test_a_malformed_undo_is_refused(visitor: Visitor, value: str):
    answer = await submit(visitor.world.client, "/undo", value=value)
    assert answer.status_code == 422
    assert "Cannot be undone." in answer.text


@pytest.mark.parametrize(
    ("path", "do"),
    [
        (f"/movies/{MOVIE}", "drop"),
        (f"/movies/{MOVIE}", "watched-up-to"),
        (f"/shows/{STATION}", "restore"),
        (f"/movies/{MOVIE}", ""),
    ],
)
async def test_an_impossible_action_is_refused(visitor: Visitor, path: str, do: str):
    assert (await submit(visitor.world.client, path, do=do)).status_code == 422


@pytest.mark.parametrize("path", [f"/movies/{NOWHERE}", f"/movies/{SHOW}", "/movies/x", f"/shows/{MOVIE}"])
async def test_an_action_on_a_missing_item_does_nothing(visitor: Visitor, path: str):
    assert (await submit(visitor.world.client, path, do="watched")).status_code == 404


# Libraries


async def listed(visitor: Visitor, path: str = FILMS) -> list[str]:
    answer = await visitor.world.client.get(path)
    assert answer.status_code == 200, answer.text
    return cards(answer.text)


async def test_a_library_of_movies_is_filtered_by_watch_state(visitor: Visitor):
    await visitor.world.playhead.installation.database.write(lambda c: stock_movies(c, range(1, 6)))
    begun, barely, watched, again, untouched = (movie_id(number) for number in range(1, 6))
    await visitor.report(3000, begun)
    await visitor.report(60, barely)
    await visitor.report(LENGTH_S, watched)
    await visitor.report(LENGTH_S, again)
    visitor.world.clock.advance(DAY_MS // 2)
    await visitor.report(1000, again)
    assert await listed(visitor) == [MOVIE, begun, barely, watched, again, untouched]
    assert await listed(visitor, f"{FILMS}?show=unwatched") == [MOVIE, begun, barely, untouched]
    assert await listed(visitor, f"{FILMS}?show=in-progress") == [begun, again]
    assert await listed(visitor, f"{FILMS}?show=watched") == [watched, again]
    assert await listed(visitor, f"{FILMS}?show=nonsense") == await listed(visitor)
    await enter(visitor.world, "admin")
    assert await listed(visitor, f"{FILMS}?show=watched") == []
    assert len(await listed(visitor, f"{FILMS}?show=unwatched")) == 6


async def test_a_library_of_movies_is_sorted_and_searched(visitor: Visitor):
    await visitor.world.playhead.installation.database.write(lambda c: stock_movies(c, [1, 2, 10]))
    one, two, ten = movie_id(1), movie_id(2), movie_id(10)
    assert await listed(visitor, f"{FILMS}?sort=-title") == [ten, two, one, MOVIE]
    assert await listed(visitor, f"{FILMS}?sort=-year") == [MOVIE, ten, two, one]
    assert await listed(visitor, f"{FILMS}?sort=added") == [MOVIE, one, two, ten]
    assert await listed(visitor, f"{FILMS}?sort=nonsense") == [MOVIE, one, two, ten]
    assert await listed(visitor, f"{FILMS}?find=re%C3%A9L+1") == [one, ten]
    assert await listed(visitor, f"{FILMS}?find=%00&show=unwatched") == [MOVIE, one, two, ten]
    assert "No matches" in words(await visitor.world.client.get(f"{FILMS}?find=nowhere"))
    assert "Nothing watched" in words(await visitor.world.client.get(f"{FILMS}?show=watched"))


@pytest.mark.parametrize("query", ["", "show=unwatched", "sort=-year&find=reel", "sort=-added", "show=in-progress"])
async def test_the_pages_of_a_library_contain_everything_once(visitor: Visitor, query: str):
    await visitor.world.playhead.installation.database.write(lambda c: stock_movies(c, range(1, 151)))
    if query == "show=in-progress":
        for number in range(1, 151):
            await visitor.report(3000 if number % 2 else 60, movie_id(number))
    address: str | None = f"{FILMS}?{query}"
    found: list[str] = []
    while address is not None:
        html = (await visitor.world.client.get(address)).text
        assert len(cards(html)) <= PART
        found += cards(html)
        more = re.search(r'id="more"[^>]*href="([^"]*)"', html)
        address = None if more is None else more[1].replace("&amp;", "&")
    every = [movie_id(number) for number in range(1, 151)]
    wanted = every[::2] if query == "show=in-progress" else every
    assert len(found) == len(set(found))
    assert {*found} - {MOVIE} == {*wanted}


@pytest.mark.parametrize("cursor", ["x", "W10", "", "\0", "WyJ5ZWFyIiwgMSwgIngiXQ"])
async def test_a_malformed_cursor_is_refused(visitor: Visitor, cursor: str):
    answer = await visitor.world.client.get(FILMS, params={"cursor": cursor})
    assert answer.status_code == 422


async def test_a_library_of_shows_says_how_many_episodes_are_left(visitor: Visitor):
    assert "5 unwatched Signal Hill" in words(await visitor.world.client.get(SHOWS))
    assert await listed(visitor, f"{SHOWS}?show=unwatched") == [STATION]
    assert await listed(visitor, f"{SHOWS}?show=in-progress") == []
    await visitor.watch((1, 1))
    assert "4 unwatched Signal Hill" in words(await visitor.world.client.get(SHOWS))
    assert await listed(visitor, f"{SHOWS}?show=in-progress") == [STATION]
    assert await listed(visitor, f"{SHOWS}?show=watched") == []
    await visitor.watch((1, 2), (1, 3), (2, 1), (2, 2))
    assert "Watched Signal Hill" in words(await visitor.world.client.get(SHOWS))
    assert await listed(visitor, f"{SHOWS}?show=watched") == [STATION]
    assert await listed(visitor, f"{SHOWS}?show=unwatched") == []


async def test_a_library_without_a_grant_is_not_shown(visitor: Visitor):
    await enter(visitor.world, "stranger")
    assert (await visitor.world.client.get(FILMS)).status_code == 403
    await enter(visitor.world, "member")
    for path in (f"/libraries/{NOWHERE}", "/libraries/x"):
        assert (await visitor.world.client.get(path)).status_code == 404


async def test_the_first_page_of_a_huge_library_is_small_and_takes_few_statements(
    statements: list[str], visitor: Visitor
):
    async def cost(path: str) -> tuple[int, int]:
        statements.clear()
        answer = await visitor.world.client.get(path)
        assert len(cards(answer.text)) == PART
        return len(statements), len(answer.content)

    await visitor.world.playhead.installation.auto_scans.close()  # which ask now and then what libraries to watch
    write = visitor.world.playhead.installation.database.write
    await write(lambda c: stock_movies(c, range(1, PART + 1)))
    queries = ("", "?show=unwatched", "?sort=-year", "?sort=-added&find=reel")
    few = {query: (await cost(FILMS + query))[0] for query in queries}
    await write(lambda c: stock_movies(c, range(PART + 1, 5001)))
    for query in queries:
        many, weight = await cost(FILMS + query)
        assert 0 < many <= few[query] <= few[""] + 2, query
        assert weight <= WEIGHT_MAX


# Search


async def test_a_search_finds_movies_shows_and_episodes(visitor: Visitor):
    await visitor.watch((1, 1))
    assert "Harbour Lights" in words(await visitor.world.client.get("/search?query=light"))
    assert "Shows 4 unwatched Signal Hill" in words(await visitor.world.client.get("/search?query=signal"))
    said = words(await visitor.world.client.get("/search?query=WATCH"))
    assert "Episodes Watch 0-1 Signal Hill · Special 1 Watched Watch 1-1 Signal Hill · S1 E1" in said
    assert "No matches" in words(await visitor.world.client.get("/search?query=nowhere"))
    assert 'value="a&#34;b"' in (await visitor.world.client.get('/search?query=a"b')).text


@pytest.mark.parametrize("query", ["", "?query=", "?query=%00", "?query=+"])
async def test_an_empty_search_asks_for_words(visitor: Visitor, query: str):
    assert "Enter a few words of a title above." in words(await visitor.world.client.get(f"/search{query}"))


@pytest.mark.parametrize(
    "query", ["signal hill s01e02", "1x02", "hill 2021 1x02", "signl hill S1E2", "hill 2021-05-01"]
)
async def test_a_search_finds_an_episode_of_a_show(visitor: Visitor, query: str):
    answer = await visitor.world.client.get("/search", params={"query": query})
    assert "Watch 1-2 Signal Hill · S1 E2" in words(answer)


@pytest.mark.parametrize("query", ["singal hill", "signall hill 2021", "sinal"])
async def test_a_search_forgives_a_typo_in_a_word(visitor: Visitor, query: str):
    found = words(await visitor.world.client.get("/search", params={"query": query}))
    assert "Shows 5 unwatched Signal Hill" in found
    assert "No matches" in words(await visitor.world.client.get("/search?query=sginla"))


async def test_a_library_is_searched_with_a_typo_and_a_year_page_by_page(visitor: Visitor):
    await visitor.world.playhead.installation.database.write(lambda c: stock_movies(c, range(1, 141)))
    found: list[str] = []
    path: str | None = f"{FILMS}?find=rele"
    while path is not None:
        html = (await visitor.world.client.get(path)).text
        found += cards(html)
        more = re.search(r'id="more"[^>]*href="([^"]*)"', html)
        path = None if more is None else more[1].replace("&amp;", "&")
    assert sorted(found) == sorted(movie_id(number) for number in range(1, 141))
    assert await listed(visitor, f"{FILMS}?find=rele+1951") == [movie_id(1), movie_id(71)]


@pytest.mark.parametrize(
    "query",
    ["x" * 10_000, "\0", "%00", "???", '"reel" AND NOT NEAR(a, b)*', "reel OR -x:y", "(((", "'; --", "\ufdfa" * 200],
)
async def test_a_hostile_search_is_harmless(visitor: Visitor, query: str):
    for path in ("/search", FILMS, "/api/v1/items"):
        answer = await visitor.world.client.get(path, params={"query": query, "find": query})
        assert answer.status_code in {200, 422}


async def test_a_search_with_many_results_shows_some_and_says_so(visitor: Visitor):
    await visitor.world.playhead.installation.database.write(lambda c: stock_movies(c, range(1, 61)))
    answer = await visitor.world.client.get("/search?query=reel")
    assert len(cards(answer.text)) == 48
    assert "There are more results." in words(answer)


async def test_a_search_finds_nothing_without_a_grant(visitor: Visitor):
    await enter(visitor.world, "stranger")
    for query in ("light", "signal", "watch", "ebb"):
        assert "No matches" in words(await visitor.world.client.get(f"/search?query={query}"))


# All pages


@pytest.mark.parametrize(
    "path",
    [
        "/",
        FILMS,
        SHOWS,
        "/search?query=e",
        f"/movies/{MOVIE}",
        f"/episodes/{EPISODE}",
        f"/shows/{STATION}",
        f"/shows/{STATION}/seasons/1",
    ],
)
async def test_these_pages_have_no_inline_code_and_unique_ids(visitor: Visitor, path: str):
    await visitor.watch((1, 1))
    await visitor.report(3000)
    answer = await visitor.world.client.get(path)
    seen = Seen(answer.text)
    assert answer.status_code == 200
    assert seen.inline_scripts == seen.inline_styles == 0
    assert len(seen.ids) == len(set(seen.ids))
    assert len(answer.content) <= WEIGHT_MAX


def put_file_of_second_episode(connection: Connection) -> None:
    file = {"id": NOWHERE, "library_id": SERIES, "path": "2.mkv", "size": 1, "mtime_ns": 1, "label": "HD"}
    connection.execute(insert(schema.media_file), [file | {"evidence": "", "added_at": 0}])
    connection.execute(insert(schema.file_item), [{"file_id": NOWHERE, "item_id": episode_id(1, 2), "part": 1}])


@pytest.mark.both_engines
@pytest.mark.parametrize("path", ["/", f"/watch/episode/{episode_id(1, 2)}"])
async def test_a_page_is_one_read_transaction_that_loads_the_libraries_once(
    transactions: list[None], statements: list[str], visitor: Visitor, path: str
):
    await visitor.watch((1, 1))
    await visitor.world.playhead.installation.database.write(put_file_of_second_episode)
    counts: list[tuple[int, int]] = []
    for _ in range(5):  # the first look-up of the credential is one more, and so are those after a slow page
        transactions.clear()
        statements.clear()
        assert (await visitor.world.client.get(path)).status_code == 200
        of_libraries = [each for each in statements if "ORDER BY library.name" in each]
        counts.append((len(transactions), len(of_libraries)))
    assert min(counts) == (1, 1), counts
