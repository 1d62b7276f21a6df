"""Charts of an experiment as self-contained SVG, each with a text alternative."""

from __future__ import annotations

from propensity.assessment import PEOPLE
from propensity.evaluation import Estimate
from propensity.pages.charts import calibration_chart, interval_chart
from propensity.pages.words import action_words
from propensity_experiments.contents import Summary


def lift_chart(summary: Summary) -> str:
    """Each arm's extra reactivations per 1,000 people, with 95 % intervals; empty where no arm can be compared."""
    if summary.primary is None:
        return ""
    rows = [_row(action_words(x.action), x.difference.times(PEOPLE)) for x in summary.primary.effects]
    return interval_chart(rows, f"extra {_many(summary)} per 1,000 people contacted")


def policy_chart(summary: Summary) -> str:
    """Each policy's net value per 1,000 held-out people, with 95 % intervals."""
    if summary.assessment is None:
        return ""
    rows = [_row(action_words(p.title), p.net_value) for p in summary.assessment.policies if p.key != "nobody"]
    return interval_chart(rows, f"net value per 1,000 people, {summary.campaign['currency']}")


def propensity_chart(summary: Summary) -> str:
    """Predicted against observed share of people who come back without contact, by tenths of held-out people."""
    if summary.assessment is None:
        return ""
    return calibration_chart(summary.assessment.propensity_calibration, f"{_many(summary)} per 1,000 people")


def effect_chart(summary: Summary) -> str:
    """Predicted against observed effect of each person's best action, by tenths of held-out people."""
    if summary.assessment is None:
        return ""
    return calibration_chart(summary.assessment.effect_calibration, f"extra {_many(summary)} per 1,000 people")


def _many(summary: Summary) -> str:
    return str(summary.campaign["reactivated_words"])


def _row(name: str, estimate: Estimate) -> dict[str, object]:
    return {"name": name, "value": estimate.value, "low": estimate.low, "high": estimate.high}
