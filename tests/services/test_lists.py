"""Filters in storage change no list: over randomly filled stores, lists equal those that the rules make of all rows."""

from collections.abc import AsyncIterator
from random import Random
from typing import Any

import pytest
from sqlalchemy import Connection, insert

from fakes import Clock, Ids
from playhead.bootstrap import Installation, open_installation
from playhead.config import Settings
from playhead.domain.lists import ItemState, ListState, continue_watching, find_candidates, next_up
from playhead.domain.model import Instant, ItemId, LibraryId, Milliseconds, Role, UserId
from playhead.domain.playback import Policy
from playhead.services.access import Viewer
from playhead.storage import schema
from world import insert_items

pytestmark = pytest.mark.anyio

POLICY = Policy()
DAY_MS = 24 * 3_600_000
LENGTH = Milliseconds(1_500_000)
STORES = 12


class Store:
    """An installation whose user has watched at random; and all its rows, in the form that the rules take."""

    def __init__(self, installation: Installation, viewer: Viewer, now: Instant, random: Random) -> None:
        self.installation = installation
        self.viewer = viewer
        self.now = now
        self.rows: list[ItemState] = []
        self.states: dict[ItemId, ListState] = {}
        self._random = random
        self._ids = Ids()
        self._written: dict[str, list[dict[str, Any]]] = {}

    async def fill(self, granted: LibraryId, other: LibraryId) -> None:
        for library in (granted, other):
            self._write("library", id=library, name=library, kind="shows", created_at=0)
        for _ in range(12):
            self._item(self._library(granted, other), granted, "movie")
        for _ in range(6):
            library = self._library(granted, other)
            show = self._item(library, granted, "show")
            places = [(season, number) for season in (0, 1, 2) for number in (1, 2, 3, 4)]
            for season, number in self._random.sample(places, self._random.randrange(len(places))):
                self._item(library, granted, "episode", show_id=show, season_number=season, episode_number=number)

        def add(connection: Connection) -> None:
            connection.execute(insert(schema.library), self._written["library"])
            insert_items(connection, self._written["item"])
            for table in ("progress", "play", "list_state"):
                if self._written.get(table):
                    connection.execute(insert(schema.metadata.tables[table]), self._written[table])

        await self.installation.database.write(add)

    def _library(self, granted: LibraryId, other: LibraryId) -> LibraryId:
        return other if self._random.random() < 0.2 else granted

    def _write(self, table: str, **row: object) -> None:
        self._written.setdefault(table, []).append(row)

    def _at(self) -> Instant:
        """Recently, some weeks ago, or too long ago to count; often the same time twice."""
        return Instant(self.now - self._random.choice((0, 1, 2, 13, 14, 15, 40, 89, 90, 91, 200)) * DAY_MS)

    def _item(self, library: LibraryId, granted: LibraryId, kind: str, **numbers: Any) -> ItemId:  # noqa: ANN401
        item_id = ItemId(self._ids())
        removed_at = 1 if self._random.random() < 0.15 else None
        air_date = self._random.choice((None, None, "2020-01-01", "2999-01-01"))
        more: dict[str, Any] = {"show_id": None, "season_number": None, "episode_number": None, "air_date": air_date}
        more |= numbers | {"episode_end": None, "credits_ms": None, "placed_season": None, "placed_before": None}
        if kind == "episode" and self._random.random() < 0.1:
            more["episode_end"] = more["episode_number"] + 1
        if more["season_number"] == 0 and self._random.random() < 0.5:
            more |= {"placed_season": self._random.randrange(1, 3), "placed_before": self._random.choice((None, 0, 3))}
        if self._random.random() < 0.2:
            more["credits_ms"] = LENGTH // 2
        names = dict.fromkeys(("title", "sort_title", "search_title", "identity"), item_id)
        self._write(
            "item",
            id=item_id,
            library_id=library,
            kind=kind,
            added_at=0,
            removed_at=removed_at,
            **names,
            **more,
        )
        if self._random.random() < 0.2:
            state = ListState(
                *(self._random.choice((None, None, at)) for at in (self._at(), self.now + DAY_MS, self._at()))
            )
            if kind != "episode" and any(state):
                self.states[item_id] = state
                self._write("list_state", user_id=self.viewer.user_id, item_id=item_id, **state._asdict())
        if kind != "show":
            row = ItemState(item_id, more["show_id"], removed_at is None and library == granted)
            del more["show_id"]
            self.rows.append(self._watch(row._replace(**more)))
        return item_id

    def _watch(self, row: ItemState) -> ItemState:
        mine = {"user_id": self.viewer.user_id, "item_id": row.item_id}
        times = [
            self._at() if self._random.random() < 0.7 else None for _ in range(self._random.choice((0, 0, 1, 1, 2)))
        ]
        for at in times:
            self._write("play", **mine, id=self._ids(), watched_at=at, source="automatic")
        played_at = max((at for at in times if at is not None), default=None)
        row = row._replace(play_count=len(times), played_at=played_at)
        if self._random.random() < 0.4 and not times:
            return row
        progress: dict[str, Any] = {
            "position_ms": self._random.choice((0, 10_000, LENGTH // 3, LENGTH // 3 * 2, LENGTH)),
            "duration_ms": self._random.choice((LENGTH, LENGTH, None)),
            "watched": bool(times) and self._random.random() < 0.9,
            "armed": self._random.random() < 0.4,
            # Never the same twice: of two episodes at the same time either could represent its show.
            "last_watched_at": self._random.choice((Instant(self._at() - len(self.rows)), None)),
        }
        self._write("progress", **mine, **progress, version=1, changed_at=0, completed_marked=False)
        return row._replace(**progress)


@pytest.fixture(params=range(STORES))
async def store(request: pytest.FixtureRequest, settings: Settings, anyio_backend: str) -> AsyncIterator[Store]:  # noqa: ARG001
    clock = Clock()
    async with open_installation(settings, on_failure=pytest.fail, clock=clock) as installation:
        user = await installation.accounts.create_user("ana", "correct horse battery", Role.MEMBER)
        libraries = [LibraryId(f"{number:08}-0000-4000-8000-000000000000") for number in (1, 2)]
        filled = Store(installation, Viewer(UserId(user.id), Role.MEMBER), clock(), Random(request.param))  # noqa: S311
        await filled.fill(*libraries)
        await installation.accounts.grant(libraries[0], user.id)
        yield filled


async def test_lists_equal_those_that_the_rules_make_of_all_rows(store: Store):
    shows: dict[ItemId, list[ItemState]] = {}
    for row in store.rows:
        if row.show_id is not None:
            shows.setdefault(row.show_id, []).append(row)
    seen = [row for row in store.rows if row.last_watched_at is not None]
    candidates = find_candidates(seen, store.states, POLICY, store.now)
    lists = store.installation.lists
    for limit in (1, 3, 20):
        cards = continue_watching(candidates, shows, POLICY, store.now, limit)
        found = await lists.continue_watching(store.viewer, limit)
        assert [(each.watched.view.item.id, each.kind, each.active_at) for each in found] == [
            (card.row.item_id, card.kind, card.active_at) for card in cards
        ]
    for show_id, rows in shows.items():
        if not any(row.available for row in rows):
            continue  # perhaps of a library without a grant
        kind, episode = next_up(rows, POLICY, store.now)
        following, view = await lists.next_up(store.viewer, show_id)
        assert (following.kind, None if view is None else view.view.item.id) == (
            kind,
            None if episode is None else episode.item_id,
        )
