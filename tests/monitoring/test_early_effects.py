"""Early effects: unbiased whoever decided, of the right size, and silent where nothing is wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from propensity.contract import CONTROL
from propensity.evaluation import Estimate
from propensity.monitoring.early import (
    OWN_CHOICE,
    Early,
    EarlyEffect,
    came_back_early,
    early_effects,
    early_warning,
)

ACTIONS = [CONTROL, "a", "b"]


@dataclass
class Predicted:
    reactivated: pd.DataFrame
    net_value: pd.DataFrame


@dataclass
class People:
    """What of `HeldOutPeople` is read."""

    frame: pd.DataFrame
    propensity: pd.DataFrame
    predictions: Predicted
    allowed: pd.DataFrame


def drawn(seed: int, n: int = 6_000, wrong: float = 0.0) -> tuple[People, np.ndarray]:
    """People of whom those who come back more often get ``a`` more often; of ``b`` the model is wrong by so much."""
    rng = np.random.default_rng(seed)
    x = rng.random(n)
    likely = np.where(x[:, None] > 0.5, [0.2, 0.7, 0.1], [0.3, 0.1, 0.6])
    arm = (rng.random(n)[:, None] > likely.cumsum(axis=1)).sum(axis=1)
    truth = 0.05 + 0.1 * x[:, None] + np.array([0.0, 0.08, 0.04])
    early = (rng.random(n) < truth[np.arange(n), arm]).astype(float)
    # only half of what is expected is early
    expected = pd.DataFrame(2 * (truth + np.array([0.0, 0.0, wrong])), columns=ACTIONS)
    gain = expected[["a", "b"]].sub(expected[CONTROL], axis=0)
    people = People(
        pd.DataFrame({"action": np.array(ACTIONS)[arm]}),
        pd.DataFrame(likely, columns=ACTIONS),
        Predicted(expected, gain),
        gain > -1,
    )
    return people, early


def test_what_the_model_is_wrong_by_is_found_whoever_decided():
    people, early = drawn(0, 60_000, wrong=0.05)
    found = early_effects(people, early, 0.5)
    assert set(found) == {OWN_CHOICE, "a", "b"}
    for arm, predicted, wrong in (("a", 0.08, 0.0), ("b", 0.09, 0.05)):
        assert found[arm].predicted == pytest.approx(predicted)
        error = found[arm].difference.standard_error
        assert found[arm].difference.value == pytest.approx(-wrong, abs=4 * error)
        assert error < 0.01


def test_errors_are_as_large_as_they_are_said_to_be():
    found = [early_effects(*drawn(seed, 1_500), 0.5)["a"].difference for seed in range(150)]
    z = np.array([f.value / f.standard_error for f in found])
    assert abs(z.mean()) < 4 / np.sqrt(len(z))
    assert 0.85 < z.std() < 1.15


def test_nobody_coming_back_is_no_certainty():
    people, early = drawn(0, 1_500)
    found = early_effects(people, early * 0, 0.5)["a"]
    assert found.difference.standard_error > 0.005


def test_few_people_tell_nothing():
    people, early = drawn(0, 120)
    assert "b" not in early_effects(people, early, 0.5)
    check = early_warning("", Early(0.5, {"b": effect(0.1, 0.0, 0.01)}), {})
    assert check.status == "not enough data"
    assert "the time held too few people" in check.findings[0].sentence


def effect(predicted: float, off: float, error: float) -> EarlyEffect:
    return EarlyEffect(predicted, Estimate(off, error, off - 2 * error, off + 2 * error, 1_000, 0.95))


@pytest.mark.parametrize(
    ("then", "now", "alarm"),
    [
        (0.0, 0.0, False),
        (0.0, -0.12, True),
        (0.0, -0.04, False),  # too small to matter
        (-0.04, -0.09, False),  # it was known
        (-0.12, -0.12, True),  # what was known excuses half of what was predicted, not all
        (0.0, 0.12, True),
    ],
)
def test_an_alarm_is_beyond_chance_beyond_what_was_known_and_large(then, now, alarm):
    reference = Early(0.5, {"a": effect(0.1, then, 0.005)})
    check = early_warning("", reference, {"a": effect(0.1, now, 0.005)})
    assert (check.status == "alarm") == alarm
    noisy = early_warning("", reference, {"a": effect(0.1, now, 0.2)})
    assert noisy.status == "ok"


def test_a_return_is_early_within_thirty_days_of_its_decision():
    at = pd.Timestamp("2026-03-01T00:00Z").as_unit("us")
    decisions = pd.DataFrame({"decision_id": ["c", "a", "b"], "customer_id": ["z", "x", "y"], "decided_at": [at] * 3})
    days = pd.to_timedelta([29, 31, 3], unit="D")
    events = pd.DataFrame(
        {"customer_id": ["x", "y", "z"], "at": at + days, "type": ["purchased", "reactivated", "opened"], "amount": 1.0}
    )
    assert came_back_early(decisions, events).tolist() == [0, 1, 0]


def test_it_is_kept_with_the_model(trained):
    early = trained.model.reference.early
    assert Early.from_state(early.to_state()) == early
    assert 0 < early.share <= 1
    assert OWN_CHOICE in early.effects
