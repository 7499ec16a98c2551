"""Merging items on both engines, at rest and while people play."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from typing import Any

import pytest
from sqlalchemy import Connection, Table, insert, select

from fakes import Clock, Ids
from playhead.domain.catalogue import identity
from playhead.domain.events import Change
from playhead.domain.model import Instant, ItemId, ItemKind, Milliseconds, Role, UserId
from playhead.domain.playback import FrozenProgress, Policy, Progress, Report
from playhead.errors import Code, PlayheadError, unavailable
from playhead.services.access import Viewer
from playhead.services.events import Events
from playhead.services.merging import Merging
from playhead.services.playback import Playback
from playhead.storage import schema
from playhead.storage.catalogue import find_item, holdings_of
from playhead.storage.engine.database import Database
from playhead.storage.merging import StateMover, sweep
from world import hold, insert_items

pytestmark = pytest.mark.anyio

ANA, BEN = UserId("aaaaaaaa-0000-4000-8000-000000000001"), UserId("bbbbbbbb-0000-4000-8000-000000000002")
ADMIN = Viewer(BEN, Role.ADMIN)
HOUSE, ATTIC = "10000000-0000-4000-8000-000000000001", "10000000-0000-4000-8000-000000000002"
LENGTH = Milliseconds(6_000_000)
HOUR = 3_600_000


def id_of(number: int) -> ItemId:
    return ItemId(f"00000000-0000-4000-8000-{number:012}")


ONE, OTHER, THIRD = id_of(1), id_of(2), id_of(3)


def film(item_id: ItemId, title: str, year: int | None = 1974, **columns: object) -> dict[str, Any]:
    names = {"title": title, "sort_title": title.lower(), "search_title": title.lower()}
    return {"id": item_id, "kind": "movie", "identity": identity(title, year), "year": year} | names | columns


def episode(item_id: ItemId, show_id: ItemId, number: int, **columns: object) -> dict[str, Any]:
    key = identity("Tidal Station", 2021, season_number=1, episode_number=number)
    numbers = {"show_id": show_id, "season_number": 1, "episode_number": number}
    return film(item_id, f"Part {number}", None) | {"kind": "episode", "identity": key} | numbers | columns


def stock(connection: Connection) -> None:
    for user_id, role in ((ANA, "member"), (BEN, "admin")):
        account = {"id": user_id, "name": role, "role": role, "password_hash": "", "created_at": 0}
        connection.execute(insert(schema.account), [account])
    for library_id, name in ((HOUSE, "House"), (ATTIC, "Attic")):
        library = {"id": library_id, "name": name, "kind": "movies", "path": f"/{name}", "created_at": 0}
        connection.execute(insert(schema.library), [library])
        grant = {"user_id": ANA, "library_id": library_id, "granted_at": 0}
        connection.execute(insert(schema.library_access), [grant])
    items = [
        film(ONE, "Copper Sky", runtime_ms=LENGTH, added_at=1, library_id=HOUSE),
        film(OTHER, "Copper Sky", runtime_ms=LENGTH + 30_000, added_at=2, library_id=ATTIC),
        film(THIRD, "Kupferhimmel", None, added_at=3, library_id=ATTIC),
    ]
    insert_items(connection, items)


class Told(list[Change]):
    def __call__(self, changes: Sequence[Change]) -> None:
        self.extend(changes)


class Home:
    """The services over one database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        async def nobody(_: Collection[str]) -> frozenset[str]:
            return frozenset()

        self.database = database
        self.clock = clock
        self.told = Told()
        self.new_id = Ids()
        events = Events(monotonic=asyncio.get_running_loop().time, ended_tokens=nobody)
        self.playback = Playback(database, events, clock=clock, new_id=self.new_id, policy=Policy())
        self.merging = Merging(
            database, clock=clock, new_id=self.new_id, policy=Policy(), publish=self.told, sweep_s=0.01
        )

    async def report(self, item_id: ItemId, position_s: int, user_id: UserId = ANA, kind: str = "movie") -> Progress:
        report = Report(Milliseconds(position_s * 1000), LENGTH)
        return (await self.playback.save(user_id, ItemKind(kind), item_id, report)).progress

    async def read(self, item_id: ItemId, user_id: UserId = ANA, kind: str = "movie") -> int | None:
        role = Role.ADMIN if user_id == BEN else Role.MEMBER
        found = await self.playback.read(user_id, role, ItemKind(kind), item_id)
        assert found is None or isinstance(found, FrozenProgress | Progress)
        return None if found is None else found.position_ms // 1000

    async def rows(self, table: Table) -> list[Any]:
        return await self.database.read(lambda connection: [*connection.execute(select(table))])

    async def write(self, fn: Callable[[Connection], object]) -> None:
        await self.database.write(lambda connection: fn(connection) and None)

    async def close(self) -> None:
        await self.merging.close()
        await self.playback.close()


