"""Output of commands and of the log: no text in it can inject terminal sequences."""

import io
import logging
from contextlib import redirect_stderr

import pytest

from playhead.terminal import LogFormatter, progress_bar, say

EVIL = "Evil \x1b]0;owned\x07\n2026-01-01 00:00:00,000 INFO playhead: forged \u202e"


def test_a_command_prints_a_text_on_one_line(capsys: pytest.CaptureFixture[str]):
    say(EVIL, "second", err=True)
    first = r"Evil \x1b]0;owned\x07\x0a2026-01-01 00:00:00,000 INFO playhead: forged \u202e"
    assert capsys.readouterr().err.splitlines() == [first, "second"]


def written(log: logging.Logger, stream: io.StringIO, error: Exception | None = None) -> list[str]:
    handler = logging.StreamHandler(stream)
    handler.setFormatter(LogFormatter("%(levelname)s: %(message)s"))
    log.addHandler(handler)
    log.propagate = False
    try:
        if error is None:
            log.warning("No picture of %s", EVIL)
        else:
            try:
                raise error
            except type(error):
                log.exception("Defect at %s", EVIL)
    finally:
        log.removeHandler(handler)
    return stream.getvalue().split("\n")


def test_a_text_cannot_forge_a_line_of_the_log():
    lines = written(logging.getLogger("forged"), io.StringIO())
    assert lines[1:] == [""]
    assert lines[0].startswith(r"WARNING: No picture of Evil \x1b]0;owned\x07\x0a2026")


def test_an_error_message_cannot_forge_a_line_of_the_log():
    lines = written(logging.getLogger("forged"), io.StringIO(), ValueError(EVIL))
    assert [line for line in lines if line and not line.startswith("    ")] == [lines[0]]
    assert any("forged" in line for line in lines[1:])
    assert not any("\x1b" in line or "\x07" in line for line in lines)


class Terminal(io.StringIO):
    """Standard error of an interactive terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("stream", [Terminal, io.StringIO])
def test_a_progress_bar_shows_a_name_literally_and_escaped(stream: type[io.StringIO]):
    seen = stream()
    with redirect_stderr(seen), progress_bar("Scanning [/red] \x07\x1b]0;owned") as show:
        show(1, 2)
    assert r"[/red] \x07\x1b]0;owned" in seen.getvalue().replace("\x1b[", "")
    assert "\x07" not in seen.getvalue()
