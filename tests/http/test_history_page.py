"""The history page: days in the user's time zone, a picture of the year, and removal of single plays."""

import re
from datetime import date, timedelta

import pytest

from playhead.domain.model import Milliseconds
from playhead.http.pages.history import picture_of
from world import EPISODE, LIBRARY, MOVIE, NOWHERE, PASSWORD, SHOW, World

pytestmark = pytest.mark.anyio

OWN = {"origin": "http://playhead.test"}
HOUR = 3_600_000


async def enter(world: World, username: str = "member") -> None:
    await world.client.post("/sign-in", data={"username": username, "password": PASSWORD}, headers=OWN)


async def watch(world: World, kind: str = "movie", item: str = MOVIE) -> None:
    report = {"position_seconds": 5000, "duration_seconds": 5400}
    await world.client.post(f"/api/v1/playback/{kind}/{item}", json=report, headers=world.member)


def headings(html: str) -> list[str]:
    return re.findall(r'<h2 id="day-\d+">(.*?)</h2>', html)


async def test_without_plays_the_history_explains_itself(stocked: World):
    await enter(stocked)
    page = (await stocked.client.get("/history")).text
    assert "Nothing watched yet" in page
    assert '<svg viewBox="0 0 664' not in page


async def test_plays_are_listed_by_day_newest_first_with_their_item(stocked: World):
    await watch(stocked)
    stocked.clock.advance(24 * HOUR)
    await watch(stocked, "episode", EPISODE)
    await enter(stocked)
    page = (await stocked.client.get("/history")).text
    assert headings(page) == ["Today", "Yesterday"]
    assert page.index("Tidal Station") < page.index("Harbour Lights")
    assert "S1 E1 · Ebb" in page
    assert "3 h on 2 days in the last 12 months" in page


async def test_days_are_in_the_users_time_zone(stocked: World):
    # The test clock starts at 22:00 UTC.
    await watch(stocked)
    stocked.clock.advance(3 * HOUR)
    await stocked.playhead.installation.accounts.set_time_zone(stocked.user_ids["member"], "Asia/Tokyo")
    await enter(stocked)
    page = (await stocked.client.get("/history")).text
    assert headings(page) == ["Today"]
    assert re.search(r'<time datetime="2025-11-09T07:00:00\+09:00">07:00</time>', page)


async def test_a_removed_play_is_gone_and_removing_it_again_succeeds(stocked: World):
    await watch(stocked)
    await enter(stocked)
    page = (await stocked.client.get("/history")).text
    action = re.search(r'action="(/history/[^"]*/remove)"', page)
    assert action
    fields = {"kind": "movie", "item": MOVIE, "back": "/history"}
    for _ in range(2):
        answer = await stocked.client.post(action[1], data=fields, headers=OWN)
        assert (answer.status_code, answer.headers["location"]) == (303, "/history")
    assert "Nothing watched yet" in (await stocked.client.get("/history")).text
    progress = (await stocked.client.get(f"/api/v1/playback/movie/{MOVIE}", headers=stocked.member)).json()
    assert progress["watched"]


async def test_a_script_gets_json(stocked: World):
    await watch(stocked)
    await enter(stocked)
    play = (await stocked.client.get("/api/v1/history", headers=stocked.member)).json()["items"][0]
    answer = await stocked.client.post(
        f"/history/{play['id']}/remove",
        data={"kind": "movie", "item": MOVIE},
        headers=OWN | {"accept": "application/json"},
    )
    assert (answer.status_code, answer.json()) == (200, {})


@pytest.mark.parametrize("fields", [{}, {"kind": "show", "item": MOVIE}, {"kind": "movie", "item": "x"}])
async def test_a_form_without_an_item_is_a_404(stocked: World, fields: dict[str, str]):
    await enter(stocked)
    assert (await stocked.client.post("/history/x/remove", data=fields, headers=OWN)).status_code == 404


async def test_nobody_sees_or_removes_the_plays_of_others(stocked: World):
    await watch(stocked)
    play = (await stocked.client.get("/api/v1/history", headers=stocked.member)).json()["items"][0]
    await enter(stocked, "admin")
    assert "Nothing watched yet" in (await stocked.client.get("/history")).text
    await stocked.client.post(f"/history/{play['id']}/remove", data={"kind": "movie", "item": MOVIE}, headers=OWN)
    left = await stocked.client.get("/api/v1/history", headers=stocked.member)
    assert [each["id"] for each in left.json()["items"]] == [play["id"]]


async def test_a_long_history_is_paged_and_a_forged_cursor_starts_over(stocked: World):
    for _ in range(60):
        mark = {"new_play": True}
        await stocked.client.put(f"/api/v1/playback/movie/{MOVIE}/watched", json=mark, headers=stocked.member)
        stocked.clock.advance(HOUR)
    await enter(stocked)
    first = (await stocked.client.get("/history")).text
    following = re.search(r'href="(/history\?cursor=[^"]*)"', first)
    assert following
    second = (await stocked.client.get(following[1])).text
    assert (first.count('<li data-key="'), second.count('<li data-key="')) == (50, 10)
    assert 'class="year"' not in second
    assert (await stocked.client.get("/history?cursor=x")).headers["location"] == "/history"


