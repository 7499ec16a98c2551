"""Every command that does something, in this process, on both engines. tests/e2e starts the server itself."""

import json
from pathlib import Path
from socket import socket

import pytest
from typer.testing import CliRunner, Result

from clips import write_clip
from playhead.cli import app
from playhead.config import Settings
from playhead.storage.migrations import postgres as postgres_migrations
from postgres import Cluster
from test_docs import commands


class Operator:
    """Runs commands on one installation, and records which."""

    def __init__(self, settings: Settings) -> None:
        self._installation = ["--data", str(settings.data), *_database(settings)]
        self.ran: set[str] = set()

    def __call__(self, *arguments: str, stdin: str = "", status: int = 0, whole: bool = True) -> str:
        """Run a command and return its standard output or, if it fails, its standard error."""
        installation = self._installation if whole else []
        result: Result = CliRunner().invoke(app, [*arguments, *installation], input=stdin)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert result.exit_code == status, result.output
        line = " ".join(("playhead", *arguments))
        self.ran |= {words for words in commands() if line == words or line.startswith(f"{words} ")}
        return result.stderr if status else result.stdout


def _database(settings: Settings) -> list[str]:
    return ["--database", settings.database] if settings.database else []


@pytest.fixture
def operator(settings: Settings, tmp_path: Path) -> Operator:
    """An installation with an admin, a member, and a library of one scanned film."""
    write_clip(tmp_path / "films" / "Harbour Lights (2019)" / "Harbour Lights (2019).mp4")
    operator = Operator(settings)
    operator("db", "upgrade")
    operator("user", "add", "root", "--admin", "--password-stdin", stdin="anchor-rope-42\n")
    operator("user", "add", "anna", "--password-stdin", stdin="anchor-rope-42\n")
    operator("library", "add", "Films", str(tmp_path / "films"), "--kind", "movies")
    assert "Films: 1 movie in 1 file added, 0 changed" in operator("scan")
    return operator


def test_an_operator_lists_grants_and_revokes(operator: Operator):
    films = operator("library", "list")
    assert films.splitlines()[1].split()[:3] == ["Films", "movies", "1"]
    assert operator("library", "grant", "Films", "anna") == "anna sees Films\n"
    assert operator("library", "revoke", "Films", "anna") == "anna no longer sees Films\n"
    assert "Library not found" in operator("library", "revoke", "Nowhere", "anna", status=1)
    assert "User not found" in operator("library", "revoke", "Films", "nobody", status=1)


def test_an_operator_scans_and_lists_items(operator: Operator):
    assert "Films: 0 files added" in operator("scan", "Films")
    assert "1 unchanged" in operator("scan", "Films")
    assert "Library not found" in operator("scan", "Nowhere", status=1)
    assert operator("items").splitlines()[1].endswith("movie  Harbour Lights (2019)")


def test_a_scan_prints_which_files_and_titles_turn_out_to_be_others(operator: Operator, tmp_path: Path):
    films = tmp_path / "films"
    write_clip(films / "Beacon (2021).mp4", seconds=5)
    operator("scan")
    (films / "Beacon (2021).mp4").rename(films / "Harbour Lights (2019).mp4")
    printed = operator("scan")
    assert "title    Harbour Lights (2019).mp4: Beacon (2021) → Harbour Lights (2019)" in printed
    assert "merged   Beacon (2021) → Harbour Lights (2019)" in printed
    assert printed.endswith("1 unchanged, 1 of another title, 1 merged\n")
    [film] = json.loads(operator("items", "--library", "Films", "--json"))
    assert film["title"] == "Harbour Lights"


NAMES = ["Amber/Amber S01E02-03.mkv", "Heat (1995) {tmdb-949}/Heat (1995) - Director's Cut cd2.avi", "trailer.mp4"]


def test_how_names_are_read_is_told_as_text(operator: Operator):
    assert operator("name", *NAMES, "Daily 2024-01-15.mkv", whole=False).splitlines() == [
        NAMES[0],
        "    Amber, season 1, episode 2 to 3; rule: S01E02",
        NAMES[1],
        "    Heat (1995), part 2, Director's Cut, tmdb 949; rule: folder: Title (year)",
        NAMES[2],
        "    no item of such a library, or an extra of one",
        "Daily 2024-01-15.mkv",
        "    Daily, of 2024-01-15; rule: 2024-01-15",
    ]


