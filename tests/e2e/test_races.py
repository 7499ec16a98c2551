"""Two processes on one store save the same keys: each answered save took effect once, in a serial order.

Reports of a movie are numbered by observation time, whoever sends them. One that arrives after a newer one is late, and
moves nothing; so the applied ones are in the order of their numbers. Each makes one version of the row, because at most
one report of a movie is in flight to each server: a missing version would be a save that another one overwrote, an
additional one a save that took effect twice.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from ledger import MOVIES, Ledger, Line, number_of, observed_at, report, stock
from playhead.domain.model import instant_of
from postgres import Cluster
from server import Server

pytestmark = pytest.mark.long

SIGKILL = 9
SAVES = 10_000

GROUPS = 12
OF_A_GROUP = 10
GROUPED = [[f"10000000-0000-4000-8000-{group:06}{each:06}" for each in range(OF_A_GROUP)] for group in range(GROUPS)]
TWINS = [f"20000000-0000-4000-8000-{number:012}" for number in range(300)]

COMPLETING = 8
"""The number of a report that adds a play."""

_numbers = count(1)


@pytest.fixture
def servers(durable_cluster: Cluster, tmp_path: Path) -> Iterator[list[Server]]:
    """Two running servers on one database."""
    database = durable_cluster.create(f"races-{next(_numbers)}")
    servers = [Server(tmp_path / name, database) for name in ("one", "other")]
    movies = [*(movie for group in GROUPED for movie in group), *TWINS]
    (tmp_path / "token").write_text(stock(servers[0].settings, movies))
    for server in servers:
        server.start()
    yield servers
    for server in servers:
        if server.running:
            server.stop(SIGKILL)


@pytest.fixture
def token(servers: list[Server], tmp_path: Path) -> str:
    del servers
    return (tmp_path / "token").read_text()


def body(movie: str, number: int) -> dict[str, Any]:
    """A report that completes nothing, as a member of a batch."""
    made = {"kind": "movie", "id": movie, "position_seconds": number % 500, "duration_seconds": 600}
    return made | {"observed_at": observed_at(number).isoformat()}


class Race:
    """The answers of both servers: for each movie the numbers of all reports, and of the applied ones."""

    def __init__(self, token: str, saves: int) -> None:
        self.newest: Counter[str] = Counter()
        self.answered: list[tuple[str, int]] = []
        self.applied: list[tuple[str, int]] = []
        self._token = token
        self._left = saves

    async def run(self, servers: Sequence[Server]) -> None:
        async with asyncio.TaskGroup() as clients:
            for place, server in enumerate(servers):
                for number, movies in enumerate(GROUPED):
                    random = Random(f"{place} {number}")  # noqa: S311 - to be repeated
                    clients.create_task(self._save(server.url, movies, random))

    async def _save(self, url: str, movies: Sequence[str], random: Random) -> None:
        line = await Line.open(url, self._token)
        while self._left > 0:
            chosen = random.sample(movies, min(self._left, random.randint(1, OF_A_GROUP)))
            self._left -= len(chosen)
            self.newest.update(chosen)
            reports = [(movie, self.newest[movie]) for movie in chosen]
            await (self._save_one(line, *reports[0]) if len(reports) == 1 else self._save_many(line, reports))
        line.close()

    async def _save_one(self, line: Line, movie: str, number: int) -> None:
        sent = body(movie, number)
        status, answer = await line.ask("POST", f"/api/v1/playback/movie/{movie}", json.dumps(sent).encode())
        assert status == HTTPStatus.OK, answer
        self._note(movie, number, answer, is_applied=number_of(answer) == number)

    async def _save_many(self, line: Line, reports: Sequence[tuple[str, int]]) -> None:
        sent = {"reports": [body(movie, number) for movie, number in reports]}
        status, answer = await line.ask("POST", "/api/v1/playback/batch", json.dumps(sent).encode())
        assert status == HTTPStatus.OK, answer
        for (movie, number), result in zip(reports, answer["results"], strict=True):
            assert result["reason"] in {None, "late"}, result
            self._note(movie, number, result["state"], is_applied=result["applied"])

    def _note(self, movie: str, number: int, state: dict[str, Any], *, is_applied: bool) -> None:
        stored = number_of(state)
        assert stored == number if is_applied else stored > number
        assert state["position_seconds"] == stored % 500
        self.answered.append((movie, number))
        if is_applied:
            self.applied.append((movie, number))


def test_two_servers_on_the_same_keys_apply_each_save_once_in_a_serial_order(
    servers: list[Server], token: str, *, soak: bool
):
    saves = SAVES * (10 if soak else 1)
    race = Race(token, saves)
    asyncio.run(race.run(servers))
    assert len(race.answered) == len(set(race.answered)) == saves
    assert saves - len(race.applied) > saves / 1000  # some were late: there was a race
    rows = servers[0].query("SELECT item_id, version, position_ms, last_watched_at FROM progress")
    stored = {str(movie): (version, position_ms, at) for movie, version, position_ms, at in rows}
    versions = Counter(movie for movie, _ in race.applied)
    assert stored == {
        movie: (versions[movie], newest % 500 * 1000, instant_of(observed_at(newest)))
        for movie, newest in race.newest.items()
    }
    end(servers)


async def send_twins(servers: Sequence[Server], token: str, movies: Sequence[str]) -> list[tuple[int, Any]]:
    """Send the same report of each movie to both servers concurrently, and return all answers."""
    lines = [(await Line.open(server.url, token), await Line.open(server.url, token)) for server in servers]
    answers: list[tuple[int, Any]] = []
    for movie in movies:
        path = f"/api/v1/playback/movie/{movie}"
        asked = [line.ask("POST", path, report(COMPLETING)) for pair in lines for line in pair]
        answers += await asyncio.gather(*asked)
    for pair in lines:
        for line in pair:
            line.close()
    return answers


def test_the_same_report_to_both_servers_concurrently_counts_once(servers: list[Server], token: str):
    answers = asyncio.run(send_twins(servers, token, TWINS))
    assert {status for status, _ in answers} == {200}
    assert all(answer["watched"] for _, answer in answers)
    rows = servers[0].query("SELECT item_id, version FROM progress")
    assert {str(movie): version for movie, version in rows} == dict.fromkeys(TWINS, 1)
    plays = servers[0].query("SELECT item_id, watched_at FROM play")
    at = instant_of(observed_at(COMPLETING))
    assert sorted((str(movie), when) for movie, when in plays) == [(movie, at) for movie in TWINS]
    end(servers)


def end(servers: Sequence[Server]) -> None:
    for server in servers:
        assert server.stop() == 0
        assert "Traceback" not in server.printed()
    assert servers[0].command("db", "check").returncode == 0


# A server and a concurrent command


def history(path: Path, round_: int) -> Path:
    """Write a history that has watched all movies, once more in each round, long before the clients did."""
    at = f"1999-01-{round_:02}T20:00:00Z"
    progress = {"position_ms": 0, "duration_ms": 600_000, "watched": True, "armed": False, "last_watched_at": at}
    with path.open("wb") as file:
        for number, movie in enumerate(MOVIES):
            play = {"id": f"{round_:08}-0000-4000-8000-{number:012}", "source": "imported", "watched_at": at}
            line = {"item": {"id": movie}, "progress": progress, "plays": [play]}
            file.write(msgspec.json.encode(line) + b"\n")
    return path


def test_a_history_is_imported_while_the_server_saves_and_neither_undoes_the_other(
    durable_server: Server, tmp_path: Path, *, soak: bool
):
    rounds = 8 if soak else 2
    ledger = Ledger(stock(durable_server.settings))
    durable_server.start()

    def bring() -> None:
        for number in range(1, rounds + 1):
            file = history(tmp_path / "history.jsonl", number)
            for _ in range(2):  # the same history twice counts once
                durable_server.command("history", "import", str(file), "--user", "anna")

    ledger.save_during(durable_server.url, bring)
    ledger.compare(durable_server.url)
    assert ledger.refused == ledger.unanswered == 0
    plays = durable_server.query("SELECT item_id, watched_at, source FROM play")
    ledger.compare_plays((movie, at) for movie, at, source in plays if source == "automatic")
    imported = Counter(str(movie) for movie, _, source in plays if source == "imported")
    assert imported == dict.fromkeys(MOVIES, rounds)
    end([durable_server])
