"""Doubly robust scores: the formula, and why they may be trusted."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from propensity.evaluation import dr_scores

ACTIONS = ["control", "call", "mail"]


def table(rows, index=None):
    return pd.DataFrame(rows, columns=ACTIONS, index=index)


def test_equals_the_formula_by_hand():
    propensity = table([[0.5, 0.25, 0.25], [0.2, 0.8, 0.0]], index=["a", "b"])
    outcome = table([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], index=["a", "b"])
    scores = dr_scores([3.0, 1.0], ["mail", "control"], propensity, outcome)
    # 3 + (3 - 3) / 0.25 and 4 + (1 - 4) / 0.2
    pd.testing.assert_frame_equal(scores, table([[1.0, 2.0, 3.0], [-11.0, 5.0, 6.0]], index=["a", "b"]))


def test_columns_of_the_propensity_may_come_in_any_order():
    propensity, outcome = table([[0.5, 0.3, 0.2]]), table([[1.0, 2.0, 3.0]])
    expected = dr_scores([7.0], ["call"], propensity, outcome)
    pd.testing.assert_frame_equal(dr_scores([7.0], ["call"], propensity[ACTIONS[::-1]], outcome), expected)
    assert expected.loc[0, "call"] == pytest.approx(2 + 5 / 0.3)


def test_expectation_over_the_served_action_is_the_truth_whatever_the_model():
    chances, truth, wrong = np.array([0.7, 0.2, 0.1]), np.array([1.0, -2.0, 5.0]), [100.0, -7.0, 0.0]
    expected = sum(
        chance * dr_scores([truth[a]], [action], table([chances]), table([wrong])).to_numpy()[0]
        for a, (action, chance) in enumerate(zip(ACTIONS, chances, strict=True))
    )
    assert expected == pytest.approx(truth)


def test_where_an_action_had_no_chance_its_score_is_the_model_alone():
    scores = [
        dr_scores([5.0], [action], table([[0.5, 0.5, 0.0]]), table([[1.0, 2.0, 3.0]])).loc[0, "mail"]
        for action in ("control", "call")
    ]
    assert scores == [3.0, 3.0]


def test_mean_is_unbiased_with_a_wrong_model_and_sharper_with_a_right_one():
    rng = np.random.default_rng(0)
    n = 40_000
    x = rng.random(n)
    chances = np.column_stack([0.6 - 0.4 * x, 0.2 + 0.2 * x, 0.2 + 0.2 * x])
    arm = (rng.random(n)[:, None] > chances.cumsum(axis=1)).sum(axis=1)
    means = np.column_stack([x, 1 + x, 3 * x])
    y = means[np.arange(n), arm] + 0.1 * rng.normal(size=n)
    action = np.array(ACTIONS)[arm]
    for model, widest in ((means, 0.05), (np.tile([5.0, -5.0, 0.0], (n, 1)), 20.0)):
        scores = dr_scores(y, action, table(chances), table(model))
        error = scores.std() / np.sqrt(n)
        assert (np.abs(scores.mean() - [0.5, 1.5, 1.5]) < 4 * error + 4 * 0.9 / np.sqrt(n)).all()
        assert (error < widest / 10).all()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"propensity": table([[0.5, 0.5, 0.0]])[["control", "call"]]},
            "propensity: expected columns control, call, mail, found control, call",
        ),
        ({"action": ["sms"]}, "action: expected one of control, call, mail, found sms"),
        ({"action": ["mail"]}, "expected more than 0 for each served action, found 0"),
        ({"y": [np.nan]}, "y: expected finite numbers, found 1 missing or infinite"),
        ({"y": [1.0, 2.0]}, r"y, action, propensity and outcome: expected the same length, found \(2, 1, 1, 1\)"),
        ({"outcome": table([[0.0, np.nan, np.inf]])}, "outcome: expected finite numbers, found 2 missing or infinite"),
        ({"propensity": table([[0.5, 0.5, np.nan]])}, "propensity: expected finite numbers, found 1 missing"),
    ],
)
def test_refuses_what_cannot_be_scored(change, sentence):
    given = {"y": [1.0], "action": ["call"], "propensity": table([[0.5, 0.5, 0.0]]), "outcome": table([[0.0, 0, 0]])}
    with pytest.raises(ValueError, match=sentence):
        dr_scores(**{**given, **change})
