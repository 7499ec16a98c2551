"""Several processes on one port: all show what any has stored, a dead one is replaced, all stop together."""

import json
import os
import random
import signal
import socket
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from device import Device
from ledger import CLIENTS, Ledger, stock
from postgres import Cluster
from server import Server
from worker_processes import WorkerConnection, connections_to_each, is_alive, one_for_each, workers_of
from world import MOVIE

WORKERS = 2
URL = f"/api/v1/playback/movie/{MOVIE}"
REPORT = '{"position_seconds": 1250, "duration_seconds": 5400}'
ALL_PLAYS = "SELECT item_id, watched_at FROM play"

_numbers = count(1)


@pytest.fixture
def workers(durable_cluster: Cluster, tmp_path: Path) -> Iterator[Server]:
    """A server with two workers that has not been started yet, in its own database."""
    database = durable_cluster.create(f"workers-{next(_numbers)}")
    server = Server(tmp_path / "installation", database, more=("--workers", str(WORKERS)))
    yield server
    if server.running:
        server.stop(signal.SIGKILL)


@pytest.fixture
def ledger(workers: Server) -> Ledger:
    """Clients of a started server."""
    ledger = Ledger(stock(workers.settings))
    workers.start()
    return ledger


@pytest.fixture
def token(workers: Server) -> str:
    """An admin's token, for a started server with a movie."""
    made = stock(workers.settings, [MOVIE])
    workers.start()
    return made


def settle(workers: Server, without: int | None = None) -> bool:
    """Wait until all workers listen, after one has died."""

    def is_complete() -> bool:
        running = workers_of(workers)
        return len(running) == WORKERS and without not in running

    return workers.comes_true(is_complete) and workers.comes_true(lambda: are_up(workers) == {"0": 1, "1": 1})


def are_up(workers: Server) -> dict[str, float]:
    with workers.client() as client:
        families = text_string_to_metric_families(client.get("/metrics").text)
    [up] = [family for family in families if family.name == "playhead_worker_up"]
    return {sample.labels["worker"]: sample.value for sample in up.samples}


def test_a_save_through_one_worker_is_read_through_the_other(workers: Server, token: str):
    with connections_to_each(workers) as connections:
        one, other = connections.values()
        for near, far, position in ((one, other, 100), (other, one, 200), (one, other, 50)):
            report = json.dumps({"position_seconds": position, "duration_seconds": 5400})
            assert near.ask("POST", URL, token, report)[0] == 200
            status, answer = far.ask("GET", URL, token)
            assert (status, json.loads(answer)["position_seconds"]) == (200, position)


def test_the_output_of_a_start_is_printed_once(workers: Server):
    workers.start()
    assert workers.comes_true(lambda: "/setup" in workers.printed())
    printed = workers.printed()
    assert printed.count("listens on") == printed.count("/setup?token=") == 1
    assert "2 workers" in printed
    link = printed.partition("/setup?token=")[2].split()[0]
    with connections_to_each(workers) as connections:
        for connection in connections.values():
            assert connection.ask("GET", f"/setup?token={link}", "")[0] == 200
    assert workers.stop() == 0
    assert workers.printed() == printed


@pytest.mark.long
def test_a_killed_worker_is_replaced_and_no_answered_save_is_lost(workers: Server, ledger: Ledger, *, soak: bool):
    chance = random.Random(1)  # noqa: S311 - to be repeated

    def kill_one() -> None:
        time.sleep(chance.uniform(0.05, 0.6))
        killed = chance.choice(sorted(workers_of(workers)))
        os.kill(killed, signal.SIGKILL)
        assert settle(workers, without=killed)

    kills = 40 if soak else 3
    for _ in range(kills):
        ledger.save_during(workers.url, kill_one)
        ledger.compare(workers.url)
    ledger.compare_plays(workers.query(ALL_PLAYS))
    assert workers.stop() == 0
    assert ledger.saved > CLIENTS * kills
    assert workers.printed().count("a replacement is started") == kills
    assert workers.command("db", "check").returncode == 0


