"""The maintenance commands, while a server runs, on both engines: backup, check, doctor."""

from pathlib import Path
from subprocess import CompletedProcess

import pytest

from ledger import MOVIES, Ledger, stock
from playhead.storage.migrations import HEAD
from postgres import Cluster
from server import Server


@pytest.fixture
def ledger(durable_server: Server) -> Ledger:
    """Clients of a running server that has saved something."""
    ledger = Ledger(stock(durable_server.settings))
    durable_server.start()
    ledger.save_during(durable_server.url, lambda: durable_server.comes_true(lambda: ledger.saved > 500))
    return ledger


def findings(told: CompletedProcess[str]) -> dict[str, list[str]]:
    """Return the output of doctor by level; the other lines are remedies."""
    by_level: dict[str, list[str]] = {"ok": [], "warning": [], "bad": [], "": []}
    for line in told.stdout.splitlines():
        by_level[line[:8].strip()].append(line[9:])
    return by_level


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_backup_under_load_contains_all_saves_answered_before(durable_server: Server, ledger: Ledger, tmp_path: Path):
    answered = dict(ledger.acknowledged)
    copy = Server(tmp_path / "restored")
    copy.data.mkdir()

    def back_up() -> None:
        told = durable_server.command("db", "backup", str(copy.data / "playhead.db"))
        assert "complete and verified" in told.stdout

    ledger.save_during(durable_server.url, back_up)
    assert ledger.refused == ledger.unanswered == 0
    ledger.acknowledged = answered
    copy.start()
    ledger.compare(copy.url)
    assert copy.stop() == 0
    assert copy.command("db", "check").returncode == 0


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_on_postgresql_backup_refers_to_its_own_tools(durable_server: Server, tmp_path: Path):
    copy = tmp_path / "copy.dump"
    told = durable_server.command("db", "backup", str(copy), check=False)
    assert told.returncode == 1
    assert f"pg_dump --format=custom --file={copy} --dbname={durable_server.database}" in told.stderr
    assert not copy.exists()


def test_check_finds_nothing_under_load_and_then_what_is_broken(durable_server: Server, ledger: Ledger):
    def check() -> None:
        assert "Nothing is wrong" in durable_server.command("db", "check").stdout

    ledger.save_during(durable_server.url, check)
    assert ledger.refused == ledger.unanswered == 0
    durable_server.query("UPDATE progress SET position_ms = -1")
    told = durable_server.command("db", "check", check=False)
    assert told.returncode == 1
    assert "position_ms is below 0" in told.stdout
    assert f"{len(MOVIES)} faults in" in told.stderr


def test_doctor_finds_nothing_wrong_while_a_sound_server_runs(durable_server: Server, ledger: Ledger):
    assert ledger.saved
    told = findings(durable_server.command("doctor"))
    assert told["bad"] == []
    assert f"Database of revision {HEAD}" in told["ok"]
    if durable_server.database:
        assert any(durable_server.database in text for text in told["ok"])
    else:
        assert any(text.startswith("SQLite ") for text in told["ok"])


def test_doctor_reports_what_is_bad_with_its_remedy_and_exits_with_1(durable_server: Server):
    durable_server.command("db", "upgrade")
    durable_server.query("UPDATE alembic_version SET version_num = '9999'")
    doctor = durable_server.command("doctor", check=False)
    assert doctor.returncode == 1
    told = findings(doctor)
    assert told["bad"] == [f"The database is of revision 9999, newer than this program's {HEAD}"]
    assert any("Install the newer Playhead" in remedy for remedy in told[""])


def test_doctor_warns_of_a_server_that_does_not_sync(cluster: Cluster, tmp_path: Path):
    careless = Server(tmp_path / "installation", cluster.create("careless"))
    told = findings(careless.command("doctor", check=False))
    assert told["bad"] == ["A power loss can lose or damage everything: fsync and full_page_writes off at the server"]
    assert "No database yet; the first start makes one" in told["ok"]


def test_doctor_says_why_a_server_is_unreachable_without_the_password(tmp_path: Path):
    lost = Server(tmp_path / "installation", "postgresql://playhead:secret@127.0.0.1:1/playhead")
    doctor = lost.command("doctor", check=False)
    assert doctor.returncode == 1
    assert any(text.startswith("The database cannot be read: ") for text in findings(doctor)["bad"])
    assert "secret" not in doctor.stdout + doctor.stderr


def test_doctor_recognises_a_database_of_another_program(tmp_path: Path):
    server = Server(tmp_path / "installation")
    server.data.mkdir()
    (server.data / "playhead.db").write_bytes(b"no database " * 1000)
    told = server.command("doctor", check=False)
    assert told.returncode == 1
    assert any("cannot be read" in text for text in findings(told)["bad"])
