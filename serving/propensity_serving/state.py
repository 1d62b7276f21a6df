"""What a worker holds while it serves: the model and the ledger."""

from __future__ import annotations

import gc
import logging
import os
from dataclasses import dataclass
from datetime import UTC, datetime

from propensity import playbook, registry
from propensity.errors import InputError
from propensity.ledger import Ledger, is_playbook_approved
from propensity.model import DecisionModel
from propensity_serving.problems import Problem

LEDGER_VARIABLE = "PROPENSITY_LEDGER"
MODEL_VARIABLE = "PROPENSITY_MODEL"
ALIAS_VARIABLE = "PROPENSITY_ALIAS"
NO_KEYS_VARIABLE = "PROPENSITY_NO_KEYS"
"""1 lets everybody on this machine in."""
UNAPPROVED_VARIABLE = "PROPENSITY_UNAPPROVED_PLAYBOOK"
"""1 lets the service decide by a playbook that nobody approved."""

logger = logging.getLogger("propensity.serving")


@dataclass
class ServingState:
    """The model and the ledger of a worker; empty until `load`."""

    model: DecisionModel | None = None
    registered: registry.Registered | None = None
    ledger: Ledger | None = None
    serving_since: datetime | None = None

    def load(self) -> None:
        """Load the model that the alias points to, and open the ledger; both are named by environment variables.

        Raises
        ------
        InputError
            There is no such model or ledger, or nobody approved the model's playbook.
        """
        name = os.environ.get(MODEL_VARIABLE) or None
        alias = os.environ.get(ALIAS_VARIABLE) or registry.CHAMPION
        model, registered = registry.load(name, alias)
        ledger = Ledger(os.environ[LEDGER_VARIABLE]).open()
        try:
            require_approved_playbook(model, ledger)
        except InputError as error:
            if os.environ.get(UNAPPROVED_VARIABLE) != "1":
                raise
            logger.warning("%s; the service starts all the same, as asked", error)
        self.model, self.registered, self.ledger = model, registered, ledger
        self.serving_since = datetime.now(UTC)
        # what is loaded now stays: the garbage collector need not look at it again for every request
        gc.collect()
        gc.freeze()
        gc.set_threshold(100_000, 50, 1000)

    def required(self) -> tuple[DecisionModel, Ledger]:
        """The model and the ledger.

        Raises
        ------
        Problem
            503: one of them is not there yet.
        """
        if self.model is None or self.ledger is None:
            raise Problem(503, "Not ready", "the model or the ledger is not loaded yet; try again in a few seconds")
        return self.model, self.ledger

    @property
    def ready(self) -> bool:
        """Whether decisions can be answered and recorded."""
        return self.model is not None and self.ledger is not None


def require_approved_playbook(model: DecisionModel, ledger: Ledger) -> None:
    """Refuse a model whose playbook nobody approved.

    Raises
    ------
    InputError
        It says how to approve the playbook.
    """
    book = model.playbook
    if is_playbook_approved(ledger, book.version):
        return
    shipped = playbook.shipped().get(book.name)
    file = book.name if shipped and playbook.load(shipped).version == book.version else "FILE"
    raise InputError(
        f"playbook {book.name}, version {book.version}: model {model.version} decides by it, and nobody approved it in "
        f"ledger {ledger.name}; approve it with: propensity playbook approve {file} --who NAME --ledger {ledger.name} "
        "(or for development, start with --unapproved-playbook)"
    )
