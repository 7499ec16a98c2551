"""A temporary PostgreSQL cluster for the tests: created, started and removed by the caller."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg

from playhead.storage import schema

# After a kill it reads all of its files once more, which takes long on a busy disk.
_START_WITHIN_S = 180
# Names of our own tables only.
_EMPTY = "; ".join(f'DELETE FROM "{each.name}"' for each in reversed(schema.metadata.sorted_tables)).encode()  # noqa: S608


def _binaries() -> Path:
    """Find the server's programs: Debian keeps them per version, and not on the path."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    path = shutil.which("initdb")
    if path is None:
        raise FileNotFoundError("initdb was not found: install the package postgresql")
    return Path(path).parent


class Cluster:
    """A running cluster on a free port of the loopback interface, which trusts every local client.

    `durable` keeps fsync on, for tests that kill the server; others run faster without it. PostgreSQL refuses to run as
    root, so root runs it as the user `postgres`, which the package creates.
    """

    def __init__(self, *, durable: bool = False) -> None:
        self._bin = _binaries()
        self._folder = Path(tempfile.mkdtemp(prefix="playhead-postgres-"))
        self._data = self._folder / "data"
        if os.geteuid() == 0:
            owner = pwd.getpwnam("postgres")
            os.chown(self._folder, owner.pw_uid, owner.pw_gid)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "shared_buffers": "64MB",
            "max_connections": "200",
            "fsync": "on" if durable else "off",
            "full_page_writes": "on" if durable else "off",
            "log_min_messages": "fatal",
        }
        try:
            self._run("initdb", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "--no-sync")
            self.start()
        except BaseException:
            self.close()
            raise

    def url(self, database: str = "postgres") -> str:
        """Return the URL of one of its databases."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start the server, and return once it answers."""
        options = " ".join(f"-c {name}={value}" for name, value in self._settings.items() if value)
        options += " -c unix_socket_directories=''"
        self._run(
            "pg_ctl", "start", "--wait", f"--timeout={_START_WITHIN_S}", f"--log={self._folder / 'log'}", "-o", options
        )

    def stop(self, mode: str = "fast") -> None:
        """Stop the server: `fast` shuts it down properly, `immediate` as if it had crashed."""
        self._run("pg_ctl", "stop", "--wait", f"--mode={mode}")

    @property
    def pid(self) -> int:
        """Return the server's process id, for tests that kill it."""
        return int((self._data / "postmaster.pid").read_text().split()[0])

    def kill(self) -> None:
        """Kill the server, and wait until it is gone."""
        pid = self.pid
        os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + _START_WITHIN_S
        while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        (self._data / "postmaster.pid").unlink(missing_ok=True)

    def create(self, database: str, template: str = "template0") -> str:
        """Create a database, a copy of `template`, and return its URL."""
        self.run_sql(f'CREATE DATABASE "{database}" TEMPLATE "{template}"')
        return self.url(database)

    def run_sql(self, statement: str) -> None:
        """Run one statement outside a transaction."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(statement.encode())

    def close(self) -> None:
        """Stop the server if it runs, and remove everything that was created."""
        if (self._data / "postmaster.pid").exists():
            self.stop("immediate")
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._bin / program), f"--pgdata={self._data}", *arguments]
        if os.geteuid() == 0:
            command = ["runuser", "-u", "postgres", "--", *command]
        # Not a pipe: the server started by pg_ctl would keep it open.
        with (self._folder / "output").open("ab") as output:
            done = subprocess.run(command, stdout=output, stderr=output, cwd="/", check=False)  # noqa: S603 - our own
        if done.returncode != 0:
            raise RuntimeError(f"{program} failed: {(self._folder / 'output').read_text()}")


def empty(url: str) -> None:
    """Delete all rows of a Playhead database; faster than TRUNCATE for the few rows of a test."""
    with psycopg.connect(url) as connection:
        connection.execute(_EMPTY)
