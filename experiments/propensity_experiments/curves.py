"""An experiment over time: the effect by the day on which windows closed, and when people came back."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np

from propensity.contract import CONTROL
from propensity.inference import any_contact, confidence_sequence, daily_sums, return_curve
from propensity.ledger.experiments import Decisions
from propensity_experiments.arms import Arms
from propensity_experiments.contents import ANY_CONTACT, DayPoint, ReturnCurve
from propensity_experiments.effects import CONFIDENCE
from propensity_experiments.watched import DAY, Watched

_FIRST_DAY = date(1970, 1, 1)


def steps_over_time(y: np.ndarray, watched: Watched, rows: np.ndarray, arms: Arms) -> tuple[DayPoint, ...]:
    """The effect of any contact as it stood at the end of each day on which windows closed.

    Parameters
    ----------
    y : float array (n,)
        The primary outcome.
    watched : Watched
    rows : int array (n,)
    arms : Arms
    """
    if arms.propensity is None:
        return ()
    day = (watched.at[rows] + watched.window) // DAY
    action, chances = any_contact(arms.action, arms.propensity, name=ANY_CONTACT)
    sums = daily_sums(y, action, chances, day, arm=ANY_CONTACT)
    return tuple(
        DayPoint(_FIRST_DAY + timedelta(days=int(band.day)), band.people, band.difference)
        for band in confidence_sequence(sums, level=CONFIDENCE)
    )


def returns(decisions: Decisions, watched: Watched) -> tuple[ReturnCurve, ...]:
    """Who came back by day since the decision, of those held out and of all contacted; also while windows are open."""
    control = decisions.actions.index(CONTROL) if CONTROL in decisions.actions else -1
    held_out = decisions.action[watched.rows] == control
    last = np.minimum(watched.window, watched.until - watched.at)
    returned = watched.returned_after <= last
    days = np.where(returned, watched.returned_after, last) / DAY
    found = []
    for name, mine in ((CONTROL, held_out), (ANY_CONTACT, ~held_out)):
        if not mine.any():
            continue
        curve = return_curve(days[mine], returned[mine], horizon=watched.window // DAY, weight=None, level=CONFIDENCE)
        found.append(
            ReturnCurve(
                name,
                tuple(curve.days.tolist()),
                tuple(curve.share.tolist()),
                tuple(curve.low.tolist()),
                tuple(curve.high.tolist()),
            )
        )
    return tuple(found)
