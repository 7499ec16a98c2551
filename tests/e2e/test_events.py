"""Live changes between real processes: other devices learn of them within a second; slow readers delay no shutdown."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from device import Device, listening
from playhead.storage.engine.postgres import PostgresDatabase
from playhead.storage.engine.sqlite import SQLiteDatabase
from server import Server
from world import MOVIE, stock_library

URL = f"/api/v1/playback/movie/{MOVIE}"


@pytest.fixture
def token(server: Server) -> str:
    made = server.add_user("anna")
    database = SQLiteDatabase(server.data / "playhead.db")
    database.write_blocking(lambda connection: stock_library(connection, viewer=None))
    database.close_blocking()
    server.start()
    return made


def save(server: Server, token: str, position: int) -> None:
    with server.client(token) as client:
        saved = client.post(URL, json={"position_seconds": position, "duration_seconds": 5400})
        assert saved.status_code == 200


def test_what_one_device_saves_another_hears(server: Server, token: str):
    with listening(server, token) as tv, listening(server, token) as phone:
        for position in (100, 200, 300):
            save(server, token, position)
            for device in (tv, phone):
                name, data = device.event()
                assert (name, data["items"]) == ("progress", [MOVIE])
                assert data["progress"]["position_seconds"] == position


def test_open_streams_end_with_the_server_and_do_not_delay_it(server: Server, token: str):
    with listening(server, token) as device:
        assert server.stop() == 0  # after nine seconds the process would give up on everything, with status 1
        assert device.event() == ("", None)
    assert "Traceback" not in server.printed()


def test_the_command_that_revokes_a_token_ends_its_streams(server: Server, token: str):
    with listening(server, token) as device:
        server.add_user("ben")
        server.command("user", "remove", "anna")
        assert device.event() == ("", None)


def test_a_device_that_disappears_silently_is_forgotten(server: Server, token: str):
    for _ in range(20):
        Device(server, token).close()
    with listening(server, token) as device:
        save(server, token, 100)
        assert device.event()[0] == "progress"
    assert server.stop() == 0
    assert "Traceback" not in server.printed()


@pytest.fixture
def pair(postgres_url: str, tmp_path: Path) -> Iterator[tuple[Server, Server]]:
    """Two running servers on one PostgreSQL database."""
    servers = (Server(tmp_path / "one", postgres_url), Server(tmp_path / "two", postgres_url))
    for server in servers:
        server.start()
    yield servers
    for server in servers:
        if server.running:
            server.stop(signal.SIGKILL)


def test_two_processes_on_postgresql_tell_each_other(pair: tuple[Server, Server]):
    near, far = pair
    token = near.add_user("anna")
    database = PostgresDatabase(near.database)
    database.write_blocking(lambda connection: stock_library(connection, viewer=None))
    database.close_blocking()
    with listening(near, token) as tv, listening(far, token) as phone:
        for server, position in ((near, 100), (far, 200), (near, 300)):
            save(server, token, position)
            for device in (tv, phone):
                name, data = device.event()
                assert (name, data["items"]) == ("progress", [MOVIE])
                assert data["progress"]["position_seconds"] == position
        assert near.stop() == 0
        assert tv.event() == ("", None)
        save(far, token, 400)
        assert phone.event()[1]["progress"]["position_seconds"] == 400
