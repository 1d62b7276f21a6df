"""Effects by segment: estimates, tests against the rest, and what is declared where nothing differs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from propensity.evaluation import mean_estimate, segment_effects

RNG = np.random.default_rng(0)
N = 3000
SEGMENTS = pd.DataFrame(
    {
        "region": RNG.choice(["south", "north", "west"], N, p=[0.5, 0.3, 0.2]),
        "tenure": np.where(RNG.random(N) < 0.1, np.nan, RNG.gamma(2.0, 300, N)),
        "plan": pd.Categorical.from_codes(RNG.integers(0, 3, N), ["small", "middle", "large"], ordered=True),
        "visits": RNG.integers(0, 3, N),
        "online": RNG.random(N) < 0.5,
    }
)
GAIN = RNG.exponential(size=N) + (SEGMENTS["region"] == "north")


def row(table, segment, level):
    return table[(table["segment"] == segment) & (table["level"] == level)].iloc[0]


def test_each_level_has_the_mean_of_its_people_and_welchs_test_against_the_rest():
    table = segment_effects(GAIN, SEGMENTS)
    for segment in ("region", "plan", "visits", "online"):
        for level in SEGMENTS[segment].unique():
            found, inside = row(table, segment, str(level)), (SEGMENTS[segment] == level).to_numpy()
            expected = mean_estimate(GAIN[inside])
            assert (found["n"], found["share"]) == (inside.sum(), pytest.approx(inside.mean()))
            assert found["effect"] == pytest.approx(expected.value)
            assert found["standard_error"] == pytest.approx(expected.standard_error)
            half = stats.t.ppf(0.975, inside.sum() - 1) * expected.standard_error
            assert (found["low"], found["high"]) == pytest.approx((expected.value - half, expected.value + half))
            test = stats.ttest_ind(GAIN[inside], GAIN[~inside], equal_var=False)
            assert found["difference"] == pytest.approx(GAIN[inside].mean() - GAIN[~inside].mean())
            assert found["p_value"] == pytest.approx(test.pvalue)


def test_levels_stand_in_order_numbers_in_quintiles_and_missing_last():
    table = segment_effects(GAIN, SEGMENTS)
    levels = {name: rows["level"].tolist() for name, rows in table.groupby("segment", sort=False)}
    assert list(levels) == list(SEGMENTS)
    assert levels["region"] == ["north", "south", "west"]
    assert levels["plan"] == ["small", "middle", "large"]
    assert levels["visits"] == ["0", "1", "2"]
    assert levels["online"] == ["False", "True"]
    assert len(levels["tenure"]) == 6
    assert levels["tenure"][-1] == "missing"
    tenure = table[table["segment"] == "tenure"]
    assert tenure["n"].sum() == N
    assert np.ptp(tenure["n"][:-1]) <= 1
    assert tenure["n"].iloc[-1] == SEGMENTS["tenure"].isna().sum()
    lows = [float(level.split(" to ")[0]) for level in levels["tenure"][:-1]]
    assert lows == sorted(lows)


@pytest.mark.parametrize(("correction", "method"), [("holm", "holm"), ("benjamini-hochberg", "fdr_bh")])
def test_correction_equals_that_of_statsmodels(correction, method):
    table = segment_effects(GAIN, SEGMENTS, correction=correction)
    expected = multipletests(table["p_value"], method=method)[1]
    assert table["p_adjusted"].tolist() == pytest.approx(expected.tolist())
    assert (table["p_adjusted"] >= table["p_value"]).all()


def test_finds_the_segment_that_differs():
    table = segment_effects(GAIN, SEGMENTS)
    declared = table[table["p_adjusted"] < 0.001]
    assert row(table, "region", "north")["p_adjusted"] < 1e-10
    assert set(declared["segment"]) == {"region"}


def test_small_levels_are_listed_and_not_tested():
    few = pd.DataFrame({"group": np.r_[np.zeros(40), np.ones(N - 40)], "all": "same"})
    table = segment_effects(GAIN, few, minimum=50)
    small, large, same = (row(table, *key) for key in (("group", "0"), ("group", "1"), ("all", "same")))
    assert small["n"] == 40
    assert np.isnan([small["effect"], small["low"], small["p_value"], small["p_adjusted"]]).all()
    # outside the large level are too few as well
    assert large["effect"] == pytest.approx(GAIN[40:].mean())
    assert np.isnan([large["difference"], large["p_value"]]).all()
    assert same["effect"] == pytest.approx(GAIN.mean())
    assert np.isnan([same["difference"], same["p_value"]]).all()
    assert row(segment_effects(GAIN, few, minimum=40), "group", "0")["effect"] == pytest.approx(GAIN[:40].mean())


def test_several_actions_share_one_correction():
    gains = pd.DataFrame({"mail": GAIN, "call": GAIN[::-1].to_numpy()})
    table = segment_effects(gains, SEGMENTS[["region"]])
    assert table["action"].tolist() == ["mail"] * 3 + ["call"] * 3
    alone = segment_effects(GAIN, SEGMENTS[["region"]])
    mail = table[table["action"] == "mail"].drop(columns="action")
    assert np.allclose(mail.drop(columns=["segment", "level", "p_adjusted"]), alone.iloc[:, 2:-1])
    assert table["p_adjusted"].tolist() == pytest.approx(multipletests(table["p_value"], method="holm")[1].tolist())


def test_weights_count_as_so_many_equal_people_and_rows_may_come_in_any_order():
    rng = np.random.default_rng(1)
    times, order = rng.integers(0, 4, N), rng.permutation(N)
    weighted = segment_effects(GAIN, SEGMENTS, weight=times)
    repeated = segment_effects(np.repeat(GAIN, times), SEGMENTS.loc[np.repeat(SEGMENTS.index, times)])
    columns = ["share", "effect", "difference"]
    assert np.allclose(weighted[columns], repeated[columns])
    assert (weighted["standard_error"] > repeated["standard_error"]).all()
    shuffled = segment_effects(GAIN.to_numpy()[order], SEGMENTS.iloc[order], weight=times[order])
    pd.testing.assert_frame_equal(shuffled, weighted)


def test_where_nothing_differs_any_difference_is_declared_in_at_most_the_stated_share():
    rng = np.random.default_rng(2)
    holm, false_discovery = [], []
    for _ in range(300):
        segments = pd.DataFrame({"a": rng.integers(0, 4, 1500), "b": rng.normal(size=1500), "c": rng.random(1500)})
        # as doubly robust scores of a rare outcome: skewed, with heavy weights
        gain = (rng.random(1500) < 0.05) * rng.choice([2.0, -2.0], 1500, p=[0.6, 0.4])
        table = segment_effects(gain, segments)
        holm.append((table["p_adjusted"] < 0.05).any())
        false_discovery.append((stats.false_discovery_control(table["p_value"]) < 0.05).any())
    assert 0.02 <= np.mean(holm) <= 0.08
    assert 0.02 <= np.mean(false_discovery) <= 0.08


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"segments": SEGMENTS[:5]}, "gain and segments: expected the same length, found 3000 and 5"),
        ({"gain": np.where(GAIN > 4, np.nan, GAIN)}, "gain: expected finite numbers"),
        ({"gain": pd.DataFrame({"call": [np.nan] * N})}, "gain: expected finite numbers, found 3,000"),
        ({"correction": "none"}, "correction: expected holm or benjamini-hochberg, found none"),
        ({"segments": SEGMENTS[[]]}, "segments: expected at least one column, found none"),
        ({"weight": -np.ones(N)}, "weight: expected finite numbers from 0 up, found 3,000 others"),
    ],
)
def test_refuses_what_cannot_be_compared(change, sentence):
    with pytest.raises(ValueError, match=sentence):
        segment_effects(**{"gain": GAIN, "segments": SEGMENTS, **change})
