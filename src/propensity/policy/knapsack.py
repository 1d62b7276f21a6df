"""A multiple-choice knapsack with several limits, and the prices that solve its dual.

Prices p >= 0, one for each limit, turn the allocation into one decision a person: the option of greatest value net of
the price of what it uses. The dual

    D(p) = sum_r p_r b_r + sum_i max(0, max_k v_ik - sum_r p_r u_rik)

is convex, piecewise linear, and never below the value of any allocation that keeps the limits b; its least value is
that of the linear program in which people may be split (Sinha and Zoltners 1979 for one limit; Geoffrion 1974). One
evaluation goes through everybody once and gives D and a subgradient, the amounts that are left over. `optimal_prices`
minimises the model made of these cutting planes (Kelley 1960) by the level method (Lemaréchal, Nemirovskii and Nesterov
1995), which steps to the point nearest to the best one at which the model promises half of the possible gain. Nearness
is measured in the largest coordinate, so that both steps are small linear programs. Subgradient steps do not say when
they are done.

References
----------
Sinha, Zoltners (1979), The multiple-choice knapsack problem, Operations Research 27(3).
Geoffrion (1974), Lagrangean relaxation for integer programming, Mathematical Programming Study 2.
Kelley (1960), The cutting-plane method for solving convex programs, SIAM J. 8(4).
Lemaréchal, Nemirovskii, Nesterov (1995), New variants of bundle methods, Mathematical Programming 69.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.optimize import OptimizeResult, linprog

CHUNK = 16_384
"""People in one step: a step's arrays stay in the processor's cache."""
SAMPLE = 20_000
"""People in the sample whose prices the search among everybody starts from."""
TOLERANCE = 1e-7
"""Gap between the dual and its model, as a share of the dual, at which the search ends; as fine as the solver of the
small linear programs can tell."""
MOST_EVALUATIONS = 400
FIRST_BOX = 8.0
"""How far the first search goes, in units of the typical value per unit of use."""
BOX_AFTER_SAMPLE = 0.1
"""How far the search goes on either side of the sample's prices, as a share of them."""
WIDENING = 8.0
EDGE_SHARE = 0.05
"""A price this near to the edge of the box, as a share of its width, may want to leave it."""
LEVEL = 0.5


