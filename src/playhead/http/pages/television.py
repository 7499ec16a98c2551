"""The page of a television, where typing is tedious: it shows a code and continues once a phone has approved it."""

from typing import NamedTuple

import segno
from markupsafe import Markup
from starlette.responses import JSONResponse, Response

from playhead.domain.device_codes import (
    LIFETIME_MS,
    DeviceKind,
    DeviceProtocol,
    PollOutcome,
    clean_user_code,
    is_device_code,
)
from playhead.errors import Code, PlayheadError
from playhead.http.api.accounts import address_of, device_of
from playhead.http.api.device_codes import verification_uris
from playhead.http.auth import require_same_origin
from playhead.http.errors import STATUS
from playhead.http.pages.page import (
    Pages,
    base,
    delete_cookie,
    read_form,
    redirect,
    set_cookie,
    set_session,
    wants_json,
)
from playhead.http.pages.translations import deferred, gettext
from playhead.http.route import Call
from playhead.services.accounts import Accounts
from playhead.services.credentials import Credentials
from playhead.services.device_codes import DeviceCodes

_COOKIE = "playhead_device_code"
_NOT_YET = frozenset({PollOutcome.PENDING, PollOutcome.TOO_FAST})
_REFUSALS = {
    PollOutcome.PENDING: deferred("The code has not been approved yet."),
    PollOutcome.TOO_FAST: deferred("The code has not been approved yet."),
    PollOutcome.DENIED: deferred("The sign-in was denied."),
    PollOutcome.EXPIRED: deferred("The code has expired."),
}


class _Codes(NamedTuple):
    """What the browser keeps while it waits: the server has only hashes of both."""

    device_code: str
    user_code: str


class TelevisionPages:
    """The endpoints of a browser without a keyboard. Requesting codes takes a form: opening the page makes none."""

    def __init__(self, pages: Pages, device_codes: DeviceCodes, credentials: Credentials, accounts: Accounts) -> None:
        self._pages = pages
        self._device_codes = device_codes
        self._credentials = credentials
        self._accounts = accounts

    async def show(self, call: Call) -> Response:
        """Show the codes of this browser, or the button that requests some."""
        if call.known_user is not None:
            return redirect(call, "/")
        return self._page(call, _codes(call), "")

    async def begin(self, call: Call) -> Response:
        """Request codes, and show them."""
        require_same_origin(call.scope)
        try:
            made = await self._device_codes.begin(
                DeviceProtocol.NATIVE, device_of(call), DeviceKind.TV, address_of(call)
            )
        except PlayheadError as error:
            if error.code is not Code.TOO_MANY_ATTEMPTS:
                raise
            page = self._page(
                call,
                None,
                gettext("Too many devices are waiting to be signed in. Try again later."),
                STATUS[error.code],
            )
            page.headers["retry-after"] = str(error.retry_after_s)
            return page
        response = redirect(call, "/tv")
        set_cookie(call, response, _COOKIE, f"{made.device_code}.{made.user_code}", max_age_s=LIFETIME_MS // 1000)
        return response

    async def go_on(self, call: Call) -> Response:
        """Sign the browser in, once its code is approved."""
        form = await read_form(call)
        codes = _codes(call)
        got = (
            PollOutcome.EXPIRED
            if codes is None
            else await self._device_codes.redeem(
                codes.device_code, DeviceProtocol.NATIVE, self._credentials.open_session
            )
        )
        if isinstance(got, PollOutcome):
            if wants_json(call):
                return JSONResponse({"state": got.value}, headers={"cache-control": "no-store"})
            page = self._page(call, codes if got in _NOT_YET else None, gettext(_REFUSALS[got]))
            return _forget(call, got, page)
        await self._accounts.propose_time_zone(got.user.id, form.get("time_zone", ""))
        response: Response = (
            JSONResponse({"state": "approved", "next": f"{base(call)}/"}, headers={"cache-control": "no-store"})
            if wants_json(call)
            else redirect(call, "/")
        )
        set_session(call, response, got.token)
        return _forget(call, None, response)

    def _page(self, call: Call, codes: _Codes | None, refusal: str, status: int = 200) -> Response:
        uri, complete = ("", "") if codes is None else verification_uris(call, codes.user_code)
        return self._pages.render_plain(
            call,
            "television.html",
            status=status,
            code=None if codes is None else codes.user_code,
            uri=uri.partition("://")[2],
            picture=None if codes is None else _qr_code(complete),
            refusal=refusal,
        )


def _codes(call: Call) -> _Codes | None:
    """Return the codes of this browser, if its cookie is one of ours."""
    device_code, _, user_code = call.request.cookies.get(_COOKIE, "").partition(".")
    if not is_device_code(device_code) or clean_user_code(user_code) is None:
        return None
    return _Codes(device_code, user_code)


def _forget(call: Call, outcome: PollOutcome | None, response: Response) -> Response:
    """Delete the cookie of codes that are used or expired."""
    if outcome not in _NOT_YET:
        delete_cookie(call, response, _COOKIE)
    return response


def _qr_code(uri: str) -> Markup:
    """Return a QR code as SVG: black on white in either colour scheme, because cameras need that."""
    code = segno.make(uri, error="m", micro=False)
    return Markup(code.svg_inline(omitsize=True, svgclass="qr", lineclass=None, border=4, light="#fff"))  # noqa: S704
