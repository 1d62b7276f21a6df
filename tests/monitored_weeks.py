"""A simulated program that a model decides week by week, in the shape in which a ledger has it."""

from __future__ import annotations

import pandas as pd

from propensity.model import DecisionModel
from propensity.monitoring.monitor import Observed
from propensity.monitoring.results import Period
from propensity.policy import holdout_share
from propensity.simulation import DECIDED_AT
from propensity.simulation.followed import FollowedWave, follow, recorded

WEEK = pd.Timedelta(days=7)
UNTIL = pd.Timestamp(DECIDED_AT) + pd.Timedelta(days=200)
PERIOD = Period(UNTIL - 5 * WEEK, UNTIL - WEEK, UNTIL)
MATURED = UNTIL - pd.Timedelta(days=95)
DAYS = (MATURED, *(UNTIL - k * WEEK - pd.Timedelta(days=1) for k in range(6, -1, -1)))


def weekly_waves(model: DecisionModel, seed: int, people: int, matured: int) -> dict[pd.Timestamp, FollowedWave]:
    return {
        at: follow(
            people if number else matured,
            lambda customers, at=at: model.decide_with_probabilities(customers, at=at, campaign="weekly"),
            seed=100 * seed + number,
            playbook=model.playbook,
            decided_at=at,
            effect_scale=12,
            name=f"s{seed}w{number}-",
        )
        for number, at in enumerate(DAYS)
    }


def weeks(model: DecisionModel, seed: int = 1, people: int = 700, matured: int = 2_000) -> Observed:
    decisions, customers, events = recorded(weekly_waves(model, seed, people, matured))
    shares = {model.playbook.version: holdout_share(model.playbook.learning)}
    return Observed(decisions, customers, events[events["at"] < UNTIL], shares)
