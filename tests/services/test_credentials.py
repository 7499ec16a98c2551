"""Credentials on a real database. Passwords are hashed with little memory to keep the tests fast."""

from uuid import uuid4

import pytest
from sqlalchemy import insert

from playhead.domain.accounts import Principal
from playhead.domain.model import Role, TokenId
from playhead.domain.tokens import TokenScope, form_token, token_hash
from playhead.services import credential_cache
from playhead.services.accounts import Accounts
from playhead.services.credentials import Credentials
from playhead.storage import schema
from playhead.storage.engine.database import Connection, Database
from processes import DAY_MS, HERE, NOBODY, PASSWORD, Process, rows_of

pytestmark = pytest.mark.anyio


async def test_a_session_ends_90_days_after_its_last_use(process: Process):
    accounts, clock = process.accounts, process.clock
    await accounts.create_user("Ana", PASSWORD, Role.MEMBER)
    session, _ = await process.sign_ins.sign_in("Ana", PASSWORD, HERE)
    for _ in range(3):
        clock.now += 90 * DAY_MS - 1
        process.stopwatch.seconds += 2
        assert await process.credentials.authenticate(session) is not None
    clock.now += 90 * DAY_MS
    process.stopwatch.seconds += 2
    assert await process.credentials.authenticate(session) is None


async def test_a_token_is_accepted_even_if_a_full_disk_prevents_recording_its_use(process: Process):
    ana = await process.accounts.create_user("Ana", PASSWORD, Role.MEMBER)
    secret = (await process.accounts.create_token(ana.id, "Phone")).secret
    process.database.is_full = True
    principal = await process.credentials.authenticate(secret)
    assert principal is not None
    assert principal.user_id == ana.id


async def test_an_api_token_lasts_and_its_use_is_recorded_by_day_with_one_write_a_day(process: Process):
    accounts, clock = process.accounts, process.clock
    ana = await accounts.create_user("Ana", PASSWORD, Role.MEMBER)
    secret, token = await accounts.create_token(ana.id, " Phone ")
    assert (token.name, token.expires_at, token.last_used_at) == ("Phone", None, None)
    assert await accounts.list_tokens(ana.id) == [token]
    clock.now += 4000 * DAY_MS
    writes = process.database.writes
    for _ in range(5):
        process.stopwatch.seconds += 2
        assert await process.credentials.authenticate(secret) is not None
    assert process.database.writes == writes + 1
    assert (await accounts.list_tokens(ana.id))[0].last_used_at == clock.now - clock.now % DAY_MS
    clock.now += DAY_MS
    process.stopwatch.seconds += 2
    await process.credentials.authenticate(secret)
    assert process.database.writes == writes + 2


@pytest.mark.parametrize(
    "text", ["", "a" * 63, "A" * 64, "é" * 64, "a" * 64 + "\n", "a" * 10_000, "ph_" + "a" * 64 + "00000000"]
)
async def test_malformed_tokens_never_reach_the_store(process: Process, text: str):
    assert await process.credentials.authenticate(text) is None
    assert process.database.inline_reads == 0


async def test_an_unknown_token_identifies_nobody(process: Process):
    assert await process.credentials.authenticate(form_token(NOBODY, "0" * 32)) is None
    assert process.database.inline_reads == 2  # the credential generation, and the token


async def test_a_token_from_before_native_tokens_is_valid_until_it_is_revoked(
    accounts: Accounts, credentials: Credentials, database: Database
):
    ana = await accounts.create_user("Ana", PASSWORD, Role.MEMBER)
    old = "0123456789abcdef" * 4
    row = {"hash": token_hash(old), "id": NOBODY, "user_id": ana.id, "kind": "api", "scope": "all", "name": "phone"}

    def migrate(connection: Connection) -> None:
        connection.execute(insert(schema.token).values(row | {"created_at": 0}))
        connection.execute(insert(schema.token_by_hash).values(hash=row["hash"], user_id=ana.id))

    await database.write(migrate)
    principal = await credentials.authenticate(old)
    assert principal is not None
    assert (principal.user_id, principal.scope) == (ana.id, TokenScope.ALL)
    await accounts.revoke_token(ana.id, TokenId(NOBODY))
    assert await credentials.authenticate(old) is None
    assert await rows_of(database, "token_by_hash") == 0


