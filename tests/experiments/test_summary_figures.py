"""Measures, health and curves of a small program, worked out by hand."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from propensity import playbook
from propensity.playbook import Value
from propensity_experiments import page
from propensity_experiments.contents import ANY_CONTACT, Measure
from propensity_experiments.measures import _lifetime_value_ratio
from propensity_experiments.summary import summarise
from propensity_experiments.verdict import verdict

START = pd.Timestamp("2026-03-02T09:00:00Z")
LATER = pd.Timestamp("2026-12-31T00:00:00Z")
SHARE = 0.5
BOOK = playbook.load("default").model_dump(mode="json")
ACTION, OFFER = "fit_email_trial", BOOK["offers"]["extended_trial"]
DAY = pd.Timedelta(days=1)


def outcome(customer_id, kind, at, amount=np.nan, **values):
    key = f"{kind}-{customer_id}-{at.isoformat()}"
    return {"event_id": key, "source": "shop", "customer_id": customer_id, "at": at, "type": kind} | {
        "amount": amount,
        **values,
    }


def decide(ledger, campaign_columns, action, n, *, at=START, campaign="spring", mark="", **columns):
    """n people of an arm: their ids."""
    people = [f"{mark}{campaign}-{action}-{i}" for i in range(n)]
    rows = {"decision_id": [f"d-{p}" for p in people], "customer_id": people, "decided_at": at, "campaign": campaign}
    contacts = pd.DataFrame(rows | {"action": action, "probability": SHARE, "cost": 0.0} | columns)
    ledger.add_contacts(contacts)
    return people


@pytest.fixture
def begin(ledger, campaign_columns):
    """Begins a campaign."""

    def start(campaign="spring", **columns):
        given = {**campaign_columns, "title": campaign, "follows": None, "playbook": BOOK, **columns}
        ledger.add_campaign(campaign, **given)
        return ledger

    return start


@pytest.fixture
def program(begin, campaign_columns):
    """200 people by each arm. Of the contacted 40 came back on day 4 and bought for 50, 10 of them left again."""
    ledger = begin()
    held = decide(ledger, campaign_columns, "control", 200)
    contacted = decide(ledger, campaign_columns, ACTION, 200, cost=0.1)
    left = START - 90 * DAY
    everybody = pd.DataFrame({"customer_id": [*held, *contacted], "as_of": START, "churned_at": left})
    ledger.add_customers(everybody.assign(annual_value=100.0))
    events = [outcome(p, "purchased", START + 4 * DAY + DAY / 2, 50.0) for p in contacted[:40]]
    events += [outcome(p, "churned", START + 60 * DAY) for p in contacted[:10]]
    events += [outcome(p, "reactivated", START + 2 * DAY) for p in held[:10]]
    events += [outcome(p, "unsubscribed", START + DAY) for p in contacted[100:104]]
    events += [
        outcome(p, kind, START + DAY)
        for kind in ("delivered", "opened")
        for p in contacted[: {"o": 90}.get(kind[0], 180)]
    ]
    ledger.add_outcomes(pd.DataFrame(events))
    return ledger


def measures(summary, action=ANY_CONTACT):
    return {m.key: m for m in next(x for x in summary.measures if x.action == action).measures}


def test_measures_are_those_worked_out_by_hand(program):
    found = measures(summarise(program, "spring", now=LATER))
    # one variant of the message for the one tier that has people, sending, and offers as often as they are redeemed
    making = BOOK["tiers"]["mass"]["production_cost_currency"]
    offers = 40 * OFFER["redemption_rate"] * OFFER["cost_if_redeemed_currency"]
    cost = making + 200 * 0.1 + offers
    values = {key: m.value for key, m in found.items() if m.value is not None}
    assert values == {
        "reactivation_rate": pytest.approx(40 / 200),
        "incremental_reactivations": pytest.approx(40 - 10),
        "recovered_revenue": pytest.approx(2_000),
        "incremental_revenue": pytest.approx(2_000),
        "return_on_spend": pytest.approx(2_000 / cost),
        "cost_per_reactivated": pytest.approx(cost / 40),
        "cost_per_recovered_currency": pytest.approx(cost / 2_000),
        # they bought for 2,000 in 9.5 days each; of 40, 30 stayed for two quarters
        "recovered_lifetime_value": pytest.approx(
            BOOK["value"]["margin_share"] * 2_000 * 365 / 9.5 * (183 / 365 / -np.log(30 / 40))
        ),
        "churn_cure_rate": pytest.approx(40 / 200),
        "payback_days": 0.0,
        "durability": pytest.approx(30 / 40),
        "days_to_return": pytest.approx(4.5),
        "harm_to_the_rest": pytest.approx(4 / 160),
    }
    assert "[value] new_customer_value_currency" in found["lifetime_value_ratio"].missing
    for measure in found.values():
        assert measure.definition.endswith(".")
        assert (measure.value is None) == bool(measure.missing)
        if measure.low is not None:
            assert measure.low <= measure.value <= measure.high
    assert found["reactivation_rate"].standing == "good"
    assert found["return_on_spend"].standing == "bad"
    assert found["harm_to_the_rest"].standing == "bad"


def test_a_returned_customer_is_measured_by_what_the_playbook_says_a_new_one_is_worth():
    lifetime = Measure("recovered_lifetime_value", "", "", "money", 3_000.0)
    value = Value(new_customer_value_currency=50.0)
    assert _lifetime_value_ratio(lifetime, 40, value).value == pytest.approx(3_000 / 40 / 50)
    unknown = replace(lifetime, value=None, missing="Nobody left again.")
    assert _lifetime_value_ratio(unknown, 40, value).missing == "Nobody left again."
    assert _lifetime_value_ratio(lifetime, 40, None).value is None


def test_measures_of_one_arm_are_those_of_any_contact(program):
    summary = summarise(program, "spring", now=LATER)
    assert measures(summary, ACTION) == measures(summary)


def test_what_is_not_known_is_said(begin, campaign_columns):
    ledger = begin(playbook=None)
    people = decide(ledger, campaign_columns, ACTION, 30)
    ledger.add_outcomes(pd.DataFrame([outcome(people[0], "reactivated", START + DAY)]))
    found = measures(summarise(ledger, "spring", now=LATER))
    missing = {key: m.missing for key, m in found.items() if m.value is None}
    assert missing["incremental_reactivations"].startswith("Nobody comparable was held out")
    assert missing["durability"].startswith("No event of type churned was reported")
    assert missing["payback_days"].startswith("The campaign has no playbook")
    assert missing["churn_cure_rate"].startswith("Nobody is known to have left")
    assert found["reactivation_rate"].value == pytest.approx(1 / 30)


def test_payback_comes_when_the_margin_exceeds_the_offers(begin, campaign_columns):
    ledger = begin()
    people = decide(ledger, campaign_columns, ACTION, 2)
    # each offer costs 3.6 as often as it is redeemed; the margin of 2 a day is 1.4
    events = [outcome(p, "purchased", START + k * DAY, 2.0) for p in people for k in range(1, 12)]
    ledger.add_outcomes(pd.DataFrame(events))
    assert measures(summarise(ledger, "spring", now=LATER))["payback_days"].value == 2


def test_curves_funnel_cells_and_guardrails(program):
    summary = summarise(program, "spring", now=LATER)
    control, contacted = summary.returns
    assert (control.action, contacted.action) == ("control", ANY_CONTACT)
    assert [contacted.share[k] for k in (0, 3, 4, 14)] == pytest.approx([0, 0, 0.2, 0.2])
    assert [control.share[k] for k in (1, 2)] == pytest.approx([0, 0.05])
    steps = {step.key: step.people[ACTION] for step in summary.funnel}
    assert steps == {"sent": 200, "delivered": 180, "opened": 90, "clicked": 0, "reactivated": 40, "purchased": 40}
    (cell,) = summary.cells
    assert (cell.archetype, cell.channel, cell.offer) == ("wrong_fit_now_right", "email", "extended_trial")
    assert cell.difference.value == pytest.approx(0.15)
    unsubscribed = next(g for g in summary.guardrails if g.key == "unsubscribed")
    assert (unsubscribed.contacted, unsubscribed.held_out) == (pytest.approx(0.02), 0)
    (point,) = summary.over_time
    assert (point.day.isoformat(), point.people) == ("2026-03-16", 400)
    assert point.difference.value == pytest.approx(0.15)
    assert json.dumps(summary.to_json(), allow_nan=False)


def test_the_parts_of_revenue_add_up(program):
    program.add_outcomes(pd.DataFrame([outcome(f"spring-control-{i}", "purchased", START + DAY, 20.0) for i in (0, 1)]))
    summary = summarise(program, "spring", now=LATER)
    whole = summary.outcome("revenue").any_contact.difference.value
    assert whole == pytest.approx((2_000 - 40) / 200)
    together, arm = summary.money_parts
    assert (together.action, arm.action) == (ANY_CONTACT, ACTION)
    for part in summary.money_parts:
        assert part.by_more_buyers.value + part.by_larger_amounts.value == pytest.approx(whole)
        # 38 more buyers of on average 35 each, and 30 more from each of on average 21 buyers
        assert part.by_more_buyers.value == pytest.approx(38 / 200 * 35)


def test_health_tells_what_never_came(program):
    summary = summarise(program, "spring", now=LATER)
    assert summary.health.missing_outcomes == ("clicked",)
    assert "No event of type clicked was reported." in summary.health.cautions
    assert summary.health.last_event == START + 60 * DAY


def test_differences_are_adjusted_for_what_the_playbook_names(begin, campaign_columns):
    ledger = begin()
    arms = {a: decide(ledger, campaign_columns, a, 300) for a in ("control", ACTION)}
    rng = np.random.default_rng(3)
    snapshots, events = [], []
    for people in arms.values():
        for p in people:
            loyal = rng.random() < 0.5
            snapshots.append({"customer_id": p, "plan_tier": "pro" if loyal else "free", "unnamed": rng.random()})
            if rng.random() < (0.9 if loyal else 0.1):
                events.append(outcome(p, "reactivated", START + DAY))
    ledger.add_customers(pd.DataFrame(snapshots).assign(as_of=START, churned_at=START - 90 * DAY))
    ledger.add_outcomes(pd.DataFrame(events))
    summary = summarise(ledger, "spring", now=LATER)
    assert summary.primary.adjusted_for == ("plan_tier",)
    # loyalty explains 1 - 0.09 / 0.25 of the variance
    assert summary.primary.narrower == pytest.approx(1 - np.sqrt(0.09 / 0.25), abs=0.08)
    assert summary.health.balance_p_value > 0.001


# ------------------------------------------------------------------------------------------------------- bad input


def test_what_came_before_the_decision_does_not_count(program):
    before = summarise(program, "spring", now=LATER)
    early = [outcome(f"spring-{ACTION}-{i}", "purchased", START - DAY, 99.0) for i in range(100, 103)]
    program.add_outcomes(pd.DataFrame(early))
    after = summarise(program, "spring", now=LATER)
    assert after.outcomes == before.outcomes
    assert any(s.startswith("3 people had come back already when it was decided") for s in after.health.cautions)
    assert not any("had come back already" in s for s in before.health.cautions)


def test_people_in_other_campaigns_and_currencies_are_told(program, begin, campaign_columns):
    begin("summer", currency="EUR")
    for k, at in enumerate((START + 3 * DAY, START + 14 * DAY)):
        rows = {
            "decision_id": [f"s{k}-{i}" for i in range(7)],
            "customer_id": [f"spring-{ACTION}-{i}" for i in range(7)],
        }
        other = pd.DataFrame(rows).assign(decided_at=at, campaign="summer", action=ACTION, probability=SHARE, cost=0.0)
        program.add_contacts(other.iloc[: 7 - k])
    health = summarise(program, "spring", now=LATER).health
    assert health.in_other_experiments == {"summer": 7}
    assert any("in other campaigns at the same time: summer (7)" in s for s in health.cautions)
    assert any("are in EUR and this one is in USD" in s for s in health.cautions)


def test_of_decisions_that_overlap_the_first_counts(program, campaign_columns):
    before = summarise(program, "spring", now=LATER)
    again = program.contacts("spring").iloc[:5].copy()
    again["decision_id"] = "again-" + again["decision_id"]
    again["decided_at"] += 5 * DAY
    program.add_contacts(again)
    after = summarise(program, "spring", now=LATER)
    assert (after.outcomes, after.people) == (before.outcomes, before.people)
    assert any(s.startswith("5 decisions came less than 14 days after another one") for s in after.health.cautions)
    assert after.reach.left_out == 5


def test_decisions_far_apart_on_one_person_count_each(begin, campaign_columns):
    ledger = begin()
    decide(ledger, campaign_columns, "control", 5)
    decide(ledger, campaign_columns, ACTION, 5)
    first = ledger.contacts("spring")
    second = first.assign(decision_id="2-" + first["decision_id"], decided_at=first["decided_at"] + 20 * DAY)
    ledger.add_contacts(second)
    ledger.add_outcomes(
        pd.DataFrame([outcome(f"spring-{ACTION}-0", "purchased", START + k * DAY, 1.0) for k in (1, 17, 21)])
    )
    summary = summarise(ledger, "spring", now=LATER)
    assert summary.people == 20
    # the purchase on day 17 lies in neither window
    assert [(t.with_it, t.total) for t in summary.outcome("revenue").totals] == [(0, 0.0), (2, 2.0)]


def test_an_arm_that_nobody_got_is_told(begin, campaign_columns):
    ledger = begin()
    chances = {"probability_control": 0.4, f"probability_{ACTION}": 0.4, "probability_circumstances_email_none": 0.2}
    for action in ("control", ACTION):
        decide(ledger, campaign_columns, action, 50, **{**chances, "probability": 0.4})
    summary = summarise(ledger, "spring", now=LATER)
    assert "Nobody got circumstances email none, though people had a chance of it." in summary.health.cautions
    assert len(summary.primary.effects) == 1


def test_people_who_got_another_arm_are_told(program):
    held = [f"spring-control-{i}" for i in range(30)]
    sent = [outcome(p, "sent", START, decision_id=f"d-{p}") for p in held]
    program.add_outcomes(pd.DataFrame(sent[:3]))
    summary = summarise(program, "spring", now=LATER)
    assert (summary.health.crossed_over, summary.health.healthy) == (3, True)
    assert "3 people got what another arm of this experiment was to get." in summary.health.cautions
    program.add_outcomes(pd.DataFrame(sent[3:]))
    assert not summarise(program, "spring", now=LATER).health.healthy


def test_how_much_harm_is_borne_is_the_playbooks_to_say(begin, campaign_columns):
    def found(campaign: str, guardrails: dict[str, float]):
        ledger = begin(campaign, playbook={**BOOK, "guardrails": guardrails})
        decide(ledger, campaign_columns, "control", 500, campaign=campaign)
        contacted = decide(ledger, campaign_columns, ACTION, 500, campaign=campaign)
        left = [outcome(p, "unsubscribed", START + DAY) for p in contacted[:10]]
        ledger.add_outcomes(pd.DataFrame(left))
        return summarise(ledger, campaign, now=LATER)

    usual = {g.key: g.margin for g in found("usual", {}).guardrails}
    assert usual == {"unsubscribed": 0.005, "complained": 0.001, "bounced": 0.02}
    kept = {}
    for name, share in (("mild", 0.1), ("strict", 0.001)):
        summary = found(name, {"unsubscribed_share": share})
        (guard,) = [g for g in summary.guardrails if g.key == "unsubscribed"]
        assert guard.margin == share
        assert f'<data value="{share}" data-times="1000">{1000 * share:.1f}</data>' in page.render(summary)
        kept[name] = guard.kept
    assert kept == {"mild": True, "strict": False}


def test_how_many_may_cross_over_is_the_playbooks_to_say(begin, campaign_columns):
    healthy = {}
    for name, share in (("mild", 0.2), ("strict", 0.01)):
        ledger = begin(name, playbook={**BOOK, "guardrails": {"crossed_over_share": share}})
        held = decide(ledger, campaign_columns, "control", 50, campaign=name)
        decide(ledger, campaign_columns, ACTION, 50, campaign=name)
        sent = [outcome(p, "sent", START, decision_id=f"d-{p}") for p in held[:5]]
        ledger.add_outcomes(pd.DataFrame(sent))
        health = summarise(ledger, name, now=LATER).health
        healthy[name] = health.healthy
        assert health.crossed_over == 5
    assert healthy == {"mild": True, "strict": False}
    assert "more than 1.0 % of all" in health.faults[0]


def test_open_windows_stay_out_of_everything_but_the_curve(program, campaign_columns):
    before = summarise(program, "spring", now=LATER)
    late = decide(program, campaign_columns, ACTION, 50, at=LATER - 5 * DAY, mark="late-")
    program.add_outcomes(pd.DataFrame([outcome(p, "purchased", LATER - DAY, 1.0) for p in late[:25]]))
    after = summarise(program, "spring", now=LATER)
    assert (after.open_windows, after.people) == (50, 400)
    assert after.outcomes == before.outcomes
    assert after.measures == before.measures
    assert after.returns[1].share[-1] > before.returns[1].share[-1]
    assert any(
        s.startswith("50 decisions are left out, because their 14 days are not over") for s in after.health.cautions
    )


def test_the_suppressed_are_counted_by_their_reasons(program, campaign_columns):
    from propensity.decision import DECISION_COLUMNS

    table = pd.DataFrame({"customer_id": ["x", "y", "z"]})
    table["decision_id"], table["reason_codes"] = table["customer_id"], [["opted_out"], ["opted_out", "resting"], []]
    columns = {"campaign": "spring", "action": "control", "send": False, "assignment": "suppressed"}
    table = table.assign(**columns, probability=1.0, cost=0.0).reindex(columns=DECISION_COLUMNS)
    program.add_decisions(table, START, pd.DataFrame({"control": [1.0] * 3}))
    reach = summarise(program, "spring", now=LATER).reach
    assert (reach.people, reach.contacted, reach.held_out, reach.suppressed) == (403, 200, 200, 3)
    assert reach.suppressed_by == {"opted_out": 2, "unknown": 1}
    assert reach.share == pytest.approx(200 / 403)


def test_nothing_of_an_arm_alone_is_a_finding(begin, campaign_columns):
    ledger = begin()
    decide(ledger, campaign_columns, ACTION, 50)
    told = verdict(summarise(ledger, "spring", now=LATER))
    assert told.kind == "no_comparison"
    assert told.sentences[0].startswith("Nobody was held out")


# ------------------------------------------------------------------------------------------------------ fingerprint


def test_the_fingerprint_is_that_of_the_data_in_any_order(tmp_path, program, begin, campaign_columns):
    from propensity.ledger import Ledger

    first = summarise(program, "spring", now=LATER)
    other = Ledger(f"sqlite:///{tmp_path / 'other.db'}").create()
    given = {**campaign_columns, "title": "another title", "follows": None, "playbook": BOOK}
    other.add_campaign("spring", **given)
    for table in ("contacts", "customers", "outcomes"):
        getattr(other, f"add_{table}")(getattr(program, table)("spring").sample(frac=1, random_state=2))
    assert summarise(other, "spring", now=LATER).fingerprint == first.fingerprint
    assert summarise(program, "spring", now=LATER + DAY).fingerprint == first.fingerprint
    other.add_outcomes(pd.DataFrame([outcome(f"spring-{ACTION}-150", "opened", START + 2 * DAY)]))
    changed = summarise(other, "spring", now=LATER).fingerprint
    other.close()
    assert changed != first.fingerprint
    assert len(changed) == 16
