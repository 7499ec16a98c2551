"""The first minutes in a real Chromium: the one-time link, the first library, home; also with only a keyboard."""

import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from browser import eventually
from clips import write_clip
from server import PASSWORD, Server

FILMS = 60

Shot = Callable[[Page, str], None]


@pytest.fixture
def films() -> Iterator[Path]:
    """A folder of films. Not below `tmp_path`: the chooser shows 500 folders, and all tests create more there."""
    with tempfile.TemporaryDirectory(prefix="playhead-films-") as place:
        folder = Path(place) / "films"
        write_clip(folder / "Arrival Hall (2001).mkv", 2)
        clip = (folder / "Arrival Hall (2001).mkv").read_bytes()
        for number in range(1, FILMS):
            # Different lengths: files with the same content would be one item that moved.
            (folder / f"Film Number {number} (2002).mkv").write_bytes(clip + bytes(number))
        (folder / "Broken (2003).mkv").write_bytes(b"no film")
        yield folder


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server without users."""
    server = Server(tmp_path / "data")
    server.start()
    yield server
    assert server.stop() == 0


def setup_link(server: Server) -> str:
    found = re.search(r"http://\S+/setup\?token=\w+", server.printed())
    assert found, server.printed()
    return found[0]


def make_first_admin(page: Page, server: Server) -> None:
    page.goto(setup_link(server))
    page.get_by_label("Name").fill("Ana")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Password again").fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()


def choose(page: Page, folder: Path) -> None:
    """Open a folder of the server by clicking on it, and on those that lead to it."""
    for part in folder.parts[1:]:
        page.locator(".folders").get_by_role("button", name=part, exact=True).click()
    expect(page.get_by_label("Folder on the server")).to_have_value(str(folder))


def test_from_the_one_time_link_to_a_scanned_library_and_home(server: Server, page: Page, films: Path, shot: Shot):
    page.goto(setup_link(server))
    shot(page, "first-run-1-welcome")
    make_first_admin(page, server)
    expect(page.get_by_role("heading", name="Add a library")).to_be_visible()
    page.get_by_label("Name").fill("Films")
    choose(page, films)
    expect(page.get_by_label("Name")).to_have_value("Films")  # the input so far is kept
    shot(page, "first-run-2-library")
    page.get_by_role("button", name="Add the library").click()
    # The page follows the scan without a reload.
    page.evaluate("window.stayed = true")
    expect(page.get_by_role("heading", name=f"{FILMS} movies")).to_be_visible(timeout=60_000)
    expect(page.get_by_text(f"{FILMS} movies in {FILMS} files added, 1 file skipped")).to_be_visible(timeout=60_000)
    expect(page.get_by_role("cell", name="Broken (2003).mkv")).to_be_visible()
    assert page.evaluate("window.stayed") is True
    shot(page, "first-run-3-scanned")
    page.get_by_role("link", name="Go home").click()
    expect(page).to_have_url(f"{server.url}/")
    expect(page.get_by_role("link", name="Films", exact=True)).to_be_visible()
    shot(page, "first-run-4-home")


def test_the_page_shows_the_progress_of_a_scan_started_elsewhere(server: Server, page: Page, films: Path, shot: Shot):
    make_first_admin(page, server)
    page.goto(f"{server.url}/admin/libraries")
    expect(page.get_by_text("There are no libraries yet.")).to_be_visible()
    # Another user adds and scans one; this page is not touched.
    server.command("library", "add", "Films", str(films), "--kind", "movies")
    expect(page.get_by_text("Not scanned yet")).to_be_visible()
    server.command("scan", "Films")
    expect(page.get_by_text(f"{FILMS} movies", exact=True)).to_be_visible()
    shot(page, "admin-libraries")


def test_the_browsers_time_zone_is_taken_at_the_first_sign_in(server: Server, browser: Browser):
    context = browser.new_context(timezone_id="Asia/Tokyo")
    page = context.new_page()
    make_first_admin(page, server)
    page.goto(f"{server.url}/settings")
    expect(page.get_by_label("Show dates and times as in")).to_have_value("Asia/Tokyo")
    expect(page.get_by_text("Chrome on Linux")).to_be_visible()
    context.close()


def test_everything_works_without_scripts(server: Server, browser: Browser, films: Path):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    make_first_admin(page, server)
    page.get_by_label("Name").fill("Films")
    choose(page, films)
    page.get_by_label("Name").press("Enter")  # adds without choosing a folder
    page.get_by_role("button", name="Scan Films").wait_for()

    def is_scanned() -> bool:
        page.reload()
        return page.get_by_text(f"{FILMS} movies in {FILMS} files added, 1 file skipped").is_visible()

    eventually(is_scanned, within_s=60)
    context.close()


def test_sign_in_user_administration_and_sign_out_work_by_keyboard(server: Server, page: Page, shot: Shot):
    server.add_user("Ana")
    keys = page.keyboard
    page.goto(server.url)
    expect(page.get_by_label("Name")).to_be_focused()
    keys.type("ana")
    keys.press("Tab")
    keys.type(PASSWORD)
    keys.press("Enter")
    expect(page).to_have_url(f"{server.url}/")
    keys.press("Tab")  # the first stop is the link that skips the navigation
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    tab_to(page, "Ana")
    keys.press("Enter")
    shot(page, "keyboard-menu")
    tab_to(page, "Administration")
    keys.press("Enter")
    expect(page.get_by_role("heading", name="Administration")).to_be_visible()
    tab_to(page, "Users")
    keys.press("Enter")
    expect(page.get_by_role("heading", name="Users")).to_be_visible()
    tab_to(page, "Add a user")
    keys.press("Enter")
    expect(page.get_by_label("Name")).to_be_focused()
    keys.type("Ben")
    keys.press("Tab")
    keys.type(PASSWORD)
    keys.press("Enter")
    expect(page.get_by_text("The user has been added.")).to_be_visible()
    tab_to(page, "Ana")
    keys.press("Enter")
    tab_to(page, "Sign out")
    keys.press("Enter")
    expect(page).to_have_url(f"{server.url}/sign-in")


def tab_to(page: Page, name: str) -> None:
    """Press Tab until the element with this name has the focus, and check that it is visible."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.innerText").strip().partition("\n")[0] == name:
            outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none", f"nobody sees that {name} has the focus"
            return
    raise AssertionError(f"no Tab leads to {name}")
