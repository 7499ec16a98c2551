"""Asks guessit for the technical words in a name, which takes it milliseconds. The only module that uses guessit."""

import re
from collections.abc import Iterator
from contextlib import suppress
from functools import cache, lru_cache
from typing import Any, Final, Literal, NamedTuple

from playhead.media.names.shapes import shape_of

Kind = Literal["movie", "episode"]

# A word that guessit knows is made of at most so many of its fragments, one of them a single letter: HD|Rip, Restore|d.
_FRAGMENTS_MAX: Final = 3
_GROUP_NAME: Final = re.compile(r"\(\?P[<=]\w+>?|\\[a-zA-Z]")
_LETTERS: Final = re.compile(r"[^\W\d_]+")


class Guess(NamedTuple):
    """Where a property of guessit's stands in a name."""

    start: int
    end: int
    key: str


def guess(name: str, kind: Kind, properties: tuple[str, ...]) -> list[Guess]:
    """Find the words in a name, which has no extension, that guessit takes for one of these properties."""
    shape = shape_of(name, _is_plain)
    found = _guess_shape(shape.text, kind, properties)
    return [Guess(*shape.span(each.start, each.end), each.key) for each in found]


@lru_cache(maxsize=4096)  # as many shapes as a large library has
def _guess_shape(shape: str, kind: Kind, properties: tuple[str, ...]) -> tuple[Guess, ...]:
    # Only what is asked for: it halves the time, and a contrived range of seasons (S01-S05.S01-S051999) keeps guessit
    # busy for minutes.
    options = {"type": kind, "advanced": True, "enforce_list": True, "includes": [*properties]}
    try:
        found: dict[str, list[Any]] = _guesser().guessit(f"{shape}.mkv", options)
    except Exception:  # noqa: BLE001 - guessit wraps whatever went wrong in one class and asks for a bug report
        return ()
    return tuple(
        Guess(match.start, match.end, key)
        for key, matches in found.items()
        for match in matches
        if match.raw and match.end <= len(shape)
    )


@cache
def _guesser() -> Any:  # noqa: ANN401 - guessit's object, whose options are a dict of anything
    from guessit.api import default_api  # noqa: PLC0415 - takes a quarter of a second, for which a start must not wait

    return default_api


@lru_cache(maxsize=32_768)
def _is_plain(word: str) -> bool:
    """Return whether no pattern of guessit's may match a word, which is in lower case, or a part of it."""
    return not _is_made_of(word, _vocabulary(), _FRAGMENTS_MAX, letters=1)


def _is_made_of(word: str, fragments: frozenset[str], most: int, letters: int) -> bool:
    if not word or most == 0:
        return not word
    return any(
        word[:size] in fragments and _is_made_of(word[size:], fragments, most - 1, letters - (size == 1))
        for size in range(1 if letters else 2, len(word) + 1)
    )


@cache
def _vocabulary() -> frozenset[str]:
    """Return the fragments of letters in all of guessit's patterns, and the names and codes of its languages."""
    api = _guesser()
    api.configure({})
    texts = [text for pattern in api.rebulk.effective_patterns({}) for text in _texts_of(pattern)]
    texts += [text for code in api.config["allowed_languages"] for text in _language_texts(code)]
    config: dict[str, dict[str, Any]] = api.config["advanced_config"]
    texts += [text for synonyms in config["language"]["synonyms"].values() for text in synonyms]
    texts += [text for kind in ("safe_tlds", "safe_subdomains", "safe_prefixes") for text in config["website"][kind]]
    return frozenset(
        letters.casefold() for text in texts for letters in _LETTERS.findall(_GROUP_NAME.sub("(", text))
    ) - frozenset("abcfghklmoptuvxz")


def _texts_of(pattern: Any) -> Iterator[str]:  # noqa: ANN401 - one of several classes of rebulk
    if pattern.name == "website":
        return  # it has every top-level domain, and most count only behind 'www'
    for part in getattr(pattern, "parts", ()):
        yield from _texts_of(part.pattern)
    for each in getattr(pattern, "patterns", ()):
        text = getattr(each, "pattern", each)
        if isinstance(text, str):
            yield text


def _language_texts(code: str) -> Iterator[str]:
    import babelfish  # noqa: PLC0415 # pyright: ignore[reportMissingTypeStubs] - takes a tenth of a second

    known: Any = babelfish.Language
    for read in (known, known.fromalpha2):
        with suppress(babelfish.Error, ValueError):
            language = read(code)
            for name in ("alpha2", "alpha3", "alpha3b", "alpha3t", "name", "opensubtitles"):
                with suppress(babelfish.Error, AttributeError):
                    yield getattr(language, name)
