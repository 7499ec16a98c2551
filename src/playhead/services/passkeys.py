"""Passkeys: registration, sign-in by one alone or with a password, recovery codes. Knows no HTTP and no SQL.

Challenges are steps of a sign-in: stored for one use and ten minutes.
"""

import json
import logging
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from uuid import UUID

from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from playhead.domain.accounts import Principal, clean_name, name_faults
from playhead.domain.model import Instant, PasskeyId, UserId, canonical_id
from playhead.domain.openid import is_loopback
from playhead.domain.passkeys import PASSKEYS_MAX, RECOVERY_CODES, Passkey, recovery_hash, shown_code
from playhead.domain.sign_in_steps import StepKind
from playhead.domain.tokens import token_hash
from playhead.errors import conflict, invalid, not_authenticated, not_found
from playhead.services.credentials import Credentials, SignedIn, find_user
from playhead.services.sign_in_steps import SignInSteps
from playhead.services.sign_ins import SignIns
from playhead.storage import accounts as accounts_storage
from playhead.storage import identity as identity_storage
from playhead.storage import passkeys as storage
from playhead.storage.engine.database import Connection, Database

log = logging.getLogger(__name__)


class RelyingParty(NamedTuple):
    """The relying party of passkeys: our public host name, and the origin of our pages."""

    id: str
    origin: str


class Ceremony(NamedTuple):
    """Options for the browser's authenticator, as JSON, and the secret that has to accompany the answer."""

    options: dict[str, Any]
    step: str


class Factors(NamedTuple):
    """A user's ways to sign in, for their settings."""

    passkeys: list[Passkey]
    needs_both: bool
    codes_left: int
    has_password: bool


class PasswordWanted(NamedTuple):
    """A passkey was right, and the account also requires the password: `step` has to accompany it."""

    step: str
    name: str


