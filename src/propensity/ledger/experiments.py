"""A campaign's record as arrays: people and decisions are positions, and what repeats is a code."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from propensity.ledger.columns import ARROW, Columns, Kind, Wanted, columns_of, sql_time
from propensity.ledger.database import Database
from propensity.ledger.positions import Positions

ROWS_TOGETHER = 200_000
"""Rows that are worked on at once."""

_REPEATED = ("action", "assignment", "probabilities", "stopped_by")
"""Columns of decisions of which many have the same value."""

SCAN_FROM = 16
"""Rows of a table for each person of the campaign up to which all of it is read, instead of each person's by an index."""


@dataclass(frozen=True)
class Decisions:
    """The decisions of a campaign by column, each array (n,), in the order of person and time.

    Attributes
    ----------
    person : int32 array
        Position of the person, below ``n_people``.
    at : int64 array
        When it was decided, microseconds since 1970, UTC.
    action, assignment : int16 arrays
        Positions in ``actions`` and ``assignments``.
    probability, cost, spend : float64 arrays
        Of the action; cost and spend in currency, spend NaN where it was not recorded. The probability is NaN where
        those of all actions were logged (``chances``).
    chances : int32 array
        Row of ``chance_of``; -1 where only the served action's chance is known.
    chance_of : float array (m, k), k the ``chance_actions``
        The chances that were logged, each combination once.
    stopped_by : int32 array
        Position in ``stops``; -1 where no reason was recorded. Of who is suppressed: why.
    stops : tuple of tuples of str
        Codes of reasons.
    """

    person: np.ndarray
    n_people: int
    at: np.ndarray
    action: np.ndarray
    actions: tuple[str, ...]
    assignment: np.ndarray
    assignments: tuple[str, ...]
    probability: np.ndarray
    cost: np.ndarray
    spend: np.ndarray
    chances: np.ndarray
    chance_of: np.ndarray
    chance_actions: tuple[str, ...]
    stopped_by: np.ndarray
    stops: tuple[tuple[str, ...], ...]

    def __len__(self) -> int:
        return len(self.person)


@dataclass(frozen=True)
class Events:
    """Some events of a campaign's people, each array (n,).

    Attributes
    ----------
    person : int32 array
    kind : int8 array
        Position in the types that were asked for.
    at : int64 array
        Microseconds since 1970, UTC.
    amount : float64 array
        Currency; 0 where there is none.
    decision : int32 array
        Of ``sent`` events the decision of this campaign that they name; else -1.
    """

    person: np.ndarray
    kind: np.ndarray
    at: np.ndarray
    amount: np.ndarray
    decision: np.ndarray


@dataclass(frozen=True)
class Snapshots:
    """Some snapshots of a campaign's people: ``as_of`` and ``churned_at`` as in `Events.at`, attributes as Arrow."""

    person: np.ndarray
    as_of: np.ndarray
    churned_at: np.ndarray
    attributes: pa.Table


@dataclass(frozen=True)
class Elsewhere:
    """Decisions of other campaigns on the same people that may have reached them; ``campaign`` into ``campaigns``."""

    person: np.ndarray
    at: np.ndarray
    campaign: np.ndarray
    campaigns: tuple[str, ...]


