"""The report of a model: its figures, what they say, and the page that shows both."""

from propensity_training.report.contents import ModelReport
from propensity_training.report.figures import model_report
from propensity_training.report.page import document, render

__all__ = ["ModelReport", "document", "model_report", "render"]
