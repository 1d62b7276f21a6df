"""What learning from the truth about other people reaches for who knows people only by their features.

An oracle knows each person's own effects, and so what no data tell: a reason that was never stated, a taste. A policy
that learns from the truth itself, of many other people of the same world, not from outcomes and with no noise, shows
how much of the oracle's gain features give at least. It is no bound: more people, or another learner, reach more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import lightgbm as lgb
import numpy as np
import pandas as pd

from propensity.contract import CONTROL
from propensity.features import FeatureBuilder
from propensity.simulation.logging_rule import eligible_actions
from propensity.simulation.world import MONTHS_BETWEEN_TOUCHES, World
from propensity.threads import threads_for
from propensity_training.program.rivals import Asked, allocated

PEOPLE = 240_000
"""Who come up for the first time, to learn from: twice as many add 0.3 % to the gain, among 19 of the 26 actions. As
many come up again, those included whom contact would have brought back before: without them the gain is the same
(docs/benchmarks.md)."""
WORLD_SEED = 1_000_003
"""Of a world in which nothing is compared."""
SETTINGS = {
    "n_estimators": 150,
    "learning_rate": 0.1,
    "num_leaves": 31,
    "min_child_samples": 400,
    "max_bin": 63,
    "deterministic": True,
    "force_row_wise": True,
}
"""Of the few that were tried what gained most; many people a leaf, because hidden tastes differ much between people."""


@dataclass(eq=False)
class Foresight:
    """Mean true effects by features, as far as many other people's taught them, for each time between shifts.

    Attributes
    ----------
    features : FeatureBuilder
    by_strength : dict
        From what has shifted (`World.strength`) to a model of each action's effect on net value, currency a person.
    """

    features: FeatureBuilder
    by_strength: dict[tuple[tuple[str, float], ...], dict[str, lgb.Booster]]

    def __call__(self, asked: Asked) -> np.ndarray:
        """The best allocation by these effects (n,); a `rivals.Choice`."""
        boosters = self.by_strength[_key(asked.strength)]
        X = self.features.transform(asked.due.customers, asked.people.now)
        value = {a: boosters[a].predict(X) if a in boosters else np.zeros(len(X)) for a in asked.labels}
        return allocated(asked, pd.DataFrame(value))


def foresight(world: World, waves: int) -> Foresight:
    """Learn from the truth about other people; the same for all worlds that differ in nothing but their seed.

    Parameters
    ----------
    world : World
        Its playbook, shifts and effects count; its people do not.
    waves : int
        What has shifted by one of so many is learnt.

    Notes
    -----
    For each action a, features x and net value Y(a) of a person, the mean of Y(a) - Y(no contact) given x, from people
    who may get a.
    """
    other = World(WORLD_SEED, PEOPLE, playbook=world.playbook, shifts=world.shifts, effect_scale=world.effect_scale)
    wave = 1 + MONTHS_BETWEEN_TOUCHES
    due = other.due(wave, set(), set())
    at = pd.Series(other.at(wave), index=due.customers.index)
    features = FeatureBuilder.fit(due.customers.assign(action=CONTROL, decided_at=at), world.playbook)
    X = features.transform(due.customers, at)
    eligible = pd.DataFrame(
        eligible_actions(due.customers, world.playbook, other.at(wave)), columns=[CONTROL, *world.playbook.labels]
    )
    found: dict[tuple[tuple[str, float], ...], dict[str, lgb.Booster]] = {}
    learnt: dict[str, tuple[np.ndarray, lgb.Booster]] = {}
    for strength in {_key(world.strength(k)): world.strength(k) for k in range(1, waves + 1)}.values():
        profit = other.under(due, strength).profit(world.playbook)
        for action in world.playbook.labels:
            may = eligible[action].to_numpy()
            value = (profit[action] - profit[CONTROL]).to_numpy()[may]
            # a shift leaves most actions as they were
            if action not in learnt or not np.array_equal(learnt[action][0], value):
                learnt[action] = value, _fitted(X[may], value)
        found[_key(strength)] = {action: booster for action, (_, booster) in learnt.items()}
    return Foresight(features, found)


def _fitted(X: pd.DataFrame, value: np.ndarray) -> lgb.Booster:
    model = lgb.LGBMRegressor(**SETTINGS, random_state=0, n_jobs=threads_for(len(X)), verbose=-1)
    return model.fit(X, value).booster_


def _key(strength: Mapping[str, float]) -> tuple[tuple[str, float], ...]:
    return tuple(sorted(strength.items()))
