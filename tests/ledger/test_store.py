"""The ledger keeps what it was told, once, on both databases."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone

import pandas as pd
import pytest
import sqlalchemy as sa
from ledger_cases import AT, CAMPAIGN, decided, event, record, rows

from propensity import contract
from propensity.decision import DECISION_COLUMNS
from propensity.errors import InputError, JobError
from propensity.ledger import Ledger, schema


@pytest.fixture(scope="session")
def tables(small_dataset):
    """The first sixty people of the small program, and everything that happened to them."""
    contacts = small_dataset.contacts.head(60)
    of_them = {
        name: table[table["customer_id"].isin(contacts["customer_id"])].reset_index(drop=True)
        for name, table in (("customers", small_dataset.customers), ("outcomes", small_dataset.outcomes))
    }
    return {**of_them, "contacts": contacts}


@pytest.fixture
def filled(ledger, tables):
    ledger.add_customers(tables["customers"])
    ledger.add_contacts(tables["contacts"])
    ledger.add_outcomes(tables["outcomes"])
    return ledger


@pytest.fixture
def wave(tables) -> str:
    return str(tables["contacts"]["campaign"].iloc[0])


# --------------------------------------------------------------------------------------------------- written once


def test_writing_twice_is_writing_once(filled, tables):
    decisions = decided("a", "b")
    record(filled, decisions, AT)
    before = {name: rows(filled, table) for name, table in schema.metadata.tables.items()}
    filled.add_customers(tables["customers"])
    filled.add_contacts(tables["contacts"])
    filled.add_outcomes(tables["outcomes"])
    record(filled, decisions, AT)
    after = {name: rows(filled, table) for name, table in schema.metadata.tables.items()}
    assert after == before


def test_the_first_decision_stands_and_is_what_later_callers_get(ledger):
    first = record(ledger, decided("a", action="email"), AT)
    second = record(ledger, decided("a", action="control"), AT + pd.Timedelta(hours=1))
    assert second == first
    assert first[0]["action"] == "email"


def test_answers_come_in_the_order_asked_with_every_key_and_no_nan(ledger):
    asked = ["c", "a", "z", "b"]
    record(ledger, decided("z"), AT)
    answers = record(ledger, decided(*asked), AT)
    assert [a["customer_id"] for a in answers] == asked
    assert all(tuple(sorted(a)) == tuple(sorted(DECISION_COLUMNS)) for a in answers)
    assert answers[0]["uplift"] is None
    assert answers[0]["not_before"] == "2026-03-02T09:00:00Z"


def test_many_decisions_are_written_and_answered(ledger):
    people = [f"p{i}" for i in range(2_001)]
    answers = record(ledger, decided(*people), AT)
    assert [a["customer_id"] for a in answers] == people


def test_two_threads_that_decide_the_same_leave_one_row_each_and_agree(ledger):
    people = [f"p{i}" for i in range(200)]

    def write(action: str):
        return record(ledger, decided(*people, action=action), AT)

    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(write, ["email", "control"])
    assert one == other
    assert len(rows(ledger, schema.decisions)) == len(people)


# ---------------------------------------------------------------------------------------------------- read again


def test_contacts_are_what_was_sent_or_held_out(ledger):
    record(ledger, decided("sent", "planned"), AT)
    record(ledger, decided("held", action="control", assignment="holdout"), AT)
    ledger.add_outcomes(event("sent", "sent", decision_id="d-sent"))
    assert set(ledger.contacts(CAMPAIGN)["customer_id"]) == {"sent", "held"}


def test_tables_come_back_as_they_went_in_and_keep_the_contract(filled, tables, wave, email_playbook):
    extra = contract.check("customers", tables["customers"]).good  # a copy with the contract's kinds
    for name, key in (("customers", "customer_id"), ("contacts", "decision_id"), ("outcomes", "event_id")):
        told = tables[name] if name != "customers" else extra
        back = contract.check(name, getattr(filled, name)(wave), actions=email_playbook.labels).good
        if name == "outcomes":
            back = back[back["source"] != "import"]
        told, back = (t.sort_values(key).reset_index(drop=True) for t in (told, back))
        pd.testing.assert_frame_equal(back[list(told.columns)], told, check_dtype=False)


def test_probabilities_of_every_action_come_back(filled, tables, wave):
    back = filled.contacts(wave).set_index("decision_id")
    told = tables["contacts"].set_index("decision_id")
    wide = [c for c in told if c.startswith(contract.PROBABILITY_PREFIX)]
    assert len(wide) == 3
    pd.testing.assert_frame_equal(back.loc[told.index, wide], told[wide])


def test_times_are_aware_utc_whatever_zone_they_came_in(ledger):
    east = datetime(2026, 3, 2, 11, 30, 0, 123456, tzinfo=timezone(timedelta(hours=2, minutes=30)))
    ledger.add_campaign(
        CAMPAIGN,
        title="Spring",
        follows=None,
        currency="USD",
        window_days=14,
        reactivated_word="order",
        reactivated_words="orders",
        started_at=east,
    )
    record(ledger, decided("a"), pd.Timestamp(east))
    ledger.add_outcomes(event("a", "sent", pd.Timestamp(east), decision_id="d-a"))
    same = AT + pd.Timedelta(microseconds=123456)
    started = ledger.campaign(CAMPAIGN)["started_at"]
    assert (started, started.tzinfo) == (same, UTC)
    for table, column in ((ledger.contacts(CAMPAIGN), "decided_at"), (ledger.outcomes(CAMPAIGN), "at")):
        assert table[column].dtype == pd.DatetimeTZDtype("us", "UTC")
        assert table[column].iloc[0] == same


def test_a_time_without_zone_is_refused(ledger):
    with pytest.raises(sa.exc.StatementError, match="time zone"):
        record(ledger, decided("a"), pd.Timestamp("2026-03-02T09:00:00"))
    assert rows(ledger, schema.decisions) == []


def test_an_assessment_with_a_slope_that_does_not_exist_comes_back(ledger, small_model, small_frame):
    from dataclasses import replace

    from propensity.assessment import Assessment, assess

    found = replace(assess(small_model, small_frame), effect_slope=float("nan"))
    ledger.add_assessment(CAMPAIGN, "m/1", found.to_json())
    back = Assessment.from_json(ledger.assessment(CAMPAIGN)["content"])
    assert back.effect_slope != back.effect_slope
    assert back.policies == found.policies


def test_the_newest_assessment_counts(ledger):
    for version in ("m/1", "m/2"):
        ledger.add_assessment(CAMPAIGN, version, {})
    assert ledger.assessment(CAMPAIGN)["model_version"] == "m/2"
    assert ledger.assessment("other") is None


# ------------------------------------------------------------------------------------------- opt-out and erasure


@pytest.mark.parametrize("kind", ["unsubscribed", "complained"])
def test_opting_out_suppresses(ledger, kind):
    ledger.add_outcomes(event("a", kind))
    ledger.add_outcomes(event("b", "clicked"))
    assert ledger.suppressed(["a", "b", "c"]) == {"a"}


def test_the_erased_stay_suppressed_even_if_nothing_was_held_on_them(filled, tables):
    person = tables["contacts"]["customer_id"].iloc[0]
    assert filled.erase(person)
    assert not filled.erase("stranger")
    assert filled.suppressed([person, "stranger", "other"]) == {person, "stranger"}


def test_erasing_twice_is_erasing_once(filled, tables):
    person = tables["contacts"]["customer_id"].iloc[0]
    assert [filled.erase(person), filled.erase(person)] == [True, False]


def test_erasing_leaves_the_figures_and_no_trace_of_the_name(filled, tables, wave):
    record(filled, decided("x"), AT)
    person = tables["outcomes"]["customer_id"].iloc[0]
    before = filled.contacts(wave), filled.outcomes(wave)
    filled.erase(person)
    after = filled.contacts(wave), filled.outcomes(wave)
    for old, new in zip(before, after, strict=True):
        assert len(new) == len(old)
    assert sorted(after[0]["probability"]) == sorted(before[0]["probability"])
    assert after[1]["amount"].sum() == pytest.approx(before[1]["amount"].sum())
    everything = [
        value for table in schema.metadata.tables.values() for row in rows(filled, table) for value in row.values()
    ]
    assert not [value for value in everything if person in str(value)]


def test_an_erased_person_still_counts_in_past_experiments(filled, tables, wave):
    from propensity.frame import training_frame

    def frame():
        return training_frame(filled.customers(wave), filled.contacts(wave), filled.outcomes(wave), window_days=90)

    bought = tables["outcomes"].query("type == 'purchased'")["customer_id"].iloc[0]
    before = frame()
    filled.erase(bought)
    after = frame()
    assert len(after) == len(before)
    assert after["revenue"].sum() == pytest.approx(before["revenue"].sum())


def test_deciding_again_on_an_erased_person_gives_a_new_answer(ledger):
    record(ledger, decided("a"), AT)
    ledger.erase("a")
    (answer,) = record(ledger, decided("a", action="control", assignment="suppressed"), AT)
    assert (answer["customer_id"], answer["assignment"]) == ("a", "suppressed")


# --------------------------------------------------------------------------------------------------------- export


def test_export_writes_every_table_as_parquet(filled, tmp_path):
    filled.export(tmp_path / "out")
    assert {f.stem for f in (tmp_path / "out").iterdir()} == set(schema.metadata.tables)
    decisions = pd.read_parquet(tmp_path / "out" / "decisions.parquet")
    assert len(decisions) == 60
    assert str(decisions["decided_at"].dt.tz) == "UTC"


def test_an_export_that_fails_leaves_the_old_one_and_nothing_else(filled, tmp_path, monkeypatch):
    target = tmp_path / "out"
    filled.export(target)
    old = {f.name: f.stat().st_mtime_ns for f in target.iterdir()}
    monkeypatch.setattr(filled, "_rows", lambda query: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        filled.export(target)
    assert {f.name: f.stat().st_mtime_ns for f in target.iterdir()} == old
    assert not list(tmp_path.glob(".out*"))


# --------------------------------------------------------------------------------------------------------- errors


def test_making_the_tables_again_keeps_what_is_there(filled, url):
    count = len(rows(filled, schema.decisions))
    again = Ledger(url).create().open()
    assert len(rows(again, schema.decisions)) == count
    again.close()


def test_a_database_without_tables_is_bad_input_with_the_command_that_helps(url):
    fresh = Ledger(url)
    with fresh.engine.connect():
        pass
    with pytest.raises(InputError, match="not initialised; run: propensity ledger init"):
        fresh.open()
    fresh.close()


@pytest.mark.parametrize("address", ["nonsense", "oracle9://x", "sqlite;//x", ""])
def test_what_is_no_address_is_bad_input(address):
    with pytest.raises(InputError, match=r"expected sqlite:///FILE or\s+postgresql"):
        Ledger(address)


def test_a_missing_file_is_bad_input_and_is_not_made(tmp_path):
    with pytest.raises(InputError, match=r"does not exist; make it with: propensity ledger init sqlite:///"):
        Ledger(f"sqlite:///{tmp_path / 'no.db'}").open()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", ["text", "directory"])
def test_a_file_that_is_no_database_is_named(tmp_path, content):
    place = tmp_path / "odd.db"
    if content == "text":
        place.write_text("customer_id,name\n" * 100)
    else:
        place.mkdir()
    for act in ("open", "create"):
        with pytest.raises(JobError, match=re.escape(str(place))):
            getattr(Ledger(f"sqlite:///{place}"), act)()


def test_a_server_that_does_not_answer_is_a_failed_job_in_one_line():
    with pytest.raises(JobError, match=r"^ledger postgresql\+psycopg://a:\*\*\*@127\.0\.0\.1:1/x: .*refused") as caught:
        Ledger("postgresql+psycopg://a:secret@127.0.0.1:1/x").open()
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_password_is_never_shown():
    with pytest.raises(InputError) as caught:
        Ledger("oracle9://me:secret@host/x")
    assert "secret" not in str(caught.value)


def test_an_unknown_campaign_names_the_known_ones(ledger):
    ledger.add_campaign(
        CAMPAIGN,
        title="Spring",
        follows=None,
        currency="USD",
        window_days=14,
        reactivated_word="order",
        reactivated_words="orders",
        started_at=AT.to_pydatetime(),
    )
    with pytest.raises(InputError, match=CAMPAIGN):
        ledger.campaign("sprng")


# ----------------------------------------------------------------------------------------------------- promotions

ROW = {"who": "ann", "model": "m", "from_version": "1", "to_version": "2", "why": "better"}


def test_promotions_are_kept_in_order_with_all_that_was_said(ledger):
    checks = [{"name": "value", "passed": True}]
    ledger.add_promotion(**ROW)
    ledger.add_promotion(**{**ROW, "model": "other"})
    ledger.add_promotion(**{**ROW, "from_version": "2", "to_version": "1"}, kind="rollback", checks=checks)
    made = ledger.promotions("m")
    assert [(r["to_version"], r["kind"], r["checks"]) for r in made] == [
        ("2", "promotion", None),
        ("1", "rollback", checks),
    ]
    assert all(r["at"].tzinfo is not None for r in made)
    assert [r["model"] for r in ledger.promotions()] == ["m", "other", "m"]


def test_a_promotion_that_was_not_carried_out_is_not_recorded(ledger):
    with pytest.raises(RuntimeError), ledger.promotion(**ROW):
        raise RuntimeError("the registry does not answer")
    assert ledger.promotions() == []


def test_a_ledger_of_an_older_version_says_how_to_bring_it_up_to_date_and_keeps_its_rows(ledger, url, older):
    ledger.add_promotion(**ROW)
    older(*(f"ALTER TABLE promotions DROP COLUMN {column}" for column in ("kind", "checks")))
    old = Ledger(url)
    with pytest.raises(InputError, match=r"older version; bring it up to date, .*: propensity ledger init "):
        old.open()
    old.close()
    again = Ledger(url).create().open()
    again.add_promotion(**ROW, kind="forced")
    assert [(r["kind"], r["why"]) for r in again.promotions()] == [(None, "better"), ("forced", "better")]
    again.close()
