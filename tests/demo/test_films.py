"""The demo's films as a player sees them, and the script that made them. A browser plays them in tests/web."""

import re
from fractions import Fraction
from pathlib import Path

import av
import pytest

from demo_clips import CLIPS, FRAMES_PER_SECOND, Clip, write_clip
from playhead.demo.films import FILMS, MEDIA, SERIES, copy_media
from playhead.media.probe import probe

BYTES_MAX = 3_000_000

SHORT = Clip(f"{FILMS}/Tide (2020)/Tide (2020).mp4", "Tide", "2020", seconds=4, hue=200, pitch_hz=220)

every_clip = pytest.mark.parametrize("clip", CLIPS, ids=[clip.title for clip in CLIPS])


def files_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def luma_of_frames(path: Path, frames: int) -> list[bytes]:
    found: list[bytes] = []
    with av.open(str(path)) as opened:
        for frame in opened.decode(video=0):
            found.append(bytes(frame.planes[0]))
            if len(found) == frames:
                break
    return found


def rows(luma: bytes, top: float, bottom: float) -> bytes:
    return luma[int(360 * top) * 640 : int(360 * bottom) * 640]


def keyframes_of(path: Path) -> list[Fraction]:
    with av.open(str(path)) as opened:
        packets = [packet for packet in opened.demux(video=0) if packet.pts is not None]
    return [packet.pts * Fraction(packet.time_base) for packet in packets if packet.is_keyframe]


@every_clip
def test_a_film_has_the_length_and_the_codecs_that_it_was_made_with(clip: Clip):
    info = probe(MEDIA / clip.path)
    assert info.duration_ms == clip.seconds * 1000
    assert info.container == "mov"
    video, audio = info.streams
    assert (video.codec, video.width, video.height) == ("h264", clip.width, clip.height)
    assert audio.codec == "aac"
    with av.open(str(MEDIA / clip.path)) as opened:
        assert opened.streams.video[0].pix_fmt == "yuv420p"
        assert opened.metadata["title"] == clip.title


@every_clip
def test_a_film_has_a_keyframe_every_three_seconds_so_that_a_seek_is_quick(clip: Clip):
    assert keyframes_of(MEDIA / clip.path) == list(range(0, clip.seconds, 3))


@every_clip
def test_a_film_has_its_index_in_front_so_that_it_plays_from_the_first_bytes(clip: Clip):
    content = (MEDIA / clip.path).read_bytes()
    assert 0 < content.index(b"moov") < content.index(b"mdat")


def test_the_clock_runs_and_the_title_stands():
    clip = next(clip for clip in CLIPS if clip.title == "Slack Water")
    frames = luma_of_frames(MEDIA / clip.path, 3 * FRAMES_PER_SECOND)
    assert len({rows(frame, 4 / 9, 0.7) for frame in frames}) == len(frames)
    title, later_title = rows(frames[0], 0, 0.3), rows(frames[20], 0, 0.3)
    assert max(title) > 200
    # The encoder may change a pixel by one shade at most.
    assert max(abs(one - other) for one, other in zip(title, later_title, strict=True)) < 60


def test_each_second_starts_with_a_tick():
    clip = next(clip for clip in CLIPS if clip.title == "Slack Water")
    with av.open(str(MEDIA / clip.path)) as opened:
        samples = b"".join(bytes(frame.planes[0])[: frame.samples * 4] for frame in opened.decode(audio=0))
    heard = memoryview(samples).cast("f")
    loudness = [max(abs(value) for value in heard[at : at + 2400]) for at in range(0, 3 * 24_000, 2400)]
    loud = [tenth for tenth, value in enumerate(loudness) if value > 0.12]
    assert {tenth // 10 for tenth in loud} == {0, 1, 2}
    assert all(tenth % 10 in {0, 1, 9} for tenth in loud)  # an encoder delays or smears it slightly


def test_the_demo_has_versions_seasons_and_films_of_20_to_120_seconds():
    assert {path for path in files_below(MEDIA) if path.endswith(".mp4")} == {clip.path for clip in CLIPS}
    assert all(20 <= clip.seconds <= 120 for clip in CLIPS)
    folders = [Path(clip.path).parent.as_posix() for clip in CLIPS]
    films = [folder for folder in folders if folder.startswith(f"{FILMS}/")]
    assert sorted(films.count(folder) for folder in set(films)) == [1, 2]
    seasons = [folder for folder in folders if folder.startswith(f"{SERIES}/")]
    assert len(set(seasons)) == 2
    assert min(seasons.count(season) for season in seasons) >= 2


def test_the_versions_of_a_film_have_equal_length_and_different_sizes():
    versions = [clip for clip in CLIPS if clip.title == "Harbour Lights"]
    assert len({clip.seconds for clip in versions}) == 1
    assert {clip.height for clip in versions} == {1080, 360}
    assert all(f"{clip.height}p" in clip.path for clip in versions)


def test_the_demo_media_are_small_enough_for_the_package():
    assert sum((MEDIA / path).stat().st_size for path in files_below(MEDIA)) <= BYTES_MAX


# Copying


def test_existing_files_are_kept_and_only_missing_ones_are_copied(tmp_path: Path):
    copy_media(tmp_path)
    assert files_below(tmp_path) == files_below(MEDIA)
    kept, lost = tmp_path / CLIPS[0].path, tmp_path / CLIPS[1].path
    kept.write_bytes(b"something else")
    lost.unlink()
    copy_media(tmp_path)
    assert kept.read_bytes() == b"something else"
    assert lost.read_bytes() == (MEDIA / CLIPS[1].path).read_bytes()


def test_a_copy_that_fails_leaves_no_partial_file(tmp_path: Path):
    (tmp_path / SERIES).write_text("a file where a folder belongs")
    with pytest.raises(OSError, match=SERIES):
        copy_media(tmp_path)
    assert [path for path in files_below(tmp_path) if path.endswith(".part")] == []


# The script


def test_the_script_makes_the_film_that_is_shipped(tmp_path: Path):
    """Its shortest one. Another version of the encoder may produce other bytes that show the same."""
    clip = min(CLIPS, key=lambda one: one.seconds)
    write_clip(tmp_path / "film.mp4", clip)
    made, shipped = (luma_of_frames(path, 1000) for path in (tmp_path / "film.mp4", MEDIA / clip.path))
    assert len(made) == len(shipped) == clip.seconds * FRAMES_PER_SECOND
    for one, other in zip(made[::10], shipped[::10], strict=True):
        differing = sum(abs(a - b) > 60 for a, b in zip(one[::7], other[::7], strict=True))
        assert differing < len(one) / 7 / 100
    assert probe(tmp_path / "film.mp4").duration_ms == clip.seconds * 1000
    assert keyframes_of(tmp_path / "film.mp4") == keyframes_of(MEDIA / clip.path)


def test_the_script_writes_no_local_path_into_a_film():
    assert not any(re.search(rb"/(home|root|tmp|work)/", (MEDIA / clip.path).read_bytes()) for clip in CLIPS)
