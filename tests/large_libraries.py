"""Larger libraries than `world` has: many movies, and a show with seasons, specials and an episode yet to air."""

from collections.abc import Iterable

from sqlalchemy import Connection, insert

from playhead.domain.catalogue import search_title, sort_title
from playhead.storage import schema
from playhead.storage.searching import learn_words
from world import LIBRARY, RUNTIME_MS, insert_items

SERIES = "aaaaaaaa-4444-4444-8444-444444444444"
STATION = "aaaaaaaa-2222-4222-8222-222222222222"

EpisodeNumbers = tuple[int, int]

EPISODES: tuple[EpisodeNumbers, ...] = ((0, 1), (1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (2, 3))
COMING: EpisodeNumbers = (2, 3)
"""Has not aired at the time of the tests."""


def episode_id(season: int, number: int) -> str:
    return f"aaaaaaaa-3333-4333-8333-{season:06}{number:06}"


def movie_id(number: int) -> str:
    return f"bbbbbbbb-1111-4111-8111-{number:012}"


def stock_series(connection: Connection, *viewers: str) -> None:
    """Store a library of shows: one show whose second season has not aired completely."""
    connection.execute(insert(schema.library), [{"id": SERIES, "name": "Series", "kind": "shows", "created_at": 0}])
    _add(connection, [{"id": STATION, "kind": "show", "title": "Signal Hill", "year": 2021, "library_id": SERIES}])
    _add(
        connection,
        [
            {
                "id": episode_id(*numbers),
                "kind": "episode",
                "title": f"Watch {numbers[0]}-{numbers[1]}",
                "show_id": STATION,
                "season_number": numbers[0],
                "episode_number": numbers[1],
                "air_date": "2030-05-01" if numbers == COMING else "2021-05-01",
                "runtime_ms": RUNTIME_MS,
                "library_id": SERIES,
                "added_at": 10,
            }
            for numbers in EPISODES
        ],
    )
    grants = [{"user_id": viewer, "library_id": SERIES, "granted_at": 0} for viewer in viewers]
    if grants:
        connection.execute(insert(schema.library_access), grants)


def stock_movies(connection: Connection, numbers: Iterable[int], library_id: str = LIBRARY) -> None:
    """Store movies: "Reel 1" of 1951, "Reel 2" of 1952, …, each added a millisecond after the one before."""
    _add(
        connection,
        [
            {
                "id": movie_id(number),
                "kind": "movie",
                "title": f"Reel {number}",
                "year": 1950 + number % 70,
                "runtime_ms": RUNTIME_MS,
                "library_id": library_id,
                "added_at": number,
            }
            for number in numbers
        ],
    )


def _add(connection: Connection, items: list[dict[str, object]]) -> None:
    for item in items:
        title = str(item["title"])
        item |= {
            "sort_title": sort_title(title),
            "search_title": search_title(title),
            "identity": str(item["id"]),
        }
    insert_items(connection, items)
    learn_words(connection, (str(item["search_title"]) for item in items))
