"""Summaries made by hand: one that holds everything, one that holds as little as can be, and one that is unhealthy."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from propensity.assessment import Assessment, PolicyResult
from propensity.evaluation import Estimate
from propensity.granting import Gate
from propensity.held_out import CURRENCIES
from propensity.inference import SampleRatio
from propensity.targeting import TargetingCurves
from propensity_experiments.contents import (
    ANY_CONTACT,
    AmongArms,
    ArmMeasures,
    ArmTotal,
    Cell,
    DayPoint,
    Effect,
    FunnelStep,
    Guardrail,
    Health,
    Imbalance,
    Measure,
    MoneyPart,
    NextWave,
    Outcome,
    OutcomeResult,
    Published,
    Reach,
    ReturnCurve,
    SegmentEffect,
    SegmentRatio,
    Summary,
)

AS_OF = datetime(2026, 6, 15, 7, 30, tzinfo=UTC)
STARTED = datetime(2026, 2, 2, 9, 0, tzinfo=UTC)
ARMS = ("better_email_update", "miss_you_email_percent_off", "fit_in_app_downgrade")
PEOPLE = {"control": 8_012, ARMS[0]: 8_003, ARMS[1]: 7_951, ARMS[2]: 8_034}
CAMPAIGN = {
    "campaign": "spring-2026",
    "title": "Spring win-back",
    "currency": "EUR",
    "window_days": 90.0,
    "reactivated_word": "return",
    "reactivated_words": "returns",
    "started_at": STARTED,
    "follows": None,
}


def estimate(value: float, half: float, n: int = 16_000) -> Estimate:
    """A value with its 95 % interval."""
    return Estimate(value, half / 1.96, value - half, value + half, n, 0.95)


def complete() -> Summary:
    """A healthy experiment of three arms of which everything is known."""
    return Summary(
        campaign=CAMPAIGN,
        as_of=AS_OF,
        fingerprint="5f1d0c6a9be24d3b",
        people=sum(PEOPLE.values()),
        open_windows=1_204,
        health=_health(),
        outcomes=_outcomes(),
        money_parts=(
            MoneyPart(ANY_CONTACT, estimate(1.113, 0.521), estimate(0.118, 0.402)),
            MoneyPart(ARMS[0], estimate(1.907, 0.702), estimate(0.214, 0.513)),
            MoneyPart(ARMS[1], estimate(1.301, 0.688), estimate(-0.412, 0.498)),
            MoneyPart(ARMS[2], estimate(0.131, 0.611), estimate(0.052, 0.477)),
        ),
        measures=tuple(ArmMeasures(action, _measures(k)) for k, action in enumerate((ANY_CONTACT, *ARMS))),
        guardrails=(
            Guardrail("unsubscribed", "Unsubscribes", 0.0121, 0.0098, estimate(0.0023, 0.0019), 0.005, True),
            Guardrail("complained", "Complaints", 0.0011, 0.0004, estimate(0.0007, 0.0006), 0.001, None),
            Guardrail("bounced", "Bounces", 0.0214, 0.0, estimate(0.0214, 0.0021), 0.01, False),
        ),
        over_time=tuple(
            DayPoint(
                (STARTED + timedelta(days=91 + k)).date(),
                800 * (k + 1),
                estimate(0.0221 + 0.021 / (k + 1), 0.094 / (k + 1) ** 0.5, 800 * (k + 1)),
            )
            for k in range(40)
        ),
        returns=(_return_curve("control", 0.041), _return_curve(ANY_CONTACT, 0.0633)),
        funnel=tuple(
            FunnelStep(key, title, {arm: round(PEOPLE[arm] * share * (1 + 0.03 * k)) for k, arm in enumerate(ARMS)})
            for key, title, share in (
                ("sent", "Sent", 0.94),
                ("delivered", "Delivered", 0.91),
                ("opened", "Opened", 0.24),
                ("clicked", "Clicked", 0.071),
                ("reactivated", "Came back", 0.062),
                ("purchased", "Bought", 0.034),
            )
        ),
        reach=Reach(
            people=38_100,
            contacted=24_610,
            held_out=8_012,
            suppressed=5_100,
            not_sent=310,
            left_out=68,
            suppressed_by={"no_consent_email": 3_900, "cooling_off": 1_200},
            share=0.6459,
        ),
        segments=_segments(),
        cells=(
            Cell(ARMS[0], "we_got_better", "email", "update", 8_003, estimate(0.0351, 0.0078)),
            Cell(ARMS[1], "we_miss_you", "email", "percent_off", 7_951, estimate(0.0269, 0.0074)),
            Cell(ARMS[2], "wrong_fit_now_right", "in_app", "downgrade", 8_034, estimate(0.0052, 0.0069)),
            Cell("circumstances_call", "circumstances_changed", "direct_outreach", "conversation", 12, None),
        ),
        assessment=_assessment(),
        model_version="win-back/7",
        next_wave=NextWave(
            campaign="summer-2026",
            people=50_000,
            sent={ARMS[0]: 21_400, ARMS[1]: 9_310},
            predicted={
                ARMS[0]: {"uplift": 0.0338, "net_value": 1.418},
                ARMS[1]: {"uplift": 0.0251, "net_value": 0.602},
            },
            assignments={"policy": 44_000, "explore": 900, "holdout": 2_600, "suppressed": 2_500},
            cost=1_843.2,
            reactivations=estimate(1_188.0, 301.0),
            revenue=estimate(61_400.0, 22_900.0),
        ),
        published=(
            Published(2, AS_OF, "Ann Lee", "Roll out better email update.", "5f1d0c6a9be24d3b", True),
            Published(1, STARTED + timedelta(days=100), "Ann Lee", "Keep it running.", "77ab0c6a9be2aa01", False),
        ),
    )


def crowded() -> Summary:
    """As much as there may be: twelve arms, a year of days, curves of half a year, and every arm's own figures."""
    whole = complete()
    arms = [f"circumstances_changed_direct_outreach_conversation_{k}" for k in range(12)]
    people = {"control": 8_012, **{arm: 8_000 + k for k, arm in enumerate(arms)}}

    def spread(result: OutcomeResult) -> OutcomeResult:
        effect, control = result.effects[0], result.totals[0]
        totals = (control, *(ArmTotal(arm, people[arm], 500 + k, 500.0 + k) for k, arm in enumerate(arms)))
        effects = (replace(effect, action=arm, n=people[arm], shrunk=0.01 / (k + 3)) for k, arm in enumerate(arms))
        return replace(result, totals=totals, effects=tuple(effects))

    def curve(action: str) -> ReturnCurve:
        shares = [0.06 * (1 - 0.98**k) for k in range(181)]
        low, high = ([x * factor for x in shares] for factor in (0.93, 1.07))
        return ReturnCurve(action, tuple(range(181)), tuple(shares), tuple(low), tuple(high))

    point = whole.over_time[0]
    return replace(
        whole,
        people=sum(people.values()),
        health=replace(
            whole.health,
            sample_ratio=SampleRatio(True, 0.41, 3.2, 12, people, dict.fromkeys(people, 8005.0)),
        ),
        outcomes=tuple(spread(result) for result in whole.outcomes),
        money_parts=tuple(replace(whole.money_parts[1], action=arm) for arm in (ANY_CONTACT, *arms)),
        measures=tuple(ArmMeasures(action, _measures(k)) for k, action in enumerate((ANY_CONTACT, *arms))),
        over_time=tuple(
            replace(point, day=(STARTED + timedelta(days=k)).date(), people=260 * (k + 1)) for k in range(365)
        ),
        returns=tuple(curve(action) for action in ("control", ANY_CONTACT)),
        funnel=tuple(replace(step, people=dict.fromkeys(arms, 7000 - 900 * k)) for k, step in enumerate(whole.funnel)),
        segments=tuple(
            SegmentEffect("plan_tier", f"tier_{k}", 1_000 + k, estimate(20.0 + k, 9.0), k % 3 == 0) for k in range(60)
        ),
        cells=tuple(
            Cell(arm, "circumstances_changed", f"channel_{k}", "conversation", people[arm], estimate(0.01, 0.007))
            for k, arm in enumerate(arms)
        ),
    )


