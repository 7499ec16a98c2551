"""Extracts every text of pages and scripts, and brings each catalog up to date with them. `make messages` runs it.

With the tag of a language, such as `fr`, its catalog is made where there is none yet.
"""

import argparse
import io
from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.pofile import read_po, write_po

from playhead.http.pages.translations import FOLDER, SOURCE, catalog_path, read_catalog, tags

PACKAGE = FOLDER.parent
METHODS = [
    ("pages/**.py", "python"),
    ("templates/**.html", "jinja2.ext:babel_extract"),
    ("static/**.js", "javascript"),
]
OPTIONS = {"templates/**.html": {"trimmed": "true", "newstyle_gettext": "true", "silent": "false"}}
KEYWORDS = DEFAULT_KEYWORDS | {"deferred": None}
WIDTH = 110


def extract() -> Catalog:
    """Return all messages that the source has, with the files in which they stand."""
    catalog = Catalog(project="Playhead", charset="utf-8")
    found = extract_from_dir(PACKAGE, METHODS, OPTIONS, keywords=KEYWORDS, comment_tags=("Translators:",))
    for path, _line, message, comments, _context in found:
        catalog.add(message, locations=[(Path(path).as_posix(), 0)], auto_comments=comments)
    return catalog


def updated(tag: str) -> bytes:
    """Return the catalog of a language as its file should be: each message once, new ones without a translation."""
    if catalog_path(tag).exists():
        catalog = read_catalog(tag)
    else:
        catalog = Catalog(locale=tag.replace("-", "_"), project="Playhead", charset="utf-8")
    kept = catalog.revision_date
    catalog.update(extract(), no_fuzzy_matching=True, update_header_comment=False)
    catalog.obsolete.clear()
    catalog.header_comment = "# Texts of Playhead's pages. `make messages` brings this file up to date."
    catalog.fuzzy = False
    catalog.creation_date = catalog.revision_date = (
        kept if isinstance(kept, datetime) else datetime(2026, 1, 1, tzinfo=UTC)
    )
    written = io.BytesIO()
    write_po(written, catalog, width=WIDTH, sort_by_file=True, include_lineno=False, ignore_obsolete=True)
    return written.getvalue()


def main() -> None:
    """Update the catalogs of all languages and of those that are named, and say what is left to translate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tags", nargs="*", help="languages to begin, such as fr or pt-BR")
    for tag in sorted({*tags(), *parser.parse_args().tags} - {SOURCE}):
        path = catalog_path(tag)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(updated(tag))
        catalog = read_po(io.BytesIO(path.read_bytes()), locale=tag.replace("-", "_"))
        left = sum(
            1
            for message in catalog
            if message.id and not all([message.string] if isinstance(message.string, str) else message.string)
        )
        print(f"{path}: {len(catalog)} texts, {left} to translate")  # noqa: T201 - what a script is for


if __name__ == "__main__":
    main()