@pytest.mark.long
def test_a_restart_of_the_database_stops_no_worker(workers: Server, ledger: Ledger, durable_cluster: Cluster):
    before = workers_of(workers)

    def die_and_return() -> None:
        assert workers.comes_true(lambda: ledger.saved > CLIENTS)
        durable_cluster.stop("immediate")
        durable_cluster.start()
        saved = ledger.saved
        assert workers.comes_true(lambda: ledger.saved > saved + CLIENTS)

    ledger.save_during(workers.url, die_and_return)
    ledger.compare(workers.url)
    ledger.compare_plays(workers.query(ALL_PLAYS))
    assert workers_of(workers) == before
    assert workers.stop() == 0


@pytest.mark.long
def test_a_worker_that_dies_while_the_database_is_down_returns_with_it(
    workers: Server, token: str, durable_cluster: Cluster
):
    killed = min(workers_of(workers))
    durable_cluster.stop("immediate")
    try:
        os.kill(killed, signal.SIGKILL)
        assert workers.comes_true(lambda: "cannot serve" in workers.printed())
    finally:
        durable_cluster.start()
    assert settle(workers, without=killed)
    with connections_to_each(workers) as connections:
        for connection in connections.values():
            assert connection.ask("POST", URL, token, REPORT)[0] == 200
    assert "Traceback" not in workers.printed()


def everybody(workers: Server) -> list[int]:
    """All processes, as a terminal and some supervisors signal them: the parent first."""
    return [workers.pid, *workers_of(workers)]


def only_the_parent(workers: Server) -> list[int]:
    return [workers.pid]


@pytest.mark.parametrize(
    ("told", "number"),
    [(only_the_parent, signal.SIGTERM), (everybody, signal.SIGTERM), (everybody, signal.SIGINT)],
)
def test_a_signal_shuts_all_down_gracefully_and_every_answered_save_is_stored(
    workers: Server, ledger: Ledger, told: Callable[[Server], list[int]], number: signal.Signals
):
    ended: list[int] = []

    def end() -> None:
        assert workers.comes_true(lambda: ledger.saved > 20 * CLIENTS)
        for pid in told(workers):
            os.kill(pid, number)
        ended.append(workers.wait())

    running = workers_of(workers)
    ledger.save_during(workers.url, end)
    assert ended == [0]
    assert not any(map(is_alive, running))
    assert "Traceback" not in workers.printed()
    workers.start()
    ledger.compare(workers.url)
    ledger.compare_plays(workers.query(ALL_PLAYS))


def test_a_worker_that_gets_sigterm_shuts_down_gracefully_and_is_replaced(workers: Server, ledger: Ledger):
    told = min(workers_of(workers))

    def end_one() -> None:
        os.kill(told, signal.SIGTERM)
        assert settle(workers, without=told)

    ledger.save_during(workers.url, end_one)
    assert ledger.refused == 0
    ledger.compare(workers.url)
    assert f"process {told}, ended with status 0" in workers.printed()


def test_the_workers_end_when_their_parent_is_killed(workers: Server, token: str):
    del token
    running = workers_of(workers)
    workers.stop(signal.SIGKILL)
    assert workers.comes_true(lambda: not any(map(is_alive, running)))


def test_a_token_that_one_revokes_is_worth_nothing_to_the_others(workers: Server, token: str):
    with connections_to_each(workers) as connections:
        one, other = connections.values()
        made = json.loads(one.ask("POST", "/api/v1/tokens", token, '{"name": "phone"}')[1])
        for connection in (one, other, one, other):  # both have looked it up and cached it
            assert connection.ask("POST", URL, made["token"], REPORT)[0] == 200
        assert one.ask("DELETE", f"/api/v1/tokens/{made['id']}", token)[0] == 204
        assert one.ask("GET", URL, made["token"])[0] == 401
        assert workers.comes_true(lambda: other.ask("GET", URL, made["token"])[0] == 401)
        assert other.ask("POST", URL, made["token"], REPORT)[0] == 401


def position_told(device: Device, connection: WorkerConnection, token: str) -> float:
    """Return the position of a device after its next event. If that says to refetch everything, fetch it."""
    name, data = device.event()
    if name == "refetch":
        return json.loads(connection.ask("GET", URL, token)[1])["position_seconds"]
    assert name == "progress"
    return data["progress"]["position_seconds"]


def test_live_changes_reach_the_devices_of_every_worker(workers: Server, token: str):
    def listen() -> tuple[Device, socket.socket]:
        device = Device(workers, token)
        return device, device.socket

    with one_for_each(workers, listen) as devices, connections_to_each(workers) as connections:
        for position in (100, 200):
            report = json.dumps({"position_seconds": position, "duration_seconds": 5400})
            assert connections[min(devices)].ask("POST", URL, token, report)[0] == 200
            for device in devices.values():
                while position_told(device, connections[min(devices)], token) != position:
                    pass


