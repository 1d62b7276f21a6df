"""What monitoring found: checks, and what each of them looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from propensity.evaluation.segments import corrected

FALSE_ALARMS = 0.05
"""Chance, at most, of any alarm in a run in which nothing is wrong."""
CHECKS = {
    "feature_drift": "Are they the people that the model learnt from?",
    "score_drift": "Does it predict of them what it predicted of others?",
    "calibration": "Does what it predicts still come true?",
    "early_effects": "Does each arm bring back in its first weeks as many as the model says?",
    "served_shares": "Did everybody get each action with the chance that was logged?",
    "assignment_shares": "Are as many held out, and as few left out, as planned?",
    "responses": "Do people answer as they did?",
    "missing_outcomes": "Has a kind of event stopped coming?",
    "sent": "Is what was decided sent?",
}
"""What each check asks, in the order in which they are shown."""
LEVEL = FALSE_ALARMS / len(CHECKS)
"""Each check's own part of it, whatever the others find."""

Status = Literal["ok", "alarm", "not enough data"]


@dataclass(frozen=True)
class Finding:
    """One thing that a check looked at.

    Attributes
    ----------
    name : str
    sentence : str
        What was found, in plain words.
    p_value : float
        Chance of a finding at least so far off if nothing is wrong; NaN where there is not enough data.
    size : float
        How far off, in the unit that ``sentence`` names.
    alarm_above : float
        Sizes up to this are no alarm, however certain.
    figures : dict
        JSON-ready.
    p_adjusted : float
        For everything that the check looked at (Holm); set by `concluded`.
    status : {"ok", "alarm", "not enough data"}
        Set by `concluded`.
    """

    name: str
    sentence: str
    p_value: float = float("nan")
    size: float = 0.0
    alarm_above: float = 0.0
    figures: dict[str, Any] = field(default_factory=dict)
    p_adjusted: float = float("nan")
    status: Status = "not enough data"


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes
    ----------
    name : str
        A key of `CHECKS`.
    question : str
    looked_at : str
        Which people and times.
    level : float
        Chance of an alarm of this check if nothing is wrong.
    findings : tuple of Finding
        The most surprising first.
    status : {"ok", "alarm", "not enough data"}
    sentence : str
        What came out, in plain words.
    """

    name: str
    question: str
    looked_at: str
    level: float
    findings: tuple[Finding, ...]
    status: Status
    sentence: str


@dataclass(frozen=True)
class Period:
    """From when to when (aware; the end does not belong to it), and since when the time before counts."""

    before: pd.Timestamp
    since: pd.Timestamp
    until: pd.Timestamp

    def __str__(self) -> str:
        return f"{self.since:%Y-%m-%d %H:%M} to {self.until:%Y-%m-%d %H:%M} UTC"


@dataclass(frozen=True)
class Monitoring:
    """A run of all checks.

    Attributes
    ----------
    campaign : str or None
        None: all.
    model_version : str
    period : Period
    decisions : int
        Taken in the period.
    checks : tuple of Check
        In the order of `CHECKS`.
    """

    campaign: str | None
    model_version: str
    period: Period
    decisions: int
    checks: tuple[Check, ...]

    @property
    def alarms(self) -> tuple[Check, ...]:
        """The checks that raise one."""
        return tuple(check for check in self.checks if check.status == "alarm")


def concluded(name: str, looked_at: str, findings: Sequence[Finding], nothing: str) -> Check:
    """A check's verdict on what it looked at: an alarm needs to be beyond chance and of a size that matters.

    Parameters
    ----------
    name : str
        A key of `CHECKS`.
    looked_at : str
    findings : sequence of Finding
        Without verdicts.
    nothing : str
        The sentence where nothing could be tested.
    """
    adjusted = corrected(np.array([f.p_value for f in findings], dtype=float), "holm")
    judged = [
        replace(finding, p_adjusted=float(p), status=_status(finding, float(p)))
        for finding, p in zip(findings, adjusted, strict=True)
    ]
    judged.sort(key=lambda f: (f.status != "alarm", np.isnan(f.p_value), f.p_value, f.name))
    raised = [f for f in judged if f.status == "alarm"]
    tested = [f for f in judged if f.status != "not enough data"]
    status: Status = "alarm" if raised else "ok" if tested else "not enough data"
    if raised:
        sentence = " ".join(f.sentence for f in raised[:3])
        sentence += f" And {len(raised) - 3} more." if len(raised) > 3 else ""
    else:
        sentence = _calm(tested) if tested else nothing
    return Check(name, CHECKS[name], looked_at, LEVEL, tuple(judged), status, sentence)


def p_words(p_value: float) -> str:
    """The chance of a finding at least so far off if nothing is wrong: ``p = 0.0021``."""
    return "p < 0.000001" if p_value < 1e-6 else f"p = {p_value:.2g}"


def _status(finding: Finding, p_adjusted: float) -> Status:
    if np.isnan(p_adjusted):
        return "not enough data"
    return "alarm" if p_adjusted < LEVEL and finding.size > finding.alarm_above else "ok"


def _calm(tested: Sequence[Finding]) -> str:
    certain = [f for f in tested if f.p_adjusted < LEVEL]
    if certain:
        names = ", ".join(f.name for f in certain[:3]) + (" and others" if len(certain) > 3 else "")
        return f"{names}: beyond chance, but too small to matter. Furthest off: {tested[0].sentence}"
    return f"Nothing beyond chance. Furthest off: {tested[0].sentence}"
