"""What is accepted from a provider: attacks on its documents and ID tokens, each refused with its reason."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from joserfc.jwk import ECKey

from fakes import Clock, Stopwatch
from playhead.domain.openid import Fault, OpenIDClient, OpenIDError, identity_of
from playhead.services import openid_provider
from playhead.services.openid_provider import Answer, Provider
from rogue_provider import CLIENT_ID, OTHER_KEY, RogueProvider, encode, sign_with, sign_with_nothing

pytestmark = pytest.mark.anyio

HOUR_S = 3600


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def rogue(clock: Clock) -> Iterator[RogueProvider]:
    with RogueProvider(lambda: clock.now // 1000) as running:
        running.nonce = "n"
        yield running


@pytest.fixture
def watch() -> Stopwatch:
    return Stopwatch()


@asynccontextmanager
async def opened(rogue: RogueProvider, clock: Clock, watch: Stopwatch, secret: str) -> AsyncIterator[Provider]:
    provider = Provider(OpenIDClient(rogue.issuer, CLIENT_ID, secret), clock=clock, monotonic=watch)
    yield provider
    await provider.close()


@pytest.fixture
async def provider(rogue: RogueProvider, clock: Clock, watch: Stopwatch) -> AsyncIterator[Provider]:
    async with opened(rogue, clock, watch, "s") as made:
        yield made


async def exchange(provider: Provider) -> Answer:
    return await provider.exchange("code", "verifier", "n", "http://playhead.test/return")


async def fault(provider: Provider) -> Fault:
    with pytest.raises(OpenIDError) as caught:
        await exchange(provider)
    return caught.value.fault


async def test_a_valid_token_is_accepted_and_completed_by_the_user_info(rogue: RogueProvider, provider: Provider):
    answer = await exchange(provider)
    person = identity_of(answer.claims, provider.client)
    assert (person.issuer, person.subject, person.name, person.groups) == (rogue.issuer, "1", "anna", {"family"})
    assert rogue.forms == [
        {
            "grant_type": "authorization_code",
            "code": "code",
            "redirect_uri": "http://playhead.test/return",
            "code_verifier": "verifier",
        }
    ]


async def test_the_user_info_cannot_override_the_signed_token(rogue: RogueProvider, provider: Provider):
    rogue.claims = {"preferred_username": "anna"}
    rogue.userinfo = {"preferred_username": "boss", "iss": "https://evil.example"}
    assert (await exchange(provider)).claims["preferred_username"] == "anna"


def with_claims(**claims: Any) -> Callable[[RogueProvider], None]:  # noqa: ANN401
    def prepare(rogue: RogueProvider) -> None:
        rogue.claims = claims

    return prepare


def with_times(**offsets_s: int) -> Callable[[RogueProvider], None]:
    def prepare(rogue: RogueProvider) -> None:
        rogue.claims = {name: rogue.now() + offset for name, offset in offsets_s.items()}

    return prepare


def unsigned(rogue: RogueProvider) -> None:
    rogue.header, rogue.sign = {"alg": "none"}, sign_with_nothing


def signature_cut_off(rogue: RogueProvider) -> None:
    rogue.sign = lambda header, claims: rogue.sign_well(header, claims).rpartition(".")[0] + "."


def payload_exchanged(rogue: RogueProvider) -> None:
    def sign(header: dict[str, Any], claims: dict[str, Any]) -> str:
        head, _, signature = rogue.sign_well(header, claims).split(".")
        return f"{head}.{encode(claims | {'sub': 'boss'})}.{signature}"

    rogue.sign = sign


def hmac_with_public_key(form: str) -> Callable[[RogueProvider], None]:
    def prepare(rogue: RogueProvider) -> None:
        secrets = {
            "pem": rogue.key.as_pem(private=False),
            "jwk": json.dumps(rogue.public(rogue.key)).encode(),
            "modulus": rogue.public(rogue.key)["n"].encode(),
            "client secret": b"s" * 32,
        }
        rogue.sign = sign_with(secrets[form])

    return prepare


def another_key_of_the_same_name(rogue: RogueProvider) -> None:
    rogue.key = OTHER_KEY


def key_in_the_header(rogue: RogueProvider) -> None:
    rogue.key = OTHER_KEY
    rogue.header = {"kid": "mine", "jwk": OTHER_KEY.as_dict(private=False)}


def unknown_key(rogue: RogueProvider) -> None:
    rogue.header = {"kid": "unknown"}


def key_for_encryption(rogue: RogueProvider) -> None:
    rogue.keys = [{**rogue.keys[0], "use": "enc"}]


def two_keys_of_one_name(rogue: RogueProvider) -> None:
    rogue.keys = [rogue.keys[0], {**rogue.public(OTHER_KEY), "kid": "first"}]


def no_name_and_two_keys(rogue: RogueProvider) -> None:
    rogue.keys = [rogue.keys[0], rogue.public(OTHER_KEY)]
    rogue.header = {"kid": None}
    rogue.sign = lambda header, claims: rogue.sign_well(
        {name: value for name, value in header.items() if value is not None}, claims
    )


def other_user_info(rogue: RogueProvider) -> None:
    rogue.userinfo = {"sub": "boss"}


def no_token(rogue: RogueProvider) -> None:
    rogue.tokens = {"id_token": None}


def garbage(text: str) -> Callable[[RogueProvider], None]:
    def prepare(rogue: RogueProvider) -> None:
        rogue.tokens = {"id_token": text}

    return prepare


ATTACKS: dict[str, tuple[Callable[[RogueProvider], None], Fault]] = {
    "alg none": (unsigned, Fault.UNTRUSTED),
    "no signature": (signature_cut_off, Fault.UNTRUSTED),
    "another payload": (payload_exchanged, Fault.UNTRUSTED),
    "HS256 with the public key as PEM": (hmac_with_public_key("pem"), Fault.UNTRUSTED),
    "HS256 with the public key as JWK": (hmac_with_public_key("jwk"), Fault.UNTRUSTED),
    "HS256 with the modulus": (hmac_with_public_key("modulus"), Fault.UNTRUSTED),
    "HS256 with the client secret": (hmac_with_public_key("client secret"), Fault.UNTRUSTED),
    "another key of the same name": (another_key_of_the_same_name, Fault.UNTRUSTED),
    "a key in the header": (key_in_the_header, Fault.UNTRUSTED),
    "an unknown key": (unknown_key, Fault.UNTRUSTED),
    "a key for encryption": (key_for_encryption, Fault.UNTRUSTED),
    "two keys of one name": (two_keys_of_one_name, Fault.UNTRUSTED),
    "no name of a key, and two keys": (no_name_and_two_keys, Fault.UNTRUSTED),
    "another issuer": (with_claims(iss="https://evil.example"), Fault.UNTRUSTED),
    "no issuer": (with_claims(iss=None), Fault.UNTRUSTED),
    "another audience": (with_claims(aud="other"), Fault.AUDIENCE),
    "audiences without us": (with_claims(aud=["other", "third"]), Fault.AUDIENCE),
    "an audience that contains our name": (with_claims(aud="playhead-other"), Fault.AUDIENCE),
    "no audience": (with_claims(aud=None), Fault.AUDIENCE),
    "several audiences, made for nobody": (with_claims(aud=[CLIENT_ID, "other"]), Fault.AUDIENCE),
    "made for another": (with_claims(azp="other"), Fault.AUDIENCE),
    "another nonce": (with_claims(nonce="other"), Fault.UNTRUSTED),
    "no nonce": (with_claims(nonce=None), Fault.UNTRUSTED),
    "no subject": (with_claims(sub=None), Fault.UNTRUSTED),
    "a subject that is a number": (with_claims(sub=1), Fault.UNTRUSTED),
    "an empty subject": (with_claims(sub=""), Fault.UNTRUSTED),
    "expired": (with_times(iat=-200, exp=-61), Fault.CLOCK),
    "issued long ago": (with_times(iat=-HOUR_S), Fault.CLOCK),
    "issued in the future": (with_times(iat=120, exp=HOUR_S), Fault.CLOCK),
    "not valid yet": (with_times(nbf=120), Fault.CLOCK),
    "no end": (with_claims(exp=None), Fault.UNTRUSTED),
    "no beginning": (with_claims(iat=None), Fault.UNTRUSTED),
    "an end that is text": (with_claims(exp="99999999999"), Fault.UNTRUSTED),
    "an end that is true": (with_claims(exp=True), Fault.UNTRUSTED),
    "an endless end": (with_claims(exp=10**30), Fault.UNTRUSTED),
    "user info of another user": (other_user_info, Fault.UNTRUSTED),
    "no ID token": (no_token, Fault.UNTRUSTED),
    "an empty ID token": (garbage(""), Fault.UNTRUSTED),
    "an ID token that is none": (garbage("a.b.c"), Fault.UNTRUSTED),
    "an ID token of two parts": (garbage(f"{encode({'alg': 'RS256'})}.{encode({})}"), Fault.UNTRUSTED),
    "an encrypted ID token": (garbage("a.b.c.d.e"), Fault.UNTRUSTED),
}


@pytest.mark.parametrize("attack", ATTACKS)
async def test_an_attack_on_the_id_token_is_refused(attack: str, rogue: RogueProvider, provider: Provider):
    prepare, expected = ATTACKS[attack]
    prepare(rogue)
    assert await fault(provider) is expected


@pytest.mark.parametrize(
    ("header", "claims"),
    [
        ({}, {"aud": [CLIENT_ID]}),
        ({}, {"aud": [CLIENT_ID, "other"], "azp": CLIENT_ID}),
        ({}, {"preferred_username": "anna", "groups": ["a", 1, None]}),
    ],
)
async def test_what_the_standard_allows_is_accepted(
    header: dict[str, Any], claims: dict[str, Any], rogue: RogueProvider, provider: Provider
):
    rogue.header, rogue.claims = header, claims
    assert (await exchange(provider)).claims["sub"] == "1"


@pytest.mark.parametrize("offset_s", [-59, 59])
async def test_clocks_may_differ_by_a_minute(offset_s: int, rogue: RogueProvider, provider: Provider):
    rogue.claims = {"iat": rogue.now() + offset_s, "exp": rogue.now() + max(offset_s, -50)}
    assert (await exchange(provider)).claims["sub"] == "1"


async def test_a_key_on_an_elliptic_curve_signs_too(rogue: RogueProvider, provider: Provider):
    key = ECKey.generate_key("P-256", {"kid": "curve"})
    rogue.keys.append({**key.as_dict(private=False), "use": "sig"})
    rogue.metadata = {"id_token_signing_alg_values_supported": ["ES256"]}
    rogue.header = {"alg": "ES256", "kid": "curve"}
    rogue.key = key
    assert (await exchange(provider)).claims["sub"] == "1"


# Documents


DOCUMENTS: dict[str, dict[str, Any]] = {
    "another issuer": {"issuer": "https://evil.example"},
    "no authorization endpoint": {"authorization_endpoint": None},
    "a token endpoint without TLS": {"token_endpoint": "http://id.example.org/token"},
    "keys without TLS": {"jwks_uri": "http://id.example.org/keys"},
    "user info without TLS": {"userinfo_endpoint": "http://id.example.org/me"},
    "an address that is none": {"authorization_endpoint": "javascript:alert(1)"},
    "an address with a password": {"token_endpoint": "https://user:password@id.example.org/token"},
    "an address that is a list": {"token_endpoint": ["https://id.example.org/token"]},
    "an address with a strange port": {"token_endpoint": "https://id.example.org:port/token"},
    "nothing but HMAC": {"id_token_signing_alg_values_supported": ["HS256", "none"]},
}


@pytest.mark.parametrize("document", DOCUMENTS)
async def test_an_invalid_discovery_document_is_a_fault_of_the_settings(
    document: str, rogue: RogueProvider, provider: Provider
):
    rogue.metadata = DOCUMENTS[document]
    assert await fault(provider) is Fault.MISCONFIGURED


async def test_an_issuer_without_tls_on_another_machine_is_never_contacted(clock: Clock, watch: Stopwatch):
    provider = Provider(OpenIDClient("http://id.example.org", CLIENT_ID, "s"), clock=clock, monotonic=watch)
    with pytest.raises(OpenIDError) as caught:
        await provider.metadata()
    assert caught.value.fault is Fault.MISCONFIGURED


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/jwks", "/token", "/userinfo"])
@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, b"not JSON", Fault.MISCONFIGURED),
        (200, b"[]", Fault.MISCONFIGURED),
        (200, b"[" * 100_000, Fault.MISCONFIGURED),
        (302, b"{}", Fault.MISCONFIGURED),
        (404, b"{}", Fault.MISCONFIGURED),
        (500, b"{}", Fault.UNREACHABLE),
        (200, b'{"a": "' + b"x" * openid_provider.ANSWER_MAX_BYTES + b'"}', Fault.UNREACHABLE),
    ],
)
async def test_an_unexpected_answer_is_refused_at_every_address_and_no_redirect_is_followed(
    path: str, status: int, body: bytes, expected: Fault, rogue: RogueProvider, provider: Provider
):
    rogue.bodies[path] = (status, body)
    assert await fault(provider) is expected
    assert "/elsewhere" not in rogue.asked


@pytest.mark.parametrize("keys", [{}, {"keys": None}, {"keys": "x"}, {"keys": [1, "x", None, {}, {"kty": "RSA"}]}])
async def test_invalid_keys_verify_nothing(keys: dict[str, Any], rogue: RogueProvider, provider: Provider):
    rogue.bodies["/jwks"] = (200, json.dumps(keys).encode())
    assert await fault(provider) in {Fault.MISCONFIGURED, Fault.UNTRUSTED}


async def test_an_unsupported_key_does_not_hide_the_others(rogue: RogueProvider, provider: Provider):
    rogue.keys = [{"kty": "future", "kid": "first"}, {"kty": "RSA", "kid": "broken"}, *rogue.keys]
    assert (await exchange(provider)).claims["sub"] == "1"


# Key rotation


async def test_a_new_key_is_fetched_when_a_token_is_signed_with_it(
    rogue: RogueProvider, provider: Provider, watch: Stopwatch
):
    await exchange(provider)
    rogue.key = OTHER_KEY
    rogue.keys.append(rogue.public(rogue.key))
    rogue.header = {"kid": "second"}
    watch.seconds += openid_provider.LOOKED_AGAIN_S
    assert (await exchange(provider)).claims["sub"] == "1"
    assert rogue.asked["/jwks"] == 2


async def test_a_withdrawn_key_is_trusted_for_an_hour_at_most(
    rogue: RogueProvider, provider: Provider, watch: Stopwatch
):
    await exchange(provider)
    rogue.keys = [rogue.public(OTHER_KEY)]
    watch.seconds += openid_provider.REMEMBERED_S
    assert await fault(provider) is Fault.UNTRUSTED


async def test_forged_tokens_do_not_trigger_repeated_fetches_of_keys(rogue: RogueProvider, provider: Provider):
    rogue.header = {"kid": "unknown"}
    for _ in range(5):
        assert await fault(provider) is Fault.UNTRUSTED
    assert rogue.asked["/jwks"] == 1
    assert rogue.asked["/.well-known/openid-configuration"] == 1


async def test_a_provider_that_was_down_is_contacted_again_at_the_next_sign_in(
    rogue: RogueProvider, provider: Provider
):
    rogue.bodies["/.well-known/openid-configuration"] = (503, b"")
    assert await fault(provider) is Fault.UNREACHABLE
    del rogue.bodies["/.well-known/openid-configuration"]
    assert (await exchange(provider)).claims["sub"] == "1"


# Client authentication


async def test_the_secret_is_sent_in_the_form_if_the_provider_does_not_support_basic(
    rogue: RogueProvider, clock: Clock, watch: Stopwatch
):
    rogue.metadata = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    async with opened(rogue, clock, watch, "s e") as provider:
        await exchange(provider)
    assert rogue.forms[0]["client_id"] == CLIENT_ID
    assert rogue.forms[0]["client_secret"] == "s e"


async def test_a_public_client_sends_its_id_and_no_secret(rogue: RogueProvider, clock: Clock, watch: Stopwatch):
    async with opened(rogue, clock, watch, "") as provider:
        await exchange(provider)
    assert rogue.forms[0]["client_id"] == CLIENT_ID
    assert "client_secret" not in rogue.forms[0]
