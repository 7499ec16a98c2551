"""What lies between HTTP and the socket: a transport that joins, and connections that have bounds."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, cast

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from playhead.http.at_once import Later
from playhead.http.errors import PAUSE, Pause
from playhead.server.wire import (
    BODY_STALLS_S,
    HEAD_MAX_BYTES,
    HEAD_WITHIN_S,
    JoiningTransport,
    OneWriteProtocol,
    Outbox,
    bounded_protocol,
)


class Socket(asyncio.Transport):
    """Remembers what was written to it, and whether it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closed = False
        self.is_read = True
        self.read_again = asyncio.Event()

    def pause_reading(self) -> None:
        self.is_read = False

    def resume_reading(self) -> None:
        self.is_read = True
        self.read_again.set()

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
        await scenario(socket, JoiningTransport(socket, Outbox(asyncio.get_running_loop())))

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
        aborted = JoiningTransport(other, Outbox(asyncio.get_running_loop()))
        aborted.write(b"lost")
        aborted.abort()
        await asyncio.sleep(0)
        assert other.written == []
        assert other.closed

    with_transport(scenario)


def test_a_connection_that_is_gone_or_fails_takes_no_others_answer_along(caplog: pytest.LogCaptureFixture):
    async def run() -> None:
        outbox = Outbox(asyncio.get_running_loop())
        gone, failing, fine = Socket(), Socket(), Socket()
        failing.write = None  # pyright: ignore[reportAttributeAccessIssue]
        for socket in (gone, failing, fine):
            JoiningTransport(socket, outbox).write(b"answer")
        gone.closed = True
        await asyncio.sleep(0)
        assert (gone.written, fine.written) == ([], [b"answer"])

    asyncio.run(run())
    assert [record.message for record in caplog.records] == ["An answer could not be sent"]


class Line:
    """One connection to an application that answers `ok`, or `full` to who is turned away; bytes go in by hand."""

    stored: asyncio.Future[None]

    def __init__(self, state: ServerState, most_connections: int = 10) -> None:
        config = uvicorn.Config(_answer(b"ok"), lifespan="off", log_config=None, ws="none")
        self.socket = Socket()
        kind = bounded_protocol(most_connections, self)
        self.protocol: OneWriteProtocol = kind(config, state, {}, asyncio.get_running_loop())
        self.protocol.connection_made(self.socket)

    async def turn_away(self, scope: Scope, receive: Receive, send: Send) -> None:
        await _answer(b"full")(scope, receive, send)

    def may_answer_at_once(self, method: bytes, target: bytes) -> bool:
        return method in {b"GET", b"POST"} and target in {b"/at-once", b"/perhaps"}

    def answer_at_once(
        self, method: bytes, target: bytes, headers: object, body: bytes, pause: Pause
    ) -> bytes | Later | None:
        """Answer `/at-once` without the application; a POST to it once `stored` is done, with what was sent."""
        del headers, pause
        if target == b"/perhaps":
            return None
        if method == b"GET":
            return AT_ONCE_ANSWER

        def conclude(stored: asyncio.Future[None], pause: Pause) -> bytes:
            if stored.exception() is not None:
                pause(0.01)
                return b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"
            return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)

        self.stored = asyncio.get_running_loop().create_future()
        return Later(self.stored, conclude)

    async def send(self, data: bytes) -> None:
        self.protocol.data_received(data)
        await asyncio.gather(*self.protocol.tasks)
        await asyncio.sleep(0)

    @property
    def answer(self) -> bytes:
        return b"".join(self.socket.written)

    @property
    def bodies(self) -> list[bytes]:
        """Those of all answers, in their order."""
        return [part.rpartition(b"\r\n\r\n")[2] for part in self.answer.split(b"HTTP/1.1 200")[1:]]

    def looked_at(self, *seconds: float) -> bool:
        """Look at these times, and return whether the connection is still there."""
        for now_s in seconds:
            self.protocol.end_if_still(now_s)
        return not self.socket.closed


def _answer(text: bytes) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "POST":
            while (await receive()).get("more_body"):
                pass
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(text))]})
        await send({"type": "http.response.body", "body": text})
        if scope["path"] == "/rest":
            scope["state"][PAUSE](0.01)

    return answer


GET = b"GET / HTTP/1.1\r\nHost: playhead.test\r\n\r\n"
AT_ONCE = b"GET /at-once HTTP/1.1\r\nHost: playhead.test\r\n\r\n"
AT_ONCE_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nat once"
AWAITED = b"POST /at-once HTTP/1.1\r\nHost: playhead.test\r\nContent-Length: 4\r\n\r\nsave"
POST = b"POST / HTTP/1.1\r\nHost: playhead.test\r\nContent-Length: 3\r\n\r\n"


