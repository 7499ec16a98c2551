"""Runs Playhead under uvicorn: listening, what a start prints, an orderly end; alone, or as one of several workers."""

import asyncio
import gc
import logging
import os
import resource
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import AsyncExitStack, contextmanager, suppress
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import uvicorn

from playhead.asgi import Playhead
from playhead.bootstrap import new_digits, open_installation
from playhead.config import Settings
from playhead.demo.maker import Demo, DemoMaker, welcome
from playhead.errors import PlayheadError
from playhead.http.metrics import WorkerLabel
from playhead.server.peers import Peers
from playhead.server.wire import OneWriteProtocol, bounded_protocol
from playhead.server.workers import END, HURRY, READY, Workers, listen
from playhead.storage.engine.database import StorageRefused
from playhead.terminal import log_to_stderr

# A thread that waits for the interpreter's lock gets it within half a millisecond, not five: the event loop and the
# writer hand it to each other several times a batch (docs/decisions/0007-hot-statements-on-the-driver.md).
SWITCH_INTERVAL_S = 0.0005

# The collector of cycles looks at new objects after so many, not after 700: one batch makes thousands, nearly all of
# them end by themselves, and those that wait to be told to streams would be looked at again and again.
COLLECT_AFTER = 10_000

# Supervisors kill after ten seconds. Clients whose connections rest get a second to hear that these end; who owes, or
# is owed, the rest of something gets one more; all else that is under way gets some, and the store what is left. Then
# the process ends, whatever hangs: what was not answered may be lost, and nothing else.
GIVE_UP_AFTER_S = 9.0
_LAST_REQUESTS_S = 1.0
_CLIENTS_END_S = 1.0
_REQUESTS_END_S = 4.0
_LOOK_S = 0.02

# A worker gives up by itself before its parent kills it.
_KILL_AFTER_S = GIVE_UP_AFTER_S + 0.5

_TICKS_BETWEEN_LOOKS = 20  # of a tenth of a second

# A connection takes a file descriptor, and one that streams a second one; the rest is for everything else.
MOST_CONNECTIONS = 10_000
_FILES_OF_OUR_OWN = 128
_FILES_WANTED = 2 * MOST_CONNECTIONS + _FILES_OF_OUR_OWN

_FAILED = 1

log = logging.getLogger("playhead")


class CannotServeError(Exception):
    """The server cannot start; the message says why, for a person."""


def run(settings: Settings, *, demo: bool) -> int:
    """Serve until a signal or a failure of the store ends it; return the exit status.

    `demo` serves an installation of its own, in the folder `demo` of the data folder, from one process. Raises
    CannotServeError where the port is taken or the installation cannot be opened.
    """
    if demo:
        settings = settings.model_copy(
            update={"data": settings.data / "demo", "database": "", "workers": 1, "backup_hours": 0}
        )
    if settings.workers > 1 and settings.database_url is None:
        raise CannotServeError(
            f"{settings.workers} workers cannot share an SQLite database, which has one writer; "
            "serve with one worker, or on PostgreSQL"
        )
    _set_up_process(settings)
    try:
        sockets = listen(settings.host, settings.port, settings.workers)
    except OSError as error:
        raise CannotServeError(f"cannot listen on {settings.host} port {settings.port}: {error.strerror}") from None
    if settings.workers > 1:
        return _run_workers(settings, sockets)
    return _Server(settings, sockets[0], demo=demo).serve_until_stopped()


def _set_up_process(settings: Settings) -> None:
    process = "[%(process)d]" if settings.workers > 1 else ""
    log_to_stderr(settings.log_level.upper(), f"%(asctime)s %(levelname)s %(name)s{process}: %(message)s")
    for library in ("alembic", "uvicorn"):  # their news of a start are none to whoever runs Playhead
        logging.getLogger(library).setLevel(logging.WARNING)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    gc.set_threshold(COLLECT_AFTER)


