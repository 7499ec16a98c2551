"""A TCP proxy before a PostgreSQL server, which fails as networks do: connections end, break, or fall silent."""

import asyncio
import contextlib
import socket
import struct
import threading
from enum import StrEnum
from types import TracebackType
from typing import Self

_PIECE = 65536
_BREAK_OFF = struct.pack("ii", 1, 0)  # SO_LINGER with no time left: a reset


class Fault(StrEnum):
    DROP = "the connection is closed"
    RESET = "the connection is reset"
    STALL = "nothing passes any more, and nobody is told"


class Moment(StrEnum):
    """When a fault meets a connection; of the outcome of a commit the client knows nothing in both cases of one."""

    ANY = "at once, whatever the connection does"
    BEFORE_COMMIT = "when COMMIT is sent, which does not reach the server"
    AFTER_COMMIT = "when COMMIT has reached the server, before its answer"


class Proxy:
    """Passes connections on to `port` of the loopback interface, from its own `port`, on a thread beside.

    `strike` lets a fault meet every connection that is open, or each that commits next. New ones always pass.
    """

    def __init__(self, port: int) -> None:
        self._behind = port
        self.port = 0
        self.struck = 0
        self._armed: tuple[Fault, Moment] | None = None
        self._pairs: set[_Pair] = set()
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="proxy")

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    def strike(self, fault: Fault, moment: Moment) -> None:
        """Let the fault happen: once to all connections of now, or once to the next that commits."""
        self._loop.call_soon_threadsafe(self._strike, fault, moment)

    def _strike(self, fault: Fault, moment: Moment) -> None:
        if moment is not Moment.ANY:
            self._armed = (fault, moment)
            return
        for pair in list(self._pairs):
            self.struck += 1
            pair.meet(fault)

    def committing(self) -> tuple[Fault, Moment] | None:
        """Return what meets the connection that commits now, and be done with it."""
        armed, self._armed = self._armed, None
        self.struck += armed is not None
        return armed

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._stopping = asyncio.Event()
        server = await asyncio.start_server(self._pass, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stopping.wait()
        server.close()
        for pair in list(self._pairs):
            pair.meet(Fault.RESET)
        while self._pairs:  # noqa: ASYNC110 - each removes itself
            await asyncio.sleep(0.01)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            behind = await asyncio.open_connection("127.0.0.1", self._behind)
        except OSError:
            writer.transport.abort()
            return
        pair = _Pair(self, (reader, writer), behind)
        self._pairs.add(pair)
        try:
            await pair.run()
        finally:
            self._pairs.remove(pair)


_End = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Pair:
    """A connection of a client, and the one to the server that belongs to it."""

    def __init__(self, proxy: Proxy, client: _End, server: _End) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._passes = asyncio.Event()
        self._passes.set()

    async def run(self) -> None:
        passing = [asyncio.ensure_future(self._to_server()), asyncio.ensure_future(self._to_client())]
        await asyncio.wait(passing, return_when=asyncio.FIRST_COMPLETED)
        for each in passing:
            each.cancel()
        await asyncio.wait(passing)
        for _, writer in (self._client, self._server):
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def meet(self, fault: Fault) -> None:
        self._passes.clear()
        if fault is Fault.STALL:
            return
        for _, writer in (self._client, self._server):
            if fault is Fault.RESET:
                connection: socket.socket = writer.get_extra_info("socket")
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _BREAK_OFF)
            writer.transport.abort()

    async def _to_server(self) -> None:
        reader, writer = self._client[0], self._server[1]
        with contextlib.suppress(OSError):
            while piece := await reader.read(_PIECE):
                await self._passes.wait()
                struck = self._proxy.committing() if b"COMMIT" in piece else None
                if struck is not None:
                    fault, moment = struck
                    if moment is Moment.AFTER_COMMIT:
                        writer.write(piece)
                        await self._answer()
                    self.meet(fault)
                    await self._passes.wait()
                writer.write(piece)
                await writer.drain()

    async def _answer(self) -> None:
        """Wait until the server has answered, so that it has committed, and let nobody know."""
        self._passes.clear()
        self._answered = asyncio.Event()
        await self._answered.wait()

    async def _to_client(self) -> None:
        reader, writer = self._server[0], self._client[1]
        with contextlib.suppress(OSError):
            while piece := await reader.read(_PIECE):
                if not self._passes.is_set():
                    self._answered.set()
                await self._passes.wait()
                writer.write(piece)
                await writer.drain()
