"""Which reason a person is taken to have left for, where it comes from, and which archetypes answer it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from propensity.contract import REASONS
from propensity.errors import InputError
from propensity.playbook import Playbook
from propensity.reasons.classifier import checked_reasons

FALLBACK = "disengaged"
"""What the rule playbook takes people to be who gave no reason (`policy.rule_action`)."""
SOURCES = ("stated", "text", "predicted", "fallback")
SUM_TOLERANCE = 1e-6
SHARE_TOLERANCE = 1e-9
"""A chance that is the share, but for rounding, does not exceed it."""


def assigned_reasons(
    stated: pd.Series,
    text_probabilities: pd.DataFrame | None,
    model_probabilities: pd.DataFrame | None,
    minimum: float,
    fallback: str = FALLBACK,
    shares: Mapping[str, Mapping[str, float]] | None = None,
) -> pd.DataFrame:
    """The reason that each person is treated by.

    What a person stated comes first, then what their exit answer says, then what their features say, each only where
    the likeliest reason has a chance of at least ``minimum``, and of more than its share; else it is ``fallback``.
    Without the second condition a reason that more than ``minimum`` of all people left for would be everybody's, also
    of those of whom nothing is known.

    Parameters
    ----------
    stated : Series (n,)
        Reasons of the taxonomy, missing where none was given. Its index names the people, each once.
    text_probabilities, model_probabilities : DataFrame (people, reasons) or None
        Chances indexed by person; people may be absent, or have missing values in the whole row. Leave out of
        ``text_probabilities`` those who wrote nothing (`ReasonTextModel.understood`): their chances are but shares.
    minimum : float
        Chance, from 0 to 1, that an inferred reason needs.
    fallback : str
        A reason of the taxonomy that is safe to be wrong with.
    shares : dict, optional
        By source ("text", "predicted"), how large a share of the people that its model learnt from left for each
        reason. A reason or source that is not named has none.

    Returns
    -------
    DataFrame (n, 3)
        ``reason``; ``probability``: 1 where stated, else the chance by the text, or, for people without one, by the
        features, missing where neither knows the reason; ``source``: one of `SOURCES`. The index of ``stated``.

    Raises
    ------
    InputError
    """
    if not 0 <= minimum <= 1:
        raise InputError(f"minimum: expected a chance from 0 to 1, found {minimum}")
    if fallback not in REASONS:
        raise InputError(f"fallback: expected one of {', '.join(REASONS)}, found {fallback!r}")
    if not stated.index.is_unique:
        twice = stated.index[stated.index.duplicated()][0]
        raise InputError(f"stated: expected each person once, found {twice} more than once")
    given = checked_reasons(stated)
    found: dict[str, Chances] = {}
    for name, table in (("text", text_probabilities), ("predicted", model_probabilities)):
        if table is not None:
            chances = _chances_of(table, stated.index, name)
            found[name] = Chances(np.arange(len(stated)), chances.to_numpy(dtype=float), list(chances.columns))
    texts = given.to_numpy(dtype=object)
    texts[given.isna().to_numpy()] = None
    return assigned(texts, found, minimum, fallback, shares or {}).frame(stated.index)


class Chances(NamedTuple):
    """Chances of reasons that a source tells of some people.

    Attributes
    ----------
    people : array (m,)
        Their positions.
    values : array (m, reasons)
        Missing in the whole row where nothing is known of a person.
    reasons : list of str
        In the taxonomy's order.
    """

    people: np.ndarray
    values: np.ndarray
    reasons: list[str]


class Assigned(NamedTuple):
    """The columns of `assigned_reasons`, arrays (n,)."""

    reason: np.ndarray
    probability: np.ndarray
    source: np.ndarray

    def frame(self, index: pd.Index) -> pd.DataFrame:
        """As a table, DataFrame (n, 3)."""
        return pd.DataFrame(self._asdict(), index=index)


def assigned(
    stated: np.ndarray,
    told: Mapping[str, Chances],
    minimum: float,
    fallback: str,
    shares: Mapping[str, Mapping[str, float]],
) -> Assigned:
    """`assigned_reasons` of checked reasons (n,), None where none was stated, and of chances by source, in order."""
    n = len(stated)
    silent = stated == None  # noqa: E711 - element by element
    reason = np.where(silent, fallback, stated).astype(object)
    source = np.where(silent, "fallback", "stated").astype(object)
    probability = np.where(silent, np.nan, 1.0)
    for name, chances in told.items():
        values = np.full((n, len(chances.reasons)), np.nan)
        values[chances.people] = chances.values
        open_to = source == "fallback"
        # the chance of falling back, by the first source that knows of the person
        unset = open_to & np.isnan(probability)
        if fallback in chances.reasons:
            probability[unset] = values[unset, chances.reasons.index(fallback)]
        # below any minimum where nothing is known of a person
        known = np.where(np.isnan(values), -1.0, values)
        best = known.max(axis=1)
        likeliest = known.argmax(axis=1)
        of_all = shares.get(name, {})
        usual = np.array([of_all.get(label, -1.0) for label in chances.reasons])[likeliest]
        sure = open_to & (best >= minimum) & (best > usual + SHARE_TOLERANCE)
        reason[sure] = np.array(chances.reasons, dtype=object)[likeliest[sure]]
        probability[sure] = best[sure]
        source[sure] = name
    return Assigned(reason, probability, source)


class Told(NamedTuple):
    """What is known of the reasons of n people, by source.

    Attributes
    ----------
    stated : array (n,)
        Checked reasons; None where none was stated.
    chances : dict of Chances
        Of people who stated none, by source, the more trusted first.
    shares : dict
        See `assigned_reasons`.
    """

    stated: np.ndarray
    chances: Mapping[str, Chances]
    shares: Mapping[str, Mapping[str, float]]

    @classmethod
    def by_themselves(cls, stated: np.ndarray) -> Told:
        """What people stated, and nothing else."""
        return cls(stated, {}, {})

    def assigned(self, minimum: float, fallback: str) -> Assigned:
        """The reason that each person is treated by; see `assigned_reasons`."""
        return assigned(self.stated, self.chances, minimum, fallback, self.shares)

    def probabilities(self, source: str) -> np.ndarray:
        """Chance of each reason (n, reasons of the taxonomy): 1 of the stated one, else what the source says.

        Missing in the whole row of whom it knows nothing.
        """
        found = np.full((len(self.stated), len(REASONS)), np.nan)
        if source in self.chances:
            chances = self.chances[source]
            known = ~np.isnan(chances.values).any(axis=1)
            found[chances.people[known]] = 0.0
            columns = [REASONS.index(reason) for reason in chances.reasons]
            found[np.ix_(chances.people[known], columns)] = chances.values[known]
        for position, reason in enumerate(REASONS):
            rows = self.stated == reason
            found[rows] = 0.0
            found[rows, position] = 1.0
        return found


def archetype_probabilities(reasons: pd.DataFrame, playbook: Playbook) -> pd.DataFrame:
    """Chances of archetypes from chances of reasons.

    Parameters
    ----------
    reasons : DataFrame (n, reasons)
        One column a reason of the taxonomy.
    playbook : Playbook

    Returns
    -------
    DataFrame (n, archetypes)
        In the playbook's order: the summed chances of the reasons that each answers. What a row lacks to 1 is the
        chance of a reason that no archetype answers. The index of ``reasons``.

    Raises
    ------
    InputError
        A column is no reason of the taxonomy.
    """
    _check_columns(reasons, "reasons")
    archetype_of = playbook.archetype_of_reason()
    answers = [[archetype_of.get(str(reason)) == archetype for archetype in playbook.archetypes] for reason in reasons]
    chances = reasons.to_numpy(dtype=float) @ np.array(answers, dtype=float).reshape(reasons.shape[1], -1)
    return pd.DataFrame(chances, columns=list(playbook.archetypes), index=reasons.index)


def _chances_of(table: pd.DataFrame, people: pd.Index, name: str) -> pd.DataFrame:
    """A row for each of the people, missing for those whom the table lacks; columns in the taxonomy's order."""
    _check_columns(table, f"{name} probabilities")
    if not table.index.is_unique or not table.index.isin(people).all():
        raise InputError(f"{name} probabilities: expected an index of people of stated, each once, found others")
    values = table.to_numpy(dtype=float)
    known = ~np.isnan(values).all(axis=1)
    wrong = int((~(np.abs(values.sum(axis=1) - 1) <= SUM_TOLERANCE) | (values < 0).any(axis=1))[known].sum())
    if wrong:
        raise InputError(f"{name} probabilities: expected rows of chances that sum to 1, found {wrong:,} others")
    return table[[reason for reason in REASONS if reason in table.columns]].reindex(people)


def _check_columns(table: pd.DataFrame, name: str) -> None:
    wrong = [str(column) for column in table.columns if column not in REASONS]
    if wrong or table.columns.empty or not table.columns.is_unique:
        found = ", ".join(wrong) or ("none" if table.columns.empty else "one of them twice")
        raise InputError(f"{name}: expected columns among {', '.join(REASONS)}, found {found}")
