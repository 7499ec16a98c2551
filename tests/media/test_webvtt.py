"""Conversion of SubStation lines to WebVTT."""

import pytest

from playhead.media.webvtt import Cue, cue_of, write_webvtt


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("Hello, there", "Hello, there"),
        (r"One\NTwo\nThree", "One\nTwo\nThree"),
        (r"One\N\N \NTwo", "One\nTwo"),  # an empty line would end the cue
        (r"Hard\hspace", "Hard\u00a0space"),
        ("Fish & <chips> --> now", "Fish &amp; &lt;chips&gt; --&gt; now"),
        (r"{\i1}Slanted{\i0} straight", "<i>Slanted</i> straight"),
        (r"{\i1}one {\b1}two{\i0} three", "<i>one <b>two</b></i><b> three</b>"),
        (r"{\b700}bold{\b400} thin", "<b>bold</b> thin"),
        (r"{\u1\i1}both{\r} none", "<u><i>both</i></u> none"),
        (r"{\fnArial\fs20\c&H0000FF&\pos(1,2)}red", "red"),
        (r"{\i1}{\i1}once{\i0}", "<i>once</i>"),
        (r"{\p1}m 0 0 l 1 1{\p0}word", "word"),
        (r"{\blur5\be1\bord2}plain", "plain"),
        ("{a remark}word", "word"),
        ("brace { alone", "brace { alone"),
    ],
)
def test_text_and_its_styles_are_kept_and_everything_else_removed(line: str, text: str):
    assert cue_of(line, 0, 1) == Cue(0, 1, text)


@pytest.mark.parametrize("line", ["", "   ", r"\N", r"{\p1}m 0 0 l 1 1", r"{\i1} {\i0}"])
def test_a_line_without_text_is_not_a_cue(line: str):
    assert cue_of(line, 0, 1) is None


@pytest.mark.parametrize(("place", "at_top"), [(7, True), (8, True), (9, True), (2, False), (5, False)])
def test_a_line_at_the_top_stays_there(place: int, at_top: bool):  # noqa: FBT001 - a row of a table
    cue = cue_of(f"{{\\an{place}}}Sign", 0, 1)
    assert cue == Cue(0, 1, "Sign", at_top)


def test_cues_are_ordered_by_time_and_written_once():
    cues = [Cue(3_723_004, 3_724_000, "late"), Cue(0, 1500, "early", at_top=True), Cue(0, 1500, "early", at_top=True)]
    assert write_webvtt(cues).decode() == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.500 line:0\nearly\n\n01:02:03.004 --> 01:02:04.000\nlate\n"
    )
