"""Output on a terminal: lines of a command, progress of long work, the log.

File names and titles are part of it, and must not inject terminal sequences or pass for a line of the log: everything
goes through `shown`.
"""

import logging
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import typer

from playhead.domain.texts import shown

ReportProgress = Callable[[int, int], None]
"""Reports how much is done, of how much."""

_STEP = 10  # percent between two lines


def say(*lines: str, err: bool = False) -> None:
    """Print lines, on standard error with `err`."""
    for line in lines:
        typer.echo(shown(line), err=err)


def fail(message: str, *more: str) -> NoReturn:
    """Print why a command failed, on standard error, and end it with status 1."""
    say(f"playhead: {message}", *more, err=True)
    raise typer.Exit(1)


def print_table(heads: tuple[str, ...], rows: Sequence[tuple[object, ...]]) -> None:
    """Print aligned columns, readable for people and for `awk`."""
    cells = [tuple(shown(str(cell)) for cell in row) for row in rows]
    widths = [max(len(row[place]) for row in [heads, *cells]) for place in range(len(heads))]
    for row in [tuple(head.upper() for head in heads), *cells]:
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


class LogFormatter(logging.Formatter):
    """One line per record; the lines of a traceback are indented, so that none can pass for a record."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Put the message into the format."""
        record.message = shown(record.message)
        return super().formatMessage(record)

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as it is written."""
        record.exc_text = None  # another handler may have set its own
        return super().format(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802, ANN401 - logging's name and type
        """Return a traceback."""
        return "\n".join(f"    {shown(line)}" for line in super().formatException(ei).split("\n"))


def log_to_stderr(level: str, form: str) -> None:
    """Make the root logger write to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(LogFormatter(form))
    logging.basicConfig(level=level, handlers=[handler])


@contextmanager
def progress_bar(title: str) -> Generator[ReportProgress]:
    """Show the progress of the block. What it yields may be called from any thread."""
    if not sys.stderr.isatty():
        yield _lines(title)
        return
    from rich.console import Console  # noqa: PLC0415 - most commands show no progress, and need not wait for it
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    # A name in square brackets is not markup.
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(shown(title), total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _lines(title: str) -> ReportProgress:
    last = -1

    def show(done: int, total: int) -> None:
        nonlocal last
        step = done * 100 // total // _STEP if total else 0
        if step > last:
            last = step
            sys.stderr.write(f"{shown(title)}: {step * _STEP} %\n")

    return show
