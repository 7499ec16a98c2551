"""Texts from outside: cut to their limits, without characters that steer a screen."""

import json
import re
from collections.abc import Iterator
from hashlib import blake2b
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

# As domain/texts.py had them when this was released.
STEERING = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ufff9-\ufffc\ufffe\uffff\ud800-\udfff]"
)
TITLE, LABEL, STREAM_TITLE, LANGUAGE, STREAMS, DEVICE, SOURCE = 500, 200, 200, 35, 200, 200, 50
KEY_BYTES = 1_600
DIGEST_BYTES = 16
KEY = KEY_BYTES // 4  # characters that are within the bytes for certain

ROWS_AT_ONCE = 1_000

ID = sa.String(36).with_variant(sa.UUID(as_uuid=False), "postgresql")
ITEM = sa.table("item", sa.column("id", ID), *map(sa.column, ("title", "sort_title", "search_title", "identity")))
MEDIA_FILE = sa.table("media_file", sa.column("id", ID), *map(sa.column, ("label", "streams")))


def upgrade() -> None:
    """Clean what scans and imports have stored."""
    connection = op.get_bind()
    for row in _rows(connection, ITEM, {"title": TITLE, "sort_title": KEY, "search_title": 4 * TITLE, "identity": KEY}):
        identity, bar, numbers = row.identity.partition("|")
        _update(
            connection,
            ITEM,
            row,
            title=_cleaned(row.title, TITLE) or "Untitled",
            sort_title=_bounded(row.sort_title),
            search_title=row.search_title[: 4 * TITLE],
            identity=_bounded(identity) + bar + numbers,
        )
    for row in _rows(connection, MEDIA_FILE, {"label": LABEL, "streams": 20 * STREAM_TITLE}):
        _update(connection, MEDIA_FILE, row, label=_cleaned(row.label, LABEL), streams=_streams(row.streams))
    for table, column, most in (
        ("progress", "session", DEVICE),
        ("progress", "device", DEVICE),
        ("progress", "completed_session", DEVICE),
        ("kept_position", "device", DEVICE),
        ("play", "source", SOURCE),
    ):
        connection.execute(
            sa.text(f"UPDATE {table} SET {column} = substr({column}, 1, {most}) WHERE length({column}) > {most}")  # noqa: S608 - names of ours
        )


def _rows(connection: sa.Connection, table: sa.TableClause, limits: dict[str, int]) -> Iterator[sa.Row[Any]]:
    """Give the rows whose first text is not clean, or with one over its limit; singly: one may have a megabyte."""
    text, most = next(iter(limits.items()))
    is_long = sa.or_(*(sa.func.length(table.c[name]) > limit for name, limit in limits.items()))
    beginning = sa.func.substr(table.c[text], 1, most).label("beginning")
    query = sa.select(table.c.id, beginning, is_long.label("is_long")).order_by(table.c.id).limit(ROWS_AT_ONCE)
    rows = connection.execute(query).all()
    while rows:
        for row in rows:
            if row.is_long or _cleaned(row.beginning, most) != row.beginning:
                yield connection.execute(sa.select(table).where(table.c.id == row.id)).one()
        rows = connection.execute(query.where(table.c.id > rows[-1].id)).all()


def _update(connection: sa.Connection, table: sa.TableClause, row: sa.Row[Any], **values: object) -> None:
    changed = {name: value for name, value in values.items() if value != getattr(row, name)}
    if changed:
        connection.execute(sa.update(table).where(table.c.id == row.id).values(changed))


def _cleaned(text: str, most: int) -> str:
    return " ".join(STEERING.sub(" ", text[: 8 * most]).split())[:most].rstrip()


def _bounded(text: str) -> str:
    encoded = text.encode()
    if len(encoded) <= KEY_BYTES:
        return text
    digest = blake2b(encoded, digest_size=DIGEST_BYTES).hexdigest()
    return f"{encoded[: KEY_BYTES - 2 * DIGEST_BYTES - 1].decode('utf-8', 'ignore')} {digest}"


def _streams(document: str | None) -> str | None:
    if document is None:
        return None
    streams = json.loads(document)[:STREAMS]
    for stream in streams:
        for name, most in (("title", STREAM_TITLE), ("language", LANGUAGE)):
            if stream.get(name):
                stream[name] = _cleaned(stream[name], most) or None
    return json.dumps(streams, ensure_ascii=False, separators=(",", ":"))
