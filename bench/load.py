"""Sends loads to a server with wrk, where every connection waits for its answer, and says how it bore them."""

import os
import statistics
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from servers import BenchError, Server

SAVE, READ, POST_NOOP, GET_NOOP = "save", "read", "POST noop", "GET noop"

_SCRIPT = Path(__file__).with_name("load.lua")
_SYNCS = 50


class Result(NamedTuple):
    """One run of wrk: what it got answered, and what that cost the server."""

    requests: int
    rate: float  # requests a second
    p50_ms: float
    p99_ms: float
    cpu_us: float  # processor time of the server, a request


def run_load(server: Server, load: str, connections: int, seconds: int, requests: Path) -> Result:
    """Let wrk send one load. Raises BenchError where a single answer was no success."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}", "--timeout", "10", "-s", str(_SCRIPT)]
    command += [f"http://127.0.0.1:{server.port}", "--", load, str(requests)]
    cpu_before = server.cpu_s()
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30, check=False)
    line = next((line for line in done.stdout.splitlines() if line.startswith("result ")), None)
    if line is None:
        raise BenchError(f"wrk failed: {done.stdout}{done.stderr}")
    answered, took_us, p50_us, p99_us, errors = (int(word) for word in line.split()[1:])
    if errors or not answered:
        raise BenchError(
            f"{server.name}: {errors} errors in {answered} answers, at {connections} connections, to the load {load!r}"
        )
    cpu_us = (server.cpu_s() - cpu_before) / answered * 1e6
    return Result(answered, answered / took_us * 1e6, p50_us / 1000, p99_us / 1000, cpu_us)


def median_result(rounds: Sequence[Result]) -> Result:
    """Return the median of each member."""
    requests, *rest = (statistics.median(values) for values in zip(*rounds, strict=True))
    return Result(round(requests), *rest)


def median_ratio(ones: Sequence[Result], others: Sequence[Result]) -> float:
    """Return the median of the rounds' ratios of rates, each within one round: neighbours in time can be compared."""
    return statistics.median(one.rate / other.rate for one, other in zip(ones, others, strict=True))


def measure_sync(folder: Path) -> float:
    """Return how long this disk takes to make 4 KiB durable, in milliseconds: what a save alone waits for at least."""
    took: list[float] = []
    with (folder / "sync").open("wb", buffering=0) as file:
        for _ in range(_SYNCS):
            began = time.perf_counter()
            file.write(b"1" * 4096)
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - began)
    return statistics.median(took) * 1000
