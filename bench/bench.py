"""Measures saves and reads of a real server beside its own noop, its start and its memory; see docs/benchmarks.md.

Makes an installation in a temporary folder, and leaves nothing behind but what it prints. Exits with 0 whether or not
the targets were reached, and with 1 where a figure would mean nothing: a wrong answer, or a server that does not start
or stop.
"""

import argparse
import http.client
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from installation import (
    DURATION_S,
    MOVIES,
    USERS,
    BenchError,
    Server,
    ignore_settings,
    make_installation,
    movies,
    running_server,
    write_requests,
)

SAVE, READ, POST_NOOP, GET_NOOP = "save", "read", "POST noop", "GET noop"
LOADS = (POST_NOOP, SAVE, GET_NOOP, READ)
CONNECTIONS = (1, 16, 64, 256)

TARGET_CONNECTIONS = 64
LEAST_SAVES_TO_NOOP = 0.40
LEAST_READS_TO_NOOP = 0.60
READY_WITHIN_S = 1.5
MOST_MEMORY_MB = 130

MEMORY_WITHIN_S = 120
PROFILE_S = 10
PROFILE_LINES = 30

LOAD_SCRIPT = Path(__file__).with_name("load.lua")


@dataclass(frozen=True)
class Plan:
    """How long and how often to measure."""

    rounds: int
    seconds: int
    starts: int
    saves_before_memory: int


FULL = Plan(rounds=5, seconds=2, starts=5, saves_before_memory=200_000)
QUICK = Plan(rounds=1, seconds=1, starts=3, saves_before_memory=20_000)


class Result(NamedTuple):
    """One run of wrk: what it got answered, and what that cost the server."""

    requests: int
    rate: float  # requests a second
    p50_ms: float
    p99_ms: float
    cpu_us: float  # processor time of the server, a request


Rounds = dict[tuple[str, int], list[Result]]
"""The results by load and number of connections, one a round."""


def say(text: str = "") -> None:
    print(text, flush=True)


# Measuring


def measure_starts(data: Path, count: int) -> float:
    """Return the median time from the start of the process until /readyz answers 200, in seconds."""
    took: list[float] = []
    for _ in range(count):
        began = time.monotonic()
        with running_server(data):
            took.append(time.monotonic() - began)
    return statistics.median(took)


def measure_sync(folder: Path) -> float:
    """Return how long this disk takes to make 4 KiB durable, in milliseconds: what a save alone waits for at least."""
    took: list[float] = []
    with (folder / "sync").open("wb", buffering=0) as file:
        for _ in range(50):
            began = time.perf_counter()
            file.write(b"1" * 4096)
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - began)
    return statistics.median(took) * 1000


def check_answers(server: Server, token: str) -> None:
    """Raise BenchError unless the four loads are answered with what they should be."""
    movie = f"/api/v1/playback/movie/{movies()[0]}"
    report = {"position_seconds": 1250, "duration_seconds": DURATION_S}
    for method, path in (("POST", movie), ("GET", movie), ("POST", "/api/v1/noop"), ("GET", "/api/v1/noop")):
        status, answer = server.ask(method, path, token, report if method == "POST" else None)
        if status != http.client.OK or answer | report != answer:
            raise BenchError(f"{method} {path} answers {status}: {answer}")


