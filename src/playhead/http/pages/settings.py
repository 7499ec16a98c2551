"""Settings: what somebody decides for themselves."""

from starlette.responses import Response

from playhead.errors import Code, PlayheadError
from playhead.http.accounts import token_id_of
from playhead.http.pages.page import Pages, Visit, read_form, redirect
from playhead.services.accounts import Accounts


class SettingsPages:
    """The endpoints of one's own settings."""

    def __init__(self, pages: Pages, accounts: Accounts) -> None:
        self._pages = pages
        self._accounts = accounts

    async def show(self, visit: Visit) -> Response:
        """Show the settings."""
        return await self._page(visit)

    async def create_token(self, visit: Visit) -> Response:
        """Make an API token and show it, this once."""
        form = await read_form(visit.call)
        name = form.get("name", "")
        try:
            secret, _ = await self._accounts.create_token(visit.user.user_id, name)
        except PlayheadError as error:
            if error.code is not Code.INVALID:
                raise
            return await self._page(visit, name=name, details=error.details or {}, status=422)
        return await self._page(visit, secret=secret)

    async def revoke_token(self, visit: Visit) -> Response:
        """Revoke an API token. One that is gone already is as good."""
        try:
            await self._accounts.revoke_token(visit.user.user_id, token_id_of(visit.call))
        except PlayheadError as error:
            if error.code is not Code.NOT_FOUND:
                raise
        return redirect(visit.call, "/settings")

    async def _page(self, visit: Visit, *, status: int = 200, **values: object) -> Response:
        tokens = await self._accounts.list_tokens(visit.user.user_id)
        form: dict[str, object] = {"secret": None, "name": "", "details": {}}
        return self._pages.render(visit, "settings.html", status=status, tokens=tokens, **(form | values))
