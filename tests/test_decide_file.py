"""Decisions for a file: the same people, the same decisions, within the limits, whole or not at all."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from propensity import wave_people as module
from propensity.audiences import Audiences, hashed_email
from propensity.contract import CONTROL, ContractError
from propensity.decide_file import decide_file
from propensity.deciding import Wave
from propensity.decision import DECISION_COLUMNS
from propensity.errors import InputError
from propensity.model import DecisionModel
from propensity.playbook import Playbook, load
from propensity.policy import uniform_draws, used_by
from propensity.scoring import decisions_table
from propensity.wave_file import WaveFile

AT = pd.Timestamp("2026-06-01T12:00Z")


@pytest.fixture(scope="module")
def model(trained):
    return trained.model


@pytest.fixture(scope="module")
def people(small_dataset):
    return small_dataset.customers.drop_duplicates("customer_id").head(600).reset_index(drop=True)


@pytest.fixture
def source(people, tmp_path):
    file = tmp_path / "customers.parquet"
    people.to_parquet(file)
    return file


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    monkeypatch.setattr(module, "BATCH", 97)


def when(people):
    """Two months after the last of them was seen."""
    return people["as_of"].max() + pd.Timedelta(days=60)


def decided(model, source, people, out, **options):
    summary = decide_file(model, WaveFile(source, when(people), **options), out)
    return pd.read_parquet(out), summary


def test_without_limits_a_file_is_decided_as_its_people_are(model, source, people, tmp_path):
    found, summary = decided(model, source, people, tmp_path / "out.parquet")
    expected = model.decide(people, at=when(people))
    assert tuple(found.columns) == DECISION_COLUMNS
    for column in ("decision_id", "customer_id", "action", "assignment", "next_action"):
        assert found[column].fillna("").tolist() == expected[column].fillna("").tolist(), column
    np.testing.assert_allclose(found["probability"], expected["probability"])
    assert [list(c) for c in found["reason_codes"]] == expected["reason_codes"].tolist()
    assert summary.people == len(people)


def test_whose_only_actions_were_not_learnt_is_told_so(model, people, tmp_path):
    sms = load("default").actions["miss_you_sms_percent_off"]
    book = model.playbook
    wider = model.under(book.model_copy(update={"actions": {**book.actions, "miss_you_sms_percent_off": sms}}))
    file, out = tmp_path / "customers.parquet", tmp_path / "out.parquet"
    people.assign(consent_email=False, consent_sms=True).to_parquet(file)
    summary = decide_file(wider, WaveFile(file, when(people)), out, explain=True)
    found = pd.read_parquet(out)
    assert set(summary.stopped) == {"no_learnt_action", "no_consent_email", "past_horizon"}
    told = found.loc[found["reason_codes"].str[0] == "no_learnt_action"]
    assert summary.stopped["no_learnt_action"] == len(told) > 100
    assert set(told["explanation"]) == {"Not contacted: may get only what the model has not learnt."}


@pytest.fixture
def mixed(model, people, small_dataset, tmp_path):
    """A model that explores and keeps quiet at night, and a wave of all kinds of people with too little room."""
    content = model.playbook.model_dump()
    content["learning"] |= {"explore_share": 0.05, "explore_limit_share": 0.9, "holdout_share": 0.1}
    content["channels"]["email"] |= {"quiet_hours": {"start": "20:00", "end": "08:00"}, "capacity_per_week": 100}
    content["contact"] |= {"max_touches": 3, "min_gap_days": 5}
    model.save(tmp_path / "model")
    mixed = DecisionModel.load(tmp_path / "model")
    mixed.playbook = Playbook.model_validate(content)
    zones = np.array(["Europe/Berlin", "Asia/Tokyo", None], dtype=object)
    people = people.assign(time_zone=zones[np.arange(len(people)) % 3])
    people.to_parquet(tmp_path / "mixed.parquet")
    at = small_dataset.contacts["decided_at"].max() + pd.Timedelta(days=20, hours=12)
    wave = WaveFile(
        *(tmp_path / "mixed.parquet", at, "spring", 2.0, None, list(people["customer_id"][::50])),
        *(small_dataset.contacts, small_dataset.outcomes),
    )
    return mixed, people, wave


def one_after_another(model, people, wave):
    """What a file's decisions must be: batches in their order, each within what those before it left."""

    def known(rows):
        return Wave(model, rows, wave.at, wave.campaign, wave.suppressed, wave.contacts, wave.outcomes)

    sample = people.iloc[np.sort(np.argsort(uniform_draws(people["customer_id"], "plan"))[: module.SAMPLE])]
    share = len(sample) / len(people)
    every = known(sample.reset_index(drop=True))
    limits = every.limits(wave.weeks, wave.budget)
    plan = every.plan(limits, share)
    left, room = {limit.name: limit.amount for limit in limits}, dict(plan.room)
    for first in range(0, len(people), module.BATCH):
        batch = known(people.iloc[first : first + module.BATCH].reset_index(drop=True))
        limits = [replace(x, amount=max(0.0, left[x.name])) for x in batch.limits(wave.weeks, wave.budget)]
        decisions, _ = batch.decide(limits, plan.terms, {name: max(0.0, amount) for name, amount in room.items()})
        for limit in limits:
            left[limit.name] -= used_by(limit, batch.value.columns, decisions["action"].to_numpy()).sum()
            room[limit.name] -= used_by(limit, batch.value.columns, decisions["would_have_sent"].to_numpy()).sum()
        yield decisions


