import pytest

from playhead.domain.passkeys import RECOVERY_ALPHABET, recovery_hash, shown_code


def test_a_recovery_code_is_shown_in_groups_of_four():
    assert shown_code("abcdefghjkmnpqrs") == "abcd-efgh-jkmn-pqrs"


@pytest.mark.parametrize("typed", ["abcd-efgh", "ABCD EFGH", " abcdefgh\t", "a-b-c-d-e-f-g-h"])
def test_a_recovery_code_is_the_same_however_it_is_typed(typed: str):
    assert recovery_hash(typed) == recovery_hash("abcdefgh")


@pytest.mark.parametrize("other", ["abcdefg", "abcdefghj", "", "\ud800"])
def test_different_codes_differ(other: str):
    assert recovery_hash(other) != recovery_hash("abcdefgh")


def test_no_two_characters_of_a_code_look_alike():
    assert set(RECOVERY_ALPHABET).isdisjoint("il1o0")
