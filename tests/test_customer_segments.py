"""Segments: one value a person, the same whoever else is there; conditions that are met by whom they name."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from propensity import playbook
from propensity.contract import REASONS, RELATIONSHIPS
from propensity.errors import InputError
from propensity.playbook.parts import Segments, Tier
from propensity.policy import eligibility
from propensity.segments import SEGMENTS, UNKNOWN, SegmentBuilder, meets, segment_counts
from propensity.simulation import simulate

AT = pd.Timestamp("2026-03-02T09:00Z")
DEFAULT = playbook.load("default")
CUTS = ("reason_for_churn", "time_since_churn", "value_tier", "competitive_status", "relationship")
OTHERS = ("recency", "frequency", "monetary", "rfm", "tenure", "lifecycle_stage", "engagement")
LEVELS = ["low", "middle", "high"]
quickly = settings(max_examples=30, deadline=None, derandomize=True)


def people(days=(100,), **columns):
    """Customers who left so many days ago."""
    n = max([len(days), *map(len, columns.values())])
    days = [days[0]] * n if len(days) == 1 else days
    frame = pd.DataFrame(
        {
            "customer_id": [f"c{i}" for i in range(n)],
            "churned_at": pd.Series([AT - pd.Timedelta(days=d) for d in days], dtype="datetime64[us, UTC]"),
        }
    )
    return frame.assign(**columns)


def segment(name, customers, book=DEFAULT, **arguments):
    """What a builder that learnt from these customers says of them."""
    return SegmentBuilder.fit(customers, AT, book).transform(customers, AT, **arguments)[name].tolist()


def replies(**counts):
    return pd.DataFrame.from_dict(counts, orient="index", columns=["touches", "opened", "clicked"])


few_numbers = st.one_of(st.none(), st.integers(0, 4).map(float), st.floats(0, 1e4))
person = st.fixed_dictionaries(
    {
        "days": st.one_of(st.sampled_from([0, 30, 60, 180, 365, 548]), st.floats(0, 900)),
        "reason": st.sampled_from([None, *REASONS]),
        "relationship": st.sampled_from([None, *RELATIONSHIPS]),
        "competitor": st.sampled_from([None, "rival"]),
        "annual_value": few_numbers,
        "tenure_months": few_numbers,
        "orders_last_year": few_numbers,
        "logins_last_year": few_numbers,
        "trial_canceller": st.sampled_from([None, 0.0, 1.0]),
    }
)
absent = st.sets(st.sampled_from(["reason", "annual_value", "orders_last_year", "logins_last_year", "trial_canceller"]))


def wave_of(rows, without=()):
    frame = pd.DataFrame(rows)
    columns = {name: frame[name] for name in frame if name not in {"days", *without}}
    return people(days=frame["days"].tolist(), **columns)


# ------------------------------------------------------------------------------------------------------ definitions
def test_what_segments_there_are():
    assert tuple(SEGMENTS) == CUTS + OTHERS
    for name, one in SEGMENTS.items():
        assert one.name == name
        assert one.description.endswith(".")
        assert len(set(one.values)) == len(one.values)
        assert UNKNOWN not in one.values[:-1]
    assert len(SEGMENTS["rfm"].values) == 126


@pytest.mark.parametrize(
    ("days", "band", "stage"),
    [
        (0, "under_30_days", "cooling_off"),
        (29.99, "under_30_days", "cooling_off"),
        (30, "30_to_60_days", "fresh"),
        (60, "60_to_180_days", "peak"),
        (179.99, "60_to_180_days", "peak"),
        (180, "6_to_12_months", "fading"),
        (365, "12_to_18_months", "long_tail"),
        (548, "over_18_months", "long_tail"),
        (548.01, "over_18_months", "gone"),
    ],
)
def test_time_since_churn_and_stage(days, band, stage):
    assert segment("time_since_churn", people(days=[days])) == [band]
    assert segment("lifecycle_stage", people(days=[days])) == [stage]


def test_stages_follow_the_program_of_the_playbook():
    program = DEFAULT.program.model_copy(update={"cooling_off_days": 0.0, "horizon_days": 100.0})
    book = DEFAULT.model_copy(update={"program": program})
    assert segment("lifecycle_stage", people(days=[1, 70, 100, 101]), book) == ["fresh", "peak", "peak", "gone"]
    late = DEFAULT.model_copy(update={"program": program.model_copy(update={"cooling_off_days": 90.0})})
    assert segment("lifecycle_stage", people(days=[70, 90]), late) == ["cooling_off", "peak"]


@pytest.mark.parametrize(("first", "last"), [(30.0, 548.0), (0.0, 7300.0), (90.0, 100.0)])
def test_stages_are_cooling_off_and_gone_where_the_rules_say_so(first, last):
    program = DEFAULT.program.model_copy(update={"cooling_off_days": first, "horizon_days": last})
    book = DEFAULT.model_copy(update={"program": program})
    customers = people(days=[*range(0, 700, 7), first, last])
    stopped = eligibility(customers, book, AT).stopped_by.tolist()
    for stage, rule in zip(segment("lifecycle_stage", customers, book), stopped, strict=True):
        assert (stage == "cooling_off") == (rule == "cooling_off")
        assert (stage == "gone") == (rule == "past_horizon")


def tiers(**minimums):
    return DEFAULT.model_copy(
        update={"tiers": {k: Tier(min_annual_value_currency=v) for k, v in minimums.items()}},
    )


@pytest.mark.parametrize(
    ("book", "found"),
    [
        (tiers(mass=0, segment=200, individual=2000), ["mass", "mass", "segment", "segment", "individual", UNKNOWN]),
        (tiers(individual=2000), ["mass", "mass", "mass", "mass", "individual", UNKNOWN]),
        (tiers(segment=200, mass=100), ["mass", "mass", "segment", "segment", "segment", UNKNOWN]),
        (tiers(), [UNKNOWN] * 6),
    ],
    ids=["all, in another order", "one", "two", "none"],
)
def test_value_tier(book, found):
    customers = people(annual_value=[0, 199.99, 200, 1999, 2000, None])
    builder = SegmentBuilder.fit(customers, AT, book)
    assert builder.transform(customers, AT)["value_tier"].tolist() == found
    # models are saved with sorted keys
    again = SegmentBuilder.from_state(json.loads(json.dumps(builder.to_state(), sort_keys=True)))
    assert again.transform(customers, AT)["value_tier"].tolist() == found


def test_competitive_status():
    customers = people(
        competitor=["rival", "rival", None, None, None, " "],
        reason=["price", None, "price", "competitive_switch", None, None],
    )
    expected = ["named_competitor"] * 2 + ["no_competitor", UNKNOWN, UNKNOWN, UNKNOWN]
    assert segment("competitive_status", customers) == expected
    without = segment("competitive_status", customers.drop(columns="competitor"))
    assert without == ["no_competitor", UNKNOWN, "no_competitor", UNKNOWN, UNKNOWN, UNKNOWN]


def test_reason_and_relationship_are_as_stated():
    customers = people(reason=[*REASONS, None], relationship=[*RELATIONSHIPS, *[None] * 6])
    assert segment("reason_for_churn", customers) == [*REASONS, UNKNOWN]
    assert segment("relationship", customers) == [*RELATIONSHIPS, *[UNKNOWN] * 6]


@pytest.mark.parametrize("flag", [1.0, True, "true"])
def test_tenure(flag):
    customers = people(
        trial_canceller=[flag, flag, None, None, None, None, None, None],
        annual_value=[0, None, 0, 0.01, 50, 50, None, 50],
        tenure_months=[1, 1, 90, 5.9, 6, 0, 20, None],
    )
    short, long = "paid_under_6_months", "paid_over_6_months"
    expected = ["trial_canceller"] * 2 + ["free_and_inactive", short, long, short, UNKNOWN, UNKNOWN]
    assert segment("tenure", customers) == expected
    without = segment("tenure", customers.drop(columns="trial_canceller"))
    assert without == ["free_and_inactive", UNKNOWN, *expected[2:]]


def test_columns_are_those_that_the_playbook_names():
    own = {
        "tenure_months": "months",
        "orders": "n_gifts",
        "value": "given",
        "activity": "visits",
        "trial_canceller": "tried",
    }
    usual = people(
        tenure_months=[1, 9, 9],
        orders_last_year=[1, 2, 3],
        annual_value=[5, 500, 0],
        logins_last_year=[3, 2, 1],
        trial_canceller=[True, False, False],
    )
    renamed = usual.rename(columns={getattr(DEFAULT.segments, part): name for part, name in own.items()})
    book = DEFAULT.model_copy(update={"segments": Segments(**own)})
    pd.testing.assert_frame_equal(
        SegmentBuilder.fit(renamed, AT, book).transform(renamed, AT),
        SegmentBuilder.fit(usual, AT, DEFAULT).transform(usual, AT),
    )


# ----------------------------------------------------------------------------------------------------------- scores
def first_and_last_part(values, n_parts):
    """The parts that each value reaches into when people stand in line and each takes as much room as the next."""
    line = sorted(values)
    places = [(line.index(v), line.index(v) + line.count(v)) for v in values]
    return [(n_parts * start // len(line), -(-n_parts * end // len(line)) - 1) for start, end in places]


@quickly
@given(st.lists(st.one_of(st.integers(0, 5), st.floats(0, 100)), min_size=1, max_size=40))
def test_scores_are_the_fifth_of_the_line_and_ties_stand_in_the_middle(orders):
    scores = segment("frequency", people(orders_last_year=[float(v) for v in orders]))
    activity = segment("engagement", people(logins_last_year=[float(v) for v in orders]))
    reached = first_and_last_part(orders, 5) + first_and_last_part(orders, 3)
    found = [int(score) - 1 for score in scores] + [LEVELS.index(level) for level in activity]
    for part, (first, last) in zip(found, reached, strict=True):
        assert (first + last) // 2 <= part <= (first + last + 1) // 2


@pytest.mark.parametrize("n", [5, 10, 200])
def test_without_ties_fifths_are_equal(n):
    rng = np.random.default_rng(0)
    values = rng.permutation(n).astype(float)
    customers = people(days=100 + values, orders_last_year=values, annual_value=values)
    for name, best in {"recency": values.argmin(), "frequency": values.argmax(), "monetary": values.argmax()}.items():
        scores = segment(name, customers)
        assert pd.Series(scores).value_counts().tolist() == [n // 5] * 5
        assert scores[best] == "5"


@quickly
@given(st.lists(person, min_size=1, max_size=12), st.lists(person, min_size=2, max_size=12))
def test_more_is_never_scored_lower(known, others):
    builder = SegmentBuilder.fit(wave_of(known), AT, DEFAULT)
    found = builder.transform(wave_of(others), AT)
    measures = {
        "recency": [-row["days"] for row in others],
        "frequency": [row["orders_last_year"] for row in others],
        "monetary": [row["annual_value"] for row in others],
        "engagement": [row["logins_last_year"] for row in others],
    }
    for name, values in measures.items():
        ranked = found[name].cat.codes.where(found[name] != UNKNOWN)
        pairs = sorted((v, code) for v, code in zip(values, ranked, strict=True) if v is not None and code == code)
        assert [code for _, code in pairs] == sorted(code for _, code in pairs)


def test_few_people_have_fewer_scores():
    alone = people(orders_last_year=[2.0], annual_value=[9.0], logins_last_year=[1.0])
    assert segment("rfm", alone) == ["333"]
    assert segment("engagement", alone) == ["middle"]
    two = people(orders_last_year=[2.0, 3.0])
    assert segment("frequency", two) == ["2", "4"]
    builder = SegmentBuilder.fit(alone, AT, DEFAULT)
    others = people(days=[99, 100, 101], orders_last_year=[3.0, 2.0, 1.0], annual_value=[10.0, 9.0, 8.0])
    assert builder.transform(others, AT)["rfm"].tolist() == ["555", "333", "111"]


def test_rfm_stands_for_its_three_scores():
    rng = np.random.default_rng(1)
    customers = people(
        days=rng.uniform(0, 700, 300),
        orders_last_year=np.where(rng.random(300) < 0.1, np.nan, rng.poisson(3, 300)),
        annual_value=np.where(rng.random(300) < 0.1, np.nan, rng.gamma(2, 100, 300)),
    )
    found = SegmentBuilder.fit(customers, AT, DEFAULT).transform(customers, AT).astype("str")
    scores = found[["recency", "frequency", "monetary"]]
    some_unknown = (scores == UNKNOWN).any(axis=1)
    assert found["rfm"].tolist() == scores.sum(axis=1).mask(some_unknown, UNKNOWN).tolist()
    assert 0 < some_unknown.sum() < 100


def test_what_no_one_was_known_by_stays_unknown():
    builder = SegmentBuilder.fit(people(annual_value=[None, None]), AT, DEFAULT)
    found = builder.transform(people(orders_last_year=[3.0], annual_value=[5.0], logins_last_year=[5.0]), AT)
    assert found.loc[0, ["frequency", "monetary", "rfm", "engagement"]].tolist() == [UNKNOWN] * 4
    assert SegmentBuilder.from_state(json.loads(json.dumps(builder.to_state()))) == builder


# ------------------------------------------------------------------------------------------------------- engagement
@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((0, 0, 0), ["low", "middle", "high", UNKNOWN]),
        ((1, 0, 0), ["low", "middle", "high", UNKNOWN]),
        ((2, 0, 0), ["low", "middle", "high", UNKNOWN]),
        ((3, 0, 0), ["low"] * 4),
        ((4, 1, 0), ["middle", "middle", "high", "middle"]),
        ((4, 1, 1), ["high"] * 4),
        ((4, 0, 1), ["high"] * 4),
    ],
)
def test_what_people_did_since_corrects_what_they_did_before(counts, expected):
    customers = people(logins_last_year=[1, 2, 3, None])
    assert segment("engagement", customers, responses=replies(c0=counts, c1=counts, c2=counts, c3=counts)) == expected
    # who is not in the table had no touch
    only_first = segment("engagement", customers, responses=replies(c0=counts, somebody=counts))
    assert only_first == [expected[0], "middle", "high", UNKNOWN]


@quickly
@given(
    st.sampled_from([None, 1.0, 2.0, 3.0]),
    st.tuples(*[st.integers(0, 6)] * 3),
    st.tuples(*[st.integers(0, 3)] * 3),
)
def test_responses_never_lower_engagement_and_touches_never_raise_it(activity, counts, more):
    builder = SegmentBuilder.fit(people(logins_last_year=[1, 2, 3]), AT, DEFAULT)
    customers = people(logins_last_year=[activity])

    def level(*numbers):
        found = builder.transform(customers, AT, responses=replies(c0=numbers))["engagement"][0]
        return None if found == UNKNOWN else LEVELS.index(found)

    before = level(*counts)
    if before is None:
        return
    touches, opened, clicked = (a + b for a, b in zip(counts, more, strict=True))
    assert level(counts[0], opened, clicked) >= before
    assert level(touches, counts[1], counts[2]) <= before


@pytest.mark.parametrize(
    ("responses", "said"),
    [
        (
            replies(c0=(1, 0, 0)).drop(columns="opened"),
            r"responses: expected columns touches, opened, clicked, found \[",
        ),
        (pd.concat([replies(c0=(1, 0, 0))] * 2), "responses: expected one row a customer"),
        (replies(c0=(1, 0, 0)).rename_axis("customer_id").reset_index(), "customer_id being the index"),
    ],
    ids=["column", "twice", "not the index"],
)
def test_responses_that_cannot_be_used(responses, said):
    with pytest.raises(InputError, match=said):
        segment("engagement", people(), responses=responses)


# ------------------------------------------------------------------------------------- one value, whoever else is there
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


# ------------------------------------------------------------------------------------------------------- conditions
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


# ----------------------------------------------------------------------------------------------------------- counts
def test_counts_have_every_value_in_order(table, segments):
    counts = segment_counts(segments)
    assert list(counts.columns) == ["segment", "value", "people", "share"]
    expected = [(name, value) for name, one in SEGMENTS.items() for value in one.values]
    assert list(zip(counts["segment"], counts["value"], strict=True)) == expected
    by_time = counts[counts["segment"] == "time_since_churn"]
    assert by_time["people"].tolist() == [0, 1, 2, 0, 1, 0]
    assert by_time["share"].tolist() == [0, 0.25, 0.5, 0, 0.25, 0]
    assert (counts.groupby("segment")["people"].sum() == len(table)).all()


# ----------------------------------------------------------------------------------------------------- whole programs
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
