"""A store of the version before, with titles that its rules merged and split wrongly, upgraded and scanned again.

Five people have watched. Nothing of theirs is lost, every id still answers, and the report says what moved.
"""

from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, uuid4, uuid5

import httpx
import pytest

from fakes import Clock
from migrated_store import MigratedStore
from playhead.asgi import Playhead
from playhead.config import Settings
from playhead.domain.model import Instant, LibraryId, UserId
from playhead.media.folders import fingerprint
from playhead.storage.migrations.upgrade import Migrations

pytestmark = [pytest.mark.anyio, pytest.mark.both_engines]

BEFORE = Migrations(head="0015")
OLDER_RULES = "4"
MINUTE_MS = 60_000
NOW = Instant(1_762_639_200_000)  # 2025-11-08T22:00:00Z
PEOPLE = ("ana", "ben", "cleo", "dan", "eva")

# Each item as the version before had it: its library, kind, title and year or numbers, and the minutes of its files.
ITEMS: dict[str, tuple[str, dict[str, Any], dict[str, int]]] = {
    # Two films that the folder of a trilogy made one.
    "lantern": (
        "films",
        {"title": "Lantern Trilogy"},
        {"Lantern Trilogy/Lantern One (2001).mkv": 90, "Lantern Trilogy/Lantern Two (2004).mkv": 120},
    ),
    # One film under two names.
    "sky": ("films", {"title": "Copper Sky", "year": 2013}, {"Copper.Sky.2013.720p.mkv": 95}),
    "sky extended": (
        "films",
        {"title": "Copper Sky EXTENDED", "year": 2013},
        {"Copper.Sky.EXTENDED.2013.1080p.mkv": 100},
    ),
    # One film in two libraries.
    "harbour": ("films", {"title": "Harbour", "year": 2010}, {"Harbour (2010).mkv": 100}),
    "harbour 4k": ("films 4k", {"title": "Harbour", "year": 2010}, {"Harbour (2010)/Harbour (2010) 2160p.mkv": 101}),
    # Two shows under the name of an inner folder.
    "kausi": ("shows", {"title": "Kausi 1"}, {}),
    "kausi 1": ("shows", {"show": "kausi", "number": 1}, {"Saari/Kausi 1/01.mkv": 44, "Virta/Kausi 1/01.mkv": 52}),
    "kausi 2": ("shows", {"show": "kausi", "number": 2}, {"Virta/Kausi 1/02.mkv": 53}),
    # Two shows of which the country told them apart. The path of the one that lost its name comes first.
    "shameless": ("shows", {"title": "Shameless"}, {}),
    "shameless 1": (
        "shows",
        {"show": "shameless", "number": 1},
        {
            "Shameless (UK)/Season 1/Shameless (UK) S01E01.mkv": 47,
            "Shameless/Season 1/Shameless S01E01.mkv": 56,
        },
    ),
    # A show for each episode.
    "quiz 34": ("shows", {"title": "221208 Evening Quiz"}, {}),
    "quiz 34 1": ("shows", {"show": "quiz 34", "number": 34}, {"Evening Quiz/221208 Evening Quiz ep34.mkv": 50}),
    "quiz 35": ("shows", {"title": "221215 Evening Quiz"}, {}),
    "quiz 35 1": ("shows", {"show": "quiz 35", "number": 35}, {"Evening Quiz/221215 Evening Quiz ep35.mkv": 50}),
}


def id_of(name: str) -> str:
    return str(uuid5(NAMESPACE_OID, name))


