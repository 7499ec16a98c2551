"""Which file a report is about, and what follows from that."""

from hypothesis import given
from hypothesis import strategies as st

from playhead.domain.catalogue import FileFacts
from playhead.domain.file_facts import (
    LeftAt,
    facts_for,
    files_meant,
    is_same_length,
    measure,
    place,
    played_file,
    see_files,
    starts_in,
    timelines_of,
)
from playhead.domain.model import FileId, Instant, ItemId, LibraryId, Milliseconds
from playhead.domain.playback import Decision, ItemFacts, Policy, Progress, Report, advance, read_label

HOUSE, ATTIC = LibraryId("house"), LibraryId("attic")
S = 1000


def file(
    name: str,
    seconds: float | None,
    credits: float | None = None,  # noqa: A002 - the field's word
    part: int | None = None,
    library: LibraryId = HOUSE,
) -> FileFacts:
    return FileFacts(FileId(name), library, ms(seconds), ms(credits), part, ItemId("item"), None)


def ms(seconds: float | None) -> Milliseconds | None:
    return None if seconds is None else Milliseconds(round(seconds * S))


def report(seconds: float, of: float, file_id: str | None = None) -> Report:
    return Report(Milliseconds(round(seconds * S)), Milliseconds(round(of * S)), file_id=file_id)


def placed(told: Report, *files: FileFacts, granted: frozenset[LibraryId] | None = None) -> tuple[float, float]:
    """Return the position and duration on the timeline, in seconds."""
    found, _ = decided(told, *files, granted=granted)
    return found.position_ms / S, found.duration_ms / S


def facts(told: Report, *files: FileFacts, granted: frozenset[LibraryId] | None = None) -> tuple[float | None, ...]:
    """Return the runtime and the credits by which a report is decided, in seconds."""
    return in_seconds(decided(told, *files, granted=granted)[1])


def decided(
    told: Report, *files: FileFacts, granted: frozenset[LibraryId] | None = None, item: ItemFacts | None = None
) -> tuple[Report, ItemFacts]:
    seen = see_files(measure(files) if item is None else item, files, granted)
    return (told, seen.facts) if seen.playable is None else place(told, seen.facts, seen.playable)


def in_seconds(found: ItemFacts) -> tuple[float | None, ...]:
    return tuple(None if each is None else each / S for each in found)


def after(told: Report, *files: FileFacts, before: Progress | None = None) -> Decision:
    found, item = decided(told, *files)
    return advance(before, found, item, Policy(), Instant(1_800_000_000_000))


# Versions, and what holds whatever plays


def test_without_known_lengths_nothing_is_known():
    assert measure([]) == ItemFacts()
    assert measure([file("a", None)]) == ItemFacts()
    assert measure([file("a", 60, part=1), file("b", None, part=2)]) == ItemFacts()


def test_the_runtime_is_that_of_the_shortest_version():
    assert in_seconds(measure([file("a", 9900), file("b", 7200), file("c", None)])) == (7200, None)


def test_the_credits_are_the_earliest_of_versions_of_one_length_and_none_of_different_cuts():
    assert in_seconds(measure([file("a", 6000, 5700), file("b", 6060), file("c", 6050, 5600)])) == (6000, 5600)
    assert in_seconds(measure([file("a", 7200, 6900), file("b", 9900)])) == (7200, None)


def test_parts_are_as_long_as_all_together_and_have_the_credits_of_the_last():
    parts = [file("a", 3000, 9, part=1), file("b", 2400, 2280, part=2)]
    assert in_seconds(measure(parts)) == (5400, 5280)
    assert in_seconds(measure([*parts, file("c", 5460)])) == (5400, 5280)


def test_two_cuts_in_parts_stay_apart_the_shortest_with_the_shortest():
    files = [file("b2", 70, part=2), file("a1", 58, part=1), file("b1", 62, part=1), file("a2", 60, part=2)]
    found = timelines_of(files)
    assert {name: version.duration_ms / S for name, version in found.items()} == {
        "a1": 118,
        "a2": 118,
        "b1": 132,
        "b2": 132,
    }
    assert found[FileId("b2")].starts == {"b1": 0, "b2": 62_000}


