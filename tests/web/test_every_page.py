"""Requirements on every page: no findings of axe-core, small, quiet, still, and fully reachable by keyboard.

The pages are those of the route table, so that a new one cannot be forgotten.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from functools import cache
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

# Without pictures and films, in bytes transferred. A page that fetches itself again, to stay up to date, counts once.
WEIGHT = """
() => [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
    .filter(each => each.initiatorType !== 'fetch' || each.name !== location.href)
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

# What must be reachable by keyboard, in document order. Of radio buttons with one name, one is enough.
REACHABLE = """
() => {
    const found = [...document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex="0"]')];
    return found.filter(each => each.checkVisibility({visibilityProperty: true}) && !each.disabled
        && each.type !== 'hidden' && each.type !== 'radio' && each.tabIndex >= 0).length;
}
"""

# Counts what the page changes of itself, such as the state of a scan on the server.
FOLLOW = """
() => {
    window.changes = 0;
    window.follower ??= new MutationObserver(seen => { window.changes += seen.length; });
    window.follower.observe(document.body, {childList: true, subtree: true});
    document.querySelectorAll('[data-seen]').forEach(each => { delete each.dataset.seen; });
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
    # the table only binds the endpoints that it is given
    services, context = (
        kind(**dict.fromkeys(field.name for field in fields(kind))) for kind in (Services, ServerContext)
    )
    rows = table(services, context)
    return [row.path for row in rows if row.show_refusal is not None and row.method == "GET"]


ENTRANCE = ("/setup", "/sign-in", "/tv")
"""Pages for anonymous visitors."""

ABSENT = ("/setup", "/sign-in/openid", "/sign-in/openid/return")
"""Pages that the demo does not have: it has its first admin, and no provider to sign in at."""


@pytest.fixture(scope="session")
def places(demo: DemoServer) -> dict[str, str]:
    """Values for the parameters of a path, by the path before them."""
    with demo.client("ada") as client:
        libraries = {each["name"]: each["id"] for each in client.get("/api/v1/libraries").json()["items"]}
        items = client.get("/api/v1/items").json()["items"]
        users = {each["username"]: each["id"] for each in client.get("/api/v1/users").json()["items"]}
        # Some of everything, so that no page is empty.
        for item in (each for each in items if each["kind"] != "show"):
            report = {"position_seconds": item["runtime_seconds"] * 0.4, "duration_seconds": item["runtime_seconds"]}
            client.post(f"/api/v1/playback/{item['kind']}/{item['id']}", json=report)
        show = next(each for each in items if each["kind"] == "show")
        client.put(f"/api/v1/playback/show/{show['id']}/season/1/watched")
        client.patch(f"/api/v1/items/{show['id']}", json={"year": show["year"]})
        movie = next(each for each in items if each["kind"] == "movie")
        (file, *_) = client.get(f"/api/v1/items/{movie['id']}").json()["files"]
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
        "/admin/items/": first["movie"],
        "/admin/files/": file["id"],
    }


def address_of(pattern: str, places: dict[str, str]) -> str:
    """Return the path of an existing page."""
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
    """Make the device remembered, so that there are tiles."""
    page.goto(f"{demo.url}/household")
    page.get_by_label("ben").check()
    page.get_by_role("button", name="Remember this device").click()
    page.get_by_text("is now remembered").wait_for()
    return page


WAYS: dict[str, dict[str, Any]] = {
    "light": {"viewport": WIDE, "color_scheme": "light"},
    "dark and still": {"viewport": WIDE, "color_scheme": "dark", "reduced_motion": "reduce"},
    "phone": {"viewport": NARROW, "has_touch": True, "is_mobile": True},
    "bare": {"viewport": WIDE, "java_script_enabled": False},
}
"""The ways to look at a page. `make test` looks in the light only, the long tests in each."""


@dataclass
class Visit:
    """A page that was opened in one way, the responses that it caused, and what the console said meanwhile."""

    page: Page
    answers: list[Response]
    said: list[str]


class Visitors:
    """Opens pages in any way of looking, for whoever is signed in or is not; each way has two browsers of its own."""

    def __init__(self, browser: Browser, demo: DemoServer) -> None:
        self._browser = browser
        self._demo = demo
        self._pages: dict[tuple[str, bool], Page] = {}

    def visit(self, path: str, way: str, *, signed_in: bool) -> Visit:
        """Open a page and return once it is drawn."""
        if (way, signed_in) not in self._pages:
            context = self._browser.new_context(**WAYS[way])
            self._pages[way, signed_in] = (
                remember(enter(context, self._demo), self._demo) if signed_in else context.new_page()
            )
        made = Visit(self._pages[way, signed_in], [], [])

        def hear(message: ConsoleMessage) -> None:
            if message.type in {"error", "warning"}:
                made.said.append(message.text)

        def note(response: Response) -> None:
            made.answers.append(response)

        made.page.on("console", hear)
        made.page.on("response", note)
        try:
            show(made.page, self._demo, path)
            if way != "bare":
                settle(made.page)
        finally:
            made.page.remove_listener("console", hear)
            made.page.remove_listener("response", note)
        return made

    def close(self) -> None:
        for page in self._pages.values():
            page.context.close()


@pytest.fixture(scope="module")
def visitors(browser: Browser, demo: DemoServer) -> Iterator[Visitors]:
    made = Visitors(browser, demo)
    yield made
    made.close()


@pytest.fixture(scope="module", params=paths_of_pages())
def pattern(request: pytest.FixtureRequest) -> str:
    """The path of each page, as the table of routes has it."""
    return str(request.param)


@pytest.fixture(scope="module")
def visits(pattern: str, visitors: Visitors, places: dict[str, str]) -> Callable[[str], Visit]:
    """Visits the page in a way, at most once for all tests: opening it takes longer than looking at it."""
    return cache(lambda way: visitors.visit(address_of(pattern, places), way, signed_in=pattern not in ENTRANCE))


def complaints(page: Page, part: str) -> list[tuple[str, list[str]]]:
    """Return the findings of axe-core in a part of the page."""
    found = Axe().run(page, part, {"runOnly": {"type": "tag", "values": WCAG}}).response["violations"]
    return [(each["id"], [node["html"] for node in each["nodes"]][:5]) for each in found]


def show(page: Page, demo: DemoServer, path: str) -> None:
    answer = page.goto(f"{demo.url}{path}", wait_until="load")
    assert answer is not None
    assert answer.status == (404 if path in ABSENT else 200), path


@pytest.mark.parametrize(
    "way",
    ["light", pytest.param("dark and still", marks=pytest.mark.long), pytest.param("phone", marks=pytest.mark.long)],
)
def test_axe_finds_nothing_and_nothing_overflows(visits: Callable[[str], Visit], way: str):
    page = visits(way).page
    assert complaints(page, "body") == []
    assert (
        page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    )  # nothing overflows, on a phone either
    menus = page.locator("details.menu").all() if way == "light" else []
    for menu in menus[:2]:  # a few of many identical ones
        menu.evaluate("menu => { menu.open = true; }")
        assert complaints(page, "details.menu[open]") == []
        menu.evaluate("menu => { menu.open = false; }")


def test_a_page_is_small_quiet_and_does_not_move(visits: Callable[[str], Visit], pattern: str, demo: DemoServer):
    visit = visits("light")
    page = visit.page
    others = {answer.url for answer in visit.answers if not answer.url.startswith((demo.url, "blob:", "data:"))}
    assert visit.answers
    assert others == set()
    assert 0 < page.evaluate(WEIGHT) <= WEIGHT_MAX
    assert page.evaluate(SHIFTS) <= SHIFT_MAX
    assert [text for text in visit.said if pattern not in ABSENT] == []


def test_everything_is_reachable_by_keyboard_with_visible_focus(visits: Callable[[str], Visit]):
    page = visits("light").page
    for _ in range(5):
        reached, wanted = walk_by_keyboard(page)
        if page.evaluate("window.changes") == 0:  # else an element may have been replaced on the way
            break
    assert reached >= min(wanted, 80)


def walk_by_keyboard(page: Page) -> tuple[int, int]:
    """Return how many elements the Tab key reaches, up to 90, and how many can be reached."""
    page.evaluate(FOLLOW)
    wanted = page.evaluate(REACHABLE)
    reached = 0
    for _ in range(min(wanted, 80) + 10):
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        if focused is None:  # after the last element comes the browser's own interface, and then the first
            continue
        if focused[0] > 1:
            break
        reached += 1
        assert focused[1], f"no focus is shown on {focused[2]}"
    return reached, wanted


@pytest.mark.long
def test_nothing_moves_with_reduced_motion(visits: Callable[[str], Visit]):
    assert visits("dark and still").page.evaluate("document.getAnimations().length") == 0


@pytest.mark.long
def test_a_page_is_the_same_without_scripts(visits: Callable[[str], Visit], pattern: str):
    bare, scripted = visits("bare").page, visits("light").page
    assert bare.locator("h1").all_inner_texts() == scripted.locator("h1").all_inner_texts()
    if not pattern.startswith("/watch/"):
        links = "main a[href], main button"
        assert bare.locator(links).count() >= scripted.locator(links).count()
