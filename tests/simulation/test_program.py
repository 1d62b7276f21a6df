"""The simulated program keeps the contract, logs what it drew, and obeys its own truth."""

import time
from dataclasses import fields
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from propensity import contract, playbook
from propensity.simulation import DECIDED_AT, SimulationError, Truth, simulate, write
from propensity.simulation.effects import PURCHASE_SHARE, response_curve
from propensity.simulation.events import AMOUNT_SPREAD

N = 40_000
MAX_Z = 4.0
DEFAULT = playbook.load("default")
TABLES = ("customers", "contacts", "outcomes")


@pytest.fixture(scope="module")
def program():
    return simulate(N, seed=1)


@pytest.fixture(scope="module")
def logged(program):
    """One row a contact: the served action, chances of all, and what came of it inside the window."""
    contacts = program.contacts.set_index("customer_id")
    end = DECIDED_AT + timedelta(days=DEFAULT.program.attribution_window_days)
    events = program.outcomes[program.outcomes["at"].between(DECIDED_AT, end)]
    frame = contacts[["action", "probability"]].copy()
    for type_ in ("reactivated", "unsubscribed"):
        frame[type_] = frame.index.isin(events.loc[events["type"] == type_, "customer_id"]).astype(float)
    paid = events[events["type"] == "purchased"].groupby("customer_id")["amount"].sum()
    frame["revenue"] = paid.reindex(frame.index).fillna(0.0)
    return frame


def probabilities(contacts):
    labels = [contract.CONTROL, *DEFAULT.labels]
    return contacts[[contract.PROBABILITY_PREFIX + label for label in labels]].set_axis(labels, axis=1)


def in_program(program, frame):
    return frame.loc[program.contacts["customer_id"]]


def realised(program, types=("reactivated", "purchased")):
    rows = program.outcomes[program.outcomes["type"].isin(types)]
    return rows[["customer_id", "type", "at", "amount"]].sort_values(["customer_id", "type"]).reset_index(drop=True)


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


# ------------------------------------------------------------------------------------------------------- decisions


def test_probabilities_sum_to_one_and_belong_to_the_served_action(program):
    chances = probabilities(program.contacts)
    np.testing.assert_allclose(chances.sum(axis=1), 1.0, atol=1e-12)
    served = chances.columns.get_indexer(program.contacts["action"])
    assert (chances.to_numpy()[np.arange(len(chances)), served] == program.contacts["probability"]).all()
    eligible = in_program(program, program.truth.eligible)
    assert ((chances.to_numpy() > 0) == eligible.to_numpy()).all()


def test_served_actions_come_as_often_as_logged(program):
    chances = probabilities(program.contacts)
    served = pd.get_dummies(program.contacts["action"]).reindex(columns=chances.columns, fill_value=False)
    z = (served.sum() - chances.sum()) / np.sqrt((chances * (1 - chances)).sum())
    assert z.abs().max() < MAX_Z
    share = 1 - (1 - DEFAULT.learning.holdout_share) * (1 - DEFAULT.learning.campaign_holdout_share)
    np.testing.assert_allclose(chances["control"], share)


def test_people_outside_the_program_have_no_contact(program):
    customers = program.customers.set_index("customer_id")
    days = (pd.Timestamp(DECIDED_AT) - customers["churned_at"]) / pd.Timedelta(days=1)
    inside = days.between(DEFAULT.program.cooling_off_days, DEFAULT.program.horizon_days)
    contacted = customers.index.isin(program.contacts["customer_id"])
    assert (~inside).sum() > 500
    assert not contacted[~inside].any()
    some_action = program.truth.eligible.drop(columns="control").any(axis=1)
    assert (contacted == some_action).all()
    messages = program.outcomes["type"].isin(["sent", "delivered", "bounced", "opened", "clicked"])
    assert program.outcomes.loc[messages, "customer_id"].isin(program.contacts["customer_id"]).all()


def test_nobody_gets_what_they_must_not(program):
    served = program.contacts.merge(program.customers, on="customer_id")
    for label, rows in served[served["action"] != contract.CONTROL].groupby("action"):
        action = DEFAULT.actions[label]
        if DEFAULT.channels[action.channel].needs_consent:
            assert rows[contract.CONSENT_PREFIX + action.channel].all()
        if DEFAULT.channels[action.channel].needs_account_access:
            assert rows["account_access"].eq(True).all()
        assert not rows["reason"].isin(DEFAULT.offers[action.offer].excluded_reasons).any()


