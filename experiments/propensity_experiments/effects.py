"""What contact changed: for each outcome, every arm and any contact against none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from propensity.evaluation import Estimate
from propensity.inference import (
    Adjustment,
    Covariates,
    Lift,
    any_contact,
    compare_arms,
    gatekeeping,
    holm,
    lift,
    shrunk_lifts,
)
from propensity_experiments.arms import Arms
from propensity_experiments.contents import ANY_CONTACT, AmongArms, ArmTotal, Effect, Outcome, OutcomeResult

CONFIDENCE = 0.95
FOUND_BELOW = 0.05
"""Effects and differences are clear whose p-values, adjusted for all that were tested, are no larger."""


def results(
    outcomes: Sequence[Outcome],
    values: Mapping[str, np.ndarray],
    raw: Mapping[str, np.ndarray],
    arms: Arms,
    covariates: Covariates | None,
    adjusted_for: tuple[str, ...],
    caps: Mapping[str, float | None],
) -> tuple[OutcomeResult, ...]:
    """One result an outcome, the primary one first.

    Parameters
    ----------
    outcomes : sequence of Outcome
    values : mapping of float arrays (n,)
        By outcome, amounts capped.
    raw : mapping of float arrays (n,)
        By outcome, as counted.
    arms : Arms
    covariates : Covariates (n, k) or None
    adjusted_for : tuple of str
        What the covariates are called.
    caps : mapping of float or None

    Notes
    -----
    Arms are compared with control; the chance of any false finding among them is held to 5 % by Holm's method. Outcomes
    beside the primary one count as found only as far as its error allows (gatekeeping): the primary one is tested as if
    there were no other, and the others once it is found.
    """
    adjustment = None if covariates is None else Adjustment(covariates, [values[x.key] for x in outcomes])
    found = [
        _result(outcome, values[outcome.key], raw[outcome.key], arms, adjustment, adjusted_for, caps.get(outcome.key))
        for outcome in outcomes
    ]
    return _protected(found)


def _result(
    outcome: Outcome,
    y: np.ndarray,
    counted: np.ndarray,
    arms: Arms,
    covariates: Adjustment | None,
    adjusted_for: tuple[str, ...],
    cap: float | None,
) -> OutcomeResult:
    people = np.bincount(arms.arm, minlength=len(arms.labels))
    with_it = np.bincount(arms.arm, counted != 0, len(arms.labels))
    sums = np.bincount(arms.arm, counted, len(arms.labels))
    totals = tuple(
        ArmTotal(name, int(n), int(k), float(total))
        for name, n, k, total in zip(arms.labels, people, with_it, sums, strict=True)
    )
    if arms.propensity is None:
        return OutcomeResult(outcome, totals, (), any_contact=None, capped_at=cap)
    action = arms.action
    lifts = lift(y, action, arms.propensity, level=CONFIDENCE, covariates=covariates)
    together, chances = any_contact(action, arms.propensity, name=ANY_CONTACT)
    whole = lift(y, together, chances, level=CONFIDENCE, covariates=covariates)
    compared = compare_arms(y, action, arms.propensity, level=CONFIDENCE, covariates=covariates)
    among = None
    if compared is not None:
        among = AmongArms(
            compared.p_value, compared.p_value <= FOUND_BELOW, compared.best, compared.worst, compared.difference
        )
    adjusted = bool(whole) and whole[0].adjusted
    return OutcomeResult(
        outcome,
        totals,
        _effects(lifts),
        any_contact=_effect(whole[0], whole[0].p_value, whole[0].difference) if whole else None,
        among_arms=among,
        adjusted_for=adjusted_for if adjusted else (),
        narrower=_narrower(whole[0]) if adjusted else 0.0,
        capped_at=cap,
    )


def _effects(lifts: list[Lift]) -> tuple[Effect, ...]:
    if not lifts:
        return ()
    adjusted, shrunk = holm([x.p_value for x in lifts]), tuple(x.difference for x in lifts)
    # an outcome that nobody has varies nowhere, and there is nothing to shrink
    if any(x.standard_error > 0 for x in lifts):
        shrunk = shrunk_lifts(lifts).differences
    return tuple(_effect(*of_arm) for of_arm in zip(lifts, adjusted, shrunk, strict=True))


def _effect(found: Lift, p_adjusted: float, shrunk: float) -> Effect:
    people = found.n + found.n_control
    difference = Estimate(found.difference, found.standard_error, found.low, found.high, people, found.level)
    return Effect(
        action=found.action,
        n=found.n,
        n_control=found.n_control,
        mean=found.mean,
        control_mean=found.control_mean,
        difference=difference,
        unadjusted=found.unadjusted,
        relative=found.relative,
        p_value=found.p_value,
        p_adjusted=p_adjusted,
        clear=p_adjusted <= FOUND_BELOW,
        shrunk=shrunk,
    )


def _narrower(found: Lift) -> float:
    """Share of the interval's width that adjustment takes away."""
    before = found.unadjusted.standard_error
    return 1 - found.standard_error / before if before > 0 else 0.0


def _protected(found: list[OutcomeResult]) -> tuple[OutcomeResult, ...]:
    """The same, with what is clear among outcomes beside the primary one as far as that one's error allows."""
    primary, *others = found
    if not primary.effects:
        return tuple(found)
    arms = gatekeeping([x.p_value for x in primary.effects], [x.p_value for r in others for x in r.effects]).secondary
    kept = iter(arms)
    changed = [primary]
    for result in others:
        effects = tuple(replace(x, clear=next(kept) <= FOUND_BELOW) for x in result.effects)
        changed.append(replace(result, effects=effects))
    whole = [r.any_contact for r in changed]
    if whole[0] is None:
        return tuple(changed)
    together = gatekeeping([whole[0].p_value], [x.p_value if x else float("nan") for x in whole[1:]]).secondary
    for k, p in enumerate(together, start=1):
        effect = changed[k].any_contact
        if effect is not None:
            changed[k] = replace(changed[k], any_contact=replace(effect, clear=p <= FOUND_BELOW))
    return tuple(changed)
