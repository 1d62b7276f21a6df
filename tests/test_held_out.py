"""People whom a model has not seen: what their scores vary by."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from propensity.held_out import outcome_scores, score_variances


@pytest.mark.parametrize("revenue_effect", ["through_reactivation", "direct"])
def test_scores_vary_by_what_is_expected_where_predictions_are_right(small_playbook, revenue_effect):
    """Returns and opt-outs are drawn from what is predicted of each person, who then brings in the amount predicted."""
    value = small_playbook.value.model_copy(update={"revenue_effect": revenue_effect, "margin_share": 0.4})
    book = small_playbook.model_copy(update={"value": value})
    rng = np.random.default_rng(5)
    n, actions = 400_000, ["control", *list(book.actions)[:2]]
    chances = pd.DataFrame(rng.dirichlet([4.0, 2.0, 1.0], n) * 0.85 + 0.05, columns=actions)
    x = rng.random(n)
    back, amount = 0.05 + 0.1 * np.outer(x, [0.5, 1.0, 2.0]), 60 + 40 * np.outer(x, [1.0, 1.0, 0.5])
    leaves = np.tile([0.01, 0.02, 0.05], (n, 1))
    arm = (rng.random(n)[:, None] > chances.to_numpy().cumsum(axis=1)[:, :-1]).sum(axis=1)
    rows = np.arange(n)
    returned = (rng.random(n) < back[rows, arm]).astype(float)
    frame = pd.DataFrame(
        {
            "action": np.array(actions, dtype=object)[arm],
            "reactivated": returned,
            "revenue": returned * amount[rows, arm],
            "unsubscribed": (rng.random(n) < leaves[rows, arm]).astype(float),
        }
    )
    parts = {"reactivated": back, "revenue": back * amount, "unsubscribed": leaves, "amount": amount}
    expected = {name: pd.DataFrame(values, columns=actions) for name, values in parts.items()}
    scores, variances = outcome_scores(frame, chances, expected, book), score_variances(chances, expected, book)
    assert set(variances) == set(scores)
    # a score's mean, where predictions are right, is what it would be without any noise
    without_noise = outcome_scores(
        frame.assign(
            **{name: expected[name].to_numpy()[rows, arm] for name in ("reactivated", "revenue", "unsubscribed")}
        ),
        chances,
        expected,
        book,
    )
    for name, table in scores.items():
        found = ((table - without_noise[name]) ** 2).mean()
        assert found.to_numpy() == pytest.approx(variances[name].mean().to_numpy(), rel=0.06), name


def test_what_had_no_chance_has_no_variance(small_playbook):
    actions = ["control", *list(small_playbook.actions)[:1]]
    chances = pd.DataFrame([[1.0, 0.0], [0.5, 0.5]], columns=actions)
    some = pd.DataFrame(0.1, index=range(2), columns=actions)
    expected = {"reactivated": some, "revenue": some, "unsubscribed": some, "amount": some * 100}
    variances = score_variances(chances, expected, small_playbook)
    assert variances["reactivations"].to_numpy() == pytest.approx(np.array([[0.09, 0.0], [0.18, 0.18]]))
    assert np.isfinite(np.concatenate([table.to_numpy() for table in variances.values()])).all()
