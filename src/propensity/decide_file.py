"""Decisions for a file of customers in constant memory, but for eight bytes a person.

The file is read twice. First everybody is counted and some are drawn, whose values set the prices of what is scarce
(`plan_wave`); then all pass by, a batch at a time, and each gets what is worth most at these prices.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from propensity import contract
from propensity.audiences import Audiences
from propensity.deciding import Wave
from propensity.decision import DECISION_COLUMNS
from propensity.errors import InputError
from propensity.features import required_columns
from propensity.files import written_aside
from propensity.model import DecisionModel
from propensity.policy import Terms, funnel, uniform_draws, used_by
from propensity.threads import ahead

BATCH = 20_000
"""People that are decided on together."""
SAMPLE = 100_000
"""People who set the prices, drawn at random; all where there are no more."""
READERS = (".parquet", ".csv", ".arrow", ".feather")
WRITERS = (".parquet", ".csv")


@dataclass(frozen=True)
class WaveFile:
    """What to decide about, and within what.

    Attributes
    ----------
    source : Path
        Customers: Parquet, CSV or Arrow.
    at : Timestamp
        When the decisions are taken.
    campaign : str
    weeks : float
        For which capacities a week are meant.
    budget : float or None
        Currency; None: the playbook's.
    suppressed : collection of str
        Ids that must not be contacted.
    contacts, outcomes : DataFrame or None
        Checked tables of what was sent and what people did.
    """

    source: Path
    at: pd.Timestamp
    campaign: str = "default"
    weeks: float = 1.0
    budget: float | None = None
    suppressed: Collection[str] = ()
    contacts: pd.DataFrame | None = None
    outcomes: pd.DataFrame | None = None


@dataclass
class WaveSummary:
    """What was decided, counted while people passed by.

    Attributes
    ----------
    people : int
    actions : DataFrame (actions, 4)
        Indexed by action: ``people``, ``cost``, ``expected_revenue`` and ``net_value``, in currency.
    stopped : Counter
        People by the first reason code of those who are not contacted.
    prices, amounts, used : dict
        By limit.
    """

    people: int = 0
    actions: pd.DataFrame = field(default_factory=pd.DataFrame)
    stopped: Counter[str] = field(default_factory=Counter)
    prices: dict[str, float] = field(default_factory=dict)
    amounts: dict[str, float] = field(default_factory=dict)
    used: dict[str, float] = field(default_factory=dict)

    def left(self) -> dict[str, float]:
        """What is left of each limit."""
        return {name: max(0.0, amount - self.used[name]) for name, amount in self.amounts.items()}

    def add(self, decided: _Decided) -> None:
        """Count a batch."""
        decisions = decided.decisions
        for name, used in decided.used.items():
            self.used[name] += used
        self.people += len(decisions)
        silent = decisions.loc[~decisions["send"], "reason_codes"]
        self.stopped.update(codes[0] for codes in silent)
        sent = decisions[decisions["send"]].groupby("action")
        table = sent[["cost", "expected_revenue", "net_value"]].sum()
        table.insert(0, "people", sent.size())
        self.actions = self.actions.add(table, fill_value=0) if len(self.actions) else table

    def funnel(self) -> pd.DataFrame:
        """See `policy.funnel`."""
        return funnel(self.stopped, self.people)


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
        The file cannot be read, names somebody twice, or breaks the contract; nothing is written then.
    """
    if out.suffix not in WRITERS:
        raise InputError(f"--out {out}: expected a file that ends in {' or '.join(WRITERS)}")
    past = _Past(wave)
    n, amounts, terms = _planned(model, wave, past)
    summary = WaveSummary(prices=terms.prices, amounts=amounts, used=dict.fromkeys(amounts, 0.0))
    decide_batch = partial(_within, wave=wave, terms=terms)
    with ExitStack() as stack:
        writer = stack.enter_context(_Writer(stack.enter_context(written_aside(out))))
        lists = stack.enter_context(audiences.written(model.playbook)) if audiences else None
        people = (_wave(model, batch, wave, past) for batch in _customers(model, wave.source, wave.at))
        # what those before leave over is known for certain only when they are decided
        for guess in ahead(decide_batch, ((batch, summary.left()) for batch in people)):
            left = summary.left()
            decided = guess if guess.holds(left) else decide_batch((guess.people, left))
            writer.write(decided.decisions)
            if lists is not None:
                lists.add(decided.decisions, decided.people.customers)
            summary.add(decided)
            show(summary.people, n)
    return summary


