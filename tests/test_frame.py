"""The training frame: nothing younger than the decision goes in, and nothing outside its window counts."""

import numpy as np
import pandas as pd
import pytest

from propensity.errors import InputError
from propensity.frame import (
    OUTCOME_COLUMNS,
    all_actions,
    is_held_out_of_training,
    logged_propensity,
    require_separate_windows,
    require_windows_closed,
    split,
    training_frame,
)

DECIDED = pd.Timestamp("2026-01-10T12:00", tz="UTC")
DAY = pd.Timedelta(days=1)
TICK = pd.Timedelta(microseconds=1)
WINDOW_DAYS = 30


def times(values):
    return pd.Series(values, dtype="datetime64[us, UTC]")


def customers(rows):
    """Rows of (customer, as_of, tier)."""
    ids, as_of, tier = zip(*rows, strict=True)
    return pd.DataFrame({"customer_id": ids, "as_of": times(as_of), "tier": tier})


def contacts(rows):
    """Rows of (decision, customer, decided_at)."""
    ids, people, decided_at = zip(*rows, strict=True)
    return pd.DataFrame(
        {"decision_id": ids, "customer_id": people, "decided_at": times(decided_at), "action": "control"}
    )


def events(*rows):
    """Rows of (customer, at, type, amount)."""
    people, at, kind, amount = zip(*rows, strict=True) if rows else ([], [], [], [])
    return pd.DataFrame(
        {
            "customer_id": pd.Series(people, dtype="str"),
            "at": times(at),
            "type": pd.Series(kind, dtype="str"),
            "amount": pd.Series(amount, dtype="float64"),
        }
    )


ONE_CUSTOMER = customers([("c", DECIDED - DAY, "basic")])
ONE_CONTACT = contacts([("d", "c", DECIDED)])


def outcome_of(*rows):
    """(reactivated, revenue, unsubscribed) of the one decision."""
    frame = training_frame(ONE_CUSTOMER, ONE_CONTACT, events(*rows), window_days=WINDOW_DAYS)
    return tuple(frame[list(OUTCOME_COLUMNS)].iloc[0])


# ------------------------------------------------------------------------------------------------------- outcomes


@pytest.mark.parametrize(
    ("after", "counts"),
    [
        (-TICK, False),
        (pd.Timedelta(0), True),
        (DAY, True),
        (WINDOW_DAYS * DAY, True),
        (WINDOW_DAYS * DAY + TICK, False),
        (-400 * DAY, False),
    ],
)
@pytest.mark.parametrize(
    ("kind", "counted"), [("purchased", (1, 9, 0)), ("reactivated", (1, 0, 0)), ("unsubscribed", (0, 0, 1))]
)
def test_only_what_happens_inside_the_window_counts(after, counts, kind, counted):
    assert outcome_of(("c", DECIDED + after, kind, 9.0)) == (counted if counts else (0, 0, 0))


def test_purchases_add_up_and_refunds_are_taken_off():
    rows = [("c", DECIDED + DAY, "purchased", amount) for amount in (20.0, 5.0, -8.0, np.nan)]
    assert outcome_of(*rows) == (1, 17, 0)


def test_coming_back_twice_is_coming_back():
    assert outcome_of(("c", DECIDED, "reactivated", np.nan), ("c", DECIDED + DAY, "purchased", 1.0)) == (1, 1, 0)


@pytest.mark.parametrize("kind", ["sent", "delivered", "opened", "clicked", "bounced", "complained", "churned"])
def test_attention_is_no_outcome(kind):
    assert outcome_of(("c", DECIDED + DAY, kind, 9.0)) == (0, 0, 0)


def test_nobody_elses_outcome_counts():
    assert outcome_of(("other", DECIDED + DAY, "purchased", 9.0)) == (0, 0, 0)


def test_no_events_are_noughts():
    assert outcome_of() == (0, 0, 0)


