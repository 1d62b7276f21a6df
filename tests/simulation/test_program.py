"""The simulated program keeps the contract, repeats by its seed, and is written whole or not at all."""

import time
from dataclasses import fields
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from propensity import contract, playbook
from propensity.simulation import DECIDED_AT, SimulationError, Truth, simulate, write

DEFAULT = playbook.load("default")
TABLES = ("customers", "contacts", "outcomes")


# ---------------------------------------------------------------------------------------------------------- tables


@pytest.mark.parametrize("table", TABLES)
def test_tables_keep_the_contract_as_they_are(program, table):
    frame = getattr(program, table)
    checked = contract.check(table, frame, actions=DEFAULT.labels)
    pd.testing.assert_frame_equal(checked.good, frame)


def test_tables_agree_with_each_other(program):
    assert contract.check_references(program.customers, program.contacts, program.outcomes) == []
    contract.check_arms(program.contacts)
    known = program.outcomes["decision_id"].dropna()
    assert known.isin(program.contacts["decision_id"]).all()
    assert program.outcomes["event_id"].is_unique


def test_times_are_in_order(program):
    customers, outcomes = program.customers, program.outcomes
    assert (customers["churned_at"] < customers["as_of"]).all()
    assert (customers["as_of"] <= pd.Timestamp(DECIDED_AT)).all()
    assert (outcomes["at"] >= pd.Timestamp(DECIDED_AT)).all()
    first = outcomes.pivot_table(index="customer_id", columns="type", values="at", aggfunc="min")
    for earlier, later in [
        ("sent", "delivered"),
        ("delivered", "opened"),
        ("opened", "clicked"),
        ("reactivated", "purchased"),
    ]:
        both = first[[earlier, later]].dropna()
        assert len(both) > 100
        assert (both[earlier] <= both[later]).all()


def test_features_of_the_playbook_are_there(program):
    named = {*DEFAULT.features.numeric, *DEFAULT.features.categorical}
    assert named <= set(program.customers.columns)
    numeric = program.customers[list(DEFAULT.features.numeric)]
    assert all(pd.api.types.is_numeric_dtype(kind) for kind in numeric.dtypes)


def test_truth_is_in_no_table(program):
    for table in TABLES:
        columns = {c.lower() for c in getattr(program, table).columns}
        assert not columns & {f.name for f in fields(Truth)} - {"reason"}
    # The stated reason is a minority's, and now and then not the true one.
    stated = program.customers.set_index("customer_id")["reason"]
    assert 0.38 < stated.notna().mean() < 0.42
    true = program.truth.reason[stated.notna()]
    assert 0.90 < (true == stated.dropna()).mean() < 0.97
    # No numeric feature tells a hidden chance.
    numeric = program.customers.select_dtypes("number").set_axis(program.truth.reason.index)
    for chance in (program.truth.reactivation_probability["control"], program.truth.expected_revenue["control"]):
        assert numeric.corrwith(chance, method="spearman").abs().max() < 0.9


def test_features_tell_of_the_reason_but_not_all(program):
    from sklearn.tree import DecisionTreeClassifier

    X = program.customers.select_dtypes("number")
    half = len(X) // 2
    tree = DecisionTreeClassifier(max_depth=8, min_samples_leaf=50, random_state=0)
    tree.fit(X[:half], program.truth.reason[:half])
    share = tree.score(X[half:], program.truth.reason[half:])
    assert program.truth.reason.value_counts(normalize=True).max() + 0.1 < share < 0.75


# ------------------------------------------------------------------------------------------------------------ seed


def test_same_seed_same_tables():
    one, same, other = simulate(2000, seed=5), simulate(2000, seed=5), simulate(2000, seed=6)
    for table in TABLES:
        pd.testing.assert_frame_equal(getattr(one, table), getattr(same, table))
        assert not getattr(one, table).equals(getattr(other, table))
    for part in fields(Truth):
        assert getattr(one.truth, part.name).equals(getattr(same.truth, part.name))


def test_global_randomness_is_left_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    simulate(500)
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


def test_effect_scale_changes_neither_people_nor_decisions():
    strong, weak = simulate(2000, seed=2), simulate(2000, seed=2, effect_scale=0.3)
    pd.testing.assert_frame_equal(strong.customers, weak.customers)
    pd.testing.assert_frame_equal(strong.contacts, weak.contacts)


