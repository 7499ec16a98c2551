"""Answered saves are stored exactly once after the server, or its database, was killed under load."""

import time
from collections.abc import Callable
from random import Random

import pytest

from ledger import CLIENTS, Ledger, stock
from postgres import Cluster
from server import Server

pytestmark = pytest.mark.long

SIGKILL = 9
ALL_PLAYS = "SELECT item_id, watched_at FROM play"


def after_a_while(random: Random, act: Callable[[], object]) -> Callable[[], None]:
    """Act after a random time, so that it hits every moment of a commit."""

    def wait_and_act() -> None:
        time.sleep(random.uniform(0.05, 0.6))
        act()

    return wait_and_act


@pytest.fixture
def ledger(durable_server: Server) -> Ledger:
    return Ledger(stock(durable_server.settings))


def test_kill_9_under_load_loses_nothing_that_was_answered(durable_server: Server, ledger: Ledger, *, soak: bool):
    kills = 200 if soak else 10
    random = Random(1)  # noqa: S311 - to be repeated
    for _ in range(kills):
        durable_server.start()
        ledger.compare(durable_server.url)
        ledger.save_during(durable_server.url, after_a_while(random, lambda: durable_server.stop(SIGKILL)))
    durable_server.start()
    ledger.compare(durable_server.url)
    ledger.compare_plays(durable_server.query(ALL_PLAYS))
    assert durable_server.stop() == 0
    assert ledger.saved > CLIENTS * kills
    assert ledger.refused == 0
    assert durable_server.command("db", "check").returncode == 0


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_a_database_killed_under_load_loses_nothing_and_saving_resumes_on_its_own(
    durable_server: Server, durable_cluster: Cluster, ledger: Ledger, *, soak: bool
):
    random = Random(1)  # noqa: S311 - to be repeated
    durable_server.start()

    def die_and_return() -> None:
        durable_cluster.stop("immediate")
        durable_cluster.start()
        saved = ledger.saved
        assert durable_server.comes_true(lambda: ledger.saved > saved + CLIENTS)

    for _ in range(40 if soak else 3):
        ledger.save_during(durable_server.url, after_a_while(random, die_and_return))
        assert ledger.others == [], durable_server.printed()
        ledger.compare(durable_server.url)
    ledger.compare_plays(durable_server.query(ALL_PLAYS))
    assert durable_server.stop() == 0
    assert "Traceback" not in durable_server.printed()
