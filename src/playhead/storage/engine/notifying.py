"""Texts between the processes on one PostgreSQL database: LISTEN and NOTIFY. Knows nothing of what they say.

Both have a connection of their own, outside the pool and outside every other transaction: transactions that notify
commit one after the other, throughout the server. See docs/decisions/0019-live-changes.md.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

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
_SILENCE_S: Final = 5.0  # one is asked whether it still works; so long it may take to say so
_LOOK_FOR_SIGNALS_S: Final = 0.1  # psycopg's own default
_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 2.0

_ARE_YOU_THERE: Final = SQL("SELECT 1")
_SEND: Final = SQL("SELECT pg_notify(%s, payload) FROM unnest(%s::text[]) AS payload")


class _Connection(AsyncConnection):
    """A connection that is closed where the server owes an answer, and is silent for `silence_s`."""

    silence_s = _SILENCE_S

    async def wait(
        self,
        gen: PQGen[T],
        interval: float = _LOOK_FOR_SIGNALS_S,
        timeout: float | None = None,  # noqa: ASYNC109 - psycopg's
    ) -> T:
        """Wait for what the server answers. Raises OperationalError where it does not in time."""
        try:
            return await super().wait(gen, interval, self.silence_s if timeout is None else timeout)
        except psycopg.OperationalError as error:
            if timeout is None and error.sqlstate is None:
                self.pgconn.finish()
            raise


class PostgresNotifier:
    """One channel of a database. Connects when it is used, and again when a connection was lost.

    Whoever listens hears nothing where all is well and nothing is sent, and where the wire has fallen silent; so it
    asks, after `silence_s` in which it heard nothing, and waits as long for the answer. `bytes_max` is how long a text
    may be. Source: PostgreSQL's documentation of NOTIFY.
    """

    bytes_max = 7999

    def __init__(self, url: str, channel: str, *, silence_s: float = _SILENCE_S) -> None:
        self._silence_s = silence_s
        self._url = parse_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        self._channel = channel
        self._sending: _Connection | None = None

    async def notify(self, texts: Sequence[str]) -> None:
        """Send texts to all that listen, this process too: all of them or none.

        Raises UNAVAILABLE where that failed, or may have.
        """
        try:
            if self._sending is None:
                self._sending = await self._connect()
            await self._sending.execute(_SEND, (self._channel, [*texts]), prepare=True)
        except psycopg.Error as error:
            await self.close()
            raise unavailable() from error

    async def listen(self, heard: Callable[[str], None], connected: Callable[[], None]) -> None:
        """Hand on each text that is sent, until cancelled. `connected` is called each time that listening begins.

        What was sent before that moment was not heard.
        """
        pause = _FIRST_PAUSE_S
        while True:
            try:
                async with await self._connect() as connection:
                    await connection.execute(SQL("LISTEN {}").format(Identifier(self._channel)))
                    connected()
                    pause = _FIRST_PAUSE_S
                    while True:
                        async for notification in connection.notifies(timeout=self._silence_s):
                            heard(notification.payload)
                        await connection.execute(_ARE_YOU_THERE)
            except psycopg.Error as error:
                log.info("Changes of other processes are not heard just now: %s", error)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    async def close(self) -> None:
        """Let go of the connection that sends; idempotent."""
        connection, self._sending = self._sending, None
        if connection is not None:
            await connection.close()

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
