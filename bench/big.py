"""A store of ten million rows beside one of ten thousand: what an installation costs that has grown."""

import asyncio
import contextlib
import hashlib
import itertools
import random
import sqlite3
import time
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from contract import check_noops
from installation import DURATION_S, LIBRARY, MOVIES, add_movies, fail, movies
from load import READ, SAVE, Result, median_ratio, median_result, run_load
from plan import Plan
from report import at_least, print_row, say
from servers import Server, playhead_program, running

from playhead.bootstrap import open_installation
from playhead.config import Settings
from playhead.terminal import progress_bar

SMALL_USERS = 100
MOVIES_A_USER = 100
CONNECTIONS = 64
LEAST_TO_SMALL = 0.85

_REQUESTS_A_USER = 2
_WARM_S = 5
_CHUNK = 1000  # users, between two steps of the progress bar
_LOADS = (SAVE, READ)


class _Case(NamedTuple):
    """A store, and how many of its users send the requests: rows and users are told apart by the third case."""

    name: str
    store: str
    users: int


def measure_big(folder: Path, keep_in: Path | None, plan: Plan) -> None:
    """Measure both stores in turn and print the verdicts. The big one is kept in `keep_in` where that is given."""
    stores = {"small": (folder / "small", SMALL_USERS), "big": ((keep_in or folder) / "big", plan.big_users)}
    cases = (
        _Case("small store", "small", SMALL_USERS),
        _Case("big store", "big", plan.big_users),
        _Case(f"big, {SMALL_USERS} users", "big", SMALL_USERS),
    )
    results: dict[tuple[str, str], list[Result]] = {(case.name, load): [] for load in _LOADS for case in cases}
    requests = plan.big_users * _REQUESTS_A_USER
    with contextlib.ExitStack() as stack:
        servers: dict[str, Server] = {}
        for name, (data, users) in stores.items():
            make_store(data, users)
            size = (data / "playhead.db").stat().st_size
            say(f"The {name} store: {users:,} users, {users * MOVIES_A_USER:,} rows of progress, {size / 1e6:,.0f} MB")
            servers[name] = stack.enter_context(running(playhead_program(data), folder))
            check_noops(servers[name], token_of(users - 1))
        for case in cases:
            write_requests(folder / case.name, case.users, requests)
            run_load(servers[case.store], SAVE, CONNECTIONS, plan.seconds, folder / case.name)
        # As in operation: each player has reported ten seconds ago, so the token is cached.
        say("Letting every user read and save")
        for load in (READ, SAVE):
            seconds = _WARM_S
            # Each run begins anywhere among the requests, so that only a long one has been everywhere.
            while run_load(servers["big"], load, CONNECTIONS, seconds, folder / "big store").requests < requests:
                seconds *= 2
        for number in range(plan.rounds):
            for load, case in itertools.product(_LOADS, cases if number % 2 == 0 else cases[::-1]):
                result = run_load(servers[case.store], load, CONNECTIONS, plan.seconds, folder / case.name)
                results[case.name, load].append(result)
            rates = ", ".join(f"{load} {name} {ones[-1].rate:,.0f}/s" for (name, load), ones in results.items())
            say(f"Round {number + 1} of {plan.rounds}: {rates}")
    print_results(results, plan)


def print_results(results: dict[tuple[str, str], list[Result]], plan: Plan) -> None:
    """Print the medians of the rounds and the verdicts."""
    say()
    print_row(f"At {CONNECTIONS} connections", ["a second", "p50 ms", "p99 ms", "CPU us"])
    for (name, load), ones in results.items():
        one = median_result(ones)
        figures = [f"{one.rate:,.0f}", f"{one.p50_ms:.2f}", f"{one.p99_ms:.2f}", f"{one.cpu_us:.0f}"]
        print_row(f"{load}s, {name}", figures)
    for load in _LOADS:
        ratio = median_ratio(results["big store", load], results["small store", load])
        rows = f"{plan.big_users * MOVIES_A_USER:,} rows to {SMALL_USERS * MOVIES_A_USER:,}"
        at_least(f"{load}s with {rows}", ratio, LEAST_TO_SMALL)
        few = median_ratio(results[f"big, {SMALL_USERS} users", load], results["small store", load])
        say(f"    of the same {SMALL_USERS} users: {few:.2f} times, no target")


