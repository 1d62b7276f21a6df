"""Fixtures shared by the tests. Real data are read where they lie and never copied."""

from __future__ import annotations

from pathlib import Path

import pytest

from propensity import datasets
from propensity.datasets import Dataset
from propensity.frame import training_frame


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