def test_holdouts_are_never_contacted(program):
    held_out = program.contacts.loc[program.contacts["action"] == contract.CONTROL, "customer_id"]
    events = program.outcomes[program.outcomes["customer_id"].isin(held_out)]
    assert set(events["type"]) == {"reactivated", "purchased", "unsubscribed"}
    assert (program.contacts.loc[program.contacts["action"] == contract.CONTROL, "cost"] == 0).all()
    sent = program.outcomes.loc[program.outcomes["type"] == "sent", "customer_id"]
    assert sent.is_unique
    assert len(sent) == (program.contacts["action"] != contract.CONTROL).sum()


# ------------------------------------------------------------------------------------------------ outcomes and truth


def amount_variance(chance, revenue):
    """Variance of zero-inflated lognormal revenue from its truth; a sample of few buyers would understate it."""
    mean_of_buyers = revenue / chance / PURCHASE_SHARE
    return chance * PURCHASE_SHARE * mean_of_buyers**2 * np.exp(AMOUNT_SPREAD**2) - revenue**2


# Opt-outs and buyers of a single action are a handful, too few for a normal bound: those are tested in groups.
GROUPS = ("archetype", "channel", "offer")
COMPARED = [("reactivated", "action")] + [(y, by) for y in ("reactivated", "unsubscribed", "revenue") for by in GROUPS]


@pytest.mark.parametrize(("outcome", "by"), COMPARED)
def test_weighted_outcomes_agree_with_the_truth(program, logged, outcome, by):
    truth = {
        "reactivated": program.truth.reactivation_probability,
        "unsubscribed": program.truth.unsubscribe_probability,
        "revenue": program.truth.expected_revenue,
    }
    means = {name: in_program(program, frame) for name, frame in truth.items()}
    mean = means[outcome]
    binary = outcome != "revenue"
    variance = mean * (1 - mean) if binary else amount_variance(means["reactivated"], means["revenue"])
    served = (np.arange(len(logged)), mean.columns.get_indexer(logged["action"]))
    factors = DEFAULT.factors().astype(str).assign(action=DEFAULT.labels)
    rows = pd.DataFrame(
        {
            "group": logged["action"].map(factors[by]).fillna(contract.CONTROL).to_numpy(),
            "residual": (logged[outcome].to_numpy() - mean.to_numpy()[served]) / logged["probability"].to_numpy(),
            "variance": variance.to_numpy()[served] / logged["probability"].to_numpy() ** 2,
        }
    )
    sums = rows.groupby("group").sum()
    z = sums["residual"] / np.sqrt(sums["variance"])
    assert z.abs().max() < MAX_Z


def test_weighted_mean_of_a_policy_agrees_with_the_truth(program, logged):
    # One e-mail to all who may get it, nothing to the rest: the inverse-probability mean without any outcome model.
    label = "better_email_update"
    eligible = in_program(program, program.truth.eligible)[label]
    target = pd.Series(np.where(eligible, label, contract.CONTROL), index=logged.index)
    chance = in_program(program, program.truth.reactivation_probability)
    truth = np.where(eligible, chance[label], chance[contract.CONTROL])
    weighted = (logged["action"] == target) / logged["probability"] * logged["reactivated"]
    assert abs(weighted.mean() - truth.mean()) < MAX_Z * (weighted - truth).std() / np.sqrt(len(weighted))


def test_the_truth_counts_the_contacts_that_do_not_arrive():
    # Three in ten pushes are lost; with one strong action for many people the difference cannot hide in the noise.
    label = "miss_you_push_points"
    alone = DEFAULT.model_copy(update={"actions": {label: DEFAULT.actions[label]}})
    program = simulate(N, seed=7, playbook=alone, effect_scale=5)
    pushed = program.contacts.loc[program.contacts["action"] == label, "customer_id"]
    types = program.outcomes.groupby("type")["customer_id"].agg(set)
    assert 0.67 < pushed.isin(types["delivered"]).mean() < 0.73
    chance = program.truth.reactivation_probability.loc[pushed, label].to_numpy()
    window_end = DECIDED_AT + timedelta(days=DEFAULT.program.attribution_window_days)
    returned = program.outcomes[(program.outcomes["type"] == "reactivated") & (program.outcomes["at"] <= window_end)]
    residual = pushed.isin(returned["customer_id"]).to_numpy() - chance
    assert abs(residual.sum()) < MAX_Z * np.sqrt((chance * (1 - chance)).sum())


