"""The history: what was watched, day by day, and a picture of the last 12 months."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby
from typing import NamedTuple
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from starlette.responses import JSONResponse, Response

from playhead.domain.catalogue import Item
from playhead.domain.model import Instant, ItemId, ItemKind, Milliseconds, canonical_id, moment_of
from playhead.errors import Code, PlayheadError, not_found
from playhead.http.api.formats import moments_of
from playhead.http.pages.page import Pages, Visit, read_form, redirect, wants_json, way_back
from playhead.http.pages.text import date_of, month_name, weekday_name
from playhead.http.pages.translations import amount, gettext, ngettext
from playhead.http.route import require_id, require_item_id
from playhead.services.lists import HistoryFilter, Lists, PlayedView
from playhead.services.marks import Marks
from playhead.services.statistics import Statistics

_PLAYS_SHOWN = 50
_FILTERS = ("item", "kind", "library", "from", "until", "order")

_WEEKS = 53
_WEEKDAYS = 7
_HOUR_MS = 60 * 60 * 1000

# The shade of a day by its least number of hours: an episode, a film, an evening, a weekend.
_SHADES_H = (0.0, 1.5, 3.0, 5.0)

# The days of a week whose names are shown next to the picture.
_NAMED_ROWS = (0, 2, 4, 6)

# In units of the picture: a day is a square of 10, with a gap of 2.
_STEP = 12
_SIDE = 10
_LEFT = 28
_TOP = 16


class Day(NamedTuple):
    """The plays of one day, newest first. `on` is None for undated plays."""

    on: date | None
    plays: Sequence[PlayedView]


@dataclass(frozen=True, slots=True)
class Year:
    """The last 12 months as squares, one column per week.

    `shades` are SVG paths of the days of each shade, lightest first. `months` are names and the position of their first
    week; `labelled` are the days with plays, each with its position and text.
    """

    width: int
    height: int
    shades: Sequence[str]
    months: Sequence[tuple[int, str]]
    labelled: Sequence[tuple[int, int, str]]
    weekdays: Sequence[tuple[str, int]]
    summary: str


class HistoryPages:
    """The endpoints of the history."""

    def __init__(self, pages: Pages, lists: Lists, statistics: Statistics, marks: Marks) -> None:
        self._pages = pages
        self._lists = lists
        self._statistics = statistics
        self._marks = marks

    async def show(self, visit: Visit) -> Response:
        """Show a page of the history; the first one includes the last 12 months, unless it is filtered."""
        parameters = visit.call.request.query_params
        cursor = parameters.get("cursor")
        chosen = {name: parameters[name] for name in _FILTERS if parameters.get(name)}
        try:
            plays, following = await self._lists.history(visit.viewer, cursor, _PLAYS_SHOWN, _filter_of(chosen))
        except PlayheadError as error:
            if error.code is not Code.INVALID:
                raise
            details = error.details or {}
            if not details.keys() <= {"from", "until"}:
                return redirect(visit.call, "/history")
            return self._render(visit, chosen, days=[], year=None, following=None, details=details, status=422)
        year = None
        if cursor is None and not chosen:
            today = _day_of(self._pages.clock(), visit.zone)
            first = _first_day(today)
            year = picture_of(await self._statistics.watched_days(visit.viewer, first, visit.zone), first, today)
        days = [Day(on, list(group)) for on, group in groupby(plays, lambda each: _day(each, visit.zone))]
        return self._render(
            visit, chosen, days=days, year=year, following=following, details={}, item=_item_of(plays, chosen)
        )

    def _render(self, visit: Visit, chosen: Mapping[str, str], *, status: int = 200, **values: object) -> Response:
        return self._pages.render(
            visit,
            "history.html",
            status=status,
            today=_day_of(self._pages.clock(), visit.zone),
            chosen=chosen,
            query=urlencode(chosen),
            kinds=[
                ("", gettext("Movies and episodes")),
                ("movie", gettext("Movies")),
                ("episode", gettext("Episodes")),
            ],
            orders=[("", gettext("Newest first")), ("oldest", gettext("Oldest first"))],
            of_libraries=[("", gettext("All libraries")), *((each.id, each.name) for each in visit.libraries)],
            **({"item": None} | values),
        )

    async def remove_play(self, visit: Visit) -> Response:
        """Remove a play from the history. Succeeds if it is gone already."""
        form = await read_form(visit.call)
        kind = form.get("kind")
        item_id = require_id(form.get("item", ""), ItemId, "Play not found")
        play_id = visit.call.path_id(str, "Play not found")
        if kind not in {ItemKind.MOVIE, ItemKind.EPISODE}:
            raise not_found("Play not found")
        try:
            await self._marks.remove_play(visit.user.user_id, ItemKind(kind), item_id, play_id)
        except PlayheadError as error:
            if (error.code, error.member) != (Code.NOT_FOUND, "play_id"):
                raise
        if wants_json(visit.call):
            return JSONResponse({})
        return redirect(visit.call, way_back(form.get("back"), "/history"))


def _filter_of(chosen: Mapping[str, str]) -> HistoryFilter:
    """Return the filter that a form asks for. Raises INVALID, NOT_FOUND."""
    first, last = moments_of(from_=chosen.get("from"), until=chosen.get("until"))
    item, kind = chosen.get("item"), chosen.get("kind")
    return HistoryFilter(
        item_id=None if item is None else require_item_id(item, ItemKind.MOVIE),
        kind=ItemKind(kind) if kind in {ItemKind.MOVIE, ItemKind.EPISODE} else None,
        library=chosen.get("library"),
        first=first,
        last=last,
        oldest_first=chosen.get("order") == "oldest",
    )


def _item_of(plays: Sequence[PlayedView], chosen: Mapping[str, str]) -> Item | None:
    """Return the item to which the plays are restricted: a show's id means its episodes."""
    if "item" not in chosen or not plays:
        return None
    first = plays[0]
    is_show = first.show is not None and canonical_id(chosen["item"]) == first.show.item.id
    return first.show.item if first.show is not None and is_show else first.view.item


