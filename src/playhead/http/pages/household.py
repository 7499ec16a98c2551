"""This device and its people: remembering it, tiles, PINs, and switching between people."""

from collections.abc import Mapping, Sequence

from starlette.responses import Response

from playhead.domain.accounts import Principal, TokenKind
from playhead.domain.household import PIN_LENGTH_MAX, PIN_LENGTH_MIN, TileEntry, may_allow_tap
from playhead.domain.model import DeviceId, UserId
from playhead.errors import Code, PlayheadError, access_denied, not_found
from playhead.http.api.accounts import device_of, user_id_of
from playhead.http.errors import STATUS
from playhead.http.pages.page import (
    COOKIE_MAX_AGE_S,
    HOUSEHOLD_COOKIE,
    Pages,
    Visit,
    household_secret,
    read_form,
    redirect,
    set_cookie,
    set_session,
)
from playhead.http.pages.text import patience
from playhead.http.pages.translations import deferred, gettext, text_of
from playhead.http.route import Call, require_id
from playhead.services.accounts import Accounts
from playhead.services.household import Household, HouseholdDevice, Tile

_DONE = {
    "remembered": deferred("This device is now remembered. Its sign-in page shows your tile."),
    "forgotten": deferred("The device has been forgotten."),
    "joined": deferred("Your tile is now on this device."),
    "left": deferred("Your tile has been removed from this device."),
    "tap": deferred("Your choice has been saved."),
    "people": deferred("Your changes have been saved."),
    "pin": deferred("Your PIN has been set."),
    "pin-removed": deferred("Your PIN has been removed."),
}

# One field per user, and a few more.
_FIELDS_MAX = 2000
_REFUSALS = frozenset({Code.NOT_AUTHENTICATED, Code.ACCESS_DENIED, Code.TOO_MANY_ATTEMPTS})


