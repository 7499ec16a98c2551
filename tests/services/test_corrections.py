"""Splitting, identifying and changing items and libraries on both engines, and scans that must not undo it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, delete, insert, select

from fakes import Ids
from playhead.domain.catalogue import TitlesOnRemoval
from playhead.domain.events import Change
from playhead.domain.identifying import IdentifiedAs
from playhead.domain.model import FileId, ItemId, ItemKind, LibraryId, LibraryKind, Milliseconds, UserId
from playhead.domain.playback import Policy, Report
from playhead.errors import Code, PlayheadError
from playhead.media.names import filenames
from playhead.services.auditing import Audit
from playhead.services.correcting import Correcting
from playhead.services.events import Events
from playhead.services.libraries import Libraries
from playhead.services.merging import Merging
from playhead.services.playback import Playback
from playhead.services.splitting import SplitPlan, Splitting
from playhead.storage import schema
from playhead.storage.catalogue import find_item, holdings_of
from scanned import ADMIN, ScannedLibrary, remember, remembered

pytestmark = pytest.mark.anyio


async def nobody(_: Collection[str]) -> frozenset[str]:
    return frozenset()


class Told(list[Change]):
    def __call__(self, changes: Sequence[Change]) -> None:
        self.extend(changes)


class Corrections:
    """All services that correct one library's catalogue. What they start to scan is scanned at once."""

    def __init__(self, library: ScannedLibrary) -> None:
        self.library = library
        self.database = library.database
        tools: dict[str, Any] = {"clock": library.clock, "new_id": library.ids}
        self.told = Told()
        self.scans: list[LibraryId] = []
        self.merging = Merging(self.database, policy=Policy(), publish=self.told, **tools)
        self.splitting = Splitting(self.database, policy=Policy(), parse=filenames.parse, publish=self.told, **tools)
        self.correcting = Correcting(self.database, scan=self._scan, parse=filenames.parse, **tools)
        self.libraries = Libraries(self.database, publish=self.told, **tools)
        self.audit = Audit(self.database, self.correcting, self.libraries, clock=library.clock)

    async def _scan(self, library_id: LibraryId) -> None:
        self.scans.append(library_id)
        await self.library.scanner.scan(library_id)

    async def scan_again(self) -> None:
        """Scan with changed rules of names, so that every file is read again."""
        await self.write(lambda connection: connection.execute(schema.media_file.update().values(evidence="old")))
        await self.library.scan()

    async def write(self, fn: Callable[[Connection], object]) -> None:
        await self.database.write(lambda connection: fn(connection) and None)

    async def item(self, item_id: ItemId) -> Any:  # noqa: ANN401
        return await self.database.read(lambda connection: find_item(connection, item_id))

    async def file_at(self, path: str) -> FileId:
        query = select(schema.media_file.c.id).where(schema.media_file.c.path == path)
        return FileId(await self.database.read(lambda connection: connection.execute(query).scalar_one()))

    async def titles(self) -> dict[str, int]:
        """Return the titles that the library has, each with the number of its files."""
        found: dict[str, int] = {}
        for view in await self.library.items():
            name = view.item.title if view.item.year is None else f"{view.item.title} ({view.item.year})"
            found[name] = len(view.item.files)
        return found

    async def undo(self) -> None:
        entry = (await self.audit.page(None, 1)).entries[0].entry
        await self.audit.undo(entry.id)
        await self.correcting.rescanned()

    async def close(self) -> None:
        await self.correcting.close()
        await self.merging.close()


@pytest.fixture
async def movies_corrected(movies: ScannedLibrary) -> AsyncIterator[Corrections]:
    opened = Corrections(movies)
    yield opened
    await opened.close()


@pytest.fixture
async def shows_corrected(shows: ScannedLibrary) -> AsyncIterator[Corrections]:
    opened = Corrections(shows)
    yield opened
    await opened.close()


async def refusal(refused: Any) -> tuple[Code, Any]:  # noqa: ANN401
    with pytest.raises(PlayheadError) as raised:
        await refused
    return raised.value.code, raised.value.details or raised.value.message


# Merges and later scans


async def test_a_scan_leaves_merged_films_merged(movies_corrected: Corrections) -> None:
    here = movies_corrected
    here.library.film("Copper Sky (1974).mkv")
    here.library.film("Cooper Sky (1975).mkv")
    await here.library.scan()
    one, other = sorted(await here.library.items(), key=lambda view: view.item.title)
    await here.merging.merge(ADMIN, other.item.id, one.item.id)
    assert await here.titles() == {"Copper Sky (1974)": 2}
    await here.scan_again()
    here.library.film("Cooper Sky (1975) 4K.mkv", text="another")
    await here.library.scan()
    assert await here.titles() == {"Copper Sky (1974)": 3}


