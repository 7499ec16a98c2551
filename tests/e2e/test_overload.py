"""Thousands of connections over capacity: the excess is refused immediately, and the rest is kept and answered."""

import asyncio
import resource
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from urllib.parse import urlsplit

import apsw
import pytest

from playhead.storage.engine.sqlite import SQLiteDatabase
from server import PATIENCE_S, Server
from world import MOVIE, stock_library

ROOM = 2048
TOO_MANY = 200

REPORT = b'{"position_seconds": 60, "duration_seconds": 5400}'


@pytest.fixture
def token(server: Server) -> str:
    made = server.add_user("anna")
    database = SQLiteDatabase(server.data / "playhead.db")
    database.write_blocking(lambda connection: stock_library(connection, None))
    database.close_blocking()
    server.start()
    return made


@pytest.fixture(autouse=True)
def many_files() -> None:
    """The test needs as many files as it opens connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 3 * ROOM)), hard))


@dataclass
class Line:
    """A connection that sends one request after another."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, method: str, path: str, token: str, body: bytes = b"") -> None:
        head = f"{method} {path} HTTP/1.1\r\nHost: playhead.test\r\nAuthorization: Bearer {token}\r\n"
        length = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if body else ""
        self.writer.write(f"{head}{length}\r\n".encode() + body)

    async def answer(self) -> tuple[int, bytes, bytes]:
        """Return status, head and body."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        return int(head.split()[1]), head, await self.reader.readexactly(length)

    async def ask(self, method: str, path: str, token: str = "") -> tuple[int, bytes]:
        self.send(method, path, token)
        status, _, body = await self.answer()
        return status, body


async def connect(server: Server, how_many: int) -> list[Line]:
    address = urlsplit(server.url)
    return [Line(*await asyncio.open_connection(address.hostname, address.port)) for _ in range(how_many)]


async def answers(lines: Sequence[Line]) -> list[tuple[int, bytes, bytes]]:
    return list(await asyncio.wait_for(asyncio.gather(*(line.answer() for line in lines)), PATIENCE_S))


async def wait_until_full(probe: Line) -> None:
    full = f'playhead_queue_depth{{queue="saves"}} {ROOM}.0\n'.encode()
    async with asyncio.timeout(PATIENCE_S):
        while full not in (await probe.ask("GET", "/metrics"))[1]:
            pass


async def overload(server: Server, token: str) -> None:
    path = f"/api/v1/playback/movie/{MOVIE}"
    fitting, excess, [probe] = [await connect(server, how_many) for how_many in (ROOM, TOO_MANY, 1)]
    assert (await probe.ask("GET", path, token))[0] == 200  # records the token's use of today, which is a write
    with closing(apsw.Connection(str(server.data / "playhead.db"))) as other:
        other.execute("BEGIN IMMEDIATE")  # the store is blocked, so nothing that waits can finish
        for line in fitting:
            line.send("POST", path, token, REPORT)
        await wait_until_full(probe)
        for line in excess:
            line.send("POST", path, token, REPORT)
        for status, head, body in await answers(excess):
            assert status == 503
            assert b"retry-after: 1\r\n" in head
            assert b"connection: close\r\n" in head
            assert b'"error":"Service unavailable"' in body
        assert (await probe.ask("GET", "/livez"))[0] == 200
        assert (await probe.ask("GET", path, token))[0] == 200
        assert (
            f'playhead_refused_total{{queue="saves"}} {TOO_MANY}.0'.encode() in (await probe.ask("GET", "/metrics"))[1]
        )
        other.execute("ROLLBACK")
    assert {status for status, _, _ in await answers(fitting)} == {200}
    for line in excess:
        assert await line.reader.read() == b""
        line.writer.close()
    excess = await connect(server, TOO_MANY)  # there is room again
    for line in excess:
        line.send("POST", path, token, REPORT)
    assert {status for status, _, _ in await answers(excess)} == {200}
    for line in (*fitting, *excess, probe):
        line.writer.close()
        await line.writer.wait_closed()


def test_the_excess_is_refused_while_the_rest_waits_and_is_served(server: Server, token: str):
    asyncio.run(overload(server, token))
    assert server.stop() == 0
    assert "Traceback" not in server.printed()
