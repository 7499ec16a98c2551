"""The worker processes of a real server, and which of them holds which connection, according to Linux's /proc."""

import http.client
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Protocol, TypeVar
from urllib.parse import urlsplit

import httpx

from server import Server


class Closable(Protocol):
    def close(self) -> None: ...


Made = TypeVar("Made", bound=Closable)

_TRIES = 200


def workers_of(server: Server) -> set[int]:
    """Return the pids of the workers: children of the server, without the resource tracker of multiprocessing."""
    children: set[int] = set()
    for task in Path(f"/proc/{server.pid}/task").iterdir():
        children |= {int(child) for child in (task / "children").read_text().split()}
    return {child for child in children if b"spawn_main" in _command_line(child)}


def _command_line(pid: int) -> bytes:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def is_alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not count."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def worker_at(server: Server, connection: socket.socket) -> int | None:
    """Return the worker that holds the other end of this connection; None before one has accepted it."""
    ours, theirs = (f"0100007F:{address[1]:04X}" for address in (connection.getsockname(), connection.getpeername()))
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1:3] == [theirs, ours]:
            return next((pid for pid in workers_of(server) if f"socket:[{fields[9]}]" in _files_of(pid)), None)
    return None


def _files_of(pid: int) -> set[str]:
    files: set[str] = set()
    with suppress(OSError):
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                files.add(str(entry.readlink()))
    return files


class WorkerConnection(http.client.HTTPConnection):
    """A connection that stays with one worker, and sends and receives JSON."""

    def __init__(self, server: Server) -> None:
        where = urlsplit(server.url)
        super().__init__(where.hostname or "", where.port, timeout=30)

    def ask(self, method: str, path: str, token: str, body: str = "") -> tuple[int, bytes]:
        headers = {"authorization": f"Bearer {token}"} | ({"content-type": "application/json"} if body else {})
        self.request(method, path, body or None, headers)
        answer = self.getresponse()
        return answer.status, answer.read()


@contextmanager
def connections_to_each(server: Server) -> Iterator[dict[int, WorkerConnection]]:
    """Connect to each of the workers. The kernel chooses the worker of a connection, so this tries until it has all."""

    def connect() -> tuple[WorkerConnection, socket.socket]:
        line = WorkerConnection(server)
        assert line.ask("GET", "/livez", "")[0] == httpx.codes.OK  # a worker has accepted it now
        return line, line.sock

    with one_for_each(server, connect) as lines:
        yield lines


@contextmanager
def one_for_each(server: Server, make: Callable[[], tuple[Made, socket.socket]]) -> Iterator[dict[int, Made]]:
    """Make things that have a connection until there is one per worker; close all of them at the end."""
    made: dict[int, Made] = {}
    with ExitStack() as stack:
        for _ in range(_TRIES):
            one, connection = make()
            stack.callback(one.close)
            worker = worker_at(server, connection)
            if worker is not None:
                made.setdefault(worker, one)
            if made.keys() == workers_of(server):
                break
        assert made.keys() == workers_of(server)
        yield made
