"""Signing in a device that has no keyboard: it shows a code, and a user approves it elsewhere. Knows no protocol.

The caller of `redeem` makes what an approved device gets. Devices poll every few seconds for minutes; the store is
queried once for all of them.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from playhead.domain.accounts import FAILURE_WINDOW_MS, Principal, login_key, retry_after_s, throttle_address
from playhead.domain.device_codes import (
    GUESSES_PER_ADDRESS_MAX,
    GUESSES_PER_USER_MAX,
    INTERVAL_S,
    LIFETIME_MS,
    WAITING_MAX,
    WAITING_PER_ADDRESS_MAX,
    DeviceKind,
    DeviceProtocol,
    DeviceRequest,
    PollOutcome,
    PollPace,
    clean_device_name,
    clean_user_code,
    code_hash,
    device_name_faults,
    is_device_code,
    next_pace,
    shown_user_code,
)
from playhead.domain.model import Instant, UserId
from playhead.errors import PlayheadError, invalid, too_many_attempts, unavailable
from playhead.storage import device_codes as storage
from playhead.storage.accounts import lock_login
from playhead.storage.engine.database import Connection, Database

T = TypeVar("T")

# How old a process's knowledge of decisions may be. An approval is noticed by the next poll after it.
KNOWN_FOR_S = 1.0

# Two equal codes of 34 bits at the same time: once in a million days is rare enough for one retry.
_ATTEMPTS = 3


class NewDeviceCode(NamedTuple):
    """Two codes for the device that requested them. Both are secrets, shown only once."""

    device_code: str
    user_code: str
    expires_in_s: int
    interval_s: int


@dataclass(slots=True)
class _Waiting:
    """What a process caches about a polling device."""

    purpose: DeviceProtocol
    expires_at: Instant
    pace: PollPace


class DeviceCodes:
    """The devices of an installation that wait to be signed in.

    `clock` returns the time, `monotonic` is a monotonic clock in seconds, `new_id` returns a random UUID,
    `new_device_code` 256 random bits as 64 lower-case hexadecimal digits, `new_user_code` random characters of the user
    code's alphabet.
    """

    def __init__(  # noqa: PLR0913 - every source of time and chance is handed in by itself
        self,
        database: Database,
        *,
        clock: Callable[[], Instant],
        monotonic: Callable[[], float],
        new_id: Callable[[], str],
        new_device_code: Callable[[], str],
        new_user_code: Callable[[], str],
    ) -> None:
        self._database = database
        self._clock = clock
        self._monotonic = monotonic
        self._new_id = new_id
        self._new_device_code = new_device_code
        self._new_user_code = new_user_code
        self._waiting: dict[str, _Waiting] = {}
        self._decided: dict[str, storage.DeviceDecision] = {}
        self._known_until = 0.0
        self._refreshing = asyncio.Lock()

    # The device

    async def begin(self, purpose: DeviceProtocol, name: str, kind: DeviceKind, address: str) -> NewDeviceCode:
        """Create the codes for a device, which is listed by `name`, if given, and waits ten minutes.

        Raises INVALID for `name`; TOO_MANY_ATTEMPTS if too many devices of this address wait, UNAVAILABLE if too many
        wait overall.
        """
        faults = device_name_faults(name)
        if faults:
            raise invalid({"name": faults})
        now = self._clock()
        device_code, user_code = self._new_device_code(), self._new_user_code()
        stored = storage.StoredDeviceCode(
            code_hash(device_code),
            code_hash(user_code),
            purpose,
            clean_device_name(name, ""),
            kind,
            address,
            throttle_address(address),
            now,
            Instant(now + LIFETIME_MS),
        )

        def add(connection: Connection) -> str:
            storage.prune(connection, now)
            if storage.count(connection, stored.sender) >= WAITING_PER_ADDRESS_MAX:
                raise too_many_attempts(LIFETIME_MS // 1000)
            if storage.count(connection) >= WAITING_MAX:
                raise unavailable(retry_after_s=INTERVAL_S)
            code = user_code
            for _ in range(_ATTEMPTS):
                if storage.add(connection, stored._replace(user_code_hash=code_hash(code))):
                    return code
                code = self._new_user_code()
            raise unavailable()

        code = await self._database.write(add)
        self._remember(stored.hash, purpose, stored.expires_at)
        return NewDeviceCode(device_code, shown_user_code(code), LIFETIME_MS // 1000, INTERVAL_S)

    async def redeem(
        self, device_code: str, purpose: DeviceProtocol, issue: Callable[[Connection, UserId, str], T]
    ) -> T | PollOutcome:
        """Return what an approved device gets, or why it gets nothing.

        `issue` makes it within the transaction that uses up the code, for the user who approved and the stated name of
        the device (or ""). A code that was created for another purpose, used or unknown is EXPIRED.
        """
        digest, now = code_hash(device_code), self._clock()
        waiting = await self._cached(digest) if is_device_code(device_code) else None
        if waiting is None or waiting.purpose is not purpose or waiting.expires_at <= now:
            self._waiting.pop(digest, None)
            return PollOutcome.EXPIRED
        await self._refresh()
        decision = self._decided.get(digest)
        if decision is None:
            waiting.pace, is_early = next_pace(waiting.pace, now)
            return PollOutcome.TOO_FAST if is_early else PollOutcome.PENDING
        if decision.is_redeemed or decision.user_id is None:
            return PollOutcome.EXPIRED if decision.is_redeemed else PollOutcome.DENIED

        def take(connection: Connection) -> T | PollOutcome:
            taken = storage.redeem(connection, digest, now)
            return PollOutcome.EXPIRED if taken is None else issue(connection, taken[0], taken[1].name)

        issued = await self._database.write(take)
        self._known_until = 0.0
        return issued

    async def _cached(self, digest: str) -> _Waiting | None:
        """Return a device's cached state; query the store if another process began it, or this one before a restart."""
        known = self._waiting.get(digest)
        if known is not None:
            return known
        found = await self._database.read_inline(lambda connection: storage.find_life(connection, digest))
        return None if found is None else self._remember(digest, *found)

    def _remember(self, digest: str, purpose: DeviceProtocol, expires_at: Instant) -> _Waiting:
        known = self._waiting.get(digest)  # of two concurrent polls the second must not replace the first
        if known is None:
            if len(self._waiting) >= WAITING_MAX:
                now = self._clock()
                self._waiting = {key: each for key, each in self._waiting.items() if each.expires_at > now}
            known = self._waiting[digest] = _Waiting(purpose, expires_at, PollPace())
        return known

    async def _refresh(self) -> None:
        """Query which devices were decided about, unless that was done a moment ago."""
        if self._monotonic() < self._known_until:
            return
        async with self._refreshing:
            if self._monotonic() < self._known_until:
                return
            asked_at = self._monotonic()
            self._decided = {each.hash: each for each in await self._database.read_inline(storage.list_decided)}
            self._known_until = asked_at + KNOWN_FOR_S

    # The person who approves

    async def find(self, principal: Principal, user_code: str, address: str) -> DeviceRequest:
        """Return the device that shows this code. `address` is the address of the user.

        Raises INVALID (`user_code`) for a code that no waiting device shows, which counts as a guess; TOO_MANY_ATTEMPTS
        after too many.
        """
        stored = await self._guess(principal, user_code, address)
        code = clean_user_code(user_code) or ""
        return DeviceRequest(shown_user_code(code), stored.name, stored.kind, stored.address, stored.created_at)

    async def decide(self, principal: Principal, user_code: str, address: str, *, approve: bool) -> None:
        """Let the device that shows this code sign in as the caller, or deny it for good.

        Raises like `find`; the code is also unknown if somebody else has decided concurrently.
        """
        stored = await self._guess(principal, user_code, address)
        user_id = principal.user_id if approve else None
        now = self._clock()
        if not await self._database.write(lambda connection: storage.decide(connection, stored.hash, user_id, now)):
            raise _unknown_code()
        self._known_until = 0.0

    async def _guess(self, principal: Principal, user_code: str, address: str) -> storage.StoredDeviceCode:
        code = clean_user_code(user_code)
        if code is None:  # not a guess: no code has this form
            raise _unknown_code()
        now = self._clock()
        by_user, by_address = f"user-code by {principal.user_id}", f"user-code from {throttle_address(address)}"
        guess_id, subjects = self._new_id(), (by_user, by_address)

        def begin(connection: Connection) -> storage.StoredDeviceCode | None:
            # Guesses of one user are serialised, in whichever process, and each counts before it is compared:
            # concurrent guesses cannot exceed the bound.
            lock_login(connection, login_key(principal.name))
            storage.prune_guesses(connection, Instant(now - FAILURE_WINDOW_MS))
            _refuse_guesses(connection, by_user, GUESSES_PER_USER_MAX, now)
            _refuse_guesses(connection, by_address, GUESSES_PER_ADDRESS_MAX, now)
            found = storage.find_undecided(connection, code_hash(code), now)
            if found is None:
                storage.add_guess(connection, subjects, guess_id, now)
            return found

        stored = await self._database.write(begin)
        if stored is None:
            raise _unknown_code()
        return stored


def _unknown_code() -> PlayheadError:
    return invalid({"user_code": ["is not a code that a device shows now"]})


def _refuse_guesses(connection: Connection, subject: str, allowed: int, now: Instant) -> None:
    guesses: Sequence[Instant] = storage.list_guesses(connection, subject, Instant(now - FAILURE_WINDOW_MS))
    wait_s = retry_after_s(guesses, now, allowed)
    if wait_s is not None:
        raise too_many_attempts(wait_s)
