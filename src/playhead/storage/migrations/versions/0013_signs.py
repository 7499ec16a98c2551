"""Identities of titles with signs: '+1' is not '1', and 'C++' is not 'C#'."""

import re
import unicodedata
from hashlib import blake2b

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

# As domain/catalogue.py and domain/texts.py had them when this was released.
ARTICLE = re.compile(r"^(?:the|an|a) (?=.)")
ARTICLE_BEHIND = re.compile(r"^(.+), *(?:the|an|a)$")
COMBINING_ACCENTS = re.compile("[\u0300-\u036f]")
APOSTROPHES = re.compile("['\u2019\u02bc`\u00b4]")
INITIALS = re.compile(r"\b(?:[^\W\d_] ){1,}[^\W\d_]\b")
SIGNS = re.compile(r"(?<=\w)[+#%]+(?!\w)|(?<!\w)[+#]+(?=\w)|[$\u20ac\u00a3]+(?=\w)")
STROKES = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "\u0131": "i"})
KEY_BYTES, DIGEST_BYTES = 1_600, 16

ID = sa.String(36).with_variant(sa.UUID(as_uuid=False), "postgresql")
ITEM = sa.table("item", *(sa.column(name, ID) for name in ("id", "show_id")), *map(sa.column, ("title", "identity")))


def upgrade() -> None:
    """Compute the identities of such movies and shows anew, and of the shows' episodes."""
    connection = op.get_bind()
    has_sign = sa.or_(*(ITEM.c.title.contains(sign, autoescape=True) for sign in "+#%$\u20ac\u00a3"))
    for row in connection.execute(sa.select(ITEM).where(has_sign, ITEM.c.show_id.is_(None))).all():
        before, bar, numbers = row.identity.partition("|")
        key = _bounded(_comparable(row.title))
        if key == before:
            continue
        connection.execute(sa.update(ITEM).where(ITEM.c.id == row.id).values(identity=key + bar + numbers))
        for episode in connection.execute(sa.select(ITEM).where(ITEM.c.show_id == row.id)).all():
            rest = episode.identity.partition("|")[2]
            connection.execute(sa.update(ITEM).where(ITEM.c.id == episode.id).values(identity=f"{key}|{rest}"))


def _comparable(title: str) -> str:
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", title).casefold())
    folded = unicodedata.normalize("NFC", COMBINING_ACCENTS.sub("", decomposed)).translate(STROKES)
    folded = " ".join(folded.split())
    words = _words(ARTICLE_BEHIND.sub(r"\1", folded))
    return ARTICLE.sub("", words) or folded.replace("|", "/")


def _words(folded: str) -> str:
    joined = APOSTROPHES.sub("", folded).replace("&", " and ")
    kept = {at for match in SIGNS.finditer(joined) for at in range(*match.span())}
    spaced = "".join(
        c if at in kept or c.isalnum() or unicodedata.category(c) in {"Mn", "Mc"} else " "
        for at, c in enumerate(joined)
    )
    return INITIALS.sub(lambda run: run[0].replace(" ", ""), " ".join(spaced.split()))


def _bounded(text: str) -> str:
    encoded = text.encode()
    if len(encoded) <= KEY_BYTES:
        return text
    digest = blake2b(encoded, digest_size=DIGEST_BYTES).hexdigest()
    return f"{encoded[: KEY_BYTES - 2 * DIGEST_BYTES - 1].decode('utf-8', 'ignore')} {digest}"
