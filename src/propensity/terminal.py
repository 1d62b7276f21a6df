"""Tables on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

PLAIN_WIDTH = 180
"""Characters in a line of files and pipes, where nobody's screen says how wide."""


def new_table(title: str, columns: Iterable[str], figures: Iterable[str] = ()) -> Table:
    """An empty table; columns of ``figures`` come last and are set flush right."""
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    for column in figures:
        table.add_column(column, justify="right")
    return table


def show(table: Table) -> None:
    """Print a table as wide as the screen, or wide enough for a file; what people wrote is shown as they wrote it."""
    width = None if sys.stdout.isatty() else PLAIN_WIDTH
    Console(width=width, highlight=False, markup=False, emoji=False).print(table)
