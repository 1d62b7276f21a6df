"""Monitoring a program: quiet where nothing is wrong, and the right check speaks where something is."""

from __future__ import annotations

import copy
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from monitored_weeks import MATURED, PERIOD, UNTIL, WEEK, weeks

from propensity.contract import CONTROL
from propensity.errors import InputError
from propensity.model import DecisionModel
from propensity.monitoring.monitor import Settings, monitor
from propensity.monitoring.results import CHECKS, FALSE_ALARMS, LEVEL, Finding, Period, concluded
from propensity.monitoring.sending import sent
from propensity.monitoring.shares import served_shares
from propensity.policy import codes


def alarms(model, observed, **options) -> dict:
    return {check.name: check for check in monitor(model, observed, PERIOD, **options).alarms}


def check(model, observed, name, **options):
    return next(c for c in monitor(model, observed, PERIOD, **options).checks if c.name == name)


def finding(checked, name):
    return next(f for f in checked.findings if f.name == name)


def lately(observed) -> pd.Series:
    return observed.decisions["decided_at"] >= PERIOD.since


def with_events(observed, kept):
    return replace(observed, events=observed.events[kept])


# ------------------------------------------------------------------------------------------------ nothing is wrong


def test_all_checks_answer_in_their_order_and_raise_nothing(trained, observed):
    found = monitor(trained.model, observed, PERIOD)
    assert [c.name for c in found.checks] == list(CHECKS)
    assert not found.alarms
    assert {c.name for c in found.checks if c.status == "ok"} >= set(CHECKS) - {"calibration"}
    assert found.decisions == lately(observed).sum()
    assert all(c.sentence and c.looked_at for c in found.checks)


def test_the_levels_of_all_checks_add_up_to_the_stated_one(trained, observed):
    assert sum(c.level for c in monitor(trained.model, observed, PERIOD).checks) == pytest.approx(FALSE_ALARMS)


@pytest.mark.slow
def test_runs_in_which_nothing_is_wrong_raise_next_to_no_alarm(trained):
    raised = [bool(alarms(trained.model, weeks(trained.model, seed, 250, 800))) for seed in range(2, 10)]
    # at 5 % a run, three or more of eight come about in 0.6 % of draws
    assert sum(raised) <= 2


