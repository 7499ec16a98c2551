"""The pool of decoding workers, with real processes, and files that cost too much, crash a worker, or hang it."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import bombs
from clips import write_clip
from playhead.domain.artwork import PixelSize
from playhead.media import pictures, probe
from playhead.media.contents import Unreadable, Unusable
from playhead.media.decoders import Decoders, DecodersClosed
from playhead.media.jobs import BUDGETS, Budget, PictureOfFilm, PictureOfImage, ProbeFilm

SIZE = PixelSize(240, 360)


@pytest.fixture
def decoders() -> Iterator[Decoders]:
    made = Decoders()
    yield made
    made.close()


@pytest.fixture
def film(tmp_path: Path) -> Path:
    write_clip(tmp_path / "film.mkv")
    return tmp_path / "film.mkv"


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def peak_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/status").read_text().split("VmHWM:")[1].split("kB")[0]) * 1024


def test_a_worker_reads_what_the_file_contains(decoders: Decoders, film: Path):
    assert decoders.probe(film) == probe.probe(film)
    assert decoders.picture_of_film(film, PixelSize(64, 36))[:2] == b"\xff\xd8"


def test_no_process_runs_before_there_is_work_and_none_after_closing(film: Path):
    decoders = Decoders()
    assert decoders.pids == []
    decoders.probe(film)
    (pid,) = decoders.pids
    decoders.close()
    assert not is_running(pid)
    with pytest.raises(DecodersClosed):
        decoders.probe(film)


def test_one_worker_does_one_job_after_another(decoders: Decoders, film: Path):
    for _ in range(3):
        decoders.probe(film)
    assert len(decoders.pids) == 1


def test_an_idle_worker_ends(film: Path):
    decoders = Decoders(idle_s=0.1)
    decoders.probe(film)
    wait_until(lambda: decoders.pids == [])
    assert decoders.probe(film).duration_ms > 0
    decoders.close()


def test_a_worker_has_limits_and_a_low_priority(decoders: Decoders, film: Path):
    decoders.probe(film)
    (pid,) = decoders.pids
    limits = {line[:26].strip(): line[26:].split()[0] for line in Path(f"/proc/{pid}/limits").read_text().splitlines()}
    assert int(limits["Max address space"]) <= 1024**3
    assert limits["Max file size"] == limits["Max core file size"] == "0"
    assert 0 < int(limits["Max cpu time"]) < 100
    assert os.getpriority(os.PRIO_PROCESS, pid) >= 10
    assert Path(f"/proc/{pid}/oom_score_adj").read_text().strip() == "1000"


def test_a_scans_workers_have_the_priority_of_the_server(film: Path):
    probers = Decoders(niceness=0)
    probers.probe(film)
    (pid,) = probers.pids
    assert os.getpriority(os.PRIO_PROCESS, pid) == os.getpriority(os.PRIO_PROCESS, 0)
    probers.close()


def test_a_worker_has_neither_the_secrets_nor_the_files_of_the_server(decoders: Decoders, film: Path, tmp_path: Path):
    with (tmp_path / "secret").open("w") as secret:
        os.set_inheritable(secret.fileno(), True)  # noqa: FBT003 - as an embedding program may have done
        decoders.probe(film)
        (pid,) = decoders.pids
        names = {line.partition(b"=")[0] for line in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0") if line}
        opened = {str(each.readlink()) for each in Path(f"/proc/{pid}/fd").iterdir()}
    assert names <= {b"PATH", b"HOME", b"LANG", b"LC_ALL", b"LC_CTYPE", b"LD_LIBRARY_PATH", b"TMPDIR", b"PYTHONPATH"}
    assert all(name == "/dev/null" or name.startswith("pipe:") for name in opened)


# Harmful files


def test_a_decompression_bomb_is_refused_by_the_header_of_its_picture(decoders: Decoders, tmp_path: Path, film: Path):
    (tmp_path / "poster.png").write_bytes(bombs.png(20_000, 20_000))
    decoders.probe(film)
    (pid,) = decoders.pids
    before = peak_bytes(pid)
    with pytest.raises(Unusable, match="more than 20 megapixels"):
        decoders.picture_of_image(tmp_path / "poster.png", SIZE)
    assert peak_bytes(pid) - before < 32 * 1024**2
    assert decoders.pids == [pid]


def test_text_chunks_of_a_picture_are_not_decompressed(decoders: Decoders, tmp_path: Path):
    (tmp_path / "poster.png").write_bytes(bombs.png_with_text(200 * 1024**2))
    assert decoders.picture_of_image(tmp_path / "poster.png", SIZE)[:2] == b"\xff\xd8"
    (pid,) = decoders.pids
    assert peak_bytes(pid) < 100 * 1024**2


def test_a_picture_that_takes_too_much_cpu_time_is_refused(tmp_path: Path):
    (tmp_path / "poster.jpg").write_bytes(bombs.jpeg_of_many_scans(40_000, (4000, 4900)))
    budgets = {**BUDGETS, PictureOfImage: Budget(wall_s=300, cpu_s=1)}
    decoders = Decoders(budgets=budgets)
    with pytest.raises(Unusable, match="takes too long"):
        decoders.picture_of_image(tmp_path / "poster.jpg", SIZE)
    decoders.close()


def test_a_film_that_takes_too_long_is_skipped_this_time(film: Path):
    decoders = Decoders(budgets={**BUDGETS, ProbeFilm: Budget(wall_s=0, cpu_s=30)})
    with pytest.raises(Unreadable, match="takes too long") as raised:
        decoders.probe(film)
    assert raised.value.passing
    assert decoders.pids == []
    assert decoders.picture_of_film(film, PixelSize(64, 36))
    decoders.close()


@pytest.mark.parametrize("size", [(20_000, 20_000, 8), (5_000, 7_000, 16)])
def test_a_bomb_as_a_cover_prevents_neither_the_probe_nor_the_picture_of_a_film(
    decoders: Decoders, tmp_path: Path, size: tuple[int, int, int]
):
    width, height, depth = size
    path = bombs.film(tmp_path / "film.mkv", cover=bombs.png(width, height, depth=depth))
    assert [stream.kind for stream in decoders.probe(path).streams] == ["video"]
    assert decoders.picture_of_film(path, SIZE)[:2] == b"\xff\xd8"
    (pid,) = decoders.pids
    assert peak_bytes(pid) < 400 * 1024**2


def test_metadata_that_claims_gigabytes_is_refused(decoders: Decoders, tmp_path: Path):
    with pytest.raises(Unreadable, match="allocate memory"):
        decoders.probe(bombs.mp4_with_keys(tmp_path / "film.mp4", 200_000_000))
    assert len(decoders.pids) == 1


def test_subtitles_of_a_hundred_megabytes_and_of_endless_events_are_refused(decoders: Decoders, tmp_path: Path):
    with (tmp_path / "big.srt").open("wb") as file:
        file.truncate(100 * 1024**2)
    with pytest.raises(Unusable, match="too large"):
        decoders.webvtt_of_file(tmp_path / "big.srt", "subrip", "en")
    event = "Dialogue: 0,0:00:00.00,0:00:01.00,,,,,,,x\n"
    (tmp_path / "many.ass").write_text(bombs.ASS_HEAD + event * 60_000)
    with pytest.raises(Unusable, match="too much text"):
        decoders.webvtt_of_file(tmp_path / "many.ass", "ass", "en")


def test_subtitles_in_a_film_that_are_one_giant_line_are_refused(decoders: Decoders, tmp_path: Path):
    path = bombs.film_with_subtitles(tmp_path / "film.mkv", "x" * (5 * 1024**2))
    with pytest.raises(Unusable, match="too much text"):
        decoders.webvtt_of_film(path, 0)


@pytest.mark.parametrize(
    "content", ["<svg/>", "GIF89a", "BM", "\x89PNG\r\n\x1a\n", "RIFF\0\0\0\0WEBPVP8X", "\xff\xd8\xff\xda"]
)
def test_other_formats_and_headers_without_a_size_are_refused(decoders: Decoders, tmp_path: Path, content: str):
    (tmp_path / "poster.jpg").write_bytes(content.encode("latin1"))
    with pytest.raises(Unusable):
        decoders.picture_of_image(tmp_path / "poster.jpg", SIZE)
    assert len(decoders.pids) == 1


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A server that nobody may connect to."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0)
        yield listening


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4.0,\n{url}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile '{url}'\n",
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>{url}</BaseURL></MPD>',
        "v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nt=0 0\na=control:{url}\nm=video 9 RTP/AVP 96\n",
        "[Reference]\nRef1={url}?MSWMExt=.asf\n",
        "{url}\n",
    ],
    ids=["HLS", "concat", "DASH", "SDP", "ASX", "link"],
)
def test_a_text_called_a_film_opens_no_address(decoders: Decoders, tmp_path: Path, listener: socket.socket, text: str):
    for name in ("film.mkv", "film.ts", "film.m3u8", "http:film.mp4"):
        path = tmp_path / name
        path.write_text(text.format(url=f"http://127.0.0.1:{listener.getsockname()[1]}/film.ts"))
        with pytest.raises(Unreadable):
            decoders.probe(path)
        with pytest.raises(Unusable):
            decoders.picture_of_film(path, SIZE)
        with pytest.raises(Unusable):
            decoders.webvtt_of_film(path, 0)
    with pytest.raises(BlockingIOError):
        listener.accept()
    assert len(decoders.pids) == 1


# Workers that die


def fake(talk: str) -> Decoders:
    """A pool of workers that start, take a job and do this."""
    start = "import os, signal, sys; os.write(1, bytes(4)); os.read(0, 99999); "
    return Decoders(command=[sys.executable, "-c", start + talk])


def test_a_worker_that_dies_does_not_affect_the_next_file(film: Path, decoders: Decoders):
    seen: list[bytes] = []
    thread = threading.Thread(target=lambda: seen.append(decoders.picture_of_film(film, PixelSize(64, 36))))
    decoders.probe(film)
    (pid,) = decoders.pids
    os.kill(pid, signal.SIGSTOP)
    thread.start()
    wait_until(lambda: decoders.busy == 1)
    assert decoders.probe(film).duration_ms > 0  # by another worker, meanwhile
    os.kill(pid, signal.SIGKILL)
    thread.join(60)
    assert len(seen) == 1  # the worker had read another file before and was to blame; a fresh one has read this
    assert pid not in decoders.pids


def test_a_file_that_crashes_a_fresh_worker_is_at_fault(film: Path):
    decoders = fake("os.kill(os.getpid(), signal.SIGSEGV)")
    with pytest.raises(Unreadable, match=r"crashed on it \(SIGSEGV\)") as raised:
        decoders.probe(film)
    assert not raised.value.passing
    with pytest.raises(Unusable, match=r"crashed on it \(SIGSEGV\)"):
        decoders.picture_of_film(film, SIZE)
    assert decoders.pids == []


def test_a_film_whose_worker_was_killed_by_the_system_is_retried_by_the_next_scan(film: Path):
    decoders = fake("os.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(Unreadable) as raised:
        decoders.probe(film)
    assert raised.value.passing


def test_a_picture_whose_worker_was_killed_by_the_system_is_retried_by_the_next_request(film: Path):
    decoders = fake("os.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(Unusable) as raised:
        decoders.picture_of_film(film, SIZE)
    assert raised.value.passing


def test_a_picture_that_times_out_on_a_busy_machine_is_retried_by_the_next_request(film: Path):
    decoders = Decoders(budgets={**BUDGETS, PictureOfFilm: Budget(wall_s=0, cpu_s=30)})
    with pytest.raises(Unusable, match="takes too long") as raised:
        decoders.picture_of_film(film, SIZE)
    assert raised.value.passing
    decoders.close()


def test_a_search_for_a_picture_that_times_out_is_retried_by_the_next_request(
    film: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(pictures, "_SEARCH_S", -1.0)
    with pytest.raises(Unusable, match="takes too long") as raised:
        pictures.picture_of_film(film, PixelSize(96, 54))
    assert raised.value.passing


def test_a_film_that_ffmpeg_cannot_open_in_time_is_retried(film: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(probe, "_TIMEOUT_S", 1e-9)
    with pytest.raises(Unreadable, match="takes too long") as unreadable:
        probe.probe(film)
    with pytest.raises(Unusable, match="takes too long") as unusable:
        pictures.picture_of_film(film, SIZE)
    assert unreadable.value.passing
    assert unusable.value.passing


def test_failing_to_start_a_worker_is_not_the_fault_of_the_file(film: Path, tmp_path: Path):
    decoders = Decoders(command=[sys.executable, "-c", "raise SystemExit(3)"])
    with pytest.raises(OSError, match="no process can be started"):
        decoders.probe(film)
    decoders = Decoders(command=[str(tmp_path / "nothing")])
    with pytest.raises(OSError, match="no process can be started"):
        decoders.probe(film)


def test_a_worker_with_a_malformed_answer_is_replaced(film: Path):
    decoders = fake("os.write(1, b'\\xff' * 99)")
    with pytest.raises(Unreadable, match="gave up"):
        decoders.probe(film)
    assert decoders.pids == []


def test_closing_waits_for_no_file(film: Path):
    decoders = Decoders()
    decoders.probe(film)
    (pid,) = decoders.pids
    os.kill(pid, signal.SIGSTOP)
    closed: list[BaseException] = []

    def look() -> None:
        try:
            decoders.probe(film)
        except DecodersClosed as error:
            closed.append(error)

    thread = threading.Thread(target=look)
    thread.start()
    wait_until(lambda: decoders.busy == 1)
    decoders.close()
    thread.join(60)
    assert len(closed) == 1
    assert not is_running(pid)


def test_workers_end_with_a_killed_server(film: Path):
    script = (
        "import sys, time; from pathlib import Path; from playhead.media.decoders import Decoders\n"
        "made = Decoders(); made.probe(Path(sys.argv[1])); print(*made.pids, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(film)], stdout=subprocess.PIPE) as parent:  # noqa: S603 - ours
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
        wait_until(lambda: not is_running(pid))


def test_many_threads_share_a_few_workers(film: Path):
    decoders = Decoders(2)
    seen: list[int] = []
    threads = [threading.Thread(target=lambda: seen.append(decoders.probe(film).duration_ms)) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(seen) == 12
    assert len(decoders.pids) <= 2
    decoders.close()
