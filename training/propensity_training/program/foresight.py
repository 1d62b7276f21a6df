"""The best that anybody could do who knows people only by their features: what their effects are on average.

An oracle knows each person's own effects, and so what no data tell: a reason that was never stated, a taste. How much
of its gain is out of everybody's reach is measured by a policy that learns from the truth itself, of many other people
of the same world: not from outcomes, and with no noise.
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

PEOPLE = 30_000
"""Who come up for the first time, to learn from; about as many come up again."""
WORLD_SEED = 1_000_003
"""Of a world in which nothing is compared."""
SETTINGS = {"n_estimators": 300, "learning_rate": 0.06, "num_leaves": 47, "min_child_samples": 60}


@dataclass(eq=False)
class Foresight:
    """Mean true effects by features, for each of the world's times between shifts."""

    features: FeatureBuilder
    by_strength: dict[tuple[tuple[str, float], ...], dict[str, lgb.Booster]]

    def __call__(self, asked: Asked) -> np.ndarray:
        """The best allocation by these effects (n,); a `rivals.Choice`."""
        boosters = self.by_strength[_key(asked.strength)]
        X = self.features.transform(asked.due.customers, asked.people.now)
        value = {a: boosters[a].predict(X) if a in boosters else np.zeros(len(X)) for a in asked.labels}
        return allocated(asked, pd.DataFrame(value))


def foresight(world: World, waves: int) -> Foresight:
    """Learn from the truth about other people; the same for all worlds that differ in nothing but their seed."""
    other = World(WORLD_SEED, PEOPLE, playbook=world.playbook, shifts=world.shifts, effect_scale=world.effect_scale)
    wave = 1 + MONTHS_BETWEEN_TOUCHES
    due = other.due(wave, set(), set())
    at = pd.Series(other.at(wave), index=due.customers.index)
    features = FeatureBuilder.fit(due.customers.assign(action=CONTROL, decided_at=at), world.playbook)
    X = features.transform(due.customers, at)
    eligible = pd.DataFrame(
        eligible_actions(due.customers, world.playbook, other.at(wave)), columns=[CONTROL, *world.playbook.labels]
    )
    found = {}
    for strength in {_key(world.strength(k)): world.strength(k) for k in range(1, waves + 1)}.values():
        profit = other.under(due, strength).profit(world.playbook)
        found[_key(strength)] = {
            action: _fitted(X[eligible[action]], (profit[action] - profit[CONTROL])[eligible[action]])
            for action in world.playbook.labels
        }
    return Foresight(features, found)


def _fitted(X: pd.DataFrame, value: pd.Series) -> lgb.Booster:
    model = lgb.LGBMRegressor(**SETTINGS, random_state=0, n_jobs=threads_for(len(X)), verbose=-1)
    return model.fit(X, value).booster_


def _key(strength: Mapping[str, float]) -> tuple[tuple[str, float], ...]:
    return tuple(sorted(strength.items()))
