"""Queries of the catalogue and of scans, where their results differ from what a service shows."""

from dataclasses import replace

import pytest

from fakes import Ids
from playhead.domain.catalogue import Holding, Item, Library, MediaFile, MediaInfo, MediaStream, identity
from playhead.domain.model import FileId, Instant, ItemId, ItemKind, LibraryId, LibraryKind, Milliseconds
from playhead.domain.scanning import FileLink, FoundFile, ItemChanges
from playhead.storage import catalogue, scanning
from playhead.storage.engine.sqlite import SQLiteDatabase
from playhead.storage.scanning import FileChange

INFO = MediaInfo(
    Milliseconds(90_000),
    "matroska",
    (
        MediaStream("video", "hevc", title="Картина", width=3840, height=2160, hdr=True, default=True),
        MediaStream("audio", "aac", language="eng", channels=6),
    ),
    Milliseconds(80_000),
)


class Store:
    """One library, and shortcuts to fill it."""

    def __init__(self, database: SQLiteDatabase) -> None:
        self.database = database
        self.ids = Ids()
        self.library_id = self.add_library("Films")

    def add_library(self, name: str, path: str | None = "/films") -> LibraryId:
        library = Library(LibraryId(self.ids()), name, LibraryKind.MOVIES, path, Instant(5))
        self.database.write_blocking(lambda connection: catalogue.add_library(connection, library))
        return library.id

    def item(self, title: str = "Heat", **members: object) -> Item:
        item = Item(ItemId(self.ids()), ItemKind.MOVIE, title, identity(title), Instant(7))
        return replace(item, **members)

    def store(self, *new: Item, changed: tuple[Item, ...] = (), removed_at: Instant | None = None) -> None:
        held = [Holding(item.id, self.library_id, item.added_at, removed_at, title=item.title) for item in new]
        changes = ItemChanges(list(new), list(changed), held)
        self.database.write_blocking(lambda connection: scanning.store_items(connection, changes))

    def file(self, *items: Item, path: str = "a.mkv") -> FileChange:
        links = tuple(FileLink(item.id) for item in items)
        found = FoundFile(path, 10, 1_700_000_000_123_456_789, "1")
        return FileChange(
            FileId(self.ids()), is_new=True, found=found, info=INFO, label="2160p", fingerprint="p", links=links
        )

    def store_files(self, *files: FileChange) -> None:
        self.database.write_blocking(
            lambda connection: scanning.store_files(connection, self.library_id, files, Instant(9))
        )

    def found(self, item: Item) -> Item | None:
        return self.database.read_blocking(lambda connection: catalogue.find_item(connection, item.id))

    def files(self, item: Item) -> list[tuple[LibraryId, MediaFile]]:
        return self.database.read_blocking(
            lambda connection: catalogue.list_files(connection, item.id, {self.library_id})
        )


@pytest.fixture
def store(blocking_database: SQLiteDatabase) -> Store:
    return Store(blocking_database)


def test_an_item_is_read_as_it_was_stored(store: Store) -> None:
    show = store.item("Dark", kind=ItemKind.SHOW, external_ids={"tvdb": "1", "imdb": "tt2"})
    episode = store.item(
        "Secrets",
        kind=ItemKind.EPISODE,
        show_id=show.id,
        season_number=1,
        episode_number=1,
        episode_end=2,
        runtime_ms=Milliseconds(3_000_000_000),
        credits_ms=Milliseconds(1),
    )
    store.store(show, episode)
    assert [store.found(show), store.found(episode)] == [show, episode]


def test_external_ids_are_replaced_with_the_item(store: Store) -> None:
    film = store.item(external_ids={"tmdb": "1", "imdb": "tt1"})
    other = store.item("Ronin", external_ids={"tmdb": "8"})
    store.store(film, other)
    changed = replace(film, title="Hitze", external_ids={"tmdb": "2"})
    store.store(changed=(changed,))
    assert store.found(film) == changed
    assert store.found(other) == other
    store.store(changed=(replace(film, external_ids={}),))
    assert store.found(film) == replace(film, external_ids={})


def test_more_ids_can_be_looked_up_than_a_statement_has_parameters(store: Store) -> None:
    film = store.item(external_ids={"tmdb": "1"})
    store.store(film)
    wanted = [*(store.ids() for _ in range(2 * catalogue.IDS_AT_ONCE)), film.id]
    found = store.database.read_blocking(lambda connection: catalogue.external_ids_of(connection, wanted))
    assert found == {film.id: {"tmdb": "1"}}


def test_an_item_with_a_taken_name_is_not_stored(store: Store) -> None:
    with pytest.raises(catalogue.LibraryNameTakenError):
        store.add_library("Films")
    libraries = store.database.read_blocking(catalogue.list_libraries)
    assert [library.name for library in libraries] == ["Films"]


