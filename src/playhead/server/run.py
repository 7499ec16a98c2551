"""Runs Playhead: listening, output at the start, graceful shutdown; alone, or as one of several workers."""

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
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import NamedTuple

import uvloop

from playhead.asgi import Playhead
from playhead.bootstrap import new_digits, open_installation
from playhead.config import Settings
from playhead.demo.maker import Demo, DemoMaker, welcome
from playhead.errors import PlayheadError
from playhead.http.forwarding import Proxies
from playhead.http.metrics import WorkerLabel
from playhead.server.connection import HttpConnection, Listener
from playhead.server.limits import Addresses
from playhead.server.peers import Peers
from playhead.server.workers import END, HURRY, READY, Workers, listen
from playhead.storage.engine.database import StorageRefused
from playhead.terminal import log_to_stderr

# A thread that waits for the interpreter lock gets it within half a millisecond, not five: the event loop and the
# writer pass it to each other several times per batch (docs/decisions/0007-hot-statements-on-the-driver.md).
SWITCH_INTERVAL_S = 0.0005

# The cyclic garbage collector runs after this many new objects, not after 700: one batch makes thousands, nearly all of
# which are freed by reference counting, and the changes queued for streams would be examined again and again.
COLLECT_AFTER = 10_000

# Supervisors kill after ten seconds. Clients with idle connections get a second to notice the end; clients that owe or
# await the rest of something get one more; everything else in progress gets some, and the store the rest. Then the
# process ends, whatever hangs: unanswered requests may be lost, and nothing else.
GIVE_UP_AFTER_S = 9.0
_LAST_REQUESTS_S = 1.0
_CLIENTS_END_S = 1.0
_REQUESTS_END_S = 4.0
_LOOK_S = 0.02

# A worker gives up before its parent kills it.
_KILL_AFTER_S = GIVE_UP_AFTER_S + 0.5

_DEADLINES_EVERY_S = 2.0

_BACKLOG = 2048

# A connection uses a file descriptor, and a streaming one a second; the rest is for everything else.
MOST_CONNECTIONS = 10_000
_FILES_OF_OUR_OWN = 128
_FILES_WANTED = 2 * MOST_CONNECTIONS + _FILES_OF_OUR_OWN

_FAILED = 1

log = logging.getLogger("playhead")


class CannotServeError(Exception):
    """The server cannot start; the message says why, for a person."""