def run_load(server: Server, load: str, connections: int, seconds: int, requests: Path) -> Result:
    """Let wrk send one load. Raises BenchError where a single answer was no success."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}", "--timeout", "10", "-s", str(LOAD_SCRIPT)]
    command += [f"http://127.0.0.1:{server.port}", "--", load, str(requests)]
    cpu_before = server.cpu_s()
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30, check=False)
    line = next((line for line in done.stdout.splitlines() if line.startswith("result ")), None)
    if line is None:
        raise BenchError(f"wrk failed: {done.stdout}{done.stderr}")
    answered, took_us, p50_us, p99_us, errors = (int(word) for word in line.split()[1:])
    if errors or not answered:
        raise BenchError(f"{errors} errors in {answered} answers, at {connections} connections, to the load {load!r}")
    cpu_us = (server.cpu_s() - cpu_before) / answered * 1e6
    return Result(answered, answered / took_us * 1e6, p50_us / 1000, p99_us / 1000, cpu_us)


def measure_rounds(server: Server, plan: Plan, requests: Path) -> Rounds:
    """Measure every load at every number of connections, once a round: neighbours in time can be compared."""
    results: Rounds = defaultdict(list)
    for number in range(plan.rounds):
        sync_ms = measure_sync(requests.parent)
        say(f"round {number + 1}: load average {os.getloadavg()[0]:.2f}; 4 KiB become durable in {sync_ms:.2f} ms")
        for connections in CONNECTIONS:
            # Every other round goes backwards, so that a machine that slows down favours nobody.
            for load in LOADS if number % 2 == 0 else reversed(LOADS):
                results[load, connections].append(run_load(server, load, connections, plan.seconds, requests))
            rates = ", ".join(f"{load} {results[load, connections][-1].rate:,.0f}/s" for load in LOADS)
            say(f"round {number + 1} of {plan.rounds}, {connections:3} connections: {rates}")
    return results


def save_until(server: Server, answered: int, total: int, requests: Path) -> int:
    """Save until `total` saves were answered by this server, or time is up; return how many were."""
    deadline = time.monotonic() + MEMORY_WITHIN_S
    while answered < total and time.monotonic() < deadline:
        say(f"{answered:,} of {total:,} saves before memory is read")
        answered += run_load(server, SAVE, TARGET_CONNECTIONS, 3, requests).requests
    return answered


# What is printed


def ratio(results: Rounds, load: str, noop: str, connections: int) -> float:
    """Return the median of the rounds' ratios, each within one round."""
    pairs = zip(results[load, connections], results[noop, connections], strict=True)
    return statistics.median(one.rate / other.rate for one, other in pairs)


def print_table(results: Rounds) -> None:
    for load, noop in ((SAVE, POST_NOOP), (READ, GET_NOOP)):
        heads = ["connections", f"{load}s/s", f"{noop}/s", "ratio", "p50 ms", "p99 ms", "CPU us"]
        say("\n" + "".join(f"{head:>13}" for head in [*heads, "noop p50", "noop p99", "noop CPU"]))
        for connections in CONNECTIONS:
            one, other = (median_of(results[each, connections]) for each in (load, noop))
            cells = [str(connections), f"{one.rate:,.0f}", f"{other.rate:,.0f}"]
            cells.append(f"{ratio(results, load, noop, connections):.2f}")
            for each in (one, other):
                cells += [f"{each.p50_ms:.2f}", f"{each.p99_ms:.2f}", f"{each.cpu_us:.0f}"]
            say("".join(f"{cell:>13}" for cell in cells))


def median_of(rounds: Sequence[Result]) -> Result:
    requests, *rest = (statistics.median(values) for values in zip(*rounds, strict=True))
    return Result(round(requests), *rest)


def print_target(name: str, measured: float, bound: float, unit: str, *, least: bool) -> None:
    reached = measured >= bound if least else measured <= bound
    verdict = "reached" if reached else "NOT REACHED"
    say(f"  {name}: {measured:.2f} {unit}, {'at least' if least else 'at most'} {bound:g} wanted: {verdict}")


def run_benchmark(data: Path, requests: Path, token: str, plan: Plan) -> None:
    say(f"Starting the server {plan.starts} times on {os.cpu_count()} CPUs")
    ready_s = measure_starts(data, plan.starts)
    with running_server(data) as server:
        check_answers(server, token)
        say("Warming up")
        answered = run_load(server, SAVE, TARGET_CONNECTIONS, plan.seconds, requests).requests
        results = measure_rounds(server, plan, requests)
        answered += sum(result.requests for (load, _), rounds in results.items() if load == SAVE for result in rounds)
        answered = save_until(server, answered, plan.saves_before_memory, requests)
        now_mb, most_mb = server.memory_mb("VmRSS"), server.memory_mb("VmHWM")
    say(f"The server ended {server.stop_took_s:.2f} s after SIGTERM")
    print_table(results)
    at_target = f"at {TARGET_CONNECTIONS} connections"
    saves = ratio(results, SAVE, POST_NOOP, TARGET_CONNECTIONS)
    reads = ratio(results, READ, GET_NOOP, TARGET_CONNECTIONS)
    say("\nTargets")
    print_target(f"saves to POST noop {at_target}", saves, LEAST_SAVES_TO_NOOP, "times", least=True)
    print_target(f"reads to GET noop {at_target}", reads, LEAST_READS_TO_NOOP, "times", least=True)
    print_target("/readyz after the start of the process", ready_s, READY_WITHIN_S, "s", least=False)
    print_target(f"resident memory after {answered:,} saves", now_mb, MOST_MEMORY_MB, "MB", least=False)
    say(f"  (at its height the memory was {most_mb:.2f} MB)")


