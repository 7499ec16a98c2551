"""Small plots of an hour: values over time as the paths of an inline SVG. Independent of what the values mean."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from playhead.domain.model import Instant
from playhead.http.pages.translations import gettext

WIDTH: Final = 360
HEIGHT: Final = 64
SPAN_MS: Final = 3_600_000

# A share of the height, so that the stroke of the largest value is not cropped.
_ROOM: Final = 3

# Values further apart are not joined, because the values between them are unknown.
_GAP_MS: Final = 35_000

Point = tuple[Instant, float]


class Plot(NamedTuple):
    """A plot: `line` and `area` are path data in a box of WIDTH by HEIGHT; `last` and `most` are shown as text."""

    title: str
    last: str
    most: str
    line: str
    area: str


def plot(title: str, points: Sequence[Point], now: Instant, show: Callable[[float], str]) -> Plot:
    """Draw values, oldest first, over the hour that ends at `now`. The scale reaches from 0 to the largest value."""
    shown = [(at, value) for at, value in points if now - SPAN_MS <= at <= now]
    if not shown:
        return Plot(title, gettext("none"), gettext("none"), "", "")
    most = max(value for _, value in shown)
    line, area = "", ""
    for run in _runs(shown):
        steps = [(_x(at, now), _y(value, most)) for at, value in run]
        drawn = "L".join(f"{x} {y}" for x, y in steps)
        line += f"M{drawn}" if len(steps) > 1 else f"M{drawn}h0.1"
        area += f"M{steps[0][0]} {HEIGHT}L{drawn}L{steps[-1][0]} {HEIGHT}z"
    return Plot(title, show(shown[-1][1]), show(most), line, area)


def _runs(points: Iterable[Point]) -> list[list[Point]]:
    runs: list[list[Point]] = []
    for point in points:
        if not runs or point[0] - runs[-1][-1][0] > _GAP_MS:
            runs.append([])
        runs[-1].append(point)
    return runs


def _x(at: Instant, now: Instant) -> float:
    return round(WIDTH - (now - at) * WIDTH / SPAN_MS, 1)


def _y(value: float, most: float) -> float:
    return HEIGHT if most <= 0 else round(HEIGHT - value * (HEIGHT - _ROOM) / most, 1)
