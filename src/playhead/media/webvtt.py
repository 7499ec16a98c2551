"""WebVTT, the subtitles that browsers show, from lines of Advanced SubStation, to which FFmpeg decodes all others."""

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

MEDIA_TYPE: Final = "text/vtt"

_OVERRIDES: Final = re.compile(r"\{([^}]*)\}")
_COMMAND: Final = re.compile(r"\\(i|b|u|p|an|r)(-?\d*)(?=$|[\\(} ])")
_BOLD_FROM: Final = 600  # of a weight; 1 is bold, too
_TOP: Final = frozenset("789")  # \an: positions as on a numeric keypad


class Cue(NamedTuple):
    """A text in WebVTT, and when it is shown."""

    begin_ms: int
    end_ms: int
    text: str
    at_top: bool = False


def cue_of(line: str, begin_ms: int, end_ms: int) -> Cue | None:
    """Convert a line of SubStation, that is the part after its last comma, to a cue; None if it shows no text.

    Italics, bold and underlining are kept, and whether it is at the top; fonts, colours and drawings are not.
    """
    text, styles, drawing, at_top = "", "", False, False
    parts = _OVERRIDES.split(line)
    for part, overrides in zip(parts[::2], [*parts[1::2], ""], strict=True):
        if not drawing:
            text += _plain(part)
        wanted = styles
        for name, value in _COMMAND.findall(overrides):
            if name == "p":
                drawing = value not in ("", "0")
            elif name == "an":
                at_top = value in _TOP
            else:
                wanted = _restyled(wanted, name, value)
        text += _change(styles, wanted)
        styles = wanted
    text += _change(styles, "")
    lines = [line.strip() for line in text.split("\n")]
    shown = "\n".join(line for line in lines if line)  # an empty line would end the cue
    return Cue(begin_ms, end_ms, shown, at_top) if re.sub(r"</?[biu]>|\s", "", shown) else None


def write_webvtt(cues: Iterable[Cue]) -> bytes:
    """Return a file of these cues in order of time, without duplicates."""
    blocks = ["WEBVTT"]
    for cue in sorted(dict.fromkeys(cues)):
        place = " line:0" if cue.at_top else ""
        blocks.append(f"{_time(cue.begin_ms)} --> {_time(cue.end_ms)}{place}\n{cue.text}")
    return ("\n\n".join(blocks) + "\n").encode()


def _plain(text: str) -> str:
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace("\r", "").replace("\\N", "\n").replace("\\n", "\n").replace("\\h", "\u00a0")


def _restyled(styles: str, name: str, value: str) -> str:
    if name == "r":
        return ""
    number = int(value) if value.isdigit() else 0
    is_on = number == 1 or (name == "b" and number >= _BOLD_FROM)
    return styles.replace(name, "") + (name if is_on else "")


def _change(before: str, after: str) -> str:
    """Return the tags between two styles. Tags are nested, so some are closed and reopened."""
    pairs = enumerate(zip(before, after, strict=False))
    kept = next((place for place, (one, other) in pairs if one != other), min(len(before), len(after)))
    return "".join(f"</{name}>" for name in reversed(before[kept:])) + "".join(f"<{name}>" for name in after[kept:])


def _time(time_ms: int) -> str:
    seconds, milliseconds = divmod(time_ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}.{milliseconds:03}"
