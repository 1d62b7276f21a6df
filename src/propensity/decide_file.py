"""Decisions for a file of customers in constant memory, but for some thirty bytes a person.

The file is read twice. First everybody is counted and some are drawn, whose values set the prices of what is scarce
(`plan_wave`); then all pass by, a batch at a time, and each gets what is worth most at these prices. An engine works
batches out ahead, wherever it does; here they are put together in order, so that no limit is passed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from propensity.audiences import Audiences
from propensity.deciding import Wave
from propensity.engines import Engine
from propensity.engines.local import LocalEngine
from propensity.errors import InputError, JobError
from propensity.files import written_together
from propensity.known import snapshots
from propensity.ledger import StagedWave
from propensity.model import DecisionModel
from propensity.pages.decision_words import explained
from propensity.policy import Terms
from propensity.scoring import Batch, Order, Scored, as_decisions, decisions_table
from propensity.wave_cautions import cautions
from propensity.wave_file import Left, Tally, WaveFile, WaveSummary
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
    engine: Engine | None = None,
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
    engine : Engine, optional
        Where batches are scored; default: threads of this process. The decisions are the same.

    Raises
    ------
    InputError, ContractError
        The file cannot be read, names somebody twice, or breaks the contract; nothing is written or recorded then.
    JobError
        The ledger cannot record the wave, or the engine's workers are away; nothing is written then.

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
        order = Order(wave.at, wave.campaign, wave.weeks, wave.budget, terms, explain, chances=staged is not None)
        passing: deque[_Part] = deque()

        def asked() -> Iterator[tuple[Batch, Left]]:
            for customers in customers_of(model, wave.source, wave.at):
                part, batch = _part(model, wave, customers)
                passing.append(part)
                if batch is not None:
                    # what those before leave over is known for certain only when they are decided
                    yield batch, summary.left()

        def finish(part: _Part, scored: Scored | None) -> None:
            decisions = part.together(scored, model, explain)
            writer.write(decisions)
            if lists is not None:
                lists.add(as_decisions(decisions), part.customers)
            if scored is None:
                summary.add(Tally.of(part.standing), {}, {})
            else:
                if staged is not None:
                    _stage(staged, part, scored, model)
                summary.add(scored.tally, scored.used, scored.planned)
                if len(part.standing):
                    summary.add(Tally.of(part.standing), {}, {})
            summary.standing += len(part.standing)
            show(summary.people, crowd.people)

        for answer in (engine or LocalEngine()).answers(model, order, asked()):
            while not passing[0].n_fresh:
                finish(passing.popleft(), None)
            left = summary.left()
            finish(passing.popleft(), answer.scored if answer.scored.holds(left) else answer.within(left))
        while passing:
            finish(passing.popleft(), None)
    return summary


@dataclass(frozen=True, eq=False)
class _Part:
    """Some customers (n, ...) of the file in their order, and the decisions of those who have one already."""

    customers: pd.DataFrame
    standing: pd.DataFrame

    @property
    def fresh(self) -> pd.DataFrame:
        """Those who have none."""
        return self.customers[~self.customers.index.isin(self.standing.index)]

    @property
    def n_fresh(self) -> int:
        """Of those who have none."""
        return len(self.customers) - len(self.standing)

    def together(self, scored: Scored | None, model: DecisionModel, explain: bool) -> pa.Table:
        """The decisions of all, in the order of the customers."""
        if self.standing.empty and scored is not None:
            return scored.decisions
        told = explained(self.standing, model.playbook.currency) if explain else self.standing
        standing = decisions_table(told)
        if scored is None:
            return standing
        index = self.fresh.index.append(self.standing.index)
        return pa.concat_tables([scored.decisions, standing]).take(index.get_indexer(self.customers.index))


def _part(model: DecisionModel, wave: WaveFile, customers: pd.DataFrame) -> tuple[_Part, Batch | None]:
    """Customers with their standing decisions, and the others with what is known of them."""
    part = _Part(customers, standing_decisions(model, customers, wave))
    return part, Batch.of(people_of(model, part.fresh, wave)) if part.n_fresh else None


def _stage(staged: StagedWave, part: _Part, scored: Scored, model: DecisionModel) -> None:
    if scored.chances is None:
        raise ValueError("expected the chances of all actions, found none")
    probabilities, spent = scored.chances
    people = snapshots(part.fresh, model.playbook)
    staged.add(as_decisions(scored.decisions), probabilities, spent.tolist(), people)


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

    def write(self, decisions: pa.Table) -> None:
        """Append rows; codes in one text for CSV."""
        as_csv = self.file.suffix == ".csv"
        if as_csv:
            position = decisions.schema.get_field_index("reason_codes")
            joined = pc.binary_join(decisions["reason_codes"], " ")
            decisions = decisions.set_column(position, "reason_codes", joined)
        if self.open is None:
            self.open = (
                pa_csv.CSVWriter(self.file, decisions.schema)
                if as_csv
                else pq.ParquetWriter(self.file, decisions.schema)
            )
        self.open.write_table(decisions)
