"""Recognises files that end too early: still being copied, or truncated. Reads headers only.

AVI, ASF, Matroska and MP4 declare their size. MPEG-TS and Ogg do not; there a file that ends in the middle of a
packet, or without the mark of its end, counts as unfinished while it is fresh: later it is taken for what it then is, a
recording that was interrupted.
"""

import os
import time
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

FRESH_S: Final = 3_600
"""How long after its last change a file may still be growing; a copy over a slow network pauses for minutes."""

_HEAD_BYTES: Final = 64 * 1024

_EBML: Final = b"\x1a\x45\xdf\xa3"
_SEGMENT: Final = b"\x18\x53\x80\x67"

_RIFF_HEAD: Final = 12  # 'RIFF', a size, and what it is
_CHUNK_HEAD: Final = 8
_CHUNKS_MAX: Final = 2_000
_INDEX_OF_INDEXES: Final = 0  # OpenDML AVI 1.02, section 3.0: bIndexType of a super index
_SUPER_INDEX_HEAD, _SUPER_INDEX_ENTRY = 24, 16

# ASF specification, 3.2: the file properties object has the file's size, unless it is a broadcast.
_ASF_HEADER: Final = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_FILE_PROPERTIES: Final = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_ASF_BROADCAST: Final = 1

_BOX_HEAD: Final = 8
_LARGE_BOX_HEAD: Final = 16
_BOXES_MAX: Final = 2_000
_BOXES: Final = frozenset({b"ftyp", b"moov", b"moof", b"mdat"})  # behind the last of which anything may be appended
_FIRST_BOXES: Final = _BOXES | {b"wide", b"free", b"skip", b"pnot", b"styp"}

_TS_SYNC: Final = 0x47
_TS_PACKETS: Final = (188, 192, 204)  # MPEG-TS, with a time stamp in front (M2TS), with error correction
_OGG_PAGE: Final = b"OggS"
_OGG_LAST: Final = 0x04  # RFC 3533, section 6: the flag of a stream's last page


def is_truncated(path: Path) -> bool:
    """Return whether a media file is shorter than it should be, by its own account. False if it does not declare it.

    Raises OSError.
    """
    with path.open("rb") as opened:
        status = os.fstat(opened.fileno())
        file = _File(opened, status.st_size)
        head = file.read(0, _HEAD_BYTES)
        if head.startswith(_EBML):
            return _matroska_end(head) > file.size
        if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
            return _avi_end(file) > file.size
        if head.startswith(_ASF_HEADER):
            return _asf_size(head) > file.size
        if head[4:8] in _FIRST_BOXES:
            return _boxes_end(file) > file.size
        is_fresh = abs(time.time() - status.st_mtime) < FRESH_S
        return is_fresh and (_ends_in_packet(file, head) or (head.startswith(_OGG_PAGE) and not _has_last_page(file)))


class _File(NamedTuple):
    opened: BinaryIO
    size: int

    def read(self, at: int, length: int) -> bytes:
        """Return the bytes there, as far as the file goes."""
        if at >= self.size:
            return b""
        self.opened.seek(at)
        return self.opened.read(length)


def _little(content: bytes) -> int:
    return int.from_bytes(content, "little")


def _matroska_end(head: bytes) -> int:
    """Return the declared end of the segment, or 0 if it is unknown (RFC 8794, section 6)."""
    header = _element_size(head, len(_EBML))
    if header is None or not head.startswith(_SEGMENT, header[0] + header[1]):
        return 0
    segment = _element_size(head, header[0] + header[1] + len(_SEGMENT))
    return 0 if segment is None else segment[0] + segment[1]


def _element_size(head: bytes, at: int) -> tuple[int, int] | None:
    """Return where an element's data begins and its size; None if the size is unknown or lies beyond `head`."""
    if at >= len(head) or head[at] == 0:
        return None
    width = 9 - head[at].bit_length()
    limit = 1 << (7 * width)
    value = int.from_bytes(head[at : at + width]) & (limit - 1)
    return None if at + width > len(head) or value == limit - 1 else (at + width, value)


