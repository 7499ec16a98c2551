"""SQLAlchemy's SQLite dialect over apsw. `engine/sqlite.py` registers it as `sqlite+apsw`."""

from typing import Any, cast

from sqlalchemy import URL, Pool
from sqlalchemy.dialects.sqlite.base import SQLiteDialect
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import QueuePool, SingletonThreadPool

from playhead.storage.engine import apsw_dbapi


class ApswDialect(SQLiteDialect):
    """SQLAlchemy's SQLite over apsw: `sqlite+apsw:///relative/path` or `sqlite+apsw:////absolute/path`."""

    driver = "apsw"
    default_paramstyle = "qmark"
    supports_statement_cache = True
    returns_native_bytes = True

    @classmethod
    def import_dbapi(cls) -> Any:  # noqa: ANN401 - the base's protocol asks for __getattr__, which modules lack
        """Return the DB-API module."""
        return apsw_dbapi

    @classmethod
    def get_pool_class(cls, url: URL) -> type[Pool]:
        """Return a pool of connections for a file; a database in memory lasts only as long as its connection."""
        return SingletonThreadPool if url.database in (None, "", ":memory:") else QueuePool

    def create_connect_args(self, url: URL) -> tuple[list[Any], dict[str, Any]]:
        """Translate the URL to the arguments of `apsw_dbapi.connect`. Raises ArgumentError for meaningless parts."""
        if url.host or url.username or url.query:
            raise ArgumentError("sqlite+apsw takes a path and nothing else: sqlite+apsw:////absolute/path")
        return [url.database or ":memory:"], {}

    def do_begin(self, dbapi_connection: Any) -> None:  # noqa: ANN401 - SQLAlchemy's type has no begin
        """Begin for real: other DB-API drivers begin implicitly, this one explicitly."""
        cast("apsw_dbapi.Connection", dbapi_connection).begin()

    def set_isolation_level(self, dbapi_connection: Any, level: Any) -> None:  # noqa: ANN401
        """Set 'AUTOCOMMIT', or SQLite's own 'SERIALIZABLE' or 'READ UNCOMMITTED'."""
        connection = cast("apsw_dbapi.Connection", dbapi_connection)
        connection.begin_mode = None if level == "AUTOCOMMIT" else connection.begin_mode or "DEFERRED"
        if level != "AUTOCOMMIT":
            super().set_isolation_level(dbapi_connection, level)

    def get_isolation_level_values(self, dbapi_connection: Any) -> list[Any]:  # noqa: ANN401, ARG002
        """Return the levels that `set_isolation_level` takes."""
        return ["SERIALIZABLE", "READ UNCOMMITTED", "AUTOCOMMIT"]

    def detect_autocommit_setting(self, dbapi_conn: Any) -> bool:  # noqa: ANN401
        """Return whether every statement commits on its own."""
        return cast("apsw_dbapi.Connection", dbapi_conn).begin_mode is None

    def _get_server_version_info(self, connection: Any) -> tuple[int, ...]:  # noqa: ANN401, ARG002
        return apsw_dbapi.sqlite_version_info

    def retrieve_dbapi_version(self, dbapi: Any) -> Any:  # noqa: ANN401, ARG002
        """Return apsw's version."""
        return apsw_dbapi.version_info
