import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playhead.domain.device_codes import (
    GUESSES_PER_USER_MAX,
    INTERVAL_S,
    LIFETIME_MS,
    SLOWER_BY_S,
    USER_CODE_ALPHABET,
    USER_CODE_LENGTH,
    WAITING_MAX,
    PollPace,
    clean_device_name,
    clean_user_code,
    code_hash,
    device_name_faults,
    is_device_code,
    next_pace,
    shown_user_code,
)
from playhead.domain.model import Instant

NOW = Instant(1_762_639_200_000)


@pytest.mark.parametrize(
    "typed", ["WDJBMJHT", "WDJB-MJHT", "wdjb mjht", " wdjb-mjht ", "WDJB\u2013MJHT", "wd jb.mj_ht", "WDJB\u2212MJHT"]
)
def test_a_user_code_is_the_same_however_it_is_typed(typed: str):
    assert clean_user_code(typed) == "WDJBMJHT"


@pytest.mark.parametrize(
    "typed", ["", "WDJBMJH", "WDJBMJHTT", "WDJBMJHA", "WDJBMJH1", "W" * 65, "wdjbmjhé", "        "]
)
def test_a_malformed_user_code_is_none(typed: str):
    assert clean_user_code(typed) is None


@given(st.text(USER_CODE_ALPHABET, min_size=USER_CODE_LENGTH, max_size=USER_CODE_LENGTH))
def test_a_shown_code_is_read_back(code: str):
    assert clean_user_code(shown_user_code(code)) == clean_user_code(shown_user_code(code).lower()) == code


@given(st.text(max_size=100))
def test_any_text_can_be_entered(text: str):
    code = clean_user_code(text)
    assert code is None or clean_user_code(code) == code


def test_the_alphabet_has_no_vowels_and_no_digits_to_avoid_confusion_and_words():
    assert set(USER_CODE_ALPHABET) == set(string.ascii_uppercase) - set("AEIOUY")
    assert len(USER_CODE_ALPHABET) == len(set(USER_CODE_ALPHABET))


def test_the_odds_of_a_guess_match_the_comment():
    guesses_a_day = GUESSES_PER_USER_MAX * 24 * 4
    codes = len(USER_CODE_ALPHABET) ** USER_CODE_LENGTH
    assert codes / guesses_a_day / WAITING_MAX == pytest.approx(2_700, rel=0.02)
    assert codes / guesses_a_day == pytest.approx(27_000_000, rel=0.02)


def test_a_device_that_polls_at_the_interval_is_never_early():
    pace, now = PollPace(), NOW
    for _ in range(LIFETIME_MS // (INTERVAL_S * 1000)):
        pace, is_early = next_pace(pace, now)
        assert not is_early
        now = Instant(now + INTERVAL_S * 1000 - 500)  # its clock is a little fast
    assert pace.interval_s == INTERVAL_S


def test_each_early_poll_lengthens_the_interval():
    pace, is_early = next_pace(PollPace(), NOW)
    assert not is_early
    pace, is_early = next_pace(pace, Instant(NOW + 1000))
    assert is_early
    assert pace.interval_s == INTERVAL_S + SLOWER_BY_S
    pace, is_early = next_pace(pace, Instant(NOW + 1000 + INTERVAL_S * 1000))
    assert is_early
    pace, is_early = next_pace(pace, Instant(pace.asked_at or 0) + pace.interval_s * 1000)
    assert not is_early
    assert pace.interval_s == INTERVAL_S + 2 * SLOWER_BY_S


def test_a_clock_that_was_set_back_makes_nobody_early():
    _, is_early = next_pace(PollPace(INTERVAL_S, NOW), Instant(NOW - 1000))
    assert not is_early


def test_a_device_has_the_name_that_it_states():
    assert clean_device_name("  Living   room ", "TV") == "Living room"
    assert clean_device_name("", "TV") == "TV"
    assert device_name_faults("") == []
    assert device_name_faults("x" * 65) == ["must have 1 to 64 characters"]
    assert device_name_faults("Living\0room") == ["must not contain control characters"]


def test_only_well_formed_text_is_a_device_code():
    assert is_device_code("0f" * 32)
    assert not is_device_code("0F" * 32)
    assert not is_device_code("0f" * 31)
    assert code_hash("0f" * 32) != "0f" * 32
