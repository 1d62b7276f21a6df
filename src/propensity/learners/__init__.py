"""Learners of the effect of contact, one file a learner. All share one signature; see `base.UpliftLearner`."""

from propensity.learners.crossfit import out_of_fold_effect
from propensity.learners.dr import DRLearner
from propensity.learners.heterogeneity import Heterogeneity
from propensity.learners.s import SLearner
from propensity.learners.stack import UpliftStack

__all__ = ["DRLearner", "Heterogeneity", "SLearner", "UpliftStack", "out_of_fold_effect"]
