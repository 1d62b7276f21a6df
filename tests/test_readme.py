"""What README.md shows and promises, as far as it needs no training to be seen."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from propensity import playbook
from propensity.contract import CONTROL
from propensity.decision import DECISION_COLUMNS
from propensity.policy import decision_keys, is_held_out, window_number

ROOT = Path(__file__).parents[1]


def test_the_first_request_is_for_a_person_who_is_sent_something_and_its_answer_stands_beside_it():
    readme = (ROOT / "README.md").read_text()
    asked, told = re.search(r"v1/decisions .*? -d '(.*?)'\n```.*?```json\n(.*?)```", readme, re.DOTALL).groups()
    asked, (decision,) = json.loads(asked), json.loads(told)["decisions"]
    assert set(decision) == {"status", *DECISION_COLUMNS}
    assert decision["send"]
    assert decision["action"] != CONTROL
    # what of it follows from the request and the playbook alone
    book = playbook.load("hillstrom")
    key, campaign, at = asked["customer"]["customer_id"], asked["campaign"], pd.Timestamp(asked["at"])
    assert (decision["customer_id"], decision["campaign"]) == (key, campaign)
    assert decision["playbook_version"] == book.version
    window = window_number(at, book.program.decision_window_days)
    assert [decision["decision_id"]] == decision_keys([key], campaign, window)
    assert not is_held_out(pd.Series([key]), campaign, book.learning)[0]


@pytest.mark.skipif(shutil.which("git") is None or not (ROOT / ".git").exists(), reason="this is no clone")
@pytest.mark.parametrize("file", ["ledger.db", "ledger.db-wal", ".propensity/models/x", "report.html", "mlflow.db"])
def test_what_the_examples_write_is_not_offered_to_git(file):
    assert subprocess.run(["git", "check-ignore", "-q", file], cwd=ROOT, check=False).returncode == 0


@pytest.mark.skipif(shutil.which("git") is None or not (ROOT / ".git").exists(), reason="this is no clone")
def test_no_file_of_the_repository_is_one_that_git_is_told_to_leave_out():
    ignored = ["git", "ls-files", "--cached", "--ignored", "--exclude-standard"]
    assert subprocess.run(ignored, cwd=ROOT, check=True, capture_output=True, text=True).stdout == ""
