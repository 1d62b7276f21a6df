"""The model matrix: categories as in training; what is unseen or absent is missing and never an error."""

import json

import numpy as np
import pandas as pd
import pytest

from propensity import playbook
from propensity.errors import InputError
from propensity.features import FeatureBuilder, days_since_churn, required_columns
from propensity.model import DecisionModel
from propensity.segments import SegmentBuilder

AT = pd.Timestamp("2026-03-01", tz="UTC")


def customers(**columns):
    n = len(next(iter(columns.values()))) if columns else 3
    frame = pd.DataFrame(
        {
            "customer_id": [f"c{i}" for i in range(n)],
            "churned_at": pd.to_datetime(["2026-02-01"] * n, utc=True),
        }
    )
    return frame.assign(**columns)


def book(numeric=(), categorical=()):
    default = playbook.load("default")
    return default.model_copy(update={"features": playbook.Features(numeric=numeric, categorical=categorical)})


@pytest.fixture
def builder():
    training = customers(region=["north", "south", None], tenure_months=[1.0, 2.0, np.nan])
    return FeatureBuilder.fit(training, book(["tenure_months", "days_since_churn"], ["region"]))


def test_kinds_and_order_of_the_matrix(builder):
    X = builder.transform(customers(region=["south"], tenure_months=[7]), AT)
    assert list(X.columns) == ["tenure_months", "days_since_churn", "region"]
    assert [str(dtype) for dtype in X.dtypes] == ["float64", "float64", "category"]
    assert X.loc[0, ["tenure_months", "days_since_churn", "region"]].tolist() == [7.0, 28.0, "south"]


@pytest.mark.parametrize("value", ["west", None, np.nan, "", "North"])
def test_unseen_and_missing_categories_are_missing(builder, value):
    X = builder.transform(customers(region=[value, "north"]), AT)
    assert X["region"].isna().tolist() == [True, False]
    assert list(X["region"].cat.categories) == ["north", "south"]


def test_columns_that_are_absent_are_missing(builder):
    X = builder.transform(customers(), AT)
    assert X[["tenure_months", "region"]].isna().all(axis=None)
    assert X["days_since_churn"].tolist() == [28.0] * 3


@pytest.mark.parametrize(
    ("training", "serving", "codes"),
    [
        (pd.array([True, False, None], dtype="boolean"), [False, True, None], [0, 1, -1]),
        ([1.0, 2.0, np.nan], [2, 1, 3], [1, 0, -1]),
        (["b", "a", " c "], pd.Categorical(["c", "b", "z"]), [2, 1, -1]),
    ],
    ids=["flags", "whole numbers", "texts"],
)
def test_a_category_is_known_again_whatever_its_kind(training, serving, codes):
    fitted = FeatureBuilder.fit(customers(mark=training), book(categorical=["mark"]))
    assert fitted.transform(customers(mark=serving), AT)["mark"].cat.codes.tolist() == codes


def test_codes_are_the_same_after_a_round_trip_through_json(builder):
    again = FeatureBuilder.from_state(json.loads(json.dumps(builder.to_state())))
    table = customers(region=["south", "west", "north", None], tenure_months=[1, 2, 3, None])
    assert again == builder
    pd.testing.assert_frame_equal(again.transform(table, AT), builder.transform(table, AT))


def test_categories_do_not_depend_on_the_order_of_rows():
    table = customers(region=["b", "c", "a", "b"])
    fitted = [FeatureBuilder.fit(t, book(categorical=["region"])) for t in (table, table.iloc[::-1])]
    assert fitted[0] == fitted[1]


def test_one_row_is_what_it_is_in_a_crowd(builder):
    table = customers(region=["south", "north", "west"], tenure_months=[1.0, 2.0, 3.0])
    alone = pd.concat([builder.transform(table.iloc[[i]], AT) for i in range(3)])
    pd.testing.assert_frame_equal(alone, builder.transform(table, AT))


def test_the_index_is_that_of_the_customers(builder):
    table = customers(region=["south", "north", "west"]).set_axis([7, 3, 9])
    assert builder.transform(table, AT).index.tolist() == [7, 3, 9]


def test_the_input_is_left_alone(builder):
    table = customers(region=["south", "west"], tenure_months=[1, 2])
    before = table.copy()
    builder.transform(table, AT)
    pd.testing.assert_frame_equal(table, before)


