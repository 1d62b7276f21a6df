"""From prices to whole people: who gets what, within the limits.

At optimal prices all but a few people have one best option, and the linear program only has to split those who are
indifferent between several. So the people nearest to indifference, the core (Balas and Zemel 1980), go into a linear
program of their own with what the others leave over. A corner of it splits no more people than there are limits; they
are left out, and what is then left over is used up in the order of value net of prices. The value is therefore below
that of the linear program by no more than the number of limits times the largest value of one person, apart from what
the prices lack to be optimal. The core's own dual prices replace them where the dual of everybody says that they are
better.

Where thousands are indifferent in the same way (the same value for all, say) they enter as one group with a size.

References
----------
Balas, Zemel (1980), An algorithm for large zero-one knapsack problems, Operations Research 28(5).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations, permutations

import numpy as np
import scipy.sparse as sp
from scipy.optimize import OptimizeResult, linprog

from propensity.errors import JobError
from propensity.policy.indifference import alike, undecided
from propensity.policy.knapsack import Knapsack, entries, of_people, optimal_prices

CORES = (3_000, 3_000, 10_000)
"""People in the core at the first attempt, and at the next ones where it is not shown to hold the optimum."""
EXACT = 1e-10
"""Share of the dual that its core's linear program may lack to be shown optimal."""
MOST_SINGLE = 12_000
"""People in a core who are looked at one by one where each uses another amount; of more than that, those who tie are
taken together with their mean use."""
MOST_SWEEPS = 50
"""How often all pairs of options are put in order; none of the sweeps changes the value, and few change anything."""
WHOLE = 1e-6
"""What a solver's count may lack to be whole."""


@dataclass(frozen=True)
class Solution:
    """Who gets which option of a knapsack.

    Attributes
    ----------
    choice : array (n,)
        Option, or ``nobody``.
    prices : array (R,)
        Currency per unit.
    upper_bound : float
        The dual at these prices.
    """

    choice: np.ndarray
    prices: np.ndarray
    upper_bound: float


def solve(program: Knapsack, priority: np.ndarray) -> Solution:
    """The best choice that was found for whole people, and the prices behind it.

    Parameters
    ----------
    program : Knapsack
    priority : array (K + 1, n) or (K + 1, 1)
        Where people tie, those of greater priority for the option get it; then those who come first.

    Raises
    ------
    JobError
        The solver of linear programs gave up.
    """
    free = np.zeros(len(program.amount))
    dual, used, choice = program.choose(free)
    if (used <= program.amount).all():
        return Solution(_within_limits(program, choice, free), free, dual)
    prices, dual = optimal_prices(program)
    for n_wanted in CORES:
        choice, reached, own_prices = _with_core(program, prices, priority, n_wanted)
        own_dual, _, _ = program.choose(own_prices)
        if own_dual <= dual * (1 + EXACT):
            # as good is better: what does not bind has no price at a corner
            prices, dual = own_prices, own_dual
        if reached >= dual * (1 - EXACT):
            break
    choice = _by_priority(program, choice, prices, priority)
    choice = _using_up(program, choice, prices, priority)
    return Solution(_within_limits(program, choice, prices), prices, dual)


def _with_core(
    program: Knapsack, prices: np.ndarray, priority: np.ndarray, n_wanted: int
) -> tuple[np.ndarray, float, np.ndarray]:
    """A choice (n,) within the limits, its value if people could be split, and the core's prices (R,)."""
    _, _, choice = program.choose(prices)
    core, distance = undecided(program, prices, choice, n_wanted)
    choice[core] = program.nobody
    choice = _within_limits(program, choice, prices)
    decided_value, left = float(program.value_by(choice).sum()), program.amount - program.use_by(choice).sum(axis=1)
    part = program.of(core)
    distance[:-1][_dominated(part)] = np.inf
    part = Knapsack(np.where(np.isfinite(distance[:-1]), part.value, -np.inf), part.use, left)
    one_by_one = len(core) <= MOST_SINGLE and not part.same_use_for_all
    group = np.arange(len(core)) if one_by_one else alike(distance)
    counts, core_value, own_prices = _linear_program(part, group)
    choice[core] = _dealt_out(counts, group, of_people(priority, core))
    return choice, decided_value + core_value, own_prices


