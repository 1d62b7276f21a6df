"""What a wave of people from a file takes from the ledger, and leaves in it."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pandas as pd

from propensity.campaigns import about_campaign
from propensity.deciding import Wave
from propensity.decision import DECISION_COLUMNS, DECISION_TIMES
from propensity.known import WITHDRAWN_BY, known_of, unless_refused
from propensity.ledger import StagedWave
from propensity.model import DecisionModel
from propensity.policy import Terms, decision_keys, used_by, window_number
from propensity.wave_file import WaveFile, WaveSummary


def people_of(model: DecisionModel, people: pd.DataFrame, wave: WaveFile, of_others: bool = False) -> Wave:
    """People with what the files, or else the ledger, know of them; ``of_others``: with all suppressed ids."""
    past = wave.past
    contacts = None if past.contacts is None else past.contacts.of(people)
    outcomes = None if past.outcomes is None else past.outcomes.of(people)
    suppressed = set(past.suppressed if of_others else past.suppressed.intersection(people["customer_id"]))
    if wave.ledger is not None:
        known = known_of(wave.ledger, people["customer_id"].tolist(), decision_ids(model, people, wave))
        suppressed |= known.suppressed
        if contacts is None or outcomes is None:
            contacts, outcomes = known.contacts, known.outcomes
    return Wave(model, people, wave.at, wave.campaign, suppressed, contacts, outcomes)


def decision_ids(model: DecisionModel, people: pd.DataFrame, wave: WaveFile) -> list[str]:
    """The ids that decisions on these people have in this wave, (n,)."""
    window = window_number(wave.at, model.playbook.program.decision_window_days)
    return decision_keys(people["customer_id"], wave.campaign, window)


def standing_decisions(model: DecisionModel, people: pd.DataFrame, wave: WaveFile) -> pd.DataFrame:
    """Decisions (m, columns) of those who have one already, with their index in ``people``.

    Whoever was to be contacted and opted out, complained, came back or took back the consent to the channel since is
    shown as left alone; the record stays as it is.
    """
    found = {} if wave.ledger is None else wave.ledger.standing(decision_ids(model, people, wave))
    if not found:
        return pd.DataFrame(columns=list(DECISION_COLUMNS), index=people.index[:0])
    answers = [found.get(key) for key in decision_ids(model, people, wave)]
    there = np.array([answer is not None for answer in answers])
    stands = [a for a in answers if a is not None]
    decisions = _table(unless_refused(stands, people[there], model.playbook), people.index[there])
    again = people_of(model, people[there], wave)
    withdrawn = again.eligible.stopped_by.isin(WITHDRAWN_BY) & np.array([bool(a["send"]) for a in stands])
    if withdrawn.any():
        now, _ = people_of(model, people[there][withdrawn], wave).decide()
        decisions = pd.concat([decisions[~withdrawn], now]).loc[people.index[there]]
    return decisions


def use_of(model: DecisionModel, people: pd.DataFrame, standing: pd.DataFrame, wave: WaveFile) -> dict[str, float]:
    """What standing decisions on some of these people use of each limit; nothing where there are none."""
    if standing.empty:
        return {}
    of_them = Wave(model, people.loc[standing.index], wave.at, wave.campaign)
    action = standing["action"].to_numpy(dtype=object)
    return {
        limit.name: float(used_by(limit, of_them.spend.columns, action).sum())
        for limit in of_them.limits(wave.weeks, wave.budget)
    }


def earlier_terms(model: DecisionModel, wave: WaveFile) -> Terms | None:
    """Terms of the last wave of the same campaign, playbook and decision window, if there was one."""
    if wave.ledger is None:
        return None
    last = wave.ledger.latest_wave(wave.campaign, model.playbook.version, wave.at.to_pydatetime())
    days = model.playbook.program.decision_window_days
    if last is None or window_number(pd.Timestamp(last["decided_at"]), days) != window_number(wave.at, days):
        return None
    return Terms.from_json(last["terms"])


def record_wave(
    model: DecisionModel,
    wave: WaveFile,
    staged: StagedWave,
    terms: Terms,
    summary: WaveSummary,
) -> None:
    """Record the decisions that were made, if any were."""
    if not staged.people:
        return
    with wave.source.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    limits = {
        name: {"amount": amount, "used": summary.used[name], "price": summary.prices[name]}
        for name, amount in summary.amounts.items()
    }
    staged.record(
        about_campaign(model.playbook, title=wave.campaign, started_at=wave.at.to_pydatetime()),
        campaign=wave.campaign,
        model_version=model.version,
        playbook_version=model.playbook.version,
        people=summary.people,
        standing=summary.standing,
        budget=wave.budget,
        weeks=wave.weeks,
        limits=limits,
        terms=terms.to_json(),
        funnel=summary.funnel().to_dict(orient="records"),
        file_sha256=digest,
    )


def _table(answers: list[dict[str, Any]], index: pd.Index) -> pd.DataFrame:
    """Decisions as a table again, from the answers that were recorded."""
    table = pd.DataFrame(answers, columns=list(DECISION_COLUMNS), index=index)
    for name in DECISION_TIMES:
        table[name] = pd.to_datetime(table[name], utc=True, format="ISO8601")
    return table
