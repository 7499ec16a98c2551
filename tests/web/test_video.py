"""The demo as a newcomer tries it: the output of a start is true, and its films play in a real Chromium."""

import shlex
import time
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, Response

from browser import sign_in
from demo import DemoServer, serve_demo, stop
from demo_clips import FONT

DURATION_S = 90
CLOCK_LETTERS = 7  # 00:00.0

LOAD = """
async source => {
    const video = document.querySelector('video');
    video.src = source;
    await new Promise((resolve, reject) => {
        video.onloadeddata = resolve;
        video.onerror = () => reject(new Error(`media error ${video.error.code}: ${video.error.message}`));
    });
    return [video.duration, video.videoWidth, video.videoHeight];
}
"""

SEEK = """
async second => {
    const video = document.querySelector('video');
    video.pause();
    const seeked = new Promise(resolve => { video.onseeked = resolve; });
    video.currentTime = second;
    await seeked;
    return video.currentTime;
}
"""

PLAY_FOR_A_SECOND = """
async () => {
    const video = document.querySelector('video');
    const begin = video.currentTime;
    await video.play();
    while (video.currentTime < begin + 1) await new Promise(resolve => setTimeout(resolve, 20));
    video.pause();
    return [begin, video.currentTime, video.webkitVideoDecodedByteCount, video.webkitAudioDecodedByteCount];
}
"""

# One sample in the middle of each dot of the clock, as scripts/demo_clips.py draws it.
CLOCK_DOTS = """
columns => {
    const video = document.querySelector('video');
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
    const context = canvas.getContext('2d');
    context.drawImage(video, 0, 0);
    const scale = Math.floor(canvas.width / 64);
    const left = Math.floor((canvas.width - columns * scale) / 2);
    const top = Math.floor(canvas.height * 4 / 9);
    const rows = [];
    for (let y = 0; y < 7; y++) {
        let row = '';
        for (let x = 0; x < columns; x++) {
            const [red] = context.getImageData(left + (x + 0.5) * scale, top + (y + 0.5) * scale, 1, 1).data;
            row += red > 150 ? '#' : '.';
        }
        rows.push(row);
    }
    return rows;
}
"""

BEACON = """
([address, second]) =>
    navigator.sendBeacon(address, JSON.stringify({position_seconds: second, duration_seconds: 90}))
"""


# In the browser


def read_clock(page: Page) -> str:
    """Read the time that is drawn in the visible frame."""
    rows: list[str] = page.evaluate(CLOCK_DOTS, CLOCK_LETTERS * 6 - 1)
    letters = {dots: letter for letter, dots in FONT.items()}
    glyphs = [tuple(row[place * 6 : place * 6 + 5] for row in rows) for place in range(CLOCK_LETTERS)]
    return "".join(letters.get(glyph, "?") for glyph in glyphs)


def open_player(page: Page, demo: DemoServer) -> None:
    """Show a page of the server's own origin with nothing but a `<video>`, as another front end would."""
    page.route(
        f"{demo.url}/player",
        lambda route: route.fulfill(
            content_type="text/html", body="<!doctype html><title>Player</title><video></video>"
        ),
    )
    page.goto(f"{demo.url}/player")


@pytest.fixture
def player(page: Page, demo: DemoServer) -> Page:
    sign_in(page, demo, "ben")
    open_player(page, demo)
    return page


def stream_of(demo: DemoServer) -> str:
    return f"/api/v1/stream/movie/{demo.movie_id()}"


def test_the_movie_plays_and_its_clock_runs_with_it(player: Page, demo: DemoServer):
    assert player.evaluate(LOAD, stream_of(demo)) == [pytest.approx(DURATION_S, abs=0.2), 1920, 1080]
    player.evaluate(SEEK, 0.05)
    assert read_clock(player) == "00:00.0"
    begin, end, video_bytes, audio_bytes = player.evaluate(PLAY_FOR_A_SECOND)
    assert end >= begin + 1
    assert video_bytes > 0
    assert audio_bytes > 0
    shown = read_clock(player)
    assert shown.startswith("00:0")
    assert float(shown[3:]) == pytest.approx(end, abs=0.35)


def test_a_seek_shows_the_frame_of_that_time_and_continues_from_there(player: Page, demo: DemoServer):
    player.evaluate(LOAD, stream_of(demo))
    for second, clock in ((75.05, "01:15.0"), (12.55, "00:12.5"), (60.05, "01:00.0")):
        assert player.evaluate(SEEK, second) == pytest.approx(second)
        assert read_clock(player) == clock
    begin, end, *_ = player.evaluate(PLAY_FOR_A_SECOND)
    assert begin == pytest.approx(60.05)
    assert 61 < end < 66


