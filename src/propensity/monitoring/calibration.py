"""Calibration of matured decisions: does what the model predicts still come true, as it did when it was assessed?"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import stats

from propensity.evaluation import Estimate
from propensity.monitoring.reference import MIN_OUTCOMES, MIN_PEOPLE, Calibration
from propensity.monitoring.results import Check, Finding, concluded, p_words

PRACTICAL_DIFFERENCE = 0.2
"""Change of observed minus predicted, as a share of the mean that was predicted at the assessment."""
PRACTICAL_SLOPE = 0.3
"""Change of the slope of observed on predicted."""
WORDS = {"propensity": "return without contact", "effect": "effect of each person's best action"}


def calibration(looked_at: str, reference: Mapping[str, Calibration], now: Mapping[str, Calibration | None]) -> Check:
    """Compare calibration now with that on the people whom no fit saw.

    Parameters
    ----------
    looked_at : str
    reference : mapping of Calibration
        ``propensity`` and ``effect``, when the model was assessed.
    now : mapping of Calibration
        Of matured decisions that training did not see; None where there were too few.

    Notes
    -----
    No model is calibrated exactly: its own error, known from the assessment, is not news. So the change is tested, of
    the mean error and of the slope, each by z = (now - then) / sqrt(se_now^2 + se_then^2). Whether the predictions
    are right at all is said beside it, by `evaluation.calibration_test`.
    """
    findings = []
    for name, words in WORDS.items():
        then, found = reference.get(name), now.get(name)
        if then is None or found is None:
            who = "the assessment" if then is None else "matured decisions"
            sentence = f"{words}: {who} held too few people ({MIN_PEOPLE} with {MIN_OUTCOMES} returns are needed)."
            findings.append(Finding(name, sentence))
            continue
        findings.append(_mean_error(name, words, then, found))
        if then.slope is not None and found.slope is not None:
            findings.append(_slope(name, words, then.slope, found.slope))
    return concluded("calibration", looked_at, findings, " ".join(f.sentence for f in findings))


def _mean_error(name: str, words: str, then: Calibration, found: Calibration) -> Finding:
    p_value = _changed(then.difference, found.difference)
    change = found.difference.value - then.difference.value
    scale = abs(then.predicted)
    observed = found.predicted + found.difference.value
    return Finding(
        name=f"{name}, mean",
        sentence=(
            f"{words}: {1000 * found.predicted:.1f} per 1,000 predicted, {1000 * observed:.1f} observed of "
            f"{found.difference.n:,} people; observed minus predicted changed by {1000 * change:+.1f} since the "
            f"assessment ({p_words(p_value)})."
        ),
        p_value=p_value,
        size=abs(change) / scale if scale > 0 else np.inf,
        alarm_above=PRACTICAL_DIFFERENCE,
        figures=_figures(found.difference, then.difference)
        | {"predicted": found.predicted, "outcomes": found.outcomes},
    )


def _slope(name: str, words: str, then: Estimate, found: Estimate) -> Finding:
    p_value = _changed(then, found)
    return Finding(
        name=f"{name}, slope",
        sentence=(
            f"{words}: slope of observed on predicted {found.value:.2f} ({found.low:.2f} to {found.high:.2f}), "
            f"{then.value:.2f} at the assessment ({p_words(p_value)})."
        ),
        p_value=p_value,
        size=abs(found.value - then.value),
        alarm_above=PRACTICAL_SLOPE,
        figures=_figures(found, then),
    )


def _changed(then: Estimate, found: Estimate) -> float:
    error = float(np.hypot(then.standard_error, found.standard_error))
    change = abs(found.value - then.value)
    if error == 0:
        return 1.0 if change == 0 else 0.0
    return float(2 * stats.norm.sf(change / error))


def _figures(found: Estimate, then: Estimate) -> dict[str, object]:
    return {"now": found._asdict(), "assessment": then._asdict()}
