"""A wave within its limits: what each person would get, what exploration may take, and terms for single decisions.

What a person would get must not depend on the draws of holdout and exploration, or the logged chances would be wrong.
So everybody takes part in the allocation, the held-out too. The limits are stretched first, because some of those who
get something will not be served; by how much they may be stretched follows from the spread of these draws.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from propensity.contract import CONTROL
from propensity.playbook import Learning, Playbook
from propensity.policy.allocation import Allocation, Limit, allocate, best_under_prices
from propensity.policy.decide import aligned, holdout_share, positions
from propensity.policy.valuation import contact_costs, offer_costs

BUDGET = "budget"
SAFETY = 3.0
"""Standard deviations of what is really used that are kept free: beyond them lies one wave in 700."""
N_HALVINGS = 40
SMALLEST_WEIGHT = 1e-6
ROUNDING = 1e-9
TIE_SHARE = 1e-6
"""Of a value: what differs by no more is worth the same."""


@dataclass(frozen=True)
class Terms:
    """What a single decision takes over from the last wave, so that both follow one plan.

    Attributes
    ----------
    prices : dict
        Of each limit, in currency per unit.
    explore_weights : dict
        Of each action.
    """

    prices: dict[str, float]
    explore_weights: dict[str, float]

    def to_json(self) -> dict[str, dict[str, float]]:
        """As JSON-ready values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, dict[str, float]]) -> Terms:
        """The terms that `to_json` described."""
        return cls(prices=dict(values["prices"]), explore_weights=dict(values["explore_weights"]))

    def no_better_than(self, others: Terms) -> Terms:
        """The higher of both prices and the lower of both weights: who comes later to a wave gets no better terms."""
        prices = {name: max(price, others.prices.get(name, 0.0)) for name, price in self.prices.items()}
        weights = {
            action: min(w, others.explore_weights.get(action, 1.0)) for action, w in self.explore_weights.items()
        }
        return Terms(prices, weights)


@dataclass(frozen=True, eq=False)
class WavePlan:
    """What each person would get (n,), the allocation that says so, and the terms of single decisions.

    ``room`` is the most of each limit that what everybody would get may use, held out or not: of all people, where the
    plan was made of some of them.
    """

    best: np.ndarray
    allocation: Allocation
    terms: Terms
    room: dict[str, float]


def spend(reactivated: pd.DataFrame, playbook: Playbook, actions: list[str]) -> pd.DataFrame:
    """What each action is expected to cost for each person, (n, actions): contact, and offer where it is redeemed.

    ``reactivated`` holds the chance of coming back under each action.
    """
    return spend_table(reactivated[actions].to_numpy(), playbook, pd.Index(actions), reactivated.index)


def spend_table(reactivated: np.ndarray, playbook: Playbook, actions: pd.Index, index: pd.Index) -> pd.DataFrame:
    """`spend` of chances of coming back (n, actions)."""
    labels = list(actions)
    # a chance plus an estimated effect may leave 0 to 1
    chance = reactivated.clip(0.0, 1.0)
    costs = contact_costs(playbook, labels) + offer_costs(playbook, labels) * chance
    return pd.DataFrame(costs, columns=actions, index=index)


def wave_limits(playbook: Playbook, spent: pd.DataFrame, *, weeks: float, budget: float | None = None) -> list[Limit]:
    """The budget and the channels' capacities for a wave.

    Parameters
    ----------
    playbook : Playbook
    spent : DataFrame (n, actions)
        From `spend`.
    weeks : float
        For which the wave is, by which capacities a week are multiplied.
    budget : float, optional
        Currency; default: the playbook's, if it has one.
    """
    budget = playbook.budget.currency_per_wave if budget is None else budget
    limits = [] if budget is None else [Limit(BUDGET, budget, spent)]
    on = {str(label): playbook.actions[str(label)].channel for label in spent}
    for name, channel in playbook.channels.items():
        if channel.capacity_per_week is not None and name in on.values():
            use = pd.Series({label: float(channel_name == name) for label, channel_name in on.items()})
            limits.append(Limit(name, np.floor(channel.capacity_per_week * weeks), use))
    return limits


