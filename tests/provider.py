"""A real OpenID provider for tests: npm's oidc-provider, which is certified, on the loopback interface."""

import json
import re
import shutil
import socket
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urljoin

import httpx

from server import Server

FOLDER = Path(__file__).with_name("provider")
CLIENT_ID = "playhead"
CLIENT_SECRET = "s%ecret:+/of a client"


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class OpenIDProvider:
    """A provider that knows a client at `home`. It keeps its port, and has new keys each time it is started."""

    def __init__(self, home: str, *, conform: bool = True, keys: int = 1, public: bool = False) -> None:
        port = free_port()
        self.issuer = f"http://localhost:{port}"
        self._settings = {
            "port": port,
            "conform": conform,
            "keys": keys,
            "client": {
                "client_id": CLIENT_ID,
                **({} if public else {"client_secret": CLIENT_SECRET}),
                "redirect_uris": [f"{home}/sign-in/openid/return"],
                "post_logout_redirect_uris": [f"{home}/sign-in"],
                "token_endpoint_auth_method": "none" if public else "client_secret_basic",
            },
        }
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Return once the provider answers. Node.js once hung while it started, so a second one gets a chance."""
        if not self._answers() and not self._answers():
            raise AssertionError("the provider does not answer")

    def _answers(self) -> bool:
        node = shutil.which("node")
        assert node, "this test needs Node.js: apt-get install nodejs npm"
        assert (FOLDER / "node_modules").exists(), "this test needs the provider: make test-packages"
        self._process = subprocess.Popen([node, "provider.js", json.dumps(self._settings)], cwd=FOLDER)  # noqa: S603 - our own program
        if Server.comes_true(self._is_up):
            return True
        self.stop()
        return False

    def _is_up(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"the provider ended: {self._process.returncode}"
        try:
            answer = httpx.get(f"{self.issuer}/.well-known/openid-configuration", trust_env=False)
        except httpx.TransportError:
            return False
        return answer.json()["issuer"] == self.issuer

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()


async def consent(browser: httpx.AsyncClient, address: str, login: str, home: str) -> str:
    """Sign in at the provider as a browser does, and return the address that it redirects to, below `home`."""
    for _ in range(12):
        if address.startswith(home):
            return address
        page = await browser.get(address)
        if page.is_redirect:
            address = urljoin(address, page.headers["location"])
            continue
        assert page.status_code == 200, page.text
        form = re.search(r'<form [^>]*action="([^"]+)"', page.text)
        prompt = re.search(r'name="prompt" value="(\w+)"', page.text)
        assert form is not None, page.text
        assert prompt is not None, page.text
        answer = await browser.post(
            urljoin(address, form[1]), data={"prompt": prompt[1], "login": login, "password": "any"}
        )
        address = urljoin(address, answer.headers["location"])
    raise AssertionError(f"the provider leads nowhere: {address}")
