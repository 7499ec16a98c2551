"""Every route of the table, called anonymously and by a user without grants: a new route cannot be forgotten."""

import re

import httpx
import pytest

from playhead.domain.model import UserId
from playhead.domain.tokens import TokenScope
from playhead.http.route import Access, Route
from world import EPISODE, LIBRARY, MOVIE, SHOW, World

pytestmark = [pytest.mark.anyio, pytest.mark.both_engines]

# Values for path parameters, by the path up to them: existing things in a library that the stranger may not see.
PARAMETERS = {
    "/api/v1/playback/movie/{id}": MOVIE,
    "/api/v1/playback/episode/{id}": EPISODE,
    "/api/v1/playback/movie/{id}/state": MOVIE,
    "/api/v1/playback/movie/{id}/watched": MOVIE,
    "/api/v1/playback/movie/{id}/plays": MOVIE,
    "/api/v1/playback/movie/{id}/plays/{play_id}": MOVIE,
    "/api/v1/playback/movie/{id}/positions": MOVIE,
    "/api/v1/playback/movie/{id}/positions/{position_id}/restore": MOVIE,
    "/api/v1/playback/episode/{id}/state": EPISODE,
    "/api/v1/playback/episode/{id}/watched": EPISODE,
    "/api/v1/playback/episode/{id}/plays": EPISODE,
    "/api/v1/playback/episode/{id}/plays/{play_id}": EPISODE,
    "/api/v1/playback/episode/{id}/positions": EPISODE,
    "/api/v1/playback/episode/{id}/positions/{position_id}/restore": EPISODE,
    "/api/v1/playback/show/{id}/watched": SHOW,
    "/api/v1/playback/show/{id}/season/{season}/watched": SHOW,
    "/api/v1/continue-watching/{id}/hidden": MOVIE,
    "/api/v1/shows/{id}/dropped": SHOW,
    "/api/v1/items/{id}/snoozed": EPISODE,
    "/api/v1/shows/{id}/next-up": SHOW,
    "/watch/movie/{id}": MOVIE,
    "/watch/episode/{id}": EPISODE,
    "/api/v1/items/{id}": MOVIE,
    "/api/v1/items/{id}/episodes": SHOW,
    "/api/v1/items/{id}/artwork": MOVIE,
    "/api/v1/stream/movie/{id}": MOVIE,
    "/api/v1/stream/episode/{id}": EPISODE,
    "/libraries/{id}": LIBRARY,
    "/movies/{id}": MOVIE,
    "/episodes/{id}": EPISODE,
    "/shows/{id}": SHOW,
    "/shows/{id}/seasons/{season}": SHOW,
}

# Routes for members whose path names nothing of the catalogue: a stranger gets an answer about themselves.
OWN = {
    "/",
    "/search",
    "/undo",
    "/history",
    "/statistics",
    "/history/{id}/remove",
    "/activate",
    "/household",
    "/api/v1/me/pin",
    "/api/v1/household/devices",
    "/api/v1/household/devices/{id}",
    "/activate/decide",
    "/settings",
    "/settings/password",
    "/settings/time-zone",
    "/settings/language",
    "/settings/sign-in",
    "/settings/sign-in/proxy",
    "/settings/sign-in/passkeys/begin",
    "/settings/sign-in/passkeys",
    "/settings/sign-in/passkeys/{id}/rename",
    "/settings/sign-in/passkeys/{id}/remove",
    "/settings/sign-in/factors",
    "/settings/sign-in/recovery-codes",
    "/settings/sign-in/openid",
    "/settings/sign-in/identities/{id}/unlink",
    "/settings/sessions/{id}/end",
    "/settings/sessions/end-others",
    "/settings/tokens",
    "/settings/tokens/{id}/revoke",
    "/api/v1/events",
    "/api/v1/playback/batch",
    "/api/v1/playback",
    "/api/v1/continue-watching",
    "/api/v1/history",
    "/api/v1/statistics",
    "/api/v1/now-playing",
    "/api/v1/sessions/current",
    "/api/v1/me",
    "/api/v1/tokens",
    "/api/v1/tokens/{id}",
    "/api/v1/libraries",
    "/api/v1/items",
    "/api/v1/noop",
    "/api/v1/stream/file/{id}",
    "/api/v1/stream/file/{id}/subtitles/{index}",
}

