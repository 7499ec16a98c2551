"""Probing of media files: length, streams, start of the credits. Runs in decoding workers only."""

import re
import stat
import time
from collections.abc import Generator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Final

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import ExitError, InvalidDataError
from av.stream import Disposition
from av.stream import Stream as AvStream
from av.video.stream import VideoStream

from playhead.domain.artwork import FILM_PIXELS_MAX
from playhead.domain.catalogue import MediaInfo, MediaStream
from playhead.domain.model import Milliseconds
from playhead.domain.texts import CODEC, LANGUAGE, STREAM_TITLE, STREAMS_MAX, clean_text
from playhead.media.completeness import is_truncated
from playhead.media.contents import Unreadable, Unusable

# FFmpeg has some five hundred decoders, most of them for formats that no film of the last thirty years uses, and fixed
# less often than these. Streams of other codecs are listed, and never decoded.
DECODERS: Final = frozenset(
    """
    h264 hevc vvc av1 libdav1d vp8 vp9 libvpx libvpx-vp9 mpeg1video mpeg2video mpegvideo mpeg4 msmpeg4v1 msmpeg4v2
    msmpeg4 h263 flv wmv1 wmv2 wmv3 vc1 theora prores dnxhd dvvideo rv10 rv20 rv30 rv40 mjpeg png webp aac aac_latm
    ac3 eac3 dca truehd mlp mp1 mp1float mp2 mp2float mp3 mp3float flac alac vorbis opus libopus wmav1 wmav2 wmapro
    cook ra_144 ra_288 sipr pcm_s16le pcm_s16be pcm_s24le pcm_s24be pcm_s32le pcm_f32le pcm_u8 pcm_alaw pcm_mulaw
    pcm_bluray pcm_dvd adpcm_ms adpcm_ima_wav subrip srt ass ssa webvtt mov_text text pgssub dvdsub dvbsub
    """.split()  # noqa: SIM905 - one a line would be a page
)

_OPTIONS: Final = {
    # Demuxers of films. Everything else is refused, above all those that read further files or addresses (HLS, DASH,
    # concat, SDP): a text called film.mkv must not make the server open what it names.
    "format_whitelist": "matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,avi,mpegts,mpeg,mpegvideo,asf,flv,ogg,rm,mxf,nut,dv,wtv",
    "protocol_whitelist": "file",
    "probesize": "20000000",  # bytes
    "analyzeduration": "10000000",  # microseconds
    "max_streams": "500",
    # If a container does not describe a picture, FFmpeg decodes it when it opens the file, including the cover.
    "max_pixels": str(FILM_PIXELS_MAX),
    "codec_whitelist": ",".join(sorted(DECODERS)),
}
_TIMEOUT_S: Final = 20.0
_LONGEST_MS: Final = 10_000_000_000  # ten million seconds, like the limit of a report

_TRUNCATED: Final = "it is truncated"
_HDR_TRANSFERS: Final = (16, 18)  # ITU-T H.273: SMPTE ST 2084 (PQ) and ARIB STD-B67 (HLG)
_KINDS: Final = ("video", "audio", "subtitle")
_CREDITS: Final = re.compile(
    r"(?:chapter \d+ ?[:.-] ?)?(?:"
    r"(?:(?:the )?(?:end|ending|closing|final) ?)?credits?(?: roll)?|end(?:ing)?|end titles?|outro|ed ?\d*"
    r"|abspann|générique(?: de fin)?|créditos(?: finales)?|titoli di coda|титры|エンディング|片尾|엔딩)",
    re.IGNORECASE,
)

_WEBM: Final = b"\x42\x82\x84webm"  # the element DocType


def probe(path: Path) -> MediaInfo:
    """Probe a media file; takes milliseconds, or seconds if its length must be counted.

    `container` is FFmpeg's first name for it (`matroska`, `mov`), or `webm`. Cover pictures do not count as streams.
    Raises Unreadable, and nothing else, for a file that is missing, empty, truncated, foreign, without pictures or
    without length.
    """
    try:
        size, head = _beginning(path)
        if is_truncated(path):
            raise Unreadable(_TRUNCATED, passing=True)
        with open_film(path) as opened:
            if not _has_all_of_its_index(opened, size):
                raise Unreadable(_TRUNCATED, passing=True)
            return _described(opened, _container(opened, head))
    except Unreadable:
        raise
    except Exception as error:
        # FFmpeg's errors come as some forty classes, builtins among them, and a hostile file can cause any of them.
        reason, passing = cause_of(error)
        raise Unreadable(reason, passing=passing) from error


def cause_of(error: Exception) -> tuple[str, bool]:
    """Return why FFmpeg failed, as a reason for people, and whether it is temporary: opening the film timed out."""
    if isinstance(error, ExitError):
        return "reading it takes too long", True
    if isinstance(error, InvalidDataError):
        return "it is damaged, or not what its name says", False
    return getattr(error, "strerror", None) or "it cannot be read", False


