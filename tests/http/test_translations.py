"""The languages of pages: which one answers a request, and that translations are complete."""

import ast
import json
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message

import playhead
import update_translations
from pages import enter, submit, words
from playhead.domain.accounts import name_faults
from playhead.domain.household import pin_faults
from playhead.http.pages import translations
from playhead.http.pages.messages import MESSAGES, translated
from playhead.http.pages.translations import SOURCE, gettext, names, negotiate, ngettext, script_words, speak, tags
from world import EPISODE, LIBRARY, MOVIE, SHOW, World

pytestmark = pytest.mark.anyio

GERMAN = {"accept-language": "de-AT,de;q=0.9,en;q=0.5"}
OTHERS = [tag for tag in tags() if tag != SOURCE]

# Words of English pages, none of which may occur in German ones.
ENGLISH = (
    "Home", "History", "Settings", "Search", "Sign out", "Sign in", "Administration", "Libraries", "Users", "Overview",
    "Now playing", "Password", "Language", "Time zone", "Continue watching", "Recently added", "Skip to content",
    "Mark as watched", "Save", "Add a library", "Show all", "Episodes", "Seasons", "Subtitles", "Speed",
)  # fmt: skip


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    """Restore English, so that no language leaks into tests of the same context."""
    yield
    speak(SOURCE)


def forms(message: Message) -> list[tuple[str, str]]:
    """Return each text of a message with its translation; the last form of a plural is the one for many."""
    if isinstance(message.id, str):
        return [(message.id, str(message.string))]
    return [(message.id[-1], text) for text in message.string]


def parts(text: str) -> list[str]:
    """Return the parts that a translation must keep: variables and tags."""
    return sorted(re.findall(r"%\(\w+\)s|%%|<[^>]*>", text))


def messages(catalog: Catalog) -> dict[object, Message]:
    return {message.id: message for message in catalog if message.id}


# Catalogs


@pytest.mark.parametrize("tag", OTHERS)
def test_a_catalog_has_exactly_the_texts_of_the_source(tag: str):
    source, catalog = messages(update_translations.extract()), messages(translations.read_catalog(tag))
    assert source.keys() - catalog.keys() == set(), "run make messages"
    assert catalog.keys() - source.keys() == set(), "run make messages"
    assert not translations.read_catalog(tag).obsolete
    for key, message in source.items():
        places = [place for place, _ in message.locations]
        assert [place for place, _ in catalog[key].locations] == places, "scripts get their texts by these places"


@pytest.mark.parametrize("tag", OTHERS)
def test_every_text_is_translated_and_keeps_its_variables_and_tags(tag: str):
    catalog = translations.read_catalog(tag)
    for message in messages(catalog).values():
        assert not message.fuzzy, message.id
        assert isinstance(message.id, str) or len(message.string) == catalog.num_plurals
        for english_text, text in forms(message):
            assert text.strip(), f"{message.id} is not translated"
            # The singular may leave out the number.
            assert parts(text) in (parts(english_text), parts(english_text.replace("%(num)s", ""))), text
            assert (text[0] == " ", text[-1] == " ") == (english_text[0] == " ", english_text[-1] == " ")


def test_languages_are_listed_by_their_own_names():
    assert names()["en"] == "English"
    assert names()["de"] == "Deutsch"


def test_plural_forms_and_numbers_follow_the_language():
    one, many = "%(num)s episode", "%(num)s episodes"
    assert [ngettext(one, many, number) for number in (0, 1, 1204)] == ["0 episodes", "1 episode", "1,204 episodes"]
    speak("de")
    assert [ngettext(one, many, number) for number in (0, 1, 1204)] == ["0 Folgen", "1 Folge", "1.204 Folgen"]


def test_scripts_get_plural_forms_by_the_category_of_the_number():
    assert script_words("de", "static")["Undo"] == "Rückgängig"
    assert script_words("de", "static/watch")["%(num)s hour"] == {"one": "%(num)s Stunde", "other": "%(num)s Stunden"}
    assert script_words(SOURCE, "static/watch") == {}


# Messages of the layers below


def test_messages_of_the_layers_below_are_translated_with_their_variables():
    faults = [*name_faults(""), *pin_faults("12"), *pin_faults("1111")]
    assert len(faults) == 3
    speak("de")
    assert [translated(fault) for fault in faults] == [
        "muss 1 bis 64 Zeichen haben",
        "muss 4 bis 8 Ziffern haben",
        "darf nicht immer dieselbe Ziffer oder eine Zahlenreihe sein",
    ]
    assert translated("Only 12 MiB free") == "Nur 12 MiB frei"
    assert translated("Input/output error") == "Input/output error"


