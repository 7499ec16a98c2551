"""The demo as its user sees it: started by the command, and shown by a real Chromium."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from demo import DemoServer, serve_demo, stop

# Screenshots of the tests, for people. Not under version control.
ARTIFACTS = Path(__file__).parents[2] / "artifacts"

Shot = Callable[[Page, str], None]


@pytest.fixture(scope="session")
def demo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "data"


@pytest.fixture(scope="session")
def demo(demo_folder: Path) -> Iterator[DemoServer]:
    process, server = serve_demo(demo_folder)
    yield server
    assert stop(process) == 0


# Not for the whole session: Playwright's synchronous interface blocks the event loop of other tests while it is open.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    assert chromium, "the tests of pages need Chromium: apt-get install chromium"
    arguments = [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--autoplay-policy=no-user-gesture-required",
    ]
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=arguments)
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of a browser without any state of earlier tests."""
    context = browser.new_context()
    yield context.new_page()
    context.close()


@pytest.fixture
def shot() -> Shot:
    """Saves a screenshot of a page under a name."""

    def keep(page: Page, name: str) -> None:
        ARTIFACTS.mkdir(exist_ok=True)
        page.screenshot(path=ARTIFACTS / f"{name}.png")

    return keep
