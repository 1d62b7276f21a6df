"""A data set to learn from, out of the ledger: what was decided by chance, on whom, and what happened then."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from propensity import contract
from propensity.contract import CONTROL, CUSTOMERS, PROBABILITY_PREFIX, Column
from propensity.dataset import Dataset, OutcomeWords
from propensity.errors import InputError
from propensity.features import required_columns
from propensity.ledger import Ledger, playbook_approvals
from propensity.ledger.columns import ARROW, Columns, Wanted, columns_of, sql_time
from propensity.ledger.columns import Column as Wants
from propensity.ledger.experiments import chances_of
from propensity.ledger.json_objects import objects
from propensity.playbook import FACTORS, Learning, Playbook
from propensity.repeated_decisions import given_earlier
from propensity.some_people import rows_of_some, told_of_some

NAME = "ledger"
RARE = 150
"""An action that was served less often cannot be learnt: a split leaves too few on one side."""
ROWS_SIFTED_AT_ONCE = 1_000_000
"""Whom they are of is looked up in a table that is made each time."""

_DECISIONS: dict[str, Wants] = {
    "decision_id": Wants("decision_id", "id"),
    "customer_id": Wants("customer_id", "id"),
    "decided_at": Wants("decided_at", "time"),
    "campaign": Wants("campaign", "id"),
    "action": Wants("action", "id"),
    "probability": Wants("probability", "number"),
    "cost": Wants("cost", "money"),
    "assignment": Wants("assignment", "id"),
    # imported contacts have no answer, and were drawn by somebody else's lot
    "own": Wants("CASE WHEN answer IS NULL OR answer{json} = 'null' THEN 0 ELSE 1 END", "number"),
    "probabilities": Wants("probabilities{json}", "text"),
    "playbook_version": Wants("answer ->> 'playbook_version'", "text"),
}
_EVENTS: dict[str, Wants] = {
    "event_id": Wants("event_id", "id"),
    "source": Wants("source", "id"),
    "customer_id": Wants("customer_id", "id"),
    "decision_id": Wants("decision_id", "text"),
    "at": Wants("at", "time"),
    "type": Wants("type", "id"),
    "amount": Wants("amount", "money"),
}
_SNAPSHOTS: dict[str, Wants] = {
    "customer_id": Wants("customer_id", "id"),
    "as_of": Wants("as_of", "time"),
    "churned_at": Wants("churned_at", "time"),
    "attributes": Wants("attributes{json}", "text"),
}
_JSON: dict[str, pa.DataType] = {
    "text": pa.string(),
    "time": pa.string(),
    "number": pa.float64(),
    "flag": pa.bool_(),
}
_SUM_TOLERANCE = 1e-6


def ledger_dataset(
    ledger: Ledger,
    playbook: Playbook,
    *,
    until: pd.Timestamp,
    campaigns: Sequence[str] | None = None,
    rare: int = RARE,
    people_share: float = 1.0,
) -> Dataset:
    """What the ledger's decisions teach, as checked contract tables.

    Parameters
    ----------
    ledger : Ledger
    playbook : Playbook
        Whose actions, features and attribution window count. An action whose archetype, channel or offer was another
        under the same name is another action, which it has no longer.
    until : Timestamp
        Aware. Only decisions whose window had closed by then count, and only events before it.
    campaigns : sequence of str, optional
        Default: all.
    rare : int
        Decisions for an action that was served less often are left out, as if the playbook had it no longer.
    people_share : float
        Read only so many of the people, at random (see `rows_of_some`).

    Returns
    -------
    Dataset
        One contact a decision that was drawn by chance, in a wave or alone, with the chances of all actions in
        ``probability_<action>``; of each person the snapshot that was the newest then; the events inside the windows.
        Sorted by their keys, so that equal ledgers give equal data, whatever their database, and the same ledger the
        same data at any later time before the next window closes. ``left_out`` says which decisions do not teach,
        and how many.

    Raises
    ------
    InputError
        The ledger does not know a campaign, or nothing in it can teach.
    ContractError
        Snapshots lack a column that the playbook needs.
    LedgerUnavailable
        The database cannot answer now.

    Notes
    -----
    Of a later decision on the same person the chances are those given the earlier ones, in whatever campaign these
    were; see `repeated_decisions`.

    Intention to treat: who was decided to be sent something counts as such, whether or not an event shows that it was
    sent. Whether it was sent may depend on the person, so that the people who were sent something and the people held
    out would differ in more than what was drawn.

    A decision teaches where chance could have made it another: not where rules left one possibility. Of one person's
    decisions whose windows overlap the first counts. Which one that is does not depend on what was drawn, so this
    comes before decisions for actions that the playbook has no longer are left out. That somebody was not served one
    of these, Z, is a condition under which each other action's chance is p(a) / (1 - sum of p(z) over Z). With these
    chances doubly robust scores stay right for each person; an average over people is one over those who remain, in
    whom people of small p(Z) are more frequent than in all.
    """
    for campaign in campaigns or ():
        ledger.campaign(campaign)
    window = pd.Timedelta(days=playbook.program.attribution_window_days)
    changed = _changed_actions(ledger, playbook)
    with columns_of(ledger, "") as columns:
        drawn = _Drawn.of(_decisions(columns, until, people_share))
        drawn.given_earlier(*_learning(ledger, drawn.table), campaigns)
        drawn.rename(changed)
        too_rare = drawn.select(window, until, playbook.labels, rare)
        snapshots = _known_then(columns, drawn.table, playbook)
        unknown = np.ones(len(drawn.table), dtype=bool)
        unknown[snapshots.pop("decision")] = False
        drawn.leave_out("on people who were erased, or of whom no snapshot is so old", unknown)
        outcomes = _outcomes(columns, drawn.table, window, until)
    what = f"the ledger {ledger.name}" + (f", campaign {', '.join(campaigns)}" if campaigns else "")
    origin = told_of_some(f"{what}, until {until:%Y-%m-%d %H:%M} UTC", people_share)
    if drawn.table.empty:
        left_out = f" (left out: {'; '.join(drawn.left_out)})" if drawn.left_out else ""
        teaches = f"that was drawn by chance and whose window of {window.days:g} days had closed by then"
        if too_rare and drawn.actions == [CONTROL]:
            more = "read more of the people" if people_share < 1 else "wait for more of these decisions"
            raise InputError(
                f"{origin}: every action was served less than {rare:,} times by a decision {teaches}; {more}{left_out}"
            )
        raise InputError(f"{origin}: holds no decision {teaches}{left_out}")
    contacts = contract.check("contacts", drawn.contacts(), actions=playbook.labels).good
    contract.check_arms(contacts)
    newest = max(ledger.campaigns(), key=lambda c: (c["campaign"] in set(contacts["campaign"]), c["started_at"]))
    return Dataset(
        name=NAME,
        title="; ".join(sorted(contacts["campaign"].unique())),
        origin=origin,
        campaign=newest["campaign"],
        words=OutcomeWords(reactivated=newest["reactivated_word"], reactivated_plural=newest["reactivated_words"]),
        playbook=playbook,
        customers=_checked_customers(snapshots, playbook),
        contacts=contacts,
        outcomes=contract.check("outcomes", outcomes).good if len(outcomes) else outcomes,
        quarantined=pd.DataFrame(),
        violations=(),
        left_out=tuple(drawn.left_out),
    )


def newest_playbook(ledger: Ledger) -> Playbook:
    """The playbook that was approved last, or that the newest campaign began with.

    Raises
    ------
    InputError
        The ledger holds none.
    """
    approved = [row["content"] for row in playbook_approvals(ledger)]
    begun = [row["playbook"] for row in ledger.campaigns() if row["playbook"]]
    if not approved and not begun:
        raise InputError(f"ledger {ledger.name}: holds no playbook, neither approved nor of a campaign; name one")
    return Playbook.model_validate((approved or begun)[-1])


@dataclass
class _Drawn:
    """Decisions, with the chance of every action.

    Attributes
    ----------
    table : DataFrame (n, columns)
        Columns of a contacts table, without those of chances.
    chances : array (n, k)
        NaN where they are not known.
    actions : list of str
        What the columns of ``chances`` are of.
    left_out : list of str
        What is not there any more, and why; for people.
    """

    table: pd.DataFrame
    chances: np.ndarray
    actions: list[str]
    left_out: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, table: pa.Table) -> _Drawn:
        """From rows of the ledger."""
        coded = table["probabilities"].combine_chunks()
        chance_of, names, known = chances_of(coded.dictionary)
        of_text = known[pc.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False)].astype(int)
        frame = _pandas(table.drop_columns(["probabilities"]))
        actions = sorted({*names, *frame["action"], CONTROL})
        wide = np.zeros((len(chance_of) + 1, len(actions)))
        wide[:-1, [actions.index(name) for name in names]] = chance_of
        wide[-1] = np.nan
        made = cls(frame, wide[of_text], actions)
        made._fill_in_shares()
        return made

    def rename(self, changed: Mapping[str, Sequence[str]]) -> None:
        """Tell actions apart that had the same name; by version of the playbook, those that were something else."""
        for version, names in changed.items():
            rows = (self.table["playbook_version"] == version).to_numpy()
            for name in names if rows.any() else ():
                own = f"{name} as in playbook {version}"
                moved = np.zeros(len(rows))
                if name in self.actions:
                    column = self.actions.index(name)
                    moved[rows] = self.chances[rows, column]
                    self.chances[rows, column] = 0.0
                self.chances = np.column_stack([self.chances, moved])
                self.actions.append(own)
                self.table.loc[rows & (self.table["action"] == name).to_numpy(), "action"] = own
        self.table = self.table.drop(columns="playbook_version")

    def _fill_in_shares(self) -> None:
        """Where a campaign logged the served action's chance only, and that was the same for all who got the action."""
        unknown = np.isnan(self.chances).any(axis=1)
        for _, rows in self.table[unknown].groupby("campaign"):
            by_action = rows.groupby("action")["probability"].agg(["min", "max"])
            alike = np.allclose(by_action["min"], by_action["max"])
            if alike and abs(by_action["min"].sum() - 1) < _SUM_TOLERANCE:
                self.chances[rows.index] = by_action["min"].reindex(self.actions).fillna(0.0).to_numpy()

    def given_earlier(
        self, drawn_by: np.ndarray, learning: Sequence[Learning], campaigns: Sequence[str] | None
    ) -> None:
        """Make the chances those given each person's earlier decisions (see `repeated_decisions`), in any campaign.

        Only then the decisions of other campaigns than those that are asked for go.
        """
        decisions = self.table.assign(learning=drawn_by)
        self.chances, teaches = given_earlier(decisions, self.chances, self.actions, learning)
        if campaigns is not None:
            asked = self.table["campaign"].isin(campaigns).to_numpy()
            self._keep(asked)
            teaches = teaches[asked]
        self.leave_out("on people whom an earlier one held out", ~teaches)

    def select(self, window: pd.Timedelta, until: pd.Timestamp, labels: Sequence[str], rare: int) -> set[str]:
        """Keep what teaches; the actions that were served, but too rarely to be kept."""
        served = self._served()
        off = np.abs(self.chances.sum(axis=1) - 1) > _SUM_TOLERANCE
        self.leave_out("whose chances were not logged", np.isnan(served) | off | (served <= 0))
        self.leave_out("that could have been no other", self._certain())
        first = _first_of_each_window(self.table, window)
        is_open = (self.table["decided_at"] + window > until).to_numpy()
        self.leave_out("whose windows are open", is_open)
        self.leave_out("whose windows overlap that of an earlier one on the same person", ~first[~is_open])
        self._forget(set(self.actions) - {CONTROL, *labels}, "which the playbook has no longer")
        too_rare: set[str] = set()
        while gone := self._served_less_than(rare):
            too_rare |= gone & set(self.table["action"])
            self._forget(gone, f"which was served less than {rare:,} times")
        return too_rare

    def _served_less_than(self, times: int) -> set[str]:
        counts = self.table["action"].value_counts()
        return {a for a in self.actions if a != CONTROL and counts.get(a, 0) < times}

    def _forget(self, actions: set[str], why: str) -> None:
        """Leave out who was served one of these; the chances of the others become those of who was not."""
        for action in sorted(actions):
            self.leave_out(f"for {action}, {why}", (self.table["action"] == action).to_numpy())
        kept = [i for i, a in enumerate(self.actions) if a not in actions]
        self.actions = [self.actions[i] for i in kept]
        others = self.chances[:, kept]
        self.chances = others / others.sum(axis=1, keepdims=True)
        self.leave_out("that could have been no other but for such an action", self._certain())

    def leave_out(self, why: str, gone: np.ndarray) -> None:
        """Remove these rows (n,) of bool, and say so."""
        if gone.any():
            self.left_out.append(f"{int(gone.sum()):,} decisions {why}")
            self._keep(~gone)

    def _keep(self, these: np.ndarray) -> None:
        self.table = self.table[these].reset_index(drop=True)
        self.chances = self.chances[these]

    def _served(self) -> np.ndarray:
        position = pd.Index(self.actions).get_indexer(pd.Index(self.table["action"]))
        return self.chances[np.arange(len(self.table)), position]

    def _certain(self) -> np.ndarray:
        return self._served() > 1 - 1e-12

    def contacts(self) -> pd.DataFrame:
        """A contacts table."""
        chances = pd.DataFrame(self.chances, columns=[PROBABILITY_PREFIX + a for a in self.actions])
        table = self.table.drop(columns=["assignment", "own"]).assign(probability=self._served())
        return pd.concat([table, chances], axis=1)