def test_no_effect_means_the_same_outcome_under_every_action():
    nothing = simulate(3000, seed=3, effect_scale=0)
    for name in ("reactivation_probability", "expected_revenue", "unsubscribe_probability"):
        truth = getattr(nothing.truth, name)
        assert (truth.to_numpy() == truth[["control"]].to_numpy()).all(), name


def test_potential_outcomes_are_fixed_a_person():
    # With other decisions for the same people, without effects nothing changes, and with effects something does.
    learning = DEFAULT.learning.model_copy(update={"holdout_share": 0.9})
    held_out = DEFAULT.model_copy(update={"learning": learning})
    pd.testing.assert_frame_equal(
        realised(simulate(3000, seed=3, effect_scale=0)),
        realised(simulate(3000, seed=3, effect_scale=0, playbook=held_out)),
    )
    assert len(realised(simulate(3000, seed=3))) > len(realised(simulate(3000, seed=3, playbook=held_out)))


def test_effects_grow_with_their_scale():
    effects = []
    for scale in (0.0, 0.5, 1.0, 2.0):
        chance = simulate(3000, seed=4, effect_scale=scale).truth.reactivation_probability
        effects.append((chance.max(axis=1) - chance["control"]).mean())
        assert chance.to_numpy().min() >= 0
        assert chance.to_numpy().max() <= 1
    assert effects == sorted(effects)
    assert effects[0] == 0


def test_some_return_after_the_window_and_revenue_is_zero_inflated(program):
    window = timedelta(days=DEFAULT.program.attribution_window_days)
    returns = program.outcomes[program.outcomes["type"] == "reactivated"]
    late = returns["at"] > DECIDED_AT + window
    assert 0.1 < late.mean() < 0.3
    bought = program.outcomes[program.outcomes["type"] == "purchased"]
    assert 0.6 < len(bought) / len(returns) < 0.9
    assert (bought["amount"] > 0).all()
    assert program.outcomes.loc[program.outcomes["type"] != "purchased", "amount"].isna().all()


def test_only_returns_that_a_contact_caused_name_their_decision(program):
    returns = program.outcomes[program.outcomes["type"] == "reactivated"]
    action = program.contacts.set_index("customer_id")["action"].reindex(returns["customer_id"]).to_numpy()
    named = returns["decision_id"].notna().to_numpy()
    assert named.any()
    assert not named[(action == contract.CONTROL) | pd.isna(action)].any()


# --------------------------------------------------------------------------------------------------------- the field


def mean_where(frame, rows, label):
    return frame.loc[rows.to_numpy(), label].mean()


def test_base_rates_of_the_field(program):
    chance = in_program(program, program.truth.reactivation_probability)
    eligible = in_program(program, program.truth.eligible)
    blast = chance["miss_you_email_none"][eligible["miss_you_email_none"]].mean()
    assert 0.01 <= blast <= 0.03
    assert 0.005 < chance["control"].mean() < 0.02
    # A segmented program: the right archetype for who said why they left, in-app where possible and e-mail elsewhere.
    answer = {
        "we_got_better": ("better_in_app_trial", "better_email_trial"),
        "circumstances_changed": ("circumstances_in_app_price_hold", "circumstances_email_price_hold"),
        "we_miss_you": ("miss_you_in_app_points", "miss_you_email_percent_off"),
        "wrong_fit_now_right": ("fit_in_app_downgrade", "fit_email_downgrade"),
    }
    stated = program.customers.set_index("customer_id")["reason"].reindex(chance.index)
    archetype = stated.map(DEFAULT.archetype_of_reason())
    reached = []
    for name, (in_app, email) in answer.items():
        rows = archetype == name
        may = rows & (eligible[in_app] | eligible[email])
        reached.append(np.where(eligible[in_app], chance[in_app], chance[email])[may])
    assert 0.08 <= np.concatenate(reached).mean() <= 0.12


