"""Saves and reads of Playhead beside its own noop, the bare stack, the baseline and the rivals, in turn."""

import contextlib
import os
import statistics
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from arrivals import Latencies, measure_arrivals
from contract import check_contract, check_noops, check_same_bytes
from load import (
    GET_NOOP,
    POST_NOOP,
    READ,
    SAVE,
    Result,
    measure_sync,
    median_ratio,
    median_result,
    run_load,
)
from plan import Plan
from report import at_least, at_most, print_row, say
from rivals import BARE, BASELINE, GROUP, RIVAL, make_rivals
from servers import Server, playhead_program, running

PLAYHEAD = "Playhead"
CONNECTIONS = (1, 16, 64, 256)
TARGET_CONNECTIONS = 64

LEAST_SAVES_TO = {POST_NOOP: 0.55, BARE: 0.40, BASELINE: 25, RIVAL: 2.8, GROUP: 0.6}
LEAST_READS_TO = {GET_NOOP: 0.80, BARE: 0.50, BASELINE: 40, RIVAL: 0.8}
MOST_NOOPS_A_LONE_SAVE = 3
MOST_ARRIVING_SAVE_P99_MS = 25
READY_WITHIN_S = 1.5
MOST_MEMORY_MB = 130

MEMORY_WITHIN_S = 120

Run = tuple[str, str]
"""A server and a load."""

_OWN: tuple[Run, ...] = ((PLAYHEAD, POST_NOOP), (PLAYHEAD, SAVE), (PLAYHEAD, GET_NOOP), (PLAYHEAD, READ))

# Neighbours in time are compared, so what a target compares lies close together.
RUNS: dict[int, tuple[Run, ...]] = {
    1: (*_OWN[:2], (BARE, SAVE), (RIVAL, SAVE), (GROUP, SAVE), (BASELINE, SAVE), *_OWN[2:]),
    16: _OWN,
    64: (
        (PLAYHEAD, POST_NOOP),
        (BARE, SAVE),
        (PLAYHEAD, SAVE),
        (GROUP, SAVE),
        (RIVAL, SAVE),
        (BASELINE, SAVE),
        (PLAYHEAD, GET_NOOP),
        (BARE, READ),
        (PLAYHEAD, READ),
        (RIVAL, READ),
        (BASELINE, READ),
    ),
    256: _OWN,
}


class Rounds:
    """The results, one a round: of every server, load and number of connections, and of the disk."""

    def __init__(self) -> None:
        self._results: dict[tuple[Run, int], list[Result]] = defaultdict(list)
        self.sync_ms: list[float] = []

    def add(self, run: Run, connections: int, result: Result) -> None:
        """Take the result of one run."""
        self._results[run, connections].append(result)

    def of(self, run: Run, connections: int = TARGET_CONNECTIONS) -> list[Result]:
        """Return the results of all rounds."""
        return self._results[run, connections]

    def ratio(self, run: Run, other: Run, connections: int = TARGET_CONNECTIONS) -> float:
        """Return how many times `other` the rate of `run` is."""
        return median_ratio(self.of(run, connections), self.of(other, connections))

    def saves(self) -> int:
        """Return how many saves Playhead has answered."""
        return sum(
            result.requests
            for (run, _), results in self._results.items()
            for result in results
            if run == (PLAYHEAD, SAVE)
        )


def compare(data: Path, requests: Path, tokens: Sequence[str], plan: Plan) -> None:
    """Measure everything that needs no more than the usual installation; print tables and verdicts."""
    folder = data.parent
    say(f"Starting the server {plan.starts} times on {os.cpu_count()} CPUs")
    ready_s = measure_starts(data, plan.starts)
    programs = make_rivals(folder, tokens)
    with running(playhead_program(data), folder) as playhead:
        with contextlib.ExitStack() as others:
            servers = {name: others.enter_context(running(program, folder)) for name, program in programs.items()}
            check_same_bytes(servers[BARE], playhead, tokens[0])
            check_noops(playhead, tokens[0])
            for server in (playhead, *(servers[name] for name in (BASELINE, RIVAL, GROUP))):
                check_contract(server, tokens[0])
            servers[PLAYHEAD] = playhead
            answered = warm_up(servers, plan, requests)
            rounds = measure_rounds(servers, plan, requests)
        answered += rounds.saves()
        print_tables(rounds)
        print_targets(rounds)
        answered += print_arrivals(playhead, rounds, plan, requests)
        answered = save_until(playhead, answered, plan.saves_before_memory, requests)
        now_mb, most_mb = playhead.memory_mb("VmRSS"), playhead.memory_mb("VmHWM")
    say("\nStart, memory and end")
    at_most("/readyz after the start of the process", ready_s, READY_WITHIN_S, "s")
    at_most(f"resident memory after {answered:,} saves", now_mb, MOST_MEMORY_MB, "MB")
    say(f"  at its height the memory was {most_mb:.0f} MB; the server ended {playhead.stop_took_s:.2f} s after SIGTERM")


def measure_starts(data: Path, count: int) -> float:
    """Return the median time from the start of the process until /readyz answers 200, in seconds."""
    took: list[float] = []
    for _ in range(count):
        began = time.monotonic()
        with running(playhead_program(data), data.parent):
            took.append(time.monotonic() - began)
    return statistics.median(took)