def bare() -> Summary:
    """The least that there can be: one arm, nobody to compare with."""
    return Summary(
        campaign={**CAMPAIGN, "campaign": "bare", "title": "Nobody held out"},
        as_of=AS_OF,
        fingerprint="0",
        people=120,
        open_windows=0,
        health=Health(SampleRatio(True, float("nan"), 0.0, 0, {ARMS[0]: 120}, {ARMS[0]: 120.0})),
        outcomes=(
            OutcomeResult(
                Outcome("reactivated", "share", "return", "returns", "They came back."),
                (ArmTotal(ARMS[0], 120, 9, 9.0),),
                (),
                None,
            ),
        ),
    )


def empty() -> Summary:
    """An experiment of which nobody's window is closed."""
    return replace(bare(), people=0, open_windows=120, outcomes=())


def unhealthy() -> Summary:
    """Everything is there and must not be read."""
    whole = complete()
    observed = {**PEOPLE, "control": 7_100}
    return replace(
        whole,
        health=replace(
            whole.health,
            sample_ratio=SampleRatio(False, 2.3e-12, 58.1, 3, observed, dict.fromkeys(PEOPLE, 7_772.0)),
            faults=("The arms are not as large as planned.",),
        ),
    )


def _health() -> Health:
    return Health(
        sample_ratio=SampleRatio(True, 0.9123, 0.5313, 3, PEOPLE, dict.fromkeys(PEOPLE, 8_000.0)),
        by_segment=(SegmentRatio("reason_for_churn", "price", 5_210, 0.031, 0.682),),
        balance_p_value=0.412,
        imbalances=(Imbalance("tenure_months", 0.019), Imbalance("annual_value", 0.012)),
        crossed_over=14,
        in_other_experiments={"newsletter-spring": 311},
        last_event=datetime(2026, 6, 14, 22, 5, tzinfo=UTC),
        missing_outcomes=("complained",),
        cautions=("311 people were in another experiment at the same time (newsletter-spring).",),
    )


