"""The real server with keys, for tests that do it harm."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from propensity.ledger import Ledger, approve_playbook
from propensity.ledger.keys import create_key

# the real server is started as its own tests start it
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "serving"))


@pytest.fixture
def prepared(email_playbook):
    """Makes a ledger at an address, with an approved playbook, and a key that opens everything."""

    def prepare(url: str) -> str:
        ledger = Ledger(url).create()
        approve_playbook(ledger, email_playbook, who="Ann")
        key, _ = create_key(ledger, name="tests", scopes=["admin"])
        ledger.close()
        return key

    return prepare
