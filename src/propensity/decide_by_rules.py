"""Decisions of the rule playbook, for when the model does not answer in time: no prediction is asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from propensity.campaigns import ensure_campaign
from propensity.contract import CONTROL
from propensity.deciding import Wave
from propensity.decision import Chosen, decision_table
from propensity.known import known_of, snapshots, unless_withdrawn
from propensity.ledger import Ledger, decision_answers
from propensity.model import DecisionModel
from propensity.people import Customers, People
from propensity.policy import (
    action_probabilities,
    archetype_by_rule,
    codes,
    contact_costs,
    decide,
    decision_keys,
    next_touch,
    not_before,
    offer_costs,
    rule_action,
    window_number,
)

EXPECTED = ("uplift", "uplift_low", "uplift_high", "expected_revenue", "net_value")
"""Columns of a decision that only a model can fill."""


def decide_by_rules(
    model: DecisionModel, ledger: Ledger, customers: Customers, *, at: pd.Timestamp, campaign: str
) -> list[dict[str, Any]]:
    """Decide for each customer by the playbook's rules, and record that as `decide_online` does.

    Returns
    -------
    list of dict
        Answers, in the order of ``customers``. Whoever is held out stays so; nobody is explored on. Who gets something
        has ``assignment`` "fallback" and the code ``decided_by_rules``. Where another decision stands from the same
        window, perhaps the model's that came late, it is the answer, unless the person opted out, complained, came
        back, was erased or took back the consent to its channel since.

    Notes
    -----
    The chance of an action is 1 less the holdout's share: that the model is late does not depend on the person.
    Channels with a capacity are left out: what is left of them is for people whom the model chooses.
    """
    window_days = model.playbook.program.decision_window_days
    people = People.of(customers)
    known = known_of(ledger, people.ids, decision_keys(people.ids, campaign, window_number(at, window_days)))
    wave = Wave(model, people, at, campaign, known.suppressed, known.contacts, known.outcomes).by_stated_reasons()
    decisions, probabilities = _by_rules(wave)
    spend = _expected_spend(model, decisions["action"])
    ensure_campaign(ledger, campaign, model.playbook, at)
    standing = ledger.add_decisions(
        decisions, at, probabilities, spend=spend, customers=snapshots(people, model.playbook)
    )
    return unless_withdrawn(standing, decision_answers(decisions), people, model.playbook)


def _by_rules(wave: Wave) -> tuple[pd.DataFrame, pd.DataFrame]:
    people, at, playbook = wave.people.table, wave.now, wave.model.playbook
    unlimited = [a for a in wave.model.actions[1:] if _without_capacity(wave, a)]
    allowed = wave.eligible.allowed
    best = rule_action(people, playbook, allowed[unlimited], wave.changed)
    learning = playbook.learning.model_copy(update={"explore_share": 0.0})
    window = window_number(at, playbook.program.decision_window_days)
    unknown = pd.DataFrame(np.nan, index=people.index, columns=allowed.columns)
    drawn = decide(people["customer_id"], unknown, allowed, learning, campaign=wave.campaign, window=window, best=best)
    by_rules = (drawn["assignment"] == "policy").to_numpy()
    drawn.loc[by_rules, "assignment"] = "fallback"
    action = drawn["action"].to_numpy(dtype=object)
    first = not_before(action, people, playbook, at)
    following = next_touch(action, unknown.fillna(0.0), wave.reachable.allowed, people, playbook, first, wave.history)
    chosen = Chosen(
        drawn=drawn,
        unlimited=best,
        stopped_by=wave.eligible.stopped_by,
        effect_reasons=[[] for _ in action],
        codes=(codes.BY_RULES, codes.BY_RULES),
        # what was chosen is worth nothing that is known, and there is no alternative to it
        value=unknown.where(allowed.columns.to_numpy() != action[:, None], 0.0),
    )
    decisions = decision_table(
        people,
        chosen,
        expected=dict.fromkeys(EXPECTED, unknown),
        reactivation_propensity=pd.Series(np.nan, index=people.index),
        reasons=wave.reasons,
        rule_archetype=archetype_by_rule(people, wave.reasons["reason"], wave.changed, playbook),
        touch=np.zeros(len(people), dtype=int) if wave.history is None else wave.history.campaign_touches,
        not_before=first,
        contact_at=first,
        following=following,
        playbook=playbook,
        at=at,
        campaign=wave.campaign,
        model_version=wave.model.version,
    )
    decisions[list(EXPECTED)] = np.nan
    decisions.loc[by_rules, "reason_codes"] = pd.Series([[codes.BY_RULES]] * by_rules.sum(), people.index[by_rules])
    return decisions, action_probabilities(best, allowed, learning)


def _without_capacity(wave: Wave, action: str) -> bool:
    playbook = wave.model.playbook
    return playbook.channels[playbook.actions[action].channel].capacity_per_week is None


def _expected_spend(model: DecisionModel, action: pd.Series) -> list[float]:
    """Of each action, with its offer redeemed as often as people came back under it in training, currency."""
    actions = [CONTROL, *model.playbook.labels]
    back = model.evidence_.average_outcomes["reactivated"]
    chance = np.array([back.get(a, 0.0) for a in actions]).clip(0.0, 1.0)
    costs = contact_costs(model.playbook, actions) + offer_costs(model.playbook, actions) * chance
    return action.map(dict(zip(actions, costs.tolist(), strict=True))).tolist()
