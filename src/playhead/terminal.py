"""What people see while long work goes on: a bar on a terminal, elsewhere a line now and then; on standard error."""

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

ReportProgress = Callable[[int, int], None]
"""Tells how much is done, of how much."""

_STEP = 10  # percent between two lines


@contextmanager
def progress_bar(title: str) -> Generator[ReportProgress]:
    """Show how far the work is that the block does. What it yields may be called from any thread."""
    if not sys.stderr.isatty():
        yield _lines(title)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _lines(title: str) -> ReportProgress:
    shown = -1

    def show(done: int, total: int) -> None:
        nonlocal shown
        step = done * 100 // total // _STEP if total else 0
        if step > shown:
            shown = step
            sys.stderr.write(f"{title}: {step * _STEP} %\n")

    return show