def _outcomes() -> tuple[OutcomeResult, ...]:
    returns = Outcome("reactivated", "share", "return", "returns", "They bought, restarted or booked a conversation.")
    buyers = Outcome("purchased", "share", "buyer", "buyers", "They bought at least once.")
    revenue = Outcome("revenue", "money", "revenue", "revenue", "What they bought for, in EUR.")
    return (
        _result(returns, (0.0410, 0.0761, 0.0679, 0.0462), (0.0351, 0.0269, 0.0052), 0.0075, narrower=0.21),
        _result(buyers, (0.0221, 0.0391, 0.0342, 0.0230), (0.0170, 0.0121, 0.0009), 0.0055, narrower=0.13),
        _result(revenue, (2.113, 4.231, 3.007, 2.290), (2.121, 0.889, 0.183), 0.871, capped_at=640.0),
    )


def _result(
    outcome: Outcome,
    means: tuple[float, ...],
    differences: tuple[float, ...],
    half: float,
    *,
    narrower: float = 0.0,
    capped_at: float | None = None,
) -> OutcomeResult:
    people = tuple(PEOPLE.values())
    counts = [round(n * mean * (0.02 if outcome.kind == "money" else 1)) for n, mean in zip(people, means, strict=True)]
    totals = [
        n * mean if outcome.kind == "money" else count for n, mean, count in zip(people, means, counts, strict=True)
    ]
    pooled = sum(differences) / 3
    effects = [
        _effect(action, people[k + 1], means[0], differences[k], half, differences[k] * 0.9 + pooled * 0.1)
        for k, action in enumerate(ARMS)
    ]
    return OutcomeResult(
        outcome=outcome,
        totals=tuple(ArmTotal(a, n, c, float(t)) for a, n, c, t in zip(PEOPLE, people, counts, totals, strict=True)),
        effects=tuple(effects),
        any_contact=_effect(ANY_CONTACT, sum(people[1:]), means[0], pooled, half * 0.8, pooled),
        among_arms=AmongArms(0.0002, True, ARMS[0], ARMS[2], estimate(differences[0] - differences[2], half * 1.4)),
        adjusted_for=("tenure_months", "annual_value") if narrower else (),
        narrower=narrower,
        capped_at=capped_at,
    )


