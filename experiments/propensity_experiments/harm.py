"""Whether contact does harm, by events that must not become more frequent."""

from __future__ import annotations

import numpy as np

from propensity.inference import any_contact, guardrail
from propensity_experiments.arms import Arms
from propensity_experiments.contents import ANY_CONTACT, Guardrail
from propensity_experiments.effects import CONFIDENCE
from propensity_experiments.watched import Watched

LIMITS = {
    "unsubscribed": ("Unsubscribes", 0.005),
    "complained": ("Complaints", 0.001),
    "bounced": ("Bounces", 0.02),
}
"""Title, and how much larger the share may be with contact: what mailbox providers and mailing tools usually bear."""


def guardrails(watched: Watched, rows: np.ndarray, arms: Arms) -> tuple[Guardrail, ...]:
    """Any contact against none, for each event; empty where there is nobody to compare with."""
    if arms.propensity is None:
        return ()
    action, chances = any_contact(arms.action, arms.propensity, name=ANY_CONTACT)
    found = []
    for key, (title, margin) in LIMITS.items():
        happened = watched.did[key][rows]
        test = guardrail(happened, action, chances, arm=ANY_CONTACT, margin=margin, level=CONFIDENCE)
        found.append(Guardrail(key, title, test.share, test.control_share, test.difference, margin, test.kept))
    return tuple(found)
