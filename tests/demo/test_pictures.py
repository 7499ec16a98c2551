"""The demo's pictures and subtitles, under the names by which a library finds them."""

from pathlib import Path

import pytest

from demo_clips import CLIPS, FONT
from demo_pictures import paintings_of, write_pictures
from pictures import colour_at, is_near, shape_of
from playhead.demo.films import FILMS, MEDIA, SERIES
from playhead.domain.artwork import ArtworkKind, PixelSize
from playhead.domain.model import ItemKind
from playhead.media.artwork import Subject, find_images
from playhead.media.pictures import picture_of_image
from playhead.media.sidecars import find_sidecars
from playhead.media.subtitles import webvtt_of_file

HARBOUR = "Harbour Lights (2019)"
TIDAL = "Tidal Station (2021)"


def test_each_film_show_season_and_episode_finds_its_pictures():
    films, series = MEDIA / FILMS, MEDIA / SERIES
    movie = Subject(ItemKind.MOVIE, [f"{HARBOUR}/{HARBOUR} - {height}p.mp4" for height in (360, 1080)])
    assert find_images(films, movie, ArtworkKind.POSTER) == [f"{HARBOUR}/poster.jpg"]
    assert find_images(films, movie, ArtworkKind.STILL) == [f"{HARBOUR}/fanart.jpg"]
    episode = f"{TIDAL}/Season 1/Tidal Station S01E01 Slack Water.mp4"
    for season, first in ((None, "poster.jpg"), (1, "season01-poster.jpg"), (2, "season02-poster.jpg")):
        found = find_images(series, Subject(ItemKind.SHOW, [episode], season), ArtworkKind.POSTER)
        assert found[0] == f"{TIDAL}/{first}"
    still = find_images(series, Subject(ItemKind.EPISODE, [episode]), ArtworkKind.STILL)
    assert still == [episode.replace(".mp4", "-thumb.jpg")]


def test_pictures_have_the_shape_in_which_they_are_shown():
    for path in MEDIA.rglob("*.jpg"):
        shape = (640, 960) if path.name.endswith("poster.jpg") else (960, 540)
        assert shape_of(path.read_bytes()) == shape, path.name


def test_a_poster_shows_its_title_in_white_and_a_still_shows_none():
    folder = MEDIA / FILMS / HARBOUR
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


def test_no_two_pictures_of_the_demo_look_alike_and_each_can_be_decoded():
    shipped = {path: path.read_bytes() for path in MEDIA.rglob("*.jpg")}
    assert len(shipped) == len(paintings_of(CLIPS)) == 13
    assert len(set(shipped.values())) == len(shipped)
    for path in shipped:
        assert shape_of(picture_of_image(path, PixelSize(240, 360))) == (240, 360)


def test_each_film_has_subtitles_beside_it_in_each_language():
    found = find_sidecars(MEDIA / FILMS, f"{HARBOUR}/{HARBOUR} - 360p.mp4")
    assert [track.language for track in found] == ["de", "en"]
    path = MEDIA / FILMS / HARBOUR / f"{HARBOUR} - 360p.en.srt"
    assert webvtt_of_file(path, "subrip", "en").decode() == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:20.000\nThe lamp is lit again.\n\n"
        "00:00:30.000 --> 00:00:50.000\nNobody has been up there since the storm.\n\n"
        "00:01:00.000 --> 00:01:20.000\n<i>Then who is waving?</i>\n"
    )


# The script


def test_the_font_has_every_letter_that_is_painted():
    letters = {letter for painting in paintings_of(CLIPS) for word in painting.words for letter in word.upper()}
    assert letters <= FONT.keys()


@pytest.mark.parametrize("title", ["Harbour Lights", "Undertow"])
def test_the_script_makes_the_pictures_and_subtitles_that_are_shipped(tmp_path: Path, title: str):
    clip = next(clip for clip in CLIPS if clip.title == title)
    shared = f"{SERIES}/{TIDAL}/"  # the show's own pictures use the colours of its first episode
    write_pictures(tmp_path, [clip])
    made = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    assert made
    for path in made:
        if path.suffix == ".srt":
            assert (tmp_path / path).read_text() == (MEDIA / path).read_text()
        elif path.parent.as_posix() + "/" != shared or path.name.startswith("season"):
            one, other = (tmp_path / path).read_bytes(), (MEDIA / path).read_bytes()
            assert all(
                is_near(colour_at(one, across / 10, down / 10), colour_at(other, across / 10, down / 10))
                for across in range(10)
                for down in range(10)
            )