def test_a_file_is_found_again_with_its_metadata(store: Store) -> None:
    film = store.item()
    store.store(film)
    file = store.file(film)
    store.store_files(file)
    (known,) = store.database.read_blocking(lambda c: scanning.load_files(c, store.library_id))
    assert (known.size, known.mtime_ns, known.fingerprint) == (10, 1_700_000_000_123_456_789, "p")
    assert (known.duration_ms, known.credits_ms, known.links) == (90_000, 80_000, (FileLink(film.id),))
    infos = store.database.read_blocking(lambda c: scanning.load_infos(c, [file.id]))
    assert infos == {file.id: INFO}


def test_a_file_that_becomes_faulty_keeps_its_links_and_cannot_be_played(store: Store) -> None:
    film = store.item()
    store.store(film)
    file = store.file(film)
    store.store_files(file)
    store.store_files(FileChange(file.id, is_new=False, found=file.found, fault="broken"))
    (known,) = store.database.read_blocking(lambda c: scanning.load_files(c, store.library_id))
    assert (known.fault, known.links) == ("broken", (FileLink(film.id),))
    assert store.files(film) == []
    assert store.database.read_blocking(lambda c: catalogue.find_file(c, file.id)) is None
    assert store.database.read_blocking(lambda c: scanning.load_infos(c, [file.id])) == {}


def test_a_changed_file_loses_its_old_links(store: Store) -> None:
    heat, ronin = store.item(), store.item("Ronin")
    store.store(heat, ronin)
    file = store.file(heat)
    store.store_files(file)
    store.store_files(replace(file, is_new=False, links=(FileLink(ronin.id, 2),)))
    assert store.files(heat) == []
    ((library_id, played),) = store.files(ronin)
    assert (library_id, played.part) == (store.library_id, 2)


def test_a_removed_file_is_not_played_until_it_returns(store: Store) -> None:
    film = store.item()
    store.store(film)
    file = store.file(film)
    store.store_files(file)
    store.database.write_blocking(lambda c: scanning.mark_files(c, [file.id], Instant(1)))
    assert store.files(film) == []
    store.database.write_blocking(lambda c: scanning.mark_files(c, [file.id], None))
    assert len(store.files(film)) == 1


def test_only_files_of_the_named_libraries_are_listed(store: Store) -> None:
    film = store.item()
    store.store(film)
    store.store_files(store.file(film))
    first = store.library_id
    store.library_id = store.add_library("Attic")
    assert store.files(film) == []
    store.store_files(store.file(film, path="b.mkv"))
    both = store.database.read_blocking(lambda c: catalogue.list_files(c, film.id, {first, store.library_id}))
    assert {(library_id, file.path) for library_id, file in both} == {(first, "a.mkv"), (store.library_id, "b.mkv")}
    assert store.database.read_blocking(lambda c: catalogue.list_files(c, film.id, ())) == []


def test_a_scan_knows_what_its_library_held_and_the_whole_shows(store: Store) -> None:
    show = store.item("Dark", kind=ItemKind.SHOW, external_ids={"tvdb": "1"})
    episode = store.item("Secrets", kind=ItemKind.EPISODE, show_id=show.id)
    gone = store.item("Gone")
    store.store(show)
    store.store(gone, removed_at=Instant(1))
    own = store.library_id
    store.library_id = store.add_library("Other")
    store.store(episode, store.item("Elsewhere", external_ids={"tmdb": "2"}))
    held = store.database.read_blocking(lambda c: scanning.load_items(c, own))
    assert sorted(item.title for item in held.items) == ["Dark", "Gone", "Secrets"]
    removed = {(each.item_id, each.library_id) for each in held.holdings if each.removed_at is not None}
    assert removed == {(gone.id, own)}
    assert (episode.id, store.library_id) in {(each.item_id, each.library_id) for each in held.holdings}


def test_a_lease_is_held_by_one_renewed_by_its_holder_and_free_after_it_expires(store: Store) -> None:
    mine, other = store.ids(), store.ids()

    def take(scan_id: str, now: int) -> bool:
        return store.database.write_blocking(
            lambda c: scanning.take_lease(c, store.library_id, scan_id, Instant(now), Instant(now + 10))
        )

    def renew(scan_id: str) -> bool:
        return store.database.write_blocking(lambda c: scanning.renew_lease(c, store.library_id, scan_id, Instant(100)))

    assert [take(mine, 0), take(other, 9), renew(other), renew(mine)] == [True, False, False, True]
    assert [take(other, 99), take(other, 100), renew(mine)] == [False, True, False]
    store.database.write_blocking(lambda c: scanning.release_lease(c, store.library_id, mine))
    assert take(mine, 105) is False
    store.database.write_blocking(lambda c: scanning.release_lease(c, store.library_id, other))
    assert take(mine, 105) is True


def test_a_report_of_an_unfinished_scan_keeps_the_time_of_the_last_one(store: Store) -> None:
    def report(text: str, at: Instant | None) -> None:
        store.database.write_blocking(lambda c: scanning.store_report(c, store.library_id, text, at))

    report("{}", Instant(50))
    report('{"failure": "x"}', None)
    library = store.database.read_blocking(lambda c: catalogue.find_library(c, store.library_id))
    assert library is not None
    assert (library.scanned_at, library.scan_report) == (50, '{"failure": "x"}')