async def test_a_scan_leaves_merged_films_with_contradicting_ids_merged(movies_corrected: Corrections) -> None:
    here = movies_corrected
    here.library.film("Copper Sky (1974) [tmdbid-7].mkv")
    here.library.film("Cooper Sky (1975) [tmdbid-8].mkv")
    await here.library.scan()
    one, other = sorted(await here.library.items(), key=lambda view: view.item.title)
    await here.merging.merge(ADMIN, other.item.id, one.item.id)
    await here.scan_again()
    assert await here.titles() == {"Copper Sky (1974)": 2}


async def test_a_scan_leaves_merged_shows_merged_and_new_episodes_join(shows_corrected: Corrections) -> None:
    here = shows_corrected
    here.library.film("Tidal Station/S01E01.mkv")
    here.library.film("Tidal Stn/S01E01.mkv", text="double")
    await here.library.scan()
    one, other = sorted(await here.library.items(ItemKind.SHOW), key=lambda view: view.item.title)
    await here.merging.merge(ADMIN, one.item.id, other.item.id)
    await here.scan_again()
    here.library.film("Tidal Stn/S01E02.mkv")
    await here.library.scan()
    assert await here.library.titles(ItemKind.SHOW) == ["Tidal Station"]
    assert set(await here.library.episodes()) == {(1, 1), (1, 2)}


# Splits


async def test_a_split_makes_another_film_which_scans_leave_alone(movies_corrected: Corrections) -> None:
    here = movies_corrected
    here.library.film("Summer (2019)/Summer (2019) - first.mkv")
    here.library.film("Summer (2019)/Summer (2019) - second.mkv")
    await here.library.scan()
    film = (await here.library.items())[0].item
    await here.write(lambda connection: remember(connection, film.id))
    second = await here.file_at("Summer (2019)/Summer (2019) - second.mkv")
    made = await here.splitting.split(ADMIN, film.id, SplitPlan([second], title="Summer at the lake"))
    assert (made.title, made.runtime_ms, [file.file_id for file in made.files]) == (
        "Summer at the lake",
        90 * 60_000,
        [second],
    )
    assert await here.titles() == {"Summer (2019)": 1, "Summer at the lake": 1}
    assert await here.database.read(remembered) == [film.id]
    await here.scan_again()
    assert await here.titles() == {"Summer (2019)": 1, "Summer at the lake": 1}


async def test_a_split_takes_apart_what_was_merged_also_when_its_files_are_released(
    movies_corrected: Corrections,
) -> None:
    here = movies_corrected
    here.library.scanner = here.library.new_scanner(merge=here.merging.merge_found)
    for title in ("Amber (2001)", "Birch (2002)", "Birch (2002) - 4K"):
        here.library.film(f"{title}.mkv")
    await here.library.scan()
    amber, birch = [view.item for view in await here.library.items()]
    await here.merging.merge(ADMIN, amber.id, birch.id)
    both = [await here.file_at("Birch (2002).mkv"), await here.file_at("Birch (2002) - 4K.mkv")]
    await here.splitting.split(ADMIN, amber.id, SplitPlan(both))
    for file in both:
        await here.correcting.release(ADMIN, file)
    await here.correcting.rescanned()
    for _ in range(2):
        assert await here.titles() == {"Amber (2001)": 1, "Birch (2002)": 2}
        await here.scan_again()


async def test_a_split_film_is_named_as_its_file_is(movies_corrected: Corrections) -> None:
    here = movies_corrected
    here.library.film("Copper Sky (1974).mkv")
    here.library.film("Cooper Sky (1975).mkv")
    await here.library.scan()
    one, other = sorted(await here.library.items(), key=lambda view: view.item.title)
    merged = (await here.merging.merge(ADMIN, other.item.id, one.item.id)).item
    file = await here.file_at("Cooper Sky (1975).mkv")
    made = await here.splitting.split(ADMIN, merged.id, SplitPlan([file]))
    assert (made.title, made.year) == ("Cooper Sky", 1975)
    assert made.id != one.item.id, "an id that became an alias stays one"


async def test_state_moves_along_for_users_who_played_one_of_the_files(movies_corrected: Corrections) -> None:
    here = movies_corrected
    here.library.film("Summer (2019)/Summer (2019) - first.mkv")
    here.library.film("Summer (2019)/Summer (2019) - second.mkv")
    await here.library.scan()
    film = (await here.library.items())[0].item
    first, second = [await here.file_at(f"Summer (2019)/Summer (2019) - {each}.mkv") for each in ("first", "second")]
    playback = Playback(
        here.database,
        Events(monotonic=asyncio.get_running_loop().time, ended_tokens=nobody),
        clock=here.library.clock,
        new_id=here.library.ids,
        policy=Policy(),
    )
    users = {file: UserId(here.library.ids()) for file in (first, second, None)}

    def add(connection: Connection) -> None:
        for user_id in users.values():
            account = {"id": user_id, "name": "", "role": "admin", "password_hash": "", "created_at": 0}
            connection.execute(insert(schema.account), [account])

    await here.write(add)
    for file, user_id in users.items():
        report = Report(Milliseconds(60 * 60_000), Milliseconds(90 * 60_000), file_id=file)
        await playback.save(user_id, ItemKind.MOVIE, film.id, report)
    await playback.close()
    made = await here.splitting.split(ADMIN, film.id, SplitPlan([second], title="Winter", with_state=True))
    rows = select(schema.progress.c.user_id, schema.progress.c.item_id)
    found = await here.database.read(lambda connection: {(row[0], row[1]) for row in connection.execute(rows)})
    assert found == {(users[first], film.id), (users[second], made.id), (users[None], film.id)}
    assert [(change.user_id, set(change.item_ids)) for change in here.told] == [(users[second], {film.id, made.id})]


