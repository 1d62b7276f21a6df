"""Each check of the gate passes what it should, at the rate that it says, and says why it does not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from propensity.assessment import slope_estimate
from propensity.evaluation import Estimate, better_fit, dr_scores, mean_estimate, policy_value
from propensity.learners.recency import Recency
from propensity_training.comparison import WORSE_LEVEL, Comparison
from propensity_training.gate import (
    check_challenger,
    check_own_gate,
    check_sample_ratio,
    check_slope,
    check_unsubscribed,
    check_value,
)


def estimate(value, half):
    return Estimate(value, half / 1.96, value - half, value + half, 1_000, 0.95)


def comparison(gain=(0, 1), n_different=10, unsubscribed=(0, 1)):
    opt_outs = None if unsubscribed is None else estimate(*unsubscribed)
    return Comparison(1_000, n_different, {"expected_value": estimate(*gain)}, {}, {}, opt_outs)


@pytest.mark.parametrize(
    ("gain", "margin", "passed", "said"),
    [
        ((5, 4), 0, True, "shown to be worth more"),
        ((5, 5), 0, True, "shown to be worth more"),
        ((5, 6), 0, False, "cannot be ruled out that the challenger is worse, on the 10 of 1,000"),
        ((5, 6), 1, True, "not worse by more than the margin of USD 1.00"),
        ((-5, 6), 10.9, False, "cannot be ruled out that the challenger is worse by more than USD 10.90"),
        ((-5, 6), 11, True, "not worse by more than the margin"),
        ((-5, 4), 0, False, "shown to be worth less"),
        ((-5, 4), 20, True, "not worse by more than the margin"),
    ],
)
def test_the_lower_bound_decides_on_the_value(gain, margin, passed, said):
    found = check_value(comparison(gain), margin, "USD")
    assert found.passed == passed
    assert said in found.sentence


def test_the_same_decisions_for_everybody_are_let_through():
    found = check_value(comparison((0, 0), n_different=0), 0, "USD")
    assert found.passed
    assert found.sentence == "The two decide the same for all 1,000."


@pytest.mark.parametrize(
    ("slope", "half", "passed", "said"),
    [
        (1, 0.1, True, "within chance"),
        (0.9, 0.1, True, "within chance"),
        (0.8, 0.1, False, "claims too much"),
        (1.2, 0.1, False, "claims too little"),
        (-1, 3, True, "within chance"),
    ],
)
def test_a_slope_passes_where_its_interval_holds_one(slope, half, passed, said):
    found = check_slope("effect calibration", "effects", estimate(slope, half))
    assert (found.passed, said in found.sentence) == (passed, True)
    assert check_slope("x", "effects", None).passed


def test_a_right_model_is_refused_in_one_case_of_a_hundred_and_an_overconfident_one_in_most():
    """Outcomes of very different noise, as doubly robust scores have."""
    rng = np.random.default_rng(0)
    refused = {1.0: 0, 2.0: 0}
    for _ in range(1_000):
        truth = rng.normal(0.1, 0.05, 400)
        observed = truth + rng.normal(0, 1, 400) * (0.02 + 4 * (truth - 0.1) ** 2)
        for claimed in refused:
            predicted = 0.1 + claimed * (truth - 0.1)
            refused[claimed] += not check_slope("x", "x", slope_estimate(predicted, observed)).passed
    assert 2 <= refused[1.0] <= 25
    assert refused[2.0] > 900


def frame(n_control, n_email):
    actions = ["control"] * n_control + ["email"] * n_email
    return pd.DataFrame({"action": actions, "probability": 0.5})


def test_arms_of_the_wrong_size_are_refused():
    assert check_sample_ratio(frame(500, 505)).passed
    found = check_sample_ratio(frame(400, 600))
    assert not found.passed
    assert "no figure from these data can be trusted" in found.sentence


@pytest.mark.parametrize(
    ("more", "passed"), [((1, 2), True), ((-5, 2), True), ((3, 2), False), ((0, 0), True), (None, True)]
)
def test_more_unsubscribes_beyond_chance_are_refused(more, passed):
    assert check_unsubscribed(comparison(unsubscribed=more)).passed == passed


@pytest.mark.parametrize(
    ("n_different", "said"), [(10, "One of the two contacts nobody;"), (0, "Both contact nobody;")]
)
def test_who_contacts_nobody_is_said(n_different, said):
    found = check_unsubscribed(comparison(n_different=n_different, unsubscribed=None))
    assert found.sentence.startswith(said)


@pytest.mark.parametrize(("granted", "passed"), [("nobody", False), ("one_action", True), ("per_person", True)])
def test_a_first_champion_needs_its_own_gate(trained, granted, passed):
    assessment = replace(trained.assessment, gate=replace(trained.assessment.gate, granted=granted))
    assert check_own_gate(assessment).passed == passed


def test_effects_are_checked_only_where_decisions_hang_on_them(trained):
    names = {}
    for mode in ("one_action", "per_person"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(trained.model, "mode", mode)
            checks = check_challenger(
                trained.model, trained.assessment, comparison(), trained.split.held_out, margin_currency=0
            )
        names[mode] = [check.name for check in checks]
    assert names["one_action"] == ["value", "propensity calibration", "sample ratio", "unsubscribes"]
    assert names["per_person"] == [*names["one_action"][:2], "effect calibration", *names["one_action"][2:]]


def test_with_no_difference_a_margin_of_nothing_refuses_nearly_always_and_a_wide_one_hardly_ever():
    """The size of the test: of equal models 2.5 % are called better; a margin of 3 standard errors passes most."""
    rng = np.random.default_rng(1)
    passed = {0.0: 0, 3.0: 0}
    for _ in range(2_000):
        gain = mean_estimate(rng.normal(0, 1, 400))
        found = Comparison(400, 10, {"expected_value": gain}, {}, {})
        for margin in passed:
            passed[margin] += check_value(found, margin * gain.standard_error, "USD").passed
    assert passed[0.0] / 2_000 == pytest.approx(0.025, abs=0.011)
    assert passed[3.0] / 2_000 == pytest.approx(0.85, abs=0.03)


def test_a_model_that_learnt_from_more_passes_unless_it_is_shown_to_be_worse():
    farther, unclear = Estimate(-1, 0.5, -1.7, -0.3, 1_000, 0.8), Estimate(-0.1, 1, -1.4, 1.2, 1_000, 0.8)
    undecided, worse = comparison((-5, 6)), comparison((-5, 4))
    passes = check_value(replace(undecided, better_fit=unclear), 0, "USD", retrained=True)
    assert passes.passed
    assert "the challenger learnt from more decisions" in passes.sentence
    assert not check_value(replace(undecided, better_fit=unclear), 0, "USD").passed
    assert not check_value(replace(undecided, better_fit=farther), 0, "USD", retrained=True).passed
    assert not check_value(replace(worse, better_fit=unclear), 0, "USD", retrained=True).passed


def after_a_change(rng, half_life):
    """The gate's check of the value, three months after the champion's action stopped working and another began to.

    Held-out people are those of eight months before the change too, decided on by the champion all the time.
    """
    n, actions = 800 * 11, ["control", "old", "new"]
    month = np.arange(n) // 800
    logged = pd.DataFrame(np.tile([0.1, 0.875, 0.025], (n, 1)), columns=actions)
    arm = (rng.random(n)[:, None] > logged.to_numpy().cumsum(axis=1)[:, :-1]).sum(axis=1)
    works = np.where(month < 8, arm == 1, arm == 2)
    y, served = (rng.random(n) < 0.03 + 0.04 * works).astype(float), np.array(actions, dtype=object)[arm]
    effects = [pd.DataFrame({"old": old, "new": 0.04 - old}, index=range(n)) for old in (0.0, 0.04)]
    expected = pd.DataFrame({"control": 0.03, "old": 0.05, "new": 0.05}, index=range(n))
    variance = expected * (1 - expected) / logged
    weight = Recency(half_life, None).weights((10 - month) * 30.0)
    new, old = (np.full(n, action, dtype=object) for action in ("new", "old"))
    gain = policy_value(dr_scores(y, served, logged, expected), new, old, weight=weight, variance=variance)
    fits = better_fit(y, pd.Series(served), logged, expected, effects, WORSE_LEVEL, weight)
    found = Comparison(n, n, {"expected_value": gain}, {}, {}, None, fits)
    return check_value(found, 0.0, "EUR", retrained=True).passed


def test_where_decisions_count_by_their_age_a_model_that_knows_of_a_change_passes_soon():
    rng = np.random.default_rng(6)
    passed = {half_life: np.mean([after_a_change(rng, half_life) for _ in range(100)]) for half_life in (None, 60.0)}
    assert passed[None] < 0.5
    assert passed[60.0] > 0.85


@pytest.mark.parametrize(("champion", "passed"), [("one_action", True), ("per_person", False)])
def test_having_learnt_from_more_counts_for_nothing_where_less_was_granted(trained, champion, passed):
    """What was not confirmed must not take the place of what was."""
    undecided = comparison((-5, 6))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trained.model, "mode", "one_action")
        checks = check_challenger(
            trained.model,
            trained.assessment,
            undecided,
            trained.split.held_out,
            margin_currency=0,
            champion_mode=champion,
            retrained=True,
        )
    assert checks[0].passed is passed
    assert ("must be shown to be worth more" in checks[0].sentence) is not passed
