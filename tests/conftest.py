"""Fixtures shared by the tests. Real data are read where they lie and never copied."""

from __future__ import annotations

from pathlib import Path

import pytest
from simulated_waves import FEW_ACTIONS, Wave, simulated_wave

from propensity import datasets, playbook
from propensity.assessment import Assessment, assess
from propensity.datasets import Dataset
from propensity.frame import training_frame
from propensity.model import DecisionModel
from propensity.playbook import Playbook


def real_file(name: str) -> Path:
    """A real data file, or a skip that says where it was looked for."""
    places = [directory for directory, _ in datasets.data_directories()]
    found = next((d / name for d in places if (d / name).is_file()), None)
    if found is None:
        pytest.skip(f"{name} is not in {', '.join(map(str, places))}")
    return found


@pytest.fixture(scope="session")
def hillstrom_file() -> Path:
    return real_file("hillstrom.csv.gz")


@pytest.fixture(scope="session")
def hillstrom(hillstrom_file: Path) -> Dataset:
    return datasets.read_wide(hillstrom_file, datasets.load_mapping("hillstrom"), "a test")


@pytest.fixture(scope="session")
def hillstrom_frame(hillstrom: Dataset):
    window = hillstrom.playbook.program.attribution_window_days
    return training_frame(hillstrom.customers, hillstrom.contacts, hillstrom.outcomes, window_days=window)


@pytest.fixture(scope="session")
def small_playbook() -> Playbook:
    """The default playbook with five of its actions, so that a wave of 20,000 tells them apart."""
    book = playbook.load("default")
    return book.model_copy(update={"actions": {k: v for k, v in book.actions.items() if k in FEW_ACTIONS}})


@pytest.fixture(scope="session")
def wave(small_playbook: Playbook) -> Wave:
    return simulated_wave(20_000, small_playbook, seed=3, effect_scale=1.0)


@pytest.fixture(scope="session")
def wave_model(wave: Wave, small_playbook: Playbook) -> DecisionModel:
    return DecisionModel(small_playbook).fit(wave.train)


@pytest.fixture(scope="session")
def wave_model_saved(wave_model: DecisionModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("models") / "wave"
    wave_model.save(directory)
    return directory


@pytest.fixture(scope="session")
def wave_assessment(wave: Wave, wave_model: DecisionModel) -> Assessment:
    return assess(wave_model, wave.test)
