"""A round from ledger to ledger: who comes up, and that nothing is decided twice."""

from __future__ import annotations

import pandas as pd
import pytest

from propensity.decide_file import decide_file
from propensity.errors import InputError
from propensity.ledger.due import people_due
from propensity.monthly_wave import Round, decide_round
from propensity.wave_file import WaveFile

DAY = pd.Timedelta(days=1)
AT = pd.Timestamp("2026-06-01T09:00Z")


@pytest.fixture
def people(small_dataset):
    """People who left 60 days ago, as they were seen yesterday."""
    known = small_dataset.customers.drop_duplicates("customer_id").head(60).reset_index(drop=True)
    return known.assign(as_of=(AT - DAY).as_unit("us"), churned_at=(AT - 60 * DAY).as_unit("us"))


@pytest.fixture
def filled(ledger, people):
    ledger.add_customers(people)
    return ledger


def due(ledger, at=AT, seen_within_days=1_000) -> list[str]:
    found = people_due(
        ledger,
        at=at,
        campaign="another",
        decided_between=(at, at + DAY),
        cooling_off_days=30,
        horizon_days=548,
        window_days=90,
        seen_within_days=seen_within_days,
    )
    return [c for part in found for c in part["customer_id"]]


def event(person: str, kind: str, at: pd.Timestamp) -> pd.DataFrame:
    values = {"event_id": [f"{person}-{kind}"], "source": "till", "customer_id": person, "decision_id": None}
    return pd.DataFrame({**values, "at": [at.as_unit("us")], "type": kind, "amount": float("nan")})


def test_everybody_inside_the_horizon_who_is_not_back_comes_up(filled, people):
    ids = people["customer_id"].tolist()
    assert due(filled) == sorted(ids)
    filled.add_outcomes(event(ids[0], "reactivated", AT - DAY))
    filled.add_outcomes(event(ids[1], "purchased", AT - 61 * DAY))  # before leaving
    filled.add_outcomes(event(ids[2], "purchased", AT + DAY))  # not known yet
    filled.add_outcomes(event(ids[3], "opened", AT - DAY))
    assert set(ids) - set(due(filled)) == {ids[0]}
    assert due(filled, AT - 31 * DAY) == []  # nobody was known then
    assert due(filled, AT + 500 * DAY) == []  # beyond the horizon
    assert due(filled, AT + 29 * DAY, 30) != []
    assert due(filled, AT + 30 * DAY, 30) == []  # not seen for too long


def test_the_newest_snapshot_counts_and_cooling_off_and_the_erased_do_not_come_up(filled, people):
    again = people.head(2).assign(as_of=AT.as_unit("us"), churned_at=[(AT - 10 * DAY).as_unit("us")] * 2)
    filled.add_customers(again)
    filled.erase(people["customer_id"].iloc[5])
    gone = {*again["customer_id"], people["customer_id"].iloc[5]}
    assert set(people["customer_id"]) - set(due(filled)) == gone


def test_a_round_is_decided_once_and_people_wait_until_its_windows_close(filled, small_model, tmp_path):
    asked = Round(AT, "round-1")
    first = decide_round(small_model, filled, asked, tmp_path / "one.parquet")
    assert (first.people, first.standing) == (60, 0)
    decided = pd.read_parquet(tmp_path / "one.parquet")
    # the same round again: decisions stand
    again = decide_round(small_model, filled, asked, tmp_path / "two.parquet")
    assert again.standing == 60
    pd.testing.assert_frame_equal(decided, pd.read_parquet(tmp_path / "two.parquet"))
    recorded = filled.assignments("round-1").set_index("decision_id").loc[decided["decision_id"]]
    assert recorded["action"].tolist() == decided["action"].tolist()
    # while windows are open nobody comes up but whom rules left out
    waiting = decided.loc[decided["assignment"] != "suppressed", "customer_id"]
    assert len(waiting) > 10
    assert set(due(filled, AT + 30 * DAY)).isdisjoint(waiting)
    assert set(due(filled, AT + 90 * DAY)) == set(decided["customer_id"])


