"""A device that listens to live changes, in process. It speaks ASGI itself, because the response never ends."""

import asyncio
import json
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from starlette.types import ASGIApp, Message, Scope

WITHIN_S = 60.0


def parse(block: str) -> tuple[str, Any]:
    """Return the name and data of one event. Anything else, such as a comment, has the name "" and its text as data."""
    fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
    return (fields["event"], json.loads(fields["data"])) if "event" in fields else ("", block)


class Listener:
    """An open stream, within `async with`. While `reads` is not set, the server's output is not taken.

    `gone` is set when the application has returned.
    """

    def __init__(self, app: ASGIApp, headers: Mapping[str, str], path: str = "/api/v1/events") -> None:
        self.head: Message = {}
        self.reads = asyncio.Event()
        self.reads.set()
        self._app = app
        self._scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        }
        self._asked = False
        self.gone = asyncio.Event()
        self._leaves = asyncio.Event()
        self._began = asyncio.Event()
        self._blocks: asyncio.Queue[str | None] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        async with asyncio.timeout(WITHIN_S):
            await self._began.wait()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leaves.set()
        self.reads.set()
        assert self._task is not None
        async with asyncio.timeout(WITHIN_S):
            await self._task

    async def block(self) -> str | None:
        """Return the next block of lines, None at the end of the stream. Raises TimeoutError."""
        async with asyncio.timeout(WITHIN_S):
            return await self._blocks.get()

    @property
    def is_silent(self) -> bool:
        """Whether nothing but the beginning has been sent so far."""
        return self._blocks.qsize() <= 1

    async def event(self) -> tuple[str, Any]:
        """Return the name and data of the next event."""
        while True:
            block = await self.block()
            assert block is not None, "the stream has ended"
            name, data = parse(block)
            if name:
                return name, data

    async def ended(self) -> bool:
        """Wait for the end of the stream; return whether nothing but comments preceded it."""
        silent = True
        while (block := await self.block()) is not None:
            silent = silent and not parse(block)[0]
        return silent

    async def _run(self) -> None:
        try:
            await self._app(self._scope, self._receive, self._send)
        finally:
            self._began.set()
            self.gone.set()
            self._blocks.put_nowait(None)

    async def _receive(self) -> Message:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._leaves.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.head = message
            self._began.set()
            return
        await self.reads.wait()
        for block in message.get("body", b"").decode().split("\n\n"):
            if block:
                self._blocks.put_nowait(block)
