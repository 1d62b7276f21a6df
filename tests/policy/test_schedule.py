"""Nothing goes out in quiet hours by the person's own clock, and what follows obeys the playbook."""

from __future__ import annotations

from datetime import time
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from propensity.contract import CONTROL
from propensity.errors import InputError
from propensity.playbook import QuietHours
from propensity.policy import next_touch, not_before
from propensity.policy.schedule import out_of_quiet_hours

SMS, EMAIL, CALL = "miss_you_sms_percent_off", "miss_you_email_none", "better_outreach_conversation"
NIGHT = QuietHours(start=time(20), end=time(9))
ZONES = ["UTC", "America/New_York", "Asia/Kolkata", "Pacific/Chatham", "Europe/Berlin"]


@given(
    at=st.datetimes(pd.Timestamp("2026-01-01"), pd.Timestamp("2027-01-01")),
    zone=st.sampled_from(ZONES),
    start=st.integers(0, 23),
    end=st.integers(0, 23),
)
def test_the_moment_is_outside_and_no_later_than_needed(at, zone, start, end):
    if start == end:
        return
    quiet = QuietHours(start=time(start), end=time(end))
    at = pd.Timestamp(at, tz="UTC")
    found = out_of_quiet_hours(at, quiet, zone)
    clock = found.tz_convert(zone).time()
    inside = start <= clock.hour < end if start < end else clock.hour >= start or clock.hour < end
    assert not inside
    assert at <= found <= at + pd.Timedelta(hours=25)
    # it waits only where it must, and then for the end of the quiet hours
    assert found == at or clock == time(end) or ZoneInfo(zone).utcoffset(found) != ZoneInfo(zone).utcoffset(at)


def test_each_person_has_their_own_clock(people, book):
    people["time_zone"] = ["Europe/Berlin", "America/Los_Angeles", None, "Asia/Tokyo"]
    at = pd.Timestamp("2026-03-02T18:30Z")  # 19:30 in Berlin, 10:30 in Los Angeles, 13:30 in New York, 3:30 in Tokyo
    found = not_before(np.full(4, SMS, dtype=object), people, book, at)
    assert list(found.index) == list(people.index)
    assert found.iloc[:3].tolist() == [at] * 3
    assert found.iloc[3] == pd.Timestamp("2026-03-03T00:00Z")
    evening = not_before(np.full(4, SMS, dtype=object), people, book, at + pd.Timedelta(hours=1))
    assert evening.iloc[0] == pd.Timestamp("2026-03-03T08:00Z")


def test_channels_without_quiet_hours_and_no_contact_wait_for_nothing(people, book):
    night = pd.Timestamp("2026-03-02T05:00Z")
    found = not_before(np.array([EMAIL, CONTROL, SMS, CALL], dtype=object), people, book, night)
    assert found.iloc[:2].tolist() == [night] * 2
    assert (found.iloc[2:] == pd.Timestamp("2026-03-02T14:00Z")).all()


def test_a_time_zone_that_there_is_not_is_named(people, book, at):
    people["time_zone"] = ["Europe/Berlin", "Mars/Base", "Mars/Base", None]
    with pytest.raises(
        InputError, match=r"customers\.time_zone: expected .*'Europe/Berlin', found 'Mars/Base' in 2 rows"
    ):
        not_before(np.full(4, SMS, dtype=object), people, book, at)


@pytest.fixture
def follow(people, book, at):
    def of(action, *, value=None, allowed=None):
        everything = pd.DataFrame(True, index=people.index, columns=book.labels)
        worth = pd.DataFrame(1.0, index=people.index, columns=book.labels)
        actions = np.full(4, action, dtype=object)
        first = not_before(actions, people, book, at)
        return next_touch(
            actions, worth if value is None else value, everything if allowed is None else allowed, people, book, first
        )

    return of


def test_the_next_step_with_the_same_archetype_of_greatest_value_follows(follow, people, book, at):
    worth = pd.DataFrame(0.0, index=people.index, columns=book.labels)
    worth["better_in_app_trial"] = 2.0
    worth["fit_in_app_onboarding"] = 9.0
    found = follow("better_email_update", value=worth)
    assert (found["next_action"] == "better_in_app_trial").all()
    assert (found["next_not_before"] == at + pd.Timedelta(days=7)).all()


def test_a_step_that_a_person_cannot_get_is_passed_over(follow, people, book, at):
    allowed = pd.DataFrame(True, index=people.index, columns=book.labels)
    allowed.loc[1, [a for a in book.labels if book.actions[a].channel in ("in_app", "sms")]] = False
    allowed.loc[4] = False
    found = follow("better_email_update", allowed=allowed)
    assert book.actions[found.loc[3, "next_action"]].channel == "in_app"
    assert found.loc[1, "next_action"] == "better_outreach_conversation"
    assert found.loc[1, "next_not_before"] == pd.Timestamp("2026-03-23T13:00Z")  # nine o'clock in New York
    assert found.loc[4].isna().all()


def test_after_the_last_step_and_after_no_contact_nothing_follows(follow):
    for action in ("better_outreach_conversation", CONTROL):
        assert follow(action).isna().all().all()


def test_what_must_not_follow_does_not(follow, book):
    found = follow("miss_you_email_percent_off")
    assert (found["next_action"] == "miss_you_in_app_points").all()  # not the discount by text message


def test_the_next_touch_too_keeps_the_quiet_hours(follow, people, book):
    allowed = pd.DataFrame(False, index=people.index, columns=book.labels)
    allowed[["miss_you_email_none", SMS]] = True
    found = follow("miss_you_email_none", allowed=allowed)
    # seven days after 9:00 UTC it is 4:00 in New York (daylight saving has begun by then: 5:00)
    assert (found["next_not_before"] == pd.Timestamp("2026-03-09T13:00Z")).all()
