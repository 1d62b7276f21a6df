"""A round from ledger to ledger: who comes up is read from it, decided on, and recorded in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from propensity import contract
from propensity.audiences import Audiences
from propensity.contract import Column
from propensity.decide_file import decide_file
from propensity.errors import InputError
from propensity.features import required_columns
from propensity.known import read_by
from propensity.ledger import Ledger
from propensity.ledger.due import people_due
from propensity.model import DecisionModel
from propensity.playbook import Playbook
from propensity.policy import window_end, window_number
from propensity.scratch import scratch_directory
from propensity.wave_file import WaveFile, WaveSummary

WEEK_DAYS = 7.0
SCRATCH = "propensity-round-"
MEND = "Report these people's snapshots again, with what the playbook needs, before the round"


@dataclass(frozen=True)
class Round:
    """When a round is decided, and within what.

    Attributes
    ----------
    at : Timestamp
    campaign : str
        One for each round, so that holdouts of a campaign are drawn anew; the holdout of all campaigns stays. Named
        again in the same decision window, it is the same round: its decisions stand, and who came up since is added.
    budget : float or None
        Currency; None: the playbook's.
    weeks : float or None
        Of capacity; None: those of the playbook's decision window, after which the next round comes.
    seen_within_days : float or None
        How old a person's newest snapshot may be; None: the playbook's decision window, so that everybody was seen
        since the last round.
    """

    at: pd.Timestamp
    campaign: str
    budget: float | None = None
    weeks: float | None = None
    seen_within_days: float | None = None


def decide_round(
    model: DecisionModel,
    ledger: Ledger,
    asked: Round,
    out: Path,
    *,
    audiences: Audiences | None = None,
    show: Callable[[int, int], None] = lambda done, total: None,
) -> WaveSummary | None:
    """Decide on everybody who comes up (see `ledger.due`), within limits, and record it.

    Parameters
    ----------
    model : DecisionModel
    ledger : Ledger
    asked : Round
    out : Path
        Where the decisions are written; see `decide_file`.
    audiences : Audiences, optional
        Lists to write beside it.
    show : callable
        Told how many people are done, of how many.

    Returns
    -------
    WaveSummary or None
        None where nobody comes up; nothing is written then.

    Raises
    ------
    ContractError
        A snapshot lacks what the playbook needs.
    InputError
        The campaign had its round in another decision window, or later than now; nothing is written then.
    JobError
        The ledger cannot record the wave; nothing is written then.
    """
    playbook, program = model.playbook, model.playbook.program
    number = window_number(asked.at, program.decision_window_days)
    window = window_end(number - 1, program.decision_window_days), window_end(number, program.decision_window_days)
    _require_one_round(ledger, asked, window)
    due = people_due(
        ledger,
        at=asked.at,
        campaign=asked.campaign,
        decided_between=window,
        cooling_off_days=program.cooling_off_days,
        horizon_days=program.horizon_days,
        window_days=program.attribution_window_days,
        seen_within_days=program.decision_window_days if asked.seen_within_days is None else asked.seen_within_days,
    )
    weeks = program.decision_window_days / WEEK_DAYS if asked.weeks is None else asked.weeks
    with scratch_directory(SCRATCH) as aside:
        file = aside / "customers.parquet"
        with closing(due):
            if not _written(file, (_as_read(people, playbook) for people in due)):
                return None
        wave = WaveFile(file, asked.at, asked.campaign, weeks, asked.budget, ledger=ledger)
        return decide_file(model, wave, out, audiences=audiences, show=show)


def _require_one_round(ledger: Ledger, asked: Round, window: tuple[pd.Timestamp, pd.Timestamp]) -> None:
    """Refuse another round under a campaign's name: it would take the place of the first one's files.

    Raises
    ------
    InputError
    """
    waves = ledger.waves(asked.campaign)
    if not waves:
        return
    decided_at = pd.Timestamp(waves[-1]["decided_at"])
    if not window[0] <= decided_at <= asked.at:
        raise InputError(
            f"campaign {asked.campaign}: had its round at {decided_at.isoformat()}; expected that time or one after it "
            f"in its decision window, found {asked.at.isoformat()}. Give a new round a name of its own; --at "
            f"{decided_at.isoformat()} writes what was decided then again"
        )


def _as_read(people: pd.DataFrame, playbook: Playbook) -> pd.DataFrame:
    """Snapshots with the columns that deciding by a playbook reads, the same and of the same kinds in every part."""
    columns = required_columns(playbook)
    named = [c.name for c in (*contract.CUSTOMERS, *columns)]
    others = sorted(read_by(playbook).difference(named))
    table = people.reindex(columns=[*named, *others])
    columns += [Column(name, "text", "read by a rule", nullable=True) for name in others]
    return contract.check("customers", table, extra=columns, fix=MEND).good


def _written(file: Path, parts: Iterator[pd.DataFrame]) -> bool:
    """Write tables below one another; whether there were any."""
    writer: pq.ParquetWriter | None = None
    try:
        for part in parts:
            table = _in_arrow(part)
            if writer is None:
                writer = pq.ParquetWriter(file, table.schema)
            writer.write_table(table.cast(writer.schema))
    finally:
        if writer is not None:
            writer.close()
    return writer is not None


def _in_arrow(people: pd.DataFrame) -> pa.Table:
    # Arrow reads a column of times with a zone by a way that pandas is giving up
    times = [str(name) for name in people if isinstance(people[name].dtype, pd.DatetimeTZDtype)]
    naive = people.assign(**{name: people[name].dt.tz_convert(None) for name in times})
    table = pa.Table.from_pandas(naive, preserve_index=False)
    for name in times:
        in_utc = table[name].cast(pa.timestamp("us")).cast(pa.timestamp("us", "UTC"))
        table = table.set_column(table.column_names.index(name), name, in_utc)
    return table
