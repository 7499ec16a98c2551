"""A child's account: it can watch, and every other route is closed to it."""

import pytest

from pages import Seen, enter, submit, words
from world import LIBRARY, MOVIE, PASSWORD, World

pytestmark = pytest.mark.anyio

ZONE, LANGUAGE = "/settings/time-zone", "/settings/language"


async def test_a_child_sees_granted_items_and_keeps_its_position(stocked: World, child: dict[str, str]):
    body = {"position_seconds": 60, "duration_seconds": 5400}
    saved = await stocked.client.post(f"/api/v1/playback/movie/{MOVIE}", json=body, headers=child)
    assert saved.status_code == 200
    path = f"/api/v1/libraries/{LIBRARY}/access/{stocked.user_ids['kim']}"
    assert (await stocked.client.delete(path, headers=stocked.admin)).status_code == 204
    assert (await stocked.client.get(f"/api/v1/playback/movie/{MOVIE}", headers=child)).status_code == 403


async def test_the_pages_of_a_child_offer_nothing_that_is_closed_to_it(stocked: World, child: dict[str, str]):
    assert child
    await enter(stocked, "kim")
    home = await stocked.client.get("/")
    links = Seen(home.text).references
    assert "/settings" in links
    for closed in ("/admin", "/api/docs", "/activate"):
        assert closed not in links
    settings = await stocked.client.get("/settings")
    assert {reference for reference in Seen(settings.text).references if reference.startswith("/settings/")} == {
        ZONE,
        LANGUAGE,
    }
    answer = await submit(stocked.client, ZONE, time_zone="Europe/Berlin")
    assert (answer.status_code, answer.headers["location"]) == (303, "/settings?done=time-zone")
    assert (await submit(stocked.client, ZONE, time_zone="Nowhere")).status_code == 422
    assert (await submit(stocked.client, LANGUAGE, language="de")).headers["location"] == "/settings?done=language"
    refused = await submit(
        stocked.client, "/settings/password", current=PASSWORD, password="battery staple", repetition="battery staple"
    )
    assert refused.status_code == 403
    assert "You do not have access" in words(refused)


async def test_a_child_needs_no_password_and_then_no_password_signs_it_in(stocked: World):
    made = await stocked.client.post("/api/v1/users", json={"username": "lou", "role": "child"}, headers=stocked.admin)
    assert made.status_code == 201
    for guess in ("", "!", "password", PASSWORD):
        answer = await stocked.client.post("/api/v1/sessions", json={"username": "lou", "password": guess})
        assert answer.status_code == 401


@pytest.mark.parametrize("role", ["member", "admin"])
async def test_everybody_else_needs_a_password(stocked: World, role: str):
    body = {"username": "lou", "role": role}
    answer = await stocked.client.post("/api/v1/users", json=body, headers=stocked.admin)
    assert (answer.status_code, answer.json()["details"]) == (422, {"password": ["is required"]})


async def test_a_child_has_no_api_tokens_and_a_user_who_becomes_one_loses_them(stocked: World):
    path = f"/api/v1/users/{stocked.user_ids['member']}"
    changed = await stocked.client.patch(path, json={"role": "child"}, headers=stocked.admin)
    assert (changed.status_code, changed.json()["role"]) == (200, "child")
    assert (await stocked.client.get("/api/v1/me", headers=stocked.member)).status_code == 401
    accounts = stocked.playhead.installation.accounts
    user = await accounts.find_user_named("member")
    with pytest.raises(Exception, match="A child has no API tokens"):
        await accounts.create_token(user.id, "player")


async def test_an_admin_adds_a_child_on_the_page_without_a_password(stocked: World):
    await enter(stocked, "admin")
    answer = await submit(stocked.client, "/admin/users/new", username="Lou", password="", role="child")
    assert answer.status_code == 303, answer.text
    assert "Child, since" in words(await stocked.client.get("/admin/users"))
    answer = await submit(stocked.client, "/admin/users/new", username="Max", password="", role="member")
    assert answer.status_code == 422


async def test_the_last_admin_cannot_become_a_child(stocked: World):
    path = f"/api/v1/users/{stocked.user_ids['admin']}"
    answer = await stocked.client.patch(path, json={"role": "child"}, headers=stocked.admin)
    assert answer.status_code == 409
