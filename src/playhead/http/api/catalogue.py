"""Libraries, items and episodes over HTTP: decode, call the services, encode."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import asdict

from playhead.domain.access import may_administer
from playhead.domain.accounts import NAME_LENGTH_MAX, NAME_PATTERN
from playhead.domain.catalogue import MediaFile
from playhead.domain.model import ItemKind, LibraryId, LibraryKind, Milliseconds
from playhead.domain.texts import PATH, WORD
from playhead.http.api.formats import ProgressAnswer, progress_answer, seconds, time_text
from playhead.http.route import Call
from playhead.services.access import ItemView
from playhead.services.auto_scanning import AutoScans, AutoScanStatus
from playhead.services.catalogue import LIMIT_DEFAULT, LIMIT_MAX, Catalogue, ItemListPage, LibraryView, Tracks
from playhead.services.marks import Marks, Starts
from playhead.services.scanning import Scanner, ScanSummary

# The service validates names and words the faults; the schema only states the limits.
LibraryName = Annotated[
    str, Meta(extra_json_schema={"minLength": 1, "maxLength": NAME_LENGTH_MAX, "pattern": NAME_PATTERN})
]
_STORABLE = r"^[^\x00\ud800-\udfff]*$"
Word = Annotated[str, Meta(min_length=1, max_length=WORD.characters, pattern=_STORABLE)]
FolderPath = Annotated[str, Meta(min_length=1, max_length=PATH.characters, pattern=_STORABLE)]
Cursor = Annotated[str, Meta(min_length=1, max_length=2000, pattern=_STORABLE)]
Limit = Annotated[int, Meta(ge=1, le=LIMIT_MAX)]
UuidText = Annotated[str, Meta(extra_json_schema={"format": "uuid"})]
TimeText = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
Day = Annotated[str, Meta(extra_json_schema={"format": "date"})]


class LibraryRequest(Struct):
    """A new library: a folder on the server, or, with `path` null, a catalogue that is imported."""

    name: LibraryName
    kind: LibraryKind
    path: FolderPath | None = None


class ItemsQuery(Struct):
    """The items to list. `library` is a name or an id; `query` is what a person types to find some."""

    library: Word | None = None
    kind: ItemKind | None = None
    query: Word | None = None
    sort: Literal["title", "-title", "year", "-year", "added", "-added"] = "title"
    cursor: Cursor | None = None
    limit: Limit = LIMIT_DEFAULT


class EpisodesQuery(Struct):
    """The episodes to list. Season 0 contains the specials."""

    season: Annotated[int, Meta(ge=0, le=100_000)] | None = None
    cursor: Cursor | None = None
    limit: Limit = LIMIT_DEFAULT


class SkippedAnswer(Struct):
    """Something in a library's folder that is not in the catalogue, and why."""

    path: str
    reason: str


class ReassignedAnswer(Struct):
    """A known file that is of another title now."""

    path: str
    before: str
    after: str


class MergedTitleAnswer(Struct):
    """A title that turned out to be another one."""

    title: str
    into: str


class ScanAnswer(Struct):
    """The result of the last scan, in numbers of files and titles, with the first of those skipped or moved.

    `items_added` counts new items by their kind. `failure` says why the scan failed, and is null if it succeeded.
    """

    added: int
    items_added: dict[ItemKind, int]
    changed: int
    moved: int
    removed: int
    restored: int
    unchanged: int
    skipped: int
    skipped_files: list[SkippedAnswer]
    reassigned: int
    reassigned_files: list[ReassignedAnswer]
    merged: int
    merged_titles: list[MergedTitleAnswer]
    failure: str | None


class LibraryAnswer(Struct):
    """A library and its item counts. `path` and the members after it are shown to admins only.

    `watched`: changes in the folder cause a scan. `next_scan_at` is null if no scan is planned.
    """

    id: UuidText
    name: str
    kind: LibraryKind
    movies: int
    shows: int
    episodes: int
    scanning: bool
    scanned_at: TimeText | None
    path: str | UnsetType | None = UNSET
    last_scan: ScanAnswer | UnsetType | None = UNSET
    watched: bool | UnsetType = UNSET
    next_scan_at: TimeText | UnsetType | None = UNSET


class LibrariesAnswer(Struct):
    """All libraries that the caller may see, by name. `next_cursor` is always null."""

    items: list[LibraryAnswer]
    next_cursor: None = None


