"""Titles as people write them: without dots for spaces, release groups, site addresses and banners. Strings only."""

import re
import unicodedata
from typing import Final

# Full-width signs and letters, brackets of East Asian names, and dashes, each for one of ASCII.
_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_PLAIN = str.maketrans(
    {**{chr(k): chr(v) for k, v in _WIDTH.items()}, "\u3000": " ", "【": "[", "】": "]", "\u2013": "-"}
)
_NO_UTF8: Final = re.compile("[\ud800-\udfff]")  # how Python shows a byte of a name that is no UTF-8

# As in 'www.site.world - Amber', '[www.site.online]_Amber' and 'www.site.com.Amber'.
_SITE: Final = re.compile(
    r"^(?:\[\s*www[.\s][^\]]*\][\s._-]*|www[.\s][\w.-]+(?:\s\w+)*\s+-\s+|www\.[\w-]+(?:\.[\w-]+)*?\.[a-z]{2,4}[\s._-]+)",
    re.IGNORECASE,
)
# The season's banner and the genre, which Chinese releases put before the title: ★01月新番★, [国漫].
_BANNER: Final = re.compile(
    r"[★☆]*\s*(?:\d{1,2}\s*月\s*新?番|(?:完结|新)番|国[产創创]?[漫动][漫画]?|[日动]漫|动画|動畫|連載|连载)\s*[★☆]*"
)
_STARS: Final = re.compile(r"[★☆]+[^★☆]{0,12}[★☆]+|[★☆]*\s*\d{1,2}\s*月\s*新番|[★☆]+")
_GROUP: Final = re.compile(r"^\[[^\]]*\](?=[\s._\[-]|[^\W_])[\s._-]*")
_BRACKETS: Final = re.compile(r"\[([^\[\]]*)\]?[\s._-]*")
_TRAILING_BRACKET: Final = re.compile(r"[\s._-]*(?:\[[^\]]*\]?|\{[^}]*\}?|\([^)]*)$")
_LOOSE_UNDERSCORE: Final = re.compile(r"_(?![^\W_])|(?<![^\W_])_")
_VERSION: Final = re.compile(r"[\s._]+v[2-9][\s._]*$", re.IGNORECASE)
_INITIALS: Final = re.compile(r"(?<!\S)(?:[^\W\d_] )+[^\W\d_](?!\S)")
_ARTICLE_BEHIND: Final = re.compile(r"^(.+), (The|A|An|Der|Die|Das|Le|La|Les|El|Los|Las|Il)$", re.IGNORECASE)
_LETTER: Final = re.compile(r"[^\W\d_]")


def plain(name: str) -> str:
    """Return the name with composed accents, ASCII signs in place of full-width ones, and as valid UTF-8."""
    return unicodedata.normalize("NFC", _NO_UTF8.sub("\ufffd", name)).translate(_PLAIN)


def without_site(name: str) -> str:
    """Return the name without the address of a site before it."""
    return _SITE.sub("", name.lstrip(), count=1)


def without_group(name: str) -> str:
    """Return the name without the release groups in brackets before it, unless nothing but brackets is left."""
    rest = name
    while (shorter := _GROUP.sub("", rest, count=1)) != rest:
        rest = shorter
    return rest if re.match(r"\w", rest) else name


def tidy(text: str, *, dots_stay: bool = False) -> str:
    """Return a title as a person writes it: without dots or underscores for spaces, groups before, brackets after."""
    text = _from_brackets(without_site(text)).strip(" _")
    stripped, before = text, None
    while stripped != before:
        before, stripped = stripped, _TRAILING_BRACKET.sub("", stripped) or stripped
    text = _VERSION.sub("", stripped)
    if not dots_stay and not re.search(r"\s", text):
        text = _spaced(text)
    # Among words that spaces separate, an underscore within a word belongs to it: 'Learn pt_BR'.
    text = " ".join((_LOOSE_UNDERSCORE.sub(" ", text) if re.search(r"\s", text) else text.replace("_", " ")).split())
    text = re.sub(r"^[\s,;:-]+(?=\w)|[\s,;:-]+$", "", text)
    behind = _ARTICLE_BEHIND.match(text)
    return f"{behind[2]} {behind[1]}" if behind else text


def _from_brackets(text: str) -> str:
    """Return what is the title of '[group] title', '[group][title][05]' or '[group][genre][title][Latin title]'."""
    without_stars = _STARS.sub("", text) if re.search("[★☆月]", text) else text
    contents: list[str] = []
    rest = without_stars.strip()
    while match := _BRACKETS.match(rest):
        contents.append(match[1].strip())
        rest = rest[match.end() :]
    if not contents:
        return without_stars
    if _LETTER.search(rest):
        return rest if re.match(r"\W*\w", rest) and _is_apart(without_stars, rest) else without_stars
    titles = [each for each in contents[1:] if _LETTER.search(each) and not _BANNER.fullmatch(each)]
    if not titles:
        return without_stars
    return next((each for each in titles if re.search("[a-z]", each)), titles[0])


def _is_apart(text: str, rest: str) -> bool:
    """Return whether the text behind brackets is a title of its own: '[REC]2' is one word, '[group]Title' is two."""
    before = text[: len(text) - len(rest)]
    return not before.endswith("]") or _LETTER.match(rest) is not None


def _spaced(text: str) -> str:
    """Replace dots, underscores, or else hyphens, by spaces; the dots of initials (S.H.I.E.L.D.) stay."""
    if re.search(r"[._]", text):
        words = re.split(r"[._]+", text)
        return _INITIALS.sub(lambda run: run[0].replace(" ", ".") + ".", " ".join(words)).strip()
    if text.count("-") > 1 and re.search(r"[^\W\d_]{2}", text):
        return text.replace("-", " ")
    return text
