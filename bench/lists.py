"""What watch state costs a heavy user: continue watching, next up, statistics, batches of reports, marking a show."""

import asyncio
import http.client
import itertools
import json
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from installation import DURATION_S, LIBRARY, add_items, add_movies, fail, item_row
from plan import Plan
from report import at_least, at_most, say
from servers import BenchError, Server, playhead_program, running
from sqlalchemy import Connection, insert

from playhead.bootstrap import open_installation
from playhead.config import Settings
from playhead.domain.model import LibraryId, Role, UserId
from playhead.storage import schema
from playhead.terminal import progress_bar

MOST_CONTINUE_WATCHING_MS = 15
MOST_NEXT_UP_MS = 10
MOST_MARK_SHOW_MS = 300
MOST_STATISTICS_MS = 50
LEAST_BATCHED_REPORTS = 10_000

PROGRESS_ROWS = 20_000
PLAYS = 20_000
LONG_SHOW_EPISODES = 2000
EPISODES_A_SHOW = 90
SHOWS = 100
SEEN_MOVIES = PROGRESS_ROWS - SHOWS * EPISODES_A_SHOW - LONG_SHOW_EPISODES // 2

_SHOWS_LIBRARY = LibraryId(str(UUID(int=3)))
_LONG_SHOW = str(UUID(int=2**70))
_BATCH = 500
_BATCH_CLIENTS = 4
_BATCH_SECONDS_A_ROUND = 2
_DAY_MS = 24 * 3600 * 1000
_SPREAD_DAYS = 80  # within the 90 days after which continue watching leaves a card out: nothing is left out early


