"""Who approved which playbook, when, and on the strength of which what-if. Approvals are added, never changed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from propensity.errors import InputError
from propensity.ledger import schema
from propensity.ledger.store import Ledger
from propensity.playbook import Playbook


def approve_playbook(
    ledger: Ledger, playbook: Playbook, *, who: str, what_if: dict[str, Any] | None = None, why: str | None = None
) -> None:
    """Record that somebody approved a playbook; approving it again adds another row.

    Parameters
    ----------
    ledger : Ledger
    playbook : Playbook
        Recorded whole, with what it leaves at its default.
    who : str
    what_if : dict, optional
        What the playbook is expected to do, as `WhatIf.to_json` has it; one of its ``scenarios`` must be of this
        playbook.
    why : str, optional

    Raises
    ------
    InputError
        Nobody's name is given, or the what-if is about another playbook.
    """
    if not who.strip():
        raise InputError("who: expected the name of the person who approves, found a blank")
    if what_if is not None and playbook.version not in (versions := _versions(what_if)):
        raise InputError(
            f"what-if: expected a scenario of playbook_version {playbook.version!r}, which is that of playbook "
            f"{playbook.name}, found {', '.join(map(repr, versions)) or 'none'}; make it with propensity decide "
            "--what-if --json FILE, this playbook being one of the scenarios"
        )
    row = {
        "at": datetime.now(UTC),
        "who": who,
        "name": playbook.name,
        "version": playbook.version,
        "content": playbook.model_dump(mode="json"),
        "what_if": what_if,
        "why": why,
    }
    with ledger.engine.begin() as connection:
        connection.execute(schema.playbook_approvals.insert(), [row])


def playbook_approvals(ledger: Ledger) -> list[dict[str, Any]]:
    """All approvals, oldest first; the columns are those of `schema.playbook_approvals`."""
    table = schema.playbook_approvals
    return ledger.read(
        lambda connection: [dict(row) for row in connection.execute(sa.select(table).order_by(table.c.id)).mappings()]
    )


def is_playbook_approved(ledger: Ledger, version: str) -> bool:
    """Whether somebody approved the playbook of this version."""
    table = schema.playbook_approvals
    query = sa.select(sa.exists().where(table.c.version == version))
    return ledger.read(lambda connection: connection.scalar(query)) is True


def _versions(what_if: dict[str, Any]) -> list[Any]:
    scenarios = what_if.get("scenarios")
    if not isinstance(scenarios, list):
        return []
    return [scenario.get("playbook_version") for scenario in scenarios if isinstance(scenario, dict)]
