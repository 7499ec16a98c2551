"""A throw-away PostgreSQL cluster in a folder: durable as PostgreSQL is by default, and heard on loopback only."""

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Generator
from pathlib import Path

from servers import BenchError

_START_WITHIN_S = 30


@contextlib.contextmanager
def running_cluster(folder: Path) -> Generator[str]:
    """Make a cluster with an empty database in `folder`, run it, and give the database's URL; stop it at the end.

    PostgreSQL refuses to run as root, and then runs as `postgres`, the user that its packages add. Raises BenchError
    where it is not installed or does not start.
    """
    binaries = _binaries()
    data = folder / "postgresql"
    data.mkdir()
    user = "postgres" if os.geteuid() == 0 else None
    if user is not None:
        folder.parent.chmod(0o711)  # its way to the folder leads through the temporary folder of the benchmark
        os.chown(data, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def run(program: str, *arguments: str) -> None:
        command = [str(binaries / program), *arguments]
        done = subprocess.run(
            command, user=user, group=user, cwd=data, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
        )
        if done.returncode != 0:
            raise BenchError(f"{program} failed: {done.stdout.decode(errors='replace')}")

    store = str(data / "store")
    run("initdb", "-D", store, "-U", "playhead", "--auth=trust", "--encoding=UTF8", "--locale=C")
    options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories='' -c max_connections=200"
    log = data / "log"
    try:
        # `pg_ctl` returns when the server is up; its output goes to the log, because the server keeps it open.
        run("pg_ctl", "-D", store, "-l", str(log), "-w", "-t", str(_START_WITHIN_S), "-o", options, "start")
    except BenchError as error:
        raise BenchError(f"{error}\n{log.read_text() if log.exists() else ''}") from None
    try:
        run("createdb", "-h", "127.0.0.1", "-p", str(port), "-U", "playhead", "playhead")
        yield f"postgresql://playhead@127.0.0.1:{port}/playhead"
    finally:
        run("pg_ctl", "-D", store, "-m", "fast", "-w", "stop")


def _binaries() -> Path:
    """Return the folder of `initdb`: on the PATH, or where Debian's packages put the newest version."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    versions = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if not versions:
        raise BenchError("PostgreSQL is not installed: `apt install postgresql`")
    return max(versions, key=lambda path: float(path.parent.name))
