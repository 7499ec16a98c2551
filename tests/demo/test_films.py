"""The demo's films, seen as a player sees them. Short ones are made here; the real ones in tests/web."""

import threading
from fractions import Fraction
from pathlib import Path

import av
import pytest

from playhead.demo.films import CLIPS, FILMS, SERIES, Clip, make_clips
from playhead.media.probe import probe

SHORT = Clip(f"{FILMS}/Tide (2020)/Tide (2020).mp4", "Tide", "2020", seconds=3, hue=200, pitch_hz=220)
OTHER = Clip(f"{FILMS}/Moor (2021)/Moor (2021).mp4", "Moor", "2021", seconds=2, hue=100, pitch_hz=330)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    make_clips(folder, [SHORT])
    return folder / SHORT.path


def luma_of_frames(path: Path) -> list[bytes]:
    with av.open(str(path)) as opened:
        return [bytes(frame.planes[0]) for frame in opened.decode(video=0)]


def rows(luma: bytes, top: float, bottom: float) -> bytes:
    return luma[int(360 * top) * 640 : int(360 * bottom) * 640]


def test_a_clip_has_the_codecs_and_the_length_that_it_was_asked_for(film: Path):
    info = probe(film)
    assert info.duration_ms == 3000
    assert info.container == "mov"
    video, audio = info.streams
    assert (video.codec, video.width, video.height) == ("h264", 640, 360)
    assert audio.codec == "aac"
    with av.open(str(film)) as opened:
        assert opened.streams.video[0].pix_fmt == "yuv420p"
        assert opened.metadata["title"] == "Tide"


def test_a_clip_has_a_keyframe_each_second_so_that_a_seek_is_quick(film: Path):
    with av.open(str(film)) as opened:
        packets = [packet for packet in opened.demux(video=0) if packet.pts is not None]
    keyframes = [packet.pts * Fraction(packet.time_base) for packet in packets if packet.is_keyframe]
    assert keyframes == [0, 1, 2]


def test_a_clip_has_its_index_in_front_so_that_it_plays_from_the_first_bytes_on(film: Path):
    content = film.read_bytes()
    assert 0 < content.index(b"moov") < content.index(b"mdat")


def test_the_clock_runs_and_the_title_stands(film: Path):
    frames = luma_of_frames(film)
    assert len(frames) == 30
    clocks = {rows(frame, 4 / 9, 0.7) for frame in frames}
    assert len(clocks) == 30
    title, later_title = rows(frames[0], 0, 0.3), rows(frames[20], 0, 0.3)
    assert max(title) > 200
    # The encoder may change a pixel by a shade, not by more.
    assert max(abs(one - other) for one, other in zip(title, later_title, strict=True)) < 40


def test_there_is_a_tick_at_the_beginning_of_each_second(film: Path):
    with av.open(str(film)) as opened:
        samples = b"".join(bytes(frame.planes[0])[: frame.samples * 4] for frame in opened.decode(audio=0))
    heard = memoryview(samples).cast("f")
    loudness = [max(abs(value) for value in heard[at : at + 2400]) for at in range(0, 3 * 24_000, 2400)]
    loud = [tenth for tenth, value in enumerate(loudness) if value > 0.12]
    assert {tenth // 10 for tenth in loud} == {0, 1, 2}
    assert all(tenth % 10 in {0, 1, 9} for tenth in loud)  # an encoder delays or smears it a little


def test_what_is_there_is_kept_and_only_what_is_missing_is_made(tmp_path: Path):
    told: list[tuple[int, int]] = []
    make_clips(tmp_path, [SHORT])
    before = (tmp_path / SHORT.path).stat()
    make_clips(tmp_path, [SHORT, OTHER], on_progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 2), (2, 2)]
    assert (tmp_path / SHORT.path).stat().st_mtime_ns == before.st_mtime_ns
    assert probe(tmp_path / OTHER.path).duration_ms == 2000


def test_two_clips_are_told_as_one_work(tmp_path: Path):
    told: list[tuple[int, int]] = []
    make_clips(tmp_path, [SHORT, OTHER], on_progress=lambda done, total: told.append((done, total)))
    assert told == [(done, 5) for done in range(1, 6)]


def test_work_that_is_broken_off_leaves_no_file(tmp_path: Path):
    class EnoughError(Exception):
        pass

    def stop(done: int, _: int) -> None:
        if done == 2:
            raise EnoughError

    threads = threading.active_count()
    with pytest.raises(EnoughError):
        make_clips(tmp_path, [SHORT, OTHER], on_progress=stop)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert threading.active_count() == threads


def test_the_demo_has_versions_seasons_and_clips_of_20_to_120_seconds():
    assert all(20 <= clip.seconds <= 120 for clip in CLIPS)
    assert len({clip.path for clip in CLIPS}) == len(CLIPS)
    folders = [Path(clip.path).parent.as_posix() for clip in CLIPS]
    films = [folder for folder in folders if folder.startswith(f"{FILMS}/")]
    assert sorted(films.count(folder) for folder in set(films)) == [1, 2]
    seasons = [folder for folder in folders if folder.startswith(f"{SERIES}/")]
    assert len(set(seasons)) == 2
    assert min(seasons.count(season) for season in seasons) >= 2


def test_the_versions_of_a_film_are_equally_long_and_differ_in_size():
    versions = [clip for clip in CLIPS if clip.title == "Harbour Lights"]
    assert len({clip.seconds for clip in versions}) == 1
    assert {clip.height for clip in versions} == {1080, 360}
    assert all(f"{clip.height}p" in clip.path for clip in versions)
