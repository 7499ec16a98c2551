"""Device sign-in over HTTP by RFC 8628: codes for a device, and the session that it gets for them."""

from typing import Annotated, TypeVar
from urllib.parse import parse_qsl

from msgspec import Meta, Struct

from playhead.domain.accounts import NAME_LENGTH_MAX, SESSION_LIFETIME_MS
from playhead.domain.device_codes import INTERVAL_S, DeviceKind, DeviceProtocol, PollOutcome
from playhead.errors import Code, PlayheadError, device_code_refused
from playhead.http.api.accounts import UserAnswer, address_of, device_of, user_answer
from playhead.http.bodies import JSON_MAX_BYTES, JSON_MEDIA_TYPES, convert, decode, read_body, require_media_type
from playhead.http.route import Call
from playhead.services.credentials import Credentials
from playhead.services.device_codes import DeviceCodes

T = TypeVar("T")

FORM_MEDIA_TYPE = "application/x-www-form-urlencoded"
MEDIA_TYPES = ("application/json", FORM_MEDIA_TYPE)
GRANT_TYPE = "urn:ietf:params:oauth:grant-type:device_code"

_FORM_MEMBERS_MAX = 20


class DeviceCodeRequest(Struct):
    """A device that wants to be signed in. Its session is listed by `name`; "" lets the server choose."""

    name: Annotated[str, Meta(extra_json_schema={"maxLength": NAME_LENGTH_MAX})] = ""
    kind: DeviceKind = DeviceKind.TV
    client_id: str = ""
    scope: str = ""


class DeviceCodeAnswer(Struct):
    """Codes for a device (RFC 8628, 3.2). `expires_in` and `interval` are in seconds."""

    device_code: str
    user_code: str
    verification_uri: Annotated[str, Meta(extra_json_schema={"format": "uri"})]
    verification_uri_complete: Annotated[str, Meta(extra_json_schema={"format": "uri"})]
    expires_in: int
    interval: int


class DeviceTokenRequest(Struct):
    """The device code to exchange. `grant_type` may be omitted; `client_id` is ignored."""

    device_code: str
    grant_type: str = GRANT_TYPE
    client_id: str = ""


class DeviceTokenAnswer(Struct):
    """The session of an approved device. Its token is shown once; `expires_in` counts from its last use."""

    access_token: str
    token_type: str
    expires_in: int
    user: UserAnswer


class DeviceCodeRoutes:
    """The endpoints of devices that wait to be signed in."""

    def __init__(self, device_codes: DeviceCodes, credentials: Credentials) -> None:
        self._device_codes = device_codes
        self._credentials = credentials

    async def begin(self, call: Call) -> DeviceCodeAnswer:
        """Issue codes for a device, which shows the user code and where to enter it, and polls for its token."""
        request = await _decode(call, DeviceCodeRequest)
        name = request.name or device_of(call)
        codes = await self._device_codes.begin(DeviceProtocol.NATIVE, name, request.kind, address_of(call))
        uri, complete = verification_uris(call, codes.user_code)
        return DeviceCodeAnswer(codes.device_code, codes.user_code, uri, complete, codes.expires_in_s, codes.interval_s)

    async def redeem(self, call: Call) -> DeviceTokenAnswer:
        """Exchange a device code for a session, once it is approved. Until then `error` says how to continue."""
        request = await _decode(call, DeviceTokenRequest)
        if request.grant_type != GRANT_TYPE:
            raise device_code_refused("unsupported_grant_type")
        got = await self._device_codes.redeem(
            request.device_code, DeviceProtocol.NATIVE, self._credentials.open_session
        )
        if isinstance(got, PollOutcome):
            raise device_code_refused(
                got.value, INTERVAL_S if got in {PollOutcome.PENDING, PollOutcome.TOO_FAST} else None
            )
        return DeviceTokenAnswer(got.token, "Bearer", SESSION_LIFETIME_MS // 1000, user_answer(got.user))


def verification_uris(call: Call, user_code: str) -> tuple[str, str]:
    """Return where a code is entered: for a person to type and, with the code included, for a phone's camera.

    They use the host name by which the device itself has reached the server.
    """
    host = call.header(b"host") or ""
    uri = f"{call.scope.get('scheme', 'http')}://{host}{call.scope.get('root_path', '').rstrip('/')}/activate"
    return uri, f"{uri}?code={user_code}"


async def _decode(call: Call, kind: type[T]) -> T:
    """Return the checked body: JSON, or a form as OAuth clients send it. An empty body has no members."""
    require_media_type(call.header(b"content-type"), *JSON_MEDIA_TYPES, FORM_MEDIA_TYPE)
    body = await read_body(call.scope, call.receive, JSON_MAX_BYTES)
    if not (call.header(b"content-type") or "").lower().startswith(FORM_MEDIA_TYPE):
        return decode(body or b"{}", kind)
    try:
        members = dict(parse_qsl(body.decode("latin-1"), keep_blank_values=True, max_num_fields=_FORM_MEMBERS_MAX))
    except ValueError:
        raise PlayheadError(Code.MALFORMED, "Malformed form") from None
    return convert(members, kind)
