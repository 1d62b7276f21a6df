"""Who is nearest to indifference between two options of a knapsack at given prices."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from propensity.policy.knapsack import Knapsack

TIE = 1e-7
"""Change of the prices, as a share of them, at which a choice that tips counts as a tie."""
SAME = 1e-9
"""People whose distances from their options differ by less are alike."""
FEWEST_OF_A_PAIR = 4
"""People looked at for each option that they have and each that they might change to."""


class Undecided(NamedTuple):
    """People whose best option other prices would change first.

    Attributes
    ----------
    people : array (m,)
    distance : array (K + 1, m)
        How far prices must change until an option (or nobody, the last row) is as good as the best one, as a share of
        the prices. 0 for the best one; infinite for what does not come into question.
    """

    people: np.ndarray
    distance: np.ndarray


def undecided(program: Knapsack, prices: np.ndarray, choice: np.ndarray, n_wanted: int) -> Undecided:
    """All who tie, and about so many others, the nearest to any change and the nearest to each change.

    Parameters
    ----------
    program : Knapsack
    prices : array (R,)
    choice : array (n,)
        Everybody's best option at these prices.
    n_wanted : int
        0 for those who tie and nobody else. Whoever is as near as the last one wanted comes along.
    """
    steps = prices + program.unit_prices() / 100
    reach = _reach(program, prices, choice, steps, n_wanted)
    people, distance = [np.empty(0, dtype=int)], [np.empty((program.nobody + 1, 0))]
    for chunk in program.chunks():
        own = choice[chunk]
        to_others = _to_others(program.of(chunk), own, prices, steps)
        to_others[to_others > reach[own].T] = np.inf
        near = np.flatnonzero(np.isfinite(to_others).any(axis=0))
        to_others[own, np.arange(len(own))] = 0
        people.append(near + chunk.start)
        distance.append(to_others[:, near])
    return Undecided(np.concatenate(people), np.concatenate(distance, axis=1))


def alike(distance: np.ndarray) -> np.ndarray:
    """The group (m,) of each of the undecided: those who have the same distance from each option."""
    steps = pd.DataFrame(np.where(np.isfinite(distance), np.rint(distance / SAME), -1).T)
    return steps.groupby(list(steps.columns), sort=False).ngroup().to_numpy()


def _reach(program: Knapsack, prices: np.ndarray, choice: np.ndarray, steps: np.ndarray, n_wanted: int) -> np.ndarray:
    """Distance within which the wanted lie, (K + 1, K + 1): by the option that they have, and another one."""
    options = range(program.nobody + 1)
    if not n_wanted:
        return np.full((len(options), len(options)), TIE)
    of_a_pair = max(FEWEST_OF_A_PAIR, n_wanted // 2 // len(options) ** 2)
    of_all, of_pairs = _Nearest(n_wanted // 2), [[_Nearest(of_a_pair) for _ in options] for _ in options]
    for chunk in program.chunks():
        own = choice[chunk]
        to_others = _to_others(program.of(chunk), own, prices, steps)
        of_all.see(to_others.min(axis=0))
        for option in np.unique(own):
            for nearest, distance in zip(of_pairs[option], to_others[:, own == option], strict=True):
                nearest.see(distance)
    return np.maximum(of_all.reach(), [[pair.reach() for pair in row] for row in of_pairs])


class _Nearest:
    """The smallest distances of those that were seen."""

    def __init__(self, n_wanted: int) -> None:
        self.n_wanted = n_wanted
        self.smallest = np.empty(0)

    def see(self, distance: np.ndarray) -> None:
        """Keep what is small among these (n,)."""
        smallest = np.concatenate([self.smallest, distance[np.isfinite(distance)]])
        if len(smallest) > self.n_wanted:
            smallest = np.partition(smallest, self.n_wanted - 1)[: self.n_wanted]
        self.smallest = smallest

    def reach(self) -> float:
        """The largest that was kept, or what counts as a tie; a little more, so that equal ones are within."""
        return max(TIE, float(self.smallest.max(initial=0)) + SAME)


def _to_others(part: Knapsack, choice: np.ndarray, prices: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """How many steps the prices must change until an option is as good as the best one, (K + 1, n).

    Infinite for the best one itself, for what the person may not get, and for what uses the same as the best.
    """
    everybody = np.arange(part.n_people)
    net = np.vstack([part.net(prices), np.zeros((1, part.n_people))])
    margin = net[choice, everybody] - net
    move = np.zeros(margin.shape)
    for step, use, own in zip(steps, part.padded_use(), part.use_by(choice), strict=True):
        move += step * np.abs(own - use)
    distance = np.full(margin.shape, np.inf)
    np.divide(margin, move, out=distance, where=move > 0)
    return distance
