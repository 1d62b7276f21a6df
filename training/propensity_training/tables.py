"""What the commands of this door show on a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from rich.table import Table

from propensity.assessment import Assessment
from propensity.evaluation import Estimate
from propensity.terminal import new_table
from propensity_training.promotion import Verdict


def policies_table(assessment: Assessment, currency: str, words: str) -> Table:
    """Each policy against contacting nobody."""
    table = new_table(
        f"Per 1,000 people against contacting nobody, with 95 % intervals ({assessment.n_people:,} decisions)",
        ["policy", "contacted", words, *(f"{what}, {currency}" for what in ("revenue", "net value", "expected value"))],
    )
    for policy in assessment.policies:
        figures = (policy.reactivations, policy.revenue, policy.net_value, policy.expected_value)
        table.add_row(policy.title, f"{policy.contacted_share:.0%}", *map(interval, figures))
    return table


def quality_table(assessment: Assessment) -> Table:
    """How well predictions fit and rank."""
    table = new_table("Predictions, with 95 % intervals", ["measure", "value", "what it is"])
    for name, what in (("propensity", "the chance to return without contact"), ("effect", "the effect of contact")):
        slope = assessment.slopes.get(name)
        value = interval(slope, 2) if slope else "predictions do not vary"
        table.add_row(f"{name} slope", value, f"observed on predicted of {what}; 1 is right, 0 is no information")
    table.add_row(
        "AUTOC", interval(assessment.autoc, 4), "how well predicted effects rank people, the first most; 0 is chance"
    )
    table.add_row(
        "QINI", interval(assessment.qini, 4), "how well predicted effects rank people, all alike; 0 is chance"
    )
    return table


def verdict_tables(verdict: Verdict) -> list[Table]:
    """Two models on the same people, and the gate check by check."""
    gate = new_table("The gate", ["check", "result", "figures", "meaning"])
    for check in verdict.checks:
        gate.add_row(check.name, "passed" if check.passed else "FAILED", check.figures, check.sentence)
    found, champion, dataset = verdict.comparison, verdict.champion, verdict.dataset
    if found is None or champion is None or dataset is None:
        return [gate]
    table = new_table(
        f"Per 1,000 people against contacting nobody, with 95 % intervals ({found.n_decisions:,} decisions, on "
        f"{found.n_different:,} of which the two differ)",
        ["", f"challenger, {verdict.challenger.title}", f"champion, {champion.title}", "challenger minus champion"],
    )
    currency = dataset.playbook.currency
    names = {
        "reactivations": dataset.words.reactivated_plural,
        "revenue": f"revenue, {currency}",
        "net_value": f"net value as measured, {currency}",
        "expected_value": f"expected value, {currency}: the gate judges by this",
        "unsubscribed": "people who unsubscribe",
    }
    for key, name in names.items():
        table.add_row(name, *(interval(side[key]) for side in (found.challenger, found.champion, found.difference)))
    return [table, gate]


def versions_table(rows: Iterable[dict[str, Any]], uri: str) -> Table:
    """Registered versions, as from `registry.versions`."""
    columns = ["model", "version", "alias", "trained", "policy", "net value per 1,000 people, held out", "data"]
    table = new_table(f"Models at {uri}", columns)
    for row in rows:
        told = row["parameters"]
        when = datetime.fromtimestamp(row["created"] / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
        data = f"{told['data']} ({told['data_fingerprint']})" if "data_fingerprint" in told else ""
        aliases = ", ".join(row["aliases"])
        mode = told.get("mode", "").replace("_", " ")
        table.add_row(row["name"], row["version"], aliases, when, mode, _worth(row["metrics"]), data)
    return table


def history_table(rows: Iterable[dict[str, Any]], ledger: str) -> Table:
    """Promotions and rollbacks, as from the ledger."""
    table = new_table(f"Promotions in {ledger}", ["at", "model", "from", "to", "what", "who", "why"])
    for row in rows:
        when = row["at"].strftime("%Y-%m-%d %H:%M UTC")
        what = row["kind"] or "promotion"
        table.add_row(when, row["model"], row["from_version"] or "", row["to_version"], what, row["who"], row["why"])
    return table


def interval(estimate: Estimate, digits: int = 1) -> str:
    """An estimate with its interval."""
    return f"{estimate.value:,.{digits}f} ({estimate.low:,.{digits}f} to {estimate.high:,.{digits}f})"


def _worth(metrics: dict[str, float]) -> str:
    value = "model.net_value_per_1000"
    if value not in metrics:
        return ""
    return f"{metrics[value]:,.0f} ({metrics[value + '.low']:,.0f} to {metrics[value + '.high']:,.0f})"
