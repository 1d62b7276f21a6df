"""A company's own labels for why people left: in files, in mappings, and in the report on how well they are told."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from propensity.contract import REASONS
from propensity.errors import InputError
from propensity.leavers import read_leavers

LABELS = """
name = "mine"
[labels]
"Too dear" = "price"
"Nobody answered" = "service_problem"
"Who knows" = "unknown"
"Died" = "excluded"
"""


@pytest.fixture
def labels(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(LABELS, encoding="utf-8")
    return file


def people(n=400, seed=0, *, strength=1.5):
    rng = np.random.default_rng(seed)
    why = rng.choice(["Too dear", "Nobody answered", "Who knows", "Died"], n, p=[0.5, 0.4, 0.08, 0.02])
    return pd.DataFrame(
        {
            "id": [f"a{i}" for i in range(n)],
            "bill": rng.normal(size=n) + strength * (why == "Too dear"),
            "plan": rng.choice(["s", "m", "l"], n),
            "why": why,
        }
    )


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "leavers.csv"
    people().to_csv(path, index=False)
    return path


def test_labels_become_reasons_and_excluded_people_are_left_out_and_counted(propensity, file, labels, tmp_path):
    out = tmp_path / "mapped.csv"
    code, said, _ = propensity("reasons", "map", file, "--labels", labels, "--column", "why", "--out", out)
    before, after = people(), pd.read_csv(out)
    died = before["why"] == "Died"
    assert code == 0
    assert f"{died.sum()} more are excluded" in said
    assert after["id"].tolist() == before.loc[~died, "id"].tolist()
    expected = before.loc[~died, "why"].map({"Too dear": "price", "Nobody answered": "service_problem"})
    assert after["reason"].fillna("").tolist() == expected.fillna("").tolist()


def test_an_unknown_label_is_named_with_its_rows_and_the_choices(propensity, file, tmp_path):
    (tmp_path / "short.toml").write_text(LABELS.replace('"Nobody answered"', '"Nobody answerd"'), encoding="utf-8")
    code, _, error = propensity("reasons", "map", file, "--labels", tmp_path / "short.toml", "--column", "why")
    n = int((people()["why"] == "Nobody answered").sum())
    assert code == 2
    assert f"'Nobody answered' ({n} rows; did it mean 'Nobody answerd'?)" in error
    assert ", ".join(REASONS) + ", unknown, excluded" in error


def test_without_a_table_labels_must_be_ours_and_the_error_says_what_helps(propensity, file):
    code, _, error = propensity("reasons", "report", file, "--column", "why")
    assert code == 2
    assert "'Too dear'" in error
    assert "--labels TABLE" in error


def test_what_is_not_there_is_named(propensity, file, labels, tmp_path):
    assert "no such file; name a CSV or Parquet file, or an example: telco" in propensity("reasons", "report", "x")[2]
    code, _, error = propensity("reasons", "report", file, "--labels", labels, "--column", "whi")
    assert (code, "no column 'whi' (did it mean 'why'?)" in error) == (2, True)
    assert "ends in .csv or .parquet" in propensity("reasons", "map", file, "--out", tmp_path / "x.txt")[2]
    people(30).to_csv(tmp_path / "few.csv", index=False)
    code, _, error = propensity("reasons", "report", tmp_path / "few.csv", "--labels", labels, "--column", "why")
    assert (code, "at least two reasons that 25 people or more stated" in error) == (2, True)


def test_the_report_says_whether_reasons_can_be_told(propensity, file, labels, tmp_path):
    asked = ("--labels", labels, "--column", "why", "--json", tmp_path / "report.json")
    code, said, _ = propensity("reasons", "report", file, *asked)
    assert code == 0
    assert "The features say something about why people left" in said
    assert "Decisions use it" in said
    told = json.loads((tmp_path / "report.json").read_text())
    assert told["features"] == ["bill", "plan"]
    (report,) = told["reports"]
    assert report["told_from"] == "features"
    assert report["gain"]["low"] > 0
    assert report["counts"] == {
        "price": int((people()["why"] == "Too dear").sum()),
        "service_problem": int((people()["why"] == "Nobody answered").sum()),
    }
    people(strength=0).to_csv(file, index=False)
    _, said, _ = propensity("reasons", "report", file, *asked)
    assert "The features say next to nothing about why people left" in said
    assert "decisions do not use it" in said


def test_answers_are_judged_too_and_no_word_of_them_is_shown(propensity, file, labels):
    written = people()
    secret = "Wolfeschlegelsteinhausen"
    written["answer"] = written["why"].map({"Too dear": "costs a lot", "Nobody answered": "no reply"}) + f" {secret}"
    written.to_csv(file, index=False)
    code, said, _ = propensity("reasons", "report", file, "--labels", labels, "--column", "why", "--answers", "answer")
    assert code == 0
    assert "The exit answers say something about why people left" in said
    assert secret not in said


def test_a_column_that_gives_the_reason_away_is_named(tmp_path, labels):
    leavers = people(strength=0).assign(category=lambda p: p["why"].str[:3])
    leavers.to_csv(tmp_path / "leavers.csv", index=False)
    found = read_leavers(str(tmp_path / "leavers.csv"), labels=labels, column="why")
    assert found.revealing == ["category"]
    assert found.without_pattern == ["id"]
    again = read_leavers(str(tmp_path / "leavers.csv"), labels=labels, column="why", without=["category"])
    assert again.revealing == []
    assert list(again.features) == ["bill", "plan"]
    with pytest.raises(InputError, match=r"no column 'categry' \(did it mean 'category'\?\)"):
        read_leavers(str(tmp_path / "leavers.csv"), labels=labels, column="why", without=["categry"])


def test_the_telephone_company_is_an_example_that_can_be_run_by_its_name(telco_file):
    found = read_leavers("telco")
    assert (len(found.reason), found.n_excluded, int(found.reason.notna().sum())) == (1863, 6, 1733)
    assert found.features.shape[1] == 32
    assert found.revealing == []
    # the churn itself, had the table not named it
    whole = read_leavers(str(telco_file), labels="telco")
    assert whole.not_features == found.not_features
