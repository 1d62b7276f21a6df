"""What an action is worth, in currency a person."""

from __future__ import annotations

import numpy as np
import pandas as pd

from propensity.contract import CONTROL
from propensity.playbook import Playbook


def contact_costs(playbook: Playbook, actions: list[str]) -> np.ndarray:
    """Cost (n actions,) of sending each action to one person, in currency; control costs nothing."""
    return np.array(
        [0.0 if a == CONTROL else playbook.channels[playbook.actions[a].channel].cost_currency for a in actions]
    )


def offer_costs(playbook: Playbook, actions: list[str]) -> np.ndarray:
    """Expected cost (n actions,) of each action's offer for one person who comes back, in currency."""
    costs = []
    for a in actions:
        offer = None if a == CONTROL else playbook.offers[playbook.actions[a].offer]
        costs.append(offer.cost_if_redeemed_currency * offer.redemption_rate if offer else 0.0)
    return np.array(costs)


def valued_alike(one: Playbook, other: Playbook) -> bool:
    """Whether the same outcomes of the same actions are worth the same by both playbooks, and count for as long."""

    def terms(playbook: Playbook) -> tuple[object, ...]:
        labels = list(playbook.actions)
        made_of = {label: (a.archetype, a.channel, a.offer) for label, a in playbook.actions.items()}
        costs = (contact_costs(playbook, labels).tolist(), offer_costs(playbook, labels).tolist())
        window = playbook.program.attribution_window_days
        return playbook.currency, playbook.value, window, made_of, *(dict(zip(labels, c, strict=True)) for c in costs)

    return terms(one) == terms(other)


def profit(
    revenue: np.ndarray,
    reactivated: np.ndarray,
    unsubscribed: np.ndarray,
    playbook: Playbook,
    actions: list[str],
) -> np.ndarray:
    """Profit of each action and person; linear, so that it takes predictions and doubly robust scores alike.

    Parameters
    ----------
    revenue, reactivated, unsubscribed : array (n, n actions)
        Outcomes under each action: currency, chance, chance.
    playbook : Playbook
    actions : list of str
        Column labels, control first.

    Returns
    -------
    array (n, n actions)
        margin x revenue - contact cost - offer cost x P(comes back and redeems) - harm x P(unsubscribes), in
        currency a person. An action's net value is its column minus control's.
    """
    value = playbook.value
    return (
        value.margin_share * revenue
        - contact_costs(playbook, actions)
        - offer_costs(playbook, actions) * reactivated
        - value.unsubscribe_cost_currency * unsubscribed
    )


def net_value(profits: np.ndarray, actions: list[str], index: pd.Index) -> pd.DataFrame:
    """Profit of each action above that of no contact, DataFrame (n, actions without control)."""
    return pd.DataFrame(profits[:, 1:] - profits[:, :1], columns=actions[1:], index=index)
