"""Who gets which action when money and capacity are limited: the multiple-choice knapsack for millions of people.

Each limit gets a price, and each person the action that is worth most net of the prices of what it uses, or no contact
where none is worth anything. `propensity.policy.knapsack` finds the prices that minimise the dual, which is never below
the value of the best allocation, so that the gap to it is always known; `propensity.policy.rounding` makes whole people
of it, within the limits. A price is the value of one more unit of its limit. Kept, the prices let a single decision
follow the last wave (`best_under_prices`).

References
----------
Sinha, Zoltners (1979), The multiple-choice knapsack problem, Operations Research 27(3).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from propensity.contract import CONTROL
from propensity.errors import InputError
from propensity.policy.knapsack import Knapsack, chunks_of, entries, of_people
from propensity.policy.rounding import solve

NOTHING = 1e-9
"""A value net of prices that is no more than this share of the value is none: who ties with nobody is not contacted."""


@dataclass(frozen=True, eq=False)
class Limit:
    """Something of which there is only so much: the budget, a channel's capacity, the hours of a team.

    Attributes
    ----------
    name : str
    amount : float
        Units there are, 0 or more; infinite for no limit.
    use : array (A,) or (n, A), Series by action, or DataFrame (n, A)
        Units that each action takes, 0 or more: of the budget the expected spend, of a channel's capacity 1 for the
        actions on it. Arrays follow the order of the columns of ``net_value``; Series and DataFrames go by label.
    """

    name: str
    amount: float
    use: np.ndarray | pd.Series | pd.DataFrame


@dataclass(frozen=True, eq=False)
class Allocation:
    """Who gets what.

    Attributes
    ----------
    action : array (n,)
        Labels; control for nobody.
    value : float
        Currency: the sum of the net values of these actions.
    upper_bound : float
        Currency: no allocation within the limits is worth more, not even one that could split people.
    prices : dict
        Currency per unit of each limit: what one more unit would bring. 0 where the limit does not bind.
    used : dict
        Units of each limit, never more than its amount.
    limits : dict
        Units that there are.
    """

    action: np.ndarray
    value: float
    upper_bound: float
    prices: dict[str, float]
    used: dict[str, float]
    limits: dict[str, float]

    @property
    def gap_share(self) -> float:
        """How much the best allocation could be worth more at most, as a share of the bound."""
        return 1 - self.value / self.upper_bound if self.upper_bound else 0.0

    def summary(self) -> pd.DataFrame:
        """One row a limit: ``limit``, ``amount`` and ``used`` in its units, ``value_of_one_more`` unit in currency."""
        return pd.DataFrame(
            {
                "limit": list(self.limits),
                "amount": list(self.limits.values()),
                "used": list(self.used.values()),
                "value_of_one_more": list(self.prices.values()),
            }
        )


def allocate(
    net_value: pd.DataFrame,
    allowed: pd.DataFrame,
    limits: Sequence[Limit] = (),
    *,
    priority: pd.DataFrame | None = None,
) -> Allocation:
    """Give each person at most one allowed action, so that all together are worth most within the limits.

    Parameters
    ----------
    net_value : DataFrame (n, A), actions without control
        Value of each action above no contact, in currency, net of its costs.
    allowed : DataFrame (n, A) of bool
        Same rows.
    limits : sequence of Limit
    priority : DataFrame (n, A), optional
        Where people tie (all are worth the same, say) and an action takes the same of each limit, those of greater
        priority for it get it, then those who come first. By default only position counts.

    Returns
    -------
    Allocation
        Never beyond a limit: the correctly rounded sum of what people use is no more than its amount. Nobody gets an
        action whose value is not above 0.

    Raises
    ------
    InputError
        Columns or rows do not match, a number is missing or infinite, a use or an amount is negative, or two limits
        have the same name.

    Notes
    -----
    The value lies below the bound by what whole people cost: at most about as many people's value as there are limits.
    `best_under_prices` at these prices chooses the same for all but those few, and for people who tie exactly.
    Where several prices are optimal (a capacity that just suffices, say) these are some of them.

    Examples
    --------
    >>> value = pd.DataFrame({"call": [9.0, 8.0, 1.0], "mail": [2.0, 5.0, 1.0]})
    >>> calls = Limit("calls", 1, pd.Series({"call": 1, "mail": 0}))
    >>> plan = allocate(value, value > 0, [calls])
    >>> plan.action.tolist(), plan.value, plan.upper_bound
    (['call', 'mail', 'mail'], 15.0, 15.0)
    """
    table = _Table(net_value, allowed, limits)
    scarce = np.flatnonzero((table.amount > 0) & np.isfinite(table.amount))
    program, action_of, order = _options(table, scarce, _checked_priority(priority, net_value))
    solution = solve(program, order)
    served = np.flatnonzero(solution.choice < program.nobody)
    column = np.full(len(net_value), len(table.actions))
    column[served] = action_of[solution.choice[served], served]
    value = math.fsum(table.value[served, column[served]].tolist())
    prices = np.zeros(len(limits))
    prices[scarce] = solution.prices
    prices = table.with_prices_of_closed(prices)
    used = [math.fsum(entries(use, column[served], served).tolist()) for use in table.use]
    return Allocation(
        action=table.labels[column],
        value=value,
        # where they are equal, sums in another order may differ in the last digit
        upper_bound=max(solution.upper_bound, value),
        prices=dict(zip(table.names, prices.tolist(), strict=True)),
        used=dict(zip(table.names, used, strict=True)),
        limits=dict(zip(table.names, table.amount.tolist(), strict=True)),
    )


def best_under_prices(
    net_value: pd.DataFrame, allowed: pd.DataFrame, limits: Sequence[Limit], prices: Mapping[str, float]
) -> np.ndarray:
    """The action of greatest value net of the prices of what it uses, (n,) labels; control where none is above 0.

    Parameters
    ----------
    net_value, allowed, limits
        As for `allocate`. Of a limit only the use counts, and whether there is any of it at all.
    prices : mapping of str to float
        Of every limit, in currency per unit, as an `Allocation` has them.

    Raises
    ------
    InputError
        As `allocate`, or a price is missing.

    Notes
    -----
    People who tie with nobody at these prices are not contacted: prices do not say how many of them there is room for.
    """
    table = _Table(net_value, allowed, limits)
    lacking = [name for name in table.names if name not in prices]
    if lacking:
        raise InputError(f"prices: expected one for each limit, found none for {', '.join(lacking)}")
    price = np.array([float(prices[name]) for name in table.names])
    column = np.empty(len(net_value), dtype=int)
    for people in chunks_of(len(net_value)):
        value = table.open_value(people)
        net = table.net(value, price, people)
        net[~(net > NOTHING * np.abs(value))] = -np.inf
        column[people] = np.where(np.isfinite(net.max(axis=0)), net.argmax(axis=0), len(table.actions))
    return table.labels[column]


class _Table:
    """Checked values, permissions and limits; people are in columns where a chunk of them is worked on.

    Attributes
    ----------
    value : array (n, A)
    use : list of arrays (A, 1) or (A, n)
    amount : array (R,)
    labels : array (A + 1,)
        Actions, then control.
    """

    def __init__(self, net_value: pd.DataFrame, allowed: pd.DataFrame, limits: Sequence[Limit]) -> None:
        self.actions = list(net_value.columns)
        self.names = [limit.name for limit in limits]
        self.labels = np.array([*self.actions, CONTROL], dtype=object)
        self.allowed = _checked_allowed(allowed, net_value)
        self.value = _checked_numbers(net_value, "net_value")
        finite = np.isfinite(self.value) | ~self.allowed
        if not finite.all():
            row, column = np.argwhere(~finite)[0]
            raise InputError(
                f"net_value: expected a finite number wherever an action is allowed, found {self.value[row, column]:g} "
                f"for {self.actions[column]} in row {row + 1} ({np.count_nonzero(~finite):,} in all)"
            )
        twice = sorted({name for name in self.names if self.names.count(name) > 1})
        if twice:
            raise InputError(f"limits: expected each name once, found {', '.join(twice)} more than once")
        self.amount = np.array([_checked_amount(limit) for limit in limits])
        self.use = [_checked_use(limit, net_value) for limit in limits]
        self.closed = np.flatnonzero(self.amount == 0)

    def open_value(self, people: slice, closed: np.ndarray | None = None) -> np.ndarray:
        """Values (A, m) of what may be chosen.

        -inf for what is not allowed, is not worth more than nothing, or takes of a limit of which there is nothing.
        """
        value = self.value[people]
        value = np.where(self.allowed[people] & (value > 0), value, -np.inf).T
        for limit in self.closed if closed is None else closed:
            value = np.where(of_people(self.use[limit], people) > 0, -np.inf, value)
        return value

    def net(self, value: np.ndarray, prices: np.ndarray, people: slice) -> np.ndarray:
        """Values (A, m) net of the price of what the actions use."""
        for price, use in zip(prices, self.use, strict=True):
            value = value - price * of_people(use, people)
        return value

    def with_prices_of_closed(self, prices: np.ndarray) -> np.ndarray:
        """Prices (R,) with those of limits of which there is nothing: the least at which nobody wants any.

        That is what the first unit would bring. An action that takes of several counts for the last of them.
        """
        prices = prices.copy()
        for position, limit in enumerate(self.closed):
            first_unit = 0.0
            for people in chunks_of(len(self.value)):
                best = self.net(self.open_value(people), prices, people).max(axis=0, initial=0)
                value = self.open_value(people, self.closed[position + 1 :])
                use = of_people(self.use[limit], people)
                gain = np.zeros(value.shape)
                np.divide(self.net(value, prices, people) - best, use, out=gain, where=use > 0)
                first_unit = max(first_unit, float(gain.max(initial=0)))
            prices[limit] = first_unit
        return prices


def _options(table: _Table, scarce: np.ndarray, priority: np.ndarray | None) -> tuple[Knapsack, np.ndarray, np.ndarray]:
    """The knapsack of the scarce limits, which action each of its options is, (K, n), and its priorities (K + 1, n).

    Of actions that use the same, only the one that is worth most to a person comes into question. If every limit's use
    is the same for all people, such actions are one option.
    """
    n, n_actions = table.value.shape
    use = [table.use[limit] for limit in scarce]
    if all(u.shape[1] == 1 for u in use):
        distinct, option_of = np.unique(np.hstack([np.zeros((n_actions, 1)), *use]), axis=0, return_inverse=True)
        use = [column[:, None] for column in distinct.T[1:]]
    else:
        option_of = np.arange(n_actions)
    n_options = int(option_of.max()) + 1
    value, action_of = np.full((n_options, n), -np.inf), np.zeros((n_options, n), dtype=np.int16)
    order = np.zeros((n_options + 1, 1 if priority is None else n))
    for people in chunks_of(n):
        for action, worth in enumerate(table.open_value(people)):
            option = option_of[action]
            best = value[option, people]
            better = worth > best
            if priority is not None:
                own = priority[people, action]
                better |= (worth == best) & np.isfinite(worth) & (own > order[option, people])
                np.copyto(order[option, people], own, where=better)
            np.copyto(action_of[option, people], action, where=better)
            np.maximum(best, worth, out=best)
    return Knapsack(value, tuple(use), table.amount[scarce]), action_of, order


def _checked_allowed(allowed: pd.DataFrame, net_value: pd.DataFrame) -> np.ndarray:
    actions = net_value.columns
    if not len(actions) or not actions.is_unique or CONTROL in actions:
        raise InputError(
            f"net_value: expected a column for each action, each once and none for {CONTROL}, "
            f"found {', '.join(map(str, actions)) or 'no column'}"
        )
    lacking = [str(action) for action in actions if action not in allowed.columns]
    if lacking:
        raise InputError(f"allowed: expected a column for each action, found none for {', '.join(lacking)}")
    allowed = allowed[actions]
    others = [str(action) for action, kind in allowed.dtypes.items() if not pd.api.types.is_bool_dtype(kind)]
    if others:
        raise InputError(f"allowed: expected true or false, found {allowed.dtypes[others[0]]} in {', '.join(others)}")
    _check_rows(allowed, "allowed", net_value)
    if allowed.isna().any(axis=None):
        raise InputError("allowed: expected true or false, found missing values")
    return allowed.to_numpy(dtype=bool)


def _checked_numbers(frame: pd.DataFrame, name: str) -> np.ndarray:
    """Numbers (n, A), none of them missing."""
    texts = [str(column) for column, kind in frame.dtypes.items() if not pd.api.types.is_numeric_dtype(kind)]
    if texts:
        raise InputError(f"{name}: expected numbers, found {frame.dtypes[texts[0]]} in {', '.join(texts)}")
    numbers = frame.to_numpy(dtype=float, na_value=np.nan)
    missing = np.isnan(numbers)
    if missing.any():
        row, column = np.argwhere(missing)[0]
        raise InputError(
            f"{name}: expected a number for every action and person, found {np.count_nonzero(missing):,} missing, "
            f"the first for {frame.columns[column]} in row {row + 1}"
        )
    return numbers


def _check_rows(frame: pd.DataFrame, name: str, net_value: pd.DataFrame) -> None:
    if not frame.index.equals(net_value.index):
        raise InputError(
            f"{name}: expected the {len(net_value):,} rows of net_value in the same order, found {len(frame):,} rows"
            f"{' with another index' if len(frame) == len(net_value) else ''}"
        )


def _checked_amount(limit: Limit) -> float:
    amount = float(limit.amount)
    if not amount >= 0:
        raise InputError(f"limit {limit.name}: expected an amount of 0 or more, found {amount:g}")
    return amount


def _checked_use(limit: Limit, net_value: pd.DataFrame) -> np.ndarray:
    """What actions take of a limit: (A, 1), or (A, n) where it differs between people."""
    actions, use = net_value.columns, limit.use
    if isinstance(use, pd.Series | pd.DataFrame):
        labels = use.index if isinstance(use, pd.Series) else use.columns
        lacking = [str(action) for action in actions if action not in labels]
        if lacking:
            raise InputError(
                f"limit {limit.name}: expected the use of each action, found none for {', '.join(lacking)}"
            )
        if isinstance(use, pd.DataFrame):
            _check_rows(use, f"limit {limit.name}", net_value)
        use = use[actions].to_numpy(dtype=float)
    use = np.asarray(use, dtype=float)
    if use.shape not in ((len(actions),), net_value.shape):
        raise InputError(
            f"limit {limit.name}: expected the use of {len(actions)} actions, or of {len(actions)} actions by "
            f"{len(net_value):,} people, found shape {use.shape}"
        )
    if not (np.isfinite(use) & (use >= 0)).all():
        wrong = use[~(np.isfinite(use) & (use >= 0))]
        raise InputError(f"limit {limit.name}: expected a use of 0 or more, found {wrong[0]:g}")
    return use[:, None] if use.ndim == 1 else np.ascontiguousarray(use.T)


def _checked_priority(priority: pd.DataFrame | None, net_value: pd.DataFrame) -> np.ndarray | None:
    if priority is None:
        return None
    lacking = [str(action) for action in net_value.columns if action not in priority.columns]
    if lacking:
        raise InputError(f"priority: expected a column for each action, found none for {', '.join(lacking)}")
    _check_rows(priority, "priority", net_value)
    return _checked_numbers(priority[net_value.columns], "priority")