def run_profile(data: Path, requests: Path, load: str) -> None:
    """Print where the threads of the server spend one load."""
    profiler = shutil.which("py-spy")
    if profiler is None:
        raise BenchError("--profile needs py-spy on the PATH: `pip install py-spy` into an environment of its own")
    stacks = data.parent / "stacks.txt"
    with running_server(data) as server:
        run_load(server, SAVE, TARGET_CONNECTIONS, 2, requests)
        command = [profiler, "record", "--pid", str(server.pid), "--duration", str(PROFILE_S), "--rate", "200"]
        command += ["--threads", "--format", "raw", "--output", str(stacks)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as recording:
            result = run_load(server, load, TARGET_CONNECTIONS, PROFILE_S + 2, requests)
            printed, _ = recording.communicate(timeout=30)
        if recording.returncode != 0:
            raise BenchError(f"py-spy failed: {printed}")
    say(f"{result.rate:,.0f} {load}s/s at {TARGET_CONNECTIONS} connections while recording")
    print_profile(stacks)


def print_profile(stacks: Path) -> None:
    """Print, for each thread that computed, where most of its samples lay: at the line itself, and below it."""
    own: dict[str, Counter[str]] = defaultdict(Counter)
    below: dict[str, Counter[str]] = defaultdict(Counter)
    for line in stacks.read_text().splitlines():
        stack, _, count = line.rpartition(" ")
        thread, *frames = stack.split(";")
        if not frames[-1].startswith("_worker ("):  # a thread of a pool that waits for work
            own[thread][frames[-1]] += int(count)
            below[thread].update(dict.fromkeys(frames, int(count)))
    total = sum(counts.total() for counts in own.values())
    for thread, counts in sorted(own.items(), key=lambda each: -each[1].total()):
        whole = counts.total()
        say(f"\n{thread}: {whole / total:.0%} of all samples")
        for title, table in (("at the line itself", counts), ("with what it calls", below[thread])):
            say(f"  {title}")
            telling = {frame: samples for frame, samples in table.items() if samples < whole}  # not what all lie in
            for frame, samples in Counter(telling).most_common(PROFILE_LINES):
                say(f"    {samples / whole:6.1%}  {frame}")


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure saves and reads of a real server beside its own noop.")
    parser.add_argument("--quick", action="store_true", help="one short round, 40 s in all: for a first impression")
    parser.add_argument("--rounds", type=int, metavar="N", help="how often everything is measured [5, quick 1]")
    parser.add_argument("--seconds", type=int, metavar="S", help="how long each load is sent [2, quick 1]")
    parser.add_argument("--folder", type=Path, help="where the installation is made: on the disk to be measured [/tmp]")
    parser.add_argument(
        "--profile", choices=(SAVE, READ), help="instead, show where the server spends one load; needs py-spy"
    )
    options = parser.parse_args()
    plan = QUICK if options.quick else FULL
    plan = replace(plan, rounds=options.rounds or plan.rounds, seconds=options.seconds or plan.seconds)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends like Ctrl-C: servers are stopped, folders removed
    if shutil.which("wrk") is None:
        return complain("wrk is not installed: https://github.com/wg/wrk, or `apt install wrk`")
    ignore_settings()
    try:
        with tempfile.TemporaryDirectory(prefix="playhead-bench-", dir=options.folder) as folder:
            data, requests = Path(folder) / "data", Path(folder) / "requests"
            say(f"Making {USERS} users and {MOVIES:,} movies")
            tokens = make_installation(data)
            write_requests(requests, tokens)
            if options.profile:
                run_profile(data, requests, options.profile)
            else:
                run_benchmark(data, requests, tokens[0], plan)
    except (BenchError, subprocess.TimeoutExpired) as error:
        return complain(str(error))
    except KeyboardInterrupt:
        return complain("interrupted")
    return 0


def complain(reason: str) -> int:
    print(f"bench: {reason}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
