"""Home, libraries and item pages in a browser: actions can be undone, and changes elsewhere appear on their own."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from browser import eventually, sign_in
from demo import DemoServer
from server import PASSWORD, Server

WITHIN_MS = 15_000  # generous, for a busy machine

MOVIES = 300
PART = 60

Shot = Callable[[Page, str], None]
Open = Callable[..., Page]


@pytest.fixture
def ada(demo: DemoServer) -> Iterator[httpx.Client]:
    """The admin by her token, as another device of hers, without earlier state."""
    with demo.client("ada") as client:
        for item in items(client):
            if item["kind"] != "show":
                client.delete(f"/api/v1/playback/{item['kind']}/{item['id']}").raise_for_status()
        yield client


@pytest.fixture
def new_browser(browser: Browser, demo: DemoServer) -> Iterator[Open]:
    """Opens independent browsers, each with a signed-in user."""
    contexts: list[BrowserContext] = []

    def begin(name: str = "ada", **options: Any) -> Page:  # noqa: ANN401 - Playwright's own
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(WITHIN_MS)
        sign_in(page, demo, name)
        return page

    yield begin
    for context in contexts:
        context.close()


def items(client: httpx.Client) -> list[dict[str, Any]]:
    return client.get("/api/v1/items", params={"limit": 100}).raise_for_status().json()["items"]


def named(client: httpx.Client, title: str) -> dict[str, Any]:
    return next(item for item in items(client) if item["title"] == title)


def report(client: httpx.Client, item: dict[str, Any], share: float) -> None:
    length = item["runtime_seconds"]
    path = f"/api/v1/playback/{item['kind']}/{item['id']}"
    client.post(
        path, json={"position_seconds": length * share, "duration_seconds": length, "device": "television"}
    ).raise_for_status()


def state(client: httpx.Client, item: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/api/v1/playback/{item['kind']}/{item['id']}/state").raise_for_status().json()
    del found["version"]
    return found


def stay(page: Page) -> Callable[[], bool]:
    """Mark the page, and return a function that checks the mark: a page that was reloaded has none."""
    page.evaluate("() => { window.isTheSame = true; }")
    return lambda: page.evaluate("() => window.isTheSame === true")


# Undoing


def test_a_mark_is_undone_on_the_page_where_it_was_made(ada: httpx.Client, new_browser: Open, shot: Shot):
    movie = named(ada, "The Long Meadow")
    report(ada, movie, 0.5)
    before = state(ada, movie)
    page = new_browser()
    is_same = stay(page)
    card = page.locator("#continue .card", has_text="The Long Meadow")
    card.get_by_role("button", name="Mark as watched").click()
    expect(card).to_have_count(0)
    toast = page.locator(".toast")
    expect(toast).to_contain_text("Marked as watched")
    shot(page, "home-undo")
    assert state(ada, movie)["watched"]
    toast.get_by_role("button", name="Undo").click()
    expect(card).to_contain_text("left")
    expect(page.locator(".toast", has_text="Undone")).to_be_visible()
    assert state(ada, movie) == before
    assert is_same()


def test_changes_of_another_device_survive_an_undo(ada: httpx.Client, new_browser: Open):
    movie = named(ada, "The Long Meadow")
    report(ada, movie, 0.5)
    page = new_browser()
    page.locator("#continue .card", has_text="The Long Meadow").get_by_role("button", name="Mark as watched").click()
    undo = page.locator(".toast").get_by_role("button", name="Undo")
    expect(undo).to_be_visible()
    report(ada, movie, 0.2)
    undo.click()
    expect(page.locator(".toast", has_text="It has changed in the meantime")).to_be_visible()
    assert state(ada, movie)["watched"]


def test_a_mark_is_undone_without_scripts(ada: httpx.Client, new_browser: Open, shot: Shot):
    movie = named(ada, "The Long Meadow")
    report(ada, movie, 0.5)
    before = state(ada, movie)
    page = new_browser(java_script_enabled=False)
    card = page.locator("#continue .card", has_text="The Long Meadow")
    card.get_by_role("button", name="Mark as watched").click()
    expect(page.get_by_text("Marked as watched", exact=True)).to_be_visible()
    expect(card).to_have_count(0)
    shot(page, "home-undo-without-scripts")
    page.get_by_role("button", name="Undo").click()
    expect(card).to_have_count(1)
    assert state(ada, movie) == before


def test_a_card_is_snoozed_and_restored_by_keyboard(ada: httpx.Client, new_browser: Open, shot: Shot):
    report(ada, named(ada, "The Long Meadow"), 0.5)
    page = new_browser()
    card = page.locator("#continue .card", has_text="The Long Meadow")
    more = card.get_by_label("More about The Long Meadow")
    more.focus()
    page.keyboard.press("Enter")
    expect(card.get_by_role("button", name="Snooze for a week")).to_be_visible()
    shot(page, "home-menu")
    page.keyboard.press("Escape")
    expect(card.get_by_role("button", name="Snooze for a week")).to_be_hidden()
    expect(more).to_be_focused()
    page.keyboard.press("Enter")
    for _ in range(2):
        page.keyboard.press("Tab")
    expect(card.get_by_role("button", name="Snooze for a week")).to_be_focused()
    page.keyboard.press("Enter")
    expect(card).to_have_count(0)
    expect(page.locator(".toast")).to_contain_text("Snoozed for a week")
    page.locator(".toast").get_by_role("button", name="Undo").focus()
    page.keyboard.press("Enter")
    expect(card).to_have_count(1)


# Live updates


def test_two_browsers_follow_each_other(demo: DemoServer, ada: httpx.Client, new_browser: Open, shot: Shot):
    movie = named(ada, "The Long Meadow")
    report(ada, movie, 0.5)
    here, there = new_browser(), new_browser()
    is_same = stay(here)
    card = here.locator("#continue .card", has_text="The Long Meadow")
    expect(card).to_have_count(1)
    there.goto(f"{demo.url}/movies/{movie['id']}")
    there.get_by_role("button", name="Mark as watched").click()
    expect(card).to_have_count(0)
    expect(there.get_by_role("button", name="Mark as unwatched")).to_be_visible()
    shot(there, "movie-watched")
    # And the other way round, while a third device continues to play.
    report(ada, movie, 0.3)
    expect(card).to_have_count(1)
    expect(there.get_by_role("link", name="Resume at")).to_be_visible()
    assert is_same()


def test_ninety_percent_are_a_tick_on_the_pages_of_the_show(
    demo: DemoServer, ada: httpx.Client, new_browser: Open, shot: Shot
):
    show = named(ada, "Tidal Station")
    episode = named(ada, "Slack Water")
    page, season = new_browser(), new_browser()
    page.goto(f"{demo.url}/shows/{show['id']}")
    season.goto(f"{demo.url}/shows/{show['id']}/seasons/1")
    are_same = stay(page), stay(season)
    expect(page.get_by_role("link", name="Start S1 E1")).to_be_visible()
    row = season.locator(".episodes > li", has_text="Slack Water")
    report(ada, episode, 0.5)
    expect(page.get_by_role("link", name="Continue S1 E1")).to_be_visible()
    expect(row.get_by_role("progressbar")).to_be_visible()
    report(ada, episode, 0.9)
    expect(page.get_by_text("1 of 5 watched")).to_be_visible()
    expect(page.get_by_role("link", name="Play S1 E2")).to_be_visible()
    expect(row.get_by_text("Watched", exact=True)).to_have_count(1)
    shot(page, "show")
    shot(season, "season")
    assert all(is_same() for is_same in are_same)


def test_all_episodes_up_to_one_are_marked_on_the_season_page(
    demo: DemoServer, ada: httpx.Client, new_browser: Open, shot: Shot
):
    show = named(ada, "Tidal Station")
    page = new_browser()
    page.goto(f"{demo.url}/shows/{show['id']}/seasons/1")
    page.get_by_label("More about Spring Tide").click()
    row = page.locator(".episodes > li", has_text="Spring Tide")
    row.get_by_role("button", name="Mark everything up to here as watched").click()
    expect(page.get_by_text("2 of 3 watched")).to_be_visible()
    shot(page, "season-up-to-here")
    page.locator(".toast").get_by_role("button", name="Undo").click()
    expect(page.get_by_text("0 of 3 watched")).to_be_visible()


def test_marking_a_show_requires_confirmation(demo: DemoServer, ada: httpx.Client, new_browser: Open):
    show = named(ada, "Tidal Station")
    page = new_browser(java_script_enabled=False)
    page.goto(f"{demo.url}/shows/{show['id']}")
    button = page.get_by_role("button", name="Mark as watched")
    expect(button).to_be_hidden()
    page.locator("summary", has_text="Mark as watched").click()
    button.click()
    expect(page.get_by_text("All watched")).to_be_visible()


# Search


def test_a_person_finds_a_show_with_a_typo_and_an_episode_by_its_number(
    ada: httpx.Client, new_browser: Open, shot: Shot
):
    episode = named(ada, "Slack Water")
    page = new_browser("ada")
    box = page.get_by_role("searchbox")
    box.fill("tidla station")
    box.press("Enter")
    expect(page.locator("#found")).to_contain_text("Tidal Station")
    shot(page, "search-with-a-typo")
    number = f"s{episode['season_number']:02}e{episode['episode_number']:02}"
    box.fill(f"Tidal Station {number}")
    box.press("Enter")
    page.locator("#found").get_by_role("link", name="Slack Water").click()
    expect(page).to_have_url(re.compile(f"/episodes/{episode['id']}$"))


# Access


def test_a_user_finds_nothing_of_another(demo: DemoServer, ada: httpx.Client, new_browser: Open, shot: Shot):
    report(ada, named(ada, "The Long Meadow"), 0.5)
    report(ada, named(ada, "Slack Water"), 0.5)
    page = new_browser("ben")
    with demo.client("ben") as ben:
        for item in items(ben):
            ben.delete(f"/api/v1/playback/{item['kind']}/{item['id']}").raise_for_status()
    page.reload()
    expect(page.locator("#continue")).to_contain_text("Nothing in progress.")
    expect(page.get_by_text("Tidal Station")).to_have_count(0)
    shot(page, "home-of-another")
    page.goto(f"{demo.url}/search?query=tide")
    expect(page.get_by_text("No matches")).to_be_visible()
    answer = page.goto(f"{demo.url}/shows/{named(ada, 'Tidal Station')['id']}")
    assert answer is not None
    assert answer.status == 403


# Appearance


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("phone", {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}),
        ("desk", {"viewport": {"width": 1280, "height": 800}}),
        ("television", {"viewport": {"width": 1920, "height": 1080}, "color_scheme": "dark"}),
    ],
)
def test_pages_fit_any_screen(
    demo: DemoServer, ada: httpx.Client, new_browser: Open, shot: Shot, name: str, options: dict[str, Any]
):
    movie, show, episode = (named(ada, title) for title in ("The Long Meadow", "Tidal Station", "Spring Tide"))
    report(ada, movie, 0.5)
    report(ada, named(ada, "Slack Water"), 1)
    page = new_browser(**options)
    libraries = {each["name"]: each["id"] for each in ada.get("/api/v1/libraries").json()["items"]}
    for what, path in {
        "home": "/",
        "library": f"/libraries/{libraries['Films']}",
        "shows": f"/libraries/{libraries['Series']}",
        "movie": f"/movies/{movie['id']}",
        "show": f"/shows/{show['id']}",
        "season": f"/shows/{show['id']}/seasons/1",
        "episode": f"/episodes/{episode['id']}",
        "search": "/search?query=tid",
    }.items():
        page.goto(f"{demo.url}{path}")
        page.wait_for_function("() => [...document.images].every(each => each.complete || each.loading === 'lazy')")
        assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth"), what
        shot(page, f"{what}-{name}")


# A large library


@pytest.fixture(scope="module")
def cinema(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose only library has more movies than fit on a page."""
    server = Server(tmp_path_factory.mktemp("cinema") / "data")
    token = server.add_user("ana")
    server.start()
    with server.client(token) as client:
        library = {"name": "Cinema", "kind": "movies", "path": None}
        client.post("/api/v1/libraries", json=library).raise_for_status()
        lines = [
            json.dumps({"library": "Cinema", "kind": "movie", "title": f"Reel {number}", "runtime_seconds": 5400})
            for number in range(MOVIES)
        ]
        headers = {"content-type": "application/x-ndjson"}
        client.post("/api/v1/catalogue/import", content="\n".join(lines), headers=headers).raise_for_status()
        server.environment["TOKEN"] = token
    yield server
    assert server.stop() == 0


