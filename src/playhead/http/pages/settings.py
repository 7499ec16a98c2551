"""Settings: what users decide for themselves."""

import asyncio
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from starlette.responses import Response

from playhead.domain.model import Instant, instant_of
from playhead.domain.passwords import PASSWORD_LENGTH_MAX, PASSWORD_LENGTH_MIN
from playhead.domain.tokens import TokenScope
from playhead.errors import Code, PlayheadError, invalid
from playhead.http.api.accounts import address_of, token_id_of
from playhead.http.errors import STATUS
from playhead.http.pages.page import Pages, Visit, read_form, redirect
from playhead.http.pages.text import patience
from playhead.http.pages.translations import deferred, gettext, names, ngettext, tags, text_of
from playhead.services.accounts import Accounts, time_zones
from playhead.services.sign_ins import SignIns

_DONE = {
    "time-zone": deferred("Dates and times are now shown in that time zone."),
    "language": deferred("The language has been saved."),
    "session": deferred("The device has been signed out."),
    "sessions": deferred("All other devices have been signed out."),
    "token": deferred("The token has been revoked."),
}

# The time zones that people look for; the other names are old spellings and offsets.
_REGIONS = frozenset(
    {"Africa", "America", "Antarctica", "Arctic", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific"}
)
_UTC = ZoneInfo("UTC")

SCOPES = (
    (TokenScope.ALL.value, deferred("Everything you may do")),
    (TokenScope.REPORT.value, deferred("Saving and reading your progress")),
    (TokenScope.READ.value, deferred("Reading only")),
)
_COUNT_DIGITS = 6


class SettingsPages:
    """The endpoints of one's own settings."""

    def __init__(self, pages: Pages, sign_ins: SignIns, accounts: Accounts) -> None:
        self._pages = pages
        self._sign_ins = sign_ins
        self._accounts = accounts

    async def show(self, visit: Visit) -> Response:
        """Show the settings."""
        parameters = visit.call.request.query_params
        done = parameters.get("done", "")
        if done == "password":
            changed = gettext("Your password has been changed. %(ended)s", ended=what_ended(parameters))
            return await self._page(visit, done=changed)
        return await self._page(visit, done=text_of(_DONE, done))

    async def change_password(self, visit: Visit) -> Response:
        """Change the password of a user who knows the current one."""
        form = await read_form(visit.call)
        password = form.get("password", "")
        if password != form.get("repetition"):
            return await self._page(visit, details={"repetition": ["must be the same as above"]}, status=422)
        try:
            ended = await self._sign_ins.change_own_password(
                visit.user,
                form.get("current", ""),
                password,
                address_of(visit.call),
                end_tokens="end_tokens" in form,
            )
        except PlayheadError as error:
            if error.code is Code.TOO_MANY_ATTEMPTS:
                fault = gettext("Too many failed attempts. Try again in %(wait)s.", wait=patience(error.retry_after_s))
                page = await self._page(visit, details={"current": [fault]}, status=STATUS[error.code])
                page.headers["retry-after"] = str(error.retry_after_s)
                return page
            return await self._refuse(visit, error)
        return redirect(visit.call, f"/settings?done=password&sessions={ended.sessions}&tokens={ended.tokens}")

    async def set_time_zone(self, visit: Visit) -> Response:
        """Store the time zone in which days and times are shown."""
        form = await read_form(visit.call)
        try:
            await self._accounts.set_time_zone(visit.user.user_id, form.get("time_zone", ""))
        except PlayheadError as error:
            return await self._refuse(visit, error)
        return redirect(visit.call, "/settings?done=time-zone")

    async def set_language(self, visit: Visit) -> Response:
        """Store the language in which pages are shown; "" stands for that of the browser."""
        wanted = (await read_form(visit.call)).get("language", "")
        if wanted and wanted not in tags():
            return await self._refuse(visit, invalid({"language": ["must be one of the list"]}))
        await self._accounts.set_language(visit.user.user_id, wanted or None)
        return redirect(visit.call, "/settings?done=language")

    async def end_session(self, visit: Visit) -> Response:
        """Sign out a device. Succeeds if it is signed out already."""
        await self._revoke(visit)
        return redirect(visit.call, "/settings?done=session")

    async def end_other_sessions(self, visit: Visit) -> Response:
        """Sign out all other devices."""
        await self._sign_ins.end_other_sessions(visit.user)
        return redirect(visit.call, "/settings?done=sessions")

    async def create_token(self, visit: Visit) -> Response:
        """Create an API token and show it, only once."""
        form = await read_form(visit.call)
        name, scope, day = form.get("name", ""), form.get("scope", TokenScope.ALL.value), form.get("expires_at", "")
        try:
            secret, _ = await self._accounts.create_token(
                visit.user.user_id, name, scope=_scope(scope), expires_at=_end_of(day, visit.zone)
            )
        except PlayheadError as error:
            return await self._refuse(visit, error, name=name, scope=scope, expires_at=day)
        return await self._page(visit, secret=secret)

    async def revoke_token(self, visit: Visit) -> Response:
        """Revoke an API token. Succeeds if it is gone already."""
        await self._revoke(visit)
        return redirect(visit.call, "/settings?done=token")

    async def _revoke(self, visit: Visit) -> None:
        try:
            await self._accounts.revoke_token(visit.user.user_id, token_id_of(visit.call))
        except PlayheadError as error:
            if error.code is not Code.NOT_FOUND:
                raise

    async def _refuse(self, visit: Visit, error: PlayheadError, **values: object) -> Response:
        """Show the settings again, with the faults next to their fields."""
        if error.code is not Code.INVALID:
            raise error
        return await self._page(visit, details=error.details or {}, status=422, **values)

    async def _page(self, visit: Visit, *, status: int = 200, **values: object) -> Response:
        if not visit.keeps_account:
            return await self._page_of_watching(visit, status, values)
        form: dict[str, object] = {
            "secret": None,
            "name": "",
            "scope": "all",
            "expires_at": "",
            "details": {},
            "done": None,
        }
        zone = visit.zone.key
        return self._pages.render(
            visit,
            "settings.html",
            status=status,
            tokens=await self._accounts.list_tokens(visit.user.user_id),
            sessions=await self._sign_ins.list_sessions(visit.user),
            chosen_zone=zone,
            zones=by_region({zone, *await asyncio.to_thread(time_zones)}, zone),
            utc=_UTC,
            scopes=[(scope, gettext(words)) for scope, words in SCOPES],
            scope_words={scope: gettext(words) for scope, words in SCOPES},
            **_languages(visit),
            password_lengths=(PASSWORD_LENGTH_MIN, PASSWORD_LENGTH_MAX),
            **(form | values),
        )

    async def _page_of_watching(self, visit: Visit, status: int, values: Mapping[str, object]) -> Response:
        """Show the settings of a user who can only watch: appearance."""
        zone = visit.zone.key
        return self._pages.render(
            visit,
            "settings_watching.html",
            status=status,
            chosen_zone=zone,
            zones=by_region({zone, *await asyncio.to_thread(time_zones)}, zone),
            **_languages(visit),
            done=values.get("done"),
            details=values.get("details", {}),
        )


def what_ended(parameters: Mapping[str, str]) -> str:
    """Say what a password change has ended, by the counts in the address of the page."""
    sessions, tokens = (_count(parameters.get(name, "")) for name in ("sessions", "tokens"))
    return gettext(
        "%(devices)s, %(tokens)s.",
        devices=ngettext("%(num)s device signed out", "%(num)s devices signed out", sessions),
        tokens=ngettext("%(num)s API token revoked", "%(num)s API tokens revoked", tokens),
    )


def _languages(visit: Visit) -> dict[str, object]:
    return {"languages": [("", gettext("Automatic")), *names().items()], "chosen_language": visit.language or ""}


def _count(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < _COUNT_DIGITS else 0


def _scope(text: str) -> TokenScope:
    try:
        return TokenScope(text)
    except ValueError:
        raise invalid({"scope": ["must be one of the list"]}) from None


def _end_of(day: str, zone: ZoneInfo) -> Instant | None:
    """Return the end of a day in a time zone, None for no day. Raises INVALID."""
    if not day:
        return None
    try:
        return instant_of(datetime.combine(date.fromisoformat(day) + timedelta(days=1), time(), zone))
    except (ValueError, OverflowError):
        raise invalid({"expires_at": ["must be a day, such as 2030-01-31"]}) from None


def by_region(names: Iterable[str], chosen: str) -> dict[str, list[str]]:
    """Return the time zones by region, in alphabetical order, always including `chosen`.

    Those without a region come first, under "".
    """
    groups: dict[str, list[str]] = {"": sorted({"UTC", chosen} - {name for name in names if _region(name)})}
    for name in sorted(names):
        if _region(name):
            groups.setdefault(_region(name), []).append(name)
    return groups


def _region(name: str) -> str:
    region, separator, _ = name.partition("/")
    return region if separator and region in _REGIONS else ""
