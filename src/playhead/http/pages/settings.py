"""Settings: what somebody decides for themselves."""

import asyncio
from collections.abc import Iterable, Mapping
from zoneinfo import ZoneInfo

from starlette.responses import Response

from playhead.domain.accounts import PASSWORD_LENGTH_MAX, PASSWORD_LENGTH_MIN
from playhead.errors import Code, PlayheadError
from playhead.http.api.accounts import address_of, token_id_of
from playhead.http.errors import STATUS
from playhead.http.pages.page import Pages, Visit, read_form, redirect
from playhead.http.pages.text import patience
from playhead.services.accounts import Accounts, time_zones

_DONE = {
    "password": "Your password is changed. All other devices are signed out.",
    "time-zone": "Days and times are now shown as they are there.",
    "session": "The device is signed out.",
    "sessions": "All other devices are signed out.",
    "token": "The token is revoked.",
}

# Of the names that machines know, those that people look for; the others are old spellings and offsets.
_REGIONS = frozenset(
    {"Africa", "America", "Antarctica", "Arctic", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific"}
)
_UTC = ZoneInfo("UTC")


class SettingsPages:
    """The endpoints of one's own settings."""

    def __init__(self, pages: Pages, accounts: Accounts) -> None:
        self._pages = pages
        self._accounts = accounts

    async def show(self, visit: Visit) -> Response:
        """Show the settings."""
        done = visit.call.request.query_params.get("done", "")
        return await self._page(visit, done=_DONE.get(done))

    async def change_password(self, visit: Visit) -> Response:
        """Change the password of who knows the current one."""
        form = await read_form(visit.call)
        password = form.get("password", "")
        if password != form.get("repetition"):
            return await self._page(visit, details={"repetition": ["must be the same as above"]}, status=422)
        try:
            await self._accounts.change_own_password(
                visit.user, form.get("current", ""), password, address_of(visit.call)
            )
        except PlayheadError as error:
            if error.code is Code.TOO_MANY_ATTEMPTS:
                fault = f"too many failed attempts; try again in {patience(error.retry_after_s)}"
                page = await self._page(visit, details={"current": [fault]}, status=STATUS[error.code])
                page.headers["retry-after"] = str(error.retry_after_s)
                return page
            return await self._refuse(visit, error)
        return redirect(visit.call, "/settings?done=password")

    async def set_time_zone(self, visit: Visit) -> Response:
        """Keep in which time zone days and times are shown."""
        form = await read_form(visit.call)
        try:
            await self._accounts.set_time_zone(visit.user.user_id, form.get("time_zone", ""))
        except PlayheadError as error:
            return await self._refuse(visit, error)
        return redirect(visit.call, "/settings?done=time-zone")

    async def end_session(self, visit: Visit) -> Response:
        """Sign a device out. One that is out already is as good."""
        await self._revoke(visit)
        return redirect(visit.call, "/settings?done=session")

    async def end_other_sessions(self, visit: Visit) -> Response:
        """Sign all other devices out."""
        await self._accounts.end_other_sessions(visit.user)
        return redirect(visit.call, "/settings?done=sessions")

    async def create_token(self, visit: Visit) -> Response:
        """Make an API token and show it, this once."""
        form = await read_form(visit.call)
        name = form.get("name", "")
        try:
            secret, _ = await self._accounts.create_token(visit.user.user_id, name)
        except PlayheadError as error:
            return await self._refuse(visit, error, name=name)
        return await self._page(visit, secret=secret)

    async def revoke_token(self, visit: Visit) -> Response:
        """Revoke an API token. One that is gone already is as good."""
        await self._revoke(visit)
        return redirect(visit.call, "/settings?done=token")

    async def _revoke(self, visit: Visit) -> None:
        try:
            await self._accounts.revoke_token(visit.user.user_id, token_id_of(visit.call))
        except PlayheadError as error:
            if error.code is not Code.NOT_FOUND:
                raise

    async def _refuse(self, visit: Visit, error: PlayheadError, **values: object) -> Response:
        """Show the settings again, with the faults beside their fields."""
        if error.code is not Code.INVALID:
            raise error
        return await self._page(visit, details=error.details or {}, status=422, **values)

    async def _page(self, visit: Visit, *, status: int = 200, **values: object) -> Response:
        if not visit.keeps_account:
            return await self._page_of_watching(visit, status, values)
        form: dict[str, object] = {"secret": None, "name": "", "details": {}, "done": None}
        zone = visit.zone.key
        return self._pages.render(
            visit,
            "settings.html",
            status=status,
            tokens=await self._accounts.list_tokens(visit.user.user_id),
            sessions=await self._accounts.list_sessions(visit.user),
            chosen_zone=zone,
            zones=by_region({zone, *await asyncio.to_thread(time_zones)}, zone),
            utc=_UTC,
            password_lengths=(PASSWORD_LENGTH_MIN, PASSWORD_LENGTH_MAX),
            **(form | values),
        )

    async def _page_of_watching(self, visit: Visit, status: int, values: Mapping[str, object]) -> Response:
        """Show what somebody decides who only watches: how things look."""
        zone = visit.zone.key
        return self._pages.render(
            visit,
            "settings_watching.html",
            status=status,
            chosen_zone=zone,
            zones=by_region({zone, *await asyncio.to_thread(time_zones)}, zone),
            done=values.get("done"),
            details=values.get("details", {}),
        )


def by_region(names: Iterable[str], chosen: str) -> dict[str, list[str]]:
    """Return the time zones to choose from by their region, in the order of the alphabet; and `chosen`, whatever it is.

    Those of no region come first, under "".
    """
    groups: dict[str, list[str]] = {"": sorted({"UTC", chosen} - {name for name in names if _region(name)})}
    for name in sorted(names):
        if _region(name):
            groups.setdefault(_region(name), []).append(name)
    return groups


def _region(name: str) -> str:
    region, separator, _ = name.partition("/")
    return region if separator and region in _REGIONS else ""