def open_cinema(page: Page, cinema: Server) -> dict[str, Any]:
    with cinema.client(cinema.environment["TOKEN"]) as client:
        library = client.get("/api/v1/libraries").json()["items"][0]
    page.set_default_timeout(WITHIN_MS)
    page.goto(f"{cinema.url}/sign-in")
    page.get_by_label("Name").fill("ana")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url(f"{cinema.url}/")
    page.goto(f"{cinema.url}/libraries/{library['id']}")
    return library


def test_a_library_loads_more_near_its_end(cinema: Server, page: Page, shot: Shot):
    open_cinema(page, cinema)
    cards = page.locator("#parts .card")

    def are_all_there() -> bool:
        page.evaluate("() => scrollTo(0, document.documentElement.scrollHeight)")
        return cards.count() == MOVIES

    eventually(are_all_there)
    keys = page.evaluate("() => [...document.querySelectorAll('#parts .card')].map(card => card.dataset.key)")
    assert len({*keys}) == MOVIES
    titles = page.evaluate("() => [...document.querySelectorAll('#parts .name')].map(name => name.textContent)")
    assert titles == [f"Reel {number}" for number in range(MOVIES)]
    expect(page.get_by_role("link", name="More")).to_have_count(0)
    shot(page, "library-of-many")


