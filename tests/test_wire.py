"""The transport that joins what is written in one turn of the loop."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from playhead.wire import JoiningTransport


class Socket(asyncio.Transport):
    """Remembers what was written to it, and whether it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: Any) -> None:  # noqa: ANN401 - as the parent has it
        self.written.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


def with_transport(scenario: Callable[[Socket, JoiningTransport], Awaitable[None]]) -> None:
    async def run() -> None:
        socket = Socket()
        await scenario(socket, JoiningTransport(socket, asyncio.get_running_loop()))

    asyncio.run(run())


def test_head_and_body_of_one_turn_leave_in_one_piece():
    async def scenario(socket: Socket, transport: JoiningTransport) -> None:
        transport.write(b"head ")
        transport.write(b"body")
        assert socket.written == []
        await asyncio.sleep(0)
        assert socket.written == [b"head body"]
        transport.write(b"next")
        await asyncio.sleep(0)
        assert socket.written == [b"head body", b"next"]

    with_transport(scenario)


def test_a_large_part_leaves_at_once_behind_what_was_kept():
    async def scenario(socket: Socket, transport: JoiningTransport) -> None:
        large = b"x" * 20_000
        transport.write(b"head")
        transport.write(large)
        assert socket.written == [b"head" + large]
        await asyncio.sleep(0)
        assert socket.written == [b"head" + large]

    with_transport(scenario)


def test_closing_sends_what_was_kept_and_aborting_does_not():
    async def scenario(socket: Socket, transport: JoiningTransport) -> None:
        transport.write(b"last words")
        transport.close()
        assert socket.written == [b"last words"]
        assert transport.is_closing()

        other = Socket()
        aborted = JoiningTransport(other, asyncio.get_running_loop())
        aborted.write(b"lost")
        aborted.abort()
        await asyncio.sleep(0)
        assert other.written == []
        assert other.closed

    with_transport(scenario)
