"""The playbook: what a company may send to whom, what it costs, and the rules it keeps.

A playbook is a TOML file. `load` reads and checks it; everything that it says is typed, with its unit in its name. Its
``version`` is the hash of its content: two files that say the same have the same version.
"""

from propensity.playbook.book import FACTORS, Playbook
from propensity.playbook.changing import changed
from propensity.playbook.derived import derived
from propensity.playbook.parts import (
    TIERS,
    Action,
    Channel,
    Condition,
    Features,
    Guardrails,
    Learning,
    Offer,
    QuietHours,
    Season,
    Step,
    Tier,
    Trigger,
    Value,
)
from propensity.playbook.reading import (
    Mistake,
    PlaybookError,
    load,
    parse,
    sentences,
    shipped,
    shipped_directory,
)

__all__ = [
    "FACTORS",
    "TIERS",
    "Action",
    "Channel",
    "Condition",
    "Features",
    "Guardrails",
    "Learning",
    "Mistake",
    "Offer",
    "Playbook",
    "PlaybookError",
    "QuietHours",
    "Season",
    "Step",
    "Tier",
    "Trigger",
    "Value",
    "changed",
    "derived",
    "load",
    "parse",
    "sentences",
    "shipped",
    "shipped_directory",
]
