"""What may surprise about a wave is said, with what to do; a usual wave is said nothing of."""

from __future__ import annotations

import pandas as pd
import pytest

from propensity.deciding import Wave
from propensity.model import DecisionModel
from propensity.wave_cautions import cautions


@pytest.fixture(scope="module")
def people(small_dataset):
    return small_dataset.customers.drop_duplicates("customer_id").head(300).reset_index(drop=True)


@pytest.fixture
def told(small_model, people):
    """Cautions about the people, changed or not; ``book`` changes the playbook that the model goes by."""

    def tell(frame=people, *, weeks=1.0, budget=None, of=None, book=None, days=60, **known):
        model = small_model
        if book is not None:
            model = DecisionModel.__new__(DecisionModel)
            model.__dict__ = {**small_model.__dict__, "playbook": book}
        at = people["as_of"].max() + pd.Timedelta(days=days)
        return cautions(Wave(model, frame, at, **known), weeks, budget, of=of or len(frame))

    return tell


def with_channel(book, **changes):
    email = book.channels["email"].model_copy(update=changes)
    return book.model_copy(update={"channels": {**book.channels, "email": email}})


def test_a_usual_wave_has_none(told):
    assert told() == []


def test_a_channel_whose_consent_is_in_no_column_is_named_with_it(told, people):
    (said,) = told(people.drop(columns="consent_email"))
    assert said == "nobody can get email: the customers have no column consent_email; add it, true for those who agreed"


def test_a_channel_that_needs_access_is_named_too(told, people, email_playbook):
    book = with_channel(email_playbook, needs_access=True, needs_account_access=True)
    (said,) = told(people.drop(columns="account_access"), book=book)
    assert "no column account_access; add it, true for those who can log in" in said


def test_an_action_that_nobody_can_get_is_named_with_the_rule_that_stops_most(told, people, email_playbook):
    better = email_playbook.actions["better_email_update"]
    only = better.model_copy(update={"only": {"region": ("nowhere",)}})
    book = email_playbook.model_copy(update={"actions": {**email_playbook.actions, "better_email_update": only}})
    (said,) = told(book=book)
    assert said.startswith(f"nobody of {len(people)} people can get better email update; what stops most (")
    assert said.endswith(" people): the action is for others")


def test_a_wave_of_people_whom_one_rule_stops_says_so_once(told, people):
    (said,) = told(days=2_000)
    assert said == f"nobody of {len(people)} people can get anything; what stops most (300 people): left too long ago"


def test_an_action_that_the_model_never_saw_is_named(told, email_playbook):
    extra = email_playbook.actions["better_email_update"].model_copy(update={"offer": "none"})
    book = email_playbook.model_copy(update={"actions": {**email_playbook.actions, "new_one": extra}})
    (said,) = told(book=book)
    assert said.startswith("nobody gets new one: the model has not learnt what it does")


def test_a_budget_too_small_for_one_contact_is_said(told, email_playbook):
    (said,) = told(budget=0.01)
    assert said.startswith("nobody can be contacted: the budget of 0.01 USD is too small for one contact, the cheapest")
    label = "miss_you_email_percent_off"
    dear = {label: email_playbook.actions[label].model_copy(update={"channel": "in_app"})}
    in_app = {"in_app": email_playbook.channels["in_app"].model_copy(update={"cost_currency": 5.0})}
    changes = {"actions": {**email_playbook.actions, **dear}, "channels": {**email_playbook.channels, **in_app}}
    book = email_playbook.model_copy(update=changes)
    assert told(budget=50.0, book=book) == []
    (said,) = told(budget=4.5, book=book)
    assert said.startswith("the budget of 4.5 USD is too small for one contact with 1 of 2 actions; the cheapest, miss")


def test_a_capacity_of_less_than_one_contact_is_said(told, email_playbook):
    book = with_channel(email_playbook, capacity_per_week=10)
    assert told(book=book) == []
    (said,) = told(book=book, weeks=0.05)
    assert said == "nobody can get email: its capacity of 10 a week is less than one contact in 0.05 weeks"


def test_suppressed_ids_that_are_nobodys_are_said_where_everybody_was_seen(told, people):
    (said,) = told(suppressed=["customer_id,why", "x,y"])
    assert "none of the 2 suppressed ids, such as 'customer_id,why'" in said
    assert told(suppressed=["nobody", people["customer_id"].iloc[0]]) == []
    assert told(suppressed=["nobody"], of=1_000_000) == []


def test_contacts_that_do_not_count_are_said(told, people, small_dataset):
    contacts, outcomes = small_dataset.contacts, small_dataset.outcomes
    assert told(contacts=contacts, outcomes=outcomes, days=300) == []
    future = contacts.assign(decided_at=pd.Timestamp("2100-01-01", tz="UTC"))
    n = int(future["customer_id"].isin(people["customer_id"]).sum())
    assert told(contacts=future, outcomes=outcomes, days=300) == [
        f"contacts.decided_at: {n:,} rows of the decision's time or later; only earlier ones count"
    ]
    (strange,) = told(contacts=contacts.assign(action="fax"), outcomes=outcomes, days=300)
    assert "such as 'fax'; it counts as a touch, but on no channel" in strange
    # where nobody was ever written to there is nothing to say
    assert told(contacts=contacts.head(0), outcomes=outcomes, days=300) == []
    others = contacts.assign(customer_id="x" + contacts["customer_id"])
    (said,) = told(contacts=others, outcomes=outcomes, days=300)
    assert (
        said == f"contacts: none of its {len(others):,} rows is about one of the people; expected the customer_id that "
        "the customers table has"
    )
