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
    "Keeper",
    "Later",
    "Numbers",
    "OneWriteProtocol",
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
        for source in (ROOT / "src").rglob("*.py")
        for name in identifiers(source)
        if name.strip("_") in RETIRED
    }
    assert found == set()