def test_outcomes_without_amounts_bring_no_revenue():
    rows = events(("c", DECIDED + DAY, "purchased", 9.0)).drop(columns="amount")
    frame = training_frame(ONE_CUSTOMER, ONE_CONTACT, rows, window_days=WINDOW_DAYS)
    assert frame.loc[0, ["reactivated", "revenue"]].tolist() == [1, 0]


def test_an_event_in_two_windows_counts_for_both_decisions():
    two = contacts([("d1", "c", DECIDED), ("d2", "c", DECIDED + 10 * DAY)])
    frame = training_frame(ONE_CUSTOMER, two, events(("c", DECIDED + 15 * DAY, "purchased", 9.0)), window_days=30)
    assert frame["revenue"].tolist() == [9, 9]


# ------------------------------------------------------------------------------------------------------- features


def test_the_last_snapshot_before_the_decision_is_used():
    snapshots = customers(
        [
            ("c", DECIDED - 20 * DAY, "oldest"),
            ("c", DECIDED, "at the decision"),
            ("c", DECIDED + TICK, "too young"),
            ("other", DECIDED, "not theirs"),
        ]
    )
    frame = training_frame(snapshots, ONE_CONTACT, events(), window_days=WINDOW_DAYS)
    assert frame["tier"].tolist() == ["at the decision"]
    assert (frame["as_of"] <= frame["decided_at"]).all()


def test_each_decision_sees_its_own_time():
    snapshots = customers([("c", DECIDED - DAY, "early"), ("c", DECIDED + DAY, "late")])
    two = contacts([("d1", "c", DECIDED), ("d2", "c", DECIDED + 2 * DAY)])
    frame = training_frame(snapshots, two, events(), window_days=WINDOW_DAYS)
    assert frame["tier"].tolist() == ["early", "late"]


def test_a_decision_about_somebody_not_yet_known_is_left_out():
    frame = training_frame(
        customers([("c", DECIDED + TICK, "too young")]), ONE_CONTACT, events(), window_days=WINDOW_DAYS
    )
    assert frame.empty


@pytest.mark.parametrize(("now", "n"), [(DECIDED + 30 * DAY - TICK, 0), (DECIDED + 30 * DAY, 1), (None, 1)])
def test_open_windows_are_left_out(now, n):
    frame = training_frame(ONE_CUSTOMER, ONE_CONTACT, events(), window_days=WINDOW_DAYS, now=now)
    assert len(frame) == n


# ------------------------------------------------------------------------------------------------------ invariants


def random_tables(seed):
    rng = np.random.default_rng(seed)
    people = [f"c{i}" for i in range(40)]

    def moments(n, low, high):
        return [DECIDED + pd.Timedelta(hours=int(h)) for h in rng.integers(24 * low, 24 * high, n)]

    snapshots = [(p, t, f"tier {i}") for i, (p, t) in enumerate(zip(people * 3, moments(120, -60, 20), strict=True))]
    decisions = [(f"d{i:03d}", rng.choice(people), t) for i, t in enumerate(moments(100, -10, 60))]
    kinds = ["purchased", "reactivated", "unsubscribed", "opened"]
    happened = [(rng.choice(people), t, rng.choice(kinds), float(rng.integers(-9, 99))) for t in moments(400, -30, 120)]
    table = customers(snapshots).drop_duplicates(["customer_id", "as_of"])
    return table, contacts(decisions), events(*happened)


def by_hand(people, decisions, happened, now):
    """The frame by plain loops."""
    rows = []
    for d in decisions.itertuples():
        known = [c for c in people.itertuples() if c.customer_id == d.customer_id and c.as_of <= d.decided_at]
        if not known or d.decided_at + WINDOW_DAYS * DAY > now:
            continue
        inside = [
            e
            for e in happened.itertuples()
            if e.customer_id == d.customer_id and d.decided_at <= e.at <= d.decided_at + WINDOW_DAYS * DAY
        ]
        rows.append(
            {
                "decision_id": d.decision_id,
                "tier": max(known, key=lambda c: c.as_of).tier,
                "reactivated": float(any(e.type in ("purchased", "reactivated") for e in inside)),
                "revenue": sum(e.amount for e in inside if e.type == "purchased"),
                "unsubscribed": float(any(e.type == "unsubscribed" for e in inside)),
            }
        )
    return pd.DataFrame(rows)


