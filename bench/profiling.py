"""Where the threads of the server spend a load, by py-spy."""

import shutil
import subprocess
from collections import Counter, defaultdict
from pathlib import Path

from load import SAVE, run_load
from report import say
from servers import BenchError, playhead_program, running

_CONNECTIONS = 64
_SECONDS = 10
_LINES = 30


def profile(data: Path, requests: Path, load: str) -> None:
    """Print where the threads of the server spend one load. Raises BenchError where py-spy is missing or fails."""
    profiler = shutil.which("py-spy")
    if profiler is None:
        raise BenchError("--profile needs py-spy on the PATH: `pip install py-spy` into an environment of its own")
    stacks = data.parent / "stacks.txt"
    with running(playhead_program(data), data.parent) as server:
        run_load(server, SAVE, _CONNECTIONS, 2, requests)
        command = [profiler, "record", "--pid", str(server.pid), "--duration", str(_SECONDS), "--rate", "200"]
        command += ["--threads", "--format", "raw", "--output", str(stacks)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as recording:
            result = run_load(server, load, _CONNECTIONS, _SECONDS + 2, requests)
            printed, _ = recording.communicate(timeout=30)
        if recording.returncode != 0:
            raise BenchError(f"py-spy failed: {printed}")
    say(f"{result.rate:,.0f} {load}s/s at {_CONNECTIONS} connections while recording")
    _print_stacks(stacks)


def _print_stacks(stacks: Path) -> None:
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
            for frame, samples in Counter(telling).most_common(_LINES):
                say(f"    {samples / whole:6.1%}  {frame}")