def _learning(ledger: Ledger, decisions: pd.DataFrame) -> tuple[np.ndarray, list[Learning]]:
    """What each decision was drawn by, and the shares and salts that these positions (n,) are of.

    Those of the decision's own playbook: a campaign that goes on may have changed it. Where the ledger does not know
    that playbook, those of the one that the campaign began with; -1 where it knows neither, or others drew.
    """
    known = {book.version: book.learning for book in map(Playbook.model_validate, ledger.playbooks())}
    begun = {
        c["campaign"]: Playbook.model_validate(c["playbook"]).learning for c in ledger.campaigns() if c["playbook"]
    }
    own = pd.Index(list(known), dtype=object).get_indexer(pd.Index(decisions["playbook_version"]))
    of_campaign = pd.Index(list(begun), dtype=object).get_indexer(pd.Index(decisions["campaign"]))
    position = np.where(own >= 0, own, np.where(of_campaign >= 0, of_campaign + len(known), -1))
    drawn_here = decisions["own"].to_numpy(dtype=bool)
    return np.where(drawn_here, position, -1), [*known.values(), *begun.values()]


def _first_of_each_window(table: pd.DataFrame, window: pd.Timedelta) -> np.ndarray:
    """Which decisions (n,) come after the windows of all earlier ones that count on the same person."""
    person = pd.factorize(table["customer_id"])[0]
    at = table["decided_at"].to_numpy("datetime64[us]").astype(np.int64)
    order = np.lexsort((np.arange(len(table)), at, person))
    length = int(window / pd.Timedelta(microseconds=1))
    counts = np.zeros(len(table), dtype=bool)
    last, closes = -1, 0
    for row, who, when in zip(order.tolist(), person[order].tolist(), at[order].tolist(), strict=True):
        if who != last or when >= closes:
            counts[row] = True
            last, closes = who, when + length
    return counts


