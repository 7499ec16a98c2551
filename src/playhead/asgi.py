"""The ASGI application: opens an installation, serves its route table, and closes it without losing anything."""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from importlib.metadata import version
from pathlib import Path

from starlette.middleware.gzip import GZipMiddleware
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from playhead.bootstrap import Installation, now, open_installation
from playhead.config import Settings, load_settings
from playhead.doctor import examine_installation
from playhead.domain.health import Finding
from playhead.domain.model import Instant
from playhead.errors import PlayheadError
from playhead.http.application import Application
from playhead.http.auth import Authentication
from playhead.http.cross_origin import CrossOrigin
from playhead.http.fast_path import WholeRequest
from playhead.http.forwarding import Proxies
from playhead.http.metrics import MetricsCollector, RequestStats, WorkerLabel
from playhead.http.pages.entrance import Ways
from playhead.http.proxies import PEER, IdentityHeader
from playhead.http.route import Pending, Route
from playhead.http.routes import ServerContext, table
from playhead.services.passwords import MEMORY_KIB
from playhead.services.sampling import Counters, Sampler
from playhead.storage.upkeep.inspection import log_size, touch

VERSION = version("playhead")

_STATIC_FOLDER = Path(__file__).parent / "http" / "static"
_FAILED, _REFUSED = 500, 503
_READY_WITHIN_S = 1.0

# The time that a process gives to reads during shutdown, so that their requests are answered before connections close.
_LAST_READS_S = 3.0

log = logging.getLogger(__name__)


def _count(traffic: RequestStats, installation: Installation, log_bytes: int | None) -> Counters:
    """Read this process's counters and current values."""
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
    """Return the memory usage of this process; None if the system does not report it as Linux does."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


class Playhead:
    """An ASGI application: an installation and its HTTP interface. Serve it, or mount it under any path.

    It opens at the lifespan's start or, if it is mounted without a lifespan, at the first request; call `close` at the
    end. After `close` it can be opened again. `worker` identifies it among several on one port.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Callable[[], Instant] = now,
        on_failure: Callable[[str], None] = lambda _: None,
        worker: WorkerLabel | None = None,
        password_memory_kib: int = MEMORY_KIB,
    ) -> None:
        self.settings = settings
        self._password_memory_kib = password_memory_kib
        self._worker = worker
        self._clock = clock
        self._on_failure = on_failure
        self._stack: AsyncExitStack | None = None
        self._application: Application | None = None
        self._proxies = Proxies(settings.trusted_proxies)
        self._numbers: MetricsCollector | None = None
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
        """Return the sampler of the last hour. Raises RuntimeError while it is closed."""
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
                    open_installation(
                        self.settings,
                        on_failure=self._failed,
                        clock=self._clock,
                        password_memory_kib=self._password_memory_kib,
                    )
                )
                self._stack = stack.pop_all()
            self._installation = installation
            self._application = self._build(installation)
            self.sampler.start()
            installation.merging.start()
            installation.auto_scans.start()
            if installation.backups is not None:
                installation.backups.start()
            elif self.settings.backup_hours and "backup_hours" in self.settings.model_fields_set:
                log.warning(
                    "backup_hours does nothing on PostgreSQL: back up with pg_dump, or by the server's own means"
                )

    def drain(self) -> None:
        """Report at /readyz that this process is shutting down, and end streams; requests are still answered."""
        self._is_draining = True
        if self._installation is not None:
            self._installation.events.end_streams()
            self._installation.database.shorten_reads(_LAST_READS_S)

    def encode_numbers(self) -> bytes:
        """Return this process's metrics, for the response of another worker. Raises RuntimeError while it is closed."""
        if self._numbers is None:
            raise RuntimeError("Playhead is not open")
        return self._numbers.encode()

    async def turn_away(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for which the server has no capacity. Raises RuntimeError while it is closed."""
        if self._application is None:
            raise RuntimeError("Playhead is not open")
        await self._application.turn_away(scope, receive, send)

    def answer_fast(self, request: WholeRequest) -> bytes | Pending[bytes] | None:
        """Answer a request without ASGI; None leaves it to the application. For the server's connections."""
        application = self._application
        return None if application is None else application.answer_fast(request)

    def count_refusal(self, status: int) -> None:
        """Count a request that was refused before it was complete. For the server's connections."""
        if self._application is not None:
            self._application.count_refusal(status)

    async def close(self) -> None:
        """Make everything that was accepted durable and release the files; idempotent."""
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
                peer = scope[PEER] = scope.get("client")
                if peer is not None and self._proxies.trusts(peer[0]):
                    scope = self._proxies.forwarded(scope)
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
                # A write that changes nothing: it takes the write lock, so it fails exactly if a save would.
                await asyncio.wait_for(installation.database.write(touch), _READY_WITHIN_S)
            except (PlayheadError, TimeoutError):
                return False
            return True

        def log_bytes() -> int | None:
            return None if self.settings.database_url else log_size(self.settings.database_path)

        async def examined() -> list[Finding]:
            return await asyncio.to_thread(examine_installation, self.settings, self._clock)

        traffic = RequestStats()
        self._sampler = Sampler(
            lambda: _count(traffic, installation, log_bytes()), clock=self._clock, monotonic=time.monotonic
        )
        self._numbers = MetricsCollector(
            traffic,
            lambda: installation.playback.commits,
            waiting=lambda: installation.playback.waiting,
            refused=lambda: {
                **installation.playback.refused,
                "streams": installation.events.refused,
                "sign_ins": installation.sign_ins.refused,
            },
            log_bytes=log_bytes,
            version=VERSION,
        )
        header = self._identity_header(installation)
        context = ServerContext(
            identity_header=header,
            ways=Ways(
                installation.openid,
                self.settings.oidc_name,
                self.settings.local_sign_in == "admins",
                installation.passkeys.are_offered,
            ),
            remote_sign_out_url=self.settings.remote_sign_out_url,
            is_ready=is_ready,
            numbers=self._numbers,
            sampler=self._sampler,
            examine=examined,
            worker=self._worker,
            clock=self._clock,
            version=VERSION,
        )
        return Application(
            table(installation, context),
            GZipMiddleware(StaticFiles(directory=_STATIC_FOLDER)),
            Authentication(installation.credentials.authenticate, header),
            traffic,
            known_principal=installation.credentials.known_principal,
            base_path=self.settings.base_path,
            cross_origin=CrossOrigin(self.settings.allowed_origins),
        )

    def _identity_header(self, installation: Installation) -> IdentityHeader | None:
        settings = self.settings
        if not settings.remote_user_header:
            return None
        return IdentityHeader(
            settings.trusted_proxies,
            settings.remote_user_header,
            settings.remote_groups_header,
            installation.proxy_identities.authenticate,
        )

    def _failed(self, reason: str) -> None:
        log.critical("The store failed; no further save is accepted: %s", reason)
        self._on_failure(reason)


def create_app(data: Path | str | None = None, **settings: object) -> Playhead:
    """Build the ASGI application; `data` is its folder, `settings` are those of docs/settings.md.

    The rest comes from the environment, the settings file, and the defaults. Nothing is opened yet. Raises ValueError
    for a wrong setting.
    """
    return Playhead(load_settings(data=None if data is None else Path(data), **settings))
