"""Evaluation in doubly robust scores: rankings, policies, calibration."""