@pytest.mark.parametrize(
    ("reason", "right", "wrong"),
    [
        ("product_gap", "better_email_update", "miss_you_email_none"),
        ("internal_change", "circumstances_email_none", "better_email_update"),
        ("disengaged", "miss_you_email_none", "circumstances_email_none"),
        ("fit_problem", "fit_email_trial", "miss_you_email_none"),
        ("price", "fit_email_downgrade", "better_email_update"),
        ("service_problem", "better_email_update", "miss_you_email_none"),
    ],
)
def test_the_wrong_archetype_does_several_times_worse_and_drives_opt_outs(program, reason, right, wrong):
    rows = program.truth.reason == reason
    chance, leaves = program.truth.reactivation_probability, program.truth.unsubscribe_probability
    effect_right = mean_where(chance, rows, right) - mean_where(chance, rows, "control")
    effect_wrong = mean_where(chance, rows, wrong) - mean_where(chance, rows, "control")
    assert effect_right > 5 * effect_wrong
    assert effect_right > 0
    assert mean_where(leaves, rows, wrong) > 2 * mean_where(leaves, rows, right) - mean_where(leaves, rows, "control")


def test_a_wrong_message_leaves_some_worse_off_than_silence(program):
    rows = program.truth.reason == "service_problem"
    chance = program.truth.reactivation_probability
    assert mean_where(chance, rows, "miss_you_email_percent_off") < mean_where(chance, rows, "control")


def test_in_app_converts_three_to_five_times_email_for_the_same_audience(program):
    answers = program.truth.reason.map(DEFAULT.archetype_of_reason())
    for in_app, email in [
        ("better_in_app_update", "better_email_update"),
        ("fit_in_app_downgrade", "fit_email_downgrade"),
        ("circumstances_in_app_price_hold", "circumstances_email_price_hold"),
    ]:
        eligible = program.truth.eligible[in_app] & program.truth.eligible[email]
        rows = eligible & (answers == DEFAULT.actions[in_app].archetype)
        chance = program.truth.reactivation_probability
        assert 3 <= mean_where(chance, rows, in_app) / mean_where(chance, rows, email) <= 5


def test_service_failures_want_a_person(program):
    chance, eligible = program.truth.reactivation_probability, program.truth.eligible
    failed = program.truth.reason == "service_problem"
    person = mean_where(chance, failed & eligible["better_outreach_conversation"], "better_outreach_conversation")
    email = mean_where(chance, failed & eligible["better_email_update"], "better_email_update")
    assert 0.35 <= person <= 0.45
    assert 0.02 <= email <= 0.04


def test_the_response_peaks_between_60_and_180_days(program):
    curve = response_curve(np.arange(0.0, 700.0))
    assert (curve[60:181] == curve.max()).all()
    assert (np.diff(curve[:61]) > 0).all()
    assert (np.diff(curve[180:]) < 0).all()
    chance = program.truth.reactivation_probability
    effect = (chance["miss_you_email_none"] - chance["control"]).to_numpy()
    period = pd.cut(program.customers["days_since_churn"], [30, 60, 180, 365, 548]).to_numpy()
    means = pd.Series(effect).groupby(period).mean().tolist()
    assert np.argmax(means) == 1
    assert means[1] > means[2] > means[3] > 0


def test_discounts_hardly_move_who_would_come_back_anyway(program):
    chance = program.truth.reactivation_probability
    rows = program.truth.reason == "disengaged"
    alone = chance.loc[rows, "control"]
    loyal = rows & (chance["control"] > alone.quantile(0.95))
    others = rows & (chance["control"] < alone.quantile(0.5))

    def gain(who):
        discount = mean_where(chance, who, "miss_you_email_percent_off")
        plain = mean_where(chance, who, "miss_you_email_none")
        return discount - plain

    assert gain(loyal) < 0.5 * gain(others)
    paid = program.truth.expected_revenue / chance
    assert (paid["miss_you_email_percent_off"] < paid["miss_you_email_none"]).mean() > 0.99


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