@pytest.fixture
async def home(database: Database, clock: Clock) -> AsyncIterator[Home]:
    await database.write(stock)
    opened = Home(database, clock)
    yield opened
    await opened.close()


async def code_of(merge: Any) -> tuple[Code, Any]:  # noqa: ANN401
    with pytest.raises(PlayheadError) as raised:
        await merge
    return raised.value.code, raised.value.details or raised.value.member


async def test_both_ids_show_the_merged_state(home: Home) -> None:
    await home.report(ONE, 3000)
    home.clock.advance(HOUR)
    await home.report(OTHER, 1200)
    await home.report(OTHER, 600, BEN)
    merged = await home.merging.merge(ADMIN, ONE, OTHER)
    assert merged.item.id == ONE
    assert [await home.read(each) for each in (ONE, OTHER)] == [1200, 1200]
    assert [await home.read(each, BEN) for each in (ONE, OTHER)] == [600, 600]
    assert [row.position_ms for row in await home.rows(schema.kept_position)] == [3_000_000]
    assert {row.item_id for row in await home.rows(schema.progress)} == {ONE}


async def test_devices_hear_of_the_change_under_both_ids(home: Home) -> None:
    await home.report(OTHER, 1200)
    await home.merging.merge(ADMIN, ONE, OTHER)
    assert [(change.user_id, set(change.item_ids)) for change in home.told] == [(ANA, {ONE, OTHER})]


async def test_a_merge_raises_the_version_and_the_time_of_change(home: Home) -> None:
    before = await home.report(OTHER, 1200)
    home.clock.advance(HOUR)
    await home.merging.merge(ADMIN, ONE, OTHER)
    row = (await home.rows(schema.progress))[0]
    assert (row.version, row.changed_at) == (before.version + 1, home.clock.now)


async def test_a_report_to_the_old_id_is_one_to_the_item(home: Home) -> None:
    await home.merging.merge(ADMIN, ONE, OTHER)
    await home.report(OTHER, 1200)
    assert await home.read(ONE) == 1200
    assert {row.item_id for row in await home.rows(schema.progress)} == {ONE}


async def test_an_alias_names_the_last_item_of_a_chain(home: Home) -> None:
    await home.report(OTHER, 1200)
    await home.merging.merge(ADMIN, THIRD, OTHER)
    await home.merging.merge(ADMIN, ONE, THIRD)
    assert {(row.id, row.item_id) for row in await home.rows(schema.alias)} == {(OTHER, ONE), (THIRD, ONE)}
    assert [await home.read(each) for each in (ONE, OTHER, THIRD)] == [1200] * 3


async def test_the_item_is_held_where_either_was(home: Home) -> None:
    await home.write(
        lambda connection: hold(connection, OTHER, HOUSE, added_at=5, removed_at=7, told='{"title":"Cooper Sky"}')
    )
    await home.merging.merge(ADMIN, ONE, OTHER)
    found = await home.database.read(lambda connection: holdings_of(connection, [ONE])[ONE])
    assert {(each.library_id, each.removed_at) for each in found} == {(HOUSE, None), (ATTIC, None)}
    assert {each.also for each in found} == {(), (("Cooper Sky", None),)}


