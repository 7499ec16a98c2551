"""The year in review: its numbers, its pictures with their tables, and whose it is."""

import re

import pytest

from pages import enter
from playhead.domain.model import Milliseconds
from playhead.http.pages.statistics import bars_of, hours_in_words, week_of
from sample_library import DAY_MS, SampleLibrary, id_of
from world import NOWHERE, World

pytestmark = pytest.mark.anyio

HOUR = 3_600_000


@pytest.fixture
async def library(world: World) -> SampleLibrary:
    """What the member watched on 8 and 9 November 2025, each for an hour and a half, Alien twice."""
    library = SampleLibrary(world)
    await library.open()
    await library.add_movies("Alien")
    await library.add_show("Tides", "1x01")
    await library.watch("Alien", "Tides 1x01")
    library.clock.advance(DAY_MS)
    await library.player("Alien").report(600)
    await library.watch("Alien")
    await enter(world)
    return library


async def page(library: SampleLibrary, query: str = "") -> str:
    answer = await library.world.client.get(f"/statistics{query}")
    assert answer.status_code == 200, answer.text
    return answer.text


def words(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


async def test_a_year_is_summed_up(library: SampleLibrary):
    seen = words(await page(library))
    for part in (
        "2025 in review",
        "Watched 4.5 h",
        "Movies 2",
        "Episodes 1",
        "Watched again 1",
        "Days 2",
        "Longest streak 2 days 8 November to 9 November",
        "Busiest day 8 November 3 h",
        "Most in Nov: 4.5 h",
        "Most often on Saturday after 22:00: 2 plays",
    ):
        assert part in seen, part


async def test_shows_and_what_was_watched_again_are_ranked_and_linked(library: SampleLibrary):
    html = await page(library)
    ranked = re.findall(r'<span class="name">(.*?)</span>', html)
    assert ranked == ["Tides", "Alien"]
    assert "1.5 h, 1 episode" in html
    assert "2 times" in html
    for name, kind in (("Tides", "shows"), ("Alien", "movies")):
        assert f'href="/{kind}/{id_of(name)}"' in html
        assert f'href="/history?item={id_of(name)}&amp;from=2025-01-01&amp;until=2025-12-31"' in html


async def test_every_picture_is_hidden_from_screen_readers_and_has_a_table(library: SampleLibrary):
    html = await page(library)
    pictures = re.findall(r'<svg class="(?:bars|week|share)"[^>]*>', html)
    assert len(pictures) == 4
    assert all('aria-hidden="true"' in picture for picture in pictures)
    months, week = re.findall(r"<table>.*?</table>", html, re.DOTALL)
    assert "Nov 4.5 h" in words(months)
    assert [row.count("<td>") for row in re.findall(r"<tr>.*?</tr>", week, re.DOTALL)[1:]] == [24] * 7
    assert "Saturday 2" in words(week)


async def test_years_with_plays_can_be_chosen(library: SampleLibrary):
    assert 'aria-label="Years"' not in await page(library)
    await library.player("Alien").mark(watched_at="2019-06-01T12:00:00Z", new_play=True)
    html = await page(library, "?year=2019")
    assert "Watched 0 h" in words(html)
    assert "No hours of playing: marks have none." in html
    assert re.findall(r'href="/statistics\?year=(\d+)"( aria-current="page")?', html) == [
        ("2025", ""),
        ("2019", ' aria-current="page"'),
    ]


async def test_the_year_is_that_of_the_time_zone(library: SampleLibrary):
    await library.player("Alien").mark(watched_at="2024-12-31T23:30:00Z", new_play=True)
    accounts = library.world.playhead.installation.accounts
    await accounts.set_time_zone(library.world.user_ids["member"], "Asia/Tokyo")  # pyright: ignore[reportArgumentType]
    assert "Movies 3" in words(await page(library))


@pytest.mark.parametrize("query", ["", "?year=2001"])
async def test_a_year_without_plays_says_so(library: SampleLibrary, query: str):
    await enter(library.world, "stranger")
    year = "2001" if query else "2025"
    assert f"Nothing watched in {year}" in await page(library, query)


@pytest.mark.parametrize("year", ["", "x", "1969", "9999", "20250", "²⁰²⁵"])
async def test_what_is_no_year_leads_to_the_latest(library: SampleLibrary, year: str):
    answer = await library.world.client.get("/statistics", params={"year": year})
    assert (answer.status_code, answer.headers["location"]) == (303, "/statistics")


async def test_an_admin_sees_the_review_of_a_user_and_a_member_only_their_own(library: SampleLibrary):
    query = f"?user={library.world.user_ids['member']}"
    assert "2025 in review" in await page(library, query)
    await enter(library.world, "admin")
    html = await page(library, query)
    assert "2025 of member in review" in html
    assert "Watched 4.5 h" in words(html)
    for user in (NOWHERE, "x"):
        assert (await library.world.client.get(f"/statistics?user={user}")).status_code == 404
    await enter(library.world, "stranger")
    assert (await library.world.client.get(f"/statistics{query}")).status_code == 403


# Drawing


def test_the_longest_month_has_the_full_height_and_a_short_one_is_still_seen():
    months = [Milliseconds(each) for each in (0, HOUR, 100 * HOUR, HOUR // 10)]
    bars = bars_of(months)
    assert [bar.height for bar in bars] == [0, 2, 130, 2]
    assert [bar.hours for bar in bars] == ["", "1", "100", "0.1"]
    assert all(bar.y + bar.height == 148 for bar in bars)
    assert [bar.name for bar in bars] == ["Jan", "Feb", "Mar", "Apr"]


def test_hours_of_the_week_are_shaded_by_their_share_of_the_most():
    counts = [[0] * 24 for _ in range(7)]
    counts[4][20], counts[5][21], counts[6][0] = 8, 4, 1
    week = week_of(counts)
    assert [path.count("M") for path in week.shades] == [7 * 24 - 3, 1, 1, 0, 1]
    assert week.shades[4].startswith("M310 60h12")
    assert week.summary == "Most often on Friday after 20:00: 8 plays"
    assert [name for _, name in week.weekdays] == ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]


@pytest.mark.parametrize(("hours", "text"), [(0, "0 h"), (0.46, "0.5 h"), (99.94, "99.9 h"), (1204.4, "1,204 h")])
def test_many_hours_have_no_fraction(hours: float, text: str):
    assert hours_in_words(Milliseconds(int(hours * HOUR))) == text
