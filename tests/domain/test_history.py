"""Items identified outside of an installation, and merging two histories."""

from datetime import date

import pytest

from playhead.domain.history import ItemName, MatchCandidate, match, merge
from playhead.domain.model import Instant, ItemKind, Milliseconds
from playhead.domain.playback import Progress

NOW = Instant(9_000)


def candidate(item_id: str = "a", **known: object) -> MatchCandidate:
    facts: dict[str, object] = {
        "kind": ItemKind.MOVIE,
        "identity": "film|1999|",
        "external_ids": {},
        "show_ids": {},
        "numbers": (None, None),
        "is_available": True,
        "is_seen": True,
        "library": "Films",
    }
    return MatchCandidate(item_id=item_id, **(facts | known))  # pyright: ignore[reportArgumentType]


FILM = ItemName(ItemKind.MOVIE, "Film", 1999)
EPISODE = ItemName(
    ItemKind.EPISODE, "Ebb", show_title="Show", show_ids={"tvdb": "7"}, season_number=2, episode_number=3
)


def test_a_film_is_found_by_title_and_year():
    assert match(FILM, [candidate()]) == "a"


def test_another_kind_or_year_is_another_item():
    assert match(FILM, [candidate(kind=ItemKind.SHOW), candidate(identity="film|2000|")]) is None


def test_an_external_id_takes_precedence_over_the_title():
    name = ItemName(ItemKind.MOVIE, "Film", 1999, {"tmdb": "603"})
    found = [candidate("by title"), candidate("by id", identity="other||", external_ids={"tmdb": "603"})]
    assert match(name, found) == "by id"


def test_a_contradicting_external_id_rules_an_item_out():
    name = ItemName(ItemKind.MOVIE, "Film", 1999, {"tmdb": "603"})
    assert match(name, [candidate(external_ids={"tmdb": "604"})]) is None


def test_an_episode_is_found_by_the_ids_of_its_show_and_its_numbers():
    found = candidate(kind=ItemKind.EPISODE, identity="other||s2e3", show_ids={"tvdb": "7"}, numbers=(2, 3))
    assert match(EPISODE, [found]) == "a"
    assert match(EPISODE, [found._replace(numbers=(2, 4))]) is None


def test_an_episode_of_a_show_with_another_id_is_another_episode():
    found = candidate(kind=ItemKind.EPISODE, identity=EPISODE.identity, numbers=(2, 3))
    assert match(EPISODE, [found]) == "a"
    assert match(EPISODE, [found._replace(show_ids={"tvdb": "8"})]) is None


def test_an_episode_without_numbers_is_identified_by_its_date():
    name = ItemName(ItemKind.EPISODE, "Monday", show_title="News", air_date=date(2024, 1, 15))
    assert match(name, [candidate(kind=ItemKind.EPISODE, identity="news||2024-01-15")]) == "a"


def test_of_several_matches_a_visible_one_with_files_is_preferred():
    several = [candidate("a", is_seen=False), candidate("b", is_available=False), candidate("c")]
    assert match(FILM, several) == "c"


def progress(position: int, at: int | None, **more: object) -> Progress:
    known: dict[str, object] = {"watched": False, "armed": True, "version": 4, "changed_at": Instant(5)}
    moment = None if at is None else Instant(at)
    return Progress(
        Milliseconds(position),
        Milliseconds(100),
        last_watched_at=moment,
        **(known | more),  # pyright: ignore[reportArgumentType]
    )


def test_progress_imported_for_an_untouched_item_is_version_one_and_changed_now():
    assert merge(None, progress(50, 10), NOW) == progress(50, 10, version=1, changed_at=NOW)


def test_the_later_activity_determines_the_position_on_either_side():
    earlier, later = progress(50, 10), progress(20, 11)
    assert merge(earlier, later, NOW) == progress(20, 11, version=5, changed_at=NOW)
    assert merge(later, earlier, NOW) is later


def test_importing_known_progress_changes_nothing():
    stored = progress(50, 10, watched=True)
    assert merge(stored, stored._replace(version=0, changed_at=Instant(0)), NOW) is stored


def test_watched_on_either_side_is_watched():
    assert merge(progress(50, 11), progress(99, 10, watched=True), NOW).watched
    assert merge(progress(99, 10, watched=True), progress(50, 11), NOW).watched


@pytest.mark.parametrize("unwatched_at", [11, 12])
def test_a_mark_that_was_removed_later_stays_removed(unwatched_at: int):
    away = progress(0, 9, unwatched_at=Instant(unwatched_at))
    seen = progress(99, 10, watched=True)
    assert not merge(away, seen, NOW).watched
    assert not merge(seen, away, NOW).watched


def test_of_two_items_that_were_only_marked_the_result_is_watched_if_one_is():
    assert merge(progress(0, None), progress(0, None, watched=True), NOW).watched