def test_the_browser_gets_ranges(player: Page, demo: DemoServer):
    answers: list[Response] = []
    player.on("response", lambda answer: answers.append(answer))  # noqa: PLW0108 - Playwright keeps a mark on it
    player.evaluate(LOAD, stream_of(demo))
    player.evaluate(SEEK, 80)
    streamed = [answer for answer in answers if "/stream/" in answer.url]
    assert streamed
    assert {answer.status for answer in streamed} == {206}
    assert streamed[0].headers["content-type"] == "video/mp4"


def test_an_episode_plays_only_for_users_who_may_see_it(page: Page, demo: DemoServer):
    with demo.client("ada") as ada:
        (show,) = ada.get("/api/v1/items", params={"kind": "show"}).json()["items"]
        episodes = ada.get(f"/api/v1/items/{show['id']}/episodes", params={"season": 2}).json()["items"]
    stream = f"/api/v1/stream/episode/{episodes[-1]['id']}"
    sign_in(page, demo, "ada")
    open_player(page, demo)
    assert page.evaluate(LOAD, stream) == [pytest.approx(20, abs=0.2), 640, 360]
    page.context.clear_cookies()
    sign_in(page, demo, "ben")
    open_player(page, demo)
    with pytest.raises(Exception, match="media error 4"):
        page.evaluate(LOAD, stream)


def test_a_browser_without_a_session_sees_no_frame(page: Page, demo: DemoServer):
    open_player(page, demo)
    with pytest.raises(Exception, match="media error 4"):
        page.evaluate(LOAD, stream_of(demo))


def test_a_position_sent_while_leaving_the_page_is_read_by_every_other_client(player: Page, demo: DemoServer):
    address = f"/api/v1/playback/movie/{demo.movie_id()}"
    player.evaluate(LOAD, stream_of(demo))
    second = player.evaluate(SEEK, 33)
    assert player.evaluate(BEACON, [address, second]) is True
    player.goto("about:blank")
    with demo.client("ben") as ben:
        deadline = time.monotonic() + 10
        while (saved := ben.get(address).json())["position_seconds"] != second and time.monotonic() < deadline:
            time.sleep(0.05)
    assert saved["position_seconds"] == 33
    assert saved["watched"] is False


# The output of a start


def run(command: str) -> httpx.Response:
    """Run a printed command as curl would, so that the test does not need curl."""
    program, *words = shlex.split(command)
    assert program == "curl"
    headers: dict[str, str] = {}
    body = None
    url = ""
    options = iter(words)
    for word in options:
        if word == "-H":
            name, _, value = next(options).partition(": ")
            headers[name] = value
        elif word == "-d":
            body = next(options)
        else:
            url = word
    return httpx.request("GET" if body is None else "POST", url, headers=headers, content=body)


def test_the_printed_commands_save_a_position_read_it_back_and_list_items(demo: DemoServer):
    saved, read, listed = (run(command) for command in demo.commands)
    assert saved.json()["position_seconds"] == 45
    assert saved.json()["completion_percentage"] == 50
    assert read.json() == saved.json()
    assert [item["title"] for item in listed.json()["items"]] == ["Harbour Lights", "The Long Meadow"]


def test_both_users_can_sign_in_and_see_their_libraries(demo: DemoServer):
    for name, libraries in (("ada", ["Films", "Series"]), ("ben", ["Films"])):
        credentials = {"username": name, "password": demo.passwords[name]}
        token = httpx.post(f"{demo.url}/api/v1/sessions", json=credentials).json()["token"]
        answer = httpx.get(f"{demo.url}/api/v1/libraries", headers={"authorization": f"Bearer {token}"})
        assert [library["name"] for library in answer.json()["items"]] == libraries


def test_the_library_matches_the_readme(demo: DemoServer):
    with demo.client("ada") as ada:
        items = ada.get("/api/v1/items", params={"limit": 100}).json()["items"]
        kinds = [item["kind"] for item in items]
        assert (kinds.count("movie"), kinds.count("show"), kinds.count("episode")) == (2, 1, 5)
        files = ada.get(f"/api/v1/items/{demo.movie_id()}").json()["files"]
    assert [file["label"] for file in files] == ["1080p H.264", "360p H.264"]


def test_a_second_start_finds_films_users_and_positions_again(demo: DemoServer, demo_folder: Path):
    with demo.client("ben") as ben:
        address = f"/api/v1/playback/movie/{demo.movie_id()}"
        ben.post(address, json={"position_seconds": 17, "duration_seconds": 90})
    films = {path: path.stat().st_mtime_ns for path in demo_folder.rglob("*.mp4")}
    assert len(films) == 8
    process, again = serve_demo(demo_folder)  # in addition to the first, which is left running for the other tests
    try:
        assert (again.tokens, again.passwords) == (demo.tokens, demo.passwords)
        assert {path: path.stat().st_mtime_ns for path in demo_folder.rglob("*.mp4")} == films
        with again.client("ben") as ben:
            assert ben.get(address).json()["position_seconds"] == 17
    finally:
        assert stop(process) == 0
