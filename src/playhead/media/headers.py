"""The dimensions of a picture by its header: JPEG, PNG and WebP. Reads a few bytes and decodes nothing."""

from typing import Final

from playhead.domain.artwork import PixelSize

PNG: Final = b"\x89PNG\r\n\x1a\n"
JPEG: Final = b"\xff\xd8\xff"
_RIFF, _WEBP = b"RIFF", b"WEBP"

_PNG_CHUNK_BYTES: Final = 12  # around a chunk's content
_PNG_SHOWN: Final = frozenset({b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"cICP"})

# JPEG (ITU-T T.81, B.1): a marker is FF and one byte; these have no length, and these begin a frame.
_STANDALONE: Final = frozenset({0x01, *range(0xD0, 0xD9)})
_START_OF_FRAME: Final = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_START_OF_SCAN: Final = 0xDA


def format_of(content: bytes) -> str | None:
    """Return FFmpeg's name of the decoder by the first bytes of a file; None for any other format."""
    if content.startswith(JPEG):
        return "mjpeg"
    if content.startswith(PNG):
        return "png"
    return "webp" if content[:4] == _RIFF and content[8:12] == _WEBP else None


def size_of_image(content: bytes) -> PixelSize | None:
    """Return width and height from the header of a JPEG, PNG or WebP; None if there are none."""
    match format_of(content):
        case "png":
            return _big(content[16:20], content[20:24]) if content[12:16] == b"IHDR" else None
        case "webp":
            return _webp(content)
        case "mjpeg":
            return _jpeg(content)
        case _:
            return None


def without_texts(content: bytes) -> bytes:
    """Return a PNG without the chunks that do not change its picture; anything else unchanged.

    Texts and colour profiles are compressed, and a megabyte of them may unpack to gigabytes.
    """
    if not content.startswith(PNG):
        return content
    kept, at = [PNG], len(PNG)
    while at + _PNG_CHUNK_BYTES <= len(content):
        end = at + _PNG_CHUNK_BYTES + int.from_bytes(content[at : at + 4])
        kind = content[at + 4 : at + 8]
        if kind[:1].isupper() or kind in _PNG_SHOWN:  # upper case: critical for decoding
            kept.append(content[at:end])
        at = end
    return b"".join(kept)


def _big(width: bytes, height: bytes) -> PixelSize | None:
    size = PixelSize(int.from_bytes(width), int.from_bytes(height))
    return size if min(size) > 0 else None


def _webp(content: bytes) -> PixelSize | None:
    """RFC 9649, 2.5 to 2.7: a lossy, a lossless or an extended file."""
    match content[12:16]:
        case b"VP8 ":
            return PixelSize(_little(content[26:28]) & 0x3FFF, _little(content[28:30]) & 0x3FFF)
        case b"VP8L":
            bits = _little(content[21:25])
            return PixelSize((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
        case b"VP8X":
            return PixelSize(_little(content[24:27]) + 1, _little(content[27:30]) + 1)
        case _:
            return None


def _little(content: bytes) -> int:
    return int.from_bytes(content, "little")


def _jpeg(content: bytes) -> PixelSize | None:
    at = 2
    while at + 4 <= len(content) and content[at] == 0xFF:  # noqa: PLR2004 - see above
        marker = content[at + 1]
        if marker == 0xFF:  # noqa: PLR2004 - a marker may be filled up with such bytes
            at += 1
        elif marker in _STANDALONE:
            at += 2
        elif marker in _START_OF_FRAME:
            return _big(content[at + 7 : at + 9], content[at + 5 : at + 7])
        elif marker == _START_OF_SCAN:
            return None
        else:
            at += 2 + int.from_bytes(content[at + 2 : at + 4])
    return None