def test_people_on_whom_is_decided_again_after_some_came_back_are_no_alarm(trained, observed):
    """Contacted people come back more often, so that the held-out are too many among those who are left."""
    late = observed.decisions[lately(observed)]
    contacted = late[late["action"] != CONTROL]
    gone = set(contacted["customer_id"].iloc[: len(contacted) // 2])
    again = observed.decisions[~(lately(observed) & observed.decisions["customer_id"].isin(gone))]
    again = again.assign(first_decided_at=again["decided_at"] - WEEK)
    found = alarms(trained.model, replace(observed, decisions=again))
    assert not {"served_shares", "assignment_shares"} & set(found)


def drawn_evenly(model, observed, seed: int = 0) -> pd.DataFrame:
    """The decisions, those of the period between the two e-mails as by the toss of a coin, in each decision anew."""
    one, other = model.actions[1:]
    held_out = observed.holdout_shares[model.playbook.version]
    decisions = observed.decisions
    mine = (decisions["decided_at"] >= UNTIL - 2 * WEEK) & decisions["assignment"].isin(["policy", "explore"])
    tossed = np.where(np.random.default_rng(seed).random(len(decisions)) < 0.5, one, other)
    shares = {"probability_control": held_out, f"probability_{one}": (1 - held_out) / 2}
    shares[f"probability_{other}"] = shares[f"probability_{one}"]
    changed = {name: decisions[name].where(~mine, share) for name, share in shares.items()}
    return decisions.assign(action=np.where(mine, tossed, decisions["action"]), **changed)


def test_where_two_actions_are_as_likely_either_is_the_likeliest(trained, observed):
    """A randomised test of two e-mails, of which everybody gets either with the same chance."""
    found = check(trained.model, replace(observed, decisions=drawn_evenly(trained.model, observed)), "served_shares")
    assert finding(found, "weekly, arms").status == "ok"
    assert finding(found, "weekly, likeliest action").status == "not enough data"
    assert "none was likelier" in finding(found, "weekly, likeliest action").sentence


def test_who_leaves_because_of_a_decision_is_no_alarm_in_a_period_of_several(trained, observed):
    """Two weeks: whom one e-mail brought back in the first is not decided on in the second, as all others are."""
    model = trained.model
    decisions = drawn_evenly(model, observed)
    first_week = (decisions["decided_at"] >= UNTIL - 2 * WEEK) & (decisions["decided_at"] < UNTIL - WEEK)
    stay = decisions[first_week & (decisions["action"] != model.actions[1])]
    later = stay["decided_at"] + WEEK
    again = replace(observed, decisions=stay.assign(decided_at=later, decision_id=stay["decision_id"] + "-2"))
    twice = pd.concat([decisions[first_week], drawn_evenly(model, again, seed=1)], ignore_index=True)
    assert twice["customer_id"].duplicated().sum() > 300
    both = Period(PERIOD.before, UNTIL - 2 * WEEK, UNTIL)
    found = {c.name: c for c in monitor(model, replace(observed, decisions=twice), both).checks}
    assert {found[name].status for name in ("served_shares", "assignment_shares")} == {"ok"}


# -------------------------------------------------------------------------------------------------- what is broken


def test_a_shifted_feature_is_found_and_named(trained, observed):
    late = observed.customers["as_of"] >= PERIOD.since
    tenure = observed.customers["tenure_months"]
    moved = replace(observed, customers=observed.customers.assign(tenure_months=tenure.where(~late, tenure / 3)))
    found = alarms(trained.model, moved)["feature_drift"]
    assert [f.name for f in found.findings if f.status == "alarm"] == ["tenure_months"]
    assert "tenure months" in found.sentence


def test_a_new_category_and_lost_values_are_found(trained, observed):
    late = observed.customers["as_of"] >= PERIOD.since
    region = observed.customers["region"].astype(object)
    new = replace(
        observed, customers=observed.customers.assign(region=region.where(~late | (region != "north"), "islands"))
    )
    assert "not seen in training" in alarms(trained.model, new)["feature_drift"].sentence
    lost = replace(observed, customers=observed.customers.assign(region=region.where(~late | (region != "north"))))
    assert "missing" in alarms(trained.model, lost)["feature_drift"].sentence


def test_a_certain_but_tiny_drift_is_told_but_no_alarm(trained, observed):
    late = observed.customers["as_of"] >= PERIOD.since
    many = 40
    again = [
        observed.customers[late].assign(customer_id=lambda c, k=k: f"copy{k}-" + c["customer_id"]) for k in range(many)
    ]
    copies = [
        observed.decisions[lately(observed)].assign(
            customer_id=lambda d, k=k: f"copy{k}-" + d["customer_id"],
            decision_id=lambda d, k=k: f"copy{k}-" + d["decision_id"],
        )
        for k in range(many)
    ]
    people = pd.concat([observed.customers, *again], ignore_index=True)
    # the copies make the chance differences of one week certain
    found = check(
        trained.model,
        replace(observed, customers=people, decisions=pd.concat([observed.decisions, *copies], ignore_index=True)),
        "feature_drift",
    )
    certain = [f for f in found.findings if f.p_adjusted < LEVEL]
    assert certain
    assert {f.status for f in certain} == {"ok"}
    assert all(f.size < f.alarm_above for f in certain)
    assert "too small to matter" in found.sentence


def test_a_score_that_moves_is_found(trained, observed):
    late = observed.customers["as_of"] >= PERIOD.since
    value = observed.customers["annual_value"]
    cents = replace(observed, customers=observed.customers.assign(annual_value=value.where(~late, value * 100)))
    assert {"feature_drift", "score_drift"} <= set(alarms(trained.model, cents))


def test_swapped_arms_are_found_though_both_are_as_many_as_planned(trained, observed):
    """Everybody gets one of two e-mails with chances 90 and 10 %, half of the people either way: counts stay equal."""
    decisions = observed.decisions
    mine = lately(observed) & decisions["assignment"].isin(["policy", "explore"])
    one, other = trained.model.actions[1:]
    flip = np.arange(len(decisions)) % 2 == 0
    draws = np.random.default_rng(0).random(len(decisions)) < 0.9
    action = np.where(flip == draws, one, other)
    shares = {f"probability_{one}": np.where(flip, 0.9, 0.1), f"probability_{other}": np.where(flip, 0.1, 0.9)}
    held_out = observed.holdout_shares[trained.model.playbook.version]
    changed = {name: np.where(mine, p * (1 - held_out), decisions[name]) for name, p in shares.items()}
    changed["probability_control"] = np.where(mine, held_out, decisions["probability_control"])
    fair = decisions.assign(action=np.where(mine, action, decisions["action"]), **changed)
    assert "served_shares" not in alarms(trained.model, replace(observed, decisions=fair))
    swapped = fair.assign(action=fair["action"].where(~mine, fair["action"].map({one: other, other: one})))
    found = check(trained.model, replace(observed, decisions=swapped), "served_shares")
    assert finding(found, "weekly, likeliest action").status == "alarm"
    assert finding(found, "weekly, arms").status == "ok"


def test_what_had_no_chance_is_an_alarm_at_once(trained, observed):
    late = lately(observed) & (observed.decisions["assignment"] == "policy")
    first = observed.decisions.index[late][0]
    decisions = observed.decisions.copy()
    decisions.loc[first, "action"] = "a_call_that_nobody_planned"
    found = alarms(trained.model, replace(observed, decisions=decisions))["served_shares"]
    assert "1 of" in found.sentence
    assert "no chance" in found.sentence


def test_one_who_had_a_chance_of_a_rare_action_only_and_got_another_hides_no_uneven_arms():
    half = {"campaign": "c", "holdout_share": 0.0, "probability_a": 0.5, "probability_b": 0.5, "probability_c": 0.0}
    people = pd.DataFrame([{**half, "action": "aaab"[k % 4]} for k in range(400)])
    astray = {"probability_a": 0.0, "probability_b": 0.0, "probability_c": 1.0, "action": "a"}
    found = served_shares("", pd.concat([people, people.head(1).assign(**astray)], ignore_index=True))
    assert finding(found, "c, likeliest action").status == "alarm"
    assert finding(found, "c, arms").status == "alarm"


def test_a_holdout_that_leaks_is_found(trained, observed):
    late = lately(observed) & (observed.decisions["assignment"] == "holdout")
    assignment = observed.decisions["assignment"].where(~late, "policy")
    found = alarms(trained.model, replace(observed, decisions=observed.decisions.assign(assignment=assignment)))
    assert "by the playbook" in found["assignment_shares"].sentence


def test_many_left_out_by_limits_are_found(trained, observed):
    late = (
        lately(observed)
        & (observed.decisions["assignment"] == "policy")
        & (np.arange(len(observed.decisions)) % 9 == 0)
    )
    assignment = observed.decisions["assignment"].where(~late, "fallback")
    found = check(
        trained.model,
        replace(observed, decisions=observed.decisions.assign(assignment=assignment)),
        "assignment_shares",
    )
    assert finding(found, "fallback").status == "alarm"


def test_whom_the_rules_decide_on_in_the_late_model_s_place_nobody_left_out(trained, observed):
    by_rules = lately(observed) & (observed.decisions["assignment"] == "policy")
    told = json.dumps([codes.BY_RULES])
    late = observed.decisions.assign(
        assignment=observed.decisions["assignment"].where(~by_rules, "fallback"),
        reason_codes=observed.decisions["reason_codes"].where(~by_rules, told),
    )
    found = finding(check(trained.model, replace(observed, decisions=late), "assignment_shares"), "fallback")
    assert by_rules.sum() > 300
    assert (found.status, found.figures["left_out"]) == ("ok", 0)


def test_a_dead_tracking_pixel_is_found(trained, observed):
    events = observed.events
    dead = with_events(observed, ~((events["type"] == "clicked") & (events["at"] >= PERIOD.since)))
    found = alarms(trained.model, dead)["missing_outcomes"]
    assert found.sentence.startswith("clicked: 0 came")
    assert [f.name for f in found.findings if f.status == "alarm"] == ["clicked"]


def test_a_type_that_never_came_is_not_missed(trained, observed):
    without = with_events(observed, observed.events["type"] != "clicked")
    found = check(trained.model, without, "missing_outcomes")
    assert "clicked" not in {f.name for f in found.findings}


def test_few_events_in_a_small_program_are_not_missed(trained, observed):
    rare = observed.events["customer_id"].str.endswith("7")
    few = with_events(
        observed, (observed.events["type"] != "clicked") | (rare & (observed.events["at"] < PERIOD.since))
    )
    found = finding(check(trained.model, few, "missing_outcomes"), "clicked")
    assert found.status == "not enough data"


def test_open_windows_are_not_missing_purchases(trained, observed):
    """The last week's decisions are a day old: most of their returns are still to come."""
    found = finding(check(trained.model, observed, "missing_outcomes"), "reactivated")
    young = lately(observed).sum()
    assert young > 500
    assert found.status in ("ok", "not enough data")


def test_answers_that_drop_are_found(trained, observed):
    events = observed.events
    opened = (events["type"] == "opened") & (events["at"] >= PERIOD.since - WEEK)
    fewer = with_events(observed, ~(opened & (np.arange(len(events)) % 3 != 0)))
    found = finding(check(trained.model, fewer, "responses"), "opened")
    assert found.status == "alarm"
    assert found.figures["high"] < 0
    assert "points (95 % sure: -" in found.sentence


def test_only_decisions_of_equal_age_are_compared(trained, observed):
    found = finding(check(trained.model, observed, "responses", settings=Settings(response_days=3)), "opened")
    decided = observed.decisions
    contacted = decided[(decided["action"] != CONTROL) & decided["model_version"].notna()]
    grown = contacted["decided_at"] + pd.Timedelta(days=3)
    assert found.figures["n_now"] == ((grown > PERIOD.since) & (grown <= UNTIL)).sum()


def test_what_is_not_sent_is_found(trained, observed):
    late = observed.decisions.loc[observed.decisions["decided_at"] >= UNTIL - 2 * WEEK, "decision_id"]
    stuck = with_events(observed, ~observed.events["decision_id"].isin(set(late.iloc[::2])))
    found = alarms(trained.model, stuck)["sent"]
    assert {f.name for f in found.findings if f.status == "alarm"} == {"unsent", "unsent, against before"}


def test_unsent_decisions_of_new_actions_make_no_old_ones_comparable(trained):
    """Of what both times have in common next to nothing was not sent; a new campaign of which nothing is sent."""
    made = {"campaign": "old", "action": "email", "due_at": UNTIL - 4 * pd.Timedelta(days=1)}
    sent_at = made["due_at"] + pd.Timedelta(hours=1)
    now = pd.DataFrame([{**made, "sent_at": pd.NaT if k < 3 else sent_at} for k in range(60)])
    before = pd.DataFrame([{**made, "sent_at": sent_at} for k in range(60)])
    before[["due_at", "sent_at"]] -= WEEK
    new = now.assign(campaign="new", sent_at=pd.NaT)
    found = sent("", pd.concat([now, before, new], ignore_index=True), PERIOD, 2.0)
    assert finding(found, "unsent").status == "alarm"
    assert finding(found, "unsent, against before").status == "not enough data"


def test_within_the_grace_nothing_need_be_sent(trained, observed):
    week = observed.decisions.loc[lately(observed), "decision_id"]
    young = with_events(observed, ~observed.events["decision_id"].isin(set(week)))
    assert "sent" not in alarms(trained.model, young)


def test_predictions_that_no_longer_come_true_are_found(trained):
    """Most returns of contacted people of a large matured wave are struck out; the effect is gone."""
    assert "effect" in trained.model.reference.calibration
    observed = weeks(trained.model, matured=8_000)
    contacted = observed.decisions.loc[observed.decisions["action"] != CONTROL, "customer_id"]
    back = observed.events["type"].isin(["reactivated", "purchased"])
    mostly = observed.events["customer_id"].str[-1].isin(list("01234567"))
    gone = with_events(observed, ~(back & mostly & observed.events["customer_id"].isin(set(contacted))))
    found = check(trained.model, gone, "calibration")
    assert finding(found, "effect, mean").status == "alarm"


def test_decisions_that_may_have_taught_the_model_do_not_judge_it(trained, observed):
    assert check(trained.model, observed, "calibration").status == "ok"
    later = copy.copy(trained.model)
    later.reference = replace(trained.model.reference, until=MATURED + pd.Timedelta(days=1))
    assert check(later, observed, "calibration").status == "not enough data"


# --------------------------------------------------------------------------------------------------- little to see


def test_a_ledger_without_decisions_is_not_enough_data(trained, observed):
    empty = replace(
        observed,
        decisions=observed.decisions.iloc[:0],
        customers=observed.customers.iloc[:0],
        events=observed.events.iloc[:0],
    )
    found = monitor(trained.model, empty, PERIOD)
    assert {c.status for c in found.checks} == {"not enough data"}


def test_a_model_without_held_out_people_says_so(small_model, observed):
    model: DecisionModel = small_model
    assert "train it with propensity train" in check(model, observed, "score_drift").sentence
    assert check(model, observed, "calibration").status == "not enough data"


def test_a_playbook_that_is_not_known_does_not_count(trained, observed):
    found = check(trained.model, replace(observed, holdout_shares={}), "served_shares")
    assert found.status == "not enough data"
    assert "1 versions of the playbook are not in the ledger" in found.looked_at


def test_a_period_that_ends_before_it_begins(trained, observed):
    with pytest.raises(InputError, match="period"):
        monitor(trained.model, observed, Period(PERIOD.before, UNTIL, PERIOD.since))


def test_an_alarm_is_both_certain_and_large():
    findings = [
        Finding("certain", "c.", p_value=1e-9, size=0.01, alarm_above=0.1),
        Finding("large", "l.", p_value=0.02, size=5.0, alarm_above=0.1),
        Finding("both", "b.", p_value=1e-9, size=5.0, alarm_above=0.1),
        Finding("unknown", "u."),
    ]
    found = concluded("sent", "", findings, "nothing")
    assert {f.name: f.status for f in found.findings} == {
        "certain": "ok",
        "large": "ok",
        "both": "alarm",
        "unknown": "not enough data",
    }
    assert found.sentence == "b."
    # of three that were tested, not four
    assert finding(found, "certain").p_adjusted == pytest.approx(3e-9)
