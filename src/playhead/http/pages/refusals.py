"""Why a sign-in failed, in words: the address of a page contains a code, and the sentence is here."""

from typing import Final

from playhead.domain.identity import Refusal
from playhead.domain.openid import Fault
from playhead.http.pages.translations import deferred, gettext
from playhead.http.route import Call

REFUSALS: Final[dict[str, str]] = {
    "no-passkey": deferred("This passkey is not known here, or the sign-in took too long."),
    "admins-only": deferred("Only admins can sign in here without %(provider)s."),
    "linked-elsewhere": deferred("This identity at %(provider)s is linked to another account."),
    Fault.UNREACHABLE: deferred(
        "%(provider)s cannot be reached. Try again in a moment, or sign in with your password."
    ),
    Fault.MISCONFIGURED: deferred(
        "Sign-in with %(provider)s is not set up correctly. The server's log says what is wrong."
    ),
    Fault.DENIED: deferred("%(provider)s did not sign you in, or you cancelled."),
    Fault.REPLAYED: deferred(
        "This sign-in was already used, took too long, or was started in another browser. Start again."
    ),
    Fault.CLOCK: deferred("The clocks of %(provider)s and this server differ too much. An admin has to correct them."),
    Fault.AUDIENCE: deferred("%(provider)s signed you in to another service. An admin has to check the client id."),
    Fault.UNTRUSTED: deferred("The answer from %(provider)s could not be verified. Start again."),
    Refusal.UNKNOWN: deferred(
        "You have no account here that is linked to %(provider)s. Sign in with your password, then link it"
        " in your settings; or ask an admin for an account."
    ),
    Refusal.NOT_ALLOWED: deferred("None of your groups at %(provider)s may sign in here."),
    Refusal.NAME_TAKEN: deferred(
        "An account with your name exists here. Sign in to it with your password, then link it to"
        " %(provider)s in your settings."
    ),
    Refusal.NAME_UNUSABLE: deferred("%(provider)s did not provide a name that an account here can have."),
}
"""What the sign-in page says, by the code in its address; no other part of an address is ever shown."""


def refusal_text(call: Call, provider: str) -> str | None:
    """Return the sentence for the code in the address of a page; None for no code, or an unknown one."""
    text = REFUSALS.get(call.request.query_params.get("refused", ""))
    return None if text is None else gettext(text, provider=provider)
