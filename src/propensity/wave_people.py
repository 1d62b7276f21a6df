"""The people of a wave from their file: checked, counted, some of them drawn, a batch at a time."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from propensity import contract
from propensity.contract import CONSENT_PREFIX
from propensity.errors import InputError
from propensity.features import required_columns
from propensity.model import DecisionModel
from propensity.policy import uniform_draws
from propensity.wave_file import WaveFile
from propensity.wave_ledger import standing_decisions, use_of

BATCH = 20_000
"""People that are decided on together."""
SAMPLE = 100_000
"""People who set the prices, drawn at random; all where there are no more."""
READERS = (".parquet", ".csv", ".arrow", ".feather")
MEND = "Mend the file; nothing was decided"


@dataclass
class Crowd:
    """Who is in a file: all people, those who have a decision already and what theirs use, and some of the others."""

    people: int
    standing: int
    used: dict[str, float]
    sample: pd.DataFrame


def look_through(model: DecisionModel, wave: WaveFile, skip_standing: bool = True) -> Crowd:
    """Check everybody, who may be there only once, and draw `SAMPLE` of them, or of those without a decision.

    Raises
    ------
    InputError, ContractError
        The file cannot be read, names somebody twice, or breaks the contract.
    """
    draws = array("d")
    kept: list[pd.DataFrame] = []
    used: dict[str, float] = {}
    n_standing = 0
    threshold = 1.0
    for people in customers_of(model, wave.source, wave.at):
        drawn = uniform_draws(people["customer_id"], "plan")
        draws.frombytes(drawn.tobytes())
        standing = standing_decisions(model, people, wave if skip_standing else replace(wave, ledger=None))
        n_standing += len(standing)
        for name, amount in use_of(model, people, standing, wave).items():
            used[name] = used.get(name, 0.0) + amount
        may_be_drawn = (drawn < threshold) & ~people.index.isin(standing.index)
        kept.append(people[may_be_drawn].assign(_draw=drawn[may_be_drawn]))
        if sum(map(len, kept)) > 1.2 * SAMPLE:
            together = pd.concat(kept, ignore_index=True)
            threshold = float(np.partition(together["_draw"].to_numpy(), SAMPLE)[SAMPLE])
            kept = [together[together["_draw"] < threshold]]
    if not draws:
        raise InputError(f"{wave.source}: expected at least one customer, found none")
    everybody = np.frombuffer(draws)
    everybody.sort()
    twice = everybody[1:] == everybody[:-1]
    if twice.any():
        _require_strangers(model, wave, np.unique(everybody[1:][twice]), int(np.count_nonzero(twice)))
    some = pd.concat(kept, ignore_index=True)
    if len(some) > SAMPLE:
        some = some.nsmallest(SAMPLE, "_draw").sort_index()
    return Crowd(len(everybody), n_standing, used, some.drop(columns="_draw").reset_index(drop=True))


def _require_strangers(model: DecisionModel, wave: WaveFile, draws: np.ndarray, n_rows: int, most: int = 3) -> None:
    """Refuse a file in which somebody is there twice; draws that are shared tell of it, or are shared by chance.

    They are 53 bits of a hash: of twenty million people two share one in one file of forty-five.

    Raises
    ------
    InputError
    """
    seen: set[str] = set()
    again: dict[str, None] = {}
    for people in customers_of(model, wave.source, wave.at):
        ids = people["customer_id"]
        for name in ids[np.isin(uniform_draws(ids, "plan"), draws)]:
            again |= {name: None} if name in seen else {}
            seen.add(name)
        if len(again) >= most:
            break
    if again:
        names = ", ".join(map(repr, list(again)[:most]))
        raise InputError(
            f"{wave.source}: customer_id: expected each customer once, found {n_rows:,} rows too many, such as of "
            f"{names}; keep one row of each"
        )


def customers_of(model: DecisionModel, source: Path, at: pd.Timestamp) -> Iterator[pd.DataFrame]:
    """Checked customers, a batch at a time."""
    first = 0
    for batch in _batches(source):
        people = checked(model, batch, source, at, first)
        first += len(people)
        yield people


def checked(
    model: DecisionModel, batch: pd.DataFrame, source: Path | str, at: pd.Timestamp, first: int
) -> pd.DataFrame:
    """Rows of a customers table, of which ``first`` come before, with the promised kinds.

    Raises
    ------
    InputError, ContractError
        Rows break the contract, or are younger than the decision.
    """
    # without its consent column a channel is closed to all, which is told (see `wave_cautions`), but no fault
    extra = [replace(c, required=not c.name.startswith(CONSENT_PREFIX)) for c in required_columns(model.playbook)]
    people = contract.check("customers", batch, extra=extra, first_row=first, fix=MEND).good
    late = people["as_of"] > at
    if late.any():
        raise InputError(
            f"{source}: as_of: expected times up to {at:%Y-%m-%d %H:%M} (UTC), when it is decided, found "
            f"{people.loc[late, 'as_of'].iloc[0]:%Y-%m-%d %H:%M} in {int(late.sum()):,} of rows {first + 1:,} to "
            f"{first + len(people):,}; take rows that were known then, or decide later"
        )
    return people


def _batches(source: Path) -> Iterator[pd.DataFrame]:
    """A file's rows, `BATCH` at a time."""
    if source.suffix not in READERS:
        raise InputError(f"{source}: expected a file that ends in {', '.join(READERS)}")
    try:
        if source.suffix == ".parquet":
            with pq.ParquetFile(source) as file:
                for batch in file.iter_batches(BATCH):
                    yield batch.to_pandas()
        elif source.suffix == ".csv":
            with pd.read_csv(source, dtype="str", chunksize=BATCH) as chunks:
                yield from chunks
        else:
            with pa.memory_map(str(source)) as mapped, pa.ipc.open_file(mapped) as file:
                for i in range(file.num_record_batches):
                    table = pa.Table.from_batches([file.get_batch(i)])
                    for first in range(0, table.num_rows, BATCH):
                        yield table.slice(first, BATCH).to_pandas()
    except (OSError, pa.ArrowInvalid, pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise InputError(f"{source}: cannot be read ({str(error).splitlines()[0]})") from error
