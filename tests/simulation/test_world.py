"""The world is the same under all policies but for what they do."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from propensity.contract import CONTROL, check
from propensity.simulation.world import (
    MONTH,
    MONTHS_BETWEEN_TOUCHES,
    REPORTED_AFTER,
    Course,
    Shift,
    World,
)

EMAIL = "miss_you_email_percent_off"


@pytest.fixture(scope="module")
def world():
    return World(3, 600)


def played(world: World, action: str, waves: int) -> tuple[Course, list[pd.DataFrame], list[pd.DataFrame]]:
    """A course in which everybody gets the same; who came up, and what was reported, by wave."""
    course, people, reports = Course(world), [], []
    for wave in range(1, waves + 1):
        reports.append(course.reported(wave))
        due = course.due(wave)
        people.append(due.customers)
        ids = np.array([f"{wave}-{i}" for i in range(len(due))], dtype=object)
        course.follow(wave, due, np.full(len(due), action, dtype=object), ids)
    return course, people, reports


def test_people_come_up_twice_ninety_days_apart_unless_they_are_back(world):
    _, people, reports = played(world, CONTROL, 7)
    first, again = set(people[0]["customer_id"]), set(people[MONTHS_BETWEEN_TOUCHES]["customer_id"])
    reported = pd.concat([r for r in reports[: MONTHS_BETWEEN_TOUCHES + 1] if len(r)])
    back = set(reported.loc[reported["type"].isin(["reactivated", "purchased"]), "customer_id"])
    assert back & first
    assert again & first == first - back
    assert not first & set(people[2 * MONTHS_BETWEEN_TOUCHES]["customer_id"])
    ages = (people[3]["as_of"] - people[3]["churned_at"]) / pd.Timedelta(days=1)
    older = people[3]["customer_id"].isin(first)
    assert ages[~older].between(29, 61).all()
    assert ages[older].between(119, 151).all()
    assert (people[3].loc[older, "days_since_churn"] - ages[older]).abs().max() < 0.1


def test_every_policy_meets_the_same_people_with_the_same_luck(world):
    nobody, mailed = played(world, CONTROL, 1), played(world, EMAIL, 1)
    pd.testing.assert_frame_equal(nobody[1][0], mailed[1][0])
    # who would have come back alone and was reached by nothing comes back at the same moment
    later = [course.reported(5) for course, *_ in (nobody, mailed)]
    times = [r[r["type"] == "reactivated"].set_index("customer_id")["at"] for r in later]
    both = times[0].index.intersection(times[1].index)
    assert len(both) > 0.5 * len(times[0])
    assert (times[0][both] == times[1][both]).mean() > 0.5
    assert len(times[1]) > len(times[0])


def test_what_happens_is_reported_late_once_and_inside_the_contract(world):
    _, _, reports = played(world, EMAIL, 4)
    together = pd.concat(reports, ignore_index=True)
    assert together["event_id"].is_unique
    for wave, events in enumerate(reports, start=1):
        if len(events):
            assert events["at"].max() <= world.at(wave) - REPORTED_AFTER
    assert len(check("outcomes", together).good) == len(together)


def test_who_opted_out_consents_to_nothing_and_brings_no_surprise(world):
    course, _, _ = played(world, EMAIL, 4)
    due = world.due(4, set(), set(course.world.due(4, set(), set()).customers["customer_id"]))
    consents = [c for c in due.customers if c.startswith("consent_")]
    assert not due.customers[consents].fillna(False).to_numpy(dtype=bool).any()


def test_a_shift_changes_what_it_names_from_its_wave_on():
    shifted = World(3, 300, shifts=[Shift(2, {"archetype:we_got_better": 2.0}, "a release")])
    steady = World(3, 300, shifts=[])
    for wave, changed in ((1, False), (2, True)):
        one, other = (w.due(wave, set(), set()).response for w in (shifted, steady))
        differs = dict(zip(one.actions, ~np.isclose(one.won, other.won).all(axis=0), strict=True))
        better = {a for a, x in shifted.playbook.actions.items() if x.archetype == "we_got_better"}
        assert {a for a, d in differs.items() if d} == (better if changed else set())
    assert shifted.strength(1) == {}
    assert shifted.strength(5) == {"archetype:we_got_better": 2.0}


def test_worth_is_the_mean_of_what_people_bring():
    """Margin of what was bought within the window less costs, over many people, against `Due.profit`."""
    world = World(5, 30_000, shifts=[])
    book = world.playbook
    due = world.due(1, set(), set())
    course = Course(world)
    course.follow(
        1, due, np.full(len(due), EMAIL, dtype=object), np.array([f"d{i}" for i in range(len(due))], dtype=object)
    )
    events = course.reported(1 + MONTHS_BETWEEN_TOUCHES + 1)
    events = events[events["at"] <= world.at(1) + pd.Timedelta(days=book.program.attribution_window_days)]
    offer, channel = book.offers["percent_off"], book.channels["email"]
    kinds = events["type"].value_counts()
    worth = (
        book.value.margin_share * events["amount"].sum()
        - channel.cost_currency * len(due)
        - offer.cost_if_redeemed_currency * offer.redemption_rate * kinds["reactivated"]
        - book.value.unsubscribe_cost_currency * kinds["unsubscribed"]
    )
    expected = due.profit(book)[EMAIL].sum()
    noise = book.value.margin_share * np.sqrt((events["amount"].dropna() ** 2).sum())
    assert abs(worth - expected) < 4 * noise


def test_pilot_people_come_up_no_more(world):
    pilot = world.pilot(400)
    horizon = pd.Timedelta(days=world.playbook.program.horizon_days)
    assert (pilot.customers["churned_at"] + horizon < world.at(1)).all()
    window = pd.Timedelta(days=world.playbook.program.attribution_window_days)
    assert (pilot.contacts["decided_at"] + window < world.at(1)).all()
    assert set(pilot.contacts["action"]) > {CONTROL}
    assert world.at(2) - world.at(1) == MONTH