@dataclass(frozen=True)
class Knapsack:
    """At most one option for each of n people under R limits. Option K, after the last one, stands for nobody.

    Attributes
    ----------
    value : array (K, n)
        Currency; -inf where the person may not get the option.
    use : tuple of R arrays (K, 1) or (K, n)
        Units of each limit that an option takes.
    amount : array (R,)
        Finite and above 0.
    """

    value: np.ndarray
    use: tuple[np.ndarray, ...]
    amount: np.ndarray

    @property
    def nobody(self) -> int:
        """The number that stands for no option."""
        return len(self.value)

    @property
    def n_people(self) -> int:
        """Number of people."""
        return self.value.shape[1]

    @property
    def same_use_for_all(self) -> bool:
        """Whether an option uses the same whoever gets it."""
        return all(use.shape[1] == 1 for use in self.use)

    def chunks(self) -> Iterator[slice]:
        """Consecutive people."""
        return chunks_of(self.n_people)

    def of(self, people: slice | np.ndarray) -> Knapsack:
        """The same limits with some of the people."""
        return Knapsack(self.value[:, people], tuple(of_people(use, people) for use in self.use), self.amount)

    def net(self, prices: np.ndarray) -> np.ndarray:
        """Value net of the price of what is used, (K, n)."""
        return self.value - self._charge(prices)

    def padded_use(self) -> list[np.ndarray]:
        """Use of each limit with nobody's, 0, as the last row: R arrays (K + 1, 1) or (K + 1, n)."""
        return [np.vstack([use, np.zeros((1, use.shape[1]))]) for use in self.use]

    def use_by(self, choice: np.ndarray) -> np.ndarray:
        """What each person's option takes of each limit, (R, n)."""
        served = np.flatnonzero(choice < self.nobody)
        taken = np.zeros((len(self.use), len(choice)))
        for row, use in zip(taken, self.use, strict=True):
            row[served] = entries(use, choice[served], served)
        return taken

    def value_by(self, choice: np.ndarray) -> np.ndarray:
        """Value of each person's option, (n,); 0 for nobody."""
        served = np.flatnonzero(choice < self.nobody)
        value = np.zeros(len(choice))
        value[served] = self.value[choice[served], served]
        return value

    def choose(self, prices: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """The dual at these prices, what is used of each limit, (R,), and everybody's best option, (n,).

        Nobody wins over an option that is worth nothing net of prices, the first option over an equal one.
        """
        dual, used, choice = float(prices @ self.amount), np.zeros(len(self.use)), np.empty(self.n_people, np.int16)
        for people in self.chunks():
            part = self.of(people)
            charge = part._charge(prices)
            best, net = np.zeros(part.n_people), np.empty(part.n_people)
            chosen = choice[people]
            chosen[:] = self.nobody
            for option, value in enumerate(part.value):
                np.subtract(value, charge[option], out=net)
                np.copyto(chosen, option, where=net > best)
                np.maximum(best, net, out=best)
            dual += float(best.sum())
            used += part._total_use(chosen)
        return dual, used, choice

    def unit_prices(self) -> np.ndarray:
        """What a unit of each limit is worth by order of magnitude, (R,): mean best value by mean use."""
        worth = sum(float(np.maximum(self.value[:, people].max(axis=0), 0).sum()) for people in self.chunks())
        mean_use = [float(use.sum()) / max(int(np.count_nonzero(use)), 1) for use in self.use]
        return np.array([worth / self.n_people / use if use and worth else 1.0 for use in mean_use])

    def _charge(self, prices: np.ndarray) -> np.ndarray:
        """Price of what each option uses, (K, 1) or (K, n)."""
        charge = np.zeros((self.nobody, 1))
        for price, use in zip(prices, self.use, strict=True):
            if price:
                charge = charge + price * use
        return np.broadcast_to(charge, (self.nobody, charge.shape[1]))

    def _total_use(self, choice: np.ndarray) -> np.ndarray:
        n_by_option = np.bincount(choice, minlength=self.nobody + 1)[: self.nobody]
        served = np.flatnonzero(choice < self.nobody)
        return np.array(
            [n_by_option @ u[:, 0] if u.shape[1] == 1 else u[choice[served], served].sum() for u in self.use]
        )


def chunks_of(n_people: int) -> Iterator[slice]:
    """Consecutive people, few enough for a step's arrays to stay in the processor's cache."""
    for start in range(0, n_people, CHUNK):
        yield slice(start, min(start + CHUNK, n_people))


def of_people(table: np.ndarray, people: slice | np.ndarray) -> np.ndarray:
    """Columns of a table (K, n); those of a table (K, 1) are the same for all."""
    return table if table.shape[1] == 1 else table[:, people]


def entries(table: np.ndarray, option: int | np.ndarray, people: np.ndarray) -> np.ndarray:
    """Each person's entry in the row of their option, for a table (K, n) or (K, 1)."""
    return table[option, people if table.shape[1] > 1 else 0]


def optimal_prices(program: Knapsack, tolerance: float = TOLERANCE) -> tuple[np.ndarray, float]:
    """Prices (R,) that minimise the dual, and its value there.

    The dual is an upper bound whether or not the search came to its end. Of many people a sample is priced first;
    which one is always the same.
    """
    unit = program.unit_prices()
    if program.n_people > 2 * SAMPLE:
        drawn = np.sort(np.random.default_rng(0).choice(program.n_people, SAMPLE, replace=False))
        share = SAMPLE / program.n_people
        sample = program.of(drawn)
        start, _ = optimal_prices(Knapsack(sample.value, sample.use, program.amount * share), 100 * TOLERANCE)
        reach = BOX_AFTER_SAMPLE * np.maximum(start, BOX_AFTER_SAMPLE * unit)
    else:
        start, reach = np.zeros(len(unit)), FIRST_BOX * unit
    search = _LevelSearch(program, unit, start / unit, tolerance)
    low, high = np.maximum(start - reach, 0) / unit, (start + reach) / unit
    while search.within(low, high):
        margin = EDGE_SHARE * (high - low)
        at_low, at_high = (search.best - low < margin) & (low > 0), high - search.best < margin
        if not (at_low | at_high).any():
            break
        width = WIDENING * (high - low)
        low = np.where(at_low, np.maximum(low - width, 0), low)
        high = np.where(at_high, high + width, high)
    return search.best * unit, search.dual


class _LevelSearch:
    """Evaluations so far, as cutting planes, in prices divided by their unit."""

    def __init__(self, program: Knapsack, unit: np.ndarray, start: np.ndarray, tolerance: float) -> None:
        self.program, self.unit, self.tolerance = program, unit, tolerance
        self.slope, self.height = np.empty((0, len(unit))), np.empty(0)
        self.best, self.dual = start, np.inf
        self._evaluate(start)

    def within(self, low: np.ndarray, high: np.ndarray) -> bool:
        """Minimise inside a box; False where evaluations or the precision of the linear programs came to an end."""
        size, least = max(abs(self.dual), np.finfo(float).tiny), -np.inf
        while len(self.height) < MOST_EVALUATIONS:
            slope, height = self.slope / size, self.height / size
            model = _lowest(slope, height, low, high)
            if not model.success:
                return False
            gap = self.dual / size - model.fun
            lowest = np.clip(model.x[: len(low)], low, high)
            if gap <= self.tolerance:
                self._evaluate(lowest)
                return True
            if model.fun <= least:
                # nothing was learnt about the optimum by going halfway
                self._evaluate(lowest)
            else:
                nearest = _nearest(slope, height, self.dual / size - LEVEL * gap, self.best, low, high)
                self._evaluate(np.clip(nearest.x[: len(low)], low, high) if nearest.success else lowest)
            least = model.fun
        return False

    def _evaluate(self, prices: np.ndarray) -> None:
        dual, used, _ = self.program.choose(prices * self.unit)
        slope = (self.program.amount - used) * self.unit
        self.slope = np.vstack([self.slope, slope])
        self.height = np.append(self.height, dual - slope @ prices)
        if dual < self.dual:
            self.best, self.dual = prices, dual


def _lowest(slope: np.ndarray, height: np.ndarray, low: np.ndarray, high: np.ndarray) -> OptimizeResult:
    """The least value of the model inside the box."""
    n_cuts, n_limits = slope.shape
    planes = np.hstack([slope, -np.ones((n_cuts, 1))])
    bounds = [*zip(low, high, strict=True), (None, None)]
    return linprog(np.r_[np.zeros(n_limits), 1.0], A_ub=planes, b_ub=-height, bounds=bounds, method="highs")


def _nearest(
    slope: np.ndarray, height: np.ndarray, level: float, best: np.ndarray, low: np.ndarray, high: np.ndarray
) -> OptimizeResult:
    """The point inside the box where the model is no more than ``level``, nearest to the best one so far."""
    n_cuts, n_limits = slope.shape
    width = high - low
    far = np.hstack([np.eye(n_limits), -width[:, None]])
    planes = np.vstack([np.hstack([slope, np.zeros((n_cuts, 1))]), far, far * np.r_[-np.ones(n_limits), 1.0]])
    bounds = [*zip(low, high, strict=True), (0, None)]
    return linprog(
        np.r_[np.zeros(n_limits), 1.0],
        A_ub=planes,
        b_ub=np.r_[level - height, best, -best],
        bounds=bounds,
        method="highs",
    )
