"""Approving a device, and the page of a television, in browsers without scripts."""

import re

import httpx
import pytest

from pages import OWN, Seen, enter, submit, words
from playhead.domain.device_codes import GUESSES_PER_USER_MAX, LIFETIME_MS, WAITING_PER_ADDRESS_MAX
from world import World

pytestmark = pytest.mark.anyio

TELEVISION = "Mozilla/5.0 (SMART-TV; Linux; Tizen 7.0) AppleWebKit/537.36 Chrome/94.0.4606.31 TV Safari/537.36"


class Television:
    """A separate browser that is not signed in."""

    def __init__(self, world: World) -> None:
        self.world = world
        transport = httpx.ASGITransport(app=world.playhead)
        headers = OWN | {"user-agent": TELEVISION}
        self.client = httpx.AsyncClient(transport=transport, base_url="http://playhead.test", headers=headers)

    async def code(self) -> str:
        """Request codes and return the one on the screen."""
        answer = await self.client.post("/tv")
        assert (answer.status_code, answer.headers["location"]) == (303, "/tv")
        return await self.shown()

    async def shown(self) -> str:
        page = await self.client.get("/tv")
        (code,) = re.findall(r'<p class="code">(\S+)</p>', page.text)
        return code

    async def go_on(self, **headers: str) -> httpx.Response:
        self.world.clock.advance(5000)
        return await self.client.post("/tv/continue", data={"time_zone": "Europe/Berlin"}, headers=headers)


@pytest.fixture
async def television(world: World) -> Television:
    return Television(world)


async def approve(world: World, code: str, decision: str = "approve") -> httpx.Response:
    return await submit(world.client, "/activate/decide", user_code=code, decision=decision)


# The phone


async def test_an_anonymous_visitor_signs_in_first_and_the_code_is_kept(world: World, television: Television):
    code = await television.code()
    answer = await world.client.get(f"/activate?code={code}")
    assert answer.status_code == 303
    wanted = httpx.URL(answer.headers["location"]).params["next"]
    answer = await submit(world.client, "/sign-in", username="member", password="correct horse battery", next=wanted)
    page = await world.client.get(answer.headers["location"])
    assert Seen(page.text).fields["user_code"]["value"] == code


async def test_the_phone_shows_the_requesting_device_before_a_decision(world: World, television: Television):
    code = await television.code()
    await enter(world)
    page = await submit(world.client, "/activate", user_code=code.lower().replace("-", ""))
    text = words(page)
    for told in (code, "Chrome on TV", "Kind TV", "127.0.0.1", "today at 22:00", "Sign in as member"):
        assert told in text
    assert "another network" not in text
    assert "not been approved yet" in words(await television.go_on())


async def test_a_device_in_another_network_is_marked(world: World, television: Television):
    await television.client.aclose()
    transport = httpx.ASGITransport(app=world.playhead, client=("203.0.113.7", 5000))
    television.client = httpx.AsyncClient(transport=transport, base_url="http://playhead.test", headers=OWN)
    code = await television.code()
    await enter(world)
    text = words(await submit(world.client, "/activate", user_code=code))
    assert "203.0.113.7" in text
    assert "a different network from yours" in text


@pytest.mark.parametrize("code", ["", "nonsense", "BBBB-BBBB"])
async def test_a_wrong_code_is_reported_next_to_its_field(world: World, code: str):
    await enter(world)
    page = await submit(world.client, "/activate", user_code=code)
    assert page.status_code == 422
    seen = Seen(page.text)
    assert seen.fields["user_code"]["aria-invalid"] == "true"
    assert seen.fields["user_code"].get("value", "") == code
    assert "Is not a code that a device shows now." in page.text


async def test_guessing_shows_how_long_to_wait(world: World, television: Television):
    code = await television.code()
    await enter(world)
    for _ in range(GUESSES_PER_USER_MAX):
        await submit(world.client, "/activate", user_code="BBBB-BBBB")
    page = await submit(world.client, "/activate", user_code=code)
    assert (page.status_code, page.headers["retry-after"]) == (429, "900")
    assert "Too many wrong codes. Try again in 15 minutes." in page.text
    assert (await approve(world, code)).status_code == 429


