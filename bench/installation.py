"""What is measured: an installation in a folder, requests to it, and a real server on it. Measures nothing itself."""

import asyncio
import contextlib
import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any, NoReturn
from uuid import UUID

from sqlalchemy import Connection, insert

from playhead.bootstrap import open_installation
from playhead.config import ENVIRONMENT_PREFIX, Settings
from playhead.domain.model import LibraryId, Role
from playhead.storage import schema

USERS = 100
MOVIES = 1000
DURATION_S = 5400

_REQUESTS = 50_000
_LIBRARY = LibraryId(str(UUID(int=1)))
_START_TIMEOUT_S = 20
_STOP_WITHIN_S = 10
_PLAYHEAD = Path(sys.executable).with_name("playhead")


class BenchError(Exception):
    """What was measured would mean nothing; the message says why, for a person."""


def ignore_settings() -> None:
    """Forget the settings in the environment: they belong to an installation that must not be touched."""
    for name in [name for name in os.environ if name.startswith(ENVIRONMENT_PREFIX)]:
        del os.environ[name]


def make_installation(data: Path) -> list[str]:
    """Make users who may see the library of movies; return the token of each."""

    def add_movies(connection: Connection) -> None:
        library = {"id": _LIBRARY, "name": "Movies", "kind": "movies", "created_at": 0}
        connection.execute(insert(schema.library), [library])
        rows = [
            {"id": movie, "title": movie, "sort_title": movie, "search_title": movie, "identity": movie}
            | {"library_id": _LIBRARY, "kind": "movie", "runtime_ms": DURATION_S * 1000, "added_at": 0}
            for movie in movies()
        ]
        connection.execute(insert(schema.item), rows)

    async def make() -> list[str]:
        async with open_installation(Settings(data=data), on_failure=fail) as playhead:
            await playhead.database.write(add_movies)

            async def add_user(number: int) -> str:
                user = await playhead.accounts.create_user(f"user{number}", f"password {number}", Role.MEMBER)
                await playhead.accounts.grant(_LIBRARY, user.id)
                return (await playhead.accounts.create_token(user.id, "bench")).secret

            return list(await asyncio.gather(*(add_user(number) for number in range(USERS))))

    return asyncio.run(make())


def fail(reason: str) -> NoReturn:
    raise BenchError(f"the store failed: {reason}")


def movies() -> list[str]:
    return [str(UUID(int=2**64 + number)) for number in range(MOVIES)]


def write_requests(file: Path, tokens: Sequence[str]) -> None:
    """Write what all loads send: anybody, anything, anywhere in it, the same at each run of the benchmark.

    One report in ten lies in the last tenth and so completes its movie, as one heartbeat in ten does.
    """
    chance = random.Random(1)
    all_movies = movies()
    lines = (
        f"{chance.choice(tokens)} {chance.choice(all_movies)} {chance.randint(0, DURATION_S)}\n"
        for _ in range(_REQUESTS)
    )
    file.write_text("".join(lines), "ascii")


class Server:
    """A `playhead serve` of its own on a free port of the loopback interface."""

    def __init__(self, data: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._log = (data.parent / "server.log").open("wb")
        # A session of its own: Ctrl-C in the terminal ends the benchmark, and the benchmark ends the server.
        self._process = subprocess.Popen(
            [_PLAYHEAD, "serve", "--port", str(self.port), "--data", str(data)],
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )
        self.pid = self._process.pid
        self.stop_took_s = 0.0

    def wait_until_ready(self) -> None:
        """Return when /readyz answers 200. Raises BenchError where it does not in time."""
        deadline = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(OSError):
                if self.ask("GET", "/readyz")[0] == http.client.OK:
                    return
            time.sleep(0.005)
        raise BenchError(f"the server did not start:\n{Path(self._log.name).read_text()}")

    def ask(self, method: str, path: str, token: str = "", body: dict[str, int] | None = None) -> tuple[int, Any]:
        """Return status and decoded body of one request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read())
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
        """Return the processor time that the process has used, user and system, in seconds."""
        # proc_pid_stat(5): fields 14 and 15; the second is the name in brackets, which may hold blanks.
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

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
            raise BenchError(f"the server did not end within {_STOP_WITHIN_S} s of SIGTERM") from None
        finally:
            self._log.close()
        if status != 0:
            raise BenchError(f"the server ended with status {status}:\n{Path(self._log.name).read_text()}")
        self.stop_took_s = time.monotonic() - began


@contextlib.contextmanager
def running_server(data: Path) -> Generator[Server]:
    """Run a server that is ready, and end it whatever happens."""
    server = Server(data)
    try:
        server.wait_until_ready()
        yield server
    except BaseException:
        with contextlib.suppress(BenchError):  # the first fault is told, not what follows from it
            server.stop()
        raise
    server.stop()
