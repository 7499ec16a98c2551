"""Which new passwords are refused: NIST SP 800-63B, 5.1.1.2. Looks nothing up."""

import unicodedata
from collections.abc import Collection, Container
from dataclasses import dataclass
from itertools import pairwise

PASSWORD_LENGTH_MIN = 8  # NIST SP 800-63B, 5.1.1.2: at least 8, no composition rules
PASSWORD_LENGTH_MAX = 128

# The least length that must remain of a password without the obvious words for this user.
_REST_MIN = 5
_CONTEXT_WORD_MIN = 3
_UNIT_MAX = 4
_RUNS_MIN = 3


@dataclass(frozen=True, slots=True)
class PasswordRules:
    """What new passwords are compared with.

    `common` are the most common ones in lower case, `site_words` the names of this installation.
    """

    common: Container[str]
    site_words: Collection[str] = ()

    def faults(self, password: str, user_name: str) -> list[str]:
        """Return what is wrong with a new password, as phrases. Characters are counted as typed."""
        if not PASSWORD_LENGTH_MIN <= len(password) <= PASSWORD_LENGTH_MAX:
            return [f"must have {PASSWORD_LENGTH_MIN} to {PASSWORD_LENGTH_MAX} characters"]
        folded = _fold(password)
        if folded in self.common:
            return ["is one of the most common passwords, which attackers try first"]
        if _is_pattern(folded):
            return ["must not be a mere repetition or sequence of characters"]
        if _is_mostly(folded, [*self.site_words, user_name, *user_name.split()]):
            return ["must not consist mostly of the user name, the name of this server or 'playhead'"]
        return []


def _fold(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _is_mostly(password: str, words: Collection[str]) -> bool:
    """Return whether little is left of a password without these words. The longest are removed first."""
    rest = password
    for word in sorted({_fold(word) for word in words}, key=len, reverse=True):
        if len(word) >= _CONTEXT_WORD_MIN:
            rest = rest.replace(word, "")
    return rest != password and len(rest) < _REST_MIN


def _is_pattern(password: str) -> bool:
    """Return whether a password repeats up to four characters, or consists of two runs such as `1234` and `aaaa`."""
    repeats = any(
        (password[:unit] * (len(password) // unit + 1))[: len(password)] == password for unit in range(1, _UNIT_MAX + 1)
    )
    return repeats or _runs(password) < _RUNS_MIN


def _runs(password: str) -> int:
    """Count the longest pieces in which each character equals, follows or precedes the one before, all along."""
    runs, step = 1, None
    for before, character in pairwise(password):
        distance = ord(character) - ord(before)
        if step is None and abs(distance) <= 1:
            step = distance
        elif distance != step:
            runs, step = runs + 1, None
    return runs
