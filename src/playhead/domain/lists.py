"""Continue watching and next up: what a user's own rows say about what to play. Pure; no clock, no I/O."""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from playhead.domain.model import Instant, ItemId, Milliseconds, moment_of
from playhead.domain.playback import ItemFacts, Policy, Progress, is_resumable


class ItemState(NamedTuple):
    """A movie or an episode, and what one user did with it; without progress it is as if never reported.

    `available`: there is a file of it, or a front end keeps one, and the user may see it. `air_date` is an ISO 8601
    calendar date. `play_count` counts all plays, `played_at` is the latest that has a time.
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
    play_count: int = 0
    played_at: Instant | None = None


class ListState(NamedTuple):
    """What a user decided about the card of a movie or a show. None of it touches a position."""

    hidden_at: Instant | None = None
    snoozed_until: Instant | None = None
    dropped_at: Instant | None = None


class NextKind(StrEnum):
    """Why an episode comes next: it was begun, it follows, nothing was begun, it follows once more; or none does."""

    CONTINUE = "continue"
    NEXT = "next"
    START = "start"
    REWATCH = "rewatch"
    DONE = "done"


class NextUp(NamedTuple):
    """What to play of a show; `episode` is None where the kind is DONE, and only there."""

    kind: NextKind
    episode: ItemState | None


class WatchFilter(StrEnum):
    """Which part of a library somebody wants to see."""

    ALL = "all"
    UNWATCHED = "unwatched"
    IN_PROGRESS = "in-progress"
    WATCHED = "watched"


class EpisodeCounts(NamedTuple):
    """How many episodes there are, how many of them are watched, and how many watched or begun."""

    episodes: int = 0
    watched: int = 0
    begun: int = 0

    @property
    def unwatched(self) -> int:
        """Return how many are left."""
        return self.episodes - self.watched


class CardCandidate(NamedTuple):
    """What may have a card: a movie, or a show of which its episodes have to tell. `id` is that movie's or show's.

    `row` is the movie's, or of the episode that was active last. `is_settled`: that is begun, and so the card is its.
    """

    id: ItemId
    is_settled: bool
    active_at: Instant
    row: ItemState


class Card(NamedTuple):
    """One card of continue watching: the movie or episode to play, and why; `active_at` is of any episode of a show."""

    row: ItemState
    kind: NextKind
    active_at: Instant


def find_candidates(
    rows: Iterable[ItemState], states: Mapping[ItemId, ListState], policy: Policy, now: Instant
) -> list[CardCandidate]:
    """Return what may have a card, one for each movie and show, newest activity first, then by id.

    `rows` are those that have progress, in any order; `states` are by movie or show. Storage may leave out what cannot
    have a card: rows without `last_watched_at` or with one before `now - policy.activity_ms`, and movies that are not
    available, stand at 0, or are watched and not armed. Of a show it may hand on the newest row alone, and of all only
    the newest rows, as long as it leaves out none that is newer than one of those. A hidden card comes back by itself,
    since its activity is then newer.
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
    """Return the cards of the candidates, in their order, at most `limit` (else as the policy says).

    `episodes` are those of each show that is not settled, by show, as `next_up` wants them. A show without any, or with
    nothing left to play, has no card. Each candidate is looked at by itself: so they can come in portions, with the
    episodes of a portion's shows, until there are cards enough.
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
        if episode is not None and kind is not NextKind.START:  # a show never begun is not continued
            cards.append(Card(episode, kind, candidate.active_at))
    return cards


def next_up(episodes: Sequence[ItemState], policy: Policy, now: Instant) -> NextUp:
    """Return what to play of a show, given its episodes in any order, removed ones included.

    Where no episode was played more than once, storage may leave out those that are watched, are not begun once more,
    and of which the last play is older than another regular episode's: they can neither come next nor tell what does.

    An episode that was begun comes first. Else it goes on behind the anchor, the regular episode that was played last:
    on the first watching with the first that is unwatched, else with the first, since none was played after the
    anchor. Specials, which are season 0, never follow, because nothing says where they belong.
    """
    begun = [row for row in episodes if row.position_ms and row.last_watched_at is not None]
    begun = [row for row in begun if _is_in_progress(row, policy)]
    if begun:
        return NextUp(NextKind.CONTINUE, max(begun, key=lambda row: (row.last_watched_at or 0, _place(row))))

    played = [row for row in episodes if row.season_number != 0 and row.play_count]
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
    """Return the episode that a player goes on with behind the current one, given all of its show; None for none.

    It is what comes next once the current one has been played to its end: on the first watching the first behind it
    that is unwatched, on a further one simply the first. Behind a special it is what the show itself says.
    """
    current = next((row for row in episodes if row.item_id == current_id), None)
    if current is None:
        return None
    others = [row for row in episodes if row.item_id != current_id]
    if current.season_number == 0:
        return next_up(others, policy, now).episode
    behind = [row for row in _playable(others, now) if _place(row) > _last_place(current)]
    if not current.play_count:
        behind = [row for row in behind if not row.watched]
    return min(behind, key=_place, default=None)


def up_to(episodes: Sequence[ItemState], item_id: ItemId, now: Instant) -> list[ItemId]:
    """Return the regular episodes up to one of a show, that one and what follows it in its file included.

    What has not aired yet is left out. Specials have no place among the others, so a special stands for itself.
    """
    last = next(row for row in episodes if row.item_id == item_id)
    if last.season_number == 0:
        return [item_id]
    end = _last_place(last)
    return [
        row.item_id
        for row in episodes
        if row.season_number != 0 and _place(row) <= end and (row.item_id == item_id or has_aired(row.air_date, now))
    ]


def in_order(episodes: Iterable[ItemState]) -> list[ItemState]:
    """Return episodes in the order in which they are watched, specials first."""
    return sorted(episodes, key=lambda row: (_place(row), row.item_id))


def neighbours(episodes: Iterable[ItemState], item_id: ItemId) -> tuple[ItemId | None, ItemId | None]:
    """Return the playable episodes before and after one of a show; specials are a row of their own."""
    row = in_order(each for each in episodes if each.available or each.item_id == item_id)
    place = next(number for number, each in enumerate(row) if each.item_id == item_id)
    is_special = row[place].season_number == 0
    before = [each.item_id for each in row[:place] if (each.season_number == 0) is is_special]
    after = [each.item_id for each in row[place + 1 :] if (each.season_number == 0) is is_special]
    return (before[-1] if before else None, after[0] if after else None)


def is_in_progress(known: Progress | ItemState, item: ItemFacts, policy: Policy) -> bool:
    """Say whether something can be gone on with: for the first time, or once more since its last play."""
    return (known.armed or not known.watched) and is_resumable(known.position_ms, known.duration_ms, item, policy)


def has_aired(air_date: str | None, now: Instant) -> bool:
    """Say whether an episode has been shown, by the calendar in UTC. Without a date it has."""
    return air_date is None or air_date <= _today(now)


def is_hidden(hidden_at: Instant | None, active_at: Instant | None) -> bool:
    """Say whether a card that was hidden still is: nothing of it was active since."""
    return hidden_at is not None and (active_at is None or active_at <= hidden_at)


def _playable(episodes: Sequence[ItemState], now: Instant) -> list[ItemState]:
    """Return the regular episodes that have been shown and that there is a file of."""
    return [row for row in episodes if row.season_number != 0 and row.available and has_aired(row.air_date, now)]


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


def _place(row: ItemState) -> tuple[int, int, str]:
    """Order by numbers; episodes that have a date instead are one season, in the order of their dates."""
    season = 1 if row.season_number is None else row.season_number
    if row.episode_number is None:
        return season, 0, row.air_date or ""
    return season, row.episode_number, ""


def _last_place(row: ItemState) -> tuple[int, int, str]:
    """A file that holds several episodes is watched to its last."""
    season, number, date = _place(row)
    return season, max(number, row.episode_end or 0), date
