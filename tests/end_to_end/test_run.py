"""The whole job, as a user runs it: one command, and everything that it leaves behind agrees."""

from __future__ import annotations

import html
import json
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from propensity.decision import DECISION_COLUMNS
from propensity.frame import is_held_out_of_training
from propensity.ledger import Ledger, playbook_approvals

pytestmark = [pytest.mark.real_data, pytest.mark.slow]

FILES = {"summary.html", "summary.json", "decisions.parquet", "ledger.db", "training.json", "service.log"}


def run(directory: Path, *options: str) -> tuple[str, Path]:
    """What a run said, and its directory."""
    before = set(directory.glob("runs/2*"))
    done = subprocess.run(
        [sys.executable, "-m", "propensity", "run", *options], cwd=directory, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    (made,) = set(directory.glob("runs/2*")) - before
    assert (directory / "runs" / "latest").resolve() == made.resolve()
    return done.stdout, made


@pytest.fixture(scope="module")
def place(hillstrom_file, tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("work")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setenv("PROPENSITY_DATA", str(hillstrom_file.parent))
        yield directory


@pytest.fixture(scope="module")
def first(place) -> tuple[str, Path]:
    return run(place, "--data", "hillstrom")


@pytest.fixture(scope="module")
def summary(first) -> dict:
    return json.loads((first[1] / "summary.json").read_text())


def test_it_says_first_which_data_and_then_each_step(first):
    lines = first[0].splitlines()
    assert lines[0].startswith("Data: the Hillstrom e-mail experiment, found in ")
    assert [line[:5] for line in lines[1:7]] == [f"[{i}/6]" for i in range(1, 7)]


def test_every_file_is_there_and_nothing_half_done_is(first):
    said, directory = first
    assert {f.name for f in directory.iterdir()} == FILES
    assert {p.name for p in directory.parent.iterdir()} == {directory.name, "latest"}
    for name in ("summary.html", "summary.json", "decisions.parquet", "ledger.db"):
        assert f"runs/{directory.name}/{name}" in said


def test_there_is_one_decision_for_each_held_out_person(first, hillstrom):
    decisions = pd.read_parquet(first[1] / "decisions.parquet")
    assert tuple(decisions.columns) == DECISION_COLUMNS
    people = hillstrom.customers["customer_id"]
    held_out = people[is_held_out_of_training(people, 0.5, 0)]
    assert sorted(decisions["customer_id"]) == sorted(held_out)
    assert decisions["decision_id"].is_unique
    assert decisions["probability"].between(0, 1, inclusive="right").all()
    assert not decisions.loc[decisions["assignment"] == "holdout", "send"].any()
    assert set(decisions["model_version"]) == {"propensity-hillstrom/1"}


def test_the_ledger_holds_the_same_decisions_and_the_experiment(first, hillstrom):
    decisions = pd.read_parquet(first[1] / "decisions.parquet").set_index("decision_id")
    ledger = Ledger(f"sqlite:///{first[1] / 'ledger.db'}").open()
    recorded = ledger.decisions("minethatdata-2008-next").set_index("decision_id").loc[decisions.index]
    for column in ("customer_id", "action", "assignment", "send", "probability"):
        assert list(recorded[column]) == list(decisions[column])
    assert len(ledger.contacts("minethatdata-2008")) == len(hillstrom.contacts)
    assert ledger.outcomes("minethatdata-2008").query("source == 'hillstrom'")["type"].value_counts().to_dict() == (
        hillstrom.outcomes["type"].value_counts().to_dict()
    )
    (approval,) = playbook_approvals(ledger)
    assert (approval["who"], approval["version"]) == ("propensity run", hillstrom.playbook.version)
    assert "a rehearsal on past data" in approval["why"]
    ledger.close()


def test_the_summary_has_the_figures_of_the_data(summary, hillstrom_frame):
    totals = {o["outcome"]["key"]: {x["action"]: x for x in o["totals"]} for o in summary["outcomes"]}
    assert list(totals) == ["reactivated", "purchased", "revenue", "net_value"]
    back, money = totals["reactivated"], totals["revenue"]
    for action, people in hillstrom_frame.groupby("action"):
        assert back[action]["people"] == len(people)
        assert back[action]["with_it"] == people["reactivated"].sum()
        assert money[action]["total"] == pytest.approx(people["revenue"].sum())
    assert summary["health"]["sample_ratio"]["p_value"] == pytest.approx(0.90, abs=0.005)


def test_terminal_page_and_files_say_the_same(first, summary):
    said, directory = first
    page = " ".join(html.unescape(re.sub(r"<[^>]+>", " ", (directory / "summary.html").read_text())).split())
    verdict = summary["verdict"]
    for sentence in (verdict["headline"], *verdict["sentences"]):
        assert sentence in said
        assert sentence in page
    decisions = pd.read_parquet(directory / "decisions.parquet")
    sent = int(decisions["send"].sum())
    assert sum(summary["next_wave"]["sent"].values()) == sent
    assert f"contact {sent:,} (" in said
    trained = json.loads((directory / "training.json").read_text())
    assert summary["assessment"] == trained["assessment"]
    assert summary["model_version"] == trained["model_version"]


def test_a_second_run_on_ones_own_file_works_beside_the_first(place, first, hillstrom_file):
    before = {f: f.stat().st_mtime_ns for f in first[1].iterdir()}
    pd.read_csv(hillstrom_file, nrows=3_000).to_csv(place / "mine.csv", index=False)
    said, directory = run(place, "--data", "mine.csv", "--mapping", "hillstrom")
    assert said.startswith("Data: the file mine.csv, as asked.")
    assert set(pd.read_parquet(directory / "decisions.parquet")["model_version"]) == {"propensity-hillstrom/2"}
    assert {f: f.stat().st_mtime_ns for f in first[1].iterdir()} == before
