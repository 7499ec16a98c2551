"""Devices that wait to be signed in, on a real database; with two processes where stated."""

import asyncio
from collections.abc import Callable
from itertools import count
from typing import Any, TypeVar

import pytest
from sqlalchemy import func, insert, select

from fakes import Clock, Ids
from playhead.domain.accounts import FAILURE_WINDOW_MS, Principal, TokenKind
from playhead.domain.device_codes import (
    GUESSES_PER_ADDRESS_MAX,
    GUESSES_PER_USER_MAX,
    INTERVAL_S,
    LIFETIME_MS,
    USER_CODE_ALPHABET,
    USER_CODE_LENGTH,
    WAITING_MAX,
    WAITING_PER_ADDRESS_MAX,
    DeviceKind,
    DeviceProtocol,
    PollOutcome,
)
from playhead.domain.model import Role, UserId
from playhead.errors import Code, PlayheadError
from playhead.services.device_codes import KNOWN_FOR_S, DeviceCodes, NewDeviceCode
from playhead.storage import schema
from playhead.storage.engine.database import Connection, Database

T = TypeVar("T")

pytestmark = pytest.mark.anyio

HERE, THERE = "192.0.2.1", "192.0.2.2"
UNKNOWN = "BBBB-BBBB"


def principal(number: int) -> Principal:
    return Principal(
        UserId(f"{number:08d}-0000-4000-8000-000000000000"), f"user {number}", Role.MEMBER, TokenKind.API, ""
    )


ADA, BEN = principal(1), principal(2)


class Stopwatch:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


