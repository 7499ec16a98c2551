"""Passwords: which may be chosen, and their argon2id hashes, made and verified on a few dedicated threads."""

import asyncio
from base64 import b64encode
from collections.abc import Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from importlib.resources import files
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import Type

from playhead.domain.accounts import NO_PASSWORD, password_bytes
from playhead.domain.passwords import PasswordRules
from playhead.services.fair_turns import FairTurns
from playhead.services.single_flight import yield_to_others

T = TypeVar("T")

# OWASP Password Storage Cheat Sheet, argon2id with 19 MiB: about 20 ms on a small server.
MEMORY_KIB = 19_456
PASSES = 2
LANES = 1
_SALT_BYTES = 16
_HASH_BYTES = 32


class Passwords:
    """Hashes passwords on at most `threads` threads, so that many sign-ins affect neither saves nor memory.

    Each running hash uses `memory_kib`. Further ones wait, and each sender gets a turn before any gets a second; the
    caller limits how many may wait. The threads yield to saves. `site_words` name this installation; a new password
    must not consist of them.
    """

    def __init__(self, *, threads: int = 2, memory_kib: int = MEMORY_KIB, site_words: Collection[str] = ()) -> None:
        self._rules = PasswordRules(common_passwords(), ("playhead", *site_words))
        self._hasher = PasswordHasher(
            time_cost=PASSES,
            memory_cost=memory_kib,
            parallelism=LANES,
            hash_len=_HASH_BYTES,
            salt_len=_SALT_BYTES,
            type=Type.ID,
        )
        self._nobody = unmatched_hash(memory_kib)
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="password", initializer=yield_to_others)
        self._turns = FairTurns(threads)

    def faults(self, password: str, user_name: str) -> list[str]:
        """Return what is wrong with a new password of a user, as phrases."""
        return self._rules.faults(password, user_name)

    async def hash(self, password: str, sender: str = "") -> str:
        """Return a new password's hash, with its parameters and salt, in the PHC string format."""
        return await self._run(lambda: self._hasher.hash(password_bytes(password)), sender)

    async def verify(self, stored: str | None, password: str, sender: str = "") -> bool:
        """Return whether the password matches the stored hash.

        Without one (an unknown user, an account without a password) it takes the same time.
        """
        return await self._run(lambda: self._verify(stored, password), sender)

    def needs_rehash(self, stored: str) -> bool:
        """Return whether a hash was made with parameters other than the current ones."""
        return self._hasher.check_needs_rehash(stored)

    def close(self) -> None:
        """Let running hashes finish; waiting ones are cancelled."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _verify(self, stored: str | None, password: str) -> bool:
        if stored == NO_PASSWORD:
            stored = None
        try:
            matches = self._hasher.verify(self._nobody if stored is None else stored, password_bytes(password))
        except (VerificationError, InvalidHashError):
            return False
        return matches and stored is not None

    async def _run(self, work: Callable[[], T], sender: str) -> T:
        await self._turns.acquire(sender)
        loop = asyncio.get_running_loop()
        running = self._executor.submit(work)

        def release(_: Future[T]) -> None:
            with suppress(RuntimeError):  # the loop has been closed meanwhile
                loop.call_soon_threadsafe(self._turns.release)

        # A cancelled caller keeps its turn until the thread is free: otherwise a flood would exceed its turns.
        running.add_done_callback(release)
        return await asyncio.wrap_future(running)


@cache
def common_passwords() -> frozenset[str]:
    """Return the passwords that attackers try first, in lower case. Reads a file of the package, once."""
    return frozenset(files("playhead.services").joinpath("common-passwords.txt").read_text("utf-8").splitlines())


def unmatched_hash(memory_kib: int) -> str:
    """Return a hash with current parameters that no password matches: verifying it takes the usual time."""
    salt = b64encode(bytes(_SALT_BYTES)).rstrip(b"=").decode()
    digest = b64encode(bytes(_HASH_BYTES)).rstrip(b"=").decode()
    return f"$argon2id$v=19$m={memory_kib},t={PASSES},p={LANES}${salt}${digest}"