@pytest.mark.parametrize("seed", range(3))
def test_equal_to_plain_loops(seed):
    tables, now = random_tables(seed), DECIDED + 70 * DAY
    frame = training_frame(*tables, window_days=WINDOW_DAYS, now=now)
    expected = by_hand(*tables, now)
    assert 20 < len(expected) < 100
    pd.testing.assert_frame_equal(frame[list(expected)], expected, check_dtype=False)


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_rows_does_not_matter(seed):
    tables = random_tables(seed)
    shuffled = [table.sample(frac=1, random_state=seed) for table in tables]
    pd.testing.assert_frame_equal(
        training_frame(*shuffled, window_days=WINDOW_DAYS), training_frame(*tables, window_days=WINDOW_DAYS)
    )


def test_the_future_of_a_frame_does_not_change_it():
    tables, now = random_tables(7), DECIDED + 60 * DAY
    known = [table[table[time] <= now] for table, time in zip(tables, ("as_of", "decided_at", "at"), strict=True)]
    pd.testing.assert_frame_equal(
        training_frame(*known, window_days=WINDOW_DAYS, now=now),
        training_frame(*tables, window_days=WINDOW_DAYS, now=now),
    )


def test_the_tables_are_left_alone():
    tables = random_tables(1)
    before = [table.copy() for table in tables]
    training_frame(*tables, window_days=WINDOW_DAYS)
    for table, old in zip(tables, before, strict=True):
        pd.testing.assert_frame_equal(table, old)


# --------------------------------------------------------------------------------------------- logged probabilities


def served(**columns):
    return pd.DataFrame({"action": ["control", "email", "email"], "probability": [0.4, 0.6, 0.6]}).assign(**columns)


def test_one_probability_an_action_holds_for_everybody():
    logged = logged_propensity(served(), ["control", "email"])
    assert list(logged.columns) == ["control", "email"]
    np.testing.assert_allclose(logged, [[0.4, 0.6]] * 3)


def test_logged_columns_are_used_as_they_are():
    wide = served(
        probability=[0.1, 0.9, 0.5], probability_control=[0.1, 0.1, 0.5], probability_email=[0.9, 0.9, 0.5]
    ).set_axis([4, 2, 8])
    logged = logged_propensity(wide, ["control", "email"])
    assert logged.index.tolist() == [4, 2, 8]
    np.testing.assert_array_equal(logged, [[0.1, 0.9], [0.1, 0.9], [0.5, 0.5]])


def test_probabilities_that_differ_between_people_want_a_column_an_action():
    with pytest.raises(InputError, match=r"differs between people for email: .*probability_<action>"):
        logged_propensity(served(probability=[0.4, 0.6, 0.5]), ["control", "email"])


@pytest.mark.parametrize(("actions", "total"), [(["control", "email"], "0.9"), (["control", "email", "sms"], "0.9")])
def test_probabilities_that_do_not_add_up_are_refused(actions, total):
    with pytest.raises(InputError, match=rf"control 0\.3, email 0\.6.* sum to {total}, must be 1"):
        logged_propensity(served(probability=[0.3, 0.6, 0.6]), actions)


def test_control_comes_first():
    assert all_actions(["sms", "email"]) == ["control", "email", "sms"]


# ------------------------------------------------------------------------------------------------------- real data


@pytest.mark.real_data
def test_the_real_experiment_gives_its_published_figures(hillstrom_frame):
    assert len(hillstrom_frame) == 64_000
    assert hillstrom_frame["action"].value_counts().to_dict() == {
        "control": 21_306,
        "mens_email": 21_307,
        "womens_email": 21_387,
    }
    means = hillstrom_frame.groupby("action")[["reactivated", "revenue"]].mean()
    np.testing.assert_allclose(means["reactivated"], [0.1062, 0.1828, 0.1514], atol=5e-5)
    np.testing.assert_allclose(means["revenue"], [0.653, 1.423, 1.077], atol=5e-4)


