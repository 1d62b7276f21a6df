"""What the ledger keeps of a campaign, whoever records it first: the service, a wave or `propensity run`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pandas as pd

from propensity.dataset import OutcomeWords
from propensity.ledger import Ledger
from propensity.playbook import Playbook

UNNAMED = OutcomeWords(reactivated="return", reactivated_plural="returns")
"""Words for coming back where nobody gave any."""


def about_campaign(
    playbook: Playbook, *, title: str, started_at: datetime, words: OutcomeWords = UNNAMED, follows: str | None = None
) -> dict[str, Any]:
    """The columns of `ledger.schema.campaigns` but its name.

    Parameters
    ----------
    playbook : Playbook
        By which it begins: its currency, its attribution window, and all of it as it is now.
    title : str
    started_at : datetime
        Aware.
    words : OutcomeWords
    follows : str, optional
        The campaign whose results this one acts on.
    """
    return {
        "title": title,
        "follows": follows,
        "currency": playbook.currency,
        "window_days": playbook.program.attribution_window_days,
        "reactivated_word": words.reactivated,
        "reactivated_words": words.reactivated_plural,
        "started_at": started_at,
        "playbook": playbook.model_dump(mode="json"),
    }


def ensure_campaign(ledger: Ledger, campaign: str, playbook: Playbook, at: pd.Timestamp) -> None:
    """Record a campaign with its first decision; one that this process recorded already costs nothing."""
    if not ledger.has_recorded(campaign):
        ledger.add_campaign(campaign, **about_campaign(playbook, title=campaign, started_at=at.to_pydatetime()))
