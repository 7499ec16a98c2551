"""Requests to an OpenID provider: discovery, keys, tokens, user info. Answers are bounded, redirects are not followed.

Signatures are verified here; `domain.openid` checks the claims.
"""

import asyncio
import base64
import json
import ssl
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast
from urllib.parse import quote

import certifi
import httpx
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry

from playhead.domain.model import Instant
from playhead.domain.openid import (
    ALGORITHMS,
    Fault,
    OpenIDClient,
    OpenIDError,
    ProviderMetadata,
    check_claims,
    is_safe_address,
    lacks_claims,
    metadata_of,
    pick_key,
)

ANSWER_MAX_BYTES = 512 * 1024
ANSWER_WITHIN_S = 10.0
_CONNECT_WITHIN_S = 5.0
_CONNECTIONS_MAX = 10

# Providers rarely change their documents, and rotate keys every few weeks. A token with an unknown key triggers a new
# fetch, but not more often than this, so that forged tokens cost the provider nothing.
REMEMBERED_S = 3600.0
LOOKED_AGAIN_S = 30.0

_SUCCESS = 200
_SERVER_ERROR = 500


class Answer(NamedTuple):
    """The result of a sign-in at a provider: verified claims, and the ID token for signing out there."""

    claims: Mapping[str, Any]
    id_token: str