class ItemAnswer(Struct, kw_only=True):
    """An item; the last five members only for an episode.

    `libraries` are the names of the libraries that have or had it and that the caller may see; `library` is the first
    of them, null if there is none.
    """

    id: UuidText
    kind: ItemKind
    title: str
    year: int | None
    library: str | None
    libraries: list[str]
    external_ids: dict[str, str]
    available: bool
    runtime_seconds: int | float | None
    show_id: UuidText | UnsetType | None = UNSET
    season_number: int | UnsetType | None = UNSET
    episode_number: int | UnsetType | None = UNSET
    episode_end: int | UnsetType | None = UNSET
    air_date: Day | UnsetType | None = UNSET


class ItemsAnswer(Struct):
    """A page of a list of items; `next_cursor` gets the next page and is null at the end."""

    items: list[ItemAnswer]
    next_cursor: str | None


class SoundAnswer(Struct):
    """A sound track. `language` is a BCP 47 tag, `codec` FFmpeg's name."""

    language: str | None
    title: str | None
    codec: str
    channels: int | None
    default: bool


class SubtitleAnswer(Struct):
    """Subtitles in a file or beside it. `url` serves them as WebVTT; it is null for bitmap subtitles."""

    index: int
    language: str | None
    title: str | None
    codec: str
    forced: bool
    default: bool
    url: str | None


class FileAnswer(Struct):
    """A file of an item. `size` is in bytes; `part` counts from 1 if the item is split into several files.

    Container and codecs are FFmpeg's names. Unknown values are null. `resume_position_seconds` is where the file
    starts when the caller resumes, in its own time; null for parts that are not played first.
    """

    id: UuidText
    label: str
    duration_seconds: int | float | None
    size: int
    part: int | None
    container: str | None
    video_codec: str | None
    audio_codec: str | None
    width: int | None
    height: int | None
    audio: list[SoundAnswer]
    subtitles: list[SubtitleAnswer]
    resume_position_seconds: int | float | None


class ItemDetailAnswer(ItemAnswer, kw_only=True):
    """An item with its files and the caller's progress, which is null for a show."""

    files: list[FileAnswer]
    state: ProgressAnswer | None


class CatalogueRoutes:
    """The endpoints of libraries and items."""

    def __init__(self, catalogue: Catalogue, scanner: Scanner, auto_scans: AutoScans, marks: Marks) -> None:
        self._catalogue = catalogue
        self._auto_scans = auto_scans
        self._scanner = scanner
        self._marks = marks

    async def list_libraries(self, call: Call) -> LibrariesAnswer:
        """List the libraries that the caller may see."""
        views = await self._catalogue.list_libraries(call.viewer)
        is_admin = may_administer(call.user.role)
        return LibrariesAnswer(
            [library_answer(view, self._auto_scans.status(view.library) if is_admin else None) for view in views]
        )

    async def add_library(self, call: Call) -> LibraryAnswer:
        """Add a library. It is empty until it is scanned, and only admins see it until it is granted."""
        request = await call.json(LibraryRequest)
        added = await self._catalogue.add_library(request.name, request.kind, request.path)
        return library_answer(LibraryView(added, {}, scanning=False, report=None), self._auto_scans.status(added))

    async def scan(self, call: Call) -> LibraryAnswer:
        """Start a scan in the background; the list of libraries shows when it has ended and what it did."""
        library_id = call.path_id(LibraryId, "Library not found")
        await self._scanner.start(library_id)
        view = await self._catalogue.get_library(call.viewer, library_id)
        return library_answer(view, self._auto_scans.status(view.library))

    async def list_items(self, call: Call) -> ItemsAnswer:
        """List the items of one library, or of all that the caller may see.

        The latter include items that the caller has watched and that no library has now.
        """
        query = call.query(ItemsQuery)
        page = await self._catalogue.list_items(
            call.viewer,
            library=query.library,
            kind=query.kind,
            query=query.query,
            sort=query.sort,
            cursor=query.cursor,
            limit=query.limit,
        )
        return _page_answer(page)

    async def read_item(self, call: Call) -> ItemDetailAnswer:
        """Show an item, whether available or not, with its files and the caller's progress."""
        detail = await self._catalogue.get_item(call.viewer, call.item_id(ItemKind.MOVIE))
        item, state = detail.view.item, None
        starts: Starts = {}
        if item.kind is not ItemKind.SHOW:
            watched = await self._marks.read(call.user.user_id, item.kind, item.id)
            state, starts = progress_answer(watched.progress), watched.starts
        base = call.scope.get("root_path", "").rstrip("/")
        files = [_file_answer(file, detail.tracks[file.id], base, starts.get(file.id)) for file in detail.files]
        return ItemDetailAnswer(**asdict(item_answer(detail.view)), files=files, state=state)

    async def list_episodes(self, call: Call) -> ItemsAnswer:
        """List the available episodes of a show by season and number."""
        query = call.query(EpisodesQuery)
        page = await self._catalogue.list_episodes(
            call.viewer,
            call.item_id(ItemKind.SHOW),
            season=query.season,
            cursor=query.cursor,
            limit=query.limit,
        )
        return _page_answer(page)


