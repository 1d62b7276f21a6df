"""What a simulated program logs is what it drew, and what comes of it agrees with its own truth."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from propensity import contract, playbook
from propensity.simulation import DECIDED_AT, simulate
from propensity.simulation.effects import PURCHASE_SHARE
from propensity.simulation.events import AMOUNT_SPREAD

MAX_Z = 4.0
DEFAULT = playbook.load("default")


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
    program = simulate(40_000, seed=7, playbook=alone, effect_scale=5)
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
