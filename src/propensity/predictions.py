"""What a model expects of people under each action, in chances and in money."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from propensity.playbook import Playbook
from propensity.policy import profit


@dataclass(frozen=True)
class Predictions:
    """What the model expects of each person under each action.

    Attributes
    ----------
    reactivated, revenue, unsubscribed, profit : DataFrame (n, actions with control)
        Chance, currency, chance, currency.
    effect : DataFrame (n, actions without control)
        Of contact on the chance of coming back.
    net_value : DataFrame (n, actions without control)
        Profit above that of no contact, in currency.
    """

    reactivated: pd.DataFrame
    revenue: pd.DataFrame
    unsubscribed: pd.DataFrame
    profit: pd.DataFrame
    effect: pd.DataFrame
    net_value: pd.DataFrame

    @property
    def extra_revenue(self) -> pd.DataFrame:
        """Effect of contact on revenue (n, actions without control), currency."""
        revenue = self.revenue.to_numpy()
        return pd.DataFrame(revenue[:, 1:] - revenue[:, :1], columns=self.effect.columns, index=self.effect.index)

    @classmethod
    def of(
        cls,
        reactivated: np.ndarray,
        revenue: np.ndarray,
        unsubscribed: np.ndarray,
        effect: np.ndarray,
        playbook: Playbook,
        actions: list[str],
        index: pd.Index,
        contacts: pd.Index | None = None,
    ) -> Predictions:
        """From arrays (n, actions with control), but for ``effect``, and a playbook, which makes money of them.

        ``contacts`` are the actions without control, where they are an index already.
        """
        profits = profit(revenue, reactivated, unsubscribed, playbook, actions)

        def table(values: np.ndarray) -> pd.DataFrame:
            return pd.DataFrame(values, columns=labels, index=index)

        labels = pd.Index(actions)
        contacts = contacts if contacts is not None else labels[1:]
        return cls(
            reactivated=table(reactivated),
            revenue=table(revenue),
            unsubscribed=table(unsubscribed),
            profit=table(profits),
            effect=pd.DataFrame(effect, columns=contacts, index=index),
            net_value=pd.DataFrame(profits[:, 1:] - profits[:, :1], columns=contacts, index=index),
        )

    def under(self, playbook: Playbook, actions: list[str]) -> Predictions:
        """The same people's predictions for some of the actions (control first), with the money of another playbook."""
        chances, money, leaving = (t[actions].to_numpy() for t in (self.reactivated, self.revenue, self.unsubscribed))
        effect = self.effect[actions[1:]].to_numpy()
        return Predictions.of(chances, money, leaving, effect, playbook, actions, self.effect.index)