async def test_files_can_be_given_to_an_item_that_exists(movies_corrected: Corrections) -> None:
    here = movies_corrected
    here.library.film("Summer (2019).mkv")
    here.library.film("Winter (2019).mkv")
    await here.library.scan()
    summer, winter = sorted((view.item for view in await here.library.items()), key=lambda item: item.title)
    file = await here.file_at("Summer (2019).mkv")
    into = await here.splitting.split(ADMIN, summer.id, SplitPlan([file], into_id=winter.id))
    assert (into.id, len(into.files)) == (winter.id, 2)
    held = await here.database.read(lambda connection: holdings_of(connection, [summer.id])[summer.id])
    assert [each.removed_at for each in held] == [here.library.clock.now]
    await here.scan_again()
    assert await here.titles() == {"Winter (2019)": 2}


async def test_two_shows_under_one_name_are_split_by_their_files(shows_corrected: Corrections) -> None:
    here = shows_corrected
    for country in ("uk", "us"):
        for number in (1, 2):
            here.library.film(f"{country}/Harbour/Harbour.S01E0{number}.mkv", text=f"{country}{number}")
    here.library.film("us/Harbour/Harbour.S01E03E04.mkv", text="us34")
    await here.library.scan()
    show = (await here.library.items(ItemKind.SHOW))[0].item
    files = [await here.file_at(f"us/Harbour/Harbour.S01E0{number}.mkv") for number in ("1", "2", "3E04")]
    made = await here.splitting.split(ADMIN, show.id, SplitPlan(files, title="Harbour (US)"))
    assert made.kind is ItemKind.SHOW

    async def numbers() -> dict[str, list[tuple[int | None, int]]]:
        found: dict[str, list[tuple[int | None, int]]] = {"Harbour": [], "Harbour (US)": []}
        for view in await here.library.items(ItemKind.EPISODE):
            parent = "Harbour (US)" if view.item.show_id == made.id else "Harbour"
            found[parent].append((view.item.episode_number, len(view.item.files)))
        return {title: sorted(several) for title, several in found.items()}

    split = {"Harbour": [(1, 1), (2, 1)], "Harbour (US)": [(1, 1), (2, 1), (3, 1), (4, 1)]}
    assert await numbers() == split
    await here.scan_again()
    assert await numbers() == split


async def test_what_cannot_be_split_is_refused(shows_corrected: Corrections) -> None:
    here = shows_corrected
    here.library.film("Harbour/Harbour.S01E01.mkv")
    await here.library.scan()
    show = (await here.library.items(ItemKind.SHOW))[0].item
    episode = (await here.library.items(ItemKind.EPISODE))[0].item
    file, other = await here.file_at("Harbour/Harbour.S01E01.mkv"), FileId(here.library.ids())
    cases: list[tuple[ItemId, SplitPlan, dict[str, list[str]]]] = [
        (show.id, SplitPlan([]), {"file_ids": ["must name at least one file"]}),
        (show.id, SplitPlan([other]), {"file_ids": [f"{other} is not a file of this item"]}),
        (show.id, SplitPlan([file], show.id), {"into": ["must be another item"]}),
        (show.id, SplitPlan([file], episode.id), {"into": ["must be a show"]}),
        (episode.id, SplitPlan([file]), {"into": ["must name the episode that the files belong to"]}),
    ]
    for item_id, plan, faults in cases:
        assert await refusal(here.splitting.split(ADMIN, item_id, plan)) == (Code.INVALID, faults)
    missing = SplitPlan([file], ItemId(here.library.ids()))
    assert (await refusal(here.splitting.split(ADMIN, show.id, missing)))[0] is Code.NOT_FOUND


# Identities of files


async def test_a_file_is_what_an_admin_says_until_that_is_released(movies_corrected: Corrections) -> None:
    here = movies_corrected
    here.library.film("xvid-cs.mkv")
    await here.library.scan()
    file = await here.file_at("xvid-cs.mkv")
    told = IdentifiedAs(title="Copper Sky", year=1974, external_ids={"tmdb": "7"})
    known = await here.correcting.identify(ADMIN, [file], told)
    assert (known.file.path, known.told, known.library) == ("xvid-cs.mkv", told, "movies")
    await here.correcting.rescanned()
    assert await here.titles() == {"Copper Sky (1974)": 1}
    await here.scan_again()
    (here.library.root / "xvid-cs.mkv").rename(here.library.root / "renamed.mkv")
    await here.library.scan()
    assert await here.titles() == {"Copper Sky (1974)": 1}
    await here.correcting.release(ADMIN, file)
    await here.correcting.rescanned()
    assert (await here.correcting.read_identity(file)).told is None
    assert (await refusal(here.correcting.release(ADMIN, file)))[0] is Code.NOT_FOUND


