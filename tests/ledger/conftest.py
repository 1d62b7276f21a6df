"""A ledger in each of the databases that it runs on."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from propensity.ledger import Ledger, migrating


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request, tmp_path) -> str:
    """The address of a database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.db'}"
    address = request.getfixturevalue("postgres_database")
    engine = sa.create_engine(address)
    with engine.begin() as connection:
        connection.execute(sa.text("DROP SCHEMA public CASCADE"))
        connection.execute(sa.text("CREATE SCHEMA public"))
    engine.dispose()
    return address


@pytest.fixture
def ledger(url):
    made = Ledger(url).create()
    yield made
    made.close()


@pytest.fixture
def older(ledger):
    """Makes the ledger one from before the migrations, of an even older version by the given statements."""

    def make(*statements: str) -> None:
        migrating.downgrade(ledger.engine, "0001")
        with ledger.engine.begin() as connection:
            for statement in ("DROP TABLE alembic_version", *statements):
                connection.execute(sa.text(statement))

    return make