def _run_workers(settings: Settings, sockets: list[socket.socket]) -> int:
    """Prepare the database, then let workers serve it: what a start does and prints once is done and printed here."""
    url = _url(sockets[0])
    try:
        setup_token = asyncio.run(_prepare(settings))
    except StorageRefused as error:
        raise CannotServeError(str(error)) from None

    def announce() -> None:
        log.info("Playhead listens on %s, %d workers", url, len(sockets))
        _print_setup_link(url, setup_token)

    try:
        folder = tempfile.TemporaryDirectory(prefix="playhead-workers-")
    except OSError as error:
        raise CannotServeError(f"no temporary folder can be made for the workers: {error.strerror}") from None
    with folder as path:
        return Workers(sockets, partial(_work, settings, Path(path)), announce, _KILL_AFTER_S).run()


async def _prepare(settings: Settings) -> str | None:
    async with open_installation(settings, on_failure=lambda _: None) as installation:
        return await installation.accounts.setup_token()


def _work(settings: Settings, folder: Path, place: int, listener: socket.socket, line: Connection) -> None:
    """Be one of several workers; runs in a process of its own."""
    _set_up_process(settings)
    try:
        server = _Server(settings, listener, post=_Post(line, Peers(folder, place, settings.workers)))
        status = server.serve_until_stopped()
    except (CannotServeError, PlayheadError) as error:
        log.critical("A worker cannot serve: %s", error)
        status = _FAILED
    sys.exit(status)


class _Post(NamedTuple):
    """What a worker has that a process alone has not: the line to its parent, and its peers."""

    line: Connection
    peers: Peers


