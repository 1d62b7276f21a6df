"""docs/scale.md: its lines for Spark decide on record batches alone, and its sums are those of the command."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from propensity.decision import DECISION_COLUMNS

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def blocks():
    return re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "scale.md").read_text(), re.DOTALL)


class Spark:
    """As much of a session as the lines use, on record batches in this process."""

    def __init__(self) -> None:
        self.read = self

    def parquet(self, file):
        self.batches = pq.ParquetFile(file).iter_batches(70)
        return self

    def mapInArrow(self, function, schema):  # noqa: N802
        # a partition each, as workers see them
        parts = [pa.Table.from_batches(function(iter([batch])), schema) for batch in self.batches]
        return pa.concat_tables(parts)


def test_the_lines_for_spark_decide_on_record_batches(blocks, small_model, small_dataset, tmp_path, monkeypatch):
    *setting, use, mlflows = blocks
    assert len(setting) == 2
    people = small_dataset.customers.drop_duplicates("customer_id").head(300)
    people.to_parquet(tmp_path / "people.parquet", index=False)
    people[::3].to_parquet(tmp_path / "sample.parquet", index=False)
    small_model.save(tmp_path / "model")
    given = {
        "model_directory": tmp_path / "model",
        "sample_file": tmp_path / "sample.parquet",
        "customers_file": tmp_path / "people.parquet",
        "n_people": len(people),
        "budget": 1.0,
        "spark": Spark(),
    }
    kinds = ModuleType("pyspark.sql.pandas.types")
    kinds.from_arrow_schema = lambda schema: schema
    for name in ("pyspark", "pyspark.sql", "pyspark.sql.pandas"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, kinds.__name__, kinds)
    for block in (*setting, use):
        exec(block, given)
    decided = given["decided"].to_pandas()
    assert tuple(decided.columns) == DECISION_COLUMNS
    assert decided["customer_id"].tolist() == people["customer_id"].tolist()
    assert 0 < decided["cost"].sum() < 3 * given["budget"]
    ast.parse(mlflows)


def test_the_sums_follow_the_formulas_that_are_told(monkeypatch):
    spec = importlib.util.spec_from_file_location("scale_sums", ROOT / "benchmarks" / "scale_sums.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "scale_sums", module)
    spec.loader.exec_module(module)
    told = (ROOT / "docs" / "scale.md").read_text()
    s, f, t = (float(re.search(rf"\b{name} = ([\d.]+)( microseconds)? ", told).group(1)) for name in "sft")
    assert (s, f, t) == (module.SCORING, module.BEFORE, module.TOGETHER)
    found = module.sums(100e6, 0.04, 0.02, cores=16, waves=4, months=12)
    assert found.core_hours == pytest.approx(100e6 * (s + f + t) / 3.6e9)
    assert found.hours == pytest.approx(100e6 * (f + max(s / 16, t)) / 3.6e9)
    assert found.compute_month == pytest.approx(4 * found.core_hours * 0.04)
    assert found.storage_gb == pytest.approx(100e6 * (37 + 101 * 4 * 12) / 1e9)
    assert found.storage_month == pytest.approx(found.storage_gb * 0.02)
    a_person = float(re.search(r"1 GB \+ (\d+) P bytes", told).group(1))
    assert found.memory_gb == pytest.approx(1 + a_person * 100e6 / 1e9)
