"""A wave in the ledger: all of it or nothing, once, and by what is known of the people."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa
from scipy import stats

from propensity import files
from propensity import wave_people as module
from propensity.contract import PROBABILITY_PREFIX
from propensity.decide_file import decide_file
from propensity.errors import InputError, JobError
from propensity.ledger import Ledger, StagedWave, migrating, schema
from propensity.policy import is_held_out
from propensity.wave_file import WaveFile

CAMPAIGN = "autumn"
BUDGET = 0.8


@pytest.fixture(scope="module")
def people(small_dataset):
    return small_dataset.customers.drop_duplicates("customer_id").head(600).reset_index(drop=True)


@pytest.fixture(scope="module")
def at(people):
    """Two months after the last of them was seen."""
    return people["as_of"].max() + pd.Timedelta(days=60)


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    monkeypatch.setattr(module, "BATCH", 250)


@pytest.fixture
def decided(small_model, ledger, people, at, tmp_path):
    """Decides for people within a small budget, and records it."""

    def decide(who=people, name="decisions.parquet", at=at, campaign=CAMPAIGN, budget=BUDGET, **options):
        source = tmp_path / "customers.parquet"
        who.to_parquet(source)
        wave = WaveFile(source, at, campaign=campaign, budget=budget, ledger=ledger, **options)
        summary = decide_file(small_model, wave, tmp_path / name)
        return pd.read_parquet(tmp_path / name), summary

    return decide


def count(ledger: Ledger, table: sa.Table) -> int:
    with ledger.engine.connect() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(table))


def event(person: str, kind: str, at: pd.Timestamp) -> pd.DataFrame:
    row = {"event_id": f"{kind}-{person}", "source": "esp", "customer_id": person, "at": at, "type": kind}
    return pd.DataFrame([row])


def same(found: pd.DataFrame, other: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(found, other, check_exact=False, rtol=1e-12)


# ----------------------------------------------------------------------------------------------- whole and once


def test_what_is_recorded_is_what_is_in_the_file(ledger, decided, people, at, small_model, tmp_path):
    found, summary = decided()
    rows = ledger.assignments(CAMPAIGN).set_index("customer_id").loc[people["customer_id"]].reset_index()
    for column in ("decision_id", "action", "assignment", "would_have_sent"):
        assert rows[column].tolist() == found[column].tolist(), column
    np.testing.assert_allclose(rows["probability"], found["probability"])
    assert (rows["decided_at"] == at).all()
    chances = rows[[PROBABILITY_PREFIX + a for a in small_model.actions]]
    np.testing.assert_allclose(chances.sum(axis=1), 1)
    drawn = [row[PROBABILITY_PREFIX + row["action"]] for _, row in rows.iterrows()]
    np.testing.assert_allclose(drawn, rows["probability"])
    (wave,) = ledger.waves()
    assert set(rows["wave_id"]) == {wave["id"]}
    assert (wave["people"], wave["standing"], wave["budget"]) == (len(people), 0, BUDGET)
    assert wave["limits"]["budget"] == {
        "amount": BUDGET,
        "used": pytest.approx(rows["spend"].sum()),
        "price": summary.prices["budget"],
    }
    assert wave["limits"]["budget"]["price"] > 0
    assert set(wave["terms"]["explore_weights"]) == set(small_model.actions[1:])
    assert wave["funnel"][0] == {"step": "in the wave", "stopped": 0, "left": len(people)}
    assert wave["file_sha256"] == hashlib.sha256((tmp_path / "customers.parquet").read_bytes()).hexdigest()
    assert sorted(p.name for p in tmp_path.iterdir() if "ledger.db" not in p.name) == [
        "customers.parquet",
        "decisions.parquet",
    ]


def test_what_decisions_were_made_from_is_recorded_and_nothing_else(ledger, decided, people):
    decided(people.assign(email="somebody@example.org"))
    kept = ledger.customers(CAMPAIGN)
    told = people.sort_values("customer_id").reset_index(drop=True)
    assert "email" not in kept
    assert kept["churned_at"].tolist() == told["churned_at"].tolist()
    assert kept["annual_value"].tolist() == pytest.approx(told["annual_value"].tolist(), nan_ok=True)


def test_the_same_wave_twice_is_recorded_once_and_gives_the_same_file(ledger, decided, people, at):
    ledger.add_outcomes(event(people["customer_id"].iloc[0], "unsubscribed", at - pd.Timedelta(days=1)))
    first, counted = decided()
    before = ledger.assignments(CAMPAIGN)
    again, counted_again = decided(name="again.parquet", at=at + pd.Timedelta(hours=1))
    same(again, first)
    same(ledger.assignments(CAMPAIGN), before)
    assert (counted.standing, counted_again.standing) == (0, len(people))
    assert [c["campaign"] for c in ledger.campaigns()] == [CAMPAIGN]
    assert counted_again.used == pytest.approx(counted.used)
    assert counted_again.prices == counted.prices
    assert len(ledger.waves()) == 1


def test_who_comes_later_gets_what_is_left_over(ledger, decided, people, small_model):
    first, _ = decided(people.head(400))
    both, counted = decided(name="both.parquet")
    same(both.head(400), first)
    assert counted.standing == 400
    spent = ledger.assignments(CAMPAIGN)["spend"].sum()
    assert 0 < spent <= BUDGET
    assert counted.used["budget"] == pytest.approx(spent)
    one, two = ledger.waves()
    assert two["terms"]["prices"]["budget"] >= one["terms"]["prices"]["budget"]
    assert (two["people"], two["standing"]) == (600, 400)


# --------------------------------------------------------------------------------------------------- or nothing


def fail(*_, **__):
    raise OSError("no space left on device")


@pytest.mark.parametrize(
    ("owner", "name"), [(StagedWave, "add"), (Ledger, "insert"), (StagedWave, "_require_all"), (files.os, "replace")]
)
def test_whatever_fails_nothing_is_recorded_and_the_old_file_stays(ledger, decided, monkeypatch, tmp_path, owner, name):
    old, _ = decided(campaign="before")
    rows = {table: count(ledger, table) for table in schema.metadata.sorted_tables}
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, fail)
        with pytest.raises(OSError, match="no space"):
            decided()
    assert {table: count(ledger, table) for table in schema.metadata.sorted_tables} == rows
    same(pd.read_parquet(tmp_path / "decisions.parquet"), old)
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("happens", ["decided", "erased"])
def test_a_person_who_is_decided_on_or_erased_meanwhile_stops_the_wave(
    ledger, decided, small_model, people, at, monkeypatch, tmp_path, happens
):
    one = people.head(1)
    commit = StagedWave.record

    def meanwhile(self, about, **values):
        if happens == "decided":
            decisions, chances = small_model.decide_with_probabilities(one, at=at, campaign=CAMPAIGN)
            ledger.add_decisions(decisions, at, chances)
        else:
            ledger.erase(one["customer_id"].iloc[0])
        commit(self, about, **values)

    monkeypatch.setattr(StagedWave, "record", meanwhile)
    with pytest.raises(JobError, match=r"1 of 600 people were decided on or erased .* run it again"):
        decided()
    assert ledger.waves() == []
    assert count(ledger, schema.decisions) == (happens == "decided")
    assert not (tmp_path / "decisions.parquet").exists()


# ------------------------------------------------------------------------------------------- what the ledger knows


@pytest.fixture
def told(ledger, small_dataset):
    """The ledger with what was sent to these people before, and what they did."""
    ledger.add_contacts(small_dataset.contacts)
    ledger.add_outcomes(small_dataset.outcomes)
    return ledger


@pytest.mark.parametrize("days", [3, 60])
def test_what_the_ledger_knows_counts_as_what_files_say(
    told, decided, small_model, small_dataset, people, tmp_path, days
):
    when = small_dataset.contacts["decided_at"].max() + pd.Timedelta(days=days)
    known, _ = decided(at=when, budget=1e9)
    wave = WaveFile(tmp_path / "customers.parquet", when, campaign=CAMPAIGN, budget=1e9)
    tables = {"contacts": small_dataset.contacts, "outcomes": small_dataset.outcomes}
    decide_file(small_model, replace(wave, **tables), tmp_path / "files.parquet")
    said = pd.read_parquet(tmp_path / "files.parquet")
    decide_file(small_model, wave, tmp_path / "nothing.parquet")
    assert (pd.read_parquet(tmp_path / "nothing.parquet")["assignment"] != said["assignment"]).any()
    # who opted out, whenever that was, is suppressed by the ledger whatever else holds
    opted_out = known["customer_id"].isin(told.suppressed(people["customer_id"].tolist()))
    assert {codes[0] for codes in known.loc[opted_out, "reason_codes"]} == {"suppressed"}
    for column in ("action", "assignment", "touch"):
        assert known.loc[~opted_out, column].tolist() == said.loc[~opted_out, column].tolist(), column
    codes = [list(table.loc[~opted_out, "reason_codes"].str[0]) for table in (known, said)]
    assert codes[0] == codes[1]


def test_a_decision_of_another_campaign_is_a_touch_and_the_standing_one_is_not(decided, at):
    first, _ = decided(budget=1e9)
    touched = first["send"]
    other, _ = decided(name="other.parquet", campaign="other", at=at + pd.Timedelta(hours=1), budget=1e9)
    assert touched.any()
    assert {codes[0] for codes in other.loc[touched, "reason_codes"]} == {"touched_too_recently"}
    assert other.loc[~touched, "send"].any()
    again, _ = decided(name="again.parquet", at=at + pd.Timedelta(hours=1), budget=1e9)
    same(again, first)


@pytest.mark.parametrize(
    ("happens", "code"),
    [
        ("unsubscribed", "suppressed"),
        ("complained", "suppressed"),
        ("purchased", "already_back"),
        ("erased", "suppressed"),
    ],
)
def test_who_must_be_left_alone_is_not_contacted_on_the_strength_of_a_decision_that_stands(
    ledger, decided, at, happens, code
):
    first, _ = decided(budget=1e9)
    person = first.loc[first["send"], "customer_id"].iloc[0]
    later = at + pd.Timedelta(hours=1)
    if happens == "erased":
        ledger.erase(person)
    else:
        ledger.add_outcomes(event(person, happens, later))
    again, summary = decided(name="again.parquet", at=later + pd.Timedelta(hours=1), budget=1e9)
    shown = again.set_index("customer_id").loc[person]
    assert (shown["send"], shown["reason_codes"][0]) == (False, code)
    others = first["customer_id"] != person
    same(again[others], first[others])
    assert summary.used["budget"] < 1e9
    assert len(ledger.waves()) == 1
    rows = ledger.assignments(CAMPAIGN)
    assert len(rows) == len(first)
    assert (person in set(rows["customer_id"])) == (happens != "erased")


def test_who_took_the_consent_back_is_not_contacted_on_the_strength_of_a_decision_that_stands(
    ledger, decided, people, small_model
):
    first, _ = decided(budget=1e9)
    email = first["send"] & (first["channel"] == "email")
    assert email.any()
    # whoever's consent is not known keeps what stands
    said = people["consent_email"].astype("boolean").mask(first["customer_id"].isin(first.loc[email, "customer_id"]))
    assert small_model.playbook.channels["email"].needs_consent
    same(decided(people.assign(consent_email=said), name="unknown.parquet", budget=1e9)[0], first)
    gone = first.loc[email, "customer_id"].iloc[:3]
    now = people.assign(consent_email=people["consent_email"].mask(people["customer_id"].isin(gone), False))
    again, _ = decided(now, name="again.parquet", budget=1e9)
    withdrawn = again["customer_id"].isin(gone)
    assert not again.loc[withdrawn, "send"].any()
    assert again.loc[withdrawn, "reason_codes"].map(list).tolist() == [["no_consent_email"]] * 3
    assert again["decision_id"].tolist() == first["decision_id"].tolist()
    same(again[~withdrawn], first[~withdrawn])
    assert set(ledger.assignments(CAMPAIGN).set_index("customer_id").loc[gone, "action"]) != {"control"}


def test_the_erased_leave_no_name_and_still_count(ledger, decided, people):
    found, _ = decided()
    held = found[found["assignment"] == "holdout"]
    person = held["customer_id"].iloc[0]
    before = ledger.assignments(CAMPAIGN)
    ledger.erase(person)
    after = ledger.assignments(CAMPAIGN)
    for column in ("would_have_sent", "assignment", "wave_id"):
        assert sorted(after[column]) == sorted(before[column])
    key = held["decision_id"].iloc[0]
    with ledger.engine.connect() as connection:
        for table in schema.metadata.sorted_tables:
            for row in connection.execute(sa.select(table)):
                assert person not in str(row)
                assert key not in str(row)


# ------------------------------------------------------------------------------------------------ holdouts, chances


def test_holdouts_are_the_same_people_in_every_wave_and_what_they_would_have_got_is_kept(
    ledger, decided, people, at, small_model
):
    learning = small_model.playbook.learning
    months = [at, at + pd.Timedelta(days=40)]
    held = []
    for campaign in (CAMPAIGN, "winter"):
        for when in months:
            decided(at=when, campaign=campaign)
        rows = ledger.assignments(campaign).merge(people[["customer_id"]])
        free = rows[rows["assignment"] != "suppressed"]
        expected = is_held_out(free["customer_id"], campaign, learning)
        assert ((free["assignment"] == "holdout") == expected).all()
        assert free["decided_at"].nunique() == 2
        held.append(set(free.loc[expected, "customer_id"]))
        assert set(free.loc[expected, "would_have_sent"]) > {"control"}
    everywhere, only_here = held[0] & held[1], held[0] - held[1]
    assert everywhere
    assert only_here


def test_an_answer_of_an_older_ledger_says_what_would_have_been_sent(ledger, decided):
    found, _ = decided()
    migrating.downgrade(ledger.engine, "0002")  # when the database did not refuse changes yet
    with ledger.engine.begin() as connection:
        connection.execute(sa.update(schema.decisions).values(would_have_sent=None))
    rows = ledger.assignments(CAMPAIGN).set_index("decision_id")
    assert rows.loc[found["decision_id"], "would_have_sent"].tolist() == found["would_have_sent"].tolist()


@pytest.mark.parametrize("budget", [None, 150.0], ids=["free", "budget"])
def test_who_got_what_agrees_with_the_recorded_chances(wave, wave_model, tmp_path, monkeypatch, budget):
    """Within eligibility, a budget, a capacity and exploration's weights: each action, for people alike, and by what
    they would have got; no deviation beyond chance in any cell (two-sided, 1 % over all cells)."""
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}").create()
    book = wave_model.playbook
    channels = {**book.channels, "email": book.channels["email"].model_copy(update={"capacity_per_week": 150})}
    monkeypatch.setattr(wave_model, "playbook", book.model_copy(update={"channels": channels}))
    everybody = wave.unseen_customers
    for number in range(4):
        everybody.iloc[number::4].to_parquet(tmp_path / "part.parquet")
        part = WaveFile(
            tmp_path / "part.parquet",
            everybody["as_of"].max() + pd.Timedelta(days=60),
            campaign=f"c{number}",
            budget=budget,
            ledger=ledger,
        )
        decide_file(wave_model, part, tmp_path / "out.parquet")
    rows = pd.concat([ledger.assignments(f"c{number}") for number in range(4)], ignore_index=True)
    assert len(rows) == len(everybody)
    weights = np.array([list(w["terms"]["explore_weights"].values()) for w in ledger.waves()])
    assert weights.min() < 1
    z = []
    for _, group in [("all", rows), *rows.groupby("would_have_sent")]:
        for action in wave_model.actions:
            chance = group[PROBABILITY_PREFIX + action].to_numpy()
            variance = (chance * (1 - chance)).sum()
            got = (group["action"] == action).to_numpy()
            if variance > 5:
                z.append((got.sum() - chance.sum()) / np.sqrt(variance))
            elif variance < 1e-9:
                assert got.sum() == pytest.approx(chance.sum())
    assert len(z) > 10
    assert np.abs(z).max() < stats.norm.isf(0.005 / len(z))
    ledger.close()


def test_a_ledger_without_waves_is_brought_up_to_date_and_keeps_its_decisions(ledger, url, decided, older):
    first, _ = decided()
    columns = ("would_have_sent", "spend", "wave_id")
    older(
        "DROP INDEX decisions_of_a_wave",
        *(f"ALTER TABLE decisions DROP COLUMN {column}" for column in columns),
        "DROP TABLE waves",
    )
    again = Ledger(url)
    with pytest.raises(InputError, match="older version; bring it up to date"):
        again.open()
    again.create().open()
    again.close()
    assert "decisions_of_a_wave" in {index["name"] for index in sa.inspect(ledger.engine).get_indexes("decisions")}
    rows = ledger.assignments(CAMPAIGN).set_index("decision_id")
    assert rows.loc[first["decision_id"], "would_have_sent"].tolist() == first["would_have_sent"].tolist()
    again, summary = decided(name="again.parquet")
    same(again, first)
    assert summary.standing == len(first)
    decided(campaign="winter")
    assert [w["campaign"] for w in ledger.waves()] == ["winter"]