def item_answer(view: ItemView) -> ItemAnswer:
    """Convert an item."""
    item = view.item
    answer = ItemAnswer(
        id=item.id,
        kind=item.kind,
        title=item.title,
        year=item.year,
        library=None if view.library is None else view.library.name,
        libraries=[library.name for library in view.libraries],
        external_ids=dict(item.external_ids),
        available=view.available,
        runtime_seconds=None if view.runtime_ms is None else seconds(view.runtime_ms),
    )
    if item.kind is ItemKind.EPISODE:
        answer.show_id = item.show_id
        answer.season_number = item.season_number
        answer.episode_number = item.episode_number
        answer.episode_end = item.episode_end
        answer.air_date = None if item.air_date is None else item.air_date.isoformat()
    return answer


def library_answer(view: LibraryView, automatic: AutoScanStatus | None) -> LibraryAnswer:
    """Convert a library; for an admin with its folder, the last scan, and how it is kept up to date (`automatic`)."""
    library = view.library
    answer = LibraryAnswer(
        id=library.id,
        name=library.name,
        kind=library.kind,
        movies=view.counts.get(ItemKind.MOVIE, 0),
        shows=view.counts.get(ItemKind.SHOW, 0),
        episodes=view.counts.get(ItemKind.EPISODE, 0),
        scanning=view.scanning,
        scanned_at=None if library.scanned_at is None else time_text(library.scanned_at),
    )
    if automatic is not None:
        answer.path = library.path
        answer.last_scan = None if view.report is None else _scan_answer(view.report)
        answer.watched = automatic.is_watched
        answer.next_scan_at = None if automatic.next_at is None else time_text(automatic.next_at)
    return answer


def _page_answer(page: ItemListPage) -> ItemsAnswer:
    return ItemsAnswer([item_answer(view) for view in page.items], page.next_cursor)


def _file_answer(file: MediaFile, tracks: Tracks, base: str, start_ms: Milliseconds | None) -> FileAnswer:
    """Convert a file; `base` is the path under which Playhead is mounted, `start_ms` where it resumes."""
    return FileAnswer(
        id=file.id,
        label=file.label,
        duration_seconds=None if file.duration_ms is None else seconds(file.duration_ms),
        size=file.size,
        part=file.part,
        container=file.container,
        video_codec=file.video_codec,
        audio_codec=file.audio_codec,
        width=file.width,
        height=file.height,
        audio=[
            SoundAnswer(track.language, track.title, track.codec, track.channels, track.default)
            for track in tracks.sound
        ],
        subtitles=[
            SubtitleAnswer(
                index=index,
                language=track.language,
                title=track.title,
                codec=track.codec,
                forced=track.forced,
                default=track.default,
                url=f"{base}/api/v1/stream/file/{file.id}/subtitles/{index}" if track.is_text else None,
            )
            for index, track in enumerate(tracks.subtitles)
        ],
        resume_position_seconds=None if start_ms is None else seconds(start_ms),
    )


def _scan_answer(summary: ScanSummary) -> ScanAnswer:
    return ScanAnswer(
        added=summary.added,
        items_added=summary.items_added,
        changed=summary.changed,
        moved=summary.moved,
        removed=summary.removed,
        restored=summary.restored,
        unchanged=summary.unchanged,
        skipped=summary.skipped,
        skipped_files=[SkippedAnswer(path, reason) for path, reason in summary.skipped_files],
        reassigned=summary.reassigned,
        reassigned_files=[ReassignedAnswer(*each) for each in summary.reassigned_files],
        merged=summary.merged,
        merged_titles=[MergedTitleAnswer(*each) for each in summary.merged_titles],
        failure=summary.failure,
    )
