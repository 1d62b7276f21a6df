"""Which segments there are: their names, what they say, and the values that they can have."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from propensity import contract
from propensity.playbook import TIERS

UNKNOWN = "unknown"
"""The value of those of whom too little is known; it stands last."""

SCORES = ("1", "2", "3", "4", "5")
RFM = tuple("".join(scores) for scores in itertools.product(SCORES, repeat=3))
RESPONSES = ("touches", "opened", "clicked")
"""Columns of ``responses``: contacts with a person since they left, and how many they opened and clicked."""

# First day since churn of each band and stage. Field guide; a year is 365 days and 18 months are 548, as in playbooks.
# 90 to 120 days are no band of their own: they are a touch inside the peak, not another time.
BANDS = {
    "under_30_days": -np.inf,
    "30_to_60_days": 30.0,
    "60_to_180_days": 60.0,
    "6_to_12_months": 180.0,
    "12_to_18_months": 365.0,
    "over_18_months": 548.0,
}
STAGES = {"fresh": -np.inf, "peak": 60.0, "fading": 180.0, "long_tail": 365.0}
SHORT_TENURE_MONTHS = 6.0
TENURES = ("trial_canceller", "paid_under_6_months", "paid_over_6_months", "free_and_inactive")
N_PARTS = {"recency": 5, "frequency": 5, "monetary": 5, "activity": 3}
"""Into how many parts of equally many people each measure is cut."""


@dataclass(frozen=True)
class Segment:
    """A named column: what it says in one sentence, and the values it can have, in their order."""

    name: str
    description: str
    values: tuple[str, ...]


SEGMENTS: dict[str, Segment] = {
    segment.name: segment
    for segment in (
        Segment("reason_for_churn", "The reason that they gave for leaving.", (*contract.REASONS, UNKNOWN)),
        Segment("time_since_churn", "How long ago they left.", tuple(BANDS)),
        Segment("value_tier", "The playbook's tier of their yearly value; mass is all the rest.", (*TIERS, UNKNOWN)),
        Segment(
            "competitive_status", "Whether they went to a competitor.", ("named_competitor", "no_competitor", UNKNOWN)
        ),
        Segment("relationship", "How they parted.", (*contract.RELATIONSHIPS, UNKNOWN)),
        Segment("recency", "In which fifth they are by how lately they left; 5 is the latest.", SCORES),
        Segment("frequency", "In which fifth they are by how often they ordered; 5 is the most.", (*SCORES, UNKNOWN)),
        Segment("monetary", "In which fifth they are by yearly value; 5 is the highest.", (*SCORES, UNKNOWN)),
        Segment("rfm", "Scores of recency, frequency and monetary value side by side; 555 is best.", (*RFM, UNKNOWN)),
        Segment("tenure", "How long they paid before they left, or that they never did.", (*TENURES, UNKNOWN)),
        Segment("lifecycle_stage", "Where in the program's time they stand.", ("cooling_off", *STAGES, "gone")),
        Segment(
            "engagement",
            "How likely they are to take notice, by activity before leaving and by what they opened and clicked since.",
            ("low", "middle", "high", UNKNOWN),
        ),
    )
}

MADE_FROM = {
    "value_tier": ("value",),
    "frequency": ("orders",),
    "monetary": ("value",),
    "rfm": ("orders", "value"),
    "tenure": ("value", "tenure_months"),
    "engagement": ("activity",),
}
"""Columns, by their names in the playbook's [segments], without which a segment is unknown for everybody."""
TELL_THE_REASON = ("reason_for_churn", "competitive_status")
"""Segments that are made from the stated reason."""
