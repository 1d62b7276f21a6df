"""Progress of long work: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Steps:
    """Shows the steps of a job: what is under way, and what each finished step found.

    Parameters
    ----------
    total : int
        Number of steps.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self.done = 0
        self.result = ""
        self._live: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Steps:
        if sys.stdout.isatty():
            from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

            self._live = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(bar_width=20),
                TextColumn("{task.completed}/{task.total}"),
                TimeElapsedColumn(),
                transient=True,
            )
            self._live.start()
            self._task = self._live.add_task("", total=self.total)
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    @contextmanager
    def step(self, title: str) -> Iterator[Steps]:
        """One step; set ``result`` inside to say what it found."""
        self.result = ""
        self.detail(title)
        start = time.monotonic()
        yield self
        self.done += 1
        took = time.monotonic() - start
        self._line(f"[{self.done}/{self.total}] {title}{': ' if self.result else ''}{self.result} ({took:.1f} s)")
        if self._live is not None and self._task is not None:
            self._live.update(self._task, completed=self.done)

    def detail(self, text: str) -> None:
        """What is going on right now; shown on a terminal only."""
        if self._live is not None and self._task is not None:
            self._live.update(self._task, description=text)

    def _line(self, text: str) -> None:
        if self._live is not None:
            self._live.console.print(text, markup=False, highlight=False)
        else:
            print(text, flush=True)


class Silent(Steps):
    """Shows nothing: a part of a larger job."""

    def __enter__(self) -> Silent:
        return self

    def _line(self, text: str) -> None:
        pass


class CountBar:
    """A bar of how many are done; a line at the end where there is no terminal."""

    def __init__(self, title: str) -> None:
        self.title = title
        self._live: Progress | None = None
        self._task: TaskID | None = None
        self._done = 0

    def __enter__(self) -> CountBar:
        self._start = time.monotonic()
        if sys.stdout.isatty():
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            self._live = Progress(
                TextColumn(self.title), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), transient=True
            )
            self._live.start()
            self._task = self._live.add_task("", total=None)
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if self._live is not None:
            self._live.stop()
        if kind is None:
            print(f"{self.title}: {self._done:,} done ({time.monotonic() - self._start:.1f} s)", flush=True)

    def show(self, done: int, total: int) -> None:
        """So many are done, of so many."""
        self._done = done
        if self._live is not None and self._task is not None:
            self._live.update(self._task, completed=done, total=total)