@pytest.mark.parametrize("n_customers", [1, 2, 30])
def test_a_handful_of_customers(n_customers):
    program = simulate(n_customers)
    assert len(program.customers) == n_customers
    assert program.truth.eligible.shape == (n_customers, len(DEFAULT.labels) + 1)


# ----------------------------------------------------------------------------------------------- arguments and files


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_customers": 0}, "n_customers == 0, must be >= 1"),
        ({"effect_scale": -1.0}, "effect_scale == -1.0, must be a number >= 0"),
        ({"effect_scale": float("nan")}, "effect_scale == nan, must be a number >= 0"),
        ({"decided_at": datetime(2026, 1, 1)}, "must have a timezone"),
        ({"playbook": playbook.load("hillstrom")}, "simulated customers have no months_since_purchase"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(SimulationError, match=message) as caught:
        simulate(**{"n_customers": 10, **arguments})
    assert caught.value.exit_code == 2


def test_a_playbook_of_another_company_can_be_simulated():
    offers = {**DEFAULT.offers, "free_socks": playbook.Offer(cost_if_redeemed_currency=3)}
    channels = {"letter": playbook.Channel(cost_currency=2, needs_consent=True)}
    actions = {"socks": playbook.Action(archetype="we_miss_you", channel="letter", offer="free_socks")}
    own = DEFAULT.model_copy(update={"offers": offers, "channels": channels, "actions": actions})
    program = simulate(3000, playbook=own, decided_at=datetime(2025, 7, 1, tzinfo=UTC))
    assert set(program.contacts["action"]) == {"control", "socks"}
    assert set(program.contacts.loc[program.contacts["action"] == "socks", "cost"]) == {2.0}
    contract.check("contacts", program.contacts, actions=own.labels)
    assert program.truth.reactivation_probability["socks"].mean() > 0


def test_written_files_read_back_equal(tmp_path):
    small = simulate(300)
    directory = write(small, tmp_path / "new" / "program")
    for table in TABLES:
        pd.testing.assert_frame_equal(pd.read_parquet(directory / f"{table}.parquet"), getattr(small, table))
    for part in fields(Truth):
        read = pd.read_parquet(directory / "truth" / f"{part.name}.parquet")
        expected = getattr(small.truth, part.name)
        pd.testing.assert_frame_equal(read, expected.to_frame() if isinstance(expected, pd.Series) else expected)
    assert {p.name for p in directory.iterdir()} == {*(f"{t}.parquet" for t in TABLES), "truth"}


def test_writing_refuses_to_overwrite_unless_told(tmp_path):
    write(simulate(300, seed=1), tmp_path)
    before = (tmp_path / "customers.parquet").read_bytes()
    with pytest.raises(SimulationError, match=r"already holds customers\.parquet") as caught:
        write(simulate(300, seed=2), tmp_path)
    assert caught.value.exit_code == 2
    assert (tmp_path / "customers.parquet").read_bytes() == before
    (tmp_path / "notes.txt").write_text("mine")
    write(simulate(300, seed=2), tmp_path, overwrite=True)
    assert (tmp_path / "customers.parquet").read_bytes() != before
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_failure_while_writing_leaves_the_earlier_program_whole(tmp_path, monkeypatch):
    write(simulate(300, seed=1), tmp_path)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*.parquet")}
    original = pd.DataFrame.to_parquet

    def fail_on_outcomes(frame, path, **settings):
        if path.name == "outcomes.parquet":
            path.write_bytes(b"half")
            raise OSError(28, "No space left on device")
        return original(frame, path, **settings)

    monkeypatch.setattr(pd.DataFrame, "to_parquet", fail_on_outcomes)
    with pytest.raises(SimulationError, match="No space left on device"):
        write(simulate(300, seed=2), tmp_path, overwrite=True)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_a_file_in_the_way_is_one_sentence(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(SimulationError, match="cannot be written"):
        write(simulate(50), tmp_path / "taken")


@pytest.mark.slow
def test_a_hundred_thousand_customers_in_under_ten_seconds():
    begun = time.perf_counter()
    simulate(100_000)
    assert time.perf_counter() - begun < 10
