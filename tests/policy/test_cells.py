"""The cells of a wave hold whom the rules say, and each action stands in one of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from propensity import playbook
from propensity.contract import CONTROL
from propensity.policy import eligibility, rule_action
from propensity.policy.cells import cells

BOOK = playbook.load("default")


def test_every_action_stands_in_the_cell_of_its_archetype_and_channel_with_its_costs():
    places = {}
    for cell in cells(BOOK):
        assert (cell.eligible, cell.by_rule) == (None, None)
        for shown in cell.actions:
            action = BOOK.actions[shown.action]
            assert shown.action not in places
            places[shown.action] = (cell.archetype, cell.channel, shown.offer)
            assert shown.contact_cost_currency == BOOK.channels[action.channel].cost_currency
            assert shown.cost_if_redeemed_currency == BOOK.offers[action.offer].cost_if_redeemed_currency
            assert shown.redemption_rate == BOOK.offers[action.offer].redemption_rate
            assert (shown.eligible, shown.by_rule) == (None, None)
    assert places == {name: (a.archetype, a.channel, a.offer) for name, a in BOOK.actions.items()}


def test_cells_come_in_the_playbooks_order_and_none_is_empty():
    found = cells(BOOK)
    archetypes, channels = list(BOOK.archetypes), list(BOOK.channels)
    order = [(archetypes.index(c.archetype), channels.index(c.channel)) for c in found]
    assert order == sorted(set(order))
    assert all(cell.actions for cell in found)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(0, 15))
def test_people_are_counted_once_in_each_cell_that_could_hold_them(seed, n):
    rng = np.random.default_rng(seed)
    allowed = pd.DataFrame(rng.random((n, len(BOOK.labels))) < 0.2, columns=BOOK.labels)
    rule = np.array([rng.choice([CONTROL, *row[row].index]) for _, row in allowed.iterrows()], dtype=object)
    found = cells(BOOK, allowed, rule)
    for cell in found:
        labels = [a.action for a in cell.actions]
        people = [row[labels].to_list() for _, row in allowed.iterrows()]
        assert cell.eligible == sum(map(any, people))
        assert cell.by_rule == sum(label in labels for label in rule)
        for place, action in enumerate(cell.actions):
            assert action.eligible == sum(row[place] for row in people)
            assert action.by_rule == list(rule).count(action.action)
    assert sum(cell.by_rule for cell in found) == sum(rule != CONTROL)


def test_the_order_of_people_does_not_count_and_who_may_get_everything_gets_something_by_rule(book, people, at):
    def counted(customers):
        allowed = eligibility(customers, book, at).allowed
        return cells(book, allowed, rule_action(customers, book, allowed))

    assert counted(people) == counted(people.iloc[::-1])
    assert sum(cell.by_rule for cell in counted(people)) == len(people)
