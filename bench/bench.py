"""Measures a real server beside its own noop and beside what others would write instead; see docs/benchmarks.md.

Makes installations in a temporary folder, and leaves nothing behind but what it prints. Exits with 0 whether or not
the targets were reached, and with 1 where a figure would mean nothing: a wrong answer, or a server that does not start
or stop.
"""

import argparse
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from big import measure_big
from compare import compare
from installation import MOVIES, USERS, ignore_settings, make_installation, write_requests
from lists import measure_lists
from load import READ, SAVE
from overload import measure_overload
from plan import FULL, QUICK, Plan
from profiling import profile
from report import print_missed, say
from scan import measure_scan
from servers import BenchError
from streams import measure_streams

from household import measure_household
from postgres import measure_postgres


def main() -> int:
    options = parse_options()
    plan = QUICK if options.quick else FULL
    plan = replace(plan, rounds=options.rounds or plan.rounds, seconds=options.seconds or plan.seconds)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends like Ctrl-C: servers are stopped, folders removed
    if shutil.which("wrk") is None:
        return complain("wrk is not installed: https://github.com/wg/wrk, or `apt install wrk`")
    ignore_settings()
    try:
        with tempfile.TemporaryDirectory(prefix="playhead-bench-", dir=options.folder) as folder:
            return run_parts(options, plan, Path(folder))
    except (BenchError, subprocess.TimeoutExpired) as error:
        return complain(str(error))
    except KeyboardInterrupt:
        return complain("interrupted")


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Measure a real server. Without a part: saves and reads beside noop, bare and rivals.",
    )
    parts = parser.add_argument_group("parts, instead of the comparison")
    parts.add_argument("--all", action="store_true", help="the comparison and every part below")
    parts.add_argument("--big", action="store_true", help="a store of 10 million rows beside one of 10,000")
    parts.add_argument("--lists", action="store_true", help="continue watching, next up, batches, marking a show")
    parts.add_argument("--postgres", action="store_true", help="the same server on PostgreSQL; 1, 2 and 4 processes")
    parts.add_argument("--household", action="store_true", help="one player on an idle server, on each engine")
    parts.add_argument("--scan", action="store_true", help="a first and a second scan of 10,000 episodes")
    parts.add_argument("--streams", action="store_true", help="what a thousand streams of live changes cost")
    parts.add_argument("--overload", action="store_true", help="ten times the load that the server bears, and more")
    parts.add_argument("--profile", choices=(SAVE, READ), help="where the server spends one load; needs py-spy")
    parser.add_argument("--quick", action="store_true", help="one short round: for a first impression")
    parser.add_argument("--rounds", type=int, metavar="N", help="how often everything is measured [5, quick 1]")
    parser.add_argument("--seconds", type=int, metavar="S", help="how long each load is sent [2, quick 1]")
    parser.add_argument("--folder", type=Path, help="where the installation is made: on the disk to be measured [/tmp]")
    parser.add_argument(
        "--big-folder", type=Path, metavar="FOLDER", help="keep the big store there, and use it again [none is kept]"
    )
    return parser.parse_args()


def run_parts(options: argparse.Namespace, plan: Plan, folder: Path) -> int:
    """Measure the parts that were asked for, one after the other; one that fails does not take the others along.

    Return the exit status.
    """
    if options.profile:
        profile(*make_usual(folder)[:2], options.profile)
        return 0
    parts = {
        "compare": lambda own: compare(*make_usual(own), plan),
        "big": lambda own: measure_big(own, options.big_folder, plan),
        "lists": lambda own: measure_lists(own, plan),
        "postgres": lambda own: measure_postgres(own, plan),
        "household": lambda own: measure_household(own, plan),
        "scan": measure_scan,
        "streams": lambda own: measure_streams(*make_usual(own), plan),
        "overload": lambda own: measure_overload(*make_usual(own), plan),
    }
    chosen = [name for name in parts if options.all or getattr(options, name, False)] or ["compare"]
    status = 0
    for name in chosen:
        own = folder / name
        own.mkdir()
        try:
            parts[name](own)
        except (BenchError, subprocess.TimeoutExpired) as error:
            status = complain(f"{name}: {error}")
    print_missed()
    return status


def make_usual(folder: Path) -> tuple[Path, Path, list[str]]:
    """Make the usual installation; return its data folder, the file of requests to it, and the users' tokens."""
    data, requests = folder / "data", folder / "requests"
    say(f"Making {USERS} users and {MOVIES:,} movies")
    tokens = make_installation(data)
    write_requests(requests, tokens)
    return data, requests, tokens


def complain(reason: str) -> int:
    print(f"bench: {reason}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
