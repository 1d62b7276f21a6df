"""Every code of a decision has words, and a decision is told in one or two sentences that say what it holds."""

from __future__ import annotations

import re

import numpy as np
import pytest

from propensity.contract import REASONS
from propensity.deciding import POLICY_CODES
from propensity.learners.explanation import LESS, LEVELS, MORE
from propensity.pages import decision_words as words
from propensity.pages.words import LEFT_ALONE, left_alone
from propensity.policy import codes, eligibility
from propensity.policy.eligibility import Situation
from propensity.policy.funnel import AFTER_ELIGIBILITY
from propensity.policy.history import TouchHistory
from propensity.reasons.assignment import SOURCES
from propensity.segments import SegmentBuilder

RULES = [
    *codes.RULES_OF_THE_PERSON,
    *codes.RULES_OF_AN_ACTION,
    *(pattern.format("direct_mail") for pattern in codes.RULES_OF_A_CHANNEL),
]


@pytest.fixture(scope="module")
def decisions(wave, wave_model):
    people = wave.unseen_customers
    return wave_model.decide(people, at=people["as_of"].max(), suppressed=people["customer_id"].head(3).tolist())


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_has_words(rule):
    assert codes.is_rule(rule)
    assert words.has_words(rule)
    assert "_" not in left_alone(rule)


def test_every_code_of_a_policy_has_words():
    pays, pays_not = ({pair[side] for pair in POLICY_CODES.values()} - {""} for side in (0, 1))
    assert set(words.CHOSEN) == pays | {codes.BY_RULES}
    assert pays_not | set(AFTER_ELIGIBILITY) | {codes.LEDGER_UNAVAILABLE} <= set(LEFT_ALONE)
    more = [
        codes.TRIED,
        codes.BEST_WITHIN_LIMITS,
        codes.WOULD_HAVE_SENT.format("letter"),
        f"{MORE}:x_high",
        f"{LESS}:x=1",
    ]
    assert all(map(words.has_words, more))
    assert not words.has_words("a_new_code")


@pytest.mark.parametrize(
    ("told", "all_of_them"),
    [
        (words.ALTERNATIVE_LOST, codes.ALTERNATIVE_LOST),
        (words.ARCHETYPE_BY, codes.ARCHETYPE_BY),
        (words.ASSIGNMENTS, codes.ASSIGNMENTS),
        (words.REASON_SOURCES, SOURCES),
        (words.REASONS, REASONS),
    ],
)
def test_each_list_of_codes_has_its_words(told, all_of_them):
    assert set(told) == set(all_of_them)


def test_a_rule_without_words_is_refused_where_it_is_applied(wave, wave_model, monkeypatch):
    people = wave.unseen_customers.head(5)
    monkeypatch.setattr(codes, "RULES_OF_THE_PERSON", codes.RULES_OF_THE_PERSON[1:])
    codes.is_rule.cache_clear()
    with pytest.raises(ValueError, match="rules suppressed: are not in"):
        eligibility(people, wave_model.playbook, people["as_of"].max())
    codes.is_rule.cache_clear()


def test_rules_that_a_full_playbook_applies_are_all_listed(wave, wave_model):
    people = wave.unseen_customers.head(5)
    n, book, at = len(people), wave_model.playbook, people["as_of"].max()
    numbers, flags = np.zeros(n), np.zeros(n, dtype=bool)
    channels = dict.fromkeys(book.channels, numbers)
    never_sent = dict.fromkeys(book.actions, np.full(n, np.inf))
    closed = dict.fromkeys(book.channels, flags)
    nothing = np.full(n, None, dtype=object)
    history = TouchHistory(
        numbers, numbers, numbers, flags, flags, flags, numbers, channels, channels, closed, never_sent, nothing
    )
    segments = SegmentBuilder.fit(people, at, book).transform(people, at)
    situation = Situation(history, segments, people["reason"], flags)
    assert eligibility(people, book, at, (), situation).stopped_by.notna().all()


@pytest.mark.parametrize("level", LEVELS)
def test_facts_in_words(level):
    assert words.fact_words(f"tenure_months_{level}") == f"{level} tenure months"


@pytest.mark.parametrize(
    ("fact", "said"),
    [
        ("region=north_east", "region north east"),
        ("trial_canceller=1", "trial canceller yes"),
        ("answered_by_we_miss_you_high", 'a high chance that "we miss you" answers why they left'),
        ("answered_by_we_miss_you_unknown", "that nothing is known of why they left"),
        ("answered_by_we_miss_you=1", 'that "we miss you" answers why they left'),
        ("answered_by_we_miss_you=0", 'that "we miss you" does not answer why they left'),
    ],
)
def test_values_in_words(fact, said):
    assert words.fact_words(fact) == said


def test_every_decision_is_told_in_plain_words(decisions):
    told = words.explained(decisions, "USD")
    assert set(told["assignment"]) >= {"policy", "explore", "holdout", "suppressed"}
    for text in told[words.EXPLANATION]:
        assert re.fullmatch(r"[A-Z][^_]*\.", text), text
        assert text.count(". ") <= 1
    assert not told[words.EXPLANATION].str.contains("nan|None").any()
    sent = told[told["send"]]
    assert [row.action.replace("_", " ").capitalize() in row.explanation for row in sent.itertuples()].count(False) == 0
    held = told[told["assignment"] == "holdout"]
    assert held[words.EXPLANATION].str.startswith("Not contacted: they are held out, so that").all()


def test_a_chosen_action_is_told_with_its_worth_and_the_next_best(decisions):
    chosen = decisions[(decisions["assignment"] == "policy") & decisions["send"] & decisions["alternative"].notna()]
    row = chosen.iloc[0].to_dict() | {
        "action": "letter",
        "net_value": 5.0,
        "reason_codes": ["worth_more_than_it_costs", "more_because:tenure_months_high", "more_because:region=north"],
        "reason_for_churn": "price",
        "reason_source": "stated",
        "archetype_by": "reason_and_effect",
        "alternative": "email_hold",
        "alternative_net_value": 3.1,
        "alternative_lost": "worth_less",
    }
    assert words.explanation(row, "USD") == (
        "Letter was chosen because it is predicted to be worth most to this person after costs: USD 5.00; it does more "
        "for them than for most, going by high tenure months and region north; the message also answers why they left "
        "(the price, as they said). Next best was email hold, worth USD 3.10, which is no more."
    )


def test_who_is_left_out_by_limits_is_told_what_would_have_been_best(decisions):
    row = decisions[decisions["alternative"].notna()].iloc[0].to_dict() | {
        "send": False,
        "action": "control",
        "assignment": "policy",
        "reason_codes": ["limits_reached"],
        "alternative": "email_hold",
        "alternative_net_value": 3.1,
        "alternative_lost": "limits_reached",
    }
    assert words.explanation(row, "USD") == (
        "Not contacted: others are worth more, and budget or capacity end there. "
        "Best would have been email hold, worth USD 3.10."
    )