# The picture of the year


def test_the_picture_has_a_square_for_each_day_shaded_by_its_hours():
    today = date(2025, 11, 8)  # a Saturday
    first = today - timedelta(today.weekday() + 52 * 7)
    hours = {today: 0.5, today - timedelta(1): 2, today - timedelta(2): 4, first: 6}
    year = picture_of({day: Milliseconds(int(each * HOUR)) for day, each in hours.items()}, first, today)
    assert [path.count("M") for path in year.shades] == [52 * 7 + 6 - 4, 1, 1, 1, 1]
    assert [words for _, _, words in year.labelled] == [
        "6 November 2024: 6 h".replace("6 November", f"{first.day} {first:%B}"),
        "6 November 2025: 4 h",
        "7 November 2025: 2 h",
        "8 November 2025: 30 min",
    ]
    assert year.summary == (f"12.5 h on 4 days in the last 12 months; most on {first.day} {first:%B} {first.year}: 6 h")
    assert len(year.months) in {11, 12}
    assert max(x for x, _, _ in year.labelled) + 12 <= year.width


# Filters


async def two_kinds(world: World) -> None:
    await watch(world)
    world.clock.advance(24 * HOUR)
    await watch(world, "episode", EPISODE)
    await enter(world)


def titles(html: str) -> list[str]:
    return re.findall(r'<span class="name">(.*?)</span>', html)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["Tidal Station", "Harbour Lights"]),
        ("kind=movie", ["Harbour Lights"]),
        ("kind=&library=&from=&until=&order=", ["Tidal Station", "Harbour Lights"]),
        (f"library={LIBRARY}&kind=episode", ["Tidal Station"]),
        ("from=2025-11-09", ["Tidal Station"]),
        ("until=2025-11-08", ["Harbour Lights"]),
        ("order=oldest", ["Harbour Lights", "Tidal Station"]),
        (f"item={SHOW}", ["Tidal Station"]),
        (f"item={MOVIE}", ["Harbour Lights"]),
        ("kind=nonsense", ["Tidal Station", "Harbour Lights"]),
    ],
)
async def test_the_history_can_be_filtered(stocked: World, query: str, expected: list[str]):
    await two_kinds(stocked)
    page = (await stocked.client.get(f"/history?{query}")).text
    assert titles(page) == expected
    assert ('class="year"' in page) == (not query or query.startswith("kind=&"))


async def test_a_filtered_history_names_its_item_and_offers_everything(stocked: World):
    await two_kinds(stocked)
    assert "<h1>History of Tidal Station</h1>" in (await stocked.client.get(f"/history?item={SHOW}")).text
    page = (await stocked.client.get(f"/history?item={EPISODE}")).text
    assert "<h1>History of Ebb</h1>" in page
    assert '<a class="button plain" href="/history">Show all</a>' in page


async def test_a_filter_without_plays_says_so(stocked: World):
    await two_kinds(stocked)
    page = (await stocked.client.get("/history?from=2020-01-01&until=2020-12-31")).text
    assert "Nothing matches the filter" in page
    assert 'value="2020-12-31"' in page


@pytest.mark.parametrize("query", ["from=x", "from=2025-11-09&until=2025-11-08"])
async def test_faulty_days_are_shown_beside_their_field(stocked: World, query: str):
    await enter(stocked)
    answer = await stocked.client.get(f"/history?{query}")
    assert (answer.status_code, "aria-invalid" in answer.text) == (422, True)


@pytest.mark.parametrize("query", [f"item={NOWHERE}", "item=x", "library=Nowhere"])
async def test_a_filter_by_what_does_not_exist_is_a_404(stocked: World, query: str):
    await enter(stocked)
    assert (await stocked.client.get(f"/history?{query}")).status_code == 404


async def test_pages_of_a_filtered_history_keep_the_filter(stocked: World):
    for _ in range(60):
        mark = {"new_play": True}
        await stocked.client.put(f"/api/v1/playback/movie/{MOVIE}/watched", json=mark, headers=stocked.member)
        stocked.clock.advance(HOUR)
    await watch(stocked, "episode", EPISODE)
    await enter(stocked)
    first = (await stocked.client.get("/history?kind=movie&order=oldest")).text
    following = re.search(r'href="(/history\?kind=movie&amp;order=oldest&amp;cursor=[^"]*)">Later<', first)
    assert following
    second = (await stocked.client.get(following[1].replace("&amp;", "&"))).text
    assert (len(titles(first)), len(titles(second))) == (50, 10)