async def test_progress_stays_when_a_file_is_identified(movies_corrected: Corrections) -> None:
    here = movies_corrected
    here.library.film("xvid-cs.mkv")
    await here.library.scan()
    film = (await here.library.items())[0].item
    await here.write(lambda connection: remember(connection, film.id))
    await here.correcting.identify(ADMIN, [await here.file_at("xvid-cs.mkv")], IdentifiedAs(title="Copper Sky"))
    await here.correcting.rescanned()
    assert [(view.item.id, view.item.title) for view in await here.library.items()] == [(film.id, "Copper Sky")]


async def test_an_ignored_file_is_skipped_and_undoing_brings_it_back(movies_corrected: Corrections) -> None:
    here = movies_corrected
    here.library.film("Summer (2019).mkv")
    await here.library.scan()
    file = await here.file_at("Summer (2019).mkv")
    await here.correcting.identify(ADMIN, [file], IdentifiedAs(is_ignored=True))
    await here.correcting.rescanned()
    assert await here.titles() == {}
    assert (await here.correcting.read_identity(file)).file.fault == "it was marked as no film"
    await here.undo()
    assert await here.titles() == {"Summer (2019)": 1}


async def test_a_skipped_file_becomes_an_episode_of_a_show(shows_corrected: Corrections) -> None:
    here = shows_corrected
    here.library.film("Harbour/Harbour.S01E01.mkv")
    here.library.film("Harbour/the lost one.mkv")
    await here.library.scan()
    assert set(await here.library.episodes()) == {(1, 1)}
    lost = await here.correcting.read_identity_at(here.library.id, "Harbour/the lost one.mkv")
    assert (lost.read, lost.items) == (None, [])
    assert lost.file.fault is not None
    told = IdentifiedAs(kind=ItemKind.EPISODE, title="Harbour", season_number=1, episode_number=2)
    await here.correcting.identify(ADMIN, [lost.file.id], told)
    await here.correcting.rescanned()
    assert set(await here.library.episodes()) == {(1, 1), (1, 2)}


async def test_a_file_can_be_said_to_be_an_item(movies_corrected: Corrections) -> None:
    here = movies_corrected
    here.library.film("Summer (2019).mkv")
    here.library.film("Winter (2019).mkv")
    await here.library.scan()
    summer, winter = sorted((view.item for view in await here.library.items()), key=lambda item: item.title)
    file = await here.file_at("Summer (2019).mkv")
    await here.correcting.identify(ADMIN, [file], IdentifiedAs(item_id=winter.id))
    await here.correcting.rescanned()
    assert await here.titles() == {"Winter (2019)": 2}
    faults = {"item_id": ["must be a movie or an episode"]}
    nothing = IdentifiedAs(item_id=ItemId(here.library.ids()))
    assert await refusal(here.correcting.identify(ADMIN, [file], nothing)) == (Code.INVALID, faults)
    await here.merging.merge(ADMIN, summer.id, winter.id)
    known = await here.correcting.read_identity(file)
    assert known.told == IdentifiedAs(item_id=summer.id)


NFO = "<movie><uniqueid type='tmdb'>{}</uniqueid><uniqueid type='imdb'>{}</uniqueid></movie>"


async def torn(here: Corrections) -> tuple[ItemId, ItemId]:
    """Add two films, and a third one whose ids are those of both; return the first two."""
    here.library.film("Copper Sky (1974) {tmdb-7}.mkv")
    here.library.film("Salt Road (1981) {imdb-tt0000008}.mkv")
    await here.library.scan()
    copper, salt = [view.item.id for view in await here.library.items()]
    here.library.film("Tin Roof (1990).mkv")
    here.library.nfo("Tin Roof (1990).nfo", NFO.format(7, "tt0000008"))
    return copper, salt


async def test_a_film_whose_ids_mean_two_films_is_neither_and_is_listed_for_an_admin(
    movies_corrected: Corrections,
) -> None:
    here = movies_corrected
    copper, salt = await torn(here)
    report = await here.library.scan()
    assert report.unclear == [("Tin Roof (1990).mkv", report.unclear[0].titles)]
    assert set(report.unclear[0].titles) == {"Copper Sky (1974)", "Salt Road (1981)"}
    assert await here.titles() == {"Copper Sky (1974)": 1, "Salt Road (1981)": 1, "Tin Roof (1990)": 1}
    assert (await here.item(copper)).external_ids == {"tmdb": "7"}
    (guessed,) = (await here.correcting.review(here.library.id)).guessed
    assert {each.id for each in guessed.meant} == {copper, salt}
    assert await here.merging.merge_certain() == 0
    await here.correcting.identify(ADMIN, [guessed.file.id], IdentifiedAs(item_id=salt))
    await here.correcting.rescanned()
    assert await here.titles() == {"Copper Sky (1974)": 1, "Salt Road (1981)": 2}
    assert (await here.correcting.review(here.library.id)).guessed == []


