import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playhead.domain.catalogue import MediaInfo, identity, sort_title, version_label
from playhead.domain.model import Milliseconds
from playhead.domain.texts import LABEL, TITLE, bounded_key, clean_text, shown, shown_json, without_steering

STEERING = "\x00\x07\x08\t\n\r\x1b\x7f\x85\x9b\u2028\u2029\u202e\u2066\ufeff\udcff\ud800"
INDEX_BYTES_MAX = 2704  # the limit of PostgreSQL


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("Amélie, 千と千尋 👩‍👧 می‌خواهم", "Amélie, 千と千尋 👩‍👧 می‌خواهم"),
        ("Evil \x1b]0;owned\x07", r"Evil \x1b]0;owned\x07"),
        ("two\nlines\r", r"two\x0alines\x0d"),
        ("\x9b31m", r"\x9b31m"),
        ("a\u202etxt.exe", r"a\u202etxt.exe"),
        ("\u2028", r"\u2028"),
        ("\udcff\udce9", r"\xff\xe9"),
        ("\ud800", r"\ud800"),
    ],
)
def test_terminal_sequences_are_shown_escaped(text: str, printed: str):
    assert shown(text) == printed


@given(st.text(alphabet=st.one_of(st.characters(), st.sampled_from(STEERING))))
def test_a_shown_text_is_one_line_without_terminal_sequences(text: str):
    printed = shown(text)
    assert not set(printed) & set(STEERING)
    assert len(printed.splitlines()) <= 1
    assert shown(printed) == printed
    printed.encode()


@given(st.dictionaries(st.text(), st.text()))
def test_shown_json_keeps_its_meaning_and_has_no_terminal_sequences(value: dict[str, str]):
    document = json.dumps(value, ensure_ascii=False)
    assert json.loads(shown_json(document)) == value
    assert not set(shown_json(document)) & (set(STEERING) - {"\n"})


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("  Copper \n\t Lane\x07 ", "Copper Lane"),
        ("\x1b\u202e", ""),
        ("x" * 900_000, "x" * TITLE.characters),
        (f"{'x' * (TITLE.characters - 1)} y", "x" * (TITLE.characters - 1)),
        ("caf\ufffd", "caf\ufffd"),
    ],
)
def test_a_stored_text_is_clean_and_within_its_limit(text: str, stored: str):
    assert clean_text(text, TITLE) == stored


@given(st.text())
def test_cleaning_a_clean_text_changes_nothing(text: str):
    once = clean_text(text, TITLE)
    assert clean_text(once, TITLE) == once


def test_white_space_in_a_document_is_kept():
    assert without_steering("a\n\tb\x0bc\x1b", keep="\n\t") == "a\n\tb c "
    assert without_steering("a\nb\x07") == "a b "


@pytest.mark.parametrize("letter", ["x", "千", "\ufdfa", "1 ", "\U0001f9d1"])
def test_keys_of_the_longest_titles_fit_into_an_index(letter: str):
    title = (letter * TITLE.characters)[: TITLE.characters]
    ids_bytes = 2 * 16 + 20
    assert (
        len(identity(title, 2001, season_number=99_999, episode_number=99_999).encode()) + ids_bytes < INDEX_BYTES_MAX
    )
    assert len(sort_title(title).encode()) + ids_bytes < INDEX_BYTES_MAX


def test_long_titles_that_differ_at_their_ends_are_distinct():
    title = "千" * 600
    assert bounded_key(title + "a") != bounded_key(title + "b")
    assert bounded_key(title + "a")[:400] == title[:400]


def test_a_label_has_a_limit():
    info = MediaInfo(Milliseconds(1), "matroska", ())
    assert len(version_label(info, "x" * 10_000)) == LABEL.characters
    assert version_label(info, "\x1b") == "matroska"
