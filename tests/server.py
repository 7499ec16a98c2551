"""The real server as a process, and the command line next to it."""

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import apsw
import httpx
import psycopg

from playhead.bootstrap import open_installation
from playhead.config import Settings
from playhead.domain.model import Role

PLAYHEAD = str(Path(sys.executable).with_name("playhead"))
PASSWORD = "correct horse battery"
PATIENCE_S = 60
"""How long a test waits for what takes a moment on a quiet machine. That it comes at all is what a test asserts."""


class Server:
    """A `playhead serve` process on a free port of the loopback interface, and the command line next to it.

    `database` is the URL of a PostgreSQL database, or empty. `around` is a command prefix that runs the server as its
    child. `more` are further arguments of `serve`.
    """

    def __init__(self, data: Path, database: str = "", around: Sequence[str] = (), more: Sequence[str] = ()) -> None:
        self.data = data
        self.database = database
        self.around = around
        self.more = more
        self.environment: dict[str, str] = {}  # settings in addition to those of the command line
        self.log = data.parent / f"{data.name}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""
        self._begin = 0

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._begin = log.tell()
            arguments = [*self.around, PLAYHEAD, "serve", "--port", "0", *self.more, *self._installation()]
            environment = {**os.environ, **self.environment}
            self._process = subprocess.Popen(arguments, stdout=log, stderr=log, env=environment)  # noqa: S603 - our own program
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            found = re.search(rb"listens on (http://[^\s,]+)", self.log.read_bytes()[self._begin :])
            if found:
                self.url = found[1].decode()
                return
            assert self._process.poll() is None, self.log.read_text()
            time.sleep(0.02)
        raise TimeoutError(self.log.read_text())

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.send_signal(number)
        return self.wait()

    def send_signal(self, number: int = signal.SIGTERM) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)

    def wait(self) -> int:
        """Return the exit status, once there is one."""
        assert self._process is not None
        status = self._process.wait(timeout=PATIENCE_S)
        self._process = None
        return status

    def printed(self) -> str:
        """Return what was printed since the last start."""
        return self.log.read_bytes()[self._begin :].decode()

    @property
    def settings(self) -> Settings:
        """The settings of the installation, to work on it without the server."""
        return Settings(data=self.data, database=self.database)

    @property
    def pid(self) -> int:
        """The pid of the process that was started: the server's, or that of the command around it."""
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None

    def command(
        self, *arguments: str, stdin: str = "", check: bool = True, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run `playhead ARGUMENTS --data …` and return its output."""
        return self.run(*arguments, *self._installation(), stdin=stdin, check=check, environment=environment)

    def run(
        self, *arguments: str, stdin: str = "", check: bool = True, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run `playhead ARGUMENTS` and return its output."""
        return subprocess.run(  # noqa: S603 - our own program
            [PLAYHEAD, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            check=check,
            timeout=120,
            env={**os.environ, **self.environment, **(environment or {})},
        )

    def add_user(self, name: str, role: Role = Role.ADMIN, password: str = PASSWORD) -> str:
        """Add a user to the installation, which the server may be using, and return a token of theirs.

        For tests of other things: the two commands that do this take a second of processor time each.
        """

        async def add() -> str:
            async with open_installation(self.settings, on_failure=lambda _: None) as installation:
                user = await installation.accounts.create_user(name, password, role)
                return (await installation.accounts.create_token(user.id, "tests")).secret

        # On another thread: Playwright's synchronous interface keeps an event loop running on this one.
        with ThreadPoolExecutor(max_workers=1) as thread:
            return thread.submit(lambda: asyncio.run(add())).result()

    def _installation(self) -> list[str]:
        return ["--data", str(self.data), *(["--database", self.database] if self.database else [])]

    def client(self, token: str = "") -> httpx.Client:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Query or change the database without the server's knowledge."""
        if self.database:
            with psycopg.connect(self.database) as connection:
                cursor = connection.execute(sql.encode())
                return cursor.fetchall() if cursor.description else []
        with contextlib.closing(apsw.Connection(str(self.data / "playhead.db"))) as connection:
            return connection.execute(sql).fetchall()

    @staticmethod
    def comes_true(condition: Callable[[], bool]) -> bool:
        """Return whether `condition` becomes true within PATIENCE_S."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            if condition():
                return True
            time.sleep(0.02)
        return False
