"""Queries of progress and plays. Keys are (user id, item id); each hot path is one statement, run once for each key."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Integer, and_, bindparam, literal_column, select, type_coerce
from sqlalchemy.dialects.sqlite import insert

from playhead.domain.model import Instant, ItemId, Role, UserId
from playhead.domain.playback import Event, ItemFacts, Progress
from playhead.storage.database import Prepared
from playhead.storage.schema import account, item, library_access, play, progress

Key = tuple[UserId, ItemId]


class Known(NamedTuple):
    """What one look-up says of a user and an item. `kind` is None where there is no such item."""

    role: Role
    granted: bool
    kind: str | None
    facts: ItemFacts
    progress: Progress | None


_NO_ITEM = Known(Role.MEMBER, granted=False, kind=None, facts=ItemFacts(), progress=None)

_COLUMNS = (
    type_coerce(library_access.c.user_id.is_not(None), Integer),
    item.c.kind,
    item.c.runtime_ms,
    item.c.credits_ms,
    progress.c.position_ms,
    progress.c.duration_ms,
    type_coerce(progress.c.watched, Integer),  # made booleans below, whichever way the rows come
    type_coerce(progress.c.armed, Integer),
    progress.c.last_watched_at,
    progress.c.version,
    progress.c.changed_at,
    progress.c.session,
    progress.c.device,
    progress.c.event,
    progress.c.unwatched_at,
    progress.c.completed_session,
    progress.c.completed_duration_ms,
    progress.c.completed_at,
    type_coerce(progress.c.completed_marked, Integer),
)

# A save looks up the account, too, because a row of a user who is gone cannot be stored; a read trusts its credential.
_FIND = Prepared(
    select(*_COLUMNS)
    .select_from(item)
    .outerjoin(
        library_access,
        and_(library_access.c.user_id == bindparam("user_id"), library_access.c.library_id == item.c.library_id),
    )
    .outerjoin(progress, and_(progress.c.user_id == bindparam("user_id"), progress.c.item_id == item.c.id))
    .where(item.c.id == bindparam("item_id"))
)

# One row for each key, whatever there is. The join is anchored in account, so that a distributed engine routes it.
_LOAD = Prepared(
    select(account.c.role, *_COLUMNS)
    .select_from(select(literal_column("1")).subquery("one"))
    .outerjoin(account, account.c.id == bindparam("user_id"))
    .outerjoin(item, item.c.id == bindparam("item_id"))
    .outerjoin(
        library_access,
        and_(library_access.c.user_id == account.c.id, library_access.c.library_id == item.c.library_id),
    )
    .outerjoin(progress, and_(progress.c.user_id == account.c.id, progress.c.item_id == item.c.id))
)


def _upsert() -> Prepared:
    # The parameters have the order of the columns, and so of Progress.
    statement = insert(progress).values({column.name: bindparam(column.name) for column in progress.c})
    changed = {column.name: statement.excluded[column.name] for column in progress.c if not column.primary_key}
    return Prepared(
        statement.on_conflict_do_update(
            index_elements=[progress.c.user_id, progress.c.item_id],
            set_=changed,
            where=progress.c.version == statement.excluded.version - literal_column("1"),
        )
    )


_STORE = _upsert()

_LIST_PLAYS = Prepared(
    select(play.c.user_id, play.c.item_id, play.c.watched_at).where(
        play.c.user_id == bindparam("user_id"),
        play.c.item_id == bindparam("item_id"),
        play.c.watched_at.is_not(None),
    )
)

_ADD_PLAYS = Prepared(insert(play).values({column.name: bindparam(column.name) for column in play.c}))


def find(connection: Connection, user_id: UserId, role: Role, item_id: ItemId) -> Known:
    """Look up one item for a user who is there and has this role."""
    row = _FIND.first(connection, user_id=user_id, item_id=item_id)
    return _NO_ITEM if row is None else _known(role, row)


def load(connection: Connection, keys: Sequence[Key]) -> list[Known | None]:
    """Look up many keys; the answer is in their order, None where there is no such user."""
    return [
        None if role is None else _known(_ROLES[role], columns) for role, *columns in _LOAD.each(connection, keys)
    ]


def store(connection: Connection, changed: Sequence[tuple[Key, Progress]]) -> None:
    """Insert or update progress, sorted by key, each exactly one version after what is stored.

    Raises RuntimeError where a row was changed since it was loaded, which the transaction rules out on SQLite.
    """
    if not changed:
        return
    if _STORE.run_each(connection, [(*key, *value) for key, value in changed]) != len(changed):
        raise RuntimeError("progress changed between load and store within one transaction")


def list_plays(connection: Connection, keys: Sequence[Key]) -> dict[Key, list[Instant]]:
    """Return the times of the dated plays of these keys; keys without any are left out."""
    plays: dict[Key, list[Instant]] = {}
    if keys:
        for user_id, item_id, watched_at in _LIST_PLAYS.each(connection, keys):
            plays.setdefault((user_id, item_id), []).append(watched_at)
    return plays


def add_plays(connection: Connection, plays: Sequence[tuple[UserId, ItemId, str, Instant]]) -> None:
    """Add plays that Playhead counted itself: user, item, the play's own id, and its time."""
    if plays:
        _ADD_PLAYS.run_each(connection, [(*values, "automatic") for values in plays])


_ROLES = {role.value: role for role in Role}
_EVENTS = {event.value: event for event in Event}


def _known(role: Role, row: Sequence[Any]) -> Known:
    granted, kind, runtime_ms, credits_ms, position_ms, duration_ms, watched, armed, at, version, *rest = row
    if version is None:
        return Known(role, granted == 1, kind, ItemFacts(runtime_ms, credits_ms), None)
    changed_at, session, device, event, *marks, completed_marked = rest
    stored = Progress(
        position_ms,
        duration_ms,
        watched == 1,
        armed == 1,
        at,
        version,
        changed_at,
        session,
        device,
        event and _EVENTS[event],
        *marks,
        completed_marked == 1,
    )
    return Known(role, granted == 1, kind, ItemFacts(runtime_ms, credits_ms), stored)