class OldStore:
    """A store of the version before, the folders of its libraries, and what its people have done, hour by hour."""

    def __init__(self, root: Path, store: MigratedStore) -> None:
        self._root = root
        self._store = store
        self._put_libraries_and_people()
        for place, name in enumerate(ITEMS):
            self._put_item(name, place)

    def _insert(self, table: str, *rows: dict[str, Any]) -> None:
        columns = ", ".join(rows[0])
        values = ", ".join(f":{column}" for column in rows[0])
        self._store.run(f"INSERT INTO {table} ({columns}) VALUES ({values})", *rows)  # noqa: S608 - a text of ours

    def _put_libraries_and_people(self) -> None:
        libraries = {library: "shows" if library == "shows" else "movies" for library, _, _ in ITEMS.values()}
        for library, kind in libraries.items():
            folder = self._root / library
            folder.mkdir(parents=True)
            row = {"id": id_of(library), "name": library, "kind": kind, "path": str(folder.resolve()), "created_at": 0}
            self._insert("library", row)
        for name in PEOPLE:
            role = "admin" if name == "ana" else "member"
            account = {"id": id_of(name), "name": name, "role": role, "password_hash": "!", "created_at": 0}
            self._insert("account", account)
            self._insert("login", {"name": name, "user_id": id_of(name)})
            granted = [library for library in libraries if (name, library) != ("eva", "films 4k")]
            rows = [{"user_id": id_of(name), "library_id": id_of(each), "granted_at": 0} for each in granted]
            self._insert("library_access", *rows)

    def _put_item(self, name: str, place: int) -> None:
        library, told, files = ITEMS[name]
        show, number = told.get("show"), told.get("number")
        title = told.get("title") or f"Episode {number}"
        kind = "movie" if library != "shows" else "show" if show is None else "episode"
        key = title.lower() if show is None else ITEMS[show][1]["title"].lower()
        item = {
            "id": id_of(name),
            "library_id": id_of(library),
            "kind": kind,
            "show_id": None if show is None else id_of(show),
            "title": title,
            "sort_title": title.lower(),
            "search_title": title.lower(),
            "year": told.get("year"),
            "season_number": None if number is None else 1,
            "episode_number": number,
            "identity": f"{key}|{told.get('year', '')}|{'' if number is None else f's1e{number}'}",
            "runtime_ms": min(files.values()) * MINUTE_MS if files else None,
            "added_at": place,
        }
        self._insert("item", item)
        for path, minutes in files.items():
            self._put_file(name, library, path, minutes)

    def _put_file(self, name: str, library: str, path: str, minutes: int) -> None:
        there = self._root / library / path
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_text(path)  # never opened: the store knows what is in it
        row = {
            "id": id_of(path),
            "library_id": id_of(library),
            "path": path,
            "size": there.stat().st_size,
            "mtime_ns": there.stat().st_mtime_ns,
            "fingerprint": fingerprint(there),
            "duration_ms": minutes * MINUTE_MS,
            "label": "",
            "container": "matroska",
            "streams": "[]",
            "evidence": OLDER_RULES,
            "added_at": 0,
        }
        self._insert("media_file", row)
        self._insert("file_item", {"file_id": id_of(path), "item_id": id_of(name)})

    def watched(
        self,
        user: str,
        item: str,
        hour: int,
        minute: int = 0,
        *,
        of: int | None = None,
        done: bool = False,
        unwatched_hour: int | None = None,
    ) -> None:
        """Store progress at that hour: a position in a file of so many minutes, a completion, or a mark without any."""
        at = NOW - 1_000 * 3_600_000 + hour * 3_600_000
        row = {
            "user_id": id_of(user),
            "item_id": id_of(item),
            "position_ms": minute * MINUTE_MS,
            "duration_ms": None if of is None else of * MINUTE_MS,
            "watched": done,
            "armed": not done,
            "last_watched_at": None if of is None else at,
            "version": 1,
            "changed_at": at,
            "unwatched_at": None if unwatched_hour is None else NOW - (1_000 - unwatched_hour) * 3_600_000,
            "completed_marked": False,
        }
        self._insert("progress", row)
        if done:
            play = {"user_id": id_of(user), "item_id": id_of(item), "id": id_of(f"{user} {item}"), "watched_at": at}
            self._insert("play", play | {"source": "marked" if of is None else "automatic"})

    def kept(self, user: str, item: str, hour: int, minute: int, of: int) -> None:
        at = NOW - (1_000 - hour) * 3_600_000
        row = {"user_id": id_of(user), "item_id": id_of(item), "id": id_of(f"{user} {item} {minute}"), "kept_at": at}
        self._insert("kept_position", row | {"position_ms": minute * MINUTE_MS, "duration_ms": of * MINUTE_MS})

    def decided(self, user: str, item: str, **decision: int) -> None:
        self._insert("list_state", {"user_id": id_of(user), "item_id": id_of(item)} | decision)

    def forget_rules(self) -> None:
        """Make the next scan read every name again, as after a change of rules."""
        self._store.run("UPDATE media_file SET evidence = :rules", {"rules": OLDER_RULES})


