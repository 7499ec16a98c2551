"""Upgrades a PostgreSQL database to this program's schema in one transaction, or refuses. See `upgrade.py`."""

from sqlalchemy import Connection, bindparam, func, inspect, select, text
from sqlalchemy.exc import DBAPIError

from playhead.storage.engine.database import StorageRefused
from playhead.storage.engine.postgres import described, make_engine, reason
from playhead.storage.migrations.upgrade import Migrations, Upgrade, log, migrate, require_known

# A migration holds this advisory lock until its transaction ends. The number only has to be unused otherwise.
_MIGRATING = 7_329_004_411

# How long a process waits for another one's migration, and a migration for transactions that use a table: all others
# queue behind it meanwhile.
_PATIENCE_S = 120
_IN_THE_WAY_S = 10

OLDEST_MAJOR = 13
"""ON CONFLICT, RETURNING and UUID functions are older; versions before it get no more fixes from PostgreSQL."""


def upgrade(url: str, *, migrations: Migrations | None = None) -> Upgrade:
    """Upgrade the database at `url`; an empty one gets its tables.

    Everything happens in one transaction under an advisory lock: a failure leaves the database as it was, and of two
    processes one migrates and the other waits. Idempotent. There is no backup: pg_dump makes one. Blocks. Raises
    StorageRefused for a database that is newer, foreign or unreachable, and for a server that is too old.
    """
    migrations = migrations or Migrations()
    engine = make_engine(url)
    try:
        with engine.connect() as connection, connection.begin():
            if _revision(connection, url) == migrations.head:
                return Upgrade(migrations.head, migrations.head, None)
            # Migrating a large table takes long, and so does waiting for another process that does.
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
            connection.execute(text(f"SET LOCAL lock_timeout = '{_PATIENCE_S}s'"))
            connection.execute(select(func.pg_advisory_xact_lock(bindparam("lock", _MIGRATING))))
            before = _revision(connection, url)  # again: another process may have migrated while this one waited
            if before != migrations.head:
                if before is not None:
                    require_known(described(url), before, migrations)
                    log.info("Upgrading the database from schema %s to %s", before, migrations.head)
                connection.execute(text(f"SET LOCAL lock_timeout = '{_IN_THE_WAY_S}s'"))
                migrate(connection, migrations)
        if before not in {None, migrations.head}:
            log.info("The database has been upgraded to schema %s", migrations.head)
        return Upgrade(before, migrations.head, None)
    except DBAPIError as error:
        raise StorageRefused(f"The database {described(url)} cannot be used: {reason(error)}") from error
    finally:
        engine.dispose()


def _revision(connection: Connection, url: str) -> str | None:
    """Return the revision of the schema, or None for an empty database. Raises StorageRefused for any other."""
    major = int((connection.dialect.server_version_info or (0,))[0])
    if major < OLDEST_MAJOR:
        raise StorageRefused(f"PostgreSQL {major} is too old for Playhead: it needs {OLDEST_MAJOR} or newer.")
    tables = set(inspect(connection).get_table_names())
    if not tables:
        return None
    if tables >= {"alembic_version", "account", "progress"}:
        revisions = connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all()
        if len(revisions) == 1:
            return str(revisions[0])
    raise StorageRefused(f"{described(url)} is not a Playhead database. Choose a database of its own.")
