"""What was answered is there after the process was killed in the midst of its work."""

import itertools
import threading
import time
from pathlib import Path

import httpx
import pytest

from playhead.storage.sqlite import SQLiteDatabase
from server import Server
from world import MOVIE, stock_library

CLIENTS = 8
KILLS = 3
SIGKILL = 9


class Ledger:
    """Clients that save ever higher positions, each as its own user, and what was answered to them."""

    def __init__(self, server: Server, tokens: list[str]) -> None:
        self.acknowledged = dict.fromkeys(tokens, 0)
        self.sent = dict.fromkeys(tokens, 0)
        self._server = server
        self._stopping = threading.Event()

    def run_for(self, seconds: float) -> None:
        """Save as fast as answers come, then kill the server while requests are under way."""
        self._stopping.clear()
        threads = [threading.Thread(target=self._save, args=(token,)) for token in self.sent]
        for thread in threads:
            thread.start()
        time.sleep(seconds)
        self._server.stop(SIGKILL)
        self._stopping.set()
        for thread in threads:
            thread.join()

    def _save(self, token: str) -> None:
        with self._server.client(token) as client:
            for position in itertools.count(self.sent[token] + 1):
                if self._stopping.is_set():
                    return
                self.sent[token] = position
                report = {"position_seconds": position, "duration_seconds": 1_000_000}
                try:
                    response = client.post(f"/api/v1/playback/movie/{MOVIE}", json=report)
                except httpx.TransportError:
                    return
                assert response.status_code == 200
                self.acknowledged[token] = response.json()["position_seconds"]


@pytest.fixture
def tokens(server: Server) -> list[str]:
    made: list[str] = []
    for number in range(CLIENTS):
        name = f"user{number}"
        server.command("user", "add", name, "--admin", "--password-stdin", stdin="correct horse\n")
        made.append(server.command("token", "create", name).stdout.strip())
    database = SQLiteDatabase(Path(server.data / "playhead.db"))
    database.write_blocking(lambda connection: stock_library(connection, viewer=None))
    database.close_blocking()
    return made


def test_kill_9_under_load_loses_nothing_that_was_answered(server: Server, tokens: list[str]):
    ledger = Ledger(server, tokens)
    for _ in range(KILLS):
        server.start()
        ledger.run_for(1.0)
        server.start()
        for token in tokens:
            with server.client(token) as client:
                stored = client.get(f"/api/v1/playback/movie/{MOVIE}").json()["position_seconds"]
            # The last report may be durable though its answer was never read.
            assert ledger.acknowledged[token] <= stored <= ledger.sent[token]
        server.stop()
    assert sum(ledger.acknowledged.values()) > CLIENTS * KILLS * 10
    server.command("db", "upgrade")
    assert server.query("PRAGMA integrity_check") == [("ok",)]
