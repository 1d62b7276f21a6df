"""The measures by which a win-back program is judged, each with its definition and what is usual.

What is usual are practitioners' figures; a company's own experience overrides them.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import stats

from propensity.evaluation import Estimate
from propensity.playbook import Value
from propensity_experiments.arm_counts import ArmCounts
from propensity_experiments.contents import Measure, Standing, Unit
from propensity_experiments.effects import CONFIDENCE
from propensity_experiments.watched import TWO_QUARTERS_DAYS

NOT_COMPARED = "Nobody comparable was held out, so what contact changed is not known."
NOBODY_BACK = "Nobody came back inside the window."
FEWEST = 20
"""People on whom a share must rest."""


def measures_of(
    counts: ArmCounts,
    control: ArmCounts | None,
    *,
    reactivations: Estimate | None,
    revenue: Estimate | None,
    window_days: float,
    value: Value | None,
    leaving_reported: bool,
) -> tuple[Measure, ...]:
    """All measures of an arm, or of any contact.

    Parameters
    ----------
    counts : ArmCounts
    control : ArmCounts or None
        Of the people who were held out.
    reactivations, revenue : Estimate or None
        What contact changed for each person; None where there is nobody to compare with.
    window_days : float
    value : Value or None
        The playbook's margin, and what a new customer is worth; None without a playbook.
    leaving_reported : bool
        Whether any event says that somebody left again.
    """
    extra, money = (None if x is None else x.times(counts.people) for x in (reactivations, revenue))
    days = f"{window_days:g} days"
    margin_share = None if value is None else value.margin_share
    lifetime = _lifetime_value(counts, margin_share, leaving_reported)
    return (
        _reactivation_rate(counts, days),
        _extra("incremental_reactivations", "people", extra, "Extra people back", _EXTRA_PEOPLE),
        _plain("recovered_revenue", "Recovered revenue", _RECOVERED.format(days=days), "money", counts.revenue),
        _extra("incremental_revenue", "money", money, "Incremental revenue", _EXTRA_REVENUE),
        _return_on_spend(counts, money),
        _cost_each(counts),
        _cost_of_revenue(counts),
        lifetime,
        _lifetime_value_ratio(lifetime, counts.returned, value),
        _churn_cure_rate(counts),
        _payback(counts, margin_share),
        _durability(counts, leaving_reported),
        _days_to_return(counts, days),
        _harm_to_the_rest(counts, control),
    )


_EXTRA_PEOPLE = "Difference between the shares who came back with contact and without, times the people contacted."
_EXTRA_REVENUE = "Difference between the revenue per person with contact and without, times the people contacted."
_RECOVERED = "What the contacted people bought within {days} of the decision, less refunds, whatever made them buy."


def _plain(key: str, title: str, definition: str, unit: Unit, value: float) -> Measure:
    return Measure(key, title, definition, unit, float(value))


def _reactivation_rate(counts: ArmCounts, days: str) -> Measure:
    definition = f"People who came back within {days} of the decision, divided by the people contacted."
    healthy = "8 to 15 % between companies, 4 to 9 % in shops; under 4 % the offer or the segment is wrong"
    return _share(
        "reactivation_rate",
        "Reactivation rate",
        definition,
        counts.returned,
        counts.people,
        healthy=healthy,
        good=0.04,
        bad=0.04,
    )


def _extra(key: str, unit: Unit, found: Estimate | None, title: str, definition: str) -> Measure:
    if found is None:
        return Measure(key, title, definition, unit, None, missing=NOT_COMPARED)
    standing: Standing = "good" if found.low > 0 else "bad" if found.high < 0 else "watch"
    healthy = "above 0, with an interval that does not reach it"
    return Measure(key, title, definition, unit, found.value, found.low, found.high, healthy, standing)


def _return_on_spend(counts: ArmCounts, money: Estimate | None) -> Measure:
    known = "making and sending" if counts.making else "sending; what making the messages cost is not known"
    definition = f"Incremental revenue divided by the cost of {known}, offers included."
    key, title, healthy = "return_on_spend", "Return on spend", "5 to 15 per 1 spent; under 3 needs review"
    if money is None or counts.cost <= 0:
        missing = NOT_COMPARED if money is None else "No cost was recorded."
        return Measure(key, title, definition, "ratio", None, healthy=healthy, missing=missing)
    found = money.times(1 / counts.cost)
    standing: Standing = "good" if found.value >= 5 else "bad" if found.value < 3 else "watch"
    return Measure(key, title, definition, "ratio", found.value, found.low, found.high, healthy, standing)


def _cost_each(counts: ArmCounts) -> Measure:
    key, title = "cost_per_reactivated", "Cost per returned customer"
    definition = "Cost of making and sending, offers included, divided by the people who came back."
    if not counts.returned:
        return Measure(key, title, definition, "money", None, missing=NOBODY_BACK)
    return _plain(key, title, definition, "money", counts.cost / counts.returned)


def _cost_of_revenue(counts: ArmCounts) -> Measure:
    key, title = "cost_per_recovered_currency", "Cost per unit of recovered revenue"
    definition = "Cost of making and sending, offers included, divided by recovered revenue."
    if counts.revenue <= 0:
        return Measure(key, title, definition, "ratio", None, missing="No revenue was recovered.")
    return _plain(key, title, definition, "ratio", counts.cost / counts.revenue)


def _lifetime_value(counts: ArmCounts, margin_share: float | None, leaving_reported: bool) -> Measure:
    key, title = "recovered_lifetime_value", "Recovered lifetime value"
    definition = (
        "Margin that the returned customers are expected to bring, if they go on buying as they did inside the window "
        "and leave again as fast as they did in the two quarters after they came back."
    )
    missing = ""
    if margin_share is None:
        missing = "The campaign has no playbook, which holds the margin."
    elif not leaving_reported:
        missing = "No event of type churned was reported, so how long returned customers stay is not known."
    elif counts.watched_on < FEWEST:
        missing = f"It needs {FEWEST} returned customers who were watched for two quarters, found {counts.watched_on}."
    elif not counts.left_again:
        missing = "No returned customer left again, so how long they stay cannot be told yet."
    elif counts.left_again == counts.watched_on:
        missing = "All returned customers left again within two quarters."
    if missing or margin_share is None:
        return Measure(key, title, definition, "money", None, missing=missing)
    stay = 1 - counts.left_again / counts.watched_on
    years = TWO_QUARTERS_DAYS / 365 / -math.log(stay)
    return _plain(key, title, definition, "money", margin_share * counts.yearly_revenue * years)


def _lifetime_value_ratio(lifetime: Measure, returned: int, value: Value | None) -> Measure:
    key, title = "lifetime_value_ratio", "Lifetime value against new customers"
    definition = "Recovered lifetime value of a returned customer, divided by that of a new customer."
    healthy = "1.4 to 1.8; below 1 the discount is too deep"
    new = None if value is None else value.new_customer_value_currency
    if new is None:
        missing = "The playbook does not say what a new customer is worth ([value] new_customer_value_currency)."
        return Measure(key, title, definition, "ratio", None, healthy=healthy, missing=missing)
    if lifetime.value is None or not returned:
        return Measure(key, title, definition, "ratio", None, healthy=healthy, missing=lifetime.missing or NOBODY_BACK)
    return Measure(key, title, definition, "ratio", lifetime.value / returned / new, healthy=healthy)


def _churn_cure_rate(counts: ArmCounts) -> Measure:
    definition = (
        "Of people who left two quarters ago or earlier, the share who came back within two quarters of leaving, after "
        "the decision and whatever the campaign."
    )
    missing = "Nobody is known to have left two quarters ago or earlier."
    return _share("churn_cure_rate", "Churn-cure rate", definition, counts.cured, counts.curable, missing=missing)


def _payback(counts: ArmCounts, margin_share: float | None) -> Measure:
    key, title = "payback_days", "Payback"
    definition = "Days after their return until the margin on what returned customers bought exceeds the offers' cost."
    healthy = "3 to 5 months for 30 % off a first month; over 9 months the offer is too generous"
    missing = ""
    if margin_share is None:
        missing = "The campaign has no playbook, which holds margin and offers."
    elif not counts.returned:
        missing = NOBODY_BACK
    elif counts.offers <= 0:
        missing = "What was offered costs nothing when it is redeemed."
    elif counts.margins[-1] < counts.offers:
        missing = f"The margin has not exceeded the offers' cost within {len(counts.margins) - 1} days of the return."
    if missing:
        return Measure(key, title, definition, "days", None, healthy=healthy, missing=missing)
    days = int(np.argmax(counts.margins >= counts.offers))
    standing: Standing = "good" if days <= 150 else "bad" if days > 270 else "watch"
    return Measure(key, title, definition, "days", float(days), healthy=healthy, standing=standing)


def _durability(counts: ArmCounts, leaving_reported: bool) -> Measure:
    definition = "Of returned customers whose two quarters since are over, the share who did not leave again in them."
    stayed = counts.watched_on - counts.left_again
    missing = "Two quarters since their return are over for none of the returned customers."
    if not leaving_reported:
        missing = "No event of type churned was reported, so whether returned customers stayed is not known."
        stayed = 0
    over = counts.watched_on if leaving_reported else 0
    return _share("durability", "Still customers after two quarters", definition, stayed, over, missing=missing)


def _days_to_return(counts: ArmCounts, days: str) -> Measure:
    key, title = "days_to_return", "Days to return"
    definition = f"Days from the decision by which half of those who came back within {days} were back."
    if not counts.returned:
        return Measure(key, title, definition, "days", None, missing=NOBODY_BACK)
    return _plain(key, title, definition, "days", float(np.median(counts.days)))


def _harm_to_the_rest(counts: ArmCounts, control: ArmCounts | None) -> Measure:
    key, title = "harm_to_the_rest", "Opt-outs among those who did not come back"
    definition = (
        "Share who unsubscribed or complained among the contacted people who did not come back, minus the same share "
        "among those held out."
    )
    if control is None or not control.rest or not counts.rest:
        return Measure(key, title, definition, "share", None, missing=NOT_COMPARED)
    if not counts.rest_harmed and not control.rest_harmed:
        return Measure(
            key, title, definition, "share", None, missing="No unsubscribe or complaint of them was reported."
        )
    p, q = counts.rest_harmed / counts.rest, control.rest_harmed / control.rest
    low, high = _newcombe(counts.rest_harmed, counts.rest, control.rest_harmed, control.rest)
    standing: Standing = "bad" if low > 0 else "good" if high <= 0 else "watch"
    return Measure(key, title, definition, "share", p - q, low, high, "no more than among those held out", standing)


def _share(
    key: str,
    title: str,
    definition: str,
    count: int,
    of: int,
    *,
    healthy: str = "",
    good: float | None = None,
    bad: float | None = None,
    missing: str = "Nobody's window is over yet.",
) -> Measure:
    """A share with Wilson's interval; against what is usual where that is known."""
    if not of:
        return Measure(key, title, definition, "share", None, healthy=healthy, missing=missing)
    value, (low, high) = count / of, wilson(count, of)
    standing: Standing | None = None
    if good is not None and bad is not None:
        standing = "good" if low >= good else "bad" if high < bad else "watch"
    return Measure(key, title, definition, "share", value, low, high, healthy, standing)


def wilson(count: int, of: int) -> tuple[float, float]:
    """Interval of a share (Wilson 1927, JASA 22)."""
    interval = stats.binomtest(count, of).proportion_ci(CONFIDENCE, method="wilson")
    return float(interval.low), float(interval.high)


def _newcombe(x: int, n: int, y: int, m: int) -> tuple[float, float]:
    """Interval of a difference of shares (Newcombe 1998, Statistics in Medicine 17, method 10)."""
    p, q = x / n, y / m
    (low, high), (other_low, other_high) = wilson(x, n), wilson(y, m)
    below = math.hypot(p - low, other_high - q)
    return p - q - below, p - q + math.hypot(high - p, q - other_low)
