"""Movies: title, year, part and edition from the names of the file and of its folder."""

import re
from typing import Final

from playhead.domain.catalogue import ParsedName, identity
from playhead.domain.model import ItemKind
from playhead.media.names.editions import find_stereo, take_edition
from playhead.media.names.ids import take_ids
from playhead.media.names.parts import AFTER_TITLE, part_folder, take_part
from playhead.media.names.releases import Release, read_release

# Names given by rippers and cameras.
_MEANINGLESS: Final = re.compile(
    r"(?:movie|film|video|main|feature|title|index|stream|vts|mvi|dvd|t)?[\s._-]*t?[\d_]*", re.IGNORECASE
)
_COLLECTION_NUMBER: Final = re.compile(r"^(?:\d{1,2}(?:\. | - )|\(\d{1,2}\)[\s._-]*)(?=.*[^\W\d_])")
# Folders of several films: 'Amber Trilogy', 'Amber Collection', 'Amber (1979-1997)'. The words of the second pattern
# also end titles, so a folder with a year in brackets is a film's ('Wolf Pack (2022)').
_COLLECTION: Final = re.compile(
    r".*\b(?:(?:du|tri|tetra|quadri|penta|hexa)log(?:y|ie|ia)|collection|anthology|box ?set)(?:[\s._-]*[\d(\[].*)?$",
    re.IGNORECASE,
)
_MAY_BE_COLLECTION: Final = re.compile(r".*\b(?:films|movies|pack|saga)(?:[\s._-]*[\d(\[].*)?$", re.IGNORECASE)
_YEARS: Final = re.compile(r"[(\[]\d{4}\s?-\s?\d{2,4}[)\]]")
_GROUP_BEHIND: Final = re.compile(r"-(?P<group>\w{2,})$")


def read_movie(folders: tuple[str, ...], stem: str) -> ParsedName | None:
    """Parse a movie from the plain names of its folders, outermost first, and of the file without its extension."""
    folders, part = _without_disc(folders)
    folder_name, folder_ids = take_ids(folders[-1] if folders else "")
    folder_name, folder_edition = take_edition(folder_name)
    folder = Release("") if _YEARS.search(folder_name) else read_release(folder_name, "movie")

    name, ids = take_ids(stem)
    name, edition = take_edition(_without_group(name, folder_name))
    name, named_part = take_part(name, spaced=_may_be_part(name, folder))
    file = read_release(_COLLECTION_NUMBER.sub("", name) if folders else name, "movie")
    by_folder = _folder_decides(folder, file, name)
    release = folder if by_folder else file
    if not release.title:
        return None
    return ParsedName(
        ItemKind.MOVIE,
        release.title,
        release.year,
        part=named_part or part,
        edition=edition or folder_edition or file.edition or (folder.edition if by_folder else None),
        stereo=find_stereo(stem) or (find_stereo(folder_name) if by_folder else None),
        external_ids=folder_ids | ids,
        rule=f"folder: {release.rule}" if by_folder else release.rule,
    )


def _without_disc(folders: tuple[str, ...]) -> tuple[tuple[str, ...], int | None]:
    """Return the folders without that of a disc, and its part: 'Amber (1999)/CD1', or 'Amber/Amber (1999) Disc 1'."""
    found = part_folder(folders[-1]) if folders else None
    if found is None:
        return folders, None
    part, title = found
    return (folders[:-1] if len(folders) > 1 or not title else (title,)), part


def _without_group(name: str, folder: str) -> str:
    """Return the name without the release group before it, where the folder has the same group behind."""
    group = _GROUP_BEHIND.search(folder)
    prefix = f"{group['group']}-" if group else ""
    return name[len(prefix) :] if prefix and name.lower().startswith(prefix.lower()) else name


def _may_be_part(name: str, folder: Release) -> bool:
    """Return whether 'part 1' at the end is not the title's: it follows the year, or the folder's title has none."""
    spaced = AFTER_TITLE.pattern.search(name)
    folder_has_none = folder.sure and " part " not in f" {folder.title} ".lower()
    return spaced is not None and (folder_has_none or read_release(name[: spaced.start()], "movie").sure)


def _folder_decides(folder: Release, file: Release, name: str) -> bool:
    """Return whether the folder's name identifies the film better than the file's."""
    if not folder.title or not file.title or (_MEANINGLESS.fullmatch(name) and not file.year):
        return bool(folder.title)
    if _is_collection(folder) and not _is_collection(file):
        return False
    same = identity(folder.title) == identity(file.title)
    if file.year is None:
        # A folder with a year, or named as releases are, holds one film; any other may hold many.
        return folder.sure or same or (folder.technical and not _continues(file.title, folder.title))
    if folder.year == file.year:
        return folder.sure and (same or not _COLLECTION_NUMBER.match(name))
    # Blade.Runner.1984.mkv in 'Wonder Woman 1984 (2020)': the title's own year was taken for the film's.
    return folder.sure and identity(folder.title) == identity(f"{file.title} {file.year}")


def _is_collection(release: Release) -> bool:
    weak = not release.sure and _MAY_BE_COLLECTION.fullmatch(release.title)
    return bool(weak or _COLLECTION.fullmatch(release.title))


def _continues(title: str, folder: str) -> bool:
    """Return whether a title is the folder's with more words: 'Amber Reloaded' in 'Amber 1080p BluRay'."""
    one, other = identity(title).partition("|")[0], identity(folder).partition("|")[0]
    return one.startswith(f"{other} ")
