"""Which file of its item a report is about, and what follows: runtime, credits, and the place on the timeline. Pure.

A version is one way to play an item from beginning to end: one file, or one file for each part. The item's timeline is
that of the version; a player that names the file of a part may report in the time of this file.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from playhead.domain.catalogue import FileFacts
from playhead.domain.model import FileId, ItemId, LibraryId, Milliseconds
from playhead.domain.playback import ItemFacts, Policy, Report

# Two lengths are those of one cut if they differ by no more than 2 %, one in 50: encodes differ by seconds, players
# round.
_ONE_IN = 50

# Players round the length of the file that plays to seconds.
_ROUNDING_MS = 1000


class Timeline(NamedTuple):
    """The timeline of one version: its length, the start of the closing credits, and where each file begins."""

    duration_ms: Milliseconds
    credits_ms: Milliseconds | None
    starts: Mapping[FileId, Milliseconds]


class LeftAt(NamedTuple):
    """The position at which an item resumes, above 0, and the duration with which it was reported."""

    position_ms: Milliseconds
    duration_ms: Milliseconds


class FilePlace(NamedTuple):
    """The place of a file on the timeline of its version, the length of that timeline, and the version's facts."""

    start_ms: Milliseconds
    length_ms: Milliseconds
    total_ms: Milliseconds
    facts: ItemFacts


class Playable(NamedTuple):
    """What may play of an item: its files, their places by id, and the lengths and facts of the versions.

    Made once for many reports. `places` are those of files whose version has a known length; of `versions` that are
    equally long, those with the earliest credits come first.
    """

    files: tuple[FileFacts, ...]
    places: Mapping[FileId, FilePlace]
    versions: tuple[tuple[Milliseconds, ItemFacts], ...]


class SeenFiles(NamedTuple):
    """What a viewer's reports of an item can rest on.

    `facts` hold if the file that plays is unknown: the shortest runtime, and the credits if the versions are of one
    length. `playable` are the files to choose from; None if the viewer may see all, and `facts` hold for each.
    """

    facts: ItemFacts
    playable: Playable | None


def is_same_length(one: int, other: int) -> bool:
    """Return whether two lengths can be those of one cut."""
    return abs(one - other) * _ONE_IN <= max(one, other)


def timelines_of(files: Iterable[FileFacts]) -> dict[FileId, Timeline]:
    """Return the version that each file belongs to; files whose version has no known length are left out.

    A part goes with the others of its library, the shortest with the shortest, so that two cuts in parts stay apart.
    """
    files = tuple(files)
    known = sorted((file for file in files if file.duration_ms is not None), key=_length_and_id)
    found = {
        file.file_id: Timeline(_length(file), file.credits_ms, {file.file_id: Milliseconds(0)})
        for file in known
        if file.part is None
    }
    parts = sorted({file.part for file in files if file.part is not None})
    return found | _joined(known, parts) if parts else found


def measure(files: Iterable[FileFacts]) -> ItemFacts:
    """Return the runtime and the credits of an item whatever file plays.

    The runtime is that of the shortest version (rule 6 of the semantics). The credits are the earliest of any version,
    and None if the versions differ in length: those of a short cut must not finish a longer one.
    """
    versions = timelines_of(files).values()
    if not versions:
        return ItemFacts()
    lengths = [version.duration_ms for version in versions]
    starts = [version.credits_ms for version in versions if version.credits_ms is not None]
    return ItemFacts(min(lengths), min(starts, default=None) if _agree(lengths) else None)


def see_files(item: ItemFacts, files: Sequence[FileFacts], granted: Collection[LibraryId] | None) -> SeenFiles:
    """Return what a viewer's reports can rest on, of an item that has these files.

    `item` are the facts stored with the item, `granted` the libraries whose files the viewer may see; None: all.
    """
    seen = visible_files(item, files, granted)
    if len(seen) < len(files):
        return SeenFiles(measure(seen), _playable(seen))
    if len(seen) == 1:
        return SeenFiles(item, None)
    playable = _playable(seen)
    lengths = [length for length, _ in playable.versions]
    return SeenFiles(item if _agree(lengths) else item._replace(credits_ms=None), playable)


