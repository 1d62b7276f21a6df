"""The application around a small model, without a server, and however slow the machine is."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from threading import Thread

import pytest
import sqlalchemy as sa
import uvicorn
from starlette.testclient import TestClient

from propensity.ledger import Ledger
from propensity_serving.answering import BUDGET_VARIABLE
from propensity_serving.app import build_app
from propensity_serving.state import ServingState


@pytest.fixture(autouse=True)
def _patience(monkeypatch):
    monkeypatch.setenv(BUDGET_VARIABLE, "60")


@pytest.fixture
def database(request, tmp_path) -> str:
    """The address of a database without tables: SQLite, or what a test asks for."""
    if getattr(request, "param", "sqlite") == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.db'}"
    address = request.getfixturevalue("postgres_database")
    engine = sa.create_engine(address)
    with engine.begin() as connection:
        connection.execute(sa.text("DROP SCHEMA public CASCADE"))
        connection.execute(sa.text("CREATE SCHEMA public"))
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


@pytest.fixture
def server(state):
    """The application on a real server: its port."""
    server = uvicorn.Server(uvicorn.Config(build_app(state), port=0, log_level="error"))
    thread = Thread(target=server.run)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join(timeout=20)
