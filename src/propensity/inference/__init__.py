"""Statistics of experiments and of programs that run. No input or output happens here."""

from propensity.inference.amounts import Capped, RevenueParts, revenue_parts, winsorised
from propensity.inference.arm_means import Adjustment, ArmMeans, arm_means
from propensity.inference.balance import Balance, ColumnDifference, balance_test
from propensity.inference.covariates import Covariates
from propensity.inference.fieller import relative_change
from propensity.inference.guardrails import NonInferiority, guardrail, non_inferiority
from propensity.inference.lift import ArmComparison, Lift, any_contact, compare_arms, contact_gain, lift
from propensity.inference.multiplicity import Gatekeeping, gatekeeping, holm
from propensity.inference.power import (
    SampleSize,
    days_to_go,
    detection_power,
    minimum_detectable_effect,
    required_sample_size,
)
from propensity.inference.rates import Fewer, RateChange, fewer_events, rate_change
from propensity.inference.returns import Returns, return_curve
from propensity.inference.sample_ratio import (
    SampleRatio,
    SegmentSampleRatio,
    sample_ratio_by_segment,
    sample_ratio_test,
)
from propensity.inference.sequential import DayBand, DaySums, always_valid, confidence_sequence, daily_sums
from propensity.inference.shrinkage import Shrunk, shrunk_effects, shrunk_lifts
from propensity.inference.stability import Stability, population_stability
from propensity.inference.telling import people_to_tell

__all__ = [
    "Adjustment",
    "ArmComparison",
    "ArmMeans",
    "Balance",
    "Capped",
    "ColumnDifference",
    "Covariates",
    "DayBand",
    "DaySums",
    "Fewer",
    "Gatekeeping",
    "Lift",
    "NonInferiority",
    "RateChange",
    "Returns",
    "RevenueParts",
    "SampleRatio",
    "SampleSize",
    "SegmentSampleRatio",
    "Shrunk",
    "Stability",
    "always_valid",
    "any_contact",
    "arm_means",
    "balance_test",
    "compare_arms",
    "confidence_sequence",
    "contact_gain",
    "daily_sums",
    "days_to_go",
    "detection_power",
    "fewer_events",
    "gatekeeping",
    "guardrail",
    "holm",
    "lift",
    "minimum_detectable_effect",
    "non_inferiority",
    "people_to_tell",
    "population_stability",
    "rate_change",
    "relative_change",
    "required_sample_size",
    "return_curve",
    "revenue_parts",
    "sample_ratio_by_segment",
    "sample_ratio_test",
    "shrunk_effects",
    "shrunk_lifts",
    "winsorised",
]
