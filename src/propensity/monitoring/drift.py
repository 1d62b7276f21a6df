"""Drift of features and scores: are they the people that the model learnt from?"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from propensity.inference import population_stability
from propensity.monitoring.cells import Cells
from propensity.monitoring.results import Check, Finding, concluded, p_words
from propensity.pages.words import action_words, percent

PRACTICAL_PSI = 0.1
"""Beyond what chance makes. Of a normally distributed number: a shift by a third of its standard deviation."""
MIN_PEOPLE = 50
"""Fewer people tell nothing."""
_NOT_VARYING = "is the same for everybody in training and now"


def drift(
    name: str, looked_at: str, reference: Mapping[str, Cells], now: pd.DataFrame, seed: int, nothing: str
) -> Check:
    """Compare the columns (m people, columns) of a reference with those of people now.

    Parameters
    ----------
    name : {"feature_drift", "score_drift"}
    looked_at : str
    reference : mapping of Cells
    now : DataFrame (m, columns)
        Of each person once.
    seed : int
        Of permutations where cells are small.
    nothing : str
        The sentence where there is no reference.
    """
    if reference and len(now) < MIN_PEOPLE:
        nothing = f"{len(now):,} people were decided on; {MIN_PEOPLE} are needed to compare."
    if len(now) < MIN_PEOPLE:
        reference = {}
    return concluded(
        name, looked_at, [_compared(column, cells, now[column], seed) for column, cells in reference.items()], nothing
    )


def _compared(column: str, cells: Cells, values: pd.Series, seed: int) -> Finding:
    before, now = np.array(cells.counts), cells.count(values)
    words = action_words(column)
    if ((before + now) > 0).sum() < 2:
        return Finding(column, f"{words} {_NOT_VARYING}.")
    found = population_stability(before, now, seed)
    shares = [
        {"cell": cell, "training": int(b), "now": int(k)} for cell, b, k in zip(cells.names, before, now, strict=True)
    ]
    share_before, share_now = before / before.sum(), now / now.sum()
    most = int(np.argmax(np.abs(share_now - share_before)))
    return Finding(
        name=column,
        sentence=(
            f"{words}: PSI {found.psi:.3f}, of which {found.by_chance:.3f} would be chance ({p_words(found.p_value)}). "
            f"Largest change: {cells.names[most]}, {percent(share_before[most])} of people in training, "
            f"{percent(share_now[most])} now."
        ),
        p_value=found.p_value,
        size=max(0.0, found.psi - found.by_chance),
        alarm_above=PRACTICAL_PSI,
        figures={
            "psi": found.psi,
            "psi_by_chance": found.by_chance,
            "exact": found.exact,
            "n_training": int(before.sum()),
            "n_now": int(now.sum()),
            "cells": shares,
        },
    )
