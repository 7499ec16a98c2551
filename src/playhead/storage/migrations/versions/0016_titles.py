"""One item per title: libraries hold items, old ids become aliases, and admins' decisions have tables of their own.

Every item stays, with its id, as the title of the one library that had it. Titles that two libraries hold twice are
merged afterwards, by the server, one by one, because that needs the rules of the domain.
"""

import json
import logging
from collections.abc import Iterator
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

ID = sa.String(36).with_variant(sa.UUID(as_uuid=False), "postgresql")
SORTED = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

ROWS_AT_ONCE = 5_000

log = logging.getLogger("playhead.storage.migrations")

# As the migrations before left them.
LIBRARY = sa.Table(
    "library",
    sa.MetaData(),
    sa.Column("id", ID, nullable=False),
    sa.Column("name", SORTED, nullable=False),
    sa.Column("kind", sa.Text(), nullable=False),
    sa.Column("path", sa.Text()),
    sa.Column("created_at", sa.BigInteger(), nullable=False),
    sa.Column("scanned_at", sa.BigInteger()),
    sa.Column("scan_report", sa.Text()),
    sa.Column("scan_id", ID),
    sa.Column("scan_until", sa.BigInteger()),
    sa.PrimaryKeyConstraint("id", name="pk_library"),
    sa.UniqueConstraint("name", name="uq_library_name"),
)
ITEM = sa.Table(
    "item",
    sa.MetaData(),
    sa.Column("id", ID, nullable=False),
    sa.Column("library_id", ID, nullable=False),
    sa.Column("kind", sa.Text(), nullable=False),
    sa.Column("show_id", ID),
    sa.Column("title", sa.Text(), nullable=False),
    sa.Column("sort_title", SORTED, nullable=False),
    sa.Column("search_title", sa.Text(), nullable=False),
    sa.Column("year", sa.Integer()),
    sa.Column("season_number", sa.Integer()),
    sa.Column("episode_number", sa.Integer()),
    sa.Column("episode_end", sa.Integer()),
    sa.Column("air_date", sa.Text()),
    sa.Column("identity", sa.Text(), nullable=False),
    sa.Column("runtime_ms", sa.BigInteger()),
    sa.Column("credits_ms", sa.BigInteger()),
    sa.Column("added_at", sa.BigInteger(), nullable=False),
    sa.Column("removed_at", sa.BigInteger()),
    sa.Column("placed_season", sa.Integer()),
    sa.Column("placed_before", sa.Integer()),
    sa.ForeignKeyConstraint(["library_id"], ["library.id"], name="fk_item_library_id", ondelete="CASCADE"),
    sa.ForeignKeyConstraint(["show_id"], ["item.id"], name="fk_item_show_id", ondelete="CASCADE"),
    sa.PrimaryKeyConstraint("id", name="pk_item"),
    sqlite_with_rowid=False,
)
MEDIA_FILE = sa.table(
    "media_file",
    *(sa.column(name, ID) for name in ("id", "library_id")),
    *map(sa.column, ("duration_ms", "credits_ms", "fault", "removed_at")),
)
FILE_ITEM = sa.table("file_item", *(sa.column(name, ID) for name in ("file_id", "item_id")), sa.column("part"))


def upgrade() -> None:
    """Make the tables, and fill them from the items that exist."""
    _create_tables()
    op.add_column("progress", sa.Column("file_id", sa.Text()))
    op.add_column("media_file", sa.Column("meant", sa.Text()))
    _fill_holdings()
    op.drop_index("ix_item_library_id_identity", "item")
    op.drop_index("ix_item_library_id_kind_sort_title", "item")
    op.drop_index("ix_item_show_id_season_number_episode_number", "item")
    op.drop_index("ix_item_air_date", "item")
    is_sqlite = op.get_context().dialect.name == "sqlite"
    if is_sqlite:
        op.drop_index("ix_item_search_title_year_kind", "item")
    with op.batch_alter_table("item", copy_from=ITEM, table_kwargs={"sqlite_with_rowid": False}) as batch:
        batch.drop_constraint("fk_item_library_id", type_="foreignkey")
        batch.drop_column("library_id")
        batch.drop_column("removed_at")
        batch.alter_column("identity", existing_type=sa.Text(), type_=SORTED, existing_nullable=False)
        batch.add_column(sa.Column("files", sa.Text()))
        batch.add_column(sa.Column("pinned", sa.Text()))
        batch.add_column(sa.Column("is_open", sa.Boolean(), nullable=False, server_default=sa.false()))
        batch.add_column(sa.Column("owner_id", ID))
    with op.batch_alter_table("item", table_kwargs={"sqlite_with_rowid": False}) as batch:
        batch.alter_column("is_open", existing_type=sa.Boolean(), server_default=None)
    op.create_index("ix_item_kind_sort_title", "item", ["kind", "sort_title", "id"])
    op.create_index("ix_item_identity", "item", ["identity"])
    op.create_index(
        "ix_item_show_id_season_number_episode_number", "item", ["show_id", "season_number", "episode_number"]
    )
    op.create_index("ix_item_air_date", "item", ["air_date"])
    if is_sqlite:
        op.create_index("ix_item_search_title_year_kind", "item", ["search_title", "year", "kind"])
    _fill_files()
    with op.batch_alter_table("library", copy_from=LIBRARY) as batch:
        batch.drop_constraint("uq_library_name", type_="unique")
        batch.add_column(sa.Column("removed_at", sa.BigInteger()))
    op.create_index(
        "uq_library_name",
        "library",
        ["name"],
        unique=True,
        sqlite_where=sa.text("removed_at IS NULL"),
        postgresql_where=sa.text("removed_at IS NULL"),
    )
    op.drop_index("ix_media_file_library_id_fingerprint", "media_file")
    op.create_index("ix_media_file_fingerprint", "media_file", ["fingerprint"])


