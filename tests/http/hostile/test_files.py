"""A library of hostile files that a real server scans, shows and reads while other clients save."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import bombs
from clips import write_clip
from hostile import MEMORY_MAX_BYTES, Target
from playhead.domain.texts import TITLE, clean_text

HARMLESS = "Harmless (2001)"
EVIL = "Evil \x1b]0;owned\x07\nforged line (2003)"


def lay_out(root: Path) -> None:
    """Create a library with a harmless film and, next to it, everything that might crash a server."""
    write_clip(root / HARMLESS / f"{HARMLESS}.mkv")
    for name in ("Poster", "Scans", "Text", "Cover", "Keys", "Rubbish", "Captions"):
        (root / f"{name} (2002)").mkdir()
    write_clip(root / "Poster (2002)/Poster (2002).mkv")
    (root / "Poster (2002)/poster.png").write_bytes(bombs.png(20_000, 20_000))
    write_clip(root / "Scans (2002)/Scans (2002).mkv")
    (root / "Scans (2002)/poster.jpg").write_bytes(bombs.jpeg_of_many_scans(300, (4000, 4900)))
    write_clip(root / "Text (2002)/Text (2002).mkv")
    (root / "Text (2002)/poster.png").write_bytes(bombs.png_with_text(100 * 1024**2))
    bombs.film(root / "Cover (2002)/Cover (2002).mkv", cover=bombs.png(5_000, 7_000, depth=16))
    bombs.mp4_with_keys(root / "Keys (2002)/Keys (2002).mp4", 200_000_000)
    (root / "Rubbish (2002)/Rubbish (2002).mkv").write_bytes(os.urandom(200_000))
    write_clip(root / EVIL / f"{EVIL}.mkv")
    (root / EVIL / "poster.jpg").write_bytes(b"\xff\xd8\xffnothing")
    write_clip(root / "Captions (2002)/Captions (2002).mkv")
    event = "Dialogue: 0,0:00:00.00,0:00:01.00,,,,,,,x\n"
    (root / "Captions (2002)/Captions (2002).en.ass").write_text(bombs.ASS_HEAD + event * 60_000)
    with (root / "Captions (2002)/Captions (2002).de.srt").open("wb") as file:
        file.truncate(100 * 1024**2)


class Visitor:
    """The admin's client."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.client = httpx.Client(
            base_url=target.server.url, headers={"authorization": f"Bearer {target.token}"}, timeout=120
        )

    def get(self, path: str) -> dict[str, Any]:
        answer = self.client.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def get_status(self, path: str) -> int:
        """Return the status of an answer; retry for as long as the server says that it is busy."""
        deadline = time.monotonic() + 240
        while (answer := self.client.get(path)).status_code == 503 and time.monotonic() < deadline:
            time.sleep(float(answer.headers["retry-after"]))
        return answer.status_code

    def scan(self, library_id: str) -> dict[str, Any]:
        assert self.client.post(f"/api/v1/libraries/{library_id}/scan").status_code == 202
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            (library,) = [each for each in self.get("/api/v1/libraries")["items"] if each["id"] == library_id]
            if library["scanned_at"] is not None and not library["scanning"]:
                return library
            time.sleep(0.05)
        raise TimeoutError


@pytest.fixture(scope="module")
def library(target: Target, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Visitor, dict[str, Any]]]:
    root = tmp_path_factory.mktemp("library")
    lay_out(root)
    visitor = Visitor(target)
    added = visitor.client.post("/api/v1/libraries", json={"name": "Films", "kind": "movies", "path": str(root)})
    target.reset_peak()
    yield visitor, visitor.scan(added.json()["id"])
    visitor.client.close()


def children(pid: int) -> list[int]:
    lists = Path(f"/proc/{pid}/task").glob("*/children")  # the kernel lists children by the thread that started them
    return [int(child) for each in lists for child in each.read_text().split()]


def test_hostile_files_cost_the_server_no_memory_and_its_clients_no_save(
    target: Target, library: tuple[Visitor, dict[str, Any]]
):
    visitor, _ = library
    items = {item["title"]: item["id"] for item in visitor.get("/api/v1/items?limit=100")["items"]}
    assert set(items) == {"Harmless", "Poster", "Scans", "Text", "Cover", "Captions", clean_text(EVIL[:-7], TITLE)}
    statuses: list[int] = []
    is_done = threading.Event()

    def save() -> None:
        saver = Visitor(target)
        # as fast as a household would, so that decoding at low priority makes progress, too
        while not is_done.wait(0.02):
            path = f"/api/v1/playback/movie/{items['Harmless']}"
            body = {"position_seconds": 5, "duration_seconds": 10}
            statuses.append(saver.client.post(path, json=body).status_code)
        saver.client.close()

    saving = threading.Thread(target=save)
    saving.start()
    pictures = {
        title: visitor.get_status(f"/api/v1/items/{item_id}/artwork?kind=poster") for title, item_id in items.items()
    }
    (file,) = visitor.get(f"/api/v1/items/{items['Captions']}")["files"]
    texts = [visitor.get_status(f"/api/v1/stream/file/{file['id']}/subtitles/{index}") for index in (0, 1)]
    is_done.set()
    saving.join()
    assert {pictures["Harmless"], pictures["Text"]} == {200}, (pictures, target.server.printed()[-5000:])
    assert pictures["Poster"] in {200, 404}  # from the film's own frame
    assert texts == [404, 404]
    assert set(statuses) == {200}
    grown = target.peak_growth_bytes()
    assert grown < MEMORY_MAX_BYTES, grown


def test_a_file_name_cannot_forge_a_line_of_the_log(target: Target, library: tuple[Visitor, dict[str, Any]]):
    del library
    printed = target.server.printed()
    assert not set("\x1b\x07\x9b\u202e") & set(printed)
    (line,) = [line for line in printed.splitlines() if "forged" in line]
    assert r"Evil \x1b]0;owned\x07\x0aforged line" in line


def test_undecodable_files_are_reported(library: tuple[Visitor, dict[str, Any]]):
    _, scanned = library
    skipped = {Path(each["path"]).name for each in scanned["last_scan"]["skipped_files"]}
    assert skipped == {"Keys (2002).mp4", "Rubbish (2002).mkv"}


def test_the_serving_process_never_loads_ffmpeg(target: Target, library: tuple[Visitor, dict[str, Any]]):
    visitor, scanned = library
    visitor.scan(scanned["id"])
    assert "libavcodec" not in Path(f"/proc/{target.server.pid}/maps").read_text()


def test_shutdown_ends_the_decoding_workers(target: Target, library: tuple[Visitor, dict[str, Any]]):
    visitor, _ = library
    items = {item["title"]: item["id"] for item in visitor.get("/api/v1/items?limit=100")["items"]}
    visitor.client.get(f"/api/v1/items/{items['Harmless']}/artwork?kind=still&width=960")
    workers = children(target.server.pid)
    assert workers
    assert target.server.stop() == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