class _Uvicorn(uvicorn.Server):
    """Uvicorn that tells when it listens and when it is to end, ends clients that keep still, and ends in order.

    Where somebody else counts signals, because all workers get them and their parent too, none here hurries.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        on_started: Callable[[], Awaitable[None]],
        on_ending: Callable[[], None],
        *,
        counts_signals: bool,
    ) -> None:
        super().__init__(config)
        self._on_started = on_started
        self._on_ending = on_ending
        self._counts_signals = counts_signals

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        await self._on_started()

    async def on_tick(self, counter: int) -> bool:
        if counter % _TICKS_BETWEEN_LOOKS == 0:
            now_s = time.monotonic()
            for connection in self._connections():
                connection.end_if_still(now_s)
        return await super().on_tick(counter)

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        # The original raises the signal again at the end, which would kill the process before the store is closed.
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):  # the former never reaches a worker
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End in order; at the second signal without waiting for any client."""
        del sig, frame
        self.end(hurry=self.should_exit and self._counts_signals)

    def end(self, *, hurry: bool = False) -> None:
        """End in order; in a hurry without waiting for any client. May be called again."""
        self.force_exit = self.force_exit or hurry
        self.should_exit = True
        self._on_ending()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen no more, answer what is under way, and break off what only its client could end.

        Uvicorn's own waits for clients that never send or read the rest, and answers 500 to what it then cancels.
        """
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        for connection in self._connections():
            connection.answer_last()
        await self._wait(_LAST_REQUESTS_S, lambda: not self._connections())
        for connection in self._connections():
            connection.shutdown()
        await self._wait(_CLIENTS_END_S, lambda: not any(each.waits_for_client for each in self._connections()))
        for connection in self._connections():
            if connection.waits_for_client:
                connection.abort()
        await self._wait(_REQUESTS_END_S, lambda: not (self.server_state.tasks or self.server_state.connections))
        await self._cut_off()

    async def _cut_off(self) -> None:
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # it tells of each cancelled task by a traceback
        for connection in self._connections():
            connection.abort()
        tasks = set(self.server_state.tasks)
        if tasks:
            log.warning("%d requests were not done in time and are not answered", len(tasks))
            await asyncio.sleep(0)  # so that they hear that their clients are gone
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=_CLIENTS_END_S)

    async def _wait(self, seconds: float, is_done: Callable[[], bool]) -> None:
        until = time.monotonic() + seconds
        while not (is_done() or self.force_exit or time.monotonic() >= until):  # noqa: ASYNC110 - uvicorn tells no event
            await asyncio.sleep(_LOOK_S)

    def _connections(self) -> list[OneWriteProtocol]:
        return [each for each in self.server_state.connections if isinstance(each, OneWriteProtocol)]


class _Server:
    """One run of the server on a socket that is bound, alone or, with a `post`, as one of several workers."""

    def __init__(
        self, settings: Settings, listener: socket.socket, *, demo: bool = False, post: _Post | None = None
    ) -> None:
        self._settings = settings
        self._listener = listener
        self._url = _url(listener)
        self._with_demo = demo
        self._post = post
        self._demo: Demo | None = None
        self._status = 0
        self._is_open = False
        self._is_ending = False
        worker = None if post is None else WorkerLabel(post.peers.place, post.peers.ask)
        self._playhead = Playhead(settings, on_failure=self._stop_failed, worker=worker)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._uvicorn = _Uvicorn(
            uvicorn.Config(
                self._playhead,
                lifespan="off",  # opened and closed here, so that a refusal is told in one line
                loop="uvloop",
                http=bounded_protocol(_most_connections(), self._playhead),
                ws="none",
                access_log=False,
                log_config=None,
                server_header=False,
                date_header=False,
                proxy_headers=False,  # the application reads them itself, because it must know the proxy's own address
            ),
            self._announce,
            self._begin_to_end,
            counts_signals=post is None,
        )
        # A thread, because the event loop may be what hangs.
        self._giving_up = threading.Timer(GIVE_UP_AFTER_S, _give_up)
        self._giving_up.daemon = True

    def serve_until_stopped(self) -> int:
        with asyncio.Runner(loop_factory=self._uvicorn.config.get_loop_factory()) as runner:
            runner.run(self._serve())
        self._giving_up.cancel()
        return self._status

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with AsyncExitStack() as stack:
            if self._post is not None:
                self._loop.add_reader(self._post.line.fileno(), self._hear, self._post.line)
                stack.callback(self._loop.remove_reader, self._post.line.fileno())
            try:
                await self._playhead.open()
            except StorageRefused as error:
                raise CannotServeError(str(error)) from None
            self._is_open = True
            stack.push_async_callback(self._playhead.close)
            if self._with_demo:
                self._demo = await self._prepare_demo()
            if self._post is not None:
                await stack.enter_async_context(self._post.peers.telling(self._playhead.encode_numbers))
            await self._uvicorn.serve([self._listener])

    def _hear(self, line: Connection) -> None:
        """Do what the parent says; where it is gone, end."""
        try:
            word = line.recv()
        except (EOFError, OSError):
            word = END
            if self._loop is not None:
                self._loop.remove_reader(line.fileno())
        if not self._is_open:  # nothing was accepted, and a database that does not answer is waited for by a thread
            logging.shutdown()
            os._exit(0)
        self._uvicorn.end(hurry=word == HURRY)

    async def _prepare_demo(self) -> Demo:
        installation = self._playhead.installation
        maker = DemoMaker(
            installation.accounts, installation.catalogue, installation.scanner, self._settings.data, new_digits
        )
        return await maker.prepare()

    async def _announce(self) -> None:
        if self._post is not None:
            with suppress(OSError):  # the parent is gone, which is heard below
                self._post.line.send(READY)
            return  # what a start says, the parent says once
        log.info("Playhead listens on %s", self._url)
        if self._demo is not None:
            print(f"\n{welcome(self._demo, self._url)}", flush=True)  # noqa: T201
        _print_setup_link(self._url, await self._playhead.installation.accounts.setup_token())

    def _stop_failed(self, _: str) -> None:
        """End with a status that makes the supervisor start again. Called from the writer's thread."""
        self._status = _FAILED
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._uvicorn.end)

    def _begin_to_end(self) -> None:
        self._playhead.drain()
        if not self._is_ending:
            self._is_ending = True
            self._giving_up.start()


def _give_up() -> None:
    log.critical("Not everything ended within %d seconds; what was not answered may not be saved", GIVE_UP_AFTER_S)
    logging.shutdown()
    os._exit(_FAILED)


def _most_connections() -> int:
    """Raise the limit of open files as far as it may be, and return how many connections that is enough for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES_WANTED if hard == resource.RLIM_INFINITY else min(hard, _FILES_WANTED)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    files = _FILES_WANTED if soft == resource.RLIM_INFINITY else soft
    return max(1, min(MOST_CONNECTIONS, (files - _FILES_OF_OUR_OWN) // 2))


def _print_setup_link(url: str, setup_token: str | None) -> None:
    if setup_token is not None:
        link = f"{url}/setup?token={setup_token}"
        print(f"\nThere is no user yet. Make the first admin, once, at\n\n    {link}\n", flush=True)  # noqa: T201


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - everywhere is no address that anybody could open
        host = socket.gethostname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
