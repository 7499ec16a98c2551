"""PINs and remembered devices over HTTP. Browsers remember a device and sign in at a tile by the pages."""

from typing import Annotated

from msgspec import Meta, Struct

from playhead.domain.household import PIN_PATTERN
from playhead.domain.model import DeviceId
from playhead.http.api.accounts import TimeText, UuidText, user_id_of
from playhead.http.api.formats import time_text
from playhead.http.route import Call
from playhead.services.household import Household, HouseholdDevice


class PinRequest(Struct):
    """A new PIN. The service validates it and words the faults; the schema only states the limits."""

    pin: Annotated[str, Meta(extra_json_schema={"pattern": f"^{PIN_PATTERN}$", "writeOnly": True})]


class DevicePersonAnswer(Struct):
    """A person on a remembered device. `asks_for` is what their tile requires: tap (nothing), pin or password."""

    id: UuidText
    username: str
    asks_for: str


class DeviceAnswer(Struct):
    """A remembered device. `last_used_at` is the beginning of the day of its last use."""

    id: UuidText
    name: str
    remembered_at: TimeText
    last_used_at: TimeText
    people: list[DevicePersonAnswer]


class DevicesAnswer(Struct):
    """Remembered devices, newest first."""

    items: list[DeviceAnswer]
    next_cursor: str | None


class DevicesQuery(Struct):
    """Whose devices to list: the caller's own or, for an admin, everybody's."""

    all: bool = False


class HouseholdRoutes:
    """The endpoints of PINs and remembered devices."""

    def __init__(self, household: Household) -> None:
        self._household = household

    async def set_own_pin(self, call: Call) -> None:
        """Set the caller's PIN for remembered devices, replacing any current one."""
        await self._household.set_pin(call.user.user_id, (await call.json(PinRequest)).pin)

    async def remove_own_pin(self, call: Call) -> None:
        """Remove the caller's PIN, if there is one."""
        await self._household.remove_pin(call.user.user_id)

    async def set_pin(self, call: Call) -> None:
        """Set a user's PIN, such as a child's."""
        await self._household.set_pin(user_id_of(call, "id"), (await call.json(PinRequest)).pin)

    async def remove_pin(self, call: Call) -> None:
        """Remove a user's PIN, if there is one."""
        await self._household.remove_pin(user_id_of(call, "id"))

    async def list_devices(self, call: Call) -> DevicesAnswer:
        """List the devices that the caller has remembered or has a tile on; `all=true`, for admins: all devices."""
        found = await self._household.list_devices(call.user, everybody=call.query(DevicesQuery).all)
        return DevicesAnswer([_device_answer(each) for each in found], None)

    async def forget(self, call: Call) -> None:
        """Forget a device and end the sessions opened at its tiles. For the user who remembered it, and for admins."""
        await self._household.forget(call.user, call.path_id(DeviceId, "Device not found"))


def _device_answer(remembered: HouseholdDevice) -> DeviceAnswer:
    people = [DevicePersonAnswer(tile.user.id, tile.user.name, tile.entry.value) for tile in remembered.tiles]
    device = remembered.device
    return DeviceAnswer(device.id, device.name, time_text(device.created_at), time_text(device.last_used_at), people)
