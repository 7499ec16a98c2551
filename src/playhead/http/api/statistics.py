"""Statistics over HTTP: decode, call the service, encode."""

from typing import Annotated, Any

from msgspec import Meta, Struct, field

from playhead.domain.model import Milliseconds, UserId
from playhead.domain.statistics import Grouping, Streak, Tally
from playhead.http.api.catalogue import TimeText, UuidText
from playhead.http.api.formats import MomentText, moments_of, time_text
from playhead.http.route import Call, require_id
from playhead.services.statistics import Statistics

_HOUR_MS = 3_600_000

DayText = Annotated[str, Meta(extra_json_schema={"format": "date"})]


class StatisticsQuery(Struct):
    """The plays to count: from a day or time until a day, which is included, or a time; of another user for an admin.

    Days are those of the time zone of the user whose plays they are.
    """

    from_: MomentText | None = field(default=None, name="from")
    until: MomentText | None = None
    by: Grouping | None = None
    user: UuidText | None = None


class TallyAnswer(Struct, kw_only=True):
    """Numbers of plays. `hours` are the runtimes of what was played to its end, without marks.

    `items`: of how many movies and episodes; `rewatches`: plays of what the user had watched before.
    """

    plays: int
    hours: float
    items: int
    rewatches: int


class StreakAnswer(Struct):
    """Days in a row with a play; the first and the last of them."""

    days: int
    from_: DayText = field(name="from")
    until: DayText


class StreaksAnswer(Struct):
    """The longest streak of the period, and the one that includes today or yesterday; null if there is none."""

    longest: StreakAnswer | None
    current: StreakAnswer | None


class GroupAnswer(TallyAnswer, kw_only=True):
    """The plays with something in common. `key` is null for those that lack it, such as the show of a movie.

    Its form depends on the grouping: 2026, 2026-01, 2026-W05, 2026-01-31, 1 (Monday) to 7, 00 to 23, the id of a show
    or of a library, 1990. `name` is the title of the show or the name of the library, else null.
    """

    key: str | None
    name: str | None


class StatisticsAnswer(Struct):
    """Statistics of a user's plays. `from` and `until`, which is excluded, are null if not given.

    `groups` is null unless the request asks for a grouping. Times are in their order, years and decades too; shows
    and libraries are sorted by their hours.
    """

    from_: TimeText | None = field(name="from")
    until: TimeText | None
    time_zone: str
    total: TallyAnswer
    streaks: StreaksAnswer
    by: Grouping | None
    groups: list[GroupAnswer] | None


class StatisticsRoutes:
    """The endpoints of statistics."""

    def __init__(self, statistics: Statistics) -> None:
        self._statistics = statistics

    async def read(self, call: Call) -> StatisticsAnswer:
        """Count plays, and group them."""
        query = call.query(StatisticsQuery)
        first, last = moments_of(from_=query.from_, until=query.until)
        user_id = call.user.user_id if query.user is None else require_id(query.user, UserId, "User not found")
        found = await self._statistics.summarise(call.viewer, user_id, first, last, query.by)
        first, end = found.period
        return StatisticsAnswer(
            None if first is None else time_text(first),
            None if end is None else time_text(end),
            found.zone.key,
            _tally_answer(found.tally),
            StreaksAnswer(_streak_answer(found.streaks.longest), _streak_answer(found.streaks.current)),
            query.by,
            None
            if found.groups is None
            else [
                GroupAnswer(
                    key=each.key, name=None if each.key is None else found.names.get(each.key), **_members(each.tally)
                )
                for each in found.groups
            ],
        )


def hours_of(length: Milliseconds) -> float:
    """Convert milliseconds to hours, rounded to hundredths."""
    return round(length / _HOUR_MS, 2)


def _tally_answer(tally: Tally) -> TallyAnswer:
    return TallyAnswer(**_members(tally))


def _members(tally: Tally) -> dict[str, Any]:
    return {
        "plays": tally.plays,
        "hours": hours_of(tally.length_ms),
        "items": tally.items,
        "rewatches": tally.rewatches,
    }


def _streak_answer(streak: Streak | None) -> StreakAnswer | None:
    return None if streak is None else StreakAnswer(streak.days, streak.first.isoformat(), streak.last.isoformat())
