"""What Playhead is measured beside, each on a file of its own with the users, tokens and movies of the installation."""

import hashlib
import shutil
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import baseline
from installation import LIBRARY, LOCKED_LIBRARY, LOCKED_MOVIE, movies
from servers import BenchError, Program

BARE, BASELINE, RIVAL, GROUP = "bare", "baseline", "rival", "rival, grouped"

_HERE = Path(__file__).parent
_UVICORN_ENDS_WITH = frozenset({0, -15})  # it raises the signal again that has ended it


def make_rivals(folder: Path, tokens: Sequence[str]) -> dict[str, Program]:
    """Make the databases in `folder`; return the programs that serve them. Raises BenchError where one is missing."""
    node = shutil.which("node")
    if node is None or not (_HERE / "rival/node_modules/better-sqlite3/build").is_dir():
        raise BenchError("the rival is not built: `make bench` does it")
    owners = [(_digest(token), str(UUID(int=2**66 + number))) for number, token in enumerate(tokens)]
    items = [*((movie, LIBRARY) for movie in movies()), (LOCKED_MOVIE, LOCKED_LIBRARY)]
    files = {name: folder / f"{name.replace(', ', '-')}.db" for name in (BASELINE, RIVAL, GROUP)}
    baseline.make_database(files[BASELINE], owners, items, LIBRARY)
    for name in (RIVAL, GROUP):
        _make_rival(files[name], owners, items)
    script = _HERE / "rival/server.js"
    return {
        BARE: Program(BARE, lambda port: [sys.executable, _HERE / "bare.py", str(port)], ends_with=_UVICORN_ENDS_WITH),
        BASELINE: Program(
            BASELINE,
            lambda port: [sys.executable, _HERE / "baseline.py", str(port), files[BASELINE]],
            ends_with=_UVICORN_ENDS_WITH,
        ),
        RIVAL: Program(RIVAL, lambda port: [node, script, str(port), files[RIVAL]]),
        GROUP: Program(GROUP, lambda port: [node, script, str(port), files[GROUP], "group"]),
    }


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _make_rival(file: Path, owners: Sequence[tuple[str, str]], items: Sequence[tuple[str, str]]) -> None:
    connection = sqlite3.connect(file)
    connection.executescript((_HERE / "rival/schema.sql").read_text())
    connection.executemany("INSERT INTO token VALUES (?, ?)", owners)
    connection.executemany("INSERT INTO item VALUES (?, ?)", items)
    connection.executemany("INSERT INTO library_access VALUES (?, ?)", [(user, LIBRARY) for _, user in owners])
    connection.commit()
    connection.close()