def make_store(data: Path, users: int) -> None:
    """Make an installation whose users have a token and MOVIES_A_USER rows of progress each, or use what is there."""
    file = data / "playhead.db"
    done = data / f"made-for-{users}-users"
    fresh = not done.exists()
    if fresh:
        file.unlink(missing_ok=True)
        data.mkdir(parents=True, exist_ok=True)
    asyncio.run(_open(data, fresh=fresh))
    # Straight into the file: through the server it would take an hour. Nothing here must survive a loss of power.
    connection = sqlite3.connect(file, isolation_level=None)
    for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -200000"):
        connection.execute(f"PRAGMA {pragma}")
    if fresh:
        _fill(connection, users)
        done.touch()
    # A token that was used today is not written to again today.
    connection.execute("UPDATE token SET last_used_at = ?", [_now_ms()])
    connection.close()


async def _open(data: Path, *, fresh: bool) -> None:
    async with open_installation(Settings(data=data), on_failure=fail) as playhead:
        if fresh:
            await playhead.database.write(add_movies)


def _fill(connection: sqlite3.Connection, users: int) -> None:
    """Write users in the order of their ids, so that every table grows at its end only."""
    now = _now_ms()
    connection.execute("CREATE TEMP TABLE shelf (place INTEGER PRIMARY KEY, item_id TEXT)")
    connection.executemany("INSERT INTO shelf VALUES (?, ?)", enumerate(movies()))
    with progress_bar(f"Writing {users * MOVIES_A_USER:,} rows of progress") as show:
        for first in range(0, users, _CHUNK):
            numbers = range(first, min(first + _CHUNK, users))
            ids = [_user_id(number) for number in numbers]
            connection.execute("BEGIN")
            connection.executemany(
                "INSERT INTO account (id, name, role, password_hash, created_at) VALUES (?1, ?1, 'member', '', 0)",
                [(user,) for user in ids],
            )
            connection.executemany("INSERT INTO login (name, user_id) VALUES (?1, ?1)", [(user,) for user in ids])
            connection.executemany(
                "INSERT INTO library_access (user_id, library_id, granted_at) VALUES (?, ?, 0)",
                [(user, LIBRARY) for user in ids],
            )
            connection.executemany(
                "INSERT INTO token (hash, id, user_id, kind, name, created_at) VALUES (?, ?2, ?2, 'api', 'bench', 0)",
                [(hashlib.sha256(token_of(number).encode()).hexdigest(), _user_id(number)) for number in numbers],
            )
            # As far as chance would have it in the middle of the movie: neither watched, nor new.
            connection.executemany(
                "INSERT INTO progress (user_id, item_id, position_ms, duration_ms, watched, armed, last_watched_at, "
                "version, changed_at, completed_marked) "
                "SELECT ?1, item_id, 1000000 + place * 1000, ?2, 0, 1, ?3, 1, ?3, 0 FROM shelf "
                "WHERE place BETWEEN ?4 AND ?4 + ?5 - 1 ORDER BY item_id",
                [(_user_id(number), DURATION_S * 1000, now, _first_movie(number), MOVIES_A_USER) for number in numbers],
            )
            connection.execute("COMMIT")
            show(numbers.stop, users)


def write_requests(file: Path, users: int, total: int) -> None:
    """Write requests of the first `users`, in no order, to rows that are there; see load.lua."""
    chance = random.Random(1)
    all_movies = movies()
    numbers = [number % users for number in range(total)]
    chance.shuffle(numbers)
    with file.open("w", encoding="ascii") as lines:
        for number in numbers:
            movie = all_movies[_first_movie(number) + chance.randrange(MOVIES_A_USER)]
            lines.write(f"{token_of(number)} {movie} {chance.randint(0, DURATION_S)}\n")


def token_of(number: int) -> str:
    return hashlib.sha256(b"bench %d" % number).hexdigest()


def _user_id(number: int) -> str:
    return str(UUID(int=2**80 + number))


def _first_movie(number: int) -> int:
    """Users watch different movies: of one hundred in a row, from a place of their own on."""
    return number * 37 % (MOVIES - MOVIES_A_USER + 1)


def _now_ms() -> int:
    return int(time.time() * 1000)
