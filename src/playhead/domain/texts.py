"""External texts: their maximum lengths, and the handling of control characters.

Every source uses the same table: NFO files, names of files and streams, imports, requests. A text that is too long in a
request of the API is refused, naming the member; one on a disk is truncated, because nobody is there to correct it.
"""

import re
from hashlib import blake2b
from typing import Final, NamedTuple


class TextLimit(NamedTuple):
    """How many characters (code points) `what` may have; `what` names the texts in the plural."""

    what: str
    characters: int


# docs/limits.md gives the reasons; a test holds the page and this table together.
TITLE: Final = TextLimit("titles of movies, shows and episodes", 500)
EXTERNAL_ID: Final = TextLimit("ids of an item in other catalogues", 200)
SOURCE: Final = TextLimit("names of such catalogues, and of where a play comes from", 50)
DEVICE: Final = TextLimit("names of devices and sessions that players report", 200)
WORD: Final = TextLimit("queries and other single words of a request", 200)
PATH: Final = TextLimit("paths", 4096)
LABEL: Final = TextLimit("labels of versions, such as `2160p HEVC`", 200)
STREAM_TITLE: Final = TextLimit("titles of sound tracks and subtitles", 200)
LANGUAGE: Final = TextLimit("languages of sound tracks and subtitles", 35)
CODEC: Final = TextLimit("names of codecs", 50)
REASON: Final = TextLimit("reasons why a file was skipped", 200)

STREAMS_MAX: Final = 200
"""Of one file. Discs with 32 subtitles in two forms and several sound tracks have about a hundred."""

# PostgreSQL refuses rows of an index over 2,704 bytes, and an index here has two ids besides the key.
_KEY_BYTES_MAX: Final = 1_600
_DIGEST_BYTES: Final = 16

# Characters that control a terminal, forge a line of a log, or disguise a text: C0 and C1 controls, line and paragraph
# separators, embeddings, overrides and isolates of direction (Unicode TR 36, 'bidirectional text spoofing'),
# noncharacters, and surrogates, which stand for bytes of file names that are not UTF-8. Joiners and direction marks
# stay: Persian, Hindi, Hebrew and emoji need them.
_STEERING: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ufff9-\ufffc\ufffe\uffff\ud800-\udfff]"
)


def shown(text: str) -> str:
    r"""Return a text that can be printed on a terminal or written to a log, on one line.

    Control characters are escaped as in Python (`\x1b`, `\u202e`), bytes that are not UTF-8 as `\xff`. For text of
    any length; idempotent. Stored titles are cleaned instead, see `clean_text`.
    """
    return _STEERING.sub(_escaped, text)


def shown_json(document: str) -> str:
    """Return a JSON text with the same meaning that can be printed on a terminal: control characters are escaped."""
    return _STEERING.sub(lambda found: found[0] if found[0] == "\n" else f"\\u{ord(found[0]):04x}", document)


def clean_text(text: str, limit: TextLimit) -> str:
    """Return a text in its stored form: no control characters, single spaces, truncated to its limit. May be empty."""
    most = limit.characters
    return " ".join(_STEERING.sub(" ", text[: _RAW_FACTOR * most]).split())[:most].rstrip()


def without_steering(text: str, keep: str = "") -> str:
    """Return a text of the same length in which each control character is a space, except those to `keep`."""
    return _STEERING.sub(lambda found: found[0] if found[0] in keep else " ", text)


def bounded_key(text: str) -> str:
    """Return an indexable key: the text itself or, if it is too long, its beginning and a hash of all of it."""
    encoded = text.encode("utf-8", "surrogatepass")
    if len(encoded) <= _KEY_BYTES_MAX:
        return text
    digest = blake2b(encoded, digest_size=_DIGEST_BYTES).hexdigest()
    return f"{encoded[: _KEY_BYTES_MAX - 2 * _DIGEST_BYTES - 1].decode('utf-8', 'ignore')} {digest}"


# White space and control characters that are dropped must not use up the length; a megabyte of them may.
_RAW_FACTOR: Final = 8


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    if 0xDC80 <= code <= 0xDCFF:  # noqa: PLR2004 - PEP 383: a byte that is no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}"  # noqa: PLR2004 - as Python writes them
