"""The same server on PostgreSQL: one process beside its own noop, then several processes on one database."""

import itertools
from pathlib import Path

from cluster import running_cluster
from contract import check_contract, check_noops
from installation import make_installation, write_requests
from load import GET_NOOP, POST_NOOP, READ, SAVE, Result, median_ratio, median_result, run_load
from plan import Plan
from report import at_least, print_row, say
from servers import playhead_program, running

CONNECTIONS = 64
WORKERS = (1, 2, 4)
LEAST_SAVES_TO_NOOP = 0.25
LEAST_READS_TO_NOOP = 0.35

_LOADS = (POST_NOOP, SAVE, GET_NOOP, READ)


def measure_postgres(folder: Path, plan: Plan) -> None:
    """Measure all loads on a cluster of its own, with each number of processes; print the verdicts on one."""
    data, requests = folder / "data", folder / "requests"
    results: dict[tuple[int, str], list[Result]] = {(count, load): [] for count in WORKERS for load in _LOADS}
    with running_cluster(folder) as database:
        say("\nMaking the installation on PostgreSQL")
        tokens = make_installation(data, database=database)
        write_requests(requests, tokens)
        for number, count in itertools.product(range(plan.rounds), WORKERS):
            with running(playhead_program(data, database=database, workers=count), folder) as server:
                if number == 0 and count == 1:
                    check_contract(server, tokens[0])
                check_noops(server, tokens[0])
                run_load(server, SAVE, CONNECTIONS, 1, requests)  # connections, and what they prepare
                for load in _LOADS if number % 2 == 0 else reversed(_LOADS):
                    result = run_load(server, load, CONNECTIONS, plan.short_seconds, requests)
                    results[count, load].append(result)
            rates = ", ".join(f"{load} {results[count, load][-1].rate:,.0f}/s" for load in _LOADS)
            say(f"Round {number + 1} of {plan.rounds}, {count} of {WORKERS[-1]} processes: {rates}")
    say()
    print_row(f"PostgreSQL, {CONNECTIONS} connections", ["processes", "a second", "p50 ms", "p99 ms", "CPU us"])
    for (count, load), ones in results.items():
        one = median_result(ones)
        figures = [f"{one.rate:,.0f}", f"{one.p50_ms:.2f}", f"{one.p99_ms:.2f}", f"{one.cpu_us:.0f}"]
        print_row(load, [str(count), *figures])
    for load, noop, bound in ((SAVE, POST_NOOP, LEAST_SAVES_TO_NOOP), (READ, GET_NOOP, LEAST_READS_TO_NOOP)):
        at_least(f"{load}s to {noop}, one process", median_ratio(results[1, load], results[1, noop]), bound)