class Passkeys:
    """Passkeys of an installation. `party` is None if no public address is configured.

    `new_challenge` returns 32 random bytes, `new_code` a random recovery code.
    """

    def __init__(  # noqa: PLR0913 - what it joins, and every source of time and chance
        self,
        database: Database,
        credentials: Credentials,
        sign_ins: SignIns,
        steps: SignInSteps,
        party: RelyingParty | None,
        *,
        clock: Callable[[], Instant],
        new_id: Callable[[], str],
        new_challenge: Callable[[], bytes],
        new_code: Callable[[], str],
    ) -> None:
        self._database = database
        self._credentials = credentials
        self._sign_ins = sign_ins
        self._steps = steps
        self._party = party
        self._clock = clock
        self._new_id = new_id
        self._new_challenge = new_challenge
        self._new_code = new_code

    @property
    def are_offered(self) -> bool:
        """Whether passkeys can be used at all."""
        return self._party is not None

    @property
    def party(self) -> RelyingParty:
        """Return the relying party. Raises NOT_FOUND if passkeys are not offered."""
        if self._party is None:
            raise not_found()
        return self._party

    # Settings

    async def factors_of(self, user_id: UserId) -> Factors:
        """Return a user's ways to sign in."""
        return await self._database.read(
            lambda connection: Factors(
                storage.list_passkeys(connection, user_id),
                storage.needs_second_factor(connection, user_id),
                storage.count_recovery_codes(connection, user_id),
                identity_storage.has_password(connection, user_id),
            )
        )

    async def begin_registration(self, principal: Principal, password: str, address: str) -> Ceremony:
        """Start to register a passkey for a user who knows their password, if they have one.

        Raises INVALID for `current`, CONFLICT for too many passkeys, TOO_MANY_ATTEMPTS.
        """
        party = self.party
        await self._sign_ins.confirm_password(principal, password, address)
        known = await self._database.read(lambda connection: storage.list_passkeys(connection, principal.user_id))
        if len(known) >= PASSKEYS_MAX:
            raise conflict("Too many passkeys")
        challenge = self._new_challenge()
        options = generate_registration_options(
            rp_id=party.id,
            rp_name="Playhead",
            user_id=UUID(principal.user_id).bytes,
            user_name=principal.name,
            challenge=challenge,
            # A discoverable passkey that verifies its user: alone it is two factors.
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED,
                user_verification=UserVerificationRequirement.REQUIRED,
            ),
            exclude_credentials=[
                PublicKeyCredentialDescriptor(id=base64url_to_bytes(each.credential_id)) for each in known
            ],
        )
        kept = {"challenge": bytes_to_base64url(challenge), "user_id": principal.user_id}
        step = await self._steps.begin(StepKind.REGISTRATION, address, kept)
        return Ceremony(json.loads(options_to_json(options)), step)

    async def finish_registration(self, principal: Principal, step: str, credential: str, name: str) -> None:
        """Store a passkey that an authenticator has created. Raises INVALID for `passkey_name` and `credential`."""
        party = self.party
        faults = name_faults(name)
        if faults:
            raise invalid({"passkey_name": faults})
        kept = await self._steps.take(StepKind.REGISTRATION, step)
        if kept is None or kept["user_id"] != principal.user_id:
            raise invalid({"credential": ["took too long; start again"]})
        try:
            verified = verify_registration_response(
                credential=credential,
                expected_challenge=base64url_to_bytes(kept["challenge"]),
                expected_rp_id=party.id,
                expected_origin=party.origin,
                require_user_verification=True,
            )
        except (WebAuthnException, ValueError, KeyError, TypeError) as error:
            log.warning("A passkey of %s is not accepted: %s", principal.name, error)
            raise invalid({"credential": ["is not a passkey for this server"]}) from None
        made = Passkey(
            PasskeyId(self._new_id()),
            principal.user_id,
            bytes_to_base64url(verified.credential_id),
            bytes_to_base64url(verified.credential_public_key),
            verified.sign_count,
            clean_name(name),
            self._clock(),
            None,
        )

        def add(connection: Connection) -> None:
            find_user(connection, principal.user_id)
            if storage.find_passkey(connection, principal.user_id, made.credential_id) is not None:
                raise invalid({"credential": ["is registered already"]})
            if len(storage.list_passkeys(connection, principal.user_id)) >= PASSKEYS_MAX:
                raise conflict("Too many passkeys")
            storage.add_passkey(connection, made)

        await self._database.write(add)

    async def rename(self, user_id: UserId, passkey_id: PasskeyId, name: str) -> None:
        """Rename a passkey. Raises INVALID for `passkey_name`, NOT_FOUND also for another user's."""
        faults = name_faults(name)
        if faults:
            raise invalid({"passkey_name": faults})
        wanted = clean_name(name)
        if not await self._database.write(
            lambda connection: storage.rename_passkey(connection, user_id, passkey_id, wanted)
        ):
            raise not_found("Passkey not found")

    async def remove(self, user_id: UserId, passkey_id: PasskeyId) -> None:
        """Remove a passkey. Raises NOT_FOUND also for another user's, and CONFLICT for the last required one."""

        def remove(connection: Connection) -> None:
            others = [each for each in storage.list_passkeys(connection, user_id) if each.id != passkey_id]
            if not others and storage.needs_second_factor(connection, user_id):
                raise conflict("Password and passkey are both needed; turn that off first")
            ways = identity_storage.has_password(connection, user_id) or identity_storage.list_identities(
                connection, user_id
            )
            if not others and not ways:
                raise conflict("It would no longer be possible to sign in to the account")
            if not storage.remove_passkey(connection, user_id, passkey_id):
                raise not_found("Passkey not found")

        await self._database.write(remove)

    async def remove_all(self, user_id: UserId) -> None:
        """Remove a user's passkeys and recovery codes: the password alone signs them in. Raises NOT_FOUND."""

        def remove(connection: Connection) -> None:
            find_user(connection, user_id)
            storage.remove_all(connection, user_id)

        await self._database.write(remove)

    async def need_both(self, principal: Principal, password: str, address: str) -> list[str]:
        """Require password and passkey from now on, and return new recovery codes, which are shown only once.

        Raises INVALID for `current`, CONFLICT without a passkey or a password, TOO_MANY_ATTEMPTS.
        """
        await self._sign_ins.confirm_password(principal, password, address)
        codes, now = self._codes(), self._clock()

        def turn_on(connection: Connection) -> None:
            if not storage.list_passkeys(connection, principal.user_id):
                raise conflict("There is no passkey yet")
            if not identity_storage.has_password(connection, principal.user_id):
                raise conflict("The account has no password")
            storage.set_second_factor(connection, principal.user_id, now)
            storage.replace_recovery_codes(connection, principal.user_id, map(recovery_hash, codes), now)

        await self._database.write(turn_on)
        return [shown_code(code) for code in codes]

    async def need_one(self, principal: Principal, password: str, address: str) -> None:
        """Accept the password or a passkey alone from now on. Raises INVALID for `current`, TOO_MANY_ATTEMPTS."""
        await self._sign_ins.confirm_password(principal, password, address)
        await self._database.write(lambda connection: storage.set_second_factor(connection, principal.user_id, None))

    async def renew_codes(self, principal: Principal, password: str, address: str) -> list[str]:
        """Return new recovery codes, which are shown only once and replace the old ones. Raises like `need_one`."""
        await self._sign_ins.confirm_password(principal, password, address)
        codes, now = self._codes(), self._clock()
        await self._database.write(
            lambda connection: storage.replace_recovery_codes(
                connection, principal.user_id, map(recovery_hash, codes), now
            )
        )
        return [shown_code(code) for code in codes]

    def _codes(self) -> list[str]:
        return [self._new_code() for _ in range(RECOVERY_CODES)]

    # Signing in

    async def begin_sign_in(self, address: str) -> Ceremony:
        """Start a sign-in with any passkey that the browser has for this server."""
        challenge = self._new_challenge()
        options = generate_authentication_options(
            rp_id=self.party.id, challenge=challenge, user_verification=UserVerificationRequirement.REQUIRED
        )
        kept = {"challenge": bytes_to_base64url(challenge)}
        step = await self._steps.begin(StepKind.PASSKEY, address, kept)
        return Ceremony(json.loads(options_to_json(options)), step)

    async def finish_sign_in(
        self, step: str, credential: str, address: str, device: str, second: str = ""
    ) -> SignedIn | PasswordWanted:
        """Open a session for the owner of a passkey, or report that their password is required, too.

        `second` is the step of a user whose password was right. Raises NOT_AUTHENTICATED, and ACCESS_DENIED if this
        user may not sign in locally.
        """
        used, count = await self._verify(step, credential)
        proved = None if not second else await self._steps.find(StepKind.PASSWORD_PROVED, second)
        if second and (proved is None or proved["user_id"] != used.user_id):
            raise not_authenticated()
        now = self._clock()

        def sign_in(connection: Connection) -> SignedIn | str:
            if not storage.note_passkey(connection, used, count, now):
                raise not_authenticated()  # removed, or used elsewhere concurrently
            user = accounts_storage.find_user(connection, used.user_id)
            if user is None:
                raise not_authenticated()
            self._sign_ins.require_local(user)
            if storage.needs_second_factor(connection, user.id):
                if proved is None:
                    return user.name
                self._sign_ins.finish_attempt(connection, proved["name"], address, proved["password"])
            return self._credentials.open_session(connection, user.id, device)

        signed_in = await self._database.write(sign_in)
        if isinstance(signed_in, str):
            kept = {"user_id": used.user_id, "name": signed_in}
            return PasswordWanted(await self._steps.begin(StepKind.PASSKEY_PROVED, address, kept), signed_in)
        if second:
            await self._steps.take(StepKind.PASSWORD_PROVED, second)
        return signed_in

    async def _verify(self, step: str, credential: str) -> tuple[Passkey, int]:
        """Return the passkey that answered, and its new counter. Raises NOT_AUTHENTICATED."""
        party = self.party
        kept = await self._steps.take(StepKind.PASSKEY, step)
        found = None if kept is None else await self._find(credential)
        if kept is None or found is None:
            raise not_authenticated()
        try:
            verified = verify_authentication_response(
                credential=credential,
                expected_challenge=base64url_to_bytes(kept["challenge"]),
                expected_rp_id=party.id,
                expected_origin=party.origin,
                credential_public_key=base64url_to_bytes(found.public_key),
                # Raises if the counter did not grow: then the passkey has been cloned.
                credential_current_sign_count=found.sign_count,
                require_user_verification=True,
            )
        except (WebAuthnException, ValueError, KeyError, TypeError) as error:
            log.warning("The passkey %s of the user %s is not accepted: %s", found.id, found.user_id, error)
            raise not_authenticated() from None
        return found, verified.new_sign_count

    async def _find(self, credential: str) -> Passkey | None:
        """Return the passkey of an answer, by its user handle and id."""
        try:
            answer = json.loads(credential)
            user_id = str(UUID(bytes=base64url_to_bytes(answer["response"]["userHandle"])))
            credential_id = bytes_to_base64url(base64url_to_bytes(answer["id"]))
        except (ValueError, KeyError, TypeError, RecursionError, AttributeError):
            return None
        owner = UserId(canonical_id(user_id) or "")
        return await self._database.read(lambda connection: storage.find_passkey(connection, owner, credential_id))

    async def begin_second_step(self, name: str, address: str) -> str:
        """Return the secret of a step for a user whose password was right and who requires a second factor."""
        found = await self._sign_ins.login_of(name)
        kept = {"user_id": found.user.id, "name": found.user.name, "password": token_hash(found.password_hash)}
        return await self._steps.begin(StepKind.PASSWORD_PROVED, address, kept)

    async def finish_with_code(self, second: str, code: str, address: str, device: str) -> SignedIn:
        """Open a session by a recovery code, for a user whose password was right.

        Raises NOT_AUTHENTICATED, TOO_MANY_ATTEMPTS: a wrong code counts like a wrong password.
        """
        kept = await self._steps.find(StepKind.PASSWORD_PROVED, second)
        if kept is None:
            raise not_authenticated()
        attempt_id = await self._sign_ins.count_attempt(kept["name"], address)
        user_id = UserId(kept["user_id"])

        def sign_in(connection: Connection) -> SignedIn:
            if not storage.use_recovery_code(connection, user_id, recovery_hash(code)):
                raise not_authenticated()
            self._sign_ins.finish_attempt(connection, kept["name"], address, kept["password"], attempt_id)
            return self._credentials.open_session(connection, user_id, device)

        signed_in = await self._database.write(sign_in)
        await self._steps.take(StepKind.PASSWORD_PROVED, second)
        return signed_in

    async def finish_with_password(self, step: str, password: str, address: str, device: str) -> SignedIn:
        """Open a session by the password, for a user whose passkey was right.

        Raises NOT_AUTHENTICATED, TOO_MANY_ATTEMPTS, UNAVAILABLE.
        """
        kept = await self._steps.find(StepKind.PASSKEY_PROVED, step)
        if kept is None:
            raise not_authenticated()
        signed_in = await self._sign_ins.sign_in(
            kept["name"], password, address, device, passkey_of=UserId(kept["user_id"])
        )
        await self._steps.take(StepKind.PASSKEY_PROVED, step)
        return signed_in

    async def name_of_step(self, step: str) -> str | None:
        """Return the user whose password this step requires; None if it has expired."""
        kept = await self._steps.find(StepKind.PASSKEY_PROVED, step)
        return None if kept is None else str(kept["name"])


def relying_party(public_url: str) -> RelyingParty | None:
    """Return the relying party for our public address; None for an address that browsers create no passkeys for.

    That is one without TLS on another machine, or an IP address (Web Authentication, 5.1.2 and 13.4.9).
    """
    parts = urlsplit(public_url)
    host = parts.hostname or ""
    is_number = ":" in host or host.replace(".", "").isdigit()
    if not host or is_number or (parts.scheme != "https" and not is_loopback(host)):
        return None
    port = "" if parts.port in {None, 443 if parts.scheme == "https" else 80} else f":{parts.port}"
    return RelyingParty(host, f"{parts.scheme}://{host}{port}")
