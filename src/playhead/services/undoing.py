"""Undo steps as a text that a page round-trips, so that the server need not store them.

The client can tamper with it. So it names no user, applies to whoever sends it, and is accepted only if the rules could
have produced its content.
"""

import base64
import binascii
from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import asdict

from playhead.domain.marks import UndoStep, is_possible
from playhead.domain.model import Instant, ItemId
from playhead.domain.playback import Event, Progress
from playhead.errors import invalid

LONGEST = 48_000
"""Characters; a form may have 64 KiB. The marks of about 700 episodes without earlier progress fit."""

UndoText = Annotated[str, Meta(max_length=1000, pattern=r"^[^\x00]*\Z")]
UndoNumber = Annotated[int, Meta(ge=0, le=1 << 53)]


class _Before(Struct, array_like=True):
    """The members of `Progress` that an undo step carries, by their names there. Their order is the format."""

    position_ms: UndoNumber
    duration_ms: UndoNumber | None
    watched: bool
    armed: bool
    last_watched_at: UndoNumber | None
    session: UndoText | None
    device: UndoText | None
    event: Event | None
    unwatched_at: UndoNumber | None
    completed_session: UndoText | None
    completed_duration_ms: UndoNumber | None
    completed_at: UndoNumber | None
    completed_marked: bool


class _Step(Struct, array_like=True):
    item: UUID
    version: UndoNumber
    play: UUID | None
    point: UUID | None
    before: _Before | None


_encoder = msgspec.msgpack.Encoder(uuid_format="bytes")
_decoder = msgspec.msgpack.Decoder(list[_Step])


def encode(undos: Sequence[UndoStep]) -> str | None:
    """Encode undo steps, or return None if there are none or too many."""
    steps = [
        _Step(UUID(undo.item_id), undo.version, _uuid(undo.play_id), _uuid(undo.point_id), _before(undo.before))
        for undo in undos
    ]
    text = base64.urlsafe_b64encode(_encoder.encode(steps)).decode().rstrip("=")
    return text if steps and len(text) <= LONGEST else None


def decode(text: str, now: Instant) -> list[UndoStep]:
    """Decode undo steps. Raises INVALID if no mark up to `now` can have produced them."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        steps = _decoder.decode(raw)
    except (binascii.Error, ValueError, RecursionError):  # msgspec's errors are ValueErrors
        raise _no_undo() from None
    undos = [
        UndoStep(ItemId(str(step.item)), _progress(step.before), step.version, _text(step.play), _text(step.point))
        for step in steps
    ]
    befores = [undo.before for undo in undos if undo.before is not None]
    is_twice = len({undo.item_id for undo in undos}) < len(undos)
    if not undos or is_twice or not all(is_possible(before, now) for before in befores):
        raise _no_undo()
    return undos


def _uuid(text: str | None) -> UUID | None:
    return None if text is None else UUID(text)


def _text(uuid: UUID | None) -> str | None:
    return None if uuid is None else str(uuid)


def _before(progress: Progress | None) -> _Before | None:
    if progress is None:
        return None
    return _Before(**{name: getattr(progress, name) for name in _Before.__struct_fields__})


def _progress(before: _Before | None) -> Progress | None:
    if before is None:
        return None
    # The version and the time of the change are those of taking back.
    return Progress(**asdict(before), version=0, changed_at=Instant(0))


def _no_undo() -> Exception:
    return invalid({"value": ["cannot be undone"]})
