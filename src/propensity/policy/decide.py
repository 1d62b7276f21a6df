"""From values to decisions: hold out, explore, or do what is worth most, with the exact probability of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from propensity.contract import CONTROL, plain
from propensity.playbook import Learning
from propensity.policy.draws import uniform_draws


def best_action(net_value: pd.DataFrame, allowed: pd.DataFrame) -> np.ndarray:
    """The allowed action of greatest value for each person, (n,) labels; control where none is worth more than 0."""
    values = np.where(aligned(allowed, net_value.columns).to_numpy(), net_value.to_numpy(), -np.inf)
    best = values.argmax(axis=1)
    worth = values[np.arange(len(values)), best] > 0
    return np.where(worth, net_value.columns.to_numpy(dtype=object)[best], CONTROL)


def aligned(table: pd.DataFrame, columns: pd.Index) -> pd.DataFrame:
    """A table (n, ...) with these columns."""
    return table if table.columns is columns else table[columns]


def positions(action: np.ndarray, labels: pd.Index) -> np.ndarray:
    """Position (n,) of each action among labels; -1 where it is none of them."""
    position = {label: i for i, label in enumerate(plain(labels.array))}
    return np.array([position.get(label, -1) for label in action.tolist()], dtype=np.intp)


def best_column(net_value: pd.DataFrame, allowed: pd.DataFrame) -> np.ndarray:
    """Column of each person's `best_action`, (n,); below 0 where there is none."""
    return net_value.columns.get_indexer(pd.Index(best_action(net_value, allowed)))


def action_probabilities(
    best: np.ndarray, allowed: pd.DataFrame, learning: Learning, explore_weights: Mapping[str, float] | None = None
) -> pd.DataFrame:
    """The chance of every action for every person, DataFrame (n, actions with control), rows summing to 1.

    Parameters
    ----------
    best : array (n,)
        An allowed action or control, as `best_action` gives it.
    allowed : DataFrame (n, actions) of bool
    learning : Learning
    explore_weights : mapping of str to float, optional
        How often exploration takes each action, against the others that a person may get; default: alike.

    Notes
    -----
    With h the chance of being held out (globally or in the campaign), x the exploration share and w an action's share
    of the weights of the allowed actions: P(a) = (1 - h) (x w + (1 - x) 1{a is best}) for allowed actions, and
    P(control) is the rest. Whoever may get nothing with a weight is never explored on: x is 0 for them. A person
    without any allowed action gets control with certainty.
    """
    held_out = holdout_share(learning)
    can = allowed.to_numpy(dtype=float)
    weights = _weights(allowed, explore_weights)
    total = weights.sum(axis=1, keepdims=True)
    explore = np.where(total > 0, learning.explore_share, 0.0)
    is_best = best[:, None] == allowed.columns.to_numpy(dtype=object)[None, :]
    tried = explore * weights / np.where(total > 0, total, 1.0)
    chances = np.empty((len(can), can.shape[1] + 1))
    chances[:, 1:] = (1 - held_out) * (tried + (1 - explore) * is_best * can)
    # written out, not as the rest to 1: rounding would make it a hair less than 0 where nobody is held out
    unserved = held_out + (1 - held_out) * (1 - explore[:, 0]) * (best == CONTROL)
    chances[:, 0] = np.where(can.any(axis=1), unserved, 1.0)
    return pd.DataFrame(chances, columns=allowed.columns.insert(0, CONTROL), index=allowed.index)


def _weights(allowed: pd.DataFrame, explore_weights: Mapping[str, float] | None) -> np.ndarray:
    """Exploration's weights (n, actions); 0 where an action is not allowed."""
    can = allowed.to_numpy(dtype=float)
    if explore_weights is None:
        return can
    return can * np.array([explore_weights[a] for a in allowed.columns])


def holdout_share(learning: Learning) -> float:
    """Chance of being in the global holdout or in the campaign's."""
    return 1 - (1 - learning.holdout_share) * (1 - learning.campaign_holdout_share)


