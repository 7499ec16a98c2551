"""`playhead item …`: putting right which files belong to which item."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from playhead.cli.installation import DatabaseOption, DataOption, operator, run
from playhead.domain.model import FileId, ItemId, ItemKind, canonical_id
from playhead.terminal import fail, print_table, say

if TYPE_CHECKING:
    from playhead.bootstrap import Installation
    from playhead.domain.catalogue import Item
    from playhead.services.correcting import FileIdentity

app = typer.Typer(help="Put right what a file or an item is.", no_args_is_help=True)


@app.command("files")
def list_files(
    item: Annotated[str, typer.Argument(metavar="ITEM", help="Id of an item; for a show: of its episodes' files.")],
    data: DataOption = None,
    database: DatabaseOption = None,
) -> None:
    """List the files of an item with their ids, and what an admin said about them."""

    async def list_all(playhead: "Installation") -> "list[FileIdentity]":
        return await playhead.correcting.list_identities(_id(item))

    rows = [
        (each.file.id, each.library, each.file.path, "" if each.told is None else "identified")
        for each in run(data, database, list_all)
    ]
    print_table(("id", "library", "file", ""), rows)


@app.command("merge")
def merge(
    into: Annotated[str, typer.Argument(metavar="INTO", help="Id of the item that stays.")],
    source: Annotated[str, typer.Argument(metavar="FROM", help="Id of the item that becomes the other one.")],
    data: DataOption = None,
    database: DatabaseOption = None,
) -> None:
    """Merge two items that are one title, with everything that everybody has watched of them. Cannot be undone."""

    async def merge_both(playhead: "Installation") -> "tuple[Item, list[Item]]":
        merged = await playhead.merging.merge(operator(), _id(into), _id(source))
        await playhead.merging.sweep()
        return merged.item, [*merged.left_over]

    stays, left_over = run(data, database, merge_both)
    say(f"Merged into {stays.title}: {stays.id}")
    for episode in left_over:
        say(f"left over: {episode.title}: {episode.id}")


@app.command("tell-apart")
def tell_apart(
    one: Annotated[str, typer.Argument(metavar="ONE", help="Id of an item.")],
    other: Annotated[str, typer.Argument(metavar="OTHER", help="Id of another item.")],
    data: DataOption = None,
    database: DatabaseOption = None,
) -> None:
    """Say that two items are two titles, so that no scan merges them. The log undoes it."""

    async def store(playhead: "Installation") -> None:
        await playhead.merging.tell_apart(operator(), _id(one), _id(other))

    run(data, database, store)
    say("They are kept apart")


@app.command("split")
def split(  # noqa: PLR0913 - the members of a split
    item: Annotated[str, typer.Argument(metavar="ITEM", help="Id of the item.")],
    files: Annotated[list[str], typer.Argument(metavar="FILE", help="Ids of the files that are another item.")],
    into: Annotated[str | None, typer.Option(help="Id of the item that they are, instead of a new one.")] = None,
    title: Annotated[str | None, typer.Option(help="Title of the new item. [default: the first file's]")] = None,
    year: Annotated[int | None, typer.Option(help="Year of the new item.")] = None,
    with_state: Annotated[
        bool,
        typer.Option("--with-state", help="Move what people have of the item if they played one of the files last."),
    ] = False,
    data: DataOption = None,
    database: DatabaseOption = None,
) -> None:
    """Make another item of some of an item's files. `playhead item files` shows their ids."""
    from playhead.services.splitting import SplitPlan

    async def split_off(playhead: "Installation") -> "Item":
        plan = SplitPlan(
            [FileId(_id(each)) for each in files], None if into is None else _id(into), title, year, with_state
        )
        return await playhead.splitting.split(operator(), _id(item), plan)

    made = run(data, database, split_off)
    say(f"{len(files)} files are now {made.title}: {made.id}")


@app.command("identify")
def identify(  # noqa: PLR0913 - the members of an identity
    file: Annotated[str, typer.Argument(metavar="FILE", help="Id of a file or, with --library, its path in there.")],
    library: Annotated[str | None, typer.Option(help="The library whose folder contains the path.")] = None,
    ignore: Annotated[bool, typer.Option("--ignore", help="It is no movie and no episode.")] = False,
    release: Annotated[bool, typer.Option("--release", help="It is what its name says, as before.")] = False,
    item: Annotated[str | None, typer.Option(help="It is the item with this id.")] = None,
    title: Annotated[str | None, typer.Option(help="Title of the movie or show.")] = None,
    year: Annotated[int | None, typer.Option(help="Year of the movie or show.")] = None,
    external_ids: Annotated[
        list[str] | None, typer.Option("--external-id", metavar="SOURCE=VALUE", help="Such as tmdb=348; repeatable.")
    ] = None,
    season: Annotated[int | None, typer.Option(help="Season of the episode.", min=0)] = None,
    episode: Annotated[int | None, typer.Option(help="Number of the episode.", min=0)] = None,
    last_episode: Annotated[int | None, typer.Option(help="The last one, of a file with several.", min=1)] = None,
    air_date: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="When the episode aired.")] = None,
    part: Annotated[int | None, typer.Option(help="The part of the item that the file is.", min=1)] = None,
    edition: Annotated[str | None, typer.Option(help="Such as Director's Cut.")] = None,
    data: DataOption = None,
    database: DatabaseOption = None,
) -> None:
    """Say what a file is, and scan its library. That lasts, through renames and replaced files, until --release."""
    from playhead.domain.identifying import IdentifiedAs

    is_episode = episode is not None or air_date is not None
    told = IdentifiedAs(
        is_ignored=ignore,
        item_id=None if item is None else _id(item),
        kind=ItemKind.EPISODE if is_episode else None,
        title=title,
        year=year,
        external_ids=dict(_pair(each) for each in external_ids or ()),
        season_number=(1 if season is None else season) if episode is not None else None,
        episode_number=episode,
        episode_end=last_episode,
        air_date=None if air_date is None else air_date.date(),
        part=part,
        edition=edition,
    )
    if release == (told != IdentifiedAs()):
        fail("Say what the file is by at least one option, or --release")
    if ignore and told != IdentifiedAs(is_ignored=True):
        fail("A file that is ignored is nothing else")

    async def store(playhead: "Installation") -> str:
        known = await _find(playhead, file, library)
        if release:
            await playhead.correcting.release(operator(), known.file.id)
        else:
            await playhead.correcting.identify(operator(), [known.file.id], told)
        await playhead.correcting.rescanned()
        await playhead.scanner.wait()
        return known.file.path

    path = run(data, database, store)
    say(f"{path} is what its name says" if release else f"{path} is identified")


async def _find(playhead: "Installation", file: str, library: str | None) -> "FileIdentity":
    if library is None:
        return await playhead.correcting.read_identity(FileId(_id(file)))
    found = await playhead.catalogue.find_library(operator(), library)
    return await playhead.correcting.read_identity_at(found.id, Path(file).as_posix())


def _id(text: str) -> ItemId:
    found = canonical_id(text)
    if found is None:
        fail(f"{text} is not an id")
    return ItemId(found)


def _pair(text: str) -> tuple[str, str]:
    source, sign, value = text.partition("=")
    if not (source and sign and value):
        fail(f"{text} is not of the form SOURCE=VALUE")
    return source, value