def plan_wave(
    net_value: pd.DataFrame,
    allowed: pd.DataFrame,
    limits: Sequence[Limit],
    learning: Learning,
    *,
    share: float = 1.0,
    priority: pd.DataFrame | None = None,
) -> WavePlan:
    """Allocate within limits that leave room for exploration.

    Parameters
    ----------
    net_value, allowed : DataFrame (n, actions without control)
    limits : sequence of Limit
        What all people may really use.
    learning : Learning
    share : float
        Of all people that these are.
    priority : DataFrame (n, actions), optional
        Who comes first where values tie.
    """
    allowed = allowed[net_value.columns]
    weights = explore_weights(allowed, limits, learning, share)

    def allocated(typical: Sequence[float]) -> tuple[Allocation, dict[str, float]]:
        """``typical``: what one who uses some of a limit uses of it."""
        room = {
            x.name: _plannable(x, allowed, weights, learning, one, share)
            for x, one in zip(limits, typical, strict=True)
        }
        shrunk = [Limit(x.name, room[x.name] * share, x.use) for x in limits]
        return allocate(net_value, allowed, shrunk, priority=priority), room

    largest = [float(np.asarray(x.use).max(initial=0.0)) for x in limits]
    allocation, room = allocated(largest)
    if any(np.isfinite(x.amount) for x in limits):
        # the spread of what is used follows from what is planned: mostly much less than if all took the costliest
        labels = net_value.columns
        typical = [_typical_use(x, labels, allocation.action, most) for x, most in zip(limits, largest, strict=True)]
        allocation, room = allocated(typical)
    prices = _telling_ties_apart(allocation.prices, net_value, dict(zip(room, largest, strict=True)))
    return WavePlan(allocation.action, allocation, Terms(prices, weights), room)


def _telling_ties_apart(
    prices: dict[str, float], net_value: pd.DataFrame, largest: Mapping[str, float]
) -> dict[str, float]:
    """The prices, but not quite 0: of actions that are worth the same, single decisions take what uses less."""
    values = net_value.to_numpy()
    size = float(values[values > 0].mean()) if (values > 0).any() else 0.0
    return {
        name: max(price, TIE_SHARE * size / largest[name]) if largest[name] > 0 else price
        for name, price in prices.items()
    }


def within_room(
    best: np.ndarray,
    net_value: pd.DataFrame,
    allowed: pd.DataFrame,
    limits: Sequence[Limit],
    prices: Mapping[str, float],
) -> np.ndarray:
    """What people of a part of a wave would get (n,) when no more than the limits' amounts is left of the plan.

    Those who are worth least get what is best for them without the limit that is used up. It depends on nobody's
    draws, so that chances stay exact.

    Parameters
    ----------
    best : array (n,)
        From `best_under_prices`.
    net_value, allowed : DataFrame (n, actions without control)
    limits : sequence of Limit
        With what the plan has left as their amounts.
    prices : mapping of str to float
    """
    best, labels = best.copy(), net_value.columns
    open_ = allowed[labels].to_numpy(copy=True)
    # who leaves one limit may use more of another: after so many rounds nobody changes any more
    for limit in [x for _ in limits for x in limits]:
        use = used_by(limit, labels, best)
        over = use.sum() - limit.amount
        if over <= 0:
            continue
        worth = net_value.to_numpy()[np.arange(len(best)), labels.get_indexer(pd.Index(best))]
        users = np.flatnonzero(use > 0)
        users = users[np.argsort(worth[users], kind="stable")]
        rows = users[: int(np.searchsorted(np.cumsum(use[users]), over)) + 1]
        of_limit = np.atleast_2d(np.asarray(limit.use if isinstance(limit.use, np.ndarray) else limit.use[labels]))
        open_[rows] &= ~(of_limit > 0).any(axis=0)
        table = pd.DataFrame(open_[rows], columns=labels, index=net_value.index[rows])
        best[rows] = best_under_prices(net_value.iloc[rows], table, [_part(x, rows) for x in limits], prices)
    for limit in limits:
        use = used_by(limit, labels, best)
        best[(use > 0) & (np.cumsum(use) > limit.amount + ROUNDING * max(1.0, limit.amount))] = CONTROL
    return best


def _part(limit: Limit, rows: np.ndarray) -> Limit:
    """A limit for some of the people."""
    per_person = isinstance(limit.use, pd.DataFrame) or np.ndim(limit.use) == 2
    use = limit.use.iloc[rows] if isinstance(limit.use, pd.DataFrame) else limit.use
    return Limit(limit.name, limit.amount, np.asarray(use)[rows] if per_person and use is limit.use else use)


def _typical_use(limit: Limit, labels: pd.Index, action: np.ndarray, otherwise: float) -> float:
    """What one planned action uses of a limit, weighted by itself: sum of squares over sum."""
    use = used_by(limit, labels, action)
    return float(use @ use / use.sum()) if use.sum() > 0 else otherwise


def explore_weights(
    allowed: pd.DataFrame, limits: Sequence[Limit], learning: Learning, share: float = 1.0
) -> dict[str, float]:
    """How often exploration takes each action, 0 to 1, so that it uses no more of any limit than its share.

    An action that uses u of a scarce limit has the weight min(1, k / u), with the greatest k that does. Where people
    who may get nothing but costly actions would use too much whatever k is, the costliest are not tried at all.
    """
    weights = np.ones(allowed.shape[1])
    patterns = _patterns(allowed)
    for limit in limits:
        use = _mean_use(limit, allowed)
        most = learning.explore_limit_share * limit.amount * share
        if _explored_use(use, weights, patterns, learning) <= most:
            continue
        low, high = SMALLEST_WEIGHT * float(use[use > 0].min()), float(use.max())
        for costliest in sorted(set(use[use > 0]), reverse=True):
            if _explored_use(use, weights * _capped(low, use), patterns, learning) <= most:
                break
            weights = np.where(use >= costliest, 0.0, weights)
        for _ in range(N_HALVINGS):
            middle = (low + high) / 2
            tried = weights * _capped(middle, use)
            low, high = (middle, high) if _explored_use(use, tried, patterns, learning) <= most else (low, middle)
        weights = weights * _capped(low, use)
    return dict(zip(allowed.columns, weights.tolist(), strict=True))


