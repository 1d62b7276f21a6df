"""Alembic migrations of the ledger; `propensity.ledger.migrating` runs them, ``new_migration`` drafts one."""
