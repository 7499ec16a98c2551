"""Sign-in at an OpenID provider: redirecting there, signing in or linking on return, and failures."""

import logging
from typing import Final

from starlette.responses import RedirectResponse, Response

from playhead.domain.identity import IdentityRefusedError
from playhead.domain.openid import Fault, OpenIDError
from playhead.errors import Code, PlayheadError, not_found
from playhead.http.api.accounts import address_of, device_of
from playhead.http.pages.entrance import Ways, enter
from playhead.http.pages.page import Pages, Visit, read_form, redirect, set_cookie, way_back
from playhead.http.pages.translations import gettext
from playhead.http.route import Call
from playhead.services.openid import Begun, OpenID, OpenIDPurpose

BROWSER_COOKIE: Final = "playhead_sign_in"
_COOKIE_FOR_S: Final = 600
_PARAMETERS: Final = ("state", "code", "iss", "error", "error_description")

log = logging.getLogger(__name__)


class OpenIDPages:
    """The endpoints of one provider, if there is one."""

    def __init__(self, pages: Pages, ways: Ways) -> None:
        self._pages = pages
        self._ways = ways

    @property
    def _openid(self) -> OpenID:
        """Return the provider. Raises NOT_FOUND if there is none."""
        if self._ways.openid is None:
            raise not_found()
        return self._ways.openid

    async def begin(self, call: Call) -> Response:
        """Redirect the browser to the provider."""
        wanted = way_back(call.request.query_params.get("next"))
        try:
            begun = await self._begin(call, OpenIDPurpose(wanted))
        except OpenIDError as error:
            return self._refuse(call, error)
        response = RedirectResponse(begun.address, 303, {"cache-control": "no-store", "referrer-policy": "no-referrer"})
        _remember(call, response, begun)
        return response

    async def begin_link(self, visit: Visit) -> Response:
        """Redirect the browser of a signed-in user to the provider, to link that identity to their account.

        Only from a form of our own: a link elsewhere could bind an account to another person's identity.
        """
        await read_form(visit.call)
        try:
            begun = await self._begin(visit.call, OpenIDPurpose("/settings/sign-in", visit.user.user_id))
        except OpenIDError as error:
            log.warning("An identity cannot be linked: %s", error)
            return redirect(visit.call, f"/settings/sign-in?refused={error.fault.value}")
        response = self._pages.render_plain(
            visit.call,
            "leave.html",
            headline=gettext("Going to %(provider)s", provider=self._ways.provider),
            leads_to=begun.address,
            place=self._ways.provider,
        )
        _remember(visit.call, response, begun)
        return response

    async def _begin(self, call: Call, purpose: OpenIDPurpose) -> Begun:
        return await self._openid.begin(purpose, address_of(call), call.request.cookies.get(BROWSER_COOKIE))

    async def finish(self, call: Call) -> Response:
        """Sign in the user that the provider has authenticated, or link the identity."""
        query = call.request.query_params
        answer = {name: query[name] for name in _PARAMETERS if len(query.getlist(name)) == 1}
        try:
            returned = await self._openid.finish(answer, call.request.cookies.get(BROWSER_COOKIE))
            if returned.purpose.user_id is not None:
                # The session that started it, or none: after signing out, or in as another user, nothing is linked.
                if call.known_user is None or call.known_user.user_id != returned.purpose.user_id:
                    raise OpenIDError(Fault.REPLAYED, "the account that began to link is not signed in")
                await self._openid.link(returned)
                return redirect(call, "/settings/sign-in?done=linked")
            signed_in = await self._openid.sign_in(returned, device_of(call))
        except (OpenIDError, IdentityRefusedError) as error:
            return self._refuse(call, error)
        except PlayheadError as error:
            if error.code is not Code.CONFLICT:
                raise
            return redirect(call, "/settings/sign-in?refused=linked-elsewhere")
        return enter(call, signed_in, returned.purpose.wanted)

    def _refuse(self, call: Call, error: OpenIDError | IdentityRefusedError) -> Response:
        log.warning("A sign-in with %s failed: %s", self._ways.provider, error)
        refusal = error.fault if isinstance(error, OpenIDError) else error.refusal
        place = "/settings/sign-in" if call.known_user is not None else "/sign-in"
        return redirect(call, f"{place}?refused={refusal.value}")


def _remember(call: Call, response: Response, begun: Begun) -> None:
    set_cookie(call, response, BROWSER_COOKIE, begun.browser, max_age_s=_COOKIE_FOR_S)
