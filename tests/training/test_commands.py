"""The data scientist's commands, as a user meets them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from propensity.errors import JobError
from propensity.ledger import Ledger
from propensity_training.source import Source

NAME = "propensity-hillstrom"


def people(n: int, seed: int) -> pd.DataFrame:
    """A file in the form of Hillstrom's, whose men's e-mail brings many visits."""
    rng = np.random.default_rng(seed)
    segment = rng.choice(["No E-Mail", "Mens E-Mail", "Womens E-Mail"], n)
    visit = rng.random(n) < np.where(segment == "Mens E-Mail", 0.4, 0.15)
    bought = visit & (rng.random(n) < 0.3)
    columns = {
        "recency": rng.integers(1, 13, n),
        "history": rng.gamma(2, 100, n).round(2),
        "mens": rng.integers(0, 2, n),
        "womens": rng.integers(0, 2, n),
        "zip_code": rng.choice(["Urban", "Rural"], n),
        "newbie": rng.integers(0, 2, n),
        "channel": rng.choice(["Web", "Phone"], n),
        "segment": segment,
        "visit": visit.astype(int),
        "conversion": bought.astype(int),
        "spend": np.where(bought, rng.gamma(2, 30, n).round(2), 0.0),
    }
    return pd.DataFrame(columns)


def promotions() -> list[dict]:
    ledger = Ledger("sqlite:///ledger.db").open()
    made = ledger.promotions()
    ledger.close()
    return made


@pytest.fixture
def place(empty_mlflow, tmp_path) -> Path:
    people(1_500, 1).to_csv(tmp_path / "people.csv", index=False)
    return tmp_path


def test_from_training_to_promotion_and_back(propensity, place):
    data = ("--data", "people.csv", "--mapping", "hillstrom")

    code, said, _ = propensity("train", *data, "--result", "train.json", "--report", "train.html")
    assert code == 0
    assert "Model report: train.html" in said
    assert "Model report · propensity-hillstrom" in (place / "train.html").read_text()
    assert f"{NAME} version 1 is the challenger, and the champion, because there was none" in said
    assert said.splitlines()[-1] == f"Next: propensity serve --model {NAME}"
    trained = json.loads((place / "train.json").read_text())
    assert {"registered", "model_version", "mode", "evidence", "n_training", "assessment"} <= set(trained)
    assert (trained["registered"]["version"], trained["split"]) == ("1", "customers")

    code, said, _ = propensity("train", *data, "--seed", 1)
    assert f"{NAME} version 2 is the challenger (" in said
    assert said.splitlines()[-1].endswith(f": propensity promote challenger --model {NAME}")

    # the very data of training: the held-out people and nobody else, and so the same figures
    code, said, _ = propensity(
        "evaluate", *data, "--alias", 1, "--result", "evaluation.json", "--report", "evaluation.html"
    )
    assert code == 0
    page = (place / "evaluation.html").read_text()
    assert f"Model report · {NAME}/1" in page
    assert f"Held out: {said.split('never saw: ')[1].split(' (')[0]}." in page
    found = json.loads((place / "evaluation.json").read_text())
    assert found["assessment"] == trained["assessment"]
    assert found["n_people_in_training"] == trained["n_training"]
    assert f"the data of the training itself: {trained['n_training']} of 1,500 people were in training" in said
    for words in ("mens_email to all", "visits", "net value, USD", "propensity slope", "AUTOC", "QINI"):
        assert words in said

    code, _, error = propensity("promote")
    assert (code, "does not exist; make it with: propensity ledger init sqlite:///ledger.db" in error) == (2, True)
    assert propensity("ledger", "init")[0] == 0
    code, said, _ = propensity("promote", "--who", "ann", "--result", "promotion.json")
    assert code == 0, said
    verdict = json.loads((place / "promotion.json").read_text())
    assert (verdict["passed"], verdict["promoted"]) == (True, True)
    assert f"{NAME}/2 is the champion now (it was {NAME}/1)." in said
    assert f"Services of {NAME} that run take it up within seconds" in said
    for check in ("value", "propensity calibration", "sample ratio", "unsubscribes"):
        assert re.search(rf"│ {check} +│ passed │", said)

    # asked again it has nothing to do; a number that is the champion's is a mistake
    code, said, _ = propensity("promote", "--retrained", "--result", "promotion.json")
    assert (code, said) == (0, f"{NAME}/2 is the champion already: nothing to promote.\n")
    assert json.loads((place / "promotion.json").read_text())["promoted"] is False
    assert len(promotions()) == 1
    assert propensity("promote", "2")[0] == 2

    said = propensity("models")[1]
    rows = [[cell.strip() for cell in line.split("│")[1:6]] for line in said.splitlines() if f"│ {NAME}" in line]
    assert [row[:3] for row in rows] == [[NAME, "2", "challenger, champion"], [NAME, "1", ""]]
    assert rows[0][4] == trained["mode"].replace("_", " ")

    assert propensity("promote", "--rollback", "--who", "bob", "--why", "complaints")[1].startswith(
        f"{NAME}/1 is the champion again (it was {NAME}/2)."
    )
    said = propensity("models", "--history")[1]
    assert re.search(r"│ 1 +│ 2 +│ promotion │ ann │ ", said)
    assert re.search(r"│ 2 +│ 1 +│ rollback +│ bob │ complaints", said)
    code, _, error = propensity("promote", "--rollback")
    assert (code, "nothing to roll back to" in error) == (2, True)


def test_an_evaluation_that_fails_leaves_files_as_they_were(propensity, place, monkeypatch):
    def fail(_):
        raise JobError("no page today")

    data = ("--data", "people.csv", "--mapping", "hillstrom")
    assert propensity("train", *data)[0] == 0
    (place / "report.html").write_text("before")
    there = sorted(f.name for f in place.iterdir())
    monkeypatch.setattr("propensity_training.report.render", fail)
    code, _, error = propensity("evaluate", *data, "--report", "report.html", "--result", "result.json")
    assert (code, error) == (1, "Error: no page today\n")
    assert (place / "report.html").read_text() == "before"
    assert sorted(f.name for f in place.iterdir()) == there


def test_a_refusal_is_an_exit_of_one_and_force_needs_a_reason(propensity, place):
    data = ("--data", "people.csv", "--mapping", "hillstrom")
    propensity("ledger", "init")
    propensity("train", *data)
    # who got what is shuffled: a model that knows nothing, and contacts nobody
    code, said, _ = propensity("train", *data, "--shuffle-arms", 1)
    assert "so nobody is contacted" in said
    code, said, error = propensity("promote", *data)
    assert (code, error) == (1, "")
    assert re.search(r"│ value +│ FAILED │", said)
    last = said.splitlines()[-1]
    assert last.startswith(f"{NAME}/2 is not promoted: The challenger is shown to be worth less, on the ")
    assert last.endswith(f"{NAME}/1 stays the champion.")
    assert promotions() == []

    code, _, error = propensity("promote", *data, "--force")
    assert (code, error) == (2, "Error: --force: needs --why TEXT, which goes into the ledger\n")
    code, said, _ = propensity("promote", *data, "--force", "--why", "a drill")
    assert (code, f"{NAME}/2 is the champion now (it was {NAME}/1), by force." in said) == (0, True)
    (row,) = promotions()
    assert (row["kind"], row["why"]) == ("forced", "a drill")


IMPOSSIBLE = [
    (("models",), 0, "No model is registered at sqlite:"),
    (("evaluate",), 2, "holds no registered model; make one with: propensity train"),
    (("promote", "--ledger", "sqlite:///l.db"), 2, "holds no registered model; make one with: propensity train"),
    (("promote", "--ledger", "sqlite:///l.db", "--rollback"), 2, "holds no registered model"),
    (("evaluate", "--model", "x"), 2, "has no model 'x' (registered models: none)"),
    (("promote", "--mapping", "x", "--seed", "0"), 2, "--mapping, --seed: only for the data that --data names; name"),
    (("promote", "2", "--rollback"), 2, "--rollback: goes back to the champion before this one; leave 2 out, or leave"),
    (("promote", "challenger", "--rollback"), 2, "leave --rollback out to promote challenger"),
    (("promote", "--rollback", "--retrained"), 2, "--retrained: no effect with --rollback, which asks no gate"),
    (
        ("train", "--ledger", "sqlite:///l.db", "--model", "x"),
        2,
        "--ledger: is read with --reproduce only; did you mean",
    ),
    (("train", "--ledger", "x", "--from-ledger", "y"), 2, "only; --from-ledger names the ledger already"),
    (("train", "--reproduce", "x", "--seed", "0", "--alias", "y"), 2, "--alias, --seed: no effect with --reproduce, "),
    (("train", "--reproduce", "x", "--ledger", "y"), 2, "has no run 'x'"),
    (
        ("train", "--data", "auto", "--from-ledger", "x"),
        2,
        "--data: no effect with --from-ledger, which takes the place",
    ),
    (("train", "--again", "--as-of", "2026-01-01"), 2, "--as-of, --again: need --from-ledger"),
    (("models", "--history"), 2, "ledger sqlite:///ledger.db: does not exist"),
    (("models", "--history", "--ledger", "sqlite:///l.db"), 0, "holds no promotion yet"),
    (("train", "--data", "people.csv", "--mapping", "hillstrom", "--split", "time"), 2, "taken within 0 days"),
]
"""Commands where nothing is registered, their exit codes, and what they say."""


def test_what_cannot_be_done_is_one_sentence(propensity, place):
    propensity("ledger", "init", "sqlite:///l.db")
    for command, code, said in IMPOSSIBLE:
        found, out, error = propensity(*command)
        assert (found, command) == (code, command)
        assert said in (error if code else out)
        assert len(error.splitlines()) == (1 if code else 0), command


NO_MODEL = [("models",), ("wave", "june"), ("decide", "people.csv"), ("evaluate",), ("evaluate", "--model", "x")]


@pytest.mark.parametrize("command", NO_MODEL, ids=" ".join)
def test_looking_for_a_model_leaves_nothing_where_there_is_none(propensity, elsewhere, monkeypatch, command):
    # a name of its own: MLflow keeps what it made at one
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{elsewhere / 'mlflow.db'}")
    code, said, error = propensity(*command)
    assert code == (0 if command == ("models",) else 2)
    assert "make one with: propensity train" in said + error
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize(
    "source",
    [
        Source("simulated", seed=3),
        Source("hillstrom", shuffle_arms=2, quarantine=True),
        Source("tables", people_share=0.25),
        Source("people.csv", mapping="hillstrom", playbook="mine.toml"),
    ],
)
def test_a_run_remembers_where_its_data_came_from(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "people.csv").touch()
    again = Source.from_parameters({**source.to_parameters(), "seed": "0", "data": "something else"})
    assert (again.seed, again.shuffle_arms, again.quarantine) == (source.seed, source.shuffle_arms, source.quarantine)
    assert again.mapping == source.mapping
    # a file by its full name, so that the next command may be run from elsewhere; a name as it is
    assert again.data == (str(tmp_path / "people.csv") if source.data == "people.csv" else source.data)
    assert Source.from_parameters({"seed": "0"}) is None
