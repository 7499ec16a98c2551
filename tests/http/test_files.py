"""Items and their files, over real folders: files with several episodes, films in parts, files that go and return."""

import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from player import Player
from playhead.bootstrap import new_id
from playhead.domain.catalogue import MediaInfo, MediaStream
from playhead.domain.model import LibraryId, LibraryKind, Milliseconds
from playhead.media.names import filenames
from playhead.services.scanning import Scanner, ScanTools
from playhead.storage import schema
from playhead.storage.engine.database import Connection
from world import World

pytestmark = pytest.mark.anyio

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

FIRST, SECOND, THIRD = (1, 1), (1, 2), (1, 3)


def probe(path: Path) -> MediaInfo:
    """Read the length of a film from what `Folder.put` has written."""
    minutes = re.match(r"\d+", path.read_text())
    assert minutes is not None
    return MediaInfo(
        Milliseconds(int(minutes[0]) * MINUTE_MS), "matroska", (MediaStream("video", "h264", height=1080),)
    )


class Folder:
    """A library with a folder, which the member may see."""

    def __init__(self, world: World, root: Path, library_id: LibraryId) -> None:
        self.world = world
        self.root = root
        self.library_id = library_id
        self._scanner = Scanner(
            world.playhead.installation.database,
            clock=world.clock,
            new_id=new_id,
            tools=ScanTools(filenames.parse, probe),
        )

    def put(self, path: str, minutes: int = 90, version: str = "") -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{minutes} minutes of {path} {version}")
        return file

    async def scan(self) -> None:
        self.world.clock.advance(1000)
        await self._scanner.scan(self.library_id)

    async def movie(self) -> Player:
        (item_id,) = await self._ids("movie")
        return Player(self.world, item_id)

    async def episode(self, numbers: tuple[int, int]) -> Player:
        return Player(self.world, (await self._ids("episode"))[numbers], kind="episode")

    async def show(self) -> Player:
        (item_id,) = await self._ids("show")
        return Player(self.world, item_id, kind="show")

    async def _ids(self, kind: str) -> dict[Any, str]:
        response = await self.world.client.get(f"/api/v1/items?kind={kind}", headers=self.world.member)
        items = response.json()["items"]
        if kind == "episode":
            return {(item["season_number"], item["episode_number"]): item["id"] for item in items}
        return {item["id"]: item["id"] for item in items}


MakeFolder = Callable[..., Awaitable[Folder]]


@pytest.fixture
def make_folder(world: World, tmp_path: Path) -> MakeFolder:
    async def make(kind: LibraryKind, name: str | None = None) -> Folder:
        root = tmp_path / (name or kind)
        root.mkdir()
        installation = world.playhead.installation
        library = await installation.catalogue.add_library(root.name, kind, root)
        await installation.accounts.grant(library.id, world.user_ids["member"])
        return Folder(world, root, library.id)

    return make


@pytest.fixture
async def shows(make_folder: MakeFolder) -> Folder:
    """A show whose first file contains the first two episodes, and another file the third."""
    folder = await make_folder(LibraryKind.SHOWS)
    folder.put("Tidal Station/Season 1/Tidal Station S01E01E02.mkv")
    folder.put("Tidal Station/Season 1/Tidal Station S01E03.mkv", 45)
    await folder.scan()
    return folder


@pytest.fixture
async def movies(make_folder: MakeFolder) -> Folder:
    return await make_folder(LibraryKind.MOVIES)


async def watched(player: Player) -> dict[str, Any]:
    """Return the state of an item without its files."""
    return {name: value for name, value in (await player.state()).items() if name != "files"}


async def plays_of(folder: Folder, *episodes: tuple[int, int]) -> list[list[str]]:
    return [[play["watched_at"] for play in await (await folder.episode(each)).plays()] for each in episodes]


# A file with several episodes


@pytest.mark.both_engines
async def test_completing_the_first_episode_of_a_file_completes_the_others_at_the_same_time(shows: Folder):
    first = await shows.episode(FIRST)
    await first.report(2700)
    assert (await (await shows.episode(SECOND)).state())["version"] == 0
    shows.world.clock.advance(HOUR_MS)
    await first.report(5000)
    second, third = await (await shows.episode(SECOND)).state(), await (await shows.episode(THIRD)).state()
    assert (second["watched"], second["resume_position_seconds"]) == (True, 0)
    one, two = await plays_of(shows, FIRST, SECOND)
    assert one == two == ["2025-11-08T23:00:01Z"]
    assert third["version"] == 0


