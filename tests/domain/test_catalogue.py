from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playhead.domain.catalogue import (
    MediaFile,
    MediaInfo,
    MediaStream,
    identity,
    search_title,
    sort_title,
    version_label,
    versions,
)
from playhead.domain.model import FileId, Milliseconds


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The Matrix", "the matrix"),
        ("The Matrix", "Matrix"),
        ("The Matrix", "Matrix, The"),
        ("A Beautiful Mind", "Beautiful Mind"),
        ("Amélie", "Amelie"),
        ("Amélie", "Ame\u0301lie"),
        ("Fast & Furious", "Fast and Furious"),
        ("Mission: Impossible", "Mission - Impossible"),
        ("Mission: Impossible", "Mission Impossible"),
        ("Ocean's Eleven", "Ocean\u2019s Eleven"),
        ("Ocean's Eleven", "Oceans Eleven"),
        ("S.W.A.T.", "SWAT"),
        ("Marvel's Agents of S.H.I.E.L.D.", "Marvels Agents of SHIELD"),
        ("WALL·E", "WALL-E"),
        ("Straße", "STRASSE"),
        ("Smørrebrød", "Smorrebrod"),
        ("Wałęsa", "Walesa"),
        ("\u0130stanbul", "istanbul"),
        ("Re\uff1aZero", "Re:Zero"),
        ("Ёлки", "ёлки"),
        ("Ёлки", "Елки"),
        ("Alien³", "Alien3"),
        ("The Office (US)", "The Office US"),
    ],
)
def test_two_spellings_of_a_title_are_one_item(one: str, other: str):
    assert identity(one, 2001) == identity(other, 2001)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The Matrix", "The Matrix Reloaded"),
        ("が", "か"),
        ("हिन्दी", "हनद"),
        ("七人の侍", "七人の"),
        ("기생충", "기생"),
        ("Alien", "Aliens"),
        ("The Office US", "The Office UK"),
        ("???", "!!!"),
        ("The A", "The The"),
        ("300", "301"),
        ("+1", "1"),
        ("C++", "C#"),
        ("C++", "C"),
        ("#Alive", "Alive"),
        ("3%", "3"),
        ("$9.99", "9.99"),
        ("9-1-1", "911"),
        ("Shameless", "Shameless (UK)"),
    ],
)
def test_different_titles_are_different_items(one: str, other: str):
    assert identity(one) != identity(other)


def test_a_sign_that_only_joins_words_makes_no_difference():
    assert identity("Romeo + Juliet") == identity("Romeo Juliet") == identity("Romeo+Juliet")


def test_signs_do_not_count_where_titles_are_sorted():
    assert sort_title("#Alive") == sort_title("Alive")


def test_an_identity_consists_of_title_year_and_numbers():
    assert identity("The Matrix", 1999) == "matrix|1999|"
    assert identity("The Office (US)", 2005, season_number=3, episode_number=7) == "office us|2005|s3e7"
    assert identity("The Daily Show", air_date=date(2024, 1, 15)) == "daily show||2024-01-15"
    assert identity("Frieren", episode_number=5) == "frieren||s1e5"
    assert identity("Sherlock", season_number=0, episode_number=1, air_date=date(2010, 1, 1)) == "sherlock||s0e1"


def test_a_year_or_a_number_distinguishes_items_of_one_title():
    keys = {
        identity("Dune"),
        identity("Dune", 1984),
        identity("Dune", 2021),
        identity("Dune", season_number=1, episode_number=1),
        identity("Dune", season_number=1, episode_number=11),
        identity("Dune", season_number=11, episode_number=1),
        identity("Dune", air_date=date(2021, 1, 1)),
    }
    assert len(keys) == 7


@given(st.text(min_size=1), st.none() | st.integers(1800, 2100))
def test_every_title_has_an_identity_of_three_fields(title: str, year: int | None):
    assert identity(title, year).count("|") == 2
    assert identity(title, year) == identity(f" {title} ", year)


@pytest.mark.parametrize(
    "in_order",
    [
        ["Alien", "A Beautiful Mind", "The Matrix", "Zodiac"],
        ["Ocean's 8", "Ocean's Eleven"],
        ["Rocky 2", "Rocky 10"],
        ["Rocky 002", "Rocky 3"],
        ["9", "12 Monkeys", "300", "2012"],
        ["Élite", "Embers"],
        ["Matrix, The", "The Matrix Reloaded"],
    ],
)
def test_titles_sort_without_articles_and_case(in_order: list[str]):
    keys = [sort_title(title) for title in in_order]
    assert keys == sorted(set(keys))


@given(st.integers(0, 99_999_999), st.integers(0, 99_999_999))
def test_numbers_in_titles_sort_by_value(one: int, other: int):
    assert (sort_title(f"Rocky {one}") < sort_title(f"Rocky {other}")) == (one < other)


def test_huge_numbers_in_titles_still_sort():
    assert sort_title("9" * 1000) == "9" * 1000
    longest = sort_title("9" * 5000)
    assert longest.startswith("9" * 1000)
    assert longest == sort_title("9" * 5000) != sort_title("9" * 5001)  # cut, and distinguished by a hash
    assert sort_title("0" * 5000) == "0" * 8


