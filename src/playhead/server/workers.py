"""Several processes that serve one port: starts them, replaces those that die, and stops them. Knows nothing of HTTP.

The kernel assigns each new connection to one of the workers' sockets. The parent holds all of them: connections
assigned to a dead worker's socket wait for its replacement instead of being refused. See
docs/decisions/0020-workers.md.
"""

import logging
import math
import multiprocessing
import signal
import socket
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

READY = "ready"
"""A worker's message to its parent, sent once when it listens."""
END = "end"
"""The parent's message: shut down gracefully. A closed pipe means the same, because the parent is gone."""
HURRY = "hurry"
"""The parent's message at a second signal: stop waiting for clients."""

Work = Callable[[int, socket.socket, Connection], None]
"""A worker's main function; gets its index from 0, its socket and the pipe to its parent.

Runs in a new process, so it must be importable. It must ignore SIGINT, which a terminal sends to all processes, and
shut down gracefully at SIGTERM, even if that is repeated: some supervisors send it to all processes, too.
"""

_FAILED = 1

# A worker that dies soon after its start is restarted with exponential backoff: a database that it needs may come back.
_PROVEN_S = 10.0
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 15.0

log = logging.getLogger("playhead")

# A forked process would share threads' locks and open connections with its parent.
_processes = multiprocessing.get_context("spawn")


def listen(host: str, port: int, sockets: int) -> list[socket.socket]:
    """Bind this many sockets to one address; port 0 picks a free one. Raises OSError if the address is in use."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    alone = _bind(family, host, port, shared=False)
    if sockets == 1:
        return [alone]
    port = alone.getsockname()[1]  # fails if the address is in use: sockets that share a port would not notice
    alone.close()
    return [_bind(family, host, port, shared=True) for _ in range(sockets)]


def _bind(family: int, host: str, port: int, *, shared: bool) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound


class _Worker:
    """A worker process and the pipe to it."""

    def __init__(self, work: Work, place: int, listener: socket.socket) -> None:
        self.line, theirs = _processes.Pipe()
        self.process: BaseProcess = _processes.Process(target=work, args=(place, listener, theirs), name=f"{place}")
        # A process inherits blocked signals: Ctrl-C, which a terminal sends to all, must not end it while it starts.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self.process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            theirs.close()
        self.started_s = time.monotonic()
        self.is_ready = False
        self.is_heard = True

    def hear(self) -> None:
        """Read its message; a closed pipe means that it is about to exit."""
        try:
            self.is_ready = self.line.recv() == READY
        except (EOFError, OSError):
            self.is_heard = False

    def tell(self, word: str) -> None:
        try:
            self.line.send(word)
        except OSError:
            self.is_heard = False

    def close(self) -> int:
        """Return the exit status of a process that has ended; negative if a signal ended it."""
        self.process.join()
        self.line.close()
        status = self.process.exitcode
        self.process.close()
        return _FAILED if status is None else status


class Workers:
    """Runs one worker per socket until a signal.

    `on_ready` is called once, when all of them listen. A worker that dies before that ends all; one that dies later is
    replaced. `give_up_s` seconds after a signal remaining workers are killed.
    """

    def __init__(
        self, sockets: Sequence[socket.socket], work: Work, on_ready: Callable[[], None], give_up_s: float
    ) -> None:
        self._sockets = [*sockets]
        self._work = work
        self._on_ready = on_ready
        self._give_up_s = give_up_s
        self._workers: dict[int, _Worker] = {}
        self._due_s: dict[int, float] = {}  # when missing workers are restarted
        self._pause_s = _FIRST_PAUSE_S
        self._were_ready = False
        self._killing_s: float | None = None
        self._status = 0

    def run(self) -> int:
        """Return the exit status: 0 after a graceful shutdown. Call it on the main thread."""
        with _signals() as signals:
            for place in range(len(self._sockets)):
                self._start(place)
            while self._workers or (self._due_s and self._killing_s is None):
                self._take_turn(signals)
        return self._status

    def _take_turn(self, signals: socket.socket) -> None:
        waiting: list[Any] = [signals]
        for worker in self._workers.values():
            waiting += [worker.process.sentinel, *([worker.line] if worker.is_heard else [])]
        told = wait(waiting, self._until_next())
        if signals in told:
            for _ in signals.recv(64):
                self._end()
        for place, worker in [*self._workers.items()]:
            if worker.line in told:
                worker.hear()
                self._note_ready()
            if worker.process.sentinel in told:
                del self._workers[place]
                self._ended(place, worker)
        self._start_or_kill()

    def _until_next(self) -> float | None:
        times = [*self._due_s.values()] if self._killing_s is None else [self._killing_s]
        return max(0.0, min(times) - time.monotonic()) if times and min(times) < math.inf else None

    def _note_ready(self) -> None:
        is_complete = len(self._workers) == len(self._sockets) and self._killing_s is None
        if is_complete and not self._were_ready and all(worker.is_ready for worker in self._workers.values()):
            self._were_ready = True
            self._on_ready()

    def _ended(self, place: int, worker: _Worker) -> None:
        number, lived_s = worker.process.pid, time.monotonic() - worker.started_s
        status = worker.close()
        if self._killing_s is not None:
            # A supervisor that signals all processes may signal one that has just started.
            self._status = self._status or (0 if status in {0, -signal.SIGTERM} else _FAILED)
        elif not self._were_ready:
            self._status = _FAILED
            self._end()
        else:
            if lived_s < _PROVEN_S:
                self._due_s[place] = time.monotonic() + self._pause_s
                self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
            else:
                self._due_s[place] = time.monotonic()
                self._pause_s = _FIRST_PAUSE_S
            how = f"signal {-status}" if status < 0 else f"status {status}"
            log.error("Worker %d, process %s, ended with %s; a replacement is started", place, number, how)

    def _start(self, place: int) -> None:
        try:
            self._workers[place] = _Worker(self._work, place, self._sockets[place])
        except OSError as error:  # no process, memory or file is available at the moment
            log.error("Worker %d cannot be started: %s", place, error)  # noqa: TRY400 - the reason is all there is
            self._due_s[place] = time.monotonic() + _LONGEST_PAUSE_S

    def _start_or_kill(self) -> None:
        now_s = time.monotonic()
        if self._killing_s is None:
            for place in [place for place, due_s in self._due_s.items() if due_s <= now_s]:
                del self._due_s[place]
                self._start(place)
        elif now_s >= self._killing_s:
            self._status = _FAILED
            self._killing_s = math.inf
            for worker in self._workers.values():
                worker.process.kill()

    def _end(self) -> None:
        """Shut down gracefully; the second time without waiting for clients."""
        word = END if self._killing_s is None else HURRY
        if self._killing_s is None:
            self._killing_s = time.monotonic() + self._give_up_s
            for listener in self._sockets:
                listener.close()
        for worker in self._workers.values():
            worker.tell(word)


@contextmanager
def _signals() -> Generator[socket.socket]:
    """Yield a socket from which one byte can be read per SIGINT or SIGTERM."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.settimeout(0)
        wakeup = signal.set_wakeup_fd(theirs.fileno())
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = [signal.signal(number, lambda _number, _frame: None) for number in numbers]
        try:
            yield ours
        finally:
            for number, handler in zip(numbers, before, strict=True):
                signal.signal(number, handler)
            signal.set_wakeup_fd(wakeup)
