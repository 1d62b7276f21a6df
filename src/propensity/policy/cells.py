"""The cells of a wave: each archetype on each channel, its actions, and how many people it would hold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from propensity.playbook import Playbook


@dataclass(frozen=True)
class CellAction:
    """An action of a cell.

    Attributes
    ----------
    action, offer : str
    contact_cost_currency, cost_if_redeemed_currency : float
        Of one contact, and of the offer where it is redeemed.
    redemption_rate : float
        Share of those who come back that redeem the offer.
    eligible, by_rule : int or None
        People who may get the action, and who would get it without a model; None where nobody was counted.
    """

    action: str
    offer: str
    contact_cost_currency: float
    cost_if_redeemed_currency: float
    redemption_rate: float
    eligible: int | None
    by_rule: int | None


@dataclass(frozen=True)
class Cell:
    """An archetype on a channel, with its actions in the playbook's order.

    ``eligible`` people may get at least one of the actions; ``by_rule`` would get one of them without a model.
    """

    archetype: str
    channel: str
    eligible: int | None
    by_rule: int | None
    actions: tuple[CellAction, ...]


def cells(
    playbook: Playbook, allowed: pd.DataFrame | None = None, rule_actions: np.ndarray | None = None
) -> list[Cell]:
    """The cells that have an action, by archetype and then channel, in the playbook's order.

    Parameters
    ----------
    playbook : Playbook
    allowed : DataFrame (n, actions without control) of bool, optional
        What each person may get (see `eligibility`).
    rule_actions : array (n,), optional
        The label that each person gets by rule (see `rule_action`).
    """
    found = []
    for archetype in playbook.archetypes:
        for channel in playbook.channels:
            inside = (archetype, channel)
            labels = [name for name, a in playbook.actions.items() if (a.archetype, a.channel) == inside]
            if labels:
                actions = tuple(_cell_action(playbook, label, allowed, rule_actions) for label in labels)
                found.append(Cell(*inside, *_counts(labels, allowed, rule_actions), actions))
    return found


def _cell_action(
    playbook: Playbook, label: str, allowed: pd.DataFrame | None, rule_actions: np.ndarray | None
) -> CellAction:
    action = playbook.actions[label]
    offer = playbook.offers[action.offer]
    return CellAction(
        label,
        action.offer,
        playbook.channels[action.channel].cost_currency,
        offer.cost_if_redeemed_currency,
        offer.redemption_rate,
        *_counts([label], allowed, rule_actions),
    )


def _counts(
    labels: list[str], allowed: pd.DataFrame | None, rule_actions: np.ndarray | None
) -> tuple[int | None, int | None]:
    """People who may get one of the actions, and who get one by rule."""
    return (
        None if allowed is None else int(allowed[labels].any(axis=1).sum()),
        None if rule_actions is None else int(np.isin(rule_actions, labels).sum()),
    )