# A stream never ends: a client with access only checks the head. tests/http/api/test_events.py tests the rest.
ENDLESS = "/api/v1/events"

# Must never be open to a child, whatever the table says.
CLOSED = (
    "/admin",
    "/activate",
    "/settings/",
    "/api/v1/tokens",
    "/api/v1/users",
    "/api/v1/catalogue",
    "import",
    "export",
)
APPEARANCE = ("/settings/time-zone", "/settings/language")

# Valid for every route that checks its body before it looks up its path.
BODY = {"position_seconds": 1, "duration_seconds": 2, "until": "2025-11-09T22:00:00Z"}


# Something that a page's form may do to any item.
FORM = {"do": "unwatched"}


async def call(world: World, route: Route, headers: dict[str, str]) -> httpx.Response:
    path = re.sub(r"{[^}]*}", PARAMETERS.get(route.path, LIBRARY), route.path.replace("{season}", "1"))
    body = BODY if route.request is not None else None
    method = "HEAD" if path == ENDLESS and headers else route.method
    form = FORM if route.show_refusal is not None and method == "POST" else None
    return await world.client.request(method, path, json=body, data=form, headers=headers)


async def test_only_public_routes_answer_anonymous_requests(stocked: World):
    for route in stocked.playhead.table:
        response = await call(stocked, route, {})
        if route.access is Access.ANYONE:
            assert response.status_code < 500, route.path
        elif route.show_refusal is not None:
            assert (response.status_code, response.headers["location"].partition("?")[0]) == (303, "/sign-in"), (
                route.path
            )
        else:
            assert response.status_code == 401, (route.method, route.path)
            assert response.json()["error"] == "Not authenticated"


async def test_no_route_shows_a_stranger_items_without_a_grant(stocked: World):
    for route in stocked.playhead.table:
        if route.access is Access.ANYONE:
            continue
        response = await call(stocked, route, stocked.stranger)
        if route.access is Access.ADMIN or route.path in PARAMETERS:
            assert response.status_code == 403, (route.method, route.path, response.text)
            assert route.show_refusal is not None or response.json()["error"] == "Access denied"
        else:
            assert route.path in OWN, f"say in this test what a stranger may know of {route.method} {route.path}"
            assert response.status_code < 500, (route.method, route.path, response.text)
            for hidden in (MOVIE, SHOW, EPISODE, "Harbour Lights", "Tidal Station", "Films"):
                assert hidden not in response.text, (route.method, route.path)


# Besides GET, for tokens that may read: what a player's token may call.
REPORTING = {
    "GET /api/v1/playback/movie/{id}",
    "POST /api/v1/playback/movie/{id}",
    "GET /api/v1/playback/episode/{id}",
    "POST /api/v1/playback/episode/{id}",
    "GET /api/v1/playback/movie/{id}/state",
    "GET /api/v1/playback/movie/{id}/plays",
    "GET /api/v1/playback/movie/{id}/positions",
    "GET /api/v1/playback/episode/{id}/state",
    "GET /api/v1/playback/episode/{id}/plays",
    "GET /api/v1/playback/episode/{id}/positions",
    "GET /api/v1/playback",
    "POST /api/v1/playback/batch",
    "GET /api/v1/now-playing",
    "GET /api/v1/me",
    "GET /api/v1/noop",
    "POST /api/v1/noop",
}


def may_call(route: Route, scope: TokenScope) -> bool:
    if scope is TokenScope.ALL or route.access is Access.ANYONE:
        return True
    if scope is TokenScope.READ:
        return route.documented and route.method == "GET"
    if scope is TokenScope.WATCH:
        return route.watching
    return f"{route.method} {route.path}" in REPORTING


