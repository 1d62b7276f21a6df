"""Statistics of experiments. No input or output happens here."""

from propensity.inference.lift import Lift, contact_gain, lift
from propensity.inference.sample_ratio import SampleRatio, sample_ratio_test

__all__ = ["Lift", "SampleRatio", "contact_gain", "lift", "sample_ratio_test"]
