# SPDX-License-Identifier: EUPL-1.2

"""What a person sees of work that takes a while: one line on standard error, gone when the work is done.

Only on a terminal, and only after half a second: in a pipe, and where the work is done before, nothing is shown.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from adapter.cli.output import error_console

_PATIENCE: Final = 0.5


@dataclass(slots=True)
class Course:
    """How far the work is; without a display, what is told goes nowhere."""

    display: Progress | None = None
    task: TaskID | None = None

    def to(self, done: int, total: int | None = None) -> None:
        """So much is done, of a whole that may be known."""
        if self.display is not None and self.task is not None:
            shown = f"{done:,}" if total is None else f"{done:,} of {total:,}"
            self.display.update(self.task, completed=done, total=total, shown=shown)

    def at(self, what: str) -> None:
        """This is what is done now."""
        if self.display is not None and self.task is not None:
            self.display.update(self.task, description=what)


@contextmanager
def progress(what: str) -> Iterator[Course]:
    """Show what the work within is, and how far as it tells."""
    console = error_console()
    if not console.is_terminal or console.is_dumb_terminal:
        yield Course()
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        TextColumn("{task.fields[shown]}", markup=False),
        TimeElapsedColumn(),
    )
    # what is said meanwhile on standard error comes above the line; results on standard output are no business of it
    display = Progress(*columns, console=console, transient=True, redirect_stdout=False)
    timer = threading.Timer(_PATIENCE, display.start)
    timer.daemon = True
    timer.start()
    try:
        yield Course(display, display.add_task(what, total=None, shown=""))
    finally:
        timer.cancel()
        timer.join()
        display.stop()
