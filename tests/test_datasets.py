"""Files of people turn into contract tables whole, or are refused with what is wrong and where."""

import gzip
import re

import numpy as np
import pandas as pd
import pytest

from propensity import contract, datasets, playbook
from propensity.contract import ContractError
from propensity.dataset import read_file
from propensity.errors import InputError
from propensity.mapping import Mapping, load_mapping
from propensity.wide import read_wide

CONTENT = {
    "name": "shop",
    "title": "Shop",
    "playbook": "hillstrom",
    "campaign": "spring",
    "decided_at": "2026-03-01T00:00:00Z",
    "customers": {
        "customer_id": "id",
        "churned_at": {"months_before": "recency"},
        "annual_value": "history",
        "consent_email": {"constant": True},
    },
    "features": {
        "months_since_purchase": "recency",
        "bought_mens": "mens",
        "bought_womens": "womens",
        "is_new": "newbie",
        "area": {"column": "zip", "labels": {"Surburban": "Suburban"}},
        "purchase_channel": "channel",
    },
    "contacts": {
        "action": {"column": "arm", "labels": {"0": "control", "1": "mens_email", "2": "womens_email"}},
        "probability": {"by_action": {"control": 0.5, "mens_email": 0.25, "womens_email": 0.25}},
    },
    "outcomes": [
        {"type": "reactivated", "flag": "visit"},
        {"type": "purchased", "flag": "bought", "amount": "spend"},
    ],
}
MAPPING = Mapping.model_validate(CONTENT)


def wide(n=6, **columns):
    """People of three arms in turn; the second and the last of six visit, the last one buys."""
    came = [int(i % 6 in (1, 5)) for i in range(n)]
    bought = [int(i % 6 == 5) for i in range(n)]
    return pd.DataFrame(
        {
            "id": [f"p{i}" for i in range(n)],
            "recency": [1 + i % 12 for i in range(n)],
            "history": [10.0 * i for i in range(n)],
            "mens": 1,
            "womens": 0,
            "newbie": 0,
            "zip": ["Surburban" if i % 2 else "Rural" for i in range(n)],
            "channel": "Web",
            "arm": [i % 3 for i in range(n)],
            "visit": came,
            "bought": bought,
            "spend": [20.0 * b for b in bought],
        }
    ).assign(**columns)


def with_cell(column, row, value, n=6):
    frame = wide(n)
    frame[column] = frame[column].astype(object)
    frame.loc[row, column] = value
    return frame


def changed(**parts):
    return Mapping.model_validate({**CONTENT, **parts})


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


REASONS_TABLE = """
name = "mine"
[labels]
"Too dear" = "price"
"Who knows" = "unknown"
"Died" = "excluded"
"""


@pytest.fixture
def with_reasons(tmp_path):
    """The mapping with a table of reasons beside the column ``why``."""
    file = tmp_path / "reasons.toml"
    file.write_text(REASONS_TABLE, encoding="utf-8")
    customers = {**CONTENT["customers"], "reason": {"column": "why", "reasons": str(file)}, "exit_answer": "words"}
    return Mapping.model_validate({**CONTENT, "customers": customers})


WHY = ["Too dear", "Died", None, " Too dear ", "Who knows", "Too dear"]


def test_labels_become_reasons_and_the_excluded_are_in_no_table(read, with_reasons):
    dataset = read(wide(why=WHY, words="it was dear"), with_reasons)
    assert dataset.customers["customer_id"].tolist() == ["p0", "p2", "p3", "p4", "p5"]
    assert dataset.customers["reason"].fillna("").tolist() == ["price", "", "price", "", "price"]
    assert set(dataset.customers["exit_answer"]) == {"it was dear"}
    # the second person visited
    assert "p1" not in {*dataset.contacts["customer_id"], *dataset.outcomes["customer_id"]}
    assert dataset.n_excluded == 1
    assert "1 excluded by the table of reasons" in datasets.description(dataset)
    assert dataset.quarantined.empty


def test_an_unknown_label_is_refused_by_its_name_or_set_aside(read, with_reasons):
    strange = wide(why=["Aliens", *WHY[1:]], words="")
    with pytest.raises(
        InputError, match=r"reasons mine: .*lacks 'Aliens' \(1 row\).*one of price, .*unknown, excluded"
    ):
        read(strange, with_reasons)
    dataset = read(strange, with_reasons, quarantine=True)
    assert dataset.quarantined["why"].tolist() == ["Aliens"]
    assert dataset.customers["customer_id"].tolist() == ["p2", "p3", "p4", "p5"]