def test_a_message_with_a_longer_match_is_not_translated_by_the_shorter_one():
    for row in MESSAGES:
        filled = re.sub(r"%\((\w+)\)s", r"<\1>", row)
        speak("de")
        german = gettext(row, **{name: f"<{name}>" for name in re.findall(r"%\((\w+)\)s", row)})
        assert translated(filled) == german


# Modules that say why a file is skipped, and how such a reason begins.
SKIPPING = ("media/probe.py", "media/decoders.py", "media/folders.py", "services/scanning.py")
REASON = re.compile(r"(?:it|its|the|a|no|reading|archives|images|files|discs|links) [a-z]\S* \S")


def reasons(module: str) -> set[str]:
    """Return the texts of a module that read like the reason why a file is skipped, with `X` for each variable."""
    tree = ast.parse((Path(playhead.__file__).parent / module).read_text())
    texts: set[str] = set()
    within: set[int] = set()
    for node in ast.walk(tree):  # a formatted text comes before its parts
        if isinstance(node, ast.JoinedStr):
            within |= {id(part) for part in node.values}
            texts.add("".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in within:
            texts.add(node.value)
    return {text for text in texts if REASON.match(text) and "\n" not in text}


def test_every_reason_why_a_file_is_skipped_is_translated():
    found = set().union(*map(reasons, SKIPPING)) - {
        "it does not start",  # of a worker, for the log
        "it says what no worker says",
    }
    assert "it is empty" in found
    speak("de")
    filled = [re.sub(r"that of X", "that of an episode", reason) for reason in found]
    assert [reason for reason in filled if translated(reason) == reason] == []


# Language negotiation


@pytest.mark.parametrize(
    ("header", "tag"),
    [
        (None, "en"),
        ("de", "de"),
        ("DE-ch", "de"),
        ("de-AT,de;q=0.9,en;q=0.5", "de"),
        ("fr,de;q=0.4,en;q=0.6", "en"),
        ("fr, de ; q=0.4", "de"),
        ("de;q=0", "en"),
        ("en-GB,de", "en"),
        ("*", "en"),
        ("", "en"),
        # Hostile: too long, malformed, or not text.
        ("de," * 100_000, "en"),
        ("de;q=", "en"),
        ("de;q=nan,de;q=inf,de;q=-1,de;q=2,de;q=1e400", "en"),
        (";;;,,,=;q=1,;q=", "en"),
        ("../../etc/passwd", "en"),
        ("de\x00", "en"),
        ("d\xe9,\u2028", "en"),
    ],
)
def test_the_header_chooses_among_the_available_languages(header: str | None, tag: str):
    assert negotiate(header) == tag


async def test_a_hostile_header_gets_an_english_page(world: World):
    for header in (b"de," * 20_000, b"\xff\xfe;q=\x80", b"de;q=nan"):
        answer = await world.client.get("/sign-in", headers=[(b"accept-language", header)])
        assert (answer.status_code, answer.headers["content-language"]) == (200, "en")
        assert '<html lang="en"' in answer.text


async def test_the_sign_in_page_follows_the_browser(world: World):
    answer = await world.client.get("/sign-in", headers=GERMAN)
    assert answer.headers["content-language"] == "de"
    assert "accept-language" in answer.headers["vary"].lower()
    assert '<html lang="de"' in answer.text
    assert "Passwort" in answer.text
    wrong = {"username": "member", "password": "no"}
    refused = await world.client.post("/sign-in", data=wrong, headers=GERMAN | {"origin": "http://playhead.test"})
    assert "Name oder Passwort ist falsch." in refused.text


async def test_the_language_in_the_settings_takes_precedence_over_the_browsers(world: World):
    await enter(world)
    answer = await submit(world.client, "/settings/language", language="de")
    assert (answer.status_code, answer.headers["location"]) == (303, "/settings?done=language")
    page = (await world.client.get("/settings?done=language")).text
    assert "Die Sprache wurde gespeichert." in page
    assert '<option value="de" selected>Deutsch</option>' in page
    assert (await world.client.get("/", headers={"accept-language": "en"})).headers["content-language"] == "de"
    assert (await world.client.get("/movies/none")).headers["content-language"] == "de"
    await submit(world.client, "/settings/language", language="en")
    assert (await world.client.get("/", headers=GERMAN)).headers["content-language"] == "en"
    await submit(world.client, "/settings/language", language="")
    assert (await world.client.get("/", headers=GERMAN)).headers["content-language"] == "de"


@pytest.mark.parametrize("language", ["xx", "../de", "de\x00", "de" * 5000])
async def test_an_unavailable_language_is_refused_next_to_its_field(world: World, language: str):
    await enter(world)
    answer = await submit(world.client, "/settings/language", language=language)
    assert answer.status_code == 422
    assert 'id="language-fault"' in answer.text
    assert (await world.client.get("/")).headers["content-language"] == "en"


async def test_the_api_stays_english(world: World):
    answer = await world.client.get("/api/v1/items/none", headers=world.member | GERMAN)
    assert answer.json()["title"] == "Media item not found"


async def test_an_action_is_answered_in_the_language_of_its_user(stocked: World):
    await enter(stocked)
    headers = GERMAN | {"origin": "http://playhead.test", "accept": "application/json"}
    answer = await stocked.client.post(f"/movies/{MOVIE}", data={"do": "watched"}, headers=headers)
    assert answer.json()["done"] == "Als gesehen markiert"


# Pages


def paths(world: World) -> list[str]:
    places = {
        "/libraries/{id}": LIBRARY,
        "/movies/{id}": MOVIE,
        "/episodes/{id}": EPISODE,
        "/shows/{id}": SHOW,
        "/shows/{id}/seasons/{season}": SHOW,
        "/admin/libraries/{id}": LIBRARY,
    }
    rows = [row for row in world.playhead.table if row.method == "GET" and row.show_refusal is not None]
    return [
        re.sub(r"{id}", places.get(row.path, world.user_ids["member"]), row.path.replace("{season}", "1"))
        for row in rows
    ]


async def test_every_page_is_german_without_english_words_of_its_own(stocked: World):
    await enter(stocked, "admin")
    await stocked.client.post(
        f"/api/v1/playback/movie/{MOVIE}",
        json={"position_seconds": 600, "duration_seconds": 5400},
        headers=stocked.admin,
    )
    sentences = [
        one
        for message in translations.language_of("de").messages
        for one, german in forms(message)
        if one != german and len(one.split()) > 3 and "%" not in one
    ]
    seen = 0
    for path in paths(stocked):
        answer = await stocked.client.get(path, headers=GERMAN)
        if answer.is_redirect:
            continue
        assert answer.status_code < 500, path
        assert '<html lang="de"' in answer.text, path
        said = unescape(words_beside_english(answer.text))
        assert not [word for word in ENGLISH if re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", said)], (path, said)
        assert not [sentence for sentence in sentences if sentence in said], path
        seen += 1
    assert seen > 20


def words_beside_english(html: str) -> str:
    """Return the texts of a page, without those marked as English and the source of scripts."""
    html = re.sub(r'<div lang="en">.*?</main>', "</main>", html, flags=re.DOTALL)
    html = re.sub(r'data-words="[^"]*"|<script[^>]*>.*?</script>', "", html, flags=re.DOTALL)
    named = re.findall(r'(?:aria-label|placeholder|title|label)="([^"]*)"', html)
    return " ".join([re.sub(r"<[^>]*>", " ", html), *named])


async def test_scripts_find_their_texts_on_the_page(stocked: World):
    await enter(stocked)
    page = (await stocked.client.get("/", headers=GERMAN)).text
    (data,) = re.findall(r'data-words="([^"]*)"', page)
    assert json.loads(unescape(data))["Undo"] == "Rückgängig"
    assert "data-words" not in (await stocked.client.get("/")).text


async def test_dates_durations_and_numbers_are_written_in_the_language(stocked: World):
    await enter(stocked)
    await stocked.client.post(
        f"/api/v1/playback/movie/{MOVIE}",
        json={"position_seconds": 600, "duration_seconds": 5400},
        headers=stocked.member,
    )
    stocked.clock.advance(3 * 86_400_000)
    page = await stocked.client.get(f"/movies/{MOVIE}", headers=GERMAN)
    assert "10:00 von 1:30:00 · noch 1 Std. 20 Min. · am 8. November um 22:00" in words(page)
    assert "on 8 November at 22:00" in words(await stocked.client.get(f"/movies/{MOVIE}"))
