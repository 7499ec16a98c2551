"""Clients that save, and a ledger of the answers: no acknowledged save may be lost, or take effect twice.

Each client has its own movie, and sends one numbered report after another. The observation time encodes the number, so
that the stored state says how many took effect; every eighth report completes the movie and adds a play, so that the
plays say how often each took effect. A report without an answer, or with a 503, is sent again.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import msgspec
from sqlalchemy import Connection, insert

from playhead.bootstrap import open_installation
from playhead.config import Settings
from playhead.domain.model import Role, instant_of
from playhead.storage import schema
from world import LIBRARY, insert_items

CLIENTS = 16
MOVIES = [f"00000000-0000-4000-8000-{number:012}" for number in range(CLIENTS)]

_BEGIN = datetime(2001, 1, 1, tzinfo=UTC)
_STEP = timedelta(minutes=10)
_DURATION_S = 600
_COMPLETES_EVERY = 8

_ANSWERS_WITHIN_S = 60
_PAUSE_S = 0.02


def stock(settings: Settings, movies: Iterable[str] = MOVIES) -> str:
    """Create an installation with these movies and an admin, and return the admin's token."""

    def add(connection: Connection) -> None:
        library = {"id": LIBRARY, "name": "Films", "kind": "movies", "created_at": 0}
        connection.execute(insert(schema.library), [library])
        movie = {
            "library_id": LIBRARY,
            "kind": "movie",
            "title": "",
            "sort_title": "",
            "search_title": "",
            "added_at": 1,
        }
        insert_items(connection, [movie | {"id": each, "identity": each} for each in movies])

    async def make() -> str:
        async with open_installation(settings, on_failure=lambda _: None) as installation:
            await installation.database.write(add)
            user = await installation.accounts.create_user("anna", "correct horse", Role.ADMIN)
            return (await installation.accounts.create_token(user.id, "tests")).secret

    return asyncio.run(make())


def observed_at(number: int) -> datetime:
    """The observation time of the report with this number."""
    return _BEGIN + number * _STEP


def completes(number: int) -> bool:
    """Whether the report with this number adds a play."""
    return number % _COMPLETES_EVERY == 0


def report(number: int) -> bytes:
    """Return the body of the report with this number."""
    position_s = _DURATION_S if completes(number) else number % _COMPLETES_EVERY
    return msgspec.json.encode(
        {"position_seconds": position_s, "duration_seconds": _DURATION_S, "observed_at": observed_at(number)}
    )


class Line:
    """A keep-alive connection that sends one request after another."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, token: str) -> None:
        self._reader = reader
        self._writer = writer
        self._head = f"Host: playhead.test\r\nAuthorization: Bearer {token}\r\n"
        self.is_ending = False  # the server has announced that it closes the connection

    @classmethod
    async def open(cls, url: str, token: str) -> "Line":
        address = urlsplit(url)
        return cls(*await asyncio.open_connection(address.hostname, address.port), token)

    async def ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, Any]:
        """Return status and body, None if it is empty. Raises OSError or EOFError if there is no answer."""
        head = f"{method} {path} HTTP/1.1\r\n{self._head}"
        if body:
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        async with asyncio.timeout(_ANSWERS_WITHIN_S):
            self._writer.write(f"{head}\r\n".encode() + body)
            answer = await self._reader.readuntil(b"\r\n\r\n")
            self.is_ending = b"\r\nconnection: close\r\n" in answer.lower()
            length = int(answer.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            body = await self._reader.readexactly(length)
            return int(answer.split()[1]), msgspec.json.decode(body) if body else None

    def close(self) -> None:
        self._writer.close()


def _path(movie: str) -> str:
    return f"/api/v1/playback/movie/{movie}"


class Ledger:
    """What the clients have sent and received: the number of the newest report of each movie.

    `saved` and `refused` count the answers, `others` those that are neither. `saved_after_refusal` counts successful
    saves that were sent after any save had been refused. `longest_s` is the time of the slowest answer.
    """

    def __init__(self, token: str, movies: Iterable[str] = MOVIES) -> None:
        self.sent = dict.fromkeys(movies, 0)
        self.acknowledged = dict(self.sent)
        self.saved = 0
        self.refused = 0
        self.unanswered = 0
        self.saved_after_refusal = 0
        self.longest_s = 0.0
        self.others: list[tuple[int, Any]] = []
        self._token = token

    def save_during(self, url: str, act: Callable[[], object]) -> None:
        """Save as fast as answers arrive, until `act`, which runs on another thread, has returned."""
        asyncio.run(self._save_during(url, act))

    async def _save_during(self, url: str, act: Callable[[], object]) -> None:
        acting = asyncio.ensure_future(asyncio.to_thread(act))
        async with asyncio.TaskGroup() as clients:
            for movie in self.sent:
                clients.create_task(self._save(url, movie, acting))
        await acting

    async def _save(self, url: str, movie: str, acting: "asyncio.Future[object]") -> None:
        line: Line | None = None
        while not acting.done():
            number = self.acknowledged[movie] + 1
            self.sent[movie] = number
            refused = self.refused
            began_s = time.monotonic()
            try:
                line = line or await Line.open(url, self._token)
                status, answer = await line.ask("POST", _path(movie), report(number))
            except (OSError, EOFError):
                self.unanswered += 1
                if line is not None:
                    line.close()
                line = None
                await asyncio.sleep(_PAUSE_S)
                continue
            self.longest_s = max(self.longest_s, time.monotonic() - began_s)
            if line.is_ending:
                line.close()
                line = None
            if status == HTTPStatus.OK and number_of(answer) == number:
                self.saved += 1
                self.saved_after_refusal += bool(refused)
                self.acknowledged[movie] = number
            elif status == HTTPStatus.SERVICE_UNAVAILABLE:
                self.refused += 1
                await asyncio.sleep(_PAUSE_S)
            else:
                self.others.append((status, answer))
                return
        if line is not None:
            line.close()

    def compare(self, url: str) -> None:
        """Read each movie: what was acknowledged is stored, and at most one more, whose answer was lost."""
        asyncio.run(self._compare(url))

    async def _compare(self, url: str) -> None:
        assert self.others == []
        line = await Line.open(url, self._token)
        for movie, acknowledged in self.acknowledged.items():
            status, answer = await line.ask("GET", _path(movie))
            assert status == HTTPStatus.OK, answer
            stored = number_of(answer)
            assert acknowledged <= stored <= self.sent[movie], f"{movie}: {acknowledged=} {stored=}"
            assert answer["position_seconds"] == msgspec.json.decode(report(stored))["position_seconds"] or not stored
            self.acknowledged[movie] = max(stored, self.acknowledged[movie])
        line.close()

    def compare_plays(self, rows: Iterable[tuple[Any, ...]]) -> None:
        """Check all rows (item, time) of `play`: each completing report has added one, and none has added two."""
        expected = [
            (movie, instant_of(observed_at(number)))
            for movie, stored in self.acknowledged.items()
            for number in range(1, stored + 1)
            if completes(number)
        ]
        assert sorted((str(movie), at) for movie, at in rows) == sorted(expected)


def number_of(answer: Any) -> int:  # noqa: ANN401 - JSON
    """Return the number of the report that an answer shows; 0 if nothing is stored."""
    with contextlib.suppress(KeyError):
        at = datetime.fromisoformat(answer["last_watched_at"])
        return round((at - _BEGIN) / _STEP)
    return 0