def test_parts_go_with_those_of_their_library_first():
    files = [
        file("a1", 50, part=1),
        file("a2", 60, part=2),
        file("b1", 55, part=1, library=ATTIC),
        file("b2", 66, part=2, library=ATTIC),
        file("b3", 9, part=3, library=ATTIC),
    ]
    found = timelines_of(files)
    assert found[FileId("b1")].starts == {"b1": 0, "b2": 55_000, "b3": 121_000}
    assert found[FileId("a2")].starts == {"a1": 0, "a2": 50_000, "b3": 110_000}


def test_a_part_that_fewer_versions_have_serves_the_others_too():
    files = [file("a1", 50, part=1), file("b1", 60, part=1), file("a2", 30, part=2)]
    assert {each.duration_ms for each in timelines_of(files).values()} == {80_000, 90_000}


# Which file is meant


def test_a_named_file_decides_runtime_and_credits():
    cuts = file("short", 7200, 6900), file("long", 9900, 9600)
    assert facts(report(7000, 9900, "long"), *cuts) == (9900, 9600)
    assert facts(report(30, 30, "long"), *cuts) == (9900, 9600)
    assert facts(report(7000, 7200, "short"), *cuts) == (7200, 6900)


def test_the_credits_of_one_cut_do_not_finish_another():
    cuts = file("short", 7200, 6900), file("long", 9900)
    assert not after(report(7000, 9900, "long"), *cuts).progress.watched
    assert not after(report(7000, 9900), *cuts).progress.watched
    assert after(report(6450, 7170), *cuts).progress.watched is False
    assert after(report(6900, 7200, "short"), *cuts).progress.watched


def test_an_unknown_file_and_one_that_may_not_be_seen_are_ignored():
    cuts = file("short", 7200, 6900), file("long", 9900, 9600), file("secret", 3600, 3500, library=ATTIC)
    house = frozenset({HOUSE})
    for name in ("nothing", "secret"):
        assert facts(report(1, 7200, name), *cuts, granted=house) == (7200, 6900)
        assert facts(report(1, 3600, name), *cuts, granted=house) == (7200, None)
    assert facts(report(1, 3600, "secret"), *cuts) == (3600, 3500)


def test_without_a_file_the_version_of_the_nearest_length_is_meant_if_it_is_within_two_percent():
    cuts = file("short", 7200, 6900), file("long", 9900, 9600), file("4k", 7210, 6800)
    assert facts(report(1, 7201), *cuts) == (7200, 6900)
    assert facts(report(1, 7209), *cuts) == (7210, 6800)
    assert facts(report(1, 9900), *cuts) == (9900, 9600)
    assert facts(report(1, 8000), *cuts) == (7200, None)


def test_of_versions_of_one_length_the_earliest_credits_count():
    same = file("a", 7200), file("b", 7200, 7000), file("c", 7200, 6900)
    assert facts(report(1, 7200), *same) == (7200, 6900)
    assert facts(report(1, 7200, "a"), *same) == (7200, None)
    assert facts(report(1, 30), *same) == (7200, 6900)


def test_files_of_unknown_length_decide_nothing():
    assert facts(report(1, 60, "b"), file("a", None), file("b", None)) == (None, None)
    assert facts(report(1, 60, "b"), file("a", 7200), file("b", None)) == (7200, None)


def test_one_visible_file_decides_without_being_named():
    cuts = file("short", 7200, 6900), file("long", 9900, 9600, library=ATTIC)
    for told in (report(1, 1), report(1, 7200, "long")):
        assert facts(told, *cuts, granted=frozenset({ATTIC})) == (9900, 9600)
    assert facts(report(1, 7200), *cuts, granted=frozenset()) == (None, None)


