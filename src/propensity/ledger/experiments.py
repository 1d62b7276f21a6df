"""A campaign's record as arrays: people and decisions are positions, and what repeats is a code."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import repeat

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from propensity.ledger.columns import ARROW, Column, Columns, Kind, Wanted, columns_of, sql_time
from propensity.ledger.database import Database
from propensity.ledger.json_objects import objects
from propensity.ledger.positions import Positions, numbered

ROWS_TOGETHER = 100_000
"""Rows that are worked on at once."""

_FIRST_LETTER, _OTHER_LETTER = ord("a"), "A"
"""Types of events are read as letters, small ones for those that are asked for."""

_REPEATED = ("action", "assignment", "probabilities", "stopped_by")
"""Columns of decisions of which many have the same value."""

SCAN_FROM = 16
"""With more rows of a table for each person of the campaign, each person's are found by an index; else all are read."""


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
    probability, cost : float64 arrays
        Of the action; cost in currency. The probability is NaN where those of all actions were logged (``chances``).
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
        Of purchases, currency; 0 where there is none.
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
        _give_back()

    def close(self) -> None:
        """Let go of the ids, which of millions of people take hundreds of megabytes."""
        del self._people, self._ids
        _give_back()

    def events(self, kinds: Sequence[str], after: int, until: int) -> Iterator[Events]:
        """Events of these types between two times (microseconds, both included), in parts of many."""
        letters = {kind: chr(_FIRST_LETTER + k) for k, kind in enumerate(kinds)}
        cases = " ".join(f"WHEN '{kind}' THEN '{letter}'" for kind, letter in letters.items())
        columns = {
            "customer_id": Column("customer_id", "id"),
            "kind": Column(f"CASE type {cases} ELSE '{_OTHER_LETTER}' END", "id"),
            "at": Column("at", "time"),
        }
        if "purchased" in letters:
            columns["amount"] = Column("amount", "money", ("type = 'purchased'", "kind", letters["purchased"]))
        if "sent" in letters:
            columns["decision_id"] = Column("decision_id", "text", ("type = 'sent'", "kind", letters["sent"]))
        between = f"at >= {sql_time(after)} AND at <= {sql_time(until)}"
        yield from _ahead(map(self._as_events, self._of_people("events", columns, between)))

    def _as_events(self, table: dict[str, pa.Array]) -> Events:
        person = self._people.of(table["customer_id"])
        kind = _letters(table["kind"]).view(np.int8) - np.int8(_FIRST_LETTER)
        decision, amount = np.full(len(kind), -1, dtype=np.int32), np.zeros(len(kind))
        if "decision_id" in table:
            some = np.flatnonzero(pc.is_valid(table["decision_id"]).to_numpy(zero_copy_only=False) & (person >= 0))
            decision[some] = self._named(table["decision_id"].take(pa.array(some)), person[some])
        if "amount" in table:
            amount = np.nan_to_num(_numbers(table["amount"]), nan=0.0)
        at, kept = _microseconds(table["at"]), (person >= 0) & (kind >= 0)
        if kept.all():
            return Events(person, kind, at, amount, decision)
        return Events(person[kept], kind[kept], at[kept], amount[kept], decision[kept])

    def _named(self, ids: pa.Array, person: np.ndarray) -> np.ndarray:
        """Position of the decision that each event (m,) names, -1 where it names none of this campaign."""
        found = self._first[person]
        # nearly all name the one decision on the person; only the others must be looked for
        others = np.flatnonzero(~self._ids.same(ids, found))
        if len(others):
            found[others] = self._ids.of(ids.take(pa.array(others)))
        return found

    def snapshots(self, names: Sequence[str]) -> Iterator[Snapshots]:
        """What was known of these people, in parts; ``attributes`` holds those of the named columns that there are."""
        columns = {
            "customer_id": Column("customer_id", "id"),
            "as_of": Column("as_of", "time"),
            "churned_at": Column("churned_at", "time"),
        }
        if names:
            columns["attributes"] = Column("attributes{json}", "text")
        parts = map(self._as_snapshots, self._of_people("customers", columns, ""), repeat(names))
        yield from (part for part in _ahead(parts) if len(part.person))

    def _as_snapshots(self, table: dict[str, pa.Array], names: Sequence[str]) -> Snapshots:
        person = self._people.of(table["customer_id"])
        if not (person >= 0).all():
            table = {name: values.filter(pa.array(person >= 0)) for name, values in table.items()}
            person = person[person >= 0]
        attributes = pa.table({})
        if names:
            found = objects(table["attributes"])
            attributes = found.select([name for name in names if name in found.column_names])
        return Snapshots(person, _microseconds(table["as_of"]), _microseconds(table["churned_at"]), attributes)

    def elsewhere(self) -> Elsewhere:
        """Decisions of other campaigns on these people, apart from those that left them out."""
        columns = {
            "customer_id": Column("customer_id", "id"),
            "decided_at": Column("decided_at", "time"),
            "campaign": Column("campaign", "id"),
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
        return Elsewhere(_joined(people, np.int32), _joined(times, np.int64), *_codes_and_names(coded, np.int32))

    def _of_people(self, table: str, columns: dict[str, Column], where: str) -> Iterator[dict[str, pa.Array]]:
        """Rows of these people, and of others where reading all is cheaper than looking each person up."""
        if self._columns.size(table) > SCAN_FROM * len(self._people):
            where = f"{{people}} AND ({where})" if where else "{people}"
        for part in _ahead(_together(self._columns.tables(Wanted(table, columns, where)))):
            yield {name: part[name].combine_chunks() for name in columns}

    def _decisions(self) -> Decisions:
        suppressed = ("assignment = 'suppressed'", "assignment", "suppressed")
        # a chance of a third takes long to write, and where the chances of all actions were logged it is among them
        logged = "nullif(probabilities{json}, 'null')"
        unlogged = (f"{logged} IS NULL", "probabilities", None)
        wanted = {
            "decision_id": Column("decision_id", "id"),
            "customer_id": Column("customer_id", "id"),
            "decided_at": Column("decided_at", "time"),
            "action": Column("action", "id"),
            "assignment": Column("assignment", "id"),
            "cost": Column("cost", "money"),
            "probabilities": Column(logged, "text"),
            "probability": Column("probability", "number", unlogged),
            "stopped_by": Column("(answer -> 'reason_codes'){json}", "text", suppressed),
        }
        parts: dict[str, list[pa.Array]] = {name: [] for name in wanted}
        for part in _ahead(_together(self._columns.tables(Wanted("decisions", wanted, "campaign = {campaign}")))):
            for name in wanted:
                values = part[name].combine_chunks()
                parts[name].append(values.dictionary_encode() if name in _REPEATED else values)
        # each column's parts are let go before the next one is put together
        whole = {name: _whole(parts.pop(name), wanted[name].kind, name in _REPEATED) for name in wanted}
        self._people, person = numbered(whole.pop("customer_id"))
        at, ids = _microseconds(whole.pop("decided_at")), whole.pop("decision_id")
        actions, assignments = (_codes_and_names(whole[name], np.int16) for name in ("action", "assignment"))
        chances = _codes(whole["probabilities"], np.int32)
        stopped_by, stops = _codes_and_names(whole["stopped_by"], np.int32)
        chance_of, chance_actions, known = chances_of(whole["probabilities"].dictionary)
        columns = {
            "person": person,
            "at": at,
            "action": actions[0],
            "assignment": assignments[0],
            "probability": _numbers(whole.pop("probability")),
            "cost": _numbers(whole.pop("cost")),
            "chances": known[chances].astype(np.int32),
            "stopped_by": stopped_by,
        }
        if len(self._people) < len(person):
            # of several decisions on a person the earlier ones come first
            order = np.lexsort((at, person))
            ids, columns = ids.take(pa.array(order)), {name: values[order] for name, values in columns.items()}
        self._ids = Positions(ids)
        count = np.bincount(person, minlength=len(self._people))
        self._first = (np.cumsum(count) - count).astype(np.int32)
        return Decisions(
            **columns,
            n_people=len(self._people),
            actions=actions[1],
            assignments=assignments[1],
            chance_of=chance_of,
            chance_actions=chance_actions,
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
        record = Experiment(columns)
        try:
            yield record
        finally:
            record.close()


def _give_back() -> None:
    """Memory that Arrow keeps for later; later nothing of its size is read."""
    pa.default_memory_pool().release_unused()


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


def chances_of(texts: pa.Array) -> tuple[np.ndarray, tuple[str, ...], np.ndarray]:
    """Combinations of chances (m, k), the actions that they are of, and which of them each text is, -1 for none."""
    table = objects(texts)
    names = tuple(sorted(table.column_names))
    if not names:
        return np.empty((0, 0)), (), np.full(len(texts) + 1, -1)
    of = np.column_stack([_numbers(table[name].cast(pa.float64())) for name in names])
    logged = ~np.isnan(of).all(axis=1)
    known = np.where(logged, np.cumsum(logged) - 1, -1)
    return np.nan_to_num(of[logged], nan=0.0), names, np.append(known, -1)


def _letters(texts: pa.Array) -> np.ndarray:
    """The codes (n,) of texts of one letter each."""
    if not len(texts):
        return np.empty(0, np.uint8)
    _, offsets, letters = texts.buffers()
    return np.frombuffer(letters, np.uint8)[np.frombuffer(offsets, np.int32)[texts.offset :][: len(texts)]]


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
