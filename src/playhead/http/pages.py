"""The pages for people: rendered here, working without scripts, asking no other host for anything."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse, RedirectResponse, Response

from playhead.domain.accounts import PASSWORD_LENGTH_MAX, PASSWORD_LENGTH_MIN, Principal, TokenKind
from playhead.domain.model import Instant, moment_of
from playhead.errors import Code, PlayheadError
from playhead.http.accounts import address_of, token_id_of
from playhead.http.auth import SESSION_COOKIE, require_same_origin
from playhead.http.bodies import read_body, require_media_type
from playhead.http.errors import STATUS
from playhead.http.route import Call
from playhead.services.accounts import Accounts, SignedIn

# The server decides when a session ends; the cookie lives as long as browsers let one (RFC 6265bis, 5.5).
_COOKIE_MAX_AGE_S = 400 * 86_400

_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    # Not no-referrer: browsers would then hide the origin of a form, by which a forged one is told.
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}

_FORM_MEMBERS_MAX = 20


class Shelf(NamedTuple):
    """A library as the start page shows it: what it is called and how many of each kind it holds."""

    name: str
    movies: int = 0
    shows: int = 0
    episodes: int = 0


class PageRoutes:
    """The endpoints of the pages.

    `list_shelves` names the libraries that somebody may see; `describe` gives the OpenAPI document.
    """

    def __init__(
        self,
        accounts: Accounts,
        list_shelves: Callable[[Principal], Awaitable[Sequence[Shelf]]],
        describe: Callable[[], dict[str, Any]],
    ) -> None:
        self._accounts = accounts
        self._list_shelves = list_shelves
        self._describe = describe
        self._templates = Environment(
            loader=PackageLoader("playhead.http"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters |= {"day": day_text, "sentence": sentence}

    async def start(self, call: Call) -> Response:
        """Show who is signed in, their libraries and their API tokens."""
        if call.known_user is None:
            return _redirect(call, "/sign-in")
        return await self._start_page(call, call.known_user)

    async def docs(self, call: Call) -> Response:
        """Show the OpenAPI document to a person."""
        document = self._describe()
        operations: dict[str, list[tuple[str, str, dict[str, Any]]]] = {}
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                operations.setdefault(operation["tags"][0], []).append((method, path, operation))
        schemas = document["components"]["schemas"]
        return self._page(call, "docs.html", operations=operations, schemas=schemas, limits=_LIMITS)

    async def show_setup(self, call: Call) -> Response:
        """Show the form that makes the first admin, where the link is still good."""
        token = call.request.query_params.get("token", "")
        if not await self._accounts.can_claim(token):
            return self._page(call, "setup_gone.html", status=404)
        return self._setup_page(call, token, "", {})

    async def set_up(self, call: Call) -> Response:
        """Make the first admin and sign them in."""
        form = await _form(call)
        token, name, password = form.get("token", ""), form.get("username", ""), form.get("password", "")
        if password != form.get("repetition"):
            return self._setup_page(call, token, name, {"repetition": ["must be the same as above"]})
        try:
            signed_in = await self._accounts.claim(token, name, password)
        except PlayheadError as error:
            if error.code is Code.NOT_FOUND:
                return self._page(call, "setup_gone.html", status=404)
            if error.code is not Code.INVALID:
                raise
            return self._setup_page(call, token, name, error.details or {})
        return _enter(call, signed_in)

    async def show_sign_in(self, call: Call) -> Response:
        """Show the form for name and password."""
        if call.known_user is not None:
            return _redirect(call, "/")
        if not await self._accounts.has_users():
            return self._page(call, "no_users.html")
        return self._page(call, "sign_in.html", name="", refusal=None)

    async def sign_in(self, call: Call) -> Response:
        """Open a session and set its cookie."""
        form = await _form(call)
        name = form.get("username", "")
        try:
            signed_in = await self._accounts.sign_in(name, form.get("password", ""), address_of(call))
        except PlayheadError as error:
            if error.code not in _REFUSALS:
                raise
            # 401 would have to name a scheme, and browsers would then ask in a window of their own.
            status = 422 if error.code is Code.NOT_AUTHENTICATED else STATUS[error.code]
            minutes = -(-(error.retry_after_s or 0) // 60)
            refusal = _REFUSALS[error.code].format(minutes="a minute" if minutes <= 1 else f"{minutes} minutes")
            page = self._page(call, "sign_in.html", status=status, name=name, refusal=refusal)
            if error.retry_after_s is not None:
                page.headers["retry-after"] = str(error.retry_after_s)
            return page
        return _enter(call, signed_in)

    async def sign_out(self, call: Call) -> Response:
        """End the session and forget its cookie."""
        require_same_origin(call.scope)
        user = call.known_user
        if user is not None and user.token_kind is TokenKind.SESSION:
            await self._accounts.sign_out(user)
        response = _redirect(call, "/sign-in")
        response.delete_cookie(SESSION_COOKIE, path=_base(call) or "/", httponly=True, samesite="lax")
        return response

    async def create_token(self, call: Call) -> Response:
        """Make an API token and show it, this once."""
        form = await _form(call)
        user = call.known_user
        if user is None:
            return _redirect(call, "/sign-in")
        name = form.get("name", "")
        try:
            secret, _ = await self._accounts.create_token(user.user_id, name)
        except PlayheadError as error:
            if error.code is not Code.INVALID:
                raise
            return await self._start_page(call, user, name=name, details=error.details or {}, status=422)
        return await self._start_page(call, user, secret=secret)

    async def revoke_token(self, call: Call) -> Response:
        """Revoke an API token. One that is gone already is as good."""
        require_same_origin(call.scope)
        if call.known_user is None:
            return _redirect(call, "/sign-in")
        try:
            await self._accounts.revoke_token(call.known_user.user_id, token_id_of(call))
        except PlayheadError as error:
            if error.code is not Code.NOT_FOUND:
                raise
        return _redirect(call, "/")

    async def _start_page(self, call: Call, user: Principal, *, status: int = 200, **values: object) -> HTMLResponse:
        shelves = await self._list_shelves(user)
        tokens = await self._accounts.list_tokens(user.user_id)
        form: dict[str, object] = {"secret": None, "name": "", "details": {}}
        return self._page(call, "start.html", status=status, shelves=shelves, tokens=tokens, **(form | values))

    def _setup_page(self, call: Call, token: str, name: str, details: Mapping[str, Sequence[str]]) -> HTMLResponse:
        return self._page(
            call,
            "setup.html",
            status=422 if details else 200,
            token=token,
            name=name,
            details=details,
            password_lengths=(PASSWORD_LENGTH_MIN, PASSWORD_LENGTH_MAX),
        )

    def _page(self, call: Call, template: str, *, status: int = 200, **values: object) -> HTMLResponse:
        html = self._templates.get_template(template).render(base=_base(call), user=call.known_user, **values)
        return HTMLResponse(html, status, _HEADERS)


_LIMITS = (
    ("minimum", "at least"),
    ("exclusiveMinimum", "over"),
    ("maximum", "at most"),
    ("minLength", "shortest"),
    ("maxLength", "longest"),
    ("maxItems", "at most"),
)

_REFUSALS = {
    Code.NOT_AUTHENTICATED: "The name or the password is wrong.",
    Code.TOO_MANY_ATTEMPTS: "Too many failed attempts. Try again in {minutes}.",
    Code.UNAVAILABLE: "The server is busy. Try again in a moment.",
}


def day_text(instant: Instant) -> str:
    """Show the UTC day of an instant, such as "4 March 2026"."""
    moment = moment_of(instant)
    return f"{moment.day} {moment:%B %Y}"


def sentence(phrase: str) -> str:
    """Show a fault, such as "must be a number", as a sentence."""
    return f"{phrase[:1].upper()}{phrase[1:]}."


async def _form(call: Call) -> dict[str, str]:
    """Return the fields of a form that one of our own pages sent, whoever did.

    Raises ACCESS_DENIED for another site's form (with it somebody could be signed in unawares), UNSUPPORTED_MEDIA_TYPE,
    TOO_LARGE, MALFORMED.
    """
    require_same_origin(call.scope)
    require_media_type(call.header(b"content-type"), "application/x-www-form-urlencoded")
    body = (await read_body(call.scope, call.receive)).decode("latin-1")
    try:
        return dict(parse_qsl(body, keep_blank_values=True, max_num_fields=_FORM_MEMBERS_MAX))
    except ValueError:
        raise PlayheadError(Code.MALFORMED, "Malformed form") from None


def _base(call: Call) -> str:
    """Return the path under which Playhead is mounted, without a slash at its end."""
    return call.scope.get("root_path", "").rstrip("/")


def _redirect(call: Call, path: str) -> RedirectResponse:
    return RedirectResponse(_base(call) + path, 303, {"cache-control": "no-store"})


def _enter(call: Call, signed_in: SignedIn) -> Response:
    response = _redirect(call, "/")
    response.set_cookie(
        SESSION_COOKIE,
        signed_in.token,
        max_age=_COOKIE_MAX_AGE_S,
        path=_base(call) or "/",
        secure=call.scope.get("scheme") == "https",
        httponly=True,
        samesite="lax",
    )
    return response
