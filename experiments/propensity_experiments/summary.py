"""The summary of an experiment: every figure that a page, a terminal or a file shows of it."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from propensity.assessment import PEOPLE, Assessment, PolicyResult
from propensity.contract import CONTROL
from propensity.errors import InputError
from propensity.evaluation import Estimate, segment_effects
from propensity.frame import all_actions, logged_propensity, require_separate_windows, training_frame
from propensity.inference import Lift, SampleRatio, contact_gain, lift, sample_ratio_test
from propensity.ledger import Ledger
from propensity.playbook import Playbook
from propensity.segments import SegmentBuilder, telling_segments

CONFIDENCE = 0.95
FOUND_BELOW = 0.05
"""A segment differs where its p-value, adjusted for all that were tested (Holm), is below this."""


@dataclass(frozen=True)
class Arm:
    """One arm of the experiment.

    Attributes
    ----------
    action : str
    people : int
    reactivated : int
        People who came back inside the window.
    revenue : float
        Their purchases inside the window, in currency.
    reactivation_lift, revenue_lift : Lift, optional
        Against the control, per person; None for the control itself.
    """

    action: str
    people: int
    reactivated: int
    revenue: float
    reactivation_lift: Lift | None
    revenue_lift: Lift | None


@dataclass(frozen=True)
class SegmentEffect:
    """What contact of any kind brought to the people of one segment.

    Attributes
    ----------
    segment, value : str
        See `propensity.segments.SEGMENTS`.
    people : int
    reactivations : Estimate
        Extra ones per 1,000 people, against no contact.
    differs : bool
        Whether it is told from everybody else's, the chance of any false finding among all segments being 5 % (Holm).
    """

    segment: str
    value: str
    people: int
    reactivations: Estimate
    differs: bool


@dataclass(frozen=True)
class NextWave:
    """Decisions that act on the experiment.

    Attributes
    ----------
    campaign : str
    people : int
    sent : dict
        People per action, by policy and exploration together; control left out.
    predicted : dict
        For each sent action, what the model predicts on average of the people who get it: ``uplift`` (chance of coming
        back) and ``net_value`` (currency), per person.
    assignments : dict
        People per assignment.
    cost : float
        Of sending, in currency.
    reactivations, revenue : Estimate, optional
        Expected of the people whom the policy decides on (neither held out, nor exploring, nor suppressed), against
        contacting none of them; None where no assessment is known.
    """

    campaign: str
    people: int
    sent: dict[str, int]
    predicted: dict[str, dict[str, float]]
    assignments: dict[str, int]
    cost: float
    reactivations: Estimate | None
    revenue: Estimate | None


@dataclass(frozen=True)
class Summary:
    """An experiment, its health, its arms, whom contact moves, the policy learnt from it, and the wave that follows.

    ``segments`` is empty where the campaign's playbook is not known or no segment holds enough people.
    """

    campaign: dict[str, Any]
    people: int
    open_windows: int
    sample_ratio: SampleRatio
    arms: tuple[Arm, ...]
    segments: tuple[SegmentEffect, ...]
    assessment: Assessment | None
    model_version: str | None
    next_wave: NextWave | None

    @property
    def healthy(self) -> bool:
        """Whether the figures may be read at all."""
        return self.sample_ratio.healthy

    def to_json(self) -> dict[str, Any]:
        """As JSON-ready values; numbers that do not exist or have no end become None."""
        content = {
            "campaign": {k: v.isoformat() if hasattr(v, "isoformat") else v for k, v in self.campaign.items()},
            "people": self.people,
            "open_windows": self.open_windows,
            "healthy": self.healthy,
            "sample_ratio": self.sample_ratio._asdict(),
            "arms": [_arm_json(arm) for arm in self.arms],
            "segments": [{**asdict(x), "reactivations": x.reactivations._asdict()} for x in self.segments],
            "assessment": self.assessment.to_json() if self.assessment else None,
            "model_version": self.model_version,
            "next_wave": _wave_json(self.next_wave),
        }
        return _finite(content)


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
    return Summary(
        campaign=row,
        people=len(frame),
        open_windows=len(contacts) - len(frame),
        sample_ratio=sample_ratio_test(frame["action"], propensity),
        arms=_arms(frame, propensity),
        segments=_segments(frame, propensity, Playbook.model_validate(playbook)) if playbook else (),
        assessment=assessment,
        model_version=recorded["model_version"] if recorded else None,
        next_wave=_next_wave(ledger, campaign, assessment.policy("model") if assessment else None),
    )


def _arms(frame: pd.DataFrame, propensity: pd.DataFrame) -> tuple[Arm, ...]:
    reactivation = {x.action: x for x in lift(frame["reactivated"], frame["action"], propensity)}
    revenue = {x.action: x for x in lift(frame["revenue"], frame["action"], propensity)}
    arms = []
    for action in propensity.columns:
        mine = frame[frame["action"] == action]
        arms.append(
            Arm(
                action=action,
                people=len(mine),
                reactivated=int(mine["reactivated"].sum()),
                revenue=float(mine["revenue"].sum()),
                reactivation_lift=reactivation.get(action),
                revenue_lift=revenue.get(action),
            )
        )
    return tuple(arms)


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


def _arm_json(arm: Arm) -> dict[str, Any]:
    lifts = {name: getattr(arm, name) for name in ("reactivation_lift", "revenue_lift")}
    return {**asdict(arm), **{name: value._asdict() if value else None for name, value in lifts.items()}}


def _wave_json(wave: NextWave | None) -> dict[str, Any] | None:
    if wave is None:
        return None
    estimates = {name: getattr(wave, name) for name in ("reactivations", "revenue")}
    return {**asdict(wave), **{name: value._asdict() if value else None for name, value in estimates.items()}}


def _finite(value: Any) -> Any:
    """The same with None for what JSON cannot say."""
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
