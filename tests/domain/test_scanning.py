"""What a scan decides: a small library in memory whose files appear, disappear and return."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from fakes import Ids
from playhead.domain.catalogue import Holding, Item, MediaInfo, ParsedName
from playhead.domain.model import FileId, Instant, ItemId, ItemKind, LibraryId, Milliseconds
from playhead.domain.scanning import (
    IDENTIFIED,
    ContentElsewhere,
    Departure,
    FileLink,
    FileReading,
    FoundFile,
    FoundItems,
    ItemMerge,
    KnownFile,
    MissingFiles,
    ScanIndex,
    compare,
)

LIBRARY = LibraryId("lib")
ELSEWHERE = LibraryId("other")
NOW = Instant(1000)
HOUR = Milliseconds(3_600_000)


class Folder:
    """A library across several scans: the items and holdings of all libraries, and the ids that were assigned."""

    def __init__(self, library: LibraryId = LIBRARY, other: "Folder | None" = None) -> None:
        self.library = library
        self.items: dict[ItemId, Item] = {} if other is None else other.items
        self.holdings: dict[tuple[ItemId, LibraryId], Holding] = {} if other is None else other.holdings
        self.new_id: Ids = Ids() if other is None else other.new_id
        self._files = count(1)
        self.meant: tuple[ItemId, ...] = ()
        self.index = self._new_index()

    def _new_index(self) -> ScanIndex:
        return ScanIndex(self.library, self.stored(), now=NOW, new_id=self.new_id)

    def stored(self, *contents: ContentElsewhere) -> FoundItems:
        """Everything that the store has, as a scan learns it."""
        ordered = sorted(self.items.values(), key=lambda item: item.kind is ItemKind.EPISODE)
        return FoundItems(ordered, list(self.holdings.values()), contents)

    def scan(self) -> ScanIndex:
        self.index = self._new_index()
        return self.index

    def finish(self) -> None:
        self.index.finish()
        self.store()

    def store(self) -> int:
        changes = self.index.take_changes()
        for item in (*changes.new, *changes.changed):
            self.items[item.id] = item
        for holding in changes.holdings:
            self.holdings[holding.item_id, holding.library_id] = holding
        return len(changes.new) + len(changes.changed) + len(changes.holdings)

    def place(self, reading: FileReading, before: KnownFile | None = None, *, same: bool = False) -> KnownFile:
        """Place a file, and return it as the next scan will know it."""
        file_id = FileId(f"{self.library}-{next(self._files)}") if before is None else before.id
        links, self.meant = self.index.place(file_id, reading, before, same_content=same)
        return known(id=file_id, links=links, duration_ms=reading.info.duration_ms, fingerprint=reading.fingerprint)

    def first(self, *readings: FileReading) -> list[KnownFile]:
        """Scan an empty library that receives these files."""
        self.scan()
        files = [self.place(reading) for reading in readings]
        self.finish()
        return files

    def item(self, file: KnownFile) -> Item:
        return self.items[file.links[0].item_id]

    def holding(self, file: KnownFile) -> Holding:
        return self.holdings[file.links[0].item_id, self.library]

    def show(self, file: KnownFile) -> Item:
        return self.items[self.item(file).show_id or ItemId("")]

    @property
    def held(self) -> set[ItemId]:
        return {each.item_id for each in self.holdings.values() if each.library_id == self.library and each.is_living}

    @property
    def available(self) -> list[str]:
        return sorted(self.items[item_id].title for item_id in self.held)


def known(
    path: str = "a.mkv", *, links: Iterable[FileLink] = (), duration_ms: int = HOUR, **changed: object
) -> KnownFile:
    file = KnownFile(FileId(path), path, 1, 1, "1", "print", Milliseconds(duration_ms), links=tuple(links))
    return replace(file, **changed)


def found(path: str = "a.mkv", size: int = 1, mtime_ns: int = 1, evidence: str = "1") -> FoundFile:
    return FoundFile(path, size, mtime_ns, evidence)


_prints = count(1)


def reading(name: ParsedName, *, minutes: float = 60, **members: object) -> FileReading:
    """A file with content of its own, unless it is given."""
    info = MediaInfo(Milliseconds(round(minutes * 60_000)), "mov", ())
    return replace(FileReading(name, info, f"print {next(_prints)}", "1080p"), **members)


def movie(title: str = "Heat", year: int | None = 1995, *, minutes: float = 60, **members: object) -> FileReading:
    of_file = {name: members.pop(name) for name in ("from_nfo", "fingerprint", "item_id") if name in members}
    return reading(replace(ParsedName(ItemKind.MOVIE, title, year), **members), minutes=minutes, **of_file)


def episode(number: int | None = 1, *, show: str = "Dark", season: int | None = 1, **members: object) -> FileReading:
    names = ("episode_ids", "fingerprint", "minutes", "item_id")
    of_file = {each: members.pop(each) for each in names if each in members}
    name = ParsedName(ItemKind.EPISODE, show, season_number=season, episode_number=number)
    return reading(replace(name, **members), **of_file)


# Comparing


def test_a_file_with_the_same_path_size_and_time_is_kept() -> None:
    result = compare([found()], [known()])
    assert result.kept == [known()]
    assert [*result.tasks, *result.absent, *result.returned] == []


def test_a_new_file_and_one_with_another_size_or_time_must_be_opened() -> None:
    files = [found("new"), found("size", size=2), found("time", mtime_ns=2)]
    result = compare(files, [known("size"), known("time")])
    assert [(task.found.path, task.known and task.known.path, task.open) for task in result.tasks] == [
        ("new", None, True),
        ("size", "size", True),
        ("time", "time", True),
    ]


def test_a_file_with_a_changed_nfo_is_read_again_without_being_opened() -> None:
    (task,) = compare([found(evidence="1 f10:7")], [known()]).tasks
    assert not task.open


def test_a_faulty_file_with_a_changed_nfo_is_opened_again() -> None:
    (task,) = compare([found(evidence="1 f10:7")], [known(fault="broken")]).tasks
    assert task.open


def test_a_removed_file_that_is_back_unchanged_has_returned() -> None:
    result = compare([found()], [known(removed=True)])
    assert [file.path for file in result.returned] == ["a.mkv"]
    assert [*result.kept, *result.tasks] == []


def test_a_file_that_is_not_found_is_absent() -> None:
    assert [file.path for file in compare([], [known()]).absent] == ["a.mkv"]


def test_files_in_an_unreadable_folder_count_as_before() -> None:
    files = [known("Shows/a.mkv"), known("Shows2/a.mkv"), known("Shows/old.mkv", removed=True), known("lone.mkv")]
    result = compare([], files, ["Shows", "lone.mkv"])
    assert [file.path for file in result.kept] == ["Shows/a.mkv", "lone.mkv"]
    assert [file.path for file in result.absent] == ["Shows2/a.mkv", "Shows/old.mkv"]


def test_a_lost_file_is_claimed_once_preferring_the_same_name() -> None:
    lost = MissingFiles([known("x/a.mkv"), known("x/b.mkv"), known("x/c.mkv", fingerprint=None)])
    claimed = [lost.claim("print", "y/b.mkv"), lost.claim("print", "y/b.mkv"), lost.claim("print", "y/b.mkv")]
    assert [file and file.path for file in claimed] == ["x/b.mkv", "x/a.mkv", None]
    assert MissingFiles([]).claim("print", "a") is None


# Movies


def test_two_files_of_one_title_and_year_are_versions_of_one_item_with_the_shortest_runtime() -> None:
    folder = Folder()
    one, two = folder.first(movie(minutes=61), movie("HEAT", minutes=60))
    assert one.links == two.links
    assert folder.item(one).runtime_ms == HOUR
    assert folder.item(one).title == "Heat"


def test_an_upgraded_file_of_another_name_is_the_same_item() -> None:
    folder = Folder()
    (old,) = folder.first(movie(minutes=61))
    folder.scan()
    new = folder.place(movie("heat", minutes=60))
    folder.finish()
    assert new.links == old.links
    assert folder.item(new).runtime_ms == HOUR


def test_a_renamed_film_is_the_same_item_under_its_new_title() -> None:
    folder = Folder()
    (old,) = folder.first(movie("Haet", None))
    folder.scan()
    new = folder.place(movie("Heat", 1995), old, same=True)
    folder.finish()
    assert new.links == old.links
    assert (folder.item(new).title, folder.item(new).year, folder.item(new).identity) == ("Heat", 1995, "heat|1995|")
    assert folder.available == ["Heat"]


def test_a_renamed_version_leaves_an_item_that_still_has_another_file() -> None:
    folder = Folder()
    stays, moves = folder.first(movie("Heat"), movie("Heat"))
    folder.scan().keep(stays)
    new = folder.place(movie("Ronin", 1998), moves, same=True)
    folder.finish()
    assert folder.item(stays).title == "Heat"
    assert folder.item(new).title == "Ronin"
    assert folder.available == ["Heat", "Ronin"]


def test_both_versions_of_a_renamed_film_stay_one_item() -> None:
    folder = Folder()
    one, two = folder.first(movie("Haet"), movie("Haet"))
    folder.scan()
    after = [folder.place(movie("Heat"), file, same=True) for file in (one, two)]
    folder.finish()
    assert after[0].links == after[1].links == one.links
    assert folder.available == ["Heat"]


def test_a_removed_film_stays_as_removed_and_returns_as_the_same_item() -> None:
    folder = Folder()
    (old,) = folder.first(movie())
    folder.scan()
    folder.finish()
    assert folder.holding(old).removed_at == NOW
    assert [item.title for item in folder.index.removed] == ["Heat"]
    folder.scan()
    new = folder.place(movie())
    folder.finish()
    assert new.links == old.links
    assert folder.holding(new).removed_at is None
    assert [item.title for item in folder.index.restored] == ["Heat"]


def test_a_returned_file_restores_its_item() -> None:
    folder = Folder()
    (old,) = folder.first(movie())
    folder.scan()
    folder.finish()
    folder.scan().keep(old)
    folder.finish()
    assert folder.available == ["Heat"]


def test_an_external_id_outweighs_title_and_year() -> None:
    folder = Folder()
    (old,) = folder.first(movie("Heat", external_ids={"tmdb": "949"}))
    folder.scan()
    new = folder.place(movie("Hitze", 1996, external_ids={"tmdb": "949", "imdb": "tt0113277"}))
    folder.finish()
    assert new.links == old.links
    assert folder.item(new).external_ids == {"tmdb": "949", "imdb": "tt0113277"}


def test_films_of_one_title_and_year_with_different_external_ids_are_two() -> None:
    folder = Folder()
    one, two = folder.first(movie(external_ids={"tmdb": "1"}), movie(external_ids={"tmdb": "2"}))
    assert one.links != two.links


def test_a_corrected_external_id_of_the_same_file_keeps_the_item() -> None:
    folder = Folder()
    (old,) = folder.first(movie(external_ids={"tmdb": "1", "imdb": "tt1"}))
    folder.scan()
    new = folder.place(movie(external_ids={"tmdb": "2"}), old, same=True)
    folder.finish()
    assert new.links == old.links
    assert folder.item(new).external_ids == {"tmdb": "2"}


def test_another_film_at_the_same_path_is_another_item() -> None:
    folder = Folder()
    (old,) = folder.first(movie(external_ids={"tmdb": "1"}))
    folder.scan()
    new = folder.place(movie("Ronin", 1998, external_ids={"tmdb": "2"}), old, same=False)
    folder.finish()
    assert new.links != old.links
    assert folder.available == ["Ronin"]


def test_of_items_with_one_external_id_the_one_with_all_ids_is_chosen() -> None:
    folder = Folder()
    first, second = folder.first(
        movie("A", 1, external_ids={"tmdb": "1", "imdb": "tt1"}), movie("B", 2, external_ids={"tmdb": "2"})
    )
    folder.items[second.links[0].item_id] = replace(folder.item(second), external_ids={"tmdb": "1", "tvdb": "3"})
    folder.scan()
    new = folder.place(movie("C", 3, external_ids={"tmdb": "1", "tvdb": "3"}))
    assert new.links == second.links != first.links
    assert folder.meant == ()


def test_external_ids_that_mean_two_films_find_neither() -> None:
    folder = Folder()
    heat, ronin = folder.first(
        movie("Heat", external_ids={"tmdb": "1"}), movie("Ronin", 1998, external_ids={"imdb": "tt2", "tvdb": "3"})
    )
    folder.scan()
    folder.index.keep(ronin)
    folder.index.keep(heat)
    new = folder.place(movie("Alien", 1979, external_ids={"tmdb": "1", "imdb": "tt2", "tvdb": "3"}))
    folder.finish()
    assert folder.meant == (heat.links[0].item_id, ronin.links[0].item_id)
    assert len({heat.links, ronin.links, new.links}) == 3
    assert (folder.item(new).title, folder.item(new).external_ids) == ("Alien", {})
    assert folder.index.merges == []


def test_a_file_whose_ids_mean_two_films_is_found_by_its_name_and_its_content() -> None:
    folder = Folder()
    heat, ronin = folder.first(movie("Heat", external_ids={"tmdb": "1"}), movie("Ronin", external_ids={"imdb": "tt2"}))
    both = {"tmdb": "1", "imdb": "tt2"}
    folder.scan().keep(heat)
    folder.index.keep(ronin)
    version = folder.place(movie("Heat", external_ids=both, from_nfo=True))
    folder.finish()
    assert version.links == heat.links
    folder.scan().keep(heat)
    renamed = folder.place(movie("Hitze", 1996, external_ids=both, fingerprint=ronin.fingerprint), ronin, same=True)
    folder.finish()
    assert renamed.links == ronin.links
    assert [folder.item(file).external_ids for file in (heat, ronin)] == [{"tmdb": "1"}, {"imdb": "tt2"}]
    assert folder.index.merges == []


def test_ids_of_a_show_that_mean_two_shows_leave_it_to_its_name() -> None:
    folder = Folder()
    dark, lost = folder.first(
        episode(1, external_ids={"tvdb": "7"}), episode(1, show="Lost", external_ids={"tmdb": "9"})
    )
    folder.scan().keep(dark)
    folder.index.keep(lost)
    new = folder.place(episode(2, external_ids={"tvdb": "7", "tmdb": "9"}))
    folder.finish()
    assert set(folder.meant) == {folder.show(dark).id, folder.show(lost).id}
    assert folder.show(new).id == folder.show(dark).id


def test_an_item_that_has_ids_of_two_others_is_merged_with_neither() -> None:
    folder = Folder()
    heat, ronin, torn = folder.first(
        movie("Heat", external_ids={"tmdb": "1"}), movie("Ronin", 1998, external_ids={"imdb": "tt2"}), movie("Heat 2")
    )
    folder.items[torn.links[0].item_id] = replace(folder.item(torn), external_ids={"tmdb": "1", "imdb": "tt2"})
    folder.scan()
    for file in (heat, ronin, torn):
        folder.index.keep(file)
    folder.finish()
    assert folder.index.merges == []


def test_an_upgrade_that_adds_the_year_is_the_same_item_once_the_old_file_is_gone() -> None:
    folder = Folder()
    (old,) = folder.first(movie("Heat", None))
    folder.scan()
    new = folder.place(movie("Heat", 1995))
    folder.finish()
    assert new.links == old.links


def test_a_film_with_a_year_does_not_match_one_without_that_still_has_its_file() -> None:
    folder = Folder()
    (old,) = folder.first(movie("Heat", None))
    folder.scan().keep(old)
    new = folder.place(movie("Heat", 1995))
    assert new.links != old.links


def test_a_second_file_does_not_rename_the_item_unless_an_nfo_says_so() -> None:
    folder = Folder()
    one, _ = folder.first(movie("Heat"), movie("HEAT", external_ids={"tmdb": "949"}))
    assert folder.item(one).title == "Heat"
    assert folder.item(one).external_ids == {"tmdb": "949"}
    folder.scan().keep(one)
    folder.place(movie("heat!", from_nfo=True))
    folder.finish()
    assert folder.item(one).title == "heat!"


def test_a_file_whose_item_this_library_does_not_hold_must_be_placed_again() -> None:
    folder = Folder()
    (old,) = folder.first(movie(external_ids={"tmdb": "949"}))
    folder.holdings.clear()
    assert folder.scan().keep(old) is False
    assert folder.scan().keep(replace(old, links=())) is False
    assert folder.index.keep(replace(old, fault="broken")) is True
    new = folder.place(movie(external_ids={"tmdb": "949"}), old, same=True)
    folder.finish()
    assert new.links == old.links
    assert folder.available == ["Heat"]


def test_a_scan_without_changes_on_disk_changes_nothing() -> None:
    folder = Folder()
    files = folder.first(movie(minutes=61), movie(minutes=60), episode(1, episode_end=2), episode(2))
    index = folder.scan()
    for file in files:
        index.keep(file)
    index.finish()
    assert folder.store() == 0
    assert [*index.removed, *index.restored] == []


def test_a_broken_file_does_not_make_an_item_available() -> None:
    folder = Folder()
    (old,) = folder.first(movie())
    folder.scan().keep(replace(old, fault="broken"))
    folder.finish()
    assert folder.available == []


def test_parts_are_one_item_whose_runtime_is_their_sum() -> None:
    folder = Folder()
    one, two = folder.first(movie(part=1, minutes=40), movie(part=2, minutes=50))
    assert one.links[0].item_id == two.links[0].item_id
    assert [one.links[0].part, two.links[0].part] == [1, 2]
    assert folder.item(one).runtime_ms == 90 * 60_000


# Shows


def test_episodes_of_one_show_in_several_folders_share_it() -> None:
    folder = Folder()
    one, two = folder.first(episode(1, show="Dark"), episode(1, show="DARK", season=2))
    assert folder.show(one) == folder.show(two)
    assert folder.item(one).season_number == 1
    assert folder.available == ["Dark", "Episode 1", "Episode 1"]


def test_a_renamed_show_is_the_same_and_keeps_its_episodes() -> None:
    folder = Folder()
    files = folder.first(episode(1), episode(2), episode(1, season=0))
    show = folder.show(files[0])
    folder.scan()
    after = [
        folder.place(episode(number, show="Darker", season=season), before, same=True)
        for (number, season), before in zip(((1, 1), (2, 1), (1, 0)), files, strict=True)
    ]
    folder.finish()
    assert [file.links for file in after] == [file.links for file in files]
    assert folder.show(after[0]).id == show.id
    assert folder.show(after[0]).title == "Darker"
    assert {folder.item(file).identity for file in after} == {"darker||s1e1", "darker||s1e2", "darker||s0e1"}


def test_episodes_without_files_follow_a_renamed_show() -> None:
    folder = Folder()
    stays, gone = folder.first(episode(1), episode(2))
    folder.scan()
    folder.place(episode(1, show="Darker"), stays, same=True)
    folder.finish()
    assert folder.item(gone).identity == "darker||s1e2"
    assert folder.holding(gone).removed_at == NOW
    folder.scan()
    assert folder.place(episode(2, show="Darker")).links == gone.links


def test_an_episode_that_moves_to_another_show_is_the_same() -> None:
    folder = Folder()
    stays, moves = folder.first(episode(1), episode(2))
    folder.scan().keep(stays)
    new = folder.place(episode(2, show="Other"), moves, same=True)
    folder.finish()
    assert new.links == moves.links
    assert folder.show(new).title == "Other"
    assert folder.show(stays).title == "Dark"


def test_a_renumbered_episode_is_the_same_and_loses_a_title_that_was_its_number() -> None:
    folder = Folder()
    (old,) = folder.first(episode(1))
    folder.scan()
    new = folder.place(episode(3), old, same=True)
    folder.finish()
    assert new.links == old.links
    assert (folder.item(new).episode_number, folder.item(new).title) == (3, "Episode 3")


def test_a_show_without_episodes_is_removed_and_returns_with_one() -> None:
    folder = Folder()
    (old,) = folder.first(episode(1))
    folder.scan()
    folder.finish()
    assert folder.available == []
    folder.scan()
    new = folder.place(episode(1))
    folder.finish()
    assert new.links == old.links
    assert folder.available == ["Dark", "Episode 1"]


def test_a_file_with_several_episodes_counts_for_all_and_has_the_length_of_the_first() -> None:
    folder = Folder()
    (file,) = folder.first(episode(1, episode_end=3, episode_title="Secrets"))
    first, *others = [folder.items[link.item_id] for link in file.links]
    assert (first.episode_end, first.runtime_ms, first.title) == (3, HOUR, "Secrets")
    assert [(each.episode_number, each.episode_end, each.runtime_ms) for each in others] == [
        (2, None, None),
        (3, None, None),
    ]


def test_the_last_number_of_a_file_with_several_episodes_goes_with_the_file() -> None:
    folder = Folder()
    (double,) = folder.first(episode(1, episode_end=2))
    folder.scan()
    single = folder.place(episode(1))
    folder.finish()
    assert single.links[0] == double.links[0]
    assert folder.item(single).episode_end is None
    assert folder.holdings[double.links[1].item_id, LIBRARY].removed_at == NOW


def test_a_misread_range_of_episodes_makes_only_one_item() -> None:
    folder = Folder()
    (file,) = folder.first(episode(1, episode_end=1080))
    assert len(file.links) == 1


def test_an_episode_of_a_daily_show_is_identified_by_its_date() -> None:
    folder = Folder()
    day = date(2024, 1, 15)
    (file,) = folder.first(episode(None, season=None, air_date=day))
    item = folder.item(file)
    assert (item.title, item.season_number, item.episode_number, item.air_date) == ("2024-01-15", None, None, day)


def test_the_ids_of_an_episode_find_it_under_another_number() -> None:
    folder = Folder()
    (old,) = folder.first(episode(1, episode_ids={"tvdb": "5"}))
    folder.scan()
    new = folder.place(episode(2, episode_ids={"tvdb": "5"}))
    assert new.links == old.links


def test_one_id_next_to_every_episode_does_not_merge_them() -> None:
    folder = Folder()
    files = folder.first(*(episode(number, episode_ids={"tvdb": "5"}) for number in (1, 2, 3)))
    assert len({file.links for file in files}) == 3
    folder.scan()
    again = [folder.place(episode(number, episode_ids={"tvdb": "5"})) for number in (1, 2, 3)]
    assert [file.links for file in again] == [file.links for file in files]


# Several libraries


def two() -> tuple[Folder, Folder]:
    first = Folder()
    return first, Folder(ELSEWHERE, first)


def test_a_film_in_two_libraries_is_one_item_if_the_lengths_agree() -> None:
    here, there = two()
    (one,) = here.first(movie(minutes=100))
    (other,) = there.first(movie(minutes=103))
    (video,) = Folder(LibraryId("third"), here).first(movie(minutes=20))
    assert other.links == one.links != video.links
    assert [file.library_id for file in here.item(one).files] == [LIBRARY, ELSEWHERE]
    assert here.item(one).runtime_ms == 100 * 60_000


def test_a_film_in_two_libraries_is_one_item_by_an_external_id_and_shows_what_the_first_tells() -> None:
    here, there = two()
    (one,) = here.first(movie(external_ids={"tmdb": "949"}))
    (other,) = there.first(movie("Hitze", None, minutes=9, external_ids={"tmdb": "949"}))
    assert other.links == one.links
    assert (here.item(one).title, there.holding(other).title) == ("Heat", "Hitze")


def test_a_file_that_was_in_another_library_is_the_same_item_under_another_title() -> None:
    here, there = two()
    (one,) = here.first(movie("Haet", None))
    here.scan()
    here.finish()
    there.scan().learn(there.stored(ContentElsewhere(one.fingerprint or "", (one.links[0].item_id,), is_present=False)))
    new = there.place(movie("Heat", fingerprint=one.fingerprint))
    there.finish()
    assert new.links == one.links
    assert (there.item(new).title, here.available, there.available) == ("Heat", [], ["Heat"])


def test_content_that_stands_under_another_title_elsewhere_says_nothing() -> None:
    here, there = two()
    (one,) = here.first(movie("Placeholder"))
    there.scan().learn(there.stored(ContentElsewhere(one.fingerprint or "", (one.links[0].item_id,), is_present=True)))
    assert there.place(movie("Heat", fingerprint=one.fingerprint)).links != one.links


def test_a_show_in_two_libraries_is_one_if_its_episodes_agree_in_length_or_its_year_is_known() -> None:
    here, there = two()
    (one, dated) = here.first(episode(1), episode(1, show="Lost", year=2004))
    (same,) = there.first(episode(1))
    assert same.links == one.links
    (other,) = there.first(episode(2, show="Lost", year=2004))
    assert there.show(other).id == here.show(dated).id
    (video,) = Folder(LibraryId("third"), here).first(episode(1, minutes=5))
    assert video.links != one.links


def test_episodes_that_trade_places_follow_their_content() -> None:
    folder = Folder()
    one, two = folder.first(episode(1), episode(2))
    folder.scan()
    folder.place(episode(2, fingerprint=one.fingerprint), one, same=True)
    folder.place(episode(1, fingerprint=two.fingerprint), two, same=True)
    folder.finish()
    assert (folder.item(one).episode_number, folder.item(two).episode_number) == (2, 1)
    assert folder.index.merges == []


def test_a_rename_that_makes_two_films_one_is_told() -> None:
    folder = Folder()
    one, two = folder.first(movie(year=None), movie())
    folder.scan().keep(two)
    folder.place(movie(fingerprint=one.fingerprint), one, same=True)
    folder.finish()
    ids = sorted((one.links[0].item_id, two.links[0].item_id))
    assert folder.index.merges == [ItemMerge(ids[0], ids[1])]


def test_an_external_id_that_appears_tells_that_two_films_are_one() -> None:
    folder = Folder()
    one, two = folder.first(movie("Heat"), movie("Hitze", 1996, external_ids={"tmdb": "949"}))
    folder.scan().keep(two)
    folder.place(movie("Heat", external_ids={"tmdb": "949"}), one, same=True)
    folder.finish()
    assert {*folder.index.merges[0]} == {one.links[0].item_id, two.links[0].item_id}


def test_content_that_stands_under_other_numbers_elsewhere_says_nothing() -> None:
    here, there = two()
    (one,) = here.first(episode(1, year=2017))
    content = ContentElsewhere(one.fingerprint or "", (one.links[0].item_id,), is_present=True)
    there.scan().learn(there.stored(content))
    same = there.place(episode(1, show="Dark!", year=2017, fingerprint=one.fingerprint))
    other = there.place(episode(2, year=2017, fingerprint=one.fingerprint))
    elsewhere = there.place(episode(1, show="Lost", year=2004, fingerprint=one.fingerprint))
    assert same.links == one.links
    assert len({one.links, other.links, elsewhere.links}) == 3


def test_what_the_store_says_twice_about_a_file_counts_once() -> None:
    here, there = two()
    (one,) = here.first(movie("Haet", None))
    here.scan()
    here.finish()
    content = ContentElsewhere(one.fingerprint or "", (one.links[0].item_id,), is_present=False)
    there.scan()
    for _ in range(2):
        there.index.learn(there.stored(content))
    assert there.place(movie("Heat", fingerprint=one.fingerprint)).links == one.links


# Titles


def test_an_episode_is_called_after_its_show_and_an_unknown_item_is_not_called_anything() -> None:
    folder = Folder()
    film, part = folder.first(movie(), episode(1, episode_title="Secrets"))
    titles = [folder.index.title_of(file.links[0].item_id) for file in (film, part)]
    assert titles == ["Heat (1995)", "Dark: Secrets"]
    assert folder.index.title_of(ItemId("unknown")) is None


def test_only_shows_are_listed_as_those_whose_episodes_are_known() -> None:
    folder = Folder()
    _, part = folder.first(movie(), episode(1))
    assert folder.index.shows == {folder.show(part).id}


def test_a_name_that_a_merged_item_had_finds_the_item_and_does_not_rename_it() -> None:
    folder = Folder()
    (old,) = folder.first(movie("Heat"))
    folder.holdings[old.links[0].item_id, LIBRARY] = folder.holding(old)._replace(also=(("Hitze", 1996),))
    folder.scan()
    new = folder.place(movie("Hitze", 1996))
    folder.finish()
    assert new.links == old.links
    assert folder.item(new).title == "Heat"


def test_a_file_whose_content_is_not_known_keeps_its_item() -> None:
    folder = Folder()
    (old,) = folder.first(movie())
    assert folder.scan().keep(replace(old, fingerprint=None))
    folder.finish()
    assert folder.available == ["Heat"]


# What a person said


def test_a_file_belongs_to_the_item_that_a_person_chose_whatever_its_name() -> None:
    here, there = two()
    (one,) = here.first(movie("Heat"))
    there.scan()
    chosen = there.place(movie("Ronin", 1998, item_id=one.links[0].item_id, part=2))
    there.finish()
    assert chosen.links == (FileLink(one.links[0].item_id, 2),)
    assert (there.item(chosen).title, there.available) == ("Heat", ["Heat"])


def test_a_chosen_item_that_no_longer_exists_leaves_the_file_to_its_name() -> None:
    folder = Folder()
    folder.scan()
    file = folder.place(movie("Heat", item_id=ItemId("gone")))
    folder.finish()
    assert folder.item(file).title == "Heat"


def test_a_file_of_several_episodes_fills_the_chosen_one_and_those_that_follow() -> None:
    folder = Folder()
    *files, special = folder.first(*(episode(number) for number in (4, 2, 3, 1)), episode(3, season=0))
    third, second = files[2], files[1]
    folder.scan()
    for file in (*files, special):
        folder.index.keep(file)
    double = folder.place(episode(7, episode_end=8, item_id=second.links[0].item_id))
    folder.finish()
    assert double.links == (*second.links, *third.links)
    assert folder.item(second).title == "Episode 2"


def test_a_chosen_episode_of_a_daily_show_has_none_that_follow() -> None:
    folder = Folder()
    daily, _ = folder.first(
        episode(None, season=None, air_date=date(2024, 1, 15)), episode(None, season=None, air_date=date(2024, 1, 16))
    )
    folder.scan()
    assert folder.place(episode(7, episode_end=8, item_id=daily.links[0].item_id)).links == daily.links


def test_items_that_a_person_told_apart_are_not_one_whatever_a_scan_finds() -> None:
    folder = Folder()
    one, two = folder.first(movie("Heat"), movie("Hitze", 1996, external_ids={"tmdb": "949"}))
    pair = frozenset({one.links[0].item_id, two.links[0].item_id})
    for apart, merges in ((frozenset({pair}), 0), (frozenset[frozenset[ItemId]](), 1)):
        index = ScanIndex(LIBRARY, folder.stored()._replace(apart=apart), now=NOW, new_id=folder.new_id)
        index.keep(two)
        index.place(one.id, movie("Heat", external_ids={"tmdb": "949"}), one, same_content=True)
        index.finish()
        assert len(index.merges) == merges


def test_files_that_a_person_identified_are_not_one_though_their_names_are_equal() -> None:
    folder = Folder()
    one, two = folder.first(movie("Haet"), movie("Heat"))
    folder.scan().keep(two)
    renamed = folder.place(movie("Heat", fingerprint=one.fingerprint), one, same=True)
    assert renamed.links == one.links
    folder.finish()
    assert len(folder.index.merges) == 1
    folder.scan().keep(replace(two, evidence=f"1{IDENTIFIED}some-id"))
    folder.index.keep(renamed)


# Titles that earlier rules took for one, or for several


def test_a_file_that_leaves_an_item_is_told_with_the_files_that_it_left() -> None:
    folder = Folder()
    one, two = folder.first(movie("Trilogy", None), movie("Trilogy", None))
    files = folder.item(one).files
    folder.scan()
    folder.place(movie("Heat", 1995), one, same=True)
    new = folder.place(movie("Ronin", 1998, fingerprint=two.fingerprint), two, same=True)
    left = folder.index.take_departures()
    assert left == [Departure(two.id, one.links[0].item_id, new.links[0].item_id, files)]
    assert len(files) == 2
    assert folder.index.take_departures() == []


def both() -> tuple[Folder, list[KnownFile]]:
    """A show of three episodes in two libraries, whose files differ, and the files of the first one."""
    here, there = two()
    files = here.first(*(episode(number, year=2017) for number in (1, 2, 3)))
    there.first(*(episode(number, year=2017) for number in (1, 2, 3)))
    here.scan()
    return here, files


def again(number: int, file: KnownFile) -> FileReading:
    return episode(number, year=2017, fingerprint=file.fingerprint)


def moved(departures: list[Departure]) -> list[tuple[ItemId, ItemId]]:
    return [(each.source, each.into) for each in departures]


def test_episodes_that_another_library_has_keep_their_numbers_and_files_that_trade_places_leave_them() -> None:
    folder, (one, two, three) = both()
    first, second, third = (file.links[0].item_id for file in (one, two, three))
    folder.index.keep(three)
    assert folder.place(again(2, one), one, same=True).links == two.links
    assert folder.index.take_departures() == []
    assert folder.place(again(1, two), two, same=True).links == one.links
    assert moved(folder.index.take_departures()) == [(first, second), (second, first)]
    folder.finish()
    assert [folder.items[item_id].episode_number for item_id in (first, second, third)] == [1, 2, 3]


def test_an_episode_that_another_library_has_is_left_for_a_new_one_of_the_new_number() -> None:
    folder, (one, two, three) = both()
    for file in (one, two):
        folder.index.keep(file)
    new = folder.place(again(12, three), three, same=True)
    folder.finish()
    assert folder.item(new).episode_number == 12
    assert folder.item(three).episode_number == 3
    assert moved(folder.index.take_departures()) == [(three.links[0].item_id, new.links[0].item_id)]


def test_where_numbers_shift_no_file_arrives_at_an_item_before_its_own_has_left() -> None:
    folder, (one, two, three) = both()
    first, second, third = (file.links[0].item_id for file in (one, two, three))
    folder.place(again(2, one), one, same=True)
    folder.place(again(3, two), two, same=True)
    assert folder.index.take_departures() == []
    new = folder.place(again(4, three), three, same=True).links[0].item_id
    assert moved(folder.index.take_departures()) == [(first, second), (second, third), (third, new)]


def test_files_that_arrive_where_another_one_has_gone_are_told_at_the_end() -> None:
    folder, (one, two, three) = both()
    folder.index.keep(three)
    folder.place(again(2, one), one, same=True)
    assert folder.index.take_departures() == []
    left = folder.index.take_departures(at_end=True)
    assert moved(left) == [(one.links[0].item_id, two.links[0].item_id)]
    assert folder.index.take_departures(at_end=True) == []


def test_a_file_whose_content_tells_nothing_leaves_no_item() -> None:
    folder = Folder()
    one, two = folder.first(movie("Heat", fingerprint="stub"), movie("Ronin", 1998, fingerprint="stub"))
    folder.scan().keep(two)
    folder.place(movie("Spy", 2015, fingerprint="stub"), one, same=True)
    assert folder.index.take_departures() == []


def test_a_file_of_an_item_that_is_not_known_here_leaves_nothing() -> None:
    folder = Folder()
    folder.scan()
    stranger = known(links=[FileLink(ItemId("unknown"))])
    folder.place(movie(), stranger, same=True)
    assert folder.index.take_departures() == []
    assert folder.index.whole_of(stranger) is None


def test_a_file_that_a_person_has_given_to_another_item_leaves_none() -> None:
    folder = Folder()
    one, two = folder.first(movie("Heat"), movie("Ronin", 1998))
    folder.scan().keep(two)
    folder.place(movie("Heat", item_id=two.links[0].item_id), one, same=True)
    assert folder.index.take_departures() == []


def test_a_show_is_named_as_its_title_tells_and_its_titles_are_those_before_and_now() -> None:
    folder = Folder()
    (old,) = folder.first(episode(1, year=2017))
    index = folder.scan()
    show_id, item_id = folder.show(old).id, old.links[0].item_id
    assert index.whole_of(old) == show_id
    assert index.is_named(show_id, episode(2, show="DARK").name)
    assert not index.is_named(show_id, episode(2, show="Darker").name)
    folder.place(episode(1, show="Darker"), old, same=True)
    assert index.title_of(item_id) == "Darker: Episode 1"
    assert index.title_of(item_id, whole=True) == "Darker"
    assert index.title_of(item_id, before=True) == "Dark (2017): Episode 1"
    assert index.title_of(item_id, before=True, whole=True) == "Dark (2017)"
    assert index.title_of(ItemId("unknown"), before=True) is None


def test_shows_of_one_episode_each_are_one_if_all_go_to_one() -> None:
    folder = Folder()
    one, two = folder.first(episode(34, show="221208 Quiz"), episode(35, show="221215 Quiz"))
    shows = [folder.show(each).id for each in (one, two)]
    folder.scan()
    after = [
        folder.place(episode(number, show="Quiz", fingerprint=each.fingerprint), each, same=True)
        for number, each in ((34, one), (35, two))
    ]
    folder.finish()
    assert [each.links for each in after] == [one.links, two.links]
    assert folder.index.merges == [ItemMerge(*shows)]


def test_a_show_is_no_part_of_two_others_nor_of_one_with_other_ids() -> None:
    folder = Folder()
    first, second = folder.first(episode(1, show="Kausi 1"), episode(2, show="Kausi 1"))
    folder.scan().keep(folder.place(episode(1, show="Saari")))
    for number, file, show in ((1, first, "Virta"), (2, second, "Meri")):
        folder.place(episode(number, show=show, fingerprint=file.fingerprint), file, same=True)
    folder.finish()
    assert folder.index.merges == []
    ids = [{"tvdb": "1"}, {"tvdb": "2"}]
    one, other = folder.first(*(episode(1, show=show, external_ids=each) for show, each in zip("AB", ids, strict=True)))
    folder.scan().keep(other)
    folder.place(episode(2, show="B", external_ids=ids[1], fingerprint=one.fingerprint), one, same=True)
    folder.finish()
    assert folder.index.merges == []


# Invariants

names = st.one_of(
    st.builds(
        movie,
        st.sampled_from(["Heat", "Ronin", "heat"]),
        st.sampled_from([None, 1995, 1998]),
        external_ids=st.sampled_from([{}, {"tmdb": "1"}, {"tmdb": "2"}, {"imdb": "tt1"}]),
        from_nfo=st.booleans(),
        part=st.sampled_from([None, 1, 2]),
    ),
    st.builds(
        episode,
        st.integers(1, 3),
        show=st.sampled_from(["Dark", "Darker"]),
        season=st.integers(0, 2),
        episode_end=st.sampled_from([None, 2, 3]),
    ),
)


@given(st.lists(names, max_size=8), st.lists(names, max_size=8))
def test_no_item_is_ever_lost_and_a_second_scan_changes_nothing(
    before: list[FileReading], after: list[FileReading]
) -> None:
    folder = Folder()
    folder.first(*before)
    ids = set(folder.items)
    folder.scan()
    files = [folder.place(each) for each in after]
    folder.finish()
    assert ids <= set(folder.items)
    index = folder.scan()
    for file in files:
        index.keep(file)
    index.finish()
    assert folder.store() == 0
    linked = {link.item_id for file in files for link in file.links}
    assert folder.held == linked | {folder.items[item_id].show_id for item_id in linked} - {None}
