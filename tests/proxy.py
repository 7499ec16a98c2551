"""A TCP proxy in front of a PostgreSQL server that fails as networks do: connections close, reset, or go silent."""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from enum import StrEnum
from types import TracebackType
from typing import Self

_PIECE = 65536
_BREAK_OFF = struct.pack("ii", 1, 0)  # SO_LINGER with a timeout of 0: a reset


class Fault(StrEnum):
    DROP = "the connection is closed"
    RESET = "the connection is reset"
    STALL = "nothing passes any more, and nobody is told"


class Moment(StrEnum):
    """When a fault occurs; during a commit, the client does not learn its outcome in either case."""

    ANY = "at once, whatever the connection does"
    BEFORE_COMMIT = "when COMMIT is sent, which does not reach the server"
    AFTER_COMMIT = "when COMMIT has been done by the server, before its answer"


class Proxy:
    """Forwards connections from its own `port` to `port` of the loopback interface, on a thread.

    `strike` makes a fault hit every open connection, or the next one that commits; new connections pass. Between `cut`
    and `mend` nothing passes, on new connections either. `struck` counts the connections that were hit.
    """

    def __init__(self, port: int) -> None:
        self._behind = port
        self.port = 0
        self.struck = 0
        self._armed: tuple[Fault, Moment] | None = None
        self._is_cut = False
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
        self._do(self._stopping.set)
        self._thread.join()

    def strike(self, fault: Fault, moment: Moment) -> None:
        """Cause the fault: on all open connections now, or on the next one that commits."""
        if moment is Moment.ANY:
            self._do(lambda: self._meet_all(fault))
        else:
            self._armed = (fault, moment)

    def cut(self) -> None:
        """Make all connections go silent, including those that are opened from now on."""
        self._is_cut = True
        self._do(lambda: self._meet_all(Fault.STALL))

    def mend(self) -> None:
        """Let new connections pass again."""
        self._is_cut = False

    def committing(self) -> tuple[Fault, Moment] | None:
        """Return the fault for the connection that commits now, and clear it."""
        armed, self._armed = self._armed, None
        self.struck += armed is not None
        return armed

    def _do(self, act: Callable[[], None]) -> None:
        self._loop.call_soon_threadsafe(act)

    def _meet_all(self, fault: Fault) -> None:
        self.struck += len(self._pairs)
        for pair in list(self._pairs):
            pair.meet(fault)

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
        while self._pairs:  # each removes itself
            self._meet_all(Fault.RESET)
            await asyncio.sleep(0.01)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            behind = await asyncio.open_connection("127.0.0.1", self._behind)
        except OSError:
            writer.transport.abort()
            return
        pair = _Pair(self, (reader, writer), behind)
        self._pairs.add(pair)
        if self._is_cut:
            pair.meet(Fault.STALL)
        try:
            await pair.run()
        finally:
            self._pairs.remove(pair)


_End = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Pair:
    """A client's connection, and the matching one to the server.

    Once silent it stays so, whatever its ends do: neither end learns that the other has closed it.
    """

    def __init__(self, proxy: Proxy, client: _End, server: _End) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._passes = asyncio.Event()
        self._passes.set()
        self._is_broken = asyncio.Event()
        self._awaited: asyncio.Event | None = None

    async def run(self) -> None:
        ways = (self._to_server(), self._to_client(), self._is_broken.wait())
        passing = [asyncio.ensure_future(way) for way in ways]
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
        if fault is Fault.STALL or self._is_broken.is_set():
            return
        for _, writer in (self._client, self._server):
            if fault is Fault.RESET:
                connection: socket.socket = writer.get_extra_info("socket")
                with contextlib.suppress(OSError):  # it is closed already
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _BREAK_OFF)
            writer.transport.abort()
        self._is_broken.set()

    async def _to_server(self) -> None:
        reader, writer = self._client[0], self._server[1]
        with contextlib.suppress(OSError):
            while piece := await reader.read(_PIECE):
                await self._passes.wait()
                struck = self._proxy.committing() if b"COMMIT" in piece else None
                if struck is not None:
                    await self._strike(*struck, piece)
                writer.write(piece)
                await writer.drain()
            await self._passes.wait()

    async def _strike(self, fault: Fault, moment: Moment, piece: bytes) -> None:
        """Cause a fault on a committing connection. Returns only when it is cancelled."""
        if moment is Moment.AFTER_COMMIT:
            self._passes.clear()  # discard the answer
            self._awaited = asyncio.Event()
            self._server[1].write(piece)
            await self._awaited.wait()
        self.meet(fault)
        await self._passes.wait()

    async def _to_client(self) -> None:
        reader, writer = self._server[0], self._client[1]
        with contextlib.suppress(OSError):
            while piece := await reader.read(_PIECE):
                if self._awaited is not None:
                    self._awaited.set()
                await self._passes.wait()
                writer.write(piece)
                await writer.drain()
            await self._passes.wait()
