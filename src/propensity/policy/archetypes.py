"""Which archetype a person gets by rule: from why they left, what changed since, how they parted, to whom they went."""

from __future__ import annotations

import numpy as np
import pandas as pd

from propensity.people import Customers, People, Texts, among
from propensity.playbook import Playbook
from propensity.segments import AnySegments, meets


def changed_since(
    customers: Customers,
    reason: pd.Series | Texts,
    playbook: Playbook,
    at: pd.Timestamp | pd.Series,
    segments: AnySegments,
) -> np.ndarray:
    """For whom (n,) something changed between their leaving and ``at`` that answers their reason (see `Change`)."""
    people = People.of(customers)
    changed = np.zeros(len(people), dtype=bool)
    for change in playbook.changes:
        day = pd.Timestamp(change.on, tz="UTC")
        since = (people.times("churned_at") < day.to_datetime64()) & np.asarray(day <= at)
        concerned = since & among(np.asarray(reason, dtype=object), change.closes) if change.closes else since
        changed |= concerned & meets(change.where, people, segments) if change.where else concerned
    return changed


def archetype_by_rule(
    customers: Customers, reason: pd.Series | Texts, changed: np.ndarray, playbook: Playbook
) -> pd.Series:
    """The archetype (n,) that rules give each person; missing where none answers.

    The first of the playbook's ``archetype_rules`` of which everything named agrees, else the archetype that answers
    the reason.

    Parameters
    ----------
    customers : DataFrame (n, ...)
    reason : Series (n,)
        For churn, stated or predicted.
    changed : array (n,)
        From `changed_since`.
    playbook : Playbook
    """
    people, texts = People.of(customers), np.asarray(reason, dtype=object)
    answers = playbook.archetype_of_reason()
    archetype = np.empty(len(people), dtype=object)
    archetype[:] = [answers.get(text) for text in texts.tolist()]
    for rule in reversed(playbook.archetype_rules):
        fits = np.ones(len(people), dtype=bool)
        if rule.reasons:
            fits &= among(texts, rule.reasons)
        if rule.relationships:
            fits &= among(people.texts("relationship"), rule.relationships)
        if rule.competitor is not None:
            fits &= (people.texts("competitor") != None) == rule.competitor  # noqa: E711 - element by element
        if rule.changed is not None:
            fits &= changed == rule.changed
        archetype[fits] = rule.archetype
    return pd.Series(archetype, index=people.index, dtype=object)
