"""A model that explores, a wave whose limits bind, and Dask's workers on this machine."""

from __future__ import annotations

import pandas as pd
import pytest

from propensity import wave_people
from propensity.model import DecisionModel
from propensity.playbook import Playbook
from propensity.wave_file import WaveFile

N_PEOPLE = 600
BATCH = 61


@pytest.fixture(scope="session")
def two_workers(dask_installed):
    from propensity.engines.dask_engine import DaskEngine

    with DaskEngine(workers=2) as engine:
        yield engine


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    monkeypatch.setattr(wave_people, "BATCH", BATCH)


@pytest.fixture(scope="session")
def model(small_model, tmp_path_factory) -> DecisionModel:
    """Tries out a lot, and has room for e-mail to a hundred people a week."""
    content = small_model.playbook.model_dump()
    content["learning"] |= {"explore_share": 0.05, "explore_limit_share": 0.9, "holdout_share": 0.1}
    content["channels"]["email"]["capacity_per_week"] = 100
    directory = tmp_path_factory.mktemp("dask") / "model"
    small_model.save(directory)
    changed = DecisionModel.load(directory)
    changed.playbook = Playbook.model_validate(content)
    return changed


@pytest.fixture(scope="session")
def people(small_dataset) -> pd.DataFrame:
    return small_dataset.customers.drop_duplicates("customer_id").head(N_PEOPLE).reset_index(drop=True)


@pytest.fixture
def wave(people, small_dataset, tmp_path) -> WaveFile:
    people.to_parquet(tmp_path / "people.parquet")
    at = small_dataset.contacts["decided_at"].max() + pd.Timedelta(days=20)
    return WaveFile(
        *(tmp_path / "people.parquet", at, "spring", 2.0, None, list(people["customer_id"][::50])),
        *(small_dataset.contacts, small_dataset.outcomes),
    )