async def test_ids_that_mean_two_films_are_no_longer_listed_when_these_are_merged(
    movies_corrected: Corrections,
) -> None:
    here = movies_corrected
    copper, salt = await torn(here)
    await here.library.scan()
    await here.merging.merge(ADMIN, copper, salt)
    assert (await here.correcting.review(here.library.id)).guessed == []
    await here.scan_again()
    assert await here.merging.merge_certain() == 1
    assert [view.item.id for view in await here.library.items()] == [copper]


async def test_what_a_file_is_goes_along_through_renames_and_replacements(movies_corrected: Corrections) -> None:
    here = movies_corrected
    root = here.library.root
    here.library.film("xvid-cs.mkv")
    await here.library.scan()
    file = await here.file_at("xvid-cs.mkv")
    await here.correcting.identify(ADMIN, [file], IdentifiedAs(title="Copper Sky", year=1974))
    await here.correcting.rescanned()
    (root / "xvid-cs.mkv").rename(root / "Blue Moon (2011).mkv")
    await here.library.scan()
    here.library.film("Blue Moon (2011).mkv", text="a better copy")
    await here.library.scan()
    assert await here.titles() == {"Copper Sky (1974)": 1}
    (root / "Blue Moon (2011).mkv").rename(root / "Red Sun (2012).mkv")
    await here.library.scan()
    assert await here.titles() == {"Copper Sky (1974)": 1}
    here.library.film("Blue Moon (2011).mkv")  # another file, under a name that the first one had
    await here.library.scan()
    assert await here.titles() == {"Blue Moon (2011)": 1, "Copper Sky (1974)": 1}
    assert (await here.library.scan()).unchanged == 2
    await here.correcting.release(ADMIN, file)
    await here.correcting.rescanned()
    assert await here.titles() == {"Blue Moon (2011)": 1, "Red Sun (2012)": 1}


async def test_two_identified_files_that_trade_places_keep_what_they_are(movies_corrected: Corrections) -> None:
    here = movies_corrected
    root = here.library.root
    for name, title in (("a.mkv", "Copper Sky"), ("b.mkv", "Red Sun")):
        here.library.film(name, minutes=80 if name == "a.mkv" else 90)
        await here.library.scan()
        await here.correcting.identify(ADMIN, [await here.file_at(name)], IdentifiedAs(title=title))
        await here.correcting.rescanned()
    for before, after in (("a.mkv", "c"), ("b.mkv", "a.mkv"), ("c", "b.mkv")):
        (root / before).rename(root / after)
    for _ in range(2):
        await here.library.scan()
        found = {view.item.title: view.item.runtime_ms for view in await here.library.items()}
        assert found == {"Copper Sky": 80 * 60_000, "Red Sun": 90 * 60_000}


async def test_an_ignored_file_stays_ignored_when_it_is_renamed_and_can_be_released(
    movies_corrected: Corrections,
) -> None:
    here = movies_corrected
    root = here.library.root
    here.library.film("Summer (2019).mkv")
    await here.library.scan()
    await here.correcting.identify(ADMIN, [await here.file_at("Summer (2019).mkv")], IdentifiedAs(is_ignored=True))
    await here.correcting.rescanned()
    (root / "Summer (2019).mkv").rename(root / "Winter (2019).mkv")
    await here.library.scan()
    assert await here.titles() == {}
    assert (await here.library.scan()).changed == []
    await here.correcting.release(ADMIN, await here.file_at("Winter (2019).mkv"))
    await here.correcting.rescanned()
    assert await here.titles() == {"Winter (2019)": 1}


async def test_what_a_file_is_goes_along_to_the_library_that_follows_a_removed_one(
    movies_corrected: Corrections, tmp_path: Path
) -> None:
    here = movies_corrected
    here.library.film("xvid-cs.mkv")
    await here.library.scan()
    await here.correcting.identify(ADMIN, [await here.file_at("xvid-cs.mkv")], IdentifiedAs(title="Copper Sky"))
    await here.correcting.rescanned()
    await here.libraries.remove(ADMIN, here.library.id, TitlesOnRemoval.KEEP)
    disk = tmp_path / "another disk"
    disk.mkdir()
    (here.library.root / "xvid-cs.mkv").rename(disk / "xvid-cs.mkv")
    here.library.root = disk
    here.library.id = (await here.library.catalogue.add_library("again", LibraryKind.MOVIES, disk)).id
    await here.library.scan()
    here.library.film("xvid-cs.mkv", text="a better copy")
    await here.library.scan()
    assert [(view.item.title, len(view.item.files)) for view in await here.library.items() if view.available] == [
        ("Copper Sky", 1)
    ]


async def test_an_unknown_file_is_not_found(movies_corrected: Corrections) -> None:
    here = movies_corrected
    nowhere = FileId(here.library.ids())
    assert (await refusal(here.correcting.read_identity(nowhere)))[0] is Code.NOT_FOUND
    assert (await refusal(here.correcting.read_identity_at(here.library.id, "no.mkv")))[0] is Code.NOT_FOUND


