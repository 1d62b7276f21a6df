"""Chances of later decisions, given the earlier ones."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from propensity.contract import CONTROL
from propensity.playbook import Learning
from propensity.policy import action_probabilities, decide
from propensity.repeated_decisions import given_earlier

ACTIONS = [CONTROL, "a", "b"]
DAY = pd.Timestamp("2026-01-01T00:00Z")
EFFECT = 0.2

# by wave: campaign, share of the holdout of all campaigns, of the campaign's
WAVES = {
    "kept": [("one", 0.05, 0.05), ("two", 0.05, 0.05)],
    "raised": [("one", 0.05, 0.05), ("two", 0.1, 0.05)],
    "raised, no holdout of campaigns": [("one", 0.05, 0.0), ("two", 0.1, 0.0)],
    "raised from none": [("one", 0.0, 0.05), ("two", 0.1, 0.05)],
    "raised in the same campaign": [("one", 0.05, 0.05), ("one", 0.1, 0.05)],
    "the campaign's raised": [("one", 0.05, 0.05), ("one", 0.05, 0.15)],
    "lowered": [("one", 0.2, 0.05), ("two", 0.05, 0.05)],
    "raised twice": [("one", 0.05, 0.05), ("two", 0.1, 0.05), ("three", 0.2, 0.05)],
    "raised and lowered": [("one", 0.05, 0.1), ("two", 0.2, 0.1), ("one", 0.1, 0.15)],
}


class Program(NamedTuple):
    """Decisions (n, ...), their logged chances (n, k), who came back (n,), and the wave (n,) of each."""

    decisions: pd.DataFrame
    chances: np.ndarray
    back: np.ndarray
    wave: np.ndarray
    learning: list[Learning]


def program_of(waves: list[tuple[str, float, float]], n: int, salt: str = "s") -> Program:
    """People some of whom come back readily, by themselves and for a contact; who did not is decided on again."""
    rng = np.random.default_rng(0)
    ids, readily = np.array([f"c{i}" for i in range(n)], dtype=object), rng.random(n) < 0.5
    away = np.ones(n, dtype=bool)
    parts = []
    learning = [Learning(holdout_share=h, campaign_holdout_share=c, explore_share=0.3, salt=salt) for _, h, c in waves]
    for number, (campaign, _, _) in enumerate(waves):
        due = np.flatnonzero(away)
        value = pd.DataFrame({"a": np.ones(len(due)), "b": np.zeros(len(due))})
        allowed = pd.DataFrame(True, index=value.index, columns=["a", "b"])
        best = np.full(len(due), "a", dtype=object)
        drawn = decide(pd.Series(ids[due]), value, allowed, learning[number], campaign=campaign, window=number)
        about = drawn[["action", "assignment"]].assign(
            customer_id=ids[due],
            campaign=campaign,
            decided_at=DAY + number * pd.Timedelta(days=90),
            learning=number,
        )
        contacted = (drawn["action"] != CONTROL).to_numpy()
        back = rng.random(len(due)) < 0.1 + 0.5 * readily[due] + EFFECT * contacted
        away[due[back]] = False
        chances = action_probabilities(best, allowed, learning[number])[ACTIONS].to_numpy()
        parts.append((about, chances, back, np.full(len(due), number)))
    tables, *arrays = zip(*parts, strict=True)
    chances, back, wave = map(np.concatenate, arrays)
    return Program(pd.concat(tables, ignore_index=True), chances, back, wave, learning)


@pytest.fixture(scope="module", params=WAVES)
def repeated(request) -> tuple[Program, np.ndarray, np.ndarray]:
    """A program, the chances as they are given, and the rows of the last wave that teach."""
    program = program_of(WAVES[request.param], 25_000, request.param)
    given, teaches = given_earlier(program.decisions, program.chances, ACTIONS, program.learning)
    return program, given, np.flatnonzero(teaches & (program.wave == program.wave.max()))


def test_given_chances_are_those_with_which_later_actions_were_served(repeated):
    program, given, later = repeated
    served = program.decisions["action"].to_numpy()[later]
    for k, action in enumerate(ACTIONS):
        expected = given[later, k].mean()
        assert abs((served == action).mean() - expected) < 4.5 * np.sqrt(expected * (1 - expected) / len(later)) + 1e-12
    np.testing.assert_allclose(given[later].sum(axis=1), 1.0)


def test_effects_of_later_contacts_are_unbiased_with_the_given_chances(repeated):
    program, given, later = repeated
    contacted = (program.decisions["action"] != CONTROL).to_numpy()[later]
    of_control, y = given[later, 0], program.back[later]
    scores = y * contacted / (1 - of_control) - y * ~contacted / of_control
    assert scores.mean() == pytest.approx(EFFECT, abs=4 * scores.std() / np.sqrt(len(later)))


def test_first_decisions_keep_their_chances_and_who_was_held_out_teaches_no_more(repeated):
    program, given, _ = repeated
    first = program.wave == 0
    np.testing.assert_array_equal(given[first], program.chances[first])
    _, teaches = given_earlier(program.decisions, program.chances, ACTIONS, program.learning)
    assert teaches[first].all()
    held = program.decisions["customer_id"][program.decisions["assignment"] == "holdout"]
    since = pd.Series(program.wave[held.index], index=held.to_numpy()).groupby(level=0).min()
    held_before = program.wave > program.decisions["customer_id"].map(since).fillna(np.inf).to_numpy()
    np.testing.assert_array_equal(teaches, ~held_before)


def test_nobody_is_held_out_by_the_same_shares_again():
    program = program_of([("one", 0.2, 0.1), ("one", 0.2, 0.1)], 2_000)
    given, teaches = given_earlier(program.decisions, program.chances, ACTIONS, program.learning)
    later = teaches & (program.wave == 1)
    assert (program.decisions["action"][later] != CONTROL).all()
    np.testing.assert_allclose(given[later], np.tile([0.0, 0.85, 0.15], (later.sum(), 1)), atol=1e-12)


@pytest.mark.parametrize("shares", [(0.05, 0.1), (0.2, 0.2)])
def test_imported_contacts_and_other_salts_tell_nothing(shares):
    program = program_of([("one", shares[0], 0.1), ("two", shares[1], 0.1)], 500)
    imported = program.decisions.assign(learning=np.where(program.wave == 0, -1, 1))
    given, teaches = given_earlier(imported, program.chances, ACTIONS, program.learning)
    np.testing.assert_array_equal(given, program.chances)
    assert teaches.all()
    salted = [program.learning[0], program.learning[1].model_copy(update={"salt": "other"})]
    given, teaches = given_earlier(program.decisions, program.chances, ACTIONS, salted)
    np.testing.assert_array_equal(given, program.chances)
    assert teaches.all()


def test_a_share_that_was_raised_holds_out_what_it_grew_by():
    by = {"customer_id": ["x"] * 4, "campaign": ["one", "two", "one", "three"], "assignment": ["policy"] * 4}
    decisions = pd.DataFrame({**by, "decided_at": DAY + pd.to_timedelta(range(4), unit="D"), "learning": range(4)})
    shares = [(0.05, 0.0), (0.1, 0.2), (0.1, 0.5), (0.05, 0.2)]
    learning = [Learning(holdout_share=h, campaign_holdout_share=c, salt="s") for h, c in shares]
    chances = np.array([[1 - (1 - h) * (1 - c), (1 - h) * (1 - c)] for h, c in shares])
    given, _ = given_earlier(decisions, chances, [CONTROL, "a"], learning)
    # of all campaigns: 5 of the 95 of 100 who were not in it, then none; of the campaign: all, from 0 to a half, all
    np.testing.assert_allclose(given[:, 1], [0.95, 90 / 95 * 0.8, 0.5, 0.8])
