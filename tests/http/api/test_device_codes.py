"""Device sign-in over HTTP, as a television or an RFC 8628 client uses it."""

import re
from typing import Any

import httpx
import pytest

from pages import enter, submit
from world import World

pytestmark = pytest.mark.anyio

GRANT = "urn:ietf:params:oauth:grant-type:device_code"


async def begin(world: World, **members: str) -> dict[str, Any]:
    answer = await world.client.post("/api/v1/device", json=members)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def poll(world: World, device_code: str) -> httpx.Response:
    world.clock.advance(5000)
    return await world.client.post("/api/v1/device/token", json={"device_code": device_code})


async def decide(world: World, user_code: str, decision: str, username: str = "member") -> None:
    await enter(world, username)
    answer = await submit(world.client, "/activate/decide", user_code=user_code, decision=decision)
    assert answer.status_code == 303, answer.text
    world.client.cookies.clear()


async def test_a_device_gets_codes_and_a_session_after_approval(world: World):
    codes = await begin(world, name="Living room", kind="tv")
    assert codes.keys() == {
        "device_code",
        "user_code",
        "verification_uri",
        "verification_uri_complete",
        "expires_in",
        "interval",
    }
    assert re.fullmatch("[B-DF-HJ-NP-TV-XZ]{4}-[B-DF-HJ-NP-TV-XZ]{4}", codes["user_code"])
    assert codes["verification_uri"] == "http://playhead.test/activate"
    assert codes["verification_uri_complete"] == f"http://playhead.test/activate?code={codes['user_code']}"
    assert (codes["expires_in"], codes["interval"]) == (600, 5)

    waiting = await poll(world, codes["device_code"])
    assert (waiting.status_code, waiting.json()["error"]) == (400, "authorization_pending")
    assert waiting.headers["content-type"] == "application/problem+json"
    assert waiting.headers["retry-after"] == "5"

    await decide(world, codes["user_code"], "approve")
    answer = await poll(world, codes["device_code"])
    assert answer.status_code == 200, answer.text
    session = answer.json()
    assert (session["token_type"], session["expires_in"]) == ("Bearer", 90 * 86_400)
    assert session["user"]["username"] == "member"
    assert answer.headers["cache-control"] == "no-store"
    headers = {"authorization": f"Bearer {session['access_token']}"}
    assert (await world.client.get("/api/v1/me", headers=headers)).json()["username"] == "member"

    again = await poll(world, codes["device_code"])
    assert (again.status_code, again.json()["error"]) == (400, "expired_token")


async def test_the_session_is_listed_in_the_settings_by_device_name_and_can_be_ended(world: World):
    codes = await begin(world, name="Living room")
    await decide(world, codes["user_code"], "approve")
    token = (await poll(world, codes["device_code"])).json()["access_token"]
    headers = {"authorization": f"Bearer {token}"}
    await enter(world)
    page = (await world.client.get("/settings")).text
    (session_id,) = re.findall(r'/settings/sessions/(\S+)/end">\s*<button[^>]*Sign out Living room', page)
    await submit(world.client, f"/settings/sessions/{session_id}/end")
    assert (await world.client.get("/api/v1/me", headers=headers)).status_code == 401


async def test_an_oauth_client_sends_forms(world: World):
    answer = await world.client.post("/api/v1/device", data={"client_id": "tv-app", "scope": "all"})
    assert answer.status_code == 200, answer.text
    codes = answer.json()
    fields = {"grant_type": GRANT, "device_code": codes["device_code"], "client_id": "tv-app"}
    answer = await world.client.post("/api/v1/device/token", data=fields)
    assert (answer.status_code, answer.json()["error"]) == (400, "authorization_pending")
    await decide(world, codes["user_code"], "approve")
    answer = await world.client.post("/api/v1/device/token", data=fields)
    assert answer.status_code == 200, answer.text
    assert answer.json()["token_type"] == "Bearer"


async def test_a_device_without_a_name_is_named_by_its_user_agent(world: World):
    answer = await world.client.post("/api/v1/device", headers={"user-agent": "mpv/0.38"})
    assert answer.status_code == 200, answer.text
    await decide(world, answer.json()["user_code"], "approve")
    assert (await poll(world, answer.json()["device_code"])).status_code == 200
    await enter(world)
    assert "mpv" in (await world.client.get("/settings")).text


async def test_refusals_are_those_of_the_rfc(world: World):
    codes = await begin(world)
    first = await world.client.post("/api/v1/device/token", json={"device_code": codes["device_code"]})
    assert first.json()["error"] == "authorization_pending"
    second = await world.client.post("/api/v1/device/token", json={"device_code": codes["device_code"]})
    assert (second.status_code, second.json()["error"]) == (400, "slow_down")
    await decide(world, codes["user_code"], "deny")
    assert (await poll(world, codes["device_code"])).json()["error"] == "access_denied"
    assert (await poll(world, "0" * 64)).json()["error"] == "expired_token"
    other = {"device_code": codes["device_code"], "grant_type": "password"}
    answer = await world.client.post("/api/v1/device/token", json=other)
    assert (answer.status_code, answer.json()["error"]) == (400, "unsupported_grant_type")


@pytest.mark.parametrize(
    ("path", "body", "faults"),
    [
        ("/api/v1/device", {"name": "x" * 65}, {"name": ["must have 1 to 64 characters"]}),
        ("/api/v1/device", {"kind": "fridge"}, {"kind": ["invalid enum value 'fridge'"]}),
        ("/api/v1/device/token", {}, {"device_code": ["is required"]}),
        ("/api/v1/device/token", {"device_code": 5}, {"device_code": ["must be a string"]}),
    ],
)
async def test_faulty_members_are_named(world: World, path: str, body: dict[str, Any], faults: dict[str, list[str]]):
    answer = await world.client.post(path, json=body)
    assert (answer.status_code, answer.json()["details"]) == (422, faults)


async def test_changing_the_password_withdraws_approvals(world: World):
    codes = await begin(world)
    await decide(world, codes["user_code"], "approve")
    body = {"password": "another battery staple"}
    path = f"/api/v1/users/{world.user_ids['member']}"
    assert (await world.client.patch(path, json=body, headers=world.admin)).status_code == 200
    assert (await poll(world, codes["device_code"])).json()["error"] == "access_denied"


async def test_a_removed_user_signs_no_device_in(world: World):
    codes = await begin(world)
    await decide(world, codes["user_code"], "approve")
    path = f"/api/v1/users/{world.user_ids['member']}"
    assert (await world.client.delete(path, headers=world.admin)).status_code == 204
    assert (await poll(world, codes["device_code"])).json()["error"] == "access_denied"


async def test_an_approval_requires_our_own_form_and_a_signed_in_user(world: World):
    codes = await begin(world)
    fields = {"user_code": codes["user_code"], "decision": "approve"}
    answer = await submit(world.client, "/activate/decide", **fields)
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    await enter(world)
    await world.client.get(f"/activate?code={codes['user_code']}&decision=approve")
    for path in ("/activate", "/activate/decide"):
        foreign = await world.client.post(path, data=fields, headers={"origin": "http://elsewhere.test"})
        assert foreign.status_code == 403
    world.client.cookies.clear()
    assert (await poll(world, codes["device_code"])).json()["error"] == "authorization_pending"