class HouseholdPages:
    """The endpoints of this device. Those of tiles are open to anybody who uses a remembered device."""

    def __init__(self, pages: Pages, household: Household, accounts: Accounts) -> None:
        self._pages = pages
        self._household = household
        self._accounts = accounts

    # This device

    async def show(self, visit: Visit) -> Response:
        """Show whether this device is remembered, who has a tile on it, the user's own PIN and their other devices."""
        return await self._page(visit)

    async def change(self, visit: Visit) -> Response:
        """Handle any of the page's forms."""
        form = await read_form(visit.call, _FIELDS_MAX)
        act = form.get("do", "")
        try:
            if act == "remember":
                return await self._remember(visit, form)
            if act in {"pin", "remove-pin"}:
                return await self._change_pin(visit, form)
            return await self._change_place(visit, form)
        except PlayheadError as error:
            if error.code not in {Code.INVALID, Code.LIMIT_REACHED}:
                raise
            details = error.details or {"name": [error.message]}
            return await self._page(visit, details=details, status=STATUS[error.code], name=form.get("name", ""))

    async def _remember(self, visit: Visit, form: Mapping[str, str]) -> Response:
        others = await self._ticked(form) if visit.is_admin else []
        secret = await self._household.remember(visit.user, form.get("name", ""), others)
        response = redirect(visit.call, "/household?done=remembered")
        set_cookie(visit.call, response, HOUSEHOLD_COOKIE, secret, max_age_s=COOKIE_MAX_AGE_S)
        return response

    async def _change_pin(self, visit: Visit, form: Mapping[str, str]) -> Response:
        if form.get("do") == "pin":
            await self._household.set_pin(visit.user.user_id, form.get("pin", ""))
            return redirect(visit.call, "/household?done=pin")
        await self._household.remove_pin(visit.user.user_id)
        return redirect(visit.call, "/household?done=pin-removed")

    async def _change_place(self, visit: Visit, form: Mapping[str, str]) -> Response:
        device_id = require_id(form.get("device", ""), DeviceId, "Device not found")
        match form.get("do"):
            case "join":
                await self._household.join(visit.user, device_id)
                done = "joined"
            case "leave":
                await self._household.leave(visit.user, device_id)
                done = "left"
            case "tap" | "ask":
                await self._household.allow_tap(visit.user, device_id, allows=form["do"] == "tap")
                done = "tap"
            case "people":
                await self._household.set_people(visit.user, device_id, await self._ticked(form))
                done = "people"
            case "forget":
                await self._household.forget(visit.user, device_id)
                done = "forgotten"
            case _:
                raise not_found()
        return redirect(visit.call, f"/household?done={done}")

    async def _ticked(self, form: Mapping[str, str]) -> list[UserId]:
        return [user.id for user in await self._accounts.list_users() if f"person-{user.id}" in form]

    async def _page(
        self,
        visit: Visit,
        *,
        details: Mapping[str, Sequence[str]] | None = None,
        status: int = 200,
        name: str = "",
    ) -> Response:
        user_id = visit.user.user_id
        devices = await self._household.list_devices(visit.user)
        everybody = await self._household.list_devices(visit.user, everybody=True) if visit.is_admin else []
        own = {each.device.id for each in devices}
        return self._pages.render(
            visit,
            "household.html",
            status=status,
            details=details or {},
            name=name or device_of(visit.call),
            done=text_of(_DONE, visit.call.request.query_params.get("done", "")),
            here=visit.remembered,
            own_tile=None if visit.remembered is None else visit.remembered.tile_of(user_id),
            may_allow_tap=may_allow_tap(visit.user.role),
            has_pin=await self._household.has_pin(user_id),
            pin_lengths=(PIN_LENGTH_MIN, PIN_LENGTH_MAX),
            devices=[*devices, *(each for each in everybody if each.device.id not in own)],
            users=await self._accounts.list_users() if visit.is_admin else [],
        )

    # Tiles

    async def show_person(self, call: Call) -> Response:
        """Ask for what a person's tile requires."""
        remembered, tile = await self._find(call)
        by_password = "password" in call.request.query_params
        return self._person(call, remembered, tile, TileEntry.PASSWORD if by_password else tile.entry)

    async def enter(self, call: Call) -> Response:
        """Sign a person in at their tile, in place of the current user."""
        form = await read_form(call)
        remembered, tile = await self._find(call)
        try:
            signed_in = await self._household.enter(
                household_secret(call), tile.user.id, form.get("pin", ""), _session_of(call.known_user)
            )
        except PlayheadError as error:
            if error.code not in _REFUSALS:
                raise
            _, tile = await self._find(call)
            return self._refuse(call, remembered, tile, error)
        response = redirect(call, "/")
        set_session(call, response, signed_in.token)
        return response

    async def _find(self, call: Call) -> tuple[HouseholdDevice, Tile]:
        remembered = await self._household.recognise(household_secret(call))
        tile = None if remembered is None else remembered.tile_of(user_id_of(call, "id"))
        if remembered is None or tile is None:
            raise not_found("User not found")
        return remembered, tile

    def _refuse(self, call: Call, remembered: HouseholdDevice, tile: Tile, error: PlayheadError) -> Response:
        """Ask again, with the reason; after too many wrong PINs for the password."""
        if error.code is Code.TOO_MANY_ATTEMPTS:
            wait_s = error.retry_after_s or 0
            refusal = gettext("Too many wrong PINs. Try again in %(wait)s, or use the password.", wait=patience(wait_s))
        elif tile.entry is TileEntry.PASSWORD:
            refusal = gettext("Too many wrong PINs. Sign in with the password.")
        else:
            refusal = gettext("The PIN is wrong.")
        status = 422 if error.code is Code.NOT_AUTHENTICATED else STATUS[error.code]
        page = self._person(call, remembered, tile, tile.entry, refusal=refusal, status=status)
        if error.retry_after_s is not None:
            page.headers["retry-after"] = str(error.retry_after_s)
        return page

    def _person(  # noqa: PLR0913 - what the page says
        self,
        call: Call,
        remembered: HouseholdDevice,
        tile: Tile,
        entry: TileEntry,
        *,
        refusal: str = "",
        status: int = 200,
    ) -> Response:
        return self._pages.render_plain(
            call,
            "household_person.html",
            status=status,
            remembered=remembered,
            tile=tile,
            entry=entry.value,
            refusal=refusal,
            pin_length_max=PIN_LENGTH_MAX,
        )


def _session_of(user: Principal | None) -> Principal | None:
    """Return the user of a session. Raises ACCESS_DENIED for a trusted proxy's user, who cannot be signed out here."""
    if user is not None and user.token_kind is TokenKind.PROXY:
        raise access_denied()
    return user
