"""Which item a picture file belongs to, by its name and its folder."""

import os
import unicodedata
from pathlib import Path
from typing import Literal

import pytest

from playhead.domain.artwork import ArtworkKind
from playhead.domain.model import ItemKind
from playhead.media.artwork import Subject, find_images

POSTER, STILL = ArtworkKind.POSTER, ArtworkKind.STILL

FILM = "Heat (1995)/Heat (1995) - 1080p.mkv"
EPISODE = "Dark (2017)/Season 1/Dark S01E02 Lies.mkv"


def lay(root: Path, *paths: str) -> Path:
    for path in paths:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return root


def movie(*files: str, in_parts: bool = False) -> Subject:
    return Subject(ItemKind.MOVIE, files, in_parts=in_parts)


@pytest.mark.parametrize(
    "name",
    [
        *("poster.jpg", "folder.jpg", "cover.jpg", "movie.jpg", "default.jpg", "movie-poster.jpg", "keyart.jpg"),
        *("poster.png", "poster.webp", "poster.jpeg", "movie.tbn", "Poster.JPG"),
        *("Heat (1995) - 1080p-poster.jpg", "Heat (1995) - 1080p.jpg", "Heat (1995)-poster.jpg", "Heat (1995).jpg"),
    ],
)
def test_the_names_of_a_movies_poster(tmp_path: Path, name: str):
    lay(tmp_path, FILM, f"Heat (1995)/{name}", "Heat (1995)/actor.jpg")
    assert find_images(tmp_path, movie(FILM), POSTER) == [f"Heat (1995)/{name}"]
    assert find_images(tmp_path, movie(FILM), STILL) == []


@pytest.mark.parametrize(
    "name",
    [
        *("fanart.jpg", "backdrop.jpg", "background.jpg", "art.jpg", "landscape.jpg", "thumb.webp", "movie-fanart.jpg"),
        *("fanart1.jpg", "backdrop-1.jpg", "Heat (1995) - 1080p-fanart.jpg", "Heat (1995)-background.jpg"),
    ],
)
def test_the_names_of_a_movies_still(tmp_path: Path, name: str):
    lay(tmp_path, FILM, f"Heat (1995)/{name}")
    assert find_images(tmp_path, movie(FILM), STILL) == [f"Heat (1995)/{name}"]
    assert find_images(tmp_path, movie(FILM), POSTER) == []


@pytest.mark.parametrize(
    "name",
    [
        *("Dark (2017)/Season 1/Dark S01E02 Lies-thumb.jpg", "Dark (2017)/Season 1/Dark S01E02 Lies.jpg"),
        "Dark (2017)/Season 1/metadata/Dark S01E02 Lies.jpg",
    ],
)
def test_the_names_of_an_episodes_still(tmp_path: Path, name: str):
    lay(tmp_path, EPISODE, name, "Dark (2017)/Season 1/poster.jpg", "Dark (2017)/fanart.jpg")
    assert find_images(tmp_path, Subject(ItemKind.EPISODE, [EPISODE]), STILL) == [name]


@pytest.mark.parametrize("name", ["poster.jpg", "folder.jpg", "cover.png", "show.jpg", "Dark (2017).jpg"])
def test_the_names_of_a_shows_poster(tmp_path: Path, name: str):
    lay(tmp_path, EPISODE, f"Dark (2017)/{name}", "Dark (2017)/Season 1/poster.jpg")
    show = Subject(ItemKind.SHOW, [EPISODE])
    assert find_images(tmp_path, show, POSTER) == [f"Dark (2017)/{name}"]
    # An episode has no poster of its own.
    assert find_images(tmp_path, Subject(ItemKind.EPISODE, [EPISODE]), POSTER) == [f"Dark (2017)/{name}"]


@pytest.mark.parametrize(
    ("season", "name"),
    [
        (1, "Dark (2017)/season01-poster.jpg"),
        (1, "Dark (2017)/season1-poster.jpg"),
        (1, "Dark (2017)/Season01.jpg"),
        (1, "Dark (2017)/Season 1/season01-poster.jpg"),
        (1, "Dark (2017)/Season 1/poster.jpg"),
        (1, "Dark (2017)/Season 1/folder.jpg"),
        (0, "Dark (2017)/season00-poster.jpg"),
        (0, "Dark (2017)/season-specials-poster.jpg"),
        (1, "Dark (2017)/season-all-poster.jpg"),
    ],
)
def test_the_names_of_a_seasons_poster_take_precedence_over_the_shows(tmp_path: Path, season: int, name: str):
    episode = EPISODE if season else "Dark (2017)/Specials/Dark S00E01.mkv"
    lay(tmp_path, episode, name, "Dark (2017)/poster.jpg", "Dark (2017)/season02-poster.jpg")
    found = find_images(tmp_path, Subject(ItemKind.SHOW, [episode], season), POSTER)
    assert found == [name, "Dark (2017)/poster.jpg"]


