"""An experiment cut: by segments of people, by what arms are made of, and by the steps that people took."""

from __future__ import annotations

import math

import numpy as np

from propensity.assessment import PEOPLE
from propensity.contract import CONTROL
from propensity.evaluation import Estimate, segment_effects
from propensity.inference import contact_gain
from propensity.playbook import Playbook
from propensity.segments import SegmentBuilder, telling_segments
from propensity_experiments.arms import Arms
from propensity_experiments.contents import Cell, FunnelStep, OutcomeResult, SegmentEffect
from propensity_experiments.effects import CONFIDENCE, FOUND_BELOW
from propensity_experiments.known import Known, table_of
from propensity_experiments.watched import Watched


def segments(
    watched: Watched, rows: np.ndarray, arms: Arms, known: Known, playbook: Playbook | None
) -> tuple[SegmentEffect, ...]:
    """Segments that hold enough people, in their order; fifths and thirds are those of the experiment's people."""
    if playbook is None or arms.propensity is None:
        return ()
    gain = contact_gain(watched.returned[rows], arms.action, arms.propensity)
    counted = ~np.isnan(gain) & known.there[rows]
    if not counted.any():
        return ()
    people = table_of(known, watched.at, rows[counted])
    named = SegmentBuilder.fit(people, people["decided_at"], playbook).transform(people, people["decided_at"])
    telling = telling_segments(named)
    if not telling:
        return ()
    found = segment_effects(gain[counted], named[telling], level=CONFIDENCE)
    return tuple(
        SegmentEffect(
            segment=row.segment,
            value=row.level,
            people=int(row.n),
            reactivations=Estimate(row.effect, row.standard_error, row.low, row.high, int(row.n), CONFIDENCE).times(
                PEOPLE
            ),
            differs=bool(row.p_adjusted < FOUND_BELOW),
        )
        for row in found.itertuples()
        if not math.isnan(row.p_value)
    )


def cells(primary: OutcomeResult, playbook: Playbook | None) -> tuple[Cell, ...]:
    """Each contacted arm by archetype, channel and offer, as the campaign's playbook has them."""
    if playbook is None:
        return ()
    differences = {x.action: x.difference for x in primary.effects}
    return tuple(
        Cell(
            action=total.action,
            archetype=made.archetype,
            channel=made.channel,
            offer=made.offer,
            people=total.people,
            difference=differences.get(total.action),
        )
        for total in primary.totals
        if (made := playbook.actions.get(total.action)) is not None
    )


def funnel(watched: Watched, rows: np.ndarray, arms: Arms, words: str) -> tuple[FunnelStep, ...]:
    """How many contacted people took each step inside the window, by arm."""
    titles = {
        "sent": "Sent",
        "delivered": "Delivered",
        "opened": "Opened",
        "clicked": "Clicked",
        "reactivated": f"Came back ({words})",
        "purchased": "Bought",
    }
    steps = []
    for key, title in titles.items():
        # sent is what makes a decision one that was carried out; its event may come before the window does
        took = {"sent": arms.contacted, "reactivated": watched.returned[rows]}.get(key, watched.did[key][rows])
        counts = np.bincount(arms.arm, took, len(arms.labels)).astype(int).tolist()
        steps.append(
            FunnelStep(key, title, {a: n for a, n in zip(arms.labels, counts, strict=True) if a != CONTROL})
        )
    return tuple(steps)