def measure_lists(folder: Path, plan: Plan) -> None:
    """Measure one user with PROGRESS_ROWS rows of progress; print the verdicts."""
    data = folder / "data"
    say(f"\nMaking a user with {PROGRESS_ROWS:,} rows of progress and a show of {LONG_SHOW_EPISODES:,} episodes")
    token = asyncio.run(_make(data))
    with running(playhead_program(data), folder) as server:
        client = _Client(server, token)
        page = client.ask("GET", "/api/v1/continue-watching?limit=20")
        if len(page["items"]) != 20:  # noqa: PLR2004 - the limit
            raise BenchError(f"continue watching answers {len(page['items'])} items of 20: {page}")
        next_up = client.ask("GET", f"/api/v1/shows/{_LONG_SHOW}/next-up")
        if next_up["kind"] != "next" or next_up["episode"]["item"]["id"] != _episode_id(
            _LONG_SHOW, LONG_SHOW_EPISODES // 2
        ):
            raise BenchError(f"next up in the middle of a show answers {next_up}")
        watching_ms = _median_ms(plan.asks, lambda: client.ask("GET", "/api/v1/continue-watching?limit=20"))
        next_up_ms = _median_ms(plan.asks, lambda: client.ask("GET", f"/api/v1/shows/{_LONG_SHOW}/next-up"))
        year = f"/api/v1/statistics?from={datetime.now(UTC).date() - timedelta(365)}&by=month"
        counted = client.ask("GET", year)["total"]
        if counted["plays"] != PLAYS:
            raise BenchError(f"statistics of {PLAYS:,} plays count {counted}")
        statistics_ms = _median_ms(plan.asks, lambda: client.ask("GET", year))
        marking_ms = _measure_marking(client, max(3, plan.asks // 10))
        reports = _measure_batches(server, token, plan.rounds * _BATCH_SECONDS_A_ROUND)
    say("One user, one connection, medians; batches over four connections")
    at_most(f"continue watching with {PROGRESS_ROWS:,} rows of progress", watching_ms, MOST_CONTINUE_WATCHING_MS, "ms")
    at_most(f"next up in a show of {LONG_SHOW_EPISODES:,} episodes", next_up_ms, MOST_NEXT_UP_MS, "ms")
    at_most(f"statistics of a year with {PLAYS:,} plays, by month", statistics_ms, MOST_STATISTICS_MS, "ms")
    at_most(f"marking a show of {LONG_SHOW_EPISODES:,} episodes", marking_ms, MOST_MARK_SHOW_MS, "ms")
    at_least(f"reports in batches of {_BATCH}", reports, LEAST_BATCHED_REPORTS, "a second")


async def _make(data: Path) -> str:
    async with open_installation(Settings(data=data), on_failure=fail) as playhead:
        await playhead.database.write(add_movies)
        await playhead.database.write(_add_shows)
        user = await playhead.accounts.create_user("heavy", "a long password", Role.MEMBER)
        for library in (LIBRARY, _SHOWS_LIBRARY):
            await playhead.accounts.grant(library, user.id)
        rows = _progress_rows(user.id, int(time.time() * 1000))
        with progress_bar(f"Writing {len(rows):,} rows of progress") as show:
            for first in range(0, len(rows), 1000):
                chunk = rows[first : first + 1000]

                def add(connection: Connection, chunk: Sequence[dict[str, Any]] = chunk) -> None:
                    connection.execute(insert(schema.progress), chunk)
                    connection.execute(insert(schema.play), [_play(row) for row in chunk if row["watched"]])

                await playhead.database.write(add)
                show(first + len(chunk), len(rows))
        again = _plays_again(rows)

        def add_again(connection: Connection) -> None:
            connection.execute(insert(schema.play), again)

        await playhead.database.write(add_again)
        return (await playhead.accounts.create_token(user.id, "bench")).secret


def _add_shows(connection: Connection) -> None:
    """Add shows of EPISODES_A_SHOW episodes, one of LONG_SHOW_EPISODES, and movies enough for every row of progress."""
    connection.execute(
        insert(schema.library), [{"id": _SHOWS_LIBRARY, "name": "Shows", "kind": "shows", "created_at": 0}]
    )
    shows = [*((_show_id(number), EPISODES_A_SHOW) for number in range(SHOWS)), (_LONG_SHOW, LONG_SHOW_EPISODES)]
    add_items(connection, _SHOWS_LIBRARY, [item_row(show, "show") for show, _ in shows])
    add_items(connection, LIBRARY, [item_row(movie, "movie") for movie in _movies()])
    for show, count in shows:
        episodes = [
            item_row(_episode_id(show, number), "episode")
            | {"show_id": show, "season_number": number // 20 + 1, "episode_number": number + 1}
            for number in range(count)
        ]
        add_items(connection, _SHOWS_LIBRARY, episodes)


def _movies() -> list[str]:
    return [str(UUID(int=2**72 + number)) for number in range(SEEN_MOVIES)]


def _show_id(number: int) -> str:
    return str(UUID(int=2**71 + number))


def _episode_id(show: str, number: int) -> str:
    return str(UUID(int=(UUID(show).int << 16) + number))


def _progress_rows(user: UserId, now_ms: int) -> list[dict[str, Any]]:
    """One movie in ten and three episodes of each show are half seen; the rest is watched, the long show half way."""
    rows: list[dict[str, Any]] = []

    def add(item_id: str, *, watched: bool) -> None:
        at = now_ms - _SPREAD_DAYS * _DAY_MS * (PROGRESS_ROWS - len(rows)) // PROGRESS_ROWS
        position = DURATION_S * 1000 if watched else DURATION_S * 500
        rows.append(
            {"user_id": user, "item_id": item_id, "position_ms": position, "duration_ms": DURATION_S * 1000}
            | {"watched": watched, "armed": not watched, "last_watched_at": at, "version": 1, "changed_at": at}
            | {"completed_marked": False}
        )

    for number, movie in enumerate(_movies()):
        add(movie, watched=number % 10 != 0)
    for show, number in itertools.product(range(SHOWS), range(EPISODES_A_SHOW)):
        add(_episode_id(_show_id(show), number), watched=number < EPISODES_A_SHOW - 3)
    for number in range(LONG_SHOW_EPISODES // 2):
        add(_episode_id(_LONG_SHOW, number), watched=True)
    return rows


def _plays_again(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return second plays of some watched items, a day before the first, so that there are PLAYS of them."""
    plays = [_play(row) for row in rows if row["watched"]]
    return [
        play | {"id": str(UUID(int=2**73 + number)), "watched_at": play["watched_at"] - _DAY_MS}
        for number, play in enumerate(plays[: PLAYS - len(plays)])
    ]


def _play(row: dict[str, Any]) -> dict[str, Any]:
    """Return the one play of a watched item."""
    keys = {name: row[name] for name in ("user_id", "item_id")}
    return keys | {"id": row["item_id"], "watched_at": row["last_watched_at"], "source": "automatic"}


class _Client:
    """One connection that stays open."""

    def __init__(self, server: Server, token: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def ask_raw(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """Return the body of an answer. Raises BenchError where it is no success."""
        self._connection.request(method, path, body, self._headers)
        response = self._connection.getresponse()
        answer = response.read()
        if not http.client.OK <= response.status < http.client.MULTIPLE_CHOICES:
            raise BenchError(f"{method} {path} answers {response.status}: {answer!r}")
        return answer

    def ask(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """Return the decoded body of an answer; an empty one as an empty object."""
        answer = self.ask_raw(method, path, None if body is None else json.dumps(body).encode())
        return json.loads(answer) if answer else {}


def _median_ms(times: int, ask: Callable[[], object]) -> float:
    return statistics.median(_took_ms(ask) for _ in range(times))


def _took_ms(ask: Callable[[], object]) -> float:
    began = time.perf_counter()
    ask()
    return (time.perf_counter() - began) * 1000


def _measure_marking(client: _Client, times: int) -> float:
    """Return the median of marking the long show, none of whose episodes is watched, in milliseconds."""
    took: list[float] = []
    path = f"/api/v1/playback/show/{_LONG_SHOW}/watched"
    for _ in range(times):
        client.ask("DELETE", path)
        took.append(_took_ms(lambda: _mark(client, path)))
    return statistics.median(took)


def _mark(client: _Client, path: str) -> None:
    changed = client.ask("PUT", path, {})["changed"]
    if changed != LONG_SHOW_EPISODES:
        raise BenchError(f"marking {LONG_SHOW_EPISODES} episodes changed {changed}")


def _measure_batches(server: Server, token: str, seconds: int) -> float:
    """Return how many reports a second were applied, sent by _BATCH_CLIENTS in batches of _BATCH."""
    counts = [0] * _BATCH_CLIENTS
    failures: list[Exception] = []
    bodies = [_batch(number) for number in range(SEEN_MOVIES // _BATCH)]
    deadline = time.monotonic() + seconds

    def send(place: int) -> None:
        client = _Client(server, token)
        try:
            for body in itertools.islice(itertools.cycle(bodies), place, None):
                if time.monotonic() >= deadline:
                    return
                answer = client.ask_raw("POST", "/api/v1/playback/batch", body)
                if answer.count(b'"status":200') != _BATCH:
                    raise BenchError(f"a batch of {_BATCH} is answered with {answer[:500]!r}")
                counts[place] += _BATCH
        except (BenchError, OSError, http.client.HTTPException) as error:
            failures.append(error)

    began = time.monotonic()
    threads = [threading.Thread(target=send, args=(place,)) for place in range(_BATCH_CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise BenchError(f"batches: {failures[0]}")
    return sum(counts) / (time.monotonic() - began)


def _batch(number: int) -> bytes:
    """One batch: what an offline player has gathered, each report on another movie."""
    reports = [
        {"kind": "movie", "id": movie, "position_seconds": 60 + place, "duration_seconds": DURATION_S}
        for place, movie in enumerate(_movies()[number * _BATCH : (number + 1) * _BATCH])
    ]
    return json.dumps({"reports": reports}).encode()
