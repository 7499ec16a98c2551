"""Deadlines of reads: a thread that interrupts reads that run for too long, on any engine. Knows no SQL."""

import math
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

RETRY_AFTER_S = 5
"""`Retry-After` of a read that took too long. An earlier retry would add to the load that made it slow."""

# A read is interrupted between two of its statements, too, when nothing is running that would notice.
_AGAIN_AFTER_S = 0.05


class RunningRead:
    """One read that runs until `until`, by the monotonic clock. `interrupted`: it was told to stop."""

    def __init__(self, interrupt: Callable[[], object], until: float) -> None:
        self.until = until
        self.interrupted = False
        self._interrupt = interrupt
        self._running = True
        # The next user of the connection must not be interrupted instead.
        self._lock = threading.Lock()

    def interrupt(self) -> None:
        """Stop the running statement, unless the read has ended."""
        with self._lock:
            if self._running:
                self.interrupted = True
                self._interrupt()

    def end(self) -> None:
        """Return once nothing can interrupt the connection any more."""
        with self._lock:
            self._running = False


class Deadlines:
    """The deadlines of all reads of one database. Its thread starts with the first read that has one."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._most_s = math.inf
        self._reads: set[RunningRead] = set()
        self._changed = threading.Condition()
        self._wakes_at = math.inf
        self._thread: threading.Thread | None = None
        self._closed = False

    @contextmanager
    def watch(self, interrupt: Callable[[], object], *, has_limit: bool = True) -> Generator[RunningRead]:
        """Call `interrupt`, on another thread and maybe several times, if the block runs beyond its deadline.

        Without `has_limit` that happens only when the database is about to close. `interrupt` must return soon.
        """
        with self._changed:
            seconds = min(self._limit_s if has_limit else math.inf, self._most_s)
            read = RunningRead(interrupt, time.monotonic() + seconds)
            self._reads.add(read)
            self._wake_by(read.until)
        try:
            yield read
        finally:
            read.end()
            with self._changed:
                self._reads.discard(read)

    def shorten(self, seconds: float) -> None:
        """Interrupt every running read after this many seconds at the latest, and give later ones no more."""
        until = time.monotonic() + seconds
        with self._changed:
            self._most_s = min(self._most_s, seconds)
            for read in self._reads:
                read.until = min(read.until, until)
                self._wake_by(read.until)

    def close(self) -> None:
        """Stop watching. Call it when no read is running."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _wake_by(self, until: float) -> None:
        if until == math.inf or self._closed:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, name="playhead-deadlines", daemon=True)
            self._thread.start()
        if until < self._wakes_at:
            self._wakes_at = until
            self._changed.notify()

    def _watch(self) -> None:
        while True:
            with self._changed:
                if self._closed:
                    return
                now = time.monotonic()
                overdue = [read for read in self._reads if read.until <= now]
                self._wakes_at = min((read.until for read in self._reads if read.until > now), default=math.inf)
                if overdue:
                    self._wakes_at = min(self._wakes_at, now + _AGAIN_AFTER_S)
                else:
                    self._changed.wait(None if self._wakes_at == math.inf else self._wakes_at - now)
                    continue
            for read in overdue:
                read.interrupt()
            with self._changed:
                if not self._closed:
                    self._changed.wait(_AGAIN_AFTER_S)