def _planned(model: DecisionModel, wave: WaveFile, past: _Past) -> tuple[int, dict[str, float], Terms]:
    """How many people there are, how much of each limit, and the terms that some of the people set."""
    n, some = _look_through(model, wave)
    sample = _wave(model, some, wave, past)
    limits = sample.limits(wave.weeks, wave.budget)
    share = len(some) / n
    plan = sample.plan([replace(x, amount=x.amount * share) for x in limits])
    return n, {x.name: float(x.amount) for x in limits}, plan.terms


@dataclass(frozen=True, eq=False)
class _Decided:
    """Decisions of a batch within what is (or was thought to be) left of the limits, and what they use of them."""

    people: Wave
    decisions: pd.DataFrame
    left: dict[str, float]
    used: dict[str, float]

    def holds(self, left: dict[str, float]) -> bool:
        """Whether the decisions are the same now that it is known what others have left."""
        # an action of which nothing is left does not come into question, so that what is chosen instead may differ
        return left == self.left or (
            all(self.used[name] <= left[name] and (left[name] > 0) == (self.left[name] > 0) for name in left)
            and not (self.decisions["assignment"] == "fallback").any()
        )


def _within(batch: tuple[Wave, dict[str, float]], wave: WaveFile, terms: Terms) -> _Decided:
    """Decisions of people within what is left of each limit."""
    people, left = batch
    limits = [replace(limit, amount=left[limit.name]) for limit in people.limits(wave.weeks, wave.budget)]
    decisions, _ = people.decide(limits, terms)
    action = decisions["action"].to_numpy(dtype=object)
    used = {x.name: float(used_by(x, people.value.columns, action).sum()) for x in limits}
    return _Decided(people, decisions, left, used)


class _Past:
    """What is known of everybody beside the file, so that a batch gets its own part without looking through all."""

    def __init__(self, wave: WaveFile) -> None:
        self.suppressed = frozenset(wave.suppressed)
        self.contacts = None if wave.contacts is None else _ByCustomer(wave.contacts)
        self.outcomes = None if wave.outcomes is None else _ByCustomer(wave.outcomes)


class _ByCustomer:
    """A table's rows by ``customer_id``."""

    def __init__(self, table: pd.DataFrame) -> None:
        self.table = table
        code, self.customers = pd.factorize(pd.Index(table["customer_id"]))
        self.rows = np.argsort(code, kind="stable")
        self.first = np.searchsorted(code[self.rows], np.arange(len(self.customers) + 1))

    def of(self, people: pd.DataFrame) -> pd.DataFrame:
        """The rows of these people, in the table's order."""
        known = self.customers.get_indexer(pd.Index(people["customer_id"]))
        rows = [self.rows[self.first[k] : self.first[k + 1]] for k in known[known >= 0]]
        return self.table.take(np.sort(np.concatenate(rows)) if rows else [])


def _wave(model: DecisionModel, people: pd.DataFrame, wave: WaveFile, past: _Past) -> Wave:
    contacts = None if past.contacts is None else past.contacts.of(people)
    outcomes = None if past.outcomes is None else past.outcomes.of(people)
    suppressed = past.suppressed.intersection(people["customer_id"])
    return Wave(model, people, wave.at, wave.campaign, suppressed, contacts, outcomes)


def _look_through(model: DecisionModel, wave: WaveFile) -> tuple[int, pd.DataFrame]:
    """How many people there are, and `SAMPLE` of them; everybody is checked, and may be there only once."""
    draws = array("d")
    kept: list[pd.DataFrame] = []
    threshold = 1.0
    for people in _customers(model, wave.source, wave.at):
        drawn = uniform_draws(people["customer_id"], "plan")
        draws.frombytes(drawn.tobytes())
        kept.append(people[drawn < threshold].assign(_draw=drawn[drawn < threshold]))
        if sum(map(len, kept)) > 1.2 * SAMPLE:
            together = pd.concat(kept, ignore_index=True)
            threshold = float(np.partition(together["_draw"].to_numpy(), SAMPLE)[SAMPLE])
            kept = [together[together["_draw"] < threshold]]
    if not draws:
        raise InputError(f"{wave.source}: expected at least one customer, found none")
    # draws are 53 bits of a hash: of a million people two share one in one file of twenty thousand
    everybody = np.frombuffer(draws)
    everybody.sort()
    n_twice = int(np.count_nonzero(everybody[1:] == everybody[:-1]))
    if n_twice:
        raise InputError(f"{wave.source}: expected each customer once, found {n_twice:,} rows too many")
    some = pd.concat(kept, ignore_index=True)
    if len(some) > SAMPLE:
        some = some.nsmallest(SAMPLE, "_draw").sort_index()
    return len(everybody), some.drop(columns="_draw").reset_index(drop=True)


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