def _changed_actions(ledger: Ledger, playbook: Playbook) -> dict[str, list[str]]:
    """By version of the ledger's playbooks: actions that have another archetype, channel or offer under their name."""
    changed: dict[str, list[str]] = {}
    for content in ledger.playbooks():
        then = content.get("actions", {})
        others = [
            name
            for name, action in playbook.actions.items()
            if name in then and any(then[name].get(part) != getattr(action, part) for part in FACTORS)
        ]
        if others:
            changed[Playbook.model_validate(content).version] = sorted(others)
    return changed


def _decisions(columns: Columns, until: pd.Timestamp, people_share: float) -> pa.Table:
    """Decisions that rules did not take, before a time, by key."""
    where = f"assignment <> 'suppressed' AND decided_at < {_sql(until)}"
    found = _rows(columns, Wanted("decisions", _DECISIONS, where), lambda part: rows_of_some(part, people_share))
    # most texts repeat, and are long to sort
    coded = found["probabilities"].combine_chunks().dictionary_encode()
    return found.set_column(found.column_names.index("probabilities"), "probabilities", coded).sort_by("decision_id")


def _known_then(columns: Columns, decisions: pd.DataFrame, playbook: Playbook) -> pd.DataFrame:
    """The newest snapshot of the person at each decision that has one, with its position as ``decision``."""
    found = _rows(columns, Wanted("customers", _SNAPSHOTS), _of_these(decisions["customer_id"]))
    # of the erased nothing is left in it
    found = found.filter(pc.not_equal(found["attributes"], "{}"))
    attributes = _attributes(found["attributes"], playbook)
    snapshots = pd.concat([_pandas(found.drop_columns(["attributes"])), attributes], axis=1)
    about = decisions[["customer_id", "decided_at"]].assign(decision=np.arange(len(decisions)))
    known = pd.merge_asof(
        about.sort_values("decided_at", kind="stable"),
        snapshots.sort_values("as_of", kind="stable"),
        left_on="decided_at",
        right_on="as_of",
        by="customer_id",
    )
    return known[known["as_of"].notna()].drop(columns="decided_at")