def _create_tables() -> None:
    op.create_table(
        "holding",
        sa.Column("item_id", ID, nullable=False),
        sa.Column("library_id", ID, nullable=False),
        sa.Column("added_at", sa.BigInteger(), nullable=False),
        sa.Column("removed_at", sa.BigInteger()),
        sa.Column("ended_at", sa.BigInteger()),
        sa.Column("told", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name="fk_holding_item_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["library_id"], ["library.id"], name="fk_holding_library_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("item_id", "library_id", name="pk_holding"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "alias",
        sa.Column("id", ID, nullable=False),
        sa.Column("item_id", ID, nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("swept_at", sa.BigInteger()),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name="fk_alias_item_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_alias"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_alias_item_id", "alias", ["item_id"])
    op.create_table(
        "identification",
        sa.Column("id", ID, nullable=False),
        sa.Column("library_id", ID, nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text()),
        sa.Column("told", sa.Text(), nullable=False),
        sa.Column("made_by", ID, nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_identification"),
        sa.UniqueConstraint("library_id", "path", name="uq_identification_library_id_path"),
        sa.ForeignKeyConstraint(
            ["library_id"], ["library.id"], name="fk_identification_library_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_identification_fingerprint", "identification", ["fingerprint"])
    op.create_table(
        "audit",
        sa.Column("id", ID, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("user_id", ID),
        sa.Column("act", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("undone_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
    )
    op.create_index("ix_audit_at", "audit", ["at", "id"])


def _fill_holdings() -> None:
    made = "json_object('title', title, 'year', year)"
    if op.get_context().dialect.name == "postgresql":
        made = "json_build_object('title', title, 'year', year)::text"
    op.execute(
        "INSERT INTO holding (item_id, library_id, added_at, removed_at, told) "  # noqa: S608 - a text of ours
        f"SELECT id, library_id, added_at, removed_at, {made} FROM item ORDER BY id"
    )
    op.create_index("ix_holding_library_id_item_id", "holding", ["library_id", "item_id", "removed_at", "ended_at"])


def _fill_files() -> None:
    """Store with every item what its files say: id, library, length, credits, part, first item, last number."""
    connection = op.get_bind()
    of_items: dict[str, list[list[object]]] = {}
    for file_id, group in groupby(_links(connection), key=lambda row: row.file_id):
        rows = sorted(group, key=lambda row: (row.season_number or 0, row.episode_number or 0, row.item_id))
        first, end = rows[0].item_id, rows[-1].episode_number
        for row in rows:
            facts = [file_id, row.library_id, row.duration_ms, row.credits_ms, row.part, first, end]
            of_items.setdefault(row.item_id, []).append(facts)
    statement = sa.text("UPDATE item SET files = :files WHERE id = :id").bindparams(sa.bindparam("id", type_=ID))
    changes = [
        {"id": item_id, "files": json.dumps(files, separators=(",", ":"))} for item_id, files in of_items.items()
    ]
    for start in range(0, len(changes), ROWS_AT_ONCE):
        some = changes[start : start + ROWS_AT_ONCE]
        connection.execute(statement, some)
        log.info("Titles: the files of %s of %s items are known", start + len(some), len(changes))


def _links(connection: sa.Connection) -> Iterator[sa.Row[Any]]:
    item = sa.table("item", sa.column("id", ID), *map(sa.column, ("season_number", "episode_number")))
    query: sa.Select[Any] = (
        sa.select(*FILE_ITEM.c, *MEDIA_FILE.c["library_id", "duration_ms", "credits_ms"], *item.c)
        .join(MEDIA_FILE, MEDIA_FILE.c.id == FILE_ITEM.c.file_id)
        .join(item, item.c.id == FILE_ITEM.c.item_id)
        .where(MEDIA_FILE.c.removed_at.is_(None), MEDIA_FILE.c.fault.is_(None))
        .order_by(FILE_ITEM.c.file_id)
    )
    return iter(connection.execute(query).all())
