"""Moving an installation to another database: all rows, compared, or none; in each direction between the engines."""

from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import apsw
import psycopg
import pytest
from sqlalchemy import Connection, Table, insert, select

from playhead.storage import schema
from playhead.storage.engine.database import StorageRefused
from playhead.storage.engine.postgres import PostgresDatabase
from playhead.storage.engine.sqlite import SQLiteDatabase
from playhead.storage.migrations import postgres as migrations
from playhead.storage.upkeep.checking import check_file, check_server
from playhead.storage.upkeep.moving import move
from postgres import Cluster
from world import stock_library

ANNA = "55555555-5555-4555-8555-555555555555"
MANY = 4500  # more than one chunk of a read
NAMES = ["anna", "Änne", "ärger", "a b", "zoë", "ʒ", "😀", "-", "_", "A", "a'b"]

_numbers = count(1)


def stock(connection: Connection) -> None:
    """Rows in every table, with the difficult cases: shows and their episodes, nulls, large numbers, any letters."""
    connection.execute(
        insert(schema.account).values(id=ANNA, name="Anna", role="admin", password_hash="-", created_at=1)
    )
    connection.execute(insert(schema.login), [{"name": name, "user_id": ANNA} for name in NAMES])
    connection.execute(insert(schema.credential_epoch).values(id=1, number=2**53))
    tokens = [{"hash": f"{number:064x}", "id": an_id(number), "name": "\t\\N", "user_id": ANNA} for number in range(50)]
    connection.execute(
        insert(schema.token), [each | {"kind": "api", "scope": "all", "created_at": 1} for each in tokens]
    )
    failures = [{"name": name, "address": "::1", "id": an_id(7), "failed_at": 1} for name in NAMES]
    connection.execute(insert(schema.sign_in_failure), failures)
    stock_library(connection, ANNA)
    file = {"id": an_id(1), "library_id": connection.scalar(select(schema.library.c.id).limit(1)), "path": "a/b.mkv"}
    sizes = {"size": 2**40, "mtime_ns": 2**62, "label": "", "evidence": "", "added_at": 1}
    connection.execute(insert(schema.media_file).values(file | sizes))
    item_id = connection.scalar(select(schema.item.c.id).limit(1))
    connection.execute(insert(schema.file_item).values(file_id=an_id(1), item_id=item_id))
    connection.execute(insert(schema.external_id).values(item_id=item_id, source="imdb", value="tt1"))
    connection.execute(insert(schema.alias).values(id=an_id(8), item_id=item_id, made_at=1))
    pinned = {"library_id": file["library_id"], "path": "ä/b.mkv", "told": "{}", "made_by": ANNA, "made_at": 1}
    connection.execute(insert(schema.identification).values(pinned | {"id": an_id(9)}))
    act = {"at": 1, "user_id": ANNA, "act": "merge", "subject": "Ümläut", "data": "{}"}
    connection.execute(insert(schema.audit).values(act | {"id": an_id(10)}))
    connection.execute(insert(schema.spelling).values(key="coper", word="cópper"))
    reported = {"user_id": ANNA, "position_ms": 1, "duration_ms": 5_400_000, "version": 1, "changed_at": 1}
    flags = {"watched": True, "armed": False, "completed_marked": False, "last_watched_at": 1}
    connection.execute(
        insert(schema.progress),
        [reported | flags | {"item_id": an_id(number), "device": f"line\n{number}"} for number in range(MANY)],
    )
    play = {"user_id": ANNA, "item_id": an_id(1), "id": an_id(2)}
    connection.execute(insert(schema.play).values(play | {"watched_at": None, "source": "marked"}))
    connection.execute(
        insert(schema.kept_position).values(play | {"position_ms": 1, "duration_ms": 5_400_000, "kept_at": 1})
    )
    connection.execute(insert(schema.list_state).values(user_id=ANNA, item_id=an_id(1), hidden_at=1))
    identity = {"issuer": "proxy", "subject": "anna", "id": an_id(3), "user_id": ANNA, "name": "Ännä"}
    connection.execute(insert(schema.identity).values(identity | {"linked_at": 1, "used_at": 2}))
    session = {"user_id": ANNA, "token_hash": "0" * 64, "id_token": "a.b.c", "created_at": 1}
    connection.execute(insert(schema.provider_session).values(session))
    connection.execute(insert(schema.token_by_hash).values(hash="4" * 64, user_id=ANNA))
    passkey = {"user_id": ANNA, "credential_id": "c", "id": an_id(5), "public_key": "k", "sign_count": 2**32 - 1}
    connection.execute(insert(schema.passkey).values(passkey | {"name": "Téléphone", "created_at": 1}))
    connection.execute(insert(schema.recovery_code).values(user_id=ANNA, hash="0" * 64, created_at=1))
    connection.execute(insert(schema.second_factor).values(user_id=ANNA, since=1))
    device = {
        "id": an_id(6),
        "hash": "2" * 64,
        "name": "Télé",
        "remembered_by": ANNA,
        "created_at": 1,
        "last_used_at": 1,
    }
    connection.execute(insert(schema.household_device).values(device))
    person = {"device_id": an_id(6), "user_id": ANNA, "allows_tap": True, "added_at": 1, "pin_failures": 0}
    connection.execute(insert(schema.household_person).values(person))
    tile = {"user_id": ANNA, "token_hash": "3" * 64, "device_id": an_id(6)}
    connection.execute(insert(schema.household_session).values(tile))
    connection.execute(insert(schema.pin).values(user_id=ANNA, hash="-", set_at=1))
    step = {"hash": "0" * 64, "kind": "openid", "address": "::1", "data": "{}", "created_at": 1, "expires_at": 2}
    connection.execute(insert(schema.sign_in_step).values(step))
    device = {"purpose": "native", "name": "Télé", "kind": "tv", "address": "::1", "sender": "::/64"}
    codes = {"hash": "0" * 64, "user_code_hash": "1" * 64, "created_at": 1, "expires_at": 2}
    connection.execute(insert(schema.device_code).values(device | codes))
    connection.execute(insert(schema.guess).values(subject="::1", id=an_id(4), made_at=1))


