"""Schemathesis against the running server: no 5xx, no answer that the OpenAPI document does not name."""

import subprocess
import sys
from pathlib import Path

from server import Server

EXAMPLES = 100
SCHEMATHESIS = str(Path(sys.executable).with_name("schemathesis"))


def test_the_server_keeps_its_contract(server: Server):
    server.command("user", "add", "admin", "--admin", "--password-stdin", stdin="correct horse\n")
    token = server.command("token", "create", "admin").stdout.strip()
    server.start()
    run = subprocess.run(  # noqa: S603 - a tool of the tests
        [
            SCHEMATHESIS,
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
    )
    assert run.returncode == 0, run.stdout[-20_000:] + run.stderr
    assert "Traceback" not in server.printed()
