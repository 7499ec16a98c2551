"""Periods as requests name them, by days of a user's time zone."""

from datetime import date, tzinfo
from zoneinfo import ZoneInfo

from playhead.domain.model import Instant, UserId
from playhead.domain.periods import Period, period_of
from playhead.errors import invalid
from playhead.storage import accounts
from playhead.storage.engine.database import Connection

Moment = date | Instant
"""A day of the user's time zone, or a point in time."""


def zone_of(connection: Connection, user_id: UserId) -> ZoneInfo:
    """Return the time zone in which a user sees days and times; UTC until they choose one."""
    name, _ = accounts.find_presentation(connection, user_id)
    return ZoneInfo(name or "UTC")


def require_period(first: Moment | None, last: Moment | None, zone: tzinfo) -> Period:
    """Return a period from a day or time up to a day, which it includes, or a time. Raises INVALID (`until`)."""
    period = period_of(first, last, zone)
    if period.first is not None and period.end is not None and period.first >= period.end:
        raise invalid({"until": ["must be later than from"]})
    return period