async def test_an_identification_that_was_replaced_cannot_be_undone(movies_corrected: Corrections) -> None:
    here = movies_corrected
    here.library.film("Summer (2019).mkv")
    await here.library.scan()
    file = await here.file_at("Summer (2019).mkv")
    await here.correcting.identify(ADMIN, [file], IdentifiedAs(title="Autumn"))
    first = (await here.audit.page(None, 1)).entries[0].entry
    here.library.clock.advance(1)
    await here.correcting.identify(ADMIN, [file], IdentifiedAs(title="Winter"))
    assert await refusal(here.audit.undo(first.id)) == (Code.CONFLICT, "It has been changed since")
    await here.undo()
    assert (await here.correcting.read_identity(file)).told == IdentifiedAs(title="Autumn")


# Members of items


async def test_pinned_members_outlast_scans_until_they_are_left_to_files_again(movies_corrected: Corrections) -> None:
    here = movies_corrected
    here.library.film("Cooper Sky (1974).mkv")
    await here.library.scan()
    film = (await here.library.items())[0].item
    changes = {"title": "Copper Sky", "year": 1975, "runtime_ms": 60_000, "external_ids": {"tmdb": "7"}}
    changed = await here.correcting.change_item(ADMIN, film.id, changes)
    assert (changed.title, changed.year, changed.runtime_ms, changed.external_ids) == (
        "Copper Sky",
        1975,
        60_000,
        {"tmdb": "7"},
    )
    await here.scan_again()
    assert await here.item(film.id) == changed
    changed = await here.correcting.change_item(ADMIN, film.id, {"title": None, "runtime_ms": None})
    assert (changed.title, changed.year, changed.runtime_ms) == ("Cooper Sky", 1975, 90 * 60_000)


async def test_a_change_of_an_item_can_be_undone_until_the_next(movies_corrected: Corrections) -> None:
    here = movies_corrected
    here.library.film("Cooper Sky (1974).mkv")
    await here.library.scan()
    before = (await here.library.items())[0].item
    await here.correcting.change_item(ADMIN, before.id, {"title": "Copper Sky", "credits_ms": 5})
    await here.undo()
    assert await here.item(before.id) == before
    entry = (await here.audit.page(None, 1)).entries[0].entry
    assert entry.undone_at is not None
    assert await refusal(here.audit.undo(entry.id)) == (Code.CONFLICT, "It is undone already")
    await here.correcting.change_item(ADMIN, before.id, {"title": "Copper Sky"})
    first = (await here.audit.page(None, 2)).entries
    here.library.clock.advance(1)
    await here.correcting.change_item(ADMIN, before.id, {"title": "Kupferhimmel"})
    open_entry = next(view.entry for view in first if view.entry.undone_at is None)
    assert await refusal(here.audit.undo(open_entry.id)) == (Code.CONFLICT, "It has been changed since")


async def test_a_renamed_show_keeps_its_episodes(shows_corrected: Corrections) -> None:
    here = shows_corrected
    here.library.film("Harbour/Harbour.S01E01.mkv")
    await here.library.scan()
    show = (await here.library.items(ItemKind.SHOW))[0].item
    await here.correcting.change_item(ADMIN, show.id, {"title": "Tidal Station", "year": 2021})
    episode = (await here.library.items(ItemKind.EPISODE))[0].item
    assert episode.identity == "tidal station|2021|s1e1"
    await here.scan_again()
    assert await here.library.titles(ItemKind.SHOW) == ["Tidal Station"]
    assert await here.library.episodes() == {(1, 1): episode.id}
    assert await refusal(here.correcting.change_item(ADMIN, episode.id, {"year": 2020})) == (
        Code.INVALID,
        {"year": ["must not be set: an episode has none"]},
    )
    assert await refusal(here.correcting.change_item(ADMIN, show.id, {"runtime_ms": 1, "credits_ms": 1})) == (
        Code.INVALID,
        {"runtime_ms": ["must not be set: a show has none"], "credits_ms": ["must not be set: a show has none"]},
    )


# Holdings


async def test_an_item_taken_out_of_a_library_stays_out_until_that_is_undone(shows_corrected: Corrections) -> None:
    here = shows_corrected
    here.library.film("Harbour/Harbour.S01E01.mkv")
    await here.library.scan()
    show = (await here.library.items(ItemKind.SHOW))[0].item
    await here.correcting.end_holding(ADMIN, here.library.id, show.id)
    await here.scan_again()
    assert await here.library.items() == []
    assert (await refusal(here.correcting.end_holding(ADMIN, here.library.id, show.id)))[0] is Code.NOT_FOUND
    await here.undo()
    assert len(await here.library.items()) == 2
    nowhere = LibraryId(here.library.ids())
    assert (await refusal(here.correcting.end_holding(ADMIN, nowhere, show.id)))[0] is Code.NOT_FOUND


