"""The README's commands, as they are there, on a machine that has only what they name."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from clips import write_clip

ROOT = Path(__file__).parents[2]
PASSWORD = "correct horse battery"

# What Debian and Python include. Neither uv nor pipx, nor this checkout's environment.
PATH = ":".join(dict.fromkeys((str(Path(sys.base_prefix) / "bin"), "/usr/local/bin", "/usr/bin", "/bin")))


def blocks() -> list[str]:
    """The commands of the section on one's own films: install and start, fill, save and read."""
    text = (ROOT / "README.md").read_text()
    [section] = re.findall(r"^## Your own films.*?\n(.*?)^## ", text, re.MULTILINE | re.DOTALL)
    return re.findall(r"^```sh\n(.*?)^```", section, re.MULTILINE | re.DOTALL)


class Newcomer:
    """A user with a checkout, films, and their own home folder."""

    def __init__(self, home: Path, films: Path) -> None:
        self.home, self.films = home, films
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        inherited = {
            name: value for name, value in os.environ.items() if name.startswith(("PIP_", "UV_", "SSL_", "LANG"))
        }
        self.environment = {**inherited, "HOME": str(home), "PATH": PATH, "PLAYHEAD_PORT": str(self.port)}
        self.environment |= {
            "PIP_CACHE_DIR": str(Path.home() / ".cache/pip"),
            "UV_CACHE_DIR": str(Path.home() / ".cache/uv"),
        }

    def typed(self, commands: str) -> str:
        """Return the commands with the address and the folder of this test in place of the README's."""
        assert shutil.which("playhead", path=PATH) is None
        return commands.replace("/srv/films", str(self.films)).replace("127.0.0.1:8765", f"127.0.0.1:{self.port}")

    def run(self, commands: str) -> str:
        """Type commands on a terminal, and the password at its prompt; return the whole output."""
        file = self.home / "commands"
        file.write_text(self.typed(commands))
        words = ["script", "--quiet", "--return", "--command", f"bash -e {file}", "/dev/null"]
        with subprocess.Popen(  # noqa: S603 - the README's commands
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, env=self.environment
        ) as terminal:
            assert terminal.stdin is not None
            assert terminal.stdout is not None
            shown, asked = b"", 0
            while more := os.read(terminal.stdout.fileno(), 4096):
                shown += more
                # Typed ahead, it would be lost: the prompt discards earlier input.
                if len(re.findall(rb"(?:Password|Again): ", shown)) > asked:
                    asked += 1
                    terminal.stdin.write(f"{PASSWORD}\n".encode())
                    terminal.stdin.flush()
        assert terminal.returncode == 0, shown.decode()
        return shown.decode()

    def serve(self, commands: str) -> "subprocess.Popen[bytes]":
        """Type commands of which the last is the server; return once it listens."""
        log = self.home / "log"
        with log.open("wb") as output:
            started = subprocess.Popen(  # noqa: S603 - as above
                ["bash", "-ec", self.typed(commands).replace("playhead serve", "exec playhead serve")],  # noqa: S607
                stdout=output, stderr=output, cwd=ROOT, env=self.environment,
            )  # fmt: skip
        deadline = time.monotonic() + 240
        while "listens on" not in log.read_text():
            assert started.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        return started


@pytest.fixture
def newcomer(tmp_path: Path) -> Newcomer:
    (tmp_path / "home").mkdir()
    write_clip(tmp_path / "films" / "Harbour Lights (2019).mkv")
    return Newcomer(tmp_path / "home", tmp_path / "films")


@pytest.fixture
def ended() -> Iterator[list["subprocess.Popen[bytes]"]]:
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for each in started:
        if each.poll() is None:
            each.terminate()
            each.wait(timeout=60)


@pytest.mark.long
def test_ones_own_films_are_served_by_the_commands_of_the_readme(
    newcomer: Newcomer, ended: list["subprocess.Popen[bytes]"]
):
    [start, fill, save] = blocks()
    ended.append(newcomer.serve(start))
    filled = newcomer.run(fill)
    assert "1 movie in 1 file added" in filled
    assert "Harbour Lights (2019)" in filled
    shown = newcomer.run(". ~/playhead/bin/activate\n" + save)
    answers = [json.loads(found) for found in re.findall(r"\{.*?\}", shown)]
    assert len(answers) == 2
    assert answers[0] == answers[1]
    assert answers[0]["position_seconds"] > 0


@pytest.mark.long
def test_uv_installs_the_program(newcomer: Newcomer):
    assert "`uv tool install .`" in (ROOT / "README.md").read_text()
    newcomer.environment["PATH"] = f"{ROOT / '.tools/bin'}:{newcomer.home / '.local/bin'}:{PATH}"
    assert "Save a playing position" in newcomer.run("uv tool install --quiet .\nplayhead --help")


@pytest.mark.long
def test_pipx_installs_the_program(newcomer: Newcomer):
    assert "`pipx install .`" in (ROOT / "README.md").read_text()
    newcomer.run("python3 -m venv ~/of-pipx\n~/of-pipx/bin/pip install --quiet pipx")
    newcomer.environment["PATH"] = f"{newcomer.home / 'of-pipx/bin'}:{newcomer.home / '.local/bin'}:{PATH}"
    assert "Save a playing position" in newcomer.run("pipx install .\nplayhead --help")
