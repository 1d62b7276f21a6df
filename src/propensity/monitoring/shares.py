"""Shares of actions and assignments against the chances that were logged and the shares that the playbook plans."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from propensity.contract import CONTROL, PROBABILITY_PREFIX
from propensity.inference import sample_ratio_test
from propensity.monitoring.results import Check, Finding, concluded, p_words
from propensity.pages.words import action_words, percent
from propensity.policy import codes

MIN_VARIANCE = 10.0
"""Of the number of people in an arm: with less its distribution is far from normal. Such arms count as one."""
FALLBACK_TOLERATED = 0.01
"""Share of people left out because the draws passed a limit; wave by wave it is next to none."""
RARE = "rare actions"
NOBODY = "No decision with logged chances was drawn in this time."


def served_shares(looked_at: str, decisions: pd.DataFrame) -> Check:
    """Test what was served against the logged chances, campaign by campaign.

    Parameters
    ----------
    looked_at : str
    decisions : DataFrame (n, ...)
        Of people who were not held out, each once a campaign: ``campaign``, ``action``, ``probability_<action>``, and
        ``holdout_share``, the chance of being held out that the logged chances hold.

    Notes
    -----
    Who is held out stays so, and who comes back leaves the list: among people who are decided on again the held-out
    are more than planned although nothing is wrong. So the chances are those given that a person is not held out,
    which are drawn anew in each decision window; holdouts are checked on new people by `assignment_shares`.

    Two things are tested: people per arm (`inference.sample_ratio_test`), and how many did not get the action that was
    likeliest for them, which also shows two arms of equal size that were swapped. That number is a sum of unlike
    draws, whose tails the binomial distribution of the same mean bounds (Hoeffding 1956, Ann. Math. Stat. 27).
    """
    findings = []
    for campaign, mine in decisions.groupby("campaign"):
        name, chances = str(campaign), _not_held_out(mine)
        served = chances.to_numpy()[np.arange(len(mine)), chances.columns.get_indexer(pd.Index(mine["action"]))]
        findings.append(_likeliest(name, served, chances.to_numpy()))
        # of those who got what they had no chance of the chances say nothing more
        findings.append(_arms(name, mine["action"][served > 0], chances[served > 0]))
    return concluded("served_shares", looked_at, findings, " ".join(f.sentence for f in findings) or NOBODY)


def _likeliest(campaign: str, served: np.ndarray, chances: np.ndarray) -> Finding:
    name, n = f"{campaign}, likeliest action", len(served)
    impossible = int((served <= 0).sum())
    likeliest = chances.max(axis=1)
    # of two that are as likely either one is the likeliest
    less_likely = np.where(chances < likeliest[:, None], chances, 0.0)
    other, expected = int((served < likeliest).sum()), float(less_likely.sum())
    figures = {"people": n, "another": other, "expected": expected, "impossible": impossible}
    if impossible:
        sentence = f"{campaign}: {impossible:,} of {n:,} people got an action that they had no chance of."
        return Finding(name, sentence, 0.0, impossible, figures=figures)
    if expected == 0:
        return Finding(name, f"{campaign}: of {n:,} people everybody got an action than which none was likelier.")
    p_value = float(stats.binomtest(other, n, expected / n).pvalue)
    sentence = (
        f"{campaign}: {other:,} of {n:,} people got another action than the likeliest, {expected:,.0f} by the logged "
        f"chances ({p_words(p_value)})."
    )
    return Finding(name, sentence, p_value, abs(other - expected), figures=figures)


def _arms(campaign: str, action: pd.Series, chances: pd.DataFrame) -> Finding:
    n = len(action)
    action, chances = _without_rare(action, chances)
    if chances.shape[1] < 2:
        return Finding(
            f"{campaign}, arms", f"{campaign}: too few of {n:,} people were drawn by chance to compare arms."
        )
    found = sample_ratio_test(action.to_numpy(), chances)
    worst = max(found.observed, key=lambda a: abs(found.observed[a] - found.expected[a]))
    return Finding(
        name=f"{campaign}, arms",
        sentence=(
            f"{campaign}: {action_words(worst)} went to {found.observed[worst]:,} people, {found.expected[worst]:,.0f} "
            f"by the logged chances ({p_words(found.p_value)})."
        ),
        p_value=found.p_value,
        size=abs(found.observed[worst] - found.expected[worst]),
        figures={
            "people": n,
            "chi_square": found.statistic,
            "degrees_of_freedom": found.degrees_of_freedom,
            "observed": found.observed,
            "expected": found.expected,
        },
    )


def _not_held_out(decisions: pd.DataFrame) -> pd.DataFrame:
    """The chance of each action (n, actions) given that the person is not held out."""
    logged = decisions[[c for c in decisions if str(c).startswith(PROBABILITY_PREFIX)]]
    chances = logged.rename(columns=lambda c: c.removeprefix(PROBABILITY_PREFIX)).fillna(0.0)
    chances = chances.reindex(columns=sorted({*chances, *decisions["action"], CONTROL}), fill_value=0.0)
    left_alone = chances[CONTROL] - decisions["holdout_share"]
    # rounding of the logged chances must not leave a hair of a or less than none
    chances[CONTROL] = left_alone.where(left_alone > 1e-9, 0.0)
    return chances.div(chances.sum(axis=1), axis=0)


def _without_rare(action: pd.Series, chances: pd.DataFrame) -> tuple[pd.Series, pd.DataFrame]:
    """Actions that too few could get by chance as one, or, where they are too few together, without these people."""
    variance = (chances * (1 - chances)).sum()
    rare = variance.index[variance < MIN_VARIANCE]
    together = chances[rare].sum(axis=1)
    kept = chances.drop(columns=rare)
    if (together * (1 - together)).sum() >= MIN_VARIANCE:
        return action.where(~action.isin(rare), RARE), kept.assign(**{RARE: together})
    frequent = ~action.isin(rare)
    kept = kept[frequent]
    return action[frequent], kept.div(kept.sum(axis=1), axis=0)


def assignment_shares(looked_at: str, new_people: pd.DataFrame, decisions: pd.DataFrame) -> Check:
    """Test the share held out against the playbook's, and the share left out for want of budget or capacity.

    Parameters
    ----------
    looked_at : str
    new_people : DataFrame (n, 2)
        Of people on whom was never decided before: ``assignment``, and ``holdout_share``, the playbook's.
    decisions : DataFrame (m, ...)
        Of everybody who may be contacted: ``assignment`` and ``reason_codes`` (JSON). Where the rules decided in the
        late model's place the assignment is "fallback" too, but no limit left these people out.
    """
    findings = [_held_out(new_people), _left_out(decisions)]
    return concluded("assignment_shares", looked_at, findings, " ".join(f.sentence for f in findings))


def _held_out(new_people: pd.DataFrame) -> Finding:
    planned = new_people["holdout_share"].to_numpy(dtype=float)
    if (planned * (1 - planned)).sum() < MIN_VARIANCE:
        return Finding("holdout", f"Held out: {len(new_people):,} new people are too few to compare with the plan.")
    label = np.where(new_people["assignment"] == "holdout", "held out", "not")
    found = sample_ratio_test(label, pd.DataFrame({"held out": planned, "not": 1 - planned}))
    n = found.observed["held out"]
    return Finding(
        name="holdout",
        sentence=(
            f"Held out: {n:,} of {len(new_people):,} new people ({percent(n / len(new_people))}), "
            f"{percent(planned.mean())} by the playbook ({p_words(found.p_value)})."
        ),
        p_value=found.p_value,
        size=abs(n / len(new_people) - planned.mean()),
        figures={"people": len(new_people), "held_out": n, "expected": found.expected["held out"]},
    )


def _left_out(decisions: pd.DataFrame) -> Finding:
    n = len(decisions)
    by_rules = decisions["reason_codes"].str.contains(codes.BY_RULES, regex=False, na=False)
    left_out = int(((decisions["assignment"] == "fallback") & ~by_rules).sum())
    if n == 0:
        return Finding("fallback", "Left out by limits: nobody was decided on.")
    p_value = float(stats.binom.sf(left_out - 1, n, FALLBACK_TOLERATED))
    return Finding(
        name="fallback",
        sentence=(
            f"Left out because the draws passed budget or capacity: {left_out:,} of {n:,} people "
            f"({percent(left_out / n)}; up to {percent(FALLBACK_TOLERATED)} is tolerated)."
        ),
        p_value=p_value,
        size=left_out / n,
        alarm_above=FALLBACK_TOLERATED,
        figures={"people": n, "left_out": left_out, "shares": decisions["assignment"].value_counts().to_dict()},
    )