def test_any_worker_reports_the_metrics_of_all(workers: Server, token: str):
    with connections_to_each(workers) as connections:
        for number, connection in enumerate(connections.values(), 1):
            for _ in range(number):
                assert connection.ask("POST", URL, token, REPORT)[0] == 200
        for connection in connections.values():
            families = text_string_to_metric_families(connection.ask("GET", "/metrics", "")[1].decode())
            samples = [sample for family in families for sample in family.samples]
            assert {sample.labels["worker"] for sample in samples} == {"0", "1"}
            saves = [
                sample.value
                for sample in samples
                if sample.name == "playhead_requests_total" and sample.labels["method"] == "POST"
            ]
            assert sorted(saves) == [1, 2]
            assert (
                len({sample.value for sample in samples if sample.name == "process_resident_memory_bytes"}) == WORKERS
            )


def test_a_worker_that_does_not_answer_is_reported_as_down(workers: Server, token: str):
    del token
    with connections_to_each(workers) as connections:
        hung, asked = connections
        os.kill(hung, signal.SIGSTOP)
        try:
            answer = connections[asked].ask("GET", "/metrics", "")[1].decode()
            assert sorted(
                sample.value
                for family in text_string_to_metric_families(answer)
                for sample in family.samples
                if sample.name == "playhead_worker_up"
            ) == [0, 1]
        finally:
            os.kill(hung, signal.SIGCONT)


# Refusals


@pytest.mark.parametrize(
    ("flags", "environment"), [(("--workers", "2"), {}), ((), {"PLAYHEAD_WORKERS": "2"})], ids=["flag", "environment"]
)
def test_more_than_one_on_sqlite_is_refused_in_one_line(
    server: Server, flags: tuple[str, ...], environment: dict[str, str]
):
    refused = server.command("serve", "--port", "0", *flags, check=False, environment=environment)
    assert refused.returncode == 1
    assert refused.stderr == (
        "playhead: 2 workers cannot share an SQLite database, which has one writer; "
        "serve with one worker, or on PostgreSQL\n"
    )
    assert not server.data.exists()


def test_a_port_in_use_is_reported_in_one_line(workers: Server, token: str):
    del token
    port = workers.url.rpartition(":")[2]
    refused = workers.command("serve", "--port", port, "--workers", "2", check=False)
    assert refused.returncode == 1
    assert refused.stderr == f"playhead: cannot listen on 127.0.0.1 port {port}: Address already in use\n"


def test_a_missing_database_is_reported_once(workers: Server):
    workers.database = workers.database.replace("workers-", "nothing-")
    refused = workers.command("serve", "--port", "0", "--workers", "2", check=False)
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert "does not exist" in refused.stderr


# From one engine to the other


def test_an_installation_moves_to_postgresql_and_back_and_devices_stay_signed_in(
    server: Server, workers: Server, tmp_path: Path
):
    token = stock(server.settings, [MOVIE])
    server.start()
    with server.client(token) as client:
        assert client.post(URL, content=REPORT, headers={"content-type": "application/json"}).status_code == 200
    server.stop()
    began = f"sqlite:///{server.data}/playhead.db"
    copied = server.run("db", "copy", "--from", began, "--to", workers.database)
    assert "each compared" in copied.stdout
    assert "Copying and comparing, in rows: 100 %" in copied.stderr
    workers.start()
    with workers.client(token) as client:
        assert client.get(URL).json()["position_seconds"] == 1250
        later = '{"position_seconds": 2000, "duration_seconds": 5400}'
        assert client.post(URL, content=later, headers={"content-type": "application/json"}).status_code == 200
    workers.stop()
    server.run("db", "copy", "--from", workers.database, "--to", f"sqlite:///{tmp_path}/back/playhead.db")
    back = Server(tmp_path / "back")
    back.start()
    with back.client(token) as client:
        assert client.get(URL).json()["position_seconds"] == 2000
    assert back.stop() == 0
    refused = server.run("db", "copy", "--from", began, "--to", workers.database, check=False)
    assert refused.returncode == 1
    assert "is not empty" in refused.stderr
    assert refused.stderr.count("\n") == 1
