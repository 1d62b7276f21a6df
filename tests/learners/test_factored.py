"""Effects that add up from the parts of an action."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from learner_cases import COMPONENT_TREES
from numpy.testing import assert_allclose
from scipy import optimize

from propensity.learners import FactoredBoostedLearner, FactoredLinearLearner, SLearner
from propensity.learners.basis import LinearBasis
from propensity.learners.boosting import fit_components, predict_components
from propensity.learners.components import action_components
from propensity.learners.factored import ridge_by_evidence

FACTORS = pd.DataFrame(
    [(message, channel) for message in ("news", "care", "fit") for channel in ("mail", "text", "call")],
    columns=["message", "channel"],
    index=[f"{message}-{channel}" for message in "ncf" for channel in "mtp"],
)


def program(n, seed):
    """Nine actions: the message works by taste, the channel by age, both add up; rare actions are the most."""
    rng = np.random.default_rng(seed)
    X = pd.DataFrame({"taste": rng.normal(size=n), "age": rng.normal(size=n), "noise": rng.normal(size=n)})
    labels = ["control", *FACTORS.index]
    by_message = {"news": X["taste"], "care": -X["taste"], "fit": 0.3}
    by_channel = {"mail": 0.2, "text": -X["age"], "call": X["age"]}
    effect = pd.DataFrame({a: by_message[m] + by_channel[c] for a, m, c in FACTORS.itertuples()})
    action = rng.choice(labels, n)
    gain = np.column_stack([np.zeros(n), effect])[np.arange(n), pd.Index(labels).get_indexer(action)]
    y = X["age"].to_numpy() + gain + 2 * rng.normal(size=n)
    return X, action, y, effect[sorted(effect)]


def error(learner, n=3000):
    X, action, y, _ = program(n, seed=0)
    fresh, _, _, effect = program(2000, seed=1)
    return float(((learner.fit(X, action, y, factors=FACTORS).effect(fresh) - effect) ** 2).to_numpy().mean())


@pytest.fixture(scope="module")
def errors():
    learners = (FactoredLinearLearner(), FactoredBoostedLearner(settings=COMPONENT_TREES), SLearner())
    return {type(learner).__name__: error(learner) for learner in learners}


def test_parts_are_learnt_from_all_actions_that_share_them(errors):
    # the effects' own variance is 2.0
    assert errors["FactoredLinearLearner"] < 0.25
    assert errors["FactoredBoostedLearner"] < 0.8
    assert errors["FactoredLinearLearner"] < errors["SLearner"]


def test_without_factors_each_action_is_its_own_part_and_the_error_grows(errors):
    X, action, y, _ = program(3000, seed=0)
    fresh, _, _, effect = program(2000, seed=1)
    alone = FactoredLinearLearner().fit(X, action, y).effect(fresh)
    assert errors["FactoredLinearLearner"] < ((alone - effect) ** 2).to_numpy().mean() < 1.0


def test_effects_are_the_sums_of_the_parts_of_actions():
    X, action, y, _ = program(2000, seed=2)
    effect = FactoredBoostedLearner(settings=COMPONENT_TREES).fit(X, action, y, factors=FACTORS).effect(X)
    # what another channel adds is the same under both messages
    assert_allclose(effect["n-m"] - effect["n-t"], effect["c-m"] - effect["c-t"], atol=1e-9)


def test_components_of_actions():
    codes = np.array([[-1.0, -1], [0, 0], [0, 1], [1, 1]])
    expected = [[0, 0, 0, 0, 0], [1, 1, 0, 1, 0], [1, 1, 0, 0, 1], [1, 0, 1, 0, 1]]
    assert action_components(codes, 4).tolist() == expected
    assert action_components(np.empty((3, 0)), 3).tolist() == [[0, 0, 0], [1, 1, 0], [1, 0, 1]]
    assert action_components(np.empty((2, 0)), 2).tolist() == [[0], [1]]


def test_boosted_components_minimise_the_loss_that_they_are_said_to():
    rng = np.random.default_rng(3)
    x, served = rng.integers(0, 2, (600, 1)).astype(float), rng.normal(size=(600, 2))
    residual = served @ np.array([1.0, -2.0]) * (1 + x[:, 0]) + rng.normal(size=600)
    weight = rng.uniform(0.5, 2, 600)
    settings = COMPONENT_TREES.__class__(300, 2, 0.2, 5, feature_fraction=1.0, lambda_l2=0.0)
    booster = fit_components(x, residual, served, weight=weight, categorical=[], settings=settings, seed=0)
    for value in (0.0, 1.0):
        rows = x[:, 0] == value
        root = np.sqrt(weight[rows])
        best = np.linalg.lstsq(served[rows] * root[:, None], residual[rows] * root, rcond=None)[0]
        assert_allclose(predict_components(booster, np.array([[value]]), 2)[0], best, rtol=1e-3)


def test_ridge_takes_the_penalty_of_greatest_evidence():
    rng = np.random.default_rng(4)
    design = rng.normal(size=(300, 20))
    response = design @ rng.normal(0, 0.1, 20) + rng.normal(size=300)

    def log_evidence(penalty):
        covariance = np.eye(300) + design @ design.T / penalty
        logdet = np.linalg.slogdet(covariance).logabsdet
        return -150 * np.log(response @ np.linalg.solve(covariance, response)) - logdet / 2

    best = optimize.minimize_scalar(lambda v: -log_evidence(np.exp(v)), bounds=(-5, 15), method="bounded")
    expected = np.linalg.solve(design.T @ design + np.exp(best.x) * np.eye(20), design.T @ response)
    found = ridge_by_evidence(design.T @ design, design.T @ response, response @ response, 300)
    # the penalty is one of a grid of 29
    assert_allclose(found, expected, atol=0.15 * abs(expected).max())


def test_ridge_draws_noise_to_nothing():
    rng = np.random.default_rng(5)
    design, response = rng.normal(size=(500, 30)), rng.normal(size=500)
    found = ridge_by_evidence(design.T @ design, design.T @ response, response @ response, 500)
    unpenalised = np.linalg.lstsq(design, response, rcond=None)[0]
    assert (found**2).sum() < 0.1 * (unpenalised**2).sum()


def test_basis_scales_numbers_codes_categories_and_tells_missing_apart():
    X = np.array([[1.0, 0], [2, 1], [3, np.nan], [np.nan, 1], [1000, 0]])
    basis = LinearBasis.fit(X, categorical=[1])
    columns = basis.transform(X)
    # a constant; number, square, missing; two levels, missing
    assert columns.shape == (5, 7)
    assert (columns[:, 0] == 1).all()
    assert_allclose(columns[:, 1:].mean(axis=0), 0, atol=1e-12)
    assert_allclose(columns[:, 1:].std(axis=0), 1)
    assert_allclose(basis.transform(np.array([[1e9, 7.0]])), basis.transform(np.array([[1e12, 1.0]])))
    assert (LinearBasis.from_state(basis.to_state()).transform(X) == columns).all()
