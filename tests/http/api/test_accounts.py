"""Users, sessions, tokens and grants, through HTTP."""

import re
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import insert

from playhead.storage import schema
from world import PASSWORD, World

pytestmark = [pytest.mark.anyio, pytest.mark.both_engines]

NOBODY = "99999999-0000-4000-8000-000000000000"


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


async def sign_in(world: World, username: str = "member", password: str = PASSWORD) -> httpx.Response:
    return await world.client.post("/api/v1/sessions", json={"username": username, "password": password})


async def id_of(world: World, name: str) -> str:
    users = (await world.client.get("/api/v1/users", headers=world.admin)).json()["items"]
    return next(user["id"] for user in users if user["username"] == name)


async def add_user(world: World, **members: str) -> httpx.Response:
    body = {"username": "ana", "password": PASSWORD} | members
    return await world.client.post("/api/v1/users", headers=world.admin, json=body)


def problem_of(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["error"]


# Sessions


async def test_a_sign_in_returns_a_native_token_and_the_user(world: World):
    answer = await sign_in(world, "MEMBER")
    assert answer.status_code == 201
    body = answer.json()
    assert set(body) == {"token", "user"}
    assert re.fullmatch("ph_[0-9a-f]{72}", body["token"])
    assert body["user"] == {
        "id": await id_of(world, "member"),
        "username": "member",
        "role": "member",
        "created_at": "2025-11-08T22:00:00Z",
    }
    me = await world.client.get("/api/v1/me", headers=bearer(body["token"]))
    assert me.json() == {"id": body["user"]["id"], "username": "member", "role": "member"}
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(("username", "password"), [("member", "wrong"), ("nobody", PASSWORD), ("\0", "\0"), ("", "")])
async def test_a_refused_sign_in_does_not_say_why(world: World, username: str, password: str):
    answer = await sign_in(world, username, password)
    assert problem_of(answer) == (401, "Not authenticated")


@pytest.mark.parametrize(
    ("body", "details"),
    [
        ({}, {"username": ["is required"], "password": ["is required"]}),
        ({"username": 1, "password": None}, {"username": ["must be a string"], "password": ["must not be null"]}),
    ],
)
async def test_a_sign_in_reports_all_of_its_faults(world: World, body: dict[str, Any], details: dict[str, list[str]]):
    answer = await world.client.post("/api/v1/sessions", json=body)
    assert problem_of(answer) == (422, "Invalid data")
    assert answer.json()["details"] == details


async def test_the_eleventh_failure_in_15_minutes_is_429_with_retry_after(world: World):
    for _ in range(10):
        assert (await sign_in(world, password="wrong horse")).status_code == 401
    answer = await sign_in(world)
    assert problem_of(answer) == (429, "Too many attempts")
    assert answer.headers["retry-after"] == "900"
    world.clock.advance(15 * 60_000)
    assert (await sign_in(world)).status_code == 201


async def test_a_session_ends_with_sign_out(world: World):
    headers = bearer((await sign_in(world)).json()["token"])
    answer = await world.client.delete("/api/v1/sessions/current", headers=headers)
    assert (answer.status_code, answer.content) == (204, b"")
    assert problem_of(await world.client.get("/api/v1/me", headers=headers)) == (401, "Not authenticated")


async def test_an_api_token_is_not_a_session_that_can_sign_out(world: World):
    answer = await world.client.delete("/api/v1/sessions/current", headers=world.member)
    assert problem_of(answer) == (404, "Session not found")
    assert (await world.client.get("/api/v1/me", headers=world.member)).status_code == 200


@pytest.mark.parametrize(
    "credential", ["", "Bearer", "Bearer ", "Bearer x", "Basic bWVtYmVyOng=", f"Bearer {'0' * 64}", f"Token {'0' * 64}"]
)
async def test_an_invalid_credential_identifies_nobody(world: World, credential: str):
    answer = await world.client.get("/api/v1/me", headers={"authorization": credential})
    assert problem_of(answer) == (401, "Not authenticated")
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_change_by_cookie_must_come_from_the_same_origin(world: World):
    token = (await sign_in(world)).json()["token"]
    cookie = {"cookie": f"playhead_session={token}"}
    path = "/api/v1/tokens"
    assert (await world.client.get(path, headers=cookie)).status_code == 200
    for foreign in ({}, {"origin": "http://elsewhere.test"}, {"origin": "null"}, {"sec-fetch-site": "same-site"}):
        answer = await world.client.post(path, headers=cookie | foreign, json={"name": "phone"})
        assert problem_of(answer) == (403, "Access denied")
    for own in ({"origin": "http://playhead.test"}, {"sec-fetch-site": "same-origin"}):
        assert (await world.client.post(path, headers=cookie | own, json={"name": "phone"})).status_code == 201
    assert (await world.client.post(path, headers=world.member, json={"name": "phone"})).status_code == 201


# Tokens


async def test_a_token_is_shown_once_and_listed_without_its_secret(world: World):
    path = "/api/v1/tokens"
    answer = await world.client.post(path, headers=world.member, json={"name": " Phone "})
    assert answer.status_code == 201
    made = answer.json()
    assert made.items() >= {"name": "Phone", "created_at": "2025-11-08T22:00:00Z", "last_used_at": None}.items()
    secret = made.pop("token")
    assert (await world.client.get("/api/v1/me", headers=bearer(secret))).json()["username"] == "member"
    made["last_used_at"] = "2025-11-08T00:00:00Z"
    listed = (await world.client.get(path, headers=world.member)).json()
    assert made in listed["items"]
    assert listed["next_cursor"] is None
    assert secret not in (await world.client.get(path, headers=world.member)).text
    assert (await world.client.get(f"{path}/{made['id']}", headers=world.member)).json() == made


async def test_an_admin_makes_a_token_of_another_user_who_sees_and_revokes_it(world: World):
    user_id = await id_of(world, "member")
    body = {"name": " Living room ", "scope": "report"}
    answer = await world.client.post(f"/api/v1/users/{user_id}/tokens", headers=world.admin, json=body)
    assert answer.status_code == 201
    made = answer.json()
    secret = bearer(made.pop("token"))
    assert made.items() >= {"name": "Living room", "scope": "report", "expires_at": None}.items()
    path = f"/api/v1/tokens/{made['id']}"
    assert (await world.client.get(path, headers=world.member)).json() == made
    assert (await world.client.get(path, headers=world.admin)).status_code == 404
    assert (await world.client.get(f"/api/v1/playback/movie/{NOBODY}", headers=secret)).status_code == 404
    assert (await world.client.delete(path, headers=world.member)).status_code == 204
    assert (await world.client.get(f"/api/v1/playback/movie/{NOBODY}", headers=secret)).status_code == 401


async def test_the_audit_log_records_who_made_a_token_for_whom(world: World):
    user_id = await id_of(world, "member")
    body = {"name": "Living room"}
    made = await world.client.post(f"/api/v1/users/{user_id}/tokens", headers=world.admin, json=body)
    (entry,) = (await world.client.get("/api/v1/audit", headers=world.admin)).json()["items"]
    assert (entry["act"], entry["subject"], entry["user"], entry["can_undo"]) == (
        "create-token",
        "Living room (member)",
        "admin",
        False,
    )
    assert made.json()["token"] not in str(entry)
    undone = await world.client.post(f"/api/v1/audit/{entry['id']}/undo", headers=world.admin)
    assert problem_of(undone) == (409, "A token cannot be taken back: revoke it instead")


async def test_ones_own_tokens_are_not_audited(world: World):
    await world.client.post("/api/v1/tokens", headers=world.admin, json={"name": "phone"})
    assert (await world.client.get("/api/v1/audit", headers=world.admin)).json()["items"] == []


async def test_only_an_admin_makes_tokens_of_others_and_only_for_users_who_may_have_them(world: World):
    body = {"username": "kim", "password": PASSWORD, "role": "child"}
    child = (await world.client.post("/api/v1/users", json=body, headers=world.admin)).json()["id"]
    refused = [
        (world.member, await id_of(world, "member"), {"name": "x"}, (403, "Access denied")),
        (world.admin, child, {"name": "x"}, (409, "A child has no API tokens")),
        (world.admin, NOBODY, {"name": "x"}, (404, "User not found")),
        (world.admin, "x", {"name": "x"}, (404, "User not found")),
        (world.admin, await id_of(world, "member"), {"name": " "}, (422, "Invalid data")),
    ]
    for headers, user_id, token, expected in refused:
        answer = await world.client.post(f"/api/v1/users/{user_id}/tokens", json=token, headers=headers)
        assert problem_of(answer) == expected
    assert (await world.client.get("/api/v1/audit", headers=world.admin)).json()["items"] == []


async def test_a_revoked_token_is_invalid_immediately(world: World):
    made = (await world.client.post("/api/v1/tokens", headers=world.member, json={"name": "phone"})).json()
    path, headers = f"/api/v1/tokens/{made['id'].upper()}", bearer(made["token"])
    assert (await world.client.get("/api/v1/me", headers=headers)).status_code == 200
    assert (await world.client.delete(path, headers=world.member)).status_code == 204
    assert (await world.client.get("/api/v1/me", headers=headers)).status_code == 401
    assert problem_of(await world.client.delete(path, headers=world.member)) == (404, "Token not found")
    assert problem_of(await world.client.get(path, headers=world.member)) == (404, "Token not found")


async def test_another_users_token_is_not_found_even_by_an_admin(world: World):
    made = (await world.client.post("/api/v1/tokens", headers=world.member, json={"name": "phone"})).json()
    for headers in (world.stranger, world.admin):
        for method in ("GET", "DELETE"):
            answer = await world.client.request(method, f"/api/v1/tokens/{made['id']}", headers=headers)
            assert problem_of(answer) == (404, "Token not found")
    assert (await world.client.get("/api/v1/me", headers=bearer(made["token"]))).status_code == 200


@pytest.mark.parametrize("name", ["", " ", "\0", "x" * 65, "a\u202eb"])
async def test_a_token_needs_a_readable_name(world: World, name: str):
    answer = await world.client.post("/api/v1/tokens", headers=world.member, json={"name": name})
    assert problem_of(answer) == (422, "Invalid data")
    assert list(answer.json()["details"]) == ["name"]


# Users


async def test_a_new_user_is_a_member_and_signs_in(world: World):
    answer = await add_user(world)
    assert answer.status_code == 201
    assert answer.json().items() >= {"username": "ana", "role": "member"}.items()
    assert (await sign_in(world, "ana")).status_code == 201


async def test_a_taken_name_is_a_conflict(world: World):
    assert problem_of(await add_user(world, username="Member")) == (409, "User name is taken")


async def test_all_faults_of_a_new_user_are_reported(world: World):
    answer = await add_user(world, username="", password="short")
    assert problem_of(answer) == (422, "Invalid data")
    assert answer.json()["details"] == {
        "username": ["must have 1 to 64 characters"],
        "password": ["must have 8 to 128 characters"],
    }
    answer = await add_user(world, role="owner")
    assert problem_of(answer) == (422, "Invalid data")
    assert list(answer.json()["details"]) == ["role"]


@pytest.mark.parametrize("password", ["\0 0\1\t7zq9", "🎬a📺b🍿" * 25, "  7  z   q"])
async def test_a_password_may_contain_any_characters(world: World, password: str):
    assert (await add_user(world, password=password)).status_code == 201
    assert (await sign_in(world, "ana", password)).status_code == 201
    assert (await sign_in(world, "ana", password + "\0")).status_code == 401


async def test_users_are_paged_and_each_is_listed_once(world: World):
    for name in ("Bea", "ana"):
        await add_user(world, username=name)
    names: list[str] = []
    cursor = ""
    while cursor is not None:
        query = {"limit": 2, "cursor": cursor}
        page = (await world.client.get("/api/v1/users", headers=world.admin, params=query)).json()
        assert len(page["items"]) <= 2
        names += [user["username"] for user in page["items"]]
        cursor = page["next_cursor"]
    assert names == ["admin", "ana", "Bea", "member", "stranger"]


@pytest.mark.parametrize(
    "query", ["cursor=%00", "cursor=%ff", "cursor=%ed%a0%80", "cursor=", "cursor=zzz", "limit=500"]
)
async def test_no_cursor_breaks_the_list_of_users(world: World, query: str):
    assert (await world.client.get(f"/api/v1/users?{query}", headers=world.admin)).status_code == 200


@pytest.mark.parametrize("limit", ["0", "501", "x", "1.5", "-1"])
async def test_a_limit_out_of_range_is_refused(world: World, limit: str):
    answer = await world.client.get("/api/v1/users", headers=world.admin, params={"limit": limit})
    assert problem_of(answer) == (422, "Invalid data")
    assert list(answer.json()["details"]) == ["limit"]


async def test_a_change_of_a_user_changes_only_the_given_members(world: World):
    path = f"/api/v1/users/{await id_of(world, 'member')}"
    session = bearer((await sign_in(world)).json()["token"])
    assert (await world.client.patch(path, headers=world.admin, json={})).json()["username"] == "member"
    answer = await world.client.patch(path, headers=world.admin, json={"username": "Anna", "role": "admin"})
    assert answer.status_code == 200
    assert answer.json().items() >= {"username": "Anna", "role": "admin"}.items()
    assert (await world.client.get("/api/v1/users", headers=session)).status_code == 200
    await world.client.patch(path, headers=world.admin, json={"password": "battery staple"})
    assert (await world.client.get("/api/v1/me", headers=session)).status_code == 401
    assert (await sign_in(world, "anna", "battery staple")).status_code == 201


@pytest.mark.parametrize(
    ("body", "member"),
    [
        ({"username": None}, "username"),
        ({"username": ""}, "username"),
        ({"password": "short"}, "password"),
        ({"role": None}, "role"),
        ({"role": "owner"}, "role"),
    ],
)
async def test_a_faulty_change_of_a_user_is_refused(world: World, body: dict[str, Any], member: str):
    path = f"/api/v1/users/{await id_of(world, 'member')}"
    answer = await world.client.patch(path, headers=world.admin, json=body)
    assert problem_of(answer) == (422, "Invalid data")
    assert list(answer.json()["details"]) == [member]


async def test_a_removed_user_is_gone_with_all_credentials(world: World):
    path = f"/api/v1/users/{await id_of(world, 'member')}"
    assert (await world.client.get("/api/v1/me", headers=world.member)).status_code == 200
    assert (await world.client.delete(path, headers=world.admin)).status_code == 204
    assert (await world.client.get("/api/v1/me", headers=world.member)).status_code == 401
    assert (await sign_in(world)).status_code == 401
    assert problem_of(await world.client.delete(path, headers=world.admin)) == (404, "User not found")


async def test_the_last_admin_can_be_neither_removed_nor_demoted(world: World):
    path = f"/api/v1/users/{await id_of(world, 'admin')}"
    answer = await world.client.delete(path, headers=world.admin)
    assert problem_of(answer) == (409, "The last admin cannot be removed")
    answer = await world.client.patch(path, headers=world.admin, json={"role": "member"})
    assert problem_of(answer) == (409, "The last admin cannot be demoted")


@pytest.mark.parametrize("user_id", [NOBODY, "x", "1", "..%2f"])
async def test_an_unknown_user_is_not_found(world: World, user_id: str):
    for method, body in (("PATCH", {"role": "member"}), ("DELETE", None)):
        answer = await world.client.request(method, f"/api/v1/users/{user_id}", headers=world.admin, json=body)
        assert answer.status_code == 404


async def test_only_an_admin_changes_users_and_grants(world: World):
    requests: list[tuple[str, str, dict[str, Any] | None]] = [
        ("GET", "/api/v1/users", None),
        ("POST", "/api/v1/users", {"username": "eve", "password": PASSWORD, "role": "admin"}),
        ("PATCH", f"/api/v1/users/{await id_of(world, 'member')}", {"role": "admin"}),
        ("DELETE", f"/api/v1/users/{await id_of(world, 'stranger')}", None),
        ("PUT", f"/api/v1/libraries/{NOBODY}/access/{NOBODY}", None),
        ("DELETE", f"/api/v1/libraries/{NOBODY}/access/{NOBODY}", None),
    ]
    for method, path, body in requests:
        answer = await world.client.request(method, path, headers=world.member, json=body)
        assert problem_of(answer) == (403, "Access denied")
        assert problem_of(await world.client.request(method, path, json=body)) == (401, "Not authenticated")


# Grants


async def test_granting_and_revoking_are_idempotent(world: World):
    library_id, user_id = str(uuid4()), await id_of(world, "member")
    new = insert(schema.library).values(id=library_id, name="Films", kind="movies", created_at=0)
    await world.playhead.installation.database.write(lambda connection: connection.execute(new))
    path = f"/api/v1/libraries/{library_id}/access/{user_id}"
    granted = world.playhead.installation.accounts.list_grants
    for _ in range(2):
        assert (await world.client.put(path, headers=world.admin)).status_code == 204
        assert await granted(user_id) == {library_id}
    for _ in range(2):
        assert (await world.client.delete(path, headers=world.admin)).status_code == 204
        assert await granted(user_id) == frozenset()
    for method in ("PUT", "DELETE"):
        path = f"/api/v1/libraries/{library_id}/access/{NOBODY}"
        assert problem_of(await world.client.request(method, path, headers=world.admin)) == (404, "User not found")
        for unknown in (NOBODY, "films"):
            path = f"/api/v1/libraries/{unknown}/access/{user_id}"
            answer = await world.client.request(method, path, headers=world.admin)
            assert problem_of(answer) == (404, "Library not found")