def test_a_single_file_leaves_the_facts_of_the_item():
    item = ItemFacts(Milliseconds(1), Milliseconds(2))
    assert decided(report(1, 60, "a"), file("a", 7200, 6900), item=item)[1] == item


# Parts


PARTS = file("cd1", 60, part=1), file("cd2", 60, 55, part=2)


def test_a_part_is_placed_on_the_timeline_of_its_version():
    assert placed(report(30, 60, "cd2"), *PARTS) == (90, 120)
    assert placed(report(30, 60, "cd1"), *PARTS) == (30, 120)
    assert placed(report(99, 60, "cd1"), *PARTS) == (60, 120)
    assert facts(report(30, 60, "cd2"), *PARTS) == (120, 115)


def test_the_end_of_the_first_part_does_not_finish_the_film_and_the_end_of_the_last_does():
    first = after(report(60, 60, "cd1"), *PARTS).progress
    assert (first.watched, first.position_ms) == (False, 60_000)
    assert not after(report(54, 60, "cd1"), *PARTS).progress.watched
    assert not after(report(30, 60, "cd2"), *PARTS, before=first).progress.watched
    assert after(report(60, 60, "cd2"), *PARTS, before=first).progress.watched


def test_a_player_that_counts_on_through_the_parts_is_understood():
    assert placed(report(90, 120, "cd2"), *PARTS) == (90, 120)
    assert placed(report(90, 119.5, "cd2"), *PARTS) == (90, 119.5)
    # A short leader before the film: the second part is nearly as long as all.
    leader = file("a", 1, part=1), file("b", 100, part=2)
    assert placed(report(50, 100, "b"), *leader) == (51, 101)
    assert placed(report(50, 101, "b"), *leader) == (50, 101)


def test_a_growing_transcode_of_a_part_stays_in_it():
    found, item = decided(report(10, 12, "cd2"), *PARTS)
    decision = advance(None, found, item, Policy(), Instant(1_800_000_000_000))
    assert (decision.progress.position_ms, decision.progress.duration_ms) == (70_000, 120_000)


def test_without_a_file_a_report_is_on_the_timeline_already():
    assert placed(report(30, 60), *PARTS) == (30, 60)
    assert facts(report(30, 60), *PARTS) == (120, 115)
    assert facts(report(30, 119), *PARTS) == (120, 115)


def test_a_part_whose_place_is_unknown_is_ignored():
    parts = file("cd1", None, part=1), file("cd2", 60, part=2)
    assert placed(report(30, 60, "cd2"), *parts) == (30, 60)


# Files with several episodes


def of_episodes(name: str, seconds: float, first: str, end: int | None) -> FileFacts:
    return file(name, seconds)._replace(first=ItemId(first), end=end)


def meant(told: Report, *files: FileFacts, item: str = "one", number: int | None = 1) -> list[str]:
    return [*files_meant(told, ItemId(item), number, files)]


def test_a_file_of_one_episode_is_about_this_episode_alone():
    assert meant(report(1, 60), of_episodes("a", 60, "one", 1)) == []
    assert meant(report(1, 60), of_episodes("a", 60, "one", None), number=None) == []


def test_a_file_of_several_episodes_is_about_each_of_them():
    both = of_episodes("both", 90, "one", 2)
    assert meant(report(1, 60), both) == ["both"]
    assert meant(report(1, 60), both, item="two", number=2) == ["both"]


def test_the_named_file_or_the_one_of_the_reported_length_decides_whether_it_is_about_several_episodes():
    files = of_episodes("one", 45, "one", 1), of_episodes("both", 90, "one", 2)
    assert meant(report(1, 45, "both"), *files) == ["both"]
    assert meant(report(1, 90, "one"), *files) == []
    assert meant(report(1, 90), *files) == ["both"]
    assert meant(report(1, 45), *files) == []


