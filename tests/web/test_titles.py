"""One title, one item, as a newcomer meets it: two libraries with the same film, and a child who sees one."""

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from browser import eventually
from clips import write_clip
from playhead.domain.model import Role
from server import PASSWORD, Server

PHONE = ViewportSize(width=390, height=844)
SECONDS = 40  # of each film, so that 20 s can be resumed


@dataclass
class House:
    """A server with the libraries HD and 4K, the admin Ana, and the child Kim, who may see HD alone."""

    server: Server
    disks: Path
    tokens: dict[str, str]

    def call(self, name: str, method: str, path: str, **members: Any) -> Any:  # noqa: ANN401 - JSON
        with self.server.client(self.tokens[name]) as client:
            answer = client.request(method, f"/api/v1{path}", **members)
            assert answer.is_success, answer.text
            return answer.json() if answer.content else None

    def add_library(self, name: str, folder: Path) -> str:
        """Add a library and scan it; return its id."""
        library: str = self.call(
            "Ana", "POST", "/libraries", json={"name": name, "kind": "movies", "path": str(folder)}
        )["id"]
        self.server.command("scan", name)
        return library

    def grant(self, library: str, name: str) -> None:
        users = self.call("Ana", "GET", "/users")["items"]
        (user,) = [each["id"] for each in users if each["username"] == name]
        self.call("Ana", "PUT", f"/libraries/{library}/access/{user}")

    def items(self) -> dict[str, str]:
        """Return the ids of all movies, by title."""
        return {each["title"]: each["id"] for each in self.call("Ana", "GET", "/items?kind=movie&limit=500")["items"]}

    def report(self, name: str, item: str, second: int = SECONDS // 2) -> None:
        report = {"position_seconds": second, "duration_seconds": SECONDS}
        self.call(name, "POST", f"/playback/movie/{item}", json=report)

    def streams(self, name: str, item: str) -> bool:
        """Return whether the server sends the film."""
        with self.server.client(self.tokens[name]) as client:
            return client.head(f"/api/v1/stream/movie/{item}").status_code == 200


def film(path: Path, seconds: int = SECONDS) -> None:
    """Write a film whose content is its own: files with the same content would be one title that moved."""
    write_clip(path, seconds)
    with path.open("ab") as file:
        file.write(str(path).encode())


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    root = tmp_path_factory.mktemp("house")
    disks = root / "disks"
    film(disks / "hd" / "Copper Sky (1974)" / "Copper Sky (1974) - 1080p.mkv")
    film(disks / "hd" / "Teh Lantern Makers (1999).mkv")
    film(disks / "hd" / "Cold Lake (1991).mkv")
    film(disks / "hd" / "xvid-lm.mkv")
    (disks / "hd" / "Broken (2003).mkv").write_bytes(b"no film")
    (disks / "hd" / "Winter (2001).iso").write_bytes(b"a disc")
    film(disks / "4k" / "Copper Sky (1974)" / "Copper Sky (1974) - 2160p.mkv")
    film(disks / "4k" / "Lantern Makers (1999).mkv", SECONDS + 20)
    server = Server(root / "data")
    server.start()
    made = House(server, disks, {"Ana": server.add_user("Ana"), "Kim": server.add_user("Kim", Role.MEMBER)})
    made.grant(made.add_library("HD", disks / "hd"), "Kim")
    made.add_library("4K", disks / "4k")
    yield made
    assert server.stop() == 0


def enter(page: Page, house: House, name: str) -> Page:
    page.goto(f"{house.server.url}/sign-in")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url(f"{house.server.url}/")
    return page


@pytest.fixture
def ana(page: Page, house: House) -> Page:
    return enter(page, house, "Ana")


@pytest.fixture
def kim(browser: Browser, house: House) -> Iterator[Page]:
    context = browser.new_context()
    yield enter(context.new_page(), house, "Kim")
    context.close()


def until_done(page: Page, act: Callable[[], None], done: str) -> None:
    """Do what a person does with a form, and again while a library is scanned, which the server does on its own."""

    def is_done() -> bool:
        act()
        expect(page.get_by_role("status").or_(page.get_by_role("alert")).first).to_be_visible()
        if page.get_by_text(done).is_visible():
            return True
        expect(page.get_by_text("is being scanned")).to_be_visible()
        return False

    eventually(is_done)


def open_library(page: Page, house: House, name: str) -> None:
    page.goto(f"{house.server.url}/admin/libraries")
    page.get_by_role("main").get_by_role("link", name=name, exact=True).click()
    expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()


def versions(page: Page) -> list[str]:
    return page.locator("#versions + .rows .what").all_inner_texts()


def test_a_film_of_two_libraries_is_one_title_and_a_child_sees_the_files_of_its_own(house: House, ana: Page, kim: Page):
    item = house.items()["Copper Sky"]
    house.report("Kim", item)
    ana.goto(f"{house.server.url}/movies/{item}")
    facts = ana.get_by_role("article")
    expect(facts.get_by_role("link", name="HD", exact=True)).to_be_visible()
    expect(facts.get_by_role("link", name="4K", exact=True)).to_be_visible()
    assert len(versions(ana)) == 2
    assert len(set(versions(ana))) == 2  # told apart
    kim.goto(f"{house.server.url}/movies/{item}")
    expect(kim.get_by_role("link", name="Resume at 0:20")).to_be_visible()
    assert len(versions(kim)) == 1
    assert "4K" not in kim.get_by_role("main").inner_text()
    expect(kim.get_by_role("link", name="Wrong title?")).to_have_count(0)


def test_a_wrong_title_is_put_right_and_two_entries_become_one_by_page(
    house: House, ana: Page, kim: Page, shot: Callable[[Page, str], None]
):
    items = house.items()
    wrong, other = items["Teh Lantern Makers"], items["Lantern Makers"]
    house.report("Kim", wrong)
    ana.goto(f"{house.server.url}/movies/{wrong}")
    ana.get_by_role("link", name="Wrong title?").click()
    here = ana.url

    def correct() -> None:
        ana.goto(here)
        ana.get_by_label("Title", exact=True).fill("Lantern Makers")
        ana.get_by_role("button", name="Save").click()

    def merge() -> None:
        ana.goto(here)
        ana.get_by_role("searchbox", name="Search for the other entry").fill("lantern")
        ana.locator("#same").get_by_role("button", name="Search").click()
        ana.get_by_label("Merge with Lantern Makers").click()
        ana.get_by_role("button", name="They are the same").click()

    until_done(ana, correct, "The title has been changed.")
    until_done(ana, merge, "They are one title now.")
    shot(ana, "titles-merged")
    expect(ana.get_by_role("heading", name="2 files")).to_be_visible()
    # The child keeps its place, sees its own file's length alone, and the other id means the same title.
    for item in (wrong, other):
        kim.goto(f"{house.server.url}/movies/{item}")
        expect(kim.get_by_role("heading", name="Lantern Makers", exact=True)).to_be_visible()
        expect(kim.get_by_role("link", name="Resume at 0:20")).to_be_visible()
        assert len(versions(kim)) == 1
    ana.goto(f"{house.server.url}/admin/corrections")
    expect(ana.get_by_text("Changed: Teh Lantern Makers (1999) → Lantern Makers (1999)")).to_be_visible()
    expect(ana.get_by_text("Merged: Lantern Makers (1999) → Lantern Makers (1999)")).to_be_visible()
    shot(ana, "titles-log")


def test_files_to_check_are_listed_with_the_reason_and_identified(
    house: House, ana: Page, shot: Callable[[Page, str], None]
):
    open_library(ana, house, "HD")
    ana.get_by_role("link", name="Files to check").click()
    expect(ana.get_by_text("It is damaged, or not what its name says.")).to_be_visible()
    expect(ana.get_by_text("Images of discs are not supported.")).to_be_visible()
    expect(ana.get_by_text("Read as “xvid-lm” by the rule “Title”")).to_be_visible()
    shot(ana, "titles-files-to-check")
    ana.get_by_label("What is xvid-lm.mkv?").click()
    ana.get_by_label("Title of the movie or show").fill("Lake Murmur")
    ana.get_by_label("Year").fill("2009")
    ana.get_by_role("button", name="Save").click()
    expect(ana.get_by_text("Saved. The library is being scanned.")).to_be_visible()
    # The page follows the scan without a reload.
    ana.evaluate("window.stayed = true")
    expect(ana.get_by_role("link", name="Lake Murmur")).to_be_visible(timeout=60_000)
    assert ana.evaluate("window.stayed") is True


def test_a_title_taken_out_of_a_library_is_hidden_until_that_is_undone(house: House, ana: Page, kim: Page):
    item = house.items()["Cold Lake"]

    def take_out() -> None:
        ana.goto(f"{house.server.url}/admin/items/{item}")
        ana.get_by_label("Take it out of HD").click()
        ana.get_by_role("button", name="Take it out of HD").click()

    def undo() -> None:
        ana.goto(f"{house.server.url}/admin/corrections")
        ana.get_by_role("button", name="Undo: Taken out of a library: Cold Lake").click()

    until_done(ana, take_out, "The title has been taken out of the library.")
    kim.goto(f"{house.server.url}/movies/{item}")
    expect(kim.get_by_role("heading", name="You do not have access")).to_be_visible()
    until_done(ana, undo, "Undone.")
    kim.reload()
    expect(kim.get_by_role("heading", name="Cold Lake")).to_be_visible()


def test_a_library_moves_to_another_disk_and_is_removed_and_added_again_without_losing_anything(
    house: House, ana: Page, kim: Page, shot: Callable[[Page, str], None]
):
    film(house.disks / "old" / "Salt Road (1995).mkv")
    library = house.add_library("Old", house.disks / "old")
    house.grant(library, "Kim")
    item = house.items()["Salt Road"]
    house.report("Kim", item)
    (house.disks / "disk2").mkdir()
    shutil.move(house.disks / "old", house.disks / "disk2" / "films")

    def move() -> None:
        ana.goto(f"{house.server.url}/admin/libraries/{library}")
        ana.get_by_label("Folder").fill(str(house.disks / "disk2" / "films"))
        ana.get_by_role("button", name="Move").click()

    def rename() -> None:
        ana.goto(f"{house.server.url}/admin/libraries/{library}")
        ana.get_by_label("Name of the library").fill("Moved")
        ana.get_by_role("button", name="Rename").click()

    def remove() -> None:
        ana.goto(f"{house.server.url}/admin/libraries/{library}/remove")
        ana.get_by_role("button", name="Remove Moved").click()

    ana.goto(f"{house.server.url}/admin/libraries/{library}")
    ana.get_by_label("Folder").fill(str(house.disks / "nowhere"))
    ana.get_by_role("button", name="Move").click()
    expect(ana.get_by_text("Must be an existing folder that can be read.")).to_be_visible()
    until_done(ana, move, "The library has been moved, and is being scanned.")
    until_done(ana, rename, "The library has been renamed.")
    shot(ana, "titles-moved")
    kim.goto(f"{house.server.url}/movies/{item}")
    expect(kim.get_by_role("link", name="Resume at 0:20")).to_be_visible()
    assert house.streams("Kim", item)
    until_done(ana, remove, "The library has been removed.")
    kim.goto(f"{house.server.url}/movies/{item}")
    expect(kim.get_by_text("None of your libraries has it. Your progress is kept.")).to_be_visible()
    expect(kim.get_by_role("main").get_by_role("link", name=re.compile("Play|Resume"))).to_have_count(0)
    shot(kim, "titles-held-by-nobody")
    shutil.move(house.disks / "disk2" / "films", house.disks / "disk3")
    house.grant(house.add_library("Again", house.disks / "disk3"), "Kim")
    assert house.items()["Salt Road"] == item
    kim.reload()
    expect(kim.get_by_role("link", name="Resume at 0:20")).to_be_visible()
    assert house.streams("Kim", item)
    shutil.move(house.disks / "disk3", house.disks / "disk4")
    house.server.command("library", "move", "Again", str(house.disks / "disk4"))
    assert "1 unchanged" in house.server.command("scan", "Again").stdout
    assert house.items()["Salt Road"] == item


def test_the_pages_of_corrections_fit_a_phone(house: House, browser: Browser):
    context = browser.new_context(viewport=PHONE, is_mobile=True, has_touch=True, locale="de-DE")
    page = context.new_page()
    page.goto(f"{house.server.url}/sign-in")
    page.fill("input[name=username]", "Ana")
    page.fill("input[name=password]", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{house.server.url}/")
    (library,) = [each["id"] for each in house.call("Ana", "GET", "/libraries")["items"] if each["name"] == "HD"]
    item = house.items()["Copper Sky"]
    file = house.call("Ana", "GET", f"/items/{item}")["files"][0]["id"]
    for path in (
        f"/admin/libraries/{library}",
        f"/admin/libraries/{library}/files",
        f"/admin/libraries/{library}/remove",
        f"/admin/items/{item}?query=lake",
        f"/admin/files/{file}",
        "/admin/corrections",
    ):
        page.goto(f"{house.server.url}{path}")
        assert page.locator("html").get_attribute("lang") == "de"
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, path
    context.close()
