"""Graceful shutdown: answered saves are stored, nothing that hangs delays it for long, and clients are told."""

import itertools
import shutil
import signal
import socket
import threading
from contextlib import closing
from urllib.parse import urlsplit

import apsw
import httpx
import pytest
from sqlalchemy import Connection, insert

from clips import write_clip
from playhead.storage import schema
from playhead.storage.engine.sqlite import SQLiteDatabase
from server import PATIENCE_S, Server
from world import LIBRARY, MOVIE, insert_items, stock_library

CLIENTS = 8
FILM = "88888888-8888-4888-8888-888888888888"
CLIPS = 200
CLIPS_LIBRARY = {"id": "77777777-7777-4777-8777-777777777777", "name": "Clips", "kind": "movies", "created_at": 1}
MOVIES = [f"00000000-0000-4000-8000-{number:012}" for number in range(CLIENTS)]
SAVE = f"/api/v1/playback/movie/{MOVIE}"


@pytest.fixture
def token(server: Server) -> str:
    """An admin's token, in an installation with a movie whose film is long, and a library with many clips."""
    made = server.add_user("anna")
    films, clips = server.data / "films", server.data / "clips"
    films.mkdir()
    with (films / "film.mkv").open("wb") as film:
        film.truncate(1_000_000_000)
    clips.mkdir()
    write_clip(clips / "0.mkv")
    for number in range(1, CLIPS):
        shutil.copy(clips / "0.mkv", clips / f"{number}.mkv")

    def stock(connection: Connection) -> None:
        stock_library(connection, None)
        connection.execute(schema.library.update().values(path=str(films)))
        connection.execute(insert(schema.library).values(CLIPS_LIBRARY | {"path": str(clips)}))
        file = {"id": FILM, "library_id": LIBRARY, "path": "film.mkv", "size": 1_000_000_000, "mtime_ns": 1}
        connection.execute(insert(schema.media_file).values(file | {"label": "", "evidence": "", "added_at": 1}))
        movie = {
            "library_id": LIBRARY,
            "kind": "movie",
            "title": "",
            "sort_title": "",
            "search_title": "",
            "added_at": 1,
        }
        insert_items(connection, [movie | {"id": each, "identity": each} for each in MOVIES])
        connection.execute(insert(schema.file_item).values(file_id=FILM, item_id=MOVIE))

    database = SQLiteDatabase(server.data / "playhead.db")
    database.write_blocking(stock)
    database.close_blocking()
    server.start()
    return made


def connect(server: Server, sent: bytes = b"") -> socket.socket:
    address = urlsplit(server.url)
    connection = socket.create_connection((address.hostname or "", address.port or 0), timeout=PATIENCE_S)
    connection.sendall(sent)
    return connection


def request(method: str, path: str, token: str = "", more: str = "") -> bytes:
    authorization = f"Authorization: Bearer {token}\r\n" if token else ""
    return f"{method} {path} HTTP/1.1\r\nHost: playhead.test\r\n{authorization}{more}\r\n".encode()


def is_refused(server: Server) -> bool:
    try:
        connect(server).close()
    except ConnectionError:
        return True
    return False


def test_connected_clients_are_told_of_the_shutdown_and_new_ones_refused(server: Server):
    server.start()
    with connect(server, request("GET", "/readyz")) as connection:
        assert connection.recv(10_000).startswith(b"HTTP/1.1 200 ")
        server.send_signal()
        assert server.comes_true(lambda: is_refused(server))
        connection.sendall(request("GET", "/readyz"))
        answer = connection.recv(10_000)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"connection: close" in answer
        assert connection.recv(1) == b""
    assert server.wait() == 0