def within_limits(action: np.ndarray, net_value: pd.DataFrame, limits: Sequence[Limit]) -> np.ndarray:
    """Who (n,) of those served must be left out because more was drawn than there is: those who are worth least.

    `plan_wave` keeps so much free that this is hardly ever anybody.
    """
    left_out = np.zeros(len(action), dtype=bool)
    column = positions(action, net_value.columns)
    worth = net_value.to_numpy()[np.arange(len(action)), column]
    order = np.argsort(worth, kind="stable")
    for limit in limits:
        use = np.where(left_out, 0.0, used_by(limit, net_value.columns, action))
        over = use.sum() - limit.amount
        for i in order[use[order] > 0]:
            if over <= 0:
                break
            left_out[i], over = True, over - use[i]
    return left_out


def used_by(limit: Limit, labels: pd.Index, action: np.ndarray) -> np.ndarray:
    """What each person's action (n,) uses of a limit; ``labels`` are the actions without control, in their order."""
    use = limit.use
    if isinstance(use, pd.DataFrame):
        use = aligned(use, labels)
    elif isinstance(use, pd.Series):
        use = use[labels]
    return used(np.asarray(use, dtype=float), positions(action, labels))


def used(use: np.ndarray, column: np.ndarray) -> np.ndarray:
    """What each person's action (n,), by its position, takes of a use (actions,) or (n, actions); control nothing."""
    of_action = use[column] if use.ndim == 1 else use[np.arange(len(column)), column]
    return np.where(column >= 0, of_action, 0.0)


def _capped(k: float, use: np.ndarray) -> np.ndarray:
    return np.minimum(1.0, np.divide(k, use, out=np.ones_like(use), where=use > 0))


def _plannable(
    limit: Limit, allowed: pd.DataFrame, weights: dict[str, float], learning: Learning, typical: float, share: float
) -> float:
    """The most that all people's planned actions may use (currency or units); ``allowed`` is of a share of them."""
    if not np.isfinite(limit.amount):
        return float(limit.amount)
    each, patterns = np.array([weights[a] for a in allowed.columns]), _patterns(allowed)
    explored, squares = (
        _explored_use(_mean_use(limit, allowed, power), each, patterns, learning) / share for power in (1.0, 2.0)
    )
    left = max(0.0, limit.amount - explored - SAFETY * np.sqrt(squares))
    served = (1 - holdout_share(learning)) * (1 - learning.explore_share)
    # the greatest M with served M + SAFETY sqrt(served (1 - served) typical M) <= left; unstretched it always holds
    spread = SAFETY * np.sqrt(served * (1 - served) * typical)
    root = (-spread + np.sqrt(spread**2 + 4 * served * left)) / (2 * served)
    return float(max(left, root**2))


def _mean_use(limit: Limit, allowed: pd.DataFrame, power: float = 1.0) -> np.ndarray:
    """What each action uses (actions,), to a power, on average over those who may get it."""
    if isinstance(limit.use, pd.DataFrame):
        use = limit.use[allowed.columns].to_numpy()
    else:
        use = limit.use[allowed.columns].to_numpy() if isinstance(limit.use, pd.Series) else np.asarray(limit.use)
    use = use.astype(float) ** power
    if use.ndim == 1:
        return use
    can = allowed.to_numpy(dtype=float)
    return np.asarray((use * can).sum(axis=0) / np.maximum(can.sum(axis=0), 1.0))


def _explored_use(
    use: np.ndarray, weights: np.ndarray, patterns: tuple[np.ndarray, np.ndarray], learning: Learning
) -> float:
    """What exploration is expected to use."""
    can, people = patterns
    weighted = can * weights
    total = weighted.sum(axis=1)
    share = np.divide(weighted @ use, total, out=np.zeros(len(total)), where=total > 0)
    return float((1 - holdout_share(learning)) * learning.explore_share * (people @ share))


def _patterns(allowed: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """What people may get, (patterns, actions), and how many people may get that, (patterns,): a few hundred rows."""
    packed = np.packbits(allowed.to_numpy(dtype=bool), axis=1)
    _, first, people = np.unique(packed, axis=0, return_index=True, return_counts=True)
    return allowed.to_numpy(dtype=float)[first], people.astype(float)
