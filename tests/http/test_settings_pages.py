"""The settings, as a browser without scripts uses them: password, time zone, signed-in devices."""

import re

import httpx
import pytest

from pages import OWN, Seen, enter, submit
from playhead.http.pages.settings import by_region
from playhead.services.accounts import time_zones
from world import PASSWORD, World

pytestmark = pytest.mark.anyio

FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:133.0) Gecko/20100101 Firefox/133.0"
NEW = "battery staple"


async def other_device(world: World, agent: str = FIREFOX) -> dict[str, str]:
    """Sign the member in on another device, and return its headers."""
    body = {"username": "member", "password": PASSWORD}
    answer = await world.client.post("/api/v1/sessions", json=body, headers=OWN | {"user-agent": agent})
    return {"authorization": f"Bearer {answer.json()['token']}"}


async def status_of(world: World, headers: dict[str, str]) -> int:
    return (await world.client.get("/api/v1/me", headers=headers)).status_code


async def change_password(world: World, **fields: str) -> httpx.Response:
    right = {"current": PASSWORD, "password": NEW, "repetition": NEW}
    return await submit(world.client, "/settings/password", **(right | fields))


def faulty(answer: httpx.Response) -> set[str]:
    seen = Seen(answer.text)
    faulty = {name for name, values in seen.fields.items() if "aria-invalid" in values}
    assert {f"{name}-fault" for name in faulty} <= {*seen.described_by} <= {*seen.ids}
    return faulty


# Password


async def test_a_new_password_requires_the_current_one_and_signs_out_all_other_devices(world: World):
    other = await other_device(world)
    await enter(world)
    answer = await change_password(world)
    assert (answer.status_code, answer.headers["location"]) == (303, "/settings?done=password&sessions=1&tokens=0")
    page = (await world.client.get(answer.headers["location"])).text
    assert "Your password has been changed. 1 device signed out, 0 API tokens revoked." in page
    assert await status_of(world, other) == 401
    assert await status_of(world, world.member) == 200  # an API token
    await submit(world.client, "/sign-out")
    assert (await submit(world.client, "/sign-in", username="member", password=PASSWORD)).status_code == 422
    assert (await submit(world.client, "/sign-in", username="member", password=NEW)).status_code == 303


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({"current": "wrong horse"}, "current", "Is not your password."),
        ({"current": ""}, "current", "Is not your password."),
        ({"password": "short", "repetition": "short"}, "password", "Must have 8 to 128 characters."),
        ({"repetition": "another"}, "repetition", "Must be the same as above."),
    ],
)
async def test_a_faulty_password_change_is_reported_next_to_the_field_and_changes_nothing(
    world: World, fields: dict[str, str], field: str, said: str
):
    await enter(world)
    other = await other_device(world)
    answer = await change_password(world, **fields)
    assert answer.status_code == 422
    assert faulty(answer) == {field}
    assert said in answer.text
    assert PASSWORD not in answer.text
    assert await status_of(world, other) == 200


async def test_guessing_the_current_password_is_limited_as_at_sign_in(world: World):
    await enter(world)
    for _ in range(10):
        assert (await change_password(world, current="wrong horse")).status_code == 422
    answer = await change_password(world)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "900")
    assert "Too many failed attempts. Try again in 15 minutes." in answer.text
    assert faulty(answer) == {"current"}


# Time zone


async def test_days_and_times_are_shown_in_the_chosen_time_zone(world: World):
    await enter(world)
    assert "Signed in today at 22:00" in (await world.client.get("/settings")).text
    answer = await submit(world.client, "/settings/time-zone", time_zone="Asia/Tokyo")
    assert (answer.status_code, answer.headers["location"]) == (303, "/settings?done=time-zone")
    page = (await world.client.get("/settings")).text
    assert "Signed in today at 07:00" in page
    assert "<option selected>Asia/Tokyo</option>" in page


@pytest.mark.parametrize("name", ["", "Asia/Nowhere", "../../etc/passwd", "\0"])
async def test_an_unknown_time_zone_is_refused_next_to_its_field(world: World, name: str):
    await enter(world)
    answer = await submit(world.client, "/settings/time-zone", time_zone=name)
    assert answer.status_code == 422
    assert 'aria-describedby=" time_zone-fault"' in answer.text
    assert "Must be the name of a time zone, such as Europe/Berlin." in answer.text


