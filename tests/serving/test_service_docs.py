"""The examples of docs/service.md do what it says."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from reports import events

from propensity.contract import OUTCOME_TYPES
from propensity.decision import DECISION_COLUMNS
from propensity.pages.decision_words import code_words
from propensity.policy import codes
from propensity_serving.decision_fields import DECISION_FIELDS

PAGE = Path(__file__).parents[2] / "docs" / "service.md"
SECTIONS = ("What happened", "A person's rights")


def examples(page: str) -> list[tuple[str, object]]:
    """Commands of the sections, each with the answer that is shown after it, or None."""
    parts = [part for part in re.split(r"^## ", page, flags=re.MULTILINE) if part.startswith(SECTIONS)]
    assert len(parts) == len(SECTIONS)
    found = re.findall(r"```bash\n(.*?)```(?:\s+```json\n(.*?)```)?", "".join(parts), flags=re.DOTALL)
    return [(command, json.loads(answer) if answer else None) for command, answer in found]


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_every_example_succeeds_and_answers_what_is_shown(server, ledger):
    shown = examples(PAGE.read_text())
    assert len(shown) >= 5
    for command, answer in shown:
        done = subprocess.run(
            ["bash", "-ec", command.replace("127.0.0.1:3000", f"127.0.0.1:{server}")],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        assert answer is None or json.loads(done.stdout) == answer
    told = events(ledger)
    assert sorted(event["type"] for event in told) == ["excluded", "purchased", "sent", "unsubscribed"]
    assert {event["customer_id"] for event in told} & {"42", "43"} == {"43"}  # the last example forgets 42


def test_the_page_names_every_type_of_event():
    row = next(line for line in PAGE.read_text().splitlines() if line.startswith("| `type` |"))
    assert all(f"`{outcome}`" in row for outcome in OUTCOME_TYPES)


def table_after(heading: str) -> list[str]:
    """The rows of the first table below a heading of the page."""
    lines = PAGE.read_text().split(f"\n### {heading}\n")[1].splitlines()
    rows = [
        line for line in lines[: next(i for i, line in enumerate(lines) if line.startswith("#"))] if line[:1] == "|"
    ]
    return rows[2:]


def test_the_page_tells_every_key_of_an_answer_in_the_words_of_openapi():
    assert set(DECISION_FIELDS) >= set(DECISION_COLUMNS)
    assert table_after("What an answer says") == [f"| `{k}` | {v['description']} |" for k, v in DECISION_FIELDS.items()]


def test_the_page_tells_every_reason_code_in_the_words_of_explanations():
    told = code_words()
    rows = [f"| `{code}` | {'yes' if sends else 'no'} | {words} |" for code, sends, words in told]
    assert table_after("Reason codes") == rows
    rules = {*codes.RULES_OF_THE_PERSON, *codes.RULES_OF_AN_ACTION}
    rules |= {code.format("<channel>") for code in codes.RULES_OF_A_CHANNEL}
    assert rules <= {code for code, _, _ in told}
