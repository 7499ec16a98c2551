"""The open loop: requests arrive at a fixed rate, however long the server takes, as they do from people.

As a program (`arrivals.py PORT LOAD RATE SECONDS REQUESTS`) it is the client, a process of its own, and prints one line
of JSON. wrk cannot do this: its connections wait for their answers, so a server that pauses is asked nothing meanwhile,
and the pause hardly shows in the latencies.
"""

import asyncio
import json
import re
import subprocess
import sys
import time
from array import array
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, cast

import uvloop
from installation import DURATION_S
from load import SAVE
from servers import BenchError, Server

CONNECTIONS = 64

_PATH = "/api/v1/playback/movie/"
_GIVE_UP_S = 10  # after the last arrival
_TICK_S = 0.001
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Latencies(NamedTuple):
    """What an open loop measured; milliseconds, each from the instant at which the request was meant to be sent.

    `rate` is what was asked for, a second; `answered` counts the answers; `late_p99_ms` is how late the client itself
    was in sending or queueing, which the others include.
    """

    rate: float
    answered: int
    p50_ms: float
    p99_ms: float
    p999_ms: float
    late_p99_ms: float


def measure_arrivals(server: Server, load: str, rate: float, seconds: int, requests: Path) -> Latencies:
    """Let a client send one load at a fixed rate. Raises BenchError where a single request was not answered well."""
    command = [sys.executable, __file__, str(server.port), load, str(rate), str(seconds), str(requests)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30, check=False)
    if done.returncode != 0:
        raise BenchError(f"{server.name}, {load}s at {rate:,.0f}/s: {done.stdout}{done.stderr}".strip())
    return Latencies(*json.loads(done.stdout))


class _Client:
    """Takes every arrival to a connection that is free, or lets it wait for the next that is."""

    def __init__(self, requests: list[bytes], rate: float, total: int) -> None:
        self._requests = requests
        self._rate = rate
        self._total = total
        self._free: list[_Connection] = []
        self._waiting: deque[int] = deque()
        self._arrived = 0
        self._began = 0.0
        self.latencies = array("d")
        self.lateness = array("d")
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def add(self, connection: "_Connection") -> None:
        self._free.append(connection)

    def begin(self) -> None:
        self._began = time.perf_counter()
        self._tick()

    def _tick(self) -> None:
        """Send what is due. The loop's timers are as coarse as its ticks, so several may be due at once."""
        now = time.perf_counter()
        due = min(self._total, int((now - self._began) * self._rate) + 1)
        for number in range(self._arrived, due):
            self.lateness.append(now - self._meant(number))
            if self._free:
                self._send(self._free.pop(), number)
            else:
                self._waiting.append(number)
        self._arrived = due
        if due < self._total:
            asyncio.get_running_loop().call_later(_TICK_S, self._tick)

    def _meant(self, number: int) -> float:
        return self._began + number / self._rate

    def _send(self, connection: "_Connection", number: int) -> None:
        connection.send(number, self._requests[number % len(self._requests)])

    def answered(self, connection: "_Connection", number: int) -> None:
        self.latencies.append(time.perf_counter() - self._meant(number))
        if self._waiting:
            self._send(connection, self._waiting.popleft())
        else:
            self._free.append(connection)
        if len(self.latencies) == self._total and not self.finished.done():
            self.finished.set_result(None)

    def failed(self, reason: str) -> None:
        if not self.finished.done():
            self.finished.set_exception(BenchError(reason))


class _Connection(asyncio.Protocol):
    """One connection to the server, with at most one request in progress."""

    def __init__(self, client: _Client) -> None:
        self._client = client
        self._number = 0
        self._received = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._client.add(self)

    def send(self, number: int, request: bytes) -> None:
        self._number = number
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, separator, body = self._received.partition(b"\r\n\r\n")
        if not separator:
            return
        length = _LENGTH.search(head)
        if not head.startswith(b"HTTP/1.1 200 ") or length is None:
            self._client.failed(f"answered {self._received.decode('latin-1')}")
        elif len(body) >= int(length[1]):
            self._received = b""
            self._client.answered(self, self._number)

    def connection_lost(self, exc: Exception | None) -> None:
        self._client.failed(f"the server closed a connection: {exc}")


def request_of(load: str, line: str) -> bytes:
    """Return the request of one load that a line of the file of requests stands for."""
    token, movie, position = line.split()
    body = json.dumps({"position_seconds": int(position), "duration_seconds": DURATION_S}) if load == SAVE else ""
    head = [f"{'POST' if load == SAVE else 'GET'} {_PATH}{movie} HTTP/1.1", "Host: 127.0.0.1"]
    head.append(f"Authorization: Bearer {token}")
    if body:
        head += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*head, "", body]).encode("ascii")


async def _measure(port: int, rate: float, seconds: int, requests: list[bytes]) -> Latencies:
    total = max(1, int(rate * seconds))
    client = _Client(requests, rate, total)
    loop = asyncio.get_running_loop()
    for _ in range(CONNECTIONS):
        await loop.create_connection(lambda: _Connection(client), "127.0.0.1", port)
    client.begin()
    try:
        await asyncio.wait_for(client.finished, seconds + _GIVE_UP_S)
    except TimeoutError:
        raise BenchError(f"only {len(client.latencies)} of {total} were answered") from None
    return Latencies(
        rate,
        len(client.latencies),
        _percentile_ms(client.latencies, 0.50),
        _percentile_ms(client.latencies, 0.99),
        _percentile_ms(client.latencies, 0.999),
        _percentile_ms(client.lateness, 0.99),
    )


def _percentile_ms(values_s: Sequence[float], share: float) -> float:
    return sorted(values_s)[min(len(values_s) - 1, int(len(values_s) * share))] * 1000


def main() -> int:
    port, load, rate, seconds, file = sys.argv[1:]
    requests = [request_of(load, line) for line in Path(file).read_text("ascii").splitlines()]
    try:
        print(json.dumps(uvloop.run(_measure(int(port), float(rate), int(seconds), requests))))
    except BenchError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
