import pytest
from hypothesis import given
from hypothesis import strategies as st

from playhead.domain.model import UserId
from playhead.domain.tokens import (
    ScopeNeed,
    TokenKey,
    TokenScope,
    form_token,
    is_token,
    names_its_user,
    sufficient_scopes,
    token_hash,
    token_key,
)

ANNA = UserId("a0000000-0000-4000-8000-00000000000b")
RANDOM = "0123456789abcdef" * 2
# The checksum was computed by gzip, which stores the CRC-32 of what it compresses.
TOKEN = "ph_a000000000004000800000000000000b0123456789abcdef0123456789abcdefc93076e0"


def test_a_native_token_consists_of_user_id_random_digits_and_checksum():
    assert form_token(ANNA, RANDOM) == TOKEN
    assert is_token(TOKEN)
    assert names_its_user(TOKEN)
    assert token_key(TOKEN) == TokenKey(ANNA, token_hash(TOKEN))


@given(place=st.integers(3, len(TOKEN) - 1), digit=st.sampled_from("0123456789abcdef"))
def test_a_native_token_with_a_wrong_digit_is_rejected(place: int, digit: str):
    changed = TOKEN[:place] + digit + TOKEN[place + 1 :]
    assert is_token(changed) == (changed == TOKEN)


def test_64_bare_digits_are_a_token_whose_user_only_a_look_up_finds():
    bare = "0123456789abcdef" * 4
    assert is_token(bare)
    assert not names_its_user(bare)
    assert token_key(bare) == TokenKey(UserId("01234567-89ab-cdef-0123-456789abcdef"), token_hash(bare))


@pytest.mark.parametrize(
    "text",
    ["", "a" * 63, "a" * 65, "A" * 64, "g" * 64, "a" * 64 + "\n", "٣" * 64, TOKEN.upper(), TOKEN + "\n", TOKEN[3:]],
)
def test_nothing_else_is_a_token(text: str):
    assert not is_token(text)


def test_a_token_is_stored_as_its_sha_256():
    assert token_hash("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_each_scope_covers_its_needs_and_no_others():
    met = {scope: {need for need in ScopeNeed if scope in sufficient_scopes(need)} for scope in TokenScope}
    assert met == {
        TokenScope.READ: {ScopeNeed.READ, ScopeNeed.READ_PROGRESS},
        TokenScope.REPORT: {ScopeNeed.READ_PROGRESS, ScopeNeed.REPORT},
        TokenScope.WATCH: set(),  # its routes are those that children may use
        TokenScope.ALL: set(ScopeNeed),
    }