@pytest.mark.parametrize("scope", [*TokenScope])
async def test_no_token_exceeds_its_scope_even_an_admins(stocked: World, scope: TokenScope):
    secret = (
        await stocked.playhead.installation.accounts.create_token(
            UserId(stocked.user_ids["admin"]), "limited", scope=scope
        )
    ).secret
    for route in stocked.playhead.table:
        response = await call(stocked, route, {"authorization": f"bearer {secret}"})
        refusal = f"The scope of this token, {scope}, does not allow this"
        where = (route.method, route.path, response.status_code)
        if may_call(route, scope):
            assert refusal not in response.text, where
        else:
            assert response.status_code == 403, where
            assert refusal in response.text or route.path == ENDLESS, where
            if route.show_refusal is None:
                assert response.headers["www-authenticate"] == 'Bearer error="insufficient_scope"', where


# Answers that a browser may cache, and for how long. Everything else is `no-store`.
KEPT = {
    "/api/v1/items/{id}/artwork": "private, max-age=3600",
    "/api/v1/stream/movie/{id}": "private, no-cache",
    "/api/v1/stream/episode/{id}": "private, no-cache",
    "/api/v1/stream/file/{id}": "private, no-cache",
    "/api/v1/stream/file/{id}/subtitles/{index}": "private, no-cache",
    "/api/v1/events": "no-store, no-transform",
}
# That an item has no picture may be cached, too, so that pages do not ask for it each time.
KEPT_REFUSALS = {("/api/v1/items/{id}/artwork", 404): "private, max-age=600"}


@pytest.mark.parametrize("who", ["nobody", "stranger", "member", "admin"])
async def test_every_answer_forbids_sniffing_and_states_who_may_cache_it(stocked: World, who: str):
    headers = {"nobody": {}, "stranger": stocked.stranger, "member": stocked.member, "admin": stocked.admin}[who]
    for route in stocked.playhead.table:
        response = await call(stocked, route, headers)
        where = (route.method, route.path, response.status_code)
        assert response.headers.get_list("x-content-type-options") == ["nosniff"], where
        kept = KEPT.get(route.path, "no-store")
        if response.status_code >= 400:
            kept = KEPT_REFUSALS.get((route.path, response.status_code), "no-store")
        assert response.headers.get_list("cache-control") == [kept], where


@pytest.mark.parametrize("path", ["/static/app.js", "/static/nothing.js", "/nowhere", "/api/v1/nowhere"])
async def test_answers_without_a_route_forbid_sniffing_too(stocked: World, path: str):
    for method in ("GET", "HEAD", "PATCH"):
        response = await stocked.client.request(method, path)
        assert response.headers.get_list("x-content-type-options") == ["nosniff"], (method, path)
        assert response.headers["cache-control"] in {"no-store", "no-cache"}, (method, path)


async def test_the_public_routes_are_these(stocked: World):
    public = {route.path for route in stocked.playhead.table if route.access is Access.ANYONE}
    assert public == {
        "/api/v1/sessions",
        "/api/v1/device",
        "/api/v1/device/token",
        "/livez",
        "/readyz",
        "/metrics",
        "/api/openapi.json",
        "/api/docs",
        "/api/docs/schemas",
        "/setup",
        "/sign-in",
        "/sign-in/openid",
        "/sign-in/passkey/begin",
        "/sign-in/passkey",
        "/sign-in/second",
        "/sign-in/openid/return",
        "/sign-out",
        "/tv",
        "/household/people/{id}",
        "/tv/continue",
    }


async def test_every_route_that_is_not_for_watching_is_closed_to_a_child(stocked: World, child: dict[str, str]):
    for route in stocked.playhead.table:
        if route.access is Access.ANYONE or (route.method, route.path) == ("DELETE", "/api/v1/sessions/current"):
            continue
        answer = await call(stocked, route, child | {"origin": "http://playhead.test"})
        if route.watching and route.access is not Access.ADMIN:
            assert answer.status_code != 403, (route.method, route.path, answer.text)
            assert answer.status_code < 500, (route.method, route.path, answer.text)
        else:
            assert answer.status_code == 403, (route.method, route.path, answer.text)


async def test_a_new_route_is_closed_to_children_by_default(stocked: World):
    open_to_children = {route.path for route in stocked.playhead.table if route.watching}
    assert ENDLESS in open_to_children
    closed = {path for path in open_to_children for part in CLOSED if part in path}
    assert closed == {*APPEARANCE}
