import os
import subprocess
import sys
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from playhead.domain.catalogue import MediaStream, version_label
from playhead.media.contents import Unreadable
from playhead.media.probe import probe

RATE = 10
SECONDS = 4


def film(
    path: Path,
    *,
    video: str | None = "libx264",
    audio: str | None = "aac",
    size: tuple[int, int] = (320, 180),
    transfer: int | None = None,
    chapters: list[tuple[float, str]] | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """Write four seconds of black and silence."""
    with av.open(str(path), "w", options=options or {}) as container:
        streams: list[tuple[Any, list[Any]]] = []
        if video:
            stream = container.add_stream(video, rate=RATE, options={"x265-params": "log-level=none"})
            stream.width, stream.height = size
            stream.pix_fmt = "yuv420p"
            if transfer:
                stream.codec_context.color_trc = transfer
            streams.append((stream, [picture(size, at) for at in range(SECONDS * RATE)]))
        if audio:
            stream = container.add_stream(audio, rate=48_000)
            stream.metadata["language"] = "deu"
            streams.append((stream, [sound(at) for at in range(0, SECONDS * 48_000, 1024)]))
        if chapters:
            container.set_chapters(
                [
                    {
                        "id": number,
                        "start": int(begin * 1000),
                        "end": int(begin * 1000) + 100,
                        "time_base": Fraction(1, 1000),
                        "metadata": {"title": title},
                    }
                    for number, (begin, title) in enumerate(chapters, 1)
                ]
            )
        for stream, frames in streams:
            for frame in [*frames, None]:
                container.mux(stream.encode(frame))
    return path


def picture(size: tuple[int, int], at: int) -> av.VideoFrame:
    frame = av.VideoFrame(*size, "yuv420p")
    for plane in frame.planes:
        plane.update(bytes(plane.buffer_size))
    frame.pts, frame.time_base = at, Fraction(1, RATE)
    return frame


def sound(at: int) -> av.AudioFrame:
    frame = av.AudioFrame("fltp", "stereo", 1024)
    frame.sample_rate = 48_000
    for plane in frame.planes:
        plane.update(bytes(plane.buffer_size))
    frame.pts, frame.time_base = at, Fraction(1, 48_000)
    return frame


def test_length_and_streams_of_an_mp4_are_read(tmp_path: Path):
    info = probe(film(tmp_path / "film.mp4"))
    assert 4000 <= info.duration_ms <= 4100
    assert info.container == "mov"
    assert info.streams == (
        MediaStream("video", "h264", width=320, height=180, default=True),
        MediaStream("audio", "aac", language="deu", channels=2, default=True),
    )
    assert info.credits_ms is None
    assert version_label(info) == "180p H.264"


def test_hevc_in_matroska_with_a_pq_transfer_is_hdr(tmp_path: Path):
    info = probe(film(tmp_path / "film.mkv", video="libx265", transfer=16, size=(1280, 536)))
    assert info.container == "matroska"
    assert info.streams[0] == MediaStream("video", "hevc", width=1280, height=536, hdr=True)
    assert version_label(info) == "720p HEVC HDR"


def test_webm_is_distinguished_from_matroska(tmp_path: Path):
    assert probe(film(tmp_path / "film.webm", video="libvpx-vp9", audio="libopus")).container == "webm"


@pytest.mark.parametrize("extension", ["avi", "ts", "mpg"])
def test_old_containers_are_read(tmp_path: Path, extension: str):
    info = probe(film(tmp_path / f"film.{extension}", video="mpeg2video", audio="mp2", size=(720, 576)))
    assert 3900 <= info.duration_ms <= 4200
    assert version_label(info) == "576p MPEG-2"


@pytest.mark.parametrize(
    "title", ["Credits", "End Credits", "Outro", "ED", "Ending", "Chapter 12: End credits", "Abspann"]
)
def test_credits_begin_at_a_chapter_with_their_name(tmp_path: Path, title: str):
    info = probe(film(tmp_path / "film.mkv", audio=None, chapters=[(0, "Film"), (3.5, title)]))
    assert info.credits_ms == 3500


@pytest.mark.parametrize(
    "chapters",
    [
        [(0.0, "Opening Credits"), (3.5, "Fight")],
        [(0.0, "Credits"), (3.5, "Chapter 2")],  # those of a teaser; only the last quarter counts
        [(2.9, "Credits")],
        [(3.5, "Edward's Credits")],
    ],
)
def test_other_chapters_are_not_credits(tmp_path: Path, chapters: list[tuple[float, str]]):
    assert probe(film(tmp_path / "film.mkv", audio=None, chapters=chapters)).credits_ms is None


def test_the_first_of_two_late_chapters_begins_the_credits(tmp_path: Path):
    chapters = [(3.2, "Credits"), (3.6, "Outro")]
    assert probe(film(tmp_path / "film.mkv", audio=None, chapters=chapters)).credits_ms == 3200


def test_an_interrupted_recording_is_measured_by_reading_it(tmp_path: Path):
    # A live recording is written without its length and size.
    info = probe(film(tmp_path / "film.mkv", options={"live": "1"}))
    assert 3900 <= info.duration_ms <= 4100


def test_a_name_with_a_colon_or_without_utf8_is_a_file_name(tmp_path: Path):
    plain = film(tmp_path / "film.mkv", audio=None)
    for name in (b"http:film.mkv", b"caf\xe9.mkv"):
        other = tmp_path / os.fsdecode(name)
        other.write_bytes(plain.read_bytes())
        assert probe(other) == probe(plain)


def unreadable(path: Path) -> str:
    with pytest.raises(Unreadable) as raised:
        probe(path)
    return str(raised.value)


@pytest.mark.parametrize("extension", ["mp4", "mkv", "webm", "avi", "ts"])
def test_every_truncation_of_a_film_is_read_or_refused(tmp_path: Path, extension: str):
    codecs = {"video": "libvpx-vp9", "audio": "libopus"} if extension == "webm" else {}
    whole = film(tmp_path / f"whole.{extension}", **codecs).read_bytes()
    cut = tmp_path / f"cut.{extension}"
    for length in range(1, len(whole), max(1, len(whole) // 40)):
        cut.write_bytes(whole[:length])
        try:
            assert 0 < probe(cut).duration_ms <= 5000  # without its index, an AVI's length is an estimate
        except Unreadable as refused:
            assert str(refused)  # noqa: PT017 - either answer is right; any other exception fails the test


@pytest.mark.parametrize(
    ("extension", "options"),
    [("mkv", {}), ("mp4", {"movflags": "faststart"})],
    ids=["mkv", "mp4 with the index in front"],
)
def test_a_file_that_is_still_being_copied_is_truncated(tmp_path: Path, extension: str, options: dict[str, str]):
    path = film(tmp_path / f"film.{extension}", options=options)
    path.write_bytes(path.read_bytes()[:-500])
    assert unreadable(path) == "it is truncated"


def test_an_mp4_without_its_index_is_refused(tmp_path: Path):
    path = film(tmp_path / "film.mp4")
    path.write_bytes(path.read_bytes()[:1000])
    assert unreadable(path)


def test_a_file_with_sound_only_is_not_a_film(tmp_path: Path):
    assert unreadable(film(tmp_path / "song.mp4", video=None)) == "it has no video"


@pytest.mark.parametrize(
    "content", [b"x", b"not a film\n" * 1000, bytes(100_000), b"\x1a\x45\xdf\xa3", b"\xff" * 5000, b"\x89PNG\r\n\x1a\n"]
)
def test_a_file_that_is_not_media_is_refused(tmp_path: Path, content: bytes):
    path = tmp_path / "film.mkv"
    path.write_bytes(content)
    assert unreadable(path)


def test_an_empty_file_a_folder_and_a_missing_file_are_refused_with_the_reason(tmp_path: Path):
    (tmp_path / "empty.mkv").touch()
    assert unreadable(tmp_path / "empty.mkv") == "it is empty"
    assert unreadable(tmp_path) == "it is not a regular file"
    assert unreadable(tmp_path / "missing.mkv") == "No such file or directory"
    assert unreadable(tmp_path / "nul\0.mkv")


def test_a_pipe_is_refused_without_waiting(tmp_path: Path):
    os.mkfifo(tmp_path / "film.mkv")
    assert unreadable(tmp_path / "film.mkv") == "it is not a regular file"


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:4\n#EXTINF:4.0,\n{film}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile '{film}'\n",
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>{film}</BaseURL></MPD>',
    ],
    ids=["HLS", "concat", "DASH"],
)
@pytest.mark.parametrize("extension", ["mkv", "m3u8", "ts"])
def test_a_playlist_does_not_open_the_file_that_it_names(tmp_path: Path, text: str, extension: str):
    other = film(tmp_path / "secret.ts")
    path = tmp_path / f"list.{extension}"
    path.write_text(text.format(film=other.name))
    assert unreadable(path)


def test_probing_a_broken_file_prints_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    path = film(tmp_path / "film.avi", video="mpeg2video", audio="mp2")
    path.write_bytes(path.read_bytes()[:3000])
    capfd.readouterr()
    with suppress(Unreadable):
        probe(path)
    assert capfd.readouterr() == ("", "")


def test_starting_the_server_loads_neither_ffmpeg_nor_guessit():
    code = (
        "import sys, playhead.cli, playhead.server.run, playhead.demo.maker, playhead.media.names.filenames\n"
        "print({'av', 'guessit'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603 - our own code
    assert done.stdout == "set()\n"
