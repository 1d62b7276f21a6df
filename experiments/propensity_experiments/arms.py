"""Who was in which arm, and with what chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from propensity.contract import CONTROL
from propensity.errors import InputError
from propensity.frame import all_actions, logged_propensity
from propensity.ledger.experiments import Decisions


@dataclass(frozen=True)
class Arms:
    """The arms of an experiment.

    Attributes
    ----------
    labels : tuple of str
        Control first where somebody was held out, then the others that somebody got.
    arm : int array (n,)
        Position of each person's arm.
    propensity : DataFrame (n, arms) or None
        Chance of each arm; None where the arms cannot be compared.
    problem : str
        Why they cannot, in a sentence.
    never_served : tuple of str
        Actions that people had a chance of and nobody got.
    """

    labels: tuple[str, ...]
    arm: np.ndarray
    propensity: pd.DataFrame | None
    problem: str
    never_served: tuple[str, ...]

    @property
    def action(self) -> pd.Categorical:
        """Label of each person's arm (n,)."""
        return pd.Categorical.from_codes(self.arm, list(self.labels))

    @property
    def contacted(self) -> np.ndarray:
        """Who was not held out (n,), bool."""
        return self.arm != (self.labels.index(CONTROL) if CONTROL in self.labels else -1)


def arms_of(decisions: Decisions, rows: np.ndarray) -> Arms:
    """The arms of some decisions, by their positions (n,)."""
    action = decisions.action[rows]
    counts = np.bincount(action, minlength=len(decisions.actions))
    served = [name for k, name in enumerate(decisions.actions) if counts[k]]
    labels = all_actions([name for name in served if name != CONTROL])
    labels = labels if CONTROL in served else labels[1:]
    position = np.array([labels.index(name) if name in labels else -1 for name in decisions.actions], dtype=np.int16)
    arm = position[action]
    problem = _why_not(labels)
    propensity = None
    if not problem:
        try:
            propensity = _propensity(decisions, rows, tuple(labels), arm)
        except InputError as error:
            problem = f"Arms cannot be compared: {error}."
    return Arms(tuple(labels), arm, propensity, problem, _never_served(decisions, rows, labels))


def _why_not(labels: list[str]) -> str:
    if not labels:
        return "Nobody's window is over yet, so there is nothing to compare."
    if CONTROL not in labels:
        return (
            "Nobody was held out, so what contact changed cannot be told from what would have happened anyway; hold "
            "out people at random in the next wave."
        )
    if len(labels) == 1:
        return "Nobody was contacted, so there is nothing to compare with the people who were held out."
    return ""


def _propensity(decisions: Decisions, rows: np.ndarray, labels: tuple[str, ...], arm: np.ndarray) -> pd.DataFrame:
    """The chances that were logged; where they were not, those that are the same for all."""
    combination = decisions.chances[rows]
    if (combination >= 0).all():
        table = np.zeros((len(decisions.chance_of), len(labels)))
        for k, name in enumerate(labels):
            if name in decisions.chance_actions:
                table[:, k] = decisions.chance_of[:, decisions.chance_actions.index(name)]
        if len(combination) and (combination == combination[0]).all():
            # a row that is the same for millions is kept once
            same = np.broadcast_to(table[combination[0]], (len(rows), len(labels)))
            return pd.DataFrame(same, columns=list(labels), copy=False)
        return pd.DataFrame(table[combination], columns=list(labels))
    own = decisions.probability[rows].copy()
    for k, name in enumerate(labels):
        logged = (combination >= 0) & (arm == k)
        if logged.any() and name in decisions.chance_actions:
            own[logged] = decisions.chance_of[combination[logged], decisions.chance_actions.index(name)]
    # one row a different chance says what all rows say
    pairs = pd.DataFrame({"arm": arm, "probability": own}).drop_duplicates()
    shares = logged_propensity(pairs.assign(action=np.array(labels, dtype=object)[pairs["arm"]]), list(labels))
    return pd.DataFrame(np.tile(shares.iloc[0].to_numpy(), (len(rows), 1)), columns=list(labels))


def _never_served(decisions: Decisions, rows: np.ndarray, labels: list[str]) -> tuple[str, ...]:
    used = np.unique(decisions.chances[rows])
    if not len(decisions.chance_of):
        return ()
    possible = (decisions.chance_of[used[used >= 0]] > 0).any(axis=0)
    return tuple(
        name for name, chance in zip(decisions.chance_actions, possible, strict=True) if chance and name not in labels
    )
