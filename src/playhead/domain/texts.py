"""Texts that come from outside: how long each may be, and what becomes of characters that steer a screen.

Every source applies the same table: NFO files, names of files and streams, imports, requests. What a person or a
program hands in through the API is refused where it is too long, by the member's name; what lies on a disk is cut,
because nobody is there to correct it.
"""

import re
from hashlib import blake2b
from typing import Final

# The limits. Lengths are characters as Python counts them: code points.

TITLE_LENGTH_MAX: Final = 500
"""Of a movie, a show or an episode. The longest known has some 200; lists copy titles by the thousand."""

EXTERNAL_ID_LENGTH_MAX: Final = 200
"""A value of a catalogue's id: some are addresses."""

SOURCE_LENGTH_MAX: Final = 50
"""The name of such a catalogue."""

STREAM_TITLE_LENGTH_MAX: Final = 200
"""What a menu of sound tracks or subtitles shows."""

LANGUAGE_LENGTH_MAX: Final = 35
"""RFC 5646, 4.4.1: a buffer for a language tag should hold 35 characters."""

CODEC_LENGTH_MAX: Final = 50
"""FFmpeg's names of codecs and containers have up to 20."""

STREAMS_MAX: Final = 200
"""Of one file. Discs with 32 subtitles in two forms and several sound tracks come to a hundred."""

LABEL_LENGTH_MAX: Final = 200
"""What tells a version from others."""

REASON_LENGTH_MAX: Final = 200
"""Why a file is skipped."""

DEVICE_LENGTH_MAX: Final = 200
"""A device or a session, as a player names it."""

WORD_LENGTH_MAX: Final = 200
"""A query, a library's name, an id: the single words of a request."""

PATH_LENGTH_MAX: Final = 4096
"""Linux's PATH_MAX."""

# PostgreSQL refuses rows of an index over 2,704 bytes, and an index here has two ids beside the key.
_KEY_BYTES_MAX: Final = 1_600
_DIGEST_BYTES: Final = 16

# Characters that steer a terminal, forge a line of a log, or show a text as another one: C0 and C1 controls, line and
# paragraph separators, embeddings, overrides and isolates of direction (Unicode TR 36, 'bidirectional text spoofing'),
# noncharacters, and surrogates, which stand for bytes of file names that are no UTF-8. Joiners and marks of direction
# stay: Persian, Hindi, Hebrew and emoji need them.
_STEERING: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ufff9-\ufffc\ufffe\uffff\ud800-\udfff]"
)


def shown(text: str) -> str:
    r"""Return a text that can be printed on a terminal or written to a log, on one line.

    Steering characters are escaped as Python would (`\x1b`, `\u202e`), bytes that are no UTF-8 as `\xff`. For text of
    any length; idempotent. Stored titles are cleaned instead, see `clean_text`.
    """
    return _STEERING.sub(_escaped, text)


def shown_json(document: str) -> str:
    """Return a JSON text that can be printed on a terminal, and means the same: steering characters are escaped."""
    return _STEERING.sub(lambda found: found[0] if found[0] == "\n" else f"\\u{ord(found[0]):04x}", document)


def clean_text(text: str, length_max: int) -> str:
    """Return a text as it is stored: no steering characters, single spaces, cut to a length. May be empty."""
    return " ".join(_STEERING.sub(" ", text[: _RAW_FACTOR * length_max]).split())[:length_max].rstrip()


def bounded_key(text: str) -> str:
    """Return what may be indexed: the text itself, or, where it is too long, its beginning and a hash of all of it."""
    encoded = text.encode("utf-8", "surrogatepass")
    if len(encoded) <= _KEY_BYTES_MAX:
        return text
    digest = blake2b(encoded, digest_size=_DIGEST_BYTES).hexdigest()
    return f"{encoded[: _KEY_BYTES_MAX - 2 * _DIGEST_BYTES - 1].decode('utf-8', 'ignore')} {digest}"


# White space and steering characters that are dropped must not use up the length; a megabyte of them may.
_RAW_FACTOR: Final = 8


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    if 0xDC80 <= code <= 0xDCFF:  # noqa: PLR2004 - PEP 383: a byte that is no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}"  # noqa: PLR2004 - as Python writes them
