"""The e-mail experiment of 64,000 customers: visits differ between people, purchases do not show it."""

from __future__ import annotations

import numpy as np
import pytest

from propensity.features import FeatureBuilder
from propensity.frame import logged_propensity
from propensity.learners import DRLearner, SLearner, UpliftStack
from propensity.learners.explanation import EffectExplainer

pytestmark = [pytest.mark.real_data, pytest.mark.slow]
ACTIONS = ["control", "mens_email", "womens_email"]
EMAILS = ACTIONS[1:]


@pytest.fixture(scope="module")
def fitted(hillstrom, hillstrom_frame):
    """Stacks of the default trees for visits and for purchases; fewer folds than the default, to save time."""
    X = FeatureBuilder.fit(hillstrom_frame, hillstrom.playbook).transform(
        hillstrom_frame, hillstrom_frame["decided_at"]
    )
    outcomes = {"visit": hillstrom_frame["reactivated"], "conversion": (hillstrom_frame["revenue"] > 0).astype(float)}
    propensity = logged_propensity(hillstrom_frame, ACTIONS)

    def fit(y):
        stack = UpliftStack(learners=[SLearner(), DRLearner(n_folds=2)], n_folds=3)
        return stack.fit(X, hillstrom_frame["action"], y, propensity=propensity)

    return {name: (fit(y), y) for name, y in outcomes.items()}


def test_effects_on_visits_differ_between_people(fitted):
    found = fitted["visit"][0].heterogeneity_
    assert found.supported
    assert found.t_statistic > 5


def test_effects_on_purchases_cannot_be_told_apart_so_everybody_gets_the_average(fitted):
    stack, _ = fitted["conversion"]
    assert not stack.heterogeneity_.supported
    assert set(stack.weights_.values()) == {0.0}
    assert stack.averages_.shrunk.argmax() == EMAILS.index("mens_email")


@pytest.mark.parametrize("outcome", ["visit", "conversion"])
def test_average_effects_are_the_differences_of_the_arms_means(fitted, hillstrom_frame, outcome):
    stack, y = fitted[outcome]
    means = y.groupby(hillstrom_frame["action"]).mean()
    raw = np.array([means[a] - means["control"] for a in EMAILS])
    assert (np.abs(stack.averages_.measured - raw) < 2 * stack.averages_.standard_error).all()
    assert (np.abs(stack.averages_.measured / stack.averages_.standard_error) > 3).all()


def test_effects_on_visits_rest_on_what_people_bought(fitted, hillstrom_frame):
    stack, _ = fitted["visit"]
    X = stack.encoder_.transform(
        hillstrom_frame.assign(is_new=hillstrom_frame["is_new"].astype(float))[list(stack.encoder_.columns)]
    )
    explainer = EffectExplainer().fit(X, stack._effect, EMAILS, stack.encoder_)
    assert min(explainer.fidelity_.values()) > 0.9
    first = explainer.importance().groupby("action", sort=False)["feature"].first()
    assert first["womens_email"] in {"bought_womens", "bought_mens"}
    bought, womens = stack.encoder_.columns.index("bought_womens"), np.full(len(X), "womens_email")
    told = explainer.reasons(X[:500], stack._effect(X[:500]), womens[:500])
    buyers = X[:500, bought] == 1
    assert not any("less_because:bought_womens=1" in codes for codes in told)
    assert sum("more_because:bought_womens=1" in told[i] for i in np.flatnonzero(buyers)) > 0.5 * buyers.sum()