async def test_files_and_external_ids_move_along(home: Home) -> None:
    def add(connection: Connection) -> None:
        for number, item_id, library_id in ((1, ONE, HOUSE), (2, OTHER, ATTIC)):
            columns = {"size": 1, "mtime_ns": 1, "label": "", "evidence": "", "added_at": 0, "path": "a.mkv"}
            file_id = str(id_of(100 + number))
            row = {"id": file_id, "library_id": library_id, "duration_ms": LENGTH - number} | columns
            connection.execute(insert(schema.media_file), [row])
            connection.execute(insert(schema.file_item), [{"file_id": file_id, "item_id": item_id}])
        ids = [
            {"item_id": ONE, "source": "tmdb", "value": "7"},
            {"item_id": OTHER, "source": "tmdb", "value": "7"},
            {"item_id": OTHER, "source": "imdb", "value": "tt9"},
        ]
        connection.execute(insert(schema.external_id), ids)

    await home.database.write(add)
    merged = await home.merging.merge(ADMIN, ONE, OTHER)
    assert merged.item.external_ids == {"tmdb": "7", "imdb": "tt9"}
    assert [file.first for file in merged.item.files] == [ONE, ONE]
    assert merged.item.runtime_ms == LENGTH - 2
    assert await home.database.read(lambda connection: find_item(connection, OTHER)) == merged.item


async def test_shows_take_their_episodes_along_and_list_those_left_over(home: Home) -> None:
    show, double, pilot, pilot_double, second, further = (id_of(number) for number in range(11, 17))

    def add(connection: Connection) -> None:
        shows = [film(show, "Tidal Station", 2021), film(double, "Tidal Stn", None)]
        insert_items(connection, [each | {"kind": "show"} for each in shows], ATTIC)
        episodes = [
            episode(pilot, show, 1),
            episode(pilot_double, double, 1),
            episode(second, show, 2),
            episode(further, double, 3),
        ]
        insert_items(connection, episodes, ATTIC)
        connection.execute(insert(schema.list_state), [{"user_id": ANA, "item_id": double, "dropped_at": 5}])

    await home.database.write(add)
    await home.report(pilot_double, 1200, kind="episode")
    await home.report(further, 600, kind="episode")
    merged = await home.merging.merge(ADMIN, show, double)
    assert [each.id for each in merged.left_over] == [further]
    assert (merged.left_over[0].show_id, merged.left_over[0].identity) == (show, "tidal station|2021|s1e3")
    assert [await home.read(each, kind="episode") for each in (pilot, pilot_double, further)] == [1200, 1200, 600]
    assert [(row.item_id, row.dropped_at) for row in await home.rows(schema.list_state)] == [(show, 5)]
    assert {row.id for row in await home.rows(schema.item)} == {ONE, OTHER, THIRD, show, pilot, second, further}


async def test_the_same_play_id_at_two_moments_stays_two_plays(home: Home) -> None:
    plays = [{"user_id": ANA, "id": id_of(50), "source": "imported"} for _ in range(2)]
    rows = [plays[0] | {"item_id": ONE, "watched_at": 5}, plays[1] | {"item_id": OTHER, "watched_at": 9}]
    await home.write(lambda connection: connection.execute(insert(schema.play), rows))
    await home.merging.merge(ADMIN, ONE, OTHER)
    assert sorted(row.watched_at for row in await home.rows(schema.play)) == [5, 9]


async def test_a_merge_is_in_the_audit_log_and_cannot_be_merged_again(home: Home) -> None:
    await home.merging.merge(ADMIN, ONE, OTHER)
    entry = (await home.rows(schema.audit))[0]
    assert (entry.user_id, entry.act, entry.subject) == (BEN, "merge", "Copper Sky (1974) → Copper Sky (1974)")
    refused = await code_of(home.merging.merge(ADMIN, ONE, OTHER))
    assert refused == (Code.INVALID, {"from": ["must be another item: they are one already"]})


