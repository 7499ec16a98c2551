"""A remembered device, in browsers without scripts: being remembered, tiles, PINs, switching."""

import re
from collections.abc import AsyncIterator

import httpx
import pytest

from pages import OWN, Seen, submit, words
from world import LIBRARY, PASSWORD, World

pytestmark = pytest.mark.anyio

PIN, WRONG = "4817", "5926"


class LivingRoom:
    """The browser in the living room."""

    def __init__(self, world: World) -> None:
        self.world = world
        transport = httpx.ASGITransport(app=world.playhead)
        self.client = httpx.AsyncClient(transport=transport, base_url="http://playhead.test", headers=OWN)

    async def sign_in(self, name: str) -> None:
        answer = await submit(self.client, "/sign-in", username=name, password=PASSWORD)
        assert answer.status_code == 303, answer.text

    async def do(self, act: str, **fields: str) -> httpx.Response:
        page = await self.client.get("/household")
        device = re.search(r'name="device" value="([0-9a-f-]+)"', page.text)
        sent = {"do": act} | ({} if device is None else {"device": device[1]}) | fields
        return await submit(self.client, "/household", **sent)

    async def remember(self, name: str = "member", **fields: str) -> None:
        await self.sign_in(name)
        answer = await self.do("remember", name="Living room", **fields)
        assert (answer.status_code, answer.headers["location"]) == (303, "/household?done=remembered")

    async def tap(self, name: str, **fields: str) -> httpx.Response:
        return await submit(self.client, f"/household/people/{self.world.user_ids[name]}", **fields)

    async def who(self) -> str:
        answer = await self.client.get("/api/v1/me")
        return answer.json().get("username", "")


@pytest.fixture
async def living_room(stocked: World) -> AsyncIterator[LivingRoom]:
    living_room = LivingRoom(stocked)
    yield living_room
    await living_room.client.aclose()


async def add_child(world: World) -> None:
    body = {"username": "kim", "role": "child"}
    made = await world.client.post("/api/v1/users", json=body, headers=world.admin)
    world.user_ids["kim"] = made.json()["id"]
    path = f"/api/v1/libraries/{LIBRARY}/access/{made.json()['id']}"
    assert (await world.client.put(path, headers=world.admin)).status_code == 204


async def test_a_remembered_device_asks_who_is_watching(living_room: LivingRoom):
    plain = words(await living_room.client.get("/sign-in"))
    assert "Who's watching?" not in plain
    await living_room.remember()
    await submit(living_room.client, "/sign-out")
    page = await living_room.client.get("/sign-in")
    assert "Who's watching?" in page.text
    assert f"/household/people/{living_room.world.user_ids['member']}" in Seen(page.text).references
    for other in ("admin", "stranger"):
        assert other not in words(page)
    assert "username" in Seen(page.text).fields  # other people sign in as before


async def test_the_cookie_of_a_device_is_inaccessible_to_scripts_and_other_sites(living_room: LivingRoom):
    await living_room.sign_in("member")
    answer = await living_room.do("remember", name="Living room")
    (cookie,) = answer.headers.get_list("set-cookie")
    assert cookie.startswith("playhead_household=")
    assert {"HttpOnly", "SameSite=lax", "Path=/"} <= set(cookie.split("; "))
    path = f"/household/people/{living_room.world.user_ids['member']}"
    for target in ("/household", path):
        foreign = await living_room.client.post(target, data={"do": "tap"}, headers={"origin": "http://elsewhere.test"})
        assert foreign.status_code == 403


