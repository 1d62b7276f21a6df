"""Statistics of experiments and of programs that run. No input or output happens here."""

from propensity.inference.arm_means import ArmMeans, arm_means
from propensity.inference.fieller import relative_change
from propensity.inference.guardrails import NonInferiority, guardrail, non_inferiority
from propensity.inference.lift import ArmComparison, Lift, any_contact, compare_arms, contact_gain, lift
from propensity.inference.multiplicity import Gatekeeping, gatekeeping, holm
from propensity.inference.rates import Fewer, RateChange, fewer_events, rate_change
from propensity.inference.returns import Returns, return_curve
from propensity.inference.sample_ratio import SampleRatio, sample_ratio_test
from propensity.inference.sequential import DayBand, DaySums, confidence_sequence, daily_sums
from propensity.inference.stability import Stability, population_stability

__all__ = [
    "ArmComparison",
    "ArmMeans",
    "DayBand",
    "DaySums",
    "Fewer",
    "Gatekeeping",
    "Lift",
    "NonInferiority",
    "RateChange",
    "Returns",
    "SampleRatio",
    "Stability",
    "any_contact",
    "arm_means",
    "compare_arms",
    "confidence_sequence",
    "contact_gain",
    "daily_sums",
    "fewer_events",
    "gatekeeping",
    "guardrail",
    "holm",
    "lift",
    "non_inferiority",
    "population_stability",
    "rate_change",
    "relative_change",
    "return_curve",
    "sample_ratio_test",
]
