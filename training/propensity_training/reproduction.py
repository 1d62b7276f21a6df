"""Training again from what a run says of itself, and whether the same comes out."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import sqlalchemy as sa

from propensity import registry
from propensity.checksums import MANIFEST_FILE
from propensity.dataset import Dataset
from propensity.errors import InputError
from propensity.frame import SplitKind
from propensity.granting import mode_of
from propensity.ledger import Ledger, schema
from propensity.model import DecisionModel
from propensity.playbook import Playbook
from propensity.progress import Steps
from propensity.registered import model_files
from propensity.registry import Registered
from propensity.threads import ROWS_WORTH_THREADS, THREADS_VARIABLE, available_threads
from propensity_training import provenance
from propensity_training.pipeline import Settings, learn
from propensity_training.source import LedgerSource, Source, source_of
from propensity_training.tuning import Budget
from propensity_training.unseen import fingerprint, kind_of, sizes

STEPS = 5
"""Steps that `reproduce` shows; less where the data are others, and one more with tuning."""
RELATIVE = 1e-9
"""Of values, up to which they are equal."""


@dataclass(frozen=True)
class Reproduction:
    """What came out; ``sentences`` are for people."""

    same: bool
    sentences: list[str]


def reproduce(run_id: str, ledger: str | None, steps: Steps) -> Reproduction:
    """Train as a run did, and compare; nothing is registered.

    Parameters
    ----------
    run_id : str
        Of MLflow.
    ledger : str, optional
        The ledger's address with its password, if the run learnt from a ledger that has one.
    steps : Steps
        `STEPS` are used.

    Raises
    ------
    InputError
        There is no such run, it does not say what it learnt from, or that cannot be read.
    JobError
        MLflow does not answer.
    """
    with steps.step("Read what the run says") as step:
        told = registry.run_parameters(run_id)
        registered = registry.version_of_run(run_id)
        playbook = Playbook.model_validate(registry.artifact(registered, provenance.PLAYBOOK_FILE))
        source = source_of(told, playbook, ledger)
        if source is None:
            raise InputError(f"run {run_id}: names no data that could be read again")
        step.result = f"{registered.title}, from {told['data']}"
    sentences = _code(told)
    with steps.step("Read the data again") as step:
        dataset = replace(source.load(), playbook=playbook)
        step.result = dataset.origin
    found = fingerprint(dataset)
    if found != told["data_fingerprint"]:
        why = _what_changed(dataset, told, source, registered)
        return Reproduction(False, [*sentences, f"The data are not the same as then ({found}, was {why}"])
    sentences.append(f"The data are the same ({found}).")
    _use_threads(told)
    as_of = told.get("as_of")
    with tempfile.TemporaryDirectory() as aside:
        learnt = learn(
            dataset,
            settings_of(told),
            now=pd.Timestamp(as_of) if as_of else None,
            steps=steps,
            standing=mode_of(told.get("standing", "nobody")),
        )
        mine = Path(aside) / "mine"
        learnt.model.save(mine)
        its = model_files(registry.download(registered.name, registered.version, Path(aside)))
        same, sentence = _compared(mine, its, learnt.people.frame)
    return Reproduction(same, [*sentences, sentence])


def settings_of(told: dict[str, str]) -> Settings:
    """The settings of a run with these parameters."""
    tuning = None
    if "tuning_trials" in told:
        # as many as there were: what a time is good for depends on the machine
        tuning = Budget(int(told["tuning_trials"]))
    asked = told.get("split_asked", told["split"])
    kind: SplitKind | None = None if asked == "auto" else kind_of(asked)
    return Settings(float(told["held_out_share"]), int(told["seed"]), kind, tuning)


def _code(told: dict[str, str]) -> list[str]:
    """What of the code is not as it was, for people."""
    now = provenance.parameters()
    return [
        f"{name.removeprefix('version_').removesuffix('_version').capitalize()} is {now[name]} now, was {then}."
        for name, then in told.items()
        if (name.startswith("version_") or name == "code_version") and now.get(name) != then
    ]


def _use_threads(told: dict[str, str]) -> None:
    """As many threads as then, where their number can matter."""
    if int(told["n_training"]) >= ROWS_WORTH_THREADS and "threads" in told:
        os.environ[THREADS_VARIABLE] = told["threads"]
        available_threads.cache_clear()


def _what_changed(dataset: Dataset, told: dict[str, str], source: Source | LedgerSource, registered: Registered) -> str:
    then = {name: int(told.get(f"n_{name}", n)) for name, n in sizes(dataset).items()}
    words = {"customers": "snapshots of people", "contacts": "decisions", "outcomes": "events"}
    counts = [f"{n:,} {words[name]}, were {then[name]:,}" for name, n in sizes(dataset).items() if n != then[name]] or [
        "as many rows as then, with other values"
    ]
    sentence = f"{told['data_fingerprint']}): {'; '.join(counts)}."
    if isinstance(source, LedgerSource):
        n_erased = _erased_since(source.url, registry.started_at(registered))
        if n_erased:
            who = "1 person was" if n_erased == 1 else f"{n_erased:,} people were"
            sentence += f" {who} erased from the ledger since then, and teaches nothing any more."
    return sentence + " Nothing was trained, for another model would come out."


def _erased_since(url: str, since: pd.Timestamp) -> int:
    ledger = Ledger(url).open()
    t = schema.tombstones.c
    query = sa.select(sa.func.count()).where(t.erased_at >= since.to_pydatetime())
    try:
        return int(ledger.read(lambda connection: connection.scalar(query)) or 0)
    finally:
        ledger.close()


def _compared(mine: Path, its: Path, people: pd.DataFrame) -> tuple[bool, str]:
    """Whether two saved models are the same, and in what sense."""
    one, other = (json.loads((d / MANIFEST_FILE).read_text(encoding="utf-8")) for d in (mine, its))
    differing = sorted(name for name in {*one, *other} if one.get(name) != other.get(name))
    if not differing:
        return True, f"The model is the same, file by file ({len(one):,} files)."
    models = (DecisionModel.load(mine), DecisionModel.load(its))
    named = f"{len(differing):,} of {len(one):,} files differ, such as {differing[0]}"
    if models[0].actions != models[1].actions or models[0].mode != models[1].mode:
        return False, f"The model is another: {named}; it has other actions or another policy."
    values = [m.predict(people, people["decided_at"]).net_value.to_numpy() for m in models]
    scale = np.nanmax(np.abs(values[1]))
    off = float(np.nanmax(np.abs(values[0] - values[1]))) / (scale if scale > 0 else 1.0)
    if off <= RELATIVE:
        return True, f"The model is the same in value on {len(people):,} people that no fit saw, though {named}."
    return False, (
        f"The model is another: {named}; net values of {len(people):,} people that no fit saw differ by up to "
        f"{off:.2g} of the greatest."
    )
