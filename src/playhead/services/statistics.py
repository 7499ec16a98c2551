"""Statistics of a user's plays, and the review of a year. Reads only."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import date, tzinfo
from typing import NamedTuple
from zoneinfo import ZoneInfo

from playhead.domain.access import may_administer
from playhead.domain.model import Instant, ItemId, Milliseconds, UserId, moment_of
from playhead.domain.periods import Period, beginning_of, period_of
from playhead.domain.statistics import (
    Grouping,
    PlayGroup,
    Streaks,
    Tally,
    Viewing,
    YearReview,
    group,
    lengths_by_day,
    review,
    streaks,
    tally,
    within,
    years,
)
from playhead.errors import access_denied
from playhead.services.access import ItemView, Sight, Viewer, item_views, sight_of
from playhead.services.credentials import find_user
from playhead.services.periods import Moment, require_period, zone_of
from playhead.storage import lists
from playhead.storage import statistics as storage
from playhead.storage.engine.database import Connection, Database


class Summary(NamedTuple):
    """The plays of a period in numbers. `groups` is None if no grouping was asked for.

    `names` are the titles of shows and the names of libraries by which the plays are grouped, by key.
    """

    period: Period
    zone: ZoneInfo
    tally: Tally
    streaks: Streaks
    groups: Sequence[PlayGroup] | None
    names: Mapping[str, str]


class YearInReview(NamedTuple):
    """A year of a user, whose name is `user`. `years` are those with plays, latest first.

    `items` are the items that `review` names, and the shows of those that are episodes, as the viewer sees them.
    """

    user: str
    year: int
    years: Sequence[int]
    review: YearReview
    items: Mapping[ItemId, ItemView]


class Statistics:
    """The statistics of users. `clock` returns the time."""

    def __init__(self, database: Database, *, clock: Callable[[], Instant]) -> None:
        self._database = database
        self._clock = clock

    async def summarise(
        self, viewer: Viewer, user_id: UserId, first: Moment | None, last: Moment | None, by: Grouping | None
    ) -> Summary:
        """Return the statistics of a user between two days of their time zone, or two times.

        Raises ACCESS_DENIED for another user's unless the viewer is an admin, NOT_FOUND, INVALID (`until`).
        """
        _require_allowed(viewer, user_id)
        now = self._clock()

        def load(connection: Connection) -> Summary:
            find_user(connection, user_id)
            zone = zone_of(connection, user_id)
            period = require_period(first, last, zone)
            sight = sight_of(connection, viewer)
            with_years = by is Grouping.DECADE
            viewings = storage.list_viewings(
                connection, user_id, period, granted=sight.libraries_of_files, with_years=with_years
            )
            holders = _holders(connection, sight, user_id, by)
            groups = None if by is None else group(viewings, by, zone, holders)
            names = _names(connection, sight, by, groups or ())
            return Summary(period, zone, tally(viewings), streaks(viewings, zone, now), groups, names)

        return await self._database.read(load)

    async def review(self, viewer: Viewer, user_id: UserId, year: int | None) -> YearInReview:
        """Return the review of a year; None: of the latest with plays or, without any, of the current one.

        Raises ACCESS_DENIED for another user's unless the viewer is an admin, NOT_FOUND.
        """
        _require_allowed(viewer, user_id)
        now = self._clock()

        def load(connection: Connection) -> YearInReview:
            user = find_user(connection, user_id)
            zone = zone_of(connection, user_id)
            sight = sight_of(connection, viewer)
            viewings = storage.list_viewings(connection, user_id, Period(), granted=sight.libraries_of_files)
            known = years(viewings, zone)
            shown = year or next(iter(known), moment_of(now).astimezone(zone).year)
            period = period_of(date(shown, 1, 1), date(shown, 12, 31), zone)
            found = review(within(viewings, period), zone)
            again = {item_id for item_id, _ in found.rewatched}
            shows = {each.show_id for each in viewings if each.item_id in again and each.show_id is not None}
            named = again.union(shows, (show_id for show_id, _ in found.shows))
            views = item_views(connection, sight, lists.items_of(connection, sorted(named)).values())
            return YearInReview(user.name, shown, known, found, views)

        return await self._database.read(load)

    async def watched_days(self, viewer: Viewer, first: date, zone: tzinfo) -> Mapping[date, Milliseconds]:
        """Return the length of the viewer's plays by day of a time zone, from `first` on; days without are omitted."""
        period = Period(beginning_of(first, zone))

        def load(connection: Connection) -> list[Viewing]:
            granted = sight_of(connection, viewer).libraries_of_files
            return storage.list_viewings(connection, viewer.user_id, period, granted=granted)

        return lengths_by_day(await self._database.read(load), zone)


def _require_allowed(viewer: Viewer, user_id: UserId) -> None:
    if user_id != viewer.user_id and not may_administer(viewer.role):
        raise access_denied()


def _holders(
    connection: Connection, sight: Sight, user_id: UserId, by: Grouping | None
) -> Mapping[ItemId, Sequence[str]]:
    """Return for each played item the libraries that have or had it and that the viewer may see, if they are needed."""
    found = defaultdict[ItemId, list[str]](list)
    if by is not Grouping.LIBRARY:
        return found
    for item_id, library_id in storage.list_holders(connection, user_id):
        if library_id in sight.libraries:
            found[item_id].append(library_id)
    return found


def _names(connection: Connection, sight: Sight, by: Grouping | None, groups: Sequence[PlayGroup]) -> Mapping[str, str]:
    if by is Grouping.SHOW:
        return storage.titles_of(connection, [each.key for each in groups if each.key is not None])
    return {library.id: library.name for library in sight.libraries.values()} if by is Grouping.LIBRARY else {}
