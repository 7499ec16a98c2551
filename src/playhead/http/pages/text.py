"""How pages say times, lengths and numbers to people. Template filters; plain functions of their arguments."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from playhead.domain.catalogue import Item, codec_name
from playhead.domain.model import Instant, ItemKind, Milliseconds, moment_of

_MINUTE_S = 60
_HOUR_S = 60 * _MINUTE_S
_KIB = 1024
_CONTAINERS: Final = {"mov": "MP4", "matroska": "MKV", "webm": "WebM", "mpegts": "MPEG-TS", "mpeg": "MPEG-PS"}


def _local(instant: Instant, zone: ZoneInfo) -> datetime:
    return moment_of(instant).astimezone(zone)


def day(instant: Instant, zone: ZoneInfo) -> str:
    """Show the day of an instant, such as "4 March 2026"."""
    moment = _local(instant, zone)
    return f"{moment.day} {moment:%B %Y}"


def moment(instant: Instant, zone: ZoneInfo, now: Instant) -> str:
    """Show a time of day and its date: "today at 21:10", "yesterday at 23:40", "on 4 March 2019 at 20:15"."""
    then, today = _local(instant, zone), _local(now, zone)
    days = (today.date() - then.date()).days
    clock = f"{then:%H:%M}"
    if days == 0:
        return f"today at {clock}"
    if days == 1:
        return f"yesterday at {clock}"
    if days == -1:
        return f"tomorrow at {clock}"
    year = "" if then.year == today.year else f" {then.year}"
    return f"on {then.day} {then:%B}{year} at {clock}"


def iso(instant: Instant, zone: ZoneInfo) -> str:
    """Give an instant to a machine, as `<time datetime>` wants it."""
    return _local(instant, zone).isoformat(timespec="seconds")


def clock(length: Milliseconds) -> str:
    """Show a position as players do: "4:05", "1:02:10"."""
    seconds = length // 1000
    hours, rest = divmod(seconds, _HOUR_S)
    minutes, seconds = divmod(rest, _MINUTE_S)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def length(milliseconds: Milliseconds) -> str:
    """Show how long something takes: "45 s", "12 min", "1 h 5 min"."""
    seconds = milliseconds // 1000
    if seconds < _MINUTE_S:
        return f"{seconds} s"
    hours, minutes = divmod(-(-seconds // _MINUTE_S), 60)
    if not hours:
        return f"{minutes} min"
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def size(octets: int) -> str:
    """Show the size of a file: "740 MiB", "4.2 GiB"."""
    value = float(octets)
    for unit in ("B", "KiB", "MiB"):
        if value < _KIB:
            return f"{value:.0f} {unit}"
        value /= _KIB
    return f"{value:.1f} GiB"


def number(item: Item) -> str:
    """Show which episode it is: "S2 E4", "S1 E1-2", "Special 3"; by its day where it has no number."""
    if item.kind is not ItemKind.EPISODE:
        return ""
    if item.episode_number is None:
        return item.air_date.isoformat() if item.air_date else ""
    last = "" if item.episode_end is None else f"-{item.episode_end}"
    if item.season_number == 0:
        return f"Special {item.episode_number}{last}"
    return f"S{item.season_number or 1} E{item.episode_number}{last}"


def codec(name: str) -> str:
    """Show FFmpeg's name of a codec as people know it: "H.264", "AAC", "DTS"."""
    return codec_name(name)


def container(name: str) -> str:
    """Show FFmpeg's name of a container as people know it: "MP4", "MKV", "WebM"."""
    return _CONTAINERS.get(name, name.upper())


def sentence(phrase: str) -> str:
    """Show a fault, such as "must be a number", as a sentence."""
    return f"{phrase[:1].upper()}{phrase[1:]}."


def counted(number: int, one: str, many: str) -> str:
    """Show how many there are: "1 movie", "1,204 movies"."""
    return f"{number:,} {one if number == 1 else many}"


def patience(wait_s: int | None) -> str:
    """Show how long somebody has to wait, in whole minutes: "a minute", "14 minutes"."""
    minutes = -(-(wait_s or 0) // _MINUTE_S)
    return "a minute" if minutes <= 1 else f"{minutes} minutes"


FILTERS: Final[dict[str, Callable[..., Any]]] = {
    "day": day,
    "moment": moment,
    "iso": iso,
    "clock": clock,
    "length": length,
    "size": size,
    "number": number,
    "codec": codec,
    "container": container,
    "sentence": sentence,
    "counted": counted,
}
