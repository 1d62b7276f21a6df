"""Wide files turn into contract tables whole, or are refused with what is wrong and where."""

import gzip
import re

import numpy as np
import pandas as pd
import pytest
from wide_cases import CONTENT, MAPPING, changed, wide

from propensity import contract
from propensity.contract import ContractError
from propensity.dataset import read_file
from propensity.errors import InputError
from propensity.wide import read_wide


def with_cell(column, row, value, n=6):
    frame = wide(n)
    frame[column] = frame[column].astype(object)
    frame.loc[row, column] = value
    return frame


@pytest.fixture(params=["csv", "csv.gz", "parquet"])
def read(request, tmp_path):
    """Writes a frame as a file of one kind and reads it through a mapping."""

    def write_and_read(frame, mapping=MAPPING, quarantine=False):
        path = tmp_path / f"people.{request.param}"
        if request.param == "parquet":
            # a Parquet column has one kind
            mixed = {c: "str" for c in frame if len({type(v) for v in frame[c]}) > 1 and frame[c].dtype == object}
            frame.astype(mixed).to_parquet(path, index=False)
        else:
            frame.to_csv(path, index=False)
        return read_wide(path, mapping, "a test", quarantine=quarantine)

    return write_and_read


def refusal(read, frame, error=ContractError, **options):
    with pytest.raises(error) as caught:
        read(frame, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert caught.value.exit_code == 2
    return message


# ---------------------------------------------------------------------------------------------------- a sound file


def test_a_wide_file_becomes_three_tables(read):
    data = read(wide())
    assert len(data.customers) == len(data.contacts) == 6
    assert data.contacts["action"].tolist() == ["control", "mens_email", "womens_email"] * 2
    assert data.contacts["probability"].tolist() == [0.5, 0.25, 0.25] * 2
    assert data.contacts["cost"].tolist() == [0, 0.02, 0.02] * 2
    assert set(data.contacts["decision_id"]) == {f"spring:p{i}" for i in range(6)}
    assert data.customers["area"].unique().tolist() == ["Rural", "Suburban"]
    assert data.quarantined.empty
    assert data.violations == ()


def test_columns_together_may_tell_the_arm(read):
    labels = {"0,0": "control", "1,0": "mens_email", "1,1": "womens_email"}
    mapping = changed(contacts={**CONTENT["contacts"], "action": {"columns": ["mailed", "for_her"], "labels": labels}})
    told = wide(mailed=[0, 1, 1] * 2, for_her=[0, 0, 1] * 2)
    assert read(told, mapping).contacts.equals(read(wide()).contacts)
    gap = told.assign(for_her=[0.0, 0.0, None] * 2)
    assert "contacts.action (column 'mailed, for_her'): 2 rows" in refusal(read, gap, mapping=mapping)
    gone = refusal(read, told.drop(columns="for_her"), InputError, mapping=mapping)
    assert "contacts.action comes from column 'for_her', which the file does not have" in gone


def test_months_before_count_back_from_the_decision(read):
    days = read(wide()).customers["churned_at"].rsub(pd.Timestamp("2026-03-01", tz="UTC")).dt.total_seconds() / 86_400
    np.testing.assert_allclose(days, 30.4375 * np.arange(1, 7))


def test_events_lie_at_the_end_of_the_window_and_name_their_decision(read):
    outcomes = read(wide()).outcomes
    assert outcomes[["customer_id", "type"]].apply(tuple, axis=1).tolist() == [
        ("p1", "reactivated"),
        ("p5", "reactivated"),
        ("p5", "purchased"),
    ]
    assert set(outcomes["at"]) == {pd.Timestamp("2026-03-15", tz="UTC")}
    assert (outcomes["decision_id"] == "spring:" + outcomes["customer_id"]).all()
    assert outcomes["amount"].sum() == 20
    assert not outcomes["event_id"].duplicated().any()


def test_days_of_an_event_are_asked_only_of_those_who_had_it(read):
    mapping = changed(outcomes=[{"type": "reactivated", "flag": "visit", "after_days": "days"}])
    data = read(wide(days=[None, 2.0, None, None, None, 3.5]), mapping)
    after = (data.outcomes["at"] - pd.Timestamp("2026-03-01", tz="UTC")) / pd.Timedelta(days=1)
    assert after.tolist() == [2.0, 3.5]


def test_an_amount_without_a_flag_is_its_own_sign(read):
    mapping = changed(outcomes=[{"type": "purchased", "amount": "spend"}])
    assert read(wide(), mapping).outcomes["customer_id"].tolist() == ["p5"]


@pytest.mark.parametrize("flags", [[False, True, False, False, False, True], ["no", "yes", "no", "no", "no", "yes"]])
def test_flags_may_be_words(read, flags):
    assert read(wide(visit=flags)).outcomes["type"].tolist().count("reactivated") == 2


@pytest.mark.parametrize("ids", [range(6), [f"00{i}" for i in range(6)], [f" p{i} " for i in range(6)]])
def test_keys_are_the_same_in_all_tables(read, ids):
    data = read(wide(id=list(ids)))
    assert data.customers["customer_id"].tolist() == [str(i).strip() for i in ids]
    assert contract.check_references(data.customers, data.contacts, data.outcomes) == []
    assert set(data.outcomes["decision_id"]) <= set(data.contacts["decision_id"])


def test_identical_rows_are_different_people_where_the_file_has_no_key(read):
    mapping = changed(customers={**CONTENT["customers"], "customer_id": {"row_number": "h"}})
    twins = pd.concat([wide(), wide()], ignore_index=True).drop(columns="id")
    data = read(twins, mapping)
    assert data.customers["customer_id"].tolist() == [f"h{i:02d}" for i in range(1, 13)]


def test_a_cost_column_is_used(read):
    mapping = changed(contacts={**CONTENT["contacts"], "cost": "paid"})
    assert read(wide(paid=1.25), mapping).contacts["cost"].tolist() == [1.25] * 6


# ----------------------------------------------------------------------------------------------------- faulty rows

FAULTS = [
    ("recency", "long ago", "customers.churned_at (column 'recency')", "a number of months, 0 or more"),
    ("recency", -2, "customers.churned_at (column 'recency')", "a number of months, 0 or more"),
    ("recency", 1e9, "customers.churned_at (column 'recency')", "a number of months, 0 or more"),
    ("recency", None, "customers.churned_at (column 'recency')", "a value"),
    ("history", "much", "customers.annual_value (column 'history')", "a number"),
    ("history", -1, "customers.annual_value (column 'history')", "at least 0 currency a year"),
    ("mens", "yes?", "customers.bought_mens (column 'mens')", "a number"),
    ("id", None, "customers.customer_id (column 'id')", "a value"),
    ("arm", 3, "contacts.action (column 'arm')", "one of control, mens_email, womens_email"),
    ("arm", None, "contacts.action (column 'arm')", "a value"),
    ("visit", None, "outcomes.reactivated (column 'visit')", "0 or 1"),
    ("visit", 2, "outcomes.reactivated (column 'visit')", "0 or 1"),
    ("bought", "perhaps", "outcomes.purchased (column 'bought')", "0 or 1"),
    ("spend", "a lot", "outcomes.purchased (column 'spend')", "a number"),
    ("spend", float("inf"), "outcomes.purchased (column 'spend')", "a number"),
    ("spend", 7, "outcomes.purchased (column 'spend')", "no amount where 'bought' is 0"),
]


@pytest.mark.parametrize(("column", "value", "place", "expected"), FAULTS)
def test_a_fault_is_named_by_the_column_of_the_file(read, column, value, place, expected):
    message = refusal(read, with_cell(column, 1, value))
    assert re.search(rf"{re.escape(place)}: 1 row: expected {expected}.*, found .*first in data row 2", message)
    assert message.endswith("Mend the file, or set the bad rows aside with --quarantine FILE")


@pytest.mark.parametrize(("column", "value", "place", "expected"), FAULTS)
def test_a_bad_row_is_set_aside_in_all_tables(read, column, value, place, expected):
    data = read(with_cell(column, 1, value), quarantine=True)
    kept = ["p0", "p2", "p3", "p4", "p5"]
    assert data.customers["customer_id"].tolist() == kept
    assert data.contacts["customer_id"].tolist() == kept
    assert data.outcomes["customer_id"].tolist() == ["p5", "p5"]
    assert data.quarantined.index.tolist() == [1]
    assert set(wide().columns) < set(data.quarantined.columns)
    assert f"{place.partition('.')[2]}: expected {expected}" in data.quarantined["fault"].item()


@pytest.mark.parametrize("ids", [range(12), [f" p{i}" for i in range(12)]])
def test_quarantine_finds_its_rows_whatever_the_keys_are(read, ids):
    data = read(wide(12, id=list(ids), history=[-1.0, *[1.0] * 11], mens=[*[1] * 6, "x", *[1] * 5]), quarantine=True)
    good = [str(i).strip() for n, i in enumerate(ids) if n not in (0, 6)]
    assert data.customers["customer_id"].tolist() == data.contacts["customer_id"].tolist() == good
    assert data.quarantined.index.tolist() == [0, 6]


def test_a_repeated_customer_is_refused_once(read):
    message = refusal(read, wide(id=["a", "b", "a", "c", "d", "e"]))
    assert message.startswith(
        "customers.customer_id (column 'id'): 2 rows: expected each customer once at a time, found 'a'"
    )
    assert "contacts" not in message


def test_every_row_is_either_kept_or_set_aside(read):
    frame = wide(12, id=["a", "b", "a", *"cdefghijk"], history=[-1.0, *[1.0] * 11])
    data = read(frame, quarantine=True)
    assert len(data.customers) + len(data.quarantined) == 12
    assert data.quarantined.index.tolist() == [0, 2]


def test_all_kinds_of_faults_are_told_at_once(read):
    frame = wide(history=-1.0, visit=9, arm=7)
    message = refusal(read, frame)
    assert all(column in message for column in ("'history'", "'visit'", "'arm'"))


@pytest.mark.parametrize(("column", "value"), [("recency", "x"), ("visit", 9), ("arm", 9), ("id", "same")])
def test_all_rows_bad_is_refused_even_with_quarantine(read, column, value):
    message = refusal(read, wide(**{column: value}), quarantine=True)
    assert f"(column '{column}'): 6 rows: " in message
    assert message.endswith("No good row is left")


def test_one_arm_is_refused(read):
    assert "expected at least one action besides control, found control (6)" in refusal(read, wide(arm=0))


def test_no_control_is_refused(read):
    message = refusal(read, wide(arm=1))
    assert "contacts.action: 6 rows: expected some rows with 'control'" in message
    assert "found mens_email (6)" in message


def test_a_control_lost_to_quarantine_is_refused(read):
    frame = wide(history=[-1.0, 1, 1, -1.0, 1, 1])
    assert "expected some rows with 'control'" in refusal(read, frame, quarantine=True)


def test_nobody_came_back_is_refused(read):
    message = refusal(read, wide(visit=0, bought=0, spend=0.0))
    assert (
        message
        == "outcomes: expected at least one event, found none. Nobody in the file came back, so nothing can be learnt"
    )


def test_days_that_are_no_days_are_faults(read):
    mapping = changed(outcomes=[{"type": "reactivated", "flag": "visit", "after_days": "days"}])
    for value in ("soon", -1, 1e12, None):
        frame = wide(days=["", value, "", "", "", 3])
        assert "(column 'days'): 1 row: expected a number of days, 0 or more" in refusal(read, frame, mapping=mapping)
        assert len(read(frame, mapping, quarantine=True).quarantined) == 1


def test_a_decision_before_the_customers_row_is_a_fault(read):
    mapping = changed(customers={**CONTENT["customers"], "as_of": "seen"})
    frame = wide(seen=["2026-03-01", "2026-03-02", *["2026-02-01"] * 4])
    assert "contacts.decided_at: 1 row: " in refusal(read, frame, mapping=mapping)
    assert read(frame, mapping, quarantine=True).quarantined["id"].tolist() == ["p1"]


# ------------------------------------------------------------------------------------------------- files and columns


@pytest.mark.parametrize(
    ("column", "written", "target"),
    [
        ("recency", "recencey", "customers.churned_at"),
        ("zip", "zip_", "features.area"),
        ("arm", "Arm", "contacts.action"),
        ("spend", "spent", "outcomes.purchased"),
    ],
)
def test_a_misspelt_column_is_named_and_the_near_one_offered(read, column, written, target):
    message = refusal(read, wide().rename(columns={column: written}), InputError)
    assert (
        f"mapping shop: {target} comes from column {column!r}, which the file does not have; "
        f"did the file mean {written!r}?" in message
    )


def test_every_missing_column_is_named(read):
    mapping = changed(contacts={**CONTENT["contacts"], "cost": "paid", "probability": {"column": "chance"}})
    message = refusal(read, wide().drop(columns=["visit", "id"]), InputError, mapping=mapping)
    assert all(f"column {name!r}" in message for name in ("paid", "chance", "visit", "id"))


def test_a_parquet_index_is_a_column_and_row_numbers_stay_right(tmp_path):
    path = tmp_path / "people.parquet"
    with_cell("history", 1, -1.0).astype({"history": float}).set_index("id").to_parquet(path)
    data = read_wide(path, MAPPING, "a test", quarantine=True)
    assert data.quarantined["id"].tolist() == ["p1"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.csv", b"", "the file is empty; expected a header and at least one row"),
        ("header.csv", b"a,b\n", "has a header but no rows; expected at least one row"),
        ("ragged.csv", b"a,b\n1,2\n1,2,3,4\n", r"cannot be read as CSV \(.*Expected 2 fields in line 3, saw 4"),
        ("long.csv", b"a,b\n1,2,3\n4,5,6\n", "rows have more fields than the header"),
        ("latin.csv", b"a\nM\xfcller\n", r"cannot be read as CSV \(.*utf-8"),
        ("picture.csv", b"\x89PNG\r\n\x1a\n\x00\x00\xff\xfe", "cannot be read as CSV"),
        ("plain.csv.gz", b"a,b\n1,2\n", r"cannot be read as CSV \(Not a gzipped file"),
        ("cut.csv.gz", gzip.compress(b"a,b\n" + b"1,2\n" * 500, mtime=0)[:-12], "cannot be read as CSV"),
        ("bent.csv.gz", gzip.compress(b"a,b\n1,2\n", mtime=0)[:12] + b"\x00" * 9, "cannot be read as CSV"),
        ("text.parquet", b"a,b\n1,2\n", "cannot be read as Parquet"),
        ("empty.parquet", b"", "cannot be read as Parquet"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_file(path)
    assert str(caught.value).startswith(f"data {path}: ")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"data .*gone\.csv: there is no such file"):
        read_file(tmp_path / "gone.csv")


def test_texts_of_a_csv_are_read_as_they_stand(tmp_path):
    path = tmp_path / "keys.csv"
    path.write_text("id,n\n007,007\n,1\n")
    frame = read_file(path, texts=["id", "absent"])
    assert frame["id"].tolist()[0] == "007"
    assert frame["id"].isna().tolist() == [False, True]
    assert frame["n"].tolist() == [7, 1]


def test_a_feature_that_the_mapping_forgets_is_named(read):
    features = {k: v for k, v in CONTENT["features"].items() if k != "is_new"} | {"is_newe": "newbie"}
    message = refusal(read, wide(), InputError, mapping=changed(features=features))
    assert "says nothing of 'is_new' (did it mean 'is_newe'?), which playbook 'hillstrom' needs" in message
