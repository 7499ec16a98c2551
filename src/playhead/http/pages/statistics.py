"""Statistics: a year in review, drawn here as SVG, with a table beside each picture."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import NamedTuple

from starlette.responses import Response

from playhead.domain.model import ItemId, Milliseconds, UserId
from playhead.domain.statistics import Streak, YearReview
from playhead.http.pages.page import Pages, Visit, redirect
from playhead.http.pages.text import date_of, day_and_month, enumeration, month_name, weekday
from playhead.http.pages.text import weekday_name as short_weekday
from playhead.http.pages.translations import amount, gettext, ngettext
from playhead.http.route import require_id
from playhead.services.access import ItemView
from playhead.services.statistics import Statistics

_HOUR_MS = 3_600_000
_FIRST_YEAR, _LAST_YEAR = 1970, 9998

# A week that begins with Monday, and a year, of which only the names of days and months are used.
_MONDAY = date(2024, 1, 1)

# The months, in units of the picture.
_BAR_STEP, _BAR_WIDTH, _BARS_HIGH = 30, 20, 130
_BARS_TOP = 18

# The hours of the week: a square of 12 with a gap of 2.
_STEP, _LEFT, _TOP = 14, 30, 4
_SHADES = 4
_NAMED_HOURS = (0, 6, 12, 18)


class Bar(NamedTuple):
    """A month: where its bar stands and how high it is, its name, and its hours in words, "" if there are none."""

    x: int
    y: int
    height: int
    name: str
    hours: str


class WeekPicture(NamedTuple):
    """Squares of weekday and hour: SVG paths by shade, lightest first; names of rows and columns; and its summary."""

    shades: Sequence[str]
    weekdays: Sequence[tuple[int, str]]
    hours: Sequence[tuple[int, str]]
    summary: str


class Ranked(NamedTuple):
    """A show or an item of a ranking, and its share of the first one's value, in percent. `words` say its value."""

    view: ItemView
    show: ItemView | None
    words: str
    percent: int


class StatisticsPages:
    """The endpoint of statistics."""

    def __init__(self, pages: Pages, statistics: Statistics) -> None:
        self._pages = pages
        self._statistics = statistics

    async def show(self, visit: Visit) -> Response:
        """Show a year in review: one's own or, for an admin, another user's."""
        parameters = visit.call.request.query_params
        year = _year(parameters.get("year", ""))
        if year is None and "year" in parameters:
            return redirect(visit.call, "/statistics")
        user = parameters.get("user")
        user_id = visit.user.user_id if user is None else require_id(user, UserId, "User not found")
        found = await self._statistics.review(visit.viewer, user_id, year)
        review = found.review
        return self._pages.render(
            visit,
            "statistics.html",
            subject=None if user_id == visit.user.user_id else found.user,
            whose="" if user_id == visit.user.user_id else f"&user={user_id}",
            year=found.year,
            years=sorted({*found.years, found.year}, reverse=True),
            review=review,
            hours=hours_in_words(review.tally.length_ms),
            streak=None if review.longest is None else _days_of(review.longest),
            busiest=None
            if review.busiest is None
            else (day_and_month(review.busiest[0]), hours_in_words(review.busiest[1])),
            bars=bars_of(review.months),
            months=[(name_of_month(number), hours_in_words(length)) for number, length in enumerate(review.months, 1)],
            busiest_months=_busiest_months(review.months),
            week=week_of(review.hours),
            weekdays=[(weekday(_day_of_week(row)), counts) for row, counts in enumerate(review.hours)],
            shows=_ranked_shows(review, found.items),
            rewatched=_rewatched(review, found.items),
        )


def _year(text: str) -> int | None:
    is_number = text.isascii() and text.isdigit() and len(text) == len(str(_LAST_YEAR))
    return int(text) if is_number and _FIRST_YEAR <= int(text) <= _LAST_YEAR else None


def hours_in_words(length: Milliseconds) -> str:
    """Format a length in hours: "0.5 h", "12 h", "1,204 h"; the large ones without a fraction."""
    hours = length / _HOUR_MS
    return gettext("%(hours)s h", hours=amount(round(hours) if hours >= 100 else round(hours, 1)))  # noqa: PLR2004