@pytest.mark.parametrize(
    ("title", "words"), [("  Amélie  ", "amelie"), ("Mission: Impossible", "mission impossible"), ("???", "???")]
)
def test_a_title_is_searched_without_case_accents_and_punctuation_if_it_has_words(title: str, words: str):
    assert search_title(title) == words


def info(width: int | None, height: int | None, codec: str = "h264", *, hdr: bool = False) -> MediaInfo:
    audio = MediaStream("audio", "aac", channels=2)
    return MediaInfo(Milliseconds(1), "mov", (audio, MediaStream("video", codec, width=width, height=height, hdr=hdr)))


@pytest.mark.parametrize(
    ("width", "height", "named"),
    [
        (7680, 4320, "4320p"),
        (3840, 2160, "2160p"),
        (3840, 1600, "2160p"),
        (4096, 1716, "2160p"),
        (2880, 2160, "2160p"),
        (2560, 1440, "1440p"),
        (1920, 1080, "1080p"),
        (1920, 800, "1080p"),
        (1440, 1080, "1080p"),
        (1080, 1920, "1080p"),
        (1280, 720, "720p"),
        (1280, 534, "720p"),
        (960, 720, "720p"),
        (720, 576, "576p"),
        (1024, 576, "576p"),
        (720, 480, "480p"),
        (640, 480, "480p"),
        (720, 304, "480p"),
        (640, 360, "360p"),
        (624, 352, "360p"),
        (320, 240, "240p"),
        (176, 144, "144p"),
    ],
)
def test_the_resolution_class_follows_from_width_or_height(width: int, height: int, named: str):
    assert version_label(info(width, height), None) == f"{named} H.264"


@pytest.mark.parametrize(
    ("media", "edition", "label"),
    [
        (info(3840, 2160, "hevc"), None, "2160p HEVC"),
        (info(3840, 2160, "hevc", hdr=True), None, "2160p HEVC HDR"),
        (info(1920, 1080), "Director's Cut", "1080p H.264 Director's Cut"),
        (info(720, 576, "mpeg2video"), None, "576p MPEG-2"),
        (info(1920, 1080, "av1"), None, "1080p AV1"),
        (info(1920, 1080, "dirac"), None, "1080p DIRAC"),
        (info(None, None), None, "H.264"),
        (MediaInfo(Milliseconds(1), "matroska", ()), None, "matroska"),
    ],
)
def test_a_version_is_named_by_size_codec_and_edition(media: MediaInfo, edition: str | None, label: str):
    assert version_label(media, edition) == label


def test_a_version_in_three_dimensions_is_named_by_its_layout_too():
    assert version_label(info(1920, 1080), "Extended", "3D HSBS") == "1080p H.264 3D HSBS Extended"


# Versions


def film(label: str, part: int | None = None, **what: object) -> MediaFile:
    fields = {
        "id": FileId(f"{label} {part}"),
        "path": f"{label} {part}.mkv",
        "label": label,
        "size": 1,
        "duration_ms": Milliseconds(1000),
        "container": "mov",
        "width": 1920,
        "height": 1080,
        "video_codec": "h264",
        "audio_codec": "aac",
        "part": part,
    }
    return MediaFile(**(fields | what))


def described(*files: MediaFile) -> list[tuple[str, list[str]]]:
    return [(version.label, [file.id for file in version.files]) for version in versions(files)]


def test_each_complete_file_is_a_version_and_playable_ones_come_first():
    hevc = film("2160p HEVC", video_codec="hevc", height=2160)
    assert described(hevc, film("360p H.264", height=360), film("1080p H.264")) == [
        ("1080p H.264", ["1080p H.264 None"]),
        ("360p H.264", ["360p H.264 None"]),
        ("2160p HEVC", ["2160p HEVC None"]),
    ]


def test_parts_of_one_label_are_a_version_in_their_order():
    files = [film("720p", 2), film("720p", 1), film("360p", 1, height=360), film("360p", 2, height=360)]
    assert described(*files) == [("720p", ["720p 1", "720p 2"]), ("360p", ["360p 1", "360p 2"])]


def test_a_label_without_a_file_for_some_part_borrows_another_one():
    assert described(film("720p", 1), film("360p", 2, height=360)) == [
        ("720p", ["720p 1", "360p 2"]),
        ("360p", ["720p 1", "360p 2"]),
    ]


def test_a_film_in_parts_is_a_version_beside_a_complete_one():
    assert described(film("360p", 1, height=360), film("1080p")) == [("1080p", ["1080p None"]), ("360p", ["360p 1"])]


def test_a_version_is_as_long_as_its_parts_together_if_all_lengths_are_known():
    (both,) = versions([film("720p", 1), film("720p", 2, duration_ms=Milliseconds(500))])
    assert both.duration_ms == 1500
    (unknown,) = versions([film("720p", 1), film("720p", 2, duration_ms=None)])
    assert unknown.duration_ms is None


def test_an_item_without_files_has_no_versions():
    assert versions([]) == []
