"""Learners read back from what `UpliftLearner.to_state` wrote."""

from __future__ import annotations

from propensity.learners._typing import State
from propensity.learners.base import UpliftLearner
from propensity.learners.constant import ConstantLearner
from propensity.learners.dr import DRLearner
from propensity.learners.factored import FactoredBoostedLearner, FactoredLinearLearner
from propensity.learners.r import RLearner
from propensity.learners.s import SLearner
from propensity.learners.t import TLearner
from propensity.learners.x import XLearner
from propensity.learners.zero_inflated import HurdleLearner, WinsorisedLearner

KINDS: dict[str, type[UpliftLearner]] = {
    kind.__name__: kind
    for kind in (
        ConstantLearner,
        DRLearner,
        FactoredBoostedLearner,
        FactoredLinearLearner,
        HurdleLearner,
        RLearner,
        SLearner,
        TLearner,
        WinsorisedLearner,
        XLearner,
    )
}


def learner_from_state(state: State) -> UpliftLearner:
    """The fitted learner that a state describes."""
    return KINDS[state["learner"]]().load_state(state)
