"""Each rule stops whom it must, and says so."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from propensity.policy import eligibility


def of(book, **parts):
    """Labels of the actions whose parts are these."""
    return [k for k, a in book.actions.items() if all(getattr(a, p) == v for p, v in parts.items())]


def test_without_a_rule_against_it_everything_is_allowed(people, book, at):
    found = eligibility(people, book, at)
    assert list(found.allowed.columns) == book.labels
    assert list(found.allowed.index) == list(found.stopped_by.index) == [3, 1, 4, 2]
    assert found.allowed.all().all()
    assert found.stopped_by.isna().all()


@pytest.mark.parametrize(("hours", "rule"), [(30 * 24 - 1, "cooling_off"), (548 * 24 + 1, "past_horizon")])
def test_too_early_and_too_late(people, book, at, hours, rule):
    people.loc[1, "churned_at"] = at - pd.Timedelta(hours=hours)
    found = eligibility(people, book, at)
    assert not found.allowed.loc[1].any()
    assert found.stopped_by[1] == rule
    assert found.allowed.drop(index=1).all().all()
    assert found.stopped_by.drop(index=1).isna().all()


@pytest.mark.parametrize("days", [30, 548])
def test_the_first_and_the_last_day_are_inside(people, book, at, days):
    people["churned_at"] = at - pd.Timedelta(days=days)
    assert eligibility(people, book, at).allowed.all().all()


def test_suppressed(people, book, at):
    found = eligibility(people, book, at, suppressed=["b", "nobody"])
    assert found.stopped_by[1] == "suppressed"
    assert not found.allowed.loc[1].any()
    assert found.allowed.drop(index=1).all().all()


def test_rules_of_the_person_come_first_and_in_order(people, book, at):
    people["churned_at"] = [at, at, at - pd.Timedelta(days=900), at - pd.Timedelta(days=900)]
    people["account_access"] = False
    found = eligibility(people, book, at, suppressed=["a", "c"])
    assert found.stopped_by.tolist() == ["suppressed", "cooling_off", "suppressed", "past_horizon"]


@pytest.mark.parametrize("value", [False, None, "no column"])
def test_no_consent_no_message_on_that_channel(people, book, at, value):
    for channel in book.consent_channels:
        changed = people.drop(columns=f"consent_{channel}") if value == "no column" else people.copy()
        if value != "no column":
            changed.loc[1, f"consent_{channel}"] = value
        found = eligibility(changed, book, at).allowed
        stopped = found.columns[~found.loc[1]]
        assert sorted(stopped) == sorted(of(book, channel=channel))
        if value != "no column":
            assert found.drop(index=1).all().all()


@pytest.mark.parametrize("value", [False, None])
def test_no_account_no_message_in_the_app(people, book, at, value):
    people.loc[4, "account_access"] = value
    found = eligibility(people, book, at).allowed
    assert sorted(found.columns[~found.loc[4]]) == sorted(of(book, channel="in_app"))


def test_offers_are_kept_from_reasons_that_they_do_not_answer(people, book, at):
    people["reason"] = ["price", "service_problem", "product_gap", None]
    found = eligibility(people, book, at).allowed
    percent, points = of(book, offer="percent_off"), of(book, offer="points")
    assert sorted(found.columns[~found.loc[3]]) == sorted(percent)
    assert sorted(found.columns[~found.loc[1]]) == sorted(percent + points)
    assert sorted(found.columns[~found.loc[4]]) == sorted(percent)
    assert found.loc[2].all()
    assert eligibility(people.drop(columns="reason"), book, at).allowed.all().all()


def test_who_may_get_nothing_is_told_the_rule_that_took_most(people, book, at):
    email = {k: a for k, a in book.actions.items() if a.channel == "email"}
    in_app = {k: a for k, a in book.actions.items() if a.channel == "in_app"}
    small = book.model_copy(update={"actions": {**email, **in_app}})
    people.loc[1, ["consent_email", "account_access"]] = False
    people.loc[4, "account_access"] = False
    found = eligibility(people, small, at)
    assert len(email) > len(in_app)
    assert found.stopped_by[1] == "no_consent_email"
    assert found.stopped_by.drop(index=1).isna().all()
    assert eligibility(people, small.model_copy(update={"actions": in_app}), at).stopped_by[4] == "no_account_access"


def test_only_excluded_offers_left(people, book, at):
    small = book.model_copy(update={"actions": {k: book.actions[k] for k in of(book, offer="percent_off")}})
    people["reason"] = ["price", "fit_problem", None, None]
    assert eligibility(people, small, at).stopped_by.tolist() == ["offer_excluded_for_reason", None, None, None]


def test_each_person_may_have_a_time_of_their_own(people, book, at):
    times = pd.Series([at, at - pd.Timedelta(days=90), at, at], index=people.index)
    assert eligibility(people, book, times).stopped_by.tolist() == [None, "cooling_off", None, None]


def test_rules_do_not_change_the_customers(people, book, at):
    before = people.copy()
    eligibility(people, book, at, suppressed=["a"])
    pd.testing.assert_frame_equal(people, before)
    assert np.array_equal(people.index, [3, 1, 4, 2])