def test_a_picture_among_many_films_belongs_to_none_of_them(tmp_path: Path):
    lay(tmp_path, "Films/Heat (1995).mkv", "Films/Alien (1979).mkv", "Films/folder.jpg", "Films/Alien (1979).jpg")
    assert find_images(tmp_path, movie("Films/Heat (1995).mkv"), POSTER) == []
    assert find_images(tmp_path, movie("Films/Alien (1979).mkv"), POSTER) == ["Films/Alien (1979).jpg"]


def test_a_picture_at_the_top_of_a_library_belongs_to_no_film(tmp_path: Path):
    lay(tmp_path, "Heat (1995).mkv", "folder.jpg", "Show S01E01.mkv")
    assert find_images(tmp_path, movie("Heat (1995).mkv"), POSTER) == []
    assert find_images(tmp_path, Subject(ItemKind.SHOW, ["Show S01E01.mkv"]), POSTER) == []


def test_versions_and_extras_of_a_film_do_not_count_as_other_films(tmp_path: Path):
    other = "Heat (1995)/Heat (1995) - 2160p.mkv"
    lay(tmp_path, FILM, other, "Heat (1995)/Heat-trailer.mkv", "Heat (1995)/poster.jpg")
    assert find_images(tmp_path, movie(FILM, other), POSTER) == ["Heat (1995)/poster.jpg"]


def test_a_film_in_folders_of_parts_has_its_poster_above_them(tmp_path: Path):
    parts = ("Heat (1995)/CD1/heat.avi", "Heat (1995)/CD2/heat.avi")
    lay(tmp_path, *parts, "Heat (1995)/poster.jpg", "poster.jpg")
    assert find_images(tmp_path, movie(*parts, in_parts=True), POSTER) == ["Heat (1995)/poster.jpg"]


def test_a_single_season_folder_belongs_to_the_show_too(tmp_path: Path):
    episode = "Dark Season 1/Dark S01E02.mkv"
    lay(tmp_path, episode, "Dark Season 1/poster.jpg", "poster.jpg")
    for season in (None, 1):
        found = find_images(tmp_path, Subject(ItemKind.SHOW, [episode], season), POSTER)
        assert found == ["Dark Season 1/poster.jpg"]


def test_a_folder_of_many_shows_belongs_to_none_of_them(tmp_path: Path):
    lay(tmp_path, "Anime/Frieren S01E01.mkv", "Anime/poster.jpg", "Anime/Season 1/Dark S01E01.mkv")
    assert find_images(tmp_path, Subject(ItemKind.SHOW, ["Anime/Frieren S01E01.mkv"]), POSTER) == []


def test_of_several_files_the_most_specific_comes_first_and_each_once(tmp_path: Path):
    lay(tmp_path, FILM, *(f"Heat (1995)/{name}" for name in ("folder.jpg", "poster.png", "poster.jpg")))
    lay(tmp_path, "Heat (1995)/Heat (1995) - 1080p-poster.jpg")
    assert find_images(tmp_path, movie(FILM), POSTER) == [
        "Heat (1995)/Heat (1995) - 1080p-poster.jpg",
        "Heat (1995)/poster.jpg",
        "Heat (1995)/folder.jpg",
    ]


def test_a_file_that_appears_or_disappears_is_noticed_in_a_cached_folder(tmp_path: Path):
    lay(tmp_path, FILM)
    folder = tmp_path / "Heat (1995)"
    os.utime(folder, (1, 1))  # unchanged for long
    assert find_images(tmp_path, movie(FILM), POSTER) == []
    lay(tmp_path, "Heat (1995)/poster.jpg")
    assert find_images(tmp_path, movie(FILM), POSTER) == ["Heat (1995)/poster.jpg"]
    os.utime(folder, (2, 2))
    assert find_images(tmp_path, movie(FILM), POSTER) == ["Heat (1995)/poster.jpg"]
    (folder / "poster.jpg").unlink()
    assert find_images(tmp_path, movie(FILM), POSTER) == []


def test_a_missing_folder_contains_nothing(tmp_path: Path):
    assert find_images(tmp_path, movie(FILM), POSTER) == []


def test_a_picture_of_all_seasons_is_for_those_without_their_own(tmp_path: Path):
    lay(tmp_path, EPISODE, "Dark (2017)/season-all-poster.jpg", "Dark (2017)/Season 1/poster.jpg")
    found = find_images(tmp_path, Subject(ItemKind.SHOW, [EPISODE], 1), POSTER)
    assert found == ["Dark (2017)/Season 1/poster.jpg", "Dark (2017)/season-all-poster.jpg"]


@pytest.mark.parametrize(("film", "picture"), [("NFC", "NFD"), ("NFD", "NFC"), ("NFD", "NFD")])
def test_accents_may_be_composed_or_decomposed(
    tmp_path: Path, film: Literal["NFC", "NFD"], picture: Literal["NFC", "NFD"]
):
    video = unicodedata.normalize(film, "Amélie (2001)/Amélie (2001).mkv")
    image = f"{video.partition('/')[0]}/{unicodedata.normalize(picture, 'Amélie (2001)-poster.jpg')}"
    lay(tmp_path, video, image)
    assert find_images(tmp_path, movie(video), POSTER) == [image]
