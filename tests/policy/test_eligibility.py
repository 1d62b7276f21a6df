"""Each rule stops whom it must, and says so."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from test_history import contacts_of, events_of

from propensity import playbook
from propensity.playbook.parts import Change, Never, Season, Tier
from propensity.policy import Situation, archetype_by_rule, changed_since, eligibility, touch_history


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
    found = eligibility(people, book, at)
    assert found.stopped_by.isna().all()
    assert found.allowed.drop(columns=of(book, channel="retargeting_ad")).all().all()


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


EMAIL, OUTREACH, PUSH = "miss_you_email_percent_off", "better_outreach_conversation", "miss_you_push_points"


def after(people, book, at, contacts, events=()):
    """Eligibility after contacts (customer, days ago, action) and events (customer, days ago, type)."""
    tables = contacts_of(at, *contacts), events_of(at, *events)
    return eligibility(people, book, at, situation=Situation(touch_history(people, *tables, book, at)))


@pytest.mark.parametrize(
    ("contacts", "events", "rule"),
    [
        ([], [("b", 1, "unsubscribed")], "opted_out"),
        ([], [("b", 1, "complained")], "complained"),
        ([], [("b", 1, "reactivated")], "already_back"),
        ([], [("b", 1, "purchased")], "already_back"),
        ([("b", 40, EMAIL), ("b", 30, PUSH), ("b", 20, PUSH)], [], "resting_after_ignored_touches"),
        ([("b", d, PUSH) for d in (40, 30, 20, 10)], [("b", 5, "opened")], "touched_too_often"),
        ([("b", 2, EMAIL)], [], "touched_too_recently"),
    ],
)
def test_what_a_person_went_through_stops_all_contact_with_them_and_nobody_else(
    people, book, at, contacts, events, rule
):
    found = after(people, book, at, contacts, events)
    assert found.stopped_by[1] == rule
    assert not found.allowed.loc[1].any()
    assert found.stopped_by.drop(index=1).isna().all()


def test_who_rested_long_enough_or_answered_may_be_touched_again(people, book, at):
    people["churned_at"] = at - pd.Timedelta(days=400)
    long_ago = [("b", 150, PUSH), ("b", 120, EMAIL), ("b", 90, PUSH)]
    assert after(people, book, at, long_ago).stopped_by.isna().all()
    answered = after(people, book, at, [("b", 40, EMAIL), ("b", 30, PUSH), ("b", 20, PUSH)], [("b", 15, "clicked")])
    assert answered.stopped_by.isna().all()


@pytest.mark.parametrize(
    ("contacts", "events", "channel"),
    [
        ([("b", 5, EMAIL)], [], "email"),  # 7 days apart at least
        ([("b", 20, EMAIL)], [("b", 19, "bounced")], "email"),
        ([("b", 20, "miss_you_ad_none")], [], "retargeting_ad"),  # once in 45 days
    ],
)
def test_a_channel_rests_by_its_own_rules(people, book, at, contacts, events, channel):
    allowed = after(people, book, at, contacts, events).allowed
    stopped = set(allowed.columns[~allowed.loc[1]])
    assert set(of(book, channel=channel)) <= stopped
    assert {book.actions[a].channel for a in stopped if a not in book.actions_named("offer:percent_off")} <= {
        channel,
        "email",
        "in_app",
        "direct_mail",
    }
    assert allowed.drop(index=1).all().all()


def test_never_one_after_the_other(people, book, at):
    small = book.model_copy(update={"never": (Never(first=EMAIL, then="offer:points", within_days=30),)})
    for days, stopped in ((29, True), (31, False)):
        allowed = after(people, small, at, [("b", days, EMAIL)]).allowed
        assert (~allowed.loc[1, of(small, offer="points")] == stopped).all()
        assert allowed.loc[1].drop(of(small, offer="points")).all()


def test_a_channel_with_a_window_is_for_those_inside_it(people, book, at):
    ads = of(book, channel="retargeting_ad")
    for days, may in ((29, False), (30, True), (90, True), (91, False)):
        loose = book.model_copy(update={"program": book.program.model_copy(update={"cooling_off_days": 0.0})})
        people["churned_at"] = at - pd.Timedelta(days=days)
        assert (eligibility(people, loose, at).allowed[ads] == may).all().all()


def test_a_season_of_rest_is_told_by_the_playbooks_own_clock(people, book):
    rest = book.model_copy(update={"seasons": (Season(name="x", first_day="12-24", last_day="12-26"),)})
    for moment, closed in (("2026-12-24T04:59Z", False), ("2026-12-24T05:01Z", True), ("2026-12-27T04:59Z", True)):
        when = pd.Timestamp(moment)  # New York is five hours behind
        people["churned_at"] = when - pd.Timedelta(days=80)
        found = eligibility(people, rest, when)
        assert (found.stopped_by.eq("season_of_rest")).all() == closed
        by_row = eligibility(people, rest, pd.Series(when, index=people.index))
        pd.testing.assert_frame_equal(by_row.allowed, found.allowed)


def test_an_archetype_that_needs_a_change_waits_for_one(people, book, at):
    waiting = {
        **book.archetypes,
        "we_got_better": book.archetypes["we_got_better"].model_copy(update={"needs_change": True}),
    }
    release = Change(on=(at - pd.Timedelta(days=10)).date(), what="single sign-on", closes=("fit_problem",))
    planned = Change(on=(at + pd.Timedelta(days=10)).date(), what="later")
    early = Change(on=(at - pd.Timedelta(days=81)).date(), what="before they left")
    waiting_book = book.model_copy(update={"archetypes": waiting, "changes": (release, planned, early)})
    changed = changed_since(people, people["reason"], waiting_book, at, None)
    assert changed.tolist() == [False, True, False, False]
    allowed = eligibility(people, waiting_book, at, situation=Situation(changed=changed)).allowed
    assert allowed[of(book, archetype="we_got_better")].all(axis=1).tolist() == changed.tolist()
    assert allowed[of(book, archetype="we_miss_you")].all().all()


def test_rules_name_an_archetype_before_reasons_do(people, book):
    rules = [
        {"archetype": "circumstances_changed", "relationships": ["after_service_failure"]},
        {"archetype": "we_got_better", "reasons": ["fit_problem"], "competitor": True, "changed": True},
    ]
    ruled = playbook.Playbook.model_validate({**book.model_dump(), "archetype_rules": rules})
    people["relationship"] = ["amicable", "amicable", "after_service_failure", None]
    people["competitor"] = [None, "Rival", None, "Rival"]
    reason = people["reason"]
    yes, no = np.ones(4, dtype=bool), np.zeros(4, dtype=bool)
    found = archetype_by_rule(people, reason, yes, ruled)
    assert found.tolist() == ["circumstances_changed", "we_got_better", "circumstances_changed", None]
    assert archetype_by_rule(people, reason, no, ruled)[1] == "wrong_fit_now_right"
    assert list(found.index) == list(people.index)


def tiers_of(people, *values):
    kind = pd.CategoricalDtype(["individual", "segment", "mass", "unknown"])
    return pd.DataFrame({"value_tier": pd.Categorical(values, dtype=kind)}, index=people.index)


def test_a_value_tier_keeps_to_its_channels(people, book, at):
    tiers = {**book.tiers, "mass": Tier(only_channels=("email",))}
    segments = tiers_of(people, "mass", "individual", "unknown", "mass")
    tiered = book.model_copy(update={"tiers": tiers})
    allowed = eligibility(people, tiered, at, situation=Situation(segments=segments)).allowed
    others = [a for a in book.labels if book.actions[a].channel != "email"]
    assert allowed[others].any(axis=1).tolist() == [False, True, True, False]
    assert allowed[of(book, channel="email")].all().all()


def test_an_action_for_some_is_for_those_only(people, book, at):
    calls = {
        **book.actions,
        OUTREACH: book.actions[OUTREACH].model_copy(update={"only": {"value_tier": ("individual",)}}),
    }
    segments = tiers_of(people, "mass", "individual", "unknown", "segment")
    some = book.model_copy(update={"actions": calls})
    allowed = eligibility(people, some, at, situation=Situation(segments=segments)).allowed
    assert allowed[OUTREACH].tolist() == [False, True, False, False]
    assert allowed.drop(columns=OUTREACH).all().all()
