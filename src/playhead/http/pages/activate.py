"""Approving another device by the code on its screen."""

from collections.abc import Sequence

from starlette.responses import Response

from playhead.domain.accounts import throttle_address
from playhead.domain.device_codes import DeviceKind, DeviceRequest
from playhead.errors import Code, PlayheadError
from playhead.http.api.accounts import address_of
from playhead.http.errors import STATUS
from playhead.http.pages.page import Pages, Visit, read_form, redirect
from playhead.http.pages.text import patience
from playhead.http.pages.translations import deferred, gettext, text_of
from playhead.services.device_codes import DeviceCodes

KINDS = {
    DeviceKind.TV: deferred("TV"),
    DeviceKind.PLAYER: deferred("Player"),
    DeviceKind.COMPUTER: deferred("Computer"),
    DeviceKind.PHONE: deferred("Phone"),
    DeviceKind.OTHER: deferred("Device"),
}

_DONE = {
    "approved": deferred("The device is signed in. It continues by itself within a few seconds."),
    "denied": deferred("The device was denied."),
}


class ActivatePages:
    """The endpoints of approving a device. Looking up a code changes nothing; only the second form decides."""

    def __init__(self, pages: Pages, device_codes: DeviceCodes) -> None:
        self._pages = pages
        self._device_codes = device_codes

    async def show(self, visit: Visit) -> Response:
        """Ask for the code; a code in the address is filled in."""
        query = visit.call.request.query_params
        return self._form(visit, query.get("code", "")[:64], done=text_of(_DONE, query.get("done", "")))

    async def find(self, visit: Visit) -> Response:
        """Show the device that has this code, and ask whether it may sign in."""
        code = (await read_form(visit.call)).get("user_code", "")
        address = address_of(visit.call)
        try:
            device = await self._device_codes.find(visit.user, code, address)
        except PlayheadError as error:
            return self._refuse(visit, code, error)
        return self._pages.render(
            visit,
            "activate_device.html",
            device=device,
            kind=gettext(KINDS[device.kind]),
            is_elsewhere=_is_elsewhere(device, address),
        )

    async def decide(self, visit: Visit) -> Response:
        """Approve or deny the device."""
        form = await read_form(visit.call)
        code, decision = form.get("user_code", ""), form.get("decision")
        if decision not in {"approve", "deny"}:
            return self._form(visit, code, status=422)
        try:
            await self._device_codes.decide(visit.user, code, address_of(visit.call), approve=decision == "approve")
        except PlayheadError as error:
            return self._refuse(visit, code, error)
        return redirect(visit.call, f"/activate?done={'approved' if decision == 'approve' else 'denied'}")

    def _refuse(self, visit: Visit, code: str, error: PlayheadError) -> Response:
        """Ask again, and say what is wrong with the code."""
        if error.code is Code.INVALID:
            faults: Sequence[str] = [fault for faults in (error.details or {}).values() for fault in faults]
        elif error.code is Code.TOO_MANY_ATTEMPTS:
            faults = [gettext("Too many wrong codes. Try again in %(wait)s.", wait=patience(error.retry_after_s))]
        else:
            raise error
        page = self._form(visit, code, faults=faults, status=STATUS[error.code])
        if error.retry_after_s is not None:
            page.headers["retry-after"] = str(error.retry_after_s)
        return page

    def _form(
        self, visit: Visit, code: str, *, faults: Sequence[str] = (), done: str | None = None, status: int = 200
    ) -> Response:
        return self._pages.render(visit, "activate.html", status=status, code=code, faults=faults, done=done)


def _is_elsewhere(device: DeviceRequest, address: str) -> bool:
    """Return whether the device is in another network than the user."""
    return throttle_address(device.address) != throttle_address(address)
