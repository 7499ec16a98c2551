"""The glossary names every type of the domain, and retired words do not come back."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text("utf-8")

# Names that code had for things with a standard name; `docs/glossary.md` has the standard ones.
RETIRED = (
    "Awaited",
    "Belongings",
    "Impostor",
    "Keeper",
    "Later",
    "Numbers",
    "OneWriteProtocol",
    "SharedDevice",
    "Shelf",
    "ShelfPage",
    "Traffic",
    "Trusted",
    "Workshop",
    "at_once",
    "end_if_still",
    "in_vain",
    "peek",
    "peeker",
    "recall",
)

# Phrases that documentation, comments and messages had for what has a standard wording, in lower case.
RETIRED_PHRASES = (
    "as long as nobody asks",
    "came to no end",
    "ever more slowly",
    "here is nobody who",
    "in turns of the loop",
    "is no folder",
    "is told to end",
    "nobody's place",
    "of its own accord",
    "seconds that never jump",
    "shared device",
    "there is nothing to compile",
    "those who were just answered",
    "turn of the loop",
    "whole and sound",
)

# Helper modules of tests whose names had to be guessed.
RETIRED_MODULES = ("crew", "impostor", "reels", "screen", "shelf", "shelves", "support", "surfer", "work")


def public_classes(folder: Path) -> set[str]:
    return {
        node.name
        for source in folder.rglob("*.py")
        for node in ast.parse(source.read_text("utf-8")).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    }


def identifiers(source: Path) -> set[str]:
    tree = ast.parse(source.read_text("utf-8"))
    return (
        {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        | {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        | {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
        | {
            node.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        }
    )


def texts() -> dict[Path, str]:
    """What people write, and read: code, tests, documentation and pages, except this module and the changelog."""
    kinds = {".css", ".html", ".js", ".md", ".po", ".py"}
    folders = ("src", "tests", "docs", "scripts", "bench")
    found = [
        *(path for folder in folders for path in (ROOT / folder).rglob("*") if "node_modules" not in path.parts),
        *(page for page in ROOT.glob("*.md") if page.name != "CHANGELOG.md"),
    ]
    return {path: path.read_text("utf-8") for path in found if path.suffix in kinds and path != Path(__file__)}


def test_every_public_type_of_the_domain_is_in_the_glossary():
    explained = set(re.findall(r"`([A-Z]\w+)`", GLOSSARY))
    assert public_classes(ROOT / "src" / "playhead" / "domain") - explained == set()


def test_the_glossary_names_only_types_that_exist():
    explained = set(re.findall(r"`([A-Z]\w+)`", GLOSSARY)) - {"Database", "Retry"}
    assert explained - public_classes(ROOT / "src" / "playhead" / "domain") == set()


def test_a_type_name_has_one_meaning():
    names = [
        node.name
        for source in (ROOT / "src").rglob("*.py")
        for node in ast.parse(source.read_text("utf-8")).body
        if isinstance(node, ast.ClassDef)
    ]
    assert sorted(name for name in set(names) if names.count(name) > 1) == []


def test_retired_names_do_not_come_back():
    found = {
        f"{source.relative_to(ROOT)}: {name}"
        for folder in ("src", "tests")
        for source in (ROOT / folder).rglob("*.py")
        if "node_modules" not in source.parts
        for name in identifiers(source)
        if name.strip("_") in RETIRED
    }
    assert found == set()


def test_retired_phrases_do_not_come_back():
    found = {
        f"{path.relative_to(ROOT)}: {phrase}"
        for path, text in texts().items()
        for phrase in RETIRED_PHRASES
        if phrase in " ".join(re.sub(r"#|//", " ", text.lower()).split())
    }
    assert found == set()


def test_retired_modules_of_tests_do_not_come_back():
    assert [name for name in RETIRED_MODULES if (ROOT / "tests" / f"{name}.py").exists()] == []
