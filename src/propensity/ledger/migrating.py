"""Bringing a ledger's tables to a revision and back, whole or not at all, one process at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from propensity.errors import InputError

HEAD = "head"
"""The newest revision, in Alembic's words."""

_ADVISORY_LOCK = 5_076_112_207_319
"""A number that no other use of the database should take."""

_ONE_AT_A_TIME = threading.Lock()  # Alembic's environment belongs to the whole process


@dataclass(frozen=True)
class Revision:
    """A migration.

    Attributes
    ----------
    revision : str
    what : str
        The first sentence that its file says.
    """

    revision: str
    what: str


def newest() -> str:
    """The revision that this version of the product works with."""
    return revisions()[-1].revision


@cache
def revisions() -> tuple[Revision, ...]:
    """All migrations, oldest first."""
    scripts = ScriptDirectory.from_config(config()).walk_revisions()
    return tuple(Revision(script.revision, script.doc) for script in scripts)[::-1]


def is_known(revision: str) -> bool:
    """Whether this version of the product has such a revision."""
    return revision in {r.revision for r in revisions()}


def lost_between(revision: str, now: str | None) -> dict[str, str]:
    """What going back from one revision to another destroys: a word for the rows of each table that goes for good."""
    lost: dict[str, str] = {}
    for script in ScriptDirectory.from_config(config()).walk_revisions():
        if now is not None and revision < script.revision <= now:
            lost |= script.module.LOST_BY_DOWNGRADE
    return lost


def current(connection: sa.Connection) -> str | None:
    """The revision of a ledger; None where it has none: it is empty or older than the migrations."""
    return MigrationContext.configure(connection).get_current_revision()


def upgrade(engine: sa.Engine, revision: str = HEAD) -> None:
    """Migrate forward; a ledger from before the migrations is taken over with what it holds."""
    with _alone(engine) as connection:
        command.upgrade(config(connection), revision)


def downgrade(engine: sa.Engine, revision: str) -> None:
    """Migrate back; what only later revisions can hold is lost.

    Raises
    ------
    InputError
        The ledger is not past this revision.
    """
    with _alone(engine) as connection:
        try:
            command.downgrade(config(connection), revision)
        except CommandError as error:
            raise InputError(
                f"revision {revision}: the ledger is not past it; see propensity ledger current"
            ) from error


def config(connection: sa.Connection | None = None) -> Config:
    """What Alembic needs to know; no file of it."""
    settings = Config()
    settings.set_main_option("script_location", "propensity.ledger:migrations")
    settings.attributes["connection"] = connection
    return settings


@contextmanager
def _alone(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction that no other migration runs beside."""
    with _ONE_AT_A_TIME, engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
        else:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        yield connection
