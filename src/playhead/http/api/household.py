"""PINs and remembered devices over HTTP. Being remembered, and getting in at a tile, is for browsers: see the pages."""

from typing import Annotated

from msgspec import Meta, Struct

from playhead.domain.household import PIN_PATTERN
from playhead.domain.model import DeviceId
from playhead.http.api.accounts import TimeText, UuidText, user_id_of
from playhead.http.api.formats import time_text
from playhead.http.route import Call
from playhead.services.household import Household, SharedDevice


class PinRequest(Struct):
    """A new PIN. The service checks it, with the faults in words; the schema only states what it will say."""

    pin: Annotated[str, Meta(extra_json_schema={"pattern": f"^{PIN_PATTERN}$", "writeOnly": True})]


class DevicePersonAnswer(Struct):
    """Somebody on a remembered device. `asks_for` is what their tile asks for: tap (nothing), pin or password."""

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
    """Whose devices are wanted: the caller's own, or, for an admin, everybody's."""

    all: bool = False


class HouseholdRoutes:
    """The endpoints of PINs and remembered devices."""

    def __init__(self, household: Household) -> None:
        self._household = household

    async def set_own_pin(self, call: Call) -> None:
        """Give the caller a PIN for remembered devices, in place of the one that they have."""
        await self._household.set_pin(call.user.user_id, (await call.json(PinRequest)).pin)

    async def remove_own_pin(self, call: Call) -> None:
        """Take the caller's PIN away. Nothing happens where they have none."""
        await self._household.remove_pin(call.user.user_id)

    async def set_pin(self, call: Call) -> None:
        """Give a user a PIN, such as a child."""
        await self._household.set_pin(user_id_of(call, "id"), (await call.json(PinRequest)).pin)

    async def remove_pin(self, call: Call) -> None:
        """Take a user's PIN away. Nothing happens where they have none."""
        await self._household.remove_pin(user_id_of(call, "id"))

    async def list_devices(self, call: Call) -> DevicesAnswer:
        """List the devices that the caller has remembered or has a tile on; with `all=true` an admin's are all."""
        found = await self._household.list_devices(call.user, everybody=call.query(DevicesQuery).all)
        return DevicesAnswer([_device_answer(each) for each in found], None)

    async def forget(self, call: Call) -> None:
        """Forget a device and end the sessions that were opened at its tiles. For who remembered it, and for admins."""
        await self._household.forget(call.user, call.path_id(DeviceId, "Device not found"))


def _device_answer(shared: SharedDevice) -> DeviceAnswer:
    people = [DevicePersonAnswer(tile.user.id, tile.user.name, tile.entry.value) for tile in shared.tiles]
    device = shared.device
    return DeviceAnswer(device.id, device.name, time_text(device.created_at), time_text(device.last_used_at), people)
