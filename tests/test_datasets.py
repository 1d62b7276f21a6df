"""A data set is found by its name, and a directory of tables is read whole or refused with what is wrong."""

import numpy as np
import pandas as pd
import pytest
from wide_cases import wide

from propensity import contract, datasets
from propensity.contract import ContractError
from propensity.dataset import read_file
from propensity.errors import InputError
from propensity.mapping import load_mapping
from propensity.wide import read_wide

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


def test_some_of_the_people_are_the_same_ones_in_all_tables_whatever_their_ids_are_written_as(tmp_path):
    n = 2_000
    made = {name: pd.concat([table] * (n // 6 + 1)).head(n).reset_index(drop=True) for name, table in tables().items()}
    numbers = np.arange(n)
    made["customers"]["customer_id"] = numbers.astype("int32")
    made["contacts"] = made["contacts"].assign(customer_id=numbers.astype(str), decision_id=numbers)
    made["outcomes"] = made["outcomes"].assign(customer_id=numbers.astype(float), event_id=numbers)
    for name, table in made.items():
        table.to_parquet(tmp_path / f"{name}.parquet", row_group_size=300)
    drawn = {}
    for share in (0.1, 0.4, 1.0):
        data = datasets.load(str(tmp_path), playbook_path="hillstrom", people_share=share)
        drawn[share] = set(data.customers["customer_id"])
        assert abs(len(drawn[share]) - share * n) < 4 * np.sqrt(n * share * (1 - share)) + 1
        assert set(data.contacts["customer_id"]) == set(data.outcomes["customer_id"]) == drawn[share]
        assert ("% of the people, at random" in data.origin) is (share < 1)
    assert drawn[0.1] < drawn[0.4] < drawn[1.0]


def test_some_of_the_people_are_read_of_tables_only():
    with pytest.raises(InputError, match="of a directory of contract tables only"):
        datasets.load("simulated", people_share=0.5)


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
