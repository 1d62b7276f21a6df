"""The charity experiment is read as its authors describe it, and no feature tells what came after the letter."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from propensity import datasets, playbook
from propensity.contract import ContractError
from propensity.evaluation import dr_scores
from propensity.features import FeatureBuilder
from propensity.frame import all_actions, logged_propensity, training_frame
from propensity.mapping import load_mapping
from propensity.wide import read_wide

AFTER_THE_LETTER = ("out_", "stateresponse", "statecnt", "cases", "nonlit", "treat_size", "treat_askd", "treat_ratio")


def test_no_feature_comes_from_the_outcome_or_the_treatment():
    columns = [source.file_column for source in load_mapping("charity").person.values() if source.file_column]
    assert len(columns) > 15
    assert [c for c in columns if c.startswith(AFTER_THE_LETTER)] == []


def test_the_playbook_may_reach_everybody_in_the_experiment():
    book = playbook.load("charity")
    assert book.labels == ["match_letter"]
    assert book.program.horizon_days > 168 * 30.4375


@pytest.fixture(scope="module")
def charity_file():
    places = [directory / "charity_match.csv.gz" for directory, _ in datasets.data_directories()]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        pytest.skip(f"there is none of {', '.join(map(str, places))}")
    return found


@pytest.fixture(scope="module")
def wide(charity_file):
    return pd.read_csv(charity_file)


@pytest.fixture(scope="module")
def charity(charity_file):
    return read_wide(charity_file, load_mapping("charity"), "a test", quarantine=True)


@pytest.fixture(scope="module")
def frame(charity):
    window = charity.playbook.program.attribution_window_days
    return training_frame(charity.customers, charity.contacts, charity.outcomes, window_days=window)


@pytest.mark.real_data
def test_the_one_person_without_a_date_is_refused_by_name(charity_file):
    with pytest.raises(ContractError, match=r"churned_at \(column 'mrm2'\): 1 row"):
        datasets.load(str(charity_file), mapping="charity")


@pytest.mark.real_data
def test_the_arms_give_what_was_published(charity, frame):
    # Karlan and List (2007), table 2A: 0.018 and 0.022 gave, 0.813 and 0.967 USD a letter; of two of the treated who
    # gave, this copy of the file lacks the amount
    assert len(charity.quarantined) == 1
    assert len(frame) == 50_082
    means = frame.groupby("action")[["reactivated", "revenue"]].mean().round(3)
    assert means.loc["control"].tolist() == [0.018, 0.813]
    assert means.loc["match_letter"].tolist() == [0.022, pytest.approx(0.967, abs=0.003)]


@pytest.mark.real_data
def test_missing_values_are_missing_in_the_features(charity, frame, wide):
    X = FeatureBuilder.fit(frame, charity.playbook).transform(frame, frame["decided_at"])
    assert list(X.columns) == list(charity.playbook.features.numeric)
    assert X.min().min() >= 0
    assert X["female"].isna().sum() == (wide.loc[wide["mrm2"] != -999, "female"] == -999).sum() > 1000
    assert sorted(X["female"].dropna().unique()) == [0, 1]


@pytest.mark.real_data
def test_the_effect_of_a_match_is_the_published_one(charity, frame):
    propensity = logged_propensity(frame, all_actions(charity.playbook.labels))
    outcome = pd.DataFrame(frame["reactivated"].mean(), columns=propensity.columns, index=frame.index)
    scores = dr_scores(frame["reactivated"], frame["action"], propensity, outcome)
    gain = scores["match_letter"] - scores["control"]
    # published: 0.004 with a standard error of 0.001
    assert gain.mean() == pytest.approx(0.004, abs=0.0005)
    assert gain.std() / np.sqrt(len(gain)) == pytest.approx(0.001, abs=0.0005)


@pytest.mark.real_data
def test_with_the_ratio_as_the_arm_each_gives_what_was_published(charity_file, charity):
    by_ratio = read_wide(charity_file, load_mapping("charity_ratios"), "a test", quarantine=True)
    window = by_ratio.playbook.program.attribution_window_days
    frame = training_frame(by_ratio.customers, by_ratio.contacts, by_ratio.outcomes, window_days=window)
    arms = frame.groupby("action")["reactivated"].agg(["size", "mean"])
    # Karlan and List (2007), table 2A: 0.0207, 0.0226 and 0.0227 gave
    assert arms["mean"].round(4).to_dict() == {
        "control": 0.0179,
        "match_one_for_one": pytest.approx(0.0207, abs=1e-4),
        "match_two_for_one": pytest.approx(0.0226, abs=1e-4),
        "match_three_for_one": pytest.approx(0.0227, abs=1e-4),
    }
    # the same people in the same letters, only told apart further
    assert by_ratio.playbook.features == charity.playbook.features
    assert by_ratio.customers.equals(charity.customers)
    assert (by_ratio.contacts["action"] == "control").equals(charity.contacts["action"] == "control")
