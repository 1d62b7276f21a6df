"""The application around a small model, without a server."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from propensity.ledger import Ledger, schema
from propensity_serving.app import build_app
from propensity_serving.state import ServingState

BOTH_DATABASES = pytest.mark.parametrize(
    "database", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True
)


@pytest.fixture
def database(request, tmp_path) -> str:
    """The address of a database without tables: SQLite, or what a test asks for."""
    if getattr(request, "param", "sqlite") == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.db'}"
    address = request.getfixturevalue("postgres_database")
    engine = sa.create_engine(address)
    schema.metadata.drop_all(engine)
    engine.dispose()
    return address


@pytest.fixture
def ledger(database):
    made = Ledger(database).create()
    yield made
    made.close()


@pytest.fixture
def state(small_model, ledger):
    return ServingState(model=small_model, ledger=ledger, serving_since=datetime.now(UTC))


@pytest.fixture
def client(state):
    with TestClient(build_app(state), follow_redirects=False) as client:
        yield client