class Provider:
    """An OpenID provider. `monotonic` is a monotonic clock in seconds. `close` closes its connections."""

    def __init__(self, client: OpenIDClient, *, clock: Callable[[], Instant], monotonic: Callable[[], float]) -> None:
        self.client = client
        self._clock = clock
        self._monotonic = monotonic
        self._http: httpx.AsyncClient | None = None
        self._metadata: tuple[float, ProviderMetadata] | None = None
        self._keys: tuple[float, list[object]] | None = None
        self._discovering = asyncio.Lock()
        self._fetching_keys = asyncio.Lock()

    async def metadata(self) -> ProviderMetadata:
        """Return the provider's metadata, cached for an hour. Raises OpenIDError."""
        async with self._discovering:
            if self._metadata is None or self._monotonic() >= self._metadata[0] + REMEMBERED_S:
                if not is_safe_address(self.client.issuer):
                    raise OpenIDError(Fault.MISCONFIGURED, f"{self.client.issuer} is not an https address")
                address = self.client.issuer.rstrip("/") + "/.well-known/openid-configuration"
                document = await self._ask("GET", address)
                self._metadata = (self._monotonic(), metadata_of(document, self.client.issuer))
            return self._metadata[1]

    async def exchange(self, code: str, verifier: str, nonce: str, redirect_uri: str) -> Answer:
        """Exchange an authorization code, and return the verified claims about its owner.

        Raises OpenIDError.
        """
        metadata = await self.metadata()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        headers: dict[str, str] = {}
        if self.client.secret and metadata.takes_basic:
            # RFC 6749, 2.3.1: both are form-encoded before they are joined.
            user, password = quote(self.client.id, safe=""), quote(self.client.secret, safe="")
            headers["authorization"] = f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"
        else:
            form["client_id"] = self.client.id
            if self.client.secret:
                form["client_secret"] = self.client.secret
        tokens = await self._ask("POST", metadata.token_endpoint, form=form, headers=headers)
        id_token, access_token = tokens.get("id_token"), tokens.get("access_token")
        if not isinstance(id_token, str):
            raise OpenIDError(Fault.UNTRUSTED, "the provider answered without an ID token")
        claims = await self._verify(id_token, metadata)
        check_claims(claims, self.client, nonce, self._clock())
        if lacks_claims(claims, self.client) and metadata.userinfo_endpoint and isinstance(access_token, str):
            claims = {**await self._user_info(metadata.userinfo_endpoint, access_token, claims["sub"]), **claims}
        return Answer(claims, id_token)

    async def _user_info(self, address: str, access_token: str, subject: str) -> Mapping[str, Any]:
        told = await self._ask("GET", address, headers={"authorization": f"Bearer {access_token}"})
        if told.get("sub") != subject:  # section 5.3.2
            raise OpenIDError(Fault.UNTRUSTED, "the user info is of another user than the ID token")
        return told

    async def _verify(self, id_token: str, metadata: ProviderMetadata) -> Mapping[str, Any]:
        """Return the claims of an ID token that the provider signed. Raises OpenIDError UNTRUSTED."""
        try:
            header = jws.extract_compact(id_token.encode()).headers()
        except (JoseError, ValueError):
            raise OpenIDError(Fault.UNTRUSTED, "the ID token is not a signed JSON web token") from None
        algorithm, kid = header.get("alg"), header.get("kid")
        if algorithm not in metadata.algorithms or algorithm not in ALGORITHMS:
            raise OpenIDError(Fault.UNTRUSTED, f"the ID token is signed with {algorithm!r}")
        key = await self._key(metadata, kid if isinstance(kid, str) else None, algorithm)
        try:
            imported = JWKRegistry.import_key(dict(key))
            verified = jws.deserialize_compact(id_token, imported, algorithms=[algorithm])
            claims = json.loads(verified.payload or b"")
        except (JoseError, ValueError, TypeError, KeyError):
            raise OpenIDError(Fault.UNTRUSTED, "the signature of the ID token is not the provider's") from None
        if not isinstance(claims, dict):
            raise OpenIDError(Fault.UNTRUSTED, "the ID token has no claims")
        return cast("dict[str, Any]", claims)

    async def _key(self, metadata: ProviderMetadata, kid: str | None, algorithm: str) -> Mapping[str, Any]:
        async with self._fetching_keys:
            now = self._monotonic()
            if self._keys is None or now >= self._keys[0] + REMEMBERED_S:
                await self._fetch_keys(metadata)
            found = pick_key(self._known_keys, kid, algorithm)
            if found is None and self._keys is not None and now >= self._keys[0] + LOOKED_AGAIN_S:
                await self._fetch_keys(metadata)
                found = pick_key(self._known_keys, kid, algorithm)
        if found is None:
            raise OpenIDError(Fault.UNTRUSTED, f"the provider has no key {kid!r} for {algorithm}")
        return found

    @property
    def _known_keys(self) -> list[object]:
        return [] if self._keys is None else self._keys[1]

    async def _fetch_keys(self, metadata: ProviderMetadata) -> None:
        keys = (await self._ask("GET", metadata.jwks_uri)).get("keys")
        if not isinstance(keys, list):
            raise OpenIDError(Fault.MISCONFIGURED, f"{metadata.jwks_uri} has no keys")
        self._keys = (self._monotonic(), cast("list[object]", keys))

    async def _ask(
        self, method: str, address: str, *, form: Mapping[str, str] | None = None, headers: Mapping[str, str] = {}
    ) -> Mapping[str, Any]:
        """Return the JSON object at an address. Raises OpenIDError UNREACHABLE, MISCONFIGURED."""
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                status, body = await self._exchange_bytes(method, address, form, headers)
        except (TimeoutError, httpx.HTTPError, OSError) as error:
            raise OpenIDError(
                Fault.UNREACHABLE, f"{address} does not answer: {error or type(error).__name__}"
            ) from None
        if status >= _SERVER_ERROR:
            raise OpenIDError(Fault.UNREACHABLE, f"{address} answers {status}")
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):
            document = None
        if status != _SUCCESS or not isinstance(document, dict):
            fault = _error_of(document)
            raise OpenIDError(Fault.MISCONFIGURED, f"{address} answers {status}{fault}")
        return cast("dict[str, Any]", document)

    async def _exchange_bytes(
        self, method: str, address: str, form: Mapping[str, str] | None, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        if self._http is None:
            self._http = await asyncio.to_thread(_open_client)
        asked = {"accept": "application/json", **headers}
        async with self._http.stream(method, address, data=form, headers=asked) as response:
            body = bytearray()
            async for piece in response.aiter_bytes():
                body += piece
                if len(body) > ANSWER_MAX_BYTES:
                    raise httpx.DecodingError(f"more than {ANSWER_MAX_BYTES} bytes", request=response.request)
        return response.status_code, bytes(body)

    async def close(self) -> None:
        """Close the connections."""
        http, self._http = self._http, None
        if http is not None:
            await http.aclose()


def _open_client() -> httpx.AsyncClient:
    # The system's certificate authorities, where a household can add its own; those of browsers if the system has none.
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return httpx.AsyncClient(
        verify=context,
        trust_env=False,
        follow_redirects=False,
        timeout=httpx.Timeout(ANSWER_WITHIN_S, connect=_CONNECT_WITHIN_S),
        limits=httpx.Limits(max_connections=_CONNECTIONS_MAX),
    )


def _error_of(document: object) -> str:
    """Return the error in an OAuth 2.0 answer (RFC 6749, 5.2), for the log."""
    if not isinstance(document, dict):
        return ""
    told = cast("dict[str, Any]", document)
    words = [str(told[name])[:200] for name in ("error", "error_description") if name in told]
    return f": {', '.join(words)}" if words else ""
