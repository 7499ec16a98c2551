"""A household in a real Chromium: a television approved by a phone, and people who switch on a remembered device."""

from collections.abc import Callable

from playwright.sync_api import Browser, BrowserContext, Page, expect

from browser import sign_in
from demo import DemoServer

Shot = Callable[[Page, str], None]

TELEVISION = {"width": 1920, "height": 1080}
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 800}
PIN = "4817"


def looks_well(page: Page) -> bool:
    """Whether nothing overflows horizontally."""
    return page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def open_television(context: BrowserContext, demo: DemoServer) -> tuple[Page, str]:
    """Request codes with the keys of a remote control, and return the one on the screen."""
    page = context.new_page()
    page.goto(f"{demo.url}/sign-in")
    page.get_by_role("button", name="Sign in with your phone").press("Enter")
    page.wait_for_url(f"{demo.url}/tv")
    return page, page.locator("p.code").inner_text()


def approve(page: Page, demo: DemoServer, code: str, shot: Shot) -> None:
    """Open the address of the QR code on a phone, and approve."""
    sign_in(page, demo, "ben")
    page.goto(f"{demo.url}/activate?code={code}")
    shot(page, "activate-390")
    page.get_by_role("button", name="Continue").click()
    expect(page.locator("p.code")).to_have_text(code)
    assert looks_well(page)
    shot(page, "activate-device-390")
    page.get_by_role("button", name="Sign in as ben").click()
    expect(page.get_by_role("status").first).to_contain_text("signed in")


def test_a_television_continues_on_its_own_once_a_phone_approves(browser: Browser, demo: DemoServer, shot: Shot):
    living_room, pocket = browser.new_context(viewport=TELEVISION), browser.new_context(viewport=PHONE)
    television, code = open_television(living_room, demo)
    assert looks_well(television)
    assert television.evaluate("document.documentElement.scrollHeight <= innerHeight")  # nobody scrolls on a television
    expect(television.get_by_role("button", name="Continue")).to_be_focused()
    shot(television, "television-1920")
    approve(pocket.new_page(), demo, code, shot)
    television.wait_for_url(f"{demo.url}/")
    expect(television.locator(".who")).to_have_text("ben")
    for context in (living_room, pocket):
        context.close()


def test_without_scripts_the_television_has_a_button(browser: Browser, demo: DemoServer, shot: Shot):
    living_room = browser.new_context(viewport=DESK, java_script_enabled=False)
    pocket = browser.new_context(viewport=PHONE)
    television, code = open_television(living_room, demo)
    shot(television, "television-1280")
    television.get_by_role("button", name="Continue").click()
    expect(television.get_by_role("alert")).to_contain_text("not been approved yet")
    expect(television.locator("p.code")).to_have_text(code)
    approve(pocket.new_page(), demo, code, lambda _page, _name: None)
    television.get_by_role("button", name="Continue").click()
    television.wait_for_url(f"{demo.url}/")
    for context in (living_room, pocket):
        context.close()


def test_two_taps_switch_to_somebody_else(browser: Browser, demo: DemoServer, shot: Shot):
    with demo.client("ben") as client:
        assert client.put("/api/v1/me/pin", json={"pin": PIN}).status_code == 204
    context = browser.new_context(viewport=DESK)
    page = context.new_page()
    sign_in(page, demo, "ada")
    page.goto(f"{demo.url}/household")
    shot(page, "household-new-1280")
    page.get_by_label("Name of this device").fill("Living room")
    page.get_by_label("ben").check()
    page.get_by_role("button", name="Remember this device").click()
    expect(page.get_by_role("status").first).to_contain_text("is now remembered")
    assert looks_well(page)
    shot(page, "household-1280")

    page.goto(f"{demo.url}/")
    page.locator(".who").click()
    shot(page, "household-menu-1280")
    page.get_by_role("group", name="Switch person").get_by_role("link", name="ben").click()
    page.get_by_label("PIN").fill(PIN)
    shot(page, "household-pin-1280")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{demo.url}/")
    expect(page.locator(".who")).to_have_text("ben")

    page.locator(".who").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Who's watching?")
    for name, size in (("1280", DESK), ("390", PHONE), ("1920", TELEVISION)):
        page.set_viewport_size({"width": size["width"], "height": size["height"]})
        assert looks_well(page)
        shot(page, f"tiles-{name}")
    with demo.client("ben") as client:
        assert client.delete("/api/v1/me/pin").status_code == 204
    context.close()