def free_of_charge(plan):
    def planned(wave, limits, share=1.0):
        made = plan(wave, limits, share)
        return replace(made, terms=replace(made.terms, prices=dict.fromkeys(made.terms.prices, 0.0)))

    return planned


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    ("sample", "priced"), [(100_000, True), (150, True), (150, False)], ids=["everybody", "some", "no prices"]
)
def test_a_file_is_decided_as_its_batches_one_after_another(mixed, tmp_path, monkeypatch, threads, sample, priced):
    model, people, wave = mixed
    monkeypatch.setattr(module, "SAMPLE", sample)
    if not priced:
        # so that the capacity is used up before the file ends
        monkeypatch.setattr(Wave, "plan", free_of_charge(Wave.plan))
    monkeypatch.setattr("propensity.threads.available_threads", lambda: threads)
    decide_file(model, wave, tmp_path / "out.parquet")
    expected = pd.concat(one_after_another(model, people, wave), ignore_index=True)
    assert pq.read_table(tmp_path / "out.parquet").equals(decisions_table(expected))
    assert {"policy", "explore", "holdout", "suppressed"} <= set(expected["assignment"])
    stopped = {codes[0] for codes in expected["reason_codes"]}
    assert {"limits_reached", "suppressed", "opted_out", "already_back"} <= stopped
    sent = expected[expected["send"]]
    assert (sent["not_before"] > wave.at).any()
    assert (sent["not_before"] == wave.at).any()
    assert sent["reason_codes"].map(len).max() > 1


def test_what_is_counted_is_what_is_written(model, source, people, tmp_path):
    found, summary = decided(model, source, people, tmp_path / "out.parquet")
    sent = found[found["send"]]
    assert summary.actions["people"].sum() == len(sent)
    tried = sent[sent["assignment"] == "explore"]
    assert 0 < len(tried) < len(sent)
    assert summary.tried["people"].to_dict() == tried["action"].value_counts().to_dict()
    assert summary.tried["net_value"].sum() == pytest.approx(tried["net_value"].sum())
    assert summary.actions["cost"].sum() == pytest.approx(sent["cost"].sum())
    assert summary.funnel()["left"].iloc[-1] == len(sent)
    assert sum(summary.stopped.values()) == len(found) - len(sent)


@pytest.mark.parametrize("sample", [100_000, 150], ids=["everybody", "some"])
def test_a_budget_is_never_passed_and_used(model, source, people, tmp_path, monkeypatch, sample):
    monkeypatch.setattr(module, "SAMPLE", sample)
    _, free = decided(model, source, people, tmp_path / "free.parquet")
    wave = Wave(model, people, when(people))
    spent = sum(
        Wave(model, people, when(people)).limits(1.0, 1e9)[0].use.loc[i, a]
        for i, a in enumerate(wave.decide()[0]["action"])
        if a != CONTROL
    )
    if spent == 0:
        pytest.skip("this model sends nothing that costs")
    found, summary = decided(model, source, people, tmp_path / "out.parquet", budget=spent / 2)
    assert 0 < summary.used["budget"] <= spent / 2
    assert found["send"].sum() < free.actions["people"].sum()
    assert summary.stopped["limits_reached"] > 0


