"""OpenID Connect: what a provider's documents and ID tokens must contain to be accepted. Fetches and verifies nothing.

Section numbers are those of OpenID Connect Core 1.0, unless stated otherwise.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from typing import Any, cast
from urllib.parse import urlsplit

from playhead.domain.identity import GROUPS_MAX, Identity
from playhead.domain.model import Instant

# Signatures with a public key only: with HMAC, anybody who knows the provider's public key or the client's secret could
# sign, and "none" is not a signature (RFC 8725, 3.1 and 3.2).
ALGORITHMS = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"})
DEFAULT_ALGORITHM = "RS256"  # section 2, if a provider does not name any

CLOCK_SKEW_MS = 60_000
"""How far the clocks of the provider and of this server may differ."""

ISSUED_WITHIN_MS = 10 * 60_000
"""An ID token straight from the token endpoint has just been issued."""


class Fault(StrEnum):
    """Why a sign-in at a provider fails."""

    UNREACHABLE = "unreachable"
    MISCONFIGURED = "misconfigured"
    DENIED = "denied"
    REPLAYED = "replayed"
    CLOCK = "clock"
    AUDIENCE = "audience"
    UNTRUSTED = "untrusted"


class OpenIDError(Exception):
    """A sign-in at a provider failed. The message is for the log."""

    def __init__(self, fault: Fault, message: str) -> None:
        super().__init__(message)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class OpenIDClient:
    """This installation, as the provider knows it. `secret` is "" for a public client; `scopes` are sent unchanged."""

    issuer: str
    id: str
    secret: str
    scopes: str = "openid profile"
    name_claim: str = "preferred_username"
    groups_claim: str = "groups"


@dataclass(frozen=True, slots=True)
class ProviderMetadata:
    """A provider's metadata (OpenID Connect Discovery 1.0, section 3). An address is "" if the provider has none."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str
    end_session_endpoint: str
    algorithms: frozenset[str]
    takes_basic: bool
    names_issuer: bool


def metadata_of(document: Mapping[str, Any], issuer: str) -> ProviderMetadata:
    """Return the checked metadata of a discovery document. Raises OpenIDError MISCONFIGURED."""
    if document.get("issuer") != issuer:
        raise _misconfigured(f"the provider calls itself {document.get('issuer')!r}, and the settings say {issuer!r}")

    def address(name: str, *, required: bool = False) -> str:
        value = document.get(name, "")
        if not value and not required:
            return ""
        if not isinstance(value, str) or not is_safe_address(value):
            raise _misconfigured(f"{name} of the provider is not an https address: {value!r}")
        return value

    offered = _texts(document.get("id_token_signing_alg_values_supported")) or frozenset({DEFAULT_ALGORITHM})
    algorithms = offered & ALGORITHMS
    if not algorithms:
        raise _misconfigured(f"the provider signs with {', '.join(sorted(offered))} only, none of which is accepted")
    methods = _texts(document.get("token_endpoint_auth_methods_supported")) or frozenset({"client_secret_basic"})
    return ProviderMetadata(
        issuer=issuer,
        authorization_endpoint=address("authorization_endpoint", required=True),
        token_endpoint=address("token_endpoint", required=True),
        jwks_uri=address("jwks_uri", required=True),
        userinfo_endpoint=address("userinfo_endpoint"),
        end_session_endpoint=address("end_session_endpoint"),
        algorithms=algorithms,
        takes_basic="client_secret_basic" in methods,
        names_issuer=document.get("authorization_response_iss_parameter_supported") is True,
    )


