"""Whether contact does harm, by events that must not become more frequent."""

from __future__ import annotations

import numpy as np

from propensity.inference import any_contact, guardrail
from propensity.playbook import Guardrails
from propensity_experiments.arms import Arms
from propensity_experiments.contents import ANY_CONTACT, Guardrail
from propensity_experiments.effects import CONFIDENCE
from propensity_experiments.watched import Watched

TITLES = {"unsubscribed": "Unsubscribes", "complained": "Complaints", "bounced": "Bounces"}
"""Of the events that must not become more frequent."""


def guardrails(watched: Watched, rows: np.ndarray, arms: Arms, limits: Guardrails) -> tuple[Guardrail, ...]:
    """Any contact against none, for each event; empty where there is nobody to compare with."""
    if arms.propensity is None:
        return ()
    action, chances = any_contact(arms.action, arms.propensity, name=ANY_CONTACT)
    found = []
    for key, title in TITLES.items():
        happened, margin = watched.did[key][rows], float(getattr(limits, f"{key}_share"))
        test = guardrail(happened, action, chances, arm=ANY_CONTACT, margin=margin, level=CONFIDENCE)
        found.append(Guardrail(key, title, test.share, test.control_share, test.difference, margin, test.kept))
    return tuple(found)
