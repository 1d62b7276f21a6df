"""What-ifs over HTTP: the asked customers under several playbooks, budgets and caps; nothing is recorded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from pydantic import ValidationError

from propensity import playbook
from propensity.deciding import Wave
from propensity.errors import InputError
from propensity.known import known_of
from propensity.ledger import Ledger
from propensity.model import DecisionModel
from propensity.playbook import Playbook, PlaybookError
from propensity.policy import decision_keys, window_number
from propensity.what_if import FIRST, Scenario, compare
from propensity_serving.problems import Problem


def what_if(
    model: DecisionModel,
    ledger: Ledger,
    customers: pd.DataFrame,
    scenarios: Sequence[dict[str, Any]],
    *,
    at: pd.Timestamp,
    campaign: str,
) -> dict[str, Any]:
    """Compare what these customers would get as it is with what they would get under the scenarios.

    Parameters
    ----------
    model : DecisionModel
    ledger : Ledger
        What it knows of the customers counts, but not that some have a decision already.
    customers : DataFrame (n, ...)
        Checked customers, each once; budgets and capacities are for them alone.
    scenarios : sequence of dict
        Settings of `Scenario.changed`; ``playbook`` is the name of a shipped one, or a whole playbook as an object.
    at : Timestamp
    campaign : str

    Returns
    -------
    dict
        `WhatIf.to_json`.

    Raises
    ------
    Problem
        422: a scenario that cannot be.
    """
    people = customers["customer_id"].tolist()
    window = window_number(at, model.playbook.program.decision_window_days)
    known = known_of(ledger, people, decision_keys(people, campaign, window))
    wave = Wave(model, customers, at, campaign, known.suppressed, known.contacts, known.outcomes)
    first = Scenario(FIRST, model.playbook)
    try:
        made = [first, *(first.changed(_with_playbook(settings)) for settings in scenarios)]
        return compare(wave, made).to_json()
    except (InputError, PlaybookError) as error:
        raise Problem(422, "Scenario not understood", str(error)) from error


def _with_playbook(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings with their playbook read; a file of this machine is none of a caller's business."""
    given = settings.get("playbook")
    if given is None:
        return settings
    if isinstance(given, str) and given in playbook.shipped():
        return settings
    if not isinstance(given, dict):
        names = ", ".join(playbook.shipped())
        raise InputError(f"scenarios.playbook: expected a playbook as an object, or one of {names}")
    try:
        return settings | {"playbook": Playbook.model_validate(given)}
    except ValidationError as error:
        raise InputError(f"scenarios.playbook: {playbook.sentences(error)}") from error
