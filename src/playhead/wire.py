"""How answers reach the socket: what is written in one turn of the event loop leaves in one piece."""

import asyncio
from typing import Any, Final, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# A part of a film is large enough to be sent by itself.
_SEND_AT_ONCE: Final = 16 * 1024


class OneWriteProtocol(HttpToolsProtocol):
    """Uvicorn's protocol, which writes the head and the body of an answer apart: two system calls and two packets.

    Joined, a read costs a fifth less of the server's processor time (docs/benchmarks.md).
    """

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Begin with a transport that joins."""
        super().connection_made(JoiningTransport(transport, self.loop))


class JoiningTransport(asyncio.Transport):
    """Hands to `transport`, at the end of a turn of the loop, all that was written in it."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._waiting: list[bytes] = []
        # These are asked for at every request, and need nothing from here.
        self.get_extra_info = transport.get_extra_info
        self.is_closing = transport.is_closing
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading
        self.set_protocol = transport.set_protocol

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep what is small until the end of the turn; send what is large, after what was kept."""
        if not self._waiting and len(data) < _SEND_AT_ONCE:
            self._loop.call_soon(self._flush)
        self._waiting.append(cast("bytes", data))
        if len(data) >= _SEND_AT_ONCE:
            self._flush()

    def close(self) -> None:
        """Send what was kept, then close."""
        self._flush()
        self._transport.close()

    def abort(self) -> None:
        """Close at once; what was kept is lost."""
        self._waiting.clear()
        self._transport.abort()

    def _flush(self) -> None:
        if self._waiting:
            data = b"".join(self._waiting)
            self._waiting.clear()
            self._transport.write(data)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever else a transport has
        return getattr(self._transport, name)
