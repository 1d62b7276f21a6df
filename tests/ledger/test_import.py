"""What a company knows already comes into the ledger from files: whole or not at all, and once."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from propensity import contract, playbook
from propensity.dataset import Dataset
from propensity.errors import InputError
from propensity.ledger import Ledger
from propensity.ledger_dataset import ledger_dataset
from propensity.ledger_import import Imported, import_tables
from propensity.simulation import simulate


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(f"sqlite:///{tmp_path / 'ledger.db'}").create()


@pytest.fixture
def directory(small_dataset: Dataset, tmp_path: Path) -> Path:
    made = tmp_path / "tables"
    made.mkdir()
    for name in contract.TABLES:
        getattr(small_dataset, name).to_parquet(made / f"{name}.parquet")
    return made


def counts(ledger: Ledger) -> dict[str, int]:
    with ledger.engine.connect() as connection:
        return {
            table: connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one()
            for table in ("customers", "decisions", "events", "campaigns")
        }


def test_what_was_imported_teaches_what_the_files_would(ledger, directory, small_dataset):
    found = import_tables(ledger, directory, small_dataset.playbook)
    sizes = {name: len(getattr(small_dataset, name)) for name in contract.TABLES}
    assert [(x.table, x.rows) for x in found] == list(sizes.items())
    assert found[0].new == sizes["customers"]
    until = small_dataset.contacts["decided_at"].max() + pd.Timedelta(days=91)
    learnt = ledger_dataset(ledger, small_dataset.playbook, until=until)
    teaches = small_dataset.contacts.set_index("decision_id")
    assert 0 < len(learnt.contacts) <= len(teaches)
    imported = learnt.contacts.set_index("decision_id")
    pd.testing.assert_series_equal(
        imported["action"].astype(str), teaches.loc[imported.index, "action"].astype(str), check_names=False
    )
    assert imported["probability"].to_numpy() == pytest.approx(teaches.loc[imported.index, "probability"].to_numpy())


def test_importing_again_changes_nothing(ledger, directory, small_dataset):
    import_tables(ledger, directory, small_dataset.playbook)
    before = counts(ledger)
    again = import_tables(ledger, directory, small_dataset.playbook)
    assert counts(ledger) == before
    assert [x.new for x in again] == [0, None, 0]


def test_new_snapshots_alone_come_in_from_csv(ledger, small_dataset, tmp_path):
    later = small_dataset.customers.head(50).assign(customer_id=[f"{k:03d}" for k in range(50)])
    later.to_csv(tmp_path / "customers.csv", index=False)
    assert import_tables(ledger, tmp_path, small_dataset.playbook) == [Imported("customers", 50, 50)]
    with ledger.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT min(customer_id) FROM customers").scalar_one() == "000"


@pytest.mark.parametrize(
    ("table", "column", "wrong"),
    [("contacts", "action", "carrier_pigeon"), ("outcomes", "type", "smiled"), ("outcomes", "customer_id", "nobody")],
)
def test_one_faulty_row_and_nothing_is_recorded(ledger, directory, small_dataset, table, column, wrong):
    faulty = getattr(small_dataset, table).astype({column: object})
    faulty.loc[faulty.index[-1], column] = wrong
    faulty.to_parquet(directory / f"{table}.parquet")
    with pytest.raises(contract.ContractError, match=f"{table}.*{column}"):
        import_tables(ledger, directory, small_dataset.playbook)
    assert not any(counts(ledger).values())


def test_what_is_not_there_is_said(ledger, directory, small_dataset, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match="holds none of the tables; expected customers, contacts or outcomes"):
        import_tables(ledger, empty, small_dataset.playbook)
    with pytest.raises(InputError, match="no such directory"):
        import_tables(ledger, tmp_path / "nowhere", small_dataset.playbook)
    small_dataset.customers.to_csv(directory / "customers.csv")
    with pytest.raises(InputError, match=r"customers\.parquet and customers\.csv; leave one"):
        import_tables(ledger, directory, small_dataset.playbook)


def test_the_command_counts_what_is_new(propensity, ledger, tmp_path):
    simulate(20, seed=0, playbook=playbook.load("default")).customers.to_parquet(tmp_path / "customers.parquet")
    for new in (20, 0):
        code, out, _ = propensity("ledger", "import", tmp_path, "--ledger", ledger.name)
        assert code == 0
        assert f"customers: 20 rows, {new} of them new" in out
