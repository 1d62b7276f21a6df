"""All checks on what a ledger holds of a time, in one run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from propensity.contract import CONTROL, PROBABILITY_PREFIX, SHOW_THAT_IT_WAS_SENT
from propensity.errors import InputError
from propensity.frame import training_frame, with_snapshots
from propensity.held_out import HeldOutPeople, held_out_people
from propensity.model import DecisionModel
from propensity.monitoring.answers import attached, missing_outcomes, responses
from propensity.monitoring.calibration import calibration
from propensity.monitoring.drift import drift
from propensity.monitoring.early import EARLY_DAYS, came_back_early, early_effects, early_warning
from propensity.monitoring.reference import Calibration, score_table
from propensity.monitoring.results import Check, Monitoring, Period
from propensity.monitoring.sending import due, first_sent, sent, to_send
from propensity.monitoring.shares import assignment_shares, served_shares

MATURED_DAYS = 91
"""Decisions whose windows closed in so many days (or in the period, if it is longer) count for calibration."""


@dataclass(frozen=True)
class Settings:
    """What may be chosen of a run.

    Attributes
    ----------
    response_days : float
        Within which a response counts.
    grace_days : float
        After which a decision to send should have been sent.
    seed : int
        Of permutations.
    """

    response_days: float = 7.0
    grace_days: float = 2.0
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Observed:
    """What is known of a program, up to the end of the period.

    Attributes
    ----------
    decisions : DataFrame (n, columns)
        See `Ledger.taken`; since `needed_since`.
    customers : DataFrame
        Snapshots of these people, a contract table.
    events : DataFrame
        Of these people, a contract table.
    holdout_shares : mapping of str to float
        The share held out, by version of the playbook.
    """

    decisions: pd.DataFrame
    customers: pd.DataFrame
    events: pd.DataFrame
    holdout_shares: Mapping[str, float]


def needed_since(period: Period, window_days: float) -> pd.Timestamp:
    """From when on decisions are needed: those whose windows closed lately, and those whose events came before."""
    matured = period.until - pd.Timedelta(days=MATURED_DAYS)
    return min(matured, period.before) - pd.Timedelta(days=window_days)


def monitor(
    model: DecisionModel,
    observed: Observed,
    period: Period,
    *,
    campaign: str | None = None,
    settings: Settings | None = None,
) -> Monitoring:
    """Run all checks.

    Parameters
    ----------
    model : DecisionModel
        That decides now.
    observed : Observed
    period : Period
    campaign : str, optional
        Whose decisions these are; default: all.
    settings : Settings, optional

    Raises
    ------
    InputError
        The period is empty or ends before it begins.
    """
    if not period.before < period.since < period.until:
        raise InputError(
            f"period: expected a time before, then one to look at, found {period.before:%Y-%m-%d %H:%M}, "
            f"{period.since:%Y-%m-%d %H:%M}, {period.until:%Y-%m-%d %H:%M} UTC"
        )
    settings = settings or Settings()
    decisions = observed.decisions[observed.decisions["decided_at"] < period.until].reset_index(drop=True)
    events = observed.events[observed.events["at"] < period.until]
    reachable = decisions[decisions["assignment"] != "suppressed"]
    lately = decisions["decided_at"] >= period.since
    window = model.playbook.program.attribution_window_days
    follow = attached(events, reachable)
    when = f"{period}"
    checks = (
        *_drift(model, reachable[lately.loc[reachable.index]], observed.customers, when, settings.seed),
        _calibration(model, reachable, observed.customers, events, period),
        _early_effects(model, reachable, observed.customers, events, period),
        *_shares(decisions[lately & decisions["model_version"].notna()], observed.holdout_shares, when),
        responses(
            f"contacts whose first {settings.response_days:g} days ended {when}, against those since "
            f"{period.before:%Y-%m-%d}",
            reachable,
            follow,
            period,
            settings.response_days,
        ),
        missing_outcomes(
            f"events {when}, against those since {period.before:%Y-%m-%d}", reachable, follow, period, window
        ),
        _sent(decisions, events, period, settings.grace_days),
    )
    return Monitoring(campaign, model.version, period, int(lately.sum()), checks)


def _drift(
    model: DecisionModel, decisions: pd.DataFrame, customers: pd.DataFrame, when: str, seed: int
) -> tuple[Check, Check]:
    last = decisions.sort_values("decided_at", kind="stable").drop_duplicates("customer_id", keep="last")
    people = with_snapshots(last, customers)
    unknown = len(last) - len(people)
    looked_at = f"{len(people):,} people on whom was decided {when}"
    looked_at += f"; {unknown:,} more have no snapshot in the ledger" if unknown else ""
    features = model.features.values(people, people["decided_at"])
    scores = score_table(model.predict(people, people["decided_at"])) if len(people) else pd.DataFrame()
    reference = model.reference
    return (
        drift("feature_drift", looked_at, reference.features, features, seed, "The model reads no feature."),
        drift(
            "score_drift",
            looked_at,
            reference.scores,
            scores,
            seed,
            "The model keeps no scores of people whom its training did not see; train it with propensity train.",
        ),
    )


def _calibration(
    model: DecisionModel, decisions: pd.DataFrame, customers: pd.DataFrame, events: pd.DataFrame, period: Period
) -> Check:
    window = pd.Timedelta(days=model.playbook.program.attribution_window_days)
    opened = min(period.since, period.until - pd.Timedelta(days=MATURED_DAYS))
    was_sent = first_sent(decisions, events, ("sent",)).notna()
    # what happened before the model's own last window closed may have taught it
    new = decisions["decided_at"] >= model.reference.until
    matured = (decisions["decided_at"] + window > opened) & (decisions["decided_at"] + window <= period.until)
    kept = decisions[matured & new & ((decisions["action"] == CONTROL) | was_sent)]
    # windows of one person may overlap: the first decision of each counts
    kept = kept.sort_values("decided_at", kind="stable").drop_duplicates("customer_id")
    looked_at = (
        f"decisions that training did not see, each person's first, whose windows closed {opened:%Y-%m-%d} to "
        f"{period.until:%Y-%m-%d}"
    )
    return calibration(looked_at, model.reference.calibration, _came_true(model, kept, customers, events))


def _early_effects(
    model: DecisionModel, decisions: pd.DataFrame, customers: pd.DataFrame, events: pd.DataFrame, period: Period
) -> Check:
    first = min(period.since, period.until - pd.Timedelta(days=MATURED_DAYS))
    over = decisions["decided_at"] + pd.Timedelta(days=EARLY_DAYS) <= period.until
    # what happened before the model's own last window closed may have taught it
    kept = decisions[over & (decisions["decided_at"] >= max(first, model.reference.until))]
    kept = kept.sort_values("decided_at", kind="stable").drop_duplicates("customer_id")
    looked_at = (
        f"decisions that training did not see, each person's first, since {first:%Y-%m-%d}, whose first "
        f"{EARLY_DAYS:g} days ended by {period.until:%Y-%m-%d}, sent or not"
    )
    reference, people = model.reference.early, _unseen(model, kept, customers, events)
    if reference.share is None or people is None:
        return early_warning(looked_at, reference, {})
    early = came_back_early(people.frame, events)
    return early_warning(looked_at, reference, early_effects(people, early, reference.share))


def _came_true(
    model: DecisionModel, decisions: pd.DataFrame, customers: pd.DataFrame, events: pd.DataFrame
) -> dict[str, Calibration | None]:
    people = _unseen(model, decisions, customers, events)
    return {} if people is None else came_true(people)


def _unseen(
    model: DecisionModel, decisions: pd.DataFrame, customers: pd.DataFrame, events: pd.DataFrame
) -> HeldOutPeople | None:
    """The people of decisions whose chances were logged, as the model predicts them."""
    chances = [c for c in decisions if str(c).startswith(PROBABILITY_PREFIX) and decisions[c].notna().any()]
    known = decisions[decisions[chances].notna().any(axis=1)]
    # an action that was not there yet had no chance
    known = known.assign(**{str(c): known[c].fillna(0.0) for c in chances})
    frame = training_frame(customers, known, events, window_days=model.playbook.program.attribution_window_days)
    return held_out_people(model, frame) if set(frame["action"]) & set(model.actions) else None


def came_true(people: HeldOutPeople) -> dict[str, Calibration | None]:
    """How predictions of people whom a model had not seen came true: ``propensity`` and ``effect``."""
    untouched = (people.frame["action"] == CONTROL).to_numpy()
    came_back = people.frame["reactivated"].to_numpy()
    return {
        "propensity": Calibration.of(
            people.predictions.reactivated[CONTROL].to_numpy()[untouched], came_back[untouched], came_back[untouched]
        ),
        "effect": Calibration.of(people.predicted_gain, people.observed_gain, came_back[people.reachable]),
    }


def _shares(decisions: pd.DataFrame, holdout_shares: Mapping[str, float], when: str) -> tuple[Check, Check]:
    planned = decisions.assign(holdout_share=decisions["playbook_version"].map(holdout_shares))
    # who may get nothing at all is neither held out nor drawn
    open_to_some = planned[(planned["assignment"] != "suppressed") & planned["holdout_share"].notna()]
    # each person's first decision of the time: whether there is a later one may be what that one brought about
    each = open_to_some.sort_values("decided_at", kind="stable").drop_duplicates(["campaign", "customer_id"])
    drawn = each[each["assignment"].isin(["policy", "explore"])]
    new = each[each["first_decided_at"] == each["decided_at"]].drop_duplicates("customer_id")
    unknown = decisions["playbook_version"].nunique() - len(set(decisions["playbook_version"]) & set(holdout_shares))
    lacking = f"; {unknown} versions of the playbook are not in the ledger and do not count" if unknown else ""
    return (
        served_shares(f"{len(drawn):,} people who were not held out, decided on {when}{lacking}", drawn),
        assignment_shares(
            f"{len(each):,} people decided on {when}, {len(new):,} for the first time{lacking}", new, each
        ),
    )


def _sent(decisions: pd.DataFrame, events: pd.DataFrame, period: Period, grace_days: float) -> Check:
    asked = decisions[to_send(decisions)]
    asked = asked.assign(due_at=due(asked), sent_at=first_sent(asked, events, SHOW_THAT_IT_WAS_SENT))
    looked_at = f"decisions to send whose {grace_days:g} days of grace ended {period}"
    return sent(looked_at, asked, period, grace_days)
