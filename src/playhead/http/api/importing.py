"""The import of a catalogue over HTTP: one JSON object per line, read and decoded in chunks, off the event loop."""

import asyncio
import re
from datetime import date
from typing import Annotated, Final

from msgspec import Meta, Struct

from playhead.domain.importing import FAULTS_MAX, ImportEntry, LineFault, ShowName
from playhead.domain.limits import LINES_OF_IMPORT
from playhead.domain.model import ItemId, ItemKind, Milliseconds, canonical_id
from playhead.domain.texts import EXTERNAL_ID, SOURCE, TITLE, WORD, clean_text
from playhead.errors import PlayheadError
from playhead.http.api.formats import MAX_SECONDS
from playhead.http.bodies import decode, require_media_type, stream_body, too_large
from playhead.http.route import Call
from playhead.services.importing import Importer

MEDIA_TYPE: Final = "application/x-ndjson"
BODY_MAX_BYTES: Final = 64 * 1024 * 1024
LINE_MAX_BYTES: Final = 64 * 1024

# Some milliseconds of decoding: a save may have to wait that long for the interpreter lock.
_DECODED_AT_ONCE: Final = 256 * 1024

_TEXT = r"^[^\x00\ud800-\udfff]*$"
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_NUMBER_MAX = 100_000

ImportText = Annotated[str, Meta(min_length=1, max_length=EXTERNAL_ID.characters, pattern=_TEXT)]
Title = Annotated[str, Meta(min_length=1, max_length=TITLE.characters, pattern=_TEXT)]
Year = Annotated[int, Meta(ge=1, le=9999)]
EpisodeNumberField = Annotated[int, Meta(ge=0, le=_NUMBER_MAX)]
Seconds = Annotated[float, Meta(gt=0, le=MAX_SECONDS)]
Uuid = Annotated[str, Meta(max_length=WORD.characters, extra_json_schema={"format": "uuid"})]
Day = Annotated[str, Meta(max_length=WORD.characters, extra_json_schema={"format": "date"})]
Source = Annotated[str, Meta(min_length=1, max_length=SOURCE.characters, pattern=r"^[a-z0-9_.-]*$")]
ExternalIds = Annotated[dict[Source, ImportText], Meta(max_length=50)]


class ShowLine(Struct):
    """The show of an episode: its id, one of its external ids, or its title and year."""

    id: Uuid | None = None
    external_ids: ExternalIds | None = None
    title: Title | None = None
    year: Year | None = None


class ImportLine(Struct, kw_only=True):
    """One line: a movie, a show or an episode. `library` is a name or an id; the last five are for episodes only.

    Omitted and null members become unknown. With `available` false the item cannot be played at the moment.
    """

    library: ImportText
    kind: ItemKind
    title: Title
    id: Uuid | None = None
    year: Year | None = None
    external_ids: ExternalIds | None = None
    runtime_seconds: Seconds | None = None
    credits_start_seconds: Seconds | None = None
    available: bool = True
    show: ShowLine | None = None
    season_number: EpisodeNumberField | None = None
    episode_number: EpisodeNumberField | None = None
    episode_end: EpisodeNumberField | None = None
    air_date: Day | None = None


class ImportAnswer(Struct):
    """How many lines added an item, changed one, or changed nothing."""

    added: int
    changed: int
    unchanged: int


class ImportRoutes:
    """The endpoint of the import."""

    def __init__(self, importer: Importer) -> None:
        self._importer = importer

    async def run(self, call: Call) -> ImportAnswer:
        """Import items, one JSON object per line (the schema is that of a line), in one transaction.

        Either all lines are imported, or none, and `details` names the faults by line and member: `line 3: title`.
        """
        require_media_type(call.header(b"content-type"), MEDIA_TYPE)
        lines = Lines()
        waiting = bytearray()
        async for piece in stream_body(call.scope, call.receive, BODY_MAX_BYTES):
            waiting += piece
            if len(waiting) >= _DECODED_AT_ONCE:
                await asyncio.to_thread(lines.feed, bytes(waiting))
                waiting.clear()
        await asyncio.to_thread(lines.feed, bytes(waiting) + b"\n")
        report = await self._importer.run(lines.entries, lines.faults)
        return ImportAnswer(report.added, report.changed, report.unchanged)