def _attributes(texts: pa.ChunkedArray, playbook: Playbook) -> pd.DataFrame:
    """What the contract and the playbook name, in columns of the kinds that they promise."""
    wanted = {c.name: _JSON[c.kind] for c in _columns(playbook)}
    if not len(texts):
        return pd.DataFrame()
    lines = "\n".join(texts.to_pylist()).encode()
    try:
        table = pj.read_json(
            pa.BufferReader(lines),
            read_options=pj.ReadOptions(use_threads=False, block_size=len(lines) + 1),
            parse_options=pj.ParseOptions(
                explicit_schema=pa.schema(list(wanted.items())), unexpected_field_behavior="ignore"
            ),
        )
    except pa.ArrowInvalid:
        # a value of another kind than the playbook's: the check of the contract says so
        found = objects(texts.combine_chunks())
        table = found.select([name for name in wanted if name in found.column_names])
    empty = [name for name in table.column_names if table[name].null_count == len(table)]
    return table.drop_columns([name for name in empty if not _is_named(name, texts)]).to_pandas()


def _is_named(key: str, texts: pa.ChunkedArray) -> bool:
    """Whether any of these JSON objects has such a key."""
    return bool(pc.any(pc.match_substring(texts, f"{json.dumps(key)}: ")).as_py())


