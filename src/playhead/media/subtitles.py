# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# PyAV's packets are generic over what it does not name.
"""Subtitles inside films and beside them, and their way to WebVTT. Lists folders and reads files; writes none."""

import codecs
import io
import os
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from playhead.domain.tracks import SubtitleTrack
from playhead.media.contents import Unusable, read_content
from playhead.media.languages import language_tag
from playhead.media.names.filenames import VIDEO_EXTENSIONS
from playhead.media.probe import open_film
from playhead.media.webvtt import Cue, cue_of, write_webvtt

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.subtitles.stream import SubtitleStream

# By the ending of a file beside the media; FFmpeg's names of demuxer and codec.
_FORMATS: Final = {"srt": ("srt", "subrip"), "ass": ("ass", "ass"), "ssa": ("ass", "ass"), "vtt": ("webvtt", "webvtt")}
_FOLDERS: Final = ("subs", "subtitles", "sub")

_IMPAIRED: Final = frozenset({"sdh", "cc", "hi"})
_FORCED: Final = frozenset({"forced", "foreign"})

_FILE_BYTES_MAX: Final = 8 * 1024 * 1024
_CUES_MAX: Final = 50_000
_TEXT_MAX: Final = 8 * 1024 * 1024  # characters of all cues
_READ_S: Final = 180.0  # a large film without an index of its subtitles is read through
_SHOWN_MS: Final = 4_000  # where nothing says how long a text is shown

# What text was written in before Unicode, by language; in the west of Europe, and where nothing tells, cp1252.
_CHARSETS: Final = {
    **dict.fromkeys(("pl", "cs", "hu", "ro", "hr", "sk", "sl", "bs", "sq"), "cp1250"),
    **dict.fromkeys(("ru", "uk", "bg", "sr", "mk", "be"), "cp1251"),
    **dict.fromkeys(("ar", "fa", "ur"), "cp1256"),
    **dict.fromkeys(("et", "lv", "lt"), "cp1257"),
    **dict.fromkeys(("zh-TW", "zh-HK", "zh-Hant"), "big5hkscs"),
    "el": "cp1253",
    "tr": "cp1254",
    "he": "cp1255",
    "vi": "cp1258",
    "th": "cp874",
    "ja": "cp932",
    "ko": "cp949",
    "zh": "gb18030",
}
_MARKS: Final = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


# Beside the film


def find_sidecars(root: Path, path: str) -> list[SubtitleTrack]:
    """Return the subtitle files that are called like a video and lie beside it, or in a folder of subtitles there.

    Ordered by name. Nothing says yet that they are subtitles, or lie inside the library.
    """
    folder, name = os.path.split(path)
    stem = name.rpartition(".")[0].lower()
    found: list[SubtitleTrack] = []
    names = _names(root, folder, (stem, *_FOLDERS))
    # 'Heat.2.en.srt' belongs to Heat.2.mkv, if there is one, and not to Heat.mkv.
    others = [other for other in map(_stem_of_video, names) if other.startswith(f"{stem}.")]
    folders = [folder, *(f"{folder}/{name}" if folder else name for name in names if name.lower() in _FOLDERS)]
    for where in folders:
        for each in names if where == folder else _names(root, where, (stem,)):
            beginning, _, ending = each.rpartition(".")
            tags = _tags(beginning, stem, others)
            if ending.lower() in _FORMATS and tags is not None:
                found.append(_sidecar(f"{where}/{each}" if where else each, tags, _FORMATS[ending.lower()][1]))
    return found


def _names(root: Path, folder: str, beginnings: tuple[str, ...]) -> list[str]:
    """Return what lies in a folder under names that begin so, in lower case; a folder may hold thousands of others."""
    try:
        with os.scandir(root / folder) as entries:
            return sorted(entry.name for entry in entries if entry.name.lower().startswith(beginnings))
    except OSError:
        return []


def _stem_of_video(name: str) -> str:
    stem, _, ending = name.lower().rpartition(".")
    return stem if f".{ending}" in VIDEO_EXTENSIONS else ""


def _tags(beginning: str, stem: str, others: list[str]) -> list[str] | None:
    """Return what stands between a video's name and the ending; None where the file belongs to another video."""
    name = beginning.lower()
    if any(f"{name}.".startswith(f"{other}.") for other in others):
        return None
    if name == stem:
        return []
    return beginning[len(stem) + 1 :].split(".") if name.startswith(f"{stem}.") else None


