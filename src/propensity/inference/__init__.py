"""Statistics of experiments and of programs that run. No input or output happens here."""

from propensity.inference.arm_means import ArmMeans, arm_means
from propensity.inference.fieller import relative_change
from propensity.inference.lift import ArmComparison, Lift, any_contact, compare_arms, contact_gain, lift
from propensity.inference.multiplicity import Gatekeeping, gatekeeping, holm
from propensity.inference.rates import Fewer, RateChange, fewer_events, rate_change
from propensity.inference.sample_ratio import SampleRatio, sample_ratio_test
from propensity.inference.stability import Stability, population_stability

__all__ = [
    "ArmComparison",
    "ArmMeans",
    "Fewer",
    "Gatekeeping",
    "Lift",
    "RateChange",
    "SampleRatio",
    "Stability",
    "any_contact",
    "arm_means",
    "compare_arms",
    "contact_gain",
    "fewer_events",
    "gatekeeping",
    "holm",
    "lift",
    "population_stability",
    "rate_change",
    "relative_change",
    "sample_ratio_test",
]
