"""Retraining as a job: it may be run again and again, at once, and after it was killed."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from propensity import datasets, registry
from propensity.ledger import Ledger
from propensity.ledger.leases import Held, Lease, lease, this_process
from propensity.progress import Steps
from propensity.registry import Registered
from propensity_training import provenance
from propensity_training.pipeline import Settings, TrainingResult, experiment_of, settings_told, train
from propensity_training.promotion import standing_grant
from propensity_training.source import LedgerSource, address
from propensity_training.unseen import fingerprint

TRAINING = "training_fingerprint"
"""Tag of runs and versions: of the data, the playbook, the code and the settings."""
OF = "training_of"
"""Tag of runs: the ledger and the model, of which only one is trained at a time."""
FIRST = "there was no champion: the first that learnt from this ledger"
"""Why, in the ledger, of a champion that took nobody's place."""
WAIT_SECONDS = 1.0
STEPS = 1
"""Steps besides those of `pipeline.train`."""


@dataclass(frozen=True)
class Done:
    """A training that was there already; ``sentence`` is for people."""

    registered: Registered
    sentence: str


def train_from_ledger(
    source: LedgerSource,
    settings: Settings,
    *,
    alias: str,
    steps: Steps,
    model_name: str | None = None,
    work: Path | None = None,
    again: bool = False,
    wait: bool = False,
) -> TrainingResult | Done | Held:
    """Train on what a ledger holds, unless that was done, or is being done by somebody else.

    Parameters
    ----------
    source : LedgerSource
    settings : Settings
    alias, model_name
        See `pipeline.train`.
    steps : Steps
        `STEPS` besides those of `pipeline.train` are used.
    work : Path, optional
        Directory for what a training that is killed had found by then; default: in the user's cache.
    again : bool
        Train even if a version with the same data, playbook, code, seed and settings is registered.
    wait : bool
        For somebody else's training of the same model to end.

    Raises
    ------
    InputError, ContractError
        As `ledger_dataset` and `pipeline.train`.
    JobError
        MLflow does not answer, or this process was out of touch with the ledger for so long that its lease lapsed.
    """
    name = model_name or f"propensity-{source.playbook.name}"
    ledger = Ledger(source.url).open()
    try:
        with _alone(ledger, f"training of {name}", wait) as held:
            if isinstance(held, Held):
                return held
            return _train(ledger, source, settings, name, alias, steps, work or _cache(), again, held)
    finally:
        ledger.close()


def _train(
    ledger: Ledger,
    source: LedgerSource,
    settings: Settings,
    name: str,
    alias: str,
    steps: Steps,
    work: Path,
    again: bool,
    held: Lease,
) -> TrainingResult | Done:
    with steps.step("Read the ledger") as step:
        dataset = source.load()
        step.result = f"{dataset.origin}; {datasets.description(dataset)}"
    told = {
        "data_fingerprint": fingerprint(dataset),
        "playbook_version": source.playbook.version,
        "code_version": provenance.code_version(),
        "model": name,
        **settings_told(settings),
    }
    key = provenance.fingerprint_of(told)
    tags = {TRAINING: key, OF: f"{address(source.url)} {name}"}
    # whoever made them held the lease that this process has now
    registry.end_dead_runs(experiment_of(dataset), OF, tags[OF])
    found = registry.tagged(name, TRAINING, key)
    if found is not None and not again:
        found = registry.give_aliases(found)
        _record_first_champion(ledger, found)
        return Done(
            found,
            f"Nothing is trained: {found.title} learnt the same (data {told['data_fingerprint']}, playbook "
            f"{source.playbook.version}, code {told['code_version']}, seed {settings.seed}, the same settings); "
            "--again trains nevertheless.",
        )
    result = train(
        dataset,
        **vars(settings),
        alias=alias,
        steps=steps,
        model_name=name,
        now=source.until,
        source=source,
        standing=standing_grant(name, dataset, source),
        work=work / key,
        tags=tags,
        check=held.require,
    )
    shutil.rmtree(work / key, ignore_errors=True)
    _record_first_champion(ledger, result.registered)
    return result


def _record_first_champion(ledger: Ledger, registered: Registered) -> None:
    """The row of a version that became the champion because there was none, unless it is there."""
    if registry.CHAMPION not in registered.aliases or ledger.promotions(registered.name):
        return
    with ledger.promotion(
        who=this_process(), model=registered.name, from_version=None, to_version=registered.version, why=FIRST
    ):
        pass


@contextmanager
def _alone(ledger: Ledger, name: str, wait: bool) -> Iterator[Lease | Held]:
    """The lease, or who has it; waited for if asked."""
    while True:
        with lease(ledger, name) as held:
            if isinstance(held, Lease) or not wait:
                yield held
                return
        time.sleep(WAIT_SECONDS)


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "propensity" / "training"
