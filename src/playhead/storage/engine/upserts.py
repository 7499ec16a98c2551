"""INSERT with ON CONFLICT, which SQLAlchemy offers per dialect only; SQLite and PostgreSQL share the syntax."""

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def insert_for(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """Return an INSERT into a table, for the connection's engine, that can be given an ON CONFLICT clause."""
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)
