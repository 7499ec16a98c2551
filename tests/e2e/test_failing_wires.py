"""The network between server and database fails: no answered save is lost, none takes effect twice.

Nobody waits for long, and the server recovers on its own.
"""

from collections.abc import Iterator
from itertools import count, product
from pathlib import Path

import pytest

from ledger import CLIENTS, Ledger, stock
from postgres import Cluster
from proxy import Fault, Moment, Proxy
from server import PATIENCE_S, Server

pytestmark = pytest.mark.long

SIGKILL = 9
ALL_PLAYS = "SELECT item_id, watched_at FROM play"

# A save is retried for 10 s, and the last attempt may use a connection that is silent for 5 s, or a server that is
# unreachable for 5 s; it may have waited for an earlier batch. The rest is for a busy machine.

BROKEN = [*product([Fault.DROP, Fault.RESET], Moment)]

_numbers = count(1)


@pytest.fixture
def proxy(durable_cluster: Cluster) -> Iterator[Proxy]:
    with Proxy(durable_cluster.port) as proxy:
        yield proxy


@pytest.fixture
def behind(durable_cluster: Cluster) -> str:
    """The URL of the database, bypassing the proxy."""
    return durable_cluster.create(f"wires-{next(_numbers)}")


@pytest.fixture
def wired(proxy: Proxy, behind: str, durable_cluster: Cluster, tmp_path: Path) -> Iterator[Server]:
    """A running server that reaches its database only through the proxy."""
    server = Server(tmp_path / "installation", behind.replace(f":{durable_cluster.port}/", f":{proxy.port}/"))
    (tmp_path / "token").write_text(stock(server.settings))
    server.start()
    yield server
    if server.running:
        server.stop(SIGKILL)


@pytest.fixture
def ledger(wired: Server, tmp_path: Path) -> Ledger:
    del wired
    return Ledger((tmp_path / "token").read_text())


def strike(proxy: Proxy, server: Server, ledger: Ledger, fault: Fault, moment: Moment) -> None:
    """Cause a fault under load, and check that the server continues to save for everybody."""

    def strike_and_wait() -> None:
        saved, struck = ledger.saved, proxy.struck
        assert server.comes_true(lambda: ledger.saved > saved + CLIENTS)
        proxy.strike(fault, moment)
        assert server.comes_true(lambda: proxy.struck > struck)
        saved = ledger.saved
        assert server.comes_true(lambda: ledger.saved > saved + 4 * CLIENTS)

    ledger.save_during(server.url, strike_and_wait)


def conclude(server: Server, behind: str, ledger: Ledger) -> None:
    ledger.compare(server.url)
    server.database = behind
    ledger.compare_plays(server.query(ALL_PLAYS))
    assert ledger.unanswered == 0
    assert ledger.longest_s < PATIENCE_S
    assert server.stop() == 0
    assert "Traceback" not in server.printed()


def test_closed_or_reset_connections_cost_nobody_an_answer(
    wired: Server, proxy: Proxy, behind: str, ledger: Ledger, *, soak: bool
):
    for fault, moment in BROKEN * (20 if soak else 1):
        strike(proxy, wired, ledger, fault, moment)
        ledger.compare(wired.url)
    assert ledger.refused == 0
    conclude(wired, behind, ledger)


def test_silent_connections_are_given_up_and_their_saves_take_effect_once(
    wired: Server, proxy: Proxy, behind: str, ledger: Ledger, *, soak: bool
):
    moments = [*Moment] * 5 if soak else [Moment.AFTER_COMMIT]  # it takes seconds; tests of storage have all three
    for moment in moments:
        strike(proxy, wired, ledger, Fault.STALL, moment)
    conclude(wired, behind, ledger)


def test_while_nothing_passes_saves_are_refused_in_time_and_then_resume(
    wired: Server, proxy: Proxy, behind: str, ledger: Ledger, *, soak: bool
):
    def cut_and_mend() -> None:
        saved, refused = ledger.saved, ledger.refused
        assert wired.comes_true(lambda: ledger.saved > saved + CLIENTS)
        proxy.cut()
        assert wired.comes_true(lambda: ledger.refused > refused)
        with wired.client() as client:
            assert client.get("/livez").status_code == 200
            assert client.get("/readyz").status_code == 503
        proxy.mend()
        saved = ledger.saved
        assert wired.comes_true(lambda: ledger.saved > saved + 4 * CLIENTS)

    for _ in range(4 if soak else 1):
        ledger.save_during(wired.url, cut_and_mend)
        ledger.compare(wired.url)
    assert proxy.struck > 0
    conclude(wired, behind, ledger)


def test_a_server_with_a_silent_database_connection_still_stops_in_time(
    wired: Server, proxy: Proxy, behind: str, ledger: Ledger
):
    def cut_and_stop() -> None:
        assert wired.comes_true(lambda: ledger.saved > CLIENTS)
        proxy.cut()
        wired.stop()  # fails where it does not end

    ledger.save_during(wired.url, cut_and_stop)
    assert "Traceback" not in wired.printed()
    wired.database = behind
    wired.start()
    ledger.compare(wired.url)
    ledger.compare_plays(wired.query(ALL_PLAYS))
    assert wired.stop() == 0