class Counting:
    """A database that counts queries."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.asked = 0

    async def read(self, fn: Callable[[Connection], T]) -> T:
        self.asked += 1
        return await self._database.read(fn)

    async def read_inline(self, fn: Callable[[Connection], T]) -> T:
        self.asked += 1
        return await self._database.read_inline(fn)

    async def write(self, fn: Callable[[Connection], T]) -> T:
        self.asked += 1
        return await self._database.write(fn)


def numbered_code(number: int) -> str:
    """The n-th user code, in an order that has BBBBBBBB last."""
    letters = ""
    for _ in range(USER_CODE_LENGTH):
        number, digit = divmod(number, len(USER_CODE_ALPHABET))
        letters += USER_CODE_ALPHABET[-1 - digit]
    return letters


class Process:
    def __init__(self, database: Database, clock: Clock, numbers: Any) -> None:  # noqa: ANN401 - an endless iterator
        self.database = Counting(database)
        self.stopwatch = Stopwatch()
        self.clock = clock
        self.codes = DeviceCodes(
            self.database,  # pyright: ignore[reportArgumentType] - as much of a database as is used
            clock=clock,
            monotonic=self.stopwatch,
            new_id=Ids(),
            new_device_code=lambda: f"{next(numbers):064x}",
            new_user_code=lambda: numbered_code(next(numbers)),
        )

    async def begin(self, name: str = "Living room", address: str = HERE) -> NewDeviceCode:
        return await self.codes.begin(DeviceProtocol.NATIVE, name, DeviceKind.TV, address)

    async def poll(self, device_code: str) -> object:
        """Poll as a device does, five seconds after its last poll."""
        self.pass_time(INTERVAL_S)
        return await self.redeem(device_code)

    async def redeem(self, device_code: str) -> object:
        return await self.codes.redeem(device_code, DeviceProtocol.NATIVE, lambda _, user_id, name: (user_id, name))

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(int(seconds * 1000))
        self.stopwatch.seconds += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def processes(database: Database, clock: Clock) -> tuple[Process, Process]:
    numbers = count(1)
    return Process(database, clock, numbers), Process(database, clock, numbers)


@pytest.fixture
def process(processes: tuple[Process, Process]) -> Process:
    return processes[0]


async def refusal(awaited: Any) -> PlayheadError:  # noqa: ANN401 - whatever is awaited
    with pytest.raises(PlayheadError) as caught:
        await awaited
    return caught.value


async def test_a_device_waits_until_somebody_approves_it_and_is_then_signed_in_as_them(process: Process):
    codes = await process.begin()
    assert await process.poll(codes.device_code) is PollOutcome.PENDING
    found = await process.codes.find(ADA, codes.user_code.lower().replace("-", " "), THERE)
    assert (found.name, found.kind, found.address, found.requested_at) == (
        "Living room",
        DeviceKind.TV,
        HERE,
        process.clock.now - INTERVAL_S * 1000,
    )
    assert found.user_code == codes.user_code
    assert await process.poll(codes.device_code) is PollOutcome.PENDING  # looking up a code decides nothing
    await process.codes.decide(ADA, codes.user_code, THERE, approve=True)
    assert await process.poll(codes.device_code) == (ADA.user_id, "Living room")


async def test_a_code_is_good_for_one_use(process: Process):
    codes = await process.begin()
    await process.codes.decide(ADA, codes.user_code, HERE, approve=True)
    answers = await asyncio.gather(*(process.redeem(codes.device_code) for _ in range(5)))
    assert answers.count(PollOutcome.EXPIRED) == 4
    assert (ADA.user_id, "Living room") in answers
    assert await process.poll(codes.device_code) is PollOutcome.EXPIRED
    assert (await refusal(process.codes.find(ADA, codes.user_code, HERE))).details is not None


async def test_a_denied_device_is_told_so(process: Process):
    codes = await process.begin()
    await process.codes.decide(ADA, codes.user_code, HERE, approve=False)
    assert await process.poll(codes.device_code) is PollOutcome.DENIED
    assert await process.poll(codes.device_code) is PollOutcome.DENIED
    error = await refusal(process.codes.decide(ADA, codes.user_code, HERE, approve=True))
    assert error.code is Code.INVALID


async def test_of_two_concurrent_decisions_one_counts(process: Process):
    codes = await process.begin()
    decisions = await asyncio.gather(
        process.codes.decide(ADA, codes.user_code, HERE, approve=True),
        process.codes.decide(BEN, codes.user_code, HERE, approve=True),
        return_exceptions=True,
    )
    (refused,) = [each for each in decisions if each is not None]
    assert isinstance(refused, PlayheadError)
    winner = (ADA, BEN)[decisions.index(None)]
    assert await process.poll(codes.device_code) == (winner.user_id, "Living room")


async def test_codes_expire_after_ten_minutes_whether_approved_or_not(process: Process):
    approved, waiting = await process.begin(), await process.begin()
    await process.codes.decide(ADA, approved.user_code, HERE, approve=True)
    process.pass_time(LIFETIME_MS / 1000 - 1)
    assert await process.redeem(waiting.device_code) is PollOutcome.PENDING
    process.pass_time(1)
    assert await process.redeem(approved.device_code) is PollOutcome.EXPIRED
    assert await process.redeem(waiting.device_code) is PollOutcome.EXPIRED
    assert (await refusal(process.codes.find(ADA, waiting.user_code, HERE))).code is Code.INVALID
    await process.begin()
    count_rows = select(func.count()).select_from(schema.device_code)
    assert await process.database.read(lambda c: c.execute(count_rows).scalar_one()) == 1  # the others are gone


async def test_a_device_that_polls_too_often_is_told_to_slow_down(process: Process):
    codes = await process.begin()
    assert await process.redeem(codes.device_code) is PollOutcome.PENDING
    assert await process.redeem(codes.device_code) is PollOutcome.TOO_FAST
    process.pass_time(INTERVAL_S)
    assert await process.redeem(codes.device_code) is PollOutcome.TOO_FAST  # it had to wait for ten
    process.pass_time(INTERVAL_S * 3)
    assert await process.redeem(codes.device_code) is PollOutcome.PENDING


@pytest.mark.parametrize("device_code", ["", "x", "0" * 64, "F" * 64, "é" * 64])
async def test_an_unknown_code_is_treated_as_expired(process: Process, device_code: str):
    assert await process.redeem(device_code) is PollOutcome.EXPIRED


async def test_a_thousand_waiting_devices_cost_one_query_together(process: Process):
    codes = [await process.begin(address=f"192.0.2.{number % 100}") for number in range(1000)]
    process.pass_time(INTERVAL_S)
    before = process.database.asked
    answers = await asyncio.gather(*(process.redeem(each.device_code) for each in codes))
    assert answers == [PollOutcome.PENDING] * 1000
    assert process.database.asked - before == 1


async def test_an_approval_in_another_process_is_noticed_within_a_second(processes: tuple[Process, Process]):
    one, other = processes
    codes = await one.begin()
    assert (
        await other.redeem(codes.device_code) is PollOutcome.PENDING
    )  # the store has one that this process has not started
    await one.codes.decide(ADA, codes.user_code, HERE, approve=True)
    other.pass_time(KNOWN_FOR_S)
    assert await other.redeem(codes.device_code) == (ADA.user_id, "Living room")
    one.pass_time(KNOWN_FOR_S)
    assert await one.redeem(codes.device_code) is PollOutcome.EXPIRED


async def test_the_store_contains_neither_code(process: Process):
    codes = await process.begin()

    def everything(connection: Connection) -> str:
        return repr([tuple(row) for row in connection.execute(select(schema.device_code))])

    kept = await process.database.read(everything)
    assert "Living room" in kept
    for secret in (codes.device_code, codes.user_code, codes.user_code.replace("-", "")):
        assert secret not in kept


# Guessing


async def test_guessing_codes_is_blocked_for_a_quarter_of_an_hour(process: Process):
    codes = await process.begin()
    for _ in range(GUESSES_PER_USER_MAX):
        assert (await refusal(process.codes.find(ADA, UNKNOWN, HERE))).code is Code.INVALID
    error = await refusal(process.codes.find(ADA, codes.user_code, HERE))
    assert (error.code, error.retry_after_s) == (Code.TOO_MANY_ATTEMPTS, FAILURE_WINDOW_MS // 1000)
    assert (await refusal(process.codes.decide(ADA, codes.user_code, THERE, approve=True))).code is error.code
    assert (await process.codes.find(BEN, codes.user_code, HERE)).name == "Living room"
    process.clock.advance(FAILURE_WINDOW_MS)
    codes = await process.begin()
    assert (await process.codes.find(ADA, codes.user_code, HERE)).name == "Living room"


async def test_concurrent_guesses_all_count(process: Process):
    await process.database.write(
        lambda c: c.execute(insert(schema.login), [{"name": ADA.name, "user_id": ADA.user_id}])
    )
    found = await asyncio.gather(
        *(process.codes.find(ADA, UNKNOWN, f"192.0.2.{number}") for number in range(3 * GUESSES_PER_USER_MAX)),
        return_exceptions=True,
    )
    codes = [each.code for each in found if isinstance(each, PlayheadError)]
    assert codes.count(Code.INVALID) == GUESSES_PER_USER_MAX
    assert codes.count(Code.TOO_MANY_ATTEMPTS) == 2 * GUESSES_PER_USER_MAX


async def test_an_address_is_blocked_whoever_guesses_from_it(process: Process):
    codes = await process.begin()
    for number in range(GUESSES_PER_ADDRESS_MAX):
        guesser = principal(10 + number // (GUESSES_PER_USER_MAX - 1))
        assert (await refusal(process.codes.find(guesser, UNKNOWN, HERE))).code is Code.INVALID
    assert (await refusal(process.codes.find(ADA, codes.user_code, HERE))).code is Code.TOO_MANY_ATTEMPTS
    assert (await process.codes.find(ADA, codes.user_code, THERE)).name == "Living room"


async def test_right_codes_and_malformed_ones_do_not_count_as_guesses(process: Process):
    codes = await process.begin()
    for _ in range(GUESSES_PER_USER_MAX + 1):
        await process.codes.find(ADA, codes.user_code, HERE)
        assert (await refusal(process.codes.find(ADA, "not a code", HERE))).code is Code.INVALID
    await process.codes.decide(ADA, codes.user_code, HERE, approve=True)


# Limits on what anonymous clients can store


async def test_the_number_of_waiting_devices_per_address_is_limited(process: Process):
    for _ in range(WAITING_PER_ADDRESS_MAX):
        await process.begin()
    error = await refusal(process.begin())
    assert (error.code, error.retry_after_s) == (Code.TOO_MANY_ATTEMPTS, LIFETIME_MS // 1000)
    await process.begin(address=THERE)
    process.clock.advance(LIFETIME_MS)
    await process.begin()


async def test_the_total_number_of_waiting_devices_is_limited(process: Process):
    row = {"purpose": "native", "name": "", "kind": "tv", "address": "", "created_at": 0}
    life = {"expires_at": process.clock.now + LIFETIME_MS}
    rows = [
        row | life | {"hash": f"{number}", "user_code_hash": f"{number}", "sender": f"{number}"}
        for number in range(WAITING_MAX)
    ]
    await process.database.write(lambda c: c.execute(insert(schema.device_code), rows))
    assert (await refusal(process.begin())).code is Code.UNAVAILABLE


async def test_an_invalid_name_is_reported(process: Process):
    error = await refusal(process.begin(name="x" * 65))
    assert error.details == {"name": ["must have 1 to 64 characters"]}


async def test_a_user_code_in_use_is_not_issued_again(database: Database, clock: Clock):
    numbers, codes = count(1), iter(["BCDFGHJK", "BCDFGHJK", "LMNPQRST"])
    process = Process(database, clock, numbers)
    process.codes = DeviceCodes(
        database,
        clock=clock,
        monotonic=process.stopwatch,
        new_id=Ids(),
        new_device_code=lambda: f"{next(numbers):064x}",
        new_user_code=lambda: next(codes),
    )
    assert (await process.begin()).user_code == "BCDF-GHJK"
    assert (await process.begin()).user_code == "LMNP-QRST"