def _effect(action: str, n: int, control_mean: float, difference: float, half: float, shrunk: float) -> Effect:
    clear = abs(difference) > 1.2 * half
    p_value = 0.000_004 if clear else 0.1412
    return Effect(
        action=action,
        n=n,
        n_control=PEOPLE["control"],
        mean=control_mean + difference,
        control_mean=control_mean,
        difference=estimate(difference, half),
        unadjusted=estimate(difference * 1.02, half * 1.2),
        relative=estimate(difference / control_mean, half / control_mean * 1.1),
        p_value=p_value,
        p_adjusted=min(1.0, 3 * p_value),
        clear=clear,
        shrunk=shrunk,
    )


def _measures(k: int) -> tuple[Measure, ...]:
    return (
        Measure(
            "reactivation_rate",
            "Reactivation rate",
            "Those who came back, of all who were contacted.",
            "share",
            0.0633 - 0.004 * k,
            0.0602 - 0.004 * k,
            0.0665 - 0.004 * k,
            "4 to 9 % in e-commerce",
            "good",
        ),
        Measure(
            "incremental_reactivations",
            "Extra returns",
            "How many more came back than would have without contact.",
            "people",
            530.5 - 41.0 * k,
            402.1 - 41.0 * k,
            659.2 - 41.0 * k,
        ),
        Measure(
            "incremental_revenue",
            "Extra revenue",
            "Revenue above that of people who were not contacted.",
            "money",
            25_512.0 - 900.0 * k,
            8_910.0 - 900.0 * k,
            42_114.0 - 900.0 * k,
        ),
        Measure(
            "return_on_spend",
            "Return on spend",
            "Extra revenue for each EUR 1 spent on making and sending, offers included.",
            "ratio",
            2.61 - 0.2 * k,
            0.91 - 0.2 * k,
            4.32 - 0.2 * k,
            "5 to 15 per 1 spent; under 3 needs review",
            "watch",
        ),
        Measure(
            "payback",
            "Payback",
            "Days until the margin on a returned customer exceeds what bringing them back cost.",
            "days",
            211.0 + k,
            healthy="90 to 150 days; over 270 is too generous",
            standing="bad",
        ),
        Measure(
            "recovered_lifetime_value",
            "Recovered lifetime value",
            "What those who came back are expected to bring in as long as they stay.",
            "money",
            None,
            missing="The playbook does not say what a new customer is worth ([value] new_customer_value_currency).",
        ),
    )


def _return_curve(action: str, end: float) -> ReturnCurve:
    days = tuple(range(0, 91, 3))
    share = tuple(end * (1 - 0.95**day) for day in days)
    low, high = tuple(x * 0.93 for x in share), tuple(x * 1.07 for x in share)
    return ReturnCurve(action, days, share, low, high)


