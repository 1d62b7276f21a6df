"""Learners of the effect of contact, one file a learner. All share one signature; see `base.UpliftLearner`."""

from propensity.learners.constant import ConstantLearner
from propensity.learners.crossfit import out_of_fold_effect
from propensity.learners.dr import DRLearner
from propensity.learners.factored import FactoredBoostedLearner, FactoredLinearLearner
from propensity.learners.heterogeneity import Heterogeneity
from propensity.learners.propensity import OverlapWarning, estimated_propensity
from propensity.learners.r import RLearner
from propensity.learners.s import SLearner
from propensity.learners.sample import UnseenCategoryWarning
from propensity.learners.stack import UpliftStack
from propensity.learners.t import TLearner
from propensity.learners.x import XLearner
from propensity.learners.zero_inflated import HurdleLearner, WinsorisedLearner

__all__ = [
    "ConstantLearner",
    "DRLearner",
    "FactoredBoostedLearner",
    "FactoredLinearLearner",
    "Heterogeneity",
    "HurdleLearner",
    "OverlapWarning",
    "RLearner",
    "SLearner",
    "TLearner",
    "UnseenCategoryWarning",
    "UpliftStack",
    "WinsorisedLearner",
    "XLearner",
    "estimated_propensity",
    "out_of_fold_effect",
]
