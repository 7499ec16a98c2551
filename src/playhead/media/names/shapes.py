"""Reduces a name to its shape: what guessit can tell apart. Strings only.

guessit takes milliseconds for a name, and a season has dozens of names that differ only in the episode's number and
title: 'Amber - S01E02 - Copper Moon [1080p]' and 'Amber - S01E03 - Garden Wall [1080p]' have one shape.
"""

import re
from collections.abc import Callable
from typing import Final, NamedTuple

_BEGIN, _END = r"(?<![^\W_])", r"(?![^\W_])"
# Numbers that guessit may take for something else: channels (5.1, 20), frame rates, heights of pictures, codecs.
_TELLING: Final = frozenset(
    "10 20 23 24 25 29 30 48 50 51 60 70 71 120 262 263 264 265 360 368 480 501 540 576 720 900".split()  # noqa: SIM905
)
_PIECE: Final = re.compile(
    rf"(?P<word>{_BEGIN}[^\W\d_]{{3,}}{_END})"
    rf"|(?P<season>{_BEGIN}[Ss])\d\d(?P<episode>[Ee])\d\d{_END}"
    rf"|(?P<crossed>{_BEGIN}\d[Xx]\d\d{_END})"
    rf"|(?P<checksum>\[(?=[^\]]*\d)(?=[^\]]*[A-F])[0-9A-F]{{8}}\])"
    rf"|(?P<number>(?<![^\s_\[(])\d{{2,3}}(?=$|[\s_\])]))"
)


class Shape(NamedTuple):
    """A shape. `begins` and `ends` have, for each of its characters, where in the name a span from or to it lies."""

    text: str
    begins: list[int]
    ends: list[int]

    def span(self, begin: int, end: int) -> tuple[int, int]:
        """Return the part of the name that `text[begin:end]`, which is not empty, stands for."""
        return self.begins[begin], self.ends[end - 1]


def shape_of(name: str, is_plain: Callable[[str], bool]) -> Shape:
    """Replace numbers of episodes, and the words that mean nothing to guessit (`is_plain`), by others of their kind.

    Several such words in a row become two.
    """
    shape = Shape("", [], [])
    texts: list[str] = []
    done = 0
    run_end = run_begin = -1  # of the last two plain words, of which the second grows
    for piece in _PIECE.finditer(name):
        begin, end = piece.span()
        stand_in = _stand_in(piece, is_plain)
        if stand_in is None:
            continue
        follows = piece["word"] is not None and begin == done + 1 and done == run_end and name[done] in " ."
        if follows and run_begin >= 0 and texts[-1] == stand_in and name[run_begin - 1] == name[done]:
            shape.ends[-len(stand_in) :] = [end] * len(stand_in)
        else:
            texts += [name[done:begin], stand_in]
            shape.begins.extend([*range(done, begin), *([begin] * len(stand_in))])
            shape.ends.extend([*range(done + 1, begin + 1), *([end] * len(stand_in))])
            run_begin = begin if follows else -1
        done = end
        run_end = end if piece["word"] is not None else -1
    texts.append(name[done:])
    shape.begins.extend(range(done, len(name)))
    shape.ends.extend(range(done + 1, len(name) + 1))
    return shape._replace(text="".join(texts))


def _stand_in(piece: re.Match[str], is_plain: Callable[[str], bool]) -> str | None:
    """Return what stands for a piece of the name in its shape; None for one that guessit must see."""
    if (word := piece["word"]) is not None:
        if not is_plain(word.casefold()):
            return None
        return "Qqqq" if word.istitle() else "QQQQ" if word.isupper() else "qqqq"
    if (season := piece["season"]) is not None:
        return f"{season}01{piece['episode']}01"
    if piece["crossed"] is not None:
        return "1x01"
    if piece["checksum"] is not None:
        return "[A1B2C3D4]"
    number = piece["number"]
    return None if number in _TELLING else "1".zfill(len(number))
