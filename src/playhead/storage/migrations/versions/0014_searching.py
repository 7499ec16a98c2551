"""Searches: the words of all titles by what a typo makes of them, and indexes of titles and air dates."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql, sqlite

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

ROWS_AT_ONCE = 1_000

# As domain/searching.py had them when this was released.
TYPO_LENGTHS = range(4, 33)

ID = sa.String(36).with_variant(sa.UUID(as_uuid=False), "postgresql")
SORTED = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
ITEM = sa.table("item", sa.column("id", ID), sa.column("search_title"))


def upgrade() -> None:
    """Make the table and the indexes, and fill the table from the stored titles."""
    spelling = op.create_table(
        "spelling",
        sa.Column("key", SORTED, nullable=False),
        sa.Column("word", SORTED, nullable=False),
        sa.PrimaryKeyConstraint("key", "word", name="pk_spelling"),
        sqlite_with_rowid=False,
    )
    connection = op.get_bind()
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(spelling).on_conflict_do_nothing()
    query = sa.select(ITEM.c.id, ITEM.c.search_title).order_by(ITEM.c.id).limit(ROWS_AT_ONCE)
    rows = connection.execute(query).all()
    while rows:
        words = {word for row in rows for word in row.search_title.split() if _takes_typos(word)}
        pairs = sorted({(key, word) for word in words for key in _keys(word)})
        if pairs:
            connection.execute(statement, [{"key": key, "word": word} for key, word in pairs])
        rows = connection.execute(query.where(ITEM.c.id > rows[-1].id)).all()
    op.create_index("ix_item_air_date", "item", ["air_date"])
    if connection.dialect.name == "sqlite":
        op.create_index("ix_item_search_title_year_kind", "item", ["search_title", "year", "kind"])


def _takes_typos(word: str) -> bool:
    return len(word) in TYPO_LENGTHS and any(map(str.isalpha, word)) and not any(map(str.isdigit, word))


def _keys(word: str) -> set[str]:
    return {word} | {word[:at] + word[at + 1 :] for at in range(len(word))}