async def test_a_pin_allows_watching_and_changes_nothing(living_room: LivingRoom):
    await living_room.remember("admin")
    assert (await living_room.do("pin", pin=PIN)).headers["location"] == "/household?done=pin"
    await submit(living_room.client, "/sign-out")
    page = await living_room.client.get(f"/household/people/{living_room.world.user_ids['admin']}")
    assert Seen(page.text).fields["pin"]["inputmode"] == "numeric"
    wrong = await living_room.tap("admin", pin=WRONG)
    assert wrong.status_code == 422
    assert "The PIN is wrong." in wrong.text
    assert (await living_room.tap("admin", pin=PIN)).status_code == 303
    assert await living_room.who() == "admin"
    home = await living_room.client.get("/")
    assert "Films" in words(home)  # an admin's libraries
    for closed in ("/admin", "/household", "/api/docs"):
        assert closed not in Seen(home.text).references
    for path in ("/admin", "/household", "/activate", "/api/v1/tokens", "/api/v1/users"):
        assert (await living_room.client.get(path)).status_code == 403, path
    made = await living_room.client.post("/api/v1/tokens", json={"name": "mine permanently"})
    assert made.status_code == 403
    assert "Sign in with your password to do this" in words(await living_room.client.get("/admin"))
    settings = await living_room.client.get("/settings")
    own = f"/household/people/{living_room.world.user_ids['admin']}?password"
    assert own in Seen(settings.text).references
    assert "password" in Seen((await living_room.client.get(own)).text).fields
    await living_room.sign_in("admin")
    assert (await living_room.client.get("/admin")).status_code == 200


async def test_switching_takes_the_menu_and_a_tile(living_room: LivingRoom):
    await add_child(living_room.world)
    await living_room.remember("admin", **{f"person-{living_room.world.user_ids['kim']}": "on"})
    before = {"authorization": f"Bearer {living_room.client.cookies['playhead_session']}"}
    home = await living_room.client.get("/")
    menu = home.text.partition("Switch person")[2].partition("</details>")[0]
    assert f'action="/household/people/{living_room.world.user_ids["kim"]}"' in menu  # a tap is enough
    assert (await living_room.tap("kim")).status_code == 303
    assert await living_room.who() == "kim"
    assert (await living_room.world.client.get("/api/v1/me", headers=before)).status_code == 401


async def test_a_child_cannot_switch_to_others_without_what_their_tiles_require(living_room: LivingRoom):
    await add_child(living_room.world)
    await living_room.remember(
        "admin", **{f"person-{living_room.world.user_ids[name]}": "on" for name in ("kim", "member")}
    )
    body = {"pin": PIN}
    path = f"/api/v1/users/{living_room.world.user_ids['member']}/pin"
    assert (await living_room.world.client.put(path, json=body, headers=living_room.world.admin)).status_code == 204
    await living_room.tap("kim")
    assert (await living_room.tap("admin")).status_code == 403
    assert (await living_room.tap("member")).status_code == 422
    assert (await living_room.tap("stranger")).status_code == 404
    assert await living_room.who() == "kim"
    assert (await living_room.client.get("/household")).status_code == 403
    assert (await living_room.tap("member", pin=PIN)).status_code == 303
    assert await living_room.who() == "member"


async def test_a_tap_is_enough_if_its_owner_allows_it(living_room: LivingRoom):
    await living_room.remember()
    assert (await living_room.do("tap")).status_code == 303
    await submit(living_room.client, "/sign-out")
    assert (await living_room.tap("member")).status_code == 303
    await submit(living_room.client, "/sign-out")
    await living_room.sign_in("member")
    assert (await living_room.do("ask")).status_code == 303
    await submit(living_room.client, "/sign-out")
    assert (await living_room.tap("member")).status_code == 403
    assert await living_room.who() == ""


async def test_wrong_pins_are_delayed_and_then_the_password_is_required(living_room: LivingRoom):
    await living_room.remember()
    await living_room.do("pin", pin=PIN)
    await submit(living_room.client, "/sign-out")
    for _ in range(3):
        assert (await living_room.tap("member", pin=WRONG)).status_code == 422
    held = await living_room.tap("member", pin=PIN)
    assert (held.status_code, held.headers["retry-after"]) == (429, "30")
    assert "Try again in 30 seconds, or use the password." in held.text
    for _ in range(3):
        living_room.world.clock.advance(600_000)
        assert (await living_room.tap("member", pin=WRONG)).status_code == 422
    living_room.world.clock.advance(600_000)
    page = await living_room.tap("member", pin=PIN)
    assert page.status_code == 403
    assert "password" in Seen(page.text).fields
    await living_room.sign_in("member")
    await submit(living_room.client, "/sign-out")
    assert (await living_room.tap("member", pin=PIN)).status_code == 303