def test_every_answered_save_is_stored(server: Server, token: str):
    answered = dict.fromkeys(MOVIES, 0)

    def save(movie: str) -> None:
        with server.client(token) as client:
            for position in itertools.count(1):
                report = {"position_seconds": position, "duration_seconds": 1_000_000}
                try:
                    response = client.post(f"/api/v1/playback/movie/{movie}", json=report)
                except httpx.TransportError:
                    return
                assert response.status_code == 200
                answered[movie] = position

    threads = [threading.Thread(target=save, args=(movie,)) for movie in MOVIES]
    for thread in threads:
        thread.start()
    assert server.comes_true(lambda: min(answered.values()) > 20)
    server.send_signal()
    for thread in threads:
        thread.join()
    assert server.wait() == 0
    stored = dict(server.query("SELECT item_id, position_ms / 1000 FROM progress"))
    for movie in MOVIES:
        # One more may be stored, whose answer was lost.
        assert stored[movie] - answered[movie] in {0, 1}
    assert server.command("db", "check").returncode == 0


def test_neither_hanging_clients_nor_streams_nor_scans_delay_it(server: Server, token: str):
    body = "Content-Type: application/json\r\nContent-Length: 100\r\n"
    with server.client(token) as client:
        clips = next(each for each in client.get("/api/v1/libraries").json()["items"] if each["name"] == "Clips")
    hanging = [
        connect(server),
        connect(server, b"POST /api/v1/playb"),
        connect(server, request("POST", SAVE, token, body) + b'{"position'),
        connect(server, request("GET", f"/api/v1/stream/movie/{MOVIE}", token)),
    ]
    assert hanging[-1].recv(1000).startswith(b"HTTP/1.1 200 ")
    with server.client(token) as client:
        assert client.post(f"/api/v1/libraries/{clips['id']}/scan").status_code == 202
    assert server.stop() == 0  # after nine seconds the process would give up on everything, with status 1
    for connection in hanging[:3]:
        with connection:
            assert end_of(connection) == b""
    hanging[3].close()
    assert "Traceback" not in server.printed()
    assert server.command("db", "check").returncode == 0


def end_of(connection: socket.socket) -> bytes:
    """Return what still arrived before the server closed or aborted the connection."""
    try:
        return connection.recv(1000)
    except ConnectionResetError:
        return b""


def test_a_second_signal_waits_for_no_client(server: Server, token: str):
    with connect(server, request("GET", f"/api/v1/stream/movie/{MOVIE}", token)) as watching:
        assert watching.recv(1000).startswith(b"HTTP/1.1 200 ")
        server.send_signal(signal.SIGTERM)
        assert server.comes_true(lambda: is_refused(server))
        server.send_signal(signal.SIGINT)
        assert server.wait() == 0
    assert "Traceback" not in server.printed()


def test_a_store_locked_by_another_process_does_not_delay_it_either(server: Server, token: str):
    with closing(apsw.Connection(str(server.data / "playhead.db"))) as other:
        other.execute("BEGIN IMMEDIATE")
        report = b'{"position_seconds": 1, "duration_seconds": 5400}'
        head = f"Content-Type: application/json\r\nContent-Length: {len(report)}\r\n"
        with connect(server, request("POST", SAVE, token, head) + report) as waiting:
            assert server.stop() == 1
            assert end_of(waiting) == b""
    assert "Not everything finished" in server.printed()


def test_a_read_that_takes_too_long_is_refused_in_time(durable_server: Server):
    durable_server.environment["PLAYHEAD_READ_SECONDS"] = "3600"
    token = durable_server.add_user("anna")
    durable_server.query("INSERT INTO list_state (user_id, item_id, hidden_at) SELECT id, id, 1 FROM account")
    durable_server.query("ALTER TABLE list_state RENAME TO list_state_away")
    durable_server.query(
        "CREATE VIEW list_state AS SELECT * FROM list_state_away WHERE "
        "(WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n) < 0"
    )
    durable_server.start()
    with connect(durable_server, request("GET", "/api/v1/continue-watching", token)) as reading:
        with durable_server.client() as client:
            assert durable_server.comes_true(lambda: "playhead_requests_under_way 1" in client.get("/metrics").text)
        assert durable_server.stop() == 0
        assert reading.recv(1000).startswith(b"HTTP/1.1 503 ")
    assert "Traceback" not in durable_server.printed()