@contextmanager
def raising_unusable() -> Generator[None]:
    """Raise Unusable, and nothing else, where the block fails: a hostile file can make FFmpeg raise anything."""
    try:
        yield
    except Unusable:
        raise
    except Exception as error:
        reason, passing = cause_of(error)
        raise Unusable(reason, passing=passing) from error


def open_film(path: Path) -> InputContainer:
    """Open a film, and nothing else that FFmpeg could open. Raises FFmpeg's errors, of some forty classes."""
    # 'file:' keeps a name with a colon from being read as an address.
    return av.open(f"file:{path.absolute()}", options=_OPTIONS, metadata_errors="replace", timeout=_TIMEOUT_S)


def _beginning(path: Path) -> tuple[int, bytes]:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise Unreadable("it is not a regular file")  # a pipe would block for ever
    if status.st_size == 0:
        raise Unreadable("it is empty")
    with path.open("rb") as file:
        return status.st_size, file.read(1024)


def _container(opened: InputContainer, head: bytes) -> str:
    name = opened.format.name.split(",")[0]
    return "webm" if name == "matroska" and _WEBM in head else name


def _has_all_of_its_index(opened: InputContainer, size: int) -> bool:
    """Return whether all that the index of an MP4 names lies in the file."""
    if not opened.format.name.startswith("mov"):
        return True
    lasts = (stream.index_entries[-1] for stream in opened.streams if len(stream.index_entries))
    return all(last.pos + last.size <= size for last in lasts)


def _described(opened: InputContainer, container: str) -> MediaInfo:
    shown = (each for each in opened.streams if each.type in _KINDS and not is_cover(each))
    streams = tuple(_stream(each) for each in islice(shown, STREAMS_MAX))
    if not any(stream.kind == "video" for stream in streams):
        raise Unreadable("it has no video")
    duration_ms = _duration_ms(opened)
    if not 0 < duration_ms <= _LONGEST_MS:
        raise Unreadable("its length is unknown")
    return MediaInfo(
        duration_ms=Milliseconds(duration_ms),
        container=container,
        streams=streams,
        credits_ms=_credits_ms(opened, duration_ms),
    )


def is_cover(stream: AvStream) -> bool:
    """Return whether a stream is a cover picture rather than video."""
    return bool(stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails))


def _stream(stream: AvStream) -> MediaStream:
    # A codec that FFmpeg has no decoder for has no context, whatever the annotation promises.
    context = getattr(stream, "codec_context", None)
    language = clean_text(stream.language or "", LANGUAGE)
    video = stream if context and isinstance(stream, VideoStream) else None
    audio = stream if context and isinstance(stream, AudioStream) else None
    return MediaStream(
        kind=stream.type,
        codec=context.codec.canonical_name[: CODEC.characters] if context else "unknown",
        language=None if language in ("", "und") else language,
        title=clean_text(stream.metadata.get("title", ""), STREAM_TITLE) or None,
        width=video.width if video else None,
        height=video.height if video else None,
        channels=audio.channels if audio else None,
        hdr=video is not None and video.color_trc in _HDR_TRANSFERS,
        default=bool(stream.disposition & Disposition.default),
        forced=bool(stream.disposition & Disposition.forced),
    )


def _duration_ms(opened: InputContainer) -> int:
    """Take the container's duration, else its longest stream's, else read the whole file; 0 if unknown."""
    if opened.duration is not None and opened.duration > 0:
        return opened.duration // 1000  # FFmpeg's AV_TIME_BASE is a microsecond
    told = (each.duration * each.time_base for each in opened.streams if each.duration and each.time_base)
    return int(max(told, default=0) * 1000) or _counted_ms(opened)


def _counted_ms(opened: InputContainer) -> int:
    """Return the time between the first and the last packet: for interrupted recordings and raw streams."""
    give_up_at = time.monotonic() + _TIMEOUT_S
    first, last = None, 0.0
    for packet in opened.demux():
        if time.monotonic() > give_up_at:
            raise Unreadable("its length is unknown, and it is too large to be read completely")
        stamp = packet.dts if packet.pts is None else packet.pts
        if stamp is None or not packet.time_base:
            continue
        begin = float(stamp * packet.time_base)
        first = begin if first is None else min(first, begin)
        last = max(last, begin + float((packet.duration or 0) * packet.time_base))
    return 0 if first is None else int((last - first) * 1000)


def _credits_ms(opened: InputContainer, duration_ms: int) -> Milliseconds | None:
    """Return the start of the first chapter in the last quarter that is named after the credits."""
    starts = (
        int(chapter["start"] * chapter["time_base"] * 1000)
        for chapter in opened.chapters()
        if chapter["time_base"] and _CREDITS.fullmatch(chapter["metadata"].get("title", "").strip())
    )
    late = [start for start in starts if duration_ms * 3 <= start * 4 < duration_ms * 4]
    return Milliseconds(min(late)) if late else None
