"""The process: how it starts, what it prints, how it stops."""

import re
import signal
import socket
from pathlib import Path

from server import Server


def test_the_first_start_prints_a_link_that_creates_the_first_admin_once(server: Server):
    server.start()
    assert server.comes_true(lambda: "/setup" in server.printed())
    found = re.search(r"(http://127\.0\.0\.1:\d+)/setup\?token=(ph_[0-9a-f]{72})", server.printed())
    assert found
    form = {
        "token": found[2],
        "username": "Anna",
        "password": "correct horse",
        "repetition": "correct horse",
    }
    with server.client() as client:
        page = client.get("/setup", params={"token": found[2]})
        assert page.status_code == 200
        made = client.post("/setup", data=form, headers={"origin": server.url})
        assert made.status_code == 303
        assert client.get("/api/v1/me").json()["username"] == "Anna"
        again = client.post("/setup", data=form, headers={"origin": server.url})
        assert again.status_code == 404
    server.stop()
    server.start()
    assert "/setup" not in server.printed()


def test_a_signal_shuts_it_down_gracefully_with_status_0(server: Server):
    server.start()
    for number in (signal.SIGTERM, signal.SIGINT):
        assert server.stop(number) == 0
        assert not Path(f"{server.data / 'playhead.db'}-wal").exists()
        server.start()


def test_a_port_in_use_is_reported_in_one_line(server: Server):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = server.command("serve", "--port", str(port), check=False)
    assert refused.returncode == 1
    assert refused.stderr == f"playhead: cannot listen on 127.0.0.1 port {port}: Address already in use\n"


def test_an_unknown_setting_is_an_error(server: Server):
    refused = server.command("user", "list", check=False, environment={"PLAYHEAD_PROT": "80"})
    assert refused.returncode == 1
    assert "PLAYHEAD_PROT" in refused.stderr


def test_a_database_of_a_newer_version_is_refused_with_both_revisions(server: Server):
    server.command("db", "upgrade")
    server.query("UPDATE alembic_version SET version_num = '9999'")
    refused = server.command("serve", "--port", "0", check=False)
    assert refused.returncode == 1
    assert "9999" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_the_commands_create_a_user_and_a_token_while_the_server_runs(server: Server):
    server.start()
    server.command("user", "add", "anna", "--admin", "--password-stdin", stdin="correct horse\n")
    token = server.command("token", "create", "anna", "--name", "tests").stdout
    assert re.fullmatch(r"ph_[0-9a-f]{72}\n", token)
    with server.client(token.strip()) as client:
        assert client.get("/api/v1/me").json()["username"] == "anna"
        assert [each["name"] for each in client.get("/api/v1/tokens").json()["items"]] == ["tests"]
        server.command("user", "add", "bert", "--password-stdin", stdin="correct horse\n")
        server.command("user", "remove", "bert")
    assert "anna" in server.command("user", "list").stdout
    assert "bert" not in server.command("user", "list").stdout


def test_a_command_says_what_is_wrong_and_changes_nothing(server: Server):
    refused = server.command("user", "add", "anna", "--password-stdin", stdin="short\n", check=False)
    assert refused.returncode == 1
    assert "password" in refused.stderr
    missing = server.command("token", "create", "nobody", check=False)
    assert (missing.returncode, missing.stderr) == (1, "playhead: User not found\n")
    assert missing.stdout == ""


def test_a_revocation_by_another_process_takes_effect_on_the_running_server(server: Server):
    server.start()
    server.command("user", "add", "anna", "--password-stdin", stdin="correct horse\n")
    token = server.command("token", "create", "anna").stdout.strip()
    with server.client(token) as client:
        assert client.get("/api/v1/me").status_code == 200
        server.command("user", "remove", "anna")
        assert server.comes_true(lambda: client.get("/api/v1/me").status_code == 401)
