"""Schemathesis against the running server: no 5xx, and no answer that the OpenAPI document does not name."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from server import Server

pytestmark = pytest.mark.long

HERE = Path(__file__).parent
EXAMPLES = 100
SCHEMATHESIS = str(Path(sys.executable).with_name("schemathesis"))


def test_the_server_keeps_its_contract(server: Server):
    server.command("user", "add", "admin", "--admin", "--password-stdin", stdin="correct horse\n")
    token = server.command("token", "create", "admin").stdout.strip()
    server.start()
    run = subprocess.run(  # noqa: S603 - a tool of the tests
        [
            SCHEMATHESIS,
            "--config-file",
            str(HERE / "schemathesis.toml"),
            "run",
            f"{server.url}/api/openapi.json",
            "--header",
            f"Authorization: Bearer {token}",
            "--max-examples",
            str(EXAMPLES),
            "--phases",
            "examples,coverage,fuzzing",
            "--seed",
            "1",
            "--no-color",
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=1200,
        cwd=server.data.parent,
        env={**os.environ, "SCHEMATHESIS_HOOKS": "schemathesis_hooks", "PYTHONPATH": str(HERE)},
    )
    # Bodies can be long: show the first failures, and only the beginning of each line.
    assert run.returncode == 0, "\n".join(line[:300] for line in run.stdout.splitlines())[-20_000:] + run.stderr
    assert "Traceback" not in server.printed()