async def test_a_token_is_looked_up_once_and_then_only_checked_for_revocations(process: Process):
    ana = await process.accounts.create_user("Ana", PASSWORD, Role.MEMBER)
    secret, _ = await process.accounts.create_token(ana.id, "phone")
    for _ in range(5):
        await process.credentials.authenticate(secret)
    assert process.database.inline_reads == 2
    process.stopwatch.seconds += 0.9
    for _ in range(5):
        await process.credentials.authenticate(secret)
    assert process.database.inline_reads == 3


async def test_a_player_that_reports_every_ten_seconds_is_authenticated_without_waiting_on_sqlite(
    process: Process, database: Database
):
    ana = await process.accounts.create_user("Ana", PASSWORD, Role.MEMBER)
    secret, _ = await process.accounts.create_token(ana.id, "phone")
    assert process.credentials.known_principal(secret) is None
    principal = await process.credentials.authenticate(secret)
    assert process.credentials.known_principal(secret) == principal
    process.stopwatch.seconds += 10
    looked_up = process.database.inline_reads
    # On PostgreSQL the check for revocations is a round trip, which must not block the event loop.
    assert process.credentials.known_principal(secret) == (None if database.gathers_reads else principal)
    assert process.database.inline_reads == looked_up


async def test_a_token_that_expires_while_cached_identifies_nobody(process: Process):
    await process.accounts.create_user("Ana", PASSWORD, Role.MEMBER)
    session, _ = await process.sign_ins.sign_in("Ana", PASSWORD, HERE)
    assert await process.credentials.authenticate(session) is not None
    process.clock.advance(90 * DAY_MS)
    assert await process.credentials.authenticate(session) is None


@pytest.mark.parametrize(
    "change", ["token revoked", "user removed", "user demoted", "user renamed", "password changed"]
)
async def test_a_change_takes_effect_here_immediately_and_elsewhere_within_a_second(
    processes: tuple[Process, Process], change: str
):
    here, elsewhere = processes
    accounts = here.accounts
    await accounts.create_user("Keeper", PASSWORD, Role.ADMIN)
    await accounts.create_user("Ana", PASSWORD, Role.ADMIN)
    session, ana = await here.sign_ins.sign_in("Ana", PASSWORD, HERE)
    before = await here.credentials.authenticate(session)
    assert before is not None
    assert await elsewhere.credentials.authenticate(session) == before
    changes = {
        "token revoked": lambda: here.sign_ins.sign_out(before),
        "user removed": lambda: accounts.remove_user(ana.id),
        "user demoted": lambda: accounts.change_user(ana.id, role=Role.MEMBER),
        "user renamed": lambda: accounts.change_user(ana.id, name="Anna"),
        "password changed": lambda: accounts.change_user(ana.id, password="battery staple"),
    }
    after = {
        "user demoted": Principal(ana.id, "Ana", Role.MEMBER, before.token_kind, before.token_hash),
        "user renamed": Principal(ana.id, "Anna", Role.ADMIN, before.token_kind, before.token_hash),
    }.get(change)
    await changes[change]()
    assert await here.credentials.authenticate(session) == after
    elsewhere.stopwatch.seconds += 0.9
    assert elsewhere.credentials.known_principal(session) is None
    assert await elsewhere.credentials.authenticate(session) == after


async def test_a_look_up_during_a_revocation_is_not_cached(process: Process):
    ana = await process.accounts.create_user("Ana", PASSWORD, Role.MEMBER)
    secret, token = await process.accounts.create_token(ana.id, "phone")
    process.database.overtaken_by = lambda: process.accounts.revoke_token(ana.id, token.id)
    await process.credentials.authenticate(secret)
    assert await process.credentials.authenticate(secret) is None


async def test_of_too_many_tokens_the_most_recently_looked_up_stay_cached(
    process: Process, database: Database, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(credential_cache, "CREDENTIALS_MAX", 20)
    ana = await process.accounts.create_user("Ana", PASSWORD, Role.MEMBER)
    secrets = [form_token(ana.id, f"{number:032x}") for number in range(21)]
    today = process.clock.now - process.clock.now % DAY_MS
    rows = [
        {
            "hash": token_hash(secret),
            "id": str(uuid4()),
            "user_id": ana.id,
            "kind": "api",
            "scope": "all",
            "name": "phone",
        }
        | {"created_at": 0, "last_used_at": today}
        for secret in secrets
    ]
    await database.write(lambda connection: connection.execute(insert(schema.token), rows))
    for secret in secrets:
        await process.credentials.authenticate(secret)
    looked_up = process.database.inline_reads
    await process.credentials.authenticate(secrets[1])
    assert process.database.inline_reads == looked_up
    await process.credentials.authenticate(secrets[0])
    assert process.database.inline_reads == looked_up + 1
