"""Builds the objects of a running installation and joins them: here are the real clock and the real chance."""

import asyncio
import logging
import os
import secrets
import shutil
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from uuid import uuid4

from starlette.middleware.gzip import GZipMiddleware
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from playhead.config import Settings, load_settings
from playhead.domain.health import FileFacts, Finding, ServerFacts, examine_file, examine_server
from playhead.domain.model import Instant
from playhead.domain.playback import Policy
from playhead.errors import PlayheadError
from playhead.http.application import Application
from playhead.http.at_once import Later
from playhead.http.errors import Headers, Pause
from playhead.http.metrics import Numbers, Traffic, Worker
from playhead.http.route import Route
from playhead.http.routes import Services, table
from playhead.services.accounts import Accounts
from playhead.services.artwork import Artwork
from playhead.services.browsing import Browsing
from playhead.services.catalogue import Catalogue
from playhead.services.events import Events
from playhead.services.history import History
from playhead.services.importing import Importer
from playhead.services.lists import Lists
from playhead.services.marks import Marks
from playhead.services.passwords import Passwords
from playhead.services.playback import Playback
from playhead.services.relaying import Relay
from playhead.services.sampling import Counters, Sampler
from playhead.services.scanning import Scanner
from playhead.services.subtitles import Subtitles
from playhead.storage.database import Database
from playhead.storage.inspection import inspect_file, inspect_server, log_size, touch
from playhead.storage.migrations.upgrade import upgrade
from playhead.storage.sqlite import SQLiteDatabase

VERSION = version("playhead")

_STATIC_FOLDER = Path(__file__).parent / "http" / "static"
_FAILED, _REFUSED = 500, 503
_READY_WITHIN_S = 1.0
_CHANNEL = "playhead_changes"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Installation:
    """The services over an open database."""

    database: Database
    accounts: Accounts
    catalogue: Catalogue
    artwork: Artwork
    subtitles: Subtitles
    scanner: Scanner
    importer: Importer
    playback: Playback
    history: History
    marks: Marks
    lists: Lists
    browsing: Browsing
    events: Events


def now() -> Instant:
    """Return the time."""
    return Instant(time.time_ns() // 1_000_000)


def new_id() -> str:
    """Return a random UUID."""
    return str(uuid4())


def new_token() -> str:
    """Return 256 random bits as hexadecimal digits."""
    return secrets.token_hex(32)


@asynccontextmanager
async def open_installation(
    settings: Settings, *, on_failure: Callable[[str], None], clock: Callable[[], Instant] = now
) -> AsyncGenerator[Installation]:
    """Upgrade and open the database, and build the services; close all of it at the end, nothing accepted lost.

    `on_failure` is told once, from any thread, why the store can no longer be trusted. Raises StorageRefused.
    """
    database = await asyncio.to_thread(_open_database, settings, clock, on_failure)
    try:
        passwords = Passwords()
        accounts = Accounts(
            database, passwords, clock=clock, monotonic=time.monotonic, new_id=new_id, new_token=new_token
        )
        catalogue = Catalogue(database, clock=clock, new_id=new_id)
        artwork = Artwork(database, settings.data.absolute() / "artwork", monotonic=time.monotonic)
        subtitles = Subtitles(database, settings.data.absolute() / "subtitles", monotonic=time.monotonic)
        scanner = Scanner(database, clock=clock, new_id=new_id)
        importer = Importer(database, clock=clock, new_id=new_id)
        relay = _make_relay(settings)
        events = Events(
            monotonic=time.monotonic,
            ended_tokens=accounts.ended_tokens,
            relay=None if relay is None else relay.send,
        )
        if relay is not None:
            relay.start(events)
        policy = Policy()
        playback = Playback(database, events, clock=clock, new_id=new_id, policy=policy)
        lists = Lists(database, clock=clock, policy=policy, publish=events.publish)
        marks = Marks(database, clock=clock, new_id=new_id, policy=policy, publish=events.publish)
        try:
            yield Installation(
                database=database,
                accounts=accounts,
                catalogue=catalogue,
                artwork=artwork,
                subtitles=subtitles,
                scanner=scanner,
                importer=importer,
                playback=playback,
                history=History(database, clock=clock, policy=policy),
                marks=marks,
                lists=lists,
                browsing=Browsing(database, clock=clock, policy=policy),
                events=events,
            )
        finally:
            await events.close()
            await scanner.close()
            await artwork.close()
            await subtitles.close()
            await playback.close()
            passwords.close()
            if relay is not None:
                await relay.close()
    finally:
        await database.close()


def _open_database(settings: Settings, clock: Callable[[], Instant], on_failure: Callable[[str], None]) -> Database:
    url = settings.database_url
    if url is None:
        upgrade(settings.database_path, now=clock())
        return SQLiteDatabase(settings.database_path, on_failure=on_failure)
    # Loaded only where it is used: a start on SQLite is quicker without.
    from playhead.storage.migrations import postgres as migrations  # noqa: PLC0415
    from playhead.storage.postgres import PostgresDatabase  # noqa: PLC0415

    migrations.upgrade(url)
    return PostgresDatabase(url)


def _make_relay(settings: Settings) -> Relay | None:
    """Return what carries changes to the other processes on the store; SQLite has only one that serves."""
    url = settings.database_url
    if url is None:
        return None
    from playhead.storage.notifying import PostgresNotifier  # noqa: PLC0415 - as above

    return Relay(PostgresNotifier(url, _CHANNEL), new_id())


def examine_installation(settings: Settings, clock: Callable[[], Instant] = now) -> list[Finding]:
    """Look at an installation from outside, whether or not it could be opened, and judge what was found."""
    url = settings.database_url
    return _examine_file(settings, clock) if url is None else _examine_server(settings, url, clock)


def _examine_file(settings: Settings, clock: Callable[[], Instant]) -> list[Finding]:
    path = settings.database_path
    store = inspect_file(path)
    folder = _nearest(path.parent)
    return examine_file(
        FileFacts(
            sqlite_version=store.sqlite_version,
            is_sqlite_sound=store.is_sqlite_sound,
            filesystem=store.filesystem,
            is_network=store.is_network,
            folder=str(path.parent),
            is_folder_writable=_is_writable(folder),
            free_bytes=shutil.disk_usage(folder).free,
            log_bytes=store.log_size,
            revision=store.revision,
            head=store.head,
            fault=store.fault,
            newest_at=store.newest_at,
            now=clock(),
            missing_folders=_missing(store.library_folders),
        )
    )


def _examine_server(settings: Settings, url: str, clock: Callable[[], Instant]) -> list[Finding]:
    store = inspect_server(url)
    return examine_server(
        ServerFacts(
            server=store.server,
            server_version=store.version,
            is_server_new_enough=store.is_new_enough,
            unsafe_settings=store.unsafe_settings,
            is_read_only=store.is_read_only,
            connections_free=store.connections_free,
            connections_max=store.connections_max,
            clock=store.clock,
            folder=str(settings.data),
            is_folder_writable=_is_writable(_nearest(settings.data)),
            revision=store.revision,
            head=store.head,
            fault=store.fault,
            newest_at=store.newest_at,
            now=clock(),
            missing_folders=_missing(store.library_folders),
        )
    )


def _nearest(folder: Path) -> Path:
    """Return a folder that is there: this one, or the nearest above it."""
    return next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())