def is_held_out(customer_id: Iterable[str], campaign: str, learning: Learning) -> np.ndarray:
    """Who is held out, (n,) bool: a property of the person and the salt, the same in every wave."""
    everywhere = _drawn(customer_id, learning.holdout_share, learning.salt, "holdout")
    return everywhere | _drawn(customer_id, learning.campaign_holdout_share, learning.salt, "holdout", campaign)


def _drawn(customer_id: Iterable[str], share: float, *salt: str) -> np.ndarray:
    """Who (n,) is in a share of all."""
    keys = list(customer_id)
    return uniform_draws(keys, *salt) < share if share > 0 else np.zeros(len(keys), dtype=bool)


def decide(
    customer_id: pd.Series,
    net_value: pd.DataFrame,
    allowed: pd.DataFrame,
    learning: Learning,
    *,
    campaign: str,
    window: int = 0,
    best: np.ndarray | None = None,
    explore_weights: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """Decide for each person.

    Parameters
    ----------
    customer_id : Series (n,)
    net_value : DataFrame (n, actions)
        Value of each action against no contact, in currency.
    allowed : DataFrame (n, actions) of bool
    learning : Learning
        Shares of holdout and exploration, and the salt.
    campaign : str
    window : int
        Number of the decision window; exploration draws anew in each, holdouts never do.
    best : array (n,), optional
        What to do where nothing is held out or explored, within limits (see `plan_wave`); it must not depend on these
        draws. Default: each person's best action.
    explore_weights : mapping of str to float, optional
        See `action_probabilities`.

    Returns
    -------
    DataFrame (n, 4)
        ``action``, ``assignment`` (policy | explore | holdout | suppressed), ``probability`` of the action under this
        rule, and ``would_have_sent``, the best action, also for people who were held out.
    """
    allowed = aligned(allowed, net_value.columns)
    if best is None:
        best = best_action(net_value, allowed)
    chances = action_probabilities(best, allowed, learning, explore_weights)
    drawn = drawn_actions(customer_id.tolist(), allowed, chances, learning, campaign, window, best, explore_weights)
    return pd.DataFrame(drawn._asdict(), index=customer_id.index)


class Drawn(NamedTuple):
    """The columns that `decide` returns, arrays (n,)."""

    action: np.ndarray
    assignment: np.ndarray
    probability: np.ndarray
    would_have_sent: np.ndarray


def drawn_actions(
    customer_id: Sequence[str],
    allowed: pd.DataFrame,
    chances: pd.DataFrame,
    learning: Learning,
    campaign: str,
    window: int,
    best: np.ndarray,
    explore_weights: Mapping[str, float] | None,
) -> Drawn:
    """`decide` where the chances (n, actions with control) of every action are known."""
    weights = _weights(allowed, explore_weights)
    held_out = is_held_out(customer_id, campaign, learning)
    explores = _drawn(customer_id, learning.explore_share, learning.salt, "explore", campaign, str(window))
    explores &= weights.any(axis=1)
    stopped = ~allowed.to_numpy().any(axis=1)
    action = np.array(best, dtype=object)
    if explores.any():
        trying = np.array(customer_id, dtype=object)[explores]
        pick = uniform_draws(trying, learning.salt, "pick", campaign, str(window))
        action[explores] = _pick(allowed.columns, weights[explores], pick)
    action[held_out | stopped] = CONTROL
    assignment = np.select([stopped, held_out, explores], ["suppressed", "holdout", "explore"], default="policy")
    column = positions(action, chances.columns)
    return Drawn(action, assignment.astype(object), chances.to_numpy()[np.arange(len(action)), column], best)


def _pick(labels: pd.Index, weights: np.ndarray, draw: np.ndarray) -> np.ndarray:
    """One of each person's actions (n,), with the chances that the weights (n, actions) say."""
    reached = np.cumsum(weights, axis=1)
    # the last weighted action takes what rounding leaves over
    position = np.minimum((reached <= draw[:, None] * reached[:, -1:]).sum(axis=1), len(labels) - 1)
    last = len(labels) - 1 - np.argmax(weights[:, ::-1] > 0, axis=1)
    return labels.to_numpy(dtype=object)[np.minimum(position, last)]
