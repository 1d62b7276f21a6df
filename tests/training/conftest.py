"""What tests of registered models share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pandas as pd
import pytest

from propensity import registry
from propensity.dataset import Dataset
from propensity.ledger import Ledger
from propensity.registry import Registered
from propensity_training.unseen import PEOPLE_FILE, fingerprint, people_table

Register = Callable[..., Registered]


@pytest.fixture
def register_version(registry_copy, trained, small_dataset) -> Register:
    """Registers the trained model once more, as a challenger; its mode, whom it saw and on which data may differ."""

    def register(
        mode: str | None = None, people: pd.Series | None = None, data: Dataset = small_dataset, name="propensity-small"
    ) -> Registered:
        model, _ = registry.load("propensity-small", "1")
        model.mode = mode or model.mode
        granted = replace(trained.assessment, gate=replace(trained.assessment.gate, granted=model.mode))
        seen = trained.split.training["customer_id"] if people is None else people
        return registry.register(
            model,
            name,
            experiment="again",
            parameters={"data_fingerprint": fingerprint(data), "split": "customers", "held_out_share": 0.5, "seed": 0},
            metrics={},
            artifacts={"assessment.json": granted.to_json()},
            tables={PEOPLE_FILE: people_table(seen)},
        )

    return register


@pytest.fixture
def ledger(tmp_path):
    """A ledger of its own."""
    made = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}").create()
    yield made
    made.close()