def _avi_end(file: _File) -> int:
    """Return where the pictures and sounds of an AVI end, by its lists and by the indexes of OpenDML; 0 if unknown.

    Not the end of the RIFF itself: programs that repair the index at the end of a file often get that size wrong. A
    file that ends before its list of pictures begins would go on.
    """
    end, at, has_pictures = 0, _RIFF_HEAD, False
    for _ in range(_CHUNKS_MAX):
        head = file.read(at, _RIFF_HEAD)
        if len(head) < _CHUNK_HEAD:
            return end if has_pictures else file.size + 1
        name, length, kind = head[:4], _little(head[4:8]), head[8:12]
        if name == b"RIFF" or (name == b"LIST" and kind in (b"hdrl", b"strl")):
            at += _RIFF_HEAD  # and on with what it holds
            continue
        if name == b"LIST" and kind == b"movi":
            has_pictures = True
            if length not in (0, 0xFFFFFFFF):
                end = max(end, at + _CHUNK_HEAD + length)
        if name == b"indx":
            end = max(end, _super_index_end(file.read(at + _CHUNK_HEAD, min(length, _HEAD_BYTES))))
        at += _CHUNK_HEAD + length + length % 2
    return end


def _super_index_end(index: bytes) -> int:
    if len(index) < _SUPER_INDEX_HEAD or index[3] != _INDEX_OF_INDEXES:
        return 0
    stop = min(len(index), _SUPER_INDEX_HEAD + _SUPER_INDEX_ENTRY * _little(index[4:8]))
    entries = (index[at : at + _SUPER_INDEX_ENTRY] for at in range(_SUPER_INDEX_HEAD, stop, _SUPER_INDEX_ENTRY))
    return max((_little(entry[:8]) + _little(entry[8:12]) for entry in entries), default=0)


def _asf_size(head: bytes) -> int:
    at = head.find(_ASF_FILE_PROPERTIES)
    properties = head[at : at + 92] if at >= 0 else b""
    # 16 bytes of name, 8 of length, 16 of the file's id; 8 of the size; the flags behind six numbers.
    return 0 if _little(properties[88:92]) & _ASF_BROADCAST else _little(properties[40:48])


def _boxes_end(file: _File) -> int:
    """Return where the last of the boxes that a film needs ends (ISO/IEC 14496-12, 4.2); 0 if the last is open."""
    end = at = 0
    for _ in range(_BOXES_MAX):
        head = file.read(at, _LARGE_BOX_HEAD)
        if len(head) < _BOX_HEAD:
            break
        length = int.from_bytes(head[:4])
        if length == 1:
            length = int.from_bytes(head[8:16])
        if length < _BOX_HEAD:
            break  # 0: to the end of the file
        if head[4:8] in _BOXES:
            end = at + length
        at += length
    return end


def _ends_in_packet(file: _File, head: bytes) -> bool:
    """Return whether a transport stream ends within a packet. What was appended to one begins with another byte."""
    for length in _TS_PACKETS:
        first = length - 188 if length == 192 else 0  # noqa: PLR2004 - see above
        syncs = [head[at] == _TS_SYNC for at in range(first, min(len(head), 5 * length), length)]
        if len(syncs) > 1 and all(syncs):
            rest = file.size % length
            last = file.read(file.size - rest, first + 1)
            return rest > 0 and (len(last) <= first or last[first] == _TS_SYNC)
    return False


def _has_last_page(file: _File) -> bool:
    tail = file.read(max(file.size - _HEAD_BYTES, 0), _HEAD_BYTES)
    at = tail.rfind(_OGG_PAGE)
    return at >= 0 and len(tail) > at + 5 and bool(tail[at + 5] & _OGG_LAST)
