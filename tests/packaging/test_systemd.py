"""The systemd unit: valid, hardened, and no stricter than the server requires."""

import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from clips import write_clip
from server import PLAYHEAD, Server

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "contrib/systemd/playhead.service"

MOST_EXPOSED = 20
"""In tenths, as systemd-analyze expects it: 2.0 of 10."""

# Everything is read-only except the data folder, nothing has a capability, and no program gains one:
# ProtectSystem=strict, CapabilityBoundingSet= and NoNewPrivileges= of the unit.
CONFINED = """
mount --bind "$0" "$0" && mount -o remount,bind,ro / && mount -o remount,bind,rw "$0" || exit 99
exec setpriv --bounding-set=-all --inh-caps=-all --no-new-privs "$@"
"""


def systemd_analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, check=False)  # noqa: S603, S607


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit, with this checkout's program in place of the installed one."""
    text = UNIT.read_text()
    assert text.count("/opt/playhead/bin/playhead") == 1
    copy = tmp_path / UNIT.name
    copy.write_text(text.replace("/opt/playhead/bin/playhead", PLAYHEAD))
    return copy


def settings_of(name: str) -> list[str]:
    """Return the values of a setting in the unit's [Service], in order."""
    return re.findall(rf"^{name}=(.*)$", UNIT.read_text(), re.MULTILINE)


def test_systemd_finds_no_fault_in_the_unit(unit: Path):
    found = systemd_analyze("verify", "--man=no", str(unit))
    assert found.stdout + found.stderr == ""
    assert found.returncode == 0


def test_the_unit_is_hardened(unit: Path):
    found = systemd_analyze("security", "--offline=true", f"--threshold={MOST_EXPOSED}", "--no-pager", str(unit))
    assert found.returncode == 0, found.stdout
    assert "Overall exposure level for playhead.service: 1." in found.stdout


def test_the_guide_shows_no_other_unit():
    guide = (ROOT / "docs/operating.md").read_text()
    assert "contrib/systemd/playhead.service" in guide
    assert "ExecStart=" not in guide


# What the server does, compared with what the unit allows


@pytest.fixture
def films(tmp_path: Path) -> Path:
    write_clip(tmp_path / "films" / "Harbour Lights (2019).mkv")
    return tmp_path / "films"


def work(server: Server, films: Path) -> None:
    """Make the server do its work: sign in, scan, make a picture, play, save, show pages; then stop it."""
    server.command("user", "add", "anna", "--admin", "--password-stdin", stdin="correct horse battery\n")
    token = server.command("token", "create", "anna").stdout.strip()
    server.start()
    with server.client(token) as client:
        library = client.post("/api/v1/libraries", json={"name": "Films", "kind": "movies", "path": str(films)}).json()
        assert client.post(f"/api/v1/libraries/{library['id']}/scan").status_code == 202
        assert server.comes_true(lambda: bool(client.get("/api/v1/items").json()["items"]))
        [item] = client.get("/api/v1/items").json()["items"]
        assert client.get(f"/api/v1/items/{item['id']}/artwork?kind=still").status_code == 200
        saved = client.post(
            f"/api/v1/playback/movie/{item['id']}", json={"position_seconds": 3, "duration_seconds": 10}
        )
        assert saved.status_code == 200
        assert client.get(f"/api/v1/stream/movie/{item['id']}", headers={"range": "bytes=0-99"}).status_code == 206
        signed_in = client.post("/api/v1/sessions", json={"username": "anna", "password": "correct horse battery"})
        assert signed_in.status_code == 201
        assert client.get("/readyz").status_code == 200
        assert client.get("/metrics").status_code == 200


@pytest.fixture
def calls(server: Server, films: Path, tmp_path: Path) -> list[str]:
    """Every system call of such a run, one per line."""
    trace = tmp_path / "trace"
    server.around = ("strace", "-f", "-qq", "-s", "0", "-o", str(trace))
    work(server, films)
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    os.kill(int(children[0]), 15)
    assert server.wait() == 0
    return re.findall(r"^\d+ +(\w+\(.*)$", trace.read_text(), re.MULTILINE)


def members(group: str) -> set[str]:
    """The calls in one of systemd's groups, including those of nested groups."""
    listed = systemd_analyze("syscall-filter", "--no-pager", group)
    assert listed.returncode == 0, group
    names = {
        line.strip() for line in listed.stdout.splitlines()[1:] if line.strip() and not line.strip().startswith("#")
    }
    return {name for name in names if name[0] != "@"}.union(*(members(name) for name in names if name[0] == "@"))


def allowed_calls() -> set[str]:
    [allowed, denied] = settings_of("SystemCallFilter")
    assert denied.startswith("~")
    inside: set[str] = set().union(*(members(group) for group in allowed.split()))
    return inside.difference(*(members(group) for group in denied[1:].split())) | {"execve", "exit", "exit_group"}


def those_of(calls: Sequence[str], name: str) -> list[str]:
    return [call for call in calls if re.match(rf"{name}\(", call)]


def test_the_server_makes_no_call_that_the_unit_forbids(calls: list[str]):
    made = {call.partition("(")[0] for call in calls}
    assert {"openat", "fdatasync", "accept4"} <= made
    if os.geteuid() == 0:  # SQLite gives files to the database's owner only as root
        made.discard("fchown")
    assert made - allowed_calls() == set()
    # MemoryDenyWriteExecute=
    assert [call for call in those_of(calls, "mmap") if "PROT_WRITE|PROT_EXEC" in call] == []
    assert [call for call in those_of(calls, "(pkey_)?mprotect") if "PROT_EXEC" in call] == []
    # RestrictAddressFamilies=
    [families] = settings_of("RestrictAddressFamilies")
    sockets = {found[1] for call in those_of(calls, "socket(pair)?") if (found := re.search(r"\((AF_\w+)", call))}
    assert sockets - set(families.split()) <= {"AF_NETLINK"}  # the C library asks for addresses, and works without them
    # RestrictNamespaces=, RestrictRealtime=, RestrictSUIDSGID=, LockPersonality=
    assert [
        call for call in calls if re.match(r"(unshare|setns|personality|sched_setscheduler)\(|clone.*CLONE_NEW", call)
    ] == []
    assert [call for call in calls if re.match(r"f?chmod.*, 0?[2467]\d{3}\)", call)] == []


def test_it_runs_unprivileged_with_everything_but_its_data_folder_read_only(server: Server, films: Path):
    unshare = ("unshare", "--mount") if os.geteuid() == 0 else ("unshare", "--user", "--map-root-user", "--mount")
    server.data.mkdir()
    server.around = (*unshare, "sh", "-c", CONFINED, str(server.data))
    work(server, films)
    status = Path(f"/proc/{server.pid}/status").read_text()
    assert re.search(r"^CapEff:\s+0+$", status, re.MULTILINE)
    assert re.search(r"^NoNewPrivs:\s+1$", status, re.MULTILINE)
    assert server.stop() == 0
    assert "Read-only file system" not in server.printed()
    assert "Traceback" not in server.printed()
