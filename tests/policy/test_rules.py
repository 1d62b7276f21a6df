"""The rule playbook as a baseline."""

from __future__ import annotations

import numpy as np

from propensity.contract import CONTROL
from propensity.playbook import Playbook
from propensity.policy import eligibility, rule_action


def test_answers_the_stated_reason_and_takes_others_as_drifted_away(people, book, at):
    allowed = eligibility(people, book, at).allowed
    chosen = rule_action(people, book, allowed)
    archetypes = [book.actions[a].archetype for a in chosen]
    assert archetypes == ["circumstances_changed", "wrong_fit_now_right", "we_miss_you", "we_miss_you"]
    listed = list(book.actions)
    for action, archetype in zip(chosen, archetypes, strict=True):
        assert action == next(a for a in listed if book.actions[a].archetype == archetype)


def test_takes_the_next_action_where_the_first_is_not_allowed(people, book, at):
    people["consent_email"] = False
    allowed = eligibility(people, book, at).allowed
    chosen = rule_action(people, book, allowed)
    assert [book.actions[a].channel for a in chosen] == ["in_app", "in_app", "in_app", "in_app"]
    assert all(allowed.loc[i, a] for i, a in zip(people.index, chosen, strict=True))


def test_sends_nothing_where_the_archetype_has_no_allowed_action(people, book, at):
    allowed = eligibility(people, book, at).allowed
    for label, action in book.actions.items():
        if action.archetype == "we_miss_you":
            allowed[label] = False
    chosen = rule_action(people, book, allowed)
    assert (chosen[2:] == CONTROL).all()
    assert (chosen[:2] != CONTROL).all()


def test_works_without_reasons_and_for_a_model_that_knows_few_actions(people, book, at):
    allowed = eligibility(people, book, at).allowed[["miss_you_push_points", "fit_email_trial"]]
    assert rule_action(people.drop(columns="reason"), book, allowed).tolist() == ["miss_you_push_points"] * 4
    assert rule_action(people, book, allowed).tolist() == [CONTROL, "fit_email_trial", *["miss_you_push_points"] * 2]


def test_rules_for_archetypes_come_before_the_answer_to_the_reason(people, book, at):
    rules = ({"archetype": "we_got_better", "competitor": True}, {"archetype": "we_got_better", "changed": True})
    ruled = Playbook.model_validate(book.model_dump() | {"archetype_rules": rules})
    allowed = eligibility(people, book, at).allowed
    without = rule_action(people, book, allowed)
    people["competitor"] = ["rival_a", None, None, None]
    changed = np.array([False, True, False, False])
    archetypes = [book.actions[a].archetype for a in rule_action(people, ruled, allowed, changed)]
    assert archetypes[:2] == ["we_got_better"] * 2
    assert archetypes[2:] == [book.actions[a].archetype for a in without[2:]]


def test_who_stated_no_reason_is_taken_for_what_the_playbook_says(people, book, at):
    allowed = eligibility(people, book, at).allowed
    reasons = book.reasons.model_copy(update={"unknown_as": "price"})
    chosen = rule_action(people.drop(columns="reason"), book.model_copy(update={"reasons": reasons}), allowed)
    assert {book.actions[a].archetype for a in chosen} == {book.archetype_of_reason()["price"]}
