"""Continue watching and next up: what a user's own rows say about what to play. Pure; no clock, no I/O."""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from playhead.domain.model import Instant, ItemId, Milliseconds, moment_of
from playhead.domain.playback import ItemFacts, Policy, Progress, is_resumable


class ItemState(NamedTuple):
    """A movie or an episode and one user's state of it; the defaults stand for an item that was never reported.

    `available`: a file exists, or a front end keeps one, and the user may see it. `air_date` is an ISO 8601 calendar
    date. `play_count` counts all plays, `played_at` is the time of the latest dated one. `placed_season` and
    `placed_before` are the place of a special, as in `domain.catalogue.EpisodePlace`.
    """

    item_id: ItemId
    show_id: ItemId | None
    available: bool
    position_ms: Milliseconds = Milliseconds(0)
    duration_ms: Milliseconds | None = None
    credits_ms: Milliseconds | None = None
    watched: bool = False
    armed: bool = True
    last_watched_at: Instant | None = None
    season_number: int | None = None
    episode_number: int | None = None
    episode_end: int | None = None
    air_date: str | None = None
    placed_season: int | None = None
    placed_before: int | None = None
    play_count: int = 0
    played_at: Instant | None = None


class ListState(NamedTuple):
    """A user's decisions about the card of a movie or a show. None of them touches a position."""

    hidden_at: Instant | None = None
    snoozed_until: Instant | None = None
    dropped_at: Instant | None = None


class NextKind(StrEnum):
    """Why an episode is next: it is in progress, it follows, the show is unstarted, a rewatch; or nothing is left."""

    CONTINUE = "continue"
    NEXT = "next"
    START = "start"
    REWATCH = "rewatch"
    DONE = "done"


class NextUp(NamedTuple):
    """The episode of a show to play next; `episode` is None exactly if `kind` is DONE."""

    kind: NextKind
    episode: ItemState | None


class WatchFilter(StrEnum):
    """Which items of a library to list, by watch state."""

    ALL = "all"
    UNWATCHED = "unwatched"
    IN_PROGRESS = "in-progress"
    WATCHED = "watched"


class EpisodeCounts(NamedTuple):
    """How many episodes a show has, how many are watched, and how many are watched or started."""

    episodes: int = 0
    watched: int = 0
    begun: int = 0

    @property
    def unwatched(self) -> int:
        """Return how many episodes are left to watch."""
        return self.episodes - self.watched


class CardCandidate(NamedTuple):
    """A movie or show that may get a card. `id` is the movie's or the show's.

    `row` is the movie, or the episode that was active last. `is_settled`: that one is in progress, so the card is for
    it; else the show's episodes decide.
    """

    id: ItemId
    is_settled: bool
    active_at: Instant
    row: ItemState


class Card(NamedTuple):
    """One card of continue watching: what to play, and why. For a show, `active_at` is its latest activity."""

    row: ItemState
    kind: NextKind
    active_at: Instant


def find_candidates(
    rows: Iterable[ItemState], states: Mapping[ItemId, ListState], policy: Policy, now: Instant
) -> list[CardCandidate]:
    """Return the movies and shows that may get a card, newest activity first, then by id.

    `rows` are the rows with progress, in any order; `states` are keyed by movie or show. Storage may omit rows that
    cannot lead to a card: rows without `last_watched_at` or with one before `now - policy.activity_ms`, and movies that
    are unavailable, at 0, or watched and not armed. It may pass only the newest row of a show, and only the newest rows
    overall, as long as it omits none that is newer than a row it passes. A hidden card comes back with new activity.
    """
    since = now - policy.activity_ms
    newest: dict[ItemId, CardCandidate] = {}
    for row in rows:
        at = row.last_watched_at
        if at is None or at < since:
            continue
        is_settled = _is_in_progress(row, policy)
        if row.show_id is None and not is_settled:
            continue
        id_ = row.show_id or row.item_id
        if id_ not in newest or (at, _place(row)) > (newest[id_].active_at, _place(newest[id_].row)):
            newest[id_] = CardCandidate(id_, is_settled, at, row)
    found = [
        each for each in newest.values() if each.id not in states or not _is_away(states[each.id], each.active_at, now)
    ]
    found.sort(key=lambda each: (-each.active_at, each.id))
    return found