def test_kinds_of_files_are_read_alike(model, people, tmp_path):
    people.to_parquet(tmp_path / "a.parquet")
    people.to_csv(tmp_path / "a.csv", index=False)
    table = pq.read_table(tmp_path / "a.parquet")
    with pa.OSFile(str(tmp_path / "a.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    actions = [
        decided(model, tmp_path / f"a.{kind}", people, tmp_path / f"{kind}.parquet")[0]["action"].tolist()
        for kind in ("parquet", "csv", "arrow")
    ]
    assert actions[0] == actions[1] == actions[2]


def test_decisions_are_written_as_csv_too(model, source, people, tmp_path):
    found, _ = decided(model, source, people, tmp_path / "out.parquet")
    decide_file(model, WaveFile(source, when(people)), tmp_path / "out.csv")
    written = pd.read_csv(tmp_path / "out.csv")
    assert written["action"].tolist() == found["action"].tolist()
    assert written["reason_codes"].tolist() == [" ".join(codes) for codes in found["reason_codes"]]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_decisions_are_told_in_words_where_asked(model, source, people, tmp_path, kind):
    out = tmp_path / f"out.{kind}"
    decide_file(model, WaveFile(source, when(people)), out, explain=True)
    written = pd.read_csv(out) if kind == "csv" else pd.read_parquet(out)
    assert tuple(written.columns) == (*DECISION_COLUMNS, "explanation")
    assert written["explanation"].str.endswith(".").all()


def test_strangers_whose_draws_are_the_same_by_chance_are_no_rows_too_many(
    model, source, people, tmp_path, monkeypatch
):
    """As happens among very many people; here draws are cut to two digits. Who is there twice is still found."""
    drawn = module.uniform_draws
    monkeypatch.setattr(module, "uniform_draws", lambda keys, *salt: np.floor(drawn(keys, *salt) * 100) / 100)
    summary = decide_file(model, WaveFile(source, when(people)), tmp_path / "out.parquet")
    assert summary.people == len(people)
    again = tmp_path / "again.parquet"
    pd.concat([people, people.head(1)]).to_parquet(again)
    with pytest.raises(InputError, match=f"such as of {people['customer_id'].iloc[0]!r}; keep one row of each"):
        decide_file(model, WaveFile(again, when(people)), tmp_path / "out.parquet")


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (lambda p: pd.concat([p, p.head(3)]), InputError, "each customer once, found 3 rows too many, such as of 'c"),
        (
            lambda p: p.assign(churned_at=p["as_of"].max() + pd.Timedelta(days=90)),
            ContractError,
            "churned_at: .* no later than the row's as_of.*nothing was decided",
        ),
        (
            lambda p: p.assign(as_of=p["as_of"].max() + pd.Timedelta(days=90)),
            InputError,
            r"bad\.parquet: as_of: expected times up to .* in 97 of rows 1 to 97",
        ),
        (
            lambda p: p.assign(reason=["bored" if i == 300 else None for i in range(len(p))]),
            ContractError,
            r"customers\.reason: 1 row: expected one of price, .* found 'bored' \(first in data row 301\)",
        ),
        (
            lambda p: p.assign(time_zone=["Berlin"] + ["Europe/Berlin"] * (len(p) - 1)),
            ContractError,
            r"customers\.time_zone: 1 row: .*found 'Berlin'",
        ),
        (lambda p: p.drop(columns="customer_id"), ContractError, "customer_id"),
        (lambda p: p.head(0), InputError, "at least one"),
    ],
)
def test_a_file_with_faults_is_refused_and_nothing_is_written(model, people, tmp_path, spoil, error, message):
    file = tmp_path / "bad.parquet"
    spoil(people).to_parquet(file)
    lists = Audiences(tmp_path / "lists")
    with pytest.raises(error, match=message):
        decide_file(model, WaveFile(file, when(people)), tmp_path / "out.parquet", audiences=lists)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.parquet"]


@pytest.mark.parametrize(
    ("name", "content"), [("a.txt", b"x"), ("a.parquet", b"nothing"), ("a.csv", b""), ("a.arrow", b"x")]
)
def test_a_file_that_cannot_be_read_says_so(model, tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=name):
        decide_file(model, WaveFile(tmp_path / name, AT), tmp_path / "out.parquet")


def test_lists_hold_those_who_are_contacted_on_channels_that_take_lists(model, people, tmp_path):
    people = people.assign(email=[f" Person{i}@Example.org " for i in range(len(people))])
    people.to_parquet(tmp_path / "a.parquet")
    lists = Audiences(tmp_path / "lists", "email")
    decide_file(model, WaveFile(tmp_path / "a.parquet", when(people)), tmp_path / "out.parquet", audiences=lists)
    found = pd.read_parquet(tmp_path / "out.parquet")
    listed = [name for name, part in model.playbook.channels.items() if part.audience]
    takes = found["send"] & found["channel"].isin(listed)
    expected = found[takes].groupby(["channel", "offer"])["customer_id"].agg(set)
    files = {tuple(f.stem.split("-")): pd.read_csv(f, dtype="str") for f in (tmp_path / "lists").iterdir()}
    assert {key: set(table["customer_id"]) for key, table in files.items()} == expected.to_dict()
    for table in files.values():
        row = table.iloc[0]
        number = people.index[people["customer_id"] == row["customer_id"]][0]
        assert row["email_sha256"] == hashlib.sha256(f"person{number}@example.org".encode()).hexdigest()


def test_an_address_that_is_missing_has_no_hash():
    assert hashed_email(None) is hashed_email(float("nan")) is hashed_email("  ") is None
