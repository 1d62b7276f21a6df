"""The experiments of a ledger, for a list: which there are, whether they run, and how many people each has."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from propensity.ledger import Ledger

NONE_YET = (
    "The ledger holds no experiment yet. One begins with its first decision: run “propensity decide” on a file of "
    "customers, or ask the service. To look at an experiment of the past, run “propensity run” on its data; to find "
    "out how many people a new one needs, “propensity experiment plan”."
)


@dataclass(frozen=True)
class Listed:
    """A line of the list.

    Attributes
    ----------
    campaign, title : str
    started_at : datetime
    to_contact, held_out : int
        Decisions; those on people who may not be contacted are neither.
    closes : datetime or None
        When the window of the last decision closes; None without decisions.
    running : bool
        Whether a window is open.
    """

    campaign: str
    title: str
    started_at: datetime
    to_contact: int
    held_out: int
    closes: datetime | None
    running: bool

    @property
    def state(self) -> str:
        """In words."""
        if self.closes is None:
            return "no decisions"
        return f"{'running until' if self.running else 'closed since'} {self.closes.day} {self.closes:%B %Y}"


def listed(ledger: Ledger, now: datetime) -> list[Listed]:
    """The campaigns of a ledger, newest first."""
    counts = ledger.counted_campaigns()
    lines = []
    for row in reversed(ledger.campaigns()):
        count = counts.get(row["campaign"])
        closes = None if count is None else count.last + timedelta(days=row["window_days"])
        lines.append(
            Listed(
                campaign=row["campaign"],
                title=row["title"],
                started_at=row["started_at"],
                to_contact=0 if count is None else count.to_contact,
                held_out=0 if count is None else count.held_out,
                closes=closes,
                running=closes is not None and closes > now,
            )
        )
    return lines