def _sidecar(path: str, tags: list[str], codec: str) -> SubtitleTrack:
    language, forced, default, words = None, False, False, list[str]()
    for tag in tags:
        word = tag.lower()
        if word in _FORCED:
            forced = True
        elif word == "default":
            default = True
        elif language is None and (found := language_tag(tag)) is not None:
            language = found
        elif word in _IMPAIRED:  # 'hi' is Hindi, too; so it comes behind the language
            words.append("SDH")
        elif not word.isdigit():
            words.append(tag)
    return SubtitleTrack(codec, language, " ".join(words) or None, forced, default, path=path)


# To WebVTT


def webvtt_of_file(path: Path, codec: str, language: str | None) -> bytes:
    """Return a subtitle file as WebVTT in UTF-8, whatever its character set. Raises Unusable, and nothing else."""
    from av import open as open_container  # noqa: PLC0415 - loads FFmpeg, for which a start must not wait

    try:
        text = decoded(read_content(path, _FILE_BYTES_MAX), language)
        if codec == "webvtt":
            return _checked(text)
        demuxer = "srt" if codec == "subrip" else codec
        with cast("InputContainer", open_container(io.BytesIO(text.encode()), format=demuxer)) as opened:
            return _converted(opened, opened.streams.subtitles[0])
    except Unusable:
        raise
    except Exception as error:
        # As with films: a hostile file can make FFmpeg raise anything.
        raise Unusable(getattr(error, "strerror", None) or "it cannot be read") from error


def webvtt_of_film(path: Path, number: int) -> bytes:
    """Return a film's subtitles, the stream of this number among them, as WebVTT. May read the film through: minutes.

    Raises Unusable, and nothing else.
    """
    from av.stream import Discard  # noqa: PLC0415 - as above

    try:
        with open_film(path) as opened:
            stream = opened.streams.subtitles[number]
            for other in opened.streams:
                if other.index != stream.index:
                    other.discard = Discard.all
            return _converted(opened, stream, opened.start_time or 0)
    except Unusable:
        raise
    except Exception as error:
        raise Unusable(getattr(error, "strerror", None) or "it cannot be read") from error


def decoded(content: bytes, language: str | None = None) -> str:
    """Return the text of a file: by its mark, else as UTF-8, else as it was usual for its language."""
    charset = next((charset for mark, charset in _MARKS if content.startswith(mark)), None)
    if charset is None and content.count(b"\0") > len(content) // 4:
        charset = "utf-16-be" if content[:1] == b"\0" else "utf-16-le"
    if charset is None:
        try:
            return content.decode()
        except UnicodeDecodeError:
            charset = _CHARSETS.get(language or "") or _CHARSETS.get((language or "").partition("-")[0], "cp1252")
    return content.decode(charset, "replace")


def _checked(text: str) -> bytes:
    """Return what is WebVTT already, as it is."""
    if not text.startswith("WEBVTT") or "-->" not in text:
        raise Unusable("it is no WebVTT")
    return text.encode()


def _converted(opened: "InputContainer", stream: "SubtitleStream", start_us: int = 0) -> bytes:
    cues: list[Cue] = []
    size = 0
    for cue in _cues(opened, stream, start_us):
        cues.append(cue)
        size += len(cue.text)
        if len(cues) > _CUES_MAX or size > _TEXT_MAX:
            raise Unusable("it holds too much text")
    if not cues:
        raise Unusable("it holds no text")
    return write_webvtt(cues)


def _cues(opened: "InputContainer", stream: "SubtitleStream", start_us: int) -> Iterator[Cue]:
    from av.error import InvalidDataError  # noqa: PLC0415 - as above
    from av.subtitles.subtitle import AssSubtitle  # noqa: PLC0415

    give_up_at = time.monotonic() + _READ_S
    for packet in opened.demux(stream):
        if time.monotonic() > give_up_at:
            raise Unusable("it takes too long to read it through")
        if packet.size == 0 or packet.pts is None:
            continue
        unit = (packet.time_base or Fraction(1, 1000)) * 1000
        begin_ms = max(int(packet.pts * unit) - start_us // 1000, 0)
        end_ms = begin_ms + (int((packet.duration or 0) * unit) or _SHOWN_MS)
        try:
            lines = packet.decode()
        except InvalidDataError:
            continue
        for line in lines:
            if not isinstance(line, AssSubtitle):
                raise Unusable("it holds pictures, no text")
            cue = cue_of(line.ass.decode("utf-8", "replace").split(",", 8)[-1], begin_ms, end_ms)
            if cue is not None:
                yield cue