def test_a_report_that_fits_no_file_is_about_several_episodes_if_all_files_are():
    both, three = of_episodes("both", 90, "one", 2), of_episodes("three", 135, "one", 3)
    assert meant(report(1, 60), both, three) == ["both", "three"]
    assert meant(report(1, 60), both, three, of_episodes("one", 45, "one", 1)) == []


# What an admin has set


def test_credits_that_an_admin_has_set_hold_for_the_files_as_long_as_the_item():
    item = ItemFacts(Milliseconds(7200 * S), Milliseconds(6000 * S))
    cuts = file("short", 7200, 6900), file("4k", 7210), file("long", 9900), file("lost", None)
    for name, expected in (("short", 6000), ("4k", 6000), ("long", None)):
        assert in_seconds(decided(report(1, 1, name), *cuts, item=item)[1])[1] == expected
    assert in_seconds(decided(report(1, 8000), *cuts, item=item)[1]) == (7200, None)
    same = cuts[:2]
    assert in_seconds(decided(report(1, 30), *same, item=item)[1]) == (7200, 6000)


def test_credits_that_an_admin_has_set_are_those_of_the_last_part():
    item = ItemFacts(Milliseconds(120 * S), Milliseconds(100 * S))
    assert in_seconds(decided(report(1, 60, "cd1"), *PARTS, item=item)[1]) == (120, 100)
    early = ItemFacts(Milliseconds(120 * S), Milliseconds(50 * S))
    assert in_seconds(decided(report(1, 60, "cd1"), *PARTS, item=early)[1]) == (120, 60)
    unmeasured = ItemFacts(None, Milliseconds(100 * S))
    assert in_seconds(decided(report(1, 60, "cd1"), *PARTS, item=unmeasured)[1]) == (120, 115)


# Where files start


def starts(position: float, of: float, *files: FileFacts) -> dict[str, float | None]:
    left = LeftAt(Milliseconds(round(position * S)), Milliseconds(round(of * S)))
    found = starts_in(files, left if position else None, Policy())
    return {name: None if each is None else each / S for name, each in found.items()}


def test_a_version_of_the_same_length_starts_where_the_other_was_left():
    assert starts(5300, 6000, file("a", 6000), file("b", 6060), file("c", 5950)) == {"a": 5300, "b": 5300, "c": 5300}


def test_a_shorter_version_starts_the_floor_before_it_would_be_completed():
    assert starts(500, 600, file("short", 540)) == {"short": 459}
    assert starts(480, 600, file("short", 540)) == {"short": 459}
    assert starts(300, 600, file("short", 540)) == {"short": 300}
    assert starts(9000, 9900, file("short", 7200)) == {"short": 6360}
    assert starts(9000, 9900, file("short", 7200, 6000)) == {"short": 5880}
    assert starts(80, 100, file("short", 60)) == {"short": 51}


def test_a_version_of_almost_the_same_length_does_not_start_where_it_is_completed():
    assert starts(5390, 6000, file("a", 5950)) == {"a": 5235}
    assert starts(5000, 6000, file("a", 6000, 4900)) == {"a": 4780}


def test_a_version_with_credits_at_its_beginning_starts_there():
    assert starts(500, 600, file("a", 540, 1)) == {"a": 0}


def test_the_part_in_which_the_film_resumes_has_the_position_in_its_own_time():
    assert starts(90, 120, *PARTS) == {"cd1": None, "cd2": 30}
    assert starts(60, 120, *PARTS) == {"cd1": None, "cd2": 0}
    assert starts(59, 120, *PARTS, file("whole", 120)) == {"cd1": 59, "cd2": None, "whole": 59}


def test_what_is_not_resumed_starts_with_its_first_part():
    assert starts(0, 120, *PARTS, file("whole", 120)) == {"cd1": 0, "cd2": None, "whole": 0}


def test_a_file_of_unknown_length_starts_at_the_position():
    assert starts(90, 120, file("a", None), file("cd1", None, part=1)) == {"a": 90, "cd1": None}