def run(scenario: Callable[[], Coroutine[None, None, None]]) -> None:
    asyncio.run(scenario())


def test_a_head_that_never_ends_is_broken_off():
    async def scenario() -> None:
        line = Line(ServerState())
        assert line.looked_at(100, 100 + HEAD_WITHIN_S - 1)
        line.protocol.data_received(b"GET / HTTP/1.1\r\nX-Slow: ")
        assert not line.looked_at(100 + HEAD_WITHIN_S)

    run(scenario)


def test_a_body_may_come_slowly_but_not_stand_still():
    async def scenario() -> None:
        line = Line(ServerState())
        line.protocol.data_received(POST)
        await asyncio.sleep(0)
        assert line.looked_at(0, BODY_STALLS_S - 1)
        line.protocol.data_received(b"a")
        await asyncio.sleep(0)
        assert line.looked_at(BODY_STALLS_S, 2 * BODY_STALLS_S - 1)
        line.protocol.data_received(b"b")
        await asyncio.sleep(0)
        assert line.looked_at(2 * BODY_STALLS_S)
        assert not line.looked_at(3 * BODY_STALLS_S)
        line.protocol.connection_lost(None)
        await asyncio.gather(*line.protocol.tasks, return_exceptions=True)

    run(scenario)


def test_who_owes_nothing_is_left_alone_however_long():
    async def scenario() -> None:
        line = Line(ServerState())
        await line.send(GET)
        assert line.answer.endswith(b"ok")
        assert line.looked_at(0, 1000)
        line.protocol.connection_lost(None)

    run(scenario)


def test_a_connection_that_rests_after_an_answer_at_once_ends_in_the_time_of_every_other():
    async def scenario() -> None:
        line = Line(ServerState())
        patience_s = line.protocol.timeout_keep_alive
        for now_s in (0, 100):  # what came meanwhile begins the time anew
            await line.send(AT_ONCE)
            assert line.looked_at(now_s, now_s + patience_s - 1)
        assert not line.looked_at(100 + patience_s)
        line.protocol.connection_lost(None)

    run(scenario)


def test_a_connection_too_many_is_answered_and_the_others_are_served():
    async def scenario() -> None:
        state = ServerState()
        lines = [Line(state, most_connections=2) for _ in range(3)]
        for line in lines:
            await line.send(GET)
        assert [line.answer.split(b"\r\n\r\n")[1] for line in lines] == [b"ok", b"ok", b"full"]
        for line in lines:
            line.protocol.connection_lost(None)

    run(scenario)


def test_a_connection_that_rests_is_answered_and_then_not_read_for_a_while():
    async def scenario() -> None:
        line = Line(ServerState())
        await line.send(b"GET /rest HTTP/1.1\r\nHost: playhead.test\r\n\r\n")
        assert line.answer.endswith(b"ok")
        assert not line.socket.is_read
        await asyncio.wait_for(line.socket.read_again.wait(), 5)
        line.protocol.connection_lost(None)

    run(scenario)


def test_the_last_answer_says_that_the_connection_ends():
    async def scenario() -> None:
        line = Line(ServerState())
        await line.send(GET)
        line.protocol.answer_last()
        assert not line.socket.closed
        await line.send(GET)
        assert line.answer.count(b"connection: close") == 1
        assert line.socket.closed

    run(scenario)


def test_what_can_be_answered_at_once_is_and_the_connection_goes_on():
    async def scenario() -> None:
        state = ServerState()
        line = Line(state)
        for request, answer in ((AT_ONCE, b"at once"), (AT_ONCE, b"at once"), (GET, b"ok"), (AT_ONCE, b"at once")):
            line.socket.written.clear()
            line.protocol.data_received(request)
            tasks = len(line.protocol.tasks)
            await asyncio.gather(*line.protocol.tasks)
            await asyncio.sleep(0)
            assert (line.answer.rpartition(b"\r\n\r\n")[2], tasks) == (answer, int(request is GET))
        assert state.total_requests == 4
        line.protocol.shutdown()
        assert line.socket.closed
        line.protocol.connection_lost(None)

    run(scenario)


@pytest.mark.parametrize(
    "request_text",
    [
        AT_ONCE.replace(b"GET", b"HEAD"),
        AT_ONCE.replace(b"/at-once", b"/perhaps"),
        AWAITED.replace(b"/at-once", b"/perhaps"),
        AT_ONCE.replace(b"/at-once", b"/"),
        AWAITED.replace(b"Content-Length", b"Expect: 100-continue\r\nContent-Length"),
        AT_ONCE.replace(b"1.1", b"1.0"),
        AT_ONCE.replace(b"Host", b"Connection: close\r\nHost"),
        AT_ONCE.replace(b"Host", b"Connection: upgrade\r\nUpgrade: websocket\r\nHost"),
    ],
)
def test_what_ends_or_changes_the_connection_is_left_to_the_application(request_text: bytes):
    async def scenario() -> None:
        line = Line(ServerState())
        await line.send(request_text)
        assert b"at once" not in line.answer
        assert line.answer.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n").startswith(b"HTTP/1.1 200 OK")
        assert line.answer.endswith(b"" if request_text.startswith(b"HEAD") else b"ok")
        line.protocol.connection_lost(None)

    run(scenario)


