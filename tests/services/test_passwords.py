"""Password hashes, with little memory where that does not matter."""

import asyncio
from collections.abc import Iterator

import pytest

from playhead.domain.passwords import PASSWORD_LENGTH_MIN
from playhead.services.passwords import Passwords, common_passwords, unmatched_hash

pytestmark = pytest.mark.anyio


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    passwords = Passwords(memory_kib=64)
    yield passwords
    passwords.close()


async def test_a_hash_is_argon2id_with_the_recommended_parameters():
    passwords = Passwords()
    assert (await passwords.hash("correct horse")).startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    passwords.close()


@pytest.mark.parametrize("password", ["correct horse", "\0" * 8, "🎬" * 128, "  padded  ", "caf\u00e9 noir"])
async def test_a_password_matches_only_its_own_hash(passwords: Passwords, password: str):
    stored = await passwords.hash(password)
    assert await passwords.verify(stored, password)
    assert not await passwords.verify(stored, password + "\0")
    assert not await passwords.verify(stored, password[:-1])


async def test_two_hashes_of_one_password_differ(passwords: Passwords):
    assert await passwords.hash("correct horse") != await passwords.hash("correct horse")


@pytest.mark.parametrize("password", ["", "correct horse", "\ud800"])
async def test_an_unknown_user_has_no_password(passwords: Passwords, password: str):
    assert not await passwords.verify(None, password)


async def test_a_malformed_hash_matches_no_password(passwords: Passwords):
    assert not await passwords.verify("", "")
    assert not await passwords.verify("correct horse", "correct horse")


async def test_a_hash_with_other_parameters_needs_rehashing(passwords: Passwords):
    stored = await passwords.hash("correct horse")
    assert not passwords.needs_rehash(stored)
    stronger = Passwords(memory_kib=128)
    assert stronger.needs_rehash(stored)
    assert await stronger.verify(stored, "correct horse")
    stronger.close()


async def test_hashing_does_not_block_the_event_loop():
    passwords = Passwords()
    hashing = asyncio.gather(*(passwords.hash("correct horse") for _ in range(4)))
    turns = 0
    while not hashing.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 4
    passwords.close()


async def test_an_unknown_user_costs_as_much_as_a_known_one(passwords: Passwords):
    assert not passwords.needs_rehash(unmatched_hash(64))
    assert passwords.needs_rehash(unmatched_hash(128))


def test_the_shipped_list_contains_the_common_passwords_of_sufficient_length():
    common = common_passwords()
    assert {"password", "12345678", "iloveyou", "qwertyui", "football", "password1"} <= common
    assert len(common) > 8_000
    assert all(len(each) >= PASSWORD_LENGTH_MIN and each == each.lower() for each in common)


def test_a_common_password_and_the_host_name_are_refused(passwords: Passwords):
    assert passwords.faults("iloveyou", "Ana") != []
    named = Passwords(memory_kib=64, site_words=("bigattic",))
    assert named.faults("bigattic1", "Ana") != []
    assert named.faults("correct horse", "Ana") == []
    named.close()
