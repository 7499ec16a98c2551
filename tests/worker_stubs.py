"""Stand-ins for the worker process in tests: each listens, and ends in a different way."""

import os
import signal
import socket
import sys
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path

from playhead.server.workers import READY

DEATHS = 3


def run_until_told(place: int, listener: socket.socket, line: Connection) -> None:
    """Answer each connection with the worker's number and its pid, until told to end."""
    listener.listen()
    threading.Thread(target=_answer, args=(place, listener), daemon=True).start()
    line.send(READY)
    _wait_for(line, "end")


def fail_to_start(place: int, listener: socket.socket, line: Connection) -> None:
    """The second fails to start; the first runs until told."""
    if place:
        sys.exit(3)
    run_until_told(place, listener, line)


def end_in_a_hurry(_: int, __: socket.socket, line: Connection) -> None:
    """Ignore the request to end; end only when hurried."""
    line.send(READY)
    _wait_for(line, "hurry")


def never_end(_: int, __: socket.socket, line: Connection) -> None:
    """Ignore every request to end, and SIGTERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    line.send(READY)
    while True:
        signal.pause()


def end_with_failure(place: int, listener: socket.socket, line: Connection) -> None:
    """End when told, but with a failure."""
    run_until_told(place, listener, line)
    sys.exit(3)


def die_soon(deaths: Path, place: int, listener: socket.socket, line: Connection) -> None:
    """Run until told, but kill the second at its start while a file has fewer than three lines.

    Each death adds its time to the file. Once the second runs again, there is a file beside it whose name ends in
    `.over`.
    """
    if place and deaths.exists() and len(deaths.read_text().splitlines()) >= DEATHS:
        deaths.with_suffix(".over").touch()
    elif place and deaths.exists():
        line.send(READY)
        with deaths.open("a") as file:
            file.write(f"{time.monotonic()}\n")
        os.kill(os.getpid(), signal.SIGKILL)
    run_until_told(place, listener, line)


def _wait_for(line: Connection, word: str) -> None:
    try:
        while line.recv() != word:
            pass
    except EOFError:
        pass


def _answer(place: int, listener: socket.socket) -> None:
    while True:
        with listener.accept()[0] as connection:
            connection.sendall(f"{place} {os.getpid()}".encode())
