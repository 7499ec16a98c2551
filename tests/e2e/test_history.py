"""Export and import of a history while the server runs."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from server import Server

FILM = "11111111-1111-4111-8111-111111111111"


@contextmanager
def begun(server: Server) -> Iterator[httpx.Client]:
    """Start a server that keeps no files, with a film and an admin, who is the client."""
    server.start()
    line = {"id": FILM, "library": "Films", "kind": "movie", "title": "Harbour Lights", "year": 2019}
    with server.client(server.add_user("root")) as client:
        assert client.post("/api/v1/libraries", json={"name": "Films", "kind": "movies"}).status_code == 201
        imported = client.post(
            "/api/v1/catalogue/import",
            content=json.dumps(line),
            headers={"content-type": "application/x-ndjson"},
        )
        assert imported.status_code == 200, imported.text
        yield client


def test_a_history_is_exported_forgotten_and_imported_while_the_server_runs(server: Server):
    with begun(server) as client:
        url = f"/api/v1/playback/movie/{FILM}"
        saved = client.post(url, json={"position_seconds": 1250, "duration_seconds": 5400}).json()
        file = server.data.parent / "mine.jsonl"
        assert "Exported 1 items of root" in server.command("history", "export", str(file), "--user", "root").stdout
        assert server.command("history", "export", "-", "--user", "root").stdout == file.read_text()
        assert client.delete(url).status_code == 204
        brought = server.command("history", "import", str(file), "--user", "root")
        assert "1 items changed" in brought.stdout
        assert client.get(url).json() == saved
    assert not file.with_name("mine.jsonl.unmatched").exists()


def test_lines_without_a_match_are_reported_and_kept(server: Server):
    with begun(server):
        file = server.data.parent / "foreign.jsonl"
        file.write_text('{"item":{"kind":"movie","title":"Nowhere"}}\n')
        done = server.command("history", "import", str(file), "--user", "root", check=False)
        assert done.returncode == 1
        assert "line 1 matches no item here" in done.stderr
        assert file.with_name("foreign.jsonl.unmatched").read_text() == file.read_text()


def test_an_export_that_fails_leaves_no_file(server: Server):
    server.start()
    file = server.data.parent / "mine.jsonl"
    done = server.command("history", "export", str(file), "--user", "nobody", check=False)
    assert done.returncode == 1
    assert [path.name for path in file.parent.glob("mine*")] == []
