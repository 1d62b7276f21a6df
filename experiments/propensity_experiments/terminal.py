"""A summary on a terminal: the verdict, whether it may be read, and the arms."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.table import Table
from rich.text import Text

from propensity.evaluation import Estimate
from propensity.pages.words import percent, signed
from propensity.terminal import PLAIN_WIDTH
from propensity_experiments.charts import arm_words
from propensity_experiments.contents import OutcomeResult, Summary
from propensity_experiments.page import VERDICTS
from propensity_experiments.verdict import verdict

NARROW = 70
"""Columns of a screen below which arms show what contact changed and no counts."""
COLOURS = {"roll_out": "green", "stop": "yellow", "keep_running": "cyan", "unhealthy": "red", "no_comparison": "cyan"}


def show(summary: Summary, *, no_color: bool = False) -> None:
    """Print it, as wide as the screen; colours only on one that has them and where nobody asked for none."""
    width = None if sys.stdout.isatty() else PLAIN_WIDTH
    console = Console(width=width, highlight=False, markup=False, emoji=False, no_color=no_color or None)
    told, health = verdict(summary), summary.health
    symbol, word = VERDICTS[told.kind]
    console.print(Text(f"{symbol} {word}", style=f"bold {COLOURS[told.kind]}"))
    console.print(Text(told.headline, style="bold"), soft_wrap=not console.is_terminal)
    for sentence in filter(None, (told.worth, *told.sentences)):
        _item(console, "-", sentence)
    for published in summary.published[:1]:
        since = "have not changed" if published.unchanged else "have changed"
        _item(console, "-", f"Published on {published.at:%Y-%m-%d} by {published.who}; the figures {since} since.")
    console.print()
    console.print(Text("Healthy: yes" if health.healthy else "Healthy: no", style="bold"))
    for mark, sentences in (("✕", health.faults), ("!", health.cautions)):
        for sentence in sentences:
            _item(console, mark, sentence)
    if health.healthy and summary.primary is not None:
        console.print()
        console.print(_arms(summary.primary, narrow=console.width < NARROW))


def _item(console: Console, mark: str, sentence: str) -> None:
    """A sentence with a hanging indent on a screen, on one line in a file or pipe."""
    if not console.is_terminal:
        console.print(f"{mark} {sentence}", soft_wrap=True)
        return
    listed = Table.grid(padding=(0, 1))
    listed.add_row(mark, sentence)
    console.print(listed)


def _arms(result: OutcomeResult, narrow: bool) -> Table:
    table = Table(title=f"{result.outcome.words.capitalize()}, by arm", title_justify="left", title_style="bold")
    table.add_column("arm", overflow="fold")
    for column in () if narrow else ("people", result.outcome.words, "share"):
        table.add_column(column, justify="right")
    table.add_column("extra per 1,000", justify="right")
    table.add_column("95 % sure", justify="right")
    table.add_column("told from chance")
    effects = {x.action: x for x in result.effects}
    for arm in result.totals:
        effect = effects.get(arm.action)
        counts = [f"{arm.people:,}", f"{arm.with_it:,}", percent(arm.with_it / arm.people, 2) if arm.people else "–"]
        found = _difference(effect.difference.times(1000)) if effect else ["–", "–"]
        told = ("yes" if effect.clear else "no") if effect else "–"
        table.add_row(arm_words(arm.action), *([] if narrow else counts), *found, told)
    return table


def _difference(found: Estimate) -> list[str]:
    return [signed(found.value), f"{signed(found.low)} to {signed(found.high)}"]
