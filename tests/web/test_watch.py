"""The player as users see it: it resumes where any device left off, and loses no position.

One file, because the films are made once for each process that runs tests.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, Request, expect

from browser import (
    eventually,
    position_of,
    remember_where_it_is_left,
    seek,
    settle,
    sign_in,
    wait_for_loaded,
    wait_for_playing,
    watch,
    where_it_was_left,
)
from demo import DemoServer

Shot = Callable[[Page, str], None]

KEPT = "() => Object.keys(localStorage).filter(key => key.startsWith('playhead.report.')).length"


@pytest.fixture
def ada(demo: DemoServer) -> Iterator[httpx.Client]:
    """The admin by her token, as another device of hers, which shows the state of the server. Without earlier state."""
    with demo.client("ada") as client:
        for item in client.get("/api/v1/items", params={"limit": 100}).json()["items"]:
            if item["kind"] != "show":
                client.delete(f"/api/v1/playback/{item['kind']}/{item['id']}").raise_for_status()
        yield client


Open = Callable[..., Page]


@pytest.fixture
def new_browser(browser: Browser, demo: DemoServer) -> Iterator[Open]:
    """Opens independent browsers, each with the admin signed in."""
    contexts: list[BrowserContext] = []

    def begin(**options: Any) -> Page:  # noqa: ANN401 - Playwright's own
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        sign_in(page, demo, "ada")
        return page

    yield begin
    for context in contexts:
        context.close()


def item_named(client: httpx.Client, title: str) -> dict[str, Any]:
    items = client.get("/api/v1/items", params={"limit": 100}).json()["items"]
    return next(item for item in items if item["title"] == title)


def path_of(item: dict[str, Any]) -> str:
    return f"{item['kind']}/{item['id']}"


def state_of(client: httpx.Client, item: dict[str, Any]) -> dict[str, Any]:
    return client.get(f"/api/v1/playback/{path_of(item)}/state").raise_for_status().json()


def notice(page: Page, name: str) -> Locator:
    return page.locator(f"[data-notice={name}]")


# Resuming


def test_a_film_resumes_at_the_same_second_after_the_tab_was_closed(
    new_browser: Open, demo: DemoServer, ada: httpx.Client, shot: Shot
):
    film = item_named(ada, "Harbour Lights")
    first = new_browser()
    watch(first, demo, path_of(film))
    seek(first, 41)
    wait_for_playing(first)
    first.wait_for_function("() => video.currentTime > 42.5", polling=20)
    remember_where_it_is_left(first)
    first.close()
    left_at = where_it_was_left(first.context.new_page(), demo)
    eventually(lambda: abs(state_of(ada, film)["position_seconds"] - left_at) <= 1)
    second = new_browser()
    watch(second, demo, path_of(film))
    expect(notice(second, "resumed")).to_contain_text(re.compile(r"Resumed at 0:[45]\d"))
    resumed = float(second.evaluate("() => JSON.parse(watch.textContent).start"))
    assert resumed == pytest.approx(left_at, abs=1)
    assert position_of(second) >= resumed - 0.1
    shot(second, "watch-resumed")
    notice(second, "resumed").get_by_role("button", name="Start from the beginning").click()
    second.wait_for_function("() => video.currentTime < 20", polling=20)


def test_it_reports_the_start_every_ten_seconds_pauses_seeks_and_the_end(
    new_browser: Open, demo: DemoServer, ada: httpx.Client
):
    film = item_named(ada, "Slack Water")
    page = new_browser()
    reports: list[dict[str, Any]] = []

    def hear(sent: Request) -> None:
        if sent.method == "POST" and "/playback/" in sent.url:
            body = sent.post_data_json
            reports.extend(body.get("reports", [body]))  # reports made during another request follow as a batch

    def was_heard(event: str) -> bool:
        page.title()  # Playwright delivers events only while it is called
        return event in [report["event"] for report in reports]

    page.on("request", hear)
    page.clock.install()
    watch(page, demo, path_of(film))
    eventually(lambda: was_heard("start"))
    page.clock.run_for(10_000)  # of the page's clock; the film goes on at its own pace
    eventually(lambda: was_heard("progress"))
    shown = position_of(page)
    page.keyboard.press("k")
    eventually(lambda: was_heard("pause"))
    seek(page, 38)
    eventually(lambda: was_heard("seek"))
    page.keyboard.press("k")
    page.wait_for_function("() => video.ended", polling=50)
    eventually(lambda: was_heard("stop"))
    events = [report["event"] for report in reports]
    assert events[:5] == ["start", "progress", "pause", "seek", "start"]
    assert reports[0]["position_seconds"] <= reports[1]["position_seconds"] <= shown
    assert reports[3]["position_seconds"] == 38
    assert reports[-1]["position_seconds"] == pytest.approx(40, abs=0.2)
    assert len({report["session_id"] for report in reports}) == 1
    assert {report["device"] for report in reports} == {"Chrome on Linux"}
    assert {report["file_id"] for report in reports} == {
        ada.get(f"/api/v1/items/{film['id']}").json()["files"][0]["id"]
    }
    eventually(lambda: state_of(ada, film)["watched"])
    eventually(lambda: page.evaluate(KEPT) == 0)


def test_a_tab_reports_its_position_when_it_is_hidden(new_browser: Open, demo: DemoServer, ada: httpx.Client):
    film = item_named(ada, "The Long Meadow")
    page = new_browser()
    watch(page, demo, path_of(film))
    page.wait_for_function("() => video.currentTime > 3", polling=20)
    # A headless browser never hides a tab, so pretend that it does.
    hide = "hidden => { Object.defineProperty(document, 'hidden', {value: hidden, configurable: true}); "
    hidden_at = page.evaluate(
        hide + "document.dispatchEvent(new Event('visibilitychange')); return video.currentTime; }", arg=True
    )
    eventually(lambda: state_of(ada, film)["position_seconds"] == pytest.approx(hidden_at, abs=0.2))
    assert page.evaluate(KEPT) == 1  # the answer has not arrived yet
    page.evaluate(hide + "document.dispatchEvent(new Event('visibilitychange')); }", arg=False)
    eventually(lambda: page.evaluate(KEPT) == 0)


def test_a_device_reports_under_its_given_name(new_browser: Open, demo: DemoServer, ada: httpx.Client):
    film = item_named(ada, "Harbour Lights")
    page = new_browser()
    watch(page, demo, path_of(film))
    page.click("#settings")
    page.get_by_label("Name of this device").fill("Kitchen tablet")
    page.keyboard.press("Escape")
    seek(page, 30)
    eventually(lambda: state_of(ada, film)["device"] == "Kitchen tablet")
    watch(page, demo, path_of(film))
    expect(page.get_by_label("Name of this device")).to_have_value("Kitchen tablet")


# Versions


def test_the_version_is_switched_in_the_middle_of_playing(
    new_browser: Open, demo: DemoServer, ada: httpx.Client, shot: Shot
):
    page = new_browser()
    watch(page, demo, path_of(item_named(ada, "Harbour Lights")))
    seek(page, 50)
    wait_for_playing(page)
    assert page.evaluate("() => video.videoHeight") == 1080
    page.click("#settings")
    before = position_of(page)
    shot(page, "watch-versions")
    page.get_by_role("radio", name="360p H.264").check()
    page.wait_for_function("() => video.videoHeight === 360 && !video.paused", polling=20)
    assert before - 0.1 <= position_of(page) < before + 10
    assert "/watch/movie/" in page.url


# The next episode


def test_the_next_episode_is_offered_at_the_end_and_starts_on_its_own(
    new_browser: Open, demo: DemoServer, ada: httpx.Client, shot: Shot
):
    this, following = item_named(ada, "Spring Tide"), item_named(ada, "The Bell Buoy")
    page = new_browser()
    page.clock.install()
    watch(page, demo, path_of(this))
    seek(page, 28.5)
    expect(page.locator("#next")).to_be_visible()
    expect(page.locator("#next-title")).to_have_text("S1 E3 · The Bell Buoy")
    expect(page.locator("#next-now")).to_be_focused()
    shot(page, "watch-next-episode")
    page.clock.run_for(11_000)
    page.wait_for_url(f"**/watch/episode/{following['id']}")
    wait_for_playing(page)
    expect(page.locator("h1")).to_have_text("The Bell Buoy")
    assert page.title() == "The Bell Buoy · Playhead"
    eventually(lambda: state_of(ada, this)["watched"])
    eventually(lambda: state_of(ada, following)["last_watched_at"] is not None)
    # Going back in the browser's history returns to the episode before.
    page.go_back()
    expect(page.locator("h1")).to_have_text("Spring Tide")


def test_cancelling_the_countdown_stays_on_the_page(new_browser: Open, demo: DemoServer, ada: httpx.Client):
    page = new_browser()
    page.clock.install()
    watch(page, demo, path_of(item_named(ada, "Slack Water")))
    seek(page, 39)
    expect(page.locator("#next")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#next")).to_be_hidden()
    expect(page.locator("#play")).to_be_focused()
    page.clock.run_for(11_000)
    expect(page.locator("h1")).to_have_text("Slack Water")


def test_nothing_is_offered_after_the_last_episode(new_browser: Open, demo: DemoServer, ada: httpx.Client):
    page = new_browser()
    watch(page, demo, path_of(item_named(ada, "Landfall")))
    assert page.locator("#next").count() == page.locator("#skip").count() == 0
    page.keyboard.press("n")
    expect(page.locator("h1")).to_have_text("Landfall")


# Offline


def test_twenty_seconds_offline_lose_nothing(new_browser: Open, demo: DemoServer, ada: httpx.Client, shot: Shot):
    film = item_named(ada, "The Long Meadow")
    page = new_browser()
    page.clock.install()
    watch(page, demo, path_of(film))
    wait_for_loaded(page, 1, 30)
    eventually(lambda: state_of(ada, film)["session"] is not None)
    page.context.set_offline(True)
    for kept in (1, 2):  # the page's clock is ten seconds ahead each time, the film goes on at its own pace
        begin = position_of(page)
        page.wait_for_function("second => video.currentTime >= second", arg=begin + 4, polling=50)
        page.clock.run_for(10_000)
        eventually(lambda kept=kept: page.evaluate(KEPT) >= kept)
    page.keyboard.press("k")
    expect(page.locator("#connection")).to_contain_text("Offline")
    page.evaluate("() => Promise.all(document.getAnimations().map(each => each.finished))")
    shot(page, "watch-offline")
    kept = page.evaluate(KEPT)
    assert kept >= 2
    paused_at = position_of(page)
    assert state_of(ada, film)["position_seconds"] < paused_at - 5
    page.context.set_offline(False)
    eventually(lambda: state_of(ada, film)["position_seconds"] == pytest.approx(paused_at, abs=0.1))
    eventually(lambda: page.evaluate(KEPT) == 0)
    expect(page.locator("#connection")).to_be_empty()


def test_what_was_played_offline_before_the_tab_was_closed_is_sent_by_any_page(
    new_browser: Open, demo: DemoServer, ada: httpx.Client
):
    film = item_named(ada, "The Long Meadow")
    page = new_browser()
    watch(page, demo, path_of(film))
    seek(page, 58)
    wait_for_loaded(page, 60, 65)
    page.context.set_offline(True)
    seek(page, 60)
    page.wait_for_function("() => video.currentTime > 62", polling=50)
    remember_where_it_is_left(page)
    page.close()
    again = page.context.new_page()
    page.context.set_offline(False)
    left_at = where_it_was_left(again, demo)
    assert left_at > 60
    again.goto(demo.url)
    eventually(lambda: state_of(ada, film)["position_seconds"] == pytest.approx(left_at, abs=1))
    eventually(lambda: again.evaluate(KEPT) == 0)


def test_an_expired_session_leads_to_sign_in_and_nothing_is_lost(
    new_browser: Open, demo: DemoServer, ada: httpx.Client, shot: Shot
):
    film = item_named(ada, "The Long Meadow")
    page = new_browser()
    watch(page, demo, path_of(film))
    wait_for_loaded(page, 1, 45)
    page.context.clear_cookies()
    seek(page, 40)
    expect(notice(page, "signed-out")).to_contain_text("You are signed out")
    shot(page, "watch-signed-out")
    assert page.evaluate(KEPT) >= 1
    assert state_of(ada, film)["position_seconds"] < 40
    notice(page, "signed-out").get_by_role("link", name="Sign in").click()
    page.fill("input[name=username]", "ada")
    page.fill("input[name=password]", demo.passwords["ada"])
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/watch/{path_of(film)}")
    eventually(lambda: state_of(ada, film)["position_seconds"] >= 40)


def test_queued_reports_are_not_sent_as_another_users(new_browser: Open, demo: DemoServer, ada: httpx.Client):
    film = item_named(ada, "Harbour Lights")
    page = new_browser()
    watch(page, demo, path_of(film))
    with demo.client("ben") as ben:
        ben.delete(f"/api/v1/playback/{path_of(film)}")
        page.context.set_offline(True)
        seek(page, 60)
        page.wait_for_function("() => video.currentTime >= 60", polling=50)
        page.goto("about:blank")
        page.context.clear_cookies()
        page.context.set_offline(False)
        sign_in(page, demo, "ben")
        watch(page, demo, path_of(film))
        eventually(lambda: state_of(ben, film)["session"] is not None)
        assert state_of(ben, film)["position_seconds"] < 30
        assert page.evaluate(KEPT) >= 1


# Several devices


def test_two_browsers_follow_each_other(new_browser: Open, demo: DemoServer, ada: httpx.Client, shot: Shot):
    film = item_named(ada, "The Long Meadow")
    first, second = new_browser(), new_browser()
    watch(first, demo, path_of(film))
    first.click("#settings")
    first.get_by_label("Name of this device").fill("Television")
    first.keyboard.press("Escape")
    watch(second, demo, path_of(film))
    # The second has taken over: the first says so, and offers to continue there or here.
    expect(notice(first, "superseded")).to_contain_text("Chrome on Linux is playing this now")
    seek(second, 80)
    expect(notice(first, "superseded")).to_contain_text("at 1:2")
    shot(first, "watch-superseded")
    notice(first, "superseded").get_by_role("button", name="Jump there").click()
    first.wait_for_function("() => video.currentTime > 79", polling=20)
    # Now the first has taken over, and the second is told within about a second, by the first one's name.
    expect(notice(second, "superseded")).to_contain_text("Television is playing this now")
    expect(notice(first, "superseded")).to_be_hidden()
    second.keyboard.press("k")
    seek(first, 100)
    expect(notice(second, "elsewhere")).to_contain_text("Television is at 1:4")
    shot(second, "watch-elsewhere")
    notice(second, "elsewhere").get_by_role("button", name="Jump there").click()
    second.wait_for_function("() => Math.abs(video.currentTime - 100) < 1", polling=20)


def test_a_forgotten_tab_can_take_over(new_browser: Open, demo: DemoServer, ada: httpx.Client):
    film = item_named(ada, "The Long Meadow")
    page = new_browser()
    watch(page, demo, path_of(film))
    seek(page, 20)
    report = {"position_seconds": 90, "duration_seconds": 120, "event": "seek", "session_id": "x", "device": "Phone"}
    eventually(lambda: state_of(ada, film)["position_seconds"] >= 20)
    ada.post(f"/api/v1/playback/{path_of(film)}", json=report).raise_for_status()
    expect(notice(page, "superseded")).to_contain_text("Phone is playing this now, at 1:30.")
    notice(page, "superseded").get_by_role("button", name="Save from here").click()
    eventually(lambda: state_of(ada, film)["position_seconds"] < 60)
    expect(notice(page, "superseded")).to_be_hidden()


# Keyboard, phone, no scripts


def test_the_whole_player_works_by_keyboard(new_browser: Open, demo: DemoServer, ada: httpx.Client, shot: Shot):
    page = new_browser()
    watch(page, demo, path_of(item_named(ada, "Spring Tide")))
    page.keyboard.press(" ")
    page.wait_for_function("() => video.paused", polling=20)
    begin = position_of(page)
    page.keyboard.press("ArrowRight")
    page.wait_for_function(f"() => Math.abs(video.currentTime - {begin + 10}) < 0.1", polling=20)
    page.keyboard.press("ArrowLeft")
    page.wait_for_function(f"() => Math.abs(video.currentTime - {begin}) < 0.1", polling=20)
    for _ in range(4):
        page.keyboard.press("ArrowDown")
    assert page.evaluate("() => video.volume") == pytest.approx(0.8)
    page.keyboard.press("ArrowUp")
    assert page.evaluate("() => video.volume") == pytest.approx(0.85)
    page.keyboard.press("m")
    assert page.evaluate("() => video.muted") is True
    page.keyboard.press("f")
    page.wait_for_function("() => document.fullscreenElement !== null", polling=20)
    page.keyboard.press("f")
    page.wait_for_function("() => document.fullscreenElement === null", polling=20)
    reached: list[str] = []
    for _ in range(14):
        page.keyboard.press("Tab")
        name, width = page.evaluate(
            "() => [document.activeElement.getAttribute('aria-label'), "
            "getComputedStyle(document.activeElement).outlineWidth]"
        )
        if name and name not in reached:
            reached.append(name)
            assert width == "2px", name
    assert reached == [
        "Back to Tidal Station",
        "Position",
        "Play",
        "Back 10 seconds",
        "Forward 10 seconds",
        "Next episode",
        "Unmute",
        "Volume",
        "Versions and settings",
        "Picture in picture",
        "Full screen",
    ]
    page.locator("#timeline").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function(f"() => Math.abs(video.currentTime - {begin + 10}) < 0.1", polling=20)
    assert page.locator("#timeline").get_attribute("aria-valuetext") == f"{int(begin + 10)} seconds of 30 seconds"
    page.locator("#settings").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#menu")).to_be_visible()
    expect(page.get_by_role("radio", name="360p H.264")).to_be_focused()
    shot(page, "watch-keyboard")
    page.keyboard.press("Escape")
    expect(page.locator("#menu")).to_be_hidden()
    expect(page.locator("#settings")).to_be_focused()
    page.keyboard.press("n")
    expect(page.locator("h1")).to_have_text("The Bell Buoy")


def test_the_controls_hide_without_movement_and_return(new_browser: Open, demo: DemoServer, ada: httpx.Client):
    page = new_browser()
    page.clock.install()
    watch(page, demo, path_of(item_named(ada, "The Long Meadow")))
    player = page.locator("#player")
    # With the clock stopped, a busy machine cannot hide the controls before they were looked at.
    page.clock.pause_at(float(page.evaluate("() => Date.now()")) / 1000 + 60)
    page.mouse.move(300, 200)
    expect(player).to_have_class("player playing")
    page.clock.run_for(4000)
    expect(player).to_have_class("player playing idle")
    page.mouse.move(310, 210)
    expect(player).to_have_class("player playing")
    page.clock.run_for(4000)
    expect(player).to_have_class("player playing idle")
    page.keyboard.press("Tab")
    expect(player).to_have_class("player playing")
    page.keyboard.press("k")
    page.clock.run_for(4000)
    expect(player).to_have_class("player")


@pytest.mark.parametrize(("width", "height"), [(390, 844), (844, 390), (1280, 800), (1920, 1080)])
def test_it_fits_every_window(
    new_browser: Open, demo: DemoServer, ada: httpx.Client, shot: Shot, width: int, height: int
):
    is_phone = min(width, height) < 500
    page = new_browser(viewport={"width": width, "height": height}, has_touch=is_phone, is_mobile=is_phone)
    watch(page, demo, path_of(item_named(ada, "Undertow")))
    page.keyboard.press("k")
    shot(page, f"watch-{width}")
    boxes = page.evaluate(
        "() => [...player.querySelectorAll('.control, #timeline')].filter(each => each.offsetParent)"
        ".map(each => each.getBoundingClientRect().toJSON())"
    )
    assert len(boxes) >= 9
    for box in boxes:
        assert 0 <= box["left"] < box["right"] <= width
        assert 0 <= box["top"] < box["bottom"] <= height
        assert box["height"] >= 24
    assert page.evaluate("() => document.documentElement.scrollWidth") == width
    page.click("#settings")
    menu = page.locator("#menu").bounding_box()
    assert menu is not None
    assert menu["x"] >= 0
    assert menu["y"] >= 0
    shot(page, f"watch-{width}-menu")


def test_without_scripts_the_browsers_own_player_resumes(new_browser: Open, demo: DemoServer, ada: httpx.Client):
    film = item_named(ada, "Harbour Lights")
    ada.post(f"/api/v1/playback/{path_of(film)}", json={"position_seconds": 45, "duration_seconds": 90})
    page = new_browser(java_script_enabled=False)
    page.goto(f"{demo.url}/watch/{path_of(film)}")
    video = page.locator("video")
    assert video.get_attribute("controls") is not None
    source = video.get_attribute("src") or ""
    assert source.endswith("#t=45")
    assert page.locator("#controls").is_hidden()
    page.get_by_role("link", name="360p H.264").click()
    assert (page.locator("video").get_attribute("src") or "").partition("#")[0] != source.partition("#")[0]
    page.get_by_role("link", name="Start from the beginning").click()
    assert "#t=" not in (page.locator("video").get_attribute("src") or "")
    page.get_by_role("link", name="Back to Harbour Lights").focus()


def test_the_media_session_shows_what_is_playing(new_browser: Open, demo: DemoServer, ada: httpx.Client):
    page = new_browser()
    watch(page, demo, path_of(item_named(ada, "Slack Water")))
    assert page.evaluate("() => [navigator.mediaSession.metadata.title, navigator.mediaSession.metadata.artist]") == [
        "Slack Water",
        "Tidal Station",
    ]
    assert page.evaluate("() => navigator.mediaSession.playbackState") == "playing"
    page.keyboard.press("k")
    eventually(lambda: page.evaluate("() => navigator.mediaSession.playbackState") == "paused")


def test_nothing_goes_to_another_host_and_nothing_breaks_the_content_security_policy(
    new_browser: Open, demo: DemoServer, ada: httpx.Client
):
    page = new_browser()
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    watch(page, demo, path_of(item_named(ada, "Harbour Lights")))
    seek(page, 30)
    page.click("#settings")
    page.get_by_role("radio", name="360p H.264").check()
    wait_for_playing(page)
    settle(page)
    assert asked
    assert all(url.startswith(demo.url) for url in asked), asked
    assert [text for text in said if "404" not in text] == []
