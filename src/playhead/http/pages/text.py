"""Formats of times, durations and numbers on pages, in the language of the request. Template filters."""

from collections.abc import Callable, Iterable
from datetime import date, datetime
from typing import Any, Final
from zlib import crc32
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_skeleton, format_time
from babel.lists import format_list
from babel.numbers import format_decimal

from playhead.domain.catalogue import Item, MediaFile, codec_name
from playhead.domain.model import Instant, ItemKind, Milliseconds, moment_of
from playhead.http.pages.messages import translated
from playhead.http.pages.translations import amount, current, gettext, ngettext

_MINUTE_S = 60
_HOUR_S = 60 * _MINUTE_S
_KIB = 1024
TINTS: Final = 12
"""Colours behind titles; `items.css` has a class for each."""

_CONTAINERS: Final = {"mov": "MP4", "matroska": "MKV", "webm": "WebM", "mpegts": "MPEG-TS", "mpeg": "MPEG-PS"}


def _local(instant: Instant, zone: ZoneInfo) -> datetime:
    return moment_of(instant).astimezone(zone)


def day(instant: Instant, zone: ZoneInfo) -> str:
    """Format the day of an instant, such as "4 March 2026"."""
    return date_of(_local(instant, zone))


def date_of(on: date) -> str:
    """Format a calendar day, such as "4 March 2026"."""
    return format_date(on, "long", locale=current().locale)


def day_and_month(on: date) -> str:
    """Format a day without its year, such as "4 March"."""
    return format_skeleton("MMMMd", on, locale=current().locale)


def weekday(on: date) -> str:
    """Return the name of the weekday, such as "Wednesday"."""
    return format_date(on, "EEEE", locale=current().locale)


def weekday_name(on: date) -> str:
    """Return the short name of the weekday: "Wed"."""
    return format_date(on, "EEE", locale=current().locale).rstrip(".")


def month_name(on: date) -> str:
    """Return the short name of the month: "Mar"."""
    return format_date(on, "LLL", locale=current().locale).rstrip(".")


def time_of_day(instant: Instant, zone: ZoneInfo) -> str:
    """Format a time of day, such as "21:10"."""
    return format_time(_local(instant, zone), "short", locale=current().locale)


def moment(instant: Instant, zone: ZoneInfo, now: Instant) -> str:
    """Format a time of day and its date: "today at 21:10", "yesterday at 23:40", "on 4 March 2019 at 20:15"."""
    then, today = _local(instant, zone), _local(now, zone)
    days = (today.date() - then.date()).days
    time = time_of_day(instant, zone)
    if days == 0:
        return gettext("today at %(time)s", time=time)
    if days == 1:
        return gettext("yesterday at %(time)s", time=time)
    if days == -1:
        return gettext("tomorrow at %(time)s", time=time)
    shown = day_and_month(then) if then.year == today.year else date_of(then)
    return gettext("on %(day)s at %(time)s", day=shown, time=time)


def iso(instant: Instant, zone: ZoneInfo) -> str:
    """Format an instant for machines, as in `<time datetime>`."""
    return _local(instant, zone).isoformat(timespec="seconds")


def clock(length: Milliseconds) -> str:
    """Format a position as players do: "4:05", "1:02:10"."""
    seconds = length // 1000
    hours, rest = divmod(seconds, _HOUR_S)
    minutes, seconds = divmod(rest, _MINUTE_S)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def length(milliseconds: Milliseconds) -> str:
    """Format a duration: "45 s", "12 min", "1 h 5 min"."""
    seconds = milliseconds // 1000
    if seconds < _MINUTE_S:
        return gettext("%(seconds)s s", seconds=seconds)
    hours, minutes = divmod(-(-seconds // _MINUTE_S), 60)
    if not hours:
        return gettext("%(minutes)s min", minutes=minutes)
    if not minutes:
        return gettext("%(hours)s h", hours=amount(hours))
    return gettext("%(hours)s h %(minutes)s min", hours=amount(hours), minutes=minutes)


def size(octets: int) -> str:
    """Format the size of a file: "740 MiB", "4.2 GiB"."""
    value, units = float(octets), ["B", "KiB", "MiB", "GiB"]
    while value >= _KIB and len(units) > 1:
        value /= _KIB
        del units[0]
    shown = format_decimal(value, "#,##0.0" if units == ["GiB"] else "#,##0", locale=current().locale)
    return f"{shown} {units[0]}"


def number(item: Item) -> str:
    """Format the number of an episode: "S2 E4", "S1 E1-2", "Special 3"; or its date if it has no number."""
    if item.kind is not ItemKind.EPISODE:
        return ""
    if item.episode_number is None:
        return item.air_date.isoformat() if item.air_date else ""
    numbers = f"{item.episode_number}" + ("" if item.episode_end is None else f"-{item.episode_end}")
    if item.season_number == 0:
        return gettext("Special %(episode)s", episode=numbers)
    return gettext("S%(season)s E%(episode)s", season=item.season_number or 1, episode=numbers)


def season_name(season_number: int) -> str:
    """Return the name of a season: "Season 2", "Specials"."""
    return gettext("Specials") if season_number == 0 else gettext("Season %(number)s", number=season_number)


def codec(name: str) -> str:
    """Return the common name of a codec for FFmpeg's: "H.264", "AAC", "DTS"."""
    return codec_name(name)


def container(name: str) -> str:
    """Return the common name of a container for FFmpeg's: "MP4", "MKV", "WebM"."""
    return _CONTAINERS.get(name, name.upper())


def sentence(message: str) -> str:
    """Return a message of a layer below, such as the fault "must be a number", as a sentence in the page's language."""
    shown = translated(message)
    return f"{shown[:1].upper()}{shown[1:]}{'' if shown.endswith(('.', '?', '!')) else '.'}"


def capitalised(phrase: str) -> str:
    """Capitalise a phrase as the beginning of a sentence."""
    return f"{phrase[:1].upper()}{phrase[1:]}"


def file_name(file: MediaFile, label: str | None = None) -> str:
    """Return the name of a file of an item: its version's label and, if split, the part."""
    name = label or file.label
    return name if file.part is None else gettext("%(version)s, part %(part)s", version=name, part=file.part)


def tint(title: str) -> int:
    """Return the number of the colour behind a title, which stands where there is no picture: the same each time."""
    return crc32(title.casefold().encode("utf-8", "replace")) % TINTS


def enumeration(parts: Iterable[object]) -> str:
    """Format a list in words: "Anna, Ben and Cleo"."""
    texts = [str(part) for part in parts]
    return format_list(texts, locale=current().locale) if texts else ""


def patience(wait_s: int | None) -> str:
    """Format how long to wait, rounded up: "30 seconds", "1 minute", "14 minutes"."""
    if 0 < (wait_s or 0) < _MINUTE_S:
        return ngettext("%(num)s second", "%(num)s seconds", wait_s or 0)
    minutes = max(1, -(-(wait_s or 0) // _MINUTE_S))
    return ngettext("%(num)s minute", "%(num)s minutes", minutes)


FILTERS: Final[dict[str, Callable[..., Any]]] = {
    "amount": amount,
    "capitalised": capitalised,
    "clock": clock,
    "codec": codec,
    "container": container,
    "date_of": date_of,
    "day": day,
    "day_and_month": day_and_month,
    "enumeration": enumeration,
    "file_name": file_name,
    "iso": iso,
    "length": length,
    "message": translated,
    "moment": moment,
    "number": number,
    "season_name": season_name,
    "sentence": sentence,
    "size": size,
    "time_of_day": time_of_day,
    "tint": tint,
    "weekday": weekday,
}
