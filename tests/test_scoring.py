"""Scoring as a function of record batches, as Spark's mapInArrow calls it; Spark itself is not needed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from propensity.contract import ContractError
from propensity.decide_file import decide_file
from propensity.deciding import Wave
from propensity.scoring import Order, decisions_schema, score_batches
from propensity.wave_file import Left, WaveFile


@pytest.fixture
def people(small_dataset):
    return small_dataset.customers.drop_duplicates("customer_id").head(300).reset_index(drop=True)


@pytest.fixture
def order(small_model, people):
    at = people["as_of"].max() + pd.Timedelta(days=60)
    wave = Wave(small_model, people, at, "spring")
    terms = wave.plan(wave.limits(1.0)).terms
    return Order(at, "spring", 1.0, None, terms)


@pytest.fixture
def source(people, tmp_path):
    people.to_parquet(tmp_path / "people.parquet", index=False)
    return tmp_path / "people.parquet"


def batches_of(source, n):
    return pq.ParquetFile(source).iter_batches(n)


@pytest.mark.parametrize("n", [300, 100, 47])
def test_batches_give_what_the_file_gives_however_they_are_cut(small_model, source, order, tmp_path, n):
    decide_file(small_model, WaveFile(source, order.at, "spring"), tmp_path / "out.parquet")
    found = pa.Table.from_batches(score_batches(small_model, order, batches_of(source, n)))
    expected = pd.read_parquet(tmp_path / "out.parquet")
    assert found.schema == decisions_schema()
    pd.testing.assert_frame_equal(found.to_pandas(), expected)


@pytest.fixture
def scarce(small_model, people, order):
    """A wave that may spend a third of what it would."""
    wave = Wave(small_model, people, order.at, "spring")
    budget = wave.spent_on(wave.decide()[0]["action"].to_numpy(dtype=object)).sum() / 3
    return replace(order, budget=budget, terms=wave.plan(wave.limits(1.0, budget)).terms)


def test_prices_keep_a_wave_near_its_limits_wherever_batches_are_decided(small_model, people, source, scarce):
    assert scarce.terms.prices["budget"] > 0
    parts = [next(score_batches(small_model, scarce, [batch])) for batch in batches_of(source, 60)]
    found = pa.Table.from_batches(parts).to_pandas()
    of_all = Wave(small_model, people, scarce.at, "spring")
    spent = of_all.spent_on(found["action"].to_numpy(dtype=object)).sum()
    assert 0.5 * scarce.budget < spent < 1.5 * scarce.budget


def test_batches_keep_within_what_they_are_given(small_model, people, source, scarce):
    half = {"budget": scarce.budget / 2}
    found = pa.Table.from_batches(score_batches(small_model, scarce, batches_of(source, 60), Left(half, half)))
    of_all = Wave(small_model, people, scarce.at, "spring")
    assert 0 < of_all.spent_on(np.array(found["action"].to_pylist(), dtype=object)).sum() <= scarce.budget / 2


def test_an_empty_batch_gives_nothing_and_faults_are_told(small_model, source, order):
    batch = next(batches_of(source, 300))
    assert list(score_batches(small_model, order, [batch.slice(0, 0)])) == []
    spoilt = batch.drop_columns(["churned_at"])
    with pytest.raises(ContractError, match="churned_at"):
        list(score_batches(small_model, order, [spoilt]))
