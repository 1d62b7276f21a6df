"""What each segment is: its definition, scores, and engagement."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from segment_cases import AT, DEFAULT, people, person, quickly, replies, segment, wave_of

from propensity.contract import REASONS, RELATIONSHIPS
from propensity.errors import InputError
from propensity.playbook.parts import Segments, Tier
from propensity.policy import eligibility
from propensity.segments import SEGMENTS, UNKNOWN, SegmentBuilder

CUTS = ("reason_for_churn", "time_since_churn", "value_tier", "competitive_status", "relationship")
OTHERS = ("recency", "frequency", "monetary", "rfm", "tenure", "lifecycle_stage", "engagement")
LEVELS = ["low", "middle", "high"]


def test_columns_kept_as_codes_are_in_the_same_segments_as_texts():
    texts = {
        "reason": [*REASONS, None, " price ", "unheard of", "price"],
        "relationship": [RELATIONSHIPS[k % len(RELATIONSHIPS)] for k in range(len(REASONS) + 4)],
        "competitor": ["Acme", None, " ", *["Other"] * (len(REASONS) + 1)],
    }
    table = pd.DataFrame(texts, dtype=object).assign(churned_at=AT - pd.Timedelta(days=60))
    coded = table.assign(**{name: table[name].astype("category") for name in texts})
    builder = SegmentBuilder.fit(table, AT, DEFAULT)
    pd.testing.assert_frame_equal(builder.transform(coded, AT), builder.transform(table, AT))


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
        ((2, 0, 0), ["low"] * 4),
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
