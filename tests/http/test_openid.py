"""The whole flow with a real OpenID provider: signing in, linking, groups, key rotation, signing out."""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from pages import submit, words
from playhead.asgi import Playhead
from playhead.config import Settings
from playhead.domain.model import Role
from provider import CLIENT_ID, CLIENT_SECRET, OpenIDProvider, consent
from world import PASSWORD, stock_library

pytestmark = pytest.mark.anyio

HOME = "http://playhead.test"


@pytest.fixture(scope="module")
def provider() -> Iterator[OpenIDProvider]:
    with OpenIDProvider(HOME) as running:
        yield running


@asynccontextmanager
async def house(settings: Settings, provider: OpenIDProvider, **more: object) -> AsyncIterator[Playhead]:
    """A Playhead with sign-in at the provider, and a local admin."""
    wanted = {
        "public_url": HOME,
        "oidc_issuer": provider.issuer,
        "oidc_client_id": CLIENT_ID,
        "oidc_client_secret": CLIENT_SECRET,
        "oidc_name": "Example ID",
        "create_accounts": True,
    }
    playhead = Playhead(Settings(data=settings.data, database=settings.database, **(wanted | more)))  # type: ignore[arg-type]
    await playhead.open()
    await playhead.installation.accounts.create_user("boss", PASSWORD, Role.ADMIN)
    try:
        yield playhead
    finally:
        await playhead.close()


def browse(playhead: Playhead) -> httpx.AsyncClient:
    """A browser without cookies."""
    transport = httpx.ASGITransport(app=playhead, raise_app_exceptions=True)
    return httpx.AsyncClient(transport=transport, base_url=HOME)


async def return_from(client: httpx.AsyncClient, login: str, path: str = "/sign-in/openid") -> str:
    """Go to the provider, sign in there, and return the address that it redirects to."""
    away = await client.get(path)
    assert away.status_code == 303, away.text
    async with httpx.AsyncClient() as outside:
        return await consent(outside, away.headers["location"], login, HOME)


async def sign_in(client: httpx.AsyncClient, login: str, path: str = "/sign-in/openid") -> httpx.Response:
    return await client.get(await return_from(client, login, path))


async def who(client: httpx.AsyncClient) -> tuple[str | None, str | None]:
    answer = (await client.get("/api/v1/me")).json()
    return answer.get("username"), answer.get("role")


async def said(client: httpx.AsyncClient, answer: httpx.Response) -> str:
    """The message on the page that a refusal redirects to."""
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/")
    return words(await client.get(answer.headers["location"]))


async def test_a_user_signs_in_at_the_provider_and_returns_to_the_requested_page(
    settings: Settings, provider: OpenIDProvider
):
    async with house(settings, provider) as playhead, browse(playhead) as client:
        page = await client.get("/sign-in?next=/history")
        assert "Sign in with Example ID" in words(page)
        (link,) = re.findall(r'href="(/sign-in/openid[^"]*)"', page.text)
        back = await sign_in(client, "anna", link)
        assert (back.status_code, back.headers["location"]) == (303, "/history")
        assert await who(client) == ("anna", "member")
        cookie = next(each for each in back.headers.get_list("set-cookie") if "playhead_session" in each)
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie


async def test_the_request_asks_for_a_code_with_pkce_state_and_nonce(settings: Settings, provider: OpenIDProvider):
    async with house(settings, provider) as playhead, browse(playhead) as client:
        first, second = [(await client.get("/sign-in/openid")).headers["location"] for _ in range(2)]
        asked = {name: value for name, (value,) in parse_qs(urlsplit(first).query).items()}
        other = {name: value for name, (value,) in parse_qs(urlsplit(second).query).items()}
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        assert asked["redirect_uri"] == f"{HOME}/sign-in/openid/return"
        assert asked["scope"] == "openid profile"
        for name in ("state", "nonce", "code_challenge"):
            assert len(asked[name]) >= 43
            assert asked[name] != other[name]


async def test_the_same_person_has_the_same_account_every_time(settings: Settings, provider: OpenIDProvider):
    async with house(settings, provider) as playhead:
        for _ in range(2):
            async with browse(playhead) as client:
                assert (await sign_in(client, "anna")).headers["location"] == "/"
        assert [user.name for user in await playhead.installation.accounts.list_users()] == ["anna", "boss"]


