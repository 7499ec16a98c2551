"""The player with films that are not simply one file that browsers can play."""

import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from browser import eventually, position_of, seek, settle, sign_in, wait_for_playing, watch
from demo import DemoServer
from odd_films import write_films
from server import PASSWORD, Server

Shot = Callable[[Page, str], None]


@pytest.fixture(scope="module")
def films_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("odd") / "films"
    write_films(folder)
    return folder


@pytest.fixture(scope="module")
def cinema(films_folder: Path) -> Iterator[DemoServer]:
    """A server with a library of odd films."""
    server = Server(films_folder.parent / "installation")
    server.start()
    server.command("library", "add", "Films", str(films_folder), "--kind", "movies")
    server.command("scan")
    token = server.add_user("ada")
    yield DemoServer(server.url, server.printed(), {"ada": PASSWORD}, {"ada": token})
    server.stop(signal.SIGTERM)


@pytest.fixture
def ada(cinema: DemoServer) -> Iterator[httpx.Client]:
    with cinema.client("ada") as client:
        yield client


@pytest.fixture
def screen(browser: Browser, cinema: DemoServer) -> Iterator[Page]:
    """A browser in which the admin is signed in."""
    context = browser.new_context()
    page = context.new_page()
    sign_in(page, cinema, "ada")
    yield page
    context.close()


def film_named(client: httpx.Client, title: str) -> dict[str, Any]:
    (item,) = client.get("/api/v1/items", params={"query": title}).json()["items"]
    return client.get(f"/api/v1/items/{item['id']}").json()


def file_of(film: dict[str, Any], label: str) -> str:
    return next(file["id"] for file in film["files"] if file["label"] == label)


def test_a_playable_version_is_preferred_unless_the_user_chooses(
    screen: Page, cinema: DemoServer, ada: httpx.Client, shot: Shot
):
    film = film_named(ada, "Salt Road")
    watch(screen, cinema, f"movie/{film['id']}")
    assert screen.evaluate("() => video.videoHeight") == 360
    screen.click("#settings")
    expect(screen.locator("#versions")).to_contain_text("720p MPEG-4466 KiB, not in this browser")
    screen.goto(f"{cinema.url}/watch/movie/{film['id']}?file={file_of(film, '720p MPEG-4')}&t=12")
    fault = screen.locator("#fault")
    expect(fault.locator("h2")).to_have_text("This browser cannot play 720p MPEG-4")
    expect(fault.locator("p")).to_have_text("It can play 360p H.264.")
    expect(fault.get_by_role("button", name="Play 360p H.264")).to_be_focused()
    shot(screen, "watch-unplayable")
    screen.keyboard.press("Enter")
    wait_for_playing(screen)
    expect(fault).to_be_hidden()
    assert screen.evaluate("() => video.videoHeight") == 360
    assert position_of(screen) == pytest.approx(12, abs=3)


def test_trying_an_unplayable_version_explains_the_fault_again(screen: Page, cinema: DemoServer, ada: httpx.Client):
    screen.goto(f"{cinema.url}/watch/movie/{film_named(ada, 'Old Reel')['id']}")
    fault = screen.locator("#fault")
    expect(fault.locator("h2")).to_have_text("This browser cannot play 720p MPEG-4")
    expect(fault.locator("p")).to_contain_text("It cannot play any of the available versions.")
    fault.evaluate("""panel => {
        window.shown = [];
        new MutationObserver(() => window.shown.push(!panel.hidden)).observe(panel, {attributes: true});
    }""")
    screen.get_by_role("button", name="Play 720p MPEG-4 anyway").click()
    screen.wait_for_function("() => window.shown.includes(false) && window.shown.at(-1)", polling=50)
    expect(fault.locator("h2")).to_be_visible()
    expect(fault.get_by_role("button")).to_have_count(0)


def test_a_file_that_fails_in_the_middle_says_so_and_another_continues_there(
    screen: Page, cinema: DemoServer, ada: httpx.Client
):
    film = film_named(ada, "Torn Film")
    watch(screen, cinema, f"movie/{film['id']}")
    assert screen.evaluate("() => video.videoHeight") == 720
    seek(screen, 25)
    fault = screen.locator("#fault")
    expect(fault.locator("h2")).to_have_text("This browser cannot play 720p H.264")
    fault.get_by_role("button", name="Play 360p H.264").click()
    screen.wait_for_function("() => video.videoHeight === 360 && !video.paused", polling=50)
    assert position_of(screen) > 10