def _columns(playbook: Playbook) -> list[Column]:
    own = [c for c in CUSTOMERS if c.name not in _SNAPSHOTS]
    return [*own, *required_columns(playbook)]


def _checked_customers(snapshots: pd.DataFrame, playbook: Playbook) -> pd.DataFrame:
    """The snapshots as a contract table; two decisions may share one."""
    table = snapshots.drop_duplicates(["customer_id", "as_of"]).sort_values(["customer_id", "as_of"], kind="stable")
    return contract.check("customers", table, extra=required_columns(playbook)).good


def _outcomes(columns: Columns, decisions: pd.DataFrame, window: pd.Timedelta, until: pd.Timestamp) -> pd.DataFrame:
    """Events inside the decisions' windows, by key."""
    since = decisions["decided_at"].min() if len(decisions) else until
    where = f"at >= {_sql(since)} AND at < {_sql(until)}"
    events = _pandas(_rows(columns, Wanted("events", _EVENTS, where), _of_these(decisions["customer_id"])))
    decided = decisions[["customer_id", "decided_at"]].sort_values("decided_at", kind="stable")
    events = events.sort_values("at", kind="stable")
    last = pd.merge_asof(events, decided, left_on="at", right_on="decided_at", by="customer_id")["decided_at"]
    inside = events[events["at"].array - last.array <= window]
    return inside.sort_values(["source", "event_id"], kind="stable").reset_index(drop=True)


def _rows(columns: Columns, wanted: Wanted, kept: Callable[[pa.Table], pa.Table]) -> pa.Table:
    """The rows that are kept of what is read."""
    found = [pa.schema([(name, ARROW[column.kind]) for name, column in wanted.columns.items()]).empty_table()]
    waiting: list[pa.Table] = []
    for part in columns.tables(wanted):
        waiting.append(part)
        if sum(map(len, waiting)) >= ROWS_SIFTED_AT_ONCE:
            found.append(kept(pa.concat_tables(waiting)))
            waiting = []
    return pa.concat_tables([*found, kept(pa.concat_tables([found[0], *waiting]))])


def _of_these(people: pd.Series) -> Callable[[pa.Table], pa.Table]:
    """Keeps the rows of these people."""
    known = pa.array(people.unique(), pa.string())
    return lambda part: part.filter(pc.is_in(part["customer_id"], known))


def _pandas(table: pa.Table) -> pd.DataFrame:
    """In the kinds of contract tables."""
    for i, column in enumerate(table.schema):
        if pa.types.is_timestamp(column.type):
            table = table.set_column(i, column.name, table[column.name].cast(pa.timestamp("us", "UTC")))
    texts = {column.name: "str" for column in table.schema if pa.types.is_string(column.type)}
    return table.to_pandas().astype(texts)


def _sql(time: pd.Timestamp) -> str:
    return sql_time(int(time.as_unit("us").asm8.astype(np.int64)))