def is_safe_address(url: str) -> bool:
    """Return whether requests may be sent to an address: by TLS, or on this machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        return False
    if parts.username is not None or parts.fragment or not host:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def code_challenge(verifier: str) -> str:
    """Return the challenge of a code verifier (RFC 7636, 4.2, S256)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def pick_key(keys: Sequence[object], kid: str | None, algorithm: str) -> Mapping[str, Any] | None:
    """Return the key in a JWK set that verifies a token with this header; None if there is none.

    A token that names no key is verified only if exactly one key fits (section 10.1).
    """
    known = [cast("Mapping[str, Any]", key) for key in keys if isinstance(key, Mapping)]
    named = [key for key in known if _fits(key, algorithm) and (kid is None or key.get("kid") == kid)]
    return named[0] if len(named) == 1 else None


def _fits(key: Mapping[str, Any], algorithm: str) -> bool:
    kinds = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}
    return (
        key.get("kty") == kinds.get(algorithm[:2])
        and key.get("use", "sig") == "sig"
        and key.get("alg", algorithm) == algorithm
    )


def check_claims(claims: Mapping[str, Any], client: OpenIDClient, nonce: str, now: Instant) -> None:
    """Check the claims of an ID token whose signature was verified (section 3.1.3.7). Raises OpenIDError."""
    if claims.get("iss") != client.issuer:
        raise OpenIDError(Fault.UNTRUSTED, f"the ID token is of the issuer {claims.get('iss')!r}")
    audience = claims.get("aud")
    audiences = [audience] if isinstance(audience, str) else audience
    if not isinstance(audiences, list) or client.id not in audiences:
        raise OpenIDError(Fault.AUDIENCE, f"the ID token is for {audience!r}, and the client id is {client.id!r}")
    party = claims.get("azp")
    if party not in (None, client.id) or (len(cast("list[object]", audiences)) > 1 and party is None):
        raise OpenIDError(Fault.AUDIENCE, f"the ID token was made for {party!r}, and the client id is {client.id!r}")
    if claims.get("nonce") != nonce:
        raise OpenIDError(
            Fault.UNTRUSTED, "the ID token answers another request: its nonce is not the one that was sent"
        )
    if not isinstance(claims.get("sub"), str) or not claims["sub"]:
        raise OpenIDError(Fault.UNTRUSTED, "the ID token names nobody")
    _check_times(claims, now)


def _check_times(claims: Mapping[str, Any], now: Instant) -> None:
    expires_at, issued_at, begins_at = (_milliseconds(claims.get(name)) for name in ("exp", "iat", "nbf"))
    if expires_at is None or issued_at is None:
        raise OpenIDError(Fault.UNTRUSTED, "the ID token does not say when it was issued and when it ends")
    if now >= expires_at + CLOCK_SKEW_MS or now - issued_at > ISSUED_WITHIN_MS:
        raise OpenIDError(Fault.CLOCK, f"the ID token of {issued_at} ended at {expires_at}, and it is {now} here")
    if max(issued_at, begins_at or 0) > now + CLOCK_SKEW_MS:
        raise OpenIDError(Fault.CLOCK, f"the ID token is of {issued_at}, which lies ahead: it is {now} here")


def _milliseconds(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 10**12:
        return None
    return int(value * 1000)


def lacks_claims(claims: Mapping[str, Any], client: OpenIDClient) -> bool:
    """Return whether the user info must be requested for the name or the groups."""
    return client.name_claim not in claims or client.groups_claim not in claims


def identity_of(claims: Mapping[str, Any], client: OpenIDClient) -> Identity:
    """Return the identity of the claims. Without the configured name claim, the subject is its name."""
    subject = str(claims["sub"])
    name = claims.get(client.name_claim)
    groups = claims.get(client.groups_claim)
    found = [groups] if isinstance(groups, str) else groups
    return Identity(client.issuer, subject, name if isinstance(name, str) and name.strip() else subject, _texts(found))


def _texts(value: object) -> frozenset[str]:
    if not isinstance(value, list):
        return frozenset()
    return frozenset(each for each in cast("list[object]", value)[:GROUPS_MAX] if isinstance(each, str))


def _misconfigured(message: str) -> OpenIDError:
    return OpenIDError(Fault.MISCONFIGURED, message)
