"""Names are reduced to shapes, and guessit finds the same in a shape as in its names."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from guessit.api import default_api
from hypothesis import given, settings
from hypothesis import strategies as st

from playhead.media.names.guessing import Guess, Kind, guess
from playhead.media.names.shapes import shape_of

NAMES = Path(__file__).parent / "names.jsonl"
PROPERTIES = ("source", "screen_size", "video_codec", "audio_codec", "streaming_service", "edition", "language", "size")

PIECES = st.sampled_from(
    [
        *("Copper", "moon", "GARDEN", "the", "Wall", "Of", "x", "Don't", "Amber", "琥珀", "Кухня", "iron"),
        *("S01E02", "s11e10", "1x05", "05", "720", "50", "1999", "[0A1B2C3D]", "12345678", "5.1", "E02"),
        *("1080p", "x264", "WEB-DL", "German", "-", " - ", ".", " ", "_", "(", ")", "[", "]", "-GRP"),
    ]
)


def is_plain(word: str) -> bool:
    return word not in {"the", "german", "web"}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Amber - S01E02 - Copper Moon [1080p]", "Amber - S11E13 - Garden Wall [1080p]"),
        ("Amber.1x02.Copper.Moon.x264", "Harbor.3x10.Copper.Moon.River.x264"),
        ("[Group] Amber - 05 [1080p][0A1B2C3D]", "[Group] Amber - 16 [1080p][9F0E1D2C]"),
    ],
)
def test_episodes_of_a_season_have_one_shape(one: str, other: str):
    assert shape_of(one, is_plain).text == shape_of(other, is_plain).text


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Amber the Moon", "Amber bad Moon"),  # a word that guessit knows
        ("Amber - 50", "Amber - 51"),  # channels
        ("Amber Moon", "Amber.Moon"),
        ("Amber moon", "Amber MOON"),
        ("Amber 1080p", "Amber 720p"),
    ],
)
def test_what_guessit_may_tell_apart_has_two_shapes(one: str, other: str):
    assert shape_of(one, is_plain).text != shape_of(other, is_plain).text


def test_a_span_of_a_shape_is_a_span_of_the_name():
    name = "Amber Harbor Lights - S01E12 - Moon 1080p"
    shape = shape_of(name, is_plain)
    assert shape.text == "Qqqq Qqqq - S01E01 - Qqqq 1080p"
    spans = {text: shape.text.index(text) for text in ("1080p", "S01E01", "Qqqq Qqqq")}
    found = {text: shape.span(begin, begin + len(text)) for text, begin in spans.items()}
    assert [name[slice(*found[text])] for text in spans] == ["1080p", "S01E12", "Amber Harbor Lights"]


@given(st.lists(PIECES, max_size=12).map("".join) | st.text(max_size=40))
def test_spans_of_a_shape_cover_the_name_in_order(name: str):
    shape = shape_of(name, is_plain)
    assert len(shape.text) == len(shape.begins) == len(shape.ends)
    assert all(one <= other for one, other in pairwise(shape.begins))
    assert all(one <= other for one, other in pairwise(shape.ends))
    assert not name or shape.span(0, len(shape.text)) == (0, len(name))


def whole(name: str, kind: Kind) -> set[Guess]:
    """Return what guessit finds in the name itself."""
    options = {"type": kind, "advanced": True, "enforce_list": True, "includes": [*PROPERTIES]}
    found: dict[str, list[Any]] = default_api.guessit(f"{name}.mkv", options)
    return {
        Guess(match.start, match.end, key)
        for key, matches in found.items()
        for match in matches
        if match.raw and match.end <= len(name) and key in PROPERTIES
    }


def by_shape(name: str, kind: Kind) -> set[Guess]:
    return {each for each in guess(name, kind, PROPERTIES) if each.key in PROPERTIES}


def test_guessit_finds_the_same_in_a_shape_as_in_the_name():
    stems = [Path(json.loads(line)["path"]).stem for line in NAMES.read_text("utf-8").splitlines()]
    some = [stem for stem in stems[::4] if stem]
    assert {stem: by_shape(stem, "episode") for stem in some} == {stem: whole(stem, "episode") for stem in some}


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.sampled_from(["Softener", "Restored", "Shudder", "Subtle", "Amber", "German", "HDRip", "iron"]), min_size=1
    ),
    st.sampled_from([" ", "."]),
)
def test_words_that_only_look_like_ones_that_guessit_knows_change_nothing(words: list[str], between: str):
    name = between.join(["Amber", "S01E02", *words[:6], "720p"])
    assert by_shape(name, "episode") == whole(name, "episode")


def test_a_name_on_which_guessit_fails_has_no_technical_words():
    assert guess("", "movie", ("no such property",)) == []
