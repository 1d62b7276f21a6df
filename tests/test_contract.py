"""Every fault is named by table, column, rows, what was expected and what was found; no row is lost on the way."""

import datetime as dt
import decimal
import re

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings

from propensity import contract
from propensity.contract import Column, ContractError, check, check_arms, check_references

ARMS = ["email"]


def customers(n=3, **columns):
    ids = [f"c{i}" for i in range(n)]
    return pd.DataFrame({"customer_id": ids, "as_of": "2026-01-01", "churned_at": "2025-06-01"}).assign(**columns)


def contacts(n=3, **columns):
    return pd.DataFrame(
        {
            "decision_id": [f"d{i}" for i in range(n)],
            "customer_id": [f"c{i}" for i in range(n)],
            "decided_at": "2026-01-02T09:00:00Z",
            "campaign": "spring",
            "action": "control",
            "probability": 0.5,
            "cost": 0.0,
        }
    ).assign(**columns)


def outcomes(n=3, **columns):
    return pd.DataFrame(
        {
            "event_id": [f"e{i}" for i in range(n)],
            "source": "shop",
            "customer_id": [f"c{i}" for i in range(n)],
            "at": "2026-01-03",
            "type": "purchased",
            "amount": 10.0,
        }
    ).assign(**columns)


def refusal(table, frame, **options):
    with pytest.raises(ContractError) as caught:
        check(table, frame, **options)
    return caught.value


@pytest.mark.parametrize(("table", "make"), [("customers", customers), ("contacts", contacts), ("outcomes", outcomes)])
def test_a_sound_table_comes_back_whole(table, make):
    checked = check(table, make(), actions=ARMS)
    assert len(checked.good) == 3
    assert checked.bad.empty
    assert checked.violations == ()
    kinds = {c.name: c.kind for c in contract.TABLES[table]}
    dtypes = {"text": "str", "number": "float64", "time": "datetime64[us, UTC]", "flag": "boolean"}
    assert all(str(checked.good[name].dtype) == dtypes[kinds[name]] for name in checked.good)


# ---------------------------------------------------------------------------------------------------------- people


def test_nobody_left_after_their_row_was_true():
    frame = customers(churned_at=["2025-06-01", "2026-01-01", "2026-01-02"])
    assert str(refusal("customers", frame)).startswith(
        "customers.churned_at: 1 row: expected a time no later than the row's as_of, found 2026-01-02 00:00:00+00:00 "
        "(first in data row 3)"
    )
    checked = check("customers", frame, quarantine=True)
    assert checked.good["customer_id"].tolist() == ["c0", "c1"]
    assert checked.bad["customer_id"].tolist() == ["c2"]


def test_a_time_zone_is_one_or_missing():
    said = str(refusal("customers", customers(time_zone=["Europe/Berlin", "Berlin", None])))
    assert "customers.time_zone: 1 row: expected a time zone such as Europe/Berlin, found 'Berlin'" in said
    assert check("customers", customers(time_zone=["Europe/Berlin", " ", None])).good["time_zone"].isna().sum() == 2


def test_rows_of_a_part_are_numbered_as_in_the_whole():
    part = customers(reason=["price", "bored", None])
    assert "found 'bored' (first in data row 42)" in str(refusal("customers", part, first_row=40))
    checked = check("customers", part, first_row=40, quarantine=True)
    assert checked.good["customer_id"].tolist() == ["c0", "c2"]
    assert checked.bad["customer_id"].tolist() == ["c1"]


def test_a_column_that_is_one_itself_is_not_offered_for_another():
    wanted = [Column(f"consent_{c}", "flag", "", nullable=True) for c in ("push", "sms")]
    said = str(refusal("customers", customers(consent_push=True), extra=wanted))
    assert "consent_sms: 3 rows: expected true or false, found no such column. The columns" in said


# ------------------------------------------------------------------------------------------------- columns and rows


def test_a_missing_column_is_named():
    error = refusal("contacts", contacts().drop(columns="cost"))
    assert "contacts.cost: 3 rows: expected a number, found no such column" in str(error)
    assert "did the file mean" not in str(error)