def _dominated(part: Knapsack) -> np.ndarray:
    """Options (K, n) to which a person has another one that is worth as much and uses no more of anything.

    Of two that are equal in both, the later one.
    """
    dominated = np.zeros(part.value.shape, dtype=bool)
    for one, other in permutations(range(part.nobody), 2):
        if all((use[one] <= use[other]).all() for use in part.use):
            worth, of_other = part.value[one], part.value[other]
            dominated[other] |= (worth > of_other) | ((worth == of_other) & (one < other))
    return dominated


def _linear_program(part: Knapsack, group: np.ndarray) -> tuple[np.ndarray, float, np.ndarray]:
    """How many of each group get each option, (K, groups), rounded down, their value before, and prices (R,)."""
    size = np.bincount(group)

    def mean(rows: np.ndarray) -> np.ndarray:
        return np.array([np.bincount(group, weights=row) / size for row in rows])

    value = mean(part.value)
    option, of_group = np.nonzero(np.isfinite(value))
    gain = value[option, of_group]
    use = [u[option, 0] if u.shape[1] == 1 else mean(u)[option, of_group] for u in part.use]
    # divided by its largest number, each row means the same to the solver
    unit, worth = np.array([u.max(initial=0) or 1.0 for u in use]), float(np.abs(gain).max(initial=0)) or 1.0
    one_each = sp.csr_array((np.ones(len(option)), (of_group, np.arange(len(option)))), shape=(len(size), len(option)))
    found: OptimizeResult = linprog(
        -gain / worth,
        A_ub=sp.vstack([one_each, sp.csr_array(np.array(use) / unit[:, None])], format="csr"),
        b_ub=np.r_[size, part.amount / unit],
        method="highs-ds",  # ends in a corner
    )
    if not found.success:
        raise JobError(f"allocation: the linear program of {len(size)} groups failed ({found.message})")
    counts = np.zeros(value.shape, dtype=int)
    counts[option, of_group] = np.floor(found.x + WHOLE)
    own_prices = np.maximum(-found.ineqlin.marginals[len(size) :], 0.0) * worth / unit
    return counts, -found.fun * worth, own_prices + 0.0  # a price of -0.0 reads badly


def _dealt_out(counts: np.ndarray, group: np.ndarray, priority: np.ndarray) -> np.ndarray:
    """Each member's option (m,), so that each group has its counts: by priority, then by position."""
    nobody = len(counts)
    choice = np.full(len(group), nobody)
    for option, wanted in enumerate(counts):
        open_to = np.flatnonzero((choice == nobody) & (wanted[group] > 0))
        first = _first_of_each(wanted, group[open_to], _entries(priority, option, open_to))
        choice[open_to[first]] = option
    return choice


def _first_of_each(wanted: np.ndarray, group: np.ndarray, priority: np.ndarray) -> np.ndarray:
    """As many of each group as are wanted (groups,), by priority (m,), then by position: their positions."""
    ranked = np.lexsort((-priority, group))
    place = np.arange(len(ranked)) - np.searchsorted(group[ranked], group[ranked])
    return ranked[place < wanted[group[ranked]]]


