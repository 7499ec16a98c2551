"""Real servers on the loopback interface: started, asked, weighed and ended. Knows neither loads nor installations."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_START_TIMEOUT_S = 60
_STOP_WITHIN_S = 10
_PLAYHEAD = Path(sys.executable).with_name("playhead")


class BenchError(Exception):
    """What was measured would mean nothing; the message says why, for a person."""


@dataclass(frozen=True)
class Program:
    """How a server is started: `command` is its command line for a port.

    `ready` is the path that answers 200 as soon as it can serve; without one any answer will do. `ends_with` are the
    exit statuses of an orderly end after SIGTERM.
    """

    name: str
    command: Callable[[int], Sequence[str | Path]]
    ready: str = ""
    ends_with: frozenset[int] = frozenset({0})


def playhead_program(data: Path, *, database: str = "", workers: int = 1) -> Program:
    """Return how `playhead serve` is started on an installation, as anybody would."""
    more = [*(["--database", database] if database else []), *(["--workers", str(workers)] if workers > 1 else [])]
    return Program(
        "Playhead",
        lambda port: [_PLAYHEAD, "serve", "--port", str(port), "--data", data, *more],
        ready="/readyz",
    )


class Server:
    """One run of a program on a free port. What it prints goes to a file in `folder`."""

    def __init__(self, program: Program, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.name = program.name
        self._program = program
        self._log = (folder / f"{program.name.replace(' ', '-')}.log").open("wb")
        # A session of its own: Ctrl-C in the terminal ends the benchmark, and the benchmark ends the server.
        self._process = subprocess.Popen(
            program.command(self.port), stdout=self._log, stderr=self._log, start_new_session=True
        )
        self.pid = self._process.pid
        self.stop_took_s = 0.0

    def wait_until_ready(self) -> None:
        """Return when the server is ready. Raises BenchError where it is not in time."""
        deadline = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(OSError):
                if self.ask_raw("GET", self._program.ready or "/")[0] == http.client.OK or not self._program.ready:
                    return
            time.sleep(0.005)
        raise BenchError(f"{self.name} did not start:\n{Path(self._log.name).read_text()}")

    def ask(self, method: str, path: str, token: str = "", body: Mapping[str, object] | None = None) -> tuple[int, Any]:
        """Return status and decoded body of one request."""
        status, _, answer = self.ask_raw(method, path, token, None if body is None else json.dumps(body).encode())
        return status, json.loads(answer) if answer else None

    def ask_raw(
        self, method: str, path: str, token: str = "", body: bytes | None = None
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        """Return status, headers and body of one request, as they came."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, response.getheaders(), response.read()
        finally:
            connection.close()

    def memory_mb(self, field: str) -> float:
        """Return VmRSS or VmHWM of the process, in millions of bytes."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            name, _, value = line.partition(":")
            if name == field:
                return int(value.split()[0]) * 1024 / 1e6
        raise BenchError(f"/proc has no {field} for the server")

    def cpu_s(self) -> float:
        """Return the processor time that the server's processes have used, user and system, in seconds."""
        ticks = 0
        for pid in _family(self.pid):
            # proc_pid_stat(5): fields 14 and 15; the second is the name in brackets, which may hold blanks.
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        """End the server as a supervisor does. Raises BenchError where that fails or takes too long."""
        began = time.monotonic()
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            status = self._process.wait(_STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise BenchError(f"{self.name} did not end within {_STOP_WITHIN_S} s of SIGTERM") from None
        finally:
            self._log.close()
        if status not in self._program.ends_with:
            raise BenchError(f"{self.name} ended with status {status}:\n{Path(self._log.name).read_text()}")
        self.stop_took_s = time.monotonic() - began


def _family(pid: int) -> Iterator[int]:
    """Give a process and all that it started."""
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            yield from _family(int(child))


@contextlib.contextmanager
def running(program: Program, folder: Path) -> Generator[Server]:
    """Run a server that is ready, and end it whatever happens."""
    server = Server(program, folder)
    try:
        server.wait_until_ready()
        yield server
    except BaseException:
        with contextlib.suppress(BenchError):  # the first fault is told, not what follows from it
            server.stop()
        raise
    server.stop()
