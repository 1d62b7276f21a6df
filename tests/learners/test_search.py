"""What tuning searches, and the score that it compares learners by."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from learner_cases import draw_experiment, small_learner
from numpy.testing import assert_allclose
from optuna.trial import FixedTrial

from propensity.evaluation.scores import score_matrix
from propensity.learners import ConstantLearner, UpliftStack
from propensity.learners.averages import average_effects
from propensity.learners.base import UpliftLearner
from propensity.learners.nuisance import cross_fitted_outcome
from propensity.learners.sample import check_sample, derive_seed
from propensity.learners.saved import learner_from_state
from propensity.learners.search import (
    GENERAL,
    KINDS,
    OF_REVENUE,
    SearchScore,
    kinds_for,
    suggest_learner,
    usual_settings,
)

NO_FACTORS = np.empty((3, 0))


class Foresight(UpliftLearner):
    """Knows the true effects of `draw_experiment`, multiplied by ``scale``; learns nothing."""

    def __init__(self, scale: float = 1.0) -> None:
        self.scale = scale

    def _fit(self, sample) -> None: ...

    def _effect(self, X):
        likes = (X[:, 0] > 0).astype(float)
        return self.scale * np.column_stack([likes, 1 - likes])


class LowestValues:
    """Draws the lower (or upper) bound of every setting of one kind."""

    def __init__(self, kind: str, end: int) -> None:
        self.kind, self.end = kind, end

    def suggest_categorical(self, name, choices):
        return self.kind if name == "kind" else choices[self.end]

    def suggest_int(self, name, low, high, *, log):
        assert low <= high
        return (low, high)[self.end]

    suggest_float = suggest_int


@pytest.fixture(scope="module")
def people():
    """Weighted people, some of whom may not get mail."""
    test = draw_experiment(900, 3, False, seed=1)
    may = np.arange(900) % 5 > 0
    propensity = pd.DataFrame(
        {"control": 0.3, "call": np.where(may, 0.3, 0.7), "mail": np.where(may, 0.4, 0.0)}, index=test.X.index
    )
    action = np.where(~may & (test.action == "mail"), "call", test.action)
    weight = np.random.default_rng(2).uniform(0.5, 2, 900)
    return check_sample(test.X, action, test.y, propensity, sample_weight=weight)


def test_the_score_is_the_loss_that_the_best_scale_takes_away(people):
    score = SearchScore(people, NO_FACTORS, seed=3, n_folds=3)
    learner = small_learner("TLearner")
    found = list(score.by_fold(learner))

    # person by person, from the definition
    mu = cross_fitted_outcome(people, NO_FACTORS, derive_seed(3, "search"), 3)
    averages = average_effects(score_matrix(people.y, people.arm, people.propensity, mu), people.propensity)
    weighted = average_effects(
        score_matrix(people.y, people.arm, people.propensity, mu), people.propensity, weight=people.weight
    )
    assert not np.allclose(averages.shrunk, weighted.shrunk)
    product, square, total, scores = 0.0, 0.0, 0.0, []
    for k in range(3):
        effects = type(learner)(settings=learner.settings).fit_sample(
            people.take(np.flatnonzero(score.fold != k)), NO_FACTORS
        )
        rows = np.flatnonzero(score.fold == k)
        predicted = effects._effect(people.X[rows])
        for a in range(2):
            could = people.propensity[rows, a + 1] > 0
            predicted[:, a] -= np.average(predicted[could, a], weights=people.weight[rows][could])
        for i, effect in zip(rows, predicted, strict=True):
            r = people.y[i] - people.propensity[i] @ mu[i]
            d = 0.0
            for a in range(2):
                surprise = (people.arm[i] == a + 1) - people.propensity[i, a + 1]
                r -= surprise * weighted.shrunk[a]
                d += surprise * effect[a]
            product, square = product + people.weight[i] * r * d, square + people.weight[i] * d**2
            total += people.weight[i] * r**2
        losses = [total - 2 * w * product + w**2 * square for w in np.linspace(-3, 3, 60_001)]
        scores.append(np.sign(product) * (1 - min(losses) / total))
    assert_allclose([f.so_far for f in found], scores, rtol=1e-6)
    assert found[0].of_fold == found[0].so_far
    assert score.score(learner) == found[-1].so_far


def test_a_learner_without_differences_scores_nothing(people):
    assert SearchScore(people, NO_FACTORS).score(ConstantLearner()) == 0.0


def test_the_scale_of_a_prediction_does_not_count_but_its_sign_does(people):
    score = SearchScore(people, NO_FACTORS)
    right = score.score(Foresight())
    assert right > 0.1
    assert score.score(Foresight(7.0)) == pytest.approx(right)
    assert score.score(Foresight(-0.1)) == pytest.approx(-right)


def test_the_score_does_not_depend_on_the_outcomes_unit(people):
    inches, miles = (
        SearchScore(replace(people, y=people.y * unit), NO_FACTORS).score(Foresight()) for unit in (1.0, 0.01)
    )
    assert miles == pytest.approx(inches, rel=1e-3)


def test_what_is_known_beats_what_is_learnt_beats_noise(people):
    score = SearchScore(people, NO_FACTORS)
    shuffled = replace(people, y=np.random.default_rng(0).permutation(people.y))
    noise = SearchScore(shuffled, NO_FACTORS).score(small_learner("SLearner"))
    assert score.score(Foresight()) > score.score(small_learner("SLearner")) > max(noise, 0.01)


@pytest.mark.parametrize("end", [0, -1], ids=["smallest", "largest"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_ends_of_every_range_fit_predict_and_can_be_saved(kind, end):
    test = draw_experiment(400, 3, True)
    y = test.y * (1.0 + np.arange(400) % 7) * (np.arange(400) % 3 == 0)
    sample = check_sample(test.X, test.action, y)
    learner = suggest_learner(LowestValues(kind, end), [kind], len(y)).fit_sample(sample, NO_FACTORS)
    effect = learner.effect(test.X)
    assert list(effect.columns) == ["call", "mail"]
    assert np.isfinite(effect.to_numpy()).all()
    assert learner_from_state(learner.to_state()).effect(test.X).equals(effect)


@pytest.mark.parametrize("kind", KINDS)
def test_a_kinds_usual_settings_are_where_its_search_starts(kind):
    drawn = suggest_learner(FixedTrial(usual_settings(kind, 1_000_000)), [kind], 1_000_000, seed=4, control="none")
    assert str(drawn.get_params()) == str(KINDS[kind].make(4, KINDS[kind].usual, "none").get_params())
    assert (drawn.random_state, drawn.control) == (4, "none")
    # FixedTrial warns of values out of bounds, which fails the test
    few = usual_settings(kind, 900)
    suggest_learner(FixedTrial(few), [kind], 900)
    assert few[f"{kind}.min_data_in_leaf"] <= max(45, KINDS[kind].ranges["min_data_in_leaf"].low)


def test_kinds_suit_the_outcome():
    rng = np.random.default_rng(0)
    assert kinds_for(rng.integers(0, 2, 100).astype(float)) == list(GENERAL)
    assert kinds_for(np.where(rng.random(100) < 0.1, rng.random(100), 0.0)) == list(OF_REVENUE)
    assert {*GENERAL, *OF_REVENUE} == set(KINDS)


def test_a_stack_takes_drawn_learners_in():
    test = draw_experiment(1500, 3, False)
    drawn = suggest_learner(FixedTrial(usual_settings("RLearner", 1500)), list(GENERAL), 1500)
    stack = UpliftStack(0, [small_learner("SLearner"), drawn], n_folds=3).fit(test.X, test.action, test.y)
    assert list(stack.weights_) == ["SLearner", "RLearner"]
