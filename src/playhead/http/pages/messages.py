"""Translations of messages from the layers below: faults of fields, refusals, findings about the server, scans.

The layers below speak English, because the API does. A message with a row here is shown in the page's language; its
variables are kept as they are. One without a row, such as an error of the operating system, stays English.
"""

import re
from functools import lru_cache
from typing import Final

from playhead.http.pages.translations import deferred, gettext

# `%(name)s` stands for a variable. A row that is the beginning of another one comes after it.
MESSAGES: Final = (
    # Faults of fields
    deferred("must be the same as above"),
    deferred("must be one of the list"),
    deferred("must be a day, such as 2030-01-31"),
    deferred("must be chosen"),
    deferred("must be movies or shows"),
    deferred("must be the name of a time zone, such as Europe/Berlin"),
    deferred("must have %(least)s to %(most)s digits"),
    deferred("must have %(least)s to %(most)s characters"),
    deferred("must not contain control characters"),
    deferred("must be in the future, and before the year 10000"),
    deferred("must not be one repeated digit or a sequence"),
    deferred("is one of the most common passwords, which attackers try first"),
    deferred("must not be a mere repetition or sequence of characters"),
    deferred("must not consist mostly of the user name, the name of this server or 'playhead'"),
    deferred("must be an existing folder that can be read"),
    deferred("is not your password"),
    deferred("is required"),
    deferred("took too long; start again"),
    deferred("is not a passkey for this server"),
    deferred("is registered already"),
    deferred("is not a code that a device shows now"),
    deferred("is not a folder"),
    deferred("%(folder)s cannot be opened: %(reason)s"),
    # Corrections
    deferred("must be another item: they are one already"),
    deferred("must be a movie"),
    deferred("must be a show"),
    deferred("must be an episode"),
    deferred("must name at least one file"),
    deferred("%(file)s is not a file of this item"),
    deferred("must name the episode that the files belong to"),
    deferred("must be a whole number"),
    deferred("must not be empty"),
    deferred("must be given with a season"),
    deferred("must be greater than the first"),
    deferred("must not be set: an episode has none"),
    deferred("must not be set: a show has none"),
    deferred("must be a movie or an episode"),
    deferred("The library %(name)s is being scanned: try again when the scan has ended"),
    deferred("Both are private items, of two users"),
    deferred("It is undone already"),
    deferred("A merge or a split cannot be undone: split the item, or merge the two, instead"),
    deferred("The library does not have this item"),
    deferred("Nobody has said what this file is"),
    deferred("Act not found"),
    deferred("Another library has the name now"),
    deferred("it was marked as no film"),
    # Refusals
    deferred("Access denied"),
    deferred("Not found"),
    deferred("Invalid data"),
    deferred("Service unavailable"),
    deferred("The scope of this token, %(scope)s, does not allow this"),
    deferred("Media item not found"),
    deferred("Media item is not a movie"),
    deferred("Passkey not found"),
    deferred("is not a cursor of this list"),
    deferred("Show not found"),
    deferred("Season not found"),
    deferred("Episode not found"),
    deferred("Library not found"),
    deferred("File not found"),
    deferred("Play not found"),
    deferred("Position not found"),
    deferred("User not found"),
    deferred("Device not found"),
    deferred("Identity not found"),
    deferred("User name is taken"),
    deferred("This name is taken"),
    deferred("The folder belongs to another library, or contains one"),
    deferred("The last admin cannot be removed"),
    deferred("The last admin cannot be demoted"),
    deferred("A child has no API tokens"),
    deferred("It has been changed since"),
    deferred("This identity is linked to another account"),
    deferred("It would no longer be possible to sign in to the account"),
    deferred("Too many passkeys"),
    deferred("Password and passkey are both needed; turn that off first"),
    deferred("There is no passkey yet"),
    deferred("The account has no password"),
    deferred("cannot be done here"),
    deferred("cannot be undone"),
    deferred("There can be at most %(most)s API tokens of one user"),
    deferred("There can be at most %(most)s devices that one user has remembered"),
    deferred("There can be at most %(most)s people on one remembered device"),
    deferred("There can be at most %(most)s libraries"),
    deferred("There can be at most %(most)s movies and shows that one user has hidden, snoozed or dropped"),
    # Scans
    deferred("The library %(name)s has no folder: its items are imported"),
    deferred("The library %(name)s is being scanned already"),
    deferred("Another scan of the library %(name)s has started since"),
    deferred(
        "The folder %(folder)s no longer contains any videos, but %(count)s are known. "
        "Nothing was changed: is the disk mounted?"
    ),
    deferred("The folder %(folder)s cannot be read: %(reason)s"),
    deferred("it failed: see the log"),
    deferred("its name is not that of an episode, or is that of an extra"),
    deferred("its name is not that of a movie, or is that of an extra"),
    deferred("it is damaged, or not what its name says"),
    deferred("it is left out by %(file)s"),
    deferred("a download is unpacked there"),
    deferred("discs that were copied with their folders are not supported"),
    deferred("links to folders outside the library are not followed"),
    deferred("the link leads nowhere"),
    deferred("the link leads out of the library, to a file that is not called a video"),
    deferred("its links go in a circle"),
    deferred("the name is not UTF-8"),
    deferred("its path is too long"),
    deferred("it has gone"),
    deferred("no process can be started to read it: %(reason)s"),
    deferred("reading it takes too long"),
    deferred("the decoder gave up on it"),
    deferred("the decoder crashed on it (%(signal)s)"),
    deferred("it is still being copied"),
    deferred("it is truncated"),
    deferred("archives are not supported: unpack them"),
    deferred("images of discs are not supported"),
    deferred("files that stand for a stream or a disc elsewhere are not supported"),
    deferred("it cannot be read: %(reason)s"),
    deferred("it cannot be read"),
    deferred("it is not a regular file"),
    deferred("it is empty"),
    deferred("it has no video"),
    deferred("its length is unknown, and it is too large to be read completely"),
    deferred("its length is unknown"),
    # Findings about the server
    deferred("SQLite %(version)s can corrupt a database when two processes write at the same instant"),
    deferred("SQLite %(version)s"),
    deferred("Install an apsw with SQLite 3.51.3 or newer."),
    deferred("The data folder %(folder)s cannot be written"),
    deferred("The data folder is on a network file system (%(filesystem)s), on which SQLite loses data"),
    deferred("Data folder %(folder)s"),
    deferred("Make the user that runs Playhead its owner, or choose another one with --data."),
    deferred("Other users of this machine can access %(paths)s"),
    deferred("Restart Playhead, which corrects it, or run chmod 700 for folders and 600 for files as their owner."),
    deferred("Move it to a local disk; only the media files may be on the network."),
    deferred("File system %(filesystem)s"),
    deferred("Only %(mebibytes)s MiB free"),
    deferred("%(mebibytes)s MiB free"),
    deferred("Free some space: saves are refused once the disk is full."),
    deferred("The database cannot be read: %(fault)s"),
    deferred("Check that the server runs, and that the URL, user and password are right."),
    deferred("No database yet; the first start makes one"),
    deferred("Database of revision %(revision)s"),
    deferred("The database is of revision %(revision)s, older than this program's %(head)s"),
    deferred("The database is of revision %(revision)s, newer than this program's %(head)s"),
    deferred("Start Playhead, or run `playhead db upgrade`."),
    deferred("Install the newer Playhead, or restore the backup that the upgrade left next to the database."),
    deferred("Write-ahead log of %(mebibytes)s MiB"),
    deferred("Another program reads the database for too long. Stop it; the log then shrinks on its own."),
    deferred("The server makes no backups: backup_hours is 0"),
    deferred("No backup can be made: %(fault)s"),
    deferred("Fix it, or choose another folder with backup_folder. The server retries on its own."),
    deferred("No backup yet; the server makes the first one a minute after its start, %(folder)s"),
    deferred("The last backup was made at %(time)s UTC, in %(folder)s, and one is due every %(hours)s h"),
    deferred("The last backup was made at %(time)s UTC, in %(folder)s"),
    deferred("The server has to run for it. Look for 'backup' in its log."),
    deferred("The clock shows %(time)s UTC, but the database has seen %(day)s"),
    deferred("The clock shows %(time)s UTC"),
    deferred("Set the clock, and keep it set by NTP: times decide which report is the later one."),
    deferred("PostgreSQL %(version)s, %(server)s, is too old for Playhead"),
    deferred("PostgreSQL %(version)s, %(server)s"),
    deferred("Upgrade the server."),
    deferred("The server syncs what it commits"),
    deferred("A power loss can lose or damage everything: %(settings)s off at the server"),
    deferred("Set this on in postgresql.conf, and restart the server."),
    deferred("The server takes writes"),
    deferred("The server takes no writes: it is a standby, or read-only"),
    deferred("Name the primary server in --database."),
    deferred("Only %(free)s of the server's %(most)s connections are free, and one more process needs %(wanted)s"),
    deferred("%(free)s of the server's %(most)s connections are free"),
    deferred("Raise max_connections at the server, or run fewer workers."),
    deferred("The server's clock shows the same time"),
    deferred("The server's clock shows %(time)s UTC, and this one another time"),
    deferred("Set both, and keep them set by NTP: all that serve must agree on which report is the later one."),
    deferred("The library's folder %(folder)s cannot be read"),
    deferred("Mount it or fix its permissions. Progress is kept meanwhile."),
)

_VARIABLE: Final = re.compile(r"%\((\w+)\)s")


def translated(message: str) -> str:
    """Return a message of a layer below in the language of the request, or unchanged if no row matches."""
    if message in MESSAGES:
        return gettext(message)
    for row, pattern in _patterns():
        found = pattern.fullmatch(message)
        if found is not None:
            return gettext(row, **found.groupdict())
    return message


@lru_cache(maxsize=1)
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Return the rows with variables, as patterns of the messages that they match."""
    return tuple((row, _pattern(row)) for row in MESSAGES if _VARIABLE.search(row))


def _pattern(row: str) -> re.Pattern[str]:
    parts = _VARIABLE.split(row)
    fixed, names = [re.escape(part) for part in parts[::2]], [f"(?P<{name}>.+)" for name in parts[1::2]]
    names.append("")
    return re.compile("".join(part + name for part, name in zip(fixed, names, strict=True)), re.DOTALL)
