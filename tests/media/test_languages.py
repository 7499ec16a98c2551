"""Languages, however a file names them."""

import pytest

from playhead.media.languages import language_tag


@pytest.mark.parametrize(
    ("name", "tag"),
    [
        *(("ger", "de"), ("deu", "de"), ("de", "de"), ("DE", "de"), ("German", "de"), ("german", "de")),
        *(("eng", "en"), ("en-US", "en-US"), ("pt-BR", "pt-BR"), ("pt_br", "pt-BR"), ("chi", "zh"), ("zho", "zh")),
        *(("zh-hans", "zh-Hans"), ("zh-TW", "zh-TW"), ("es-419", "es-419"), ("fil", "fil"), (" fre ", "fr")),
        *(("chs", "zh-Hans"), ("cht", "zh-Hant"), ("zh-Hant-TW", "zh-Hant"), ("chi-hant", "zh-Hant"), ("cn", "zh")),
        *(("Chinese (Simplified)", "zh-Hans"), ("简体中文", "zh-Hans"), ("繁體中文", "zh-Hant"), ("Cantonese", "yue")),
        *(("pob", "pt-BR"), ("ptbr", "pt-BR"), ("por-br", "pt-BR"), ("Brazilian Portuguese", "pt-BR")),
        *(("Português (Brasil)", "pt-BR"), ("Portuguese (Brazil)", "pt-BR"), ("português", "pt")),
        *(("spa-lat", "es-419"), ("Spanish (Latin America)", "es-419"), ("Latino", "es-419"), ("Castellano", "es")),
        *(("eng-us", "en-US"), ("eng_GB", "en-GB"), ("eng-xx", "en"), ("lat", "la"), ("scr", "hr"), ("scc", "sr")),
        *(
            ("iw", "he"),
            ("jp", "ja"),
            ("kr", "ko"),
            ("gr", "el"),
            ("cz", "cs"),
            ("dk", "da"),
            ("se", "sv"),
            ("ua", "uk"),
        ),
        *(("Greek", "el"), ("Farsi", "fa"), ("Malay", "ms"), ("Flemish", "nl"), ("Norwegian Bokmål", "nb")),
        *(("français", "fr"), ("francais", "fr"), ("Deutsch", "de"), ("Čeština", "cs"), ("Русский", "ru")),
        *(("Українська", "uk"), ("Ελληνικά", "el"), ("日本語", "ja"), ("한국어", "ko"), ("Tiếng Việt", "vi")),
        *(("हिन्दी", "hi"), ("ไทย", "th"), ("العربية", "ar"), ("Türkçe", "tr"), ("nob", "nb"), ("VFF", "fr")),
        *((None, None), ("", None), ("und", None), ("xx", None), ("sdh", None), ("1080p", None), ("Signs", None)),
    ],
)
def test_a_language_has_one_tag(name: str | None, tag: str | None):
    assert language_tag(name) == tag
