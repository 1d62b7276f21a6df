"""A data set: checked contract tables with the playbook that they belong to; and the reading of single files."""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict

from propensity import playbook
from propensity.contract import Violation
from propensity.errors import InputError
from propensity.some_people import rows_of_some


class OutcomeWords(BaseModel):
    """What a reactivation is called in this data."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reactivated: str = "reactivation"
    reactivated_plural: str = "reactivations"


@dataclass(frozen=True)
class Dataset:
    """Checked contract tables with the playbook that they belong to.

    ``quarantined`` holds the rows that were set aside, with the column ``fault``; ``violations`` counts them.
    ``n_excluded`` counts rows that were left out because the table of reasons says so (the deceased). ``left_out`` says
    which decisions are not among the contacts, and how many; for people.
    """

    name: str
    title: str
    origin: str
    campaign: str
    words: OutcomeWords
    playbook: playbook.Playbook
    customers: pd.DataFrame
    contacts: pd.DataFrame
    outcomes: pd.DataFrame
    quarantined: pd.DataFrame
    violations: tuple[Violation, ...]
    n_excluded: int = 0
    left_out: tuple[str, ...] = ()


def read_file(path: Path, texts: Iterable[str] = (), people_share: float = 1.0) -> pd.DataFrame:
    """Read a CSV (also .gz) or Parquet file as it is.

    Parameters
    ----------
    path : Path
    texts : iterable of str
        Columns of a CSV that are texts whatever they look like: the key 007 is not the number 7.
    people_share : float
        Of a Parquet file: read the rows of so many of the people (see `rows_of_some`), without ever holding all.

    Raises
    ------
    InputError
        The file is empty or cannot be read.
    """
    kind = "Parquet" if path.suffix == ".parquet" else "CSV"
    if not path.is_file():
        raise InputError(f"data {path}: there is no such file; check the name")
    try:
        frame = _read_parquet(path, people_share) if kind == "Parquet" else _read_csv(path, texts)
    except pd.errors.EmptyDataError as error:
        raise InputError(f"data {path}: the file is empty; expected a header and at least one row") from error
    except pd.errors.ParserWarning as error:
        raise InputError(
            f"data {path}: rows have more fields than the header; name every column, or quote the commas"
        ) from error
    except (OSError, EOFError, zlib.error, ValueError, pa.ArrowNotImplementedError) as error:
        detail = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(f"data {path}: cannot be read as {kind} ({detail}); write it again as {kind}") from error
    if frame.empty:
        raise InputError(f"data {path}: has a header but no rows; expected at least one row")
    return frame


def _read_csv(path: Path, texts: Iterable[str]) -> pd.DataFrame:
    with warnings.catch_warnings():
        # rows longer than the header would lose their ends, or shift all columns
        warnings.simplefilter("error", pd.errors.ParserWarning)
        return pd.read_csv(path, low_memory=False, index_col=False, dtype=dict.fromkeys(texts, str))


def _read_parquet(path: Path, people_share: float) -> pd.DataFrame:
    if people_share < 1:
        with pq.ParquetFile(path) as file:
            parts = [rows_of_some(pa.Table.from_batches([batch]), people_share) for batch in file.iter_batches()]
            frame = pa.concat_tables([file.schema_arrow.empty_table(), *parts]).to_pandas()
    else:
        frame = pd.read_parquet(path)
    return frame.reset_index(drop=frame.index.names == [None])