# Libraries


async def test_a_library_is_renamed_and_that_undone(movies_corrected: Corrections) -> None:
    here = movies_corrected
    changed = await here.libraries.change(ADMIN, here.library.id, name="Films")
    assert changed.name == "Films"
    await here.libraries.change(ADMIN, here.library.id, name="Films")
    await here.undo()
    assert [view.library.name for view in await here.library.catalogue.list_libraries(ADMIN)] == ["movies"]


async def test_a_moved_library_finds_its_films(movies_corrected: Corrections, tmp_path: Path) -> None:
    here = movies_corrected
    here.library.film("Copper Sky (1974).mkv")
    await here.library.scan()
    film = (await here.library.items())[0].item
    elsewhere = tmp_path / "disk2"
    here.library.root.rename(elsewhere)
    changed = await here.libraries.change(ADMIN, here.library.id, path=str(elsewhere))
    assert changed.path == str(elsewhere.resolve())
    report = await here.library.scan()
    assert (report.unchanged, report.added, report.removed) == (1, [], [])
    assert [view.item.id for view in await here.library.items()] == [film.id]
    elsewhere.rename(here.library.root)
    await here.undo()
    assert here.scans == [here.library.id]
    assert [view.item.id for view in await here.library.items()] == [film.id]


async def test_faulty_changes_of_a_library_are_refused(movies_corrected: Corrections, tmp_path: Path) -> None:
    here = movies_corrected
    change = here.libraries.change
    other = ScannedLibrary(here.database, tmp_path / "other", LibraryKind.SHOWS, here.library.ids)
    await other.open()
    inside = other.root / "inside"
    inside.mkdir()
    (tmp_path / "free").mkdir()
    assert (await refusal(change(ADMIN, here.library.id, name="", path="/nowhere")))[0] is Code.INVALID
    assert await refusal(change(ADMIN, here.library.id, name="shows")) == (Code.CONFLICT, "This name is taken")
    assert (await refusal(change(ADMIN, here.library.id, path=str(inside))))[0] is Code.CONFLICT
    nowhere = LibraryId(here.library.ids())
    assert (await refusal(change(ADMIN, nowhere, name="Films")))[0] is Code.NOT_FOUND
    imported = await here.library.catalogue.add_library("Imported", LibraryKind.MOVIES, None)
    assert (await refusal(change(ADMIN, imported.id, path=str(tmp_path / "free"))))[0] is Code.CONFLICT


async def test_a_removed_library_is_found_again_wherever_it_is_added(
    movies_corrected: Corrections, tmp_path: Path
) -> None:
    here = movies_corrected
    here.library.film("Copper Sky (1974).mkv")
    await here.library.scan()
    film = (await here.library.items())[0].item
    await here.write(lambda connection: remember(connection, film.id))
    await here.libraries.remove(ADMIN, here.library.id, TitlesOnRemoval.KEEP)
    assert await here.library.catalogue.list_libraries(ADMIN) == []
    assert (await here.item(film.id)).files == ()
    assert await here.database.read(remembered) == [film.id]
    elsewhere = tmp_path / "disk2"
    here.library.root.rename(elsewhere)
    again = await here.library.catalogue.add_library("movies", LibraryKind.MOVIES, elsewhere)
    await here.library.scanner.scan(again.id)
    assert [view.item.id for view in await here.library.items()] == [film.id]
    removal = (await here.audit.page(None, 1)).entries[0].entry
    assert (await refusal(here.audit.undo(removal.id)))[0] is Code.CONFLICT


async def test_removing_a_library_is_undone_with_everything_in_it(movies_corrected: Corrections) -> None:
    here = movies_corrected
    here.library.film("Copper Sky (1974).mkv")
    await here.library.scan()
    before = (await here.library.items())[0].item
    await here.libraries.remove(ADMIN, here.library.id, TitlesOnRemoval.KEEP)
    await here.undo()
    assert [view.item for view in await here.library.items()] == [before]
    report = await here.library.scan()
    assert (report.unchanged, report.restored, report.added) == (1, [], [])
    removal = (await here.audit.page(None, 1)).entries[0].entry
    here.library.clock.advance(1)
    assert (await refusal(here.audit.undo(removal.id)))[0] is Code.CONFLICT


async def test_with_delete_the_state_of_orphans_goes_but_not_that_of_titles_held_elsewhere(
    movies_corrected: Corrections, tmp_path: Path
) -> None:
    here = movies_corrected
    here.library.film("Copper Sky (1974).mkv", text="one")
    here.library.film("Kept (1974).mkv", text="two")
    await here.library.scan()
    other = ScannedLibrary(here.database, tmp_path / "other", LibraryKind.MOVIES, here.library.ids)
    other.kind = LibraryKind.MOVIES
    other.id = (await other.catalogue.add_library("other", LibraryKind.MOVIES, other.root)).id
    other.film("Kept (1974).mkv", text="two")
    await other.scan()
    orphan, kept = sorted((view.item for view in await here.library.items()), key=lambda item: item.title)

    def store(connection: Connection) -> None:
        remember(connection, orphan.id)
        row = connection.execute(select(schema.progress)).one()._asdict()
        connection.execute(insert(schema.progress), [row | {"item_id": kept.id}])

    await here.write(store)
    await here.libraries.remove(ADMIN, here.library.id, TitlesOnRemoval.DELETE)
    assert await here.database.read(remembered) == [kept.id]
    assert [change.user_id for change in here.told] == [ADMIN.user_id]
    assert (await here.item(orphan.id)).title == "Copper Sky"


