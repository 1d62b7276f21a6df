"""A fingerprint of the data that a summary's figures rest on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping

import numpy as np

from propensity.ledger.experiments import Decisions
from propensity_experiments.known import Known
from propensity_experiments.watched import KINDS, Watched

CAMPAIGN_COLUMNS = ("campaign", "currency", "window_days")
MILLIONTHS = 1e6


def fingerprint(campaign: Mapping[str, object], decisions: Decisions, watched: Watched, known: Known) -> str:
    """The same data give the same one, in whatever order they are stored and whoever was forgotten meanwhile.

    Returns
    -------
    str
        16 hexadecimal digits.

    Notes
    -----
    Each decision is hashed by what is known of it (action, time, chance, cost, outcomes, and what was known of the
    person, but no id), and the hashes are added, which no order changes.
    """
    n = len(watched.rows)
    mixed = np.full(n, 0x9E3779B97F4A7C15, dtype=np.uint64)
    for column in _columns(decisions, watched, known):
        mixed = _mix(mixed ^ column)
    again = _mix(mixed)
    told = [
        {name: campaign[name] for name in CAMPAIGN_COLUMNS},
        n,
        int(mixed.sum(dtype=np.uint64)),
        int(again.sum(dtype=np.uint64)),
        sorted({*known.numbers, *known.texts}),
    ]
    return hashlib.blake2b(json.dumps(told, sort_keys=True).encode(), digest_size=8).hexdigest()


def _columns(decisions: Decisions, watched: Watched, known: Known) -> Iterator[np.ndarray]:
    """What is hashed of each decision, as numbers (n,) that no order of rows changes."""
    rows = watched.rows
    yield _of_names(decisions.actions)[decisions.action[rows]]
    yield watched.at.view(np.uint64)
    yield _of_numbers(decisions.cost[rows])
    own = np.append(_of_rows(decisions.chance_of, decisions.chance_actions), np.uint64(0))
    yield own[decisions.chances[rows]]
    yield _of_numbers(decisions.probability[rows])
    yield watched.returned_after.view(np.uint64)
    yield _of_numbers(watched.revenue)
    for kind in KINDS:
        yield watched.did[kind].astype(np.uint64)
    for name in sorted(known.numbers):
        yield _of_numbers(known.numbers[name])
    for name in sorted(known.texts):
        codes, values = known.texts[name]
        yield np.append(_of_names(values), np.uint64(0))[codes]


def _mix(values: np.ndarray) -> np.ndarray:
    """A number from which each bit of another changes all (Steele, Lea and Flood 2014, SplitMix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: np.ndarray = values ^ (values >> np.uint64(31))
    return mixed


def _of_names(names: tuple[str, ...]) -> np.ndarray:
    digests = [hashlib.blake2b(str(name).encode(), digest_size=8).digest() for name in names]
    return np.array([int.from_bytes(digest, "big") for digest in digests], dtype=np.uint64)


def _of_numbers(values: np.ndarray) -> np.ndarray:
    """To the millionth: sums of the same amounts in another order differ in the last digits."""
    whole = np.rint(np.nan_to_num(values.astype(float), nan=-1.0) * MILLIONTHS)
    return whole.astype(np.int64).view(np.uint64)


def _of_rows(table: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    found = np.zeros(len(table), dtype=np.uint64)
    for name, k in sorted((name, k) for k, name in enumerate(names)):
        found = _mix(found ^ _of_numbers(table[:, k]) ^ _of_names((name,))[0])
    return found
