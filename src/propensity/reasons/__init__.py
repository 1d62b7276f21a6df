"""Why people left: what they said, what they wrote, and what can be told of those who gave no reason."""

from propensity.reasons.assignment import archetype_probabilities, assigned_reasons
from propensity.reasons.classifier import RareReasonWarning
from propensity.reasons.learning import Learnt, ReasonModels
from propensity.reasons.mapping import MappedReasons, ReasonMapping
from propensity.reasons.model import ReasonModel
from propensity.reasons.report import ReasonReport, Sureness, reason_report
from propensity.reasons.text import ReasonTextModel

__all__ = [
    "Learnt",
    "MappedReasons",
    "RareReasonWarning",
    "ReasonMapping",
    "ReasonModel",
    "ReasonModels",
    "ReasonReport",
    "ReasonTextModel",
    "Sureness",
    "archetype_probabilities",
    "assigned_reasons",
    "reason_report",
]
