"""What contact does in its first weeks, arm by arm, against what the model expects: a warning before windows close."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from scipy import stats

from propensity.contract import CONTROL
from propensity.evaluation import Estimate, mean_estimate
from propensity.evaluation.estimate import estimate_with_error
from propensity.frame import training_frame
from propensity.monitoring.results import Check, Finding, concluded, p_words
from propensity.policy import best_column

if TYPE_CHECKING:
    from propensity.held_out import HeldOutPeople

EARLY_DAYS = 30.0
"""After a decision; a return by then is early."""
MIN_SERVED, MIN_RETURNS = 50, 10
"""Of an arm, people who were served it (as many were not contacted), and early returns, found or expected, of both."""
PRACTICAL_SHARE = 0.5
"""Of the early effect that is predicted: how far the measured one may be off, and how much of an error that was known
when the model was assessed excuses."""
OWN_CHOICE = "own choice"
"""Each person's best action, whichever it is."""


@dataclass(frozen=True)
class EarlyEffect:
    """An arm's early effect: ``predicted``, its mean, and measured minus predicted, in early returns a person."""

    predicted: float
    difference: Estimate

    def to_state(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return {"predicted": self.predicted, "difference": self.difference._asdict()}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """What `to_state` described."""
        return cls(state["predicted"], Estimate(**state["difference"]))


@dataclass(frozen=True)
class Early:
    """What is known of early returns from people whom no fit saw.

    Attributes
    ----------
    share : float or None
        Of the returns in the attribution window, those that were early; None where it is not known.
    effects : dict of EarlyEffect
        By arm, and of each person's `OWN_CHOICE`; without those of which there were too few people.
    """

    share: float | None = None
    effects: dict[str, EarlyEffect] = field(default_factory=dict)

    @classmethod
    def of(cls, people: HeldOutPeople, outcomes: pd.DataFrame) -> Self:
        """From people whom a model has not seen, and the events of a data set."""
        early = came_back_early(people.frame, outcomes)
        returns = people.frame["reactivated"].sum()
        if returns == 0:
            return cls()
        share = float(early.sum() / returns)
        return cls(share, early_effects(people, early, share, min_returns=0))

    def to_state(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return {"share": self.share, "effects": {name: found.to_state() for name, found in self.effects.items()}}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """What `to_state` described."""
        return cls(state["share"], {k: EarlyEffect.from_state(v) for k, v in state["effects"].items()})


def came_back_early(decisions: pd.DataFrame, events: pd.DataFrame) -> np.ndarray:
    """Who came back within `EARLY_DAYS` of their decision, (n,) of 0 and 1, in the order of the decisions."""
    own = decisions[["decision_id", "customer_id", "decided_at"]]
    known = own[["customer_id", "decided_at"]].rename(columns={"decided_at": "as_of"}).drop_duplicates()
    frame = training_frame(known, own, events, window_days=EARLY_DAYS).set_index("decision_id")
    return frame["reactivated"].reindex(decisions["decision_id"]).to_numpy(dtype=float)


def early_effects(
    people: HeldOutPeople, early: np.ndarray, share: float, min_returns: float = MIN_RETURNS
) -> dict[str, EarlyEffect]:
    """Measured against predicted early effects of people (n,) by arm.

    Parameters
    ----------
    people : HeldOutPeople
        With the chances by which it was drawn what they were served.
    early : array (n,) of 0 and 1
        Who came back early.
    share : float
        Of returns that are early.
    min_returns : float
        Arms with fewer early returns, found or expected, are left out.

    Notes
    -----
    Of arm a, over the people who had a chance of it and of no contact: measured minus predicted is the mean of
    1{A = a} / e_a (Y - m_a) - 1{A = control} / e_0 (Y - m_0), the correction of a doubly robust score, where m is what
    the model predicts times ``share``. With logged chances e its mean is 0 where predictions are right, whatever else
    drives returns and whoever decided. The arm of `OWN_CHOICE` is each person's own.
    """
    actions = list(people.propensity.columns)
    served = pd.Index(actions).get_indexer(pd.Index(people.frame["action"]))
    chances = people.propensity.to_numpy()
    expected = people.predictions.reactivated.to_numpy() * share
    best = best_column(people.predictions.net_value, people.allowed) + 1
    arms = {action: np.full(len(served), position) for position, action in enumerate(actions) if action != CONTROL}
    found = {}
    for name, arm in {OWN_CHOICE: best, **arms}.items():
        effect = _early_effect(arm, served, chances, expected, early, min_returns)
        if effect is not None:
            found[name] = effect
    return found


def _early_effect(
    arm: np.ndarray,
    served: np.ndarray,
    chances: np.ndarray,
    expected: np.ndarray,
    early: np.ndarray,
    min_returns: float,
) -> EarlyEffect | None:
    """Of each person's arm (n,), a column of ``chances``; 0 where they have none. None of too few."""
    rows = np.flatnonzero((arm > 0) & (chances[:, 0] > 0) & (chances[np.arange(len(arm)), arm] > 0))
    arm, served, chances, expected, early = arm[rows], served[rows], chances[rows], expected[rows], early[rows]
    got, untouched = served == arm, served == 0
    n = np.arange(len(arm))
    under_arm, without = expected[n, arm].clip(0, 1), expected[:, 0].clip(0, 1)
    returns = max(early[got | untouched].sum(), under_arm[got].sum() + without[untouched].sum())
    if min(got.sum(), untouched.sum()) < MIN_SERVED or returns < min_returns:
        return None
    e_arm, e_control = chances[n, arm], chances[:, 0]
    corrections = got / e_arm * (early - under_arm) - untouched / e_control * (early - without)
    # where nobody happened to come back the spread of what was observed is none, that of what was expected is not
    spread = under_arm * (1 - under_arm) / e_arm + without * (1 - without) / e_control
    found = mean_estimate(corrections)
    error = max(found.standard_error, float(np.sqrt(spread.mean() / len(arm))))
    return EarlyEffect(
        float((under_arm - without).mean()), estimate_with_error(found.value, error, found.n, found.level)
    )


def early_warning(looked_at: str, reference: Early, now: Mapping[str, EarlyEffect]) -> Check:
    """Compare early effects with what the model predicts, arm by arm.

    Parameters
    ----------
    looked_at : str
    reference : Early
        Of the assessment.
    now : mapping of EarlyEffect
        Of decisions that training did not see.

    Notes
    -----
    No model is calibrated exactly, and effects need not be as early as returns are: the error that was known at the
    assessment is not news, up to `PRACTICAL_SHARE` of what was predicted. z is what is left of measured minus
    predicted over its standard error, with that of the known error.
    """
    findings = []
    for name in {**reference.effects, **now}:
        then, found = reference.effects.get(name), now.get(name)
        if then is None or found is None:
            who = "the assessment" if then is None else "the time"
            sentence = f"{name}: {who} held too few people ({MIN_SERVED} of each side, {MIN_RETURNS} returns)."
            findings.append(Finding(name, sentence))
        else:
            findings.append(_finding(name, then, found))
    return concluded(
        "early_effects",
        looked_at,
        findings,
        "Too few people whose first weeks are over, or the model keeps no early effects of its assessment.",
    )


def _finding(name: str, then: EarlyEffect, found: EarlyEffect) -> Finding:
    most = PRACTICAL_SHARE * abs(then.predicted)
    known = float(np.clip(then.difference.value, -most, most))
    error = float(np.hypot(then.difference.standard_error, found.difference.standard_error))
    off = found.difference.value - known
    p_value = float(2 * stats.norm.sf(abs(off) / error)) if error > 0 else float(off == 0)
    measured = found.predicted + found.difference.value
    expected = found.predicted + known
    return Finding(
        name=name,
        sentence=(
            f"{name}: contact brings back {1000 * measured:+.1f} of 1,000 within {EARLY_DAYS:g} days, "
            f"{1000 * expected:+.1f} were to be expected ({p_words(p_value)})."
        ),
        p_value=p_value,
        size=abs(off) / abs(found.predicted) if found.predicted else np.inf,
        alarm_above=PRACTICAL_SHARE,
        figures={"now": found.to_state(), "assessment": then.to_state()},
    )