async def test_a_user_who_signs_in_on_a_remembered_device_may_add_their_tile(living_room: LivingRoom):
    await living_room.remember("admin")
    await living_room.sign_in("member")
    assert "You have no tile on this device." in words(await living_room.client.get("/household"))
    assert (await living_room.do("join")).headers["location"] == "/household?done=joined"
    page = words(await living_room.client.get("/household"))
    assert "admin and member" in page
    assert (await living_room.do("people")).status_code == 403
    assert (await living_room.do("forget")).status_code == 403
    assert (await living_room.do("leave")).headers["location"] == "/household?done=left"


async def test_forgetting_a_device_removes_its_tiles_and_their_sessions(living_room: LivingRoom):
    await living_room.remember()
    await living_room.do("pin", pin=PIN)
    await living_room.tap("member", pin=PIN)
    listed = await living_room.world.client.get("/api/v1/household/devices", headers=living_room.world.member)
    (device,) = listed.json()["items"]
    assert (device["name"], [person["asks_for"] for person in device["people"]]) == ("Living room", ["pin"])
    path = f"/api/v1/household/devices/{device['id']}"
    assert (await living_room.world.client.delete(path, headers=living_room.world.stranger)).status_code == 403
    assert (await living_room.world.client.delete(path, headers=living_room.world.member)).status_code == 204
    assert await living_room.who() == ""
    assert "Who's watching?" not in (await living_room.client.get("/sign-in")).text
    assert (await living_room.tap("member", pin=PIN)).status_code == 404


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"do": "pin", "pin": "12"}, "pin"),
        ({"do": "pin", "pin": "1234"}, "pin"),
        ({"do": "remember", "name": ""}, "name"),
    ],
)
async def test_a_faulty_form_says_what_is_wrong_next_to_the_field(
    living_room: LivingRoom, fields: dict[str, str], field: str
):
    await living_room.sign_in("member")
    page = await submit(living_room.client, "/household", **fields)
    assert page.status_code == 422
    assert [name for name, values in Seen(page.text).fields.items() if "aria-invalid" in values] == [field]


@pytest.mark.parametrize(
    "fields", [{}, {"do": "join"}, {"do": "forget", "device": "x"}, {"do": "dance", "device": LIBRARY}]
)
async def test_an_incomplete_form_changes_nothing(living_room: LivingRoom, fields: dict[str, str]):
    await living_room.sign_in("member")
    assert (await submit(living_room.client, "/household", **fields)).status_code == 404


async def test_an_admin_sets_and_removes_a_childs_pin(living_room: LivingRoom):
    await add_child(living_room.world)
    await living_room.sign_in("admin")
    path = f"/admin/users/{living_room.world.user_ids['kim']}"
    assert (await submit(living_room.client, f"{path}/pin", do="pin", pin="12")).status_code == 422
    answer = await submit(living_room.client, f"{path}/pin", do="pin", pin=PIN)
    assert "The PIN has been set." in words(await living_room.client.get(answer.headers["location"]))
    household = living_room.world.playhead.installation.household
    child = (await living_room.world.playhead.installation.accounts.find_user_named("kim")).id
    assert await household.has_pin(child)
    answer = await submit(living_room.client, f"{path}/pin", do="remove-pin")
    assert "The PIN has been removed." in words(await living_room.client.get(answer.headers["location"]))
    assert not await household.has_pin(child)


async def test_ones_own_pin_over_the_api(living_room: LivingRoom):
    world = living_room.world
    assert (await world.client.put("/api/v1/me/pin", json={"pin": "12"}, headers=world.member)).status_code == 422
    assert (await world.client.put("/api/v1/me/pin", json={"pin": PIN}, headers=world.member)).status_code == 204
    assert (await world.client.delete("/api/v1/me/pin", headers=world.member)).status_code == 204
    everybody = await world.client.get("/api/v1/household/devices?all=true", headers=world.member)
    assert everybody.status_code == 403