def _by_priority(program: Knapsack, choice: np.ndarray, prices: np.ndarray, priority: np.ndarray) -> np.ndarray:
    """Let people who are indifferent between the same two options have them in order of priority.

    They exchange among those for whom the two differ by the same use, so that no limit notices.
    """
    tied, distance = undecided(program, prices, program.choose(prices)[2], 0)
    between = np.isfinite(distance)
    use, own, priority = program.of(tied).padded_use(), choice[tied], of_people(priority, tied)
    for _ in range(MOST_SWEEPS):
        changed = False
        for first, second in combinations(range(program.nobody + 1), 2):
            pool = np.flatnonzero(between[first] & between[second] & ((own == first) | (own == second)))
            before = own[pool]
            has_first = before == first
            if has_first.all() or not has_first.any():
                continue
            more_use = [_entries(u, first, pool) - _entries(u, second, pool) for u in use]
            group = np.unique(np.column_stack(more_use), axis=0, return_inverse=True)[1]
            advantage = _entries(priority, first, pool) - _entries(priority, second, pool)
            own[pool] = second
            own[pool[_first_of_each(np.bincount(group, weights=has_first), group, advantage)]] = first
            changed |= bool((own[pool] != before).any())
        if not changed:
            break
    choice[tied] = own
    return choice


def _using_up(program: Knapsack, choice: np.ndarray, prices: np.ndarray, priority: np.ndarray) -> np.ndarray:
    """Spend what is left over on better options, in order of what they gain net of prices; until none fits."""
    left = program.amount - program.use_by(choice).sum(axis=1)
    while True:
        people, option, score, extra = _upgrades(program, choice, prices, left)
        if not len(people):
            return choice
        ranked = np.lexsort((people, -_entries(priority, option, people), -score))
        people, option, extra = people[ranked], option[ranked], extra[:, ranked]
        while len(people):
            fits = (np.cumsum(extra, axis=1) <= left[:, None]).all(axis=0)
            n_taken = len(fits) if fits.all() else int(np.argmin(fits))
            choice[people[:n_taken]] = option[:n_taken]
            left = left - extra[:, :n_taken].sum(axis=1)
            people, option, extra = people[n_taken:], option[n_taken:], extra[:, n_taken:]
            still = (extra <= left[:, None]).all(axis=0)
            people, option, extra = people[still], option[still], extra[:, still]


def _upgrades(
    program: Knapsack, choice: np.ndarray, prices: np.ndarray, left: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """People (m,) whom some option serves better that still fits, their best such option, and what it means.

    That is its gain net of prices (m,), and what it uses beyond their present option (R, m).
    """
    parts = []
    for people in program.chunks():
        part, own = program.of(people), choice[people]
        use, now = part.padded_use(), part.use_by(own)
        gain = np.vstack([part.value, np.zeros((1, part.n_people))]) - part.value_by(own)
        fits, net = gain > 0, gain
        for price, of_limit, present, unused in zip(prices, use, now, left, strict=True):
            fits &= of_limit - present <= unused
            net = net - price * (of_limit - present)
        who = np.flatnonzero(fits.any(axis=0))
        net = np.where(fits[:, who], net[:, who], -np.inf)
        option = net.argmax(axis=0)
        extra = np.array([entries(of_limit, option, who) for of_limit in use]) - now[:, who]
        parts.append((who + people.start, option, net.max(axis=0), extra))
    who, option, net, extra = (np.concatenate(column, axis=-1) for column in zip(*parts, strict=True))
    return who, option, net, extra


def _within_limits(program: Knapsack, choice: np.ndarray, prices: np.ndarray) -> np.ndarray:
    """Take options back until every limit is kept exactly: the correctly rounded sum of what people use counts.

    Those go first whose option is worth least, net of prices, by what it uses; the last of equal ones.
    """
    choice = choice.copy()
    for limit, amount in enumerate(program.amount):
        use = program.use_by(choice)
        net = program.value_by(choice) - prices @ use
        users = np.flatnonzero(use[limit] > 0)
        users = users[np.lexsort((-users, net[users] / use[limit, users]))]
        while (over := math.fsum(use[limit, users].tolist()) - amount) > 0:
            n_out = 1 + int(np.searchsorted(np.cumsum(use[limit, users]), over))
            choice[users[:n_out]] = program.nobody
            users = users[n_out:]
    return choice


def _entries(table: np.ndarray, option: int | np.ndarray, people: np.ndarray) -> np.ndarray:
    """Each person's entry in the row of an option, (m,), the same for all or one for each."""
    return np.broadcast_to(entries(table, option, people), people.shape)
