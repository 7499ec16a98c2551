"""Messages between the processes on one PostgreSQL database by LISTEN and NOTIFY. Knows nothing of their content.

All use separate connections, outside of the pool and of every other transaction: transactions that notify commit one
at a time across the whole server. See docs/decisions/0019-live-changes.md and 0031-revocations-on-postgresql.md.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar, cast

import psycopg
from psycopg import AsyncConnection
from psycopg.abc import PQGen
from psycopg.sql import SQL, Identifier

from playhead.errors import unavailable
from playhead.storage.engine.postgres import parse_url

T = TypeVar("T")

log = logging.getLogger(__name__)

_CONNECT_TIMEOUT_S: Final = 5
_UNANSWERED_S: Final = 5  # a connection whose other end acknowledges nothing for three of these is given up
_SILENCE_S: Final = 5.0  # how long a connection may take to answer a probe
_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 2.0

_ARE_YOU_THERE: Final = SQL("SELECT 1")
_SEND: Final = SQL("SELECT pg_notify(%s, payload) FROM unnest(%s::text[]) AS payload")


class _Connection(AsyncConnection):
    """A connection that is closed if the server does not answer for `silence_s`."""

    silence_s = _SILENCE_S

    async def wait(
        self,
        gen: PQGen[T],
        interval: float = _SILENCE_S,
        timeout: float | None = None,  # noqa: ASYNC109 - psycopg's
    ) -> T:
        """Wait for the server's answer. Raises OperationalError on a timeout.

        psycopg's own `interval`, 0.1 s, is for noticing Ctrl-C, which asyncio does by itself: on an idle server those
        ten wake-ups a second cost more than everything else.
        """
        try:
            return await super().wait(gen, interval, self.silence_s if timeout is None else timeout)
        except psycopg.OperationalError as error:
            if timeout is None and error.sqlstate is None:
                self.pgconn.finish()
            raise


class PostgresNotifier:
    """One channel of a database. Connects on first use, and reconnects.

    A listener cannot tell an idle channel from a dead connection; so after `silence_s` without messages it sends a
    query and waits as long for the answer. `bytes_max` is the longest message. Source: PostgreSQL's documentation of
    NOTIFY.
    """

    bytes_max = 7999

    def __init__(self, url: str, channel: str, *, silence_s: float = _SILENCE_S) -> None:
        self._silence_s = silence_s
        self._url = parse_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        self._channel = channel
        self._sending: _Connection | None = None

    async def notify(self, texts: Sequence[str]) -> None:
        """Send messages to all listeners, including this process: all or none.

        Raises UNAVAILABLE if that failed or may have failed.
        """
        try:
            if self._sending is None:
                self._sending = await self._connect()
            await self._sending.execute(_SEND, (self._channel, [*texts]), prepare=True)
        except psycopg.Error as error:
            await self.close()
            raise unavailable() from error

    async def listen(self, heard: Callable[[str], None], connected: Callable[[], None]) -> None:
        """Deliver each message until cancelled. `connected` is called whenever listening starts.

        Messages sent before that moment are missed.
        """

        async def deliver(connection: _Connection) -> None:
            connected()
            while True:
                async for notification in connection.notifies(timeout=self._silence_s):
                    heard(notification.payload)
                await connection.execute(_ARE_YOU_THERE)

        await self._keep_listening(deliver)

    async def watch(
        self, query: str, period_s: float, begin: Callable[[], T | None], seen: Callable[[int, T], None]
    ) -> None:
        """Read a number every `period_s`, and as soon as a message comes, until cancelled.

        `begin` is called before each reading, which is left out if it returns None. `seen` gets the number, 0 if there
        is no row, and what `begin` returned. Nothing is called while the server cannot be reached.
        """
        statement = SQL(cast("Any", query))

        async def look(connection: _Connection) -> None:
            while True:
                begun = begin()
                if begun is not None:
                    row = await (await connection.execute(statement, prepare=True)).fetchone()
                    seen(0 if row is None else int(row[0]), begun)
                async for _ in connection.notifies(timeout=period_s, stop_after=1):
                    pass

        await self._keep_listening(look)

    async def close(self) -> None:
        """Close the sending connection; idempotent."""
        connection, self._sending = self._sending, None
        if connection is not None:
            await connection.close()

    async def _keep_listening(self, attend: Callable[[_Connection], Awaitable[None]]) -> None:
        """Run `attend` with a connection that listens, and again with a new one whenever that fails."""
        pause = _FIRST_PAUSE_S
        while True:
            try:
                async with await self._connect() as connection:
                    await connection.execute(SQL("LISTEN {}").format(Identifier(self._channel)))
                    pause = _FIRST_PAUSE_S
                    await attend(connection)
            except psycopg.Error as error:
                log.info("Notifications on %s are not received at the moment: %s", self._channel, error)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    async def _connect(self) -> _Connection:
        connection = await _Connection.connect(
            self._url,
            autocommit=True,
            connect_timeout=_CONNECT_TIMEOUT_S,
            application_name="playhead events",
            keepalives_idle=_UNANSWERED_S,
            keepalives_interval=_UNANSWERED_S,
            keepalives_count=2,
            tcp_user_timeout=3 * _UNANSWERED_S * 1000,
            client_encoding="utf8",
        )
        connection.silence_s = self._silence_s
        return connection
