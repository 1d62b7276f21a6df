"""A run of monitoring as a table, a page, JSON-ready values and Prometheus gauges."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment
from rich.table import Table

from propensity.assessment import plain
from propensity.monitoring.results import FALSE_ALARMS, Check, Finding, Monitoring, p_words
from propensity.pages import environment
from propensity.pages.words import action_words, listed
from propensity.terminal import new_table


def headline(found: Monitoring) -> str:
    """What came out, in one sentence."""
    raised = [action_words(check.name) for check in found.alarms]
    if raised:
        return f"{len(raised)} {'alarm' if len(raised) == 1 else 'alarms'}: {listed(raised)}."
    tested = sum(check.status == "ok" for check in found.checks)
    if not tested:
        return "Not enough data for any check."
    return f"No alarm: {tested} of {len(found.checks)} checks had enough data, and found nothing."


def about(found: Monitoring) -> str:
    """Which model, campaign and time it is about."""
    campaign = f"campaign {found.campaign}" if found.campaign else "all campaigns"
    return f"Model {found.model_version}, {campaign}, {found.period}: {found.decisions:,} decisions."


def document(found: Monitoring) -> dict[str, Any]:
    """As JSON-ready values; what is not a number becomes None."""
    period = {name: getattr(found.period, name).isoformat() for name in ("before", "since", "until")}
    return {
        "headline": headline(found),
        "campaign": found.campaign,
        "model_version": found.model_version,
        **period,
        "decisions": found.decisions,
        "false_alarms_at_most": FALSE_ALARMS,
        "alarms": [check.name for check in found.alarms],
        "checks": plain(found.checks),
    }


def table(found: Monitoring) -> Table:
    """One row a check."""
    made = new_table(about(found), ["check", "status", "what was found"])
    for check in found.checks:
        made.add_row(action_words(check.name), check.status, check.sentence)
    return made


def page(found: Monitoring) -> str:
    """One self-contained HTML page."""
    shown = {"found": found, "headline": headline(found), "about": about(found), "false_alarms": FALSE_ALARMS}
    return _environment().get_template("monitor.html").render(**shown)


def prometheus(found: Monitoring) -> str:
    """Gauges in Prometheus' text format, for node-exporter's textfile collector.

    A size or p-value that does not exist for want of data is left out.
    """
    common = {"campaign": found.campaign or "", "model": found.model_version}
    lines: list[str] = []

    def gauge(name: str, told: str, rows: list[tuple[dict[str, str], float]]) -> None:
        lines.extend([f"# HELP propensity_monitor_{name} {told}", f"# TYPE propensity_monitor_{name} gauge"])
        lines.extend(
            f"propensity_monitor_{name}{{{_labels(common | labels)}}} {value:.10g}"
            for labels, value in rows
            if math.isfinite(value)
        )

    each = [(check, finding) for check in found.checks for finding in check.findings]
    gauge("alarm", "1 if the check raises an alarm.", [(_of(c), c.status == "alarm") for c in found.checks])
    gauge("tested", "1 if the check had enough data.", [(_of(c), c.status != "not enough data") for c in found.checks])
    tested = [(c, f) for c, f in each if f.status != "not enough data"]
    gauge("size", "How far off, in the check's own unit.", [(_of(c, f), f.size) for c, f in tested])
    gauge("alarm_above", "Sizes up to this are no alarm.", [(_of(c, f), f.alarm_above) for c, f in tested])
    gauge("p_value", "Adjusted for all that the check looked at.", [(_of(c, f), f.p_adjusted) for c, f in tested])
    gauge("decisions", "Decisions of the period.", [({}, found.decisions)])
    gauge("period_end_seconds", "End of the period, since 1970.", [({}, found.period.until.timestamp())])
    return "\n".join(lines) + "\n"


def _of(check: Check, finding: Finding | None = None) -> dict[str, str]:
    return {"check": check.name} | ({} if finding is None else {"item": finding.name})


def _labels(labels: dict[str, str]) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


@cache
def _environment() -> Environment:
    made = environment(Path(__file__).with_name("templates"))
    made.filters |= {"words": action_words, "p": p_words}
    return made