def visible_files(
    item: ItemFacts, files: Sequence[FileFacts], granted: Collection[LibraryId] | None
) -> tuple[FileFacts, ...]:
    """Return the files that a viewer may see, with the credits that an admin has set for the item."""
    if item.credits_ms is not None and item.credits_ms != measure(files).credits_ms:
        files = _with_credits(item.credits_ms, item.runtime_ms, files)
    return tuple(file for file in files if granted is None or file.library_id in granted)


def place(report: Report, item: ItemFacts, playable: Playable) -> tuple[Report, ItemFacts]:
    """Return the report on the timeline of its item, and the facts of the version that plays; see `SeenFiles`.

    Without a file that the viewer may see, the version whose length is nearest to the reported one is taken to play if
    it can be that one; the position is then on the timeline already, because it would be the same for any file.
    """
    named = None if report.file_id is None else playable.places.get(FileId(report.file_id))
    if named is not None:
        return _on_timeline(report, named), named.facts
    return report, facts_for(report.duration_ms, item, playable)


def facts_for(duration_ms: Milliseconds | None, item: ItemFacts, playable: Playable | None) -> ItemFacts:
    """Return the facts of the version with this length, or those that hold for all versions; see `SeenFiles`."""
    if playable is None or duration_ms is None or not playable.versions:
        return item
    length_ms, facts = min(playable.versions, key=lambda version: abs(version[0] - duration_ms))
    return facts if is_same_length(length_ms, duration_ms) else item