def _is_writable(folder: Path) -> bool:
    return os.access(folder, os.W_OK | os.X_OK)


def _missing(folders: Sequence[str]) -> tuple[str, ...]:
    return tuple(folder for folder in folders if not os.access(folder, os.R_OK | os.X_OK))


def _count(traffic: Traffic, installation: Installation, log_bytes: int | None) -> Counters:
    """Read what this process has counted so far, and what is so just now."""
    commits, failed, refused = installation.playback.commits, 0, 0
    for (_, _, status), count in traffic.answers.items():
        if status == _REFUSED:
            refused += count
        elif status >= _FAILED:
            failed += count
    return Counters(
        requests=sum(traffic.answers.values()),
        failed=failed,
        refused=refused,
        saves=int(commits.sizes.sum),
        commits=sum(commits.sizes.counts),
        commit_s=commits.seconds.sum,
        waiting=sum(installation.playback.waiting.values()),
        streams=installation.events.open_streams,
        log_bytes=log_bytes,
        memory_bytes=_memory_bytes(),
    )


def _memory_bytes() -> int | None:
    """Return how much memory this process occupies; None where the system does not say it as Linux does."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


class Playhead:
    """An ASGI application: an installation and its HTTP interface. Serve it, or mount it under any path.

    It opens at the lifespan's start, or, where it is mounted and hears of none, at the first request; then
    `close` it at the end. After `close` it can be opened again. `worker` says which of several on one port it is.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Callable[[], Instant] = now,
        on_failure: Callable[[str], None] = lambda _: None,
        worker: Worker | None = None,
    ) -> None:
        self.settings = settings
        self._worker = worker
        self._clock = clock
        self._on_failure = on_failure
        self._stack: AsyncExitStack | None = None
        self._application: Application | None = None
        self._numbers: Numbers | None = None
        self._opening = asyncio.Lock()
        self._installation: Installation | None = None
        self._sampler: Sampler | None = None
        self._is_draining = False

    @property
    def installation(self) -> Installation:
        """Return the open installation. Raises RuntimeError while it is closed."""
        if self._installation is None:
            raise RuntimeError("Playhead is not open")
        return self._installation

    @property
    def sampler(self) -> Sampler:
        """Return what keeps the last hour in numbers. Raises RuntimeError while it is closed."""
        if self._sampler is None:
            raise RuntimeError("Playhead is not open")
        return self._sampler

    @property
    def table(self) -> Sequence[Route]:
        """Return every route, in the order of the contract. Raises RuntimeError while it is closed."""
        if self._application is None:
            raise RuntimeError("Playhead is not open")
        return self._application.table

    async def open(self) -> None:
        """Open the installation; idempotent. Raises StorageRefused."""
        async with self._opening:
            if self._application is not None:
                return
            async with AsyncExitStack() as stack:
                installation = await stack.enter_async_context(
                    open_installation(self.settings, on_failure=self._failed, clock=self._clock)
                )
                self._stack = stack.pop_all()
            self._installation = installation
            self._application = self._build(installation)
            self.sampler.start()

    def drain(self) -> None:
        """Say at /readyz that this process is about to end, and end what never would; requests are still answered."""
        self._is_draining = True
        if self._installation is not None:
            self._installation.events.end_streams()

    def encode_numbers(self) -> bytes:
        """Return this process' metrics, for another worker to answer with. Raises RuntimeError while it is closed."""
        if self._numbers is None:
            raise RuntimeError("Playhead is not open")
        return self._numbers.encode()

    async def turn_away(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for which the server has no room. Raises RuntimeError while it is closed."""
        if self._application is None:
            raise RuntimeError("Playhead is not open")
        await self._application.turn_away(scope, receive, send)

    def may_answer_at_once(self, method: bytes, target: bytes) -> bool:
        """Say whether a request may be one for `answer_at_once`. For the server's protocol."""
        return self._application is not None and self._application.answer_at_once.may(method, target)

    def answer_at_once(
        self, method: bytes, target: bytes, headers: Headers, body: bytes, pause: Pause
    ) -> bytes | Later | None:
        """Answer a request without ASGI; None where it takes the way of a call. For the server's protocol."""
        application = self._application
        return None if application is None else application.answer_at_once(method, target, headers, body, pause)

    async def close(self) -> None:
        """Make everything that was accepted durable and let go of the files; idempotent."""
        stack, self._stack = self._stack, None
        sampler, self._sampler = self._sampler, None
        self._application = self._installation = self._numbers = None
        self._is_draining = False
        if sampler is not None:
            await sampler.close()
        if stack is not None:
            await stack.aclose()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or follow the server's lifespan."""
        if scope["type"] == "http":
            if self._application is None:
                await self.open()
            application = self._application
            if application is not None:
                await application(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._follow_lifespan(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    async def _follow_lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await self.open()
        except Exception as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            raise
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.close()
        await send({"type": "lifespan.shutdown.complete"})

    def _build(self, installation: Installation) -> Application:
        async def is_ready() -> bool:
            if self._is_draining:
                return False
            try:
                # A write that changes nothing: it takes the write lock, and so knows what a save would meet.
                await asyncio.wait_for(installation.database.write(touch), _READY_WITHIN_S)
            except (PlayheadError, TimeoutError):
                return False
            return True

        def log_bytes() -> int | None:
            return None if self.settings.database_url else log_size(self.settings.database_path)

        async def examined() -> list[Finding]:
            return await asyncio.to_thread(examine_installation, self.settings, self._clock)

        traffic = Traffic()
        self._sampler = Sampler(
            lambda: _count(traffic, installation, log_bytes()), clock=self._clock, monotonic=time.monotonic
        )
        self._numbers = Numbers(
            traffic,
            lambda: installation.playback.commits,
            waiting=lambda: installation.playback.waiting,
            refused=lambda: {
                **installation.playback.refused,
                "streams": installation.events.refused,
                "sign_ins": installation.accounts.refused_sign_ins,
            },
            log_bytes=log_bytes,
            version=VERSION,
        )
        rows = table(
            Services(
                accounts=installation.accounts,
                catalogue=installation.catalogue,
                artwork=installation.artwork,
                subtitles=installation.subtitles,
                scanner=installation.scanner,
                importer=installation.importer,
                playback=installation.playback,
                marks=installation.marks,
                lists=installation.lists,
                browsing=installation.browsing,
                events=installation.events,
                is_ready=is_ready,
                numbers=self._numbers,
                sampler=self._sampler,
                examine=examined,
                worker=self._worker,
                clock=self._clock,
                version=VERSION,
            )
        )
        return Application(
            rows,
            GZipMiddleware(StaticFiles(directory=_STATIC_FOLDER)),
            installation.accounts.authenticate,
            traffic,
            recall=installation.accounts.recall,
            base_path=self.settings.base_path,
        )

    def _failed(self, reason: str) -> None:
        log.critical("The store failed; no further save is accepted: %s", reason)
        self._on_failure(reason)


def create_app(data: Path | str | None = None, **settings: object) -> Playhead:
    """Build the ASGI application; `data` is its folder, `settings` are those of docs/settings.md.

    What is not given comes from the environment, the settings file, and the defaults.
    Nothing is opened yet. Raises ValueError for a wrong setting.
    """
    return Playhead(load_settings(data=None if data is None else Path(data), **settings))
