"""Overload: more connections than are served, all of them asking again at once, and what the server still gets done.

wrk heeds no `Retry-After`, so this is the worst crowd there is; in it one well-behaved client tries to save ten times a
second, and how long a refusal takes is what it waits.
"""

import json
import resource
import subprocess
import threading
import time
from array import array
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path

from installation import movies
from load import SAVE, run_load
from plan import Plan
from report import at_least, at_most, print_row, say
from servers import BenchError, Server, playhead_program, running

BEARABLE = 64
"""Connections at which the server is at its maximum, as in the rest of the benchmark."""

TIMES = 10
BEYOND = 4096
"""More than there is room for: 2048 saves may wait."""

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
            shown = f"{_percentile(waits, 0.99):.1f} ms" if waits else "none"
            print_row(f"{connections:,}", [f"{served:,.0f}", f"{refused:,.0f}", f"{share:.2f}", shown])
            at_least(f"saves at {connections:,} connections to the maximum", share, _LEAST_SHARE)
            if waits:
                at_most(f"a refusal at {connections:,} connections, p99", _percentile(waits, 0.99), _MOST_MS, "ms")
            before = after


def _crowd(
    server: Server, connections: int, seconds: int, requests: Path, token: str
) -> "tuple[float, float, array[float]]":
    """Return saves served and refused a second, and how long single refusals took, in milliseconds."""
    waits: array[float] = array("d")
    ended = threading.Event()
    probe = threading.Thread(target=_probe, args=(server, token, ended, waits))
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}", "--timeout", "30", "-s", str(_SCRIPT)]
    probe.start()
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
        probe.join()
    line = next((line for line in done.stdout.splitlines() if line.startswith("result ")), None)
    if line is None:
        raise BenchError(f"wrk failed: {done.stdout}{done.stderr}")
    answered, took_us, _, _, errors = (int(word) for word in line.split()[1:])
    return (answered - errors) / took_us * 1e6, errors / took_us * 1e6, waits


def _probe(server: Server, token: str, ended: threading.Event, waits: "array[float]") -> None:
    """Save now and then, each time on a connection of its own, and note how long it took to be refused."""
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
            assert "retry-after" in {name.lower() for name, _ in headers}
            waits.append((time.perf_counter() - began) * 1000)


def _percentile(values: "array[float]", share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]
