"""Playhead behind a real nginx, under a path: links, forms, cookies, streams, and trusted forwarded headers."""

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator

import httpx
import pytest

from playhead.storage.engine.sqlite import SQLiteDatabase
from server import Server
from world import MOVIE, stock_library

pytestmark = pytest.mark.long

PASSWORD = "correct horse battery"

CONFIGURATION = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        client_max_body_size 0;
        location /media/ {{
            proxy_pass {upstream};
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $http_x_test_scheme;
            proxy_set_header Connection "";
            proxy_max_temp_file_size 0;
        }}
    }}
}}
"""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture(scope="module")
def hidden(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server behind the proxy."""
    server = Server(tmp_path_factory.mktemp("hidden") / "installation")
    server.environment = {"PLAYHEAD_BASE_PATH": "/media", "PLAYHEAD_TRUSTED_PROXIES": "127.0.0.1"}
    server.command("user", "add", "anna", "--admin", "--password-stdin", stdin=f"{PASSWORD}\n")
    database = SQLiteDatabase(server.data / "playhead.db")
    database.write_blocking(lambda connection: stock_library(connection, viewer=None))
    database.close_blocking()
    server.start()
    yield server
    assert server.stop() == 0


@pytest.fixture(scope="module", params=["taken away", "handed on"])
def behind(request: pytest.FixtureRequest, hidden: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Playhead that nginx serves under /media, whether or not it strips the prefix."""
    program = shutil.which("nginx")
    assert program, "this test needs nginx: apt-get install nginx-light"
    folder, port = tmp_path_factory.mktemp("nginx"), free_port()
    upstream = f"{hidden.url}/" if request.param == "taken away" else hidden.url
    configuration = folder / "nginx.conf"
    configuration.write_text(CONFIGURATION.format(folder=folder, port=port, upstream=upstream))
    arguments = [program, "-e", str(folder / "start.log"), "-c", str(configuration)]
    process = subprocess.Popen(arguments)  # noqa: S603 - the system's own
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            httpx.get(f"{url}/media/livez")
            break
        except httpx.ConnectError:
            assert process.poll() is None
            time.sleep(0.05)
    yield url
    process.terminate()
    process.wait(timeout=60)


@pytest.fixture
def visitor(behind: str) -> Iterator[httpx.Client]:
    """A browser that is signed in through the proxy."""
    with httpx.Client(base_url=f"{behind}/media/", headers={"origin": behind}, follow_redirects=True) as client:
        page = client.post("/sign-in", data={"username": "anna", "password": PASSWORD})
        assert (page.status_code, page.url.path) == (200, "/media/")
        yield client


def test_pages_link_submit_and_load_only_below_the_path(visitor: httpx.Client):
    for path in ("", "history", "settings", "api/docs"):
        page = visitor.get(path)
        assert page.status_code == 200
        found = re.findall(r'(?:href|src|action)="([^"]*)"', page.text)
        assert found
        assert [reference for reference in found if not re.match(r"/media/|#", reference)] == []
        for reference in {each for each in found if "/static/" in each}:
            assert visitor.get(f"{visitor.base_url.copy_with(raw_path=reference.encode())}").status_code == 200


def test_the_cookie_is_limited_to_the_path_and_deleted_by_sign_out(visitor: httpx.Client):
    assert {cookie.path for cookie in visitor.cookies.jar} == {"/media"}
    left = visitor.post("/sign-out")
    assert (left.url.path, len(visitor.cookies.jar)) == ("/media/sign-in", 0)


def test_positions_are_saved_and_read_through_the_proxy(visitor: httpx.Client):
    path = f"api/v1/playback/movie/{MOVIE}"
    saved = visitor.post(path, json={"position_seconds": 1250, "duration_seconds": 5400})
    assert saved.json()["completion_percentage"] == 23.15
    assert visitor.get(path).json() == saved.json()
    assert visitor.get("api/openapi.json").json()["servers"] == [{"url": "/media"}]


def test_a_change_passes_the_proxy_to_an_open_stream_immediately(visitor: httpx.Client):
    with visitor.stream("GET", "api/v1/events") as stream:
        lines = stream.iter_lines()
        visitor.post(f"api/v1/playback/movie/{MOVIE}", json={"position_seconds": 1, "duration_seconds": 5400})
        began = time.monotonic()
        assert "event: progress" in next(line for line in lines if line.startswith("event"))
        assert time.monotonic() - began < 5  # nginx would buffer 4 KiB or the whole answer


def test_the_scheme_from_the_trusted_proxy_makes_the_cookie_secure(behind: str):
    answer = httpx.post(
        f"{behind}/media/sign-in",
        data={"username": "anna", "password": PASSWORD},
        headers={"origin": behind, "x-test-scheme": "https"},
    )
    assert "secure" in answer.headers["set-cookie"].lower()


def test_failures_are_counted_by_the_address_behind_the_proxy_which_cannot_be_forged(behind: str, hidden: Server):
    name = f"nobody-{behind.rpartition(':')[2]}"
    # Another machine, as far as loopback has one: its claim precedes the address that nginx adds, and is not trusted.
    with httpx.Client(transport=httpx.HTTPTransport(local_address="127.0.0.2")) as stranger:
        statuses = [
            stranger.post(
                f"{behind}/media/api/v1/sessions",
                json={"username": name, "password": "wrong horse"},
                headers={"x-forwarded-for": f"192.0.2.{place}"},
            ).status_code
            for place in range(11)
        ]
    assert statuses == [401] * 10 + [429]
    told = hidden.query(f"SELECT DISTINCT address FROM sign_in_failure WHERE name = '{name}'")  # noqa: S608 - as above
    assert told == [("127.0.0.2",)]


def test_forwarded_headers_of_untrusted_clients_do_not_count(server: Server):
    server.command("user", "add", "anna", "--admin", "--password-stdin", stdin=f"{PASSWORD}\n")
    server.start()
    answer = httpx.post(
        f"{server.url}/sign-in",
        data={"username": "anna", "password": PASSWORD},
        headers={"origin": server.url, "x-forwarded-proto": "https", "x-forwarded-for": "192.0.2.1"},
    )
    assert answer.status_code == 303
    assert "secure" not in answer.headers["set-cookie"].lower()
