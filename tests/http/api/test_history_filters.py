"""The history over HTTP, restricted to an item, a show, a kind, a library or a period, and in either order."""

import pytest

from sample_library import SampleLibrary, id_of
from world import LIBRARY, MOVIE, NOWHERE, SHOW, World, stock_library

pytestmark = [pytest.mark.anyio, pytest.mark.both_engines]

EVERYTHING = ["Tides 1x02", "Tides 1x01", "Alien", "Brazil"]


@pytest.fixture
async def library(world: World) -> SampleLibrary:
    """What the member watched on 8 November 2025 from 22:00 UTC on, a minute apart; Brazil at an unknown time."""
    library = SampleLibrary(world)
    await library.open()
    await library.add_movies("Alien", "Brazil")
    await library.add_show("Tides", "1x01", "1x02")
    await library.watch("Alien", "Tides 1x01", "Tides 1x02")
    await library.player("Brazil").mark(watched_at=None)
    return library


async def history(library: SampleLibrary, query: str = "", *, limit: int = 500) -> list[str]:
    return [library.name(play["item"]["id"]) for play in await library.pages("history", limit=limit, query=query)]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", EVERYTHING),
        (f"&item={id_of('Alien')}", ["Alien"]),
        (f"&item={id_of('Tides 1x01')}", ["Tides 1x01"]),
        (f"&item={id_of('Tides')}", ["Tides 1x02", "Tides 1x01"]),
        (f"&show={id_of('Tides')}", ["Tides 1x02", "Tides 1x01"]),
        ("&kind=movie", ["Alien", "Brazil"]),
        ("&kind=episode", ["Tides 1x02", "Tides 1x01"]),
        (f"&kind=movie&show={id_of('Tides')}", []),
        ("&library=Shelf", EVERYTHING),
        (f"&library={id_of('Shelf')}", EVERYTHING),
        ("&from=2025-11-08", ["Tides 1x02", "Tides 1x01", "Alien"]),
        ("&until=2025-11-07", []),
        ("&until=2025-11-08", ["Tides 1x02", "Tides 1x01", "Alien"]),
        ("&from=2025-11-08T22:01:00Z", ["Tides 1x02", "Tides 1x01"]),
        ("&from=2025-11-08T22:00:00Z&until=2025-11-08T22:02:00Z", ["Tides 1x01", "Alien"]),
        ("&order=newest", EVERYTHING),
        ("&order=oldest", EVERYTHING[::-1]),
        ("&order=oldest&kind=episode", ["Tides 1x01", "Tides 1x02"]),
    ],
)
async def test_a_filter_lists_only_what_it_names(library: SampleLibrary, query: str, expected: list[str]):
    assert await history(library, query) == expected
    assert await history(library, query, limit=1) == expected


async def test_days_are_those_of_the_users_time_zone(library: SampleLibrary):
    accounts = library.world.playhead.installation.accounts
    await accounts.set_time_zone(library.world.user_ids["member"], "Asia/Tokyo")  # pyright: ignore[reportArgumentType]
    assert await history(library, "&until=2025-11-08") == []
    assert len(await history(library, "&from=2025-11-09&until=2025-11-09")) == 3


async def test_a_library_lists_what_it_had(library: SampleLibrary):
    await library.world.playhead.installation.database.write(
        lambda connection: stock_library(connection, library.world.user_ids["member"])
    )
    assert await history(library, f"&library={LIBRARY}") == []
    await library.remove("Alien")
    assert await history(library, "&library=Shelf&kind=movie") == ["Alien", "Brazil"]


async def test_an_old_id_of_an_item_means_the_item(library: SampleLibrary):
    merged = await library.ask(
        "POST", f"items/{id_of('Alien')}/merge", {"from": id_of("Brazil")}, headers=library.world.admin
    )
    assert merged.status_code == 200
    assert await history(library, f"&item={id_of('Brazil')}") == ["Alien", "Alien"]


@pytest.mark.parametrize(
    ("query", "status", "message"),
    [
        (f"item={NOWHERE}", 404, "Media item not found"),
        ("item=x", 404, "Media item not found"),
        (f"show={NOWHERE}", 404, "Show not found"),
        (f"show={id_of('Alien')}", 404, "Show not found"),
        ("library=Nowhere", 404, "Library not found"),
        (f"item={MOVIE}", 403, "Access denied"),
        (f"show={SHOW}", 403, "Access denied"),
        (f"library={LIBRARY}", 403, "Access denied"),
    ],
)
async def test_what_does_not_exist_or_may_not_be_seen_is_refused(
    library: SampleLibrary, query: str, status: int, message: str
):
    await library.world.playhead.installation.database.write(lambda connection: stock_library(connection, None))
    response = await library.ask("GET", f"history?{query}")
    assert (response.status_code, response.json()["error"]) == (status, message)


@pytest.mark.parametrize(
    ("query", "faulty"),
    [
        ("from=x&until=2025-02-30", ["from", "until"]),
        ("from=2025-11-08&until=2025-11-07", ["until"]),
        ("kind=show", ["kind"]),
        ("order=random", ["order"]),
        ("library=", ["library"]),
    ],
)
async def test_faulty_members_are_named(library: SampleLibrary, query: str, faulty: list[str]):
    response = await library.ask("GET", f"history?{query}")
    assert (response.status_code, [*response.json()["details"]]) == (422, faulty)
