"""The append-only record of customers, decisions, waves, outcomes, approvals and what was found and published."""

from propensity.ledger.approvals import approve_playbook, is_playbook_approved, playbook_approvals
from propensity.ledger.availability import LedgerUnavailable
from propensity.ledger.published import publish_summary, published_summaries, published_summary
from propensity.ledger.rows import decision_answers, snapshot_rows
from propensity.ledger.store import Ledger
from propensity.ledger.waves import StagedWave

__all__ = [
    "Ledger",
    "LedgerUnavailable",
    "StagedWave",
    "approve_playbook",
    "decision_answers",
    "is_playbook_approved",
    "playbook_approvals",
    "publish_summary",
    "published_summaries",
    "published_summary",
    "snapshot_rows",
]