class Upgraded:
    """The old store in a running Playhead."""

    def __init__(self, playhead: Playhead, client: httpx.AsyncClient, old: OldStore) -> None:
        self.playhead = playhead
        self.old = old
        self._client = client
        self._tokens: dict[str, str] = {}

    async def open(self) -> None:
        await self.playhead.open()
        for name in PEOPLE:
            token = await self.playhead.installation.accounts.create_token(UserId(id_of(name)), "tests")
            self._tokens[name] = token.secret
        await self.playhead.installation.merging.merge_certain()  # as the server does in the background

    async def scan(self) -> dict[str, dict[str, Any]]:
        """Scan all libraries; return their reports by name, as the API shows them."""
        reports: dict[str, dict[str, Any]] = {}
        for library in ("films", "films 4k", "shows"):
            await self.playhead.installation.scanner.scan(LibraryId(id_of(library)))
        for library in (await self.get("ana", "/libraries"))["items"]:
            reports[library["name"]] = library["last_scan"]
        return reports

    async def call(self, user: str, method: str, path: str, body: object = None) -> httpx.Response:
        headers = {"authorization": f"Bearer {self._tokens[user]}"}
        return await self._client.request(method, f"/api/v1{path}", json=body, headers=headers)

    async def get(self, user: str, path: str) -> Any:  # noqa: ANN401 - JSON
        answer = await self.call(user, "GET", path)
        assert answer.status_code == 200, (user, path, answer.text)
        return answer.json()

    async def progress(self, user: str, item_id: str) -> tuple[float, bool]:
        """Return minute and flag by the frozen route; the item may be named by any id that it ever had."""
        kind = (await self.get("ana", f"/items/{item_id}"))["kind"]
        found = await self.get(user, f"/playback/{kind}/{item_id}")
        return found["position_seconds"] / 60, found["watched"]

    async def counts(self, user: str, item_id: str) -> tuple[int, int]:
        """Return the numbers of plays and of kept points."""
        path = f"/playback/{(await self.get('ana', f'/items/{item_id}'))['kind']}/{item_id}"
        return len((await self.get(user, f"{path}/plays"))["items"]), len(
            (await self.get(user, f"{path}/positions"))["items"]
        )

    async def items(self, kind: str) -> dict[str, str]:
        """Return the ids of all movies, shows or episodes by title; of episodes with that of their show."""
        found = (await self.get("ana", f"/items?kind={kind}&limit=500"))["items"]
        titles = {each["id"]: each["title"] for each in (await self.get("ana", "/items?kind=show&limit=500"))["items"]}
        return {
            f"{titles[each['show_id']]} {each['episode_number']}" if each.get("show_id") else each["title"]: each["id"]
            for each in found
        }


@pytest.fixture
async def house(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Upgraded]:
    """The old store, not opened yet."""
    url = request.getfixturevalue("cluster").create(uuid4().hex) if engine == "postgresql" else ""
    settings = Settings(data=tmp_path / "data", database=url, rescan_minutes=0)
    settings.data.mkdir(mode=0o700)
    store = MigratedStore(settings.database_path if not url else tmp_path, url, BEFORE)
    playhead = Playhead(settings, clock=Clock(NOW), password_memory_kib=8)
    transport = httpx.ASGITransport(app=playhead, raise_app_exceptions=True)
    async with httpx.AsyncClient(transport=transport, base_url="http://playhead.test") as client:
        yield Upgraded(playhead, client, OldStore(tmp_path / "disk", store))
    await playhead.close()
    store.engine.dispose()