def test_a_version_with_unsupported_sound_is_announced(screen: Page, cinema: DemoServer, ada: httpx.Client, shot: Shot):
    film = film_named(ada, "Quiet House")
    watch(screen, cinema, f"movie/{film['id']}")
    assert screen.evaluate("() => video.videoHeight") == 360
    screen.click("#settings")
    screen.get_by_role("radio", name="720p H.264").check()
    notice = screen.locator("[data-notice=silent]")
    expect(notice).to_contain_text("This browser cannot play the sound of 720p H.264.")
    screen.wait_for_function("() => video.videoHeight === 720 && !video.paused", polling=50)
    shot(screen, "watch-without-sound")
    notice.get_by_role("button", name="Play 360p H.264").click()
    screen.wait_for_function("() => video.videoHeight === 360", polling=50)
    expect(notice).to_be_hidden()


CUES = "() => [...video.textTracks].filter(track => track.mode === 'showing').map(track => track.label)"


def test_subtitles_are_shown_by_key_and_menu_and_the_choice_is_remembered(
    screen: Page, cinema: DemoServer, ada: httpx.Client, shot: Shot
):
    film = film_named(ada, "Salt Road")
    watch(screen, cinema, f"movie/{film['id']}?file={file_of(film, '360p H.264')}&t=4")
    assert screen.evaluate(CUES) == []
    expect(screen.locator("#subtitles")).to_have_attribute("aria-pressed", "false")
    screen.keyboard.press("c")
    assert screen.evaluate(CUES) == ["German"]
    screen.wait_for_function("() => video.textTracks[0].activeCues?.[0]?.text === 'Guten Abend'", polling=50)
    shot(screen, "watch-subtitles")
    screen.keyboard.press("c")
    assert screen.evaluate(CUES) == []
    screen.click("#settings")
    screen.get_by_role("radio", name="English").check()
    assert screen.evaluate(CUES) == ["English"]
    screen.keyboard.press("Escape")
    screen.reload()
    wait_for_playing(screen)
    assert screen.evaluate(CUES) == ["English"]
    screen.keyboard.press("c")
    screen.keyboard.press("c")
    assert screen.evaluate(CUES) == ["English"]
    screen.keyboard.press("c")
    screen.reload()
    wait_for_playing(screen)
    assert screen.evaluate(CUES) == []


def test_forced_subtitles_are_part_of_the_film(screen: Page, cinema: DemoServer, ada: httpx.Client):
    watch(screen, cinema, f"movie/{film_named(ada, 'Quiet House')['id']}")
    assert screen.evaluate(CUES) == ["English, forced"]


def test_a_film_without_subtitles_has_no_button_for_them(screen: Page, cinema: DemoServer, ada: httpx.Client):
    watch(screen, cinema, f"movie/{film_named(ada, 'Two Halves')['id']}")
    expect(screen.locator("#subtitles")).to_be_hidden()
    screen.keyboard.press("c")
    screen.click("#settings")
    expect(screen.locator("#subtitle-choices")).to_be_hidden()


def test_a_missing_file_is_reported_as_missing(screen: Page, cinema: DemoServer, ada: httpx.Client, films_folder: Path):
    (found,) = films_folder.glob("Lost Tape*/*.mp4")
    found.unlink()
    screen.goto(f"{cinema.url}/watch/movie/{film_named(ada, 'Lost Tape')['id']}")
    expect(screen.locator("#fault h2")).to_have_text("This file is missing")