def test_pages_loaded_later_are_updated_live_too(cinema: Server, page: Page):
    open_cinema(page, cinema)
    is_same = stay(page)
    cards = page.locator("#parts .card")
    page.evaluate("() => scrollTo(0, document.documentElement.scrollHeight)")
    card = cards.filter(has_text="Reel 70")
    expect(card).to_have_count(1, timeout=WITHIN_MS)
    card.scroll_into_view_if_needed()
    item_id = card.get_attribute("data-key")
    count = cards.count()
    with cinema.client(cinema.environment["TOKEN"]) as client:
        client.put(f"/api/v1/playback/movie/{item_id}/watched").raise_for_status()
    expect(card.get_by_text("Watched")).to_have_count(1, timeout=WITHIN_MS)
    assert cards.count() >= count
    assert is_same()


def test_without_scripts_a_link_leads_to_the_next_page(cinema: Server, browser: Browser):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    open_cinema(page, cinema)
    expect(page.locator("#parts .card")).to_have_count(PART)
    page.get_by_role("link", name="More").click()
    expect(page.locator("#parts .card .name").first).to_have_text(f"Reel {PART}")
    page.get_by_role("link", name="Back to the beginning").click()
    expect(page.locator("#parts .card .name").first).to_have_text("Reel 0")
    context.close()
