"""The gate that a challenger passes, or does not, on its way to being the champion. Each check is a plain function."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import pandas as pd
from scipy import stats

from propensity.assessment import Assessment
from propensity.contract import CONTROL
from propensity.evaluation import Estimate
from propensity.frame import all_actions, logged_propensity
from propensity.inference import sample_ratio_test
from propensity.model import MODES, DecisionModel, PolicyMode
from propensity_training.comparison import Comparison

LESS_FREE = "Held-out people grant it less than the champion has, so that it must be shown to be worth more."
CALIBRATION_LEVEL = 0.99
"""A right model is called miscalibrated in 1 % of cases, as the sample-ratio test calls a right draw wrong."""


@dataclass(frozen=True)
class Check:
    """One check of the gate.

    Attributes
    ----------
    name : str
    passed : bool
    figures : str
        What was measured, for people.
    sentence : str
        What that means.
    """

    name: str
    passed: bool
    figures: str
    sentence: str

    def to_json(self) -> dict[str, object]:
        """As JSON-ready values."""
        return asdict(self)


def check_challenger(
    challenger: DecisionModel,
    assessment: Assessment,
    comparison: Comparison,
    frame: pd.DataFrame,
    *,
    margin_currency: float,
    champion_mode: PolicyMode = "per_person",
    retrained: bool = False,
) -> list[Check]:
    """All checks of a challenger against a champion.

    Parameters
    ----------
    challenger : DecisionModel
    assessment : Assessment
        Of the challenger on ``frame``.
    comparison : Comparison
        Against the champion on ``frame``.
    frame : DataFrame
        People whom neither saw in training.
    margin_currency : float
        By how much per 1,000 people the challenger may be worse; at least 0.
    champion_mode : {"per_person", "one_action", "nobody"}
    retrained : bool
        See `check_value`. It counts for nothing where the challenger may decide less freely than the champion: what it
        learnt from more was not confirmed.
    """
    less_free = MODES.index(challenger.mode) < MODES.index(champion_mode)
    value = check_value(
        comparison, margin_currency, challenger.playbook.currency, retrained=retrained and not less_free
    )
    if retrained and less_free and not value.passed:
        value = replace(value, sentence=f"{value.sentence} {LESS_FREE}")
    checks = [
        value,
        check_slope("propensity calibration", "chances to return", assessment.slopes.get("propensity")),
    ]
    if challenger.mode == "per_person":
        # only then does anything hang on how effects differ between people
        checks.append(check_slope("effect calibration", "effects of contact", assessment.slopes.get("effect")))
    return [*checks, check_sample_ratio(frame), check_unsubscribed(comparison)]


def check_value(comparison: Comparison, margin_currency: float, currency: str, *, retrained: bool = False) -> Check:
    """Is the challenger no worse than the champion, by more than the margin?

    The lower bound of the 95 % interval of challenger minus champion, paired, must be at least minus the margin. With
    a margin of 0 that is: shown to be better, or the same decisions for everybody.

    ``retrained``: the challenger learnt as the champion did, from more decisions. That makes it better more likely than
    not, and keeps up with what changes. A month of decisions is not enough to show it: where most people get what the
    champion thinks best, few got what another policy would give them. So it passes unless it is shown to be worth less,
    or what it predicts fits what happened worse (`evaluation.better_fit`), by which everybody can judge.
    """
    gain = comparison.difference["expected_value"]
    figures = f"{currency} {_interval(gain)} per 1,000 people"
    if not comparison.n_different:
        return Check("value", True, figures, f"The two decide the same for all {comparison.n_decisions:,}.")
    fits = comparison.better_fit
    farther = fits is not None and fits.high < 0
    passed = gain.low >= -margin_currency or (retrained and gain.high >= 0 and not farther)
    where = f"on the {comparison.n_different:,} of {comparison.n_decisions:,} decisions that differ"
    if gain.low >= 0:
        said = f"The challenger is shown to be worth more, {where}."
    elif passed and gain.low < -margin_currency:
        said = f"Neither is shown to be worth more, {where}; the challenger learnt from more decisions."
    elif passed:
        said = f"The challenger is not worse by more than the margin of {currency} {margin_currency:,.2f}, {where}."
    elif gain.high < 0:
        said = f"The challenger is shown to be worth less, {where}."
    else:
        allowed = f"worse by more than {currency} {margin_currency:,.2f}" if margin_currency else "worse"
        said = f"It cannot be ruled out that the challenger is {allowed}, {where}."
    return Check("value", passed, figures, said)


def check_slope(name: str, what: str, slope: Estimate | None) -> Check:
    """Do predictions vary as much as what they predict? A slope of 1 must lie within its 99 % interval."""
    if slope is None:
        return Check(name, True, "", f"The predicted {what} do not vary, so there is nothing to check.")
    half = float(stats.norm.ppf(0.5 + CALIBRATION_LEVEL / 2)) * slope.standard_error
    low, high = slope.value - half, slope.value + half
    passed = low <= 1 <= high
    if passed:
        said = f"The predicted {what} vary as the observed ones do, within chance."
    elif high < 1:
        said = f"The predicted {what} vary more than the observed ones: the model claims too much."
    else:
        said = f"The predicted {what} vary less than the observed ones: the model claims too little."
    return Check(name, passed, f"slope {slope.value:.2f} ({low:.2f} to {high:.2f}, 99 %)", said)


def check_sample_ratio(frame: pd.DataFrame) -> Check:
    """Was everybody served with the chance that was logged?"""
    actions = all_actions(list(set(frame["action"]) - {CONTROL}))
    found = sample_ratio_test(frame["action"], logged_propensity(frame, actions))
    said = (
        "The sizes of the arms fit the logged probabilities."
        if found.healthy
        else "The sizes of the arms do not fit the logged probabilities: no figure from these data can be trusted."
    )
    return Check("sample ratio", found.healthy, f"p = {found.p_value:.2g}", said)


def check_unsubscribed(comparison: Comparison) -> Check:
    """Does a contact of the challenger make more people opt out than one of the champion, beyond chance (95 %)?

    By contact: reaching more people makes more of them opt out, and what that costs is in the value already.
    """
    more = comparison.unsubscribed_by_contact
    if more is None:
        # where only one contacted anybody, they would differ
        said = "One of the two contacts" if comparison.n_different else "Both contact"
        return Check("unsubscribes", True, "", f"{said} nobody; what opt-outs cost is in the value.")
    passed = not more.low > 0
    said = (
        "A contact of the challenger is not shown to make more people unsubscribe."
        if passed
        else "A contact of the challenger makes more people unsubscribe than one of the champion does."
    )
    return Check("unsubscribes", passed, f"{_interval(more)} per 1,000 contacts", said)


def check_own_gate(assessment: Assessment) -> Check:
    """For the first champion: did its own held-out people grant it to contact anybody?"""
    granted = assessment.gate.granted
    return Check("own gate", granted != "nobody", f"granted: {granted.replace('_', ' ')}", assessment.gate.why)


def _interval(estimate: Estimate) -> str:
    return f"{estimate.value:+,.2f} ({estimate.low:+,.2f} to {estimate.high:+,.2f})"