@pytest.mark.parametrize("written", ["probabilty", "Probability", "PROBABILITY", "probability_"])
def test_a_misspelt_column_is_offered(written):
    error = refusal("contacts", contacts().rename(columns={"probability": written}))
    assert (
        f"contacts.probability: 3 rows: expected a number, found no such column (did the file mean {written!r}?)"
        in (str(error))
    )
    assert str(error).endswith(
        f"The columns are: decision_id, customer_id, decided_at, campaign, action, {written}, cost"
    )


def test_a_column_that_is_there_twice_is_refused():
    twice = pd.concat([customers(), customers()[["churned_at"]]], axis=1)
    assert str(refusal("customers", twice)) == "customers.churned_at: 3 rows: expected one such column, found 2"


@pytest.mark.parametrize("quarantine", [False, True])
def test_an_empty_table_is_refused(quarantine):
    error = refusal("customers", customers().iloc[:0], quarantine=quarantine)
    assert str(error) == "customers: expected at least one row, found none"


def test_a_table_without_columns_is_refused():
    assert "The columns are: none" in str(refusal("customers", pd.DataFrame()))


FAULTS = [
    ("contacts", {"probability": [0.5, 0, 0.5]}, "probability", "more than 0 share", "0.0 (first in data row 2)"),
    ("contacts", {"probability": [0.5, -0.1, 0.5]}, "probability", "more than 0 share", "-0.1"),
    ("contacts", {"probability": [0.5, 1.01, 0.5]}, "probability", "at most 1 share", "1.01"),
    ("contacts", {"probability": [0.5, np.nan, 0.5]}, "probability", "a value", "a missing value"),
    ("contacts", {"probability": ["0.5", "half", "0.5"]}, "probability", "a number", "'half' (first in data row 2)"),
    ("contacts", {"cost": [0, np.inf, 0]}, "cost", "a finite number", "inf"),
    ("contacts", {"cost": [0, -1, 0]}, "cost", "at least 0 currency", "-1.0"),
    ("contacts", {"action": ["control", "emial", "email"]}, "action", "one of control, email", "'emial'"),
    ("contacts", {"decided_at": ["2026-01-01", "soon", "2026-01-02"]}, "decided_at", "a time such as", "'soon'"),
    ("customers", {"customer_id": ["a", None, "b"]}, "customer_id", "a value", "a missing value"),
    ("customers", {"customer_id": ["a", "  ", "b"]}, "customer_id", "a value", "a missing value"),
    ("customers", {"reason": ["price", "Prise", None]}, "reason", "one of price, product_gap", "'Prise'"),
    ("customers", {"account_access": [True, "maybe", None]}, "account_access", "true or false", "'maybe'"),
    ("customers", {"consent_email": [1, 2, 0]}, "consent_email", "true or false", "2 (first"),
    ("customers", {"annual_value": [1, "x" * 500, 2]}, "annual_value", "a number", "'" + "x" * 59 + "… (first"),
    ("customers", {"annual_value": [1, [2], 3]}, "annual_value", "a number", "[2]"),
    ("outcomes", {"type": ["sent", "baught", "purchased"]}, "type", "one of sent, delivered", "'baught'"),
    ("outcomes", {"event_id": ["e", "e", "f"]}, "event_id", "each event of a source once", "'e' (first in data row 2)"),
]


@pytest.mark.parametrize(("table", "columns", "column", "expected", "found"), FAULTS)
def test_a_fault_of_one_row_is_told_and_the_others_are_kept(table, columns, column, expected, found):
    frame = {"customers": customers, "contacts": contacts, "outcomes": outcomes}[table](**columns)
    error = refusal(table, frame, actions=ARMS)
    (violation,) = error.violations
    assert (violation.table, violation.column, violation.n_rows) == (table, column, 1)
    assert expected in violation.expected
    assert found in violation.found
    assert str(error).endswith(". Mend the file, or set the bad rows aside with --quarantine FILE")
    assert error.exit_code == 2

    checked = check(table, frame, actions=ARMS, quarantine=True)
    assert len(checked.good) == 2
    assert checked.bad.drop(columns="fault").equals(frame.iloc[[1]])
    assert checked.bad["fault"].item() == f"{column}: expected {violation.expected}"