def test_how_names_are_read_is_told_as_json_for_paths_from_standard_input(operator: Operator):
    lines = operator("name", "--kind", "shows", "--json", stdin=f"/{NAMES[0]}\n\nAmber 20240115.ts\n", whole=False)
    several, nothing, daily = map(json.loads, lines.splitlines())
    assert several == {
        "title": "Amber",
        "year": None,
        "season_number": 1,
        "episode_number": 2,
        "episode_end": 3,
        "air_date": None,
        "part": None,
        "edition": None,
        "external_ids": {},
        "rule": "S01E02",
    }
    assert nothing is None
    assert (daily["air_date"], daily["episode_number"], daily["rule"]) == ("2024-01-15", None, "20240115")


def test_an_operator_splits_identifies_and_merges(operator: Operator, tmp_path: Path):
    write_clip(tmp_path / "films" / "Harbour Lights (2019)" / "Harbour Lights (2019) - 2.mp4", seconds=2)
    operator("scan")
    [film] = json.loads(operator("items", "--json"))
    second, first = (line.split()[0] for line in operator("item", "files", film["id"]).splitlines()[1:])
    made = operator("item", "split", film["id"], second, "--title", "Harbour Nights", "--year", "2020")
    assert made.startswith("1 files are now Harbour Nights: ")
    nights = made.split()[-1]
    identified = operator(
        "item", "identify", first, "--title", "Harbor Lights", "--year", "2019", "--external-id", "tmdb=7"
    )
    assert identified == "Harbour Lights (2019)/Harbour Lights (2019).mp4 is identified\n"
    assert "identified" in operator("item", "files", film["id"])
    found = {each["id"]: (each["title"], each["external_ids"]) for each in json.loads(operator("items", "--json"))}
    assert found == {film["id"]: ("Harbor Lights", {"tmdb": "7"}), nights: ("Harbour Nights", {})}
    assert operator("item", "tell-apart", film["id"], nights) == "They are kept apart\n"
    path = "Harbour Lights (2019)/Harbour Lights (2019).mp4"
    assert operator("item", "identify", path, "--library", "Films", "--release").endswith("is what its name says\n")
    assert operator("item", "merge", film["id"], nights) == f"Merged into Harbour Lights: {film['id']}\n"
    assert [each["id"] for each in json.loads(operator("items", "--json"))] == [film["id"]]


def test_an_operator_is_told_what_is_wrong_with_a_correction(operator: Operator):
    [film] = json.loads(operator("items", "--json"))
    assert "they are one already" in operator("item", "merge", film["id"], film["id"], status=1)
    assert "x is not an id" in operator("item", "files", "x", status=1)
    [row] = operator("item", "files", film["id"]).splitlines()[1:]
    file = row.split()[0]
    assert "at least one option, or --release" in operator("item", "identify", file, status=1)
    assert "nothing else" in operator("item", "identify", file, "--ignore", "--title", "x", status=1)
    assert "SOURCE=VALUE" in operator("item", "identify", file, "--external-id", "tmdb", status=1)
    assert "File not found" in operator("item", "identify", "x.mkv", "--library", "Films", "--ignore", status=1)


def test_an_episode_is_identified_by_its_numbers_or_date(operator: Operator, tmp_path: Path):
    write_clip(tmp_path / "series" / "lost.mp4")
    operator("library", "add", "Series", str(tmp_path / "series"), "--kind", "shows")
    operator("scan", "Series")
    told = ["--title", "Tidal Station", "--season", "1", "--episode", "2", "--last-episode", "3"]
    operator("item", "identify", "lost.mp4", "--library", "Series", *told)
    items = json.loads(operator("items", "--library", "Series", "--json"))
    assert sorted(str(each.get("episode_number")) for each in items) == ["2", "3", "None"]
    dated = ["--title", "Tidal Station", "--air-date", "2021-05-01", "--part", "1", "--edition", "Uncut"]
    operator("item", "identify", "lost.mp4", "--library", "Series", *dated)
    items = json.loads(operator("items", "--library", "Series", "--json"))
    assert [each["air_date"] for each in items if each["kind"] == "episode"] == ["2021-05-01"]


