"""What to expect of contacts with other people, by what was measured on people with similar predictions.

A sum of predictions has no honest interval: the errors of people are those of one model. So pairs of person and action
are put into cells by predicted effect, apart where the action is the best one for the person, which a policy would
choose; the effect on each cell is measured on people whom the model did not see, and a total over other people is the
measured means of the cells, times how many contacts of each there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from propensity.evaluation.estimate import Estimate, estimate_with_error

N_CELLS = 10
"""Of best actions, and of others."""


@dataclass(frozen=True, eq=False)
class MeasuredEffects:
    """Measured effects of contact by predicted ones.

    Attributes
    ----------
    edges : tuple of two arrays
        Predicted effects at which cells end, for actions that are the person's best one, and for others.
    mean : array (n cells,)
        Measured effect of a contact of each cell, in units of the outcome; first those of best actions.
    covariance : array (n cells, n cells)
        Of their errors: the same people are in several cells.
    n : int
        People that were measured.
    """

    edges: tuple[np.ndarray, np.ndarray]
    mean: np.ndarray
    covariance: np.ndarray
    n: int

    @classmethod
    def fit(
        cls,
        scores: np.ndarray,
        predicted: np.ndarray,
        best: np.ndarray,
        weight: np.ndarray | None = None,
        variance: np.ndarray | None = None,
    ) -> Self:
        """Measure the effect of each cell.

        Parameters
        ----------
        scores : array (n, k + 1)
            Doubly robust, control in the first column.
        predicted : array (n, k)
            Effects predicted by models that did not see the person; missing where an action had no chance.
        best : int array (n,)
            Column of the action that is worth most to each person; below 0: none.
        weight : array (n,), optional
            How much each person counts.
        variance : array (n, k + 1), optional
            That scores should have; see `evaluation.policy_value`.

        Notes
        -----
        The error of a cell's mean is that of the mean over independent people, and at least what follows from
        ``variance``. Cells are tenths of the best actions, and of the others; one with fewer than two contacts has the
        mean of all.
        """
        there = ~np.isnan(predicted)
        counts = np.ones(len(scores)) if weight is None else weight
        effect = scores[:, 1:] - scores[:, :1]
        is_best = np.arange(predicted.shape[1]) == best[:, None]
        sides = (there & is_best, there & ~is_best)
        edges = (_edges(predicted[sides[0]]), _edges(predicted[sides[1]]))
        means, influences, least = [], [], []
        varies = np.zeros_like(effect) if variance is None else variance[:, 1:] + variance[:, :1]
        for side, ends in zip(sides, edges, strict=True):
            cell = np.where(side, np.searchsorted(ends, predicted, side="right"), -1)
            for number in range(len(ends) + 1):
                members = cell == number
                members = members if members.sum() > 1 else there
                each = counts[:, None] * members
                total = float(each.sum()) or 1.0
                means.append(float(np.where(members, effect, 0.0).ravel() @ each.ravel()) / total)
                influences.append((np.where(members, effect - means[-1], 0.0) * each).sum(axis=1) / total)
                least.append(float((np.where(members, varies, 0.0) * each**2).sum()) / total**2)
        table = np.column_stack(influences)
        covariance = table.T @ table * len(scores) / max(len(scores) - 1, 1)
        missing = np.maximum(np.array(least) - np.diag(covariance), 0.0)
        return cls(edges, np.array(means), covariance + np.diag(missing), len(scores))

    def contacts(self, predicted: np.ndarray, action: np.ndarray, best: np.ndarray) -> np.ndarray:
        """How many contacts of each cell there are, (n cells,).

        Parameters
        ----------
        predicted : array (m, k)
            Effects that are predicted of people.
        action, best : int array (m,)
            Column of the action that each person gets, and of the one that is worth most to them; below 0: none.
        """
        gets = np.flatnonzero(action >= 0)
        values, is_best = predicted[gets, action[gets]], action[gets] == best[gets]
        counts = [
            np.bincount(np.searchsorted(ends, values[side], side="right"), minlength=len(ends) + 1)
            for ends, side in zip(self.edges, (is_best, ~is_best), strict=True)
        ]
        return np.concatenate(counts).astype(float)

    def total(self, contacts: np.ndarray, level: float = 0.95) -> Estimate:
        """The effect of so many contacts of each cell (n cells,) together, in units of the outcome.

        The interval holds the total that is to be expected of people like those who were measured; what these very
        people do varies besides.
        """
        error = float(np.sqrt(max(0.0, contacts @ self.covariance @ contacts)))
        return estimate_with_error(float(contacts @ self.mean), error, self.n, level)

    def to_state(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return {
            "edges": [ends.tolist() for ends in self.edges],
            "mean": self.mean.tolist(),
            "covariance": self.covariance.tolist(),
            "n": self.n,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """What `to_state` described."""
        of_best, of_others = (np.asarray(ends, dtype=float) for ends in state["edges"])
        return cls((of_best, of_others), np.asarray(state["mean"]), np.asarray(state["covariance"]), int(state["n"]))


def _edges(predicted: np.ndarray) -> np.ndarray:
    """Where tenths end; none where all predictions are the same."""
    if len(predicted) == 0 or np.ptp(predicted) == 0:
        return np.empty(0)
    return np.unique(np.quantile(predicted, np.linspace(0, 1, N_CELLS + 1)[1:-1]))
