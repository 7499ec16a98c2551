"""Documentation and program agree: what is undocumented, or documented but gone, fails here."""

import ast
import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
from typer.core import TyperArgument, TyperCommand, TyperGroup
from typer.main import get_command

from playhead.cli import app
from playhead.config import CONFIG_VARIABLE, ENVIRONMENT_PREFIX, Settings
from playhead.domain import limits, texts
from playhead.errors import Code
from playhead.http.errors import STATUS
from playhead.http.routes import ServerContext, table
from playhead.services.installation import Services
from playhead.storage import schema

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
PAGE_NAMES = [str(page.relative_to(ROOT)) for page in PAGES]

pages = pytest.mark.parametrize("sheet", PAGES, ids=PAGE_NAMES)


def text_of(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def fences(text: str, *languages: str) -> list[str]:
    """The fenced code blocks of a page, in all languages or in these."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [body for language, body in found if not languages or language in languages]


def sections(text: str) -> dict[str, str]:
    """The text below each heading of any level, up to the next heading."""
    prose = re.sub(r"^```.*?^```$", lambda fence: fence[0].replace("\n#", "\n "), text, flags=re.MULTILINE | re.DOTALL)
    parts = re.split(r"^#+ (.+)$", prose, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


# Routes


def routes_of_the_table() -> set[str]:
    # the table only binds the endpoints that it is given
    services, context = (
        kind(**dict.fromkeys(field.name for field in fields(kind))) for kind in (Services, ServerContext)
    )
    return {f"{route.method} {route.path.replace(':path}', '}')}" for route in table(services, context)}


def test_every_route_is_documented_and_no_other():
    documented = re.findall(r"\b((?:GET|HEAD|POST|PUT|PATCH|DELETE) +/[^\s`?,;:)]*)", text_of("docs/api.md"))
    assert {" ".join(each.split()) for each in documented} == routes_of_the_table()


# Errors


def error_texts() -> set[str]:
    """The texts that clients can receive, as patterns: arguments of error constructors, and tables of texts."""
    makers = {"PlayheadError", "not_found", "conflict"}
    found: set[str] = set()
    for source in SOURCES:
        for node in ast.walk(ast.parse(source.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in makers:
                found |= {pattern_of(each) for each in node.args if isinstance(each, ast.Constant | ast.JoinedStr)}
            elif isinstance(node, ast.Constant) and re.fullmatch(
                r"[A-Z][a-z]+( [a-z]+)* (not found|is not a movie)", str(node.value)
            ):
                found.add(pattern_of(node))
    return found


def pattern_of(text: ast.expr) -> str:
    """The form of a text in the documentation: a word in capitals stands for each inserted value."""
    parts = text.values if isinstance(text, ast.JoinedStr) else [text]
    return "".join(re.escape(str(part.value)) if isinstance(part, ast.Constant) else "[A-Z]+" for part in parts)


def test_every_error_is_documented_with_its_status():
    rows = re.findall(r"^\| (\d{3}) \| `([a-z-]+)` \|", text_of("docs/api.md"), re.MULTILINE)
    assert {(int(status), code) for status, code in rows} == {(STATUS[code], code.value) for code in Code}


def test_every_text_of_an_error_is_documented():
    documented = " ".join(text_of("docs/api.md").split())
    texts = error_texts()
    assert re.escape("Media item is not a movie") in texts
    assert sorted(text for text in texts if not re.search(f"`{text}`", documented)) == []


# Settings


def settings_rows() -> dict[str, list[str]]:
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text_of("docs/settings.md").splitlines()
        if line.startswith("| `")
    ]
    return {row[0].strip("`"): row[1:] for row in rows}


def test_every_setting_is_documented_and_no_other():
    assert settings_rows().keys() == Settings.model_fields.keys()


@pytest.mark.parametrize("name", Settings.model_fields)
def test_a_setting_is_documented_with_variable_flag_and_default(name: str):
    flag, variable, default, _ = settings_rows()[name]
    assert variable == f"`{ENVIRONMENT_PREFIX}{name.upper()}`"
    options = {option for command in commands().values() for option in options_of(command)}
    option = f"--{name.replace('_', '-')}"
    assert flag == (f"`{option}`" if option in options else "")
    value = Settings.model_fields[name].default
    if value not in ("", ()) and Settings.model_fields[name].default_factory is None:
        assert default == f"`{value}`"


@pages
def test_every_variable_that_a_page_names_is_a_setting(sheet: Path):
    known = {f"{ENVIRONMENT_PREFIX}{name.upper()}" for name in Settings.model_fields} | {CONFIG_VARIABLE}
    named = set(re.findall(rf"\b{ENVIRONMENT_PREFIX}[A-Z_]+\b", sheet.read_text("utf-8")))
    assert named - known == set()


def test_the_example_of_a_settings_file_is_accepted():
    (example,) = fences(text_of("docs/settings.md"), "toml")
    Settings(**tomllib.loads(example))


# Commands


def commands() -> dict[str, TyperCommand]:
    """Every command that does something, by its words."""

    def walk(command: TyperCommand | TyperGroup, words: str) -> Iterator[tuple[str, TyperCommand]]:
        if isinstance(command, TyperCommand):
            yield words, command
            return
        for name, child in command.commands.items():
            yield from walk(child, f"{words} {name}")

    return dict(walk(get_command(app), "playhead"))


def options_of(command: TyperCommand) -> set[str]:
    return {name for parameter in command.params for name in parameter.opts if name.startswith("--")}


def arguments_of(command: TyperCommand) -> list[str]:
    return [
        (each.metavar or each.name).strip("[]").upper() for each in command.params if isinstance(each, TyperArgument)
    ]


def documented_commands() -> dict[str, tuple[str, str]]:
    """The words of a command as in its heading, with the whole heading and the text below it."""
    found = {}
    for heading, body in sections(text_of("docs/commands.md")).items():
        if heading.startswith("playhead "):
            words = re.match(r"playhead( [a-z-]+)+", heading)
            assert words is not None
            found[words[0]] = (heading, body)
    return found


def test_every_command_is_documented_and_no_other():
    assert documented_commands().keys() == commands().keys()


@pytest.mark.parametrize("words", commands())
def test_a_command_is_documented_with_its_options_and_arguments(words: str):
    heading, body = documented_commands()[words]
    command = commands()[words]
    named = re.findall(r"[A-Z][A-Z_]+", heading.removeprefix(words))
    assert named == arguments_of(command)
    everywhere = {"--data", "--database"}  # documented once, above all commands
    assert set(re.findall(r"--[a-z-]+", body)) - everywhere == options_of(command) - everywhere - {"--help"}


@pages
def test_every_command_line_that_a_page_shows_exists(sheet: Path):
    known = commands()
    blocks = fences(sheet.read_text("utf-8"), "sh", "console", "ini", "")
    for line in re.findall(r"\bplayhead ((?!playhead)[a-z][^\n#|)&]*)", "\n".join(blocks)):
        words = next((name for name in known if f"playhead {line} ".startswith(f"{name} ")), None)
        assert words is not None, f"{sheet.name} shows 'playhead {line}', which is no command"
        assert set(re.findall(r"--[a-z-]+", line)) <= options_of(known[words]) | {"--help"}, line


# Files, links, targets


@pages
def test_every_make_target_that_a_page_names_exists(sheet: Path):
    targets = set(re.findall(r"^([a-z-]+):", text_of("Makefile"), re.MULTILINE))
    text = sheet.read_text("utf-8")
    named = {
        *re.findall(r"`make ([a-z-]+)`", text),
        *re.findall(r"^make ([a-z-]+)", "\n".join(fences(text)), re.MULTILINE),
    }
    assert named - targets == set()


def test_every_make_target_is_explained_to_contributors():
    targets = set(re.findall(r"^([a-z-]+):.*##", text_of("Makefile"), re.MULTILINE))
    assert targets == set(re.findall(r"^\| `make ([a-z-]+)`", text_of("CONTRIBUTING.md"), re.MULTILINE))


def slug(heading: str) -> str:
    """The anchor of a heading: lower case, hyphens for blanks, no punctuation."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pages
def test_every_link_of_a_page_leads_somewhere(sheet: Path):
    for target in re.findall(r"\]\(([^)\s]+)\)", sheet.read_text("utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = sheet.parent / path if path else sheet
        assert file.exists(), f"{sheet.name} links to {target}"
        if anchor:
            assert anchor in {slug(heading) for heading in sections(file.read_text("utf-8"))}, target


@pages
def test_every_file_that_a_page_names_exists(sheet: Path):
    prose = re.sub(r"^```.*?^```$", "", sheet.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    for name in re.findall(r"`([\w./-]+/(?:[\w-]+\.(?:py|md|toml|html|css))?)`", prose):
        if not name.startswith("/"):
            assert any((place / name).exists() for place in (ROOT, ROOT / "src" / "playhead")), name


def test_where_to_look_first_names_what_exists():
    walk = sections(text_of("CONTRIBUTING.md"))["Where to look first"]
    rows = re.findall(r"^\| [^|`]+ \| (.+) \|$", walk, re.MULTILINE)
    assert len(rows) > 5
    for row in rows:
        names = re.findall(r"`([^`]+)`", row)
        paths = [ROOT / name for name in names if "/" in name]
        text = " ".join(path.read_text("utf-8") for path in paths)
        assert [name for name in names if "/" not in name and not re.search(rf"\b{name}\b", text)] == []


def test_every_page_that_the_program_names_exists():
    texts = [*SOURCES, *(ROOT / "tests").rglob("*.py"), ROOT / "Makefile", ROOT / "pyproject.toml"]
    named = {name for text in texts for name in re.findall(r"\bdocs/[\w./-]+\.md", text.read_text("utf-8"))}
    assert sorted(name for name in named if not (ROOT / name).is_file()) == []


def test_every_page_can_be_reached_from_the_readme():
    reached: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        links = re.findall(r"\]\(([^)\s#:]+)", page.read_text("utf-8"))
        waiting += [(page.parent / link).resolve() for link in links if not link.startswith("http")]
    assert sorted(set(PAGES) - reached) == []


@pages
def test_no_page_names_a_folder_of_somebodys_machine(sheet: Path):
    assert re.findall(r"/(?:home|Users|root|work|tmp)/\S*", sheet.read_text("utf-8")) == []


# Limits


def limit_rows() -> list[list[str]]:
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in sections(text_of("docs/limits.md"))["Numbers"].splitlines()
        if line.startswith("| ") and not line.startswith("| what ")
    ]


def test_every_limit_is_documented_with_its_number_and_no_other():
    table = {(each.what, f"{each.most:,}") for each in vars(limits).values() if isinstance(each, limits.Limit)}
    assert {(what, number) for what, number, *_ in limit_rows()} == table


def test_every_limit_of_a_text_is_documented_with_its_number_and_no_other():
    rows = [
        tuple(cell.strip() for cell in line.strip("|").split("|")[:2])
        for line in sections(text_of("docs/limits.md"))["Texts"].splitlines()
        if line.startswith("| ") and not line.startswith("| what ")
    ]
    table = {(each.what, f"{each.characters:,}") for each in vars(texts).values() if isinstance(each, texts.TextLimit)}
    assert len(rows) == len(table)
    assert set(rows) == table


def test_every_limit_has_its_own_test():
    named = [row[-1].strip("`") for row in limit_rows()]
    assert len(set(named)) == len(named)
    for place in named:
        file, _, test = place.partition("::")
        assert re.search(rf"^(async )?def {test}\(", text_of(file), re.MULTILINE), place


def test_every_table_of_the_database_is_bounded_and_no_others_are_documented():
    rows = re.findall(r"^\| (`.*?) \|", sections(text_of("docs/limits.md"))["Tables"], re.MULTILINE)
    named = [table for row in rows for table in re.findall(r"`(\w+)`", row)]
    assert len(set(named)) == len(named)
    assert set(named) == set(schema.metadata.tables), "say in docs/limits.md what keeps the table from growing"


# Examples


@pages
def test_every_example_of_json_and_python_can_be_read(sheet: Path):
    text = sheet.read_text("utf-8")
    for example in fences(text, "json"):
        json.loads(example)
    for example in fences(text, "python"):
        ast.parse(example)


def test_every_worked_example_of_the_semantics_is_a_test():
    numbers = set(re.findall(r"^\| (\d+) \|", text_of("docs/semantics.md"), re.MULTILINE))
    tests = "\n".join(test.read_text("utf-8") for test in (ROOT / "tests").rglob("test_*.py"))
    assert numbers == set(re.findall(r"def test_example_(\d+)_", tests))


def test_every_promise_of_durability_has_its_test():
    text = text_of("docs/durability.md")
    rows = re.findall(r"^\| .*::.*$", text, re.MULTILINE)
    named = {place for row in rows for place in re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", row)}
    assert rows
    assert text.count("::test_") == len(named)  # each is written as it is run, and named once
    for file, test in named:
        assert re.search(rf"^(async )?def {test}\(", text_of(file), re.MULTILINE), f"{file}::{test}"
    proved = {file for file, _ in named}
    assert set(re.findall(r"tests/[\w/]+\.py", text_of("Makefile"))) <= proved


def test_the_changelog_knows_this_version():
    version = tomllib.loads(text_of("pyproject.toml"))["project"]["version"]
    assert f"## [{version}]" in text_of("CHANGELOG.md")


# Tests


def fixed_waits(module: ast.Module) -> Iterator[int]:
    """The lines that wait for a fixed time instead of an event.

    A pause inside a loop is a poll, one of no length is an iteration of the event loop, and one of random length is a
    schedule.
    """

    def waits(call: ast.Call, *, polls: bool) -> bool:
        name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        is_varied = name == "sleep" and re.search(r"Constant\(value=0\)|uniform", ast.dump(call.args[0])) is not None
        return name == "wait_for_timeout" or (name == "sleep" and not polls and not is_varied)

    def walk(node: ast.AST, *, polls: bool) -> Iterator[int]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Call) and waits(child, polls=polls):
                yield child.lineno
            inside = isinstance(child, ast.While | ast.For | ast.AsyncFor)
            is_function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from walk(child, polls=inside or (polls and not is_function))

    return walk(module, polls=False)


@pytest.mark.parametrize(
    ("source", "waits"),
    [
        ("time.sleep(1)", True),
        ("page.wait_for_timeout(10)", True),
        ("while not done: time.sleep(0.1)", False),
        ("await asyncio.sleep(0)", False),
        ("time.sleep(random.uniform(1, 2))", False),
    ],
)
def test_a_fixed_wait_is_distinguished_from_a_poll(source: str, *, waits: bool):
    assert any(fixed_waits(ast.parse(source))) is waits


def test_no_test_waits_for_a_fixed_time():
    modules = sorted((ROOT / "tests").rglob("*.py"))
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in modules
        for line in fixed_waits(ast.parse(path.read_text("utf-8")))
    ]
    assert found == []