@pytest.mark.parametrize(
    ("name", "source", "said"),
    [
        (
            "relationship",
            {"column": "why", "reasons": "telco"},
            "relationship: reasons are for the column reason alone",
        ),
        ("reason", {"constant": "price", "reasons": "telco"}, "reasons: expected beside a column"),
        ("reason", {"column": "why", "reasons": "telco", "labels": {"a": "price"}}, "reasons: .*without labels"),
    ],
)
def test_a_table_of_reasons_stands_beside_the_reason(name, source, said):
    with pytest.raises(ValueError, match=said):
        Mapping.model_validate({**CONTENT, "customers": {**CONTENT["customers"], name: source}})


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
        ("cut.csv.gz", gzip.compress(b"a,b\n" + b"1,2\n" * 500)[:-12], "cannot be read as CSV"),
        ("bent.csv.gz", gzip.compress(b"a,b\n1,2\n")[:12] + b"\x00" * 9, "cannot be read as CSV"),
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


# --------------------------------------------------------------------------------------------------------- mappings

WRONG_MAPPINGS = [
    ({"customers": {"customer_id": "id"}}, r"customers: churned_at is missing"),
    ({"outcomes": []}, r"outcomes: .*at least 1 item"),
    ({"outcomes": [{"type": "baught", "flag": "f"}]}, r"outcomes\.0: type: expected one of sent, .*found 'baught'"),
    ({"outcomes": [{"type": "purchased"}]}, r"outcomes\.0: expected a flag or an amount"),
    ({"contacts": {"action": "arm", "probability": {}}}, r"contacts\.probability: expected one of each, by_action"),
    ({"contacts": {"action": "arm", "probability": {"each": 0}}}, r"probability\.each: expected greater than 0"),
    ({"contacts": {"action": {}, "probability": {"each": 1}}}, r"contacts\.action: expected one of column, constant"),
    ({"features": {"x": {"column": "a", "days_before": "b"}}}, r"features\.x: expected one of column, constant"),
    ({"titel": "T"}, r"titel: is not a setting that is known here \(misspelt\?\)"),
    ({"decided_at": "some day"}, r"decided_at: .*found 'some day'"),
]


@pytest.mark.parametrize(("parts", "message"), WRONG_MAPPINGS, ids=[m[:30] for _, m in WRONG_MAPPINGS])
def test_a_mapping_that_cannot_be_is_refused(parts, message):
    with pytest.raises(ValueError, match="validation error") as caught:
        changed(**parts)
    assert re.search(message, playbook.sentences(caught.value))


@pytest.mark.parametrize(
    ("content", "message"),
    [("name = ", "is not valid TOML"), ('name = "x"\ntitel = "T"', "title: is missing.*titel: is not a setting")],
)
def test_a_mapping_file_that_is_broken_is_named(tmp_path, content, message):
    file = tmp_path / "m.toml"
    file.write_text(content)
    with pytest.raises(InputError, match=rf"mapping {re.escape(str(file))}: .*{message}"):
        load_mapping(file)


def test_a_missing_mapping_names_those_that_there_are(tmp_path):
    with pytest.raises(InputError, match=r"cannot be read \(No such.*Name a TOML file or one of: charity, hillstrom"):
        load_mapping(tmp_path / "gone.toml")


def test_a_feature_that_the_mapping_forgets_is_named(read):
    features = {k: v for k, v in CONTENT["features"].items() if k != "is_new"} | {"is_newe": "newbie"}
    message = refusal(read, wide(), InputError, mapping=changed(features=features))
    assert "says nothing of 'is_new' (did it mean 'is_newe'?), which playbook 'hillstrom' needs" in message


# -------------------------------------------------------------------------------------------- a directory of tables


def tables():
    n = 6
    ids = [f"c{i}" for i in range(n)]
    features = {"months_since_purchase": 1, "bought_mens": 1, "bought_womens": 0, "is_new": 0}
    people = {"customer_id": ids, "as_of": "2026-01-01", "churned_at": "2025-06-01", "consent_email": True}
    return {
        "customers": pd.DataFrame({**people, **features, "annual_value": 1.0, "area": "x", "purchase_channel": "Web"}),
        "contacts": pd.DataFrame(
            {
                "decision_id": [f"d{i}" for i in range(n)],
                "customer_id": ids,
                "decided_at": "2026-01-02",
                "campaign": "spring",
                "action": ["control", "mens_email", "womens_email"] * 2,
                "probability": 1 / 3,
                "cost": 0.0,
            }
        ),
        "outcomes": pd.DataFrame(
            {
                "event_id": [f"e{i}" for i in range(n)],
                "source": "shop",
                "customer_id": ids,
                "at": "2026-01-03",
                "type": "purchased",
                "amount": 1.0,
            }
        ),
    }


