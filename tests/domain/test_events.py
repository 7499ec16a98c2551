from playhead.domain.events import NAMED_MAX, SHOWN_MAX, Change, PendingChanges, Topic
from playhead.domain.model import ItemId, Milliseconds, UserId
from playhead.domain.playback import Report
from viewer import Viewer

ANNA = UserId("anna")


def item(number: int) -> ItemId:
    return ItemId(f"item-{number}")


def gathered(*changes: Change) -> tuple[Change, ...]:
    box = PendingChanges()
    for change in changes:
        box.add(change)
    return box.changes(ANNA)


def progress_at(seconds: int):
    viewer = Viewer()
    viewer.send(Report(Milliseconds(seconds * 1000), Milliseconds(5_400_000)))
    return viewer.stored


def moved(number: int, seconds: int = 60) -> Change:
    return Change(ANNA, Topic.PROGRESS, (item(number),), progress_at(seconds))


def test_without_a_change_there_is_no_event():
    assert gathered() == ()


def test_of_several_changes_of_one_item_the_newest_is_sent():
    assert gathered(moved(1, 60), moved(2, 60), moved(1, 120)) == (moved(1, 120), moved(2, 60))


def test_changes_without_progress_are_merged_per_topic():
    changes = [Change(ANNA, Topic.WATCHED, (item(number),)) for number in (1, 2)]
    lists = Change(ANNA, Topic.LISTS, (item(1),))
    assert gathered(*changes, lists) == (Change(ANNA, Topic.WATCHED, (item(1), item(2))), lists)


def test_changes_with_progress_and_those_only_named_are_separate():
    named = Change(ANNA, Topic.PROGRESS, (item(2),))
    assert gathered(named, moved(1)) == (moved(1), named)


def test_progress_is_sent_for_a_limited_number_of_items():
    few = [moved(number) for number in range(SHOWN_MAX)]
    assert gathered(*few) == tuple(few)
    many = [*few, moved(SHOWN_MAX)]
    assert gathered(*many) == (Change(ANNA, Topic.PROGRESS, tuple(item(number) for number in range(SHOWN_MAX + 1))),)


def test_beyond_the_limit_of_items_an_event_says_that_everything_may_have_changed():
    named = Change(ANNA, Topic.WATCHED, tuple(item(number) for number in range(NAMED_MAX)))
    assert gathered(named) == (named,)
    everything = Change(ANNA, Topic.WATCHED, ())
    assert gathered(named, Change(ANNA, Topic.WATCHED, (item(NAMED_MAX),))) == (everything,)
    assert gathered(named, everything) == (everything,)
    assert gathered(everything, named) == (everything,)
