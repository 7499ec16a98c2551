"""Runs Playhead under uvicorn: listening, what a start prints, and an orderly end."""

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager

import uvicorn

from playhead.bootstrap import Playhead, new_token
from playhead.config import Settings
from playhead.services.demo import Demo, DemoMaker, welcome
from playhead.storage.database import StorageRefused
from playhead.terminal import progress_bar
from playhead.wire import OneWriteProtocol

# A thread that waits for the interpreter's lock gets it within half a millisecond, not five: the event loop and the
# writer hand it to each other several times a batch (docs/decisions/0007-hot-statements-on-the-driver.md).
SWITCH_INTERVAL_S = 0.0005

# Supervisors kill after ten seconds; what is under way gets most of them.
SHUTDOWN_WITHIN_S = 8

_FAILED = 1

log = logging.getLogger("playhead")


class CannotServeError(Exception):
    """The server cannot start; the message says why, for a person."""


def run(settings: Settings, *, demo: bool) -> int:
    """Serve until a signal or a failure of the store ends it; return the exit status.

    `demo` serves an installation of its own, in the folder `demo` of the data folder. Raises CannotServeError where
    the port is taken or the installation cannot be opened.
    """
    if demo:
        settings = settings.model_copy(update={"data": settings.data / "demo", "database": ""})
    logging.basicConfig(
        level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    for library in ("alembic", "uvicorn"):  # their news of a start are none to whoever runs Playhead
        logging.getLogger(library).setLevel(logging.WARNING)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    return _Server(settings, demo=demo).serve_until_stopped()


class _Uvicorn(uvicorn.Server):
    """Uvicorn that tells when it listens, and leaves it to its caller to end the process after a signal."""

    def __init__(self, config: uvicorn.Config, on_started: Callable[[], Awaitable[None]]) -> None:
        super().__init__(config)
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        await self._on_started()

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        # The original raises the signal again at the end, which would kill the process before the store is closed.
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)


class _Server:
    """One run of the server."""

    def __init__(self, settings: Settings, *, demo: bool) -> None:
        self._settings = settings
        self._with_demo = demo
        self._demo: Demo | None = None
        self._status = 0
        self._playhead = Playhead(settings, on_failure=self._stop_failed)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._url = ""
        self._uvicorn = _Uvicorn(
            uvicorn.Config(
                self._playhead,
                lifespan="off",  # opened and closed here, so that a refusal is told in one line
                loop="uvloop",
                http=OneWriteProtocol,
                ws="none",
                access_log=False,
                log_config=None,
                server_header=False,
                date_header=False,
                proxy_headers=bool(settings.trusted_proxies),
                forwarded_allow_ips=list(settings.trusted_proxies),
                timeout_graceful_shutdown=SHUTDOWN_WITHIN_S,
            ),
            self._announce,
        )

    def serve_until_stopped(self) -> int:
        sockets = [self._listen()]
        host, port = sockets[0].getsockname()[:2]
        self._url = _url(host, port)
        with asyncio.Runner(loop_factory=self._uvicorn.config.get_loop_factory()) as runner:
            runner.run(self._serve(sockets))
        return self._status

    def _listen(self) -> socket.socket:
        host, port = self._settings.host, self._settings.port
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            listener.close()
            raise CannotServeError(f"cannot listen on {host} port {port}: {error.strerror}") from None
        return listener

    async def _serve(self, sockets: list[socket.socket]) -> None:
        self._loop = asyncio.get_running_loop()
        try:
            await self._playhead.open()
        except StorageRefused as error:
            raise CannotServeError(str(error)) from None
        try:
            if self._with_demo:
                self._demo = await self._prepare_demo()
            await self._uvicorn.serve(sockets)
        finally:
            await self._playhead.close()

    async def _prepare_demo(self) -> Demo:
        installation = self._playhead.installation
        maker = DemoMaker(
            installation.accounts, installation.catalogue, installation.scanner, self._settings.data, new_token
        )
        with progress_bar("Making films, in seconds of film") as show:
            return await maker.prepare(show)

    async def _announce(self) -> None:
        log.info("Playhead listens on %s", self._url)
        if self._demo is not None:
            print(f"\n{welcome(self._demo, self._url)}", flush=True)  # noqa: T201
        setup_token = await self._playhead.installation.accounts.setup_token()
        if setup_token is not None:
            link = f"{self._url}/setup?token={setup_token}"
            print(f"\nThere is no user yet. Make the first admin, once, at\n\n    {link}\n", flush=True)  # noqa: T201

    def _stop_failed(self, _: str) -> None:
        """End with a status that makes the supervisor start again. Called from the writer's thread."""
        self._status = _FAILED
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stop)

    def _stop(self) -> None:
        self._uvicorn.should_exit = True


def _url(host: str, port: int) -> str:
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - everywhere is no address that anybody could open
        host = socket.gethostname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