@pytest.mark.real_data
def test_the_real_experiment_was_drawn_in_thirds(hillstrom_frame):
    logged = logged_propensity(hillstrom_frame, ["control", "mens_email", "womens_email"])
    np.testing.assert_allclose(logged, 1 / 3)


@pytest.mark.real_data
def test_no_feature_is_younger_than_its_decision(hillstrom_frame):
    assert (hillstrom_frame["as_of"] <= hillstrom_frame["decided_at"]).all()
    assert (hillstrom_frame["churned_at"] < hillstrom_frame["decided_at"]).all()


def test_overlapping_windows_of_one_person_are_refused_and_separate_ones_are_not():
    at = pd.to_datetime(["2026-01-01", "2026-01-20", "2026-01-05"], utc=True)
    contacts = pd.DataFrame({"customer_id": ["a", "a", "b"], "decided_at": at})
    require_separate_windows(contacts, 14)
    with pytest.raises(InputError, match="1 decisions come less than 30 days"):
        require_separate_windows(contacts.iloc[::-1], 30)


# ------------------------------------------------------------------------------------------------------------ split


def decisions(*groups, action=("control", "email")):
    """A frame of groups of (day, first customer, number of customers), half of them with each action."""
    rows = [(DECIDED + day * DAY, f"c{first + i}", action[i % 2]) for day, first, n in groups for i in range(n)]
    decided_at, people, actions = zip(*rows, strict=True)
    return pd.DataFrame(
        {
            "decision_id": [f"d{i:05d}" for i in range(len(rows))],
            "customer_id": people,
            "decided_at": times(decided_at),
            "action": actions,
        }
    )


def by_time(frame, share=0.5, kind=None, window_days=WINDOW_DAYS):
    return split(frame, window_days=window_days, share=share, seed=0, kind=kind)


def test_by_time_the_latest_test_and_only_closed_windows_teach():
    frame = decisions((0, 0, 200), (20, 1000, 150), (30, 2000, 200))
    found = by_time(frame)
    assert found.kind == "time"
    assert set(found.held_out["decided_at"]) == {DECIDED + 30 * DAY}
    assert set(found.training["decided_at"]) == {DECIDED}
    assert "150 in between are on neither side" in found.why
    assert "the 200 decisions from 2026-02-09 on test; the 200 until 2026-01-10 teach" in found.why


@pytest.mark.parametrize(("last", "kind"), [(30 * DAY, "time"), (30 * DAY - TICK, "customers")])
def test_a_window_counts_as_closed_when_it_ends_and_not_before(last, kind):
    frame = decisions((0, 0, 200), (last / DAY, 1000, 200))
    assert by_time(frame).kind == kind


@pytest.mark.parametrize("seed", range(4))
def test_by_time_equals_trying_every_moment(seed):
    rng = np.random.default_rng(seed)
    days = np.sort(rng.integers(0, 90, 600))
    frame = decisions(*((int(day), i, 1) for i, day in enumerate(days)))
    frame["action"] = rng.choice(["control", "email"], 600)
    share = float(rng.uniform(0.35, 0.65))
    found = by_time(frame, share)
    off = []
    for day in sorted(set(days)):
        n_test, n_training = (days >= day).sum(), (days <= day - WINDOW_DAYS).sum()
        if n_training:
            off.append((abs(n_test / (n_test + n_training) - share), -day, n_test, n_training))
    _, _, n_test, n_training = min(off)
    assert (len(found.held_out), len(found.training)) == (n_test, n_training)
    assert found.training["decided_at"].max() + WINDOW_DAYS * DAY <= found.held_out["decided_at"].min()


def test_whoever_taught_does_not_test_again():
    frame = decisions((0, 0, 300), (40, 200, 300))
    found = by_time(frame)
    assert len(found.training) == 300
    assert len(found.held_out) == 200
    assert not set(found.training["customer_id"]) & set(found.held_out["customer_id"])
    assert "100 people who taught do not count again in the test" in found.why


