"""Decisions for a file of customers in constant memory.

The file is read twice. First everybody is counted and some are drawn, whose values set the prices of what is scarce
(`plan_wave`); then all pass by, a batch at a time, and each gets what is worth most at these prices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from propensity import contract
from propensity.audiences import Audiences
from propensity.decision import DECISION_COLUMNS
from propensity.errors import InputError, JobError
from propensity.features import required_columns
from propensity.files import written_together
from propensity.known import snapshots
from propensity.ledger import StagedWave
from propensity.model import DecisionModel
from propensity.policy import Limit, Terms, uniform_draws, used_by
from propensity.wave_file import WaveFile, WaveSummary
from propensity.wave_ledger import earlier_terms, people_of, record_wave, standing_decisions, use_of

BATCH = 20_000
"""People that are decided on together."""
SAMPLE = 100_000
"""People who set the prices, drawn at random; all where there are no more."""
READERS = (".parquet", ".csv", ".arrow", ".feather")
WRITERS = (".parquet", ".csv")

__all__ = ["WaveFile", "WaveSummary", "decide_file"]


def decide_file(
    model: DecisionModel,
    wave: WaveFile,
    out: Path,
    *,
    audiences: Audiences | None = None,
    show: Callable[[int, int], None] = lambda done, total: None,
) -> WaveSummary:
    """Decide for everybody in a file.

    Parameters
    ----------
    model : DecisionModel
    wave : WaveFile
    out : Path
        Parquet or CSV, one row a customer in the order of the file (`DECISION_COLUMNS`); written whole or not at all.
    audiences : Audiences, optional
        Lists to write beside it.
    show : callable
        Told how many people are done, of how many.

    Raises
    ------
    InputError, ContractError
        The file cannot be read, names somebody twice, or breaks the contract; nothing is written or recorded then.
    JobError
        The ledger cannot record the wave; nothing is written then.

    Notes
    -----
    With a ledger the files take their places and the wave is recorded together: neither is there without the other.
    """
    if out.suffix not in WRITERS:
        raise InputError(f"--out {out}: expected a file that ends in {' or '.join(WRITERS)}")
    crowd = _look_through(model, wave)
    terms, summary = _plan(model, wave, crowd)
    targets = [out, *([audiences.directory] if audiences else [])]
    staged: StagedWave | None = None

    def commit() -> None:
        if staged is not None and wave.ledger is not None:
            if summary.standing != crowd.standing:
                raise JobError(
                    f"ledger {wave.ledger.name}: {abs(summary.standing - crowd.standing):,} people were decided on "
                    "meanwhile; nothing is recorded, run it again"
                )
            record_wave(model, wave, staged, terms, summary)

    with written_together(targets, commit) as asides, ExitStack() as stack:
        if wave.ledger is not None:
            staged = stack.enter_context(StagedWave(wave.ledger, asides[0].with_name("staged.parquet"), wave.at))
        writer = stack.enter_context(_Writer(asides[0]))
        lists = audiences.lists(asides[1], model.playbook) if audiences else None
        for people in _customers(model, wave.source, wave.at):
            decisions = _decided(model, people, wave, terms, summary, staged)
            writer.write(decisions)
            if lists is not None:
                lists.add(decisions, people)
            summary.add(decisions)
            show(summary.people, crowd.people)
    return summary


@dataclass
class _Crowd:
    """Who is in a file: all people, those who have a decision already and what theirs use, and some of the others."""

    people: int
    standing: int
    used: dict[str, float]
    sample: pd.DataFrame


def _plan(model: DecisionModel, wave: WaveFile, crowd: _Crowd) -> tuple[Terms, WaveSummary]:
    """Terms for those who are decided on, within what standing decisions have left over."""
    earlier = earlier_terms(model, wave) if crowd.standing else None
    sample = people_of(model, crowd.sample, wave)
    limits = sample.limits(wave.weeks, wave.budget)
    used = {x.name: crowd.used.get(x.name, 0.0) for x in limits}
    fresh = crowd.people - crowd.standing
    if fresh:
        scale = len(crowd.sample) / fresh
        terms = sample.plan([replace(x, amount=max(0.0, x.amount - used[x.name]) * scale) for x in limits]).terms
    else:
        terms = Terms(dict.fromkeys(used, 0.0), dict.fromkeys(map(str, sample.value.columns), 1.0))
    if earlier is not None:
        terms = terms.no_better_than(earlier)
    return terms, WaveSummary(prices=terms.prices, amounts={x.name: float(x.amount) for x in limits}, used=used)


def _decided(
    model: DecisionModel,
    people: pd.DataFrame,
    wave: WaveFile,
    terms: Terms,
    summary: WaveSummary,
    staged: StagedWave | None,
) -> pd.DataFrame:
    """Decisions of a batch within what others have left over, and those that stand."""
    standing = standing_decisions(model, people, wave)
    summary.standing += len(standing)
    fresh = people[~people.index.isin(standing.index)]
    if fresh.empty:
        return standing
    batch = people_of(model, fresh, wave)
    limits = [
        Limit(x.name, max(0.0, x.amount - summary.used[x.name]), x.use) for x in batch.limits(wave.weeks, wave.budget)
    ]
    decisions, probabilities = batch.decide(limits, terms)
    action = decisions["action"].to_numpy(dtype=object)
    for limit in limits:
        summary.used[limit.name] += float(used_by(limit, batch.value.columns, action).sum())
    if staged is not None:
        staged.add(decisions, probabilities, batch.spent_on(action).tolist(), snapshots(fresh, model.playbook))
    return decisions if standing.empty else pd.concat([decisions, standing]).loc[people.index]


def _look_through(model: DecisionModel, wave: WaveFile) -> _Crowd:
    """Check everybody, who may be there only once, and draw `SAMPLE` of those who have no decision yet."""
    draws: list[np.ndarray] = []
    kept: list[pd.DataFrame] = []
    used: dict[str, float] = {}
    n_standing = 0
    threshold = 1.0
    for people in _customers(model, wave.source, wave.at):
        drawn = uniform_draws(people["customer_id"], "plan")
        draws.append(drawn)
        standing = standing_decisions(model, people, wave)
        n_standing += len(standing)
        for name, amount in use_of(model, people, standing, wave).items():
            used[name] = used.get(name, 0.0) + amount
        may_be_drawn = (drawn < threshold) & ~people.index.isin(standing.index)
        kept.append(people[may_be_drawn].assign(_draw=drawn[may_be_drawn]))
        if sum(map(len, kept)) > 2 * SAMPLE:
            together = pd.concat(kept, ignore_index=True)
            threshold = float(np.partition(together["_draw"].to_numpy(), SAMPLE)[SAMPLE])
            kept = [together[together["_draw"] < threshold]]
    if not draws:
        raise InputError(f"{wave.source}: expected at least one customer, found none")
    # draws are 53 bits of a hash: of a million people two share one in one file of twenty thousand
    everybody = np.sort(np.concatenate(draws))
    n_twice = int((np.diff(everybody) == 0).sum())
    if n_twice:
        raise InputError(f"{wave.source}: expected each customer once, found {n_twice:,} rows too many")
    some = pd.concat(kept, ignore_index=True)
    if len(some) > SAMPLE:
        some = some.nsmallest(SAMPLE, "_draw").sort_index()
    return _Crowd(len(everybody), n_standing, used, some.drop(columns="_draw").reset_index(drop=True))


def _customers(model: DecisionModel, source: Path, at: pd.Timestamp) -> Iterator[pd.DataFrame]:
    """Checked customers, a batch at a time."""
    extra = required_columns(model.playbook)
    for start, batch in enumerate(_batches(source)):
        people = contract.check("customers", batch, extra=extra).good
        for column in ("as_of", "churned_at"):
            late = people[column] > at
            if late.any():
                raise InputError(
                    f"{source}: {column}: expected times up to {at:%Y-%m-%d %H:%M} (UTC), when it is decided, found "
                    f"{people.loc[late, column].iloc[0]:%Y-%m-%d %H:%M} in {int(late.sum()):,} of rows "
                    f"{start * BATCH + 1:,} to {start * BATCH + len(people):,}"
                )
        yield people


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


class _Writer:
    """Appends decisions to a Parquet or CSV file."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.open: pq.ParquetWriter | pa_csv.CSVWriter | None = None

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, *_: object) -> None:
        if self.open is not None:
            self.open.close()

    def write(self, decisions: pd.DataFrame) -> None:
        """Append rows."""
        as_csv = self.file.suffix == ".csv"
        table = _as_table(decisions, as_csv)
        if self.open is None:
            self.open = (
                pa_csv.CSVWriter(self.file, table.schema) if as_csv else pq.ParquetWriter(self.file, table.schema)
            )
        self.open.write_table(table)


