"""A wave of simulated customers on whom somebody else decides, and what they do then."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd

from propensity.contract import CONTROL, PROBABILITY_PREFIX
from propensity.playbook import Playbook
from propensity.simulation.customers import draw_customers
from propensity.simulation.effects import responses
from propensity.simulation.events import draw_numbers, outcomes_table

Decide = Callable[[pd.DataFrame], tuple[pd.DataFrame, pd.DataFrame]]
"""From customers (n, ...) to decisions (n, ...) with ``decision_id`` and ``action``, and chances (n, actions)."""


@dataclass(frozen=True)
class FollowedWave:
    """``customers`` and ``outcomes`` keep the contract; ``decisions`` and ``probabilities`` are as they were given."""

    customers: pd.DataFrame
    decisions: pd.DataFrame
    probabilities: pd.DataFrame
    outcomes: pd.DataFrame


def follow(
    n_customers: int,
    decide: Decide,
    *,
    seed: int,
    playbook: Playbook,
    decided_at: datetime,
    effect_scale: float = 1.0,
    name: str = "",
) -> FollowedWave:
    """Simulate customers, let somebody decide on them, and simulate what they do.

    Parameters
    ----------
    n_customers, seed, playbook, decided_at, effect_scale
        As for `simulate`, which decides at random instead.
    decide : callable
        See `Decide`; what it decides is carried out at once.
    name : str
        Put before all ids, so that waves hold different people.
    """
    people, luck = (np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(2))
    customers, traits = draw_customers(n_customers, playbook, decided_at, people)
    customers["customer_id"] = name + customers["customer_id"].astype("str")
    decisions, probabilities = decide(customers)
    response = responses(playbook, traits, effect_scale)
    served = pd.Index([CONTROL, *playbook.labels]).get_indexer(pd.Index(decisions["action"]))
    draws = draw_numbers(n_customers, luck)
    keys = decisions["decision_id"].to_numpy(dtype=object)
    outcomes = outcomes_table(customers, keys, served, response, draws, playbook, decided_at)
    outcomes["event_id"] = name + outcomes["event_id"].astype("str")
    return FollowedWave(customers, decisions, probabilities, outcomes)


def recorded(waves: dict[datetime, FollowedWave]) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Decisions, customers and outcomes of waves by when they were decided, as a ledger that was told of them has them.

    The decisions' columns are those of `Ledger.taken`; each person must be in one wave only.
    """
    decisions = []
    for at, wave in waves.items():
        time = pd.Timestamp(at).tz_convert("UTC").as_unit("us")
        chances = wave.probabilities.add_prefix(PROBABILITY_PREFIX)
        reasons = wave.decisions["reason_codes"].map(json.dumps)
        told = wave.decisions.assign(decided_at=time, first_decided_at=time, reason_codes=reasons)
        decisions.append(pd.concat([told, chances], axis=1))
    return (
        pd.concat(decisions, ignore_index=True),
        pd.concat([wave.customers for wave in waves.values()], ignore_index=True),
        pd.concat([wave.outcomes for wave in waves.values()], ignore_index=True),
    )
