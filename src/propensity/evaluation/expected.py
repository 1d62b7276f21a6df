"""What to expect of contacts with other people, by what was measured on people with similar predictions.

A sum of predictions has no honest interval: the errors of people are those of one model. So people are put into groups
by action and predicted effect, the effect on each group is measured on training people who were predicted out of fold,
and a total over other people is the groups' measured means, times how many people of each group there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from propensity.evaluation.estimate import Estimate, estimate_with_error

N_GROUPS = 5
DIGITS = 6
"""Significant ones of the covariance where it is saved."""


@dataclass(frozen=True, eq=False)
class GroupEffects:
    """Measured effects of contact on groups of people with similar predictions.

    Attributes
    ----------
    edges : tuple of array
        For each action without control, the predicted effects at which groups end.
    mean : array (n groups of all actions,)
        Measured effect on a person of each group, in units of the outcome; first all groups of the first action.
    covariance : array (n groups, n groups)
        Of the errors: the same people are in groups of all actions.
    n : int
        People that were measured.
    """

    edges: tuple[np.ndarray, ...]
    mean: np.ndarray
    covariance: np.ndarray
    n: int

    @classmethod
    def fit(cls, scores: np.ndarray, predicted: np.ndarray) -> Self:
        """Measure the effect on fifths of the people by predicted effect.

        Parameters
        ----------
        scores : array (n, n actions)
            Doubly robust, control in the first column.
        predicted : array (n, n actions - 1)
            Effects predicted by models that did not see the person; missing where an action had no chance.

        Notes
        -----
        The error of a group's mean is that of the mean of independent people; where a group has fewer than two, all
        who had a chance of the action take its place.
        """
        difference = scores[:, 1:] - scores[:, :1]
        edges, means, influences = [], [], []
        for a in range(difference.shape[1]):
            there = ~np.isnan(predicted[:, a])
            of_action = predicted[there, a]
            edges.append(_edges(of_action))
            group = np.full(len(predicted), -1)
            group[there] = np.searchsorted(edges[a], of_action, side="right")
            for g in range(len(edges[a]) + 1):
                members = group == g
                members = members if members.sum() > 1 else there
                n = max(int(members.sum()), 1)
                mean = float(difference[members, a].sum() / n)
                influence = np.where(members, difference[:, a] - mean, 0.0) / np.sqrt(n * max(n - 1, 1))
                means.append(mean)
                influences.append(influence)
        table = np.column_stack(influences)
        return cls(tuple(edges), np.array(means), table.T @ table, len(scores))

    def people(self, predicted: np.ndarray, action: np.ndarray) -> np.ndarray:
        """How many people of each group there are, (n groups,).

        Parameters
        ----------
        predicted : array (m, n actions - 1)
            Their predicted effects.
        action : int array (m,)
            Column of the action that each person gets; below 0: none.
        """
        counts = np.zeros(len(self.mean))
        first = 0
        for a, edges in enumerate(self.edges):
            group = np.searchsorted(edges, predicted[action == a, a], side="right")
            counts[first : first + len(edges) + 1] = np.bincount(group, minlength=len(edges) + 1)
            first += len(edges) + 1
        return counts

    def total(self, people: np.ndarray, level: float = 0.95) -> Estimate:
        """The effect on so many people of each group (n groups,) together, in units of the outcome.

        The interval holds the total that is to be expected of people like those in training; what these very people
        do varies besides.
        """
        error = float(np.sqrt(max(0.0, people @ self.covariance @ people)))
        return estimate_with_error(float(people @ self.mean), error, self.n, level)

    def to_state(self) -> dict[str, Any]:
        """As JSON-ready values."""
        lower = self.covariance[np.tril_indices(len(self.mean))]
        return {
            "edges": [e.tolist() for e in self.edges],
            "mean": self.mean.tolist(),
            "covariance": [float(f"{value:.{DIGITS}g}") for value in lower],
            "n": self.n,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """What `to_state` described."""
        mean = np.asarray(state["mean"], dtype=float)
        covariance = np.zeros((len(mean), len(mean)))
        covariance[np.tril_indices(len(mean))] = state["covariance"]
        covariance += np.tril(covariance, -1).T
        return cls(tuple(np.asarray(e, dtype=float) for e in state["edges"]), mean, covariance, int(state["n"]))


def _edges(predicted: np.ndarray) -> np.ndarray:
    """Where fifths end; none where all predictions are the same."""
    if len(predicted) == 0 or np.ptp(predicted) == 0:
        return np.empty(0)
    return np.unique(np.quantile(predicted, np.linspace(0, 1, N_GROUPS + 1)[1:-1]))
