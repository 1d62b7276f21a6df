"""Statistics of experiments. No input or output happens here."""

from propensity.inference.lift import Lift, lift
from propensity.inference.sample_ratio import SampleRatio, sample_ratio_test

__all__ = ["Lift", "SampleRatio", "lift", "sample_ratio_test"]