def _as_table(decisions: pd.DataFrame, as_csv: bool) -> pa.Table:
    """Decisions with fixed kinds, whatever a batch happens to hold; codes in one text for CSV."""
    columns = {}
    for name in DECISION_COLUMNS:
        values, kind = decisions[name], _KINDS.get(name, pa.string())
        if name == "reason_codes" and as_csv:
            values, kind = values.map(" ".join), pa.string()
        if kind == _TIME:
            moments = pd.to_datetime(values, utc=True).dt.tz_localize(None).astype("datetime64[us]")
            columns[name] = pa.array(moments.to_numpy(), pa.timestamp("us")).cast(_TIME)
            continue
        columns[name] = pa.array(values, kind, from_pandas=True)
    return pa.table(columns)


_TIME = pa.timestamp("us", "UTC")
_KINDS = {
    "send": pa.bool_(),
    "reason_codes": pa.list_(pa.string()),
    "touch": pa.int64(),
    **dict.fromkeys(("not_before", "expires_at", "feature_as_of", "next_not_before"), _TIME),
    **dict.fromkeys(
        (
            *("probability", "reactivation_propensity", "uplift", "uplift_low", "uplift_high", "expected_revenue"),
            *("cost", "net_value", "archetype_probability", "alternative_net_value"),
        ),
        pa.float64(),
    ),
}
