"""Plots: where values are drawn, and the text about them."""

import re

from hypothesis import given
from hypothesis import strategies as st

from playhead.domain.model import Instant
from playhead.http.pages.admin_health import plots_of
from playhead.http.pages.plots import HEIGHT, SPAN_MS, WIDTH, plot
from playhead.services.sampling import Sample

NOW = Instant(10_000_000)


def at(seconds_ago: int) -> Instant:
    return Instant(NOW - 1000 * seconds_ago)


def test_the_newest_value_is_at_the_right_and_the_largest_at_the_top():
    drawn = plot("Requests", [(at(20), 0), (at(10), 4), (at(0), 2)], NOW, str)
    assert drawn.line == "M358.0 64.0L359.0 3.0L360.0 33.5"
    assert drawn.area == "M358.0 64L358.0 64.0L359.0 3.0L360.0 33.5L360.0 64z"
    assert (drawn.title, drawn.last, drawn.most) == ("Requests", "2", "4")


def test_values_with_a_gap_between_them_are_not_joined():
    drawn = plot("", [(at(100), 1), (at(90), 1), (at(10), 1)], NOW, str)
    assert drawn.line.count("M") == drawn.area.count("M") == 2
    assert drawn.line.endswith("h0.1")  # a single value is a dot


def test_values_older_than_an_hour_are_neither_drawn_nor_counted():
    drawn = plot("", [(at(3601), 99), (at(10), 1)], NOW, str)
    assert drawn.most == "1"


def test_without_values_there_is_nothing_to_draw():
    assert plot("Commits", [], NOW, str) == ("Commits", "none", "none", "", "")


def test_values_of_zero_lie_on_the_axis():
    assert plot("", [(at(10), 0), (at(0), 0)], NOW, str).line == "M359.0 64L360.0 64"


@given(st.lists(st.tuples(st.integers(0, SPAN_MS), st.floats(0, 1e12)), max_size=20))
def test_everything_is_inside_the_box(values: list[tuple[int, float]]):
    points = [(Instant(NOW - ago), value) for ago, value in sorted(values, reverse=True)]
    drawn = plot("", points, NOW, str)
    for x, y in re.findall(r"[ML]([\d.]+) ([\d.]+)", drawn.line + drawn.area):
        assert 0 <= float(x) <= WIDTH
        assert 0 <= float(y) <= HEIGHT


def test_the_log_is_drawn_only_if_the_store_has_one():
    def titles(log_bytes: int | None) -> list[str]:
        sample = Sample(NOW, 1, 1, None, None, 0, 0, 0, 0, log_bytes, 50_000_000)
        return [each.title for each in plots_of([sample], NOW)]

    assert titles(4096) == [*titles(None), "Write-ahead log"]
    assert "Write-ahead log" not in titles(None)
