"""The pages, as a browser without scripts uses them: forms, redirects and the session cookie."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from fakes import Clock
from pages import OWN, Seen, enter, submit
from playhead.asgi import Playhead
from playhead.config import Settings
from world import PASSWORD, World

pytestmark = pytest.mark.anyio

PAGES = ("/", "/settings", "/sign-in", "/setup", "/api/docs")


def cookie_of(answer: httpx.Response) -> tuple[str, set[str]]:
    name_and_value, *attributes = answer.headers["set-cookie"].split("; ")
    name, _, value = name_and_value.partition("=")
    assert name == "playhead_session"
    return value, {attribute.lower() for attribute in attributes}


@pytest.fixture
async def empty(tmp_path: Path) -> AsyncIterator[World]:
    """An installation without users, mounted under a path by another application."""
    clock = Clock()
    playhead = Playhead(Settings(data=tmp_path / "data"), clock=clock)
    await playhead.open()
    transport = httpx.ASGITransport(app=Starlette(routes=[Mount("/watch/playhead", playhead)]))
    async with httpx.AsyncClient(transport=transport, base_url="http://playhead.test/watch/playhead") as client:
        yield World(playhead, client, clock, {}, {}, {}, {})
    await playhead.close()


async def setup_token(empty: World) -> str:
    token = await empty.playhead.installation.accounts.setup_token()
    assert token is not None
    return token


# Signing in


async def test_an_anonymous_visitor_is_redirected_to_the_form(world: World):
    answer = await world.client.get("/")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    assert set(Seen((await world.client.get("/sign-in")).text).fields) == {"username", "password"}


@pytest.mark.parametrize("path", ["/nowhere", "/movies"])
async def test_an_unknown_address_is_a_page_for_people_and_a_problem_for_programs(world: World, path: str):
    browser = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    await enter(world)
    page = await world.client.get(path, headers=browser)
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "Not found" in page.text
    assert ">member<" in page.text
    world.client.cookies.clear()
    stranger = await world.client.get(path, headers=browser)
    assert (stranger.status_code, ">member<" in stranger.text) == (404, False)
    for method, where, headers in (
        ("GET", path, {"accept": "*/*"}),
        ("GET", path, {}),
        ("POST", path, browser),
        ("GET", f"/api/v1{path}", browser),
    ):
        problem = await world.client.request(method, where, headers=headers)
        assert (problem.status_code, problem.json()["error"]) == (404, "Not found")


async def test_a_signed_in_user_stays_signed_in_by_a_cookie_that_scripts_cannot_read(world: World):
    answer = await submit(world.client, "/sign-in", username="MEMBER", password=PASSWORD)
    token, attributes = cookie_of(answer)
    assert attributes == {"httponly", "samesite=lax", "path=/", "max-age=34560000"}
    me = await world.client.get("/api/v1/me", headers={"authorization": f"Bearer {token}"})
    assert me.json()["username"] == "member"
    assert ">member<" in (await world.client.get("/")).text
    again = await world.client.get("/sign-in")
    assert (again.status_code, again.headers["location"]) == (303, "/")


async def test_behind_tls_the_cookie_is_secure(world: World):
    answer = await world.client.post(
        "https://playhead.test/sign-in",
        data={"username": "member", "password": PASSWORD},
        headers={"origin": "https://playhead.test"},
    )
    assert "secure" in cookie_of(answer)[1]


@pytest.mark.parametrize(("username", "password"), [("member", "wrong"), ("nobody", PASSWORD), ("", ""), ("\0", "\0")])
async def test_a_refused_sign_in_says_so_and_keeps_the_name(world: World, username: str, password: str):
    answer = await submit(world.client, "/sign-in", username=username, password=password)
    assert answer.status_code == 422
    assert "The name or password is wrong." in answer.text
    assert Seen(answer.text).fields["username"].get("value", "") == username
    assert "set-cookie" not in answer.headers


async def test_after_too_many_failures_the_page_says_how_long_to_wait(world: World):
    for _ in range(10):
        await submit(world.client, "/sign-in", username="member", password="wrong horse")
    world.clock.advance(60_001)
    answer = await submit(world.client, "/sign-in", username="member", password=PASSWORD)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "840")
    assert "Try again in 14 minutes." in answer.text


async def test_signing_out_ends_the_session_and_deletes_the_cookie(world: World):
    await enter(world)
    token = world.client.cookies["playhead_session"]
    answer = await submit(world.client, "/sign-out")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    assert "playhead_session" not in world.client.cookies
    me = await world.client.get("/api/v1/me", headers={"authorization": f"Bearer {token}"})
    assert me.status_code == 401
    assert (await submit(world.client, "/sign-out")).status_code == 303


FOREIGN = pytest.mark.parametrize(
    "foreign", [{}, {"origin": "null"}, {"origin": "https://elsewhere.test"}, {"sec-fetch-site": "cross-site"}]
)


@pytest.mark.parametrize("path", ["/sign-in", "/sign-out", "/setup"])
@FOREIGN
async def test_no_form_of_another_site_signs_anybody_in_or_out(world: World, path: str, foreign: dict[str, str]):
    fields = {"username": "member", "password": PASSWORD}
    for _ in range(2):
        answer = await world.client.post(path, data=fields, headers=foreign)
        assert answer.status_code == 403
        assert "You do not have access" in answer.text
        assert "set-cookie" not in answer.headers
        await enter(world)


@FOREIGN
async def test_no_form_of_another_site_changes_anything(world: World, foreign: dict[str, str]):
    await enter(world)
    for route in world.playhead.table:
        if route.method == "POST" and route.show_refusal is not None:
            path = route.path.replace("{id}", "00000000-0000-4000-8000-000000000000")
            answer = await world.client.post(path, data={"name": "forged"}, headers=foreign)
            assert answer.status_code == 403, path
    assert "forged" not in (await world.client.get("/settings")).text


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [
        (b"username=a", "application/json", 415),
        (b"username=a", "multipart/form-data; boundary=x", 415),
        (b"&".join(b"a=b" for _ in range(30)), "application/x-www-form-urlencoded", 400),
        (b"a=" + b"b" * 70_000, "application/x-www-form-urlencoded", 413),
        (b"username=%ff%00&password=\xff", "application/x-www-form-urlencoded", 422),
        (b"", "application/x-www-form-urlencoded", 422),
    ],
)
async def test_a_malformed_form_is_refused(world: World, content: bytes, content_type: str, status: int):
    answer = await world.client.post("/sign-in", content=content, headers=OWN | {"content-type": content_type})
    assert answer.status_code == status


# The first admin


async def test_the_setup_link_creates_the_first_admin_and_leads_to_the_first_library(empty: World):
    token = await setup_token(empty)
    form = await empty.client.get("/setup", params={"token": token})
    assert set(Seen(form.text).fields) == {"username", "password", "repetition"}
    fields = {"token": token, "username": "Ana", "password": PASSWORD, "repetition": PASSWORD}
    answer = await submit(empty.client, "/setup", **fields)
    assert (answer.status_code, answer.headers["location"]) == (303, "/watch/playhead/admin/libraries/new")
    assert "path=/watch/playhead" in cookie_of(answer)[1]
    start = await empty.client.get("/")
    assert ">Ana<" in start.text
    assert "Administration" in start.text
    # The link is invalid, whether it is opened or submitted again.
    assert (await empty.client.get("/setup", params={"token": token})).status_code == 404
    assert (await submit(empty.client, "/setup", **(fields | {"username": "Ben"}))).status_code == 404


@pytest.mark.parametrize("query", ["", "?token=", "?token=x", f"?token={'0' * 64}", "?token=%ff%00"])
async def test_an_invalid_link_says_so(empty: World, query: str):
    await setup_token(empty)
    answer = await empty.client.get(f"/setup{query}")
    assert answer.status_code == 404
    assert "This link is not valid" in answer.text


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({"username": " "}, "username", "Must have 1 to 64 characters."),
        ({"password": "short", "repetition": "short"}, "password", "Must have 8 to 128 characters."),
        ({"repetition": "another password"}, "repetition", "Must be the same as above."),
    ],
)
async def test_a_faulty_setup_is_reported_next_to_the_fields_and_can_be_submitted_again(
    empty: World, fields: dict[str, str], field: str, said: str
):
    token = await setup_token(empty)
    right = {"token": token, "username": "Ana", "password": PASSWORD, "repetition": PASSWORD}
    answer = await submit(empty.client, "/setup", **(right | fields))
    seen = Seen(answer.text)
    assert answer.status_code == 422
    assert said in answer.text
    assert {name for name, values in seen.fields.items() if "aria-invalid" in values} == {field}
    assert f"{field}-fault" in seen.described_by
    assert PASSWORD not in answer.text
    assert (await submit(empty.client, "/setup", **right)).status_code == 303


async def test_without_any_user_the_sign_in_page_mentions_the_link(empty: World):
    answer = await empty.client.get("/sign-in")
    assert answer.status_code == 200
    assert "one-time link" in answer.text
    assert "password" not in Seen(answer.text).fields


async def test_a_sign_in_leads_to_the_requested_page(world: World):
    asked = await world.client.get("/settings?x=1")
    assert (asked.status_code, asked.headers["location"]) == (303, "/sign-in?next=/settings%3Fx%3D1")
    form = await world.client.get(asked.headers["location"])
    assert 'name="next" value="/settings?x=1"' in form.text
    answer = await submit(world.client, "/sign-in", username="member", password=PASSWORD, next="/settings?x=1")
    assert (answer.status_code, answer.headers["location"]) == (303, "/settings?x=1")


@pytest.mark.parametrize("elsewhere", ["https://elsewhere.test/", "//elsewhere.test", "/\\elsewhere.test", "x", "/\n"])
async def test_a_sign_in_never_redirects_to_another_site(world: World, elsewhere: str):
    answer = await submit(world.client, "/sign-in", username="member", password=PASSWORD, next=elsewhere)
    assert answer.headers["location"] == "/"


# Settings


async def test_a_token_created_in_the_settings_is_shown_once_and_revoked_there(world: World):
    await enter(world)
    world.clock.advance(1)  # newer than the token of the fixture
    answer = await submit(world.client, "/settings/tokens", name="<i>Phone</i> & more")
    assert answer.status_code == 200
    secret = Seen(answer.text).fields["secret"]["value"]
    headers = {"authorization": f"Bearer {secret}"}
    assert (await world.client.get("/api/v1/me", headers=headers)).json()["username"] == "member"
    start = await world.client.get("/settings")
    assert secret is not None
    assert secret not in start.text
    assert "&lt;i&gt;Phone&lt;/i&gt; &amp; more" in start.text
    assert "Last used on 8 November 2025" in start.text
    newest = next(reference for reference in Seen(start.text).references if reference.endswith("/revoke"))
    for _ in range(2):
        answer = await submit(world.client, newest)
        assert (answer.status_code, answer.headers["location"]) == (303, "/settings?done=token")
        assert (await world.client.get("/api/v1/me", headers=headers)).status_code == 401


async def test_a_token_without_a_name_is_refused_next_to_the_field(world: World):
    await enter(world)
    answer = await submit(world.client, "/settings/tokens", name=" ")
    assert answer.status_code == 422
    assert Seen(answer.text).fields["name"]["aria-invalid"] == "true"
    assert "Must have 1 to 64 characters." in answer.text


async def test_forms_of_an_expired_session_lead_to_the_sign_in(world: World):
    for path in ("/settings/tokens", "/settings/tokens/00000000-0000-4000-8000-000000000000/revoke"):
        answer = await submit(world.client, path, name="phone")
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")


# All pages


async def test_the_api_page_names_every_documented_operation_and_schema(world: World):
    operations, schemas = [(await world.client.get(path)).text for path in ("/api/docs", "/api/docs/schemas")]
    document = (await world.client.get("/api/openapi.json")).json()
    named = {method["operationId"] for methods in document["paths"].values() for method in methods.values()}
    assert named <= {*Seen(operations).ids}
    assert {*document["components"]["schemas"]} <= {*Seen(schemas).ids}
    for html in (operations, schemas):
        ids = Seen(html).ids
        assert len(ids) == len(set(ids))
        assert {link[1:] for link in Seen(html).references if link.startswith("#")} <= {*ids}
        linked = {link.partition("#")[2] for link in Seen(html).references if "schemas#" in link}
        assert linked
        assert linked <= {*Seen(schemas).ids}


async def test_pages_have_no_inline_script_or_style_and_no_other_host_and_work_under_a_path(empty: World):
    token = await setup_token(empty)
    pages = [await empty.client.get(path) for path in ("/sign-in", "/setup", f"/setup?token={token}", "/api/docs")]
    fields = {"token": token, "username": "Ana", "password": PASSWORD, "repetition": PASSWORD}
    await submit(empty.client, "/setup", **fields)
    pages += [await empty.client.get("/"), await submit(empty.client, "/settings/tokens", name="phone")]
    for page in pages:
        seen = Seen(page.text)
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert seen.inline_scripts == seen.inline_styles == 0
        assert all(re.match(r"/watch/playhead/|#", reference) for reference in seen.references), seen.references
        assert seen.fields.keys() <= seen.labels | {"query"}  # the search is named by aria-label
        assert {*seen.described_by} <= {*seen.ids}
        for reference in seen.references:
            if "/static/" in reference:
                assert (await empty.client.get(f"http://playhead.test{reference}")).status_code == 200


@pytest.mark.parametrize("path", PAGES)
async def test_pages_are_not_cached_framed_or_sniffed_and_load_only_from_their_own_host(world: World, path: str):
    await enter(world)
    answer = await world.client.get(path)
    assert answer.headers["cache-control"] == "no-store"
    if answer.is_redirect:
        return
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["img-src"] == policy["form-action"] == "'self'"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"


async def test_static_files_are_compressed_for_clients_that_accept_it(world: World):
    plain = await world.client.get("/static/playhead.css", headers={"accept-encoding": "identity"})
    packed = await world.client.get("/static/playhead.css", headers={"accept-encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "accept-encoding" in packed.headers["vary"].lower()
    assert packed.text == plain.text
    assert packed.num_bytes_downloaded < plain.num_bytes_downloaded / 2
