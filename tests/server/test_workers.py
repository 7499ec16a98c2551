"""The supervisor of the workers: starts, replaces and stops them, and reports whether all stopped cleanly."""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

import worker_stubs
from playhead.server.workers import Work, Workers, listen

WITHIN_S = 60.0
COUNT = 2


@pytest.fixture(autouse=True)
def signals_hurt_nobody() -> Iterator[None]:
    """A signal that arrives after its run has ended must not end the tests."""
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGTERM, before)


def wait_for_death(process: int) -> None:
    """Wait until a process serves nothing any more: it is a zombie without other threads, or gone."""
    until = time.monotonic() + WITHIN_S
    while time.monotonic() < until:
        try:
            state = Path(f"/proc/{process}/stat").read_text("utf-8").rpartition(")")[2].split()[0]
            threads = len([*Path(f"/proc/{process}/task").iterdir()])
        except (FileNotFoundError, ProcessLookupError):
            return
        if state in "ZX" and threads <= 1:
            return
    raise TimeoutError(f"process {process} does not die")


class Run:
    """One run on this thread, and what another thread does to it meanwhile."""

    def __init__(self, does: Work, act: Callable[["Run"], object], give_up_s: float = WITHIN_S) -> None:
        self.sockets = listen("127.0.0.1", 0, COUNT)
        self.address = self.sockets[0].getsockname()
        self.ready = threading.Event()
        self.times_ready = 0
        self._workers = Workers(self.sockets, does, self._note_ready, give_up_s)
        self._act = act

    def _note_ready(self) -> None:
        self.times_ready += 1
        self.ready.set()

    def __call__(self) -> int:
        acting = threading.Thread(target=self._act_when_ready)
        acting.start()
        status = self._workers.run()
        self.ready.set()
        acting.join()
        return status

    def _act_when_ready(self) -> None:
        self.ready.wait()
        if self.times_ready:
            try:
                self._act(self)
            except BaseException:
                end(self)  # or the run would never end
                raise

    def processes(self) -> dict[int, int]:
        """Return the pids of the processes that answer, by their places."""
        found: dict[int, int] = {}
        deadline = time.monotonic() + WITHIN_S
        while len(found) < COUNT and time.monotonic() < deadline:
            with socket.create_connection(self.address, timeout=WITHIN_S) as connection:
                place, pid = connection.recv(100).split()
                found[int(place)] = int(pid)
        return found


def end(_: Run, *, times: int = 1) -> None:
    for _ in range(times):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.2)


def test_workers_share_a_port_and_stop_at_a_signal_with_status_0():
    found: list[dict[int, int]] = []

    def look_and_end(run: Run) -> None:
        found.append(run.processes())
        end(run)

    run = Run(worker_stubs.run_until_told, look_and_end)
    assert run() == 0
    assert run.times_ready == 1
    assert found[0].keys() == {0, 1}
    assert os.getpid() not in found[0].values()


def test_a_worker_that_dies_is_replaced_and_its_clients_wait_meanwhile():
    answers: list[bytes] = []

    def kill_and_call(run: Run) -> None:
        before = run.processes()
        os.kill(before[1], signal.SIGKILL)
        wait_for_death(before[1])  # until then it may still accept, and the connection would die with it
        for _ in range(20):  # half of them are assigned to the socket of the dead worker
            with socket.create_connection(run.address, timeout=WITHIN_S) as connection:
                answers.append(connection.recv(100))
        assert before[1] not in run.processes().values()
        end(run)

    assert Run(worker_stubs.run_until_told, kill_and_call)() == 0
    assert {answer.split()[0] for answer in answers} == {b"0", b"1"}


def test_a_worker_that_dies_repeatedly_is_restarted_with_exponential_backoff(tmp_path: Path):
    deaths = tmp_path / "deaths"

    def wait_and_end(run: Run) -> None:
        deaths.touch()
        os.kill(run.processes()[1], signal.SIGKILL)
        deadline = time.monotonic() + WITHIN_S
        while not deaths.with_suffix(".over").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        end(run)  # the last one survives, so none dies while it is being stopped

    assert Run(partial(worker_stubs.die_soon, deaths), wait_and_end)() == 0
    times = [float(line) for line in deaths.read_text().splitlines()]
    pauses_s = [after - before for before, after in pairwise(times)]
    assert all(pause_s >= least_s for pause_s, least_s in zip(pauses_s, (1.0, 2.0), strict=True))


def test_if_one_worker_cannot_start_at_first_all_stop_with_a_failure():
    run = Run(worker_stubs.fail_to_start, end)
    assert run() == 1
    assert run.times_ready == 0


def test_a_second_signal_is_passed_on():
    assert Run(worker_stubs.end_in_a_hurry, partial(end, times=2))() == 0


def test_a_worker_that_does_not_stop_in_time_is_killed_and_that_is_a_failure():
    began = time.monotonic()
    assert Run(worker_stubs.never_end, end, give_up_s=1.0)() == 1
    assert time.monotonic() - began < WITHIN_S


def test_a_worker_that_fails_while_stopping_is_a_failure():
    assert Run(worker_stubs.end_with_failure, end)() == 1


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.mark.parametrize("sockets", [1, 2])
def test_an_address_in_use_is_refused(taken: int, sockets: int):
    with pytest.raises(OSError, match="in use"):
        listen("127.0.0.1", taken, sockets)


def test_a_shared_address_is_refused_to_others():
    sockets = listen("127.0.0.1", 0, 2)
    sockets[0].listen()
    with pytest.raises(OSError, match="in use"):
        listen("127.0.0.1", sockets[0].getsockname()[1], 2)
    for each in sockets:
        each.close()