def test_both_rows_of_a_repeated_customer_are_bad_even_where_one_has_another_fault():
    frame = customers(4, customer_id=["a", "b", " a", "c"], annual_value=["x", 1, 2, 3])
    checked = check("customers", frame, quarantine=True)
    assert checked.good["customer_id"].tolist() == ["b", "c"]
    assert checked.bad["fault"].tolist() == [
        "annual_value: expected a number; customer_id: expected each customer once at a time",
        "customer_id: expected each customer once at a time",
    ]


def test_snapshots_of_a_customer_at_different_times_are_no_repetition():
    assert len(check("customers", customers(2, customer_id="a", as_of=["2026-01-01", "2026-02-01"])).good) == 2


def test_the_same_event_number_of_two_sources_is_two_events():
    assert len(check("outcomes", outcomes(2, event_id="1", source=["shop", "app"])).good) == 2


def test_examples_are_three_at_most_and_the_first_row_is_told():
    (violation,) = refusal("contacts", contacts(6, cost=["1", "a", "b", "a", "c", "d"])).violations
    assert violation.n_rows == 5
    assert violation.found == "'a', 'b', 'c' (first in data row 2)"


def test_many_rows_are_counted_with_commas():
    assert "contacts.cost: 2,000 rows: " in str(refusal("contacts", contacts(2_000, cost=-1)))


def test_faults_of_several_columns_are_told_at_once():
    error = refusal("contacts", contacts(probability=0, cost="x"))
    assert {v.column for v in error.violations} == {"probability", "cost"}


def test_the_index_of_the_frame_does_not_matter():
    frame = contacts(cost=[0, -1, 0]).set_axis([9, 9, "x"])
    checked = check("contacts", frame, quarantine=True)
    assert checked.good["decision_id"].tolist() == ["d0", "d2"]
    assert checked.bad["decision_id"].tolist() == ["d1"]


def test_the_frame_itself_is_left_alone():
    frame = contacts(cost=["1", "x", None])
    before = frame.copy()
    check("contacts", frame, quarantine=True)
    pd.testing.assert_frame_equal(frame, before)


def test_a_checked_table_passes_again_unchanged():
    once = check("customers", customers(account_access=["yes", None, "0"], annual_value=["1", "", 2])).good
    pd.testing.assert_frame_equal(check("customers", once).good, once)


def test_extra_columns_must_be_there_and_get_their_kind():
    extra = (Column("tenure", "number", "feature", nullable=True),)
    assert "customers.tenure" in str(refusal("customers", customers(), extra=extra))
    assert check("customers", customers(tenure=["1", "", 2]), extra=extra).good["tenure"].tolist()[::2] == [1.0, 2.0]


# ------------------------------------------------------------------------------------------------------------ kinds

NOON = pd.Timestamp("2025-06-01T12:00", tz="UTC")
TIMES = {
    "texts": ["2025-06-01T12:00:00Z"] * 3,
    "texts of several shapes": ["2025-06-01T12:00:00Z", "2025-06-01 12:00", "2025-06-01T14:00:00.000+02:00"],
    "naive": pd.to_datetime(["2025-06-01 12:00"] * 3),
    "nanoseconds": pd.to_datetime(["2025-06-01 12:00"] * 3).as_unit("ns").tz_localize("UTC"),
    "another zone": pd.to_datetime(["2025-06-01 14:00"] * 3).tz_localize("Europe/Berlin"),
    "objects": [dt.datetime(2025, 6, 1, 12), dt.datetime(2025, 6, 1, 12, tzinfo=dt.UTC), "2025-06-01T12:00"],
    "categorical": pd.Categorical(["2025-06-01T12:00"] * 3),
    "arrow": pd.array(["2025-06-01T12:00"] * 3, dtype="string[pyarrow]"),
}


