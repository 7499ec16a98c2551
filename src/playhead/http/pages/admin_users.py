"""Administration of users: accounts, grants, and resetting passwords."""

from collections.abc import Mapping, Sequence

from starlette.responses import Response

from playhead.domain.access import may_keep_account, may_lack_password
from playhead.domain.accounts import NAME_LENGTH_MAX, User
from playhead.domain.household import PIN_LENGTH_MAX, PIN_LENGTH_MIN
from playhead.domain.model import LibraryId, Role
from playhead.domain.passwords import PASSWORD_LENGTH_MAX, PASSWORD_LENGTH_MIN
from playhead.errors import Code, PlayheadError
from playhead.http.api.accounts import user_id_of
from playhead.http.errors import STATUS
from playhead.http.pages.page import Pages, Visit, form_faults, read_form, redirect
from playhead.http.pages.settings import what_ended
from playhead.http.pages.translations import deferred, gettext, text_of
from playhead.services.accounts import Accounts
from playhead.services.household import Household

_ROLES = (
    (Role.MEMBER.value, deferred("Member: can watch")),
    (Role.CHILD.value, deferred("Child: can watch, but not change settings")),
    (Role.ADMIN.value, deferred("Admin: can also manage the server")),
)

_DONE = {
    "added": deferred("The user has been added."),
    "name": deferred("The name has been changed."),
    "role": deferred("The role has been changed."),
    "passkeys": deferred("All passkeys and recovery codes of the user have been removed."),
    "libraries": deferred("The libraries have been changed."),
    "pin": deferred("The PIN has been set."),
    "pin-removed": deferred("The PIN has been removed."),
}

# One field per library, and a few more.
_FIELDS_MAX = 2000