def _segments() -> tuple[SegmentEffect, ...]:
    rows = (
        ("reason_for_churn", "price", 5_210, 14.2, 9.8, False),
        ("reason_for_churn", "product_gap", 4_830, 52.7, 10.9, True),
        ("reason_for_churn", "disengaged", 7_714, 9.1, 8.8, False),
        ("time_since_churn", "60_to_180_days", 12_020, 38.9, 7.4, True),
        ("time_since_churn", "6_to_12_months", 9_877, 8.2, 7.9, True),
        ("value_tier", "mid", 8_123, 22.4, 9.1, False),
    )
    return tuple(SegmentEffect(s, v, n, estimate(x, half, n), differs) for s, v, n, x, half, differs in rows)


def _assessment() -> Assessment:
    def policy(key: str, title: str, share: float, value: float) -> PolicyResult:
        currencies = {
            "reactivations": estimate(value / 40, 6.1),
            "revenue": estimate(value * 1.9, 610.0),
            "net_value": estimate(value, 280.0),
            "expected_value": estimate(value * 0.95, 190.0),
        }
        paired = {k: estimate(0.0 if key == "model" else 31.5, 12.25) for k in CURRENCIES}
        return PolicyResult(key, title, share, 41.5 * share, **currencies, model_minus_this=paired)

    tenths = [
        {
            "group": k + 1,
            "n": 812,
            "predicted": 0.004 * k,
            "observed": 0.0042 * k - 0.001,
            "low": 0.0042 * k - 0.013,
            "high": 0.0042 * k + 0.011,
        }
        for k in range(10)
    ]
    shares = [
        {
            "group": k + 1,
            "n": 271,
            "predicted": 0.01 + 0.006 * k,
            "observed": 0.012 + 0.006 * k,
            "low": 0.002 + 0.006 * k,
            "high": 0.027 + 0.006 * k,
        }
        for k in range(10)
    ]
    return Assessment(
        n_people=8_120,
        policies=(
            policy("model", "the model's policy", 0.61, 1_412.0),
            policy("one_action", f"{ARMS[0]} to all", 1.0, 1_120.0),
            policy("rules", "the rule playbook", 0.83, 720.0),
            policy("random", "a random action for all", 1.0, 410.0),
            policy("nobody", "nobody is contacted", 0.0, 0.0),
        ),
        gate=Gate("per_person", "per_person", "People differ, and people whom no training saw confirm it."),
        best_action=ARMS[0],
        actions={ARMS[0]: 3_478, ARMS[1]: 1_513, "control": 3_129},
        propensity_calibration=shares,
        effect_calibration=tenths,
        propensity_slope=1.01,
        effect_slope=1.04,
        autoc=estimate(0.0142, 0.0061),
        qini=estimate(0.0053, 0.0022),
        curves=_curves(),
    )


def _curves() -> TargetingCurves:
    def around(name: str, value: float, random: float, half: float) -> dict[str, float]:
        over = value - random
        return {
            name: value,
            "low": value - half,
            "high": value + half,
            "random": random,
            "over_random": over,
            "over_random_low": over - half / 2,
            "over_random_high": over + half / 2,
        }

    shares = [k / 50 for k in range(51)]
    spends = [41.5 * k / 25 for k in range(26)]
    return TargetingCurves(
        qini=[
            {
                "share": x,
                "standard_error": 3.1 * x,
                **around("gain", 30.7 * (1.6 * x - 0.6 * x * x), 30.7 * x, 6.076 * x),
            }
            for x in shares
        ],
        no_qini="",
        budgets=[
            {
                "budget": spend,
                "spend": spend,
                "contacted": k / 25,
                "reactivations": around("value", 1.3 * spend - 0.013 * spend**2, 0.76 * spend, 0.2 * spend),
                "net_value": around("value", 55.0 * spend - 0.9 * spend**2, 17.6 * spend, 11.0 * spend),
                "expected_value": around("value", 53.0 * spend - 0.9 * spend**2, 15.6 * spend, 7.0 * spend),
            }
            for k, spend in enumerate(spends)
        ],
        no_budgets="",
        best_budget=spends[18],
    )
