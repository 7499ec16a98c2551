"""What all pages share: visitors, rendering, refusals, forms and redirects.

Pages are rendered here, work without scripts, and load nothing from other hosts.
"""

import base64
import hashlib
import hmac
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, quote, urlsplit
from zoneinfo import ZoneInfo

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from playhead.domain.access import may_administer, may_keep_account
from playhead.domain.accounts import Principal
from playhead.domain.catalogue import Library
from playhead.domain.model import Instant
from playhead.domain.tokens import TokenScope
from playhead.errors import Code, PlayheadError
from playhead.http.auth import SESSION_COOKIE, require_same_origin
from playhead.http.bodies import read_body, require_media_type
from playhead.http.errors import STATUS
from playhead.http.pages.text import FILTERS
from playhead.http.pages.translations import (
    current,
    deferred,
    negotiate,
    script_words,
    speak,
    tags,
    template_gettext,
    template_ngettext,
)
from playhead.http.route import Call, Endpoint
from playhead.services.access import Viewer
from playhead.services.household import Household, HouseholdDevice
from playhead.services.snapshots import Frame, Snapshots

HEADERS: Final = {
    "cache-control": "no-store",
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; "
        "connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    # Not no-referrer: browsers would then omit the origin of a form, by which a forged one is recognised.
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "vary": "accept-language, cookie",
}

# The server decides when a session ends; a cookie lasts as long as browsers allow (RFC 6265bis, 5.5).
COOKIE_MAX_AGE_S: Final = 400 * 86_400

_FORM_MEMBERS_MAX = 20

# The folder of a page's scripts, other than `static` itself: their texts are included in the page.
_SCRIPT_FOLDERS: Final = {"watch.html": ("static", "static/watch")}

_HEADLINES: Final = {
    Code.ACCESS_DENIED: deferred("You do not have access"),
    Code.INSUFFICIENT_SCOPE: deferred("Sign in with your password to do this"),
    Code.NOT_FOUND: deferred("This page does not exist"),
    Code.UNAVAILABLE: deferred("The server is busy"),
}
_ADVICE: Final = {
    Code.ACCESS_DENIED: deferred("An admin decides which libraries you can see and what you can change."),
    Code.INSUFFICIENT_SCOPE: deferred("You signed in with a tile, which is for watching only."),
    Code.NOT_FOUND: deferred("It may have been moved or removed."),
    Code.UNAVAILABLE: deferred("Nothing is lost. Try again in a moment."),
}


HOUSEHOLD_COOKIE: Final = "playhead_household"
"""Contains the secret of a remembered device."""

_NOTICE_COOKIE: Final = "playhead_notice"
_NOTICE_FOR_S: Final = 60
# Browsers store cookies of 4,096 bytes (RFC 6265, 6.1), including name and attributes.
_NOTICE_LENGTH_MAX: Final = 3500


class WayBack(NamedTuple):
    """What undoes an action: a form, by its fields and its path below the mount."""

    action: str
    fields: Mapping[str, str]


class Notice(msgspec.Struct, array_like=True):
    """What the next page says about an action, and offers to undo."""

    words: str
    action: str = ""
    fields: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Visit:
    """A signed-in user looking at a page: who they are, what they may see, and how things are shown to them.

    `language` is the tag of the one that they chose; None for that of the browser.
    """

    call: Call
    user: Principal
    zone: ZoneInfo
    language: str | None
    libraries: Sequence[Library]
    remembered: HouseholdDevice | None

    @property
    def keeps_account(self) -> bool:
        """Whether they may change their account here; otherwise they can only watch."""
        return may_keep_account(self.user.role) and self.user.scope is not TokenScope.WATCH

    @property
    def is_admin(self) -> bool:
        """Whether they may administer here."""
        return self.keeps_account and may_administer(self.user.role)

    @property
    def viewer(self) -> Viewer:
        """Return the viewer, for calls of services."""
        return Viewer(self.user.user_id, self.user.role)


RenderPage = Callable[[Visit], Awaitable[Response]]
"""A page for signed-in users."""