async def states(house: Upgraded, items: Iterable[str], users: Iterable[str] = PEOPLE) -> dict[str, list[object]]:
    ids = {name: id_of(name) if name in ITEMS else name for name in items}
    return {user: [await house.progress(user, ids[name]) for name in items] for user in users}


NOTHING = (0, False)


async def test_films_that_a_folder_made_one_are_two_and_what_tells_goes_with_its_file(house: Upgraded) -> None:
    old = house.old
    old.watched("ana", "lantern", 1, 30, of=90)
    old.watched("ben", "lantern", 2, 60, of=120)
    old.kept("ben", "lantern", 1, 20, 120)
    old.watched("cleo", "lantern", 3, done=True)  # marked: nothing tells which of the two
    old.watched("dan", "lantern", 4, 120, of=120, done=True)
    old.watched("eva", "lantern", 5, 50, of=100)  # of neither
    await house.open()
    report = (await house.scan())["films"]
    two = (await house.items("movie"))["Lantern Two"]
    assert (await house.get("ana", f"/items/{id_of('lantern')}"))["title"] == "Lantern One"
    assert await states(house, ["lantern", two]) == {
        "ana": [(30, False), NOTHING],
        "ben": [NOTHING, (60, False)],
        "cleo": [(0, True), NOTHING],
        "dan": [NOTHING, (120, True)],
        "eva": [(50, False), NOTHING],
    }
    assert [await house.counts("ben", each) for each in (id_of("lantern"), two)] == [(0, 0), (0, 1)]
    assert [await house.counts("dan", each) for each in (id_of("lantern"), two)] == [(0, 0), (1, 0)]
    moved = [each for each in report["reassigned_files"] if "Lantern" in each["path"]]
    assert moved == [
        {
            "path": "Lantern Trilogy/Lantern One (2001).mkv",
            "before": "Lantern Trilogy",
            "after": "Lantern One (2001)",
        },
        {
            "path": "Lantern Trilogy/Lantern Two (2004).mkv",
            "before": "Lantern Trilogy",
            "after": "Lantern Two (2004)",
        },
    ]


async def test_one_film_under_two_names_becomes_one_with_the_state_of_both(house: Upgraded) -> None:
    old = house.old
    old.watched("ana", "sky", 1, 20, of=95)
    old.watched("ana", "sky extended", 2, 40, of=100)
    old.watched("ben", "sky", 3, 30, of=95)
    old.watched("ben", "sky extended", 1, 100, of=100, done=True)
    old.watched("cleo", "sky", 1, 95, of=95, done=True)
    old.watched("cleo", "sky extended", 2, 0, of=100, unwatched_hour=2)
    old.watched("dan", "sky", 4, 95, of=95, done=True)
    old.watched("dan", "sky extended", 4, 100, of=100, done=True)
    old.decided("eva", "sky extended", hidden_at=5)
    old.kept("eva", "sky", 1, 10, 95)
    await house.open()
    report = (await house.scan())["films"]
    both = ["sky", "sky extended"]
    assert await states(house, both) == {
        "ana": [(40, False)] * 2,
        "ben": [(30, True)] * 2,  # the other viewing has been completed, and this one goes on
        "cleo": [(95, False)] * 2,
        "dan": [(95, True)] * 2,
        "eva": [NOTHING] * 2,
    }
    assert {user: await house.counts(user, id_of("sky extended")) for user in PEOPLE} == {
        "ana": (0, 1),
        "ben": (1, 0),
        "cleo": (1, 0),
        "dan": (1, 0),  # the same moment
        "eva": (0, 1),
    }
    assert {"title": "Copper Sky EXTENDED (2013)", "into": "Copper Sky (2013)"} in report["merged_titles"]


