"""Queries of the audit log."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import BigInteger, Connection, Row, insert, literal, select, tuple_, update

from playhead.domain.auditing import Act, AuditEntry
from playhead.domain.model import Instant, ItemId
from playhead.storage.catalogue import resolve
from playhead.storage.schema import Id, audit


def add(connection: Connection, entry: AuditEntry) -> None:
    """Store an act, in the transaction of the act."""
    row = entry._asdict() | {"act": entry.act.value, "data": msgspec.json.encode(entry.data).decode()}
    connection.execute(insert(audit), [row])


def list_entries(connection: Connection, after: tuple[int, str] | None, limit: int) -> Sequence[AuditEntry]:
    """Return acts, newest first, then by id; `after` is the time and id of the last one of the page before."""
    query = select(audit).order_by(audit.c.at.desc(), audit.c.id.desc()).limit(limit)
    if after is not None:
        place = tuple_(literal(after[0], BigInteger), literal(after[1], Id))
        query = query.where(tuple_(audit.c.at, audit.c.id) < place)
    return [_entry(row) for row in connection.execute(query)]


def find(connection: Connection, entry_id: str) -> AuditEntry | None:
    """Return one act."""
    row = connection.execute(select(audit).where(audit.c.id == entry_id)).first()
    return None if row is None else _entry(row)


def mark_undone(connection: Connection, entry_id: str, undone_at: Instant) -> None:
    """Store that an act was undone."""
    connection.execute(update(audit).where(audit.c.id == entry_id).values(undone_at=undone_at))


def told_apart(connection: Connection) -> frozenset[frozenset[ItemId]]:
    """Return the pairs of items that a person has told apart, by what their ids mean now. One row each."""
    query = select(audit.c.data).where(audit.c.act == Act.TELL_APART.value, audit.c.undone_at.is_(None))
    pairs = [msgspec.json.decode(data, type=_Pair).item_ids for data in connection.scalars(query)]
    merged = resolve(connection, {item_id for pair in pairs for item_id in pair})
    known = (frozenset(merged.get(item_id, item_id) for item_id in pair) for pair in pairs)
    return frozenset(pair for pair in known if len(pair) > 1)


class _Pair(msgspec.Struct):
    item_ids: tuple[ItemId, ItemId]


def _entry(row: Row[Any]) -> AuditEntry:
    data = msgspec.json.decode(row.data, type=dict[str, Any])
    return AuditEntry(row.id, row.at, row.user_id, Act(row.act), row.subject, data, row.undone_at)
