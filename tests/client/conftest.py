"""The real application with its edge and keys, and a client of it without a network."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from starlette.testclient import TestClient

from propensity.client import Client
from propensity.ledger import Ledger
from propensity.ledger.keys import SCOPES, create_key
from propensity_serving.answering import BUDGET_VARIABLE
from propensity_serving.app import build_app
from propensity_serving.edge import Keyring, guarded
from propensity_serving.state import ServingState


@pytest.fixture(autouse=True)
def _no_key_around(monkeypatch):
    monkeypatch.delenv("PROPENSITY_API_KEY", raising=False)
    monkeypatch.setenv(BUDGET_VARIABLE, "60")  # the machine may be slow


@pytest.fixture
def ledger(tmp_path):
    made = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}").create()
    yield made
    made.close()


@pytest.fixture
def keys(ledger) -> dict[str, str]:
    """A key for each scope."""
    return {scope: create_key(ledger, name=scope, scopes=[scope])[0] for scope in SCOPES}


@pytest.fixture
def application(small_model, ledger):
    state = ServingState(model=small_model, ledger=ledger, serving_since=datetime.now(UTC))
    return guarded(build_app(state), Keyring(lambda: ledger))


@pytest.fixture
def transport(application):
    """What brings a client's requests to the application."""
    with TestClient(application, follow_redirects=False) as starlette:
        yield starlette._transport


@pytest.fixture
def client_of(transport, keys) -> Callable[..., Client]:
    """Makes a client with the key of a scope."""
    return lambda scope="admin", **settings: Client(
        "http://service.test", key=keys[scope], transport=transport, **settings
    )


@pytest.fixture
def client(client_of):
    with client_of() as made:
        yield made
