"""What a thousand open streams of live changes cost: memory, and how much slower saving becomes."""

import contextlib
import selectors
import socket
import statistics
import threading
import time
from collections.abc import Generator, Sequence
from pathlib import Path

from load import SAVE, median_ratio, run_load
from plan import Plan
from report import at_least, at_most, print_row, say
from servers import BenchError, Server, playhead_program, running

STREAMS = 1000
CONNECTIONS = 64
MOST_MEMORY_MB = 60
LEAST_SAVES_TO_QUIET = 0.9

_OPEN_WITHIN_S = 30
_SETTLE_S = 1.5  # the last round of events, and a look at the credentials


class Listeners:
    """Open streams, a few of each user, that read all that comes and count it."""

    def __init__(self, server: Server, tokens: Sequence[str]) -> None:
        self.received = 0
        self.ended = 0
        self._stopping = threading.Event()
        self._selector = selectors.DefaultSelector()
        self._sockets = [self._open(server, tokens[number % len(tokens)]) for number in range(STREAMS)]
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _open(self, server: Server, token: str) -> socket.socket:
        opened = socket.create_connection(("127.0.0.1", server.port))
        head = f"GET /api/v1/events HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n\r\n"
        opened.sendall(head.encode())
        self._selector.register(opened, selectors.EVENT_READ)
        return opened

    def wait_until_open(self) -> None:
        """Return when every stream has begun. Raises BenchError."""
        deadline = time.monotonic() + _OPEN_WITHIN_S
        while self.received < STREAMS:
            if time.monotonic() > deadline or self.ended:
                raise BenchError(f"of {STREAMS} streams {self.received} began and {self.ended} ended")
            time.sleep(0.01)

    def _read(self) -> None:
        while not self._stopping.is_set():
            for key, _ in self._selector.select(timeout=0.1):
                stream = key.fileobj
                assert isinstance(stream, socket.socket)
                data = stream.recv(65536)
                if data:
                    self.received += data.count(b"event: ") + data.count(b"retry: ")
                else:
                    self.ended += 1
                    self._selector.unregister(stream)

    def close(self) -> None:
        """Close all streams."""
        self._stopping.set()
        self._thread.join()
        for stream in self._sockets:
            stream.close()
        self._selector.close()


@contextlib.contextmanager
def listening(server: Server, tokens: Sequence[str]) -> Generator[Listeners]:
    """Keep the streams open meanwhile. Raises BenchError where one of them ended by itself."""
    listeners = Listeners(server, tokens)
    try:
        listeners.wait_until_open()
        yield listeners
    finally:
        listeners.close()
    if listeners.ended:
        raise BenchError(f"{listeners.ended} of {STREAMS} streams were ended by the server")


def measure_streams(data: Path, requests: Path, tokens: Sequence[str], plan: Plan) -> None:
    """Measure saves beside a thousand streams and without, in turn, and the memory that the streams take."""
    say(f"\n{STREAMS:,} streams of {len(tokens)} users, who all save meanwhile, at {CONNECTIONS} connections")
    with running(playhead_program(data), data.parent) as server:
        run_load(server, SAVE, CONNECTIONS, plan.seconds, requests)
        quiet_mb = server.memory_mb("VmRSS")
        with listening(server, tokens):
            open_mb = server.memory_mb("VmRSS") - quiet_mb
        quiet, heard, events, busy_mb = [], [], 0, [open_mb]
        for _ in range(plan.rounds):
            quiet.append(run_load(server, SAVE, CONNECTIONS, plan.seconds, requests))
            with listening(server, tokens) as listeners:
                heard.append(run_load(server, SAVE, CONNECTIONS, plan.seconds, requests))
                time.sleep(_SETTLE_S)
                events += listeners.received - STREAMS
                busy_mb.append(server.memory_mb("VmRSS") - quiet_mb)
    if not events:
        raise BenchError("no stream was told of any change")
    print_row("", ("saves/s", "p99 ms", "CPU µs"))
    for name, results in (("without streams", quiet), ("with streams", heard)):
        rate, p99, cpu = (statistics.median(getattr(each, member) for each in results) for member in _SHOWN)
        print_row(name, (f"{rate:,.0f}", f"{p99:.1f}", f"{cpu:.0f}"))
    say(f"  events read: {events / plan.rounds:,.0f} a round")
    at_most(f"memory of {STREAMS:,} streams, opened", open_mb, MOST_MEMORY_MB, "MB")
    at_most(f"memory of {STREAMS:,} streams, under load", max(busy_mb), MOST_MEMORY_MB, "MB")
    at_least("saves with streams to saves without", median_ratio(heard, quiet), LEAST_SAVES_TO_QUIET)


_SHOWN = ("rate", "p99_ms", "cpu_us")
