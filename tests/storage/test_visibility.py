"""The SQL of visibility agrees with the rule in the domain, for every way in which items and users can stand."""

from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from sqlalchemy import Connection, Integer, insert, literal, select

from playhead.domain.access import Standing, may_see_item
from playhead.domain.model import Instant, ItemId, LibraryId, Milliseconds, Role, UserId
from playhead.domain.playback import ItemFacts, Policy, Report, advance
from playhead.storage import catalogue, playback, schema, visibility
from playhead.storage.engine.database import Database
from world import insert_items

ANNA, OTHER = (UserId(str(UUID(int=number))) for number in (1, 2))
GRANTED, SECRET = (LibraryId(str(UUID(int=number))) for number in (3, 4))
_HELD = (None, "living", "removed", "ended")


class Case(NamedTuple):
    """An item: how two libraries hold it, and what else decides."""

    granted: str | None
    secret: str | None
    is_open: bool
    owner: UserId | None
    has_state: bool

    @property
    def standing(self) -> Standing:
        return Standing(
            is_open=self.is_open,
            is_private=self.owner is not None,
            is_own=self.owner == ANNA,
            is_held="living" in (self.granted, self.secret),
            is_granted=self.granted in ("living", "removed"),
            has_state=self.has_state,
        )


CASES = {
    ItemId(str(UUID(int=100 + number))): Case(*case)
    for number, case in enumerate(product(_HELD, _HELD, (False, True), (None, ANNA, OTHER), (False, True)))
}


def stock(connection: Connection) -> None:
    people = {"name": "", "role": "member", "password_hash": "", "created_at": 0}
    connection.execute(insert(schema.account), [people | {"id": each} for each in (ANNA, OTHER)])
    libraries = {"kind": "movies", "created_at": 0}
    connection.execute(insert(schema.library), [libraries | {"id": each, "name": each} for each in (GRANTED, SECRET)])
    connection.execute(insert(schema.library_access), [{"user_id": ANNA, "library_id": GRANTED, "granted_at": 0}])
    connection.execute(insert(schema.library_access), [{"user_id": OTHER, "library_id": SECRET, "granted_at": 0}])
    rows = [
        {"id": item_id, "kind": "movie", "is_open": case.is_open, "owner_id": case.owner}
        for item_id, case in CASES.items()
    ]
    insert_items(connection, rows, None)
    holdings = [
        {
            "item_id": item_id,
            "library_id": library,
            "added_at": 0,
            "told": "{}",
            "removed_at": 1 if held == "removed" else None,
            "ended_at": 1 if held == "ended" else None,
        }
        for item_id, case in CASES.items()
        for library, held in ((GRANTED, case.granted), (SECRET, case.secret))
        if held is not None
    ]
    connection.execute(insert(schema.holding), holdings)
    report = Report(Milliseconds(600_000), Milliseconds(5_400_000))
    progress = advance(None, report, ItemFacts(), Policy(), Instant(1)).progress
    playback.store(connection, [((ANNA, item_id), progress) for item_id, case in CASES.items() if case.has_state])


@pytest.fixture
def stocked(blocking_database: Database) -> Iterator[Database]:
    blocking_database.write_blocking(stock)
    return blocking_database


def chosen(database: Database, condition: Any) -> set[str]:  # noqa: ANN401 - a condition
    query = select(schema.item.c.id).where(condition)
    return database.read_blocking(lambda connection: set(connection.execute(query).scalars()))


def user(user_id: UserId) -> Any:  # noqa: ANN401
    return literal(user_id, schema.Id)


@pytest.mark.parametrize("role", [Role.ADMIN, Role.MEMBER])
def test_the_condition_of_lists_agrees_with_the_rule(stocked: Database, role: Role):
    is_admin = literal(int(role is Role.ADMIN), Integer)
    expected = {item_id for item_id, case in CASES.items() if may_see_item(role, case.standing)}
    assert chosen(stocked, visibility.is_seen(user(ANNA), is_admin)) == expected
    assert len(expected) < len(CASES) or role is Role.ADMIN


