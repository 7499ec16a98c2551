"""Overload: more connections than are served, all of them asking again at once, and what the server still gets done.

wrk heeds no `Retry-After`, so this is the worst crowd there is; in it one well-behaved client tries to save ten times a
second, and how long a refusal takes is what it waits.
"""

import json
import re
import resource
import subprocess
import threading
import time
from array import array
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http import HTTPStatus
from pathlib import Path

import apsw
from installation import movies
from load import SAVE, run_load
from plan import Plan
from report import at_least, at_most, print_row, say
from servers import BenchError, Server, playhead_program, running

BEARABLE = 64
"""Connections at which the server is at its maximum, as in the rest of the benchmark."""

TIMES = 10
ROOM = 2048
"""How many saves may wait: docs/operating.md."""

BEYOND = 2 * ROOM

_SCRIPT = Path(__file__).with_name("load.lua")
_WARM_S = 3
_LEAST_SHARE = 0.8
_MOST_MS = 100
_EVERY_S = 0.1


def measure_overload(data: Path, requests: Path, tokens: Sequence[str], plan: Plan) -> None:
    """Print what is served at ten times the connections that the server can bear, and beyond what it has room for."""
    seconds = plan.overload_seconds
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 2 * BEYOND)), hard))
    with running(playhead_program(data), data.parent) as server:
        run_load(server, SAVE, BEARABLE, _WARM_S, requests)
        say("\nOverload, saves/s")
        print_row("connections", ["served", "refused", "share", "refusal p99"])
        before = run_load(server, SAVE, BEARABLE, seconds, requests).rate
        print_row(f"{BEARABLE}", [f"{before:,.0f}", "", "", ""])
        for connections in (TIMES * BEARABLE, BEYOND):
            served, refused, waits = _crowd(server, connections, seconds, requests, tokens[0])
            after = run_load(server, SAVE, BEARABLE, seconds, requests).rate
            share = served / max(before, after)  # neighbours in time; the machine is not the same all the while
            print_row(f"{connections:,}", [f"{served:,.0f}", f"{refused:,.0f}", f"{share:.2f}", _shown(waits)])
            at_least(f"saves at {connections:,} connections to the maximum", share, _LEAST_SHARE)
            before = after
        # Where the store is the slower part, the room fills up and all others are refused: as slow as it can be.
        connections = ROOM + TIMES * BEARABLE
        with closing(apsw.Connection(str(data / "playhead.db"))) as other:
            other.execute("BEGIN IMMEDIATE")
            served, refused, waits = _crowd(server, connections, seconds, requests, tokens[0])
        print_row(f"{connections:,}, store held", [f"{served:,.0f}", f"{refused:,.0f}", "", _shown(waits)])
        if not waits:
            raise BenchError("nothing was refused though the store was held")
        at_most("a refusal where there is no room, p99", _percentile(waits, 0.99), _MOST_MS, "ms")


def _crowd(
    server: Server, connections: int, seconds: int, requests: Path, token: str
) -> "tuple[float, float, array[float]]":
    """Return saves served and refused a second, and how long single refusals took, in milliseconds."""
    waits: array[float] = array("d")
    ended = threading.Event()
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}", "--timeout", "30", "-s", str(_SCRIPT)]
    with ThreadPoolExecutor(1) as threads:
        probing = threads.submit(_probe, server, token, ended, waits)
        try:
            done = subprocess.run(
                [*command, f"http://127.0.0.1:{server.port}", "--", SAVE, str(requests)],
                capture_output=True,
                text=True,
                timeout=seconds + 60,
                check=False,
            )
        finally:
            ended.set()
        probing.result()
    line = next((line for line in done.stdout.splitlines() if line.startswith("result ")), None)
    if line is None:
        raise BenchError(f"wrk failed: {done.stdout}{done.stderr}")
    answered, took_us, _, _, errors = (int(word) for word in line.split()[1:])
    return (answered - errors) / took_us * 1e6, errors / took_us * 1e6, waits


def _probe(server: Server, token: str, ended: threading.Event, waits: "array[float]") -> None:
    """Save now and then, each time on a connection of its own, and note how long it took to be refused.

    Begins when others are refused: who is let in before waits for long, and learns nothing.
    """
    before = _refused(server)
    while _refused(server) == before:
        if ended.wait(_EVERY_S):
            return
    body = json.dumps({"position_seconds": 1, "duration_seconds": 5400}).encode()
    path = f"/api/v1/playback/movie/{movies()[0]}"
    while not ended.wait(_EVERY_S):
        began = time.perf_counter()
        try:
            status, headers, _ = server.ask_raw("POST", path, token, body)
        except TimeoutError:
            continue  # it was let into the queue of a machine that is busy, and gave up
        if status not in {HTTPStatus.OK, HTTPStatus.SERVICE_UNAVAILABLE}:
            raise BenchError(f"a save was answered with {status}")
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            if "retry-after" not in {name.lower() for name, _ in headers}:
                raise BenchError("a refusal does not say when to try again")
            waits.append((time.perf_counter() - began) * 1000)


def _refused(server: Server) -> int:
    _, _, metrics = server.ask_raw("GET", "/metrics")
    found = re.search(rb'^playhead_refused_total\{queue="saves"\} ([0-9.e+]+)$', metrics, re.MULTILINE)
    return round(float(found[1])) if found else 0


def _shown(waits: "array[float]") -> str:
    return f"{_percentile(waits, 0.99):.1f} ms" if waits else "none"


def _percentile(values: "array[float]", share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]
