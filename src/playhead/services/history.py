"""History export and import as JSON Lines: one line per item, named so that any installation can match it.

docs/history.md describes the format. Lengths are milliseconds, times RFC 3339 with milliseconds.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from functools import partial
from itertools import islice
from typing import Annotated, Any, NamedTuple, cast

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import asdict

from playhead.domain.history import ItemName, merge
from playhead.domain.limits import DECISIONS_OF_USER, PLAYS_OF_ITEM
from playhead.domain.lists import ListState
from playhead.domain.matching import Candidate, NoMatch, match, title_key
from playhead.domain.model import Instant, ItemId, ItemKind, Milliseconds, UserId, canonical_id
from playhead.domain.playback import MAX_MS, Event, KeptPoint, Policy, Progress
from playhead.domain.texts import DEVICE, EXTERNAL_ID, SOURCE, TITLE, clean_text
from playhead.storage import history as storage
from playhead.storage import lists, playback
from playhead.storage.engine.database import Connection, Database
from playhead.storage.history import ExportedPlay, UserState

_LINES_AT_ONCE = 500
LONGEST_LINE = 1_000_000
"""Bytes; no exported line is longer."""
_NO_MATCH = "matches no item here"
_AMBIGUOUS = "matches several items here"
_UNMATCHED = frozenset({_NO_MATCH, _AMBIGUOUS})
_TOO_MANY_PLAYS = f"would give its item more than {PLAYS_OF_ITEM.most:,} plays"
_TOO_MANY_DECISIONS = f"would hide, snooze or drop more than {DECISIONS_OF_USER.most:,} movies and shows"

MomentField = Annotated[datetime, Meta(tz=True)]
LengthMs = Annotated[int, Meta(ge=0, le=MAX_MS)]
_TEXT = r"^[^\x00]*\Z"
DeviceText = Annotated[str, Meta(max_length=DEVICE.characters, pattern=_TEXT)]
SourceText = Annotated[str, Meta(max_length=SOURCE.characters, pattern=_TEXT)]
ExternalIdText = Annotated[str, Meta(max_length=EXTERNAL_ID.characters, pattern=_TEXT)]
# Truncated, not refused: a version of Playhead with longer limits may have written it.
TitleText = Annotated[str, Meta(pattern=_TEXT)]
ItemUuid = Annotated[str, Meta(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")]


class _HistoryShow(Struct, omit_defaults=True):
    title: TitleText
    year: int | None = None
    external_ids: dict[SourceText, ExternalIdText] = {}


class _HistoryItem(Struct, omit_defaults=True):
    id: ItemUuid | None = None  # only if the catalogue no longer has the item
    kind: ItemKind | None = None
    title: TitleText = ""
    year: int | None = None
    external_ids: dict[SourceText, ExternalIdText] = {}
    show: _HistoryShow | None = None
    season_number: int | None = None
    episode_number: int | None = None
    air_date: date | None = None


class _HistoryProgress(Struct, omit_defaults=True):
    """The members of `Progress` that a history carries, by their names there. Their order is the format."""

    position_ms: LengthMs
    watched: bool
    armed: bool
    duration_ms: Annotated[int, Meta(gt=0, le=MAX_MS)] | None = None
    last_watched_at: MomentField | None = None
    session: DeviceText | None = None
    device: DeviceText | None = None
    event: Event | None = None
    unwatched_at: MomentField | None = None
    completed_session: DeviceText | None = None
    completed_duration_ms: LengthMs | None = None
    completed_at: MomentField | None = None
    completed_marked: bool = False


# The members of a progress that are instants in the store and timestamps in a file.
_MOMENTS = ("last_watched_at", "unwatched_at", "completed_at")


class _HistoryPlay(Struct, omit_defaults=True):
    id: ItemUuid
    source: SourceText
    watched_at: MomentField | None = None


class _Point(Struct, omit_defaults=True):
    id: ItemUuid
    position_ms: LengthMs
    duration_ms: Annotated[int, Meta(gt=0, le=MAX_MS)]
    kept_at: MomentField
    device: DeviceText | None = None


class _List(Struct, omit_defaults=True):
    hidden_at: MomentField | None = None
    snoozed_until: MomentField | None = None
    dropped_at: MomentField | None = None


class _HistoryLine(Struct, omit_defaults=True):
    item: _HistoryItem
    progress: _HistoryProgress | UnsetType = UNSET
    plays: list[_HistoryPlay] = []
    positions: list[_Point] = []
    list: _List | UnsetType = UNSET


class Rejected(NamedTuple):
    """A line that was not imported: its number, counted from 1, the reason, and the line itself."""

    number: int
    reason: str
    line: bytes


class HistoryReport(NamedTuple):
    """How many items an import changed, and how many lines changed nothing."""

    changed: int
    unchanged: int


class History:
    """Exports and imports a user's history. `clock` returns the time."""

    def __init__(self, database: Database, *, clock: Callable[[], Instant], policy: Policy) -> None:
        self._database = database
        self._clock = clock
        self._policy = policy

    async def export(
        self, user_id: UserId, write: Callable[[bytes], object], progress: Callable[[int, int], None]
    ) -> int:
        """Pass everything of a user to `write`, one line at a time, and return the number of lines.

        It is one snapshot, read completely before the first line is written: a read may be retried, and must not wait
        for the receiver. `write` and `progress` are called on other threads.
        """
        lines = await self._database.read_long(partial(_export, user_id=user_id, progress=progress))
        await asyncio.to_thread(lambda: [write(line) for line in lines])
        return len(lines)

    async def import_lines(
        self,
        user_id: UserId,
        lines: Iterable[bytes],
        reject: Callable[[Rejected], object],
        progress: Callable[[int], None],
    ) -> HistoryReport:
        """Import lines, a few hundred per transaction. Idempotent; existing state is never lost.

        `reject` gets each line that is malformed, matches no item, or would exceed a limit; `progress` gets the number
        of lines done. An import is not activity: it moves no time and opens no session.
        """
        changed = unchanged = 0
        numbered = enumerate(lines, start=1)
        while some := list(islice(numbered, _LINES_AT_ONCE)):
            parsed = list(_parse(some, reject))
            found = await self._database.read(partial(_match, user_id, [line for _, line, _ in parsed]))
            imported: dict[ItemId, list[UserState]] = {}
            for (number, line, text), item_id in zip(parsed, found, strict=True):
                if item_id in _UNMATCHED:
                    reject(Rejected(number, item_id, text))
                else:
                    imported.setdefault(ItemId(item_id), []).append(_user_state(line))
            if imported:
                moved, full = await self._database.write(partial(self._store, user_id, imported))
                changed += moved
                unchanged += len(imported) - moved - len(full)
                for (number, _, text), item_id in zip(parsed, found, strict=True):
                    if item_id in full:
                        reject(Rejected(number, full[ItemId(item_id)], text))
            progress(some[-1][0])
        return HistoryReport(changed, unchanged)

    def _store(
        self, user_id: UserId, imported: Mapping[ItemId, list[UserState]], connection: Connection
    ) -> tuple[int, dict[ItemId, str]]:
        """Return how many items changed, and why those beyond a limit did not."""
        now = self._clock()
        full = _full(connection, user_id, imported)
        imported = {item_id: several for item_id, several in imported.items() if item_id not in full}
        changed: set[ItemId] = set()
        keys = [(user_id, item_id) for item_id in sorted(imported)]
        while keys:
            merged: dict[playback.Key, Progress] = {}
            for key, known in zip(keys, playback.load(connection, keys), strict=True):
                stored = None if known is None else known.progress
                for each in imported[key[1]]:
                    if each.progress is not None:
                        merged_here = merge(merged.get(key, stored), each.progress, now)
                        if merged_here is not stored:
                            version = 1 if stored is None else stored.version + 1
                            merged[key] = merged_here._replace(version=version)
            changed |= {item_id for _, item_id in merged}
            keys = playback.store(connection, sorted(merged.items()))  # what another process changed meanwhile
        for item_id, several in imported.items():
            for each in several:
                if storage.add(connection, user_id, {item_id: each}, self._policy.kept_points):
                    changed.add(item_id)
        return len(changed), full


