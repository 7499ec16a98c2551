"""The pool of decoding workers: hands each media file to a process with limits, and survives what happens there.

Never imports PyAV. See docs/decisions/0026-media-is-decoded-in-worker-processes.md.
"""

import errno
import logging
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from playhead.domain.artwork import PixelSize
from playhead.domain.catalogue import MediaInfo
from playhead.domain.texts import REASON, shown
from playhead.media.contents import Unreadable, Unusable
from playhead.media.jobs import (
    ANSWER_BYTES_MAX,
    BUDGETS,
    JOB_BYTES_MAX,
    MESSAGE_LENGTH_BYTES,
    Answer,
    Budget,
    Failed,
    Job,
    Made,
    Order,
    PictureOfFilm,
    PictureOfImage,
    Probed,
    ProbeFilm,
    SubtitlesOfFile,
    SubtitlesOfFilm,
)

log = logging.getLogger(__name__)

PROCESSES_MAX: Final = 4
"""Two for pictures and two for subtitles; or four for a scan, which mostly waits for a disk or a network."""

NICENESS: Final = 10
"""Of jobs that pages wait for: saves come first."""

# An idle process takes 35 MB.
_IDLE_S: Final = 30.0

# On a fast disk, probing a film takes less time than starting another process; on a slow one several should wait for
# it.
_PATIENCE_S: Final = 0.1

# A process that has read this many files is replaced, whatever they have left in its memory.
_JOBS_MAX: Final = 5_000

_START_S: Final = 30.0
_END_S: Final = 2.0
_PIECE_BYTES: Final = 256 * 1024

# What a worker needs of the environment. The rest may contain secrets, such as a database's password.
_VARIABLES: Final = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "LD_LIBRARY_PATH",
    "TMPDIR",
    "PYTHONHOME",
    "SYSTEMROOT",
)


_TOO_LONG: Final = "reading it takes too long"
_FOREIGN: Final = "the decoder gave up on it"

_decode: Final = msgspec.msgpack.Decoder(Answer).decode


class DecodersClosed(RuntimeError):  # noqa: N818 - says what state the pool is in
    """The server is shutting down: nothing is decoded any more."""


