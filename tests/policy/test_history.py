"""What is known of people before a wave: counted by hand, and the same however the tables are ordered."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from propensity.policy import touch_history

EMAIL, OUTREACH = "miss_you_email_percent_off", "better_outreach_conversation"


def contacts_of(at, *rows):
    """From (customer, days ago, action)."""
    return pd.DataFrame(
        {
            "decision_id": pd.Series([f"d{i}" for i in range(len(rows))], dtype="str"),
            "customer_id": pd.Series([r[0] for r in rows], dtype="str"),
            "decided_at": pd.to_datetime([at - pd.Timedelta(days=r[1]) for r in rows], utc=True),
            "campaign": "default",
            "action": pd.Series([r[2] for r in rows], dtype="str"),
        }
    )


def events_of(at, *rows):
    """From (customer, days ago, type) or with the decision that it names."""
    return pd.DataFrame(
        {
            "customer_id": pd.Series([r[0] for r in rows], dtype="str"),
            "at": pd.to_datetime([at - pd.Timedelta(days=r[1]) for r in rows], utc=True),
            "type": pd.Series([r[2] for r in rows], dtype="str"),
            "decision_id": pd.Series([r[3] if len(r) > 3 else None for r in rows], dtype="str"),
        }
    )


@pytest.fixture
def history(people, book, at):
    def of(contacts=(), events=(), **options):
        return touch_history(people, contacts_of(at, *contacts), events_of(at, *events), book, at, **options)

    return of


def test_nobody_was_ever_touched(history):
    found = history()
    assert found.touches.tolist() == found.ignored.tolist() == [0, 0, 0, 0]
    assert np.isinf(found.days_since_touch).all()
    assert not (found.opted_out | found.complained | found.came_back).any()
    assert found.channel_touches == found.bounced == found.days_since_action == {}


def test_touches_are_counted_by_person_channel_and_action(history, people):
    assert people["customer_id"].tolist() == ["a", "b", "c", "d"]
    found = history([("b", 10, EMAIL), ("b", 3, OUTREACH), ("b", 60, EMAIL), ("c", 5, EMAIL), ("z", 1, EMAIL)])
    assert found.touches.tolist() == [0, 2, 1, 0]  # the one of 60 days ago lies outside 45 days
    assert found.days_since_touch[1:3].tolist() == [3, 5]
    assert found.channel_touches["email"].tolist() == [0, 1, 1, 0]
    assert found.days_since_channel["email"][1:3].tolist() == [10, 5]
    assert found.days_since_action[OUTREACH][1] == 3
    assert set(found.channel_touches) == {"email", "direct_outreach"}
    assert found.campaign_touches.tolist() == [0, 3, 1, 0]


def test_a_touch_is_when_it_was_sent_not_when_it_was_decided(history):
    decided = [("a", 10, EMAIL), ("b", 10, EMAIL)]
    found = history(decided, [("a", 4, "sent", "d0"), ("a", 6, "opened"), ("b", 6, "opened"), ("b", -1, "sent", "d1")])
    assert found.days_since_touch[:2].tolist() == [4, 10]
    assert found.days_since_channel["email"][:2].tolist() == [4, 10]
    assert found.ignored[:2].tolist() == [1, 0]
    assert found.last_action[:3].tolist() == [EMAIL, EMAIL, None]


def test_what_happens_now_or_later_is_not_known_and_holdouts_were_not_touched(history):
    contacts = [("a", 0, EMAIL), ("b", -1, EMAIL), ("c", 1, "control")]
    found = history(contacts, [("a", 0, "complained"), ("b", -1, "reactivated")])
    assert found.touches.tolist() == [0, 0, 0, 0]
    assert not (found.complained | found.came_back).any()


def test_what_another_campaign_decided_at_the_very_moment_was_before(history):
    contacts = [("a", 0, EMAIL), ("b", -1, EMAIL), ("c", 0, "control")]
    found = history(contacts, campaign="another")
    assert found.touches.tolist() == [1, 0, 0, 0]
    assert found.days_since_touch[0] == 0
    assert found.campaign_touches.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("events", "ignored"),
    [
        ([], 3),
        ([("a", 15, "opened")], 1),
        ([("a", 25, "clicked")], 2),
        ([("a", 5, "purchased")], 0),
        ([("a", 5, "delivered")], 3),
        ([("a", 40, "opened")], 3),
        ([("b", 5, "opened")], 3),
    ],
)
def test_a_response_answers_all_touches_before_it(history, events, ignored):
    found = history([("a", 30, EMAIL), ("a", 20, EMAIL), ("a", 10, EMAIL)], events)
    assert found.ignored[0] == ignored


def test_only_what_happened_since_they_left_counts_against_people(history, people, at):
    since = (at - people["churned_at"].iloc[0]).days
    found = history(events=[("a", since + 1, "purchased"), ("a", since + 1, "complained"), ("b", 1, "unsubscribed")])
    assert not found.came_back[0]
    assert not found.complained[0]
    assert found.opted_out.tolist() == [False, True, False, False]


def test_a_bounce_is_of_the_touch_before_it_or_of_the_one_that_it_names(history):
    both = [("a", 10, EMAIL), ("a", 8, OUTREACH)]
    assert history(both, [("a", 9, "bounced")]).bounced["email"][0]
    assert not history(both, [("a", 9, "bounced")]).bounced["direct_outreach"][0]
    assert history(both, [("a", 7, "bounced")]).bounced["direct_outreach"][0]
    named = history(both, [("a", 7, "bounced", "d0")])
    assert named.bounced["email"][0]
    assert not named.bounced["direct_outreach"][0]


def test_what_is_sent_after_a_bounce_goes_to_a_mended_address(history):
    found = history([("a", 10, EMAIL), ("a", 5, EMAIL)], [("a", 9, "bounced")])
    assert not found.bounced["email"][0]


ROWS = st.lists(
    st.tuples(st.sampled_from("abcdz"), st.integers(-3, 80), st.sampled_from([EMAIL, OUTREACH, "control"])), max_size=12
)
EVENTS = st.lists(
    st.tuples(
        st.sampled_from("abcdz"), st.integers(-3, 80), st.sampled_from(["opened", "bounced", "complained", "sent"])
    ),
    max_size=8,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(contacts=ROWS, events=EVENTS, seed=st.integers(0, 9))
def test_order_of_rows_and_other_people_do_not_matter(people, book, at, contacts, events, seed):
    rng = np.random.default_rng(seed)
    tables = contacts_of(at, *contacts), events_of(at, *events)
    first = touch_history(people, *tables, book, at)
    shuffled = [t.iloc[rng.permutation(len(t))] for t in tables]
    again = touch_history(people, *shuffled, book, at)
    alone = touch_history(people.iloc[[1]], *tables, book, at)
    # a second touch or bounce at the same moment leaves open which of the two it was
    for field in fields(first):
        one, other, single = (getattr(h, field.name) for h in (first, again, alone))
        if field.name == "bounced":
            continue
        for name in one if isinstance(one, dict) else [None]:
            value, same, mine = ((v if name is None else v.get(name)) for v in (one, other, single))
            np.testing.assert_array_equal(value, same)
            if mine is not None:
                assert mine[0] == value[1]
    by_hand = sum(0 < days <= 45 and who == "b" and action != "control" for who, days, action in contacts)
    assert first.touches[1] == by_hand


def test_a_touch_that_may_not_have_been_sent_counts_as_a_touch_but_not_as_ignored(people, book, at):
    contacts = contacts_of(at, ("a", 30, EMAIL), ("a", 10, EMAIL), ("b", 10, EMAIL))
    found = touch_history(people, contacts.assign(sent=[True, False, False]), events_of(at), book, at)
    assert found.touches.tolist() == [2, 1, 0, 0]
    assert found.days_since_touch[:2].tolist() == [10, 10]
    assert found.ignored.tolist() == [1, 0, 0, 0]
