"""Decisions for a file of customers in constant memory, but for eight bytes a person.

The file is read twice. First everybody is counted and some are drawn, whose values set the prices of what is scarce
(`plan_wave`); then all pass by, a batch at a time, and each gets what is worth most at these prices.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from propensity.audiences import Audiences
from propensity.deciding import Wave
from propensity.decision import DECISION_COLUMNS, DECISION_TIMES
from propensity.errors import InputError, JobError
from propensity.files import written_together
from propensity.known import snapshots
from propensity.ledger import StagedWave
from propensity.model import DecisionModel
from propensity.pages.decision_words import EXPLANATION, explained
from propensity.policy import Terms, used_by
from propensity.threads import ahead
from propensity.wave_cautions import cautions
from propensity.wave_file import Left, WaveFile, WaveSummary
from propensity.wave_ledger import earlier_terms, people_of, record_wave, standing_decisions
from propensity.wave_people import Crowd, customers_of, look_through

WRITERS = (".parquet", ".csv")


def decide_file(
    model: DecisionModel,
    wave: WaveFile,
    out: Path,
    *,
    audiences: Audiences | None = None,
    explain: bool = False,
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
    explain : bool
        Write also the column ``explanation``: each decision in words.
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
    crowd = look_through(model, wave)
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
        decide_batch = partial(_decide_batch, model=model, wave=wave, terms=terms)
        batches = customers_of(model, wave.source, wave.at)
        # what those before leave over is known for certain only when they are decided
        for guess in ahead(decide_batch, ((batch, summary.left()) for batch in batches)):
            batch = guess.within(summary.left(), wave, terms)
            decisions = batch.decisions
            writer.write(explained(decisions, model.playbook.currency) if explain else decisions)
            if lists is not None:
                lists.add(decisions, batch.customers)
            if staged is not None and batch.fresh is not None:
                _stage(staged, batch.fresh)
            summary.standing += len(batch.standing)
            summary.add(decisions, *((batch.fresh.used, batch.fresh.planned) if batch.fresh else ({}, {})))
            show(summary.people, crowd.people)
    return summary


@dataclass(frozen=True, eq=False)
class Decided:
    """Decisions of people within what is (or was thought to be) left, what they use, and what their plans would."""

    people: Wave
    decisions: pd.DataFrame
    probabilities: pd.DataFrame
    left: Left
    used: dict[str, float]
    planned: dict[str, float]

    def holds(self, left: Left) -> bool:
        """Whether the decisions are the same now that it is known what others have left."""
        # an action of which nothing is left does not come into question, so that what is chosen instead may differ
        return left == self.left or (
            all(self.used[name] <= amount for name, amount in left.of_use.items())
            and all(self.planned[name] <= amount for name, amount in left.of_plan.items())
            and all((amount > 0) == (self.left.of_plan[name] > 0) for name, amount in left.of_plan.items())
            and not (self.decisions["assignment"] == "fallback").any()
        )


def decide_within(people: Wave, left: Left, budget: float | None, weeks: float, terms: Terms) -> Decided:
    """Decide within what is left of each limit of a wave of that budget and so many weeks."""
    limits = [replace(limit, amount=left.of_use[limit.name]) for limit in people.limits(weeks, budget)]
    decisions, probabilities = people.decide(limits, terms, left.of_plan)

    def use_of(column: str) -> dict[str, float]:
        action = decisions[column].to_numpy(dtype=object)
        return {x.name: float(used_by(x, people.value.columns, action).sum()) for x in limits}

    return Decided(people, decisions, probabilities, left, use_of("action"), use_of("would_have_sent"))


@dataclass(frozen=True, eq=False)
class _Batch:
    """Some customers: the decisions of those who have one already, and of the others, if there are any."""

    customers: pd.DataFrame
    standing: pd.DataFrame
    fresh: Decided | None

    @property
    def decisions(self) -> pd.DataFrame:
        """Of all, in the order of the customers."""
        if self.fresh is None:
            return self.standing
        if self.standing.empty:
            return self.fresh.decisions
        return pd.concat([self.fresh.decisions, self.standing]).loc[self.customers.index]

    def within(self, left: Left, wave: WaveFile, terms: Terms) -> _Batch:
        """The same customers' decisions within what is left of each limit."""
        if self.fresh is None or self.fresh.holds(left):
            return self
        return replace(self, fresh=decide_within(self.fresh.people, left, wave.budget, wave.weeks, terms))


