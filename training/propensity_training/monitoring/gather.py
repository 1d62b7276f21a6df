"""What monitoring needs, from the ledger."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from propensity import registry
from propensity.errors import InputError
from propensity.ledger import Ledger
from propensity.model import DecisionModel
from propensity.monitoring.monitor import Observed, needed_since
from propensity.monitoring.results import Period
from propensity.playbook import Playbook
from propensity.policy import holdout_share

WEEK_DAYS = 7


def serving_model(model: str | None, alias: str) -> DecisionModel:
    """The model in a directory, or of the registry: by name and alias."""
    if model is not None and Path(model).is_dir():
        return DecisionModel.load(model)
    return registry.load(model, alias)[0]


def period_of(
    since: pd.Timestamp | None, until: pd.Timestamp | None, reference_days: float, now: pd.Timestamp
) -> Period:
    """From the options: by default the seven days before ``until``, by default now.

    Raises
    ------
    InputError
        The period is empty.
    """
    end = until if until is not None else now
    start = since if since is not None else end - pd.Timedelta(days=WEEK_DAYS)
    if start >= end:
        raise InputError(f"--since {start:%Y-%m-%d %H:%M}: expected a time before --until {end:%Y-%m-%d %H:%M} (UTC)")
    return Period(start - pd.Timedelta(days=reference_days), start, end)


def gather(ledger: Ledger, model: DecisionModel, period: Period, campaign: str | None) -> Observed:
    """Read decisions, people and events.

    Raises
    ------
    InputError
        The campaign is not in the ledger.
    """
    if campaign is not None:
        ledger.campaign(campaign)
    since = needed_since(period, model.playbook.program.attribution_window_days)
    return Observed(
        decisions=ledger.taken(since, period.until, campaign),
        customers=ledger.people_of(since, period.until, campaign),
        events=ledger.events_of(since, period.until, campaign),
        holdout_shares=_holdout_shares(ledger, model),
    )


def _holdout_shares(ledger: Ledger, model: DecisionModel) -> dict[str, float]:
    """The share held out by the version of each playbook that is known."""
    known = [model.playbook, *map(Playbook.model_validate, ledger.playbooks())]
    return {book.version: holdout_share(book.learning) for book in known}
