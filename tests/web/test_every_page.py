"""What holds for every page: nothing that axe-core finds, small, quiet, still, and all of it in reach of the keyboard.

The pages are those of the route table, so that a new one cannot be forgotten.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Response

from browser import settle
from demo import DemoServer
from playhead.http.routes import ServerContext, table
from playhead.services.installation import Services

WEIGHT_MAX = 100_000
SHIFT_MAX = 0.02
NARROW = {"width": 390, "height": 844}
WIDE = {"width": 1280, "height": 800}

WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

# Without pictures and films, as they come over the wire.
WEIGHT = """
() => [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
    .filter(each => !['img', 'css', 'video', 'track'].includes(each.initiatorType))
    .reduce((sum, each) => sum + each.encodedBodySize, 0)
"""

SHIFTS = """
() => new Promise(resolve => {
    let sum = 0;
    const observer = new PerformanceObserver(list => {
        for (const entry of list.getEntries()) sum += entry.entryType === 'layout-shift' ? entry.value : 0;
        if (list.getEntriesByName('looked').length) resolve(sum);
    });
    observer.observe({type: 'layout-shift', buffered: true});
    observer.observe({type: 'mark'});
    requestAnimationFrame(() => requestAnimationFrame(() => performance.mark('looked')));
})
"""

# What a keyboard must reach, in the order of the document. Of radio buttons of one name one is enough.
REACHABLE = """
() => {
    const found = [...document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex="0"]')];
    return found.filter(each => each.checkVisibility({visibilityProperty: true}) && !each.disabled
        && each.type !== 'hidden' && each.type !== 'radio' && each.tabIndex >= 0).length;
}
"""

FOCUSED = """
() => {
    const focused = document.activeElement;
    // A field for a date has several stops of its own.
    if (!focused || focused === document.body || focused === window.previouslyFocused) return null;
    window.previouslyFocused = focused;
    focused.dataset.seen = (+focused.dataset.seen || 0) + 1;
    const style = getComputedStyle(focused);
    const isShown = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0;
    const around = focused.closest('.skip, [data-focus]');
    return [+focused.dataset.seen, isShown || around !== null, focused.outerHTML.slice(0, 200)];
}
"""


def paths_of_pages() -> list[str]:
    # the table only binds what it is given
    services, context = (
        kind(**dict.fromkeys(field.name for field in fields(kind))) for kind in (Services, ServerContext)
    )
    rows = table(services, context)
    return [row.path for row in rows if row.show_refusal is not None and row.method == "GET"]


ENTRANCE = ("/setup", "/sign-in", "/tv")
"""Pages for whoever is not signed in."""

ABSENT = ("/setup", "/sign-in/openid", "/sign-in/openid/return")
"""Pages that the demo does not have: it has its first admin, and no provider to sign in at."""


@pytest.fixture(scope="session")
def places(demo: DemoServer) -> dict[str, str]:
    """What stands for a parameter of a path, by the words before it."""
    with demo.client("ada") as client:
        libraries = {each["name"]: each["id"] for each in client.get("/api/v1/libraries").json()["items"]}
        items = client.get("/api/v1/items").json()["items"]
        users = {each["username"]: each["id"] for each in client.get("/api/v1/users").json()["items"]}
        # Something of everything, so that no page is empty.
        for item in (each for each in items if each["kind"] != "show"):
            report = {"position_seconds": item["runtime_seconds"] * 0.4, "duration_seconds": item["runtime_seconds"]}
            client.post(f"/api/v1/playback/{item['kind']}/{item['id']}", json=report)
        show = next(each for each in items if each["kind"] == "show")
        client.put(f"/api/v1/playback/show/{show['id']}/season/1/watched")
    first = {kind: next(each["id"] for each in items if each["kind"] == kind) for kind in ("movie", "show", "episode")}
    return {
        "/libraries/": libraries["Films"],
        "/movies/": first["movie"],
        "/watch/movie/": first["movie"],
        "/watch/episode/": first["episode"],
        "/episodes/": first["episode"],
        "/shows/": first["show"],
        "/seasons/": "1",
        "/admin/users/": users["ben"],
        "/household/people/": users["ben"],
        "/admin/libraries/": libraries["Films"],
    }


def address_of(pattern: str, places: dict[str, str]) -> str:
    """Return the path of a page that is there."""
    path = pattern
    while "{" in path:
        before = path.partition("{")[0]
        ending = [place for place in places if before.endswith(place)]
        assert ending, f"say in this test what stands for the parameter in {pattern}"
        path = re.sub(r"{[^}]*}", places[max(ending, key=len)], path, count=1)
    return path


def enter(context: BrowserContext, demo: DemoServer, name: str = "ada") -> Page:
    page = context.new_page()
    page.goto(f"{demo.url}/sign-in")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(demo.passwords[name])
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url(f"{demo.url}/")
    return page


def remember(page: Page, demo: DemoServer) -> Page:
    """Let the browser be remembered for its household, so that there are tiles."""
    page.goto(f"{demo.url}/household")
    page.get_by_label("ben").check()
    page.get_by_role("button", name="Share this device").click()
    page.get_by_text("is now shared").wait_for()
    return page


@dataclass
class Visit:
    """A page as it was opened in every way of looking: light, dark and still, on a phone, and bare of scripts.

    `answers` and `said` are what was answered for it, and what the console said, in the light.
    """

    pattern: str
    pages: dict[str, Page]
    answers: list[Response]
    said: list[str]


@pytest.fixture(scope="module")
def visitors(browser: Browser, demo: DemoServer) -> Iterator[dict[str, tuple[Page, Page]]]:
    """For each way of looking a browser that is signed in, and one that is not."""
    ways: dict[str, dict[str, Any]] = {
        "light": {"viewport": WIDE, "color_scheme": "light"},
        "dark and still": {"viewport": WIDE, "color_scheme": "dark", "reduced_motion": "reduce"},
        "phone": {"viewport": NARROW, "has_touch": True, "is_mobile": True},
        "bare": {"viewport": WIDE, "java_script_enabled": False},
    }
    contexts = [browser.new_context(**way) for way in (*ways.values(), *ways.values())]
    known, unknown = contexts[: len(ways)], contexts[len(ways) :]
    yield {
        name: (remember(enter(one, demo), demo), other.new_page())
        for name, one, other in zip(ways, known, unknown, strict=True)
    }
    for context in contexts:
        context.close()


@pytest.fixture(scope="module", params=paths_of_pages())
def visit(
    request: pytest.FixtureRequest,
    visitors: dict[str, tuple[Page, Page]],
    demo: DemoServer,
    places: dict[str, str],
) -> Visit:
    """One visit of a page in each way, for all checks: opening it takes longer than looking at it."""
    pattern = str(request.param)
    pages = {way: each[pattern in ENTRANCE] for way, each in visitors.items()}
    made = Visit(pattern, pages, [], [])

    def hear(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            made.said.append(message.text)

    def note(response: Response) -> None:
        made.answers.append(response)

    pages["light"].on("console", hear)
    pages["light"].on("response", note)
    try:
        for page in pages.values():
            show(page, demo, address_of(pattern, places))
        for way in pages.keys() - {"bare"}:
            settle(pages[way])
    finally:
        pages["light"].remove_listener("console", hear)
        pages["light"].remove_listener("response", note)
    return made


def complaints(page: Page, part: str) -> list[tuple[str, list[str]]]:
    """What axe-core finds in a part of the page."""
    found = Axe().run(page, part, {"runOnly": {"type": "tag", "values": WCAG}}).response["violations"]
    return [(each["id"], [node["html"] for node in each["nodes"]][:5]) for each in found]


def show(page: Page, demo: DemoServer, path: str) -> None:
    answer = page.goto(f"{demo.url}{path}", wait_until="load")
    assert answer is not None
    assert answer.status == (404 if path in ABSENT else 200), path


@pytest.mark.parametrize("way", ["light", "dark and still", "phone"])
def test_axe_finds_nothing_and_all_fits_the_width(visit: Visit, way: str):
    page = visit.pages[way]
    assert complaints(page, "body") == []
    assert (
        page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    )  # nothing sticks out, on a phone either
    menus = page.locator("details.menu").all() if way == "light" else []
    for menu in menus[:2]:  # of many that are the same, a few
        menu.evaluate("menu => { menu.open = true; }")
        assert complaints(page, "details.menu[open]") == []
        menu.evaluate("menu => { menu.open = false; }")


def test_a_page_is_small_quiet_and_does_not_move(visit: Visit, demo: DemoServer):
    page = visit.pages["light"]
    others = {answer.url for answer in visit.answers if not answer.url.startswith((demo.url, "blob:", "data:"))}
    assert visit.answers
    assert others == set()
    assert 0 < page.evaluate(WEIGHT) <= WEIGHT_MAX
    assert page.evaluate(SHIFTS) <= SHIFT_MAX
    assert [text for text in visit.said if visit.pattern not in ABSENT] == []


def test_the_keyboard_reaches_everything_and_shows_where_it_is(visit: Visit):
    page = visit.pages["light"]
    wanted = page.evaluate(REACHABLE)
    reached = 0
    for _ in range(min(wanted, 80) + 10):
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        if focused is None:  # behind the last there is the browser's own, and then the first
            continue
        if focused[0] > 1:
            break
        reached += 1
        assert focused[1], f"no focus is shown on {focused[2]}"
    assert reached >= min(wanted, 80)


def test_nothing_moves_for_whoever_wants_that(visit: Visit):
    assert visit.pages["dark and still"].evaluate("document.getAnimations().length") == 0


def test_a_page_is_the_same_without_scripts(visit: Visit):
    bare, scripted = visit.pages["bare"], visit.pages["light"]
    assert bare.locator("h1").all_inner_texts() == scripted.locator("h1").all_inner_texts()
    if not visit.pattern.startswith("/watch/"):
        links = "main a[href], main button"
        assert bare.locator(links).count() >= scripted.locator(links).count()
