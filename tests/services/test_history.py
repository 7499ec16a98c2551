"""Moving a history from one installation to another, and back."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Connection, delete, insert

from fakes import Clock, Ids
from playhead.bootstrap import Installation, open_installation
from playhead.config import Settings
from playhead.domain.limits import DECISIONS_OF_USER, PLAYS_OF_ITEM
from playhead.domain.model import ItemId, ItemKind, Role, UserId
from playhead.domain.playback import Event, Report
from playhead.services.history import Rejected
from playhead.storage import schema

pytestmark = pytest.mark.anyio

HOUR = 3_600_000
LENGTH = 5_400_000


class Home:
    """An installation with a small library with its own ids, and a user."""

    def __init__(self, installation: Installation, clock: Clock, user_id: UserId, ids: dict[str, ItemId]) -> None:
        self.installation = installation
        self.clock = clock
        self.user_id = user_id
        self.ids = ids

    async def watch(self, name: str, *positions: int, session: str | None = None) -> None:
        kind = ItemKind.EPISODE if name.startswith("S") else ItemKind.MOVIE
        for seconds in positions:
            report = Report(seconds * 1000, LENGTH, event=Event.PROGRESS, session=session, device="television")
            await self.installation.playback.save(self.user_id, kind, self.ids[name], report)
            self.clock.advance(HOUR)

    async def export(self) -> bytes:
        lines: list[bytes] = []
        await self.installation.history.export(self.user_id, lines.append, lambda _done, _total: None)
        return b"".join(lines)

    async def import_lines(self, text: bytes) -> tuple[int, int, list[Rejected]]:
        rejected: list[Rejected] = []
        lines = text.splitlines(keepends=True)
        changed, unchanged = await self.installation.history.import_lines(
            self.user_id, lines, rejected.append, lambda _done: None
        )
        return changed, unchanged, rejected

    async def write(self, table: str, **values: object) -> None:
        def add(connection: Connection) -> None:
            connection.execute(insert(schema.metadata.tables[table]), [{"user_id": self.user_id, **values}])

        await self.installation.database.write(add)


async def furnish(installation: Installation, clock: Clock, first_id: int) -> Home:
    new_id = Ids()
    for _ in range(first_id):
        new_id()
    library = new_id()
    ids = {name: ItemId(new_id()) for name in ("Film", "Named", "Show", "S1E1", "S1E2")}

    def add(connection: Connection) -> None:
        common = {"added_at": 0, "is_open": False}
        connection.execute(insert(schema.library), [{"id": library, "name": "All", "kind": "movies", "created_at": 0}])
        for name, kind, identity in (("Film", "movie", "film|1999|"), ("Named", "movie", "other|2001|")):
            row = common | {"id": ids[name], "kind": kind, "title": name, "sort_title": name, "search_title": name}
            connection.execute(insert(schema.item), [row | {"identity": identity, "year": int(identity.split("|")[1])}])
        show = {"id": ids["Show"], "kind": "show", "title": "Show", "sort_title": "show", "search_title": "show"}
        connection.execute(insert(schema.item), [common | show | {"identity": "show||"}])
        for number in (1, 2):
            row = {"id": ids[f"S1E{number}"], "kind": "episode", "title": "Pilot", "sort_title": "pilot"}
            row |= {"search_title": "pilot", "show_id": ids["Show"], "season_number": 1, "episode_number": number}
            connection.execute(insert(schema.item), [common | row | {"identity": f"show||s1e{number}"}])
        held = [{"item_id": each, "library_id": library, "added_at": 0, "told": "{}"} for each in ids.values()]
        connection.execute(insert(schema.holding), held)
        connection.execute(insert(schema.external_id), [{"item_id": ids["Named"], "source": "tmdb", "value": "603"}])

    await installation.database.write(add)
    user = await installation.accounts.create_user("ana", "correct horse battery", Role.MEMBER)
    await installation.accounts.grant(library, user.id)  # pyright: ignore[reportArgumentType]
    return Home(installation, clock, user.id, ids)


@pytest.fixture
async def home(settings: Settings, anyio_backend: str) -> AsyncIterator[Home]:  # noqa: ARG001 - the loop
    clock = Clock()
    async with open_installation(settings, on_failure=pytest.fail, clock=clock) as installation:
        yield await furnish(installation, clock, 100)


@pytest.fixture
async def other_home(tmp_path: Path, anyio_backend: str) -> AsyncIterator[Home]:  # noqa: ARG001 - the loop
    clock = Clock()
    async with open_installation(
        Settings(data=tmp_path / "other"), on_failure=pytest.fail, clock=clock
    ) as installation:
        yield await furnish(installation, clock, 900)


async def watch_all_sorts(home: Home) -> None:
    await home.watch("Film", 3000, 4900, 600, session="tv")
    await home.watch("Named", 1250)
    await home.watch("S1E1", 5400)
    await home.watch("S1E2", 2000, 100)
    await home.write("play", item_id=home.ids["S1E2"], id=Ids()(), watched_at=None, source="marked")
    await home.write("list_state", item_id=home.ids["Show"], dropped_at=1_762_639_200_123)


async def test_an_exported_history_is_identical_after_import_into_an_empty_installation(home: Home, other_home: Home):
    await watch_all_sorts(home)
    exported = await home.export()
    changed, unchanged, rejected = await other_home.import_lines(exported)
    assert (changed, unchanged, rejected) == (5, 0, [])
    assert await other_home.export() == exported


async def test_importing_twice_changes_nothing_more(home: Home, other_home: Home):
    await watch_all_sorts(home)
    exported = await home.export()
    await other_home.import_lines(exported)
    assert await other_home.import_lines(exported) == (0, 5, [])
    assert await home.import_lines(exported) == (0, 5, [])
    assert await home.export() == exported


async def test_a_line_identifies_its_item_and_contains_everything_about_it(home: Home):
    await home.watch("S1E1", 3000, 100)
    [line] = (await home.export()).splitlines()
    told = json.loads(line)
    assert told["item"] == {
        "kind": "episode",
        "title": "Pilot",
        "show": {"title": "Show"},
        "season_number": 1,
        "episode_number": 1,
    }
    assert told["progress"]["position_ms"] == 100_000
    assert told["progress"]["last_watched_at"] == "2025-11-08T23:00:00Z"
    assert told["progress"]["device"] == "television"
    assert [point["position_ms"] for point in told["positions"]] == [3_000_000]


async def test_an_external_id_finds_an_item_with_another_title(home: Home, other_home: Home):
    await home.watch("Named", 1250)
    exported = (await home.export()).replace(b'"title":"Named"', b'"title":"Translated"')
    assert (await other_home.import_lines(exported))[0] == 1


async def test_a_title_with_a_contradicting_external_id_is_another_film(home: Home, other_home: Home):
    await home.watch("Named", 1250)
    exported = (await home.export()).replace(b"603", b"604").replace(b'"title":"Named"', b'"title":"Other"')
    _, _, rejected = await other_home.import_lines(exported)
    assert [each.reason for each in rejected] == ["matches no item here"]


async def test_texts_of_a_history_are_truncated_or_the_line_is_rejected(home: Home, other_home: Home):
    await home.watch("Film", 1250)
    exported = await home.export()
    longest = exported.replace(b'"title":"Film"', b'"title":"Film' + b" " * 100_000 + b'\\u001b\\n"')
    assert (await other_home.import_lines(longest))[0] == 1  # as a version without limits may have written it
    _, _, rejected = await other_home.import_lines(exported.replace(b"television", b"t" * 201))
    assert ["device" in each.reason and "200" in each.reason for each in rejected] == [True]


async def test_lines_without_a_match_and_malformed_lines_are_reported_and_affect_no_others(
    home: Home, other_home: Home
):
    await home.watch("Film", 3000)
    text = b'{"item":{"kind":"movie","title":"Nowhere"}}\n{"item":3}\nnothing\n\n' + await home.export()
    changed, _, rejected = await other_home.import_lines(text)
    assert changed == 1
    assert {each.number: each.line.strip() for each in rejected} == dict(enumerate(text.splitlines()[:3], start=1))


async def test_the_later_side_determines_the_position_and_watched_is_kept(home: Home, other_home: Home):
    await home.watch("Film", 4900)
    exported = await home.export()
    other_home.clock.advance(2 * HOUR)
    await other_home.watch("Film", 1500)
    await other_home.import_lines(exported)
    [line] = (await other_home.export()).splitlines()
    told = json.loads(line)
    assert told["progress"]["position_ms"] == 1_500_000
    assert told["progress"]["watched"] is True
    assert len(told["plays"]) == 1


async def test_an_import_keeps_only_the_newest_points(home: Home, other_home: Home):
    for hour in range(15):
        await home.watch("Film", 3000 + hour * 100, 500, session=f"s{hour}")
    exported = await home.export()
    for hour in range(15):
        await other_home.watch("Film", 3000 + hour * 100, 500, session=f"t{hour}")
    await other_home.import_lines(exported)
    [line] = (await other_home.export()).splitlines()
    assert len(json.loads(line)["positions"]) == 20


async def test_items_missing_from_the_catalogue_are_exported_by_id(home: Home):
    await home.watch("Film", 3000)
    await home.installation.database.write(
        lambda connection: connection.execute(delete(schema.item).where(schema.item.c.id == home.ids["Film"]))
    )
    [line] = (await home.export()).splitlines()
    assert json.loads(line)["item"] == {"id": home.ids["Film"]}


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
async def test_an_export_whose_connection_is_lost_writes_each_line_once(home: Home, settings: Settings):
    await watch_all_sorts(home)
    whole = await home.export()
    lines: list[bytes] = []
    looked: list[int] = []

    def drop_once(done: int, _total: int) -> None:
        looked.append(done)
        if len(looked) == 1:
            with psycopg.connect(settings.database) as other:
                other.execute(
                    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND state = 'idle in transaction'"
                )

    await home.installation.history.export(home.user_id, lines.append, drop_once)
    assert len(looked) > 1
    assert b"".join(lines) == whole


async def test_a_line_that_would_give_an_item_too_many_plays_is_rejected_entirely(home: Home):
    watched = {"position_ms": 0, "watched": True, "armed": False}
    new_id = Ids()

    def line(number: int, **more: object) -> bytes:
        plays = [{"id": new_id(), "source": "marked"} for _ in range(number)]
        item = {"kind": "movie", "title": "Film", "year": 1999}
        return json.dumps({"item": item, "plays": plays, **more}).encode() + b"\n"

    first = line(PLAYS_OF_ITEM.most - 1)
    assert await home.import_lines(first) == (1, 0, [])
    second = line(2, progress=watched)
    changed, unchanged, rejected = await home.import_lines(second)
    assert (changed, unchanged) == (0, 0)
    assert [each.reason for each in rejected] == [f"would give its item more than {PLAYS_OF_ITEM.most:,} plays"]
    assert b'"progress"' not in await home.export()
    assert await home.import_lines(first) == (0, 1, [])  # plays that exist already do not count twice
    assert await home.import_lines(line(1)) == (1, 0, [])


async def test_a_line_that_would_hide_more_than_a_user_may_is_rejected_entirely(home: Home):
    rows = [{"item_id": each, "user_id": home.user_id, "hidden_at": 1} for each in _ids(DECISIONS_OF_USER.most - 1)]
    await home.installation.database.write(lambda c: c.execute(insert(schema.list_state), rows))
    hidden = "2025-11-08T22:00:00Z"
    lines = [
        {"item": {"kind": "movie", "title": title, "year": year}, "list": {"hidden_at": hidden}}
        for title, year in (("Film", 1999), ("Other", 2001))
    ]
    text = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    changed, unchanged, rejected = await home.import_lines(text)
    assert (changed, unchanged) == (1, 0)
    assert [each.reason for each in rejected] == ["would hide, snooze or drop more than 10,000 movies and shows"]
    assert await home.import_lines(text.splitlines(keepends=True)[0]) == (0, 1, [])


def _ids(number: int) -> list[str]:
    new_id = Ids()
    return [new_id().replace("0000-4000", "1111-4000") for _ in range(number)]