def test_a_film_in_parts_has_one_timeline(screen: Page, cinema: DemoServer, ada: httpx.Client, shot: Shot):
    film = film_named(ada, "Two Halves")
    state = f"/api/v1/playback/movie/{film['id']}/state"
    sent: list[dict[str, Any]] = []
    screen.on(
        "request",
        lambda one: sent.append(one.post_data_json) if one.method == "POST" and "playback" in one.url else None,
    )

    def is_saved(second: float) -> bool:
        return ada.get(state).json()["position_seconds"] == pytest.approx(second, abs=2)

    watch(screen, cinema, f"movie/{film['id']}")
    source = screen.evaluate("() => video.src")
    expect(screen.locator("#timeline")).to_have_attribute("max", "40")
    seek(screen, 18.5)
    # The second part follows on its own, and the position continues.
    screen.wait_for_function(
        "source => video.src !== source && !video.paused", arg=source.partition("#")[0], polling=50
    )
    screen.wait_for_function("() => Number(timeline.value) > 20.5", polling=50)
    assert position_of(screen) < 10
    shot(screen, "watch-parts")
    seek(screen, 32)
    eventually(lambda: is_saved(32))
    assert ada.get(state).json()["duration_seconds"] == 40
    # Neither the end of a part nor the start of another one was a stop or a start.
    settle(screen)
    assert [report["event"] for report in sent] == ["start", "seek", "seek"]
    # And back into the first.
    seek(screen, 5)
    screen.wait_for_function("() => Math.abs(video.currentTime - 5) < 2 && !video.paused", polling=50)
    eventually(lambda: is_saved(5))
    assert re.match(r"5 seconds|6 seconds", screen.locator("#timeline").get_attribute("aria-valuetext") or "")
    seek(screen, 25)
    eventually(lambda: is_saved(25))
    watch(screen, cinema, f"movie/{film['id']}")
    assert position_of(screen) == pytest.approx(5, abs=3)
    expect(screen.locator("[data-notice=resumed]")).to_contain_text("Resumed at 0:2")


def test_a_shorter_cut_resumes_where_it_is_not_finished(
    screen: Page, cinema: DemoServer, ada: httpx.Client, shot: Shot
):
    film = film_named(ada, "Two Cuts")
    short, long = (file["id"] for file in sorted(film["files"], key=lambda file: file["duration_seconds"]))
    route = f"/api/v1/playback/movie/{film['id']}"
    left = {"position_seconds": 900, "duration_seconds": 1080, "file_id": long}
    assert ada.post(route, json=left).status_code == 200
    starts = {file["id"]: file["resume_position_seconds"] for file in ada.get(f"{route}/state").json()["files"]}
    assert starts == {short: pytest.approx(765, abs=1), long: 900}
    sent: list[dict[str, Any]] = []
    screen.on(
        "request",
        lambda one: sent.append(one.post_data_json) if one.method == "POST" and "playback" in one.url else None,
    )

    def is_saved(second: float) -> bool:
        return ada.get(f"{route}/state").json()["position_seconds"] == pytest.approx(second, abs=5)

    watch(screen, cinema, f"movie/{film['id']}?file={short}")
    screen.keyboard.press("k")
    notice = screen.locator("[data-notice=resumed]")
    expect(notice).to_contain_text("Resumed at 12:4")
    shot(screen, "watch-shorter-cut")
    notice.get_by_role("button", name="At the same share, 12:30").click()
    eventually(lambda: is_saved(750))
    settle(screen)
    assert sent[0]["event"] == "start"
    assert sent[0]["position_seconds"] == pytest.approx(765, abs=5)
    assert {report["file_id"] for report in sent} == {short}
    # In the longer one the same position is another scene, too.
    screen.click("#settings")
    screen.locator(f"#versions input[value='{long}']").check()
    expect(notice.get_by_role("button", name="At the same share, 15:0")).to_be_visible()
    notice.get_by_role("button", name="Start from the beginning").click()
    screen.wait_for_function("() => video.duration > 1000 && video.currentTime < 5", polling=50)
    # It is opened again in the cut in progress, which is not the one that is the default.
    assert ada.post(route, json={"position_seconds": 600, "duration_seconds": 900, "file_id": short}).status_code == 200
    watch(screen, cinema, f"movie/{film['id']}")
    assert screen.evaluate("() => video.duration") == pytest.approx(900, abs=1)
    screen.goto("about:blank")
    # What was never played to its end is not watched.
    state = ada.get(f"{route}/state").json()
    assert (state["watched"], state["play_count"]) == (False, 0)
