"""Evaluation in doubly robust scores: rankings, policies, calibration. No input or output happens here."""

from propensity.evaluation.calibration import calibration_slope, calibration_table
from propensity.evaluation.estimate import Estimate, mean_estimate
from propensity.evaluation.policy import policy_scores, policy_value
from propensity.evaluation.ranking import autoc_score, qini_curve, qini_score
from propensity.evaluation.scores import dr_scores

__all__ = [
    "Estimate",
    "autoc_score",
    "calibration_slope",
    "calibration_table",
    "dr_scores",
    "mean_estimate",
    "policy_scores",
    "policy_value",
    "qini_curve",
    "qini_score",
]