def picture_of(watched: Mapping[date, Milliseconds], first: date, today: date) -> Year:
    """Draw how long the user watched on each day from `first`, a Monday, to today."""
    paths = ["", *("" for _ in _SHADES_H)]
    labelled: list[tuple[int, int, str]] = []
    months: list[tuple[int, str]] = []
    for number in range((today - first).days + 1):
        day = first + timedelta(number)
        x, y = _LEFT + _STEP * (number // _WEEKDAYS), _TOP + _STEP * (number % _WEEKDAYS)
        length = watched.get(day)
        paths[_shade(length)] += f"M{x} {y}h{_SIDE}v{_SIDE}h-{_SIDE}z"
        if length is not None:
            labelled.append((x, y, gettext("%(day)s: %(duration)s", day=date_of(day), duration=_hours(length))))
        if day.day == 1 and number:
            months.append((_LEFT + _STEP * -(-number // _WEEKDAYS), month_name(day)))
    return Year(
        _LEFT + _STEP * _WEEKS,
        _TOP + _STEP * _WEEKDAYS,
        paths,
        [month for month in months if month[0] <= _LEFT + _STEP * (_WEEKS - 2)],
        labelled,
        [(weekday_name(first + timedelta(row)), row) for row in _NAMED_ROWS],
        _summary(watched),
    )


def _shade(length: Milliseconds | None) -> int:
    return 0 if length is None else sum(length >= hours * _HOUR_MS for hours in _SHADES_H)


def _summary(watched: Mapping[date, Milliseconds]) -> str:
    if not watched:
        return gettext("Nothing watched in the last 12 months")
    most = max(watched, key=lambda day: (watched[day], day))
    return ngettext(
        "%(total)s on %(num)s day in the last 12 months; most on %(day)s: %(most)s",
        "%(total)s on %(num)s days in the last 12 months; most on %(day)s: %(most)s",
        len(watched),
        total=_hours(Milliseconds(sum(watched.values()))),
        day=date_of(most),
        most=_hours(watched[most]),
    )


def _hours(length: Milliseconds) -> str:
    minutes = round(length / 60_000)
    if minutes < 60:  # noqa: PLR2004 - of an hour
        return gettext("%(minutes)s min", minutes=minutes)
    return gettext("%(hours)s h", hours=amount(round(length / _HOUR_MS, 1)))


def _first_day(today: date) -> date:
    """Return the Monday on which a picture of this many weeks begins."""
    return today - timedelta(today.weekday() + _WEEKDAYS * (_WEEKS - 1))


def _day(each: PlayedView, zone: ZoneInfo) -> date | None:
    return None if each.play.watched_at is None else _day_of(each.play.watched_at, zone)


def _day_of(at: Instant, zone: ZoneInfo) -> date:
    return moment_of(at).astimezone(zone).date()