def test_days_since_churn_takes_one_time_or_one_a_row():
    table = customers(region=["a", "b"])
    at = pd.Series([AT, AT + pd.Timedelta(hours=12)])
    assert days_since_churn(table, at).tolist() == [28.0, 28.5]
    assert days_since_churn(table, AT).tolist() == [28.0, 28.0]


def test_required_columns_are_the_features_and_consents_beyond_the_contract():
    wanted = book(["tenure_months", "annual_value", "days_since_churn"], ["region", "reason"])
    columns = {c.name: c.kind for c in required_columns(wanted)}
    consents = {f"consent_{channel}": "flag" for channel in wanted.consent_channels}
    assert columns == {"tenure_months": "number", "region": "text", **consents}


@pytest.mark.real_data
def test_matrix_of_the_real_file(hillstrom, hillstrom_frame):
    fitted = FeatureBuilder.fit(hillstrom_frame, hillstrom.playbook)
    X = fitted.transform(hillstrom_frame, hillstrom_frame["decided_at"])
    assert X.shape == (64_000, 7)
    assert fitted.categories["area"] == ("Rural", "Suburban", "Urban")
    assert fitted.categories["purchase_channel"] == ("Multichannel", "Phone", "Web")
    assert not X.isna().any(axis=None)


# ------------------------------------------------------------------------------------------------------------ segments


def leavers(n, seed):
    rng = np.random.default_rng(seed)
    table = customers(
        annual_value=rng.gamma(2.0, 100.0, n), orders_last_year=rng.poisson(3.0, n), logins_last_year=rng.poisson(9, n)
    )
    return table.assign(decided_at=AT, churned_at=AT - pd.to_timedelta(rng.integers(30, 500, n), unit="D"))


def test_a_segment_may_be_a_feature_and_is_the_one_that_conditions_use():
    training, later = leavers(500, 0), leavers(80, 1)
    wanted = book(["annual_value"], ["rfm", "engagement", "relationship"])
    fitted = FeatureBuilder.fit(training.assign(relationship="amicable"), wanted)
    X = fitted.transform(later, AT)
    assert list(X) == ["annual_value", "rfm", "engagement", "relationship"]
    segments = SegmentBuilder.fit(training, AT, wanted).transform(later, AT)
    known = X["rfm"].notna()
    assert (X.loc[known, "rfm"].astype(str) == segments.loc[known, "rfm"].astype(str)).all()
    assert (X["engagement"].astype(str) == segments["engagement"].astype(str)).all()
    # the contract's own column stays what it is
    assert X["relationship"].isna().all()


def test_where_segments_end_is_learnt_in_training_alone():
    fitted = FeatureBuilder.fit(leavers(500, 0), book(categorical=["rfm", "engagement"]))
    later = leavers(60, 2)
    alone = pd.concat([fitted.transform(later.iloc[[i]], AT) for i in range(60)])
    pd.testing.assert_frame_equal(alone, fitted.transform(later, AT))
    richer = later.assign(annual_value=later["annual_value"] * 100)
    assert (fitted.transform(richer, AT)["rfm"].dropna().str[2] == "5").all()


def test_features_that_are_segments_are_saved_with_their_ends():
    fitted = FeatureBuilder.fit(leavers(500, 0), book(categorical=["rfm", "time_since_churn"]))
    again = FeatureBuilder.from_state(json.loads(json.dumps(fitted.to_state())))
    assert again == fitted
    pd.testing.assert_frame_equal(again.transform(leavers(50, 3), AT), fitted.transform(leavers(50, 3), AT))


def test_a_segment_needs_the_columns_that_it_is_made_from_and_the_time_of_the_decision():
    wanted = book(categorical=["engagement", "rfm", "time_since_churn"])
    own = {c.name: c.kind for c in required_columns(wanted) if not c.name.startswith("consent_")}
    assert own == {"logins_last_year": "number", "orders_last_year": "number"}
    with pytest.raises(InputError, match=r"expected decided_at, which segments \(engagement, rfm, time_since_churn\)"):
        FeatureBuilder.fit(leavers(50, 0).drop(columns="decided_at"), wanted)


def test_no_reason_is_told_from_segments_that_are_made_of_it(small_frame, email_playbook):
    features = playbook.Features(numeric=("annual_value",), categorical=("reason_for_churn", "competitive_status"))
    model = DecisionModel(email_playbook.model_copy(update={"features": features}))
    model.features = FeatureBuilder.fit(small_frame, model.playbook)
    assert list(model.reason_features(small_frame, small_frame["decided_at"])) == ["annual_value"]
