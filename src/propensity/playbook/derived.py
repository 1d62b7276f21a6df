"""What follows from a playbook alone, and is worked out once for each: single decisions have no time for it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from propensity.playbook.book import Playbook

Made = TypeVar("Made")


def derived(make: Callable[[Playbook], Made]) -> Callable[[Playbook], Made]:
    """A function of a playbook alone whose result is kept with the playbook; nobody may change it."""

    @wraps(make)
    def kept(playbook: Playbook) -> Made:
        results: dict[Any, Made] = playbook.derived
        if make not in results:
            results[make] = make(playbook)
        return results[make]

    return kept
