"""Draws depend on the person and on what they are for, and on nothing else."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from propensity.policy import decision_keys, uniform_draws, window_number

IDS = [f"customer-{i}" for i in range(5000)]


def test_draws_are_uniform_and_independent_between_salts():
    first, second = uniform_draws(IDS, "salt", "holdout"), uniform_draws(IDS, "salt", "explore")
    assert stats.kstest(first, "uniform").pvalue > 0.001
    assert first.min() >= 0
    assert first.max() < 1
    assert abs(np.corrcoef(first, second)[0, 1]) < 4 / np.sqrt(len(IDS))


def test_a_draw_depends_on_the_person_alone():
    draws = uniform_draws(IDS, "salt")
    assert (uniform_draws(reversed(IDS), "salt") == draws[::-1]).all()
    assert uniform_draws(IDS[7:8], "salt")[0] == draws[7]
    assert len(uniform_draws([], "salt")) == 0


def test_another_system_can_repeat_a_draw():
    digest = hashlib.blake2b(b"salt\x1fholdout\x1fcustomer-1", digest_size=8).digest()
    assert uniform_draws(["customer-1"], "salt", "holdout")[0] == (int.from_bytes(digest, "big") >> 11) / 2**53


def test_parts_of_a_salt_do_not_run_together():
    assert uniform_draws(IDS[:1], "ab", "c")[0] != uniform_draws(IDS[:1], "a", "bc")[0]


def test_decision_ids_are_the_same_for_the_same_customer_campaign_and_window():
    assert decision_keys(IDS, "spring", 3) == decision_keys(IDS, "spring", 3)
    assert decision_keys(IDS[5:6], "spring", 3) == decision_keys(IDS, "spring", 3)[5:6]


def test_decision_ids_are_different_otherwise():
    keys = [key for campaign in ("spring", "spring1") for w in (1, 11) for key in decision_keys(IDS[:99], campaign, w)]
    assert len(set(keys)) == len(keys) == 4 * 99


@pytest.mark.parametrize(
    ("at", "number"),
    [
        ("1970-01-01T00:00Z", 0),
        ("1970-01-30T23:59Z", 0),
        ("1970-01-31T00:00Z", 1),
        ("1970-01-31T01:00+02:00", 0),
    ],
)
def test_windows_are_counted_in_utc(at, number):
    assert window_number(pd.Timestamp(at), 30) == number
