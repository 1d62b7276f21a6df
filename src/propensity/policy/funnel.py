"""The funnel of a wave: how many people each rule stopped, in the order in which rules are applied."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd

from propensity.policy.codes import HELD_OUT, LIMITS, RULES_OF_THE_PERSON

AFTER_ELIGIBILITY = ("no_action_pays", "no_effect_found", LIMITS, HELD_OUT)
"""What the policy decides of those who may get something, in its order."""


def funnel(stopped: Mapping[str, int], people: int) -> pd.DataFrame:
    """The steps from everybody to those who are contacted.

    Parameters
    ----------
    stopped : mapping of str to int
        How many people each rule stopped: the first reason code of those who are not contacted.
    people : int
        In the wave.

    Returns
    -------
    DataFrame (steps, 3)
        ``step``: "in the wave", the rules that stopped somebody, "contacted"; ``stopped``: how many people it stopped;
        ``left``: how many were left after it. Everybody is counted once.
    """
    left, rows = people, [("in the wave", 0, people)]
    for rule in _in_order(stopped):
        left -= stopped[rule]
        rows.append((rule, stopped[rule], left))
    rows.append(("contacted", 0, left))
    return pd.DataFrame(rows, columns=["step", "stopped", "left"])


def _in_order(rules: Iterable[str]) -> list[str]:
    known = {rule: i for i, rule in enumerate((*RULES_OF_THE_PERSON, "", *AFTER_ELIGIBILITY))}
    return sorted(rules, key=lambda rule: (known.get(rule, known[""]), rule))
