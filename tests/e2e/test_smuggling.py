"""Requests smuggled through real proxies: nobody gets the answer to another client's request."""

import http.client
import json
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from hostile import Target

ATTEMPTS = 200
VICTIM = "bertha"
LOST = "/api/v1/smuggled"

NGINX = """
daemon off;
master_process off;
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
    map $http_upgrade $connection_upgrade {{ default upgrade; "" ""; }}
    upstream playhead {{ server 127.0.0.1:{upstream}; keepalive 1; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://playhead;
            proxy_http_version 1.1;
            proxy_request_buffering off;
            proxy_set_header Host $http_host;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
        }}
    }}
}}
"""

HAPROXY = """
defaults
    mode http
    timeout connect 5s
    timeout client 10s
    timeout server 10s
    http-reuse always
listen playhead
    bind 127.0.0.1:{port}
    server playhead 127.0.0.1:{upstream}
"""

CADDY = """
{{
    admin off
    auto_https off
}}
http://127.0.0.1:{port} {{
    reverse_proxy 127.0.0.1:{upstream}
}}
"""

PROXIES: dict[str, tuple[str, Callable[[str, str], list[str]]]] = {
    "nginx": (NGINX, lambda program, file: [program, "-e", f"{file}.log", "-c", file]),
    "haproxy": (HAPROXY, lambda program, file: [program, "-db", "-f", file]),
    "caddy": (CADDY, lambda program, file: [program, "run", "--adapter", "caddyfile", "--config", file]),
}


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    made = Target(tmp_path_factory.mktemp("smuggling") / "installation")
    made.server.command("user", "add", VICTIM, "--password-stdin", stdin="correct horse battery\n")
    yield made
    made.server.stop(signal.SIGKILL)


@pytest.fixture(scope="module", params=PROXIES)
def proxy(request: pytest.FixtureRequest, target: Target, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a proxy that keeps its connections to the server, and forwards requests for upgrades."""
    text, command = PROXIES[request.param]
    program = shutil.which(request.param)
    assert program, f"this test needs {request.param}: apt-get install {request.param}"
    folder = tmp_path_factory.mktemp(request.param)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    file = folder / "configuration"
    file.write_text(text.format(folder=folder, port=port, upstream=target.server.url.rpartition(":")[2]))
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - the system's own
            command(program, str(file)), stdout=output, stderr=output, env={"HOME": str(folder), "PATH": "/usr/bin"}
        )

    def listens() -> bool:
        assert process.poll() is None, Path(output.name).read_text()
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", port)).close()
            return True
        return False

    assert target.server.comes_true(listens)
    yield port
    process.terminate()
    process.wait(timeout=60)


def variants(admin_token: str) -> dict[str, bytes]:
    """Requests that two parsers might split differently, each with another one behind or inside."""
    hidden = f"GET {LOST} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {admin_token}\r\n\r\n".encode()
    # Without an end: the next client's request would become one of its fields, and run with its credentials.
    open_ended = f"GET {LOST} HTTP/1.1\r\nHost: a\r\nX: ".encode()
    chunked = b"0\r\n\r\n" + hidden
    post = b"POST /api/v1/sessions HTTP/1.1\r\nHost: a\r\n"

    def upgrade(method: bytes, to: bytes, body: bytes) -> bytes:
        fields = b"Connection: Upgrade\r\nUpgrade: %b\r\nContent-Length: %d\r\n\r\n" % (to, len(body))
        return b"%b /readyz HTTP/1.1\r\nHost: a\r\n" % method + fields + body

    return {
        "upgrade": upgrade(b"POST", b"anything", hidden),
        "upgrade by GET": upgrade(b"GET", b"h2c", hidden),
        "upgrade, open": upgrade(b"POST", b"websocket", open_ended),
        "upgrade, chunked": b"GET /readyz HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(hidden), hidden),
        "length and chunks": post
        + b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n" % len(chunked)
        + chunked,
        "chunks and length": post + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n" + chunked,
        "two lengths": post + b"Content-Length: 0\r\nContent-Length: %d\r\n\r\n" % len(hidden) + hidden,
        "coding in capitals": post + b"Transfer-Encoding: Chunked\r\n\r\n" + chunked,
        "unknown coding": post + b"Transfer-Encoding: identity, chunked\r\nContent-Length: 0\r\n\r\n" + chunked,
        "coding with a tab": post + b"Transfer-Encoding:\tchunked\r\n\r\n" + chunked,
        "folded coding": post + b"Transfer-Encoding:\r\n chunked\r\nContent-Length: 0\r\n\r\n" + chunked,
        "space before colon": post + b"Transfer-Encoding : chunked\r\nContent-Length: 0\r\n\r\n" + chunked,
        "bare line feeds": post + b"X: y\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n" + chunked,
        "chunk extension": post + b"Transfer-Encoding: chunked\r\n\r\n1;a=\n\r\nx\r\n" + chunked,
        "trailers": post + b"Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 9\r\n\r\n" + open_ended,
        "old version": post.replace(b"1.1", b"1.0") + b"Transfer-Encoding: chunked\r\n\r\n" + chunked,
        "expect": post + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(hidden) + hidden,
    }


NAMES = list(variants(""))


@pytest.mark.long
@pytest.mark.parametrize("variant", NAMES)
def test_no_client_of_a_proxy_gets_the_answer_of_another(target: Target, proxy: int, variant: str):
    token = target.server.command("token", "create", VICTIM).stdout.strip()
    attack = variants(target.token)[variant]
    cut = attack.index(f"GET {LOST}".encode())
    victim = http.client.HTTPConnection("127.0.0.1", proxy, timeout=30)
    for _ in range(ATTEMPTS):
        with socket.create_connection(("127.0.0.1", proxy), timeout=30) as attacker:
            attacker.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            attacker.settimeout(0.02)  # some wait for more, and have no answer until the victim has connected
            with suppress(OSError):
                attacker.sendall(attack[:cut])
                time.sleep(random.uniform(0, 0.004))  # noqa: S311 - so that the server sees both parts apart, or not
                attacker.sendall(attack[cut:])
                assert VICTIM.encode() not in attacker.recv(65536)
            victim.request("GET", "/api/v1/me", headers={"Authorization": f"Bearer {token}"})
            answer = victim.getresponse()
            body = answer.read()
            assert answer.status == 200, (answer.status, body)
            assert json.loads(body)["username"] == VICTIM
    victim.close()
