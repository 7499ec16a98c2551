"""Forms for a user's own passkeys and recovery codes, and for admins to remove them."""

from collections.abc import Awaitable, Callable

from starlette.responses import JSONResponse, Response

from playhead.domain.model import PasskeyId
from playhead.errors import Code, PlayheadError
from playhead.http.api.accounts import address_of, user_id_of
from playhead.http.errors import STATUS
from playhead.http.pages.messages import translated
from playhead.http.pages.page import Visit, read_form, redirect
from playhead.http.pages.passkeys import ceremony_answer
from playhead.http.pages.sign_in_settings import SignInSettings
from playhead.http.pages.text import patience
from playhead.http.pages.translations import deferred, gettext
from playhead.services.passkeys import Passkeys


class PasskeySettings:
    """The endpoints of passkeys for signed-in users. `settings` is the page that contains them."""

    def __init__(self, settings: SignInSettings, passkeys: Passkeys) -> None:
        self._settings = settings
        self._passkeys = passkeys

    async def begin(self, visit: Visit) -> Response:
        """Return the options for the browser's authenticator, as JSON for a script; requires the password."""
        form = await read_form(visit.call)
        try:
            ceremony = await self._passkeys.begin_registration(
                visit.user, form.get("current", ""), address_of(visit.call)
            )
        except PlayheadError as error:
            if error.code not in {Code.INVALID, Code.CONFLICT, Code.TOO_MANY_ATTEMPTS}:
                raise
            return JSONResponse({"refusal": _sentence(error)}, STATUS[error.code], {"cache-control": "no-store"})
        return ceremony_answer(ceremony)

    async def add(self, visit: Visit) -> Response:
        """Store a new passkey."""
        form = await read_form(visit.call)
        return await self._do(
            visit,
            "passkey",
            lambda: self._passkeys.finish_registration(
                visit.user, form.get("step", ""), form.get("credential", ""), form.get("passkey_name", "")
            ),
        )

    async def rename(self, visit: Visit) -> Response:
        """Rename a passkey."""
        name = (await read_form(visit.call)).get("passkey_name", "")
        return await self._do(
            visit, "renamed", lambda: self._passkeys.rename(visit.user.user_id, _passkey_id(visit), name)
        )

    async def remove(self, visit: Visit) -> Response:
        """Remove a passkey. Succeeds if it is gone already."""
        await read_form(visit.call)
        return await self._do(visit, "removed", lambda: self._passkeys.remove(visit.user.user_id, _passkey_id(visit)))

    async def set_factors(self, visit: Visit) -> Response:
        """Require password and passkey together from now on, or either of them."""
        form = await read_form(visit.call)
        current, sender = form.get("current", ""), address_of(visit.call)
        if form.get("factors") == "both":
            return await self._show_codes(visit, lambda: self._passkeys.need_both(visit.user, current, sender))
        return await self._do(visit, "one", lambda: self._passkeys.need_one(visit.user, current, sender))

    async def renew_codes(self, visit: Visit) -> Response:
        """Create new recovery codes and show them, only once."""
        current, sender = (await read_form(visit.call)).get("current", ""), address_of(visit.call)
        return await self._show_codes(visit, lambda: self._passkeys.renew_codes(visit.user, current, sender))

    async def remove_all(self, visit: Visit) -> Response:
        """Remove the passkeys and recovery codes of a user: for admins, if the user has lost theirs."""
        await read_form(visit.call)
        user_id = user_id_of(visit.call, "id")
        await self._passkeys.remove_all(user_id)
        return redirect(visit.call, f"/admin/users/{user_id}?done=passkeys")

    async def _show_codes(self, visit: Visit, make: Callable[[], Awaitable[list[str]]]) -> Response:
        try:
            return await self._settings.page(visit, codes=await make())
        except PlayheadError as error:
            return await self._refuse(visit, error)

    async def _do(self, visit: Visit, done: str, act: Callable[[], Awaitable[None]]) -> Response:
        try:
            await act()
        except PlayheadError as error:
            if error.code is not Code.NOT_FOUND or done != "removed":
                return await self._refuse(visit, error)
        return redirect(visit.call, f"/settings/sign-in?done={done}")

    async def _refuse(self, visit: Visit, error: PlayheadError) -> Response:
        if error.code not in {Code.INVALID, Code.CONFLICT, Code.TOO_MANY_ATTEMPTS}:
            raise error
        page = await self._settings.page(visit, status=STATUS[error.code], refusal=_sentence(error))
        if error.retry_after_s is not None:
            page.headers["retry-after"] = str(error.retry_after_s)
        return page


def _passkey_id(visit: Visit) -> PasskeyId:
    return visit.call.path_id(PasskeyId, "Passkey not found")


_SUBJECTS = {
    "current": deferred("The current password is wrong"),
    "passkey_name": deferred("Name: %(fault)s"),
    "credential": deferred("Passkey: %(fault)s"),
}


def _sentence(error: PlayheadError) -> str:
    """Return what is wrong, for a notice above the forms: several have the same fields."""
    if error.code is Code.TOO_MANY_ATTEMPTS:
        return gettext("Too many failed attempts. Try again in %(wait)s.", wait=patience(error.retry_after_s))
    faults = [(name, translated(fault)) for name, each in (error.details or {}).items() for fault in each]
    said = [gettext(_SUBJECTS[name], fault=fault) if name in _SUBJECTS else fault for name, fault in faults]
    return "; ".join(said) or translated(error.message)
