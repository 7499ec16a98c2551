from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from fakes import Clock, Ids
from playhead.domain.model import LibraryKind
from playhead.services.accounts import Accounts
from playhead.services.credentials import Credentials
from playhead.services.passwords import Passwords
from playhead.services.sign_ins import SignIns
from playhead.storage.engine.database import Database
from processes import Process
from scanned import ScannedLibrary


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    passwords = Passwords(memory_kib=64)
    yield passwords
    passwords.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def processes(database: Database, passwords: Passwords, clock: Clock) -> tuple[Process, Process]:
    ids, numbers = Ids(), count(1)
    return Process(database, passwords, clock, ids, numbers), Process(database, passwords, clock, ids, numbers)


@pytest.fixture
def process(processes: tuple[Process, Process]) -> Process:
    return processes[0]


@pytest.fixture
def accounts(process: Process) -> Accounts:
    return process.accounts


@pytest.fixture
def credentials(process: Process) -> Credentials:
    return process.credentials


@pytest.fixture
def sign_ins(process: Process) -> SignIns:
    return process.sign_ins


@pytest.fixture
def ids() -> Ids:
    return Ids()


@pytest.fixture
async def movies(database: Database, tmp_path: Path, ids: Ids) -> ScannedLibrary:
    library = ScannedLibrary(database, tmp_path / "movies", LibraryKind.MOVIES, ids)
    await library.open()
    return library


@pytest.fixture
async def shows(database: Database, tmp_path: Path, ids: Ids) -> ScannedLibrary:
    library = ScannedLibrary(database, tmp_path / "shows", LibraryKind.SHOWS, ids)
    await library.open()
    return library