def _full(connection: Connection, user_id: UserId, imported: Mapping[ItemId, list[UserState]]) -> dict[ItemId, str]:
    """Return the items whose lines would exceed a limit, and which limit. Plays that exist already count once."""
    full: dict[ItemId, str] = {}
    for (_, item_id), number in playback.count_plays(connection, [(user_id, item_id) for item_id in imported]).items():
        new = {play.id for each in imported[item_id] for play in each.plays}
        if number + len(new) > PLAYS_OF_ITEM.most:
            there = {play.id for play in storage.user_states(connection, user_id, [item_id])[item_id].plays}
            if len(there | new) > PLAYS_OF_ITEM.most and new - there:
                full[item_id] = _TOO_MANY_PLAYS
    decided = [item_id for item_id, several in imported.items() if any(each.state is not None for each in several)]
    room = DECISIONS_OF_USER.most - lists.count_states(connection, user_id) if decided else 0
    if len(decided) > room:
        new_decisions = [
            item_id for item_id in decided if lists.find_state(connection, (user_id, item_id)) == ListState()
        ]
        full |= dict.fromkeys(new_decisions[max(0, room) :], _TOO_MANY_DECISIONS)
    return full


# Export


def _export(connection: Connection, user_id: UserId, progress: Callable[[int, int], None]) -> list[bytes]:
    lines: list[bytes] = []
    items = storage.list_items(connection, user_id)
    encode = msgspec.json.Encoder().encode
    for start in range(0, len(items), _LINES_AT_ONCE):
        some = items[start : start + _LINES_AT_ONCE]
        mine = storage.user_states(connection, user_id, [item_id for item_id, _ in some])
        for item_id, name in some:
            lines.append(encode(_line(item_id, name, mine[item_id])) + b"\n")
        progress(start + len(some), len(items))
    return lines


