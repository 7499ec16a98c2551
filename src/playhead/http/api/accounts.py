"""Users, sessions, tokens and grants over HTTP: decode, call the service, encode."""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from playhead.domain.accounts import (
    NAME_LENGTH_MAX,
    NAME_PATTERN,
    Principal,
    Token,
    User,
)
from playhead.domain.devices import device_name
from playhead.domain.model import LibraryId, Role, TokenId, UserId, instant_of
from playhead.domain.passwords import PASSWORD_LENGTH_MAX, PASSWORD_LENGTH_MIN
from playhead.domain.tokens import TokenScope
from playhead.http.api.formats import Time, time_text
from playhead.http.route import Call
from playhead.services.accounts import Accounts
from playhead.services.sign_ins import SignIns

# The service validates names and passwords and words the faults; the schema only states the limits.
Name = Annotated[str, Meta(extra_json_schema={"minLength": 1, "maxLength": NAME_LENGTH_MAX, "pattern": NAME_PATTERN})]
Password = Annotated[
    str,
    Meta(
        extra_json_schema={
            "minLength": PASSWORD_LENGTH_MIN,
            "maxLength": PASSWORD_LENGTH_MAX,
            "format": "password",
            "writeOnly": True,
        }
    ),
]
UuidText = Annotated[str, Meta(extra_json_schema={"format": "uuid"})]
TimeText = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]


class SignInRequest(Struct):
    """A sign-in: name, regardless of case, and password. `code` is a recovery code, if a second factor is required."""

    username: str
    password: str
    code: str = ""


class UserRequest(Struct):
    """A new user. Only a child may have no password: it signs in at its tile on a remembered device."""

    username: Name
    password: Password | UnsetType = UNSET
    role: Role = Role.MEMBER


class UserChange(Struct):
    """A change of a user; omitted members stay.

    A new password ends the user's sessions; `end_tokens` ends their API tokens too.
    """

    username: Name | UnsetType = UNSET
    password: Password | UnsetType = UNSET
    role: Role | UnsetType = UNSET
    end_tokens: bool = False


class TokenRequest(Struct):
    """A new API token: its name, what it may be used for, and when it expires; without `expires_at` it does not."""

    name: Name
    scope: TokenScope = TokenScope.ALL
    expires_at: Time | None = None


class UsersQuery(Struct):
    """The page of the list to return."""

    cursor: str = ""
    limit: Annotated[int, Meta(ge=1, le=500)] = 100


class MeAnswer(Struct):
    """Who makes the request."""

    id: UuidText
    username: str
    role: Role


class UserAnswer(Struct):
    """A user."""

    id: UuidText
    username: str
    role: Role
    created_at: TimeText


class EndedAnswer(Struct):
    """The number of a user's sessions and API tokens that a change has ended."""

    sessions: int
    tokens: int


class UserChangedAnswer(UserAnswer):
    """A user after a change, and what the change has ended."""

    ended: EndedAnswer


class UsersAnswer(Struct):
    """Users ordered by name, whatever its case. `next_cursor` is null at the end."""

    items: list[UserAnswer]
    next_cursor: str | None


class SessionAnswer(Struct):
    """A new session. Its token is shown this once; it ends 90 days after its last use."""

    token: str
    user: UserAnswer


class TokenAnswer(Struct):
    """An API token without its secret. `last_used_at` is the beginning of the day of its last use."""

    id: UuidText
    name: str
    scope: TokenScope
    created_at: TimeText
    expires_at: TimeText | None
    last_used_at: TimeText | None


class NewTokenAnswer(TokenAnswer):
    """A new API token. `token` is shown this once; it is valid until it expires or is revoked."""

    token: str


class TokensAnswer(Struct):
    """The caller's API tokens, newest first."""

    items: list[TokenAnswer]
    next_cursor: str | None