async def test_the_first_sign_in_takes_the_time_zone_of_the_browser_and_later_ones_keep_it(world: World):
    async def sign_in(zone: str) -> str:
        await submit(world.client, "/sign-in", username="member", password=PASSWORD, time_zone=zone)
        found = re.search(r"<option selected>(.+)</option>", (await world.client.get("/settings")).text)
        assert found is not None
        return found[1]

    assert await sign_in("") == "UTC"
    assert await sign_in("Mars/Olympus_Mons") == "UTC"
    assert await sign_in("Europe/Vienna") == "Europe/Vienna"
    assert await sign_in("Asia/Tokyo") == "Europe/Vienna"


def test_time_zones_are_offered_by_region_and_always_include_the_chosen_one():
    groups = by_region(time_zones(), "Etc/GMT+3")
    assert groups[""] == ["Etc/GMT+3", "UTC"]
    assert "Europe/Berlin" in groups["Europe"]
    assert "America/Argentina/Ushuaia" in groups["America"]
    assert groups.keys() <= {"", "Africa", "America", "Antarctica", "Arctic", "Asia", "Atlantic", "Australia"} | {
        "Europe",
        "Indian",
        "Pacific",
    }


# Signed-in devices


async def test_signed_in_devices_are_listed_by_what_they_are_and_this_one_is_marked(world: World):
    await other_device(world)
    await other_device(world, "mpv 0.38.0")
    world.clock.advance(1)
    world.client.headers["user-agent"] = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/131.0 Safari/537.36"
    await enter(world)
    page = " ".join((await world.client.get("/settings")).text.split())
    assert re.search(
        r'Chrome on Linux <span class="badge">This device</span> <p class="quiet">Signed in today at 22:00', page
    )
    assert "Firefox on Windows" in page
    assert page.count('<span class="badge">This device</span>') == 1
    assert len(re.findall(r"/settings/sessions/\S+/end\"", page)) == 2


async def test_one_device_is_signed_out_and_the_others_stay(world: World):
    await enter(world)
    world.clock.advance(1)
    other, staying = await other_device(world), await other_device(world, "curl/8.5.0")
    page = (await world.client.get("/settings")).text
    found = re.search(r'action="(\S+)">\s*<button class="plain" aria-label="Sign out Firefox on Windows', page)
    assert found is not None
    for _ in range(2):
        answer = await submit(world.client, found[1])
        assert (answer.status_code, answer.headers["location"]) == (303, "/settings?done=session")
        assert await status_of(world, other) == 401
        assert await status_of(world, staying) == 200
    assert (await world.client.get("/settings")).status_code == 200


async def test_nobody_signs_out_the_device_of_another_user(world: World):
    other = await other_device(world)
    installation = world.playhead.installation
    principal = await installation.credentials.authenticate(other["authorization"].removeprefix("Bearer "))
    assert principal is not None
    [session] = await installation.sign_ins.list_sessions(principal)
    await enter(world, "stranger")
    await submit(world.client, f"/settings/sessions/{session.token.id}/end")
    assert await status_of(world, other) == 200


async def test_all_other_devices_are_signed_out_together(world: World):
    others = [await other_device(world) for _ in range(2)]
    await enter(world)
    answer = await submit(world.client, "/settings/sessions/end-others")
    assert (answer.status_code, answer.headers["location"]) == (303, "/settings?done=sessions")
    assert [await status_of(world, other) for other in others] == [401, 401]
    page = (await world.client.get("/settings?done=sessions")).text
    assert "All other devices have been signed out." in page
    assert "end-others" not in page
    assert await status_of(world, world.member) == 200


async def test_a_device_that_was_unused_for_90_days_is_not_listed(world: World):
    await other_device(world)
    world.clock.advance(91 * 86_400_000)
    await enter(world)
    assert "Firefox on Windows" not in (await world.client.get("/settings")).text


async def test_a_query_cannot_inject_text_into_the_settings(world: World):
    await enter(world)
    page = await world.client.get("/settings?done=<script>")
    assert 'class="notice' not in page.text
