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
