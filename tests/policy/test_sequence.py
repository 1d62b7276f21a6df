"""A sequence over waves: each step as the playbook says, and an end to it when a person answers or wants no more."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_history import contacts_of, events_of

from propensity import playbook
from propensity.contract import CONSENT_PREFIX
from propensity.deciding import Wave
from propensity.frame import training_frame
from propensity.model import DecisionModel
from propensity.playbook import Playbook
from propensity.policy import Situation, eligibility, keep_to_sequence, next_touch, not_before, touch_history
from propensity.simulation import simulate

EMAIL, IN_APP, PERSON = "better_email_update", "better_in_app_trial", "better_outreach_conversation"
START = pd.Timestamp("2026-04-06T14:00Z")
BOOK = playbook.load("default")


@pytest.fixture(scope="module")
def model():
    """It finds an e-mail worth most, then the in-app message, then a person, for everybody."""
    content = BOOK.model_dump()
    content["actions"] = {label: content["actions"][label] for label in (EMAIL, IN_APP, PERSON)}
    content["never"] = ()
    content["contact"]["rest_after_ignored"] = 3
    book = Playbook.model_validate(content)
    program = simulate(2_000, seed=5, playbook=book)
    window = book.program.attribution_window_days
    fitted = DecisionModel(book).fit(
        training_frame(program.customers, program.contacts, program.outcomes, window_days=window)
    )
    shares = dict.fromkeys(("holdout_share", "campaign_holdout_share", "explore_share"), 0.0)
    fitted.playbook = book.model_copy(update={"learning": book.learning.model_copy(update=shares)})
    worth = dict(zip(fitted.actions[1:], (3.0, 2.0, 1.0), strict=True))
    fitted.choice_value = lambda predictions, mode=None: pd.DataFrame(
        worth, index=predictions.net_value.index, columns=fitted.actions[1:]
    )
    customers = program.customers.head(1).reset_index(drop=True)
    customers["churned_at"] = START - pd.Timedelta(days=60)
    return fitted, customers.assign(reason="product_gap", account_access=True)


def waves(model, people, events, n=5):
    """Decisions of waves at the times that each decision promises, else every two weeks; all are carried out."""
    at, rows, contacts, decisions = START, [], contacts_of(START), []
    for number in range(n):
        happened = events_of(START, *((people["customer_id"].iloc[0], -days, kind) for days, kind in events))
        found = Wave(model, people, at, contacts=contacts, outcomes=happened).decide()[0].iloc[0]
        decisions.append(found)
        if found["send"]:
            rows.append((found["customer_id"], -(at - START) / pd.Timedelta(days=1), found["action"]))
            contacts = contacts_of(START, *rows)
        promised = found["next_not_before"]
        at = at + pd.Timedelta(days=14) if pd.isna(promised) else promised
        assert number < n
    return pd.DataFrame(decisions).reset_index(drop=True)


@pytest.fixture
def person(model):
    fitted, people = model
    return people.assign(**{CONSENT_PREFIX + c: True for c in fitted.playbook.consent_channels})


def test_email_then_in_app_then_a_person_then_rest(model, person):
    found = waves(model[0], person, [])
    assert found["action"].tolist() == [EMAIL, IN_APP, PERSON, "control", "control"]
    assert found["touch"].tolist() == [1, 2, 3, 3, 3]
    assert found["next_action"].fillna("").tolist() == [IN_APP, PERSON, "", "", ""]
    assert found.loc[3:, "reason_codes"].tolist() == [["resting_after_ignored_touches"]] * 2
    due = (found["next_not_before"] - START).dt.total_seconds() / 86_400
    assert due[:2].tolist() == [7, 21]


def test_a_step_that_a_person_cannot_get_is_passed_over_and_one_who_gets_no_other_is_not_dropped(model, person):
    cannot = person.assign(account_access=False)
    assert waves(model[0], cannot, [], n=2)["action"].tolist() == [EMAIL, PERSON]
    only_email = cannot.assign(consent_direct_outreach=False)
    found = waves(model[0], only_email, [], n=2)
    assert found["action"].tolist() == [EMAIL, EMAIL]
    assert found["next_action"].isna().all()


@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        ("reactivated", "already_back"),
        ("purchased", "already_back"),
        ("unsubscribed", "opted_out"),
        ("complained", "complained"),
    ],
)
@pytest.mark.parametrize("after_days", [1, 8])
def test_it_stops_when_the_person_comes_back_or_wants_no_more(model, person, kind, rule, after_days):
    found = waves(model[0], person, [(after_days, kind)])
    n_before = 1 if after_days == 1 else 2
    assert found["send"].tolist() == [True] * n_before + [False] * (5 - n_before)
    assert found["assignment"][n_before:].eq("suppressed").all()
    assert found["reason_codes"][n_before:].tolist() == [[rule]] * (5 - n_before)
    assert found["next_action"][n_before:].isna().all()


def test_who_only_looked_gets_the_next_step_and_a_person_in_the_end_without_resting(model, person, monkeypatch):
    book = model[0].playbook
    contact = book.contact.model_copy(update={"rest_after_ignored": BOOK.contact.rest_after_ignored})
    monkeypatch.setattr(model[0], "playbook", book.model_copy(update={"contact": contact}))
    assert waves(model[0], person, [], n=3)["action"].tolist() == [EMAIL, IN_APP, "control"]
    assert waves(model[0], person, [(1, "opened")], n=3)["action"].tolist() == [EMAIL, IN_APP, PERSON]


HISTORIES = st.lists(
    st.tuples(st.sampled_from("abcd"), st.integers(1, 100), st.sampled_from(BOOK.labels)), max_size=8, unique=True
)


@settings(max_examples=40, deadline=None)
@given(
    sent=HISTORIES,
    opened=st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 100), st.just("opened")), max_size=3),
    left=st.lists(st.integers(31, 560), min_size=4, max_size=4),
    seed=st.integers(0, 99),
)
def test_what_is_promised_next_may_be_sent_then(sent, opened, left, seed):
    rng = np.random.default_rng(seed)
    people = pd.DataFrame(
        {
            "customer_id": list("abcd"),
            "churned_at": [START - pd.Timedelta(days=d) for d in left],
            "account_access": rng.random(4) < 0.7,
            **{CONSENT_PREFIX + c: rng.random(4) < 0.7 for c in BOOK.consent_channels},
        }
    )
    contacts, outcomes = contacts_of(START, *sent), events_of(START, *opened)

    def allowed_at(at, known):
        history = touch_history(people, known, outcomes, BOOK, at)
        return eligibility(people, BOOK, at, situation=Situation(history)).allowed, history

    allowed, history = allowed_at(START, contacts)
    worth = pd.DataFrame(rng.random(allowed.shape), columns=allowed.columns)
    kept = keep_to_sequence(allowed, history, BOOK)
    assert (kept <= allowed).all(axis=None)
    assert kept.any(axis=1).equals(allowed.any(axis=1))
    best = worth.where(kept).fillna(-1.0).idxmax(axis=1)
    action = np.where(kept.any(axis=1), best, "control").astype(object)
    first = not_before(action, people, BOOK, START)
    following = next_touch(action, worth, allowed, people, BOOK, first, history)
    now = contacts_of(START, *[(c, 0, a) for c, a in zip("abcd", action, strict=True) if a != "control"])
    both = pd.concat([contacts, now.assign(decision_id="now-" + now["decision_id"])], ignore_index=True)
    for row, promised in following.dropna().iterrows():
        assert allowed_at(promised["next_not_before"], both)[0].loc[row, promised["next_action"]]


@pytest.mark.parametrize(
    ("sent", "opened", "follows"),
    [
        ([], [], True),
        ([20], [], False),  # a second ignored touch, then rest
        ([30, 20], [10], True),
        ([40, 30, 20], [10], False),  # the fourth within 45 days
        ([60, 30, 20], [10], True),
        ([300, 200], [], False),
    ],
)
def test_nothing_is_promised_to_who_would_rest_or_had_enough_by_then(people, at, sent, opened, follows):
    contacts = contacts_of(at, *(("a", days, "miss_you_push_points") for days in sent))
    history = touch_history(people, contacts, events_of(at, *(("a", days, "opened") for days in opened)), BOOK, at)
    everything = pd.DataFrame(True, index=people.index, columns=BOOK.labels)
    action = np.full(4, EMAIL, dtype=object)
    first = not_before(action, people, BOOK, at)
    found = next_touch(action, everything.astype(float), everything, people, BOOK, first, history)["next_action"]
    assert found.notna().tolist() == [follows, True, True, True]


def test_nothing_is_promised_past_the_horizon(people, at):
    people["churned_at"] = [at - pd.Timedelta(days=d) for d in (540, 542, 530, 80)]
    everything = pd.DataFrame(True, index=people.index, columns=BOOK.labels)
    action = np.full(4, EMAIL, dtype=object)
    first = not_before(action, people, BOOK, at)
    found = next_touch(action, everything.astype(float), everything, people, BOOK, first)["next_action"]
    assert found.notna().tolist() == [True, False, True, True]  # the in-app message comes seven days later
