"""The settings page for ways to sign in."""

from starlette.responses import Response

from playhead.domain.accounts import TokenKind
from playhead.domain.identity import PROXY_ISSUER
from playhead.domain.model import IdentityId
from playhead.errors import Code, PlayheadError, not_found
from playhead.http.errors import STATUS
from playhead.http.pages.entrance import Ways
from playhead.http.pages.page import Pages, Visit, read_form, redirect
from playhead.http.pages.refusals import refusal_text
from playhead.http.pages.translations import deferred, gettext, text_of
from playhead.http.proxies import IdentityHeader
from playhead.services.identity import Identities, proxy_identity
from playhead.services.passkeys import Passkeys

_DONE = {
    "linked": deferred("The identity is linked. From now on, it signs in to this account."),
    "passkey": deferred("The passkey has been added."),
    "renamed": deferred("The passkey has been renamed."),
    "removed": deferred("The passkey has been removed."),
    "one": deferred("From now on, a passkey or the password is enough to sign in."),
    "unlinked": deferred("The identity has been unlinked."),
}


class SignInSettings:
    """Linked identities. `header` is where a trusted proxy names the user, if one does.

    `ways` are the ways to sign in besides a password.
    """

    def __init__(
        self, pages: Pages, identities: Identities, header: IdentityHeader | None, ways: Ways, passkeys: Passkeys
    ) -> None:
        self._passkeys = passkeys
        self._pages = pages
        self._identities = identities
        self._header = header
        self._ways = ways

    async def show(self, visit: Visit) -> Response:
        """Show the user's ways to sign in."""
        return await self.page(visit)

    async def link_proxy(self, visit: Visit) -> Response:
        """Link the identity that the proxy names on this request."""
        await read_form(visit.call)
        named = None if self._header is None else self._header.read(visit.call.scope)
        if named is None:
            raise not_found("Identity not found")
        try:
            await self._identities.link(visit.user.user_id, proxy_identity(*named))
        except PlayheadError as error:
            return await self._refuse(visit, error)
        return redirect(visit.call, "/settings/sign-in?done=linked")

    async def unlink(self, visit: Visit) -> Response:
        """Unlink an identity. Succeeds if it is gone already."""
        await read_form(visit.call)
        try:
            identity_id = visit.call.path_id(IdentityId, "Identity not found")
            await self._identities.unlink(visit.user.user_id, identity_id)
        except PlayheadError as error:
            if error.code is not Code.NOT_FOUND:
                return await self._refuse(visit, error)
        return redirect(visit.call, "/settings/sign-in?done=unlinked")

    async def _refuse(self, visit: Visit, error: PlayheadError) -> Response:
        if error.code is not Code.CONFLICT:
            raise error
        return await self.page(visit, refusal=error.message, status=STATUS[error.code])

    async def page(
        self, visit: Visit, *, status: int = 200, refusal: str | None = None, codes: list[str] | None = None
    ) -> Response:
        """Show the page, with the result of a form on it. `codes` are new recovery codes."""
        user_id = visit.user.user_id
        linked = await self._identities.list_of(user_id)
        return self._pages.render(
            visit,
            "settings_sign_in.html",
            status=status,
            done=text_of(_DONE, visit.call.request.query_params.get("done", "")),
            refusal=refusal or refusal_text(visit.call, self._ways.provider),
            provider=self._ways.provider if self._ways.openid else "",
            codes=codes,
            factors=await self._passkeys.factors_of(user_id),
            passkeys_offered=self._passkeys.are_offered,
            identities=[
                (each, gettext("Your proxy") if each.issuer == PROXY_ISSUER else each.issuer) for each in linked
            ],
            named=await self._unlinked(visit),
        )

    async def _unlinked(self, visit: Visit) -> str | None:
        """Return the user that the proxy names, if that identity is not linked."""
        if self._header is None or visit.user.token_kind is TokenKind.PROXY:
            return None
        named = self._header.read(visit.call.scope)
        if named is None or await self._identities.find(proxy_identity(*named)) is not None:
            return None
        return named.user
