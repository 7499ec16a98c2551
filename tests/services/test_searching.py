"""Searching: title words with a year, episodes by numbers and dates, and typos; alike on both engines."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import pytest
from sqlalchemy import select

from fakes import Clock, Ids
from playhead.domain.catalogue import Holding, Item, identity
from playhead.domain.model import Instant, ItemId, ItemKind, LibraryId, LibraryKind, Role, UserId
from playhead.domain.playback import Policy
from playhead.domain.scanning import ItemChanges
from playhead.services.access import Viewer
from playhead.services.browsing import Browsing
from playhead.services.catalogue import Catalogue
from playhead.storage import scanning, schema
from playhead.storage.engine.database import Database

pytestmark = pytest.mark.anyio

ADMIN = Viewer(UserId("00000000-0000-4000-8000-0000000000aa"), Role.ADMIN)
MEMBER = Viewer(UserId("00000000-0000-4000-8000-0000000000bb"), Role.MEMBER)

FILMS = (
    ("Copper Sky", 1974),
    ("Copper Sky", 1999),
    ("Cold Harbour", 1974),
    ("Blade Runner 2049", 2017),
    ("1917", 2019),
    ("2001: A Space Odyssey", 1968),
    ("Dark Water", 2001),
    ("Straße nach Süden", 2003),
    ("Свой среди чужих", 1974),
    ("Dune", 1984),
    ("100% Wolf", 2020),
)


class Titles:
    """Films, and a show with numbered and dated episodes."""

    def __init__(self, database: Database) -> None:
        self.database, self.clock, self.ids = database, Clock(), Ids()
        self.holdings: dict[ItemId, Holding] = {}
        self.catalogue = Catalogue(database, clock=self.clock, new_id=self.ids)
        self.browsing = Browsing(database, clock=self.clock, policy=Policy())

    async def library(self, name: str, kind: LibraryKind = LibraryKind.MOVIES) -> LibraryId:
        return (await self.catalogue.add_library(name, kind, None)).id

    def item(self, library: LibraryId, title: str, year: int | None, kind: ItemKind = ItemKind.MOVIE) -> Item:
        item = Item(ItemId(self.ids()), kind, title, identity(title, year), Instant(0), year)
        self.holdings[item.id] = Holding(item.id, library, item.added_at, title=title, year=year)
        return item

    async def put(self, *items: Item) -> None:
        """Store items, each held by its library."""
        changes = ItemChanges(list(items), [], [self.holdings[item.id] for item in items])
        await self.database.write(lambda connection: scanning.store_items(connection, changes))

    async def find(self, query: str, *, limit: int = 50, sort: str = "title", viewer: Viewer = ADMIN) -> list[str]:
        """Return the titles of all pages."""
        found: list[str] = []
        cursor: str | None = None
        while True:
            page = await self.catalogue.list_items(viewer, query=query, limit=limit, cursor=cursor, sort=sort)
            found += [f"{view.item.title} {view.item.year or ''}".strip() for view in page.items]
            cursor = page.next_cursor
            if cursor is None:
                return found


@pytest.fixture
async def shelf(database: Database) -> Titles:
    shelf = Titles(database)
    films, shows = await shelf.library("Films"), await shelf.library("Shows", LibraryKind.SHOWS)
    await shelf.put(*(shelf.item(films, title, year) for title, year in FILMS))
    for title in ("Copper Sky", "Copper Roads"):
        show = shelf.item(shows, title, 1980, ItemKind.SHOW)
        episodes = [
            replace(
                shelf.item(shows, f"{title} {season}-{number}", None, ItemKind.EPISODE),
                show_id=show.id,
                season_number=season,
                episode_number=number,
                episode_end=end,
                air_date=day,
            )
            for season, number, end, day in (
                (None, 1, None, None),
                (7, 17, 19, None),
                (7, 20, None, date(2024, 1, 15)),
            )
        ]
        await shelf.put(show, *episodes)
    return shelf


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("copper sky 1974", ["Copper Sky 1974"]),
        ("1974 sky copper", ["Copper Sky 1974"]),
        ("blade runner 2049", ["Blade Runner 2049 2017"]),
        ("2049", ["Blade Runner 2049 2017"]),
        ("1917", ["1917 2019"]),
        ("2001", ["2001: A Space Odyssey 1968", "Dark Water 2001"]),
        ("copper sky 1975", []),
        ("100%", ["100% Wolf 2020"]),
        ("_", []),
    ],
)
async def test_a_year_is_that_of_the_item_or_a_word_of_its_title(shelf: Titles, query: str, found: Sequence[str]):
    assert await shelf.find(query) == found


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("copper sky s07e18", ["Copper Sky 7-17"]),
        ("7x18 sky", ["Copper Sky 7-17"]),
        ("copper sky 1980 S7 E20", ["Copper Sky 7-20"]),
        ("s07e18", ["Copper Roads 7-17", "Copper Sky 7-17"]),
        ("7x18", ["Copper Roads 7-17", "Copper Sky 7-17"]),
        ("sky 1x01", ["Copper Sky None-1"]),
        ("2024-01-15", ["Copper Roads 7-20", "Copper Sky 7-20"]),
        ("sky 2024-01-15", ["Copper Sky 7-20"]),
        ("s07e21", []),
        ("cold s07e18", []),
        ("coper sky s07e18", ["Copper Sky 7-17"]),
        ("rods 2024-01-15", ["Copper Roads 7-20"]),
    ],
)
async def test_an_episode_is_found_by_its_show_and_numbers_or_date(shelf: Titles, query: str, found: Sequence[str]):
    assert await shelf.find(query) == found


@pytest.mark.parametrize("word", ["cooper", "coper", "coppper", "ocpper", "coppre", "xopper", "coppr"])
async def test_one_typo_in_a_word_is_forgiven(shelf: Titles, word: str):
    found = await shelf.find(f"{word} sky 1974")
    assert found == ["Copper Sky 1974"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("dnue", ["Dune 1984"]),
        ("strase", ["Straße nach Süden 2003"]),
        ("среид чужих", ["Свой среди чужих 1974"]),
        ("cold harbur", ["Cold Harbour 1974"]),
        ("could harbuor", ["Cold Harbour 1974"]),
        ("sly", []),
        ("blade runner 2048", []),
        ("hrbuor", []),
    ],
)
async def test_typos_are_forgiven_in_words_of_four_letters(shelf: Titles, query: str, found: Sequence[str]):
    assert await shelf.find(query) == found


async def test_exact_matches_come_first_on_every_page_and_in_every_order(shelf: Titles):
    films = await shelf.library("More")
    await shelf.put(*(shelf.item(films, f"Cooper {number}", 1950 + number) for number in range(3)))
    for sort in ("title", "-title", "year", "-year", "added", "-added"):
        whole = await shelf.find("cooper", sort=sort)
        assert {title.split()[0] for title in whole[:3]} == {"Cooper"}
        assert {title.split()[0] for title in whole[3:]} == {"Copper"}
        assert await shelf.find("cooper", sort=sort, limit=2) == whole


async def test_typos_are_not_considered_where_enough_matches_exactly(shelf: Titles):
    films = await shelf.library("More")
    await shelf.put(*(shelf.item(films, f"Cooper {number}", 1950) for number in range(5)))
    assert all(title.startswith("Cooper") for title in await shelf.find("cooper"))


async def test_what_one_may_not_see_is_not_found_with_a_typo_either(shelf: Titles):
    assert await shelf.find("coper", viewer=MEMBER) == []


async def test_a_changed_title_is_found_with_a_typo(shelf: Titles):
    films = await shelf.library("More")
    film = shelf.item(films, "Old", 1950)
    await shelf.put(film)
    changes = ItemChanges([], [replace(film, title="Lantern")])
    await shelf.database.write(lambda connection: scanning.store_items(connection, changes))
    assert await shelf.find("lanten") == ["Lantern 1950"]


async def test_the_page_of_a_search_and_that_of_a_library_find_the_same(shelf: Titles):
    page = await shelf.browsing.search(ADMIN, "coper sky")
    assert [seen.item.title for seen in page.movies] == ["Copper Sky", "Copper Sky"]
    assert [show.item.title for show in page.shows] == ["Copper Sky"]
    episodes = (await shelf.browsing.search(ADMIN, "copper sky 7x18")).episodes
    assert [(seen.item.title, seen.show and seen.show.title) for seen in episodes] == [
        ("Copper Sky 7-17", "Copper Sky")
    ]
    libraries = await shelf.catalogue.list_libraries(ADMIN)
    films = next(view.library.id for view in libraries if view.library.name == "Films")
    found = await shelf.browsing.library(ADMIN, films, query="coper sky 1974")
    assert [(seen.item.title, seen.item.year) for seen in found.movies] == [("Copper Sky", 1974)]


async def test_a_common_word_finds_more_items_than_are_compared_at_once(shelf: Titles):
    films = await shelf.library("Many")
    await shelf.put(*(shelf.item(films, f"Reel {number}", 1950) for number in range(5_100)))
    page = await shelf.catalogue.list_items(ADMIN, query="reel", limit=2)
    assert [view.item.title for view in page.items] == ["Reel 0", "Reel 1"]


@pytest.mark.parametrize(
    "query",
    [
        "x" * 10_000,
        "copper " * 2_000,
        " ".join(f"word{number}" for number in range(3_000)),
        '"copper" AND NOT sky* NEAR(a b) OR title:x ^y {z}',
        "-copper +sky",
        "%_\\/'\";--",
        "???",
        "((((((",
        "\0",
        "copper\0sky",
        "\ufdfa" * 200,
        "s9999e99999",
        "9999-12-31",
        "٢٠٠١",
    ],
)
async def test_hostile_queries_are_harmless(shelf: Titles, query: str):
    assert isinstance(await shelf.find(query), list)
    await shelf.browsing.search(ADMIN, query)


async def test_a_word_is_stored_once_however_many_titles_have_it(shelf: Titles):
    query = select(schema.spelling.c.key).where(schema.spelling.c.word == "dune")
    keys = await shelf.database.read(lambda connection: sorted(connection.scalars(query)))
    assert keys == ["dne", "due", "dun", "dune", "une"]
