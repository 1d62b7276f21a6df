"""What a worker holds while it serves: the model and the ledger."""

from __future__ import annotations

import gc
import os
from dataclasses import dataclass
from datetime import UTC, datetime

from propensity import registry
from propensity.ledger import Ledger
from propensity.model import DecisionModel

LEDGER_VARIABLE = "PROPENSITY_LEDGER"
MODEL_VARIABLE = "PROPENSITY_MODEL"
ALIAS_VARIABLE = "PROPENSITY_ALIAS"


@dataclass
class ServingState:
    """The model and the ledger of a worker; empty until `load`."""

    model: DecisionModel | None = None
    registered: registry.Registered | None = None
    ledger: Ledger | None = None
    serving_since: datetime | None = None

    def load(self) -> None:
        """Load the model that the alias points to, and open the ledger; both are named by environment variables."""
        name = os.environ.get(MODEL_VARIABLE) or None
        alias = os.environ.get(ALIAS_VARIABLE) or registry.CHAMPION
        self.model, self.registered = registry.load(name, alias)
        self.ledger = Ledger(os.environ[LEDGER_VARIABLE]).open()
        self.serving_since = datetime.now(UTC)
        # what is loaded now stays: the garbage collector need not look at it again for every request
        gc.collect()
        gc.freeze()
        gc.set_threshold(100_000, 50, 1000)

    @property
    def ready(self) -> bool:
        """Whether decisions can be answered and recorded."""
        return self.model is not None and self.ledger is not None
