"""A person has one value of each segment, whoever else is there; whole programs fill them."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from segment_cases import AT, DEFAULT, absent, people, person, quickly, replies, wave_of

from propensity.errors import InputError
from propensity.segments import SEGMENTS, UNKNOWN, SegmentBuilder, meets, segment_counts
from propensity.simulation import simulate

CUTS = ("reason_for_churn", "time_since_churn", "value_tier", "competitive_status", "relationship")
OTHERS = ("recency", "frequency", "monetary", "rfm", "tenure", "lifecycle_stage", "engagement")
LEVELS = ["low", "middle", "high"]


@quickly
@given(st.lists(person, min_size=1, max_size=12), absent, st.booleans())
def test_everybody_has_one_value_of_each_segment(rows, without, responded):
    customers = wave_of(rows, without).set_axis(range(7, 7 + len(rows)))
    responses = replies(c0=(3, 1, 0)) if responded else None
    found = SegmentBuilder.fit(customers, AT, DEFAULT).transform(customers, AT, responses)
    assert list(found.columns) == list(SEGMENTS)
    assert found.index.equals(customers.index)
    assert not found.isna().any(axis=None)
    for name, one in SEGMENTS.items():
        assert tuple(found[name].cat.categories) == one.values


@quickly
@given(st.lists(person, min_size=1, max_size=12), st.lists(person, max_size=8), absent, st.data())
def test_segments_do_not_depend_on_who_else_is_there(rows, more, without, data):
    learnt_from = wave_of(rows, without)
    builder = SegmentBuilder.fit(learnt_from, AT, DEFAULT)
    crowd = wave_of(rows + more)
    responses = replies(c0=(3, 0, 0), c1=(3, 2, 0), c2=(3, 2, 1))
    whole = builder.transform(crowd, AT, responses)
    chosen = data.draw(st.lists(st.integers(0, len(crowd) - 1), unique=True))
    pd.testing.assert_frame_equal(builder.transform(crowd.iloc[chosen], AT, responses), whole.iloc[chosen])
    # adding people changes nobody's
    first = crowd.iloc[: len(rows)]
    pd.testing.assert_frame_equal(builder.transform(first, AT, responses), whole.iloc[: len(rows)])


@quickly
@given(st.lists(person, min_size=1, max_size=12), absent, st.randoms(use_true_random=False))
def test_what_is_learnt_does_not_depend_on_the_order_of_rows_and_survives_json(rows, without, random):
    customers = wave_of(rows, without)
    order = random.sample(range(len(rows)), len(rows))
    builder = SegmentBuilder.fit(customers, AT, DEFAULT)
    assert SegmentBuilder.fit(customers.iloc[order], AT, DEFAULT) == builder
    again = SegmentBuilder.from_state(json.loads(json.dumps(builder.to_state(), allow_nan=False, sort_keys=True)))
    assert again == builder
    pd.testing.assert_frame_equal(again.transform(customers, AT), builder.transform(customers, AT))


def test_a_column_that_is_absent_is_missing():
    table = people(
        annual_value=[300.0, 20.0], orders_last_year=[1.0, 2.0], reason=["price", None], tenure_months=[3, 8]
    )
    builder = SegmentBuilder.fit(table, AT, DEFAULT)
    for name in ("annual_value", "orders_last_year", "reason", "tenure_months"):
        pd.testing.assert_frame_equal(
            builder.transform(table.drop(columns=name), AT), builder.transform(table.assign(**{name: None}), AT)
        )


def test_nobody_is_no_error_but_teaches_nothing():
    builder = SegmentBuilder.fit(people(), AT, DEFAULT)
    assert builder.transform(people().iloc[:0], AT).shape == (0, len(SEGMENTS))
    with pytest.raises(InputError, match="customers: expected at least one person"):
        SegmentBuilder.fit(people().iloc[:0], AT, DEFAULT)


def test_the_input_is_left_alone():
    customers = people(reason=["price", None], trial_canceller=[True, None], annual_value=["12", "x"])
    before = customers.copy()
    segments = SegmentBuilder.fit(customers, AT, DEFAULT).transform(customers, AT)
    meets({"reason": ("price",)}, customers, segments)
    pd.testing.assert_frame_equal(customers, before)


def test_each_person_may_have_a_time_of_their_own():
    customers = people(days=[10, 10], annual_value=[1, 2]).set_axis([5, 3])
    times = pd.Series([AT, AT + pd.Timedelta(days=50)], index=customers.index)
    builder = SegmentBuilder.fit(customers, times, DEFAULT)
    found = builder.transform(customers, times)
    assert found["time_since_churn"].tolist() == ["under_30_days", "60_to_180_days"]
    assert found["recency"].tolist() == ["4", "2"]


@pytest.mark.parametrize(
    ("times", "said"),
    [
        (pd.Series([AT, pd.NaT], index=[5, 3]), "at: expected a time for everybody, found 1 people without"),
        (pd.Series([AT, AT, AT], index=[5, 3, 4]), "at: expected .* the index of the customers"),
        (pd.Series([AT, AT], index=[8, 9]), "at: expected .* the index of the customers"),
        (pd.Series([AT, AT], index=[3, 5]), "at: expected .* the index of the customers"),
    ],
    ids=["missing", "too many", "of others", "in another order"],
)
def test_times_that_are_not_those_of_the_people(times, said):
    customers = people(days=[10, 20]).set_axis([5, 3])
    with pytest.raises(InputError, match=said):
        SegmentBuilder.fit(customers, times, DEFAULT)
    with pytest.raises(InputError, match=said):
        SegmentBuilder.fit(customers, AT, DEFAULT).transform(customers, times)


@pytest.fixture(scope="module")
def program():
    return simulate(4_000, seed=1)


def test_a_simulated_program_fills_its_segments(program):
    at = program.contacts["decided_at"].iloc[0]
    builder = SegmentBuilder.fit(program.customers.iloc[::2], at, DEFAULT)
    unseen = program.customers.iloc[1::2]
    shares = segment_counts(builder.transform(unseen, at)).set_index(["segment", "value"])["share"]
    for name in (*CUTS, "lifecycle_stage", "tenure"):
        assert (shares[name] > 0).all(), name
    # no ties: fifths of other people are fifths, within four standard errors
    error = np.sqrt(0.2 * 0.8 * 2 / len(unseen))
    assert (shares["recency"] - 0.2).abs().max() < 4 * error
    assert shares["frequency"][UNKNOWN] == shares["engagement"][UNKNOWN] == 0


def test_outcomes_since_move_engagement(program):
    customers, contacts, outcomes = program.customers, program.contacts, program.outcomes
    at = contacts["decided_at"].iloc[0]
    happened = pd.crosstab(outcomes["customer_id"], outcomes["type"])[["opened", "clicked"]]
    touches = contacts[contacts["action"] != "control"].groupby("customer_id").size().rename("touches")
    responses = pd.concat([touches, happened], axis=1).fillna(0)
    builder = SegmentBuilder.fit(customers, at, DEFAULT)
    before, after = (builder.transform(customers, at, r)["engagement"].cat.codes for r in (None, responses))
    heard = responses.reindex(customers["customer_id"]).fillna(0).reset_index(drop=True)
    clicked, opened = heard["clicked"] > 0, heard["opened"] > 0
    assert clicked.sum() > 20
    assert (after[clicked] == LEVELS.index("high")).all()
    only_opened = opened & ~clicked
    assert (after[only_opened] == before[only_opened].clip(lower=LEVELS.index("middle"))).all()
    # one touch without a response is not yet a sign
    silent = ~opened & ~clicked
    assert (after[silent] == before[silent]).all()


@pytest.mark.real_data
def test_the_real_file(hillstrom):
    at = hillstrom.contacts["decided_at"].iloc[0]
    found = SegmentBuilder.fit(hillstrom.customers, at, hillstrom.playbook).transform(hillstrom.customers, at)
    months = hillstrom.customers["months_since_purchase"].to_numpy(dtype=int)
    bands = pd.crosstab(months, found["time_since_churn"]).idxmax(axis=1)
    # a month is a twelfth of a year there: 12 months lie behind the year's end by hours
    assert bands.tolist() == ["30_to_60_days"] * 1 + ["60_to_180_days"] * 4 + ["6_to_12_months"] * 6 + [
        "12_to_18_months"
    ]
    # spend hardly ties: fifths. Months tie: each has one score, and later ones no better
    assert segment_counts(found[["monetary"]])["people"].iloc[:5].between(12_790, 12_810).all()
    scores = found["recency"].astype(int).groupby(months)
    assert (scores.nunique() == 1).all()
    assert scores.first().is_monotonic_decreasing
    assert set(scores.first()) == {1, 2, 3, 4, 5}
    for name in ("frequency", "rfm", "tenure", "engagement", "value_tier", "reason_for_churn"):
        assert (found[name] == UNKNOWN).all()
