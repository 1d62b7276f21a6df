"""Conditions are met by whom they name; counts have every value."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from segment_cases import AT, DEFAULT, people, person, quickly, wave_of

from propensity.contract import REASONS
from propensity.errors import InputError
from propensity.segments import SEGMENTS, UNKNOWN, SegmentBuilder, meets, segment_counts


@pytest.fixture
def table():
    return people(
        days=[40, 100, 100, 400],
        reason=["price", "price", None, "disengaged"],
        relationship=["amicable", None, "neutral", "amicable"],
        account_access=pd.array([True, False, None, True], dtype="boolean"),
        beta=[True, None, False, True],
        seats=[1.0, 2.5, np.nan, 12.0],
        n_sites=[1, 2, 3, 12],
        plan_tier=["basic", "pro", " ", None],
    ).set_axis([3, 1, 4, 2])


@pytest.fixture
def segments(table):
    return SegmentBuilder.fit(table, AT, DEFAULT).transform(table, AT)


@pytest.mark.parametrize(
    ("condition", "met"),
    [
        ({}, [1, 1, 1, 1]),
        ({"reason": ["price"]}, [1, 1, 0, 0]),
        ({"reason": ["price", "disengaged"]}, [1, 1, 0, 1]),
        ({"reason": ["price"], "time_since_churn": ["60_to_180_days"]}, [0, 1, 0, 0]),
        ({"reason_for_churn": [UNKNOWN]}, [0, 0, 1, 0]),
        ({"relationship": ["amicable", UNKNOWN]}, [1, 1, 0, 1]),
        ({"account_access": ["true"]}, [1, 0, 0, 1]),
        ({"account_access": ["false"]}, [0, 1, 0, 0]),
        ({"beta": ["false", "true"]}, [1, 0, 1, 1]),
        ({"seats": ["1", "2.5"]}, [1, 1, 0, 0]),
        ({"n_sites": ["12"]}, [0, 0, 0, 1]),
        ({"plan_tier": ["basic", "nan", "None", ""]}, [1, 0, 0, 0]),
        ({"competitor": ["rival"]}, [0, 0, 0, 0]),
        ({"plan_tier": []}, [0, 0, 0, 0]),
    ],
)
def test_who_meets_a_condition(table, segments, condition, met):
    found = meets({name: tuple(values) for name, values in condition.items()}, table, segments)
    assert found.dtype == bool
    assert found.tolist() == [bool(m) for m in met]


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ({"plan_teir": ("pro",)}, r"condition plan_teir = pro: .*found no 'plan_teir' \(did it mean 'plan_tier'\?\)"),
        ({"xyz": ("pro",)}, "condition xyz = pro: expected a segment or a column .* found no 'xyz'$"),
        ({"time_since_churn": ("30_to_60_days", "90_days")}, "time_since_churn = .*30_to_60_days, .*found '90_days'"),
        ({"relationship": ("bad",)}, "relationship = bad: expected values among amicable, .*unknown, found 'bad'"),
        ({"rfm": ("556",)}, "condition rfm = 556: expected values among 111, 112, .*…, found '556'"),
        ({"reason": ("pirce",)}, "condition reason = pirce: expected values among price, .*, found 'pirce'"),
        ({"account_access": ("yes",)}, "account_access = yes: expected values among true, false, found 'yes'"),
        ({"consent_email": ("1",)}, "consent_email = 1: expected values among true, false, found '1'"),
    ],
)
def test_conditions_that_nobody_could_meet(table, segments, condition, said):
    table["consent_email"] = True
    with pytest.raises(InputError, match=said):
        meets({"reason": ("price",), **condition}, table, segments)


def test_segments_of_others_are_refused(table, segments):
    with pytest.raises(InputError, match="segments: expected the index of the customers"):
        meets({}, table, segments.iloc[::-1])


@quickly
@given(st.lists(person, min_size=1, max_size=12), st.data())
def test_a_condition_is_met_where_every_column_has_one_of_its_values(rows, data):
    customers = wave_of(rows)
    found = SegmentBuilder.fit(customers, AT, DEFAULT).transform(customers, AT)
    names = data.draw(st.lists(st.sampled_from([*SEGMENTS, "reason"]), unique=True, max_size=3))
    values = {name: SEGMENTS[name].values if name in SEGMENTS else REASONS for name in names}
    condition = {name: tuple(data.draw(st.sets(st.sampled_from(values[name])))) for name in names}
    texts = found.astype("object").assign(reason=customers["reason"])
    expected = [all(texts[name][row] in condition[name] for name in names) for row in range(len(rows))]
    assert meets(condition, customers, found).tolist() == expected


def test_counts_have_every_value_in_order(table, segments):
    counts = segment_counts(segments)
    assert list(counts.columns) == ["segment", "value", "people", "share"]
    expected = [(name, value) for name, one in SEGMENTS.items() for value in one.values]
    assert list(zip(counts["segment"], counts["value"], strict=True)) == expected
    by_time = counts[counts["segment"] == "time_since_churn"]
    assert by_time["people"].tolist() == [0, 1, 2, 0, 1, 0]
    assert by_time["share"].tolist() == [0, 0.25, 0.5, 0, 0.25, 0]
    assert (counts.groupby("segment")["people"].sum() == len(table)).all()
