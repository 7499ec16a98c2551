"""Steps of a sign-in on a real database: good for one use, for ten minutes, and bounded."""

from itertools import count

import pytest

from fakes import Clock
from playhead.domain.sign_in_steps import STEP_LIFETIME_MS, STEPS_MAX, STEPS_PER_ADDRESS, StepKind
from playhead.errors import Code, PlayheadError
from playhead.services.sign_in_steps import SignInSteps
from playhead.storage import sign_in_steps as storage
from playhead.storage.engine.database import Connection, Database

pytestmark = pytest.mark.anyio

HERE = "192.0.2.1"
KIND = StepKind.OPENID


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def steps(database: Database, clock: Clock) -> SignInSteps:
    numbers = count(1)
    return SignInSteps(database, clock=clock, new_secret=lambda: f"{next(numbers):064x}")


async def test_what_was_kept_is_returned_once(steps: SignInSteps):
    secret = await steps.begin(KIND, HERE, {"nonce": "n", "user_id": None})
    assert await steps.find(KIND, secret) == {"nonce": "n", "user_id": None}
    assert await steps.take(KIND, secret) == {"nonce": "n", "user_id": None}
    assert await steps.take(KIND, secret) is None
    assert await steps.find(KIND, secret) is None


async def test_a_step_ends_after_ten_minutes(steps: SignInSteps, clock: Clock):
    early, late = [await steps.begin(KIND, HERE, {}) for _ in range(2)]
    clock.advance(STEP_LIFETIME_MS - 1)
    assert await steps.take(KIND, early) == {}
    clock.advance(1)
    assert await steps.find(KIND, late) is None
    assert await steps.take(KIND, late) is None


@pytest.mark.parametrize("secret", ["", "x", "0" * 64, "\0", "é" * 5000])
async def test_a_step_cannot_be_guessed(steps: SignInSteps, secret: str):
    await steps.begin(KIND, HERE, {})
    assert await steps.take(KIND, secret) is None


async def test_a_step_too_many_from_an_address_ends_its_oldest_and_nobody_elses(steps: SignInSteps, clock: Clock):
    other = await steps.begin(KIND, "198.51.100.1", {})
    begun = []
    for _ in range(STEPS_PER_ADDRESS + 1):
        clock.advance(1)
        begun.append(await steps.begin(KIND, HERE, {}))
    assert await steps.find(KIND, begun[0]) is None
    assert await steps.find(KIND, begun[1]) == {}
    assert await steps.find(KIND, begun[-1]) == {}
    assert await steps.find(KIND, other) == {}


async def test_an_ipv6_network_counts_as_one_address(steps: SignInSteps, clock: Clock):
    begun = []
    for number in range(STEPS_PER_ADDRESS + 1):
        clock.advance(1)
        begun.append(await steps.begin(KIND, f"2001:db8::{number:x}", {}))
    assert await steps.find(KIND, begun[0]) is None


async def test_the_number_of_steps_is_bounded_and_expired_ones_are_deleted(
    steps: SignInSteps, database: Database, clock: Clock
):
    def fill(connection: Connection) -> None:
        for number in range(STEPS_MAX):
            ends_at = clock.now + STEP_LIFETIME_MS
            storage.add_step(connection, f"{number}", KIND, f"{number}", "{}", clock.now, ends_at)  # type: ignore[arg-type]

    await database.write(fill)
    with pytest.raises(PlayheadError) as caught:
        await steps.begin(KIND, HERE, {})
    assert caught.value.code is Code.UNAVAILABLE
    clock.advance(STEP_LIFETIME_MS)
    await steps.begin(KIND, HERE, {})
    assert await database.read(storage.count_steps) == 1
