"""The application with its edge and keys, asked without a network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from starlette.types import ASGIApp

from propensity.ledger import Ledger
from propensity.ledger.keys import create_key
from propensity.model import DecisionModel
from propensity_serving.app import build_app
from propensity_serving.edge import Keyring, guarded
from propensity_serving.state import ServingState


@contextmanager
def application(model: DecisionModel, directory: Path) -> Iterator[tuple[ASGIApp, dict[str, str], ServingState]]:
    """The application around a new ledger, the headers of a key that opens everything, and its state."""
    ledger = Ledger(f"sqlite:///{directory / 'ledger.db'}").create().grouped()
    key, _ = create_key(ledger, name="tests", scopes=["admin"])
    state = ServingState(model=model, ledger=ledger, serving_since=datetime.now(UTC))
    yield guarded(build_app(state), Keyring(lambda: ledger)), {"authorization": f"Bearer {key}"}, state
    ledger.close()
