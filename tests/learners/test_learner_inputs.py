"""What learners refuse, and in which words."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from learner_cases import draw_experiment, small_learner

from propensity.errors import InputError
from propensity.learners.folds import stratified_folds
from propensity.learners.sample import FrameEncoder, check_sample, derive_seed, factor_codes

TEST = draw_experiment(400, 3, True)
WIDE = pd.DataFrame([TEST.propensity] * 400, index=TEST.X.index)


def changed(frame, row, column, value):
    copy = frame.copy()
    copy.iloc[row, copy.columns.get_loc(column)] = value
    return copy


def labels(old, new):
    return np.where(TEST.action == old, new, TEST.action)


def with_first(values, *first):
    copy = np.array(values, dtype=object)
    copy[: len(first)] = first
    return copy


BAD = {
    "not a frame": (
        {"X": TEST.X.to_dict()},
        "X: expected a pandas DataFrame or an array of two dimensions, found dict",
    ),
    "constant y": ({"y": np.zeros(400)}, "y: expected an outcome that differs between rows, found 0 in all of them"),
    "short weight": ({"sample_weight": [1.0]}, r"sample_weight: expected shape \(400,\) as X has rows, found \(1,\)"),
    "negative weight": ({"sample_weight": np.r_[-1.0, np.nan, np.ones(398)]}, "of at least 0, found 2 others"),
    "no weight": ({"sample_weight": np.zeros(400)}, "sample_weight: expected some rows to count, found all 0"),
    "short action": ({"action": TEST.action[:-1]}, r"action: expected shape \(400,\) as X has rows, found \(399,\)"),
    "short y": ({"y": TEST.y[:-1]}, r"y: expected shape \(400,\) as X has rows, found \(399,\)"),
    "missing y": ({"y": with_first(TEST.y, np.nan, np.inf).astype(float)}, "y: expected finite numbers, found 2 miss"),
    "missing action": ({"action": with_first(TEST.action, None, np.nan)}, "expected a label in each row, found 2 miss"),
    "no control": ({"action": labels("control", "sms")}, "some rows with the control 'control', found only call, mail"),
    "only control": ({"action": np.full(400, "control")}, "expected an action besides 'control', found none"),
    "tiny arm": ({"action": with_first(TEST.action, "sms")}, r"at least 50 rows an action, found sms \(1\)"),
    "unknown action": ({"propensity": WIDE[["control", "call"]]}, r"probability of each of control, call, mail, lacks"),
    "few rows": ({"propensity": WIDE.iloc[:-1]}, "propensity: expected 400 rows, found 399"),
    "sums": ({"propensity": changed(WIDE, 7, "mail", 0.7)}, r"1 rows do not sum to 1 \(row 7 sums to 1\.3\)"),
    "series sums": ({"propensity": TEST.propensity / 2}, "400 rows do not sum to 1"),
    "missing chance": ({"propensity": changed(WIDE, 7, "mail", np.nan)}, "expected numbers, found 1 rows with missing"),
    "negative": (
        {"propensity": changed(changed(WIDE, 7, "mail", -0.1), 7, "call", 0.8)},
        "expected at least 0, found -0.1",
    ),
    "unserved": (
        {"propensity": (WIDE * 0.9).assign(sms=0.1)},
        "sms had a chance but nobody was served it; drop it first",
    ),
    "no factors": ({"factors": pd.DataFrame({"channel": ["phone"]}, index=["call"])}, "each action, lacks mail"),
}


@pytest.mark.parametrize("name", ["SLearner", "FactoredLinearLearner", "UpliftStack"])
@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_in_one_sentence(case, name):
    change, sentence = BAD[case]
    given = {"X": TEST.X, "action": TEST.action, "y": TEST.y, **change}
    learner = small_learner(name)
    with pytest.raises(InputError, match=sentence):
        learner.fit(given.pop("X"), given.pop("action"), given.pop("y"), **given)
    assert not hasattr(learner, "actions_")


def test_an_action_served_against_probability_0_is_refused():
    propensity = WIDE.copy()
    propensity.iloc[:40] = [0.5, 0.5, 0.0]
    against = int((TEST.action[:40] == "mail").sum())
    assert against > 0
    with pytest.raises(InputError, match=f"{against} rows were served an action that had probability 0"):
        check_sample(TEST.X, TEST.action, TEST.y, propensity)


def test_a_column_of_training_must_be_there():
    learner = small_learner("SLearner").fit(TEST.X, TEST.action, TEST.y)
    with pytest.raises(InputError, match="X lacks the columns age, plan that the learner was fitted on"):
        learner.effect(TEST.X[["taste"]])


def test_nothing_is_clipped_or_rescaled():
    propensity = pd.DataFrame({"control": 1e-5, "call": 0.5, "mail": 0.5 - 1e-5}, index=TEST.X.index)
    sample = check_sample(TEST.X, TEST.action, TEST.y, propensity)
    assert sample.actions == ["control", "call", "mail"]
    assert (sample.propensity == propensity.to_numpy()).all()


def test_without_propensities_the_shares_of_the_arms_are_taken():
    sample = check_sample(TEST.X, TEST.action, TEST.y)
    assert (sample.propensity == sample.indicator.mean(axis=0)).all()


def test_another_name_for_control():
    sample = check_sample(TEST.X, labels("control", "nothing"), TEST.y, control="nothing")
    assert sample.actions == ["nothing", "call", "mail"]


def test_columns_may_be_numbered():
    X = pd.DataFrame({0: TEST.X["taste"], 1: TEST.X["plan"]})
    learner = small_learner("SLearner").fit(X, TEST.action, TEST.y)
    assert learner.encoder_.categorical == [1]
    assert np.ptp(learner.effect(X)["call"]) > 0


def test_encoder_keeps_numbers_and_codes_categories():
    X = pd.DataFrame(
        {
            "n": pd.array([1, None, 3], dtype="Int64"),
            "flag": pd.array([True, None, False], dtype="boolean"),
            "c": pd.Categorical(["b", "a", None], categories=["b", "a"]),
            "s": ["x", None, "w"],
        }
    )
    encoder = FrameEncoder.fit(X)
    assert encoder.categorical == [2, 3]
    expected = [[1, 1, 0, 1], [np.nan, np.nan, 1, np.nan], [3, 0, np.nan, 0]]
    np.testing.assert_array_equal(encoder.transform(X), expected)
    assert FrameEncoder.from_state(encoder.to_state()) == encoder


def test_factor_codes_keep_what_tells_actions_apart():
    factors = pd.DataFrame(
        {"channel": ["phone", "post", "post"], "label": ["a", "b", "c"], "same": ["x", "x", "x"]},
        index=["a", "b", "c"],
    )
    np.testing.assert_array_equal(factor_codes(factors, ["control", "a", "b", "c"]), [[-1], [0], [1], [1]])
    assert factor_codes(None, ["control", "a"]).shape == (2, 0)


def test_folds_deal_each_arm_and_outcome_out_evenly():
    rng = np.random.default_rng(0)
    arm, y = rng.choice(3, 997, p=[0.7, 0.25, 0.05]), (rng.random(997) < 0.1).astype(float)
    fold = stratified_folds(arm, y, 5, seed=1)
    counts = pd.crosstab([arm, y], fold)
    assert (counts.max(axis=1) - counts.min(axis=1) <= 1).all()
    assert np.ptp(np.bincount(fold)) <= 1
    assert (fold == stratified_folds(arm, y, 5, seed=1)).all()
    assert (fold != stratified_folds(arm, y, 5, seed=2)).any()


def test_parts_of_a_fit_draw_from_seeds_of_their_own():
    seeds = {derive_seed(r, *parts) for r in (0, 1) for parts in [("a",), ("b",), ("a", 1), ("a", "1", "")]}
    assert len(seeds) == 8
    assert derive_seed(0, "a") == derive_seed(0, "a")