async def test_one_film_of_two_libraries_is_one_from_the_start(house: Upgraded) -> None:
    old = house.old
    old.watched("ana", "harbour", 1, 20, of=100)
    old.watched("ben", "harbour 4k", 2, 40, of=101)
    old.watched("cleo", "harbour", 1, 30, of=100)
    old.watched("cleo", "harbour 4k", 3, 101, of=101, done=True)
    old.watched("dan", "harbour", 2, done=True)
    old.watched("eva", "harbour 4k", 2, 50, of=101)  # when it was granted to her
    await house.open()
    both = ["harbour", "harbour 4k"]
    expected = {
        "ana": [(20, False)] * 2,
        "ben": [(40, False)] * 2,
        "cleo": [(101, True)] * 2,
        "dan": [(0, True)] * 2,
        "eva": [(50, False)] * 2,
    }
    assert await states(house, both) == expected
    await house.scan()
    assert await states(house, both) == expected
    assert list(await house.items("movie")).count("Harbour") == 1


async def test_shows_under_an_inner_folder_become_two(house: Upgraded) -> None:
    old = house.old
    old.watched("ana", "kausi 1", 1, 20, of=44)
    old.watched("ben", "kausi 1", 1, 30, of=52)
    old.watched("cleo", "kausi 2", 1, 53, of=53, done=True)
    old.decided("dan", "kausi", dropped_at=5)
    old.watched("eva", "kausi 1", 1, 24, of=48)
    await house.open()
    report = (await house.scan())["shows"]
    episodes = await house.items("episode")
    assert (await house.get("ana", f"/items/{id_of('kausi')}"))["title"] == "Saari"
    assert (episodes["Saari 1"], episodes["Virta 2"]) == (id_of("kausi 1"), id_of("kausi 2"))
    assert await states(house, ["kausi 1", episodes["Virta 1"], "kausi 2"]) == {
        "ana": [(20, False), NOTHING, NOTHING],
        "ben": [NOTHING, (30, False), NOTHING],
        "cleo": [NOTHING, NOTHING, (53, True)],
        "dan": [NOTHING] * 3,
        "eva": [(24, False), NOTHING, NOTHING],
    }
    moved = {each["path"]: each["after"] for each in report["reassigned_files"]}
    assert moved["Virta/Kausi 1/01.mkv"] == "Virta: Episode 1"
    assert moved["Virta/Kausi 1/02.mkv"] == "Virta"
    assert moved["Saari/Kausi 1/01.mkv"] == "Saari"


async def test_a_show_keeps_its_name_and_ids_when_another_one_leaves_it(house: Upgraded) -> None:
    old = house.old
    old.watched("ana", "shameless 1", 1, 20, of=56)
    old.watched("ben", "shameless 1", 1, 30, of=47)
    old.watched("cleo", "shameless 1", 2, 56, of=56, done=True)
    old.decided("dan", "shameless", hidden_at=5)
    old.watched("eva", "shameless 1", 2, done=True)
    await house.open()
    await house.scan()
    shows, episodes = await house.items("show"), await house.items("episode")
    assert shows["Shameless"] == id_of("shameless")
    assert episodes["Shameless 1"] == id_of("shameless 1")
    assert await states(house, ["shameless 1", episodes["Shameless (UK) 1"]]) == {
        "ana": [(20, False), NOTHING],
        "ben": [NOTHING, (30, False)],
        "cleo": [(56, True), NOTHING],
        "dan": [NOTHING, NOTHING],
        "eva": [(0, True), NOTHING],
    }


