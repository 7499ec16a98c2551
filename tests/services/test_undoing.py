"""The text that undoes marks: it round-trips, and cannot store a state that the rules never produce."""

import base64
from typing import Any
from uuid import UUID

import msgspec
import pytest

from fakes import Ids
from playhead.domain.marks import UndoStep
from playhead.domain.model import Instant, ItemId, Milliseconds
from playhead.domain.playback import NOTHING, Event, Progress
from playhead.errors import Code, PlayheadError
from playhead.services.undoing import LONGEST, decode, encode

NOW = Instant(1_762_639_200_000)
ITEM = ItemId("11111111-1111-4111-8111-111111111111")
PLAY = "22222222-2222-4222-8222-222222222222"

REPORTED = Progress(
    position_ms=Milliseconds(3_000_000),
    duration_ms=Milliseconds(5_400_000),
    watched=True,
    armed=False,
    last_watched_at=Instant(NOW - 1),
    version=0,
    changed_at=Instant(0),
    session="a session",
    device="Wohnzimmer \N{TELEVISION}",
    event=Event.PAUSE,
    unwatched_at=Instant(NOW - 2),
    completed_session="another",
    completed_duration_ms=Milliseconds(5_300_000),
    completed_at=Instant(NOW - 3),
    completed_marked=True,
)
SOUND: list[Any] = [3000, 5400, True, False, 1, "s", "d", "pause", None, "s", 5400, 1, True]


@pytest.mark.parametrize(
    "undos",
    [
        [UndoStep(ITEM, None, 1)],
        [UndoStep(ITEM, REPORTED, 7, PLAY, PLAY)],
        [UndoStep(ITEM, NOTHING._replace(watched=True, armed=False), 2, None, PLAY), UndoStep(ItemId(PLAY), None, 1)],
    ],
)
def test_a_text_contains_what_it_was_made_from(undos: list[UndoStep]):
    text = encode(undos)
    assert text is not None
    assert decode(text, NOW) == undos


def test_an_empty_or_too_large_text_is_rejected():
    ids = Ids()
    assert encode([]) is None
    some = [UndoStep(ItemId(ids()), None, 1, ids()) for _ in range(700)]
    text = encode(some)
    assert text is not None
    assert len(text) <= LONGEST
    assert encode(some * 2) is None


def forged(before: object, item: object = UUID(ITEM), version: object = 1, play: object = None) -> str:
    steps = [[item, version, play, None, before]]
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(steps)).decode().rstrip("=")


def changed(place: int, value: object) -> list[Any]:
    return [*SOUND[:place], value, *SOUND[place + 1 :]]


def test_a_sound_text_is_accepted():
    assert decode(forged(SOUND), NOW)[0].before is not None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "====",
        "\N{TELEVISION}",
        base64.urlsafe_b64encode(b"\x90").decode(),
        base64.urlsafe_b64encode(b"\x91" * 5000).decode(),
        forged(SOUND, item="no id"),
        forged(SOUND, item=1),
        forged(SOUND, version=-1),
        forged(SOUND, version="1"),
        forged(SOUND, play="1"),
        forged(SOUND[:-1]),
        forged(changed(0, 5401)),
        forged(changed(0, -1)),
        forged(changed(0, 1.5)),
        forged(changed(0, True)),  # noqa: FBT003
        forged(changed(1, None)),
        forged(changed(1, 1 << 62)),
        forged(changed(4, None)),
        forged(changed(4, NOW + 1)),
        forged(changed(5, "\0")),
        forged(changed(6, "d" * 1001)),
        forged(changed(7, "dance")),
        forged(changed(8, NOW + 1)),
        forged(changed(9, None)),
        forged(changed(11, NOW + 1)),
        forged(changed(2, False)),  # noqa: FBT003
        encode([UndoStep(ITEM, None, 1), UndoStep(ITEM, None, 2)]),
    ],
)
def test_a_state_that_no_mark_can_have_made_is_rejected(text: str):
    with pytest.raises(PlayheadError) as refused:
        decode(text, NOW)
    assert refused.value.code is Code.INVALID
