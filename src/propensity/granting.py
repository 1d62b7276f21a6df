"""Which mode held-out people grant a model: what its training supports, or something simpler."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from propensity.contract import CONTROL
from propensity.evaluation import Estimate, better_fit, effect_multiple
from propensity.held_out import HeldOutPeople, Scored
from propensity.model import MODES, DecisionModel, PolicyMode

_SAME: PolicyMode = "one_action"


@dataclass(frozen=True)
class Gate:
    """Whether held-out people confirm what training supports.

    Attributes
    ----------
    proposed, granted : {"per_person", "one_action", "nobody"}
    why : str
        For people.
    """

    proposed: PolicyMode
    granted: PolicyMode
    why: str


class Fit(NamedTuple):
    """What all held-out people say of the predicted effects, whatever they were served.

    Attributes
    ----------
    closer_than_averages : bool
        Effects that differ between people come closer to what happened than each action's average.
    least_multiple : float
        Contact, all kinds together, had at least so many times the predicted effects (95 % interval).
    least_value : float
        What choosing per person is predicted to bring then, in currency a person; 0 where revenue is learnt directly.
    """

    closer_than_averages: bool
    least_multiple: float
    least_value: float


def fit_of(model: DecisionModel, people: HeldOutPeople, per_person: np.ndarray) -> Fit:
    """How the predicted effects fit what happened to held-out people; ``per_person`` (n,) is what each would get."""
    predictions, effect = people.predictions, people.predictions.effect
    of_action = dict(zip(model.reactivation.actions_[1:], model.reactivation.averages_.shrunk, strict=True))
    averages = pd.DataFrame({a: of_action[str(a)] for a in effect}, index=effect.index)
    returned = people.frame["reactivated"].to_numpy(dtype=float)
    known = (returned, people.frame["action"], people.propensity, predictions.reactivated)
    better = better_fit(*known, [effect, averages], weight=people.weight)
    multiple = effect_multiple(*known, effect, people.weight)
    least = 0.0 if multiple is None else multiple.low
    # what offers cost is left as it is with the whole effect
    missing = (1 - min(least, 1.0)) * model.playbook.value.margin_share * predictions.extra_revenue
    value = (predictions.net_value - missing).assign(**{CONTROL: 0.0})
    of_chosen = value.to_numpy()[np.arange(len(value)), value.columns.get_indexer(pd.Index(per_person))]
    # revenue that is learnt by itself does not follow from returns
    told = model.revenue is None
    mean = float(np.average(of_chosen, weights=people.weight))
    return Fit(better is not None and better.low > 0, least, mean if told else 0.0)


def grant(
    proposed: PolicyMode,
    held_out: Scored,
    chosen: dict[PolicyMode, np.ndarray],
    fit: Fit,
    standing: PolicyMode = "nobody",
) -> Gate:
    """Grant the proposed mode, or a simpler one where held-out people do not confirm it.

    The value of a policy rests on the few who happened to get what they would get by it: with many actions it cannot be
    told from nothing in most programs that pay. Everybody tells by what multiple the predicted effects are right, and
    choosing per person is granted too where it pays with the least of it and, as measured, at all. Where neither is
    so, the same action for everybody is asked for itself; its effect was the largest of many averages, so that
    nothing but its own value counts. Where contact does nothing, each of the three grants it in at most one of forty
    cases in which training proposes it. The second is no test of a policy whose picks alone do less than all kinds of
    contact together: of that only its measured value tells.

    Parameters
    ----------
    proposed : {"per_person", "one_action", "nobody"}
        What training supports.
    held_out : Scored
    chosen : dict of array (n,)
        What each mode gives to each person.
    fit : Fit
    standing : {"per_person", "one_action", "nobody"}
        What earlier held-out people granted to a model that learnt as this one did, from fewer decisions. It stands
        unless these people refute it: what was shown once need not be shown again by a month's few.

    Returns
    -------
    Gate
    """
    if proposed == "nobody":
        return Gate(
            proposed, "nobody", "Training found no effect of contact that covers its cost, so nobody is contacted."
        )
    preferred, why = _preferred(proposed, held_out, chosen, fit, standing)
    for mode in (preferred, _SAME) if preferred != _SAME else (_SAME,):
        worth = held_out.value("expected_value", chosen[mode], chosen["nobody"])
        if worth.low > 0:
            return Gate(proposed, mode, why)
        if worth.value > 0 and mode == "per_person" and fit.least_multiple > 0 and fit.least_value > 0:
            why += (
                " Few of them got what they would get now, so that by itself it is not shown to pay. All kinds of "
                f"contact together did at least {fit.least_multiple:.0%} of what is expected of them (95 % interval), "
                "and with that choosing per person pays."
            )
            return Gate(proposed, mode, why)
        if worth.high > 0 and MODES.index(mode) <= MODES.index(standing):
            why += (
                " That contact pays was shown when the champion was granted it; these people are too few to tell, and "
                "do not refute it."
            )
            return Gate(proposed, mode, why)
        why = (
            f"Training found that people differ, but on the held-out people choosing per person {_found(worth)}; the "
            "same action for everybody is what remains."
        )
    return Gate(proposed, "nobody", f"On the held-out people contact {_found(worth)}, so nobody is contacted.")


def _found(worth: Estimate) -> str:
    """What is found of a policy that is not shown to pay."""
    return "costs more than it brings" if worth.high < 0 else "has a value that cannot be told from nothing"


def _preferred(
    proposed: PolicyMode,
    held_out: Scored,
    chosen: dict[PolicyMode, np.ndarray],
    fit: Fit,
    standing: PolicyMode,
) -> tuple[PolicyMode, str]:
    """Which mode these people would have, if contact pays, and why."""
    if proposed == _SAME:
        return _SAME, "Training found one action that pays for itself, and no difference between people to act on."
    if (chosen["per_person"] == chosen[_SAME]).all():
        return (
            _SAME,
            "Training found that people differ, but not so much that anybody would get another action than the rest.",
        )
    gain = held_out.value("expected_value", chosen["per_person"], chosen[_SAME])
    found = "Training found that people differ"
    if gain.low > 0:
        return "per_person", f"{found}, and choosing per person did better on the held-out people."
    if gain.value > 0:
        return "per_person", (
            f"{found}; on the held-out people choosing per person did as well as the same action for everybody, within "
            "chance."
        )
    if gain.high >= 0 and fit.closer_than_averages:
        # the value rests on the few who got what they would; the effects are judged by everybody
        return "per_person", (
            f"{found}, and what it expects of each came closer to what happened on the held-out people than averages "
            "did; that choosing per person is worth more is not shown yet."
        )
    if gain.high >= 0 and standing == "per_person":
        return "per_person", (
            f"{found}, and the champion was granted to choose per person, which the held-out people do not refute."
        )
    return _SAME, (
        f"{found}, but on the held-out people choosing per person did not do better than the same action for everybody."
    )


def mode_of(name: str) -> PolicyMode:
    """The mode that a run's parameter names."""
    return next(mode for mode in MODES if mode == name)
