"""Folders of the server, as an admin looks for the one that is to become a library. Shows names, opens no file."""

import asyncio
from pathlib import Path
from typing import NamedTuple

from playhead.domain.texts import shown
from playhead.media.folders import subfolders

# Of one folder; who keeps more in it than this types the path.
FOLDERS_SHOWN = 500


class Folder(NamedTuple):
    """A folder by its name, and where it is."""

    name: str
    path: str


class FolderListing(NamedTuple):
    """A folder and those in it. `above` leads up, None at the top; `fault` says why another one is shown than asked."""

    path: str
    above: str | None
    folders: list[Folder]
    fault: str | None


async def look_around(path: str) -> FolderListing:
    """Return what lies in a folder; "" is the top. What cannot be read leads to the nearest folder above that can."""
    return await asyncio.to_thread(_look_around, path)


def _look_around(path: str) -> FolderListing:
    folder, fault = Path(Path.home().anchor), None
    try:
        if path:
            folder = Path(path).expanduser().resolve()
    except (OSError, RuntimeError, ValueError):
        fault = "is no folder"
    while True:
        try:
            names = subfolders(folder)[:FOLDERS_SHOWN]
            break
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else "is no folder"
            fault = fault or f"{shown(str(folder))} cannot be opened: {reason}"
            if folder == folder.parent:
                names = []
                break
            folder = folder.parent
    above = None if folder == folder.parent else str(folder.parent)
    return FolderListing(str(folder), above, [Folder(name, str(folder / name)) for name in names], fault)