def test_answers_keep_the_order_of_their_requests():
    async def scenario() -> None:
        line = Line(ServerState())
        await line.send(GET + AT_ONCE)
        await line.send(b"")  # the second request was begun when the first was answered
        assert line.bodies == [b"ok", b"ok"]
        line.protocol.connection_lost(None)

    run(scenario)


def test_a_connection_too_many_and_one_that_ends_are_answered_by_the_application():
    async def scenario() -> None:
        state = ServerState()
        first, second = Line(state, most_connections=1), Line(state, most_connections=1)
        await second.send(AT_ONCE)
        assert second.answer.endswith(b"full")
        first.protocol.answer_last()
        await first.send(AT_ONCE)
        assert b"connection: close" in first.answer
        second.protocol.connection_lost(None)

    run(scenario)


def test_what_is_waited_for_is_answered_when_it_is_there_and_nothing_is_owed_meanwhile():
    async def scenario() -> None:
        state = ServerState()
        line = Line(state)
        for _ in range(2):
            line.socket.written.clear()
            line.protocol.data_received(AWAITED)
            await asyncio.sleep(0)
            assert (line.answer, line.protocol.tasks) == (b"", {line.stored})
            assert line.looked_at(1, 1000)
            assert not line.protocol.waits_for_client
            line.stored.set_result(None)
            await line.send(b"")
            assert line.answer.endswith(b"content-length: 4\r\n\r\nsave")
        await line.send(AT_ONCE)
        assert line.answer.endswith(b"at once")
        assert (state.total_requests, line.protocol.tasks) == (3, set())
        line.protocol.connection_lost(None)

    run(scenario)


def test_a_body_that_comes_later_is_one_for_the_application():
    async def scenario() -> None:
        line = Line(ServerState())
        line.protocol.data_received(AWAITED[:-2])
        assert line.looked_at(0, BODY_STALLS_S - 1)
        await line.send(AWAITED[-2:])
        assert line.answer.endswith(b"ok")
        line.protocol.connection_lost(None)

    run(scenario)


def test_a_request_behind_one_that_is_waited_for_keeps_its_place():
    async def scenario() -> None:
        line = Line(ServerState())
        line.protocol.data_received(AWAITED + AT_ONCE)
        await asyncio.sleep(0)
        assert not line.socket.is_read
        line.stored.set_result(None)
        await asyncio.sleep(0)
        await line.send(b"")
        assert line.socket.is_read
        assert line.bodies == [b"save", b"ok"]
        line.protocol.connection_lost(None)

    run(scenario)


def test_a_refusal_that_asks_for_it_lets_the_connection_rest():
    async def scenario() -> None:
        line = Line(ServerState())
        line.protocol.data_received(AWAITED)
        line.stored.set_exception(OSError())
        await asyncio.sleep(0)
        await line.send(b"")
        assert line.answer.startswith(b"HTTP/1.1 503 ")
        assert not line.socket.is_read
        await asyncio.wait_for(line.socket.read_again.wait(), 5)
        line.protocol.connection_lost(None)

    run(scenario)


@pytest.mark.parametrize("ending", [OneWriteProtocol.answer_last, OneWriteProtocol.shutdown])
def test_a_server_that_ends_answers_what_is_waited_for_and_closes(ending: Callable[[OneWriteProtocol], None]):
    async def scenario() -> None:
        line = Line(ServerState())
        line.protocol.data_received(AWAITED)
        ending(line.protocol)
        assert not line.socket.closed
        line.stored.set_result(None)
        await line.send(b"")
        assert line.answer == b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 4\r\n\r\nsave"
        assert line.socket.closed
        line.protocol.connection_lost(None)

    run(scenario)


@pytest.mark.parametrize("end", [lambda stored: stored.set_result(None), lambda stored: stored.cancel()])
def test_who_is_gone_or_cut_off_is_not_answered(end: Callable[[asyncio.Future[None]], None]):
    async def scenario() -> None:
        line = Line(ServerState())
        line.protocol.data_received(AWAITED)
        line.protocol.connection_lost(ConnectionResetError())
        end(line.stored)
        await asyncio.sleep(0)
        assert (line.answer, line.protocol.tasks) == (b"", set())

    run(scenario)


