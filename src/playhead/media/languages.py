"""Languages as files name them: codes of two or three letters, tags with a country, English names. Wraps babelfish."""

import re
from functools import lru_cache
from typing import Any, Final

_TAG: Final = re.compile(r"(?P<code>[a-z]{2,3})(?P<rest>(?:[-_][a-z0-9]{2,4}){0,2})", re.IGNORECASE)
_ALPHA2: Final = 2  # letters in a code of ISO 639-1
_SCRIPT: Final = 4  # letters in a script
_UNKNOWN: Final = frozenset({"", "und", "mis", "zxx"})


@lru_cache(maxsize=1024)
def language_tag(name: str | None) -> str | None:
    """Return the shortest BCP 47 tag of a language: `de` for `ger`, `deu`, `de` and `German`.

    None if no language is named.
    """
    text = (name or "").strip()
    if text.lower() in _UNKNOWN:
        return None
    import babelfish  # noqa: PLC0415 # pyright: ignore[reportMissingTypeStubs] - takes a tenth of a second

    language: Any = babelfish.Language
    tag = _TAG.fullmatch(text)
    ways = [(language.fromname, text)]
    if tag is not None and len(tag["code"]) == _ALPHA2:
        code = tag["code"].lower()
        ways = [(language.fromietf, code + _cased(tag["rest"])), (language.fromietf, code)]
    elif tag is not None:  # ISO 639-2 has two codes for some twenty languages
        ways = [(language.fromalpha3b, tag["code"].lower()), (language.fromalpha3t, tag["code"].lower())]
    for way, argument in ways:
        try:
            return str(way(argument))
        except (ValueError, babelfish.Error):
            continue
    return None


def _cased(rest: str) -> str:
    """Return scripts and countries as BCP 47 writes them: `-Hans`, `-BR`."""
    parts = rest.replace("_", "-").split("-")
    return "-".join(part.title() if len(part) == _SCRIPT else part.upper() for part in parts)