def test_an_operator_renames_moves_and_removes_a_library(operator: Operator, tmp_path: Path):
    [film] = json.loads(operator("items", "--json"))
    assert operator("library", "rename", "Films", "Cinema") == "Renamed library Films: Cinema\n"
    (tmp_path / "films").rename(tmp_path / "disk2")
    moved = operator("library", "move", "Cinema", str(tmp_path / "disk2"))
    assert moved == f"Moved library Cinema: {tmp_path / 'disk2'}\n"
    assert "1 unchanged" in operator("scan")
    assert operator("library", "remove", "Cinema", "--titles", "delete") == "Removed library Cinema\n"
    assert operator("library", "list").splitlines()[1:] == []
    operator("library", "add", "Again", str(tmp_path / "disk2"), "--kind", "movies")
    operator("scan")
    assert [each["id"] for each in json.loads(operator("items", "--json"))] == [film["id"]]


def test_every_command_runs(operator: Operator, settings: Settings, tmp_path: Path, cluster: Cluster):
    assert "anna" in operator("user", "list")
    operator("user", "password", "anna", "--password-stdin", stdin="lantern-quay-17\n")
    assert operator("token", "create", "anna").strip()
    assert "Removed the passkeys" in operator("user", "passkeys", "anna", "--remove")
    operator("user", "passkeys", "anna")
    operator("library", "list")
    operator("library", "grant", "Films", "anna")
    operator("library", "revoke", "Films", "anna")
    film = json.loads(operator("items", "--json"))[0]["id"]
    file = operator("item", "files", film).splitlines()[1].split()[0]
    operator("item", "identify", file, "--edition", "Uncut")
    operator("item", "split", film, file, "--title", "Harbour Nights")
    operator("item", "merge", film, film, status=1)
    operator("item", "tell-apart", film, film, status=1)
    operator("library", "rename", "Films", "Cinema")
    operator("library", "move", "Cinema", str(tmp_path / "films"))
    operator("items")
    operator("name", "Amber.mkv", whole=False)
    history = tmp_path / "anna.jsonl"
    assert "Exported 0 items" in operator("history", "export", str(history), "--user", "anna")
    assert "0 items changed" in operator("history", "import", str(history), "--user", "anna")
    assert "Nothing is wrong" in operator("db", "check")
    operator("user", "remove", "anna")
    operator("library", "remove", "Cinema")
    backup = tmp_path / "backup.db"
    if settings.database:
        assert "pg_dump" in operator("db", "backup", str(backup), status=1)
        assert "pg_restore" in operator("db", "restore", str(backup), status=1)
        target = f"sqlite:///{tmp_path / 'copy.db'}"
        source = settings.database
    else:
        assert "complete and verified" in operator("db", "backup", str(backup))
        assert "complete and verified" in operator("db", "restore", str(backup))
        target = cluster.create("copied-by-a-command")
        postgres_migrations.upgrade(target)
        source = f"sqlite:///{settings.data / 'playhead.db'}"
    assert "each compared" in operator("db", "copy", "--from", source, "--to", target, whole=False)
    with socket() as nobody_listens:
        nobody_listens.bind(("127.0.0.1", 0))
        port = str(nobody_listens.getsockname()[1])
        assert port in operator("health", "--host", "127.0.0.1", "--port", port, status=1, whole=False)
    doctor = CliRunner().invoke(app, ["doctor", "--data", str(settings.data), *_database(settings)])
    assert doctor.exception is None or isinstance(doctor.exception, SystemExit)  # a temporary server does not sync
    assert "Playhead" in doctor.stdout
    assert set(commands()) - operator.ran == {"playhead serve", "playhead doctor"}


def test_file_names_cannot_inject_terminal_sequences(operator: Operator, tmp_path: Path):
    write_clip(tmp_path / "films" / "Evil \x1b]0;owned\x07\nforged \u202e\x9b31m (2001).mp4")
    (tmp_path / "films" / "Broken \x1b[2J (2002).mp4").write_text("nothing")
    for printed in (operator("scan"), operator("items"), operator("items", "--json")):
        assert not set("\x1b\x07\x9b\u202e") & set(printed)
        assert not any(line.startswith("forged") for line in printed.splitlines())
    assert "Evil ]0;owned forged 31m" in [item["title"] for item in json.loads(operator("items", "--json"))]