def _line(item_id: ItemId, name: ItemName | None, mine: UserState) -> _HistoryLine:
    line = _HistoryLine(_HistoryItem(id=item_id) if name is None else _item(name))
    if mine.progress is not None:
        line.progress = _progress(mine.progress)
    line.plays = [_HistoryPlay(play.id, play.source, _moment(play.watched_at)) for play in mine.plays]
    line.positions = [
        _Point(point_id, point.position_ms, point.duration_ms, cast("datetime", _moment(point.kept_at)), point.device)
        for point_id, point in mine.kept
    ]
    if mine.state is not None:
        line.list = _List(*map(_moment, mine.state))
    return line


def _item(name: ItemName) -> _HistoryItem:
    show = None
    if name.show_title is not None:
        show = _HistoryShow(name.show_title, name.show_year, dict(sorted(name.show_ids.items())))
    return _HistoryItem(
        None,
        name.kind,
        name.title,
        name.year,
        dict(sorted(name.external_ids.items())),
        show,
        name.season_number,
        name.episode_number,
        name.air_date,
    )


def _progress(progress: Progress) -> _HistoryProgress:
    members: dict[str, Any] = {name: getattr(progress, name) for name in _HistoryProgress.__struct_fields__}
    return _HistoryProgress(**members | {name: cast("Any", _moment(members[name])) for name in _MOMENTS})


def _moment(instant: int | None) -> datetime | None:
    if instant is None:
        return None
    seconds, rest = divmod(instant, 1000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest * 1000)


# Import


def _parse(
    lines: Sequence[tuple[int, bytes]], reject: Callable[[Rejected], object]
) -> Iterator[tuple[int, _HistoryLine, bytes]]:
    decode = msgspec.json.Decoder(_HistoryLine).decode
    for number, text in lines:
        if not text.strip():
            continue
        try:
            if len(text) > LONGEST_LINE:
                raise ValueError("is too long")
            line = decode(text)
            if line.item.id is None and not line.item.title:
                raise ValueError("Object missing required field `title` - at `$.item`")
        except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
            reject(Rejected(number, f"is not a line of a history: {error}", text))
        else:
            yield number, line, text


def _match(user_id: UserId, lines: Sequence[_HistoryLine], connection: Connection) -> list[ItemId | str]:
    """Return the item of each line, or why there is none."""
    names = [_name(line.item) for line in lines]
    candidates = storage.find_candidates(connection, user_id, [name.clue for name in names if name is not None])
    by_key: dict[object, list[Candidate]] = {}
    for candidate in candidates:
        titles = {title for title, _ in candidate.names}
        for key in {*titles, *candidate.external_ids.items(), *candidate.show_ids.items()}:
            by_key.setdefault(key, []).append(candidate)
    ids = [ItemId(canonical_id(line.item.id) or "") for line in lines if line.item.id is not None]
    there = storage.find_meant(connection, ids)
    found: list[ItemId | str] = []
    for line, name in zip(lines, names, strict=True):
        if name is None:
            found.append(there.get(ItemId(canonical_id(line.item.id or "") or ""), _NO_MATCH))
            continue
        clue = name.clue
        keys = {*map(title_key, clue.titles), *clue.external_ids.items(), *clue.show_ids.items()}
        meant = {each.item_id: each for key in keys for each in by_key.get(key, ())}
        result = match(clue, meant.values())
        found.append(result.item_id or (_AMBIGUOUS if result.reason is NoMatch.AMBIGUOUS else _NO_MATCH))
    return found


def _name(item: _HistoryItem) -> ItemName | None:
    if item.kind is None:
        return None
    show = item.show
    return ItemName(
        item.kind,
        clean_text(item.title, TITLE),
        item.year,
        item.external_ids,
        None if show is None else clean_text(show.title, TITLE),
        None if show is None else show.year,
        {} if show is None else show.external_ids,
        item.season_number,
        item.episode_number,
        item.air_date,
    )


def _user_state(line: _HistoryLine) -> UserState:
    progress = None
    if line.progress is not UNSET:
        imported = asdict(line.progress)
        imported |= {name: _instant(imported[name]) for name in _MOMENTS}
        if imported["duration_ms"] is None:
            imported["last_watched_at"] = None
        else:
            imported["position_ms"] = min(imported["position_ms"], imported["duration_ms"])
        progress = Progress(**imported, version=0, changed_at=Instant(0))
    return UserState(
        progress,
        [ExportedPlay(play.id, _instant(play.watched_at), play.source) for play in line.plays],
        [
            (
                point.id,
                KeptPoint(
                    Milliseconds(point.position_ms),
                    Milliseconds(point.duration_ms),
                    cast("Instant", _instant(point.kept_at)),
                    point.device,
                ),
            )
            for point in line.positions
        ],
        None
        if line.list is UNSET
        else ListState(
            _instant(line.list.hidden_at), _instant(line.list.snoozed_until), _instant(line.list.dropped_at)
        ),
    )


def _instant(moment: datetime | None) -> Instant | None:
    if moment is None:
        return None
    since = moment - datetime.fromtimestamp(0, UTC)
    return Instant((since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000)
