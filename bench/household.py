"""What a household costs: one player on an idle server that reports every few seconds, on each engine."""

import contextlib
import socket
import statistics
import time
from pathlib import Path

from arrivals import request_of
from cluster import running_cluster
from installation import make_installation, write_requests
from load import SAVE
from plan import Plan
from report import print_row, say
from servers import BenchError, Server, playhead_program, running

PERIOD_S = 2.0
"""Longer than a server believes what it knows of a token without looking; a real player reports every ten seconds."""

_WARM_UP = 5


class Player:
    """One player on a connection that it keeps."""

    def __init__(self, server: Server, requests: Path) -> None:
        with requests.open("rb") as lines:
            self._request = request_of(SAVE, lines.readline().decode("ascii"))
        self._socket = socket.create_connection(("127.0.0.1", server.port), timeout=10)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def save(self) -> float:
        """Report once, and return how many milliseconds the answer took. Raises BenchError where it is no success."""
        began = time.perf_counter()
        self._socket.sendall(self._request)
        answer = self._socket.recv(65536)
        took_ms = (time.perf_counter() - began) * 1000
        if not answer.startswith(b"HTTP/1.1 200 "):
            raise BenchError(f"a save was answered {answer.decode('latin-1')}")
        return took_ms

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


def measure_household(folder: Path, plan: Plan) -> None:
    """Let one player report to a server on SQLite and to one on PostgreSQL, both idle otherwise."""
    say(f"\nOne player that reports every {PERIOD_S:g} s, {plan.household_saves} times")
    print_row("", ("p50 ms", "p90 ms", "CPU ms/save"))
    with contextlib.ExitStack() as stack:
        for engine in ("SQLite", "PostgreSQL"):
            own = folder / engine
            own.mkdir()
            database = stack.enter_context(running_cluster(folder)) if engine == "PostgreSQL" else ""
            write_requests(own / "requests", make_installation(own / "data", database=database))
            server = stack.enter_context(running(playhead_program(own / "data", database=database), own))
            player = stack.enter_context(contextlib.closing(Player(server, own / "requests")))
            for _ in range(_WARM_UP):
                player.save()
            time.sleep(PERIOD_S)
            cpu_s = server.cpu_s()
            took_ms: list[float] = []
            for _ in range(plan.household_saves):
                took_ms.append(player.save())
                time.sleep(PERIOD_S)
            cpu_ms = (server.cpu_s() - cpu_s) * 1000 / plan.household_saves
            p90 = statistics.quantiles(took_ms, n=10)[-1]
            print_row(engine, (f"{statistics.median(took_ms):.2f}", f"{p90:.2f}", f"{cpu_ms:.2f}"))
