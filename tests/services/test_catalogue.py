"""Browsing the catalogue: who sees what, paged lists, and access to files."""

import base64
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import insert

from fakes import Clock, Ids
from playhead.domain.catalogue import Holding, Item, MediaInfo, MediaStream, identity
from playhead.domain.model import FileId, Instant, ItemId, ItemKind, LibraryId, LibraryKind, Milliseconds, Role, UserId
from playhead.domain.scanning import FileLink, FoundFile
from playhead.errors import Code, PlayheadError
from playhead.services.access import Viewer
from playhead.services.catalogue import Catalogue, ItemListPage
from playhead.services.cursors import SORTS
from playhead.storage import catalogue, scanning, schema
from playhead.storage.engine.database import Connection, Database
from playhead.storage.scanning import FileChange

pytestmark = pytest.mark.anyio

ADMIN = Viewer(UserId("00000000-0000-4000-8000-0000000000aa"), Role.ADMIN)
MEMBER = Viewer(UserId("00000000-0000-4000-8000-0000000000bb"), Role.MEMBER)


class Shop:
    """A catalogue, and its content in a test."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = Clock()
        self.ids = Ids()
        self.catalogue = Catalogue(database, clock=self.clock, new_id=self.ids)

    async def library(self, name: str = "Films", path: Path | None = None, *, granted: bool = False) -> LibraryId:
        library = await self.catalogue.add_library(name, LibraryKind.MOVIES, path)
        if granted:
            await self.database.write(lambda connection: self._grant(connection, library.id))
        return library.id

    def _grant(self, connection: Connection, library_id: LibraryId) -> None:
        account = {"id": MEMBER.user_id, "name": "b", "role": "member", "password_hash": "", "created_at": 0}
        connection.execute(insert(schema.account).values(account))
        grant = {"user_id": MEMBER.user_id, "library_id": library_id, "granted_at": 0}
        connection.execute(insert(schema.library_access).values(grant))

    async def put(self, library_id: LibraryId | None, *items: Item, removed_at: Instant | None = None) -> None:
        """Store items that a library has, or none."""

        def store(connection: Connection) -> None:
            connection.execute(insert(schema.item), [catalogue.item_row(item) for item in items])
            ids = [
                {"item_id": item.id, "kind": item.kind.value, "source": source, "value": value}
                for item in items
                for source, value in item.external_ids.items()
            ]
            if ids:
                connection.execute(insert(schema.external_id), ids)
            if library_id is not None:
                held = [Holding(item.id, library_id, item.added_at, removed_at) for item in items]
                catalogue.store_holdings(connection, held)

        await self.database.write(store)

    def item(self, title: str = "Heat", kind: ItemKind = ItemKind.MOVIE) -> Item:
        return Item(ItemId(self.ids()), kind, title, identity(title), self.clock.now)

    async def films(self, library_id: LibraryId, *titles: str) -> list[Item]:
        items = [self.item(title) for title in titles]
        await self.put(library_id, *items)
        return items

    async def show(self, library_id: LibraryId, numbers: Sequence[tuple[int, int]]) -> tuple[Item, list[Item]]:
        show = self.item("Dark", ItemKind.SHOW)
        episodes = [
            replace(
                self.item(f"Episode {number}", ItemKind.EPISODE),
                show_id=show.id,
                season_number=season,
                episode_number=number,
            )
            for season, number in numbers
        ]
        await self.put(library_id, show, *episodes)
        return show, episodes

    async def file(
        self,
        library_id: LibraryId,
        item: Item,
        path: str,
        *,
        height: int = 1080,
        codec: str = "h264",
        part: int | None = None,
    ) -> FileId:
        info = MediaInfo(
            Milliseconds(1000), "matroska", (MediaStream("video", codec, width=height * 2, height=height),)
        )
        change = FileChange(
            FileId(self.ids()),
            is_new=True,
            found=FoundFile(path, 5, 5, "1"),
            info=info,
            label=f"{height}p",
            links=(FileLink(item.id, part),),
        )
        await self.database.write(
            lambda connection: scanning.store_files(connection, library_id, [change], self.clock.now)
        )
        return change.id


@pytest.fixture
def shop(database: Database) -> Shop:
    return Shop(database)


async def refusal(awaitable: object) -> PlayheadError:
    with pytest.raises(PlayheadError) as caught:
        await awaitable
    return caught.value


def titles(page: ItemListPage) -> list[str]:
    return [view.item.title for view in page.items]


# Libraries


async def test_a_library_keeps_an_absolute_folder_without_links(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "films")
    library = await shop.catalogue.add_library(" My  Films ", LibraryKind.MOVIES, tmp_path / "link" / ".." / "link")
    assert (library.name, library.path) == ("My Films", str((tmp_path / "films").resolve()))


async def test_a_library_needs_a_name_and_a_folder_and_both_faults_are_reported_together(
    shop: Shop, tmp_path: Path
) -> None:
    error = await refusal(shop.catalogue.add_library(" ", LibraryKind.MOVIES, tmp_path / "nowhere"))
    assert error.code is Code.INVALID
    assert error.details == {
        "name": ["must have 1 to 64 characters"],
        "path": ["must be an existing folder that can be read"],
    }


@pytest.mark.parametrize("path", ["", "/nowhere\0", "/\ud800", "/dev/null", "~nobody-of-this-name/x"])
async def test_a_path_that_is_not_a_folder_is_refused(shop: Shop, path: str) -> None:
    error = await refusal(shop.catalogue.add_library("Films", LibraryKind.MOVIES, path or "/dev/null/x"))
    assert error.details == {"path": ["must be an existing folder that can be read"]}


async def test_a_name_that_looks_like_an_id_is_refused(shop: Shop) -> None:
    error = await refusal(shop.catalogue.add_library(shop.ids(), LibraryKind.MOVIES, None))
    assert error.details == {"name": ["must not look like an id"]}


async def test_names_and_folders_are_unique(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "films/new").mkdir(parents=True)
    (tmp_path / "films2").mkdir()
    await shop.library("Films", tmp_path / "films")
    for name, path in (("Films", tmp_path / "films2"), ("a", tmp_path / "films/new"), ("b", tmp_path)):
        error = await refusal(shop.catalogue.add_library(name, LibraryKind.MOVIES, path))
        assert error.code is Code.CONFLICT
    await shop.library("Films 2", tmp_path / "films2")
    await shop.library("Imported")
    await shop.library("Imported too")


async def test_a_member_sees_granted_libraries_and_an_admin_sees_all(shop: Shop) -> None:
    await shop.library("Secret")
    await shop.library("Films", granted=True)
    assert [view.library.name for view in await shop.catalogue.list_libraries(MEMBER)] == ["Films"]
    assert [view.library.name for view in await shop.catalogue.list_libraries(ADMIN)] == ["Films", "Secret"]


async def test_a_library_is_found_by_name_and_by_id(shop: Shop) -> None:
    library_id = await shop.library("Films")
    assert (await shop.catalogue.find_library(ADMIN, "Films")).id == library_id
    assert (await shop.catalogue.find_library(ADMIN, library_id.upper())).name == "Films"
    assert (await refusal(shop.catalogue.find_library(ADMIN, "films"))).code is Code.NOT_FOUND
    assert (await refusal(shop.catalogue.find_library(MEMBER, "Films"))).code is Code.ACCESS_DENIED
    assert (await shop.catalogue.get_library(ADMIN, library_id)).counts == {}
    assert (await refusal(shop.catalogue.get_library(MEMBER, library_id))).code is Code.NOT_FOUND


async def test_counts_exclude_removed_items(shop: Shop) -> None:
    library_id = await shop.library()
    await shop.films(library_id, "Heat", "Ronin")
    await shop.put(library_id, shop.item("Gone"), removed_at=Instant(1))
    assert (await shop.catalogue.get_library(ADMIN, library_id)).counts == {ItemKind.MOVIE: 2}


# Lists


async def test_items_of_libraries_without_a_grant_are_not_listed(shop: Shop) -> None:
    await shop.films(await shop.library("Secret"), "Hidden")
    await shop.films(await shop.library("Films", granted=True), "Shown")
    assert titles(await shop.catalogue.list_items(MEMBER)) == ["Shown"]
    assert titles(await shop.catalogue.list_items(ADMIN)) == ["Hidden", "Shown"]
    assert (await refusal(shop.catalogue.list_items(MEMBER, library="Secret"))).code is Code.ACCESS_DENIED
    assert (await refusal(shop.catalogue.list_items(MEMBER, library="Nowhere"))).code is Code.NOT_FOUND


async def test_a_user_without_grants_sees_nothing(shop: Shop) -> None:
    await shop.films(await shop.library(), "Hidden")
    assert (await shop.catalogue.list_items(MEMBER)).items == []


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("amelie", ["Amélie"]),
        ("AMÉLIE", ["Amélie"]),
        ("mel", ["Amélie"]),
        ("matrix the", ["The Matrix", "The Matrix Reloaded"]),
        ("relo mat", ["The Matrix Reloaded"]),
        ("100%", ["100% Wolf", "1000 Wolves"]),
        ("%", []),
        ("_", []),
        ("свой", ["Свой среди чужих"]),
        ("nothing", []),
    ],
)
async def test_a_search_finds_every_word_regardless_of_case_and_accents(
    shop: Shop, query: str, found: list[str]
) -> None:
    await shop.films(
        await shop.library(),
        "Amélie",
        "The Matrix",
        "The Matrix Reloaded",
        "100% Wolf",
        "1000 Wolves",
        "Свой среди чужих",
    )
    assert titles(await shop.catalogue.list_items(ADMIN, query=query)) == found


async def test_a_list_can_be_restricted_to_one_kind(shop: Shop) -> None:
    library_id = await shop.library()
    await shop.films(library_id, "Heat")
    await shop.show(library_id, [(1, 1)])
    assert titles(await shop.catalogue.list_items(ADMIN)) == ["Dark", "Episode 1", "Heat"]
    assert titles(await shop.catalogue.list_items(ADMIN, kind=ItemKind.SHOW)) == ["Dark"]


@pytest.mark.parametrize("sort", SORTS)
async def test_the_pages_together_are_the_whole_list_in_order(shop: Shop, sort: str) -> None:
    library_id = await shop.library()
    items = [
        replace(
            shop.item(f"Film {number % 4}"),
            year=None if number % 3 == 0 else 1990 + number % 3,
            added_at=Instant(number // 2),
        )
        for number in range(11)
    ]
    await shop.put(library_id, *items)
    keys = {
        "title": lambda item: (item.title, item.id),
        "year": lambda item: (item.year or 0, item.id),
        "added": lambda item: (item.added_at, item.id),
    }
    expected = sorted(items, key=keys[sort.lstrip("-")], reverse=sort.startswith("-"))
    found: list[ItemId] = []
    cursor: str | None = None
    pages = 0
    while pages == 0 or cursor is not None:
        page = await shop.catalogue.list_items(ADMIN, sort=sort, limit=4, cursor=cursor)
        found += [view.item.id for view in page.items]
        cursor = page.next_cursor
        pages += 1
    assert found == [item.id for item in expected]
    assert pages == 3


async def test_a_list_that_ends_with_its_page_has_no_cursor(shop: Shop) -> None:
    await shop.films(await shop.library(), "Heat", "Ronin")
    assert (await shop.catalogue.list_items(ADMIN, limit=2)).next_cursor is None
    assert len((await shop.catalogue.list_items(ADMIN, limit=None)).items) == 2


def forged(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


UUID = "00000000-0000-4000-8000-000000000001"


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "é",
        "====",
        forged("{}"),
        forged("[1,2]"),
        forged(f'["year",1,"{UUID}"]'),
        forged(f'["title",1,"{UUID}"]'),
        forged(f'["title",null,"{UUID}"]'),
        forged('["title","a","b"]'),
        forged(f'["title","a\\u0000","{UUID}"]'),
        forged("[" * 10_000),
        base64.urlsafe_b64encode(b"\xff\xfe").decode(),
    ],
)
async def test_a_forged_cursor_is_refused(shop: Shop, cursor: str) -> None:
    error = await refusal(shop.catalogue.list_items(ADMIN, cursor=cursor))
    assert (error.code, error.details) == (Code.INVALID, {"cursor": ["is not a cursor of this list"]})


@pytest.mark.parametrize("cursor", [forged(f'["year",{10**30},"{UUID}"]'), forged(f'["year",{1 << 62},"{UUID}"]')])
async def test_a_cursor_with_a_number_too_large_for_the_store_is_refused(shop: Shop, cursor: str) -> None:
    assert (await refusal(shop.catalogue.list_items(ADMIN, sort="year", cursor=cursor))).code is Code.INVALID


async def test_a_cursor_of_another_order_is_refused(shop: Shop) -> None:
    await shop.films(await shop.library(), "Heat", "Ronin")
    cursor = (await shop.catalogue.list_items(ADMIN, limit=1)).next_cursor
    assert (await refusal(shop.catalogue.list_items(ADMIN, sort="-title", cursor=cursor))).code is Code.INVALID


async def test_an_unknown_order_is_refused(shop: Shop) -> None:
    error = await refusal(shop.catalogue.list_items(ADMIN, sort="size"))
    assert error.details is not None
    assert set(error.details) == {"sort"}


# Items


async def test_an_item_shows_its_files_with_the_preferred_one_first(shop: Shop) -> None:
    library_id = await shop.library()
    (film,) = await shop.films(library_id, "Heat")
    await shop.file(library_id, film, "a.mkv", height=2160, codec="hevc")
    await shop.file(library_id, film, "b.mkv", height=720)
    await shop.file(library_id, film, "c.mkv", height=1080)
    detail = await shop.catalogue.get_item(ADMIN, film.id)
    assert [file.path for file in detail.files] == ["c.mkv", "b.mkv", "a.mkv"]


async def test_missing_and_forbidden_items(shop: Shop) -> None:
    (film,) = await shop.films(await shop.library(), "Heat")
    error = await refusal(shop.catalogue.get_item(MEMBER, film.id))
    assert error.code is Code.ACCESS_DENIED
    error = await refusal(shop.catalogue.get_item(MEMBER, ItemId(shop.ids())))
    assert (error.code, error.message) == (Code.NOT_FOUND, "Media item not found")


async def test_a_removed_item_can_be_read_and_is_not_available(shop: Shop) -> None:
    film = replace(shop.item(), external_ids={"tmdb": "949"})
    await shop.put(await shop.library(), film, removed_at=Instant(1))
    view = (await shop.catalogue.get_item(ADMIN, film.id)).view
    assert (view.available, view.item, [library.name for library in view.libraries]) == (False, film, ["Films"])
    assert (await shop.catalogue.list_items(ADMIN)).items == []


async def test_episodes_are_ordered_by_season_and_number_in_pages(shop: Shop) -> None:
    numbers = [(2, 1), (1, 10), (1, 2), (0, 1)]
    show, _ = await shop.show(await shop.library(), numbers)
    found: list[tuple[int | None, int | None]] = []
    cursor: str | None = None
    for _ in range(4):
        page = await shop.catalogue.list_episodes(ADMIN, show.id, limit=1, cursor=cursor)
        found += [(view.item.season_number, view.item.episode_number) for view in page.items]
        cursor = page.next_cursor
    assert found == sorted(numbers)
    assert cursor is None
    page = await shop.catalogue.list_episodes(ADMIN, show.id, season=1)
    assert [view.item.episode_number for view in page.items] == [2, 10]
    assert (await refusal(shop.catalogue.list_episodes(ADMIN, show.id, cursor="x"))).code is Code.INVALID


async def test_daily_episodes_are_ordered_by_date(shop: Shop) -> None:
    library_id = await shop.library()
    show, _ = await shop.show(library_id, [])
    days = [date(2024, 2, 1), date(2024, 1, 15)]
    for day in days:
        await shop.put(library_id, replace(shop.item(str(day), ItemKind.EPISODE), show_id=show.id, air_date=day))
    page = await shop.catalogue.list_episodes(ADMIN, show.id)
    assert [view.item.air_date for view in page.items] == sorted(days)


async def test_only_a_show_has_episodes(shop: Shop) -> None:
    (film,) = await shop.films(await shop.library(), "Heat")
    error = await refusal(shop.catalogue.list_episodes(ADMIN, film.id))
    assert (error.code, error.message) == (Code.NOT_FOUND, "Show not found")


# Files


@pytest.fixture
async def films(shop: Shop, tmp_path: Path) -> LibraryId:
    """A library with a folder that the member may see, with a file and a film next to the folder."""
    (tmp_path / "films").mkdir()
    (tmp_path / "films/heat.mkv").write_text("heat")
    (tmp_path / "secret.mkv").write_text("secret")
    return await shop.library("Films", tmp_path / "films", granted=True)


@pytest.fixture
async def film(shop: Shop, films: LibraryId) -> Item:
    """A film in this library."""
    (film,) = await shop.films(films, "Heat")
    return film


async def test_an_item_is_played_from_its_preferred_file_and_its_first_part(
    shop: Shop, films: LibraryId, film: Item
) -> None:
    await shop.file(films, film, "cd2.mkv", part=2)
    with_parts = await shop.file(films, film, "heat.mkv", part=1)
    found = await shop.catalogue.stream_item(MEMBER, ItemKind.MOVIE, film.id)
    assert (found.file.id, found.path.read_text()) == (with_parts, "heat")
    assert (await shop.catalogue.stream_file(MEMBER, with_parts)).path == found.path


async def test_an_item_without_a_grant_is_not_played(shop: Shop, films: LibraryId, film: Item) -> None:
    file_id = await shop.file(films, film, "heat.mkv")
    stranger = Viewer(UserId(shop.ids()), Role.MEMBER)
    assert (await refusal(shop.catalogue.stream_item(stranger, ItemKind.MOVIE, film.id))).code is Code.ACCESS_DENIED
    assert (await refusal(shop.catalogue.stream_file(stranger, file_id))).code is Code.ACCESS_DENIED


@pytest.mark.parametrize("path", ["../secret.mkv", "link.mkv", "folder/secret.mkv", "gone.mkv", "."])
async def test_a_file_outside_its_library_is_never_served(
    shop: Shop, films: LibraryId, film: Item, tmp_path: Path, path: str
) -> None:
    (tmp_path / "films/link.mkv").symlink_to(tmp_path / "secret.mkv")
    (tmp_path / "films/folder").symlink_to(tmp_path)
    await refuses_to_serve(shop, films, film, path)


@pytest.mark.parametrize("engine", ["sqlite"])  # the other engine cannot even store it
async def test_an_impossible_path_is_never_served(shop: Shop, films: LibraryId, film: Item) -> None:
    await refuses_to_serve(shop, films, film, "a\0b.mkv")


async def refuses_to_serve(shop: Shop, films: LibraryId, film: Item, path: str) -> None:
    file_id = await shop.file(films, film, path)
    for request in (
        shop.catalogue.stream_item(ADMIN, ItemKind.MOVIE, film.id),
        shop.catalogue.stream_file(ADMIN, file_id),
    ):
        error = await refusal(request)
        assert (error.code, error.message) == (Code.NOT_FOUND, "File not found")


async def test_a_film_without_a_file_and_an_unknown_file(shop: Shop, film: Item) -> None:
    assert (await refusal(shop.catalogue.stream_item(ADMIN, ItemKind.MOVIE, film.id))).message == "File not found"
    assert (await refusal(shop.catalogue.stream_file(ADMIN, FileId(shop.ids())))).message == "File not found"


async def test_an_item_of_the_wrong_kind_is_not_played(shop: Shop, films: LibraryId, film: Item) -> None:
    show, (episode,) = await shop.show(films, [(1, 1)])
    for kind, item_id, message in (
        (ItemKind.MOVIE, show.id, "Media item is not a movie"),
        (ItemKind.MOVIE, episode.id, "Media item is not a movie"),
        (ItemKind.EPISODE, film.id, "Episode not found"),
        (ItemKind.EPISODE, ItemId(shop.ids()), "Episode not found"),
    ):
        error = await refusal(shop.catalogue.stream_item(ADMIN, kind, item_id))
        assert (error.code, error.message) == (Code.NOT_FOUND, message)
