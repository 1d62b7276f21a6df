"""Chances of a later decision on the same person, given what earlier ones tell.

Holdouts are a property of the person: whoever was not held out once is in no holdout of all campaigns ever, and whoever
was may be in it for good. The chances that are logged with a decision are those of somebody of whom nothing is known.
For a first decision they are right. For a later one they are wrong given the past: among people who were contacted
before, nobody is in the global holdout, and those who are held out again differ from the others by what contact did to
them. So later decisions teach only where the earlier ones held nobody out, and with the chances that are right then.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from propensity.contract import CONTROL
from propensity.playbook import Learning
from propensity.policy import holdout_share

ROUNDING = 1e-9


def given_earlier(
    decisions: pd.DataFrame, chances: np.ndarray, actions: list[str], learning: Mapping[str, Learning]
) -> tuple[np.ndarray, np.ndarray]:
    """Chances given the person's earlier decisions.

    Parameters
    ----------
    decisions : DataFrame (n, ...)
        ``customer_id``, ``decided_at``, ``campaign``, ``assignment``, and ``own``: whether it was drawn here, by the
        holdouts of ``learning``, and not imported.
    chances : array (n, k)
        As logged.
    actions : list of str
        Of the columns of ``chances``.
    learning : mapping of str to Learning
        The shares and the salt of each campaign.

    Returns
    -------
    chances : array (n, k)
    teaches : array (n,) of bool
        Not where an earlier decision held the person out: whether a later one could have done otherwise is then not
        known. Nor where the logged chance of control is below the shares that are said to have been held out.

    Notes
    -----
    With h the share that is held out in a campaign or globally, P(a) = (1 - h) q(a) for every contact, with q the rule
    for those who are not. Given an earlier decision that did not hold the person out the share is h', the campaign's
    alone, or nothing if the earlier decision was of the same campaign; so P'(a) = P(a) (1 - h') / (1 - h), and control
    gets the rest.
    """
    known = decisions["campaign"].isin(list(learning)).to_numpy() & decisions["own"].to_numpy(dtype=bool)
    if not known.any():
        return chances, np.ones(len(decisions), dtype=bool)
    about = decisions.assign(row=np.arange(len(decisions)))[known].sort_values(["customer_id", "decided_at"])
    about["salt"] = about["campaign"].map({name: x.salt for name, x in learning.items()})
    about["held"] = about["assignment"] == "holdout"
    person = about.groupby(["customer_id", "salt"], sort=False)
    later = person.cumcount().to_numpy() > 0
    held_before = (person["held"].cumsum() - about["held"]).to_numpy() > 0
    same = about.groupby(["customer_id", "salt", "campaign"], sort=False).cumcount().to_numpy() > 0
    share = about["campaign"].map({name: holdout_share(x) for name, x in learning.items()}).to_numpy(dtype=float)
    of_campaign = about["campaign"].map({name: x.campaign_holdout_share for name, x in learning.items()})
    left = np.where(same, 0.0, of_campaign.to_numpy(dtype=float))
    rows = about["row"].to_numpy()
    control = actions.index(CONTROL)
    teaches = np.ones(len(decisions), dtype=bool)
    teaches[rows] = ~held_before & ~(later & (chances[rows, control] < share - ROUNDING))
    changed = rows[later & teaches[rows]]
    times = ((1 - left) / (1 - share))[later & teaches[rows]]
    given = chances.copy()
    given[changed] *= times[:, None]
    given[changed, control] = 0.0
    given[changed, control] = np.clip(1 - given[changed].sum(axis=1), 0.0, 1.0)
    return given, teaches
