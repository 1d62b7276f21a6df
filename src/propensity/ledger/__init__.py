"""The append-only record of customers, decisions, outcomes, approved playbooks and what models were worth."""

from propensity.ledger.approvals import approve_playbook, is_playbook_approved, playbook_approvals
from propensity.ledger.rows import decision_answers
from propensity.ledger.store import Ledger

__all__ = ["Ledger", "approve_playbook", "decision_answers", "is_playbook_approved", "playbook_approvals"]
