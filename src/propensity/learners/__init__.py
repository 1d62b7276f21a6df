"""Learners of the effect of contact, one file a learner. All share one signature; see `base.UpliftLearner`."""

from propensity.learners.constant import ConstantLearner
from propensity.learners.crossfit import out_of_fold_effect
from propensity.learners.dr import DRLearner
from propensity.learners.factored import FactoredBoostedLearner, FactoredLinearLearner
from propensity.learners.heterogeneity import Heterogeneity
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
    "RLearner",
    "SLearner",
    "TLearner",
    "UnseenCategoryWarning",
    "UpliftStack",
    "WinsorisedLearner",
    "XLearner",
    "out_of_fold_effect",
]
