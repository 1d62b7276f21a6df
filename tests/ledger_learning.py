"""A ledger that holds what a simulated program did, for tests of learning from ledgers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from propensity.campaigns import about_campaign
from propensity.contract import CONTROL, PROBABILITY_PREFIX
from propensity.decision import DECISION_COLUMNS
from propensity.ledger import Ledger
from propensity.playbook import Playbook
from propensity.simulation import DECIDED_AT, SimulatedProgram

AT = pd.Timestamp(DECIDED_AT)


def record_program(
    ledger: Ledger, program: SimulatedProgram, playbook: Playbook, *, campaign: str = "first", at: pd.Timestamp = AT
) -> pd.DataFrame:
    """What a program did, as a service that decides one by one would have recorded it; the decisions."""
    contacts = program.contacts
    ledger.add_campaign(campaign, **about_campaign(playbook, title=campaign, started_at=at.to_pydatetime()))
    chances = contacts.filter(like=PROBABILITY_PREFIX).rename(columns=lambda c: c.removeprefix(PROBABILITY_PREFIX))
    decisions = decisions_of(contacts, campaign)
    people = program.customers.set_index("customer_id", drop=False).loc[contacts["customer_id"]].reset_index(drop=True)
    for moment in contacts["decided_at"].unique():
        now = (contacts["decided_at"] == moment).to_numpy()
        ledger.add_decisions(
            decisions[now].reset_index(drop=True),
            pd.Timestamp(moment),
            chances[now].reset_index(drop=True),
            customers=people[now].reset_index(drop=True),
        )
    ledger.add_outcomes(program.outcomes)
    return decisions


def decisions_of(contacts: pd.DataFrame, campaign: str) -> pd.DataFrame:
    """Contacts as decisions."""
    told: dict[str, Any] = dict.fromkeys(DECISION_COLUMNS)
    table = pd.DataFrame({**told}, index=contacts.index).assign(
        decision_id=contacts["decision_id"],
        customer_id=contacts["customer_id"],
        campaign=campaign,
        action=contacts["action"],
        assignment=np.where(contacts["action"] == CONTROL, "holdout", "policy"),
        probability=contacts["probability"],
        cost=contacts["cost"],
    )
    return table.astype({"decision_id": "str"})