class Lines:
    """Splits a body that arrives in chunks into lines, and decodes them into `entries` and `faults`.

    The last line must end in a line feed, too.
    """

    def __init__(self) -> None:
        self.entries: list[ImportEntry] = []
        self.faults: list[LineFault] = []
        self._number = 0
        self._begun = b""
        self._is_overlong = False

    def feed(self, piece: bytes) -> None:
        """Process the next chunk. Raises TOO_LARGE once there are more non-blank lines than LINES_OF_IMPORT.

        Once there are more faults than are ever shown, the rest is not examined.
        """
        *ends, begun = piece.split(b"\n")
        for end in ends:
            self._number += 1
            self._take(self._begun + end)
            self._begun, self._is_overlong = b"", False
        self._begun += begun
        if len(self._begun) > LINE_MAX_BYTES:
            self._begun, self._is_overlong = b"", True

    def _take(self, line: bytes) -> None:
        if len(self.faults) > FAULTS_MAX:
            return
        if self._is_overlong or len(line) > LINE_MAX_BYTES:
            self.faults.append(LineFault(self._number, None, f"must have at most {LINE_MAX_BYTES} bytes"))
        elif line.strip():
            self._decode(line)
        if len(self.entries) > LINES_OF_IMPORT.most:
            raise too_large()

    def _decode(self, line: bytes) -> None:
        try:
            decoded = decode(line, ImportLine)
        except PlayheadError as error:
            faults = {"body": ["is not JSON"]} if error.details is None else error.details
        else:
            faults = self._convert(decoded)
        for member, texts in faults.items():
            self.faults += [LineFault(self._number, None if member == "body" else member, text) for text in texts]

    def _convert(self, line: ImportLine) -> dict[str, list[str]]:
        """Add a line that is valid by itself, or return its faults."""
        faults: dict[str, list[str]] = {}
        own_id = None if line.id is None else canonical_id(line.id)
        if line.id is not None and own_id is None:
            faults["id"] = ["must be a UUID"]
        show = None if line.show is None else _show_name(line.show)
        if show is not None and show.id is None and line.show is not None and line.show.id is not None:
            faults["show"] = ["id: must be a UUID"]
        air_date = None if line.air_date is None else _day(line.air_date)
        if line.air_date is not None and air_date is None:
            faults["air_date"] = ["must be a date such as 2024-01-15"]
        if not faults:
            self.entries.append(
                ImportEntry(
                    line=self._number,
                    library=line.library,
                    kind=line.kind,
                    title=clean_text(line.title, TITLE),
                    id=None if own_id is None else ItemId(own_id),
                    year=line.year,
                    external_ids=line.external_ids or {},
                    runtime_ms=_milliseconds(line.runtime_seconds),
                    credits_ms=_milliseconds(line.credits_start_seconds),
                    available=line.available,
                    show=show,
                    season_number=line.season_number,
                    episode_number=line.episode_number,
                    episode_end=line.episode_end,
                    air_date=air_date,
                )
            )
        return faults


def _show_name(show: ShowLine) -> ShowName:
    show_id = None if show.id is None else canonical_id(show.id)
    title = None if show.title is None else clean_text(show.title, TITLE)
    return ShowName(None if show_id is None else ItemId(show_id), show.external_ids or {}, title, show.year)


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if _DAY.fullmatch(text) else None
    except ValueError:
        return None


def _milliseconds(seconds: float | None) -> Milliseconds | None:
    return None if seconds is None else Milliseconds(max(1, round(seconds * 1000)))
