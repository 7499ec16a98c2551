"""The page that asks for a second factor."""

from starlette.responses import Response

from playhead.http.pages.page import Pages
from playhead.http.route import Call


def second_page(  # noqa: PLR0913 - what the page shows
    pages: Pages,
    call: Call,
    wanted: str,
    *,
    second: str = "",
    password_step: str = "",
    name: str = "",
    refusal: str | None = None,
    status: int = 200,
) -> Response:
    """Return the page that asks for a passkey or a recovery code (`second`), or for the password (`password_step`)."""
    return pages.render_plain(
        call,
        "sign_in_second.html",
        status=status,
        next=wanted,
        second=second,
        password_step=password_step,
        name=name,
        refusal=refusal,
    )