def test_the_order_of_rows_does_not_change_a_split():
    frame = decisions((0, 0, 200), (20, 1000, 150), (30, 2000, 200))
    shuffled = frame.sample(frac=1, random_state=0).reset_index(drop=True)
    for kind in ("time", "customers"):
        one, other = by_time(frame, kind=kind), by_time(shuffled, kind=kind)
        assert set(one.training["decision_id"]) == set(other.training["decision_id"])
        assert set(one.held_out["decision_id"]) == set(other.held_out["decision_id"])
        assert one.why == other.why


def test_a_side_that_is_too_small_is_named_with_its_counts():
    frame = decisions((0, 0, 60), (40, 1000, 500))
    told = r"50 decisions of each action are needed .* found control 30 and 250, email 30 and 250"
    with pytest.raises(InputError, match=rf"^split by time: {told}; split by customers instead$"):
        by_time(frame, kind="time")
    found = by_time(frame)
    assert found.kind == "customers"
    assert "at random (not by time, because 50 decisions of each action" in found.why


def test_people_who_taught_may_leave_too_few_to_test():
    with pytest.raises(InputError, match="found control 100 and 20, email 100 and 20"):
        by_time(decisions((0, 0, 200), (40, 0, 200), (40, 500, 40)), kind="time")


def test_one_wave_cannot_be_split_by_time():
    frame = decisions((0, 0, 400))
    with pytest.raises(
        InputError, match="all decisions were taken within 0 days and the attribution window is 30 days"
    ):
        by_time(frame, kind="time")
    assert by_time(frame).kind == "customers"


def test_by_customers_nobody_is_on_both_sides_and_everybody_on_one():
    frame = decisions((0, 0, 400), (40, 0, 400))
    found = by_time(frame, share=0.3, kind="customers")
    taught, tested = set(found.training["customer_id"]), set(found.held_out["customer_id"])
    assert not taught & tested
    assert len(taught | tested) == 400
    assert len(found.training) + len(found.held_out) == 800
    assert tested == set(frame["customer_id"][is_held_out_of_training(frame["customer_id"], 0.3, 0)])
    assert found.why == f"{len(tested)} of 400 people, at random (as asked)"


def test_an_action_that_only_training_has_is_refused():
    frame = decisions((0, 0, 400))
    frame.loc[frame["customer_id"] == frame["customer_id"].iloc[0], "action"] = "sms"
    seed = next(s for s in range(99) if not is_held_out_of_training(frame["customer_id"].iloc[:1], 0.2, s).any())
    with pytest.raises(InputError, match=r"nobody among \d+ got sms; hold out more, or bring more people$"):
        split(frame, window_days=WINDOW_DAYS, share=0.2, seed=seed)


def test_a_test_decision_before_the_last_window_closed_is_refused_with_its_count():
    training, held_out = decisions((0, 0, 4), (10, 10, 2)), decisions((39, 100, 3), (40, 200, 5))
    require_windows_closed(training, held_out[3:], WINDOW_DAYS * DAY)
    said = r"3 of 8 test decisions were taken before the last window of training closed \(2026-02-19 12:00 UTC\)"
    with pytest.raises(InputError, match=said):
        require_windows_closed(training, held_out, WINDOW_DAYS * DAY)


def test_an_action_without_a_column_had_no_chance_where_the_others_sum_to_one():
    wide = served(probability_control=[0.4, 0.4, 0.4], probability_email=0.6)
    logged = logged_propensity(wide, ["control", "email", "sms"])
    np.testing.assert_array_equal(logged, [[0.4, 0.6, 0.0]] * 3)
    # here somebody had a chance of something without a column, so the columns cannot be used
    partly = served(probability=[0.4, 0.6, 0.5], probability_control=0.3, probability_email=0.6)
    with pytest.raises(InputError, match="differs between people"):
        logged_propensity(partly, ["control", "email", "sms"])
