"""docs/loop.md: its block runs as a script that ends with the first failure, in the first month and in later ones."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pandas as pd
import pytest

from propensity import registry
from propensity.simulation import SimulatedProgram, simulate

PAGE = Path(__file__).parents[2] / "docs" / "loop.md"
ALARM = 3
DAY = pd.Timedelta(days=1)


@pytest.fixture
def month(propensity, empty_mlflow, tmp_path, monkeypatch):
    """Runs the page's block here, and gives what each command said by its name."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (block,) = re.findall(r"```bash\n(.*?)```", PAGE.read_text(), re.DOTALL)
    first, *lines = block.splitlines()
    assert first == "set -e"

    def run() -> dict[str, str]:
        said = {}
        for line in lines:
            command, _, otherwise = line.partition("||")
            program, name, *arguments = shlex.split(command, comments=True)
            assert program == "propensity"
            code, out, error = propensity(name, *arguments)
            may_fail = bool(otherwise) or (name == "monitor" and code == ALARM)
            assert code == 0 or may_fail, (line, out, error)
            said[" ".join([name, *arguments[: name == "ledger"]])] = out + error
        return said

    return run


def exported(program: SimulatedProgram, directory: Path) -> None:
    """A program whose windows closed lately, and people who left two months ago and were seen yesterday."""
    today = pd.Timestamp.now("UTC").floor("D")
    moved = today - 100 * DAY - program.contacts["decided_at"].max()
    tables = {
        name: table.assign(**{c: table[c] + moved for c in table.select_dtypes("datetimetz")})
        for name, table in (
            ("customers", program.customers),
            ("contacts", program.contacts),
            ("outcomes", program.outcomes),
        )
    }
    left = tables["customers"].drop_duplicates("customer_id").tail(100)
    left = left.assign(customer_id="left" + left["customer_id"], as_of=today - DAY, churned_at=today - 60 * DAY)
    refused = {
        f"consent_{channel}": False for channel in ("direct_mail", "direct_outreach", "push", "retargeting_ad", "sms")
    }
    tables["customers"] = pd.concat([tables["customers"], left], ignore_index=True).assign(**refused)
    directory.mkdir(exist_ok=True)
    for name, table in tables.items():
        table.to_parquet(directory / f"{name}.parquet", index=False)


def test_the_block_runs_in_the_first_and_in_later_months(month, email_playbook, tmp_path):
    exported(simulate(1_500, seed=1, playbook=email_playbook, effect_scale=12), tmp_path / "export")
    said = month()
    (name,) = {row["name"] for row in registry.versions()}
    assert said["promote"] == f"{name}/1 is the champion already: nothing to promote.\n"
    assert "Decided on 100 people" in said["wave"]
    # a month in which nothing was learnt
    said = month()
    assert "Nothing is trained" in said["train"]
    assert "nothing to promote" in said["promote"]
    assert "100 had a decision of this round already, which stands; 0 came up since" in said["wave"]
    # a month with more to learn from
    exported(simulate(2_200, seed=1, playbook=email_playbook, effect_scale=12), tmp_path / "export")
    said = month()
    assert f"{name}/2" in said["promote"]
    assert "The gate" in said["promote"]
    assert "decision of this round already" in said["wave"]
