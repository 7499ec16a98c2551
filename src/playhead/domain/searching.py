"""What a search means: words of a title, a year, numbers or a date of an episode, and one typo in a word. Pure."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from playhead.domain.catalogue import search_title

WORDS_MAX = 30
"""Further words of a search are ignored. Few titles have as many, and every word is compared with every title."""

EXACT_ENOUGH = 5
"""A search that finds as many items without a typo shows no others."""

CORRECTIONS_MAX = 5
"""The words that are tried in place of one that may have a typo."""

# A shorter word is a letter away from too many others; a longer one is a title in a script without spaces.
_TYPO_LENGTHS = range(4, 33)

# The years that films and shows can have.
_YEARS = range(1870, 2200)

_NUMBERS = re.compile(r"s(\d{1,4})e(\d{1,5})|(\d{1,3})x(\d{1,4})", re.ASCII)
_SEASON = re.compile(r"s(\d{1,4})", re.ASCII)
_EPISODE = re.compile(r"e(\d{1,5})", re.ASCII)
_DATE = re.compile(r"(\d{4}) (\d{1,2}) (\d{1,2})", re.ASCII)


@dataclass(frozen=True, slots=True)
class EpisodeQuery:
    """An episode by its numbers or its air date, of a show whose title has all these words."""

    words: tuple[str, ...]
    season_number: int | None = None
    episode_number: int | None = None
    air_date: date | None = None


@dataclass(frozen=True, slots=True)
class Search:
    """A search: the words that a title must have, and the episode that they may mean instead.

    Words are folded by `search_title`, which leaves letters, digits and spaces of everything but a text of signs alone.
    """

    words: tuple[str, ...]
    episode: EpisodeQuery | None = None


def parse_search(text: str) -> Search | None:
    """Return the meaning of what somebody typed; None for nothing but spaces.

    `copper sky s07e18`, `copper sky S7 E18` and `copper sky 7x18` may mean an episode by its numbers, `2024-01-15` one
    by its date; all may also be words of a title. Of two such numbers, the first counts.
    """
    words = search_title(text.replace("\0", " ")).split()[:WORDS_MAX]  # PostgreSQL takes no NUL
    return Search(_distinct(words), _episode(words)) if words else None


def _episode(words: Sequence[str]) -> EpisodeQuery | None:
    for at, word in enumerate(words):
        before = words[:at]
        if found := _NUMBERS.fullmatch(word):
            season, episode = (int(number) for number in found.groups() if number is not None)
            return EpisodeQuery(_distinct(before, words[at + 1 :]), season, episode)
        two = words[at + 1 : at + 2]
        season_found, episode_found = _SEASON.fullmatch(word), _EPISODE.fullmatch("".join(two))
        if season_found and episode_found:
            return EpisodeQuery(_distinct(before, words[at + 2 :]), int(season_found[1]), int(episode_found[1]))
        day = _day(words[at : at + 3])
        if day is not None:
            return EpisodeQuery(_distinct(before, words[at + 3 :]), air_date=day)
    return None


def _distinct(*words: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word for some in words for word in some))


def _day(words: Sequence[str]) -> date | None:
    found = _DATE.fullmatch(" ".join(words))
    if found is None:
        return None
    try:
        return date(*(int(number) for number in found.groups()))
    except ValueError:
        return None


def year_of(word: str) -> int | None:
    """Return the year that a word of a search may mean."""
    is_number = len(word) == 4 and word.isascii() and word.isdigit()  # noqa: PLR2004 - the digits of a year
    return int(word) if is_number and int(word) in _YEARS else None


# --- One typo in a word ---------------------------------------------------------------------------------------------


def takes_typos(word: str) -> bool:
    """Whether a word may be typed with a typo: it has 4 to 32 letters, and no digit, since 2048 is not 2049."""
    return len(word) in _TYPO_LENGTHS and any(map(str.isalpha, word)) and not any(map(str.isdigit, word))


def spelling_keys(word: str) -> set[str]:
    """Return the word, and the word without each of its letters.

    Two words between which there is one typo have a key in common, so that an index of keys finds all candidates: a
    missing letter makes one word a key of the other; without the letter that was replaced, or one of two that changed
    places, both are the same.
    """
    return {word} | {word[:at] + word[at + 1 :] for at in range(len(word))}


def corrections(typed: str, known: Iterable[str]) -> tuple[str, ...]:
    """Return the known words that a typo may have turned into `typed`, the most probable ones first.

    Letters that changed places and letters doubled or not are the most frequent typos, then come missing and
    additional letters, then wrong ones; the first letter of a word is rarely wrong. Ties are in order of code points.
    """
    ranked = sorted((rank, word) for word in set(known) if (rank := _typo_rank(typed, word)) is not None)
    return tuple(word for _, word in ranked[:CORRECTIONS_MAX])


def _typo_rank(typed: str, word: str) -> int | None:
    """Return how improbable the typo is between two words, from 0; None unless there is exactly one."""
    if typed == word or abs(len(typed) - len(word)) > 1:
        return None
    at = next((at for at, (one, other) in enumerate(zip(typed, word, strict=False)) if one != other), None)
    if at is None:  # one word is the beginning of the other
        at = min(len(typed), len(word))
    rank = _rank_of_difference(typed, word, at)
    return rank if rank is None or at > 0 else rank + 3


def _rank_of_difference(typed: str, word: str, at: int) -> int | None:
    """Return the rank of a typo at the first letter in which two words differ; None if they differ further."""
    if len(typed) == len(word):
        if typed[at + 1 :] == word[at + 1 :]:
            return 2
        changed_places = typed[at : at + 2] == word[at : at + 2][::-1] and typed[at + 2 :] == word[at + 2 :]
        return 0 if changed_places else None
    longer, shorter = (typed, word) if len(typed) > len(word) else (word, typed)
    if longer[at + 1 :] != shorter[at:]:
        return None
    return 0 if at > 0 and longer[at] == longer[at - 1] else 1
