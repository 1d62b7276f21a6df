"""The best time of contact: claimed only where it is one, and kept to the minute by people's own clocks."""

from __future__ import annotations

from datetime import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from propensity import playbook
from propensity.contact_times import BestTime, ContactTimes
from propensity.contract import CONTROL
from propensity.model import DecisionModel
from propensity.playbook import QuietHours
from propensity.simulation.sends import EMAILS, no_difference, sent_messages

BOOK = playbook.load("default")
SMS = "miss_you_sms_percent_off"


def mornings(weekday, hour):
    return 0.06 * ((hour >= 8) & (hour < 12))


def best_time(weekday=None, hours=None):
    return BestTime(weekday, hours, 1_000, 50, 0.3, 0.04, 0.05, 0.005)


def test_where_times_make_no_difference_a_best_one_is_hardly_ever_claimed():
    """Though people, days and weeks differ, and people are written to at hours of their own."""
    found = [ContactTimes.fit(*sent_messages(6_000, no_difference, seed=seed), BOOK) for seed in range(40)]
    assert all(times.compared >= 10 for times in found)
    # with a share of 5 %, six or more of 40 come about once in seventy times
    assert sum(bool(times.best) for times in found) < 6


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo"])
def test_a_real_difference_is_found_by_peoples_own_clocks(zone):
    tables = sent_messages(16_000, mornings, seed=1, habits=False, zone=zone)
    best = ContactTimes.fit(*tables, BOOK).best["email"]
    assert (best.weekday, best.hours) == (None, (8, 12))
    assert 0.04 < best.gain <= best.measured_gain < 0.08


