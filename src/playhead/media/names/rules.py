"""Rules: patterns with a name and an example, in the order in which they are tried. Knows no names of files."""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple


class Rule(NamedTuple):
    """One way in which names say something.

    `name` is what `playhead name` shows; `example` is a name that this rule reads and no earlier one of its table.
    """

    name: str
    example: str
    pattern: re.Pattern[str]


class Found(NamedTuple):
    """A rule and where it matched."""

    rule: Rule
    match: re.Match[str]


def rule(name: str, example: str, pattern: str) -> Rule:
    """Compile a rule. Case makes no difference."""
    return Rule(name, example, re.compile(pattern, re.IGNORECASE))


def matches(rules: Iterable[Rule], text: str) -> Iterator[Found]:
    """Return each rule that matches anywhere, in the order of the table, at its first place."""
    return (Found(each, match) for each in rules if (match := each.pattern.search(text)))