class AccountRoutes:
    """The endpoints of accounts. The route table says which of them are for admins only."""

    def __init__(self, sign_ins: SignIns, accounts: Accounts) -> None:
        self._sign_ins = sign_ins
        self._accounts = accounts

    async def sign_in(self, call: Call) -> SessionAnswer:
        """Open a session with a name and a password. Ten failures within 15 minutes block further attempts."""
        request = await call.json(SignInRequest)
        signed_in = await self._sign_ins.sign_in(
            request.username, request.password, address_of(call), device_of(call), code=request.code
        )
        return SessionAnswer(signed_in.token, user_answer(signed_in.user))

    async def sign_out(self, call: Call) -> None:
        """End the current session. An API token is not a session: revoke it instead."""
        await self._sign_ins.sign_out(call.user)

    async def me(self, call: Call) -> MeAnswer:
        """Return the current user."""
        user: Principal = call.user
        return MeAnswer(user.user_id, user.name, user.role)

    async def list_tokens(self, call: Call) -> TokensAnswer:
        """List the caller's API tokens, newest first."""
        tokens = await self._accounts.list_tokens(call.user.user_id)
        return TokensAnswer([_token_answer(token) for token in tokens], None)

    async def create_token(self, call: Call) -> NewTokenAnswer:
        """Create an API token for the caller. It is shown only once."""
        return await self._create_token(call, call.user.user_id)

    async def create_token_of(self, call: Call) -> NewTokenAnswer:
        """Create an API token for a user, who sees it among their own and can revoke it. It is shown only once."""
        return await self._create_token(call, user_id_of(call, "id"), by=call.user.user_id)

    async def _create_token(self, call: Call, user_id: UserId, by: UserId | None = None) -> NewTokenAnswer:
        request = await call.json(TokenRequest)
        expires_at = None if request.expires_at is None else instant_of(request.expires_at)
        secret, token = await self._accounts.create_token(
            user_id, request.name, scope=request.scope, expires_at=expires_at, by=by
        )
        return NewTokenAnswer(*_token_members(token), secret)

    async def read_token(self, call: Call) -> TokenAnswer:
        """Return one of the caller's API tokens, without its secret."""
        return _token_answer(await self._accounts.find_token(call.user.user_id, token_id_of(call)))

    async def revoke_token(self, call: Call) -> None:
        """Revoke one of the caller's API tokens, with effect within a second."""
        await self._accounts.revoke_token(call.user.user_id, token_id_of(call))

    async def list_users(self, call: Call) -> UsersAnswer:
        """List users, ordered by name."""
        query = call.query(UsersQuery)
        users, next_cursor = await self._accounts.page_of_users(query.cursor, query.limit)
        return UsersAnswer([user_answer(user) for user in users], next_cursor)

    async def create_user(self, call: Call) -> UserAnswer:
        """Create a user, who sees no library until one is granted."""
        request = await call.json(UserRequest)
        password = None if request.password is UNSET else request.password
        return user_answer(await self._accounts.create_user(request.username, password, request.role))

    async def change_user(self, call: Call) -> UserChangedAnswer:
        """Change a user's name, password or role, and end their API tokens: everything given, or nothing."""
        request = await call.json(UserChange)
        user, ended = await self._accounts.change_user(
            user_id_of(call, "id"),
            name=None if request.username is UNSET else request.username,
            password=None if request.password is UNSET else request.password,
            role=None if request.role is UNSET else request.role,
            end_tokens=request.end_tokens,
        )
        return UserChangedAnswer(
            user.id, user.name, user.role, time_text(user.created_at), EndedAnswer(ended.sessions, ended.tokens)
        )

    async def remove_user(self, call: Call) -> None:
        """Remove a user and everything they watched. The last admin cannot be removed."""
        await self._accounts.remove_user(user_id_of(call, "id"))

    async def grant(self, call: Call) -> None:
        """Grant a user access to a library."""
        await self._accounts.grant(library_id_of(call), user_id_of(call, "user_id"))

    async def revoke(self, call: Call) -> None:
        """Revoke a user's access to a library. What they watched stays."""
        await self._accounts.revoke(library_id_of(call), user_id_of(call, "user_id"))


def address_of(call: Call) -> str:
    """Return the client's address; "" if the server cannot know it, as behind a Unix socket."""
    client = call.scope.get("client")
    return client[0] if client else ""


def device_of(call: Call) -> str:
    """Return the name of a session that this request opens, such as "Firefox on Windows"; "" if unknown."""
    return device_name(call.header(b"user-agent") or "")


def user_id_of(call: Call, parameter: str) -> UserId:
    """Return the user id in the path. Raises NOT_FOUND if it is not a UUID."""
    return call.path_id(UserId, "User not found", parameter)


def token_id_of(call: Call) -> TokenId:
    """Return the token id in the path. Raises NOT_FOUND if it is not a UUID."""
    return call.path_id(TokenId, "Token not found")


def library_id_of(call: Call) -> LibraryId:
    """Return the library id in the path. Raises NOT_FOUND if it is not a UUID."""
    return call.path_id(LibraryId, "Library not found")


def user_answer(user: User) -> UserAnswer:
    """Convert a user."""
    return UserAnswer(user.id, user.name, user.role, time_text(user.created_at))


def _token_answer(token: Token) -> TokenAnswer:
    return TokenAnswer(*_token_members(token))


def _token_members(token: Token) -> tuple[str, str, TokenScope, str, str | None, str | None]:
    return (
        token.id,
        token.name,
        token.scope,
        time_text(token.created_at),
        None if token.expires_at is None else time_text(token.expires_at),
        None if token.last_used_at is None else time_text(token.last_used_at),
    )
