"""Single decisions, recorded as they are made: by what the ledger knows of the people and on the last wave's terms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from propensity.campaigns import ensure_campaign
from propensity.deciding import Wave
from propensity.known import known_of, snapshots, unless_withdrawn
from propensity.ledger import Ledger, decision_answers
from propensity.model import DecisionModel
from propensity.people import Customers, People
from propensity.policy import BUDGET, Limit, Terms, decision_keys, used_by, window_number


def decide_online(
    model: DecisionModel,
    ledger: Ledger,
    customers: Customers,
    *,
    at: pd.Timestamp,
    campaign: str,
    dry_run: bool = False,
) -> list[dict[str, Any]]:
    """Decide for each customer, and record the decisions and what they were made from.

    Parameters
    ----------
    model : DecisionModel
    ledger : Ledger
    customers : DataFrame (n, ...) or People
        Checked customers, each once.
    at : Timestamp
        When the decision is taken, aware.
    campaign : str
    dry_run : bool
        Decide without recording; the answers have no ``decision_id``.

    Returns
    -------
    list of dict
        Answers, in the order of ``customers``. A decision that stands from the same decision window is answered
        again, unless the person opted out, complained, came back, was erased or took back the consent to its channel
        since.

    Notes
    -----
    If the ledger holds a wave of this campaign and playbook, its terms apply: an action must be worth more than the
    prices of what it uses, exploration has the wave's weights, and of a limit there is what the wave and the single
    decisions since have left over. Requests at the same time do not see each other's use.
    """
    window = window_number(at, model.playbook.program.decision_window_days)
    people = People.of(customers)
    known = known_of(ledger, people.ids, decision_keys(people.ids, campaign, window))
    wave = Wave(model, people, at, campaign, known.suppressed, known.contacts, known.outcomes)
    decided = wave.decisions(*_terms(wave, ledger))
    if dry_run:
        return decision_answers(decided.columns | {"decision_id": None})
    spend = wave.spent_on(decided.columns["action"])
    ensure_campaign(ledger, campaign, model.playbook, at)
    standing = ledger.add_decisions(
        decided.columns,
        at,
        decided.probabilities,
        spend=spend.tolist(),
        customers=snapshots(people, model.playbook),
    )
    return unless_withdrawn(standing, decision_answers(decided.columns), people, model.playbook)


def _terms(wave: Wave, ledger: Ledger) -> tuple[Sequence[Limit], Terms | None]:
    """What is left of the last wave's limits, and its terms; nothing where there was no wave."""
    at = wave.now.to_pydatetime()
    last = ledger.latest_wave(wave.campaign, wave.model.playbook.version, at)
    if last is None:
        return (), None
    terms = Terms.from_json(last["terms"])
    limits = _left_over(wave, ledger, last)
    # a model trained since may have learnt more actions, on more channels
    prices = {x.name: terms.prices.get(x.name, 0.0) for x in limits}
    weights = np.array([terms.explore_weights.get(str(a), 1.0) for a in wave.value.columns])
    for limit in limits:
        if limit.amount == 0:
            weights[_use(limit, wave).max(axis=0, initial=0.0) > 0] = 0.0
    return limits, Terms(prices, dict(zip(map(str, wave.value.columns), weights.tolist(), strict=True)))


def _left_over(wave: Wave, ledger: Ledger, last: dict[str, Any]) -> list[Limit]:
    """The last wave's limits without what it and single decisions since have used.

    A capacity is there again when the weeks for which the wave was are over; a budget is not. Of what does not suffice
    for everything that one of these people may get, there is nothing: chances must not depend on who is served first.
    """
    decided_at = pd.Timestamp(last["decided_at"])
    period = wave.now - pd.Timedelta(weeks=last["weeks"])
    alone = ledger.used_alone(wave.campaign, decided_at.to_pydatetime(), max(decided_at, period).to_pydatetime())
    left = []
    for limit in wave.limits(last["weeks"], last["budget"]):
        used = last["limits"].get(limit.name, {}).get("used", 0.0)
        if limit.name == BUDGET:
            used += alone["spend"].sum()
        else:
            of_one = used_by(limit, wave.value.columns, alone.index.to_numpy(dtype=object))
            used = used * (decided_at > period) + (alone["contacts"] * of_one).sum()
        amount = limit.amount - used
        most = (_use(limit, wave) * wave.eligible.allowed.to_numpy()).max(initial=0.0)
        left.append(replace(limit, amount=float(amount) if amount >= most and amount > 0 else 0.0))
    return left


def _use(limit: Limit, wave: Wave) -> np.ndarray:
    """What each action uses of a limit for each person, (n or 1, actions without control)."""
    use = limit.use[wave.value.columns] if isinstance(limit.use, pd.Series | pd.DataFrame) else limit.use
    return np.atleast_2d(np.asarray(use, dtype=float))
