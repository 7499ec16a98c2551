"""Languages as files name them: codes, tags, country codes, names in English and in the language. Wraps babelfish."""

import re
import unicodedata
from functools import lru_cache
from typing import Any, Final

_TAG: Final = re.compile(r"(?P<code>[a-z]{2,3})(?P<rest>(?:[-_][a-z0-9]{2,4}){0,2})", re.IGNORECASE)
_ALPHA2: Final = 2  # letters in a code of ISO 639-1
_SCRIPT: Final = 4  # letters in a script
_UNKNOWN: Final = frozenset({"", "und", "mis", "zxx"})
_ACCENTS: Final = re.compile("[\u0300-\u036f]")

# What people write, by the tag that it stands for, without case and accents. Some are other languages by ISO 639 (`se`
# Northern Sami, `br` Breton, `sc` Sardinian), of which there are hardly any subtitles.
_SPOKEN: Final = {
    "zh": "cn chinese-mandarin mandarin putonghua 中文 汉语 漢語 中国語",
    "zh-Hans": "chs sc zhs zh-chs zh-sc simplified simplified-chinese chinese-simplified chinese-simp 简体 简体中文"
    " 简中 中文简体 简",
    "zh-Hant": "cht tc zht zh-cht zh-tc traditional traditional-chinese chinese-traditional chinese-trad 繁体 繁體"
    " 繁体中文 繁體中文 繁中 中文繁体 中文繁體 繁",
    "yue": "yue cantonese 粤语 粵語",
    "pt-BR": "pob ptbr pb br por-br brazilian brazilian-portuguese portuguese-brazilian portuguese-brazil portuguese-br"
    " brasileiro portugues-brasileiro portugues-brasil portugues-do-brasil",
    "pt": "portugues portuguese-european european-portuguese",
    "pt-PT": "portuguese-portugal portugues-portugal",
    "es": "espanol castellano castilian spanish-castilian spanish-european european-spanish",
    "es-ES": "spanish-spain espanol-espana",
    "es-419": "spl latam latino es-419 spa-lat spa-419 spa-latam es-la es-lat es-latam spanish-latin-america"
    " spanish-latin-american latin-spanish latin-american-spanish latin-american spanish-latino espanol-latino"
    " espanol-latinoamericano espanol-latinoamerica",
    "es-MX": "mx spanish-mexico mexican",
    "fr": "francais french-france vff vf",
    "fr-CA": "french-canadian canadian-french french-canada francais-canadien vfq",
    "en-US": "us american english-us",
    "en-GB": "english-uk british english-gb",
    "de": "deutsch",
    "it": "italiano",
    "nl": "nederlands flemish vlaams",
    "sv": "se svenska",
    "da": "dk dansk",
    "no": "norsk",
    "nb": "bokmal norwegian-bokmal",
    "nn": "nynorsk norwegian-nynorsk",
    "fi": "suomi",
    "is": "islenska",
    "pl": "polski",
    "cs": "cz cestina cesky",
    "sk": "slovencina slovensky",
    "sl": "slovene slovenscina",
    "hr": "scr hrvatski",
    "sr": "scc rs srpski српски",
    "bs": "bosanski",
    "hu": "magyar",
    "ro": "romana moldavian mo",
    "sq": "shqip",
    "tr": "turkce",
    "el": "gr greek modern-greek ελληνικα",
    "ru": "русский",
    "uk": "ua українська",
    "bg": "български",
    "lt": "lietuviu",
    "lv": "latviesu",
    "et": "eesti",
    "ca": "catala valencian",
    "eu": "euskara",
    "gl": "galego",
    "he": "iw il עברית",
    "ar": "العربية عربي",
    "fa": "ir farsi فارسی",
    "hi": "हिन्दी हिंदी",
    "pa": "punjabi",
    "ne": "nepali",
    "sw": "swahili kiswahili",
    "ug": "uyghur uighur",
    "km": "khmer",
    "ms": "malay bahasa-melayu melayu",
    "id": "in bahasa-indonesia bahasa",
    "vi": "vn tieng-viet",
    "th": "ไทย",
    "ja": "jp jap 日本語",
    "ko": "kr 한국어 한글",
}


def _comparable(text: str) -> str:
    """Return the words in lower case, without accents and brackets, joined by hyphens."""
    plain = _ACCENTS.sub("", unicodedata.normalize("NFKD", text.casefold()))
    return "-".join(re.findall(r"[^\s_.,()\[\]-]+", plain))


_TAGS: Final = {_comparable(word): tag for tag, words in _SPOKEN.items() for word in words.split()}


@lru_cache(maxsize=1024)
def language_tag(name: str | None) -> str | None:
    """Return the shortest BCP 47 tag of a language: `de` for `ger`, `deu`, `de`, `German` and `Deutsch`.

    `pt-BR` for `pob` and `Brazilian Portuguese`, `zh-Hans` for `chs`. None if no language is named.
    """
    text = (name or "").strip()
    if text.lower() in _UNKNOWN:
        return None
    return _TAGS.get(_comparable(text)) or _by_code_or_name(text)


def _by_code_or_name(text: str) -> str | None:
    import babelfish  # noqa: PLC0415 # pyright: ignore[reportMissingTypeStubs] - takes a tenth of a second

    language: Any = babelfish.Language
    tag = _TAG.fullmatch(text)
    ways = [(language.fromname, text)]
    if tag is not None and len(tag["code"]) == _ALPHA2:
        code = tag["code"].lower()
        rest = _cased(tag["rest"])
        ways = [(language.fromietf, code + part) for part in (rest, rest[: rest.rfind("-")], "")]
    elif tag is not None:  # ISO 639-2 has two codes for some twenty languages
        ways = [(language.fromalpha3b, tag["code"].lower()), (language.fromalpha3t, tag["code"].lower())]
    for way, argument in ways:
        try:
            found = str(way(argument))
        except (ValueError, babelfish.Error):
            continue
        is_code = tag is not None and len(tag["code"]) > _ALPHA2
        return _with_country(found, tag["rest"]) if is_code and tag is not None else found
    return None


def _with_country(language: str, rest: str) -> str:
    """Return `en-US` for the language `en` and `-us`, as people add it to codes of three letters."""
    return _by_code_or_name(language + rest) or language if rest and len(language) == _ALPHA2 else language


def _cased(rest: str) -> str:
    """Return scripts and countries as BCP 47 writes them: `-Hans`, `-BR`."""
    parts = rest.replace("_", "-").split("-")
    return "-".join(part.title() if len(part) == _SCRIPT else part.upper() for part in parts)