def warm_up(servers: dict[str, Server], plan: Plan, requests: Path) -> int:
    """Let every server compile what it compiles while it serves; return how many saves Playhead has answered."""
    saved = 0
    for name, server in servers.items():
        say(f"Warming up: {name}")
        answered = run_load(server, SAVE, TARGET_CONNECTIONS, plan.seconds, requests).requests
        run_load(server, READ, TARGET_CONNECTIONS, plan.short_seconds, requests)
        saved += answered if name == PLAYHEAD else 0
    return saved


def measure_rounds(servers: dict[str, Server], plan: Plan, requests: Path) -> Rounds:
    """Measure every load of every server once a round."""
    rounds = Rounds()
    for number in range(plan.rounds):
        rounds.sync_ms.append(measure_sync(requests.parent))
        say(
            f"Round {number + 1} of {plan.rounds}: load average {os.getloadavg()[0]:.2f}; "
            f"4 KiB become durable in {rounds.sync_ms[-1]:.2f} ms"
        )
        for connections, runs in RUNS.items():
            seconds = plan.seconds if connections == TARGET_CONNECTIONS else plan.short_seconds
            # Every other round goes backwards, so that a machine that slows down favours nobody.
            for run in runs if number % 2 == 0 else reversed(runs):
                name, load = run
                rounds.add(run, connections, run_load(servers[name], load, connections, seconds, requests))
            rates = ", ".join(
                f"{name} {load} {rounds.of((name, load), connections)[-1].rate:,.0f}/s" for name, load in runs
            )
            say(f"  {connections:3} connections: {rates}")
    return rounds


def print_tables(rounds: Rounds) -> None:
    """Print the medians of the rounds, and how Playhead's rate compares with each; below 1 it is the slower one."""
    for subject, noop in ((SAVE, POST_NOOP), (READ, GET_NOOP)):
        say()
        print_row(f"{subject}s, connections", ["", "a second", "p50 ms", "p99 ms", "CPU us", "Playhead/it"])
        for connections, runs in RUNS.items():
            for run in runs:
                name, load = run
                if load in {subject, noop}:
                    one = median_result(rounds.of(run, connections))
                    figures = [f"{one.rate:,.0f}", f"{one.p50_ms:.2f}", f"{one.p99_ms:.2f}", f"{one.cpu_us:.0f}"]
                    ratio = rounds.ratio((PLAYHEAD, subject), run, connections)
                    shown = "" if run == (PLAYHEAD, subject) else f"{ratio:.2f}"
                    print_row(name if load == subject else load, [str(connections), *figures, shown])


def print_targets(rounds: Rounds) -> None:
    """Print the verdicts on what was measured in rounds."""
    say(f"\nAt {TARGET_CONNECTIONS} connections, medians of the ratios within each round")
    for load, bounds in ((SAVE, LEAST_SAVES_TO), (READ, LEAST_READS_TO)):
        for other, bound in bounds.items():
            run = (PLAYHEAD, other) if other in {POST_NOOP, GET_NOOP} else (other, load)
            at_least(f"{load}s to {other}", rounds.ratio((PLAYHEAD, load), run), bound)
    lone = zip(rounds.of((PLAYHEAD, SAVE), 1), rounds.of((PLAYHEAD, POST_NOOP), 1), rounds.sync_ms, strict=True)
    shares = [save.p50_ms / (MOST_NOOPS_A_LONE_SAVE * noop.p50_ms + sync_ms) for save, noop, sync_ms in lone]
    name = f"a lone save's median to {MOST_NOOPS_A_LONE_SAVE} x POST noop's and one sync of the disk"
    at_most(name, statistics.median(shares), 1, "times")


def print_arrivals(playhead: Server, rounds: Rounds, plan: Plan, requests: Path) -> int:
    """Measure and print the open loop; return how many saves it made."""
    say("\nArrivals at half the maximum, latency from the intended send time")
    heads = ["a second", "p50 ms", "p99 ms", "p99.9 ms", "client p99"]
    print_row("", heads)
    measured: dict[str, list[Latencies]] = {SAVE: [], READ: []}
    for _ in range(plan.arrival_rounds):
        for load, ones in measured.items():
            rate = statistics.median(result.rate for result in rounds.of((PLAYHEAD, load))) / 2
            ones.append(measure_arrivals(playhead, load, rate, plan.arrival_seconds, requests))
    for load, ones in measured.items():
        rate, _, *latencies = (statistics.median(values) for values in zip(*ones, strict=True))
        print_row(f"{load}s", [f"{rate:,.0f}", *(f"{value:.2f}" for value in latencies)])
    p99_ms = statistics.median(one.p99_ms for one in measured[SAVE])
    at_most("p99 of arriving saves", p99_ms, MOST_ARRIVING_SAVE_P99_MS, "ms")
    return sum(one.answered for one in measured[SAVE])


def save_until(server: Server, answered: int, total: int, requests: Path) -> int:
    """Save until `total` saves were answered by this server, or time is up; return how many were."""
    deadline = time.monotonic() + MEMORY_WITHIN_S
    while answered < total and time.monotonic() < deadline:
        say(f"{answered:,} of {total:,} saves before memory is read")
        answered += run_load(server, SAVE, TARGET_CONNECTIONS, 3, requests).requests
    return answered
