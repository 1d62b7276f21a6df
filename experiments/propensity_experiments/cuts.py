"""An experiment cut: by segments of people, by what arms are made of, and by the steps that people took."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

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

PEOPLE_TOGETHER = 250_000
"""Whose segments are worked out at once."""


def named_segments(watched: Watched, rows: np.ndarray, known: Known, playbook: Playbook | None) -> pd.DataFrame:
    """The segments that part the people of whom there is a snapshot.

    Returns
    -------
    DataFrame (m, segments)
        Categorical columns, indexed by position among ``rows``; no columns where nothing parts them. Fifths and thirds
        are those of these people.
    """
    there = np.flatnonzero(known.there[rows])
    if playbook is None or not len(there):
        return pd.DataFrame(index=there)
    people = table_of(known, watched.at, rows[there])
    builder = SegmentBuilder.fit(people, people["decided_at"], playbook)
    # all that is worked out on the way would take more room than what is found
    parts = (people.iloc[start : start + PEOPLE_TOGETHER] for start in range(0, len(people), PEOPLE_TOGETHER))
    named = pd.concat([builder.transform(part, part["decided_at"]) for part in parts])
    return named[telling_segments(named)].set_axis(there)


def segments(named: pd.DataFrame, watched: Watched, rows: np.ndarray, arms: Arms) -> tuple[SegmentEffect, ...]:
    """What contact of any kind brought to each segment that holds enough people."""
    if arms.propensity is None or not named.columns.size:
        return ()
    gain = contact_gain(watched.returned[rows], arms.action, arms.propensity)
    if len(named) < len(gain):
        gain = gain[named.index]
    counted = ~np.isnan(gain)
    if not counted.any():
        return ()
    if not counted.all():
        gain, named = gain[counted], named[counted]
    found = segment_effects(gain, named, level=CONFIDENCE)
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
        steps.append(FunnelStep(key, title, {a: n for a, n in zip(arms.labels, counts, strict=True) if a != CONTROL}))
    return tuple(steps)