def continue_watching(
    candidates: Iterable[CardCandidate],
    episodes: Mapping[ItemId, Sequence[ItemState]],
    policy: Policy,
    now: Instant,
    limit: int | None = None,
) -> list[Card]:
    """Return the cards of the candidates, in their order, at most `limit` (default: the policy's).

    `episodes` holds the episodes of each show that is not settled, as `next_up` takes them. A show without episodes, or
    with nothing left to play, gets no card. Candidates are independent of each other, so callers can pass them in
    chunks, with the episodes of a chunk's shows, until there are enough cards.
    """
    wanted = policy.cards if limit is None else limit
    cards: list[Card] = []
    for candidate in candidates:
        if len(cards) == wanted:
            break
        if candidate.is_settled:
            cards.append(Card(candidate.row, NextKind.CONTINUE, candidate.active_at))
            continue
        kind, episode = next_up(episodes.get(candidate.id, ()), policy, now)
        if episode is not None and kind is not NextKind.START:  # a show that was never started is not continued
            cards.append(Card(episode, kind, candidate.active_at))
    return cards


def next_up(episodes: Sequence[ItemState], policy: Policy, now: Instant) -> NextUp:
    """Return the episode of a show to play next, given its episodes in any order, removed ones included.

    If no episode was played more than once, storage may omit episodes that are watched, not begun again, and last
    played before another episode in order: they can neither be next nor decide which one is.

    An episode in progress comes first. Otherwise playback goes on after the anchor, the episode in order played last:
    with the first unwatched episode on a first watching, else with the first one, since none was played after the
    anchor. Regular episodes are in order, and specials (season 0) that have a place; other specials never follow.
    """
    begun = [row for row in episodes if row.position_ms and row.last_watched_at is not None]
    begun = [row for row in begun if _is_in_progress(row, policy)]
    if begun:
        return NextUp(NextKind.CONTINUE, max(begun, key=lambda row: (row.last_watched_at or 0, _place(row))))

    played = [row for row in episodes if _is_in_order(row) and row.play_count]
    candidates = _playable(episodes, now)
    if not played:
        unwatched = [row for row in candidates if not row.watched]
        return _first(NextKind.START, unwatched)
    anchor = max(played, key=lambda row: (-1 if row.played_at is None else row.played_at, _place(row)))
    end = _last_place(anchor)
    following = [row for row in candidates if _place(row) > end]
    if anchor.play_count > 1:
        return _first(NextKind.REWATCH, following)
    return _first(NextKind.NEXT, [row for row in following if not row.watched])


def following(episodes: Sequence[ItemState], current_id: ItemId, policy: Policy, now: Instant) -> ItemState | None:
    """Return the episode to play after the current one, given all episodes of its show, or None.

    On a first watching it is the first unwatched episode after the current one, on a rewatch the first one. After a
    special without a place it is the show's next up.
    """
    current = next((row for row in episodes if row.item_id == current_id), None)
    if current is None:
        return None
    others = [row for row in episodes if row.item_id != current_id]
    if not _is_in_order(current):
        return next_up(others, policy, now).episode
    behind = [row for row in _playable(others, now) if _place(row) > _last_place(current)]
    if not current.play_count:
        behind = [row for row in behind if not row.watched]
    return min(behind, key=_place, default=None)


def up_to(episodes: Sequence[ItemState], item_id: ItemId, now: Instant) -> list[ItemId]:
    """Return the episodes of a show in order up to and including one, and the others of its file.

    Episodes that have not aired are left out. A special without a place in the order yields only itself.
    """
    last = next(row for row in episodes if row.item_id == item_id)
    if not _is_in_order(last):
        return [item_id]
    end = _last_place(last)
    return [
        row.item_id
        for row in episodes
        if _is_in_order(row) and _place(row) <= end and (row.item_id == item_id or has_aired(row.air_date, now))
    ]