@pytest.fixture
def read_directory(tmp_path):
    def write_and_read(quarantine=False, **changes):
        for name, table in {**tables(), **changes}.items():
            table.to_parquet(tmp_path / f"{name}.parquet")
        return datasets.load(str(tmp_path), playbook_path="hillstrom", quarantine=quarantine)

    return write_and_read


def test_a_directory_of_tables_is_read(read_directory):
    data = read_directory()
    assert [len(t) for t in (data.customers, data.contacts, data.outcomes)] == [6, 6, 6]
    assert data.campaign == "spring"
    assert data.quarantined.empty


@pytest.mark.parametrize("missing", ["customers", "contacts", "outcomes"])
def test_a_directory_that_lacks_a_table_is_refused(tmp_path, read_directory, missing):
    read_directory()
    (tmp_path / f"{missing}.parquet").unlink()
    with pytest.raises(InputError, match=rf"has no {missing}\.parquet; expected customers\.parquet, contacts\.parquet"):
        datasets.load(str(tmp_path), playbook_path="hillstrom")


def test_kinds_that_other_programs_write_are_read_alike(read_directory):
    sound = read_directory()
    made = tables()
    ids = pd.array(range(6), dtype="Int64")
    people = made["customers"].assign(
        customer_id=ids.astype("int32"),
        as_of=pd.to_datetime(made["customers"]["as_of"]),
        churned_at=pd.to_datetime(made["customers"]["churned_at"]).dt.date,
        consent_email=pd.array([1] * 6, dtype="Int8"),
        is_new=pd.array([False] * 6, dtype="boolean"),
    )
    contacts = made["contacts"].assign(
        customer_id=[f"{i}" for i in range(6)], decided_at="2026-01-02T00:00:00+00:00", cost=pd.array([0] * 6, "Int64")
    )
    outcomes = made["outcomes"].assign(customer_id=[float(i) for i in range(6)])
    data = read_directory(customers=people, contacts=contacts, outcomes=outcomes)
    renamed = sound.customers.assign(customer_id=[str(i) for i in range(6)])
    pd.testing.assert_frame_equal(data.customers, renamed)
    pd.testing.assert_frame_equal(data.contacts.drop(columns="customer_id"), sound.contacts.drop(columns="customer_id"))
    assert data.outcomes["customer_id"].tolist() == [str(i) for i in range(6)]


def test_unknown_ids_are_refused_by_table(read_directory):
    made = tables()
    contacts = made["contacts"].assign(customer_id=["c0", "c1", "c2", "c3", "x", "c5"])
    with pytest.raises(ContractError, match=r"contacts\.customer_id: 1 row: .*found 'x' \(first in data row 5\)"):
        read_directory(contacts=contacts)


def test_unknown_ids_are_set_aside_and_the_right_rows_stay(read_directory):
    made = tables()
    people = made["customers"].assign(as_of=["2026-01-01"] * 5 + ["2026-02-01"])
    contacts = made["contacts"].assign(customer_id=["c0", "x", "c2", "c3", "c4", "c5"])
    outcomes = made["outcomes"].assign(customer_id=["y", "c1", "c2", "c3", "c4", "c5"])
    data = read_directory(customers=people, contacts=contacts, outcomes=outcomes, quarantine=True)
    assert data.contacts["decision_id"].tolist() == ["d0", "d2", "d3", "d4"]
    assert data.outcomes["event_id"].tolist() == ["e1", "e2", "e3", "e4", "e5"]
    assert data.quarantined[["table", "fault"]].apply(": ".join, axis=1).tolist() == [
        "contacts: customer_id: expected a customer of the customers table",
        "contacts: decided_at: expected a time no earlier than the customer's as_of",
        "outcomes: customer_id: expected a customer of the customers table",
    ]


def test_a_bad_customer_takes_contacts_and_outcomes_along(read_directory):
    data = read_directory(customers=tables()["customers"].assign(annual_value=[-1.0, *[1.0] * 5]), quarantine=True)
    for table in (data.customers, data.contacts, data.outcomes):
        assert table["customer_id"].tolist() == ["c1", "c2", "c3", "c4", "c5"]
    assert data.quarantined["table"].tolist() == ["customers", "contacts", "outcomes"]


