"""Signing in with a passkey, and the second step of two-factor sign-in."""

from starlette.responses import JSONResponse, Response

from playhead.errors import Code, PlayheadError
from playhead.http.api.accounts import address_of, device_of
from playhead.http.errors import STATUS
from playhead.http.pages.entrance import enter
from playhead.http.pages.page import Pages, read_form, redirect, way_back
from playhead.http.pages.second_step import second_page
from playhead.http.pages.text import patience
from playhead.http.pages.translations import gettext
from playhead.http.route import Call
from playhead.services.accounts import Accounts
from playhead.services.passkeys import Ceremony, Passkeys, PasswordWanted


class PasskeyPages:
    """The endpoints of passkeys for anonymous visitors."""

    def __init__(self, pages: Pages, accounts: Accounts, passkeys: Passkeys) -> None:
        self._pages = pages
        self._accounts = accounts
        self._passkeys = passkeys

    async def begin(self, call: Call) -> Response:
        """Return the options for the browser's passkeys, as JSON for a script."""
        await read_form(call)
        return ceremony_answer(await self._passkeys.begin_sign_in(address_of(call)))

    async def finish(self, call: Call) -> Response:
        """Sign in with a passkey, or ask for the password too."""
        form = await read_form(call)
        wanted, second = way_back(form.get("next")), form.get("second", "")
        try:
            done = await self._passkeys.finish_sign_in(
                form.get("step", ""), form.get("credential", ""), address_of(call), device_of(call), second
            )
        except PlayheadError as error:
            refusal = "no-passkey" if error.code is Code.NOT_AUTHENTICATED else "admins-only"
            if error.code not in {Code.NOT_AUTHENTICATED, Code.ACCESS_DENIED}:
                raise
            return redirect(call, f"/sign-in?refused={refusal}")
        if isinstance(done, PasswordWanted):
            return second_page(self._pages, call, wanted, password_step=done.step, name=done.name)
        await self._accounts.propose_time_zone(done.user.id, form.get("time_zone", ""))
        return enter(call, done, wanted)

    async def finish_second(self, call: Call) -> Response:
        """Finish the second step with a recovery code, or with the password after a passkey."""
        form = await read_form(call)
        wanted, second, step = way_back(form.get("next")), form.get("second", ""), form.get("password_step", "")
        sender, device = address_of(call), device_of(call)
        try:
            if step:
                done = await self._passkeys.finish_with_password(step, form.get("password", ""), sender, device)
            else:
                done = await self._passkeys.finish_with_code(second, form.get("code", ""), sender, device)
        except PlayheadError as error:
            if error.code not in {Code.NOT_AUTHENTICATED, Code.TOO_MANY_ATTEMPTS}:
                raise
            return await self._again(call, error, wanted, second=second, password_step=step)
        return enter(call, done, wanted)

    async def _again(
        self, call: Call, error: PlayheadError, wanted: str, *, second: str, password_step: str
    ) -> Response:
        name = await self._passkeys.name_of_step(password_step) if password_step else None
        if error.code is Code.TOO_MANY_ATTEMPTS:
            refusal = gettext("Too many failed attempts. Try again in %(wait)s.", wait=patience(error.retry_after_s))
        else:
            refusal = gettext("That was wrong or took too long.")
        page = second_page(
            self._pages,
            call,
            wanted,
            second=second,
            password_step=password_step,
            name=name or "",
            refusal=refusal,
            status=422 if error.code is Code.NOT_AUTHENTICATED else STATUS[error.code],
        )
        if error.retry_after_s is not None:
            page.headers["retry-after"] = str(error.retry_after_s)
        return page


def ceremony_answer(ceremony: Ceremony) -> Response:
    """Return what a script passes to the browser's authenticators."""
    return JSONResponse(
        {"options": ceremony.options, "step": ceremony.step},
        headers={"cache-control": "no-store", "x-content-type-options": "nosniff"},
    )
