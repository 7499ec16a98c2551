"""Why somebody is not signed in, in words: the code stands in the address of a page, the sentence is here."""

from typing import Final

from playhead.domain.identity import Refusal
from playhead.domain.openid import Fault
from playhead.http.route import Call

REFUSALS: Final[dict[str, str]] = {
    "no-passkey": "This passkey is not known here, or the sign-in took too long.",
    "admins-only": "Only admins sign in here without {provider}.",
    "linked-elsewhere": "This identity of {provider} is linked to another account.",
    Fault.UNREACHABLE: "{provider} cannot be reached. Try again in a moment, or sign in with your password.",
    Fault.MISCONFIGURED: "Sign-in with {provider} is not set up correctly. The log of the server says what is wrong.",
    Fault.DENIED: "{provider} did not sign you in, or you cancelled.",
    Fault.REPLAYED: "This sign-in was used already, took too long, or began in another browser. Start again.",
    Fault.CLOCK: "The clocks of {provider} and of this server differ too much. An admin has to set them.",
    Fault.AUDIENCE: "{provider} signed you in to another service. An admin has to check the client id.",
    Fault.UNTRUSTED: "The answer of {provider} could not be verified. Start again.",
    Refusal.UNKNOWN: "You have no account here that is linked to {provider}. Sign in with your password, then link it"
    " in your settings; or ask an admin for an account.",
    Refusal.NOT_ALLOWED: "None of your groups at {provider} may sign in here.",
    Refusal.NAME_TAKEN: "An account with your name exists here. Sign in to it with its password, then link it to"
    " {provider} in your settings.",
    Refusal.NAME_UNUSABLE: "{provider} gave you no name that an account here can have.",
}
"""What the sign-in page says, by the code that its address has; nothing else of an address is ever shown."""


def refusal_text(call: Call, provider: str) -> str | None:
    """Return what the code in the address of a page says; None for no code, or one that does not exist."""
    text = REFUSALS.get(call.request.query_params.get("refused", ""))
    return None if text is None else text.format(provider=provider)
