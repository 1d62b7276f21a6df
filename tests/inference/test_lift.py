"""Lift is unbiased under the logged probabilities, and its intervals hold as often as they say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from propensity.errors import InputError
from propensity.evaluation.scores import score_matrix
from propensity.inference import any_contact, arm_means, compare_arms, lift, relative_change

HALVES = {"control": 0.5, "mail": 0.5}


def constant(shares: dict[str, float], n: int) -> pd.DataFrame:
    return pd.DataFrame(np.tile(list(shares.values()), (n, 1)), columns=list(shares))


def test_equal_chances_give_the_difference_of_plain_means():
    rng = np.random.default_rng(0)
    action = rng.choice(["control", "mail", "call"], 900, p=[0.2, 0.5, 0.3])
    y = rng.exponential(size=900) * (action != "control")
    for found in lift(y, action, constant({"control": 0.2, "mail": 0.5, "call": 0.3}, 900)):
        mine, control = y[action == found.action], y[action == "control"]
        assert found.difference == pytest.approx(mine.mean() - control.mean())
        assert (found.mean, found.control_mean) == (pytest.approx(mine.mean()), pytest.approx(control.mean()))
        assert (found.n, found.n_control) == (len(mine), len(control))


@pytest.mark.real_data
@pytest.mark.parametrize(("outcome", "column"), [("reactivated", "visit"), ("revenue", "spend")])
def test_hillstrom_brings_what_the_file_says(hillstrom_frame, hillstrom_file, outcome, column):
    arms = {"Mens E-Mail": "mens_email", "Womens E-Mail": "womens_email"}
    y = pd.read_csv(hillstrom_file).groupby("segment")[column].agg(["mean", "var", "size"])
    thirds = pd.DataFrame(1 / 3, index=hillstrom_frame.index, columns=["control", *arms.values()])
    found = {x.action: x for x in lift(hillstrom_frame[outcome], hillstrom_frame["action"], thirds)}
    for segment, arm in arms.items():
        pair = y.loc[[segment, "No E-Mail"]]
        assert found[arm].mean == pytest.approx(y["mean"][segment])
        assert found[arm].difference == pytest.approx(-np.diff(pair["mean"])[0])
        assert found[arm].standard_error == pytest.approx(np.sqrt((pair["var"] / pair["size"]).sum()))
        assert found[arm].low > 0


def test_unequal_chances_leave_no_bias_and_intervals_hold_in_95_of_100():
    rng = np.random.default_rng(2)
    n, runs, truth = 1_000, 400, 0.1
    need = rng.random(n)
    # those who would come back anyway are sent more: the plain difference would be far too large
    chance = 0.1 + 0.8 * need
    chances = pd.DataFrame({"control": 1 - chance, "mail": chance})
    found, plain = [], []
    for _ in range(runs):
        sent = rng.random(n) < chance
        y = (rng.random(n) < 0.1 + 0.5 * need + truth * sent).astype(float)
        found.append(lift(y, np.where(sent, "mail", "control"), chances)[0])
        plain.append(y[sent].mean() - y[~sent].mean())
    differences = np.array([x.difference for x in found])
    assert differences.mean() == pytest.approx(truth, abs=4 * differences.std() / np.sqrt(runs))
    assert np.mean(plain) > truth + 0.1
    covered = np.mean([x.low <= truth <= x.high for x in found])
    assert covered == pytest.approx(0.95, abs=0.035)


def test_people_who_could_not_get_the_arm_do_not_count():
    rng = np.random.default_rng(3)
    action = np.where(rng.random(400) < 0.5, "mail", "control")
    y = rng.random(400)
    alone = lift(y, action, constant(HALVES, 400))
    with_others = lift(
        np.r_[y, np.full(100, 99.0)],
        np.r_[action, np.full(100, "control")],
        pd.concat([constant(HALVES, 400), constant({"control": 1.0, "mail": 0.0}, 100)]),
    )
    assert with_others == alone


@pytest.mark.parametrize("people", [0, 1])
def test_an_arm_with_fewer_than_two_people_is_left_out(people):
    action = np.array(["control"] * 10 + ["mail"] * 10 + ["call"] * people)
    shares = {"control": 0.4, "mail": 0.4, "call": 0.2}
    found = lift(np.arange(len(action)), action, constant(shares, len(action)))
    assert [x.action for x in found] == ["mail"]


def test_relative_lift_does_not_exist_where_nobody_came_back_without_contact():
    action = np.array(["control", "mail"] * 5)
    (found,) = lift((action == "mail").astype(float), action, constant(HALVES, 10))
    assert found.relative is None
    (nothing,) = lift(np.zeros(10), action, constant(HALVES, 10))
    assert (nothing.difference, nothing.p_value) == (0.0, 1.0)


def test_a_wider_level_is_a_wider_interval():
    action = np.array(["control", "mail"] * 50)
    y = np.random.default_rng(4).random(100)
    widths = [
        x.high - x.low for level in (0.8, 0.95, 0.99) for x in lift(y, action, constant(HALVES, 100), level=level)
    ]
    assert widths == sorted(widths)
    assert len(set(widths)) == 3


def unequal(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, pd.DataFrame, np.ndarray]:
    """Outcome, arm, chances that depend on the first covariate, and covariates."""
    X = rng.normal(size=(n, 2))
    chances = pd.DataFrame({"control": 0.2 + 0.3 * (X[:, 0] > 0)})
    chances["mail"] = (1 - chances["control"]) * 0.6
    chances["call"] = (1 - chances["control"]) * 0.4
    passed = rng.random((n, 1)) > chances.to_numpy().cumsum(axis=1)
    arm = np.minimum(passed.sum(axis=1), 2)
    y = 1 + X @ [0.8, -0.5] + np.array([0.0, 0.2, 0.3])[arm] * (1 + X[:, 0]) + rng.normal(size=n)
    return y, chances.columns.to_numpy()[arm], chances, X


def test_means_are_the_doubly_robust_ones_with_weighted_regressions_as_outcome_models():
    y, action, chances, X = unequal(3_000, np.random.default_rng(5))
    arm, design = chances.columns.get_indexer(action), sm.add_constant(X)
    table = chances.to_numpy()
    models = np.column_stack(
        [
            sm.WLS(y[arm == a], design[arm == a], weights=1 / table[arm == a, a]).fit().predict(design)
            for a in range(table.shape[1])
        ]
    )
    scores = score_matrix(y, arm, table, models)
    found = arm_means(y, arm, list(table.T), X)
    assert found.means == pytest.approx(scores.mean(axis=0))
    # the scores' covariance weighs by the planned shares, ours by those that came: alike for many people
    assert found.covariance == pytest.approx(np.cov(scores.T) / len(y), rel=0.05, abs=2e-5)


def test_equal_chances_give_the_coefficient_and_error_of_the_interacted_regression():
    rng = np.random.default_rng(6)
    n = 4_000
    X = rng.normal(size=(n, 2))
    X -= X.mean(axis=0)
    mailed = rng.random(n) < 0.5
    y = X @ [1.0, 0.5] + mailed * (0.3 + 0.4 * X[:, 0]) + rng.normal(size=n)
    (found,) = lift(y, np.where(mailed, "mail", "control"), constant(HALVES, n), covariates=X)
    lin = sm.OLS(y, np.column_stack([np.ones(n), mailed, X, X * mailed[:, None]])).fit(cov_type="HC2")
    assert found.difference == pytest.approx(lin.params[1])
    # Lin's error leaves out that the people are a sample: the slopes' difference times the covariates' spread
    gap = lin.params[4:] @ np.cov(X.T, ddof=0) @ lin.params[4:] / n
    assert found.standard_error**2 == pytest.approx(lin.bse[1] ** 2 + gap, rel=2e-3)


def test_a_covariate_that_explains_half_of_the_variance_narrows_the_interval_by_its_root():
    rng = np.random.default_rng(7)
    x, noise = rng.normal(size=(2, 20_000))
    mailed = rng.random(20_000) < 0.5
    experiment = x + noise, np.where(mailed, "mail", "control"), constant(HALVES, 20_000)
    (found,), (plain,) = lift(*experiment, covariates=x[:, None]), lift(*experiment)
    assert found.adjusted
    assert found.standard_error / found.unadjusted.standard_error == pytest.approx(np.sqrt(0.5), abs=0.01)
    assert found.unadjusted.value == plain.difference


def test_adjustment_keeps_95_of_100_under_unequal_chances():
    rng = np.random.default_rng(8)
    truth, held, narrower = 0.2, [], []
    for _ in range(400):
        y, action, chances, X = unequal(800, rng)
        found = lift(y, action, chances, covariates=X)[0]
        held.append(found.low <= truth <= found.high)
        narrower.append(found.standard_error / found.unadjusted.standard_error)
    assert np.mean(held) == pytest.approx(0.95, abs=0.035)
    assert np.mean(narrower) < 0.85


def test_scale_shift_order_and_needless_columns_of_covariates_change_nothing():
    rng = np.random.default_rng(9)
    y, action, chances, X = unequal(1_000, rng)
    found = lift(y, action, chances, covariates=X)
    order = rng.permutation(1_000)
    other = np.column_stack([5e3 + 100 * X[order], X[order, 0] - X[order, 1], np.full(1_000, 7.0)])
    for a, b in zip(found, lift(y[order], action[order], chances.iloc[order], covariates=other), strict=True):
        assert b.difference == pytest.approx(a.difference)
        assert b.standard_error == pytest.approx(a.standard_error, rel=5e-3)


def test_missing_covariates_count_as_the_mean_and_few_people_are_not_adjusted():
    rng = np.random.default_rng(10)
    y, action, chances, X = unequal(1_000, rng)
    gaps = np.where(rng.random(X.shape) < 0.2, np.nan, X)
    filled = np.where(np.isnan(gaps), np.nanmean(gaps, axis=0), gaps)
    assert lift(y, action, chances, covariates=gaps)[0].difference == pytest.approx(
        lift(y, action, chances, covariates=filled)[0].difference
    )
    few = lift(y[:100], action[:100], chances[:100], covariates=X[:100])
    assert not any(x.adjusted for x in few)
    assert [x.difference for x in few] == [x.unadjusted.value for x in few]


def test_tables_of_other_lengths_are_refused():
    with pytest.raises(InputError, match=r"same length, found \[10, 10, 10, 9\]"):
        lift(np.zeros(10), np.repeat("mail", 10), constant(HALVES, 10), covariates=np.zeros((9, 1)))


def test_relative_lift_holds_the_truth_where_the_control_is_rare():
    rng = np.random.default_rng(11)
    n, base, truth, held = 5_000, 0.01, 0.5, []
    for _ in range(500):
        x, x0 = rng.binomial(n, [base * (1 + truth), base])
        p, p0 = x / n, x0 / n
        found = relative_change(p, p0, np.diag([p * (1 - p) / n, p0 * (1 - p0) / n]), 2 * n)
        held.append(found.low <= truth <= found.high)
        assert found.low < found.value < found.high
    assert np.mean(held) == pytest.approx(0.95, abs=0.03)


def test_any_contact_is_the_arms_weighed_by_how_they_were_handed_out():
    rng = np.random.default_rng(12)
    action = rng.choice(["control", "mail", "call"], 3_000, p=[0.2, 0.5, 0.3])
    y = rng.random(3_000)
    labels, pair = any_contact(action, constant({"control": 0.2, "mail": 0.5, "call": 0.3}, 3_000))
    (found,) = lift(y, labels, pair)
    assert found.difference == pytest.approx(y[action != "control"].mean() - y[action == "control"].mean())
    assert (found.action, found.n) == ("any_contact", (action != "control").sum())


def test_arms_that_do_the_same_differ_in_5_of_100_and_the_best_is_not_flattered():
    rng = np.random.default_rng(13)
    shares = {"control": 0.1, "a": 0.2, "b": 0.3, "c": 0.4}
    chances, names = constant(shares, 1_000), list(shares)
    alarms, held = [], []
    for _ in range(400):
        action = rng.choice(names, 1_000, p=list(shares.values()))
        # control differs, which must not count
        found = compare_arms(rng.normal(size=1_000) + (action == "control"), action, chances)
        alarms.append(found.p_value < 0.05)
        held.append(found.difference.low <= 0)
        assert found.degrees_of_freedom == 2
    assert np.mean(alarms) == pytest.approx(0.05, abs=0.035)
    assert np.mean(held) >= 0.93


def test_two_arms_are_compared_as_one_against_the_other():
    rng = np.random.default_rng(14)
    y, action, chances, X = unequal(2_000, rng)
    found = compare_arms(y, action, chances, covariates=X)
    pair = {"mail": "control", "call": "call", "control": "nobody"}
    renamed = chances.rename(columns={"mail": "control", "control": "nobody"})
    direct = next(x for x in lift(y, [pair[a] for a in action], renamed, covariates=X) if x.action == "call")
    sign = 1 if found.best == "call" else -1
    assert sign * found.difference.value == pytest.approx(direct.difference)
    assert found.p_value == pytest.approx(direct.p_value)
    assert found.difference.low == pytest.approx(direct.low if sign == 1 else -direct.high, rel=1e-5)


def test_fewer_than_two_arms_cannot_be_compared():
    assert compare_arms(np.zeros(10), np.repeat(["mail", "control"], 5), constant(HALVES, 10)) is None
