"""Languages, however a file names them."""

import pytest

from playhead.media.languages import language_tag


@pytest.mark.parametrize(
    ("name", "tag"),
    [
        *(("ger", "de"), ("deu", "de"), ("de", "de"), ("DE", "de"), ("German", "de"), ("german", "de")),
        *(("eng", "en"), ("en-US", "en-US"), ("pt-BR", "pt-BR"), ("pt_br", "pt-BR"), ("chi", "zh"), ("zho", "zh")),
        *(("zh-hans", "zh-Hans"), ("zh-TW", "zh-TW"), ("es-419", "es"), ("fil", "fil"), (" fre ", "fr")),
        *((None, None), ("", None), ("und", None), ("xx", None), ("sdh", None), ("1080p", None), ("Signs", None)),
    ],
)
def test_a_language_has_one_tag(name: str | None, tag: str | None):
    assert language_tag(name) == tag
