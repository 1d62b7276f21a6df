"""From values to decisions: hold out, explore, or do what is worth most, with the exact probability of each."""

from __future__ import annotations

import numpy as np
import pandas as pd

from propensity.contract import CONTROL
from propensity.playbook import Learning
from propensity.policy.draws import uniform_draws


def best_action(net_value: pd.DataFrame, allowed: pd.DataFrame) -> np.ndarray:
    """The allowed action of greatest value for each person, (n,) labels; control where none is worth more than 0."""
    values = np.where(allowed[net_value.columns].to_numpy(), net_value.to_numpy(), -np.inf)
    best = values.argmax(axis=1)
    worth = values[np.arange(len(values)), best] > 0
    return np.where(worth, net_value.columns.to_numpy(dtype=object)[best], CONTROL)


def action_probabilities(best: np.ndarray, allowed: pd.DataFrame, learning: Learning) -> pd.DataFrame:
    """The chance of every action for every person, DataFrame (n, actions with control), rows summing to 1.

    Notes
    -----
    With h the chance of being held out (globally or in the campaign), x the exploration share and k the number of
    allowed actions: P(a) = (1 - h) (x / k + (1 - x) 1{a is best}) for allowed actions, and P(control) is the rest. A
    person without any allowed action gets control with certainty.

    ``best`` names an allowed action or control, as `best_action` does.
    """
    held_out = holdout_share(learning)
    explore = learning.explore_share
    can = allowed.to_numpy(dtype=float)
    n_allowed = can.sum(axis=1, keepdims=True)
    is_best = best[:, None] == allowed.columns.to_numpy(dtype=object)[None, :]
    served = (1 - held_out) * (explore * can / np.maximum(n_allowed, 1) + (1 - explore) * is_best * can)
    table = pd.DataFrame(served, columns=allowed.columns, index=allowed.index)
    # written out, not as the rest to 1: rounding would make it a hair less than 0 where nobody is held out
    unserved = held_out + (1 - held_out) * (1 - explore) * (best == CONTROL)
    table.insert(0, CONTROL, np.where(n_allowed[:, 0] > 0, unserved, 1.0))
    return table


def holdout_share(learning: Learning) -> float:
    """Chance of being in the global holdout or in the campaign's."""
    return 1 - (1 - learning.holdout_share) * (1 - learning.campaign_holdout_share)


def is_held_out(customer_id: pd.Series, campaign: str, learning: Learning) -> np.ndarray:
    """Who is held out, (n,) bool: a property of the person and the salt, the same in every wave."""
    everywhere = uniform_draws(customer_id, learning.salt, "holdout") < learning.holdout_share
    here = uniform_draws(customer_id, learning.salt, "holdout", campaign) < learning.campaign_holdout_share
    return everywhere | here


def decide(
    customer_id: pd.Series,
    net_value: pd.DataFrame,
    allowed: pd.DataFrame,
    learning: Learning,
    *,
    campaign: str,
    window: int = 0,
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

    Returns
    -------
    DataFrame (n, 4)
        ``action``, ``assignment`` (policy | explore | holdout | suppressed), ``probability`` of the action under this
        rule, and ``would_have_sent``, the best action, also for people who were held out.
    """
    allowed = allowed[net_value.columns]
    best = best_action(net_value, allowed)
    chances = action_probabilities(best, allowed, learning)
    held_out = is_held_out(customer_id, campaign, learning)
    explores = uniform_draws(customer_id, learning.salt, "explore", campaign, str(window)) < learning.explore_share
    pick = uniform_draws(customer_id, learning.salt, "pick", campaign, str(window))

    n_allowed = allowed.to_numpy().sum(axis=1)
    action = np.where(explores, _pick_allowed(allowed, pick), best)
    action = np.where(held_out | (n_allowed == 0), CONTROL, action)
    assignment = np.select([n_allowed == 0, held_out, explores], ["suppressed", "holdout", "explore"], default="policy")
    column = chances.columns.get_indexer(pd.Index(action))
    return pd.DataFrame(
        {
            "action": action,
            "assignment": assignment,
            "probability": chances.to_numpy()[np.arange(len(action)), column],
            "would_have_sent": best,
        },
        index=customer_id.index,
    )


def _pick_allowed(allowed: pd.DataFrame, draw: np.ndarray) -> np.ndarray:
    """One of each person's allowed actions, all equally likely; control where there is none."""
    can = allowed.to_numpy()
    n_allowed = can.sum(axis=1)
    wanted = np.minimum(np.floor(draw * n_allowed), np.maximum(n_allowed - 1, 0)).astype(int)
    position = np.argmax(np.cumsum(can, axis=1) > wanted[:, None], axis=1)
    labels = allowed.columns.to_numpy(dtype=object)
    return np.where(n_allowed > 0, labels[position], CONTROL)
