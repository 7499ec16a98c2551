"""Passkeys on a real database, as far as no browser is needed: recovery codes, two factors, refusals."""

import json
from itertools import count

import pytest

from fakes import Clock, Ids, Stopwatch
from playhead.domain.accounts import Principal, User
from playhead.domain.model import Instant, PasskeyId, Role
from playhead.domain.passkeys import Passkey
from playhead.errors import Code, PlayheadError
from playhead.services.accounts import Accounts
from playhead.services.credentials import Credentials
from playhead.services.passkeys import Passkeys, relying_party
from playhead.services.passwords import Passwords
from playhead.services.sign_in_steps import SignInSteps
from playhead.services.sign_ins import SignIns
from playhead.storage import passkeys as storage
from playhead.storage.engine.database import Database

pytestmark = pytest.mark.anyio

PASSWORD = "correct horse"
HERE = "192.0.2.1"


class House:
    """An installation with Anna, who has a passkey."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = Clock()
        numbers = count(1)
        ids = Ids()
        passwords = Passwords(threads=1, memory_kib=64)
        self.credentials = Credentials(
            database, clock=self.clock, monotonic=Stopwatch(), new_id=ids, new_digits=lambda: f"{next(numbers):032x}"
        )
        self.sign_ins = SignIns(database, self.credentials, passwords, clock=self.clock, new_id=ids)
        self.accounts = Accounts(database, self.credentials, passwords, clock=self.clock, new_id=ids)
        steps = SignInSteps(database, clock=self.clock, new_secret=lambda: f"{next(numbers):064x}")
        self.passkeys = Passkeys(
            database,
            self.credentials,
            self.sign_ins,
            steps,
            relying_party("https://play.example.org"),
            clock=self.clock,
            new_id=ids,
            new_challenge=lambda: bytes(32),
            new_code=lambda: f"{next(numbers):016d}",
        )

    async def settle(self) -> tuple[User, Principal]:
        anna = await self.accounts.create_user("anna", PASSWORD, Role.MEMBER)
        await self.add_passkey(anna, 1)
        secret = (await self.sign_ins.sign_in("anna", PASSWORD, HERE)).token
        principal = await self.credentials.authenticate(secret)
        assert principal is not None
        return anna, principal

    async def add_passkey(self, user: User, number: int) -> Passkey:
        passkey_id = PasskeyId(f"{number:08x}-0000-4000-8000-000000000000")
        made = Passkey(passkey_id, user.id, f"credential{number}", "key", 0, f"Key {number}", Instant(number), None)
        await self.database.write(lambda connection: storage.add_passkey(connection, made))
        return made


@pytest.fixture
def here(database: Database) -> House:
    return House(database)


async def code_of(awaitable: object) -> Code:
    with pytest.raises(PlayheadError) as caught:
        await awaitable  # type: ignore[misc]
    return caught.value.code


@pytest.mark.parametrize(
    ("url", "party"),
    [
        ("https://play.example.org", ("play.example.org", "https://play.example.org")),
        ("https://play.example.org/media", ("play.example.org", "https://play.example.org")),
        ("https://play.example.org:443", ("play.example.org", "https://play.example.org")),
        ("https://play.example.org:8443", ("play.example.org", "https://play.example.org:8443")),
        ("http://localhost:8765", ("localhost", "http://localhost:8765")),
        ("http://localhost:80", ("localhost", "http://localhost")),
        ("http://play.example.org", None),
        ("https://192.0.2.1", None),
        ("http://127.0.0.1:8765", None),
        ("https://[2001:db8::1]", None),
        ("", None),
    ],
)
def test_passkeys_are_created_for_the_public_host_name(url: str, party: tuple[str, str] | None):
    assert relying_party(url) == party


async def test_a_password_alone_is_enough_until_both_are_required(here: House):
    _, anna = await here.settle()
    codes = await here.passkeys.need_both(anna, PASSWORD, HERE)
    assert len(set(codes)) == 10
    assert await code_of(here.sign_ins.sign_in("anna", PASSWORD, HERE)) is Code.SECOND_FACTOR_NEEDED
    assert (await here.sign_ins.sign_in("anna", PASSWORD, HERE, code=codes[3])).user.name == "anna"
    assert await code_of(here.sign_ins.sign_in("anna", PASSWORD, HERE, code=codes[3])) is Code.NOT_AUTHENTICATED
    await here.passkeys.need_one(anna, PASSWORD, HERE)
    assert (await here.sign_ins.sign_in("anna", PASSWORD, HERE)).user.name == "anna"


async def test_a_recovery_code_does_not_work_without_the_password(here: House):
    _, anna = await here.settle()
    codes = await here.passkeys.need_both(anna, PASSWORD, HERE)
    assert await code_of(here.sign_ins.sign_in("anna", "wrong", HERE, code=codes[0])) is Code.NOT_AUTHENTICATED
    assert (await here.sign_ins.sign_in("anna", PASSWORD, HERE, code=codes[0])).user.name == "anna"


async def test_a_right_password_without_a_second_factor_counts_as_a_failure(here: House):
    _, anna = await here.settle()
    codes = await here.passkeys.need_both(anna, PASSWORD, HERE)
    for _ in range(10):
        assert await code_of(here.sign_ins.sign_in("anna", PASSWORD, HERE)) is Code.SECOND_FACTOR_NEEDED
    assert await code_of(here.sign_ins.sign_in("anna", PASSWORD, HERE, code=codes[0])) is Code.TOO_MANY_ATTEMPTS


async def test_new_recovery_codes_replace_the_old_ones(here: House):
    _, anna = await here.settle()
    old = await here.passkeys.need_both(anna, PASSWORD, HERE)
    new = await here.passkeys.renew_codes(anna, PASSWORD, HERE)
    assert set(old).isdisjoint(new)
    assert await code_of(here.sign_ins.sign_in("anna", PASSWORD, HERE, code=old[0])) is Code.NOT_AUTHENTICATED
    assert (await here.sign_ins.sign_in("anna", PASSWORD, HERE, code=new[0])).user.name == "anna"


@pytest.mark.parametrize("act", ["need_both", "need_one", "renew_codes", "begin_registration"])
async def test_changing_sign_in_methods_requires_the_password(here: House, act: str):
    _, anna = await here.settle()
    with pytest.raises(PlayheadError) as caught:
        await getattr(here.passkeys, act)(anna, "wrong", HERE)
    assert caught.value.details == {"current": ["is not your password"]}


async def test_both_cannot_be_required_without_a_passkey(here: House):
    user, anna = await here.settle()
    await here.passkeys.remove(user.id, PasskeyId("00000001-0000-4000-8000-000000000000"))
    assert await code_of(here.passkeys.need_both(anna, PASSWORD, HERE)) is Code.CONFLICT


async def test_a_second_step_ends_when_the_password_is_changed(here: House):
    user, anna = await here.settle()
    codes = await here.passkeys.need_both(anna, PASSWORD, HERE)
    step = await here.passkeys.begin_second_step("anna", HERE)
    await here.accounts.change_user(user.id, password="another horse")
    assert await code_of(here.passkeys.finish_with_code(step, codes[0], HERE, "")) is Code.NOT_AUTHENTICATED


async def test_a_second_step_is_good_for_one_use_and_its_wrong_codes_count(here: House):
    _, anna = await here.settle()
    codes = await here.passkeys.need_both(anna, PASSWORD, HERE)
    step = await here.passkeys.begin_second_step("anna", HERE)
    assert await code_of(here.passkeys.finish_with_code(step, "wrong", HERE, "")) is Code.NOT_AUTHENTICATED
    assert (await here.passkeys.finish_with_code(step, codes[0], HERE, "")).user.name == "anna"
    assert await code_of(here.passkeys.finish_with_code(step, codes[1], HERE, "")) is Code.NOT_AUTHENTICATED
    step = await here.passkeys.begin_second_step("anna", HERE)
    for _ in range(10):
        assert await code_of(here.passkeys.finish_with_code(step, "wrong", HERE, "")) is Code.NOT_AUTHENTICATED
    assert await code_of(here.passkeys.finish_with_code(step, codes[1], HERE, "")) is Code.TOO_MANY_ATTEMPTS


@pytest.mark.parametrize(
    "credential",
    [
        "",
        "null",
        "[]",
        "{}",
        "[" * 10_000,
        json.dumps({"id": "x", "response": {"userHandle": "AAAA"}}),
        json.dumps({"id": 1, "response": {"userHandle": "A" * 22}}),
        json.dumps({"id": "credential1", "response": {"userHandle": 7}}),
        json.dumps({"id": "credential1", "response": None}),
    ],
)
async def test_a_malformed_answer_signs_nobody_in(here: House, credential: str):
    await here.settle()
    begun = await here.passkeys.begin_sign_in(HERE)
    assert await code_of(here.passkeys.finish_sign_in(begun.step, credential, HERE, "")) is Code.NOT_AUTHENTICATED


async def test_a_passkey_is_renamed_and_removed_only_by_its_owner(here: House):
    user, _ = await here.settle()
    other = await here.accounts.create_user("ben", PASSWORD, Role.MEMBER)
    passkey = (await here.passkeys.factors_of(user.id)).passkeys[0]
    assert await code_of(here.passkeys.rename(other.id, passkey.id, "Mine")) is Code.NOT_FOUND
    assert await code_of(here.passkeys.remove(other.id, passkey.id)) is Code.NOT_FOUND
    await here.passkeys.rename(user.id, passkey.id, " Phone ")
    assert [each.name for each in (await here.passkeys.factors_of(user.id)).passkeys] == ["Phone"]
    assert await code_of(here.passkeys.rename(user.id, passkey.id, "\n")) is Code.INVALID


async def test_an_account_has_at_most_twenty_passkeys(here: House):
    user, anna = await here.settle()
    for number in range(2, 21):
        await here.add_passkey(user, number)
    assert await code_of(here.passkeys.begin_registration(anna, PASSWORD, HERE)) is Code.CONFLICT


async def test_passkeys_and_codes_are_removed_with_the_account_or_by_an_admin(here: House):
    user, anna = await here.settle()
    await here.passkeys.need_both(anna, PASSWORD, HERE)
    await here.passkeys.remove_all(user.id)
    factors = await here.passkeys.factors_of(user.id)
    assert (factors.passkeys, factors.needs_both, factors.codes_left) == ([], False, 0)
    assert (await here.sign_ins.sign_in("anna", PASSWORD, HERE)).user.name == "anna"


async def test_a_concurrent_use_of_a_passkey_elsewhere_is_recorded_once(here: House, database: Database):
    user, _ = await here.settle()
    passkey = (await here.passkeys.factors_of(user.id)).passkeys[0]

    async def note(sign_count: int) -> bool:
        return await database.write(lambda c: storage.note_passkey(c, passkey, sign_count, Instant(9)))

    assert [await note(5), await note(6)] == [True, False]
