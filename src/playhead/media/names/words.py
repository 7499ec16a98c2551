"""Words for 'season' and 'episode' in the languages that file names use. Data only.

Words are fragments of regular expressions, in lower case; patterns ignore case.
"""

from typing import Final

# Before a number: 'Season 2', 'Kausi 2'. Most of them also follow one: '2. Staffel', '2 сезон'.
SEASON: Final = (
    "seasons?",  # English
    "series",
    "saisons?",  # French
    "staffel",  # German
    "stagione",  # Italian
    "tempo?rada",  # Spanish, Portuguese, Catalan
    "temp?",
    "seizoen",  # Dutch
    "reeks",
    "seisoen",  # Afrikaans
    "s[äæa]e?song",  # Swedish
    "sesong",  # Norwegian
    "s[æa]e?son",  # Danish
    "årgang",
    "(?:tuotanto)?kausi",  # Finnish
    "hooaeg",  # Estonian
    "sezonas",  # Lithuanian, Latvian
    "sezonul",  # Romanian
    "sezon[aiuy]?",  # Polish, Turkish, Slovene, Croatian, Serbian, Latvian, Albanian, Esperanto
    "sez[oó]na",  # Czech
    "sez",
    "s[eé]ri[eaá]",  # Czech, Slovak, Lithuanian, French
    "řada",
    "évad",  # Hungarian
    "evad",
    "sorozat",
    "þáttaröð",  # Icelandic
    "denboraldia",  # Basque
    "cyfres",  # Welsh
    "séasúr",  # Irish
    "musim",  # Indonesian, Malay
    "mùa",  # Vietnamese
    "phần",
    "panahon",  # Tagalog
    "msimu",  # Swahili
    "mövsüm",  # Azerbaijani
    "mavsum",  # Uzbek
    "сезона?",  # Russian, Ukrainian, Bulgarian, Serbian, Macedonian
    "сез",
    "маусым",  # Kazakh
    "σεζόν",  # Greek
    "σαιζόν",
    "κύκλος",
    "עונה",  # Hebrew
    "(?:ال)?موسم",  # Arabic
    "فصل",  # Persian
    "सीज़?न",  # Hindi
    "सीज़न",
    "সিজন",  # Bengali
    "சீசன்",  # Tamil
    "సీజన్",  # Telugu
    "ซีซ[ัี]่?น",  # Thai
    "ฤดูกาล(?:ที่)?",
    "სეზონი",  # Georgian
    "եթերաշրջան",  # Armenian
    "シーズン",  # Japanese
    "시즌",  # Korean
)

# Before a number: 'Folge 3', 'Cap. 3'. A lone 'e' counts only where the number touches it.
EPISODE: Final = (
    "episodes?",  # English
    "ep[si]?",
    "épisode",  # French
    "folge",  # German
    "episodio",  # Italian, Spanish
    "episódio",  # Portuguese
    "cap[ií]tulo",  # Spanish, Portuguese
    "capítol",  # Catalan
    "cap",
    "aflevering",  # Dutch
    "afl",
    "avsnitt",  # Swedish
    "afsnit",  # Danish
    "jakso",  # Finnish
    "odcinek",  # Polish
    "odc",
    "episodul",  # Romanian
    "d[ií]l",  # Czech
    "epizoda?",  # Slovak, Slovene, Croatian, Serbian
    "epizód",  # Hungarian
    "tập",  # Vietnamese
    "b[oö]l[uü]m",  # Turkish
    "серия",  # Russian
    "серія",  # Ukrainian
    "эпизод",
    "епізод",
    "епизод",  # Bulgarian, Serbian
    "επεισόδιο",  # Greek
    "פרק",  # Hebrew
    "(?:ال)?حلقة",  # Arabic
    "قسمت",  # Persian
    "एपिसोड",  # Hindi
    "ตอน(?:ที่)?",  # Thai
)

# After a number: '3 серия', '69. Bölüm'. English 'episode' is not among them: '2 Episodes' is a count.
EPISODE_AFTER: Final = (
    "сери[яйи]",  # Russian
    "сер",  # noqa: RUF001 - these letters are Cyrillic
    "seri[yi]?a",
    "ser",
    "серія",  # Ukrainian
    "эпизод",
    "епізод",
    "епизод",
    "b[oö]l[uü]m",  # Turkish
    "bl[uü]?m",
    "rész",  # Hungarian
    "epizód",
    "d[ií]l",  # Czech
    "epizoda",
    "jakso",  # Finnish
    "osa",
)


def any_of(words: tuple[str, ...]) -> str:
    """Return a pattern that matches any of the words, a longer one before its own beginning."""
    return f"(?:{'|'.join(sorted(words, key=len, reverse=True))})"