def _decide_batch(batch: tuple[pd.DataFrame, Left], model: DecisionModel, wave: WaveFile, terms: Terms) -> _Batch:
    customers, left = batch
    standing = standing_decisions(model, customers, wave)
    fresh = customers[~customers.index.isin(standing.index)]
    if fresh.empty:
        return _Batch(customers, standing, None)
    decided = decide_within(people_of(model, fresh, wave), left, wave.budget, wave.weeks, terms)
    return _Batch(customers, standing, decided)


def _stage(staged: StagedWave, decided: Decided) -> None:
    people, decisions = decided.people, decided.decisions
    spent = people.spent_on(decisions["action"].to_numpy(dtype=object)).tolist()
    staged.add(decisions, decided.probabilities, spent, snapshots(people.customers, people.model.playbook))


def _plan(model: DecisionModel, wave: WaveFile, crowd: Crowd) -> tuple[Terms, WaveSummary]:
    """Terms for those who are decided on, within what standing decisions have left over."""
    earlier = earlier_terms(model, wave) if crowd.standing else None
    sample, fresh = people_of(model, crowd.sample, wave, of_others=True), crowd.people - crowd.standing
    if fresh:
        terms, summary = planned(sample, wave.budget, wave.weeks, len(crowd.sample) / fresh, crowd.used)
    else:
        free = dict.fromkeys((x.name for x in sample.limits(wave.weeks, wave.budget)), 0.0)
        terms = Terms(free, dict.fromkeys(map(str, sample.value.columns), 1.0))
        summary = _summary(sample, wave.budget, wave.weeks, terms, crowd.used, free)
    if earlier is not None:
        terms = terms.no_better_than(earlier)
        summary.prices = terms.prices
    summary.cautions = cautions(sample, wave.weeks, wave.budget, of=crowd.people)
    return terms, summary


def planned(
    some: Wave, budget: float | None, weeks: float, share: float, used: Mapping[str, float] | None = None
) -> tuple[Terms, WaveSummary]:
    """The terms of a wave, from those who set its prices, and an empty count with its limits.

    Parameters
    ----------
    some : Wave
    budget : float or None
        Currency; None: the playbook's.
    weeks : float
        For which capacities a week are meant.
    share : float
        Of the people who are decided on that ``some`` are.
    used : mapping, optional
        What others have used of each limit already.
    """
    used = used or {}
    limits = [replace(x, amount=max(0.0, x.amount - used.get(x.name, 0.0))) for x in some.limits(weeks, budget)]
    plan = some.plan(limits, share)
    return plan.terms, _summary(some, budget, weeks, plan.terms, used, plan.room)


def _summary(
    some: Wave, budget: float | None, weeks: float, terms: Terms, used: Mapping[str, float], room: dict[str, float]
) -> WaveSummary:
    amounts = {x.name: float(x.amount) for x in some.limits(weeks, budget)}
    return WaveSummary(
        prices=terms.prices,
        amounts=amounts,
        used={name: used.get(name, 0.0) for name in amounts},
        room=room,
    )


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
    for name in (*DECISION_COLUMNS, *(name for name in decisions if name == EXPLANATION)):
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
    **dict.fromkeys(DECISION_TIMES, _TIME),
    **dict.fromkeys(
        (
            *("probability", "reactivation_propensity", "uplift", "uplift_low", "uplift_high", "expected_revenue"),
            *("cost", "net_value", "archetype_probability", "alternative_net_value"),
        ),
        pa.float64(),
    ),
}