@given(st.integers(1, 5400), st.integers(1, 5400), st.integers(1, 9900), st.none() | st.integers(0, 9900))
def test_no_start_completes(position: int, of: int, length: int, credits: int | None):  # noqa: A002
    version = file("a", length, credits)
    start = starts(position, of, version)["a"]
    assert start is not None
    item = ItemFacts(version.duration_ms, version.credits_ms)
    if credits != 0:  # credits that start at 0 make every report a completing one
        told = report(start, length)
        assert not advance(None, told, item, Policy(), Instant(1_800_000_000_000)).progress.watched


# Always


def test_the_file_that_was_played_is_the_one_named_or_the_one_of_its_length():
    one, two = file("one", 5400), file("two", 7200)
    assert played_file("two", ms(5400), [one, two]) == "two"
    assert played_file("gone", ms(5400), [one, two]) == "one"
    assert played_file(None, ms(7150), [one, two]) == "two"
    assert played_file(None, None, [one]) == "one"


def test_what_was_played_is_unknown_if_no_file_or_several_have_its_length():
    one, two = file("one", 5400), file("two", 5401)
    assert played_file(None, ms(5400), [one, two]) is None
    assert played_file(None, ms(6000), [one, two]) is None
    assert played_file(None, None, [one, two]) is None
    assert played_file(None, ms(5400), [file("one", None), file("two", None)]) is None
    assert played_file(None, ms(5400), [one, file("two", 5405)]) == "one"
    assert played_file(None, ms(5400), [file("cd1", 2700, part=1), file("cd2", 2700, part=2)]) is None


def test_lengths_are_the_same_within_two_percent():
    assert is_same_length(100, 98)
    assert is_same_length(98, 100)
    assert not is_same_length(100, 97)


def test_facts_are_found_for_what_was_stored():
    seen = see_files(ItemFacts(), (file("a", 7200, 6900), file("b", 9900)), None)
    assert seen.playable is not None
    assert facts_for(Milliseconds(7200 * S), seen.facts, seen.playable).credits_ms == 6900 * S
    assert facts_for(Milliseconds(9900 * S), seen.facts, seen.playable).credits_ms is None
    item = ItemFacts(Milliseconds(1), Milliseconds(2))
    assert facts_for(None, item, seen.playable) == item
    assert facts_for(Milliseconds(7200 * S), item, None) == item


def test_a_label_is_cut_and_an_empty_one_is_absent():
    assert [read_label(text) for text in (None, "", "\0", "a\0b", "x" * 300)] == [None, None, None, "ab", "x" * 200]


files_of_items = st.lists(
    st.builds(
        file,
        st.sampled_from("abcdef"),
        st.none() | st.integers(0, 300),
        st.none() | st.integers(0, 300),
        st.none() | st.integers(1, 3),
        st.sampled_from([HOUSE, ATTIC]),
    ),
    max_size=6,
    unique_by=lambda each: each.file_id,
)


@given(
    files_of_items,
    st.none() | st.sampled_from("abcdefg"),
    st.integers(0, 400),
    st.integers(1, 400),
    st.none() | st.frozensets(st.sampled_from([HOUSE, ATTIC])),
)
def test_a_report_is_never_lost_nor_moved_without_a_named_part(
    files: list[FileFacts], name: str | None, position: int, of: int, granted: frozenset[LibraryId] | None
):
    told = report(position, of, name)
    found, item = decided(told, *files, granted=granted)
    named = next((each for each in files if each.file_id == name), None)
    if named is None or named.part is None or (granted is not None and named.library_id not in granted):
        assert (found.position_ms, found.duration_ms) in (
            (told.position_ms, told.duration_ms),
            (min(told.position_ms, told.duration_ms), told.duration_ms),
        )
    assert found._replace(position_ms=told.position_ms, duration_ms=told.duration_ms) == told
    visible = {each.duration_ms for each in files if granted is None or each.library_id in granted}
    if all(each.part is None for each in files):
        assert item.runtime_ms in visible | {None}
