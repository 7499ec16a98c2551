"""Setup of the first admin, signing in, and signing out."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from starlette.responses import HTMLResponse, Response

from playhead.domain.accounts import TokenKind
from playhead.domain.passwords import PASSWORD_LENGTH_MAX, PASSWORD_LENGTH_MIN
from playhead.errors import Code, PlayheadError
from playhead.http.api.accounts import address_of, device_of
from playhead.http.auth import SESSION_COOKIE, require_same_origin
from playhead.http.errors import STATUS
from playhead.http.pages.page import (
    Pages,
    delete_cookie,
    household_secret,
    read_form,
    redirect,
    set_session,
    way_back,
)
from playhead.http.pages.refusals import refusal_text
from playhead.http.pages.second_step import second_page
from playhead.http.pages.text import patience
from playhead.http.pages.translations import deferred, gettext
from playhead.http.route import Call
from playhead.services.accounts import Accounts
from playhead.services.credentials import SignedIn
from playhead.services.household import Household
from playhead.services.openid import OpenID
from playhead.services.passkeys import Passkeys
from playhead.services.sign_ins import SignIns

_REFUSALS = {
    Code.ACCESS_DENIED: deferred("Only admins can sign in with a password here. Sign in with %(provider)s."),
    Code.NOT_AUTHENTICATED: deferred("The name or password is wrong."),
    Code.TOO_MANY_ATTEMPTS: deferred("Too many failed attempts. Try again in %(wait)s."),
    Code.UNAVAILABLE: deferred("The server is busy. Try again in a moment."),
}


class Ways(NamedTuple):
    """The ways to sign in besides a password. `provider` is the name that pages show for the provider of `openid`.

    `admins_only`: everybody except admins signs in at the provider. `passkeys`: whether they are offered.
    """

    openid: OpenID | None
    provider: str
    admins_only: bool
    passkeys: bool


class EntrancePages:
    """Forms for anonymous visitors.

    `ways` are the ways to sign in besides a password. `remote_sign_out_url` is where users of a trusted proxy sign out
    of it; "" if not configured.
    """

    def __init__(  # noqa: PLR0913 - what it joins
        self,
        pages: Pages,
        sign_ins: SignIns,
        accounts: Accounts,
        household: Household,
        ways: Ways,
        passkeys: Passkeys,
        remote_sign_out_url: str,
    ) -> None:
        self._passkeys = passkeys
        self._pages = pages
        self._sign_ins = sign_ins
        self._accounts = accounts
        self._household = household
        self._ways = ways
        self._remote_sign_out_url = remote_sign_out_url

    async def show_setup(self, call: Call) -> Response:
        """Show the form that creates the first admin, if the link is valid."""
        token = call.request.query_params.get("token", "")
        if not await self._accounts.can_claim(token):
            return self._pages.render_plain(call, "setup_gone.html", status=404)
        return self._setup_page(call, token, "", {})

    async def set_up(self, call: Call) -> Response:
        """Create the first admin and sign them in."""
        form = await read_form(call)
        token, name, password = form.get("token", ""), form.get("username", ""), form.get("password", "")
        if password != form.get("repetition"):
            return self._setup_page(call, token, name, {"repetition": ["must be the same as above"]})
        try:
            signed_in = await self._accounts.claim(token, name, password, device_of(call))
        except PlayheadError as error:
            if error.code is Code.NOT_FOUND:
                return self._pages.render_plain(call, "setup_gone.html", status=404)
            if error.code is not Code.INVALID:
                raise
            return self._setup_page(call, token, name, error.details or {})
        await self._accounts.propose_time_zone(signed_in.user.id, form.get("time_zone", ""))
        return enter(call, signed_in, "/admin/libraries/new")

    async def show_sign_in(self, call: Call) -> Response:
        """Show the form for name and password."""
        wanted = way_back(call.request.query_params.get("next"))
        if call.known_user is not None:
            return redirect(call, wanted)
        if not await self._accounts.has_users():
            return self._pages.render_plain(call, "no_users.html")
        return await self._sign_in_page(call, wanted, refusal=refusal_text(call, self._ways.provider))

    async def sign_in(self, call: Call) -> Response:
        """Open a session and set its cookie."""
        form = await read_form(call)
        name, wanted = form.get("username", ""), way_back(form.get("next"))
        try:
            signed_in = await self._sign_ins.sign_in(name, form.get("password", ""), address_of(call), device_of(call))
        except PlayheadError as error:
            if error.code is Code.SECOND_FACTOR_NEEDED:
                step = await self._passkeys.begin_second_step(name, address_of(call))
                return second_page(self._pages, call, wanted, second=step)
            if error.code not in _REFUSALS:
                raise
            # A 401 would have to name a scheme, and browsers would then open their own dialog.
            status = 422 if error.code is Code.NOT_AUTHENTICATED else STATUS[error.code]
            refusal = gettext(_REFUSALS[error.code], wait=patience(error.retry_after_s), provider=self._ways.provider)
            page = await self._sign_in_page(call, wanted, status=status, name=name, refusal=refusal)
            if error.retry_after_s is not None:
                page.headers["retry-after"] = str(error.retry_after_s)
            return page
        await self._accounts.propose_time_zone(signed_in.user.id, form.get("time_zone", ""))
        await self._switch(call, signed_in)
        return enter(call, signed_in, wanted)

    async def sign_out(self, call: Call) -> Response:
        """End the session and delete its cookie; a user of a trusted proxy is redirected to its sign-out address."""
        require_same_origin(call.scope)
        user = call.known_user
        response: Response = redirect(call, "/sign-in")
        if user is not None and user.token_kind is TokenKind.SESSION:
            openid = self._ways.openid
            leads_to = "" if openid is None else await openid.sign_out_address(user)
            await self._sign_ins.sign_out(user)
            if leads_to:
                response = self._farewell(call, leads_to)
        elif user is not None and user.token_kind is TokenKind.PROXY:
            response = self._farewell(call, self._remote_sign_out_url)
        delete_cookie(call, response, SESSION_COOKIE)
        return response

    async def _sign_in_page(
        self, call: Call, wanted: str, *, status: int = 200, name: str = "", refusal: str | None = None
    ) -> HTMLResponse:
        secret = household_secret(call)
        return self._pages.render_plain(
            call,
            "sign_in.html",
            status=status,
            name=name,
            refusal=refusal,
            next=wanted,
            ways=self._ways,
            remembered=await self._household.recognise(secret) if secret else None,
        )

    async def _switch(self, call: Call, signed_in: SignedIn) -> None:
        """On a remembered device, end the previous user's session, and clear the wrong PINs of the new one."""
        secret = household_secret(call)
        if not secret:
            return
        await self._household.note_password(secret, signed_in.user.id)
        before = call.known_user
        if before is not None and before.token_kind is TokenKind.SESSION:
            await self._sign_ins.sign_out(before)

    def _farewell(self, call: Call, leads_to: str) -> Response:
        # A page, not a redirect: browsers allow a form to lead to another host only if the policy of all pages does.
        return self._pages.render_plain(
            call,
            "leave.html",
            headline=gettext("Signing out") if leads_to else gettext("Still signed in"),
            leads_to=leads_to,
            place=urlsplit(leads_to).hostname,
        )

    def _setup_page(self, call: Call, token: str, name: str, details: Mapping[str, Sequence[str]]) -> HTMLResponse:
        return self._pages.render_plain(
            call,
            "setup.html",
            status=422 if details else 200,
            token=token,
            name=name,
            details=details,
            password_lengths=(PASSWORD_LENGTH_MIN, PASSWORD_LENGTH_MAX),
        )


def enter(call: Call, signed_in: SignedIn, path: str) -> Response:
    """Set the cookie of a new session, and redirect to one of our pages."""
    response = redirect(call, path)
    set_session(call, response, signed_in.token)
    return response