def completed_at(timeline: Timeline, policy: Policy) -> Milliseconds:
    """Return the position from which on a version is completed (rule 6)."""
    by_percent = -(-timeline.duration_ms * policy.watched_percent // 100)
    return Milliseconds(by_percent if timeline.credits_ms is None else min(by_percent, timeline.credits_ms))


def latest_start(timeline: Timeline, policy: Policy) -> Milliseconds:
    """Return the latest position at which a version may start: the floor before the point that completes it."""
    floor = min(policy.floor_ms, timeline.duration_ms * policy.floor_percent // 100)
    return Milliseconds(max(0, completed_at(timeline, policy) - floor))


def start_in(timeline: Timeline, left: LeftAt, policy: Policy) -> Milliseconds:
    """Return where a version starts that resumes at a position which may have been reached in another one.

    That is the position itself, but no later than `latest_start`: whoever opens a shorter version has not finished it.
    In a version of the length that was reported, the position stays if it can be resumed at.
    """
    position, duration = left
    if is_same_length(timeline.duration_ms, duration) and position < completed_at(timeline, policy):
        return position
    return Milliseconds(min(position, latest_start(timeline, policy)))


def starts_in(files: Sequence[FileFacts], left: LeftAt | None, policy: Policy) -> dict[FileId, Milliseconds | None]:
    """Return for each file where it starts when the item is resumed, in the file's own time; without `left` at 0.

    None for a part that is not where the item resumes. A file of unknown length starts at the position itself.
    """
    timelines = timelines_of(files)
    starts: dict[FileId, Milliseconds | None] = {}
    for file in files:
        timeline = timelines.get(file.file_id)
        position = Milliseconds(0) if left is None else left.position_ms
        if timeline is None:
            starts[file.file_id] = position if file.part is None else None
            continue
        if left is not None:
            position = start_in(timeline, left, policy)
        start, part = max((start, part) for part, start in timeline.starts.items() if start <= position)
        starts[file.file_id] = Milliseconds(position - start) if part == file.file_id else None
    return starts


def played_file(file_id: str | None, duration_ms: Milliseconds | None, files: Sequence[FileFacts]) -> FileId | None:
    """Return which of an item's files a report was about: the one that it named, else the one of its length.

    None if no file has this length, or several have: then nothing tells.
    """
    if any(file.file_id == file_id for file in files):
        return FileId(str(file_id))
    if len(files) == 1:
        return files[0].file_id
    if duration_ms is None:
        return None
    nearest = sorted((abs(version.duration_ms - duration_ms), each) for each, version in timelines_of(files).items())
    if not nearest or nearest[0][0] * _ONE_IN > duration_ms:
        return None
    is_clear = len(nearest) == 1 or nearest[1][0] - nearest[0][0] > _ROUNDING_MS
    return nearest[0][1] if is_clear else None


def files_meant(report: Report, item_id: ItemId, number: int | None, files: Sequence[FileFacts]) -> list[FileId]:
    """Return the files with several episodes that a report of one of these may be about, by the rule of `played_file`.

    Empty if it may be about a file of this episode alone; `number` is the episode's.
    """
    played = played_file(report.file_id, report.duration_ms, files)
    meant = [file for file in files if played in (None, file.file_id)]
    if any(file.first == item_id and file.end in (None, number) for file in meant):
        return []
    return [file.file_id for file in meant]


def _playable(files: tuple[FileFacts, ...]) -> Playable:
    timelines = timelines_of(files)
    facts = {file_id: ItemFacts(version.duration_ms, version.credits_ms) for file_id, version in timelines.items()}
    places = {
        file.file_id: FilePlace(version.starts[file.file_id], _length(file), version.duration_ms, facts[file.file_id])
        for file in files
        if (version := timelines.get(file.file_id)) is not None
    }
    versions = {(place.total_ms, place.facts) for place in places.values()}
    return Playable(files, places, tuple(sorted(versions, key=_credits_first)))


def _credits_first(version: tuple[Milliseconds, ItemFacts]) -> tuple[bool, int, int]:
    length_ms, facts = version
    return facts.credits_ms is None, facts.credits_ms or 0, length_ms


def _on_timeline(report: Report, file: FilePlace) -> Report:
    start, length, total, _ = file
    if length == total:
        return report
    to_whole = abs(report.duration_ms - total)
    if is_same_length(report.duration_ms, total) and to_whole <= abs(report.duration_ms - length):
        return report  # some players, such as the web player, count on through the parts
    return report._replace(
        position_ms=Milliseconds(start + min(report.position_ms, report.duration_ms)),
        duration_ms=Milliseconds(total - length + report.duration_ms),
    )


def _joined(known: Sequence[FileFacts], parts: Sequence[int]) -> dict[FileId, Timeline]:
    """Return the versions of files in parts; `known` are in the order of their lengths."""
    places: dict[tuple[LibraryId | None, int | None], list[FileFacts]] = defaultdict(list)
    for file in known:
        places[file.library_id, file.part].append(file)
        places[None, file.part].append(file)
    found: dict[FileId, Timeline] = {}
    for file in known:
        if file.part is None:
            continue
        rank = places[file.library_id, file.part].index(file)
        choices = [places[file.library_id, part] or places[None, part] for part in parts]
        if all(choices):
            found[file.file_id] = _timeline([each[min(rank, len(each) - 1)] for each in choices])
    return found


def _timeline(files: Sequence[FileFacts]) -> Timeline:
    starts: dict[FileId, Milliseconds] = {}
    start = 0
    for file in files:
        starts[file.file_id] = Milliseconds(start)
        start += _length(file)
    last = files[-1]
    credits_ms = None if last.credits_ms is None else Milliseconds(starts[last.file_id] + last.credits_ms)
    return Timeline(Milliseconds(start), credits_ms, starts)


def _with_credits(
    credits_ms: Milliseconds, runtime_ms: Milliseconds | None, files: Sequence[FileFacts]
) -> tuple[FileFacts, ...]:
    """Give the files of versions as long as the item the credits that an admin has set for it."""
    versions = timelines_of(files)
    found: list[FileFacts] = []
    for file in files:
        version = versions.get(file.file_id)
        if version is not None and runtime_ms is not None and is_same_length(version.duration_ms, runtime_ms):
            start = version.starts[file.file_id]
            ends_it = start + _length(file) == version.duration_ms
            found.append(file._replace(credits_ms=Milliseconds(max(0, credits_ms - start)) if ends_it else None))
        else:
            found.append(file)
    return tuple(found)


def _agree(lengths: Collection[Milliseconds]) -> bool:
    return not lengths or is_same_length(min(lengths), max(lengths))


def _length(file: FileFacts) -> Milliseconds:
    return Milliseconds(file.duration_ms or 0)


def _length_and_id(file: FileFacts) -> tuple[int, FileId]:
    return _length(file), file.file_id
