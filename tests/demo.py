"""The demo as a process, known by what it prints when it starts."""

import os
import re
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import httpx

from server import PATIENCE_S, PLAYHEAD

COMMANDS_SHOWN = 3


@dataclass
class DemoServer:
    """A running demo: its address, its output at the start, and the credentials read from that."""

    url: str
    printed: str
    passwords: dict[str, str]
    tokens: dict[str, str]

    @property
    def commands(self) -> list[str]:
        return re.findall(r"^\s*(curl .*)$", self.printed, re.MULTILINE)

    def client(self, name: str) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers={"authorization": f"Bearer {self.tokens[name]}"}, timeout=30)

    def movie_id(self) -> str:
        (movie_id,) = set(re.findall(r"/playback/movie/(\S+)", self.printed))
        return movie_id


def serve_demo(data: Path) -> tuple[subprocess.Popen[bytes], DemoServer]:
    """Start the demo and return once it has printed its last command."""
    log = data.parent / f"{data.name}.log"
    # The demo is an installation of its own, so the settings of a real one must not reach it.
    environment = os.environ | {"PLAYHEAD_WORKERS": "2", "PLAYHEAD_DATABASE": "postgresql://nobody@127.0.0.1:1/none"}
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - our own program
            [PLAYHEAD, "serve", "--demo", "--port", "0", "--data", str(data)],
            stdout=output,
            stderr=output,
            env=environment,
        )
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        printed = log.read_text()
        if len(re.findall(r"^\s*curl .*\n", printed, re.MULTILINE)) == COMMANDS_SHOWN:
            return process, read_welcome(printed)
        assert process.poll() is None, printed
        time.sleep(0.05)
    process.kill()
    raise TimeoutError(log.read_text())


def read_welcome(printed: str) -> DemoServer:
    found = re.search(r"listens on (http://\S+)", printed)
    assert found, printed
    users = re.findall(r"^\s*(\w+), (?:admin|member), .*\n\s*password\s+(\S+)\n\s*token\s+(\S+)", printed, re.MULTILINE)
    return DemoServer(
        found[1], printed, {name: password for name, password, _ in users}, {name: token for name, _, token in users}
    )


def stop(process: subprocess.Popen[bytes]) -> int:
    process.send_signal(signal.SIGTERM)
    return process.wait(timeout=PATIENCE_S)
