"""Evaluation in doubly robust scores: rankings, policies, calibration, segments, budgets. No input or output here."""

from propensity.evaluation.calibration import CalibrationTest, calibration_slope, calibration_table, calibration_test
from propensity.evaluation.cost import cost_curve, cost_qini_score
from propensity.evaluation.estimate import Estimate, mean_estimate
from propensity.evaluation.fit import better_fit, effect_multiple
from propensity.evaluation.policy import (
    ips_value,
    policy_scores,
    policy_shares,
    policy_value,
    snips_value,
    with_least_error,
)
from propensity.evaluation.ranking import autoc_score, auuc_score, qini_curve, qini_points, qini_score, toc_curve
from propensity.evaluation.regression import BestLinearPredictor, best_linear_predictor
from propensity.evaluation.scores import dr_scores
from propensity.evaluation.segments import segment_effects

__all__ = [
    "BestLinearPredictor",
    "CalibrationTest",
    "Estimate",
    "autoc_score",
    "auuc_score",
    "best_linear_predictor",
    "better_fit",
    "calibration_slope",
    "calibration_table",
    "calibration_test",
    "cost_curve",
    "cost_qini_score",
    "dr_scores",
    "effect_multiple",
    "ips_value",
    "mean_estimate",
    "policy_scores",
    "policy_shares",
    "policy_value",
    "qini_curve",
    "qini_points",
    "qini_score",
    "segment_effects",
    "snips_value",
    "toc_curve",
    "with_least_error",
]