def test_the_look_ups_of_saves_and_reads_agree_with_the_rule(stocked: Database):
    def looked_up(connection: Connection) -> list[tuple[bool, bool]]:
        saves = playback.load(connection, [(ANNA, item_id) for item_id in CASES])
        reads = [playback.show(connection, ANNA, item_id) for item_id in CASES]
        return [
            (save is not None and may_see_item(Role.MEMBER, save.standing), may_see_item(Role.MEMBER, read.standing))
            for save, read in zip(saves, reads, strict=True)
        ]

    expected = [may_see_item(Role.MEMBER, case.standing) for case in CASES.values()]
    for _ in range(2):  # the second time from the connection's cache
        assert stocked.read_blocking(looked_up) == [(each, each) for each in expected]


def test_an_item_is_available_in_the_libraries_that_have_it(stocked: Database):
    for libraries in ((), (GRANTED,), (SECRET,), (GRANTED, SECRET)):
        expected = {
            item_id
            for item_id, case in CASES.items()
            if (GRANTED in libraries and case.granted == "living") or (SECRET in libraries and case.secret == "living")
        }
        assert chosen(stocked, visibility.is_available_in(libraries)) == expected
        assert chosen(stocked, visibility.is_among_those_of(libraries)) == expected
    granted = {item_id for item_id, case in CASES.items() if case.granted == "living"}
    held = {item_id for item_id, case in CASES.items() if case.standing.is_held}
    assert chosen(stocked, visibility.is_available(user(ANNA), literal(0))) == granted
    assert chosen(stocked, visibility.is_available(user(ANNA), literal(1))) == held


def test_the_list_of_everything_has_each_item_once_and_what_nobody_has_only_with_own_state(stocked: Database):
    def listed(connection: Connection, user_id: UserId | None) -> list[str]:
        found = catalogue.list_items(
            connection,
            [GRANTED, SECRET],
            user_id=user_id,
            kind=None,
            matching=None,
            order=catalogue.ItemOrder.TITLE,
            descending=False,
            after=None,
            limit=None,
        )
        return [item.id for item, _ in found]

    held = {item_id for item_id, case in CASES.items() if case.standing.is_held}
    mine = {item_id for item_id, case in CASES.items() if case.has_state and may_see_item(Role.MEMBER, case.standing)}
    assert stocked.read_blocking(lambda connection: listed(connection, None)) == sorted(held)
    assert stocked.read_blocking(lambda connection: listed(connection, ANNA)) == sorted(held | mine)


def test_a_show_has_state_if_one_of_its_episodes_has(stocked: Database):
    show, episode, other = (str(UUID(int=number)) for number in (50, 51, 52))

    def add(connection: Connection) -> None:
        rows = [{"id": show, "kind": "show"}, {"id": other, "kind": "show"}]
        rows.append({"id": episode, "kind": "episode", "show_id": show})
        insert_items(connection, rows, None)
        progress = advance(None, Report(Milliseconds(1), Milliseconds(2)), ItemFacts(), Policy(), Instant(1)).progress
        playback.store(connection, [((ANNA, ItemId(episode)), progress)])

    stocked.write_blocking(add)
    seen = chosen(stocked, visibility.is_seen(user(ANNA), literal(0)))
    assert seen & {show, episode, other} == {show, episode}
    assert not chosen(stocked, visibility.is_seen(user(OTHER), literal(0))) & {show, episode, other}


def test_an_alias_is_looked_up_as_the_item_that_it_means(stocked: Database):
    old, item_id = ItemId(str(UUID(int=60))), next(iter(CASES))
    row = {"id": old, "item_id": item_id, "made_at": 0}
    stocked.write_blocking(lambda connection: connection.execute(insert(schema.alias), [row]))

    def look(connection: Connection) -> tuple[Any, ...]:
        found = catalogue.find_item(connection, old)
        known, meant = playback.load_meant(connection, {(ANNA, old), (ANNA, item_id)})
        key, _ = playback.find(connection, ANNA, old)
        shown = playback.show(connection, ANNA, old)
        return found and found.id, meant, {key for key, save in known.items() if save and save.kind}, key, shown.kind

    assert stocked.read_blocking(look) == (item_id, {old: item_id}, {(ANNA, item_id)}, (ANNA, item_id), "movie")