async def test_an_account_of_the_same_name_is_not_taken_over_but_linked_from_its_settings(
    settings: Settings, provider: OpenIDProvider
):
    async with house(settings, provider) as playhead, browse(playhead) as client:
        assert "An account with your name exists here." in await said(client, await sign_in(client, "boss"))
        assert await who(client) == (None, None)
        await submit(client, "/sign-in", username="boss", password=PASSWORD)
        page = await submit(client, "/settings/sign-in/openid")
        assert page.status_code == 200
        (away,) = re.findall(r'<a href="([^"]+)">Continue to Example ID', page.text)
        async with httpx.AsyncClient() as outside:
            back = await consent(outside, away.replace("&amp;", "&"), "boss", HOME)
        assert (await client.get(back)).headers["location"] == "/settings/sign-in?done=linked"
        assert provider.issuer in (await client.get("/settings/sign-in")).text
    async with _again(settings, provider) as playhead, browse(playhead) as client:
        await sign_in(client, "boss")
        assert await who(client) == ("boss", "admin")


@asynccontextmanager
async def _again(settings: Settings, provider: OpenIDProvider) -> AsyncIterator[Playhead]:
    """The same installation, reopened."""
    playhead = Playhead(
        Settings(
            data=settings.data,
            database=settings.database,
            public_url=HOME,
            oidc_issuer=provider.issuer,
            oidc_client_id=CLIENT_ID,
            oidc_client_secret=CLIENT_SECRET,  # type: ignore[arg-type]
        )
    )
    await playhead.open()
    try:
        yield playhead
    finally:
        await playhead.close()


async def test_a_link_started_by_another_browser_or_account_is_refused(settings: Settings, provider: OpenIDProvider):
    async with house(settings, provider) as playhead, browse(playhead) as client:
        await submit(client, "/sign-in", username="boss", password=PASSWORD)
        page = await submit(client, "/settings/sign-in/openid")
        (away,) = re.findall(r'<a href="([^"]+)">Continue', page.text)
        async with httpx.AsyncClient() as outside:
            back = await consent(outside, away.replace("&amp;", "&"), "anna", HOME)
        await submit(client, "/sign-out")
        assert "was started in another browser" in await said(client, await client.get(back))
        boss = await playhead.installation.accounts.find_user_named("boss")
        assert await playhead.installation.identities.list_of(boss.id) == []
        assert (await client.post("/settings/sign-in/openid", data={})).status_code in {303, 403}


async def test_groups_of_the_provider_determine_role_and_libraries(settings: Settings, provider: OpenIDProvider):
    rules = {"admin_groups": ("admins",), "library_groups": {"family": ["Films"]}}
    async with house(settings, provider, **rules) as playhead:
        await playhead.installation.database.write(lambda connection: stock_library(connection, None))
        for login, role in (("root", "admin"), ("anna", "member")):
            async with browse(playhead) as client:
                await sign_in(client, login)
                assert await who(client) == (login, role)
                libraries = (await client.get("/api/v1/libraries")).json()["items"]
                assert [library["name"] for library in libraries] == ["Films"]


async def test_a_user_outside_the_allowed_groups_is_told_so(settings: Settings, provider: OpenIDProvider):
    async with house(settings, provider, member_groups=("staff",)) as playhead, browse(playhead) as client:
        assert "None of your groups at Example ID may sign in here." in await said(
            client, await sign_in(client, "anna")
        )


async def test_a_user_without_an_account_is_told_how_to_get_one(settings: Settings, provider: OpenIDProvider):
    async with house(settings, provider, create_accounts=False) as playhead, browse(playhead) as client:
        assert "You have no account here that is linked" in await said(client, await sign_in(client, "anna"))


async def test_an_answer_is_good_once_and_only_in_the_browser_that_requested_it(
    settings: Settings, provider: OpenIDProvider
):
    async with house(settings, provider) as playhead, browse(playhead) as client, browse(playhead) as other:
        back = await return_from(client, "anna")
        refused = await said(other, await other.get(back))  # an attacker's answer in a victim's browser
        assert "was started in another browser" in refused
        assert await who(other) == (None, None)
        back = await return_from(client, "anna")
        assert (await client.get(back)).headers["location"] == "/"
        await submit(client, "/sign-out")
        assert "was already used" in await said(client, await client.get(back))


async def test_cancelling_at_the_provider_is_reported(settings: Settings, provider: OpenIDProvider):
    async with house(settings, provider) as playhead, browse(playhead) as client:
        away = (await client.get("/sign-in/openid")).headers["location"]
        state = parse_qs(urlsplit(away).query)["state"][0]
        refused = await client.get(
            "/sign-in/openid/return",
            params={"state": state, "error": "access_denied", "error_description": "<b>no", "iss": provider.issuer},
        )
        page = await said(client, refused)
        assert "Example ID did not sign you in, or you cancelled." in page
        assert "<b>" not in page


@pytest.mark.parametrize(
    "wanted", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"]
)
async def test_no_redirect_leads_to_another_site(settings: Settings, provider: OpenIDProvider, wanted: str):
    async with house(settings, provider) as playhead, browse(playhead) as client:
        back = await sign_in(client, "anna", str(httpx.URL("/sign-in/openid", params={"next": wanted})))
        assert back.headers["location"] == "/"