async def test_threshold_and_end_count_one_play_of_each_episode(shows: Folder):
    first = await shows.episode(FIRST)
    for position in (4900, 5000, 5400):
        await first.report(position)
    assert [len(plays) for plays in await plays_of(shows, FIRST, SECOND)] == [1, 1]


async def test_a_second_viewing_of_a_file_is_a_second_play_of_each_episode(shows: Folder):
    first = await shows.episode(FIRST)
    await first.report(5000)
    shows.world.clock.advance(DAY_MS)
    for position in (600, 5000):
        await first.report(position)
    one, two = await plays_of(shows, FIRST, SECOND)
    assert one == two
    assert len(one) == 2


async def test_taking_back_a_completion_of_the_first_episode_takes_back_those_of_the_others(shows: Folder):
    database = shows.world.playhead.installation.database
    await database.write(lambda connection: connection.execute(update(schema.item).values(runtime_ms=None)))
    first = await shows.episode(FIRST)
    await first.report(28, 30, session_id="A")
    assert [len(plays) for plays in await plays_of(shows, FIRST, SECOND)] == [1, 1]
    await first.report(60, 300, session_id="A")
    for each in (FIRST, SECOND):
        state = await (await shows.episode(each)).state()
        assert (state["watched"], state["play_count"]) == (False, 0)


async def test_a_late_completion_of_a_file_is_recorded_for_each_episode_at_its_own_time(shows: Folder):
    first = await shows.episode(FIRST)
    await first.report(3000)
    await first.report(5000, observed_at="2025-11-08T20:00:00Z")
    assert (await first.state())["position_seconds"] == 3000
    assert await plays_of(shows, FIRST, SECOND) == [["2025-11-08T20:00:00Z"]] * 2


@pytest.mark.both_engines
async def test_the_reports_of_a_batch_complete_whole_files_too(shows: Folder):
    first = await shows.episode(FIRST)
    made = {"kind": "episode", "id": first.item_id, "duration_seconds": 5400}
    reports = [
        made | {"position_seconds": 5000, "observed_at": "2025-11-08T20:00:00Z"},
        made | {"position_seconds": 600, "observed_at": "2025-11-08T18:00:00Z"},
        made | {"position_seconds": 5000, "observed_at": "2025-11-07T20:00:00Z"},
    ]
    response = await shows.world.client.post(
        "/api/v1/playback/batch", json={"reports": reports}, headers=shows.world.member
    )
    assert response.status_code == 200
    times = ["2025-11-08T20:00:00Z", "2025-11-07T20:00:00Z"]
    assert await plays_of(shows, FIRST, SECOND) == [times, times]


async def test_an_episode_with_a_recent_play_of_its_own_gets_no_second_one(shows: Folder):
    await (await shows.episode(SECOND)).mark()
    shows.world.clock.advance(10 * MINUTE_MS)
    await (await shows.episode(FIRST)).report(5000)
    assert [len(plays) for plays in await plays_of(shows, FIRST, SECOND)] == [1, 1]


async def watched_episodes(folder: Folder) -> list[int]:
    return [each[1] for each in (FIRST, SECOND, THIRD) if (await (await folder.episode(each)).state())["watched"]]


@pytest.mark.both_engines
async def test_completing_any_episode_of_a_file_completes_all_at_the_same_time(shows: Folder):
    second = await shows.episode(SECOND)
    await second.report(2700)
    assert (await second.state())["position_seconds"] == 2700
    assert (await (await shows.episode(FIRST)).state())["version"] == 0
    shows.world.clock.advance(HOUR_MS)
    for position in (4900, 5400):
        await second.report(position)
    one, two = await plays_of(shows, FIRST, SECOND)
    assert one == two == ["2025-11-08T23:00:01Z"]
    await (await shows.episode(FIRST)).report(5400)
    assert [len(plays) for plays in await plays_of(shows, FIRST, SECOND)] == [1, 1]
    assert await watched_episodes(shows) == [1, 2]


@pytest.mark.both_engines
async def test_taking_back_a_completion_of_the_last_episode_takes_back_those_of_the_others(shows: Folder):
    database = shows.world.playhead.installation.database
    await database.write(lambda connection: connection.execute(update(schema.item).values(runtime_ms=None)))
    second = await shows.episode(SECOND)
    await second.report(28, 30, session_id="A")
    assert await watched_episodes(shows) == [1, 2]
    await second.report(60, 300, session_id="A")
    assert await watched_episodes(shows) == []


