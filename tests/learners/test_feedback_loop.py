"""A loop that learns from its own decisions ends where one does that learns from randomised data of the same size."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from propensity.contract import CONTROL
from propensity.evaluation import dr_scores
from propensity.learners import FactoredLinearLearner
from propensity.playbook import Learning
from propensity.policy import action_probabilities, best_action

ACTIONS = [CONTROL, "a", "b", "c"]
SLOPES = np.array([[0.9, 0.0, 0.3], [-0.6, 0.7, 0.2], [0.0, -0.8, 0.4]])
"""Effects of the three contacts: slopes on two features, and a constant."""
LEARNING = Learning(holdout_share=0.1, campaign_holdout_share=0.0, explore_share=0.2, salt="s")
ROUNDS, PEOPLE, REPEATS = 5, 800, 12


def draw(rng: np.random.Generator, n: int) -> pd.DataFrame:
    return pd.DataFrame(rng.normal(size=(n, 2)), columns=["x", "z"])


def effects(people: pd.DataFrame) -> np.ndarray:
    return people.to_numpy() @ SLOPES[:, :2].T + SLOPES[:, 2]


def observe(rng: np.random.Generator, people: pd.DataFrame, chances: np.ndarray) -> pd.DataFrame:
    """Actions that were drawn with chances (n, 4), and outcomes; people drift from round to round in neither."""
    arm = (rng.random(len(people))[:, None] >= chances.cumsum(axis=1)[:, :-1]).sum(axis=1)
    gain = np.hstack([np.zeros((len(people), 1)), effects(people)])[np.arange(len(people)), arm]
    y = 0.5 * people["x"].to_numpy() + gain + rng.normal(0, 1.5, len(people))
    logged = pd.DataFrame(chances, columns=[f"p_{a}" for a in ACTIONS])
    return pd.concat([people, logged], axis=1).assign(action=np.array(ACTIONS, dtype=object)[arm], y=y)


def fitted(data: pd.DataFrame, chances: np.ndarray) -> FactoredLinearLearner:
    propensity = pd.DataFrame(chances, columns=ACTIONS, index=data.index)
    return FactoredLinearLearner(0).fit(data[["x", "z"]], data["action"], data["y"].to_numpy(), propensity=propensity)


def logged(data: pd.DataFrame) -> np.ndarray:
    return data[[f"p_{a}" for a in ACTIONS]].to_numpy()


def value(model: FactoredLinearLearner, people: pd.DataFrame) -> float:
    chosen = model.effect(people).to_numpy().argmax(axis=1)
    return float(effects(people)[np.arange(len(people)), chosen].mean())


def loop(rng: np.random.Generator) -> pd.DataFrame:
    """Rounds of decisions, each by what the rounds before taught; the first is randomised."""
    even = np.full((PEOPLE, 4), 0.25)
    rounds = [observe(rng, draw(rng, PEOPLE), even)]
    for _ in range(ROUNDS - 1):
        data = pd.concat(rounds, ignore_index=True)
        people = draw(rng, PEOPLE)
        predicted = fitted(data, logged(data)).effect(people)
        allowed = pd.DataFrame(True, index=predicted.index, columns=predicted.columns)
        chances = action_probabilities(best_action(predicted, allowed), allowed, LEARNING)[ACTIONS]
        rounds.append(observe(rng, people, chances.to_numpy()))
    return pd.concat(rounds, ignore_index=True)


@pytest.fixture(scope="module")
def runs() -> list[tuple[pd.DataFrame, pd.DataFrame]]:
    made = []
    for seed in range(REPEATS):
        rng = np.random.default_rng(seed)
        even = np.full((ROUNDS * PEOPLE, 4), 0.25)
        made.append((loop(rng), observe(rng, draw(rng, ROUNDS * PEOPLE), even)))
    return made


def test_its_policy_is_worth_as_much(runs):
    people = draw(np.random.default_rng(99), 20_000)
    gaps = [value(fitted(own, logged(own)), people) - value(fitted(even, logged(even)), people) for own, even in runs]
    error = np.std(gaps, ddof=1) / np.sqrt(len(gaps))
    best = effects(people).max(axis=1).mean()
    assert abs(np.mean(gaps)) < 3.5 * error + 0.01 * best
    assert value(fitted(runs[0][0], logged(runs[0][0])), people) > 0.95 * best


def test_averages_of_its_own_decisions_are_unbiased_with_the_logged_chances_and_biased_without(runs):
    errors, naive = [], []
    for own, _ in runs:
        truth = effects(own[["x", "z"]]).mean(axis=0)
        expected = pd.DataFrame(0.0, index=own.index, columns=ACTIONS)
        scores = dr_scores(own["y"], own["action"], pd.DataFrame(logged(own), columns=ACTIONS), expected)
        errors.append((scores[ACTIONS[1:]].sub(scores[CONTROL], axis=0)).mean().to_numpy() - truth)
        means = own.groupby("action")["y"].mean()
        naive.append((means[ACTIONS[1:]] - means[CONTROL]).to_numpy() - truth)
    errors, naive = np.array(errors), np.array(naive)
    standard = errors.std(axis=0, ddof=1) / np.sqrt(len(errors))
    assert (np.abs(errors.mean(axis=0)) < 4.5 * standard).all()
    # people who got an action by choice are those whom it suits: without the chances it looks better than it is
    assert (naive.mean(axis=0) > 0.3).all()
