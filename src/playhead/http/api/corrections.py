"""Corrections of the catalogue over HTTP, and their log: merge, split, identify, change, end, undo. For admins."""

from datetime import date
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field
from msgspec.structs import asdict

from playhead.domain.auditing import Act
from playhead.domain.catalogue import ParsedName, TitlesOnRemoval
from playhead.domain.identifying import IdentifiedAs
from playhead.domain.model import FileId, ItemId, ItemKind, LibraryId, Milliseconds, canonical_id
from playhead.domain.texts import LABEL, TITLE, clean_text
from playhead.errors import invalid, refuse_faults
from playhead.http.api.catalogue import (
    Cursor,
    Day,
    ItemAnswer,
    LibraryAnswer,
    Limit,
    TimeText,
    UuidText,
    item_answer,
    library_answer,
)
from playhead.http.api.formats import time_text
from playhead.http.api.importing import EpisodeNumberField, ExternalIds, ImportText, Seconds, Title, Uuid, Year
from playhead.http.route import Call
from playhead.services.auditing import Audit, AuditView
from playhead.services.auto_scanning import AutoScans
from playhead.services.catalogue import LIMIT_DEFAULT, Catalogue
from playhead.services.correcting import Correcting, FileIdentity
from playhead.services.libraries import Libraries
from playhead.services.merging import Merging
from playhead.services.splitting import SplitPlan, Splitting

_FILES_MAX = 500

Label = Annotated[str, Meta(min_length=1, max_length=LABEL.characters, pattern=r"^[^\x00\ud800-\udfff]*$")]
Part = Annotated[int, Meta(ge=1, le=1000)]


class MergeRequest(Struct):
    """The item that becomes the other one: with all that everybody has of it, and its id as an alias."""

    source: Uuid = field(name="from")


class TellApartRequest(Struct):
    """The item that is another title."""

    other: Uuid


class SplitRequest(Struct):
    """The files that become another item: `into`, or a new one of this `title` and `year`, else as the first is named.

    What users have of the item stays with it; `with_state` moves it along if their last report named one of the files.
    """

    file_ids: Annotated[list[Uuid], Meta(min_length=1, max_length=_FILES_MAX)]
    into: Uuid | None = None
    title: Title | None = None
    year: Year | None = None
    with_state: bool = False


class IdentityRequest(Struct, kw_only=True):
    """What a file is: to be ignored, or this very item, or a movie or episode of this title and these numbers.

    What is left out stays as the file's name tells.
    """

    ignore: bool = False
    item_id: Uuid | None = None
    kind: Literal["movie", "episode"] | None = None
    title: Title | None = None
    year: Year | None = None
    external_ids: ExternalIds | None = None
    season_number: EpisodeNumberField | None = None
    episode_number: EpisodeNumberField | None = None
    episode_end: EpisodeNumberField | None = None
    air_date: Day | None = None
    part: Part | None = None
    edition: Label | None = None


class ItemChange(Struct, kw_only=True):
    """Members of an item that scans and imports then leave alone. Omitted ones stay; null ends that for a member."""

    title: Title | UnsetType | None = UNSET
    year: Year | UnsetType | None = UNSET
    external_ids: ExternalIds | UnsetType | None = UNSET
    runtime_seconds: Seconds | UnsetType | None = UNSET
    credits_start_seconds: Seconds | UnsetType | None = UNSET


class LibraryChange(Struct, kw_only=True):
    """A change of a library: its name, its folder, or both. Omitted members stay."""

    name: ImportText | UnsetType = UNSET
    path: Annotated[str, Meta(min_length=1, max_length=4096)] | UnsetType = UNSET


class RemovalQuery(Struct):
    """What happens to users' state of titles that no library has any more."""

    titles: Literal["keep", "delete"] = "keep"


class AuditQuery(Struct):
    """The page of the log to return."""

    cursor: Cursor | None = None
    limit: Limit = LIMIT_DEFAULT


class MergedAnswer(Struct):
    """The item that stays; and episodes of a merged show without a counterpart, which are episodes of the other now."""

    item: ItemAnswer
    left_over: list[ItemAnswer]


class NameAnswer(Struct):
    """How a file's name is read, and by which rule. For an episode, `title` and `year` are the show's."""

    kind: ItemKind
    title: str
    year: int | None
    season_number: int | None
    episode_number: int | None
    episode_end: int | None
    air_date: Day | None
    part: int | None
    edition: str | None
    external_ids: dict[str, str]
    rule: str


class ToldAnswer(Struct):
    """What an admin said about a file. Null members stay as its name tells."""

    ignore: bool
    item_id: UuidText | None
    kind: ItemKind | None
    title: str | None
    year: int | None
    external_ids: dict[str, str]
    season_number: int | None
    episode_number: int | None
    episode_end: int | None
    air_date: Day | None
    part: int | None
    edition: str | None
    at: TimeText


class IdentityAnswer(Struct):
    """A file: where it is, why it is skipped (else null), what its name says, what an admin said, and its items."""

    file_id: UuidText
    library: str
    path: str
    available: bool
    skipped: str | None
    read: NameAnswer | None
    told: ToldAnswer | None
    items: list[UuidText]