async def test_an_invalid_decision_decides_nothing(world: World, television: Television):
    code = await television.code()
    await enter(world)
    assert (await approve(world, code, "perhaps")).status_code == 422
    assert "not been approved yet" in words(await television.go_on())


# The television


async def test_a_television_continues_once_its_code_is_approved(world: World, television: Television):
    code = await television.code()
    assert await television.shown() == code  # reloading shows the same
    assert "not been approved yet" in words(await television.go_on())
    await enter(world)
    answer = await approve(world, code)
    assert "signed in" in words(await world.client.get(answer.headers["location"]))
    answer = await television.go_on()
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert 'class="who">member' in (await television.client.get("/")).text
    assert "playhead_device_code" not in television.client.cookies
    assert "Chrome on TV" in (await world.client.get("/settings")).text
    answer = await television.client.get("/tv")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


async def test_a_script_gets_the_same_answer(world: World, television: Television):
    code = await television.code()
    answer = await television.go_on(accept="application/json")
    assert answer.json() == {"state": "authorization_pending"}
    await enter(world)
    await approve(world, code)
    answer = await television.go_on(accept="application/json")
    assert answer.json() == {"state": "approved", "next": "/"}
    assert (await television.client.get("/settings")).status_code == 200


async def test_the_cookies_of_a_television_are_inaccessible_to_scripts_and_other_sites(
    world: World, television: Television
):
    answer = await television.client.post("/tv")
    (cookie,) = answer.headers.get_list("set-cookie")
    assert cookie.startswith("playhead_device_code=")
    assert {"HttpOnly", "SameSite=lax", "Max-Age=600", "Path=/"} <= set(cookie.split("; "))
    for path in ("/tv", "/tv/continue"):
        foreign = await television.client.post(path, headers={"origin": "http://elsewhere.test"})
        assert foreign.status_code == 403
    assert world.client.cookies.get("playhead_session") is None


async def test_a_denied_television_says_so(world: World, television: Television):
    code = await television.code()
    await enter(world)
    await approve(world, code, "deny")
    assert (await television.go_on(accept="application/json")).json() == {"state": "access_denied"}
    page = await television.go_on()
    assert "The sign-in was denied." in words(page)
    assert "Show a code" in words(page)
    assert await television.code() != code


async def test_an_expired_code_is_replaced_by_a_new_one(world: World, television: Television):
    await television.code()
    world.clock.advance(LIFETIME_MS)
    page = await television.go_on()
    assert "The code has expired." in words(page)
    assert "Show a code" in words(page)


async def test_the_qr_code_leads_to_the_code_and_the_page_needs_no_script(television: Television):
    code = await television.code()
    page = (await television.client.get("/tv")).text
    assert page.count('<svg viewBox="0 0 ') == 1
    assert "playhead.test/activate" in page
    assert "style=" not in page
    assert 'action="/tv/continue"' in page
    assert code in page


@pytest.mark.parametrize("cookie", ["", "x", "x.y", "0" * 64, f"{'0' * 64}.nonsense", f"{'0' * 64}.<b>"])
async def test_a_forged_cookie_shows_nothing(television: Television, cookie: str):
    television.client.cookies.set("playhead_device_code", cookie)
    page = await television.client.get("/tv")
    assert page.status_code == 200
    assert "Show a code" in page.text
    assert "<b>" not in page.text


async def test_too_many_televisions_are_told_to_wait(television: Television):
    for _ in range(WAITING_PER_ADDRESS_MAX):
        assert (await television.client.post("/tv")).status_code == 303
    page = await television.client.post("/tv")
    assert (page.status_code, page.headers["retry-after"]) == (429, "600")
    assert "Too many devices" in page.text
