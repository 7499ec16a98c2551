"""What the demo's films are shown by: painted pictures and subtitles, under the names by which a library finds them."""

from pathlib import Path

from playhead.demo.films import CLIPS, FILMS, FONT, SERIES, Clip
from playhead.demo.pictures import make_pictures, paintings_of
from playhead.domain.artwork import ArtworkKind, PixelSize
from playhead.domain.model import ItemKind
from playhead.media.artwork import Subject, find_images
from playhead.media.pictures import picture_of_image
from playhead.media.sidecars import find_sidecars
from playhead.media.subtitles import webvtt_of_file
from screen import colour_at, shape_of

TIDE = Clip(
    f"{FILMS}/Tide (2020)/Tide (2020).mp4",
    "Tide",
    "2020",
    10,
    200,
    220,
    captions={"en": ("One", "Two"), "de": ("Eins",)},
)
MOOR = Clip(f"{SERIES}/Moor (2021)/Season 1/Moor S01E01.mp4", "Heath", "Season 1", seconds=1, hue=100, pitch_hz=330)


def test_each_film_show_season_and_episode_finds_its_pictures(tmp_path: Path):
    make_pictures(tmp_path, [TIDE, MOOR])
    movie = Subject(ItemKind.MOVIE, ["Tide (2020)/Tide (2020).mp4"])
    films, series = tmp_path / FILMS, tmp_path / SERIES
    assert find_images(films, movie, ArtworkKind.POSTER) == ["Tide (2020)/poster.jpg"]
    assert find_images(films, movie, ArtworkKind.STILL) == ["Tide (2020)/fanart.jpg"]
    episode = "Moor (2021)/Season 1/Moor S01E01.mp4"
    for season, first in ((None, "poster.jpg"), (1, "season01-poster.jpg")):
        found = find_images(series, Subject(ItemKind.SHOW, [episode], season), ArtworkKind.POSTER)
        assert found[0] == f"Moor (2021)/{first}"
    still = find_images(series, Subject(ItemKind.EPISODE, [episode]), ArtworkKind.STILL)
    assert still == ["Moor (2021)/Season 1/Moor S01E01-thumb.jpg"]


def test_pictures_have_the_shape_that_they_are_shown_in(tmp_path: Path):
    make_pictures(tmp_path, [TIDE, MOOR])
    shapes = {path.name: shape_of(path.read_bytes()) for path in tmp_path.rglob("*.jpg")}
    assert shapes == {
        "poster.jpg": (640, 960),
        "fanart.jpg": (960, 540),
        "season01-poster.jpg": (640, 960),
        "Moor S01E01-thumb.jpg": (960, 540),
    }


def test_a_poster_shows_its_title_in_white_and_a_still_shows_none(tmp_path: Path):
    make_pictures(tmp_path, [TIDE])
    folder = tmp_path / FILMS / "Tide (2020)"
    white = {
        name: sum(
            min(colour_at((folder / name).read_bytes(), across / 60, down / 60)) > 220
            for across in range(60)
            for down in range(48, 60)
        )
        for name in ("poster.jpg", "fanart.jpg")
    }
    assert white["poster.jpg"] > 10
    assert white["fanart.jpg"] == 0


def test_no_two_of_the_demo_look_the_same_and_each_can_be_shown(tmp_path: Path):
    make_pictures(tmp_path)
    made = {path: path.read_bytes() for path in tmp_path.rglob("*.jpg")}
    assert len(made) == len(paintings_of(CLIPS)) == 13
    assert len(set(made.values())) == len(made)
    for path in made:
        assert shape_of(picture_of_image(path, PixelSize(240, 360))) == (240, 360)


def test_every_letter_that_is_painted_is_in_the_font():
    letters = {letter for painting in paintings_of(CLIPS) for word in painting.words for letter in word.upper()}
    assert letters <= FONT.keys()


def test_subtitles_lie_beside_the_film_in_each_language(tmp_path: Path):
    make_pictures(tmp_path, [TIDE])
    found = find_sidecars(tmp_path / FILMS, "Tide (2020)/Tide (2020).mp4")
    assert [track.language for track in found] == ["de", "en"]
    path = tmp_path / FILMS / "Tide (2020)" / "Tide (2020).en.srt"
    assert webvtt_of_file(path, "subrip", "en").decode() == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:03.334\nOne\n\n00:00:05.000 --> 00:00:08.334\nTwo\n"
    )


def test_the_demo_has_a_film_with_subtitles_in_two_languages():
    assert any(set(clip.captions) == {"en", "de"} for clip in CLIPS)


def test_what_is_there_is_kept_and_only_what_is_missing_is_made(tmp_path: Path):
    make_pictures(tmp_path, [TIDE])
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    gone = next(path for path in files if path.name == "poster.jpg")
    content = gone.read_bytes()
    gone.unlink()
    make_pictures(tmp_path, [TIDE])
    assert gone.read_bytes() == content
    assert {path: path.stat().st_mtime_ns for path in files if path != gone} == {
        path: at for path, at in files.items() if path != gone
    }
    assert not list(tmp_path.rglob("*.part"))