class ChangedItemMembersAnswer(ItemAnswer, kw_only=True):
    """An item after a change; `pinned` names the members that an admin has set."""

    pinned: list[str]


class AuditEntryAnswer(Struct):
    """One act. `user` is null for the command line, for scans and for users that are gone."""

    id: UuidText
    at: TimeText
    user: str | None
    act: Act
    subject: str
    can_undo: bool
    undone_at: TimeText | None


class AuditAnswer(Struct):
    """A page of the log, newest first; `next_cursor` gets the next page and is null at the end."""

    items: list[AuditEntryAnswer]
    next_cursor: str | None


class CorrectionRoutes:
    """The endpoints of corrections and of their log. All are for admins only."""

    def __init__(  # noqa: PLR0913 - the services behind one subject
        self,
        catalogue: Catalogue,
        merging: Merging,
        splitting: Splitting,
        correcting: Correcting,
        libraries: Libraries,
        audit: Audit,
        auto_scans: AutoScans,
    ) -> None:
        self._catalogue = catalogue
        self._merging = merging
        self._splitting = splitting
        self._correcting = correcting
        self._libraries = libraries
        self._audit = audit
        self._auto_scans = auto_scans

    async def merge(self, call: Call) -> MergedAnswer:
        """Merge another item into this one. The other's id means this one from now on. That cannot be undone."""
        request = await call.json(MergeRequest)
        source = ItemId(_uuid(request.source, "from"))
        merged = await self._merging.merge(call.viewer, call.item_id(ItemKind.MOVIE), source)
        return MergedAnswer(
            await self._item(call, merged.item.id), [await self._item(call, each.id) for each in merged.left_over]
        )

    async def tell_apart(self, call: Call) -> None:
        """Say that two items are two titles: they are not merged by scans, nor listed as possibly the same."""
        request = await call.json(TellApartRequest)
        other = ItemId(_uuid(request.other, "other"))
        await self._merging.tell_apart(call.viewer, call.item_id(ItemKind.MOVIE), other)

    async def split(self, call: Call) -> ItemAnswer:
        """Make another item of some of an item's files, and return it."""
        request = await call.json(SplitRequest)
        plan = SplitPlan(
            [FileId(_uuid(file_id, "file_ids")) for file_id in request.file_ids],
            None if request.into is None else ItemId(_uuid(request.into, "into")),
            None if request.title is None else _clean_title(request.title),
            request.year,
            request.with_state,
        )
        into = await self._splitting.split(call.viewer, call.item_id(ItemKind.MOVIE), plan)
        return await self._item(call, into.id)

    async def read_identity(self, call: Call) -> IdentityAnswer:
        """Show how a file's name is read, what an admin said about it, and which items it belongs to."""
        return _identity_answer(await self._correcting.read_identity(_file_id(call)))

    async def identify(self, call: Call) -> IdentityAnswer:
        """Say what a file is. It is pinned by content and path, and read again in the background."""
        told = _told(await call.json(IdentityRequest))
        return _identity_answer(await self._correcting.identify(call.viewer, [_file_id(call)], told))

    async def release(self, call: Call) -> None:
        """Remove what an admin said about a file: it is again what its name says."""
        await self._correcting.release(call.viewer, _file_id(call))

    async def change_item(self, call: Call) -> ChangedItemMembersAnswer:
        """Set title, year, ids, runtime or start of the credits of an item."""
        request = await call.json(ItemChange)
        changes: dict[str, object] = {}
        if request.title is not UNSET:
            changes["title"] = None if request.title is None else _clean_title(request.title)
        if request.year is not UNSET:
            changes["year"] = request.year
        if request.external_ids is not UNSET:
            changes["external_ids"] = request.external_ids
        if request.runtime_seconds is not UNSET:
            changes["runtime_ms"] = _milliseconds(request.runtime_seconds)
        if request.credits_start_seconds is not UNSET:
            changes["credits_ms"] = _milliseconds(request.credits_start_seconds)
        item = await self._correcting.change_item(call.viewer, call.item_id(ItemKind.MOVIE), changes)
        detail = await self._catalogue.get_item(call.viewer, item.id)
        pinned = [_PUBLIC_NAMES.get(name, name) for name in sorted(detail.view.item.pinned)]
        return ChangedItemMembersAnswer(**asdict(item_answer(detail.view)), pinned=pinned)

    async def change_library(self, call: Call) -> LibraryAnswer:
        """Rename a library, or move it to another folder, which is then scanned."""
        request = await call.json(LibraryChange)
        library_id = _library_id(call)
        await self._libraries.change(
            call.viewer,
            library_id,
            name=None if request.name is UNSET else request.name,
            path=None if request.path is UNSET else request.path,
        )
        if request.path is not UNSET:
            self._correcting.rescan({library_id})
        view = await self._catalogue.get_library(call.viewer, library_id)
        return library_answer(view, self._auto_scans.status(view.library))

    async def remove_library(self, call: Call) -> None:
        """Remove a library. Its titles stay known; adding the folder again, anywhere, finds them."""
        titles = TitlesOnRemoval(call.query(RemovalQuery).titles)
        await self._libraries.remove(call.viewer, _library_id(call), titles)

    async def end_holding(self, call: Call) -> None:
        """Take an item out of a library: who sees it by this library no longer does."""
        item_id = call.path_id(ItemId, "Item not found", "item")
        await self._correcting.end_holding(call.viewer, _library_id(call), item_id)

    async def list_audit(self, call: Call) -> AuditAnswer:
        """List what was done to the catalogue by hand, and merges by scans, newest first."""
        query = call.query(AuditQuery)
        page = await self._audit.page(query.cursor, query.limit)
        return AuditAnswer([_audit_answer(each) for each in page.entries], page.next_cursor)

    async def undo(self, call: Call) -> None:
        """Undo an act of the log. Merges and splits cannot be undone, nor can what has changed since."""
        await self._audit.undo(call.path_id(str, "Act not found"))

    async def _item(self, call: Call, item_id: ItemId) -> ItemAnswer:
        return item_answer((await self._catalogue.get_item(call.viewer, item_id)).view)