@pytest.mark.parametrize("values", TIMES.values(), ids=TIMES.keys())
def test_times_become_utc_whatever_they_were(values):
    assert check("customers", customers(churned_at=values)).good["churned_at"].tolist() == [NOON] * 3


def test_days_are_midnight_utc():
    days = check("customers", customers(churned_at=[dt.date(2025, 6, 1), "2025-06-01", "20250601"])).good["churned_at"]
    assert set(days) == {pd.Timestamp("2025-06-01", tz="UTC")}


@pytest.mark.parametrize("value", [20250601, 1.7e9, True, "03/04/2026", "1/2", pd.Timedelta("1D"), "9" * 30])
def test_what_could_be_any_time_is_no_time(value):
    (violation,) = refusal("customers", customers(churned_at=[value] * 3)).violations
    assert violation.column == "churned_at"
    assert violation.expected == "a time such as 2026-01-31 or 2026-01-31T09:00:00Z"


NUMBERS = {
    "floats": [1.5, np.nan, 2.0],
    "texts": ["1.5", "", " 2 "],
    "decimals": [decimal.Decimal("1.5"), None, decimal.Decimal(2)],
    "nullable": pd.array([1.5, None, 2], dtype="Float64"),
    "arrow": pd.array([1.5, None, 2], dtype="float64[pyarrow]"),
    "categorical": pd.Categorical([1.5, None, 2]),
    "objects": [1.5, pd.NA, np.float32(2)],
}


@pytest.mark.parametrize("values", NUMBERS.values(), ids=NUMBERS.keys())
def test_numbers_become_floats_and_blanks_are_missing(values):
    got = check("customers", customers(annual_value=values)).good["annual_value"]
    assert str(got.dtype) == "float64"
    np.testing.assert_array_equal(got, [1.5, np.nan, 2.0])


@pytest.mark.parametrize("values", [pd.to_datetime(["2025-01-01"] * 3), pd.to_timedelta([1, 2, 3]), [1j, 2j, 3j]])
def test_times_and_complex_values_are_no_numbers(values):
    assert refusal("customers", customers(annual_value=values)).violations[0].n_rows == 3


FLAGS = {
    "booleans": [True, None, False],
    "nullable": pd.array([True, None, False], dtype="boolean"),
    "nullable integers": pd.array([1, None, 0], dtype="Int8"),
    "floats": [1.0, np.nan, 0.0],
    "texts": ["yes", "", "No "],
    "mixed": ["TRUE", pd.NA, 0],
    "arrow": pd.array([True, None, False], dtype="bool[pyarrow]"),
}


@pytest.mark.parametrize("values", FLAGS.values(), ids=FLAGS.keys())
def test_flags_become_booleans(values):
    got = check("customers", customers(account_access=values)).good["account_access"]
    assert str(got.dtype) == "boolean"
    assert got.astype(object).where(got.notna(), None).tolist() == [True, None, False]


KEYS = {
    "integers": [1, 2, 30],
    "floats for want of one": [1.0, 2.0, 30.0],
    "nullable": pd.array([1, 2, 30], dtype="Int64"),
    "texts": [" 1", "2", "30 "],
    "categorical": pd.Categorical([1, 2, 30]),
    "mixed": [1, "2", 30.0],
}


@pytest.mark.parametrize("values", KEYS.values(), ids=KEYS.keys())
def test_keys_read_the_same_in_every_kind(values):
    assert check("customers", customers(customer_id=values)).good["customer_id"].tolist() == ["1", "2", "30"]


def test_leading_noughts_stay():
    assert contract.as_text(pd.Series(["007", "7", None])).tolist()[:2] == ["007", "7"]


# ------------------------------------------------------------------------------------------------- between the tables


def checked_tables(**changes):
    frames = {"customers": customers(), "contacts": contacts(), "outcomes": outcomes(), **changes}
    return [check(name, frame).good for name, frame in frames.items()]


def test_tables_that_belong_together_have_no_faults():
    assert check_references(*checked_tables()) == []


