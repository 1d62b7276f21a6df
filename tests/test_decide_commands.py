"""`propensity decide` as a user meets it: one sentence for what is wrong and nothing written, cautions for the rest."""

from __future__ import annotations

import pandas as pd
import pytest


@pytest.fixture
def source(small_dataset, tmp_path, monkeypatch):
    people = small_dataset.customers.drop_duplicates("customer_id").head(120)
    people.to_parquet(tmp_path / "people.parquet", index=False)
    monkeypatch.chdir(tmp_path)
    return people


@pytest.fixture
def decide(propensity, mlflow_of_trained, source):
    def run(*options, file="people.parquet", at="2026-05-01"):
        return propensity("decide", file, "--out", "out.parquet", "--at", at, *options)

    return run


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--budget", "inf"], "--budget inf: expected a finite number"),
        (["--budget", "nan"], "--budget"),
        (["--budget", "-1"], "--budget"),
        (["--weeks", "inf"], "--weeks inf: expected a finite number"),
        (["--weeks", "nan"], "--weeks"),
        (["--weeks", "-1"], "--weeks"),
        (["--at", "tomorrow"], "--at tomorrow: expected a time such as 2026-01-31"),
        (["--campaign", " "], "--campaign: expected a name"),
        (["--suppressed", "blank.txt"], "--suppressed blank.txt: holds no id; write one id a line"),
        (["--suppressed", "."], "--suppressed .: cannot be read (Is a directory); name a text file"),
        (["--workers", "2"], "--scheduler and --workers: need --engine dask"),
        (["--engine", "dask", "--what-if"], "--engine dask: a what-if is worked out here"),
        (["--suppressed", "latin.txt"], "--suppressed latin.txt: is no UTF-8 text (byte 1)"),
        (["--contacts", "contacts.csv", "--outcomes", "outcomes.csv"], "contacts.cost: 1 row: expected at least 0"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_nothing_is_written(decide, small_dataset, tmp_path, options, said):
    (tmp_path / "blank.txt").write_text("\n \n\t\n")
    (tmp_path / "latin.txt").write_bytes(b"M\xfcller\n")
    small_dataset.contacts.head(3).assign(cost=[0, -1, 0]).to_csv("contacts.csv", index=False)
    small_dataset.outcomes.head(3).to_csv("outcomes.csv", index=False)
    before = sorted(p.name for p in tmp_path.iterdir())
    code, out, error = decide(*options)
    assert (code, out) == (2, "")
    assert said in error
    assert sorted(p.name for p in tmp_path.iterdir()) == before


def test_a_time_without_zone_is_utc(decide):
    for written in ("2026-05-01T10:00", "2026-05-01T12:00:00+02:00"):
        code, out, _ = decide(at=written)
        assert code == 0
        assert "Decided as of 2026-05-01 10:00 UTC with " in out


def test_workers_of_dask_decide_the_same(decide, dask_installed, tmp_path):
    assert decide("--budget", "1")[0] == 0
    here = (tmp_path / "out.parquet").read_bytes()
    code, out, _ = decide("--budget", "1", "--engine", "dask", "--workers", "1")
    assert code == 0
    assert "120 people" in out
    assert (tmp_path / "out.parquet").read_bytes() == here


def test_blanks_around_a_campaign_make_no_other(decide):
    assert decide("--campaign", " spring ")[0] == 0
    spaced = pd.read_parquet("out.parquet")
    assert set(spaced["campaign"]) == {"spring"}
    assert decide("--campaign", "spring")[0] == 0
    pd.testing.assert_frame_equal(pd.read_parquet("out.parquet"), spaced)


def test_blanks_around_suppressed_ids_do_no_harm(decide, source, tmp_path):
    ids = source["customer_id"].head(3).tolist()
    (tmp_path / "ids.txt").write_text("\ufeff\n" + "\n\n".join(f"  {i} " for i in ids) + "\n \n")
    assert decide("--suppressed", "ids.txt")[0] == 0
    codes = pd.read_parquet("out.parquet").set_index("customer_id")["reason_codes"]
    assert [list(codes[i]) for i in ids] == [["suppressed"]] * 3


def test_cautions_are_shown_after_the_tables(decide, source, tmp_path):
    source.drop(columns="consent_email").to_csv(tmp_path / "no_consent.csv", index=False)
    code, out, _ = decide(file="no_consent.csv")
    assert code == 0
    assert "Caution: nobody can get email: the customers have no column consent_email; add it, true for" in out
    assert not pd.read_parquet("out.parquet")["send"].any()
    assert "Caution" not in decide()[1]


def test_what_is_tried_stands_apart_from_what_pays(decide):
    _, out, _ = decide("--explain")
    found = pd.read_parquet("out.parquet")
    sent = found[found["send"]]
    pays = int((sent["assignment"] == "policy").sum())
    row = next(line for line in out.splitlines() if "chosen because it pays" in line)
    assert str(pays) in row
    assert ("tried to learn" in out) == (pays < len(sent))
    assert found["explanation"].str.endswith(".").all()
