"""How columns are cut, and what a model keeps of those it was trained on."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from propensity.model import DecisionModel
from propensity.monitoring.cells import MISSING, UNSEEN, Cells
from propensity.monitoring.reference import SCORES, Reference


def test_a_number_is_cut_into_tenths():
    cells = Cells.fit(pd.Series(np.random.default_rng(0).normal(size=10_000)))
    assert cells.counts == (1_000,) * 10 + (0,)


@pytest.mark.parametrize("share", [0.97, 0.5, 0.03])
def test_a_share_of_ones_is_two_cells_whichever_is_rare(share):
    values = pd.Series((np.arange(1_000) < 1_000 * share).astype(float))
    cells = Cells.fit(values)
    assert cells.cuts == (0.5,)
    assert cells.counts == (round(1_000 * (1 - share)), round(1_000 * share), 0)


def test_many_equal_values_do_not_hide_the_others():
    values = pd.Series(np.concatenate([np.full(950, 7.0), np.arange(50) / 10]))
    cells = Cells.fit(values)
    assert len(cells.cuts) >= 1
    assert max(cells.counts) == 950


def test_missing_and_unseen_are_cells_of_their_own():
    cells = Cells.fit(pd.Series(["a", "b", None, "a"], dtype="str"))
    assert dict(zip(cells.names, cells.counts, strict=True)) == {"a": 2, "b": 1, UNSEEN: 0, MISSING: 1}
    assert cells.count(pd.Series(["c", None, "b"], dtype="str")).tolist() == [0, 1, 1, 1]
    number = Cells.fit(pd.Series([1.0, np.nan, 2.0]))
    assert number.count(pd.Series([np.nan, 9.0, -9.0])).tolist() == [1, 1, 1]


def test_a_column_without_any_value_is_one_cell():
    cells = Cells.fit(pd.Series([np.nan, np.nan]))
    assert cells.counts == (0, 2)
    assert cells.count(pd.Series([1.0])).tolist() == [1, 0]


def test_what_is_kept_comes_back_from_json(trained, tmp_path):
    kept = trained.model.reference
    assert set(kept.scores) == set(SCORES)
    assert Reference.from_state(json.loads(json.dumps(kept.to_state()))) == kept
    trained.model.save(tmp_path / "model")
    assert DecisionModel.load(tmp_path / "model").reference == kept


def test_what_is_kept_counts_each_person_of_training_once(trained):
    training = trained.split.training
    counts = {name: sum(cells.counts) for name, cells in trained.model.reference.features.items()}
    assert set(counts) == {*trained.model.features.numeric, *trained.model.features.categories}
    assert set(counts.values()) == {training["customer_id"].nunique()}
    assert sum(trained.model.reference.scores["propensity"].counts) == len(trained.split.held_out)


def test_no_outcome_after_the_end_of_training_is_known_to_it(trained, small_dataset):
    window = pd.Timedelta(days=small_dataset.playbook.program.attribution_window_days)
    assert trained.model.reference.until == trained.split.training["decided_at"].max() + window


def test_no_id_of_a_customer_is_kept(trained):
    text = json.dumps(trained.model.reference.to_state())
    assert not any(f'"{key}"' in text for key in trained.split.training["customer_id"])
