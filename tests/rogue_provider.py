"""An OpenID provider that lies: tests choose every document and token. It runs on a thread, on loopback."""

import base64
import hmac
import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs

from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

CLIENT_ID = "playhead"

FIRST_KEY = RSAKey.generate_key(2048, {"kid": "first"})
OTHER_KEY = RSAKey.generate_key(2048, {"kid": "second"})


def encode(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


class RogueProvider:
    """Answers as a good provider does, until a test replaces a part.

    `metadata` and `userinfo` are merged into the documents, `claims` and `header` into the ID token; `sign` makes the
    token from both. `bodies` are answers by path that replace the documents. `asked` counts requests by path.
    """

    def __init__(self, now: Callable[[], int] = lambda: int(time.time())) -> None:
        self.key: RSAKey | ECKey = FIRST_KEY
        self.keys: list[dict[str, Any]] = [self.public(FIRST_KEY)]
        self.now = now
        self.metadata: dict[str, Any] = {}
        self.claims: dict[str, Any] = {}
        self.userinfo: dict[str, Any] = {}
        self.header: dict[str, Any] = {}
        self.tokens: dict[str, Any] = {}
        self.bodies: dict[str, tuple[int, bytes]] = {}
        self.sign: Callable[[dict[str, Any], dict[str, Any]], str] = self.sign_well
        self.asked: dict[str, int] = {}
        self.nonce = ""
        self.forms: list[dict[str, str]] = []
        rogue = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer({})

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                self._answer({name: value for name, (value,) in parse_qs(body).items()})

            def _answer(self, form: dict[str, str]) -> None:
                status, body = rogue.answer(self.path, form)
                self.send_response(status)
                self.send_header("content-type", "application/json")
                if status == 302:
                    self.send_header("location", f"{rogue.issuer}/elsewhere")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that it has there
                """Log nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self._server.server_address[1]}"
        # The interval is how long `shutdown` waits.
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), name="rogue")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @staticmethod
    def public(key: RSAKey) -> dict[str, Any]:
        return {**key.as_dict(private=False), "use": "sig", "alg": "RS256"}

    def answer(self, path: str, form: dict[str, str]) -> tuple[int, bytes]:
        self.asked[path] = self.asked.get(path, 0) + 1
        if path in self.bodies:
            return self.bodies[path]
        if form:
            self.forms.append(form)
        documents: dict[str, Callable[[], dict[str, Any]]] = {
            "/.well-known/openid-configuration": self._discovery,
            "/jwks": lambda: {"keys": self.keys},
            "/token": lambda: {"access_token": "a", "token_type": "Bearer", "id_token": self.id_token(), **self.tokens},
            "/userinfo": lambda: {"sub": "1", "preferred_username": "anna", "groups": ["family"], **self.userinfo},
        }
        document = documents.get(path)
        return (404, b"{}") if document is None else (200, json.dumps(document()).encode())

    def _discovery(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
            **self.metadata,
        }

    def id_token(self) -> str:
        now = self.now()
        claims = {
            "iss": self.issuer,
            "sub": "1",
            "aud": CLIENT_ID,
            "exp": now + 300,
            "iat": now,
            "nonce": self.nonce,
            **self.claims,
        }
        header = {"alg": "RS256", "kid": "first", **self.header}
        return self.sign(header, {name: value for name, value in claims.items() if value is not None})

    def sign_well(self, header: dict[str, Any], claims: dict[str, Any]) -> str:
        return jws.serialize_compact(header, json.dumps(claims), self.key, algorithms=[header["alg"]])


def sign_with_nothing(header: dict[str, Any], claims: dict[str, Any]) -> str:
    return f"{encode(header)}.{encode(claims)}."


def sign_with(secret: bytes) -> Callable[[dict[str, Any], dict[str, Any]], str]:
    """Sign by HMAC, with a secret that the attacker knows, such as the provider's public key."""

    def sign(header: dict[str, Any], claims: dict[str, Any]) -> str:
        signed = f"{encode({**header, 'alg': 'HS256'})}.{encode(claims)}"
        signature = hmac.digest(secret, signed.encode(), "sha256")
        return f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"

    return sign
