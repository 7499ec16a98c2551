"""The names of items outside of an installation, and merging two histories."""

import pytest

from playhead.domain.history import ItemName, merge
from playhead.domain.matching import Clue
from playhead.domain.model import Instant, ItemKind, Milliseconds
from playhead.domain.playback import Progress

NOW = Instant(9_000)


def test_the_clue_of_a_movie_has_its_title_and_that_of_an_episode_its_show():
    assert ItemName(ItemKind.MOVIE, "Film", 1999, {"tmdb": "603"}).clue == Clue(
        ItemKind.MOVIE, external_ids={"tmdb": "603"}, titles=("Film",), year=1999
    )
    name = ItemName(ItemKind.EPISODE, "Ebb", show_title="Show", show_year=2001, show_ids={"tvdb": "7"}, season_number=2)
    assert name.clue == Clue(ItemKind.EPISODE, show_ids={"tvdb": "7"}, titles=("Show",), year=2001, season_number=2)
    assert ItemName(ItemKind.EPISODE, "Ebb").clue.titles == ()


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
