"""A signal to the other processes on a database, sent with the commit of a transaction; received by `notifying`."""

from sqlalchemy import Connection, func, select


def signal_commit(connection: Connection, channel: str) -> None:
    """Let everybody who listens on a channel of PostgreSQL know when this transaction has been committed.

    Transactions that do so commit one at a time, so only rare ones may. Nothing happens on SQLite, where looking for a
    change costs no round trip.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_notify(channel, "")))