def test_a_single_hour_of_the_week_is_found_where_it_is_much_better():
    tables = sent_messages(30_000, lambda w, h: 0.2 * ((w == 1) & (h // 4 == 2)), seed=2, weeks=26, habits=False)
    best = ContactTimes.fit(*tables, BOOK).best["email"]
    assert (best.weekday, best.hours) == (1, (8, 12))


def test_neither_the_message_nor_the_season_is_taken_for_the_time():
    contacts, outcomes, customers = sent_messages(24_000, no_difference, seed=3, habits=False)
    sent = outcomes[outcomes["type"] == "sent"].set_index("decision_id")["at"].reindex(contacts["decision_id"])
    hour = sent.dt.tz_convert("America/New_York").dt.hour.to_numpy()
    good = (contacts["action"] == EMAILS[2]).to_numpy()
    by_message = contacts[good == (hour // 4 == 2)]
    assert not ContactTimes.fit(by_message, outcomes, customers, BOOK).best
    # every other week is sent in the morning, and in these weeks more people answer
    week = (contacts["decided_at"] - contacts["decided_at"].min()).dt.days.to_numpy() // 7
    by_week = contacts[(week % 2 == 0) == (hour // 4 == 2)]
    late = by_week["decision_id"][(week % 2 == 0)[by_week.index]]
    more = outcomes[(outcomes["type"] != "opened") | ~outcomes["decision_id"].isin(late[:4_000:2])]
    assert not ContactTimes.fit(by_week, more, customers, BOOK).best


def test_a_few_extraordinary_days_are_no_best_time():
    contacts, outcomes, customers = sent_messages(16_000, no_difference, seed=4, habits=False)
    sent = outcomes[outcomes["type"] == "sent"]
    local = sent["at"].dt.tz_convert("America/New_York")
    tuesdays = (local.dt.day_of_week == 1) & (local.dt.isocalendar().week.isin([3, 7, 9]))
    news = sent[tuesdays].assign(type="opened")
    shares = ContactTimes.fit(contacts, pd.concat([outcomes, news], ignore_index=True), customers, BOOK)
    assert not shares.best


def test_without_known_times_nothing_is_compared(small_dataset):
    data = small_dataset
    silent = data.outcomes[data.outcomes["type"] != "sent"]
    for outcomes in (silent, silent.drop(columns="decision_id"), data.outcomes):  # the program is sent on one day
        assert ContactTimes.fit(data.contacts, outcomes, data.customers, data.playbook).compared == 0


def test_an_answer_without_a_decision_counts_for_the_last_message_before_it_and_late_ones_do_not():
    contacts, outcomes, customers = sent_messages(16_000, mornings, seed=1, habits=False, each=1)
    expected = ContactTimes.fit(contacts, outcomes, customers, BOOK)
    unnamed = outcomes.assign(decision_id=outcomes["decision_id"].where(outcomes["type"] != "opened"))
    only = ~contacts["customer_id"].duplicated(keep=False)
    contacts = contacts[only]
    same = [ContactTimes.fit(contacts, o, customers, BOOK).best["email"] for o in (outcomes, unnamed)]
    assert same[0] == same[1]
    late = outcomes["at"] + pd.to_timedelta(3 * (outcomes["type"] == "opened"), unit="D")
    assert not ContactTimes.fit(contacts, outcomes.assign(at=late), customers, BOOK).best
    assert expected.best


def test_the_order_of_rows_does_not_matter():
    tables = sent_messages(8_000, mornings, seed=5, habits=False)
    shuffled = [t.sample(frac=1, random_state=0) for t in tables]
    one, other = ContactTimes.fit(*tables, BOOK), ContactTimes.fit(*shuffled, BOOK)
    assert one.compared == other.compared
    assert one.best["email"].measured_gain == pytest.approx(other.best["email"].measured_gain)


def is_quiet(hour, quiet):
    if quiet is None:
        return False
    start, end = quiet
    return start <= hour < end if start < end else hour >= start or hour < end


@settings(max_examples=80, deadline=None)
@given(
    first=st.integers(0, 366 * 96),
    zone=st.sampled_from(["UTC", "America/New_York", "Asia/Kolkata", "Pacific/Chatham", "Europe/Berlin"]),
    weekday=st.one_of(st.none(), st.integers(0, 6)),
    block=st.one_of(st.none(), st.integers(0, 5)),
    quiet=st.one_of(st.none(), st.tuples(st.integers(0, 23), st.integers(0, 23)).filter(lambda q: q[0] != q[1])),
)
def test_the_moment_is_the_first_in_the_best_time_and_out_of_quiet_hours(first, zone, weekday, block, quiet):
    hours = None if block is None else (4 * block, 4 * block + 4)
    rule = None if quiet is None else QuietHours(start=time(quiet[0]), end=time(quiet[1]))
    channels = BOOK.channels | {"sms": BOOK.channels["sms"].model_copy(update={"quiet_hours": rule})}
    book = BOOK.model_copy(update={"channels": channels})
    start = pd.Timestamp("2026-01-01T00:00Z") + pd.Timedelta(minutes=15 * first)
    grid = start + pd.to_timedelta(np.arange(9 * 96) * 15, unit="m")
    clock = grid.tz_convert(zone)
    fits = np.ones(len(grid), dtype=bool) if weekday is None else np.asarray(clock.day_of_week == weekday)
    fits &= np.isin(clock.hour, [h for h in range(24) if block in (None, h // 4) and not is_quiet(h, quiet)])
    expected = grid[fits][0] if fits.any() else start
    people = pd.DataFrame({"customer_id": ["a"], "time_zone": [zone]})
    found = ContactTimes({"sms": best_time(weekday, hours)}).contact_at(
        np.array([SMS], dtype=object), pd.Series([start]).dt.as_unit("us"), people, book, start + pd.Timedelta(days=30)
    )
    assert found.iloc[0] == expected


def test_other_channels_and_decisions_that_end_before_wait_for_nothing():
    first = pd.Series([pd.Timestamp("2026-03-02T09:00Z")] * 3, index=[5, 3, 4]).dt.as_unit("us")
    people = pd.DataFrame({"customer_id": list("abc")}, index=first.index)
    actions = np.array([SMS, EMAILS[0], CONTROL], dtype=object)
    times = ContactTimes({"sms": best_time(3, (12, 16))})
    thursday = pd.Timestamp("2026-03-05T17:00Z")  # noon in New York
    found = times.contact_at(actions, first, people, BOOK, thursday + pd.Timedelta(hours=1))
    assert found.to_dict() == {5: thursday, 3: first.iloc[0], 4: first.iloc[0]}
    assert times.contact_at(actions, first, people, BOOK, thursday).equals(first)
    assert ContactTimes().contact_at(actions, first, people, BOOK, thursday).equals(first)


def test_decisions_carry_the_best_moment_and_what_follows_waits_for_it(small_model, small_dataset, tmp_path):
    people = small_dataset.customers.drop_duplicates("customer_id").head(500)
    at = people["as_of"].max() + pd.Timedelta(days=40)
    before = small_model.decide(people, at=at)
    assert before["contact_at"].equals(before["not_before"].rename("contact_at"))
    small_model.save(tmp_path / "model")
    model = DecisionModel.load(tmp_path / "model")
    model.contact_times = ContactTimes({"email": best_time(2, (8, 12))}, 55, 9_000)
    model.save(tmp_path / "timed")
    again = DecisionModel.load(tmp_path / "timed")
    assert again.contact_times == model.contact_times
    after = again.decide(people, at=at)
    sent = after["send"]
    local = after.loc[sent, "contact_at"].dt.tz_convert(BOOK.program.time_zone)
    assert sent.sum() > 100
    assert (local.dt.day_of_week == 2).all()
    assert local.dt.hour.between(8, 11).all()
    assert (after["contact_at"] >= after["not_before"]).all()
    assert (after["contact_at"] < after["expires_at"]).all()
    assert after.loc[~sent, "contact_at"].equals(after.loc[~sent, "not_before"].rename("contact_at"))
    untimed = ["contact_at", "next_not_before"]
    pd.testing.assert_frame_equal(after.drop(columns=untimed), before.drop(columns=untimed))
    follows = after["next_action"].notna()
    waited = after["next_not_before"] - after["contact_at"]
    assert (waited[follows] >= pd.Timedelta(days=7)).all()
