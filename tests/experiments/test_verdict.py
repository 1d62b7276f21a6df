"""The verdict follows from the figures: what is rolled out is shown to bring people back and to pay for itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from example_summaries import ARMS, AS_OF, STARTED, bare, complete, empty, estimate, unhealthy
from scipy import stats

from propensity.evaluation import Estimate
from propensity.inference import people_to_tell
from propensity_experiments.contents import DayPoint, Effect, Outcome, OutcomeResult, Pace, Summary
from propensity_experiments.verdict import verdict

PEOPLE = 32_000


def effect(action: str, difference: Estimate) -> Effect:
    clear = difference.low > 0
    return Effect(
        **{"action": action, "n": 8_000, "n_control": 8_000, "mean": 0.05, "control_mean": 0.04, "relative": None},
        **{"difference": difference, "unadjusted": difference, "shrunk": difference.value, "clear": clear},
        **{"p_value": difference.p_value, "p_adjusted": difference.p_value},
    )


def result(key: str, first: Estimate, second: Estimate, *, of_any: Estimate | None = None) -> OutcomeResult:
    arms = (effect(ARMS[0], first), effect(ARMS[1], second))
    kind = "share" if key == "reactivated" else "money"
    pooled = estimate((first.value + second.value) / 2, (first.high - first.low) / 2) if of_any is None else of_any
    return OutcomeResult(Outcome(key, kind, key, key, ""), (), arms, effect("any_contact", pooled))


def pace(*, running: bool) -> Pace:
    return Pace(STARTED, AS_OF, 400.0, AS_OF + timedelta(days=90 if running else -1), running)


def of_arms(
    returns: tuple[float, float],
    net: tuple[tuple[float, float], ...] | None,
    *,
    running: bool = False,
    band: float = 0.0,
) -> Summary:
    """Extra returns of two arms (a person, +- 0.004), and net values with their half-widths."""
    outcomes = [result("reactivated", *(estimate(value, 0.004) for value in returns))]
    if net is not None:
        outcomes.append(result("net_value", *(estimate(*values) for values in net)))
    days = (DayPoint(AS_OF.date(), PEOPLE, estimate(returns[0], band)),) if band else ()
    made = replace(complete(), outcomes=tuple(outcomes), assessment=None, next_wave=None, segments=(), guardrails=())
    return replace(made, people=PEOPLE, pace=pace(running=running), over_time=days)


def test_what_is_unhealthy_is_not_read():
    told = verdict(unhealthy())
    assert (told.kind, told.worth) == ("unhealthy", "")
    assert told.headline.startswith("Do not read these results: ")
    assert not [s for s in told.sentences if "brought" in s]


@pytest.mark.parametrize("summary", [empty(), replace(bare(), outcomes=())])
def test_without_a_comparison_what_was_counted_is_said(summary):
    assert verdict(summary).kind == "no_comparison"


def test_an_arm_that_brings_people_back_and_pays_is_rolled_out():
    told = verdict(of_arms((0.010, 0.006), ((0.5, 0.4), (0.9, 1.0))))
    # the other one may be worth more, but is not shown to pay for itself
    assert told.kind == "roll_out"
    assert told.headline == "Roll out better email update: it brings people back and pays for itself."
    assert told.worth == "Worth EUR +500 (95 % sure: +100 to +900) for each 1,000 people contacted, after all costs."


def test_an_arm_that_costs_more_than_it_brings_is_stopped():
    told = verdict(of_arms((0.010, 0.006), ((-0.5, 0.4), (-0.9, 0.3))))
    assert (told.kind, "costs more than it brings" in told.headline) == ("stop", True)


def test_an_arm_whose_worth_is_not_known_says_so():
    told = verdict(of_arms((0.010, 0.006), None))
    assert told.kind == "roll_out"
    assert told.headline.endswith("What it is worth is not known.")
    assert told.worth == ""


def test_an_arm_whose_worth_is_not_told_from_nothing_keeps_running():
    summary = of_arms((0.010, 0.006), ((0.5, 0.7), (0.2, 0.7)), running=True, band=0.008)
    told = verdict(summary)
    assert told.kind == "keep_running"
    assert "it may as well be nothing" in told.worth
    needed = PEOPLE * people_to_tell(estimate(0.5, 0.7)) / 16_000
    days = -(-(needed - PEOPLE) // 400)
    assert told.headline.startswith(f"Keep running {days:,.0f} more days: better email update brings people back, but")


def test_while_windows_are_open_a_finding_must_hold_in_the_band():
    sure, single = ((0.5, 0.2), (0.4, 1.0)), ((0.5, 0.4), (0.4, 1.0))
    assert verdict(of_arms((0.010, 0.006), sure, running=True, band=0.008)).kind == "roll_out"
    # one look would be enough to say that it brings people back, or that it pays, but not one of many
    for returns, net in (((0.006, 0.002), sure), ((0.010, 0.006), single)):
        assert verdict(of_arms(returns, net, running=True, band=0.008)).kind == "keep_running"
        assert verdict(of_arms(returns, net, running=False)).kind == "roll_out"
    # before the band has begun nothing is found
    assert verdict(of_arms((0.010, 0.006), sure, running=True)).kind == "keep_running"


def test_of_many_arms_one_must_pay_by_more_than_chance_among_them():
    alone, two = ((0.5, 0.45), (-0.9, 0.4)), ((0.41, 0.4), (0.2, 0.4))
    assert verdict(of_arms((0.010, 0.001), alone)).kind == "roll_out"
    assert verdict(of_arms((0.010, 0.010), two)).kind == "keep_running"


def test_nothing_found_after_the_end_asks_for_more_people_and_for_no_days():
    told = verdict(of_arms((0.002, 0.001), None))
    assert (told.kind, told.headline.split(":")[0]) == ("keep_running", "Not enough people took part")
    assert "in 4 of 5 experiments" in told.sentences[0]


@pytest.mark.parametrize("seen", [0.0, 1e-9])
def test_an_effect_of_next_to_nothing_asks_for_nobody(seen):
    told = verdict(of_arms((seen, seen), None))
    assert (told.kind, told.headline.split(":")[0]) == ("stop", "Nothing was found")
    assert "no number of people" in told.sentences[0]


def test_nobody_waits_for_years():
    told = verdict(of_arms((0.0001, 0.0), None, running=True, band=0.008))
    assert (told.kind, told.headline.split(":")[0]) == ("stop", "Stop, or look for something that does more")
    assert "more than two years" in told.sentences[0]


def test_harm_beyond_the_margin_stops_whatever_it_brings():
    summary = of_arms((0.010, 0.006), ((0.5, 0.4), (0.9, 1.0)))
    harmful = replace(complete().guardrails[0], kept=False, title="unsubscribes")
    told = verdict(replace(summary, guardrails=(harmful,)))
    assert (told.kind, told.headline) == ("stop", "Stop: contact raises unsubscribes by more than is tolerated.")


def test_people_to_tell_is_where_the_test_has_the_power():
    needed = people_to_tell(Estimate(0.01, 0.008, -0.006, 0.026, 1_000, 0.95), power=0.9)
    error = 0.008 * (1_000 / needed) ** 0.5
    assert stats.norm.sf(stats.norm.ppf(0.975) - 0.01 / error) == pytest.approx(0.9, abs=0.001)
    assert people_to_tell(Estimate(0.0, 0.1, -0.2, 0.2, 10, 0.95)) == float("inf")