async def own_file(folder: Folder, episode: tuple[int, int], minutes: int) -> str:
    """Give an episode a file of its own, too; return the id of that file."""
    folder.put(f"Tidal Station/Season 1/Tidal Station S01E0{episode[1]}.mkv", minutes)
    await folder.scan()
    return (await files_of(folder, episode))[minutes]


async def files_of(folder: Folder, episode: tuple[int, int]) -> dict[int, str]:
    """Return the ids of an episode's files by their minutes."""
    player = await folder.episode(episode)
    item = (await folder.world.client.get(f"/api/v1/items/{player.item_id}", headers=folder.world.member)).json()
    return {file["duration_seconds"] // 60: file["id"] for file in item["files"]}


@pytest.mark.both_engines
@pytest.mark.parametrize("episode", [FIRST, SECOND])
async def test_the_file_that_is_named_decides_which_episodes_are_completed(shows: Folder, episode: tuple[int, int]):
    single = await own_file(shows, episode, 88)
    both = (await files_of(shows, episode))[90]
    player = await shows.episode(episode)
    await player.report(5300, 5400, file_id=single)
    assert await watched_episodes(shows) == [episode[1]]
    await player.unwatch()
    shows.world.clock.advance(DAY_MS)
    for position in (600, 5200):
        await player.report(position, 5280, file_id=both)
    assert await watched_episodes(shows) == [1, 2]


@pytest.mark.both_engines
@pytest.mark.parametrize("episode", [FIRST, SECOND])
@pytest.mark.parametrize(("seconds", "completed"), [(2700, 1), (5400, 2), (3600, 1)])
async def test_without_a_name_the_length_decides_which_episodes_are_completed(
    shows: Folder, episode: tuple[int, int], seconds: int, completed: int
):
    await own_file(shows, episode, 45)
    await (await shows.episode(episode)).report(seconds, seconds)
    assert len(await watched_episodes(shows)) == completed


@pytest.mark.both_engines
async def test_a_file_that_may_not_be_seen_completes_nothing(make_folder: MakeFolder):
    shows, more = await make_folder(LibraryKind.SHOWS), await make_folder(LibraryKind.SHOWS, "more")
    shows.put("Tidal Station (2019)/Season 1/Tidal Station S01E01E02.mkv")
    await shows.scan()
    both = (await files_of(shows, FIRST))[90]
    for name in ("S01E01", "S01E02"):
        more.put(f"Tidal Station (2019)/Season 1/Tidal Station {name}.mkv", 89)
    await more.scan()
    assert sorted(await files_of(shows, FIRST)) == [89, 90]
    accounts, member = shows.world.playhead.installation.accounts, shows.world.user_ids["member"]
    await accounts.revoke(shows.library_id, member)
    await (await shows.episode(FIRST)).report(5400, file_id=both)
    await accounts.grant(shows.library_id, member)
    assert [(await (await shows.episode(each)).state())["watched"] for each in (FIRST, SECOND)] == [True, False]


async def test_a_mark_by_hand_applies_only_to_the_named_episode(shows: Folder):
    first = await shows.episode(FIRST)
    await first.mark()
    assert (await (await shows.episode(SECOND)).state())["version"] == 0
    await first.unwatch()
    await (await shows.episode(SECOND)).mark()
    assert not (await first.state())["watched"]


# A film in parts


async def test_a_film_in_parts_has_one_timeline_as_long_as_all_of_them(movies: Folder):
    movies.put("Ben Hur (1959)/Ben Hur (1959) cd1.mkv", 40)
    movies.put("Ben Hur (1959)/Ben Hur (1959) cd2.mkv", 50)
    await movies.scan()
    film = await movies.movie()
    assert not (await film.report(4859))["watched"]
    assert (await film.report(4860))["watched"]


async def test_the_end_of_the_first_part_does_not_complete_the_film(movies: Folder):
    movies.put("Ben Hur (1959)/Ben Hur (1959) cd1.mkv", 40)
    movies.put("Ben Hur (1959)/Ben Hur (1959) cd2.mkv", 50)
    await movies.scan()
    answer = await (await movies.movie()).report(2400, 2400)
    assert (answer["watched"], answer["duration_seconds"], answer["position_seconds"]) == (False, 5400, 2400)


# Files that disappear and return


async def everything(world: World) -> list[list[tuple[Any, ...]]]:
    """Everything that users have written."""

    def load(connection: Connection) -> list[list[tuple[Any, ...]]]:
        tables = (schema.progress, schema.play, schema.kept_position, schema.list_state)
        return [sorted(tuple(row) for row in connection.execute(select(table))) for table in tables]

    return await world.playhead.installation.database.read(load)


async def lists_of(world: World) -> dict[str, Any]:
    """The content of the member's lists: ids, and why."""
    found: dict[str, Any] = {}
    for path in ("continue-watching", "history", "playback"):
        response = await world.client.get(f"/api/v1/{path}", headers=world.member)
        found[path] = [
            (each["id"] if "item" not in each else each["item"]["id"], each.get("kind"), each.get("watched_at"))
            for each in response.json()["items"]
        ]
    return found


async def test_lists_change_only_with_what_is_playable(shows: Folder):
    third = await shows.episode(THIRD)
    await (await shows.episode(FIRST)).report(5000)
    shows.world.clock.advance(MINUTE_MS)
    await third.report(1000, 2700)
    before = await lists_of(shows.world)
    assert before["continue-watching"] == [(third.item_id, "continue", None)]
    file = shows.root / "Tidal Station" / "Season 1" / "Tidal Station S01E03.mkv"
    shows.put("Tidal Station/Season 1/Tidal Station S01E04.mkv", 45)

    async def lists_after_a_scan() -> dict[str, Any]:
        await shows.scan()
        return await lists_of(shows.world)

    assert await lists_after_a_scan() == before
    moved = file.rename(file.with_name("Tidal Station 1x03 [720p].mkv"))
    assert await lists_after_a_scan() == before
    moved.write_text("46 minutes of a better version")
    assert await lists_after_a_scan() == before
    moved.unlink()
    fourth = await shows.episode((1, 4))
    assert await lists_after_a_scan() == before | {"continue-watching": [(fourth.item_id, "next", None)]}
    shows.put("Tidal Station/S01/Tidal Station S01E03.mkv", 45, "bought again")
    assert await lists_after_a_scan() == before


async def test_no_change_of_a_films_files_changes_what_was_watched(movies: Folder):
    file = movies.put("Alien (1979)/Alien (1979).mkv")
    await movies.scan()
    film = await movies.movie()
    for position in (3000, 600, 5000):
        await film.report(position, device="Television")
    before = await everything(movies.world)
    state = await watched(film)

    async def nothing_changed(*, available: bool) -> None:
        await movies.scan()
        assert await everything(movies.world) == before
        assert await watched(film) == state
        item = await movies.world.client.get(f"/api/v1/items/{film.item_id}", headers=movies.world.member)
        assert item.json()["available"] is available

    movies.put("Brazil (1985)/Brazil (1985).mkv")  # a library without any film counts as not mounted
    await nothing_changed(available=True)
    moved = file.rename(file.with_name("Alien (1979) [1080p].mkv"))
    await nothing_changed(available=True)
    movies.put("Alien (1979)/Alien (1979) [1080p].mkv", 91, "a better one")
    await nothing_changed(available=True)
    moved.unlink()
    await nothing_changed(available=False)
    movies.put("Alien/Alien.1979.2160p.mkv", 90, "bought again")
    await nothing_changed(available=True)


async def test_no_change_of_an_episodes_files_changes_what_was_watched(shows: Folder):
    for each, position in ((FIRST, 5000), (THIRD, 1000)):
        await (await shows.episode(each)).report(position, 2700 if each == THIRD else 5400)
    players = [await shows.episode(each) for each in (FIRST, SECOND, THIRD)]
    before = await everything(shows.world)
    states = [await watched(player) for player in players]
    season = shows.root / "Tidal Station" / "Season 1"

    async def nothing_changed() -> None:
        await shows.scan()
        assert await everything(shows.world) == before
        assert [await watched(player) for player in players] == states

    both = season / "Tidal Station S01E01E02.mkv"
    both.unlink()
    await nothing_changed()
    shows.put("Tidal Station/Season 1/Tidal Station S01E01.mkv", 45)
    shows.put("Tidal Station/Season 1/Tidal Station S01E02.mkv", 45)
    await nothing_changed()
    season.rename(season.with_name("Season 01"))
    await nothing_changed()
