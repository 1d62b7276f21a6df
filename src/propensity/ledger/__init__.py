"""The append-only record of customers, decisions, outcomes and what models were worth."""

from propensity.ledger.store import Ledger, decision_answers

__all__ = ["Ledger", "decision_answers"]
