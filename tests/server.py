"""The real server as a process of its own, and the commands beside it."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import apsw
import httpx

PLAYHEAD = str(Path(sys.executable).with_name("playhead"))


class Server:
    """A `playhead serve` process on a free port of the loopback interface, and the commands beside it."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.log = data.parent / f"{data.name}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""
        self._begin = 0

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._begin = log.tell()
            arguments = [PLAYHEAD, "serve", "--port", "0", "--data", str(self.data)]
            self._process = subprocess.Popen(arguments, stdout=log, stderr=log)  # noqa: S603 - our own program
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            found = re.search(rb"listens on (http://\S+)", self.log.read_bytes()[self._begin :])
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
        status = self._process.wait(timeout=15)
        self._process = None
        return status

    def printed(self) -> str:
        """Return what was printed since the last start."""
        return self.log.read_bytes()[self._begin :].decode()

    @property
    def running(self) -> bool:
        return self._process is not None

    def command(
        self, *arguments: str, stdin: str = "", check: bool = True, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run `playhead ARGUMENTS --data …` and return what it printed."""
        return subprocess.run(  # noqa: S603 - our own program
            [PLAYHEAD, *arguments, "--data", str(self.data)],
            input=stdin,
            capture_output=True,
            text=True,
            check=check,
            timeout=120,
            env={**os.environ, **(environment or {})},
        )

    def client(self, token: str = "") -> httpx.Client:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask or change the database behind the program's back."""
        with contextlib.closing(apsw.Connection(str(self.data / "playhead.db"))) as connection:
            return connection.execute(sql).fetchall()

    @staticmethod
    def within(seconds: float, condition: Callable[[], bool]) -> bool:
        """Return whether `condition` becomes true in time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if condition():
                return True
            time.sleep(0.02)
        return False
