"""How likely each archetype answers why a person left: what the playbook knows of messages, as features of people.

Which archetype answers which reason is the playbook's knowledge, and few people state their reason. Learners are told
both at once: one number an archetype, from the reason that people stated or what is told of it by their features, so
that they need not find out from rare returns what every marketer knows. How much it counts they learn. What people
wrote is left out: it is kept nowhere, so that a later training would not have it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from propensity.contract import REASONS
from propensity.playbook import Playbook
from propensity.reasons import archetype_probabilities
from propensity.reasons.assignment import Told

ANSWERED_BY = "answered_by_"
"""Before an archetype's name: the feature's."""
BY_FEATURES = "predicted"
"""The source of chances (`reasons.assignment.SOURCES`) that tells reasons from features."""


@dataclass(frozen=True)
class AnswerFeatures:
    """Chances that archetypes answer why people left, under the playbook of training.

    Attributes
    ----------
    answers : dict
        By archetype, one number a reason of the taxonomy: 1 where it answers it, else 0.
    """

    answers: dict[str, tuple[float, ...]]

    @classmethod
    def of(cls, playbook: Playbook) -> AnswerFeatures:
        """Of the archetypes that actions of the playbook have; none where they are fewer than two."""
        used = {action.archetype for action in playbook.actions.values()}
        table = archetype_probabilities(pd.DataFrame(np.eye(len(REASONS)), columns=list(REASONS)), playbook)
        answers = {str(name): tuple(table[name]) for name in table if name in used and table[name].any()}
        return cls(answers if len(used) > 1 else {})

    def columns(self, told: Told) -> dict[str, Any]:
        """Features of n people, arrays (n,) from 0 to 1; missing where nothing is known of the reason."""
        if not self.answers:
            return {}
        chances = told.probabilities(BY_FEATURES)
        # row by row the same for one person as among many, which a product of matrices is not to the last digit
        return {ANSWERED_BY + name: (chances * answered).sum(axis=1) for name, answered in self.answers.items()}

    def to_state(self) -> dict[str, list[float]]:
        """As JSON-ready values."""
        return {name: list(answered) for name, answered in self.answers.items()}

    @classmethod
    def from_state(cls, state: dict[str, list[float]]) -> AnswerFeatures:
        """The features that `to_state` described."""
        return cls({name: tuple(answered) for name, answered in state.items()})
