"""A simulated program behaves as the field does: its rates, and what works on whom and when."""

import numpy as np
import pandas as pd
import pytest

from propensity import playbook
from propensity.simulation.effects import response_curve

DEFAULT = playbook.load("default")


def mean_where(frame, rows, label):
    return frame.loc[rows.to_numpy(), label].mean()


def test_base_rates_of_the_field(program):
    chance = program.truth.reactivation_probability.loc[program.contacts["customer_id"]]
    eligible = program.truth.eligible.loc[program.contacts["customer_id"]]
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
