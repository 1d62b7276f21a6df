"""The funnel of a wave: how many people each rule stopped, in the order in which rules are applied."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

RULES_OF_THE_PERSON = (
    "suppressed",
    "opted_out",
    "complained",
    "already_back",
    "cooling_off",
    "past_horizon",
    "resting_after_ignored_touches",
    "touched_too_often",
    "touched_too_recently",
)
"""As `eligibility` applies them; rules of channels, offers and archetypes follow, then what the policy decides."""
AFTER_ELIGIBILITY = ("no_action_pays", "no_effect_found", "limits_reached", "held_out_to_measure")


def funnel(decisions: pd.DataFrame) -> pd.DataFrame:
    """Count who was stopped by what.

    Parameters
    ----------
    decisions : DataFrame (n, ...)
        With ``send`` and ``reason_codes``, of which the first says why there is no contact.

    Returns
    -------
    DataFrame (steps, 3)
        ``step``: "in the wave", the rules that stopped somebody, "contacted"; ``stopped``: how many people it stopped;
        ``left``: how many were left after it. Everybody is counted once.
    """
    silent = decisions.loc[~decisions["send"].astype(bool), "reason_codes"].map(lambda codes: codes[0])
    stopped = silent.value_counts()
    left, rows = len(decisions), [("in the wave", 0, len(decisions))]
    for rule in _in_order(stopped.index):
        left -= int(stopped[rule])
        rows.append((rule, int(stopped[rule]), left))
    rows.append(("contacted", 0, left))
    return pd.DataFrame(rows, columns=["step", "stopped", "left"])


def _in_order(rules: Iterable[str]) -> list[str]:
    known = {rule: i for i, rule in enumerate((*RULES_OF_THE_PERSON, "", *AFTER_ELIGIBILITY))}
    return sorted(rules, key=lambda rule: (known.get(rule, known[""]), rule))
