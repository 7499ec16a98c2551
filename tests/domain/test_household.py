import pytest
from hypothesis import given
from hypothesis import strategies as st

from playhead.domain.accounts import User
from playhead.domain.household import (
    COLOURS,
    DEVICE_LIFETIME_MS,
    PIN_FAILURES_MAX,
    PIN_FAILURES_OF_PERSON_MAX,
    TileEntry,
    TileState,
    colour_of,
    device_is_live,
    entry_of,
    initial_of,
    is_device_secret,
    may_allow_tap,
    pin_faults,
    pin_wait_s,
)
from playhead.domain.model import Instant, Role, UserId

NOW = Instant(1_762_639_200_000)
ID = UserId("6f6b0000-0000-4000-8000-000000000000")


def state(
    role: Role = Role.MEMBER,
    *,
    has_pin: bool = False,
    allows_tap: bool = False,
    failures: int = 0,
    failed_at: Instant | None = None,
    elsewhere: int = 0,
) -> TileState:
    return TileState(User(ID, "Ana", role, NOW), has_pin, allows_tap, failures, failed_at, elsewhere)


@pytest.mark.parametrize(
    ("role", "has_pin", "allows_tap", "entry"),
    [
        (Role.CHILD, False, False, TileEntry.TAP),
        (Role.CHILD, True, False, TileEntry.PIN),
        (Role.MEMBER, False, False, TileEntry.PASSWORD),
        (Role.MEMBER, False, True, TileEntry.TAP),
        (Role.MEMBER, True, True, TileEntry.PIN),
        (Role.ADMIN, False, False, TileEntry.PASSWORD),
        (Role.ADMIN, False, True, TileEntry.PASSWORD),
        (Role.ADMIN, True, True, TileEntry.PIN),
    ],
)
def test_what_a_tile_requires(role: Role, *, has_pin: bool, allows_tap: bool, entry: TileEntry):
    assert entry_of(state(role, has_pin=has_pin, allows_tap=allows_tap)) is entry


def test_after_six_wrong_pins_a_tile_requires_the_password_even_if_a_tap_was_allowed():
    assert entry_of(state(has_pin=True, failures=PIN_FAILURES_MAX - 1)) is TileEntry.PIN
    assert entry_of(state(has_pin=True, allows_tap=True, failures=PIN_FAILURES_MAX)) is TileEntry.PASSWORD
    assert entry_of(state(Role.CHILD, has_pin=True, failures=PIN_FAILURES_MAX)) is TileEntry.PASSWORD


def test_wrong_pins_on_several_devices_add_up():
    assert entry_of(state(has_pin=True, failures=1, elsewhere=PIN_FAILURES_OF_PERSON_MAX - 2)) is TileEntry.PIN
    assert entry_of(state(has_pin=True, failures=1, elsewhere=PIN_FAILURES_OF_PERSON_MAX - 1)) is TileEntry.PASSWORD


def test_only_a_member_may_allow_a_tap():
    assert [role for role in Role if may_allow_tap(role)] == [Role.MEMBER]


@pytest.mark.parametrize(
    ("failures", "wait_s"), [(0, None), (1, None), (2, None), (3, 30), (4, 120), (5, 600), (9, 600)]
)
def test_each_wrong_pin_lengthens_the_wait(failures: int, wait_s: int | None):
    assert pin_wait_s(state(has_pin=True, failures=failures, failed_at=NOW), NOW) == wait_s


def test_a_wait_ends():
    failed = state(has_pin=True, failures=3, failed_at=NOW)
    assert pin_wait_s(failed, Instant(NOW + 29_001)) == 1
    assert pin_wait_s(failed, Instant(NOW + 30_000)) is None
    assert pin_wait_s(state(failures=3), NOW) is None


def test_a_clock_that_was_set_back_makes_nobody_wait_longer():
    assert pin_wait_s(state(failures=3, failed_at=Instant(NOW + 3_600_000)), NOW) == 30


@pytest.mark.parametrize("pin", ["4817", "90210", "12345679", "1212", "0010"])
def test_a_pin_of_four_to_eight_digits_is_accepted(pin: str):
    assert pin_faults(pin) == []


@pytest.mark.parametrize("pin", ["", "481", "481748174", "48a7", "\uff14\uff18\uff11\uff17", "4817 ", "-481"])
def test_a_malformed_pin_is_reported(pin: str):
    assert pin_faults(pin) == ["must have 4 to 8 digits"]


@pytest.mark.parametrize("pin", ["0000", "99999999", "1234", "5678", "7890", "4321", "98765432", "0987"])
def test_a_pin_that_is_guessed_first_is_refused(pin: str):
    assert pin_faults(pin) == ["must not be one repeated digit or a sequence"]


def test_an_unused_device_is_forgotten():
    assert device_is_live(NOW, Instant(NOW + DEVICE_LIFETIME_MS - 1))
    assert not device_is_live(NOW, Instant(NOW + DEVICE_LIFETIME_MS))


def test_only_well_formed_text_is_a_device_secret():
    assert is_device_secret("0f" * 32)
    assert not is_device_secret("0F" * 32)


@given(st.uuids())
def test_everybody_has_a_colour(user_id: object):
    assert 0 <= colour_of(UserId(str(user_id))) < COLOURS


def test_a_tile_shows_the_first_letter():
    assert initial_of("ana") == "A"
