"""Sign-in at an OpenID provider: authorization code with PKCE, state and nonce. Knows nothing of our own pages.

A sign-in is started and finished by the same browser, once.
"""

import hmac
import logging
from collections.abc import Callable, Mapping
from typing import NamedTuple
from urllib.parse import urlencode

from playhead.domain.accounts import Principal, TokenKind
from playhead.domain.identity import Identity
from playhead.domain.model import Instant, UserId
from playhead.domain.openid import Fault, OpenIDClient, OpenIDError, code_challenge, identity_of
from playhead.domain.sign_in_steps import StepKind
from playhead.domain.tokens import token_hash
from playhead.services.credentials import Credentials, SignedIn
from playhead.services.identity import Identities
from playhead.services.openid_provider import Provider
from playhead.services.sign_in_steps import SignInSteps
from playhead.storage import identity as storage
from playhead.storage.engine.database import Connection, Database

ID_TOKEN_MAX_LENGTH = 8 * 1024  # a longer hint does not fit into an address

_CODE_MAX_LENGTH = 4 * 1024

log = logging.getLogger(__name__)


class Begun(NamedTuple):
    """The address that the browser is redirected to, and the secret that it has to present on return."""

    address: str
    browser: str


class OpenIDPurpose(NamedTuple):
    """The purpose of a sign-in at the provider: to sign in and see `wanted`, or to link the identity to `user_id`."""

    wanted: str
    user_id: UserId | None = None


class Returned(NamedTuple):
    """The identity that returned from the provider, and the purpose."""

    identity: Identity
    purpose: OpenIDPurpose
    id_token: str


class OpenID:
    """Sign-in at one provider. `public_url` is our public address, without a trailing slash."""

    def __init__(  # noqa: PLR0913 - what it joins
        self,
        database: Database,
        provider: Provider,
        credentials: Credentials,
        identities: Identities,
        steps: SignInSteps,
        *,
        public_url: str,
        clock: Callable[[], Instant],
        new_secret: Callable[[], str],
    ) -> None:
        self._database = database
        self._provider = provider
        self._credentials = credentials
        self._identities = identities
        self._steps = steps
        self._redirect_uri = f"{public_url}/sign-in/openid/return"
        self._home = f"{public_url}/sign-in"
        self._clock = clock
        self._new_secret = new_secret

    @property
    def _client(self) -> OpenIDClient:
        return self._provider.client

    async def close(self) -> None:
        """Close the connections to the provider."""
        await self._provider.close()

    async def begin(self, purpose: OpenIDPurpose, address: str, browser: str | None) -> Begun:
        """Start a sign-in. `browser` is the secret of an earlier one by the same browser, if it has any.

        Raises OpenIDError, UNAVAILABLE.
        """
        metadata = await self._provider.metadata()
        browser = browser or self._new_secret()
        nonce, verifier = self._new_secret(), self._new_secret()
        kept = {
            "nonce": nonce,
            "verifier": verifier,
            "browser": token_hash(browser),
            "wanted": purpose.wanted,
            "user_id": purpose.user_id,
        }
        state = await self._steps.begin(StepKind.OPENID, address, kept)
        query = urlencode(
            {
                "response_type": "code",
                "client_id": self._client.id,
                "redirect_uri": self._redirect_uri,
                "scope": self._client.scopes,
                "state": state,
                "nonce": nonce,
                "code_challenge": code_challenge(verifier),
                "code_challenge_method": "S256",
            }
        )
        endpoint = metadata.authorization_endpoint
        return Begun(f"{endpoint}{'&' if '?' in endpoint else '?'}{query}", browser)

    async def finish(self, answer: Mapping[str, str], browser: str | None) -> Returned:
        """Return the identity that returned. `answer` is the query from the provider. Raises OpenIDError."""
        kept = await self._steps.take(StepKind.OPENID, answer.get("state", ""))
        if kept is None or browser is None or not hmac.compare_digest(kept["browser"], token_hash(browser)):
            raise OpenIDError(Fault.REPLAYED, "the state is unknown, used, too old, or of another browser")
        metadata = await self._provider.metadata()
        issuer = answer.get("iss")  # RFC 9207
        if issuer != self._client.issuer and (issuer is not None or metadata.names_issuer):
            raise OpenIDError(Fault.UNTRUSTED, f"the answer is of the issuer {issuer!r}")
        if "error" in answer:
            told = f"{answer['error'][:200]} {answer.get('error_description', '')[:200]}"
            raise OpenIDError(_fault_of(answer["error"]), f"the provider refuses: {told.strip()}")
        code = answer.get("code", "")
        if not 0 < len(code) <= _CODE_MAX_LENGTH:
            raise OpenIDError(Fault.UNTRUSTED, "the answer has no code")
        found = await self._provider.exchange(code, kept["verifier"], kept["nonce"], self._redirect_uri)
        purpose = OpenIDPurpose(kept["wanted"], kept["user_id"])
        return Returned(identity_of(found.claims, self._client), purpose, found.id_token)

    async def sign_in(self, returned: Returned, device: str) -> SignedIn:
        """Open a session for the returned identity. Raises IdentityRefusedError, NOT_FOUND."""
        user, _ = await self._identities.admit(returned.identity)

        def open_session(connection: Connection) -> SignedIn:
            signed_in = self._credentials.open_session(connection, user.id, device)
            if len(returned.id_token) <= ID_TOKEN_MAX_LENGTH:
                digest = token_hash(signed_in.token)
                storage.add_provider_session(connection, user.id, digest, returned.id_token, self._clock())
            return signed_in

        return await self._database.write(open_session)

    async def link(self, returned: Returned) -> None:
        """Link the identity to the account that started the linking. Raises CONFLICT, NOT_FOUND."""
        if returned.purpose.user_id is None:
            raise OpenIDError(Fault.REPLAYED, "the answer is of a sign-in, not of a link")
        await self._identities.link(returned.purpose.user_id, returned.identity)

    async def sign_out_address(self, principal: Principal) -> str:
        """Return the sign-out address at the provider (RP-Initiated Logout 1.0); "" for sessions opened otherwise.

        Call it before the session ends, and only once.
        """
        if principal.token_kind is not TokenKind.SESSION:
            return ""
        id_token = await self._database.write(
            lambda connection: storage.take_provider_session(connection, principal.user_id, principal.token_hash)
        )
        if id_token is None:
            return ""
        try:
            endpoint = (await self._provider.metadata()).end_session_endpoint
        except OpenIDError as error:
            log.warning("Signed out here, but not at the provider: %s", error)
            return ""
        if not endpoint:
            return ""
        query = urlencode(
            {
                "id_token_hint": id_token,
                "client_id": self._client.id,
                "post_logout_redirect_uri": self._home,
            }
        )
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{query}"


def _fault_of(error: str) -> Fault:
    """Return what an error of the authorization endpoint means to the user (RFC 6749, 4.1.2.1)."""
    if error in {"access_denied", "login_required", "interaction_required", "consent_required"}:
        return Fault.DENIED
    return Fault.UNREACHABLE if error in {"server_error", "temporarily_unavailable"} else Fault.MISCONFIGURED
