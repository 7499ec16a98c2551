"""A connection: answers, one write per answer, deadlines by a clock of the test, bounds, shutdown."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, cast

import pytest
from starlette.types import Receive, Scope, Send

from playhead.http.connection import CONNECTION
from playhead.http.forwarding import Proxies
from playhead.http.route import LastAnswer, Pending
from playhead.server.connection import HttpConnection, Listener
from playhead.server.limits import (
    BODY_WITHIN_S,
    HEAD_WITHIN_S,
    IDLE_MAX_S,
    LINGER_MAX_S,
    RATE_MIN_BYTES_S,
    WINDOW_S,
    Addresses,
)
from playhead.server.protocol import Request

GET = b"GET / HTTP/1.1\r\nHost: playhead.test\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: playhead.test\r\nContent-Length: 3\r\n\r\n"
FAST = b"GET /fast HTTP/1.1\r\nHost: playhead.test\r\n\r\n"
FAST_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfast"
SAVE = b"POST /fast HTTP/1.1\r\nHost: playhead.test\r\nContent-Length: 4\r\n\r\nsave"


class Socket(asyncio.Transport):
    """Records what was written, and whether it was closed. `unread` is what the client has not read, in bytes."""

    def __init__(self, peer: str) -> None:
        super().__init__()
        self.peer = (peer, 5000)
        self.written: list[bytes] = []
        self.closed = self.aborted = self.ended = False
        self.is_read = True
        self.unread = 0
        self.options: list[object] = []

    def get_extra_info(self, name: str, default: object = None) -> Any:  # noqa: ANN401 - as the parent has it
        return {"peername": self.peer, "sockname": ("127.0.0.1", 80), "socket": self}.get(name, default)

    def setsockopt(self, *option: object) -> None:
        self.options.append(option)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return self.unread

    def pause_reading(self) -> None:
        self.is_read = False

    def resume_reading(self) -> None:
        self.is_read = True

    def write(self, data: Any) -> None:  # noqa: ANN401 - as the parent has it
        assert not self.closed
        self.written.append(bytes(data))

    def write_eof(self) -> None:
        self.ended = True

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    def is_closing(self) -> bool:
        return self.closed


class Host:
    """A server with `/fast` on the fast path, a POST to it that waits for `stored`, and everything else over ASGI.

    The application answers `ok` once the body is complete, and `full` if the server has no room.
    """

    def __init__(self, most: int = 10, of_address: int = 10, proxies: Sequence[str] = ()) -> None:
        self.now_s = 100.0
        self.stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.seen: list[Scope] = []
        self.refused: list[int] = []
        self.app: Callable[[Scope, Receive, Send], Awaitable[None]] = answer(b"ok")
        addresses = Addresses(most, of_address, proxies)
        self.listener = Listener(self, self, addresses, Proxies(proxies), lambda: self.now_s)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.seen.append(scope)
        await self.app(scope, receive, send)

    async def turn_away(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"][CONNECTION].end_after_answer()
        await answer(b"full")(scope, receive, send)

    def count_refusal(self, status: int) -> None:
        self.refused.append(status)

    def answer_fast(self, request: Request) -> bytes | Pending[bytes] | None:
        if request.target == b"/last":
            return LastAnswer(FAST_ANSWER)
        if request.target != b"/fast":
            return None
        if request.method != b"POST":
            return FAST_ANSWER
        body = request.body or b""

        def conclude(stored: asyncio.Future[None]) -> bytes:
            if stored.exception() is not None:
                return LastAnswer(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n")
            return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)

        self.stored = asyncio.get_running_loop().create_future()
        return Pending(self.stored, conclude)


class Line:
    """One connection; a test feeds it bytes."""

    def __init__(self, host: Host | None = None, peer: str = "192.0.2.1") -> None:
        self.host = host or Host()
        self.socket = Socket(peer)
        self.connection = HttpConnection(self.host.listener)
        self.connection.connection_made(self.socket)

    async def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.connection.data_received(piece)
        await self.settle()

    async def settle(self) -> None:
        """Wait until nothing more happens without input."""
        for _ in range(10):
            await asyncio.sleep(0)

    @property
    def answer(self) -> bytes:
        return b"".join(self.socket.written)

    @property
    def bodies(self) -> list[bytes]:
        """Return the bodies of all answers, in order."""
        return [part.rpartition(b"\r\n\r\n")[2] for part in self.answer.split(b"HTTP/1.1 200")[1:]]

    def after(self, seconds: float) -> bool:
        """Let time pass, check the deadlines, and return whether the connection is still open."""
        self.host.now_s += seconds
        self.connection.close_if_overdue(self.host.now_s)
        return not self.socket.closed

    async def gone(self) -> None:
        self.connection.connection_lost(None)
        await self.settle()
        assert not self.host.listener.connections
        assert not self.host.listener.tasks


def answer(text: bytes) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    async def app(_: Scope, receive: Receive, send: Send) -> None:
        while (message := await receive()).get("more_body"):
            pass
        if message["type"] == "http.disconnect":
            return
        fields = [(b"content-length", b"%d" % len(text))]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.body", "body": text})

    return app


def run(scenario: Callable[[], Coroutine[None, None, None]]) -> None:
    asyncio.run(scenario())


def test_head_and_body_of_an_answer_are_one_write_and_so_are_answers_of_one_iteration():
    async def scenario() -> None:
        line = Line()
        await line.send(GET)
        assert len(line.socket.written) == 1
        await line.send(FAST, FAST)
        assert line.socket.written[1:] == [FAST_ANSWER * 2]
        await line.gone()

    run(scenario)


def test_a_large_part_is_written_immediately_after_what_waits():
    async def scenario() -> None:
        line = Line()
        large = b"x" * 20_000
        line.connection.write(b"head")
        line.connection.write(large)
        assert line.socket.written == [b"head" + large]
        await line.settle()
        assert line.socket.written == [b"head" + large]

    run(scenario)


def test_aborting_sends_nothing_more():
    async def scenario() -> None:
        line = Line()
        line.connection.write(b"lost")
        line.connection.abort()
        await line.settle()
        assert (line.socket.written, line.socket.aborted) == ([], True)

    run(scenario)


def test_a_closed_or_failing_connection_does_not_affect_the_answers_of_others(caplog: pytest.LogCaptureFixture):
    async def scenario() -> None:
        host = Host()
        gone, failing, fine = Line(host), Line(host), Line(host)
        failing.socket.write = None  # pyright: ignore[reportAttributeAccessIssue]
        for line in (gone, failing, fine):
            line.connection.write(b"answer")
        gone.socket.closed = True
        await fine.settle()
        assert (gone.socket.written, fine.socket.written) == ([], [b"answer"])

    run(scenario)
    assert [record.message for record in caplog.records] == ["An answer could not be sent"]


def test_requests_of_both_paths_are_answered_in_order_however_they_arrive():
    async def scenario() -> None:
        for pieces in ([GET + FAST + POST + b"abc" + FAST], [GET, FAST, POST, b"abc", FAST], [GET[:9], GET[9:] + FAST]):
            line = Line()
            await line.send(*pieces)
            assert line.bodies == [b"ok", b"fast", b"ok", b"fast"][: len(line.bodies)]
            assert len(line.bodies) == b"".join(pieces).count(b"HTTP/1.1")
            assert not line.socket.closed
            await line.gone()

    run(scenario)


def test_thousands_of_requests_in_one_packet_do_not_starve_others():
    async def scenario() -> None:
        host = Host()
        greedy, modest = Line(host), Line(host)
        greedy.connection.data_received(FAST * 1000)
        assert not greedy.socket.is_read
        await modest.send(FAST)
        assert modest.bodies == [b"fast"]
        assert len(greedy.bodies) < 1000
        for _ in range(100):
            await greedy.settle()
        assert len(greedy.bodies) == 1000
        assert greedy.socket.is_read

    run(scenario)


def test_a_client_that_does_not_read_gets_no_further_answers():
    async def scenario() -> None:
        line = Line()
        line.connection.pause_writing()
        await line.send(FAST)
        assert len(line.bodies) == 1
        assert not line.socket.is_read
        await line.send(FAST, FAST)
        assert len(line.bodies) < 3
        line.connection.resume_writing()
        await line.settle()
        assert len(line.bodies) == 3
        assert line.socket.is_read

    run(scenario)


@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
def test_the_fast_path_announces_the_end_of_the_connection(version: bytes):
    async def scenario() -> None:
        line = Line()
        request = FAST.replace(b"1.1", version)
        await line.send(request.replace(b"Host", b"Connection: close\r\nHost") if version == b"1.1" else request)
        assert line.answer == FAST_ANSWER.replace(b"OK\r\n", b"OK\r\nconnection: close\r\n")
        assert line.socket.closed
        await line.gone()

    run(scenario)


def test_a_refusal_for_lack_of_room_ends_its_connection_and_delays_nobody():
    async def scenario() -> None:
        line = Line()
        await line.send(FAST.replace(b"/fast", b"/last"))
        assert b"\r\nconnection: close\r\n" in line.answer
        assert line.socket.closed

        async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
            scope["state"][CONNECTION].end_after_answer()
            await answer(b"no")(scope, receive, send)

        line = Line()
        line.host.app = refuse
        await line.send(GET)
        assert b"\r\nconnection: close\r\n" in line.answer
        assert line.socket.closed

    run(scenario)


def test_a_pending_answer_is_sent_when_ready_and_its_client_has_no_deadline_meanwhile():
    async def scenario() -> None:
        line = Line()
        for _ in range(2):
            line.socket.written.clear()
            await line.send(SAVE)
            assert line.answer == b""
            assert line.after(1)
            assert line.after(1000)
            assert not line.connection.waits_for_client
            line.host.stored.set_result(None)
            await line.settle()
            assert line.answer.endswith(b"content-length: 4\r\n\r\nsave")
        await line.gone()

    run(scenario)


def test_a_request_behind_a_pending_one_keeps_its_place_and_reading_pauses():
    async def scenario() -> None:
        line = Line()
        await line.send(SAVE + FAST)
        assert not line.socket.is_read
        line.host.stored.set_result(None)
        await line.settle()
        assert line.socket.is_read
        assert line.bodies == [b"save", b"fast"]

    run(scenario)


def test_a_save_refused_for_lack_of_room_ends_the_connection():
    async def scenario() -> None:
        line = Line()
        await line.send(SAVE)
        line.host.stored.set_exception(OSError())
        await line.settle()
        assert line.answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\n")
        assert line.socket.closed

    run(scenario)


@pytest.mark.parametrize("end", [lambda stored: stored.set_result(None), lambda stored: stored.cancel()])
def test_a_disconnected_client_is_not_answered(end: Callable[[asyncio.Future[None]], None]):
    async def scenario() -> None:
        line = Line()
        await line.send(SAVE)
        line.connection.connection_lost(ConnectionResetError())
        end(line.host.stored)
        await line.settle()
        assert (line.answer, line.host.listener.tasks) == (b"", set())

    run(scenario)


def test_a_body_that_arrives_later_is_passed_to_the_application():
    async def scenario() -> None:
        line = Line()
        await line.send(SAVE[:-2])
        assert line.answer == b""
        await line.send(SAVE[-2:])
        assert line.bodies == [b"ok"]

    run(scenario)


def test_the_application_sees_the_complete_request():
    async def scenario() -> None:
        line = Line()
        bodies: list[bytes] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            while (message := await receive()).get("more_body"):
                bodies.append(message["body"])
            bodies.append(message["body"])
            await answer(b"ok")({**scope}, _nothing_more, send)

        line.host.app = app
        text = (
            b"POST /a%20b/c?d=%20 HTTP/1.1\r\nHost: a\r\nX: y\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"2\r\nab\r\n1\r\nc\r\n0\r\nZ: z\r\n\r\n"
        )
        await line.send(text[:-20], text[-20:])
        assert b"".join(bodies) == b"abc"
        scope = line.host.seen[0]
        assert [scope[name] for name in ("method", "path", "raw_path", "query_string", "http_version", "scheme")] == [
            "POST",
            "/a b/c",
            b"/a%20b/c",
            b"d=%20",
            "1.1",
            "http",
        ]
        assert scope["headers"] == [(b"host", b"a"), (b"x", b"y"), (b"transfer-encoding", b"chunked")]
        assert scope["client"] == ("192.0.2.1", 5000)

    run(scenario)


async def _nothing_more() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


def test_reading_a_body_pauses_until_the_application_asks_for_more():
    async def scenario() -> None:
        line, go_on = Line(), asyncio.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await go_on.wait()
            await answer(b"ok")(scope, receive, send)

        line.host.app = app
        await line.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n", b"x" * 100_000)
        assert not line.socket.is_read
        assert line.after(1)
        assert line.after(1000)  # the client is not late
        go_on.set()
        await line.settle()
        assert line.socket.is_read
        await line.send(b"x" * 100_000)
        assert line.bodies == [b"ok"]

    run(scenario)


def test_a_client_that_expects_100_continue_gets_it_when_the_body_is_read():
    async def scenario() -> None:
        line = Line()
        await line.send(POST.replace(b"Host", b"Expect: 100-continue\r\nHost"))
        assert line.answer == b"HTTP/1.1 100 Continue\r\n\r\n"
        await line.send(b"abc")
        assert line.bodies == [b"ok"]
        assert not line.socket.closed

        refused = Line()

        async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
            del receive
            await answer(b"no")(scope, _nothing_more, send)

        refused.host.app = refuse
        await refused.send(POST.replace(b"Host", b"Expect: 100-continue\r\nHost"))
        assert b"100" not in refused.answer
        assert b"connection: close" in refused.answer

    run(scenario)


@pytest.mark.parametrize(
    ("length", "is_kept"),
    [(b"Content-Length: 1000", True), (b"Content-Length: 99999", False), (b"Transfer-Encoding: chunked", False)],
)
def test_an_unread_body_is_discarded_or_ends_the_connection(length: bytes, is_kept: bool):  # noqa: FBT001
    async def scenario() -> None:
        line = Line()

        async def early(scope: Scope, receive: Receive, send: Send) -> None:
            del receive
            await answer(b"no")(scope, _nothing_more, send)

        line.host.app = early
        await line.send(b"POST / HTTP/1.1\r\nHost: a\r\n" + length + b"\r\n\r\n", b"x" * 10)
        assert line.bodies == [b"no"]
        assert (b"connection: close" not in line.answer) is is_kept
        if is_kept:
            await line.send(b"x" * 990 + FAST)
            assert line.bodies == [b"no", b"fast"]
        else:
            assert line.socket.ended
            assert not line.socket.closed  # the client sees the answer before the end
            await line.send(FAST)
            assert line.bodies == [b"no"]

    run(scenario)


def test_a_defect_of_the_application_is_answered_or_aborts_the_connection(caplog: pytest.LogCaptureFixture):
    async def scenario() -> None:
        async def fail(scope: Scope, receive: Receive, send: Send) -> None:
            del receive
            if scope["path"] == "/late":
                await send({"type": "http.response.start", "status": 200, "headers": []})
            raise ZeroDivisionError

        async def forget(scope: Scope, receive: Receive, send: Send) -> None:
            pass

        for app, path, begin in (
            (fail, b"/", b"HTTP/1.1 500 "),
            (forget, b"/", b"HTTP/1.1 500 "),
            (fail, b"/late", b""),
        ):
            line = Line()
            line.host.app = app
            await line.send(GET.replace(b"/ ", path + b" "))
            assert line.answer.startswith(begin)
            assert line.socket.closed
            assert line.socket.aborted is (begin == b"")

    run(scenario)
    assert len(caplog.records) == 3


# Deadlines


def test_an_endless_head_times_out_however_slowly_it_arrives():
    async def scenario() -> None:
        line = Line()
        assert line.after(0)
        assert line.after(HEAD_WITHIN_S - 1)
        line.connection.data_received(b"GET / HTTP/1.1\r\nX: ")
        assert not line.after(1)
        line = Line()
        await line.send(GET)
        line.connection.data_received(b"G")
        for _ in range(int(HEAD_WITHIN_S)):
            assert not line.socket.closed
            line.host.now_s += 1
            line.connection.data_received(b"E")
        assert line.socket.aborted  # although nothing has checked the deadlines

    run(scenario)


def test_a_body_has_a_minimum_rate_and_a_total_time():
    async def scenario() -> None:
        begin = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n"
        line = Line()
        await line.send(begin)
        assert line.after(0)
        assert line.after(WINDOW_S - 1)
        await line.send(b"x")
        assert not line.after(1)
        line = Line()
        await line.send(begin)
        assert line.after(0)
        windows = 0
        while not line.socket.closed:
            windows += 1
            await line.send(b"x" * int(WINDOW_S * RATE_MIN_BYTES_S))
            line.after(WINDOW_S)
        assert windows == pytest.approx(BODY_WITHIN_S / WINDOW_S, abs=2)
        await line.gone()

    run(scenario)


def test_an_unread_answer_has_a_deadline_but_a_film_has_none():
    async def scenario() -> None:
        line = Line()
        line.socket.unread = 100_000
        assert line.after(0)
        assert line.after(WINDOW_S - 1)
        assert not line.after(1)
        slow = Line()
        slow.connection.write(b"x" * 100_000)
        slow.socket.unread = 100_000
        assert slow.after(0)
        for _ in range(3):
            slow.socket.unread -= int(WINDOW_S * RATE_MIN_BYTES_S)
            assert slow.after(WINDOW_S)
        film = Line()
        film.socket.unread = 100_000
        film.connection.allow_pauses()
        await film.send(SAVE)
        assert film.after(0)
        assert film.after(100_000)

    run(scenario)


def test_an_idle_connection_times_out_on_either_path():
    async def scenario() -> None:
        for request in (GET, FAST):
            line = Line()
            for _ in range(2):  # input restarts the timeout
                await line.send(request)
                assert line.after(0)
                assert line.after(IDLE_MAX_S - 1)
            assert not line.after(1)
            assert not line.socket.aborted

    run(scenario)


def test_a_refused_client_has_a_moment_to_read_the_answer():
    async def scenario() -> None:
        line = Line()
        await line.send(b"no HTTP\r\n\r\n", b"x" * 100)
        assert line.answer.startswith(b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/problem+json\r\n")
        assert line.host.refused == [400]
        assert line.socket.ended
        assert line.after(0)
        assert line.after(LINGER_MAX_S - 1)
        assert not line.after(1)

    run(scenario)


# Bounds


def test_a_connection_too_many_is_refused_and_far_too_many_are_dropped():
    async def scenario() -> None:
        host = Host(most=2, of_address=10)
        lines = [Line(host, peer=f"192.0.2.{place}") for place in range(5)]
        for line in lines[:4]:
            await line.send(FAST.replace(b"/fast", b"/"))
        assert [line.bodies for line in lines[:4]] == [[b"ok"], [b"ok"], [b"full"], [b"full"]]
        assert [line.socket.closed for line in lines] == [False, False, True, True, True]
        for line in lines:
            line.connection.connection_lost(None)
        await lines[0].settle()
        again = Line(host)
        await again.send(GET)
        assert again.bodies == [b"ok"]

    run(scenario)


def test_an_address_has_a_bound_an_ipv6_network_counts_as_one_and_a_trusted_proxy_has_none():
    async def scenario() -> None:
        for peers, bodies in (
            (["192.0.2.1", "192.0.2.1", "192.0.2.2"], [b"ok", b"full", b"ok"]),
            (["2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"], [b"ok", b"full", b"ok"]),
            (["::ffff:192.0.2.1", "192.0.2.1", "192.0.2.2"], [b"ok", b"full", b"ok"]),
            (["10.0.0.1"] * 3, [b"ok"] * 3),
        ):
            host = Host(of_address=1, proxies=["10.0.0.0/8"])
            lines = [Line(host, peer) for peer in peers]
            for line in lines:
                await line.send(GET)
            assert [body for line in lines for body in line.bodies] == bodies, peers

    run(scenario)


def test_each_client_of_a_trusted_proxy_has_a_bound():
    async def scenario() -> None:
        host, go_on = Host(of_address=1, proxies=["10.0.0.1"]), asyncio.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await go_on.wait()
            await answer(b"ok")(scope, receive, send)

        host.app = app
        lines = [Line(host, "10.0.0.1") for _ in range(3)]
        for line, client in zip(lines, (b"192.0.2.1", b"192.0.2.1", b"192.0.2.2"), strict=True):
            await line.send(GET.replace(b"Host", b"X-Forwarded-For: 1.1.1.1, %b\r\nHost" % client))
        assert [line.bodies for line in lines] == [[], [b"full"], []]
        go_on.set()
        await lines[0].settle()
        assert [line.bodies for line in lines] == [[b"ok"], [b"full"], [b"ok"]]
        again = Line(host, "10.0.0.1")
        await again.send(GET.replace(b"Host", b"X-Forwarded-For: 192.0.2.1\r\nHost"))
        assert again.bodies == [b"ok"]

    run(scenario)


@pytest.mark.parametrize(
    ("peer", "fields", "client", "scheme"),
    [
        ("10.0.0.1", b"X-Forwarded-For: 192.0.2.9\r\nX-Forwarded-Proto: https\r\n", "192.0.2.9", "https"),
        ("10.0.0.1", b"X-Forwarded-For: 1.1.1.1, 192.0.2.9, 10.0.0.7\r\n", "192.0.2.9", "http"),
        ("10.0.0.1", b"X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 192.0.2.9:5000\r\n", "192.0.2.9", "http"),
        ("10.0.0.1", b"X-Forwarded-For: [2001:db8::1]:5000\r\nX-Forwarded-Proto: wss\r\n", "2001:db8::1", "http"),
        ("10.0.0.1", b"X-Forwarded-For: 10.0.0.5, 10.0.0.6\r\n", "10.0.0.5", "http"),
        ("10.0.0.1", b"X-Forwarded-For: ,\r\n", "10.0.0.1", "http"),
        ("10.0.0.1", b"", "10.0.0.1", "http"),
        ("192.0.2.1", b"X-Forwarded-For: 192.0.2.9\r\nX-Forwarded-Proto: https\r\n", "192.0.2.1", "http"),
    ],
)
def test_forwarded_headers_count_only_from_a_trusted_proxy(peer: str, fields: bytes, client: str, scheme: str):
    async def scenario() -> None:
        line = Line(Host(proxies=["10.0.0.0/8"]), peer)
        await line.send(GET.replace(b"Host", fields + b"Host"))
        scope, proxies = line.host.seen[0], line.host.listener.proxies
        if proxies.trusts(peer):
            scope = proxies.forwarded(scope)
        assert (scope["client"][0], scope["scheme"]) == (client, scheme)

    run(scenario)


def test_partial_requests_share_a_bounded_memory():
    async def scenario() -> None:
        host = Host(most=10_000, of_address=10_000)
        part = b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: %b\r\n" % (b"y" * 7_000) * 4
        lines: list[Line] = []
        while not lines or not lines[-1].answer:
            lines.append(Line(host))
            await lines[-1].send(part)
        assert lines[-1].answer.startswith(b"HTTP/1.1 503 ")
        assert 3_000_000 < len(lines) * len(part) < 5_000_000
        other = Line(host, "192.0.2.77")
        await other.send(part)
        assert other.answer == b""
        for line in lines:
            line.connection.connection_lost(None)
        again = Line(host)
        await again.send(part, b"\r\n")
        assert again.bodies == [b"ok"]

    run(scenario)


# Shutdown


def test_the_last_answer_announces_the_end_of_the_connection():
    async def scenario() -> None:
        line = Line()
        await line.send(GET)
        line.connection.answer_last()
        assert not line.socket.closed
        await line.send(GET)
        assert line.answer.count(b"connection: close") == 1
        assert line.socket.closed

    run(scenario)


@pytest.mark.parametrize("end", [HttpConnection.answer_last, HttpConnection.shutdown])
def test_shutdown_answers_pending_requests_and_closes(end: Callable[[HttpConnection], None]):
    async def scenario() -> None:
        line = Line()
        await line.send(SAVE)
        end(line.connection)
        assert not line.socket.closed
        line.host.stored.set_result(None)
        await line.settle()
        assert line.answer == b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 4\r\n\r\nsave"
        assert line.socket.closed

    run(scenario)


def test_shutdown_closes_idle_connections_and_waits_for_no_client():
    async def scenario() -> None:
        idle = Line()
        await idle.send(GET)
        idle.connection.shutdown()
        assert idle.socket.closed
        sending = Line()
        await sending.send(POST)
        assert sending.connection.waits_for_client
        sending.connection.abort()
        await sending.gone()

    run(scenario)


def test_a_dedicated_connection_keeps_little_memory_and_ends_with_its_answer():
    async def scenario() -> None:
        line = Line()

        async def stream(scope: Scope, receive: Receive, send: Send) -> None:
            scope["state"][CONNECTION].dedicate()
            await answer(b"ok")(scope, receive, send)

        line.host.app = stream
        await line.send(GET)
        assert line.socket.options
        assert line.bodies == [b"ok"]
        assert line.socket.closed

    run(scenario)


def test_the_application_learns_of_a_disconnect_also_while_sending():
    async def scenario() -> None:
        line, heard = Line(), asyncio.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            del scope
            await receive()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            line.connection.pause_writing()
            sending = asyncio.ensure_future(
                cast(
                    "Coroutine[None, None, None]", send({"type": "http.response.body", "body": b"x", "more_body": True})
                )
            )
            assert (await receive())["type"] == "http.disconnect"
            await sending
            heard.set()

        line.host.app = app
        await line.send(GET)
        await line.gone()
        assert heard.is_set()

    run(scenario)