def run(settings: Settings, *, demo: bool) -> int:
    """Serve until a signal or a failure of the store ends it; return the exit status.

    `demo` serves a separate installation, in the folder `demo` of the data folder, from one process. Raises
    CannotServeError if the port is taken or the installation cannot be opened.
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
    for library in ("alembic", "watchfiles"):  # their news do not concern an operator of Playhead
        logging.getLogger(library).setLevel(logging.WARNING)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    gc.set_threshold(COLLECT_AFTER)


def _run_workers(settings: Settings, sockets: list[socket.socket]) -> int:
    """Prepare the database, then let workers serve it: what happens or is printed once per start is done here."""
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


def _work(settings: Settings, folder: Path, place: int, listener: socket.socket, line: Pipe) -> None:
    """Run as one of several workers, in a separate process."""
    _set_up_process(settings)
    try:
        server = _Server(settings, listener, post=_Post(line, Peers(folder, place, settings.workers)))
        status = server.serve_until_stopped()
    except (CannotServeError, PlayheadError) as error:
        log.critical("A worker cannot serve: %s", error)
        status = _FAILED
    sys.exit(status)


class _Post(NamedTuple):
    """What a worker has in addition: the pipe to its parent, and its peers."""

    line: Pipe
    peers: Peers


class _Serving:
    """Accepts connections until shutdown, closes those that are overdue, and shuts down gracefully.

    If the parent counts signals, because it and all workers get them, none here hurries.
    """

    def __init__(self, on_ending: Callable[[], None], *, counts_signals: bool) -> None:
        self._on_ending = on_ending
        self._counts_signals = counts_signals
        self._should_end = asyncio.Event()
        self._is_hurried = False

    async def serve(
        self, listening: socket.socket, listener: Listener, on_started: Callable[[], Awaitable[None]]
    ) -> None:
        loop = asyncio.get_running_loop()
        with self._handling_signals(loop):
            server = await loop.create_server(lambda: HttpConnection(listener), sock=listening, backlog=_BACKLOG)
            await on_started()
            watching = loop.create_task(_close_overdue(listener, time.monotonic))
            await self._should_end.wait()
            watching.cancel()
            await self._shut_down(server, listener)

    @contextmanager
    def _handling_signals(self, loop: asyncio.AbstractEventLoop) -> Generator[None]:
        for number in (signal.SIGINT, signal.SIGTERM):  # the former never reaches a worker
            loop.add_signal_handler(number, self._handle_signal)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    def _handle_signal(self) -> None:
        """Shut down gracefully; at the second signal without waiting for any client."""
        self.end(hurry=self._should_end.is_set() and self._counts_signals)

    def end(self, *, hurry: bool = False) -> None:
        """Shut down gracefully; `hurry` waits for no client. May be called again."""
        self._is_hurried = self._is_hurried or hurry
        self._should_end.set()
        self._on_ending()

    async def _shut_down(self, server: asyncio.Server, listener: Listener) -> None:
        """Stop listening, answer what is in progress, and abort what only its client could finish."""
        server.close()
        connections = listener.connections
        for connection in [*connections]:
            connection.answer_last()
        await self._wait(_LAST_REQUESTS_S, lambda: not connections)
        for connection in [*connections]:
            connection.shutdown()
        await self._wait(_CLIENTS_END_S, lambda: not any(each.waits_for_client for each in connections))
        for connection in [*connections]:
            if connection.waits_for_client:
                connection.abort()
        await self._wait(_REQUESTS_END_S, lambda: not (listener.tasks or connections))
        await _cut_off(listener)

    async def _wait(self, seconds: float, is_done: Callable[[], bool]) -> None:
        until = time.monotonic() + seconds
        while not (is_done() or self._is_hurried or time.monotonic() >= until):  # noqa: ASYNC110 - of many, whichever
            await asyncio.sleep(_LOOK_S)


async def _close_overdue(listener: Listener, monotonic: Callable[[], float]) -> None:
    """Check the deadlines of all clients periodically.

    A late check is skipped: what clients sent while the event loop was busy has not been read.
    """
    while True:
        due_s = monotonic() + _DEADLINES_EVERY_S
        await asyncio.sleep(_DEADLINES_EVERY_S)
        if monotonic() - due_s < _DEADLINES_EVERY_S / 2:
            listener.close_overdue()


async def _cut_off(listener: Listener) -> None:
    for connection in [*listener.connections]:
        connection.abort()
    tasks = set(listener.tasks)
    if tasks:
        log.warning("%d requests did not finish in time and are not answered", len(tasks))
        await asyncio.sleep(0)  # so that they notice that their clients are gone
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=_CLIENTS_END_S)


class _Server:
    """One run of the server on a bound socket, alone or, with a `post`, as one of several workers."""

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
        self._serving = _Serving(self._begin_to_end, counts_signals=post is None)
        # A thread, because the event loop may be what hangs.
        self._giving_up = threading.Timer(GIVE_UP_AFTER_S, _give_up)
        self._giving_up.daemon = True

    def serve_until_stopped(self) -> int:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
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
            await self._serving.serve(self._listener, self._listen(), self._announce)

    def _listen(self) -> Listener:
        settings = self._settings
        return Listener(
            self._playhead,
            self._playhead,
            Addresses(_most_connections(), settings.connections_per_address, settings.trusted_proxies),
            Proxies(settings.trusted_proxies),
            time.monotonic,
        )

    def _hear(self, line: Pipe) -> None:
        """Obey the parent; shut down if it is gone."""
        try:
            word = line.recv()
        except (EOFError, OSError):
            word = END
            if self._loop is not None:
                self._loop.remove_reader(line.fileno())
        if not self._is_open:  # nothing was accepted, and a thread waits for a database that does not answer
            logging.shutdown()
            os._exit(0)
        self._serving.end(hurry=word == HURRY)

    async def _prepare_demo(self) -> Demo:
        installation = self._playhead.installation
        maker = DemoMaker(
            installation.credentials,
            installation.sign_ins,
            installation.accounts,
            installation.catalogue,
            installation.scanner,
            self._settings.data,
            new_digits,
        )
        return await maker.prepare()

    async def _announce(self) -> None:
        if self._post is not None:
            with suppress(OSError):  # the parent is gone, which is noticed below
                self._post.line.send(READY)
            return  # the parent prints the output of a start once
        log.info("Playhead listens on %s", self._url)
        if self._demo is not None:
            print(f"\n{welcome(self._demo, self._url)}", flush=True)  # noqa: T201
        _print_setup_link(self._url, await self._playhead.installation.accounts.setup_token())

    def _stop_failed(self, _: str) -> None:
        """Exit with a status that makes the supervisor restart the server. Called on the writer's thread."""
        self._status = _FAILED
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._serving.end)

    def _begin_to_end(self) -> None:
        self._playhead.drain()
        if not self._is_ending:
            self._is_ending = True
            self._giving_up.start()


def _give_up() -> None:
    log.critical("Not everything finished within %d seconds; unanswered saves may be lost", GIVE_UP_AFTER_S)
    logging.shutdown()
    os._exit(_FAILED)


def _most_connections() -> int:
    """Raise the limit of open files as far as allowed, and return the number of connections that it permits."""
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
        print(f"\nThere is no user yet. Create the first admin, once, at\n\n    {link}\n", flush=True)  # noqa: T201


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - everywhere is no address that anybody could open
        host = socket.gethostname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
