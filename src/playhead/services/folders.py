"""The server's folders, for an admin who chooses one for a library. Lists names, opens no file."""

import asyncio
from pathlib import Path
from typing import NamedTuple

from playhead.domain.texts import shown
from playhead.media.folders import subfolders

# The most subfolders listed; for larger folders the path has to be typed.
FOLDERS_SHOWN = 500


class Folder(NamedTuple):
    """A folder's name and path."""

    name: str
    path: str


class FolderListing(NamedTuple):
    """A folder and its subfolders. `above` is its parent, None at the top; `fault`: why another one is shown."""

    path: str
    above: str | None
    folders: list[Folder]
    fault: str | None


async def look_around(path: str) -> FolderListing:
    """List a folder, "" being the top; for an unreadable one, its nearest readable parent."""
    return await asyncio.to_thread(_look_around, path)


def _look_around(path: str) -> FolderListing:
    folder, fault = Path(Path.home().anchor), None
    try:
        if path:
            folder = Path(path).expanduser().resolve()
    except (OSError, RuntimeError, ValueError):
        fault = "is not a folder"
    while True:
        try:
            names = subfolders(folder)[:FOLDERS_SHOWN]
            break
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else "is not a folder"
            fault = fault or f"{shown(str(folder))} cannot be opened: {reason}"
            if folder == folder.parent:
                names = []
                break
            folder = folder.parent
    above = None if folder == folder.parent else str(folder.parent)
    return FolderListing(str(folder), above, [Folder(name, str(folder / name)) for name in names], fault)
