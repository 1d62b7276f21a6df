"""Chances of a later decision on the same person, given what earlier ones tell.

Holdouts are a property of the person, and nested: whoever is in one of a small share is in the one of a larger share
too. The chances that are logged with a decision are those of somebody of whom nothing is known. For a first decision
they are right. For a later one they are wrong given the past: among people who were contacted before, nobody is in a
global holdout that has not grown since, and those who are held out again differ from the others by what contact did to
them. So later decisions teach only where the earlier ones held nobody out, and with the chances that are right then.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from propensity.contract import CONTROL
from propensity.playbook import Learning
from propensity.policy import holdout_share

ROUNDING = 1e-9


def given_earlier(
    decisions: pd.DataFrame, chances: np.ndarray, actions: list[str], learning: Sequence[Learning]
) -> tuple[np.ndarray, np.ndarray]:
    """Chances given the person's earlier decisions.

    Parameters
    ----------
    decisions : DataFrame (n, ...)
        ``customer_id``, ``decided_at``, ``campaign``, ``assignment``, and ``learning``: the position in ``learning`` of
        the shares and the salt that it was drawn by; -1 where these are not known, or it was imported.
    chances : array (n, k)
        As logged.
    actions : list of str
        Of the columns of ``chances``.
    learning : sequence of Learning

    Returns
    -------
    chances : array (n, k)
    teaches : array (n,) of bool
        Not where an earlier decision held the person out: whether a later one could have done otherwise is then not
        known. Nor where the logged chance of control is below the shares that are said to have been held out.

    Notes
    -----
    With h the share that is held out in a campaign or globally, P(a) = (1 - h) q(a) for every contact, with q the rule
    for those who are not. Whom a share s did not hold out a larger one, t, holds out with the chance (t - s) / (1 - s),
    and a smaller one never. Given earlier decisions that did not hold the person out the share is therefore h', with
    1 - h' = (1 - max(g, G)) / (1 - G) * (1 - max(c, C)) / (1 - C). Here g is the global share and G the greatest of the
    earlier decisions, c the campaign's and C the greatest of the earlier decisions of the same campaign, 0 if there is
    none. So P'(a) = P(a) (1 - h') / (1 - h), and control gets the rest. Draws by another salt tell nothing.
    """
    known = decisions["learning"].to_numpy() >= 0
    if not known.any():
        return chances, np.ones(len(decisions), dtype=bool)
    about = decisions.assign(row=np.arange(len(decisions)))[known].sort_values(["customer_id", "decided_at"])
    by = about["learning"].to_numpy()
    about["salt"] = np.array([x.salt for x in learning], dtype=object)[by]
    about["everywhere"] = np.array([x.holdout_share for x in learning])[by]
    about["in_campaign"] = np.array([x.campaign_holdout_share for x in learning])[by]
    share = np.array([holdout_share(x) for x in learning])[by]
    about["held"] = about["assignment"] == "holdout"
    person = about.groupby(["customer_id", "salt"], sort=False)
    later = person.cumcount().to_numpy() > 0
    held_before = (person["held"].cumsum() - about["held"]).to_numpy() > 0
    served = _not_held_out(about, "everywhere", ["customer_id", "salt"]) * _not_held_out(
        about, "in_campaign", ["customer_id", "salt", "campaign"]
    )
    rows = about["row"].to_numpy()
    control = actions.index(CONTROL)
    teaches = np.ones(len(decisions), dtype=bool)
    teaches[rows] = ~held_before & ~(later & (chances[rows, control] < share - ROUNDING))
    changed = rows[later & teaches[rows]]
    times = (served / (1 - share))[later & teaches[rows]]
    given = chances.copy()
    given[changed] *= times[:, None]
    given[changed, control] = 0.0
    given[changed, control] = np.clip(1 - given[changed].sum(axis=1), 0.0, 1.0)
    return given, teaches


def _not_held_out(about: pd.DataFrame, share: str, one_draw: list[str]) -> np.ndarray:
    """Chance (n,) of not being held out by a share, of those whom earlier shares of the same draw did not hold out."""
    greatest = about.groupby(one_draw, sort=False)[share].cummax()
    before = greatest.groupby([about[key] for key in one_draw], sort=False).shift(fill_value=0.0)
    return ((1 - greatest) / (1 - before)).to_numpy()
