"""Segments: named columns that say of each person which cell of a program they are in.

Features, conditions of the playbook and summaries share them. A person has exactly one value of each segment. What must
be learnt from a wave (the fifths of scores, the thirds of activity) is learnt once by `SegmentBuilder.fit`, so that a
person's segments do not depend on who else is in a later wave.
"""

from propensity.segments.building import Breakpoints, SegmentBuilder, Segmented, segment_counts, telling_segments
from propensity.segments.conditions import AnySegments, meets, segment_texts
from propensity.segments.named import (
    BANDS,
    MADE_FROM,
    N_PARTS,
    RESPONSES,
    RFM,
    SCORES,
    SEGMENTS,
    SHORT_TENURE_MONTHS,
    STAGES,
    TELL_THE_REASON,
    TENURES,
    UNKNOWN,
    Segment,
)

__all__ = [
    "BANDS",
    "MADE_FROM",
    "N_PARTS",
    "RESPONSES",
    "RFM",
    "SCORES",
    "SEGMENTS",
    "SHORT_TENURE_MONTHS",
    "STAGES",
    "TELL_THE_REASON",
    "TENURES",
    "UNKNOWN",
    "AnySegments",
    "Breakpoints",
    "Segment",
    "SegmentBuilder",
    "Segmented",
    "meets",
    "segment_counts",
    "segment_texts",
    "telling_segments",
]