async def test_what_cannot_be_merged_is_refused(home: Home) -> None:
    nowhere, show = id_of(90), id_of(91)
    of_ana, of_ben = id_of(92), id_of(93)
    items = [
        film(show, "Tidal Station") | {"kind": "show"},
        film(of_ana, "Summer", owner_id=ANA),
        film(of_ben, "Summer", owner_id=BEN),
    ]
    await home.database.write(lambda connection: insert_items(connection, items, None))
    assert await code_of(home.merging.merge(ADMIN, nowhere, ONE)) == (Code.NOT_FOUND, "id")
    assert await code_of(home.merging.merge(ADMIN, ONE, nowhere)) == (Code.NOT_FOUND, "from")
    assert await code_of(home.merging.merge(ADMIN, ONE, show)) == (Code.INVALID, {"from": ["must be a movie"]})
    assert (await code_of(home.merging.merge(ADMIN, of_ana, of_ben)))[0] is Code.CONFLICT


async def test_a_private_item_becomes_the_shared_one(home: Home) -> None:
    private = id_of(92)
    items = [film(private, "Copper Sky", owner_id=ANA)]
    await home.database.write(lambda connection: insert_items(connection, items, None))
    await home.report(private, 1200)
    merged = await home.merging.merge(ADMIN, private, ONE)
    assert merged.item.owner_id is None
    assert await home.read(ONE) == 1200


async def test_nothing_is_merged_while_a_library_is_scanned(home: Home) -> None:
    until = schema.library.update().values(scan_id=id_of(99), scan_until=home.clock.now + 1)
    await home.write(lambda connection: connection.execute(until))
    assert (await code_of(home.merging.merge(ADMIN, ONE, OTHER)))[0] is Code.CONFLICT
    assert await home.merging.merge_certain() == 0
    home.clock.advance(1)
    assert await home.merging.merge_certain() == 1


async def test_what_is_certain_is_merged_and_the_rest_listed(home: Home) -> None:
    await home.report(OTHER, 1200)
    added = [film(id_of(4), "Copper Sky", 1975, runtime_ms=LENGTH, added_at=4)]
    await home.database.write(lambda connection: insert_items(connection, added, HOUSE))
    assert await home.merging.merge_certain() == 1
    assert await home.read(ONE) == 1200
    assert await home.merging.merge_certain() == 0
    assert [(pair.one.id, pair.other.id) for pair in await home.merging.list_possible()] == [(ONE, id_of(4))]


async def test_items_that_an_admin_told_apart_are_neither_merged_nor_listed(home: Home) -> None:
    added = [film(id_of(4), "Copper Sky", 1975, runtime_ms=LENGTH, added_at=4)]
    await home.database.write(lambda connection: insert_items(connection, added, HOUSE))
    await home.merging.tell_apart(ADMIN, OTHER, ONE)
    await home.merging.tell_apart(ADMIN, ONE, OTHER)
    await home.merging.tell_apart(ADMIN, ONE, id_of(4))
    assert [(row.act, row.user_id) for row in await home.rows(schema.audit)] == [("tell-apart", ADMIN.user_id)] * 2
    assert await home.merging.merge_certain() == 0
    assert await home.merging.merge_found([(ONE, OTHER)]) == 0
    assert [(pair.one.id, pair.other.id) for pair in await home.merging.list_possible()] == [(OTHER, id_of(4))]


async def test_what_was_told_of_an_item_holds_for_the_one_that_it_becomes(home: Home) -> None:
    await home.merging.tell_apart(ADMIN, ONE, OTHER)
    await home.merging.merge(ADMIN, THIRD, ONE)
    assert await home.merging.merge_found([(THIRD, OTHER)]) == 0
    await home.merging.merge(ADMIN, THIRD, OTHER)
    assert {row.item_id for row in await home.rows(schema.alias)} == {THIRD}
    assert await home.merging.merge_certain() == 0


async def test_what_cannot_be_told_apart_is_refused(home: Home) -> None:
    assert await code_of(home.merging.tell_apart(ADMIN, ONE, ONE)) == (
        Code.INVALID,
        {"other": ["must be another item: they are one already"]},
    )
    assert await code_of(home.merging.tell_apart(ADMIN, ONE, id_of(90))) == (Code.NOT_FOUND, "other")


