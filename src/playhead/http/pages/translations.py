"""The languages of pages: the available ones, the one for a request, and its texts.

English is in the source. Every other language is a catalog next to this package,
`locales/<language>/LC_MESSAGES/playhead.po`, compiled in memory when a page first needs it. The language of a request
is a context variable: `Pages` sets it before a page does anything, and every text is looked up in it.
"""

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from gettext import GNUTranslations, NullTranslations
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from typing import Final

from babel import Locale, negotiate_locale
from babel.messages.catalog import Catalog, Message
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal
from markupsafe import Markup

SOURCE: Final = "en"
FOLDER: Final = Path(str(files("playhead.http"))) / "locales"

# English pages put the day before the month, and use the 24-hour clock.
_SOURCE_LOCALE: Final = "en_GB"

# Browsers send some ten languages. A longer header does not come from a browser, and is not worth parsing.
_HEADER_LENGTH_MAX: Final = 1000

# Each plural category of a language (CLDR) contains a whole number in this range.
_SAMPLES: Final = range(1001)

Words = dict[str, str | dict[str, str]]
"""Texts of scripts by their English ones; of a plural, one text for each category (CLDR) of the number."""


@dataclass(frozen=True, slots=True)
class Language:
    """A language with its texts. `tag` is a BCP 47 tag; `messages` is empty for English."""

    tag: str
    locale: Locale
    texts: NullTranslations
    messages: Sequence[Message]


def catalog_path(tag: str) -> Path:
    """Return the path of the catalog of a language."""
    return FOLDER / tag / "LC_MESSAGES" / "playhead.po"


@lru_cache(maxsize=1)
def tags() -> tuple[str, ...]:
    """Return the tags of all languages, English first."""
    return (SOURCE, *sorted(path.name for path in FOLDER.iterdir() if catalog_path(path.name).is_file()))


@lru_cache(maxsize=1)
def names() -> dict[str, str]:
    """Return the name of each language in itself, by its tag: "English", "Deutsch"."""
    found = {tag: Locale.parse(tag, sep="-").get_language_name() or tag for tag in tags()}
    return {tag: name[:1].upper() + name[1:] for tag, name in found.items()}


@lru_cache(maxsize=32)
def language_of(tag: str) -> Language:
    """Return a language by one of `tags()`. Its catalog is read once, which takes some tens of milliseconds."""
    if tag == SOURCE:
        return Language(SOURCE, Locale.parse(_SOURCE_LOCALE), NullTranslations(), ())
    locale = Locale.parse(tag, sep="-")
    compiled = BytesIO()
    catalog = read_catalog(tag)
    write_mo(compiled, catalog)
    compiled.seek(0)
    return Language(tag, locale, GNUTranslations(compiled), tuple(message for message in catalog if message.id))


@lru_cache(maxsize=32)
def script_words(language_tag: str, folder: str) -> Words:
    """Return the texts of the scripts directly in this folder of the package; none for English."""
    language = language_of(language_tag)
    return dict(
        _word(language, message)
        for message in language.messages
        if any(Path(place).parent.as_posix() == folder for place, _ in message.locations)
    )


def _word(language: Language, message: Message) -> tuple[str, str | dict[str, str]]:
    if isinstance(message.id, str):
        return message.id, language.texts.gettext(message.id)
    one, many = message.id
    samples = {language.locale.plural_form(number): number for number in reversed(_SAMPLES)}
    return one, {category: language.texts.ngettext(one, many, number) for category, number in samples.items()}


def read_catalog(tag: str) -> Catalog:
    """Return the catalog of a language as it is in its file."""
    with catalog_path(tag).open("rb") as file:
        return read_po(file, locale=tag.replace("-", "_"), domain="playhead", abort_invalid=True)


def negotiate(header: str | None) -> str:
    """Return the tag of the language that best matches an Accept-Language header (RFC 9110, 12.5.4), or English."""
    if header is None or len(header) > _HEADER_LENGTH_MAX:
        return SOURCE
    wanted = [(quality, tag) for tag, quality in map(_preference, header.split(",")) if quality > 0]
    wanted.sort(key=lambda each: -each[0])  # stable: the first of equal ones wins
    found = negotiate_locale([tag for _, tag in wanted], tags(), sep="-") or SOURCE
    return next(tag for tag in tags() if tag.lower() == found.lower())  # it returns the case of the header


def _preference(item: str) -> tuple[str, float]:
    tag, _, weight = item.partition(";")
    name, _, value = weight.partition("=")
    if not weight.strip():
        return tag.strip(), 1.0
    try:
        quality = float(value) if name.strip() == "q" else 0.0
    except ValueError:
        quality = 0.0
    return tag.strip(), quality if 0 <= quality <= 1 else 0.0


_current: ContextVar[Language | None] = ContextVar("language", default=None)


def speak(tag: str) -> None:
    """Set the language of all texts of this request to one of `tags()`."""
    _current.set(language_of(tag))


def current() -> Language:
    """Return the language of this request."""
    return _current.get() or language_of(SOURCE)


def deferred(message: str) -> str:
    """Mark a text in a table for extraction; whatever shows it passes it to `gettext`."""
    return message


def gettext(message: str, **values: object) -> str:
    """Return a text in the language of this request, with values in place of `%(name)s`."""
    return current().texts.gettext(message) % values


def text_of(table: Mapping[str, str], key: str) -> str | None:
    """Return the text under a key of a table of deferred ones; None if there is none."""
    return gettext(table[key]) if key in table else None


def ngettext(one: str, many: str, number: int, **values: object) -> str:
    """Return the plural form of a text for a number. `%(num)s` is the number, formatted by the language."""
    return current().texts.ngettext(one, many, number) % {"num": amount(number), **values}


def template_gettext(message: str, /, **values: object) -> Markup:
    """Return a text as HTML: it may contain tags; its values are escaped."""
    return Markup(current().texts.gettext(message)) % values  # noqa: S704 - ours and translators', reviewed alike


def template_ngettext(one: str, many: str, number: int, /, **values: object) -> Markup:
    """Return a text as HTML in the plural form for a number."""
    text = current().texts.ngettext(one, many, number)
    return Markup(text) % {"num": amount(number), **values}  # noqa: S704 - as above


def amount(number: float) -> str:
    """Format a number by the language: "1,204", "1.204"."""
    return format_decimal(number, locale=current().locale)
