"""What a provider's documents and ID tokens must contain. Attacks with real signatures are in tests/services."""

from typing import Any

import pytest

from playhead.domain.model import Instant
from playhead.domain.openid import (
    Fault,
    OpenIDClient,
    OpenIDError,
    check_claims,
    code_challenge,
    identity_of,
    is_loopback,
    is_safe_address,
    lacks_claims,
    metadata_of,
    pick_key,
)

ISSUER = "https://id.example.org"
CLIENT = OpenIDClient(ISSUER, "playhead", "secret")
NOW = Instant(1_762_639_200_000)
NOW_S = NOW // 1000

DOCUMENT: dict[str, Any] = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/authorize",
    "token_endpoint": f"{ISSUER}/token",
    "jwks_uri": f"{ISSUER}/keys",
}

CLAIMS: dict[str, Any] = {
    "iss": ISSUER,
    "sub": "1",
    "aud": "playhead",
    "nonce": "n",
    "iat": NOW_S,
    "exp": NOW_S + 300,
}


def test_a_minimal_document_has_the_defaults_of_the_standard():
    metadata = metadata_of(DOCUMENT, ISSUER)
    assert (metadata.userinfo_endpoint, metadata.end_session_endpoint) == ("", "")
    assert metadata.algorithms == {"RS256"}
    assert metadata.takes_basic
    assert not metadata.names_issuer


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": f"{ISSUER}/"},
        {"issuer": None},
        {"token_endpoint": None},
        {"token_endpoint": 1},
        {"jwks_uri": "http://id.example.org/keys"},
        {"userinfo_endpoint": "ftp://id.example.org"},
        {"id_token_signing_alg_values_supported": ["none", "HS256"]},
    ],
)
def test_an_invalid_document_is_refused(changes: dict[str, Any]):
    with pytest.raises(OpenIDError) as caught:
        metadata_of(DOCUMENT | changes, ISSUER)
    assert caught.value.fault is Fault.MISCONFIGURED


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("https://id.example.org", True),
        ("https://id.example.org:8443/realms/home", True),
        ("http://localhost:9000", True),
        ("http://127.0.0.2/", True),
        ("http://[::1]:9000", True),
        ("http://id.localhost", True),
        ("http://id.example.org", False),
        ("http://localhost.example.org", False),
        ("http://127.0.0.1.example.org", False),
        ("https://user@id.example.org", False),
        ("https://id.example.org/#fragment", False),
        ("https://id.example.org:port", False),
        ("https://", False),
        ("javascript:alert(1)", False),
        ("//id.example.org", False),
        ("https://[::1", False),
        ("", False),
    ],
)
def test_addresses_need_tls_unless_they_are_on_this_machine(url: str, safe: bool):  # noqa: FBT001
    assert is_safe_address(url) is safe


def test_a_name_is_loopback_only_if_it_cannot_be_another_machine():
    assert [is_loopback(host) for host in ("localhost", "::1", "192.0.2.1", "localhost.")] == [True, True, False, False]


def test_the_challenge_matches_the_example_in_rfc_7636():
    assert (
        code_challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk") == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    )


RSA = {"kty": "RSA", "kid": "a"}


@pytest.mark.parametrize(
    ("keys", "kid", "algorithm", "place"),
    [
        ([RSA], "a", "RS256", 0),
        ([RSA], None, "PS512", 0),
        ([RSA], "b", "RS256", None),
        ([RSA], "a", "ES256", None),
        ([{**RSA, "use": "enc"}], "a", "RS256", None),
        ([{**RSA, "alg": "RS512"}], "a", "RS256", None),
        (["x", None, {}, RSA], "a", "RS256", 3),
        ([RSA, {"kty": "EC", "kid": "a"}], "a", "ES256", 1),
        ([{"kty": "OKP", "kid": "e"}], "e", "EdDSA", 0),
        ([RSA, {**RSA, "kid": "b"}], None, "RS256", None),
        ([RSA, RSA], "a", "RS256", None),
        ([], "a", "RS256", None),
    ],
)
def test_a_token_is_verified_with_the_one_matching_key(
    keys: list[object], kid: str | None, algorithm: str, place: int | None
):
    assert pick_key(keys, kid, algorithm) is (None if place is None else keys[place])


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"aud": ["playhead"]},
        {"aud": ["playhead", "other"], "azp": "playhead"},
        {"azp": "playhead"},
        {"nbf": NOW_S},
        {"iat": NOW_S + 0.5},
        {"iat": NOW_S + 60},
        {"exp": NOW_S - 59},
    ],
)
def test_claims_that_the_standard_allows_are_accepted(changes: dict[str, Any]):
    check_claims(CLAIMS | changes, CLIENT, "n", NOW)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"iss": "https://evil.example"}, Fault.UNTRUSTED),
        ({"aud": "other"}, Fault.AUDIENCE),
        ({"aud": None}, Fault.AUDIENCE),
        ({"aud": {"playhead": 1}}, Fault.AUDIENCE),
        ({"aud": ["playhead", "other"]}, Fault.AUDIENCE),
        ({"azp": "other"}, Fault.AUDIENCE),
        ({"azp": ["playhead"]}, Fault.AUDIENCE),
        ({"nonce": "m"}, Fault.UNTRUSTED),
        ({"sub": None}, Fault.UNTRUSTED),
        ({"sub": ""}, Fault.UNTRUSTED),
        ({"exp": None}, Fault.UNTRUSTED),
        ({"iat": "now"}, Fault.UNTRUSTED),
        ({"iat": True}, Fault.UNTRUSTED),
        ({"exp": 10**13}, Fault.UNTRUSTED),
        ({"exp": NOW_S - 60}, Fault.CLOCK),
        ({"iat": NOW_S - 601}, Fault.CLOCK),
        ({"iat": NOW_S + 61}, Fault.CLOCK),
        ({"nbf": NOW_S + 61}, Fault.CLOCK),
    ],
)
def test_any_other_claims_are_refused_with_the_reason(changes: dict[str, Any], fault: Fault):
    with pytest.raises(OpenIDError) as caught:
        check_claims(CLAIMS | changes, CLIENT, "n", NOW)
    assert caught.value.fault is fault


def test_the_user_info_is_needed_if_name_or_groups_are_missing():
    assert lacks_claims(CLAIMS, CLIENT)
    assert lacks_claims(CLAIMS | {"preferred_username": "anna"}, CLIENT)
    assert not lacks_claims(CLAIMS | {"preferred_username": "anna", "groups": []}, CLIENT)


@pytest.mark.parametrize(
    ("claims", "name", "groups"),
    [
        ({"preferred_username": "anna", "groups": ["family", 1, None]}, "anna", {"family"}),
        ({"preferred_username": " ", "groups": "family"}, "1", {"family"}),
        ({"preferred_username": ["anna"], "groups": {"family": True}}, "1", set()),
        ({}, "1", set()),
    ],
)
def test_name_and_groups_come_from_the_configured_claims(claims: dict[str, Any], name: str, groups: set[str]):
    found = identity_of(CLAIMS | claims, CLIENT)
    assert (found.issuer, found.subject, found.name, found.groups) == (ISSUER, "1", name, groups)
