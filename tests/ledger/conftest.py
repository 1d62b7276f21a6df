"""A ledger in each of the databases that it runs on."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from propensity.ledger import Ledger, schema


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request, tmp_path) -> str:
    """The address of a database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.db'}"
    address = request.getfixturevalue("postgres_database")
    engine = sa.create_engine(address)
    schema.metadata.drop_all(engine)
    engine.dispose()
    return address


@pytest.fixture
def ledger(url):
    made = Ledger(url).create()
    yield made
    made.close()