def name_of_month(number: int) -> str:
    """Return the short name of a month, counted from 1."""
    return month_name(_MONDAY.replace(month=number))


def _day_of_week(row: int) -> date:
    return _MONDAY.replace(day=_MONDAY.day + row)


def _days_of(streak: Streak) -> str:
    if streak.days == 1:
        return date_of(streak.first)
    return gettext("%(first)s to %(last)s", first=day_and_month(streak.first), last=day_and_month(streak.last))


def bars_of(months: Sequence[Milliseconds]) -> Sequence[Bar]:
    """Draw the lengths of months as bars; the longest has the full height, and none that has any is invisible."""
    most = max([*months, 1])
    bars: list[Bar] = []
    for number, length in enumerate(months):
        height = max(2, round(_BARS_HIGH * length / most)) if length else 0
        hours = amount(round(length / _HOUR_MS, 0 if length >= 10 * _HOUR_MS else 1)) if length else ""
        x = _BAR_STEP * number + (_BAR_STEP - _BAR_WIDTH) // 2
        bars.append(Bar(x, _BARS_TOP + _BARS_HIGH - height, height, name_of_month(number + 1), hours))
    return bars


def _busiest_months(months: Sequence[Milliseconds]) -> str:
    most = max(months)
    if not most:
        return gettext("No hours of playing: marks have none.")
    names = [name_of_month(number) for number, length in enumerate(months, 1) if length == most]
    return gettext("Most in %(month)s: %(hours)s", month=enumeration(names), hours=hours_in_words(most))


def week_of(hours: Sequence[Sequence[int]]) -> WeekPicture:
    """Draw the number of plays by weekday and hour, in shades of equal steps up to the most."""
    paths = [""] * (_SHADES + 1)
    most, row_of_most, hour_of_most = max(
        (count, -row, -hour) for row, counts in enumerate(hours) for hour, count in enumerate(counts)
    )
    for row, counts in enumerate(hours):
        for hour, count in enumerate(counts):
            shade = -(-count * _SHADES // most) if count else 0
            paths[shade] += f"M{_LEFT + _STEP * hour} {_TOP + _STEP * row}h12v12h-12z"
    time = f"{-hour_of_most:02}:00"
    summary = ngettext(
        "Most often on %(weekday)s after %(hour)s: %(num)s play",
        "Most often on %(weekday)s after %(hour)s: %(num)s plays",
        most,
        weekday=weekday(_day_of_week(-row_of_most)),
        hour=time,
    )
    return WeekPicture(
        paths,
        [(_TOP + _STEP * row, short_weekday(_day_of_week(row))) for row in range(len(hours))],
        [(_LEFT + _STEP * hour, f"{hour:02}") for hour in _NAMED_HOURS],
        summary,
    )


def _ranked_shows(review: YearReview, items: Mapping[ItemId, ItemView]) -> list[Ranked]:
    """Return the most watched shows; by plays instead of hours if all of them were only marked."""
    shows = [(items[show_id], tally) for show_id, tally in review.shows if show_id in items]
    by_hours = any(tally.length_ms for _, tally in shows)
    values = [tally.length_ms if by_hours else tally.plays for _, tally in shows]
    most = max(values, default=1)
    return [
        Ranked(
            view,
            None,
            gettext(
                "%(hours)s, %(episodes)s",
                hours=hours_in_words(tally.length_ms),
                episodes=ngettext("%(num)s episode", "%(num)s episodes", tally.plays),
            ),
            round(100 * value / most),
        )
        for (view, tally), value in zip(shows, values, strict=True)
    ]


def _rewatched(review: YearReview, items: Mapping[ItemId, ItemView]) -> list[Ranked]:
    most = max((number for _, number in review.rewatched), default=1)
    return [
        Ranked(
            view,
            None if view.item.show_id is None else items.get(view.item.show_id),
            ngettext("%(num)s time", "%(num)s times", number),
            round(100 * number / most),
        )
        for view, number in ((items.get(item_id), number) for item_id, number in review.rewatched)
        if view is not None
    ]
