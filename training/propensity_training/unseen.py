"""Whom a model's training saw, and which people of a data set can therefore judge it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from propensity import registry
from propensity.datasets import Dataset
from propensity.errors import InputError
from propensity.frame import Split, SplitKind, require_separate_windows, split, training_frame
from propensity.registry import Registered

PEOPLE_FILE = "training_people.parquet"
"""Logged beside a model: hashes of the people that it learnt from."""
MIN_PEOPLE = 100
"""Fewer cannot judge a model."""


@dataclass(frozen=True)
class Unseen:
    """People of a data set that no training of some models saw.

    Attributes
    ----------
    frame : DataFrame
        Their rows of the training frame.
    line : str
        How many they are and why the others do not count, for people.
    n_people, n_seen : int
        People in the data, and those of them whom a training saw.
    """

    frame: pd.DataFrame
    line: str
    n_people: int
    n_seen: int


def fingerprint(dataset: Dataset) -> str:
    """Hash of the three tables' content, 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for table in (dataset.customers, dataset.contacts, dataset.outcomes):
        if len(table):
            digest.update(pd.util.hash_pandas_object(table, index=False).to_numpy().tobytes())
    return digest.hexdigest()[:16]


def sizes(dataset: Dataset) -> dict[str, int]:
    """Rows of each table."""
    return {
        "customers": len(dataset.customers),
        "contacts": len(dataset.contacts),
        "outcomes": len(dataset.outcomes),
    }


def matured_frame(dataset: Dataset, now: pd.Timestamp | None) -> pd.DataFrame:
    """The training frame of the decisions whose window has closed by ``now`` (of all, without it).

    Raises
    ------
    InputError
        Windows of one person overlap, or no window has closed.
    """
    window = dataset.playbook.program.attribution_window_days
    require_separate_windows(dataset.contacts, window)
    frame = training_frame(dataset.customers, dataset.contacts, dataset.outcomes, window_days=window, now=now)
    if frame.empty:
        first = dataset.contacts["decided_at"].min() + pd.Timedelta(days=window)
        raise InputError(
            f"contacts.decided_at: no decision has a closed attribution window ({window:g} days) and an earlier "
            f"snapshot of its customer; the first window closes on {first:%Y-%m-%d}"
        )
    return frame


def split_as(dataset: Dataset, told: dict[str, str]) -> Split:
    """The split of a data set that a run with these parameters had."""
    as_of = told.get("as_of")
    return split(
        matured_frame(dataset, pd.Timestamp(as_of) if as_of else None),
        window_days=dataset.playbook.program.attribution_window_days,
        share=float(told["held_out_share"]),
        seed=int(told["seed"]),
        kind=kind_of(told["split"]),
    )


def kind_of(name: str) -> SplitKind:
    """The kind of a split that a run's parameter names."""
    return "time" if name == "time" else "customers"


def people_table(customer_id: pd.Series) -> pd.DataFrame:
    """One row a person: a hash of the id (64 bits), in the order of the hashes.

    Pseudonyms, not anonymous: whoever has a list of ids can find out which of them are in it.
    """
    return pd.DataFrame({"customer_hash": np.unique(_hashes(customer_id))})


def _hashes(customer_id: pd.Series) -> np.ndarray:
    digests = (hashlib.blake2b(str(c).encode(), digest_size=8, person=b"training").digest() for c in customer_id)
    return np.array([int.from_bytes(digest, "big") for digest in digests], dtype=np.uint64)


def unseen_people(dataset: Dataset, models: Sequence[Registered], now: pd.Timestamp | None = None) -> Unseen:
    """The decisions of a data set that can judge models: on people whom none of their trainings saw.

    On the very data of a training these are the people held out of it; elsewhere, those whose ids it did not have.

    Parameters
    ----------
    dataset : Dataset
    models : sequence of Registered
    now : Timestamp, optional
        Decisions whose window is open at this time do not count.

    Raises
    ------
    InputError
        Too few people are left, or a model does not say whom it learnt from.
    """
    frame = matured_frame(dataset, now)
    n_people = frame["customer_id"].nunique()
    mine = fingerprint(dataset)
    people = _hashes(frame["customer_id"])
    seen = np.zeros(len(frame), dtype=bool)
    counts = np.ones(len(frame), dtype=bool)
    same = False
    for model in models:
        told = registry.parameters(model)
        seen |= np.isin(people, registry.table(model, PEOPLE_FILE)["customer_hash"].to_numpy())
        if told["data_fingerprint"] == mine:
            same = True
            counts &= frame["decision_id"].isin(split_as(dataset, told).held_out["decision_id"]).to_numpy()
    kept = frame[counts & ~seen].reset_index(drop=True)
    n_seen, n_left = frame.loc[seen, "customer_id"].nunique(), kept["customer_id"].nunique()
    line = f"{n_seen:,} of {n_people:,} people were in training and do not count"
    if same:
        line = f"the data of the training itself: {line}"
    if n_left < n_people - n_seen:
        line += f", nor do {n_people - n_seen - n_left:,} who are on neither side of its split"
    if n_left < MIN_PEOPLE:
        raise InputError(
            f"data {dataset.name}: {line}; {n_left:,} are left, at least {MIN_PEOPLE} are needed; "
            "bring data on other people"
        )
    return Unseen(kept, f"{n_left:,} people judge; {line}", n_people, n_seen)