def test_no_good_customer_is_refused_with_the_reason(read_directory):
    with pytest.raises(ContractError, match=r"customers\.annual_value: 6 rows: .*No good row is left"):
        read_directory(customers=tables()["customers"].assign(annual_value=-1.0), quarantine=True)


# --------------------------------------------------------------------------------------------------- which data set


def test_an_unknown_name_is_refused():
    with pytest.raises(InputError, match=r"data hilstrom: no such file or directory \(known names: auto, hillstrom"):
        datasets.load("hilstrom")


def test_a_single_file_needs_a_mapping(tmp_path):
    file = tmp_path / "people.csv"
    wide().to_csv(file)
    with pytest.raises(InputError, match="a single file needs --mapping FILE"):
        datasets.load(str(file))


def test_the_named_directory_comes_first(tmp_path, monkeypatch):
    monkeypatch.setenv(datasets.DATA_DIRECTORY_VARIABLE, str(tmp_path))
    (tmp_path / datasets.HILLSTROM_FILE).touch()
    path, origin = datasets.find_hillstrom()
    assert path == tmp_path / datasets.HILLSTROM_FILE
    assert datasets.DATA_DIRECTORY_VARIABLE in origin


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets, "data_directories", list)
    monkeypatch.setattr(datasets, "_cache_directory", lambda: tmp_path)
    monkeypatch.setattr(datasets, "_download_hillstrom", lambda target: "no network")


def test_hillstrom_that_is_nowhere_says_how_to_get_it(nowhere):
    with pytest.raises(
        InputError, match=r"could not be downloaded \(no network\)\. Put hillstrom\.csv\.gz into .*simulated"
    ):
        datasets.load("hillstrom")


def test_auto_falls_back_on_the_simulated_program_and_says_so(nowhere, monkeypatch):
    monkeypatch.setattr(datasets, "SIMULATED_CUSTOMERS", 300)
    data = datasets.load("auto", seed=1)
    assert "simulated" in data.origin
    assert "no network" in data.origin
    assert contract.check_references(data.customers, data.contacts, data.outcomes) == []


# -------------------------------------------------------------------------------------------------------- real data


@pytest.mark.real_data
def test_the_real_file_is_read_whole(hillstrom):
    assert len(hillstrom.customers) == len(hillstrom.contacts) == 64_000
    assert hillstrom.quarantined.empty
    assert hillstrom.customers["customer_id"].is_unique
    assert hillstrom.customers["customer_id"].iloc[[0, -1]].tolist() == ["h00001", "h64000"]


@pytest.mark.real_data
def test_identical_people_of_the_real_file_are_kept(hillstrom, hillstrom_file):
    rows = read_file(hillstrom_file)
    assert rows.duplicated().sum() == 6_562
    np.testing.assert_array_equal(hillstrom.customers["annual_value"], rows["history"])


@pytest.mark.real_data
def test_the_spelling_of_the_real_file_is_mended(hillstrom, hillstrom_file):
    areas = hillstrom.customers["area"].value_counts()
    assert set(areas.index) == {"Rural", "Suburban", "Urban"}
    assert areas["Suburban"] == (read_file(hillstrom_file)["zip_code"] == "Surburban").sum()


@pytest.mark.real_data
def test_outcomes_of_the_real_file_are_all_there(hillstrom, hillstrom_file):
    rows = read_file(hillstrom_file)
    counts = hillstrom.outcomes["type"].value_counts()
    assert counts.to_dict() == {"reactivated": rows["visit"].sum(), "purchased": rows["conversion"].sum()}
    assert hillstrom.outcomes["amount"].sum() == pytest.approx(rows["spend"].sum())


@pytest.mark.real_data
def test_one_bad_row_of_the_real_file_costs_one_row(hillstrom_file, tmp_path):
    rows = read_file(hillstrom_file).head(3_000).astype({"recency": object})
    bad = rows.index[rows["visit"] == 1][0]
    rows.loc[bad, "recency"] = "?"
    rows.to_csv(tmp_path / "spoilt.csv", index=False)
    mapping = load_mapping("hillstrom")
    data = read_wide(tmp_path / "spoilt.csv", mapping, "a test", quarantine=True)
    assert len(data.customers) == len(data.contacts) == 2_999
    assert data.quarantined.index.tolist() == [bad]
    assert f"h{bad + 1:04d}" not in set(data.outcomes["customer_id"])