async def test_the_provider_may_rotate_its_keys_at_any_time(settings: Settings):
    with OpenIDProvider(HOME, keys=3) as rotating:
        async with house(settings, rotating) as playhead, browse(playhead) as client:
            assert (await sign_in(client, "anna")).headers["location"] == "/"
        rotating.stop()
        rotating.start()
        async with _again(settings, rotating) as playhead, browse(playhead) as client:
            assert (await sign_in(client, "anna")).headers["location"] == "/"


async def test_password_sign_in_works_while_the_provider_is_down(settings: Settings):
    with OpenIDProvider(HOME) as gone:
        pass
    async with house(settings, gone) as playhead, browse(playhead) as client:
        assert "Example ID cannot be reached." in await said(client, await client.get("/sign-in/openid"))
        assert (await submit(client, "/sign-in", username="boss", password=PASSWORD)).status_code == 303


async def test_claims_may_come_in_the_id_token_or_by_a_public_client(settings: Settings):
    with OpenIDProvider(HOME, conform=False, public=True) as other:
        rules = {"admin_groups": ("admins",), "oidc_client_secret": ""}
        async with house(settings, other, **rules) as playhead, browse(playhead) as client:
            await sign_in(client, "root")
            assert await who(client) == ("root", "admin")


async def test_the_client_secret_may_be_in_a_file(settings: Settings, provider: OpenIDProvider, tmp_path: Path):
    file = tmp_path / "secret"
    file.write_text(f"{CLIENT_SECRET}\n")
    secret = {"oidc_client_secret": "", "oidc_client_secret_file": file}
    async with house(settings, provider, **secret) as playhead, browse(playhead) as client:
        assert (await sign_in(client, "anna")).headers["location"] == "/"


async def test_a_wrong_client_secret_is_logged_as_a_fault_of_the_settings(
    settings: Settings, provider: OpenIDProvider, caplog: pytest.LogCaptureFixture
):
    async with house(settings, provider, oidc_client_secret="wrong") as playhead, browse(playhead) as client:
        assert "is not set up correctly" in await said(client, await sign_in(client, "anna"))
        assert "invalid_client" in caplog.text
        assert "wrong" not in caplog.text.replace("wrong secret", "")


async def test_signing_out_redirects_to_the_provider_which_knows_the_session(
    settings: Settings, provider: OpenIDProvider
):
    async with house(settings, provider) as playhead, browse(playhead) as client:
        await sign_in(client, "anna")
        page = await submit(client, "/sign-out")
        (leads,) = re.findall(r'content="0; url=([^"]+)"', page.text)
        asked = parse_qs(urlsplit(leads.replace("&amp;", "&")).query)
        assert leads.startswith(f"{provider.issuer}/session/end?")
        assert asked["post_logout_redirect_uri"] == [f"{HOME}/sign-in"]
        async with httpx.AsyncClient() as outside:
            answer = await outside.get(leads.replace("&amp;", "&"))
        assert "Submitting Callback" in answer.text  # the provider knows the session, so it need not ask
        assert await who(client) == (None, None)
        await submit(client, "/sign-in", username="boss", password=PASSWORD)
        assert (await submit(client, "/sign-out")).headers["location"] == "/sign-in"


async def test_members_sign_in_only_at_the_provider_if_passwords_are_for_admins(
    settings: Settings, provider: OpenIDProvider
):
    async with house(settings, provider, local_sign_in="admins") as playhead, browse(playhead) as client:
        await playhead.installation.accounts.create_user("member", PASSWORD, Role.MEMBER)
        page = await submit(client, "/sign-in", username="member", password=PASSWORD)
        assert page.status_code == 403
        assert "Only admins can sign in with a password here. Sign in with Example ID." in words(page)
        answer = await client.post("/api/v1/sessions", json={"username": "member", "password": PASSWORD})
        assert (answer.status_code, answer.json()["error"]) == (403, "Password sign-in is for admins only")
        wrong = await submit(client, "/sign-in", username="member", password="wrong horse")
        assert "The name or password is wrong." in words(wrong)
        assert (await submit(client, "/sign-in", username="boss", password=PASSWORD)).status_code == 303


async def test_without_a_configured_provider_there_is_no_link_to_one(settings: Settings):
    playhead = Playhead(settings)
    await playhead.open()
    await playhead.installation.accounts.create_user("boss", PASSWORD, Role.ADMIN)
    async with browse(playhead) as client:
        for path in ("/sign-in/openid", "/sign-in/openid/return?state=x&code=y"):
            assert (await client.get(path)).status_code == 404
        assert "/sign-in/openid" not in (await client.get("/sign-in")).text
    await playhead.close()