class _Died(Exception):  # noqa: N818
    """A worker died while it worked. `status` is that of subprocess: negative if a signal ended it."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status

    @property
    def is_foreign(self) -> bool:
        """Whether neither a limit nor this pool killed it: the system may be short of memory, whatever the file."""
        return self.status == -signal.SIGKILL


class _TimedOut(Exception):  # noqa: N818
    """A worker did not answer in time."""


class Decoders:
    """Up to `processes_max` workers, started on demand and stopped after `idle_s` without a job.

    `niceness` is that of the workers, `command` starts one. The methods block, and may be called from any thread. A
    file on which its worker dies, or that takes longer than its budget, is at fault; the next file gets another worker.
    All raise DecodersClosed after `close`, and OSError if no process can be started.
    """

    def __init__(
        self,
        processes_max: int = PROCESSES_MAX,
        *,
        niceness: int = NICENESS,
        idle_s: float = _IDLE_S,
        budgets: Mapping[type[Job], Budget] = BUDGETS,
        command: Sequence[str] = (),
    ) -> None:
        self._processes_max = processes_max
        self._idle_s = idle_s
        self._budgets = budgets
        self._command = command or (sys.executable, "-P", "-B", "-m", "playhead.media.worker", str(niceness))
        self._changed = threading.Condition()
        self._idle: list[_DecoderProcess] = []  # the one that was used last is at the end
        self._busy: set[_DecoderProcess] = set()
        self._starting = 0
        self._is_closed = False
        self._reaper: threading.Timer | None = None

    @property
    def pids(self) -> list[int]:
        """Return the process ids of the workers, for tests and operators."""
        with self._changed:
            return [worker.pid for worker in (*self._idle, *self._busy)]

    @property
    def busy(self) -> int:
        """Return the number of workers with a job."""
        with self._changed:
            return len(self._busy)

    def probe(self, path: Path) -> MediaInfo:
        """Do `media.probe.probe` in a worker. Raises Unreadable."""
        try:
            answer = self._do(ProbeFilm(os.fsencode(path)))
        except _Died as death:
            raise Unreadable(_cause(death), passing=death.is_foreign) from None
        except _TimedOut:
            # It has not used up its processor time, so it waited: for a slow disk, or behind other programs.
            raise Unreadable(_TOO_LONG, passing=True) from None
        if isinstance(answer, Probed):
            return answer.info
        raise Unreadable(_reason(answer), passing=isinstance(answer, Failed) and answer.passing)

    def picture_of_image(self, path: Path, size: PixelSize) -> bytes:
        """Do `media.pictures.picture_of_image` in a worker. Raises Unusable."""
        return self._make(PictureOfImage(os.fsencode(path), size.width, size.height))

    def picture_of_film(self, path: Path, size: PixelSize) -> bytes:
        """Do `media.pictures.picture_of_film` in a worker. Raises Unusable."""
        return self._make(PictureOfFilm(os.fsencode(path), size.width, size.height))

    def webvtt_of_file(self, path: Path, codec: str, language: str | None) -> bytes:
        """Do `media.subtitles.webvtt_of_file` in a worker. Raises Unusable."""
        return self._make(SubtitlesOfFile(os.fsencode(path), codec, language))

    def webvtt_of_film(self, path: Path, number: int) -> bytes:
        """Do `media.subtitles.webvtt_of_film` in a worker. Raises Unusable."""
        return self._make(SubtitlesOfFilm(os.fsencode(path), number))

    def close(self) -> None:
        """Stop all workers, whatever they are doing; idempotent. Callers that wait for an answer get DecodersClosed."""
        with self._changed:
            self._is_closed = True
            idle, busy = [*self._idle], [*self._busy]
            self._idle.clear()
            reaper, self._reaper = self._reaper, None
            self._changed.notify_all()
        if reaper is not None:
            reaper.cancel()
        for worker in busy:
            worker.kill()  # the caller that waits for it releases it
        for worker in idle:
            worker.end()

    def _make(self, job: Job) -> bytes:
        try:
            answer = self._do(job)
        except _Died as death:
            raise Unusable(_cause(death), passing=death.is_foreign) from None
        except _TimedOut:
            raise Unusable(_TOO_LONG, passing=True) from None  # as with probing
        if isinstance(answer, Made):
            return answer.content
        raise Unusable(_reason(answer), passing=isinstance(answer, Failed) and answer.passing)

    def _do(self, job: Job) -> Answer:
        """Raises _Died, _TimedOut."""
        while True:
            worker = self._take()
            try:
                answer = worker.ask(job, self._budgets[type(job)])
            except _Died as death:
                self._drop(worker)
                # The effect of an earlier file on the process is not this file's fault.
                if worker.jobs > 1:
                    continue
                log.warning("A decoding worker ended on %s: %s", shown(os.fsdecode(job.path)), _cause(death))
                raise
            except BaseException:
                self._drop(worker)
                raise
            self._give_back(worker)
            return answer

    def _take(self) -> "_DecoderProcess":
        with self._changed:
            if not self._idle and self._busy:
                self._changed.wait_for(lambda: self._idle or self._is_closed, _PATIENCE_S)
            self._changed.wait_for(self._may_take)
            if self._is_closed:
                raise DecodersClosed
            if self._idle:
                worker = self._idle.pop()
                self._busy.add(worker)
                return worker
            self._starting += 1
        return self._start()

    def _may_take(self) -> bool:
        return bool(self._is_closed or self._idle or len(self._busy) + self._starting < self._processes_max)

    def _start(self) -> "_DecoderProcess":
        try:
            worker = _DecoderProcess(self._command)
            worker.wait_until_started()
        except OSError as error:
            raise OSError(error.errno, f"no process can be started to read it: {error.strerror}") from error
        finally:
            with self._changed:
                self._starting -= 1
                self._changed.notify_all()
        with self._changed:
            if not self._is_closed:
                self._busy.add(worker)
                return worker
        worker.end()
        raise DecodersClosed

    def _give_back(self, worker: "_DecoderProcess") -> None:
        with self._changed:
            if not self._is_closed and worker.jobs < _JOBS_MAX:
                self._busy.discard(worker)
                worker.idle_since_s = time.monotonic()
                self._idle.append(worker)
                self._changed.notify()
                self._set_reaper(self._idle_s)
                return
        self._drop(worker)

    def _drop(self, worker: "_DecoderProcess") -> None:
        worker.end()
        with self._changed:
            self._busy.discard(worker)
            self._changed.notify_all()
            if self._is_closed:
                raise DecodersClosed

    def _set_reaper(self, after_s: float) -> None:
        """Schedule the check for idle workers; call with the lock held."""
        if self._reaper is None:
            self._reaper = threading.Timer(after_s, self._reap)
            self._reaper.daemon = True
            self._reaper.start()

    def _reap(self) -> None:
        now_s = time.monotonic()
        with self._changed:
            self._reaper = None
            if self._is_closed:
                return
            tired = [worker for worker in self._idle if now_s - worker.idle_since_s >= self._idle_s]
            self._idle = [worker for worker in self._idle if worker not in tired]
            if self._idle:
                self._set_reaper(max(0.0, self._idle[0].idle_since_s + self._idle_s - now_s))
        for worker in tired:
            worker.end()


class _DecoderProcess:
    """One process. Only the thread that took it sends jobs; any may kill it."""

    def __init__(self, command: Sequence[str]) -> None:
        # Executed, not forked: a copy of the server would have its memory, its locks and its connections.
        self._process = subprocess.Popen(  # noqa: S603 - this program itself
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env=_environment(),
            process_group=0,  # the server handles Ctrl-C
        )
        if self._process.stdin is None or self._process.stdout is None:
            raise OSError("no pipe")  # never: both were requested
        self._jobs_pipe, self._answers_pipe = self._process.stdin, self._process.stdout
        self._poll = select.poll()  # select() does not support descriptors over 1023
        self._poll.register(self._answers_pipe, select.POLLIN)
        self._encode = msgspec.msgpack.Encoder().encode
        self.pid = self._process.pid
        self.jobs = 0
        self.idle_since_s = 0.0

    def wait_until_started(self) -> None:
        """Raise OSError if it does not start: no file is at fault then."""
        try:
            if int.from_bytes(self._read(MESSAGE_LENGTH_BYTES, time.monotonic() + _START_S)) == 0:
                return
            reason = "it says what no worker says"
        except (OSError, EOFError, _TimedOut):
            reason = "it does not start"
        self.end()
        raise OSError(errno.ECHILD, reason)

    def ask(self, job: Job, budget: Budget) -> Answer:
        """Return the answer to a job. Raises _Died, _TimedOut; the worker must then be dropped."""
        self.jobs += 1
        message = self._encode(Order(job, budget))
        if len(message) > JOB_BYTES_MAX:
            return Failed("its path is too long")
        try:
            self._write(len(message).to_bytes(MESSAGE_LENGTH_BYTES) + message)
            until_s = time.monotonic() + budget.wall_s
            length = int.from_bytes(self._read(MESSAGE_LENGTH_BYTES, until_s))
            if length > ANSWER_BYTES_MAX:
                raise _Died(0)
            return _decode(self._read(length, until_s))
        except msgspec.DecodeError:
            raise _Died(0) from None
        except (OSError, EOFError):
            raise _Died(self.end()) from None

    def kill(self) -> None:
        """Kill the process; from any thread."""
        self._process.kill()

    def end(self) -> int:
        """Kill the process and release its resources. Return its status, or 0 if it has none yet.

        One that waits for a failed disk cannot be killed, and is left to the system.
        """
        self.kill()
        try:
            status = self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            status = 0
        self._jobs_pipe.close()
        self._answers_pipe.close()
        return status

    def _write(self, message: bytes) -> None:
        rest = memoryview(message)
        while rest:
            rest = rest[os.write(self._jobs_pipe.fileno(), rest) :]

    def _read(self, length: int, until_s: float) -> bytes:
        """Return this many bytes. Raises EOFError, _TimedOut."""
        content = bytearray()
        while len(content) < length:
            left_s = until_s - time.monotonic()
            if left_s <= 0 or not self._poll.poll(left_s * 1000):
                raise _TimedOut
            piece = os.read(self._answers_pipe.fileno(), min(_PIECE_BYTES, length - len(content)))
            if not piece:
                raise EOFError
            content += piece
        return bytes(content)


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _VARIABLES if name in os.environ}
    return {**kept, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def _reason(answer: Answer) -> str:
    return shown(answer.reason)[: REASON.characters] if isinstance(answer, Failed) else _FOREIGN


def _cause(death: _Died) -> str:
    """Return why a worker died, as a reason for people."""
    if death.status >= 0:
        return _FOREIGN
    if death.status in {-signal.SIGXCPU, -signal.SIGALRM}:
        return _TOO_LONG
    try:
        name = signal.Signals(-death.status).name
    except ValueError:
        name = f"signal {-death.status}"
    return f"the decoder crashed on it ({name})"