_PUBLIC_NAMES = {"runtime_ms": "runtime_seconds", "credits_ms": "credits_start_seconds"}


def _uuid(text: str, member: str) -> str:
    found = canonical_id(text)
    if found is None:
        raise invalid({member: ["must be a UUID"]})
    return found


def _file_id(call: Call) -> FileId:
    return call.path_id(FileId, "File not found")


def _library_id(call: Call) -> LibraryId:
    return call.path_id(LibraryId, "Library not found")


def _clean_title(text: str) -> str:
    title = clean_text(text, TITLE)
    refuse_faults(title=[] if title else ["must not be empty"])
    return title


def _milliseconds(length: float | None) -> Milliseconds | None:
    return None if length is None else Milliseconds(round(length * 1000))


def _told(request: IdentityRequest) -> IdentifiedAs:
    """Return what a request says. Raises INVALID with the members that contradict each other."""
    day: date | None = None
    faults: dict[str, list[str]] = {}
    try:
        day = None if request.air_date is None else date.fromisoformat(request.air_date)
    except ValueError:
        faults["air_date"] = ["must be a date"]
    told = IdentifiedAs(
        is_ignored=request.ignore,
        item_id=None if request.item_id is None else ItemId(_uuid(request.item_id, "item_id")),
        kind=None if request.kind is None else ItemKind(request.kind),
        title=None if request.title is None else _clean_title(request.title),
        year=request.year,
        external_ids=request.external_ids or {},
        season_number=request.season_number,
        episode_number=request.episode_number,
        episode_end=request.episode_end,
        air_date=day,
        part=request.part,
        edition=None if request.edition is None else clean_text(request.edition, LABEL),
    )
    if request.ignore and told != IdentifiedAs(is_ignored=True):
        faults["ignore"] = ["must be the only member"]
    elif not faults and told == IdentifiedAs():
        faults["title"] = ["must be given, or another member"]
    if request.kind == "movie" and (request.episode_number is not None or request.air_date is not None):
        faults["kind"] = ["must be episode, if there is an episode_number or an air_date"]
    if request.season_number is not None and request.episode_number is None:
        faults["episode_number"] = ["must be given with season_number"]
    if request.episode_end is not None and request.episode_end <= (request.episode_number or 0):
        faults["episode_end"] = ["must be greater than episode_number"]
    refuse_faults(**faults)
    return told


def _identity_answer(identity: FileIdentity) -> IdentityAnswer:
    file, told = identity.file, identity.told
    return IdentityAnswer(
        file.id,
        identity.library,
        file.path,
        file.is_present and file.fault is None,
        file.fault,
        None if identity.read is None else _name_answer(identity.read),
        None
        if told is None or identity.told_at is None
        else ToldAnswer(
            told.is_ignored,
            told.item_id,
            told.kind,
            told.title,
            told.year,
            dict(told.external_ids),
            told.season_number,
            told.episode_number,
            told.episode_end,
            None if told.air_date is None else told.air_date.isoformat(),
            told.part,
            told.edition,
            time_text(identity.told_at),
        ),
        [item.id for item in identity.items],
    )


def _name_answer(read: ParsedName) -> NameAnswer:
    return NameAnswer(
        read.kind,
        read.title,
        read.year,
        read.season_number,
        read.episode_number,
        read.episode_end,
        None if read.air_date is None else read.air_date.isoformat(),
        read.part,
        read.edition,
        dict(read.external_ids),
        read.rule,
    )


def _audit_answer(view: AuditView) -> AuditEntryAnswer:
    entry = view.entry
    return AuditEntryAnswer(
        entry.id,
        time_text(entry.at),
        view.user,
        entry.act,
        entry.subject,
        entry.can_undo,
        None if entry.undone_at is None else time_text(entry.undone_at),
    )
