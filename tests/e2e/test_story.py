"""The first steps of a newcomer with their own films, from the first command to a renamed folder."""

import json
from pathlib import Path

from clips import write_clip
from server import Server

REPORT = {"position_seconds": 12, "duration_seconds": 30}


def test_a_newcomers_films_keep_their_progress_through_restart_and_renaming(server: Server, tmp_path: Path):
    films = tmp_path / "films"
    write_clip(films / "Harbour Lights (2019)" / "Harbour Lights (2019) 1080p.mp4", seconds=30)
    write_clip(films / "The Long Tide (2021) {tmdb-900001}" / "the.long.tide.2021.mkv", seconds=30)
    (films / "notes.txt").write_text("These are no films.")
    (films / "Broken (2020).mkv").write_bytes(b"no film either")

    server.start()
    added = server.command("library", "add", "Films", str(films), "--kind", "movies")
    assert "Films" in added.stdout
    scanned = server.command("scan")
    assert "2 movies in 2 files added" in scanned.stdout
    assert "Broken (2020).mkv" in scanned.stderr
    server.command("user", "add", "anna", "--password-stdin", stdin="correct horse\n")
    token = server.command("token", "create", "anna").stdout.strip()
    items = {item["title"]: item for item in json.loads(server.command("items", "--json").stdout)}
    assert set(items) == {"Harbour Lights", "The Long Tide"}
    assert items["The Long Tide"]["external_ids"] == {"tmdb": "900001"}
    harbour = f"/api/v1/playback/movie/{items['Harbour Lights']['id']}"

    with server.client(token) as client:
        assert client.get(harbour).status_code == 403
        server.command("library", "grant", "Films", "anna")
        saved = client.post(harbour, json=REPORT)
        assert saved.json()["position_seconds"] == 12
        listed = client.get("/api/v1/items").json()["items"]
        assert [item["id"] for item in listed] == [item["id"] for item in items.values()]
        assert listed == list(items.values())

    assert server.stop() == 0
    server.start()
    with server.client(token) as client:
        assert client.get(harbour).json() == saved.json()
        (films / "Harbour Lights (2019)").rename(films / "Harbour Lights - remastered (2019)")
        renamed = server.command("scan")
        assert "1 moved" in renamed.stdout, renamed.stdout
        assert client.get(harbour).json() == saved.json()
        streamed = client.get(harbour.replace("playback", "stream"), headers={"range": "bytes=0-99"})
        assert (streamed.status_code, len(streamed.content)) == (206, 100)
        server.command("library", "revoke", "Films", "anna")
        assert client.get(harbour).status_code == 403


def test_a_show_is_found_with_its_seasons_and_read_by_episode(server: Server, tmp_path: Path):
    series = tmp_path / "series"
    show = series / "Tidal Station (2021)"
    write_clip(show / "Season 1" / "Tidal Station - S01E01-E02 - Ebb.mkv")
    write_clip(show / "Season 1" / "03 - Flood.mkv")
    write_clip(show / "Specials" / "Tidal Station - S00E01 - Making of.mkv")
    server.command("library", "add", "Series", str(series), "--kind", "shows")
    server.command("scan", "Series")
    server.command("user", "add", "anna", "--admin", "--password-stdin", stdin="correct horse\n")
    token = server.command("token", "create", "anna").stdout.strip()
    server.start()
    with server.client(token) as client:
        (found,) = client.get("/api/v1/items", params={"kind": "show"}).json()["items"]
        assert (found["title"], found["year"]) == ("Tidal Station", 2021)
        episodes = client.get(f"/api/v1/items/{found['id']}/episodes").json()["items"]
        numbers = [(each["season_number"], each["episode_number"], each["episode_end"]) for each in episodes]
        assert sorted(numbers) == [(0, 1, None), (1, 1, 2), (1, 2, None), (1, 3, None)]
        flood = next(each for each in episodes if each["episode_number"] == 3)
        url = f"/api/v1/playback/episode/{flood['id']}"
        assert client.post(url, json=REPORT).json()["completion_percentage"] == 40
        assert client.get(f"/api/v1/playback/movie/{found['id']}").json()["error"] == "Media item is not a movie"