def an_id(number: int) -> str:
    return f"{number * 7919 % 65536:04x}0000-0000-4000-8000-{number:012}"


def read_all(connection: Connection) -> dict[str, list[tuple[Any, ...]]]:
    def rows(table: Table) -> list[tuple[Any, ...]]:
        return sorted((tuple(row) for row in connection.execute(select(table))), key=repr)

    return {table.name: rows(table) for table in schema.metadata.sorted_tables}


class Place:
    """A database on either engine, which does not exist before something creates it."""

    def __init__(self, place: Path | str) -> None:
        self.place = place

    def open(self) -> SQLiteDatabase | PostgresDatabase:
        return SQLiteDatabase(self.place) if isinstance(self.place, Path) else PostgresDatabase(self.place)

    def write(self, fn: Callable[[Connection], None]) -> None:
        database = self.open()
        database.write_blocking(fn)
        database.close_blocking()

    def rows(self) -> dict[str, list[tuple[Any, ...]]]:
        database = self.open()
        found = database.read_blocking(read_all)
        database.close_blocking()
        return found

    def faults(self) -> list[Any]:
        look = check_file if isinstance(self.place, Path) else check_server
        return [*look(self.place, lambda _done, _total: None)]

    def run(self, sql: str) -> None:
        if isinstance(self.place, Path):
            with closing(apsw.Connection(str(self.place))) as connection:
                connection.execute(sql)
        else:
            with psycopg.connect(self.place) as connection:
                connection.execute(sql.encode())


@pytest.fixture
def source(engine: str, database_path: Path, fresh: Callable[[], str]) -> Place:
    """A database with rows in every table."""
    place: Path | str = database_path
    if engine == "postgresql":
        place = fresh()
        migrations.upgrade(place)
    made = Place(place)
    made.write(stock)
    return made