async def test_nothing_is_corrected_while_a_library_is_scanned(movies_corrected: Corrections, tmp_path: Path) -> None:
    here = movies_corrected
    here.library.film("Copper Sky (1974).mkv")
    await here.library.scan()
    film = (await here.library.items())[0].item
    (tmp_path / "free").mkdir()
    lease = schema.library.update().values(scan_id=here.library.ids(), scan_until=here.library.clock.now + 1)
    await here.write(lambda connection: connection.execute(lease))
    refused = [
        here.splitting.split(ADMIN, film.id, SplitPlan([await here.file_at("Copper Sky (1974).mkv")])),
        here.correcting.change_item(ADMIN, film.id, {"title": "Copper"}),
        here.libraries.change(ADMIN, here.library.id, path=str(tmp_path / "free")),
        here.libraries.remove(ADMIN, here.library.id, TitlesOnRemoval.KEEP),
    ]
    assert {(await refusal(each))[0] for each in refused} == {Code.CONFLICT}


# The log


async def test_the_log_is_paged_newest_first_and_merges_cannot_be_undone(movies_corrected: Corrections) -> None:
    here = movies_corrected
    for title in ("Summer (2019)", "Winter (2019)"):
        here.library.film(f"{title}.mkv")
    await here.library.scan()
    await here.write(lambda connection: remember(connection, ItemId(here.library.ids())))
    summer, winter = sorted((view.item for view in await here.library.items()), key=lambda item: item.title)
    for number in range(3):
        here.library.clock.advance(1)
        await here.correcting.change_item(ADMIN, summer.id, {"year": 2000 + number})
    here.library.clock.advance(1)
    await here.merging.merge(ADMIN, summer.id, winter.id)
    first = await here.audit.page(None, 3)
    second = await here.audit.page(first.next_cursor, 3)
    assert [view.entry.act for view in (*first.entries, *second.entries)] == ["merge", *["change-item"] * 3]
    assert ([view.user for view in first.entries], second.next_cursor) == (["a"] * 3, None)
    assert (await refusal(here.audit.undo(first.entries[0].entry.id)))[0] is Code.CONFLICT
    assert (await refusal(here.audit.undo(Ids()())))[0] is Code.NOT_FOUND
    await here.write(lambda connection: connection.execute(delete(schema.account)))
    assert [view.user for view in (await here.audit.page(None, 1)).entries] == [None]


async def test_items_told_apart_stay_two_through_scans_until_that_is_undone(movies_corrected: Corrections) -> None:
    here = movies_corrected
    here.library.film("Copper Sky (1974).mkv")
    here.library.film("Kupferhimmel (1974).mkv")
    await here.library.scan()
    one, other = [view.item.id for view in await here.library.items()]
    await here.merging.tell_apart(ADMIN, one, other)
    for title in ("Copper Sky", "Kupferhimmel"):
        here.library.nfo(f"{title} (1974).nfo", "<movie><uniqueid type='tmdb'>7</uniqueid></movie>")
    scanner = here.library.new_scanner(merge=here.merging.merge_found)
    assert (await scanner.scan(here.library.id)).merges == []
    assert len(await here.library.items()) == 2
    await here.undo()
    assert await here.merging.merge_certain() == 1
    assert (await refusal(here.audit.undo((await here.audit.page(None, 2)).entries[-1].entry.id)))[0] is Code.CONFLICT


async def test_a_scan_that_learns_ids_merges_what_they_say_is_one(movies_corrected: Corrections) -> None:
    here = movies_corrected
    here.library.film("Copper Sky (1974).mkv")
    here.library.film("Kupferhimmel (1974).mkv")
    await here.library.scan()
    found = {view.item.title: view.item.id for view in await here.library.items()}
    await here.write(lambda connection: remember(connection, found["Kupferhimmel"]))
    for title in found:
        here.library.nfo(f"{title} (1974).nfo", "<movie><uniqueid type='tmdb'>7</uniqueid></movie>")
    scanner = here.library.new_scanner(merge=here.merging.merge_found)
    report = await scanner.scan(here.library.id)
    (stays, goes) = report.merges[0]
    assert {stays, goes} == set(found.values())
    assert [(view.item.id, len(view.item.files)) for view in await here.library.items()] == [(stays, 2)]
    assert await here.database.read(remembered) == [stays]
    entry = (await here.audit.page(None, 1)).entries[0]
    assert (entry.entry.act, entry.user) == ("merge", None)
    assert (await scanner.scan(here.library.id)).merges == []