class Pages:
    """Renders templates, and admits users to pages. `clock` returns the time that determines 'today'."""

    def __init__(self, household: Household, snapshots: Snapshots, clock: Callable[[], Instant]) -> None:
        self._household = household
        self._snapshots = snapshots
        self.clock = clock
        self._templates = Environment(
            loader=PackageLoader("playhead.http"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.policies["ext.i18n.trimmed"] = True
        # Not `install_gettext_callables`: numbers in plurals must be formatted by the language. The extension keeps the
        # existing style.
        self._templates.extend(newstyle_gettext=True)
        self._templates.add_extension("jinja2.ext.i18n")
        functions: dict[str, Any] = {"gettext": template_gettext, "_": template_gettext, "ngettext": template_ngettext}
        self._templates.globals.update(functions)
        self._templates.filters |= FILTERS

    def translated(self, endpoint: Endpoint) -> Endpoint:
        """Make an endpoint answer in the language that the browser asks for, unless its visitor chose another."""

        async def speaking(call: Call) -> object:
            speak(negotiate(call.header(b"accept-language")))
            return await endpoint(call)

        return speaking

    def visited(self, show: RenderPage) -> Callable[[Call], Awaitable[Response]]:
        """Turn a page for signed-in users into an endpoint. A change must come from one of our own pages."""

        async def endpoint(call: Call) -> Response:
            if call.scope["method"] not in {"GET", "HEAD"}:
                require_same_origin(call.scope)
            return await show(await self.visit(call))

        return endpoint

    async def visit(self, call: Call) -> Visit:
        """Load what every page shows about its visitor. Raises NOT_AUTHENTICATED."""
        return await self.visit_with(call, await self._snapshots.frame(call.viewer))

    async def visit_with(self, call: Call, frame: Frame) -> Visit:
        """Return a visit whose frame was loaded together with the page. Raises NOT_AUTHENTICATED."""
        secret = household_secret(call)
        remembered = await self._household.recognise(secret) if secret else None
        # A language without a catalog in this version counts as none.
        language = frame.language if frame.language in tags() else None
        if language is not None:
            speak(language)
        return Visit(call, call.user, frame.zone, language, frame.libraries, remembered)

    def render(
        self,
        visit: Visit,
        template: str,
        *,
        status: int = 200,
        **values: object,
    ) -> HTMLResponse:
        """Return a page for a signed-in user, with the navigation around it.

        The template gets `base` (where Playhead is mounted), `path` (of this page, below it), `user`, `is_admin`,
        `keeps_account`, `libraries`, `zone`, `now`, `language` and the values. The result of a form that redirected
        here is shown once.
        """
        notice = _notice(visit)
        page = self._respond(
            visit.call,
            template,
            status,
            {
                "user": visit.user,
                "is_admin": visit.is_admin,
                "keeps_account": visit.keeps_account,
                "remembered": visit.remembered,
                "libraries": visit.libraries,
                "zone": visit.zone,
                "notice": notice,
                **values,
            },
        )
        if notice is not None:
            delete_cookie(visit.call, page, _NOTICE_COOKIE)
        return page

    def answer_act(self, visit: Visit, form: Mapping[str, str], words: str, undo: WayBack | None) -> Response:
        """Confirm the action of a form, and offer to undo it: to a script, or on the page that the form came from."""
        call = visit.call
        if wants_json(call):
            answer: dict[str, object] = {"done": words}
            if undo is not None:
                answer["undo"] = {"action": undo.action, "fields": undo.fields}
            return JSONResponse(answer, headers={"cache-control": "no-store"})
        response = redirect(call, way_back(form.get("back")))
        text = _notice_text(visit.user, words, undo)
        if len(text) > _NOTICE_LENGTH_MAX:
            text = _notice_text(visit.user, words, None)
        set_cookie(call, response, _NOTICE_COOKIE, text, max_age_s=_NOTICE_FOR_S)
        return response

    def render_plain(self, call: Call, template: str, *, status: int = 200, **values: object) -> HTMLResponse:
        """Return a page for anybody, without navigation."""
        return self._respond(call, template, status, {"user": None, "notice": None, **values})

    def _respond(self, call: Call, template: str, status: int, values: Mapping[str, object]) -> HTMLResponse:
        language = current()
        folders = _SCRIPT_FOLDERS.get(template, ("static",))
        words = {name: word for folder in folders for name, word in script_words(language.tag, folder).items()}
        html = self._templates.get_template(template).render(
            base=base(call), path=_path(call), now=self.clock(), language=language, script_words=words, **values
        )
        return HTMLResponse(html, status, {**HEADERS, "content-language": language.tag})

    async def show_refusal(self, call: Call, error: PlayheadError) -> Response:
        """Show why a page is refused; an anonymous visitor is asked to sign in, and returns afterwards."""
        if error.code is Code.NOT_AUTHENTICATED:
            way_back = _path(call) if call.scope["method"] in {"GET", "HEAD"} else "/"
            return redirect(call, "/sign-in" if way_back == "/" else f"/sign-in?next={quote(way_back, safe='/')}")
        speak(negotiate(call.header(b"accept-language")))
        values: dict[str, object] = {
            "headline": _HEADLINES.get(error.code, deferred("That did not work")),
            "advice": _ADVICE.get(error.code, deferred("Nothing was changed.")),
            "faults": [fault for faults in (error.details or {}).values() for fault in faults] or [error.message],
        }
        try:
            page = self.render(await self.visit(call), "refused.html", status=STATUS[error.code], **values)
        except PlayheadError:
            page = self.render_plain(call, "refused.html", status=STATUS[error.code], **values)
        if error.retry_after_s is not None:
            page.headers["retry-after"] = str(error.retry_after_s)
        return page


def household_secret(call: Call) -> str:
    """Return the secret by which this browser is remembered; "" if there is none."""
    return call.request.cookies.get(HOUSEHOLD_COOKIE, "")


def base(call: Call) -> str:
    """Return the path under which Playhead is mounted, without a trailing slash."""
    return call.scope.get("root_path", "").rstrip("/")


def _path(call: Call) -> str:
    """Return the path and query of a request, below the mount."""
    path, query = call.scope["path"], call.scope.get("query_string", b"").decode("latin-1")
    root = base(call)
    if root and path.startswith(root + "/"):
        path = path[len(root) :]
    return f"{quote(path)}?{query}" if query else quote(path)


def redirect(call: Call, path: str) -> RedirectResponse:
    """Redirect the browser to another page, by GET."""
    return RedirectResponse(base(call) + path, 303, {"cache-control": "no-store"})


def set_cookie(call: Call, response: Response, name: str, value: str, *, max_age_s: int) -> None:
    """Set a cookie for the mount path, hidden from scripts and from the forms of other sites."""
    response.set_cookie(
        name,
        value,
        max_age=max_age_s,
        path=base(call) or "/",
        secure=call.scope.get("scheme") == "https",
        httponly=True,
        samesite="lax",
    )


def delete_cookie(call: Call, response: Response, name: str) -> None:
    """Delete a cookie that `set_cookie` has set."""
    response.delete_cookie(name, path=base(call) or "/", httponly=True, samesite="lax")


def set_session(call: Call, response: Response, token: str) -> None:
    """Set the session cookie."""
    set_cookie(call, response, SESSION_COOKIE, token, max_age_s=COOKIE_MAX_AGE_S)


def way_back(wanted: str | None, otherwise: str = "/") -> str:
    """Return the local path to which a form or link asks to return, or `otherwise`; never another site's."""
    if wanted is None or not wanted.startswith("/") or "\\" in wanted or not wanted.isprintable():
        return otherwise
    parts = urlsplit(wanted)
    return otherwise if parts.scheme or parts.netloc or wanted.startswith("//") else wanted


def wants_json(call: Call) -> bool:
    """Return whether a form was sent by one of our scripts, which handles the answer."""
    return call.header(b"accept") == "application/json"


def _notice_text(user: Principal, words: str, undo: WayBack | None) -> str:
    notice = Notice(words) if undo is None else Notice(words, undo.action, dict(undo.fields))
    text = base64.urlsafe_b64encode(msgspec.json.encode(notice)).decode()
    return f"{text}.{_signature(user, text)}"


def _signature(user: Principal, text: str) -> str:
    """Sign a notice for the credential that it was made for, with a key that only holders of the credential can derive.

    Other sites of the same domain can set cookies: an unsigned one could offer any form of ours as the undo of
    something harmless. Every process derives the key, so it is stored nowhere.
    """
    return hmac.new(user.token_hash.encode(), b"notice:" + text.encode(), hashlib.sha256).hexdigest()


def _notice(visit: Visit) -> Notice | None:
    """Return the result of the last form; None if the cookie was not made here for this user."""
    text, _, signature = visit.call.request.cookies.get(_NOTICE_COOKIE, "").rpartition(".")
    if not hmac.compare_digest(signature.encode(), _signature(visit.user, text).encode()):
        return None
    return msgspec.json.decode(base64.urlsafe_b64decode(text), type=Notice)


async def read_form(call: Call, members_max: int = _FORM_MEMBERS_MAX) -> dict[str, str]:
    """Return the fields of a form sent by one of our own pages, signed in or not.

    Raises ACCESS_DENIED for another site's form (which could sign somebody in without their knowledge),
    UNSUPPORTED_MEDIA_TYPE, TOO_LARGE, MALFORMED.
    """
    require_same_origin(call.scope)
    require_media_type(call.header(b"content-type"), "application/x-www-form-urlencoded")
    body = (await read_body(call.scope, call.receive)).decode("latin-1")
    try:
        return dict(parse_qsl(body, keep_blank_values=True, max_num_fields=members_max))
    except ValueError:
        raise PlayheadError(Code.MALFORMED, "Malformed form") from None


def form_faults(error: PlayheadError) -> Mapping[str, Sequence[str]]:
    """Return the faults of a form by field; an error that belongs to none of its fields is raised again."""
    if error.code is Code.INVALID:
        return error.details or {}
    if error.code is Code.CONFLICT and error.member is not None:
        return {error.member: [error.message]}
    raise error
