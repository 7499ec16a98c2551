"""Many reports in one request, from a device that was offline: each has its own result, as if sent alone."""

from typing import Annotated, Any, Final, Literal, cast

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from playhead.domain.limits import REPORTS_OF_BATCH
from playhead.domain.model import Instant, ItemId, ItemKind, instant_of
from playhead.domain.playback import Decision, Report
from playhead.errors import PlayheadError, invalid
from playhead.http.api.formats import ProgressAnswer, Time, progress_answer
from playhead.http.api.playback import SaveRequest, report_of
from playhead.http.bodies import UNDECODABLE, check, parse_leniently
from playhead.http.errors import STATUS
from playhead.http.route import Call, require_item_id
from playhead.services.playback import Playback

BODY_MAX_BYTES: Final = 1024 * 1024
"""2 KiB per report; one with every member and long names takes less than half of that."""

_OK = 200


class BatchReport(SaveRequest, kw_only=True):
    """A report and its item, with the members of a save. Its `client_now` is ignored in favour of the batch's."""

    kind: Literal["movie", "episode"]
    id: Annotated[str, Meta(extra_json_schema={"format": "uuid"})]


class BatchRequest(Struct):
    """Reports in any order. `client_now` is the client's clock when sending."""

    reports: Annotated[list[BatchReport], Meta(max_length=REPORTS_OF_BATCH.most)]
    client_now: Time | None = None


_DECODER = msgspec.json.Decoder(BatchRequest)


class _BatchBody(Struct):
    """A batch before its reports are validated."""

    reports: Annotated[list[Any], Meta(max_length=REPORTS_OF_BATCH.most)]
    client_now: Time | None = None


class ResultAnswer(Struct):
    """The result of one report: `applied`, `reason` and `state` with status 200, else `error`, and for 422 `details`.

    `reason` says why a report did not move the position, and is null if it did. `state` is the progress after it.
    """

    status: int
    applied: bool | UnsetType = UNSET
    reason: Literal["late", "superseded", "below_floor"] | UnsetType | None = UNSET
    state: ProgressAnswer | UnsetType = UNSET
    error: str | UnsetType = UNSET
    details: dict[str, list[str]] | UnsetType = UNSET


class BatchAnswer(Struct):
    """A result for each report, in the order of the request."""

    results: list[ResultAnswer]


class BatchRoutes:
    """The endpoint of batches."""

    def __init__(self, playback: Playback) -> None:
        self._playback = playback

    async def save(self, call: Call) -> BatchAnswer:
        """Save up to 500 reports in the order in which they were made. The response is sent once all are durable.

        A report that is invalid, or for an unknown item, has its own status and does not affect others. A batch may be
        repeated: sending the same report twice has the effect of sending it once.
        """
        client_now, requests = _decode(await call.body(BODY_MAX_BYTES))
        reports = [_addressed(request, client_now) for request in requests]
        good = [report for report in reports if not isinstance(report, PlayheadError)]
        results = iter(await self._playback.save_many(call.user.user_id, good))
        return BatchAnswer(
            [_result(report if isinstance(report, PlayheadError) else next(results)) for report in reports]
        )


def _decode(body: bytes) -> tuple[Instant | None, list[BatchReport | PlayheadError]]:
    """Decode the whole batch in one step; only if that fails, report by report. Raises MALFORMED, INVALID."""
    try:
        batch = _DECODER.decode(body)
    except UNDECODABLE:
        return _decode_each(body)
    return _instant(batch), [*batch.reports]


def _decode_each(body: bytes) -> tuple[Instant | None, list[BatchReport | PlayheadError]]:
    raw = parse_leniently(body)
    if not isinstance(raw, dict):
        raise invalid({"body": ["must be an object"]})
    batch = check(cast("dict[str, object]", raw), _BatchBody)
    return _instant(batch), [_checked(report) for report in batch.reports]


def _checked(report: object) -> BatchReport | PlayheadError:
    if not isinstance(report, dict):
        return invalid({"report": ["must be an object"]})
    try:
        return check(cast("dict[str, object]", report), BatchReport)
    except PlayheadError as error:
        return error


def _instant(batch: BatchRequest | _BatchBody) -> Instant | None:
    return None if batch.client_now is None else instant_of(batch.client_now)


def _addressed(
    request: BatchReport | PlayheadError, client_now: Instant | None
) -> tuple[ItemKind, ItemId, Report] | PlayheadError:
    if isinstance(request, PlayheadError):
        return request
    kind = ItemKind(request.kind)
    try:
        item_id = require_item_id(request.id, kind)
    except PlayheadError as error:
        return error
    return kind, item_id, report_of(request)._replace(client_now=client_now)


def _result(outcome: Decision | PlayheadError) -> ResultAnswer:
    if isinstance(outcome, PlayheadError):
        details = outcome.details
        shown = UNSET if details is None else {member: list(faults) for member, faults in details.items()}
        return ResultAnswer(STATUS[outcome.code], error=outcome.message, details=shown)
    reason = None if outcome.reason is None else outcome.reason.value
    return ResultAnswer(_OK, outcome.applied, reason, progress_answer(outcome.progress))