@pytest.fixture
def fresh(cluster: Cluster) -> Iterator[Callable[[], str]]:
    """Creates empty PostgreSQL databases with a locale that sorts differently from SQLite."""
    made: list[str] = []

    def make() -> str:
        name = f"moving-{next(_numbers)}"
        made.append(name)
        cluster.run_sql(
            f'CREATE DATABASE "{name}" TEMPLATE template0 ENCODING UTF8 LOCALE_PROVIDER icu ICU_LOCALE "en-US"'
        )
        return cluster.url(name)

    yield make
    for name in made:
        cluster.run_sql(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(params=["sqlite", "postgresql"])
def target(request: pytest.FixtureRequest, tmp_path: Path, fresh: Callable[[], str]) -> Place:
    """An empty target."""
    return Place(tmp_path / "new" / "moved.db" if request.param == "sqlite" else fresh())


def silent(_done: int, _total: int) -> None:
    """Show no progress."""


def refusal(source: Place, target: Place) -> str:
    with pytest.raises(StorageRefused) as caught:
        move(source.place, target.place, silent)
    return str(caught.value)


def test_all_rows_are_moved_and_the_source_stays_unchanged(source: Place, target: Place):
    before = source.rows()
    assert all(before.values())
    shown: list[tuple[int, int]] = []
    moved = move(source.place, target.place, lambda done, total: shown.append((done, total)))
    if isinstance(target.place, Path):
        assert [entry.name for entry in target.place.parent.iterdir()] == ["moved.db"]
        assert target.place.stat().st_mode & 0o777 == 0o600
    assert moved == sum(map(len, before.values()))
    assert target.rows() == source.rows() == before
    assert target.faults() == source.faults()
    assert shown == sorted(shown)
    assert shown[-1] == (2 * moved, 2 * moved)


def test_a_copy_is_one_snapshot(source: Place, target: Place):
    before = source.rows()
    database = source.open()

    def write_meanwhile(done: int, _total: int) -> None:
        name = {"name": f"later {done}", "user_id": ANNA}
        database.write_blocking(lambda connection: connection.execute(insert(schema.login).values(name)) and None)

    move(source.place, target.place, write_meanwhile)
    database.close_blocking()
    assert target.rows() == before
    assert source.rows() != before


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_target_with_any_rows_is_refused_and_stays_unchanged(source: Place, target: Place):
    move(source.place, target.place, silent)
    target.run("DELETE FROM progress")
    before = target.rows()
    assert "Choose" in refusal(source, target)
    assert target.rows() == before


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_database_on_which_a_server_has_only_started_counts_as_empty(source: Place, fresh: Callable[[], str]):
    target = Place(fresh())
    migrations.upgrade(str(target.place))
    setup = {"hash": "0" * 64, "id": an_id(1), "user_id": an_id(2), "kind": "setup", "name": "", "created_at": 1}
    setup["scope"] = "all"
    target.write(lambda connection: connection.execute(insert(schema.token).values(setup)) and None)
    move(source.place, target.place, silent)
    assert target.rows() == source.rows()


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_source_with_another_schema_is_refused_and_no_target_is_created(source: Place, target: Place):
    source.run("UPDATE alembic_version SET version_num = '0001'")
    assert "db upgrade" in refusal(source, target)
    if isinstance(target.place, Path):
        assert not target.place.exists()


def test_a_missing_database_is_reported_without_a_password(target: Place, cluster: Cluster, tmp_path: Path):
    assert "no database" in refusal(Place(tmp_path / "nothing.db"), target)
    assert not (tmp_path / "nothing.db").exists()
    told = refusal(Place(f"postgresql://postgres:secret@127.0.0.1:{cluster.port}/nowhere"), target)
    assert "nowhere" in told
    assert "secret" not in told
    assert "not a Playhead database" in refusal(Place(cluster.url()), target)


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_row_that_the_other_engine_cannot_store_leaves_the_target_empty(source: Place, fresh: Callable[[], str]):
    source.write(
        lambda connection: connection.execute(insert(schema.login).values(name="nul\0", user_id=ANNA)) and None
    )
    target = Place(fresh())
    assert "cannot be copied" in refusal(source, target)
    assert not any(target.rows().values())


def test_a_row_that_differs_after_the_copy_is_reported_and_leaves_the_target_empty(
    source: Place, fresh: Callable[[], str]
):
    target = Place(fresh())
    migrations.upgrade(str(target.place))
    target.run(
        "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.position_ms = 2; RETURN NEW; END $$;"
        f"CREATE TRIGGER spoil BEFORE INSERT ON progress FOR EACH ROW WHEN (NEW.item_id = '{an_id(4321)}')"
        " EXECUTE FUNCTION spoil()"
    )
    told = refusal(source, target)
    assert f"user_id={ANNA}, item_id={an_id(4321)}" in told
    assert not any(target.rows().values())