def test_whole_numbers_and_texts_name_the_same_customer():
    tables = checked_tables(
        customers=customers(customer_id=[1, 2, 3]),
        contacts=contacts(customer_id=["1", "2", "3"]),
        outcomes=outcomes(customer_id=[1.0, 2.0, 3.0]),
    )
    assert check_references(*tables) == []


def test_unknown_customers_are_named():
    tables = checked_tables(contacts=contacts(customer_id=["c0", "x", "y"]), outcomes=outcomes(customer_id="z"))
    assert [str(fault) for fault in check_references(*tables)] == [
        "contacts.customer_id: 2 rows: expected a customer of the customers table, "
        "found 'x', 'y' (first in data row 2)",
        "outcomes.customer_id: 3 rows: expected a customer of the customers table, found 'z' (first in data row 1)",
    ]


def test_contacts_before_the_customers_row_are_named():
    (fault,) = check_references(*checked_tables(customers=customers(as_of=["2026-01-01", "2026-01-03", "2025-12-01"])))
    assert (fault.table, fault.column, fault.index) == ("contacts", "decided_at", (1,))


@pytest.mark.parametrize(
    ("actions", "fix"),
    [
        (["email", "email"], "no effect of contact can be measured"),
        (["control", "control"], "one arm only"),
        ([], "no effect of contact can be measured"),
    ],
)
def test_contacts_that_teach_nothing_are_refused(actions, fix):
    table = contacts(len(actions), action=actions)
    with pytest.raises(ContractError, match=fix):
        check_arms(table)


def test_the_arms_that_were_found_are_counted():
    with pytest.raises(ContractError, match=re.escape("found email (3)")):
        check_arms(contacts(action="email"))


def test_control_and_one_action_are_enough():
    check_arms(contacts(2, action=["control", "email"]))


def test_dictionary_names_every_column():
    page = contract.data_dictionary()
    assert all(f"| `{c.name}` | {c.kind} |" in page for columns in contract.TABLES.values() for c in columns)


# ------------------------------------------------------------------------------------------------------- any junk

CELLS = st.one_of(
    st.none(),
    st.just(np.nan),
    st.just(pd.NaT),
    st.just(pd.NA),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.datetimes(),
    st.dates(),
    st.binary(max_size=3),
    st.decimals(allow_nan=False),
    st.complex_numbers(),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=1),
    st.sampled_from(["control", "email", "purchased", "price", "0.5", "2026-01-01", "2026-01-01T09:00:00+02:00"]),
)
FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@FEW
@given(data=st.data(), table=st.sampled_from(sorted(contract.TABLES)), n=st.integers(0, 4), quarantine=st.booleans())
def test_junk_is_either_refused_or_sorted(data, table, n, quarantine):
    names = [c.name for c in contract.TABLES[table]]
    names = data.draw(
        st.one_of(st.just([*names, "consent_email", "probability_email"]), st.lists(st.sampled_from(names)))
    )
    frame = pd.DataFrame(
        {i: pd.Series(data.draw(st.lists(CELLS, min_size=n, max_size=n)), dtype=object) for i, _ in enumerate(names)}
    )
    frame.columns = pd.Index(names, dtype=object)
    try:
        checked = check(table, frame, actions=ARMS, quarantine=quarantine)
    except ContractError:
        return
    assert len(checked.good) + len(checked.bad) == n
    assert quarantine or checked.bad.empty
    assert bool(checked.violations) == (len(checked.bad) > 0)


@FEW
@given(table=st.sampled_from(["customers", "contacts"]), bad=st.sets(st.integers(0, 9)), data=st.data())
def test_the_rows_that_were_spoilt_are_the_bad_ones(table, bad, data):
    frame, column = (customers(10), "churned_at") if table == "customers" else (contacts(10), "probability")
    frame[column] = frame[column].astype(object)
    for row in bad:
        frame.loc[row, column] = data.draw(st.sampled_from(["soon", -1, None, "2026-13-45", float("inf")]))
    checked = check(table, frame, quarantine=True)
    assert set(checked.bad.index) == bad
    assert checked.good.iloc[:, 0].tolist() == frame.iloc[:, 0].drop(index=sorted(bad)).tolist()
