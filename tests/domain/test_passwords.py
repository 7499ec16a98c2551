import pytest
from hypothesis import given
from hypothesis import strategies as st

from playhead.domain.passwords import PasswordRules

RULES = PasswordRules(frozenset({"password", "1qaz2wsx", "trustno1"}), ("playhead", "attic-nas"))
any_text = st.text(st.characters(exclude_categories=()))


@pytest.mark.parametrize(
    "password", ["correct horse", "\0b\1d\2f\3h", "🎬a🎥b📺c🍿d", "pass word\n", "x7" * 3 + "qrt" * 40]
)
def test_a_password_may_contain_any_characters(password: str):
    assert RULES.faults(password, "Ana") == []


@pytest.mark.parametrize("password", ["", "7 chars", "0a9b" * 33])
def test_a_password_shorter_than_8_or_longer_than_128_characters_is_refused(password: str):
    assert RULES.faults(password, "Ana") == ["must have 8 to 128 characters"]


@pytest.mark.parametrize("password", ["password", "PassWord", "\uff50assword", "TrustNo1", "1qaz2wsx"])
def test_the_most_common_passwords_are_refused_in_any_spelling(password: str):
    assert RULES.faults(password, "Ana") == ["is one of the most common passwords, which attackers try first"]


@pytest.mark.parametrize(
    "password",
    ["aaaaaaaa", "abababab", "abcabcabc", "xyz!xyz!xyz", "23456789", "98765432", "abcdefghij", "aaaa1234", "aaaabbbb"],
)
def test_repetitions_and_sequences_are_refused(password: str):
    assert RULES.faults(password, "Ana") == ["must not be a mere repetition or sequence of characters"]


@pytest.mark.parametrize(
    "password",
    [
        "playhead1!",
        "Playhead2030",
        "Attic-NAS99",
        "anastasia",
        "Anastasia42",
        "ana stasia",
        "anastasia-playhead",
        "1st-ANASTASIA",
    ],
)
def test_obvious_guesses_for_this_user_on_this_server_are_refused(password: str):
    [fault] = RULES.faults(password, "Anastasia" if "ana " not in password else "Ana Stasia")
    assert fault.startswith("must not consist mostly of the user name")


@pytest.mark.parametrize("password", ["playhead of the second tape", "banana split", "stasia's favourite"])
def test_such_words_may_occur_in_a_longer_password(password: str):
    assert RULES.faults(password, "Ana") == []


@given(any_text, any_text)
def test_every_text_is_judged_whatever_the_name(password: str, name: str):
    assert len(RULES.faults(password, name)) <= 1