class UserAdminPages:
    """The pages of users for admins."""

    def __init__(self, pages: Pages, accounts: Accounts, household: Household) -> None:
        self._pages = pages
        self._accounts = accounts
        self._household = household

    async def show_all(self, visit: Visit) -> Response:
        """Show all users."""
        removed = visit.call.request.query_params.get("removed") is not None
        users, following = await self._accounts.page_of_users(visit.call.request.query_params.get("cursor", ""))
        return self._pages.render(visit, "admin_users.html", users=users, following=following, removed=removed)

    async def show_form(self, visit: Visit) -> Response:
        """Show the form for a new user."""
        return self._form(visit, {"username": "", "role": Role.MEMBER.value}, frozenset(), {})

    async def add(self, visit: Visit) -> Response:
        """Add a user with access to the checked libraries."""
        form = await read_form(visit.call, _FIELDS_MAX)
        granted = _ticked(visit, form)
        try:
            role = _role(form)
            password = form.get("password", "")
            user = await self._accounts.create_user(
                form.get("username", ""), None if not password and may_lack_password(role) else password, role
            )
        except PlayheadError as error:
            return self._form(visit, form, granted, form_faults(error), STATUS[error.code])
        await self._accounts.set_grants(user.id, granted)
        return redirect(visit.call, f"/admin/users/{user.id}?done=added")

    async def show(self, visit: Visit) -> Response:
        """Show one user and the forms to change them."""
        parameters = visit.call.request.query_params
        if parameters.get("done") == "password":
            return await self._page(
                visit, done=gettext("The password has been changed. %(ended)s", ended=what_ended(parameters))
            )
        return await self._page(visit)

    async def rename(self, visit: Visit) -> Response:
        """Rename a user."""
        name = (await read_form(visit.call)).get("username", "")
        return await self._change(visit, "name", name=name)

    async def set_role(self, visit: Visit) -> Response:
        """Change the role of a user."""
        return await self._change(visit, "role", role=_role(await read_form(visit.call)))

    async def set_password(self, visit: Visit) -> Response:
        """Set a user's password, which signs out all their devices."""
        form = await read_form(visit.call)
        user_id, password = user_id_of(visit.call, "id"), form.get("password", "")
        try:
            changed = await self._accounts.change_user(user_id, password=password, end_tokens="end_tokens" in form)
        except PlayheadError as error:
            return await self._page(visit, details=form_faults(error), status=STATUS[error.code])
        ended = f"sessions={changed.ended.sessions}&tokens={changed.ended.tokens}"
        return redirect(visit.call, f"/admin/users/{user_id}?done=password&{ended}")

    async def create_token(self, visit: Visit) -> Response:
        """Create an API token for a user and show it, only once."""
        user_id, name = user_id_of(visit.call, "id"), (await read_form(visit.call)).get("token_name", "")
        try:
            secret, _ = await self._accounts.create_token(user_id, name, by=visit.user.user_id)
        except PlayheadError as error:
            if error.code is not Code.INVALID:
                raise
            details = {"token_name": [*(error.details or {}).get("name", ())]}
            return await self._page(visit, details=details, status=STATUS[error.code], token_name=name)
        return await self._page(visit, secret=secret)

    async def set_pin(self, visit: Visit) -> Response:
        """Set or remove a user's PIN for remembered devices."""
        user_id = user_id_of(visit.call, "id")
        form = await read_form(visit.call)
        if form.get("do") == "remove-pin":
            await self._household.remove_pin(user_id)
            return redirect(visit.call, f"/admin/users/{user_id}?done=pin-removed")
        try:
            await self._household.set_pin(user_id, form.get("pin", ""))
        except PlayheadError as error:
            return await self._page(visit, details=form_faults(error), status=STATUS[error.code])
        return redirect(visit.call, f"/admin/users/{user_id}?done=pin")

    async def set_grants(self, visit: Visit) -> Response:
        """Grant a user access to exactly the checked libraries."""
        user_id = user_id_of(visit.call, "id")
        form = await read_form(visit.call, _FIELDS_MAX)
        await self._accounts.find_user(user_id)
        await self._accounts.set_grants(user_id, _ticked(visit, form))
        return redirect(visit.call, f"/admin/users/{user_id}?done=libraries")

    async def show_removal(self, visit: Visit) -> Response:
        """Ask for confirmation to remove a user."""
        return await self._removal(visit, None)

    async def remove(self, visit: Visit) -> Response:
        """Remove a user and everything they watched."""
        try:
            await self._accounts.remove_user(user_id_of(visit.call, "id"))
        except PlayheadError as error:
            if error.code is not Code.CONFLICT:
                raise
            return await self._removal(visit, error.message, STATUS[error.code])
        return redirect(visit.call, "/admin/users?removed=1")

    async def _change(self, visit: Visit, done: str, *, name: str | None = None, role: Role | None = None) -> Response:
        user_id = user_id_of(visit.call, "id")
        try:
            await self._accounts.change_user(user_id, name=name, role=role)
        except PlayheadError as error:
            values = {} if name is None else {"username": name}
            return await self._page(visit, details=form_faults(error), status=STATUS[error.code], **values)
        if user_id == visit.user.user_id and role not in {None, Role.ADMIN}:
            return redirect(visit.call, "/")  # a demoted admin may no longer see the pages of admins
        return redirect(visit.call, f"/admin/users/{user_id}?done={done}")

    async def _removal(self, visit: Visit, refusal: str | None, status: int = 200) -> Response:
        user = await self._accounts.find_user(user_id_of(visit.call, "id"))
        return self._pages.render(
            visit, "admin_user_remove.html", status=status, subject=user, is_self=_is_self(visit, user), refusal=refusal
        )

    def _form(
        self,
        visit: Visit,
        wanted: Mapping[str, str],
        granted: frozenset[LibraryId],
        details: Mapping[str, Sequence[str]],
        status: int = 200,
    ) -> Response:
        return self._render(
            visit,
            "admin_user_new.html",
            status,
            username=wanted.get("username", ""),
            role=wanted.get("role", ""),
            granted=granted,
            details=details,
        )

    async def _page(self, visit: Visit, *, status: int = 200, **values: object) -> Response:
        user = await self._accounts.find_user(user_id_of(visit.call, "id"))
        done = text_of(_DONE, visit.call.request.query_params.get("done", ""))
        form: dict[str, object] = {
            "username": user.name,
            "token_name": "",
            "secret": None,
            "details": {},
            "done": done,
        }
        return self._render(
            visit,
            "admin_user.html",
            status,
            subject=user,
            is_self=_is_self(visit, user),
            role=user.role.value,
            granted=await self._accounts.list_grants(user.id),
            may_have_tokens=may_keep_account(user.role),
            **(form | values),
        )

    def _render(self, visit: Visit, template: str, status: int, **values: object) -> Response:
        return self._pages.render(
            visit,
            template,
            status=status,
            roles=[(role, gettext(words)) for role, words in _ROLES],
            name_length_max=NAME_LENGTH_MAX,
            password_lengths=(PASSWORD_LENGTH_MIN, PASSWORD_LENGTH_MAX),
            pin_lengths=(PIN_LENGTH_MIN, PIN_LENGTH_MAX),
            **values,
        )


def _is_self(visit: Visit, user: User) -> bool:
    return user.id == visit.user.user_id


def _role(form: Mapping[str, str]) -> Role:
    """Return the role in a form; an unknown one is a member."""
    role = form.get("role", "")
    return Role(role) if role in {*Role} else Role.MEMBER


def _ticked(visit: Visit, form: Mapping[str, str]) -> frozenset[LibraryId]:
    """Return the libraries checked in a form. An admin sees all, so the page has all of them."""
    return frozenset(library.id for library in visit.libraries if f"library-{library.id}" in form)
