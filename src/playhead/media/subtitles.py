# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# PyAV's packets are generic over what it does not name.
"""Subtitles in films and beside them as WebVTT. Reads files and writes none; runs in decoding workers only."""

import codecs
import io
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Final, cast

from av import open as open_container
from av.container import InputContainer
from av.error import InvalidDataError
from av.stream import Discard
from av.subtitles.stream import SubtitleStream
from av.subtitles.subtitle import AssSubtitle

from playhead.domain.tracks import CUES_MAX, SUBTITLE_FILE_BYTES_MAX, WEBVTT_BYTES_MAX
from playhead.media.contents import Unusable, read_content
from playhead.media.probe import open_film, raising_unusable
from playhead.media.webvtt import Cue, cue_of, write_webvtt

_TOO_MUCH: Final = "it contains too much text"
_READ_S: Final = 180.0  # a large film without an index of its subtitles is read completely
_SHOWN_MS: Final = 4_000  # if nothing says how long a text is shown

# Encodings from before Unicode, by language; in western Europe, and if the language is unknown, cp1252.
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


def webvtt_of_file(path: Path, codec: str, language: str | None) -> bytes:
    """Convert a subtitle file to WebVTT in UTF-8, whatever its encoding. Raises Unusable, and nothing else."""
    with raising_unusable():
        text = decoded(read_content(path, SUBTITLE_FILE_BYTES_MAX), language)
        if codec == "webvtt":
            return _checked(text)
        demuxer = "srt" if codec == "subrip" else codec
        with cast("InputContainer", open_container(io.BytesIO(text.encode()), format=demuxer)) as opened:
            return _converted(opened, opened.streams.subtitles[0])


def webvtt_of_film(path: Path, number: int) -> bytes:
    """Convert one subtitle stream of a film to WebVTT, by its number. May read the whole film, which takes minutes.

    Raises Unusable, and nothing else.
    """
    with raising_unusable(), open_film(path) as opened:
        stream = opened.streams.subtitles[number]
        for other in opened.streams:
            if other.index != stream.index:
                other.discard = Discard.all
        return _converted(opened, stream, opened.start_time or 0)


def decoded(content: bytes, language: str | None = None) -> str:
    """Decode a file: by its byte order mark, else as UTF-8, else in the usual encoding of its language."""
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
    """Return a file that is WebVTT already unchanged."""
    if not text.startswith("WEBVTT") or "-->" not in text:
        raise Unusable("it is not WebVTT")
    return _bounded(text.encode())


def _bounded(webvtt: bytes) -> bytes:
    if len(webvtt) > WEBVTT_BYTES_MAX:
        raise Unusable(_TOO_MUCH)
    return webvtt


def _converted(opened: InputContainer, stream: SubtitleStream, start_us: int = 0) -> bytes:
    cues: list[Cue] = []
    size = 0
    for cue in _cues(opened, stream, start_us):
        cues.append(cue)
        size += len(cue.text.encode())
        if len(cues) > CUES_MAX or size > WEBVTT_BYTES_MAX:
            raise Unusable(_TOO_MUCH)
    if not cues:
        raise Unusable("it contains no text")
    return _bounded(write_webvtt(cues))


def _cues(opened: InputContainer, stream: SubtitleStream, start_us: int) -> Iterator[Cue]:
    give_up_at = time.monotonic() + _READ_S
    for packet in opened.demux(stream):
        if time.monotonic() > give_up_at:
            raise Unusable("reading all of it takes too long", passing=True)
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
                raise Unusable("it contains bitmaps, not text")
            cue = cue_of(line.ass.decode("utf-8", "replace").split(",", 8)[-1], begin_ms, end_ms)
            if cue is not None:
                yield cue
