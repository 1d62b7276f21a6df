"""Computing a summary of an experiment from the ledger."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from propensity.assessment import PEOPLE, Assessment, PolicyResult
from propensity.contract import CONTROL
from propensity.errors import InputError
from propensity.evaluation import Estimate, segment_effects
from propensity.frame import all_actions, logged_propensity, require_separate_windows, training_frame
from propensity.inference import Lift, contact_gain, holm, lift, sample_ratio_test
from propensity.ledger import Ledger
from propensity.playbook import Playbook
from propensity.segments import SegmentBuilder, telling_segments
from propensity_experiments.contents import (
    ArmTotal,
    Effect,
    Health,
    NextWave,
    Outcome,
    OutcomeResult,
    SegmentEffect,
    Summary,
)

CONFIDENCE = 0.95
FOUND_BELOW = 0.05
"""Effects and differences are clear whose p-values, adjusted for all that were tested (Holm), are below."""


def summarise(ledger: Ledger, campaign: str, now: pd.Timestamp | None = None) -> Summary:
    """Summarise a campaign from the ledger.

    Parameters
    ----------
    ledger : Ledger
    campaign : str
    now : Timestamp, optional
        Decisions whose window is open at this time are counted but left out of every figure.

    Raises
    ------
    InputError
        The campaign is unknown, or has no control or no contacts to compare.
    """
    row = ledger.campaign(campaign)
    playbook = row.pop("playbook")
    contacts = ledger.contacts(campaign)
    if contacts.empty:
        raise InputError(f"campaign {campaign}: nobody was contacted or held out yet, so there is nothing to compare")
    frame = training_frame(
        ledger.customers(campaign), contacts, ledger.outcomes(campaign), window_days=row["window_days"], now=now
    )
    require_separate_windows(frame, row["window_days"])
    served = set(frame["action"])
    if CONTROL not in served or len(served) < 2:
        raise InputError(
            f"campaign {campaign}: found only {', '.join(sorted(served)) or 'open windows'}; "
            "without contacted and held-out people there is nothing to compare"
        )
    propensity = logged_propensity(frame, all_actions(list(served - {CONTROL})))
    recorded = ledger.assessment(campaign)
    assessment = Assessment.from_json(recorded["content"]) if recorded else None
    as_of = pd.Timestamp.now("UTC") if now is None else now
    return Summary(
        campaign=row,
        as_of=as_of.to_pydatetime(),
        fingerprint="",
        people=len(frame),
        open_windows=len(contacts) - len(frame),
        health=_health(frame, propensity),
        outcomes=tuple(_result(x, frame, propensity) for x in _outcomes(row)),
        segments=_segments(frame, propensity, Playbook.model_validate(playbook)) if playbook else (),
        assessment=assessment,
        model_version=recorded["model_version"] if recorded else None,
        next_wave=_next_wave(ledger, campaign, assessment.policy("model") if assessment else None),
    )


def _outcomes(campaign: dict[str, object]) -> tuple[Outcome, ...]:
    """What is looked at, the primary one first."""
    days = f"within {campaign['window_days']:g} days of the decision"
    word, words = str(campaign["reactivated_word"]), str(campaign["reactivated_words"])
    return (
        Outcome("reactivated", "share", word, words, f"People who came back {days}."),
        Outcome("revenue", "money", "revenue", "revenue", f"What people bought for {days}, less what they gave back."),
    )


def _health(frame: pd.DataFrame, propensity: pd.DataFrame) -> Health:
    ratio = sample_ratio_test(frame["action"], propensity)
    fault = "people did not get their arms with the planned chances"
    return Health(ratio, faults=() if ratio.healthy else (fault,))


def _result(outcome: Outcome, frame: pd.DataFrame, propensity: pd.DataFrame) -> OutcomeResult:
    totals = []
    for action in propensity.columns:
        mine = frame.loc[frame["action"] == action, outcome.key]
        totals.append(ArmTotal(str(action), len(mine), int((mine != 0).sum()), float(mine.sum())))
    lifts = lift(frame[outcome.key], frame["action"], propensity, level=CONFIDENCE)
    return OutcomeResult(outcome, tuple(totals), tuple(_effects(lifts)), any_contact=None)


def _effects(lifts: list[Lift]) -> list[Effect]:
    """Against control, the chance of any false finding among all arms held to 5 % (Holm)."""
    adjusted = holm([x.p_value for x in lifts])
    effects = []
    for found, p_adjusted in zip(lifts, adjusted, strict=True):
        difference = Estimate(found.difference, float("nan"), found.low, found.high, found.n, found.level)
        effects.append(
            Effect(
                action=found.action,
                n=found.n,
                n_control=found.n_control,
                mean=found.mean,
                control_mean=found.control_mean,
                difference=difference,
                unadjusted=difference,
                relative=None,
                p_value=found.p_value,
                p_adjusted=p_adjusted,
                clear=p_adjusted <= FOUND_BELOW,
                shrunk=found.difference,
            )
        )
    return effects


def _segments(frame: pd.DataFrame, propensity: pd.DataFrame, playbook: Playbook) -> tuple[SegmentEffect, ...]:
    """Those that hold enough people, in their order; fifths and thirds are those of the experiment's people."""
    gain = contact_gain(frame["reactivated"], frame["action"], propensity)
    counted = ~np.isnan(gain)
    people = frame[counted]
    if people.empty:
        return ()
    named = SegmentBuilder.fit(people, people["decided_at"], playbook).transform(people, people["decided_at"])
    telling = telling_segments(named)
    if not telling:
        return ()
    found = segment_effects(gain[counted], named[telling], level=CONFIDENCE)
    return tuple(
        SegmentEffect(
            segment=row.segment,
            value=row.level,
            people=int(row.n),
            reactivations=Estimate(row.effect, row.standard_error, row.low, row.high, int(row.n), CONFIDENCE).times(
                PEOPLE
            ),
            differs=bool(row.p_adjusted < FOUND_BELOW),
        )
        for row in found.itertuples()
        if not math.isnan(row.p_value)
    )


def _next_wave(ledger: Ledger, campaign: str, policy: PolicyResult | None) -> NextWave | None:
    """The newest wave that follows the campaign and has decisions."""
    for following in ledger.following(campaign):
        decisions = ledger.decisions(following["campaign"])
        if decisions.empty:
            continue
        by_policy = int((decisions["assignment"] == "policy").sum())
        contacted = decisions[decisions["send"].astype(bool)]
        sent = contacted["action"].value_counts()
        predicted = contacted.groupby("action")[["uplift", "net_value"]].mean()
        return NextWave(
            campaign=following["campaign"],
            people=len(decisions),
            sent={str(k): int(v) for k, v in sent.items()},
            predicted={str(k): {str(c): float(v) for c, v in row.items()} for k, row in predicted.iterrows()},
            assignments={str(k): int(v) for k, v in decisions["assignment"].value_counts().items()},
            cost=float(decisions["cost"].sum()),
            reactivations=policy.reactivations.times(by_policy / PEOPLE) if policy else None,
            revenue=policy.revenue.times(by_policy / PEOPLE) if policy else None,
        )
    return None