async def test_a_show_per_episode_becomes_one_show(house: Upgraded) -> None:
    old = house.old
    old.watched("ana", "quiz 34 1", 1, 50, of=50, done=True)
    old.watched("ana", "quiz 35 1", 2, 20, of=50)
    old.decided("ben", "quiz 35", dropped_at=7)
    old.decided("cleo", "quiz 34", dropped_at=5)
    old.watched("dan", "quiz 35 1", 1, 10, of=50)
    old.kept("eva", "quiz 34 1", 1, 5, 50)
    await house.open()
    report = (await house.scan())["shows"]
    shows = await house.items("show")
    assert {title for title in shows if "Quiz" in title} == {"Evening Quiz"}
    assert await states(house, ["quiz 34 1", "quiz 35 1"]) == {
        "ana": [(50, True), (20, False)],
        "ben": [NOTHING] * 2,
        "cleo": [NOTHING] * 2,
        "dan": [NOTHING, (10, False)],
        "eva": [NOTHING] * 2,
    }
    assert await house.counts("eva", id_of("quiz 34 1")) == (0, 1)
    assert {(await house.get("ana", f"/items/{id_of(show)}"))["id"] for show in ("quiz 34", "quiz 35")} == {
        shows["Evening Quiz"]
    }
    dropped = await house.playhead.installation.database.read(
        lambda connection: connection.exec_driver_sql("SELECT item_id, dropped_at FROM list_state").all()
    )
    assert {(str(item), at) for item, at in dropped} == {(shows["Evening Quiz"], 5), (shows["Evening Quiz"], 7)}
    assert {"title": "221215 Evening Quiz", "into": "Evening Quiz"} in report["merged_titles"]


async def test_every_id_answers_everybody_before_and_after(house: Upgraded) -> None:
    playable = [name for name, (library, told, _) in ITEMS.items() if library != "shows" or "show" in told]
    for place, user in enumerate(PEOPLE):
        for number, name in enumerate(playable):
            of = next(minutes for path, minutes in ITEMS[name][2].items() if "(UK)" not in path)
            house.old.watched(user, name, 10 * place + number, 10 + place, of=of)
    await house.open()
    expected = {user: [(10 + place, False)] * len(playable) for place, user in enumerate(PEOPLE)}
    assert await states(house, playable) == expected
    await house.scan()
    assert await states(house, playable) == expected
    reports = await house.scan()
    assert {(each["reassigned"], each["merged"]) for each in reports.values()} == {(0, 0)}
    assert await states(house, playable) == expected


async def test_what_an_admin_has_said_outlasts_a_change_of_rules(house: Upgraded) -> None:
    house.old.watched("ben", "lantern", 2, 60, of=120)
    house.old.watched("cleo", "shameless 1", 2, 30, of=47)
    await house.open()
    await house.scan()
    second = id_of("Lantern Trilogy/Lantern Two (2004).mkv")
    beacon = (await house.items("movie"))["Lantern Two"]
    british = (await house.items("show"))["Shameless (UK)"]
    for method, path, body in (
        ("PUT", f"/files/{second}/identity", {"title": "The Beacon", "year": 1999}),
        ("PATCH", f"/items/{id_of('harbour')}", {"title": "Harbour of Fog", "year": 2011}),
        ("POST", f"/items/{id_of('shameless')}/merge", {"from": british}),
        (
            "POST",
            f"/items/{id_of('sky')}/split",
            {"file_ids": [id_of("Copper.Sky.EXTENDED.2013.1080p.mkv")], "title": "Copper Sky Redux", "year": 2013},
        ),
    ):
        assert (await house.call("ana", method, path, body)).status_code in {200, 201}, (path, body)
        await house.playhead.installation.correcting.rescanned()
        await house.playhead.installation.scanner.wait()

    async def seen() -> object:
        shows, movies = await house.items("show"), await house.items("movie")
        titles = {title for title in (*shows, *movies) if title[0] in "BCHLST"}
        watched = await states(house, [beacon, "shameless 1"], ["ben", "cleo"])
        return titles, watched, movies["The Beacon"]

    said = await seen()
    assert said == (
        {"The Beacon", "Lantern One", "Harbour of Fog", "Shameless", "Copper Sky", "Copper Sky Redux", "Saari"},
        {"ben": [(60, False), NOTHING], "cleo": [NOTHING, (30, False)]},
        beacon,
    )
    house.old.forget_rules()
    reports = await house.scan()
    assert await seen() == said
    assert {(each["reassigned"], each["merged"]) for each in reports.values()} == {(0, 0)}