@pytest.mark.parametrize("later", [0 * DAY, DAY / 24, -DAY / 24])
def test_a_round_of_another_name_leaves_whom_the_first_decided_on_alone(filled, small_model, tmp_path, later):
    decide_round(small_model, filled, Round(AT, "june"), tmp_path / "one.parquet")
    first = pd.read_parquet(tmp_path / "one.parquet")
    decide_round(small_model, filled, Round(AT + later, "june-again"), tmp_path / "two.parquet")
    second = pd.read_parquet(tmp_path / "two.parquet")
    may_be = first["assignment"] != "suppressed"
    assert first["send"].sum() > 10
    assert set(second["customer_id"]) == set(first.loc[~may_be, "customer_id"])
    assert not second["send"].any()


def test_what_another_campaign_sends_at_the_very_moment_is_a_touch(filled, people, small_model, tmp_path):
    file, out = tmp_path / "people.parquet", tmp_path / "decisions.parquet"
    people.to_parquet(file, index=False)
    decided = []
    for campaign in ("one", "two", "one", "two"):
        summary = decide_file(small_model, WaveFile(file, AT, campaign, ledger=filled), out)
        assert summary.cautions == []
        decided.append(pd.read_parquet(out))
    first, second = decided[:2]
    assert first["send"].sum() > 10
    assert not (first["send"] & second["send"]).any()
    # a wave run again is no touch to itself
    pd.testing.assert_frame_equal(decided[2], first)
    pd.testing.assert_frame_equal(decided[3], second)


def test_the_same_round_run_later_stands_and_takes_in_who_comes_up_since(filled, people, small_model, tmp_path):
    out = tmp_path / "round.parquet"
    decide_round(small_model, filled, Round(AT, "june"), out)
    first = pd.read_parquet(out)
    again = decide_round(small_model, filled, Round(AT + pd.Timedelta(minutes=5), "june"), out)
    assert (again.people, again.standing) == (60, 60)
    pd.testing.assert_frame_equal(pd.read_parquet(out), first)
    # a day later with one who is back and newcomers, though nobody was seen lately
    back = first.loc[first["send"], "customer_id"].iloc[0]
    filled.add_outcomes(event(back, "reactivated", AT + DAY / 2))
    new = people.head(5).assign(customer_id=[f"new{i}" for i in range(5)], as_of=(AT + DAY / 2).as_unit("us"))
    filled.add_customers(new)
    later = Round(AT + DAY, "june", seen_within_days=0.6)
    added = decide_round(small_model, filled, later, out)
    assert (added.people, added.standing) == (65, 60)
    now = pd.read_parquet(out).set_index("customer_id")
    assert now.loc[back, "reason_codes"].tolist() == ["already_back"]
    stand = first.set_index("customer_id").drop(index=back)
    pd.testing.assert_frame_equal(now.loc[stand.index], stand)
    assert [wave["standing"] for wave in filled.waves("june")] == [0, 60]


@pytest.mark.parametrize("later", [40 * DAY, -DAY])
def test_a_round_of_another_time_under_the_same_name_is_refused_and_the_file_stays(
    filled, people, small_model, tmp_path, later
):
    out = tmp_path / "round.parquet"
    decide_round(small_model, filled, Round(AT, "june"), out)
    before = out.read_bytes()
    filled.add_customers(people.head(5).assign(customer_id=[f"new{i}" for i in range(5)]))
    with pytest.raises(InputError, match=r"june: had its round at 2026-06-01T09:00:00\+00:00; .*name of its own"):
        decide_round(small_model, filled, Round(AT + later, "june"), out)
    assert out.read_bytes() == before


def test_where_nobody_comes_up_nothing_is_written(ledger, small_model, tmp_path):
    assert decide_round(small_model, ledger, Round(AT, "round-1"), tmp_path / "one.parquet") is None
    assert list(tmp_path.glob("*.parquet")) == []
    assert ledger.campaigns() == []


def test_a_round_decides_as_a_file_of_the_same_people_does(filled, people, small_model, tmp_path):
    decide_round(small_model, filled, Round(AT, "round-1"), tmp_path / "round.parquet")
    decided = pd.read_parquet(tmp_path / "round.parquet").set_index("customer_id")
    direct = small_model.decide(people, at=AT, campaign="round-1").set_index("customer_id").loc[decided.index]
    assert decided["action"].tolist() == direct["action"].tolist()
    assert decided["probability"].to_numpy() == pytest.approx(direct["probability"].to_numpy())
    assert decided["net_value"].to_numpy() == pytest.approx(direct["net_value"].to_numpy(), nan_ok=True)