async def test_pairs_that_a_scan_found_are_merged_if_they_still_are_two(home: Home) -> None:
    pairs = [(ONE, OTHER), (OTHER, THIRD), (ONE, id_of(90)), (ONE, ONE)]
    assert await home.merging.merge_found(pairs) == 2
    assert {(row.id, row.item_id) for row in await home.rows(schema.alias)} == {(OTHER, ONE), (THIRD, ONE)}


async def test_a_row_that_arrived_late_under_the_old_id_is_swept(home: Home) -> None:
    await home.report(ONE, 3000)
    await home.merging.merge(ADMIN, ONE, OTHER)
    late = {"user_id": ANA, "item_id": OTHER, "hidden_at": 7}
    await home.write(lambda connection: connection.execute(insert(schema.list_state), [late]))
    assert await home.merging.sweep()
    assert [(row.item_id, row.hidden_at) for row in await home.rows(schema.list_state)] == [(ONE, 7)]
    home.clock.advance(60_000)
    assert not await home.merging.sweep()
    assert {row.swept_at for row in await home.rows(schema.alias)} == {home.clock.now}


async def test_the_sweep_goes_on_after_a_restart(home: Home) -> None:
    await home.merging.merge(ADMIN, ONE, OTHER)
    await home.merging.close()
    late = {"user_id": ANA, "item_id": OTHER, "hidden_at": 7}
    await home.write(lambda connection: connection.execute(insert(schema.list_state), [late]))
    home.clock.advance(60_000)
    again = Home(home.database, home.clock)
    again.merging.start()
    await asyncio.wait_for(again.merging.swept(), 60)
    await again.close()
    assert [row.swept_at for row in await home.rows(schema.alias)] == [home.clock.now]
    assert [row.item_id for row in await home.rows(schema.list_state)] == [ONE]


async def test_a_sweep_that_the_store_refuses_is_tried_again(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    refusals = [unavailable(), unavailable()]

    def any_open(_: Connection) -> bool:
        if refusals:
            raise refusals.pop()
        return False

    monkeypatch.setattr("playhead.storage.merging.any_open", any_open)
    home.merging.start()
    await home.merging.swept()
    assert refusals == []
    await home.merging.close()


async def test_a_sweep_twice_changes_nothing_more(home: Home) -> None:
    await home.report(OTHER, 1200)
    await home.merging.merge(ADMIN, ONE, OTHER)
    before = await home.rows(schema.progress)
    mover = StateMover(Policy(), Ids(), Instant(0))
    for _ in range(2):
        await home.database.write(lambda connection: sweep(connection, mover, home.clock.now) and None)
    assert await home.rows(schema.progress) == before


async def test_no_acknowledged_save_is_lost_and_nobody_reads_0_while_items_are_merged(
    home: Home, open_database: Callable[[], Any]
) -> None:
    """Players report to the old and the new ids through two processes while all pairs are merged."""
    pairs = [(id_of(1000 + number), id_of(2000 + number)) for number in range(12)]
    items = [film(each, f"Film {each}", added_at=5) for pair in pairs for each in pair]
    await home.database.write(lambda connection: insert_items(connection, items, HOUSE))
    server = Home(open_database(), home.clock)
    done = asyncio.Event()

    async def play(of: Home, ids: Sequence[ItemId], number: int) -> int:
        """Report ever later positions; return the last that was acknowledged. Each is read back."""
        position = 0
        while not done.is_set() or position < 400:
            position += 1 if position else 200
            home.clock.advance(1)
            item_id = ids[(position // 3 + number) % len(ids)]
            await of.report(item_id, position)
            seen = await of.read(item_id)
            assert seen is not None
            assert seen >= position, "a save was lost, or a read found nothing"
        return position

    async with asyncio.timeout(240):
        players = [
            asyncio.create_task(play((home, server)[number % 2], pair, number)) for number, pair in enumerate(pairs)
        ]
        for into, source in pairs:
            await asyncio.sleep(0)
            await home.merging.merge(ADMIN, into, source)
        done.set()
        last = await asyncio.gather(*players)
    assert [await home.read(into) for into, _ in pairs] == last
    assert {row.item_id for row in await home.rows(schema.progress)} == {into for into, _ in pairs}
    await server.close()
    await server.database.close()
