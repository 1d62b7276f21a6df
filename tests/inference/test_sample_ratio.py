"""The sample-ratio test has the size that it says, and the power that it is for."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from propensity.errors import InputError
from propensity.inference import sample_ratio_by_segment, sample_ratio_test

ACTIONS = ["control", "a", "b"]


def constant(shares, n: int) -> pd.DataFrame:
    return pd.DataFrame(np.tile(shares, (n, 1)), columns=ACTIONS[: len(shares)])


def draw(chances: pd.DataFrame, rng: np.random.Generator) -> np.ndarray:
    passed = rng.random((len(chances), 1)) > chances.to_numpy().cumsum(axis=1)
    return chances.columns.to_numpy()[np.minimum(passed.sum(axis=1), chances.shape[1] - 1)]


@pytest.mark.real_data
def test_the_hillstrom_split_is_healthy(hillstrom_frame, hillstrom_file):
    thirds = pd.DataFrame(1 / 3, index=hillstrom_frame.index, columns=["control", "mens_email", "womens_email"])
    found = sample_ratio_test(hillstrom_frame["action"], thirds)
    segments = pd.read_csv(hillstrom_file)["segment"].value_counts()
    names = {"control": "No E-Mail", "mens_email": "Mens E-Mail", "womens_email": "Womens E-Mail"}
    assert found.observed == {arm: segments[segment] for arm, segment in names.items()}
    assert found.p_value == pytest.approx(stats.chisquare(segments).pvalue)
    assert found.healthy


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.1, 0.9), (0.2, 0.3, 0.5)])
def test_equal_chances_for_everybody_give_pearsons_chi_square(shares):
    rng = np.random.default_rng(0)
    chances = constant(shares, 1_000)
    action = draw(chances, rng)
    found = sample_ratio_test(action, chances)
    counts = [(action == a).sum() for a in chances.columns]
    pearson = stats.chisquare(counts, np.array(shares) * 1_000)
    assert found.statistic == pytest.approx(pearson.statistic)
    assert found.p_value == pytest.approx(pearson.pvalue)
    assert found.degrees_of_freedom == len(shares) - 1


def test_chances_that_differ_between_people_give_the_right_error_rate():
    rng = np.random.default_rng(1)
    chances = pd.DataFrame(rng.dirichlet([1, 2, 0.5], 800), columns=ACTIONS)
    p_values = np.array([sample_ratio_test(draw(chances, rng), chances).p_value for _ in range(1_000)])
    for level in (0.05, 0.2, 0.5):
        assert (p_values <= level).mean() == pytest.approx(level, abs=4 * np.sqrt(level * (1 - level) / 1_000))


def test_one_chi_square_for_all_would_be_wrong_where_chances_differ():
    # half of the people have no choice at all: their certain arms must not water the test down
    certain, open_ = constant((1.0, 0.0), 5_000), constant((0.5, 0.5), 1_000)
    action = np.array(["control"] * 5_000 + ["control"] * 580 + ["a"] * 420)
    found = sample_ratio_test(action, pd.concat([certain, open_]))
    assert found.p_value == pytest.approx(stats.chisquare([580, 420]).pvalue)
    assert not found.healthy


def test_an_imbalance_of_two_in_a_hundred_is_seen_among_100000_people():
    n = 100_000
    action = np.where(np.arange(n) < 0.51 * n, "control", "a")
    assert not sample_ratio_test(action, constant((0.5, 0.5), n)).healthy


def test_nobody_had_a_choice_so_nothing_can_be_wrong():
    found = sample_ratio_test(["control"] * 10, constant((1.0, 0.0), 10))
    assert (found.p_value, found.degrees_of_freedom, found.healthy) == (1.0, 0, True)


def test_an_action_that_nobody_could_get_is_unhealthy():
    found = sample_ratio_test(["control"] * 50 + ["a"] * 45 + ["b"] * 5, constant((0.5, 0.5, 0.0), 100))
    assert not found.healthy


def test_an_unknown_label_is_named():
    with pytest.raises(ValueError, match=r"found .*typo"):
        sample_ratio_test(["control", "typo"], constant((0.5, 0.5), 2))


def test_a_segment_that_went_wrong_is_first_and_allows_for_the_others():
    rng = np.random.default_rng(7)
    chances = constant((0.5, 0.5), 6_000)
    action = draw(chances, rng)
    country = rng.choice(["at", "ch", "de"], 6_000)
    lost = (country == "ch") & (action == "a") & (rng.random(6_000) < 0.3)
    kept = ~lost
    segments = pd.DataFrame({"country": country, "all": "yes"})[kept].reset_index(drop=True)
    found = sample_ratio_by_segment(action[kept], chances[kept].reset_index(drop=True), segments)
    assert (found[0].segment, found[0].value) == ("country", "ch")
    assert found[0].p_adjusted == pytest.approx(4 * found[0].p_value)
    alone = sample_ratio_test(action[kept & (country == "ch")], chances[kept & (country == "ch")])
    assert found[0].p_value == alone.p_value
    assert {x.value for x in found} == {"at", "ch", "de", "yes"}


def test_small_segments_are_not_tested_unless_somebody_got_what_they_could_not():
    chances = constant((0.5, 0.5), 12)
    action, segments = np.repeat(["control", "a"], 6), pd.DataFrame({"kind": ["x"] * 9 + ["y"] * 3})
    assert sample_ratio_by_segment(action, chances, segments) == []
    impossible = chances.copy()
    impossible.loc[11] = [1.0, 0.0]
    (found,) = sample_ratio_by_segment(action, impossible, segments)
    assert (found.value, found.p_value) == ("y", 0.0)
    with pytest.raises(InputError, match="same length"):
        sample_ratio_by_segment(action, chances, segments[:3])
