import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playhead.domain.accounts import (
    DAY_MS,
    FAILURE_WINDOW_MS,
    NAME_LENGTH_MAX,
    NAME_PATTERN,
    SESSION_LIFETIME_MS,
    Principal,
    TokenKind,
    clean_name,
    day_of,
    expiry_faults,
    has_sign_in_room,
    is_last_admin,
    login_key,
    name_faults,
    password_bytes,
    renewed_expiry,
    retry_after_s,
    throttle_address,
    token_is_live,
)
from playhead.domain.model import LATEST, Instant, Role, UserId
from playhead.domain.tokens import TokenKey

NOW = Instant(1_764_000_000_000)
any_text = st.text(st.characters(exclude_categories=()))  # lone surrogates included


def test_a_name_is_trimmed_and_otherwise_kept_as_typed():
    assert clean_name("  Ana  Lúcia ") == "Ana Lúcia"


def test_composed_and_decomposed_letters_make_the_same_name():
    assert clean_name("Lu\u0301cia") == clean_name("L\u00facia")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ana", "ANA"),
        ("Straße", "STRASSE"),
        ("ΣΊΣΥΦΟΣ", "σίσυφος"),
        ("\uff41\uff4e\uff41", "ana"),
        ("ana ", " ana"),
        ("ﬁlm", "film"),
    ],
)
def test_names_that_read_the_same_have_one_login_key(one: str, other: str):
    assert login_key(one) == login_key(other) != ""


@pytest.mark.parametrize("name", ["a", "x" * 64, "Иван", "映画", "o'brien@example.org", "-", "0"])
def test_a_name_of_1_to_64_characters_of_any_script_is_fine(name: str):
    assert name_faults(name) == []


@pytest.mark.parametrize("name", ["", "   ", "\u3000", "x" * 65, "ﷺ" * 5])
def test_a_name_that_is_empty_or_too_long_is_refused(name: str):
    assert name_faults(name) == ["must have 1 to 64 characters"]


@pytest.mark.parametrize(
    "character", ["\0", "\n", "\x7f", "\x85", "\u200b", "\u202e", "\ufeff", "\ud800", "\u2028", "\ufffe"]
)
def test_a_name_with_an_invisible_character_is_refused(character: str):
    assert name_faults(f"a{character}b") == ["must not contain control characters"]


def test_all_faults_of_a_name_are_reported_together():
    assert len(name_faults("\0" * 65)) == 2


@given(any_text)
def test_no_text_breaks_the_name_rules_and_only_a_valid_name_has_a_login_key(text: str):
    assert (login_key(text) == "") == bool(name_faults(text))
    assert clean_name(clean_name(text)) == clean_name(text)


@given(st.text(max_size=70))
def test_the_published_pattern_and_length_of_a_name_match_the_rule(text: str):
    published = re.search(NAME_PATTERN.removesuffix("$") + r"\Z", text) is not None and len(text) <= NAME_LENGTH_MAX
    assert published == (name_faults(text) == []) or len(clean_name(text)) > NAME_LENGTH_MAX


def test_a_password_is_the_same_however_the_keyboard_composes_its_letters():
    assert password_bytes("cafe\u0301") == password_bytes("caf\u00e9")
    assert password_bytes("CAFE") != password_bytes("cafe")


@given(any_text)
def test_every_text_can_be_compared_as_a_password(text: str):
    assert isinstance(password_bytes(text), bytes)


def test_a_session_ends_90_days_after_its_last_use_and_an_api_token_at_its_own_expiry():
    end = renewed_expiry(TokenKind.SESSION, None, NOW)
    assert end is not None
    assert end == NOW + 90 * DAY_MS == NOW + SESSION_LIFETIME_MS
    assert token_is_live(TokenKind.SESSION, end, Instant(end - 1))
    assert not token_is_live(TokenKind.SESSION, end, end)
    assert renewed_expiry(TokenKind.API, None, NOW) is None
    assert renewed_expiry(TokenKind.API, Instant(NOW + 1), NOW) == NOW + 1
    assert token_is_live(TokenKind.API, None, NOW)


def test_a_setup_token_never_authenticates():
    assert not token_is_live(TokenKind.SETUP, None, NOW)


def test_the_use_of_a_token_is_recorded_by_utc_day():
    assert day_of(Instant(3 * DAY_MS)) == 3 * DAY_MS
    assert day_of(Instant(4 * DAY_MS - 1)) == 3 * DAY_MS


def test_nine_failures_are_allowed_and_ten_are_not():
    assert retry_after_s([NOW] * 9, NOW) is None
    assert retry_after_s([NOW] * 10, NOW) == 900


def test_the_wait_ends_when_the_tenth_last_failure_is_15_minutes_old():
    failures = [Instant(NOW + 1000 * n) for n in range(12)]
    # The third of twelve is the tenth from the end.
    assert retry_after_s(failures, Instant(NOW + 11_000)) == 900 - 9
    assert retry_after_s(failures, Instant(NOW + 2000 + FAILURE_WINDOW_MS - 1)) == 1
    assert retry_after_s(failures, Instant(NOW + 2000 + FAILURE_WINDOW_MS)) is None


def test_a_clock_that_was_set_back_locks_nobody_out_for_longer_than_the_window():
    assert retry_after_s([Instant(NOW + DAY_MS)] * 10, NOW) == 900


@pytest.mark.parametrize(
    ("address", "counted_as"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "testclient"),
        ("", ""),
    ],
)
def test_addresses_of_one_sender_count_as_one(address: str, counted_as: str):
    assert throttle_address(address) == counted_as


def test_the_last_admin_is_recognised():
    ana, ben = UserId("a"), UserId("b")
    assert is_last_admin([ana], ana)
    assert not is_last_admin([ana, ben], ana)
    assert not is_last_admin([ana], ben)


def test_one_address_gets_16_concurrent_sign_ins_and_two_of_the_last_half_of_all():
    assert has_sign_in_room(15, 15)
    assert not has_sign_in_room(16, 16)
    assert has_sign_in_room(63, 15)
    assert has_sign_in_room(64, 1)
    assert not has_sign_in_room(64, 2)


def test_a_token_may_expire_at_any_later_time_that_a_calendar_can_represent():
    assert expiry_faults(Instant(NOW + 1), NOW) == expiry_faults(LATEST, NOW) == []
    for wrong in (Instant(NOW), Instant(NOW - 1), Instant(LATEST + 1)):
        assert expiry_faults(wrong, NOW) == ["must be in the future, and before the year 10000"]


def test_a_principal_knows_where_its_credential_is_stored():
    principal = Principal(UserId("ana"), "Ana", Role.MEMBER, TokenKind.API, "hash")
    assert principal.token_key == TokenKey(UserId("ana"), "hash")
