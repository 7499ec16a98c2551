"""A user in a real browser: signs in, opens the player, and checks what plays."""

import time
from collections.abc import Callable

from playwright.sync_api import Page, expect

from demo import DemoServer

WITHIN_S = 30  # generous, for a busy machine

expect.set_options(timeout=WITHIN_S * 1000)


def sign_in(page: Page, demo: DemoServer, name: str) -> None:
    page.goto(f"{demo.url}/sign-in")
    page.fill("input[name=username]", name)
    page.fill("input[name=password]", demo.passwords[name])
    with page.expect_navigation(url=f"{demo.url}/"):
        page.keyboard.press("Enter")


def watch(page: Page, demo: DemoServer, path: str) -> None:
    """Open the player and return once its film plays."""
    page.goto(f"{demo.url}/watch/{path}")
    wait_for_playing(page)


def wait_for_playing(page: Page) -> None:
    # Poll by time: Playwright otherwise polls by animation frames, and a tab in the background has none.
    page.wait_for_function("() => !video.paused && video.readyState >= 3", polling=50)


def wait_for_loaded(page: Page, begin: float, end: float) -> None:
    """Return once the browser has buffered the film between two seconds, so that it plays them without the server.

    Browsers buffer no more than some seconds beyond the current position.
    """
    page.wait_for_function(
        """([begin, end]) => {
            const loaded = video.buffered;
            for (let number = 0; number < loaded.length; number += 1) {
                if (loaded.start(number) <= begin && end <= loaded.end(number)) return true;
            }
            return false;
        }""",
        arg=[begin, end],
        polling=50,
    )


def position_of(page: Page) -> float:
    return page.evaluate("() => video.currentTime")


def seek(page: Page, second: float) -> None:
    """Drag the timeline to a second."""
    page.locator("#timeline").evaluate(
        """(timeline, second) => {
            timeline.value = second;
            timeline.dispatchEvent(new Event('input'));
            timeline.dispatchEvent(new Event('change'));
        }""",
        second,
    )


def remember_where_it_is_left(page: Page) -> None:
    """Make the browser store the position at which the page is closed."""
    page.evaluate("() => addEventListener('pagehide', () => localStorage.setItem('left-at', video.currentTime))")


def where_it_was_left(page: Page, demo: DemoServer) -> float:
    """Return the stored position, in another tab of the same browser that does nothing else."""
    page.goto(f"{demo.url}/static/icon.svg")
    return float(page.evaluate("() => localStorage.getItem('left-at')"))


SETTLED = """
() => new Promise(resolve => requestIdleCallback(() => requestAnimationFrame(() => requestAnimationFrame(resolve))))
"""


def settle(page: Page) -> None:
    """Return once the page has drawn what its scripts do on their own, and Playwright has delivered its events."""
    page.evaluate(SETTLED)


def eventually(look: Callable[[], bool], within_s: float = WITHIN_S) -> None:
    """Wait until a condition is true."""
    deadline = time.monotonic() + within_s
    while not look():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.1)
