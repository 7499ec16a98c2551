import gc
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from playhead.config import Settings
from playhead.domain.model import Instant
from playhead.storage.engine.database import Database
from playhead.storage.engine.postgres import PostgresDatabase
from playhead.storage.engine.sqlite import SQLiteDatabase
from playhead.storage.migrations import postgres as postgres_migrations
from playhead.storage.migrations.upgrade import upgrade
from postgres import Cluster, empty

ENGINES = ("sqlite", "postgresql")

# How long an example takes says how busy the machine is.
hypothesis.settings.register_profile("playhead", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("playhead")

# Copied for each test: reading the environment and validating takes 10 ms.
_SETTINGS = Settings(data=Path("nowhere"), database="")

# A test that requests one of these fixtures needs a PostgreSQL server.
_POSTGRES_FIXTURES = {"cluster", "durable_cluster", "migrated_url", "postgres_url"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fuzz-seconds", type=float, help="How long to fuzz: a minute, with --soak an hour, by default.")
    parser.addoption("--soak", action="store_true", help="Prove durability at length: many more losses, kills, races.")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests have recorded as `summary`: scores that are to be seen although the test passes."""
    reports: list[pytest.TestReport] = terminalreporter.getreports("passed") + terminalreporter.getreports("failed")
    for report in reports:
        for name, value in report.user_properties:
            if name == "summary" and report.when == "call":
                terminalreporter.write_line(str(value))


@pytest.hookimpl(tryfirst=True)  # before `-m` selects
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need a PostgreSQL server, so that `-m "not postgresql"` leaves them out."""
    for item in items:
        if isinstance(item, pytest.Function):
            engine = item.callspec.params.get("engine") if hasattr(item, "callspec") else None
            if engine == "postgresql" or _POSTGRES_FIXTURES & set(item.fixturenames):
                item.add_marker("postgresql")


def pytest_collection_finish() -> None:
    """Spare the garbage collector the modules and tests, which stay: it would look at them again during every test."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def fuzz_seconds(request: pytest.FixtureRequest, soak: bool) -> float:  # noqa: FBT001 - a fixture
    """How long to look for inputs that break a property."""
    chosen = request.config.getoption("--fuzz-seconds")
    return float(chosen if chosen is not None else 3600 if soak else 60)


@pytest.fixture(scope="session")
def soak(request: pytest.FixtureRequest) -> bool:
    """Whether to run many more rounds than it takes to notice a fault."""
    return bool(request.config.getoption("--soak"))


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


# SQLite


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database with the newest schema, to be copied: faster than migrating for each test."""
    path = tmp_path_factory.mktemp("migrated") / "playhead.db"
    upgrade(path, now=Instant(0))
    return path


@pytest.fixture
def database_path(migrated_file: Path, tmp_path: Path) -> Path:
    """The file of a database with the newest schema, not opened by anybody."""
    return Path(shutil.copy(migrated_file, tmp_path / "playhead.db"))


@pytest.fixture
async def sqlite_database(database_path: Path, anyio_backend: str) -> AsyncIterator[SQLiteDatabase]:  # noqa: ARG001
    opened = SQLiteDatabase(database_path)
    yield opened
    await opened.close()


# PostgreSQL


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The PostgreSQL server of this test process."""
    made = Cluster()
    yield made
    made.close()


@pytest.fixture(scope="session")
def migrated_url(cluster: Cluster) -> str:
    """A database with the newest schema, reused from test to test: creating one takes a quarter of a second."""
    url = cluster.create("playhead")
    postgres_migrations.upgrade(url)
    return url


@pytest.fixture
def postgres_url(migrated_url: str) -> str:
    """The URL of an empty database with the newest schema, without connections."""
    empty(migrated_url)
    return migrated_url


# Both


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """Runs the test once per engine."""
    return str(request.param)


@pytest.fixture
def open_database(engine: str, request: pytest.FixtureRequest) -> Callable[[], Any]:
    """Opens the database of this test once more, as another process would."""
    if engine == "sqlite":
        path = request.getfixturevalue("database_path")
        return lambda: SQLiteDatabase(path)
    url = request.getfixturevalue("postgres_url")
    return lambda: PostgresDatabase(url)


@pytest.fixture
async def database(open_database: Callable[[], Any], anyio_backend: str) -> AsyncIterator[Database]:  # noqa: ARG001
    opened = open_database()
    yield opened
    await opened.close()


@pytest.fixture
def blocking_database(open_database: Callable[[], Any]) -> Iterator[Database]:
    """For tests without an event loop, which call read_blocking and write_blocking."""
    opened = open_database()
    yield opened
    opened.close_blocking()


@pytest.fixture
def settings(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> Settings:
    """The settings of an installation on either engine, with an empty, migrated database."""
    data = tmp_path / "data"
    if engine == "sqlite":
        prepared = _SETTINGS.model_copy(update={"data": data})
        data.mkdir(mode=0o700)
        shutil.copy(request.getfixturevalue("migrated_file"), prepared.database_path)
        return prepared
    return _SETTINGS.model_copy(update={"data": data, "database": request.getfixturevalue("postgres_url")})
