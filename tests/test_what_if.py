"""What-ifs: the same people under several playbooks, budgets and caps, and nothing written."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from propensity import playbook, wave_people
from propensity.contract import CONTROL
from propensity.decide_file import decide_file
from propensity.deciding import Wave
from propensity.errors import InputError
from propensity.wave_file import WaveFile
from propensity.what_if import Scenario, compare, rates_by_value, read_settings, what_if_file


@pytest.fixture(scope="module")
def model(wave_model):
    return wave_model


@pytest.fixture(scope="module")
def people(wave):
    rng = np.random.default_rng(0)
    customers = wave.unseen_customers.head(2000)
    return customers.assign(age_group=rng.choice(["under 50", "over 50", None], len(customers)))


@pytest.fixture(scope="module")
def at(people):
    return people["as_of"].max() + pd.Timedelta(days=60)


@pytest.fixture
def source(people, tmp_path):
    file = tmp_path / "customers.parquet"
    people.to_parquet(file)
    return file


def first(model, **options):
    return Scenario("as it is", model.playbook, **options)


def outlooks(model, people, at, *scenarios):
    return compare(Wave(model, people, at), scenarios).outlooks


def test_the_first_scenario_is_what_would_be_decided(model, people, at, source, tmp_path):
    found = what_if_file(model, WaveFile(source, at), [first(model, budget=40.0)]).outlooks[0]
    summary = decide_file(model, WaveFile(source, at, budget=40.0), tmp_path / "out.parquet")
    pd.testing.assert_frame_equal(found.summary.actions, summary.actions)
    assert found.summary.stopped == summary.stopped
    assert found.summary.used == summary.used


def test_batches_do_not_matter_and_nothing_is_written(model, people, at, source, tmp_path, monkeypatch):
    scenarios = [first(model, budget=40.0), first(model).changed({"budget": 10})]
    whole = what_if_file(model, WaveFile(source, at), scenarios).to_json()
    monkeypatch.setattr(wave_people, "BATCH", 333)
    parts = what_if_file(model, WaveFile(source, at), scenarios).to_json()
    assert list(tmp_path.iterdir()) == [source]
    json.dumps(parts, allow_nan=False)
    for one, other in zip(whole["scenarios"], parts["scenarios"], strict=True):
        # the last of a budget may go to others: several whose offers cost little instead of one
        assert one["net_value_predicted"] == pytest.approx(other["net_value_predicted"], rel=0.02)
        assert one["contacted"] == pytest.approx(other["contacted"], abs=10)
        assert all(x["limits"]["budget"]["used"] <= x["budget"] for x in (one, other))


def test_moves_add_up_and_go_where_the_scenarios_differ(model, people, at):
    before, after = outlooks(model, people, at, first(model), first(model).changed({"budget": 20}))
    assert sum(after.moves.values()) == len(people)
    moved = after.moved
    assert after.contacted == before.contacted + moved["newly contacted"] - moved["no longer contacted"]
    assert moved["no longer contacted"] > 0
    assert sum(before.moved.values()) == 0
    assert after.expected["reactivated"].value < before.expected["reactivated"].value


def test_a_scenario_whose_settings_change_nothing_moves_nobody(model, people, at):
    same = first(model).changed({"name": "same", "contact.max_touches": model.playbook.contact.max_touches})
    _, after = outlooks(model, people, at, first(model), same)
    assert sum(after.moved.values()) == 0


def test_costs_of_another_playbook_count(model, people, at):
    costly = {f"channels.{c}.cost_currency": 1000 for c in model.playbook.channels}
    _, after = outlooks(model, people, at, first(model), first(model).changed({"name": "costly", **costly}))
    assert after.assignments["policy"] + after.assignments["holdout"] > 0
    assert set(after.summary.actions.index) <= set(model.actions)
    by_choice = after.contacted - after.assignments["explore"]
    assert by_choice == 0


def test_only_actions_that_were_learnt_are_taken(model, people, at):
    book = model.playbook
    kept = list(book.actions)[:2]
    fewer = book.model_copy(update={"actions": {a: book.actions[a] for a in kept}})
    moved_channel = book.actions[kept[1]].model_copy(update={"channel": "push"})
    changed = fewer.model_copy(update={"actions": {kept[0]: book.actions[kept[0]], kept[1]: moved_channel}})
    _, after, last = outlooks(
        model, people, at, first(model), Scenario("fewer", fewer), Scenario("another channel", changed)
    )
    assert set(after.summary.actions.index) <= set(kept)
    assert last.not_learnt == [kept[1]]
    assert set(last.summary.actions.index) <= {kept[0]}


def test_a_model_under_its_own_playbook_decides_the_same(model, people, at):
    same = model.under(model.playbook)
    pd.testing.assert_frame_equal(same.decide(people, at=at)[["action"]], model.decide(people, at=at)[["action"]])
    assert same.evidence_ == model.evidence_


def test_contact_and_offer_rates_by_a_protected_column(model, people, at):
    watched = first(model).changed({"name": "watched", "features.protected": '["age_group"]'})
    found = compare(Wave(model, people, at), [watched]).to_json()["scenarios"][0]
    decisions = model.decide(people, at=at)
    rows = {row["value"]: row for row in found["protected"]["age_group"]}
    assert set(rows) == {"under 50", "over 50", "unknown"}
    for value, row in rows.items():
        own = (people["age_group"].fillna("unknown") == value).to_numpy()
        assert row["people"] == own.sum()
        assert row["contacted"]["value"] == pytest.approx(decisions.loc[own, "send"].mean())
        assert row["contacted"]["low"] < row["contacted"]["value"] < row["contacted"]["high"]
        costly = [o for o, part in model.playbook.offers.items() if part.cost_if_redeemed_currency > 0]
        assert row["offered"]["value"] == pytest.approx(decisions.loc[own, "offer"].isin(costly).mean())


def test_a_message_is_made_for_each_action_and_value_tier_in_use(model, people, at):
    found = outlooks(model, people, at, first(model))[0]
    tier = Wave(model, people, at).segments["value_tier"].astype(str).replace("unknown", "mass")
    sent = model.decide(people, at=at).assign(tier=tier).query("send")
    kinds = sent[["action", "tier"]].drop_duplicates()
    costs = {name: part.production_cost_currency for name, part in model.playbook.tiers.items()}
    assert len(found.messages) == len(kinds)
    assert found.production_cost == sum(kinds["tier"].map(costs))


def test_nobody_contacted_has_rates_and_intervals():
    counts = pd.DataFrame({"people": [10], "may_be_contacted": [0], "contacted": [0], "offered": [0]}, index=["a"])
    (row,) = rates_by_value(counts)
    assert row["contacted"]["low"] == pytest.approx(0)
    assert 0 < row["contacted"]["high"] < 0.4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("budget", "expected KEY=VALUE"),
        ("", "found nothing"),
        ("name='x", "quotation mark is not closed"),
    ],
)
def test_settings_that_cannot_be_read(text, said):
    with pytest.raises(InputError, match=said):
        read_settings(text)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"budget": "much"}, "budget: expected a number of at least 0, found 'much'"),
        ({"budget": "-1"}, "budget: expected a number of at least 0"),
        ({"weeks": "0"}, "weeks: expected a number of at least 0.01"),
        ({"capacity.fax": "3"}, "channels has email"),
        ({"budgets": "3"}, "is no setting of the playbook"),
        ({"playbook": "nowhere.toml"}, "cannot be read"),
    ],
)
def test_scenarios_that_cannot_be(model, settings, said):
    with pytest.raises((InputError, playbook.PlaybookError), match=said):
        first(model).changed(settings)


def test_scenarios_that_cannot_be_compared(model, people, at):
    with pytest.raises(InputError, match="two of that name"):
        outlooks(model, people, at, first(model), first(model))
    with pytest.raises(InputError, match="one currency, found EUR and USD"):
        outlooks(model, people, at, first(model), first(model).changed({"currency": '"EUR"'}))
    with pytest.raises(InputError, match="no such column"):
        outlooks(model, people, at, first(model).changed({"features.protected": '["religion"]'}))
    other = first(model).changed({"segments.orders": '"orders"'})
    with pytest.raises(InputError, match="names other columns"):
        outlooks(model, people, at, other)


def test_the_command_shows_scenarios_side_by_side_and_writes_only_what_is_asked(
    propensity, mlflow_of_trained, small_dataset, tmp_path, monkeypatch
):
    customers = small_dataset.customers.drop_duplicates("customer_id").head(500)
    customers.to_parquet(tmp_path / "customers.parquet")
    monkeypatch.chdir(tmp_path)
    at = (customers["as_of"].max() + pd.Timedelta(days=60)).strftime("%Y-%m-%d")
    base = ("decide", "customers.parquet", "--what-if", "--at", at)
    code, out, err = propensity(*base, "--scenario", "budget=1", "--json", "what.json")
    assert code == 0, err
    assert "500 people, nothing recorded" in out
    assert sorted(p.name for p in tmp_path.iterdir()) == ["customers.parquet", "what.json"]
    content = json.loads((tmp_path / "what.json").read_text())
    assert [s["name"] for s in content["scenarios"]] == ["as it is", "budget=1"]
    assert content["scenarios"][1]["contacted"] < content["scenarios"][0]["contacted"]
    assert f"{content['scenarios'][0]['contacted']:,}" in out

    for wrong, said in (
        (("--scenario", "budget"), "expected KEY=VALUE"),
        (("--audiences", "lists"), "a what-if writes no lists"),
    ):
        code, _, err = propensity(*base, *wrong)
        assert code == 2
        assert said in err
    code, _, err = propensity("decide", "customers.parquet", "--scenario", "budget=1")
    assert code == 2
    assert "add --what-if" in err


def test_revenue_is_measured_returns_times_what_one_brings_with_the_errors_of_both(model, people, at):
    (found,) = outlooks(model, people, at, first(model))
    returns, revenue = found.expected["reactivated"], found.expected["revenue"]
    each = found.predicted_revenue / found.predicted_returns
    assert revenue.value == pytest.approx(returns.value * each)
    shares = returns.standard_error / abs(returns.value), model.amount.relative_error_
    assert revenue.standard_error == pytest.approx(abs(revenue.value) * np.hypot(*shares))
    assert 0 < shares[1] < 0.5
    direct = first(model).changed({"value.revenue_effect": "direct"})
    (measured,) = outlooks(model, people, at, direct)
    assert measured.expected["revenue"] == model.measured_["revenue"].total(measured.cells["revenue"])


def test_held_out_people_are_not_counted_as_contacted(model, people, at):
    (found,) = outlooks(model, people, at, first(model))
    assert (
        found.contacted
        == found.assignments["policy"]
        + found.assignments["explore"]
        - sum(n for (_, after), n in found.moves.items() if after == CONTROL)
        + found.assignments["holdout"]
        + found.assignments["suppressed"]
    )
    assert found.cells["revenue"].sum() == found.contacted
