"""A summary's figures are those of the data, and its words are those of its figures."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.multitest import multipletests

from propensity.contract import CONTROL
from propensity.decision import DECISION_COLUMNS
from propensity.errors import InputError
from propensity.ledger import Ledger
from propensity_experiments.summary import summarise
from propensity_experiments.verdict import verdict

LATER = pd.Timestamp("2026-06-01T00:00:00Z")
NUMBERS = {"control": (400, 20, 50.0), "mens_email": (400, 80, 300.0), "womens_email": (400, 25, 60.0)}


@pytest.fixture
def summary(experiment):
    return summarise(experiment, "spring", now=LATER)


def counted(summary) -> dict[str, tuple[int, int, float]]:
    """People, those who came back, and revenue, by arm."""
    pairs = zip(summary.primary.totals, summary.outcome("revenue").totals, strict=True)
    return {back.action: (back.people, back.with_it, money.total) for back, money in pairs}


def record_wave(ledger: Ledger, campaign_columns: dict) -> None:
    """Decisions that act on the experiment: 6 by policy, 2 held out, 1 exploring, 1 suppressed."""
    ledger.add_campaign("summer", **{**campaign_columns, "title": "Summer", "follows": "spring"})
    rows = [("policy", "mens_email")] * 6 + [("holdout", CONTROL)] * 2
    rows += [("explore", "womens_email"), ("suppressed", CONTROL)]
    table = pd.DataFrame(rows, columns=["assignment", "action"])
    table["decision_id"] = table["customer_id"] = [f"w{i}" for i in range(len(rows))]
    table["send"] = table["action"] != CONTROL
    table["cost"] = np.where(table["send"], 0.02, 0.0)
    table["campaign"], table["probability"] = "summer", 0.5
    chances = pd.DataFrame({"control": 0.5, "email": 0.5}, index=table.index)
    ledger.add_decisions(table.reindex(columns=DECISION_COLUMNS), LATER, chances)


def test_figures_are_those_of_the_data(summary):
    assert summary.people == 1_200
    assert counted(summary) == NUMBERS
    mens, womens = summary.primary.effects
    assert (mens.action, womens.action) == ("mens_email", "womens_email")
    assert mens.difference.value == pytest.approx((80 - 20) / 400)
    assert womens.difference.value == pytest.approx((25 - 20) / 400)
    assert summary.outcome("revenue").effects[0].difference.value == pytest.approx((300 - 50) / 400)
    assert summary.health.sample_ratio.observed == {"control": 400, "mens_email": 400, "womens_email": 400}
    assert summary.health.sample_ratio.p_value == 1


def test_open_windows_are_counted_and_left_out(experiment, record_experiment):
    record_experiment(experiment, campaign="late")
    now = pd.Timestamp("2026-03-16T09:00:00Z")
    assert (summarise(experiment, "late", now=now).people, summarise(experiment, "late", now=now).open_windows) == (
        1_200,
        0,
    )
    before = summarise(experiment, "late", now=now - pd.Timedelta(seconds=1))
    assert (before.people, before.open_windows, before.outcomes) == (0, 1_200, ())
    assert verdict(before).kind == "no_comparison"
    # what is known of them so far is in the curve alone
    assert before.returns[0].share[-1] == pytest.approx(20 / 400)


def test_people_whose_window_is_open_are_said_to_be_left_out(experiment):
    late = experiment.contacts("spring").iloc[::20].copy()
    late["decision_id"] = "late-" + late["decision_id"]
    late["customer_id"] = "late-" + late["customer_id"]
    late["decided_at"] += pd.Timedelta(days=7)
    experiment.add_contacts(late)
    found = summarise(experiment, "spring", now=pd.Timestamp("2026-03-20T00:00:00Z"))
    assert (found.people, found.open_windows) == (1_200, 60)
    assert counted(found) == NUMBERS
    assert any("60 more are left out: their 14 days are not over" in s for s in verdict(found).sentences)


def test_outcomes_after_the_window_do_not_count(experiment):
    late = pd.DataFrame(
        [
            {
                "event_id": "late",
                "source": "shop",
                "customer_id": "spring-399",
                "at": pd.Timestamp("2026-03-17T00:00:00Z"),
                "type": "purchased",
                "amount": 999.0,
            }
        ]
    )
    experiment.add_outcomes(late)
    assert counted(summarise(experiment, "spring", now=LATER))["control"][2] == 50


def test_an_erased_person_stays_in_the_figures(experiment, summary):
    experiment.erase("spring-0")
    after = summarise(experiment, "spring", now=LATER)
    assert (after.people, after.open_windows, counted(after)) == (summary.people, 0, NUMBERS)


def test_the_next_wave_is_counted(experiment, assessed, campaign_columns):
    assessment = assessed("one_action")
    experiment.add_assessment("spring", "m/7", assessment.to_json())
    record_wave(experiment, campaign_columns)
    wave = summarise(experiment, "spring", now=LATER).next_wave
    assert (wave.campaign, wave.people) == ("summer", 10)
    assert wave.sent == {"mens_email": 6, "womens_email": 1}
    assert wave.assignments == {"policy": 6, "holdout": 2, "explore": 1, "suppressed": 1}
    assert wave.cost == pytest.approx(0.14)
    # per 1,000 people in the assessment, 6 people here
    assert wave.revenue.value == pytest.approx(assessment.policy("model").revenue.value * 6 / 1_000)


def test_json_is_strict_and_holds_the_figures(experiment, assessed):
    experiment.add_assessment("spring", "m/7", assessed("per_person").to_json())
    found = summarise(experiment, "spring", now=LATER)
    content = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert [a["with_it"] for a in content["outcomes"][0]["totals"]] == [20, 80, 25]
    assert content["assessment"]["gate"]["granted"] == "per_person"
    assert content["model_version"] == "m/7"


@pytest.mark.parametrize(
    ("arms", "said", "totals"),
    [
        ({"control": (50, 5, 1)}, "Nobody was contacted, ", [(50, 5)]),
        ({"mens_email": (50, 5, 1)}, "Nobody was held out, ", [(50, 5)]),
    ],
)
def test_without_two_arms_what_was_counted_is_said(ledger, record_experiment, arms, said, totals):
    record_experiment(ledger, arms=arms)
    found = summarise(ledger, "spring", now=LATER)
    assert [(t.people, t.with_it) for t in found.primary.totals] == totals
    assert (found.primary.effects, found.primary.any_contact, found.over_time, found.guardrails) == ((), None, (), ())
    told = verdict(found)
    assert told.kind == "no_comparison"
    assert told.sentences[0].startswith(said)
    assert found.health.healthy
    assert json.dumps(found.to_json(), allow_nan=False)


def test_a_campaign_without_decisions_says_so(ledger, campaign_columns):
    ledger.add_campaign("spring", title="t", follows=None, **campaign_columns)
    found = summarise(ledger, "spring", now=LATER)
    assert (found.people, found.open_windows, found.outcomes) == (0, 0, ())
    assert verdict(found).kind == "no_comparison"
    assert json.dumps(found.to_json(), allow_nan=False)


def test_an_unknown_campaign_is_bad_input_and_close_names_are_told(experiment):
    with pytest.raises(InputError, match="did you mean 'spring'"):
        summarise(experiment, "sprng", now=LATER)


# ----------------------------------------------------------------------------------------------------------- words


def test_an_unhealthy_split_says_do_not_read_and_nothing_else(ledger, record_experiment, assessed):
    record_experiment(ledger, arms={"control": (400, 20, 5), "mens_email": (300, 80, 30)})
    ledger.add_assessment("spring", "m/7", assessed("per_person").to_json())
    found = summarise(ledger, "spring", now=LATER)
    told = verdict(found)
    assert not found.health.healthy
    assert (told.kind, len(told.sentences)) == ("unhealthy", 1)
    headline = "Do not read these results: people did not get their arms with the planned chances."
    assert told.headline == headline


def test_without_an_assessment_only_what_was_measured_is_said(summary):
    told = verdict(summary)
    assert told.kind == "roll_out"
    assert told.sentences[0].startswith("Contact of any kind brought +81.2 (95 % sure: ")
    between = "The arms differ: between the best and the worst, mens email and womens email, lie +137.5 (95 % sure: "
    assert told.sentences[1].startswith(between)
    assert told.sentences[2].startswith("Mens email brought +150.0 (95 % sure: ")
    assert told.sentences[3].startswith("Womens email showed no effect that can be told from chance: +12.5 ")
    assert not [s for s in told.sentences if "policy" in s.lower()]


@pytest.mark.parametrize(
    ("mode", "kind", "headline"),
    [
        ("nobody", "keep_running", "Contact brings people back, but is not yet shown to pay for itself"),
        ("one_action", "roll_out", "Send better email update to everybody"),
        ("per_person", "roll_out", "Choose for each person"),
    ],
)
def test_the_headline_follows_the_gate(experiment, assessed, mode, kind, headline):
    experiment.add_assessment("spring", "m/7", assessed(mode).to_json())
    told = verdict(summarise(experiment, "spring", now=LATER))
    assert told.kind == kind
    assert told.headline.startswith(headline)
    assert any(mode in s for s in told.sentences)


def test_without_any_finding_nobody_is_contacted(ledger, record_experiment, assessed):
    record_experiment(ledger, arms={"control": (400, 20, 5), "mens_email": (400, 21, 5)})
    ledger.add_assessment("spring", "m/7", assessed("nobody").to_json())
    told = verdict(summarise(ledger, "spring", now=LATER))
    assert told.kind == "stop"
    assert told.headline.startswith("No difference worth acting on was found: contact nobody")


def test_findings_among_many_arms_are_held_to_one_error(ledger, record_experiment):
    counts = {"control": 20, "a": 34, "b": 36, "c": 37, "d": 39, "e": 44}
    record_experiment(ledger, arms={a: (300, n, 0) for a, n in counts.items()})
    found = summarise(ledger, "spring", now=LATER)
    effects = found.primary.effects
    reference = multipletests([x.p_value for x in effects], 0.05, "holm")
    assert [x.clear for x in effects] == reference[0].tolist()
    assert [x.p_adjusted for x in effects] == pytest.approx(reference[1])
    assert 0 < sum(x.clear for x in effects) < sum(x.p_value < 0.05 for x in effects)
    (sentence,) = [s for s in verdict(found).sentences if s.startswith("Of 5 actions")]
    assert "e" in sentence.rsplit(": ", 1)[1]
