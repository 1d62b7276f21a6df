"""Statistics of experiments and of programs that run. No input or output happens here."""

from propensity.inference.lift import Lift, contact_gain, lift
from propensity.inference.rates import Fewer, RateChange, fewer_events, rate_change
from propensity.inference.sample_ratio import SampleRatio, sample_ratio_test
from propensity.inference.stability import Stability, population_stability

__all__ = [
    "Fewer",
    "Lift",
    "RateChange",
    "SampleRatio",
    "Stability",
    "contact_gain",
    "fewer_events",
    "lift",
    "population_stability",
    "rate_change",
    "sample_ratio_test",
]