class Experiment:
    """A campaign in the ledger, read by columns; everything is of the same moment. See `experiment`."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self.decisions = self._decisions()

    def events(self, kinds: Sequence[str], after: int, until: int) -> Iterator[Events]:
        """Events of these types between two times (microseconds, both included), in parts of many."""
        wanted = ", ".join(f"'{kind}'" for kind in kinds)
        between = f"type IN ({wanted}) AND at >= {sql_time(after)} AND at <= {sql_time(until)}"
        columns: dict[str, tuple[str, Kind]] = {
            "customer_id": ("customer_id", "text"),
            "type": ("type", "text"),
            "at": ("at", "time"),
            "amount": ("amount", "money"),
            "decision_id": ("CASE WHEN type = 'sent' THEN decision_id END", "text"),
        }
        types = pa.array(kinds, pa.string())
        for table in self._of_people("events", columns, between):
            person = self._people.of(table["customer_id"])
            kept = person >= 0
            yield Events(
                person=person[kept],
                kind=_codes_of(pc.index_in(table["type"], value_set=types)).astype(np.int8)[kept],
                at=_microseconds(table["at"])[kept],
                amount=np.nan_to_num(_numbers(table["amount"])[kept], nan=0.0),
                decision=self._named(table["decision_id"], person)[kept],
            )

    def _named(self, ids: pa.Array, person: np.ndarray) -> np.ndarray:
        """Position of the decision that each event (m,) names, -1 where it names none of this campaign."""
        found = np.where(person >= 0, self._first[person], -1).astype(np.int32)
        # nearly all name the one decision on the person; only the others must be looked for
        found[~self._ids.same(ids, found)] = -1
        others = np.flatnonzero((found < 0) & pc.is_valid(ids).to_numpy(zero_copy_only=False))
        if len(others):
            found[others] = self._ids.of(ids.take(pa.array(others)))
        return found

    def snapshots(self, names: Sequence[str]) -> Iterator[Snapshots]:
        """What was known of these people, in parts; ``attributes`` holds those of the named columns that there are."""
        columns: dict[str, tuple[str, Kind]] = {
            "customer_id": ("customer_id", "text"),
            "as_of": ("as_of", "time"),
            "churned_at": ("churned_at", "time"),
        }
        if names:
            columns["attributes"] = ("attributes{json}", "text")
        for table in self._of_people("customers", columns, ""):
            kept = self._people.of(table["customer_id"])
            table = {name: values.filter(pa.array(kept >= 0)) for name, values in table.items()}
            if not (kept >= 0).any():
                continue
            attributes = pa.table({})
            if names:
                found = objects(pa.chunked_array([table["attributes"]]))
                attributes = found.select([name for name in names if name in found.column_names])
            yield Snapshots(
                kept[kept >= 0], _microseconds(table["as_of"]), _microseconds(table["churned_at"]), attributes
            )

    def elsewhere(self) -> Elsewhere:
        """Decisions of other campaigns on these people, apart from those that left them out."""
        columns: dict[str, tuple[str, Kind]] = {
            "customer_id": ("customer_id", "text"),
            "decided_at": ("decided_at", "time"),
            "campaign": ("campaign", "text"),
        }
        others = "campaign <> {campaign} AND assignment <> 'suppressed'"
        people, times, campaigns = [], [], []
        for table in self._of_people("decisions", columns, others):
            person = self._people.of(table["customer_id"])
            kept = person >= 0
            people.append(person[kept])
            times.append(_microseconds(table["decided_at"])[kept])
            campaigns.append(table["campaign"].filter(pa.array(kept)))
        coded = pa.chunked_array(campaigns, pa.string()).combine_chunks().dictionary_encode()
        return Elsewhere(
            _joined(people, np.int32), _joined(times, np.int64), *_codes_and_names(coded, np.int32)
        )

    def _of_people(
        self, table: str, columns: dict[str, tuple[str, Kind]], where: str
    ) -> Iterator[dict[str, pa.Array]]:
        """Rows of these people, and of others where reading all is cheaper than looking each person up."""
        if self._columns.size(table) > SCAN_FROM * len(self._people):
            where = f"{{people}} AND ({where})" if where else "{people}"
        for part in _ahead(_together(self._columns.tables(Wanted(table, columns, where)))):
            yield {name: part[name].combine_chunks() for name in columns}

    def _decisions(self) -> Decisions:
        # a chance of a third takes long to write, and where the chances of all actions were logged it is among them
        unlogged = "probabilities IS NULL OR probabilities{json} = 'null'"
        wanted: dict[str, tuple[str, Kind]] = {
            "decision_id": ("decision_id", "text"),
            "customer_id": ("customer_id", "text"),
            "decided_at": ("decided_at", "time"),
            "action": ("action", "text"),
            "assignment": ("assignment", "text"),
            "probability": (f"CASE WHEN {unlogged} THEN probability END", "number"),
            "cost": ("cost", "money"),
            "spend": ("spend", "money"),
            "probabilities": ("probabilities{json}", "text"),
            "stopped_by": ("CASE WHEN assignment = 'suppressed' THEN answer -> 'reason_codes' END{json}", "text"),
        }
        parts: dict[str, list[pa.Array]] = {name: [] for name in wanted}
        for part in _ahead(_together(self._columns.tables(Wanted("decisions", wanted, "campaign = {campaign}")))):
            for name in wanted:
                values = part[name].combine_chunks()
                parts[name].append(values.dictionary_encode() if name in _REPEATED else values)
        # each column's parts are let go before the next one is put together
        whole = {name: _whole(parts.pop(name), wanted[name][1], name in _REPEATED) for name in wanted}
        people = whole.pop("customer_id").dictionary_encode()
        self._people = Positions(people.dictionary)
        person, at = _codes(people, np.int32), _microseconds(whole.pop("decided_at"))
        del people
        order = np.lexsort((at, person)) if len(person) else np.empty(0, np.intp)
        self._ids = Positions(whole.pop("decision_id").take(pa.array(order)))
        count = np.bincount(person, minlength=len(self._people))
        self._first = (np.cumsum(count) - count).astype(np.int32)
        actions, assignments = (_codes_and_names(whole[name], np.int16) for name in ("action", "assignment"))
        chances = _codes(whole["probabilities"], np.int32)
        stopped_by, stops = _codes_and_names(whole["stopped_by"], np.int32)
        chance_of, chance_actions, known = _chances(whole["probabilities"].dictionary)
        return Decisions(
            person=person[order],
            n_people=len(self._people),
            at=at[order],
            action=actions[0][order],
            actions=actions[1],
            assignment=assignments[0][order],
            assignments=assignments[1],
            probability=_numbers(whole["probability"])[order],
            cost=_numbers(whole["cost"])[order],
            spend=_numbers(whole["spend"])[order],
            chances=known[chances].astype(np.int32)[order],
            chance_of=chance_of,
            chance_actions=chance_actions,
            stopped_by=stopped_by[order],
            stops=tuple(tuple(json.loads(text)) for text in stops),
        )


@contextmanager
def experiment(ledger: Database, campaign: str) -> Iterator[Experiment]:
    """A campaign's record, read while the context lasts.

    Raises
    ------
    LedgerUnavailable
        The database cannot answer now.
    """
    with columns_of(ledger, campaign) as columns:
        yield Experiment(columns)


def _whole(parts: list[pa.Array], kind: Kind, repeated: bool) -> pa.Array:
    """A column put together; one that repeats as a dictionary."""
    if not parts:
        return pa.array([], ARROW[kind]) if not repeated else pa.array([], pa.string()).dictionary_encode()
    column = pa.chunked_array(parts)
    return (column.unify_dictionaries() if repeated else column).combine_chunks()


def _together(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """The same rows in fewer parts."""
    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        if sum(map(len, waiting)) >= ROWS_TOGETHER:
            yield pa.concat_tables(waiting)
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting)


def _ahead(parts: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """The same parts, the next one being read while one is worked on."""
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(next, parts, None)
        while (part := coming.result()) is not None:
            coming = reader.submit(next, parts, None)
            yield part


def objects(texts: pa.ChunkedArray) -> pa.Table:
    """JSON objects (n,) as a table of one column a key, missing where an object has none."""
    texts = pc.if_else(pc.fill_null(pc.equal(texts, "null"), True), "{}", texts)
    lines = b"\n".join(_lines(chunk) for chunk in texts.chunks if len(chunk))
    if not lines:
        return pa.table({})
    try:
        options = pj.ReadOptions(use_threads=False, block_size=len(lines) + 1)
        return pj.read_json(pa.BufferReader(lines), read_options=options)
    except pa.ArrowInvalid:
        # a key whose values are of several kinds
        rows = [{key: _one_kind(value) for key, value in json.loads(text).items()} for text in texts.to_pylist()]
        return pa.Table.from_pylist(rows)


def _lines(texts: pa.Array) -> bytes:
    together = pa.ListArray.from_arrays(pa.array([0, len(texts)], pa.int32()), texts)
    joined = pc.binary_join(together, "\n")
    return bytes(joined[0].as_buffer())


def _one_kind(value: object) -> object:
    return float(value) if isinstance(value, (bool, int)) else value


def _chances(texts: pa.Array) -> tuple[np.ndarray, tuple[str, ...], np.ndarray]:
    """Combinations of chances (m, k), the actions that they are of, and which of them each text is, -1 for none."""
    table = objects(pa.chunked_array([texts]))
    names = tuple(sorted(table.column_names))
    if not names:
        return np.empty((0, 0)), (), np.full(len(texts) + 1, -1)
    of = np.column_stack([_numbers(table[name].cast(pa.float64())) for name in names])
    logged = ~np.isnan(of).all(axis=1)
    known = np.where(logged, np.cumsum(logged) - 1, -1)
    return np.nan_to_num(of[logged], nan=0.0), names, np.append(known, -1)


def _codes_of(indices: pa.Array) -> np.ndarray:
    return pc.fill_null(indices, -1).to_numpy(zero_copy_only=False).astype(np.int32, copy=False)


def _codes(values: pa.Array, kind: type) -> np.ndarray:
    """Codes (n,) of a dictionary; -1 where missing."""
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    return _codes_of(values.indices).astype(kind, copy=False)


def _codes_and_names(values: pa.Array, kind: type) -> tuple[np.ndarray, tuple[str, ...]]:
    return _codes(values, kind), tuple(values.dictionary.to_pylist())


def _microseconds(times: pa.ChunkedArray | pa.Array) -> np.ndarray:
    return np.asarray(times.cast(pa.int64()).to_numpy())


def _numbers(values: pa.ChunkedArray | pa.Array) -> np.ndarray:
    """Numbers (n,), NaN where missing."""
    whole = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    return np.asarray(whole.to_numpy(zero_copy_only=False), dtype=float)


def _joined(parts: Sequence[np.ndarray], kind: type) -> np.ndarray:
    return np.concatenate(parts) if parts else np.empty(0, kind)
