"""Who is due because of an event: nobody twice, nobody missed, and nobody who came back or wants to be left alone."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from propensity import playbook
from propensity.contract import OUTCOME_TYPES
from propensity.errors import InputError
from propensity.frame import training_frame
from propensity.playbook import Trigger
from propensity.policy import touch_history
from propensity.policy.history import RESPONSES
from propensity.triggers import due, due_customers

LEFT = pd.Timestamp("2026-03-01T12:00Z")
BOOK = playbook.load("default")
HOUR = pd.Timedelta(hours=1)


def people(*churned_at, as_of=LEFT):
    return pd.DataFrame(
        {
            "customer_id": pd.Series([f"c{i}" for i in range(len(churned_at))], dtype="str"),
            "as_of": pd.to_datetime([as_of] * len(churned_at), utc=True),
            "churned_at": pd.to_datetime(list(churned_at), utc=True),
        }
    )


def events(*rows):
    """From (customer, hours after `LEFT`, type)."""
    return pd.DataFrame(
        {
            "event_id": [f"e{i}" for i in range(len(rows))],
            "source": "shop",
            "customer_id": pd.Series([r[0] for r in rows], dtype="str"),
            "at": pd.to_datetime([LEFT + r[1] * HOUR for r in rows], utc=True),
            "type": pd.Series([r[2] for r in rows], dtype="str"),
        }
    )


def steps(found):
    return [tuple(row) for row in found[["customer_id", "trigger", "step"]].itertuples(index=False)]


def test_a_cancellation_is_due_once_when_cooling_off_ends():
    away, month = people(LEFT, LEFT + HOUR), 720 * HOUR
    assert steps(due(away, events(), BOOK, LEFT, LEFT + month)) == [("c0", "after_cancelling", 1)]
    later = due(away, events(), BOOK, LEFT + month, LEFT + 2 * month)
    assert steps(later) == [("c1", "after_cancelling", 1)]
    assert later["due_at"].tolist() == [LEFT + HOUR + month]


def test_steps_of_a_cancellation_wait_for_the_end_of_cooling_off():
    early = Trigger(event="cancelled", after_hours=(24, 48, 1000))
    book = BOOK.model_copy(update={"triggers": {"early": early}})
    found = due(people(LEFT), events(), book, LEFT, LEFT + 2000 * HOUR)
    assert found["step"].tolist() == [2, 3]
    assert found["due_at"].tolist() == [LEFT + 720 * HOUR, LEFT + 1000 * HOUR]


def test_a_cart_has_its_steps_and_a_newer_one_begins_anew():
    one = events(("c0", 10, "cart_abandoned"))
    found = due(people(LEFT), one, BOOK, LEFT, LEFT + 100 * HOUR)
    assert steps(found) == [("c0", "abandoned_cart", i) for i in (1, 2, 3)]
    assert [(t - LEFT) / HOUR for t in found["due_at"]] == [11, 34, 82]
    two = events(("c0", 10, "cart_abandoned"), ("c0", 30, "cart_abandoned"))
    assert [(t - LEFT) / HOUR for t in due(people(LEFT), two, BOOK, LEFT, LEFT + 200 * HOUR)["due_at"]] == [31, 54, 102]


def test_carts_of_people_who_had_not_left_are_not_for_this_program():
    carts = events(("c0", -1, "cart_abandoned"), ("c0", 0, "cart_abandoned"), ("stranger", 5, "cart_abandoned"))
    assert due(people(LEFT), carts, BOOK, LEFT - HOUR, LEFT + 100 * HOUR).empty


@pytest.mark.parametrize("kind", ["purchased", "reactivated", "unsubscribed", "complained"])
def test_who_came_back_or_wants_to_be_left_alone_is_due_for_nothing(kind):
    did = events(("c0", 10, "cart_abandoned"), ("c0", 20, kind))
    before, after = (
        due(people(LEFT), did, BOOK, LEFT, LEFT + 19 * HOUR),
        due(people(LEFT), did, BOOK, LEFT + 19 * HOUR, LEFT + 2000 * HOUR),
    )
    assert before["step"].tolist() == [1]
    assert after.empty


def test_a_purchase_before_they_left_is_no_return_but_an_early_complaint_still_counts():
    bought = events(("c0", -5, "purchased"), ("c1", -5, "complained"))
    found = due(people(LEFT, LEFT), bought, BOOK, LEFT, LEFT + 2000 * HOUR)
    assert steps(found) == [("c0", "after_cancelling", 1)]


@pytest.mark.parametrize("kind", ["opened", "clicked", "sent", "bounced", "churned"])
def test_other_events_change_nothing(kind):
    found = due(people(LEFT), events(("c0", 10, kind)), BOOK, LEFT, LEFT + 2000 * HOUR)
    assert steps(found) == [("c0", "after_cancelling", 1)]


CASES = st.lists(
    st.tuples(
        st.sampled_from(["c0", "c1", "c2"]),
        st.integers(-5, 900),
        st.sampled_from(["cart_abandoned", "cart_abandoned", "purchased", "unsubscribed", "opened"]),
    ),
    max_size=8,
)


@settings(max_examples=150, deadline=None)
@given(happened=CASES, cuts=st.sets(st.integers(1, 1999), max_size=6))
def test_runs_that_join_miss_nobody_and_repeat_nobody(happened, cuts):
    away, did = people(LEFT, LEFT + 3 * HOUR, LEFT + 700 * HOUR, as_of=LEFT - 10 * HOUR), events(*happened)
    ends = [LEFT + h * HOUR for h in (0, *sorted(cuts), 2000)]
    runs = [due(away, did, BOOK, *interval) for interval in pairwise(ends)]
    together = pd.concat(runs, ignore_index=True)
    assert not together.duplicated().any()
    expected = set()
    for who, left in zip(away["customer_id"], away["churned_at"], strict=True):
        mine = did[did["customer_id"] == who]
        for first, last in pairwise(ends):
            known = mine[mine["at"] <= last]
            back = (known["type"] == "purchased") & (known["at"] > left)
            if back.any() or (known["type"] == "unsubscribed").any():
                continue
            carts = known.loc[(known["type"] == "cart_abandoned") & (known["at"] > left), "at"]
            moments = [("after_cancelling", 1, left + 720 * HOUR)]
            if len(carts):
                moments += [("abandoned_cart", i, carts.max() + h * HOUR) for i, h in ((1, 1), (2, 24), (3, 72))]
            expected |= {(who, name, i, t) for name, i, t in moments if first < t <= last}
    assert set(together.itertuples(index=False, name=None)) == expected


def test_each_person_is_handed_on_once_with_their_newest_row_and_last_step():
    old, new = people(LEFT, LEFT), people(LEFT, LEFT, as_of=LEFT + 5 * HOUR)
    rows = pd.concat([new.assign(plan="b"), old.assign(plan="a")], ignore_index=True)
    until = LEFT + 100 * HOUR
    found = due_customers(rows, due(rows, events(("c1", 10, "cart_abandoned")), BOOK, LEFT, until), until)
    assert found[["customer_id", "plan", "trigger", "step"]].to_numpy().tolist() == [["c1", "b", "abandoned_cart", 3]]


def test_what_cannot_be_asked_is_refused():
    with pytest.raises(InputError, match="since, until: expected a time and a later one"):
        due(people(LEFT), events(), BOOK, LEFT, LEFT)
    with pytest.raises(InputError, match="has no triggers"):
        due(people(LEFT), events(), BOOK.model_copy(update={"triggers": {}}), LEFT, LEFT + HOUR)
    with pytest.raises(ValueError, match="each later than the one before"):
        Trigger(event="cart_abandoned", after_hours=(24, 24))


def test_an_abandoned_cart_is_neither_a_response_nor_an_outcome(small_dataset):
    """Carts of everybody, just after each decision, change no figure."""
    data = small_dataset
    carts = pd.DataFrame(
        {
            "event_id": [f"cart{i}" for i in range(len(data.contacts))],
            "source": "shop",
            "customer_id": data.contacts["customer_id"].to_numpy(),
            "at": (data.contacts["decided_at"] + HOUR).to_numpy(),
            "type": "cart_abandoned",
            "amount": 99.0,
        }
    ).astype({"at": data.outcomes["at"].dtype})
    both = pd.concat([data.outcomes, carts], ignore_index=True)
    window = data.playbook.program.attribution_window_days
    without, with_carts = (
        training_frame(data.customers, data.contacts, o, window_days=window) for o in (data.outcomes, both)
    )
    pd.testing.assert_frame_equal(without, with_carts)
    at = data.contacts["decided_at"].max() + pd.Timedelta(days=10)
    asked = data.customers.drop_duplicates("customer_id")
    one, other = (touch_history(asked, data.contacts, o, data.playbook, at) for o in (data.outcomes, both))
    np.testing.assert_array_equal(one.ignored, other.ignored)
    np.testing.assert_array_equal(one.came_back, other.came_back)
    assert "cart_abandoned" in OUTCOME_TYPES
    assert "cart_abandoned" not in RESPONSES


@pytest.fixture
def files(tmp_path):
    away = people(LEFT, LEFT, LEFT)
    away["customer_id"] = ["007", "008", "009"]
    did = events(("007", 10, "cart_abandoned"), ("008", 10, "cart_abandoned"), ("008", 10.5, "purchased"))
    away.to_csv(tmp_path / "customers.csv", index=False)
    did.to_csv(tmp_path / "events.csv", index=False)
    return tmp_path


def test_the_command_writes_who_is_due(propensity, files):
    asked = (files / "customers.csv", "--events", files / "events.csv", "--since", "2026-03-01T22:30:00")
    code, said, _ = propensity("due", *asked, "--until", "2026-03-02T00:00:00", "--out", files / "due.csv")
    assert code == 0
    assert "abandoned_cart, step 1: 1 due" in said
    found = pd.read_csv(files / "due.csv", dtype={"customer_id": str})
    assert found["customer_id"].tolist() == ["007"]
    assert pd.Timestamp(found["due_at"].iloc[0]) == LEFT + 11 * HOUR
    code, said, _ = propensity(
        "due", *asked, "--until", "2026-03-02T00:00:00", "--out", files / "due.csv", "--trigger", "after_cancelling"
    )
    assert (code, len(pd.read_csv(files / "due.csv"))) == (0, 0)
    assert "Nobody is due" in said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--trigger", "cart"], "--trigger cart: expected one of after_cancelling, abandoned_cart"),
        (["--step", "4"], "--step 4: expected at most 3"),
        (["--out", "due.txt"], "expected a file that ends in .parquet or .csv"),
        (["--since", "2026-03-03"], "expected a time and a later one"),
    ],
)
def test_a_wrong_option_is_one_sentence(propensity, files, options, said):
    usual = {"--events": files / "events.csv", "--since": "2026-03-01", "--until": "2026-03-02"}
    given_ = {**usual, "--out": files / "due.csv", **dict([options])}
    code, _, error = propensity("due", files / "customers.csv", *[x for pair in given_.items() for x in pair])
    assert code == 2
    assert said in error
    assert not (files / "due.csv").exists()
