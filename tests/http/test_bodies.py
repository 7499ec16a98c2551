"""Bodies: how they are decoded, and how every fault is reported."""

import pytest

from playhead.errors import Code, PlayheadError
from playhead.http.api.playback import SaveRequest
from playhead.http.bodies import decode

RIGHT = '"duration_seconds": 5400'


def refusal(body: str | bytes) -> PlayheadError:
    with pytest.raises(PlayheadError) as refused:
        decode(body.encode() if isinstance(body, str) else body, SaveRequest)
    return refused.value


def test_a_report_is_decoded_and_unknown_members_are_ignored():
    request = decode(b'{"position_seconds": 1250, "duration_seconds": 5400.5, "mood": {"good": [1]}}', SaveRequest)
    assert (request.position_seconds, request.duration_seconds) == (1250, 5400.5)


@pytest.mark.parametrize(
    ("position", "fault"),
    [
        ("true", "must be a number"),
        ('"12"', "must be a number"),
        ("null", "must not be null"),
        ("[1]", "must be a number"),
        ("-1", "must be greater than or equal to 0"),
        ("-0.001", "must be greater than or equal to 0"),
        ("10000001", "must be less than or equal to 10000000"),
        ("1e400", "must be a finite number"),
        ("-1e400", "must be a finite number"),
        ("NaN", "must be a finite number"),
        ("Infinity", "must be a finite number"),
        ("9" * 5000, "must be a finite number"),
        ("9" * 30, "must be less than or equal to 10000000"),
    ],
)
def test_a_faulty_position_is_reported_with_its_fault(position: str, fault: str):
    error = refusal(f'{{"position_seconds": {position}, {RIGHT}}}')
    assert error.code is Code.INVALID
    assert error.details == {"position_seconds": [fault]}


def test_all_faulty_members_are_reported_together():
    error = refusal('{"position_seconds": -1, "duration_seconds": 0, "event": "jump", "session_id": 7, "device": ""}')
    assert error.details is not None
    assert {name: faults[0] for name, faults in error.details.items()} == {
        "position_seconds": "must be greater than or equal to 0",
        "duration_seconds": "must be greater than 0",
        "event": "invalid enum value 'jump'",
        "session_id": "must be a string",
        "device": "must have at least 1 characters",
    }


def test_missing_members_are_reported():
    assert refusal("{}").details == {"position_seconds": ["is required"], "duration_seconds": ["is required"]}


@pytest.mark.parametrize(
    ("member", "fault"),
    [
        ('"session_id": "a\\u0000b"', "must be text without surrogates or NUL"),
        ('"session_id": "\\ud800"', "must be text without surrogates or NUL"),
        ('"observed_at": "2025-11-08T22:00:00"', "must be an RFC 3339 time with its offset from UTC"),
        ('"observed_at": "yesterday"', "must be an RFC 3339 time with its offset from UTC"),
        ('"observed_at": 5', "must be an RFC 3339 time with its offset from UTC"),
    ],
)
def test_faulty_optional_members_are_reported(member: str, fault: str):
    error = refusal(f'{{"position_seconds": 1, {RIGHT}, {member}}}')
    assert error.details == {member.partition(":")[0].strip('"'): [fault]}


@pytest.mark.parametrize("body", ["[]", "1", '"text"', "null", "[" * 100])
def test_json_that_is_not_an_object_is_not_a_report(body: str):
    error = refusal(body + "]" * body.count("[") if len(body) == 100 else body)
    assert error.details == {"body": ["must be an object"]}


@pytest.mark.parametrize("body", [b"", b"{", b"{'a': 1}", b"\xff\xfe", b"[" * 60_000, b'{"a": "\xff"}', b"nope"])
def test_invalid_json_is_malformed(body: bytes):
    assert refusal(body).code is Code.MALFORMED


def test_a_broken_escape_in_an_ignored_member_is_malformed():
    body = f'{{"position_seconds": 1, {RIGHT}, "other": "\\ud800"}}'
    assert refusal(body).code is Code.MALFORMED
