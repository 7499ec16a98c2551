"""Users asserted by a trusted proxy, and assertions from anybody else, which are ignored."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest

from fakes import Clock
from pages import OWN, submit, words
from playhead.asgi import Playhead
from playhead.config import Settings
from playhead.domain.model import Role
from world import MOVIE, PASSWORD, stock_library

pytestmark = pytest.mark.anyio

PROXY = ("192.0.2.10", 40000)
ELSEWHERE = ("198.51.100.7", 40000)
MAPPED = ("::ffff:192.0.2.10", 40000)


@dataclass
class Gate:
    """A Playhead behind a proxy, and clients of it with any address."""

    playhead: Playhead

    def client(self, peer: tuple[str, int] | None = PROXY) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app=self.playhead, raise_app_exceptions=True, client=peer)  # type: ignore[arg-type]
        return httpx.AsyncClient(transport=transport, base_url="http://playhead.test")


Open = Callable[..., "AsyncIterator[Gate]"]


@asynccontextmanager
async def gate(settings: Settings, **more: object) -> AsyncIterator[Gate]:
    wanted = {"remote_user_header": "Remote-User", "trusted_proxies": ("192.0.2.0/24",), "create_accounts": True}
    playhead = Playhead(Settings(data=settings.data, database=settings.database, **(wanted | more)), clock=Clock())
    await playhead.open()
    await playhead.installation.accounts.create_user("boss", PASSWORD, Role.ADMIN)
    try:
        yield Gate(playhead)
    finally:
        await playhead.close()


async def me(client: httpx.AsyncClient, *headers: tuple[str, str]) -> tuple[int, str | None]:
    answer = await client.get("/api/v1/me", headers=[*headers])
    return answer.status_code, answer.json().get("username")


async def test_a_user_named_by_a_trusted_proxy_is_signed_in_on_every_request_without_a_cookie(settings: Settings):
    async with gate(settings) as here, here.client() as client:
        assert await me(client, ("remote-user", "anna")) == (200, "anna")
        page = await client.get("/", headers={"remote-user": "anna"})
        assert (page.status_code, "set-cookie" in page.headers) == (200, False)
        assert await me(client) == (401, None)
        for name in ("Änne".encode(), "Änne".encode("latin-1")):
            answer = await client.get("/api/v1/me", headers=[(b"Remote-User", name)])
            assert answer.json()["username"] == "Änne"


@pytest.mark.parametrize("peer", [ELSEWHERE, ("", 0), ("unix", 0), None])
async def test_the_header_of_an_untrusted_client_is_ignored(settings: Settings, peer: tuple[str, int] | None):
    async with gate(settings) as here, here.client(peer) as client:
        assert await me(client, ("remote-user", "boss")) == (401, None)
        forged = [("remote-user", "boss"), ("x-forwarded-for", "192.0.2.10"), ("remote-groups", "root")]
        assert await me(client, *forged) == (401, None)
        assert (await client.get("/", headers=[("remote-user", "boss")])).headers["location"] == "/sign-in"


async def test_a_client_behind_the_proxy_is_judged_by_the_address_of_the_proxy(settings: Settings):
    async with gate(settings) as here, here.client() as client:
        assert await me(client, ("remote-user", "anna"), ("x-forwarded-for", "198.51.100.7")) == (200, "anna")


async def test_a_proxy_on_a_dual_stack_socket_is_the_same_proxy(settings: Settings):
    async with gate(settings) as here, here.client(MAPPED) as client:
        assert await me(client, ("remote-user", "anna")) == (200, "anna")


async def test_the_header_means_nothing_unless_it_is_configured(settings: Settings):
    async with gate(settings, remote_user_header="") as here, here.client() as client:
        assert await me(client, ("remote-user", "anna")) == (401, None)


async def test_the_header_has_the_configured_name(settings: Settings):
    async with gate(settings, remote_user_header="X-Who") as here, here.client() as client:
        assert await me(client, ("remote-user", "anna")) == (401, None)
        assert await me(client, ("x-who", "anna")) == (200, "anna")


@pytest.mark.parametrize(
    "headers",
    [
        [("remote-user", "anna"), ("remote-user", "boss")],
        [("remote-user", "anna"), ("Remote-User", "anna")],
        [("remote-user", ""), ("remote-user", "boss")],
        [("remote-user", "anna"), ("remote-groups", "family"), ("remote-groups", "root")],
    ],
)
async def test_a_duplicate_header_is_refused(settings: Settings, headers: list[tuple[str, str]]):
    async with gate(settings) as here, here.client() as client:
        answer = await client.get("/api/v1/me", headers=headers)
        assert (answer.status_code, answer.json()["error"]) == (400, "Repeated identity header")
        page = await client.get("/", headers=headers)
        assert (page.status_code, page.headers["content-type"]) == (400, "text/html; charset=utf-8")


@pytest.mark.parametrize("name", ["remote_user", "http-remote-user", "remote-user ", "x-remote-user"])
async def test_a_similarly_named_header_is_ignored(settings: Settings, name: str):
    async with gate(settings) as here, here.client() as client:
        assert await me(client, (name, "boss")) == (401, None)


async def test_an_empty_header_names_nobody(settings: Settings):
    async with gate(settings) as here, here.client() as client:
        assert await me(client, ("remote-user", "")) == (401, None)
        assert await me(client, ("remote-user", "  ")) == (401, None)


async def test_a_token_takes_precedence_over_the_header_so_that_apps_pass_the_proxy(settings: Settings):
    async with gate(settings) as here, here.client() as client:
        boss = await here.playhead.installation.accounts.find_user_named("boss")
        secret, _ = await here.playhead.installation.accounts.create_token(boss.id, "tests")
        assert await me(client, ("remote-user", "anna"), ("authorization", f"Bearer {secret}")) == (200, "boss")
        assert await me(client, ("remote-user", "anna"), ("authorization", "Bearer wrong")) == (401, None)


async def test_a_change_must_come_from_the_same_origin_as_with_a_cookie(settings: Settings):
    async with gate(settings) as here, here.client() as client:
        named = {"remote-user": "anna"}
        body = {"name": "phone"}
        assert (await client.post("/api/v1/tokens", json=body, headers=named)).status_code == 403
        for foreign in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}):
            assert (await client.post("/api/v1/tokens", json=body, headers=named | foreign)).status_code == 403
        assert (await client.post("/api/v1/tokens", json=body, headers=named | OWN)).status_code == 201


async def test_groups_determine_role_and_libraries_on_each_request(settings: Settings):
    rules = {"admin_groups": ("root",), "library_groups": {"family": ["Films"]}}
    async with gate(settings, **rules) as here, here.client() as client:
        await here.playhead.installation.database.write(lambda connection: stock_library(connection, None))
        path = f"/api/v1/playback/movie/{MOVIE}"

        async def statuses(groups: str) -> list[int]:
            named = {"remote-user": "anna", "remote-groups": groups}
            return [(await client.get(each, headers=named)).status_code for each in ("/api/v1/users", path)]

        assert await statuses("guests") == [403, 403]
        assert await statuses("guests, family") == [403, 200]
        assert await statuses("root") == [200, 200]
        assert await statuses("family") == [403, 200]


async def test_a_user_without_an_account_is_redirected_to_sign_in_and_may_sign_in_there(settings: Settings):
    async with gate(settings, create_accounts=False) as here, here.client() as client:
        client.headers["remote-user"] = "bossy"
        assert (await client.get("/")).headers["location"] == "/sign-in"
        assert (await submit(client, "/sign-in", username="boss", password=PASSWORD)).status_code == 303
        assert await me(client) == (200, "boss")


async def test_an_account_is_linked_to_its_proxy_name_only_from_its_own_settings(settings: Settings):
    async with gate(settings, create_accounts=False) as here, here.client() as client:
        client.headers["remote-user"] = "b.oss"
        await submit(client, "/sign-in", username="boss", password=PASSWORD)
        page = await client.get("/settings/sign-in")
        assert "The proxy in front of this server knows you as b.oss ." in words(page)
        assert (await submit(client, "/settings/sign-in/proxy")).headers["location"] == "/settings/sign-in?done=linked"
        client.cookies.clear()
        assert await me(client) == (200, "boss")
        page = words(await client.get("/settings/sign-in?done=linked"))
        assert "The identity is linked." in page
        assert "knows you as" not in page
        assert "Your proxy, linked today" in page


async def test_a_link_can_be_removed_and_given_to_another_account(settings: Settings):
    async with gate(settings, create_accounts=False) as here:
        accounts = here.playhead.installation.accounts
        await accounts.create_user("other", PASSWORD, Role.MEMBER)
        async with here.client() as client, here.client(ELSEWHERE) as direct:
            client.headers["remote-user"] = "b.oss"
            await submit(client, "/sign-in", username="boss", password=PASSWORD)
            await submit(client, "/settings/sign-in/proxy")
            client.cookies.clear()
            await submit(direct, "/sign-in", username="boss", password=PASSWORD)
            boss = await accounts.find_user_named("boss")
            (linked,) = await here.playhead.installation.identities.list_of(boss.id)
            answer = await submit(direct, f"/settings/sign-in/identities/{linked.id}/unlink")
            assert answer.headers["location"] == "/settings/sign-in?done=unlinked"
            assert "None." in words(await direct.get("/settings/sign-in"))


async def test_the_only_way_to_sign_in_is_kept_with_a_reason(settings: Settings):
    async with gate(settings) as here, here.client() as client:
        client.headers["remote-user"] = "anna"
        user_id = (await client.get("/api/v1/me")).json()["id"]
        (linked,) = await here.playhead.installation.identities.list_of(user_id)
        answer = await submit(client, f"/settings/sign-in/identities/{linked.id}/unlink")
        assert answer.status_code == 409
        assert "It would no longer be possible to sign in to the account." in words(answer)
        assert len(await here.playhead.installation.identities.list_of(user_id)) == 1


async def test_only_a_name_from_the_proxy_can_be_linked(settings: Settings):
    async with gate(settings) as here, here.client(ELSEWHERE) as client:
        await submit(client, "/sign-in", username="boss", password=PASSWORD)
        answer = await client.post("/settings/sign-in/proxy", data={}, headers=OWN | {"remote-user": "anna"})
        assert answer.status_code == 404


async def test_signing_out_redirects_to_the_sign_out_address_of_the_proxy(settings: Settings):
    leave = "https://auth.example.org/logout?rd=https://play.example.org"
    async with gate(settings, remote_sign_out_url=leave) as here, here.client() as client:
        client.headers["remote-user"] = "anna"
        page = await submit(client, "/sign-out")
        assert page.status_code == 200
        assert f'<meta http-equiv="refresh" content="0; url={leave}">' in page.text
        assert 'playhead_session=""' in page.headers["set-cookie"]


async def test_signing_out_explains_itself_without_a_configured_address(settings: Settings):
    async with gate(settings) as here, here.client() as client:
        client.headers["remote-user"] = "anna"
        page = await submit(client, "/sign-out")
        assert "still signs you in" in words(page)
        assert "http-equiv" not in page.text
