"""Administration: the health of the server, findings of the doctor, and the last hour in small plots."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from babel.numbers import format_decimal
from starlette.responses import Response

from playhead.domain.health import Finding, worst
from playhead.domain.model import Instant
from playhead.http.pages.page import Pages, Visit
from playhead.http.pages.plots import HEIGHT, WIDTH, Plot, plot
from playhead.http.pages.text import size
from playhead.http.pages.translations import amount, current, gettext
from playhead.services.backups import Backups
from playhead.services.sampling import Sample, Sampler

Examine = Callable[[], Awaitable[list[Finding]]]

# The page refreshes itself every ten seconds; disks and database times need not be examined that often.
_EXAMINED_EVERY_MS: Final = 60_000


class HealthPage:
    """The health page. `examine` examines the installation from outside, as `playhead doctor` does.

    `backups` is None if the server makes none, as on PostgreSQL. `worker` is the index of this process among several
    workers, None if it is the only one.
    """

    def __init__(  # noqa: PLR0913 - what is shown comes from several places
        self,
        pages: Pages,
        sampler: Sampler,
        examine: Examine,
        backups: Backups | None,
        *,
        clock: Callable[[], Instant],
        version: str,
        worker: int | None,
    ) -> None:
        self._pages = pages
        self._sampler = sampler
        self._examine = examine
        self._backups = backups
        self._clock = clock
        self._version = version
        self._worker = worker
        self._findings: list[Finding] = []
        self._examined_at: Instant | None = None

    async def show(self, visit: Visit) -> Response:
        """Show the findings under a headline for the worst one, the backups, and the plots."""
        now = self._clock()
        if self._examined_at is None or abs(now - self._examined_at) >= _EXAMINED_EVERY_MS:
            self._findings, self._examined_at = await self._examine(), now
        return self._pages.render(
            visit,
            "admin_health.html",
            findings=self._findings,
            worst=worst(self._findings),
            backups=None if self._backups is None else await self._backups.status(),
            plots=plots_of(self._sampler.samples, now),
            box=(WIDTH, HEIGHT),
            version=self._version,
            worker=self._worker,
        )


def plots_of(samples: Sequence[Sample], now: Instant) -> list[Plot]:
    """Draw everything that is sampled and exists in this installation."""

    def draw(title: str, value: Callable[[Sample], float | None], show: Callable[[float], str]) -> Plot:
        points = [(each.at, found) for each in samples if (found := value(each)) is not None]
        return plot(title, points, now, show)

    drawn = [
        draw(gettext("Requests per second"), lambda each: each.requests_per_s, _rate),
        draw(gettext("Saves per second"), lambda each: each.saves_per_s, _rate),
        draw(gettext("Commit time, mean"), lambda each: each.commit_ms, lambda value: f"{_rate(value)} ms"),
        draw(gettext("Saves per commit, mean"), lambda each: each.saves_per_commit, _rate),
        draw(gettext("Waiting saves and reads"), lambda each: each.waiting, _count),
        draw(gettext("Refused for lack of room in 10 s"), lambda each: each.refused, _count),
        draw(gettext("Failed in 10 s"), lambda each: each.failed, _count),
        draw(gettext("Open streams"), lambda each: each.streams, _count),
        draw(gettext("Memory"), lambda each: each.memory_bytes, _size),
        draw(gettext("Write-ahead log"), lambda each: each.log_bytes, _size),
    ]
    has_log = any(each.log_bytes is not None for each in samples)
    return drawn if has_log else drawn[:-1]


def _rate(value: float) -> str:
    return format_decimal(value, "#,##0.0", locale=current().locale)


def _count(value: float) -> str:
    return amount(round(value))


def _size(value: float) -> str:
    return size(int(value))
