"""Disks that fail under the running server: a failed sync or write stops it, a full disk does not."""

import os
from pathlib import Path

import pytest

from ledger import CLIENTS, Ledger, stock
from server import Server

pytestmark = pytest.mark.long

MIB = 1024 * 1024
ALL_PLAYS = "SELECT item_id, watched_at FROM play"

# SQLite chooses between the two calls.
SYNC = "fsync,fdatasync"
WRITE = "pwrite64"

# Each thread counts its own calls, and one makes all commits: these are its first ones, some in the middle of a run,
# and one after a checkpoint. The very first writes are those of the start, which simply refuses.
FAILING = [(SYNC, 1), (SYNC, 2), (SYNC, 7), (SYNC, 40), (WRITE, 20), (WRITE, 90)]
FAILING_IN_A_SOAK = [
    *((SYNC, number) for number in (*range(1, 41), *range(50, 500, 50))),
    *((WRITE, number) for number in (*range(20, 40), *range(50, 250, 50))),
]

SMALL_DISK = """
mount -t tmpfs -o size=8m none "$0" && cp -r "$1"/. "$0" && shift && exec "$@"
"""


# A failed sync or write


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "failing" in metafunc.fixturenames:
        soak = metafunc.config.getoption("--soak")
        metafunc.parametrize(("failing", "number"), FAILING_IN_A_SOAK if soak else FAILING)


def test_after_a_failed_sync_or_write_nothing_is_saved_and_the_server_stops(server: Server, failing: str, number: int):
    ledger = Ledger(stock(server.settings))
    calls = server.data.parent / "calls"
    inject = ("-e", f"trace={failing}", "-e", f"inject={failing}:error=EIO:when={number}")
    server.around = ("strace", "-f", "--seccomp-bpf", "-qq", "-o", str(calls), *inject)
    server.start()

    def wait_for_the_end() -> None:
        assert server.wait() == 1

    ledger.save_during(server.url, wait_for_the_end)
    assert "(INJECTED)" in calls.read_text()
    assert ledger.refused > 0
    assert ledger.saved_after_refusal == 0
    printed = server.printed()
    assert printed.count("The store failed; no further save is accepted: ") == 1
    assert "Traceback" not in printed

    server.around = ()
    server.start()
    ledger.compare(server.url)
    ledger.compare_plays(server.query(ALL_PLAYS))
    assert server.stop() == 0


# A full disk


@pytest.fixture
def confined(server: Server, tmp_path: Path) -> Server:
    """A server whose folder is a separate disk of eight MiB, with an installation on it.

    Only the server sees the disk, in its own mount namespace, so that nothing is left of it; tests see it through
    `seen_by`.
    """
    prepared = tmp_path / "prepared"
    (tmp_path / "token").write_text(stock(Server(prepared).settings))
    server.data.mkdir()
    unshare = ("unshare", "--mount") if os.geteuid() == 0 else ("unshare", "--user", "--map-root-user", "--mount")
    server.around = (*unshare, "sh", "-c", SMALL_DISK, str(server.data), str(prepared))
    server.start()
    return server


def seen_by(server: Server) -> Path:
    return Path(f"/proc/{server.pid}/root{server.data}")


def fill(path: Path) -> None:
    """Write until the disk is full."""
    with path.open("wb", buffering=0) as file:
        for size in (MIB, 4096):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                continue


def test_a_full_disk_refuses_only_saves_until_there_is_space(confined: Server, tmp_path: Path):
    ledger = Ledger((tmp_path / "token").read_text())
    filler = seen_by(confined) / "filler"

    def fill_and_make_room() -> None:
        assert confined.comes_true(lambda: ledger.saved > CLIENTS)
        fill(filler)
        assert confined.comes_true(lambda: ledger.refused > 5 * CLIENTS)
        ledger.compare(confined.url)
        with confined.client() as client:
            assert client.get("/livez").status_code == 200
        filler.unlink()
        saved = ledger.saved
        assert confined.comes_true(lambda: ledger.saved > saved + 10 * CLIENTS)

    ledger.save_during(confined.url, fill_and_make_room)
    ledger.compare(confined.url)
    assert ledger.unanswered == 0
    assert confined.stop() == 0
    assert "Traceback" not in confined.printed()