def test_what_is_no_http_behind_a_request_is_refused_and_the_request_is_not_begun():
    async def scenario() -> None:
        line = Line(ServerState())
        await line.send(
            b"POST /at-once HTTP/1.1\r\nHost: playhead.test\r\nTransfer-Encoding: chunked\r\n\r\nthis is no chunk\r\n"
        )
        assert line.answer.startswith(b"HTTP/1.1 400 ")
        assert line.answer.count(b"HTTP/1.1") == 1
        assert line.socket.closed
        line.protocol.connection_lost(None)

    run(scenario)


def test_a_request_to_upgrade_is_answered_and_nothing_behind_its_head_is_read():
    async def scenario() -> None:
        line = Line(ServerState())
        await line.send(
            b"POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\nContent-Length: %d\r\n\r\n"
            % len(AT_ONCE)
        )
        line.protocol.data_received(AT_ONCE)
        await line.send(AT_ONCE)
        assert line.answer.count(b"HTTP/1.1") == 1
        assert b"\r\nconnection: close\r\n" in line.answer
        assert line.socket.closed
        line.protocol.connection_lost(None)

    run(scenario)


def test_a_request_to_upgrade_in_the_same_packet_as_what_follows_is_answered_alone():
    async def scenario() -> None:
        line = Line(ServerState())
        await line.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n" + AT_ONCE)
        assert line.bodies == [b"ok"]
        assert line.socket.closed
        line.protocol.connection_lost(None)

    run(scenario)


HEAD_BEGINS = b"POST / HTTP/1.1\r\nHost: a\r\n"
CHUNKED = HEAD_BEGINS + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n"


@pytest.mark.parametrize("begin", [HEAD_BEGINS, CHUNKED], ids=["head", "trailers"])
@pytest.mark.parametrize(
    "pieces",
    [
        [b"X: y\r\n" * 102],
        [b"X: y\r\n"] * 102,
        [b"X: " + b"y" * HEAD_MAX_BYTES + b"\r\n"],
        [b"X: ", *[b"y" * 1024] * 33],
        [b"y" * 1024] * 33,
        [b"X: " + b"y" * 8000 + b"\r\n"] * 5,
    ],
    ids=["many fields", "many fields one by one", "long value", "endless value", "endless name", "long together"],
)
def test_a_head_and_trailers_have_limits(begin: bytes, pieces: list[bytes]):
    async def scenario() -> None:
        line = Line(ServerState())
        line.protocol.data_received(begin)
        for piece in pieces:
            line.protocol.data_received(piece)
        await asyncio.sleep(0)
        assert line.answer.startswith(b"HTTP/1.1 431 ")
        assert line.answer.count(b"HTTP/1.1") == 1
        assert line.socket.closed
        line.protocol.connection_lost(None)
        await asyncio.gather(*line.protocol.tasks, return_exceptions=True)

    run(scenario)


@pytest.mark.parametrize("pieces", [[b"x" * 8192], [b"x" * 1024] * 8, [b"x"] * 8192], ids=["whole", "parts", "bytes"])
def test_a_target_has_a_limit(pieces: list[bytes]):
    async def scenario() -> None:
        line = Line(ServerState())
        line.protocol.data_received(b"GET /")
        for piece in pieces:
            line.protocol.data_received(piece)
        await asyncio.sleep(0)
        assert line.answer.startswith(b"HTTP/1.1 414 ")
        assert line.socket.closed
        line.protocol.connection_lost(None)

    run(scenario)


def test_many_requests_of_a_connection_are_not_counted_together():
    async def scenario() -> None:
        line = Line(ServerState())
        fields = b"X: %b\r\n" % (b"y" * 900)
        for request in [GET, AT_ONCE, AWAITED.replace(b"/at-once", b"/")] * 3:
            await line.send(request.replace(b"\r\n\r\n", b"\r\n" + fields * 30 + b"\r\n"))
        assert line.answer.count(b"HTTP/1.1 200") == 9
        line.protocol.connection_lost(None)

    run(scenario)


def test_a_chunked_body_with_trailers_is_taken_and_its_trailers_are_no_headers():
    async def scenario() -> None:
        line = Line(ServerState())
        seen: list[list[tuple[bytes, bytes]]] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            while (await receive()).get("more_body"):
                pass
            seen.append([*scope["headers"]])
            await _answer(b"ok")({**scope, "method": "GET"}, receive, send)

        line.protocol.app = cast("Any", app)
        await line.send(CHUNKED + b"Authorization: Bearer x\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n")
        assert line.bodies == [b"ok"]
        assert [name for name, _ in seen[0]] == [b"host", b"transfer-encoding"]
        line.protocol.connection_lost(None)

    run(scenario)