def in_order(episodes: Iterable[ItemState]) -> list[ItemState]:
    """Return episodes in watching order, specials without a place first."""
    return sorted(episodes, key=lambda row: (_place(row), row.item_id))


def neighbours(episodes: Iterable[ItemState], item_id: ItemId) -> tuple[ItemId | None, ItemId | None]:
    """Return the playable episodes before and after one; specials without a place are a sequence of their own."""
    row = in_order(each for each in episodes if each.available or each.item_id == item_id)
    place = next(number for number, each in enumerate(row) if each.item_id == item_id)
    sequence = _is_in_order(row[place])
    before = [each.item_id for each in row[:place] if _is_in_order(each) is sequence]
    after = [each.item_id for each in row[place + 1 :] if _is_in_order(each) is sequence]
    return (before[-1] if before else None, after[0] if after else None)


def is_in_progress(known: Progress | ItemState, item: ItemFacts, policy: Policy) -> bool:
    """Return whether an item is in progress: on its first viewing, or on another one since its last play."""
    return (known.armed or not known.watched) and is_resumable(known.position_ms, known.duration_ms, item, policy)


def has_aired(air_date: str | None, now: Instant) -> bool:
    """Return whether an episode has aired, by the UTC calendar. One without a date has."""
    return air_date is None or air_date <= _today(now)


def is_hidden(hidden_at: Instant | None, active_at: Instant | None) -> bool:
    """Return whether a card is still hidden: there was no activity since it was hidden."""
    return hidden_at is not None and (active_at is None or active_at <= hidden_at)


def _playable(episodes: Sequence[ItemState], now: Instant) -> list[ItemState]:
    """Return the episodes in order that have aired and have a file."""
    return [row for row in episodes if _is_in_order(row) and row.available and has_aired(row.air_date, now)]


def _today(now: Instant) -> str:
    return moment_of(now).date().isoformat()


def _is_in_progress(row: ItemState, policy: Policy) -> bool:
    return row.available and is_in_progress(row, ItemFacts(None, row.credits_ms), policy)


def _is_away(state: ListState, active_at: Instant, now: Instant) -> bool:
    return (
        state.dropped_at is not None
        or (state.snoozed_until is not None and now < state.snoozed_until)
        or is_hidden(state.hidden_at, active_at)
    )


def _first(kind: NextKind, rows: Sequence[ItemState]) -> NextUp:
    return NextUp(kind, min(rows, key=_place)) if rows else NextUp(NextKind.DONE, None)


class _OrderKey(NamedTuple):
    """The place of an episode in the order: by season, number and date; a special before what it is placed before."""

    season: int
    number: int
    is_regular: bool = True
    date: str = ""
    special: int = 0


_BEHIND_SEASON = 1_000_000  # more than any number of an episode


def _is_in_order(row: ItemState) -> bool:
    return row.season_number != 0 or row.placed_season is not None


def _place(row: ItemState) -> _OrderKey:
    """Episodes numbered by date form one season, ordered by date."""
    if row.season_number == 0 and row.placed_season is not None:
        before = _BEHIND_SEASON if row.placed_before is None else row.placed_before
        return _OrderKey(row.placed_season, before, is_regular=False, special=row.episode_number or 0)
    season = 1 if row.season_number is None else row.season_number
    if row.episode_number is None:
        return _OrderKey(season, 0, date=row.air_date or "")
    return _OrderKey(season, row.episode_number)


def _last_place(row: ItemState) -> _OrderKey:
    """Return the position of the last episode in a row's file, which may hold several."""
    place = _place(row)
    return place._replace(number=max(place.number, row.episode_end or 0)) if place.is_regular else place
