"""Computing a summary of an experiment from the ledger."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from propensity.assessment import PEOPLE, Assessment, PolicyResult
from propensity.contract import CONTROL
from propensity.inference import winsorised
from propensity.ledger import Ledger, published_summaries
from propensity.ledger.experiments import Decisions, Elsewhere, experiment
from propensity.playbook import Guardrails, Playbook
from propensity_experiments.arm_counts import Counting
from propensity_experiments.arms import arms_of
from propensity_experiments.contents import (
    ANY_CONTACT,
    ArmMeasures,
    NextWave,
    Outcome,
    OutcomeResult,
    Pace,
    Published,
    Reach,
    Summary,
)
from propensity_experiments.curves import returns, steps_over_time
from propensity_experiments.cuts import cells, funnel, named_segments, segments
from propensity_experiments.effects import results
from propensity_experiments.fingerprint import fingerprint
from propensity_experiments.harm import guardrails
from propensity_experiments.health import first_reasons, health_of
from propensity_experiments.known import Known, columns_of, covariates, known_of
from propensity_experiments.measures import measures_of
from propensity_experiments.money import money_parts, net_values
from propensity_experiments.watched import DAY, Watched, watch


def summarise(ledger: Ledger, campaign: str, now: pd.Timestamp | None = None) -> Summary:
    """Summarise a campaign from the ledger.

    Parameters
    ----------
    ledger : Ledger
    campaign : str
    now : Timestamp, optional
        Until when the ledger is read; without it, now. Decisions whose window is open then are counted, and left out of
        every figure but the curve of returns.

    Raises
    ------
    InputError
        The campaign is unknown.
    LedgerUnavailable
        The database cannot answer now.
    """
    row = ledger.campaign(campaign)
    content = row.pop("playbook")
    playbook = Playbook.model_validate(content) if content else None
    as_of = pd.Timestamp.now("UTC") if now is None else now
    until = as_of.value // 1_000
    with experiment(ledger, campaign) as record:
        watched = watch(record, row["window_days"], until)
        known = known_of(record, watched, columns_of(playbook))
        elsewhere, decisions = record.elsewhere(), record.decisions
    figures = _Figures(row, playbook, decisions, watched, known)
    recorded = ledger.assessment(campaign)
    assessment = Assessment.from_json(recorded["content"]) if recorded else None
    of_data = fingerprint(row, decisions, watched, known)
    return Summary(
        campaign=row,
        as_of=as_of.to_pydatetime(),
        fingerprint=of_data,
        people=len(figures.rows),
        open_windows=len(watched.rows) - len(figures.rows),
        health=figures.health(ledger, elsewhere, until),
        **figures.shown(),
        pace=_pace(watched),
        reach=_reach(decisions, watched, until),
        assessment=assessment,
        model_version=recorded["model_version"] if recorded else None,
        next_wave=_next_wave(ledger, campaign, assessment.policy("model") if assessment else None),
        published=_published(ledger, campaign, of_data, len(figures.rows)),
    )


def _published(ledger: Ledger, campaign: str, fingerprint: str, people: int) -> tuple[Published, ...]:
    """What was published, against the data of now."""
    return tuple(
        Published(
            number=row["id"],
            at=row["at"],
            who=row["who"],
            headline=row["headline"],
            fingerprint=row["fingerprint"],
            unchanged=(row["fingerprint"], row["people"]) == (fingerprint, people),
        )
        for row in reversed(published_summaries(ledger, campaign))
    )


class _Figures:
    """The figures of the decisions whose window is over."""

    def __init__(
        self,
        row: dict[str, Any],
        playbook: Playbook | None,
        decisions: Decisions,
        watched: Watched,
        known: Known,
    ) -> None:
        self.row, self.playbook, self.decisions, self.watched, self.known = row, playbook, decisions, watched, known
        self.rows = np.flatnonzero(watched.closed)
        self.arms = arms_of(decisions, watched.rows[self.rows])
        self.segments = named_segments(watched, self.rows, known, playbook)
        self.adjusted_for, self.before = covariates(known, watched.at, self.rows, playbook)

    def health(self, ledger: Ledger, elsewhere: Elsewhere, now: int) -> Any:
        """Whether they may be read."""
        return health_of(
            self.arms,
            self.watched,
            self.rows,
            self.known,
            elsewhere,
            before=self.before,
            segments=self.segments,
            currency=self.row["currency"],
            currencies={x["campaign"]: x["currency"] for x in ledger.campaigns()},
            playbook=self.playbook,
            now=now,
        )

    def shown(self) -> dict[str, Any]:
        """Everything of the summary that is computed from these decisions alone."""
        if not len(self.rows):
            return {"outcomes": (), "returns": returns(self.decisions, self.watched)}
        watched, rows, arms = self.watched, self.rows, self.arms
        raw = {
            "reactivated": watched.returned[rows].astype(float),
            "purchased": watched.did["purchased"][rows].astype(float),
            "revenue": watched.revenue[rows],
        }
        if np.array_equal(raw["purchased"], raw["reactivated"]):
            # where coming back is buying, both would be the same figures, the second by a stricter test
            del raw["purchased"]
        amounts = winsorised(raw["revenue"])
        values, caps = {**raw, "revenue": amounts.amounts}, {"revenue": amounts.cap}
        if self.playbook is not None:
            unsubscribed = watched.did["unsubscribed"][rows]
            worth = net_values(amounts.amounts, raw["reactivated"], unsubscribed, arms, self.playbook)
            raw["net_value"] = values["net_value"] = worth
        looked_at = [x for x in _outcomes(self.row) if x.key in raw]
        outcomes = results(looked_at, values, raw, arms, self.before, self.adjusted_for, caps)
        return {
            "outcomes": outcomes,
            "money_parts": money_parts(amounts.amounts, arms),
            "measures": self._measures(outcomes),
            "guardrails": guardrails(watched, rows, arms, self.playbook.guardrails if self.playbook else Guardrails()),
            "over_time": steps_over_time(raw["reactivated"], watched, rows, arms),
            "returns": returns(self.decisions, watched),
            "funnel": funnel(watched, rows, arms, str(self.row["reactivated_words"])),
            "segments": segments(self.segments, watched, rows, arms),
            "cells": cells(outcomes[0], self.playbook),
        }

    def _measures(self, outcomes: tuple[OutcomeResult, ...]) -> tuple[ArmMeasures, ...]:
        """Of any contact, then of each arm."""
        counting = Counting(self.decisions, self.watched, self.rows, self.arms, self.known, self.playbook)
        contacted = [name for name in self.arms.labels if name != CONTROL]
        if not contacted:
            return ()
        control = counting.of(CONTROL) if CONTROL in self.arms.labels else None
        back, money = (next(x for x in outcomes if x.outcome.key == key) for key in ("reactivated", "revenue"))
        found = []
        for action in (ANY_CONTACT, *contacted):
            measures = measures_of(
                counting.of(action),
                control,
                reactivations=_difference(back, action),
                revenue=_difference(money, action),
                window_days=self.row["window_days"],
                value=self.playbook.value if self.playbook else None,
                leaving_reported=bool(len(self.watched.churned[0])),
            )
            found.append(ArmMeasures(action, measures))
        return tuple(found)


def _difference(result: OutcomeResult, action: str) -> Any:
    """What an arm, or any contact, changed for each person; None where that is not known."""
    if action == ANY_CONTACT:
        return result.any_contact.difference if result.any_contact else None
    return next((x.difference for x in result.effects if x.action == action), None)


def _outcomes(campaign: dict[str, Any]) -> tuple[Outcome, ...]:
    """What may be looked at, the primary one first."""
    days = f"within {campaign['window_days']:g} days of the decision"
    word, words = str(campaign["reactivated_word"]), str(campaign["reactivated_words"])
    worth = "Margin of revenue, less the cost of sending, of redeemed offers and of people who unsubscribed."
    return (
        Outcome("reactivated", "share", word, words, f"People who came back {days}."),
        Outcome("purchased", "share", "buyer", "buyers", f"People who bought {days}."),
        Outcome("revenue", "money", "revenue", "revenue", f"What people bought {days}, less what they gave back."),
        Outcome("net_value", "money", "net value", "net value", worth),
    )


def _pace(watched: Watched) -> Pace | None:
    """How people came in; None where nobody did."""
    if not len(watched.at):
        return None
    first, last = int(watched.at.min()), int(watched.at.max())
    return Pace(
        first=_time(first),
        last=_time(last),
        people_a_day=len(watched.at) / max((last - first) / DAY, 1.0),
        closes=_time(last + watched.window),
        running=not bool(watched.closed.all()),
    )


def _time(microseconds: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=microseconds)


def _reach(decisions: Decisions, watched: Watched, until: int) -> Reach:
    control = decisions.actions.index(CONTROL) if CONTROL in decisions.actions else -1
    held_out = int((decisions.action[watched.rows] == control).sum())
    contacted = len(watched.rows) - held_out
    suppressed = np.zeros(len(decisions), dtype=bool)
    if "suppressed" in decisions.assignments:
        suppressed = (decisions.assignment == decisions.assignments.index("suppressed")) & (decisions.at <= until)
    return Reach(
        people=decisions.n_people,
        contacted=contacted,
        held_out=held_out,
        suppressed=int(suppressed.sum()),
        not_sent=len(watched.not_sent),
        left_out=watched.overlapping,
        suppressed_by=first_reasons(decisions.stops, decisions.stopped_by[suppressed]),
        share=contacted / len(decisions) if len(decisions) else 0.0,
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
