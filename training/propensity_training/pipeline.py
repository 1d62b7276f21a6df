"""Training: from a data set to a registered, assessed model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from propensity import __version__, registry
from propensity.assessment import Assessment, assess_people
from propensity.contact_times import ContactTimes
from propensity.contract import CONTROL
from propensity.datasets import Dataset
from propensity.errors import InputError
from propensity.evaluation import Estimate
from propensity.frame import Split, SplitKind, all_actions, split
from propensity.held_out import CURRENCIES, HeldOutPeople, held_out_people, measured_effects
from propensity.learners.sample import MIN_ROWS_PER_ACTION
from propensity.model import DecisionModel, PolicyMode
from propensity.monitoring.early import Early
from propensity.monitoring.monitor import came_true
from propensity.progress import Steps
from propensity_training import provenance
from propensity_training.report import ModelReport, document, model_report, render, words
from propensity_training.source import LedgerSource, Source
from propensity_training.tuning import Budget, Tuning, shown_on, tune
from propensity_training.unseen import PEOPLE_FILE, fingerprint, matured_frame, people_table, sizes

STEPS = 5
"""Steps that `train` shows, without tuning, which is one more."""
JUDGES = 500_000
"""A model is assessed on at most so many decisions: more of them take memory, and hardly make intervals narrower."""
_FIT, _TRIALS = "fit", "trials.log"
"""In the directory of a training under way."""


@dataclass(frozen=True)
class TrainingResult:
    """A registered model and what it was worth on held-out people; ``page`` is the report as HTML."""

    registered: registry.Registered
    model: DecisionModel
    assessment: Assessment
    split: Split
    report: ModelReport
    page: str
    tuning: Tuning | None = None

    @property
    def n_training(self) -> int:
        """Decisions that it learnt from."""
        return len(self.split.training)


@dataclass(frozen=True)
class Settings:
    """What a training is told besides its data; equal settings on equal data make equal models.

    Attributes
    ----------
    held_out_share : float
        Share kept for the assessment.
    seed : int
    kind : {"time", "customers"}, optional
        How to hold out; see `frame.split`.
    tuning : Budget, optional
        Search learners first, for so long.
    """

    held_out_share: float
    seed: int
    kind: SplitKind | None = None
    tuning: Budget | None = None


@dataclass(frozen=True)
class Learnt:
    """A model that is not registered yet, and who judged it."""

    model: DecisionModel
    sides: Split
    people: HeldOutPeople
    assessment: Assessment
    tuned: Tuning | None


def train(
    dataset: Dataset,
    *,
    held_out_share: float,
    seed: int,
    alias: str,
    steps: Steps,
    model_name: str | None = None,
    kind: SplitKind | None = None,
    now: pd.Timestamp | None = None,
    source: Source | LedgerSource | None = None,
    tuning: Budget | None = None,
    standing: PolicyMode = "nobody",
    work: Path | None = None,
    tags: dict[str, str] | None = None,
    check: Callable[[], None] = lambda: None,
) -> TrainingResult:
    """Fit, assess on people that the fit never saw, and register.

    Parameters
    ----------
    dataset : Dataset
    held_out_share, seed, kind, tuning
        See `Settings`.
    alias : str
        Given to the registered version; the first version of a model also becomes its champion.
    steps : Steps
        Where progress is shown; `STEPS` are used.
    model_name : str, optional
        Of the registered model; ``propensity-<playbook>`` by default.
    now : Timestamp, optional
        Decisions whose window is open at this time are left out. Without it, all windows count as closed.
    source : Source or LedgerSource, optional
        Where the data came from, so that a later command finds them again.
    standing : {"per_person", "one_action", "nobody"}
        What earlier held-out people granted; see `promotion.standing_grant`.
    work : Path, optional
        Directory in which the fitted model is kept, and found by a later call with the same data and settings after
        this one was stopped.
    tags, check
        See `registry.register`.

    Raises
    ------
    InputError
        Too few people on either side, nothing to learn from what followed, or the search's storage cannot be used.
    JobError
        MLflow does not answer, or the search was interrupted.
    """
    name = model_name or default_name(dataset)
    # a registry that does not answer is said before the learning, not after
    registry.champion_version(name)
    settings = Settings(held_out_share, seed, kind, tuning)
    learnt = learn(dataset, settings, now=now, steps=steps, standing=standing, work=work)
    model, sides, assessment = learnt.model, learnt.sides, learnt.assessment
    with steps.step("Write the model report") as step:
        report = model_report(
            model,
            dataset,
            learnt.people,
            assessment,
            title=name,
            split=sides.why,
            training=sides.training,
            importance=model.importance(),
        )
        page = render(report)
        step.result = words.headline(report)
    with steps.step("Register the model in MLflow") as step:
        registered = registry.register(
            model,
            name,
            experiment=experiment_of(dataset),
            parameters=_parameters(dataset, model, sides)
            | settings_told(settings)
            | {"standing": standing}
            | provenance.parameters()
            | _optional_parameters(model, now, learnt.tuned, source),
            metrics=_metrics(model, assessment) | report.metrics(),
            artifacts={
                "assessment.json": assessment.to_json(),
                "report.json": document(report),
                provenance.PLAYBOOK_FILE: dataset.playbook.model_dump(mode="json"),
            },
            texts={"report.html": page},
            tables={PEOPLE_FILE: people_table(sides.training["customer_id"])},
            children=[trial.as_run() for trial in learnt.tuned.trials] if learnt.tuned else [],
            alias=alias,
            tags=tags,
            check=check,
        )
        step.result = _aliases(registered, alias)
    return TrainingResult(registered, model, assessment, sides, report, page, learnt.tuned)


def learn(
    dataset: Dataset,
    settings: Settings,
    *,
    now: pd.Timestamp | None,
    steps: Steps,
    standing: PolicyMode = "nobody",
    work: Path | None = None,
) -> Learnt:
    """Fit and assess; see `train`."""
    sides = _hold_out(dataset, now, settings, steps)
    kept = None if work is None else work / _FIT
    tuned = None
    if settings.tuning is not None:
        tuned = _tune(dataset, sides, _budget(settings.tuning, work), settings.seed, steps)
    with steps.step(f"Learn from {len(sides.training):,} decisions what contact causes") as step:
        if kept is not None and kept.is_dir():
            model, found_by = DecisionModel.load(kept), ", as a run found that was stopped later"
        else:
            model, found_by = _fit(dataset, sides, settings.seed, tuned), ""
            if kept is not None:
                model.save(kept)
        step.result = _evidence(model) + found_by
    held_out = _judges(sides.held_out, settings.seed)
    with steps.step(f"Assess on {len(held_out):,} decisions on people that training never saw") as step:
        people = held_out_people(model, held_out)
        assessment = assess_people(model, people, standing=standing)
        model.restrict(assessment.gate.granted)
        model.measured_ = measured_effects(people)
        early = Early.of(people, dataset.outcomes)
        model.reference = model.reference.with_held_out(people.predictions, came_true(people), early)
        step.result = assessment.gate.why
    return Learnt(model, sides, people, assessment, tuned)


def _judges(held_out: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The held-out decisions, or `JUDGES` of them drawn at random."""
    if len(held_out) <= JUDGES:
        return held_out
    return held_out.sample(JUDGES, random_state=seed).sort_index().reset_index(drop=True)


def default_name(dataset: Dataset) -> str:
    """Of the registered model, where nobody names one."""
    return f"propensity-{dataset.playbook.name}"


def experiment_of(dataset: Dataset) -> str:
    """The MLflow experiment of a data set's trainings."""
    return f"propensity-{dataset.name}"


def settings_told(settings: Settings) -> dict[str, Any]:
    """Settings as parameters of a run."""
    told: dict[str, Any] = {"seed": settings.seed, "held_out_share": settings.held_out_share}
    told["split_asked"] = settings.kind or "auto"
    if settings.tuning is not None:
        told |= {"tune_trials": settings.tuning.n_trials, "tune_seconds": settings.tuning.seconds}
    return told


def _budget(tuning: Budget, work: Path | None) -> Budget:
    """The search's budget; what a run found that was stopped is not searched for again."""
    if work is None:
        return tuning
    work.mkdir(parents=True, exist_ok=True)
    storage = tuning.storage or work / _TRIALS
    return Budget(1, None, storage) if (work / _FIT).is_dir() else replace(tuning, storage=storage)


def _fit(dataset: Dataset, sides: Split, seed: int, tuned: Tuning | None) -> DecisionModel:
    model = DecisionModel(dataset.playbook, seed, tuned.learners if tuned else None).fit(sides.training)
    model.contact_times = _contact_times(dataset, sides)
    return model


def _hold_out(dataset: Dataset, now: pd.Timestamp | None, settings: Settings, steps: Steps) -> Split:
    with steps.step("Hold people out of training") as step:
        frame = matured_frame(dataset, now)
        window = dataset.playbook.program.attribution_window_days
        sides = split(frame, window_days=window, share=settings.held_out_share, seed=settings.seed, kind=settings.kind)
        _require_teaching(dataset, sides.training)
        left_out = [*dataset.left_out, *_left_out(dataset, frame, now)]
        step.result = sides.why + (f"; left out: {'; '.join(left_out)}" if left_out else "")
    return sides


def _require_teaching(dataset: Dataset, training: pd.DataFrame) -> None:
    """Refuse decisions from which learners could not learn; they would say so in words of their own.

    Raises
    ------
    InputError
    """
    actions = all_actions(list(set(training["action"]) - {CONTROL}))
    counts = training["action"].value_counts().reindex(actions, fill_value=0)
    rare = [f"{n:,} for {action}" for action, n in counts.items() if n < MIN_ROWS_PER_ACTION]
    if rare:
        raise InputError(
            f"{dataset.origin}: at least {MIN_ROWS_PER_ACTION} decisions for each action must teach, found "
            f"{', '.join(rare)}; bring more people, with a larger --people-share if one was named, or hold fewer out"
        )
    needed = {"reactivated": dataset.words.reactivated_plural}
    if dataset.playbook.value.revenue_effect == "direct":
        needed["revenue"] = "revenue"
    for column, what in needed.items():
        if training[column].nunique() < 2:
            found = what if training[column].any() else f"no {what}"
            raise InputError(
                f"{dataset.origin}: the {len(training):,} decisions that teach do not differ in what followed them "
                f"({found}), so that nothing can be learnt; look whether outcomes are missing"
            )


def _tune(dataset: Dataset, sides: Split, budget: Budget, seed: int, steps: Steps) -> Tuning:
    with steps.step("Search for learners that tell people apart better") as step:
        tuned = tune(sides.training, dataset.playbook, budget, seed=seed, show=shown_on(steps))
        step.result = tuned.summary
    return tuned


def _contact_times(dataset: Dataset, sides: Split) -> ContactTimes:
    """From the contacts that teach, as everything that is learnt."""
    taught = dataset.contacts["decision_id"].isin(sides.training["decision_id"])
    return ContactTimes.fit(dataset.contacts[taught], dataset.outcomes, dataset.customers, dataset.playbook)


def _left_out(dataset: Dataset, frame: pd.DataFrame, now: pd.Timestamp | None) -> list[str]:
    """Which decisions neither teach nor test, and why, for people."""
    ends = dataset.contacts["decided_at"] + pd.Timedelta(days=dataset.playbook.program.attribution_window_days)
    n_open = int((ends > now).sum()) if now is not None else 0
    n_unknown = len(dataset.contacts) - n_open - len(frame)
    left_out = [(n_open, "whose windows are open"), (n_unknown, "on people not known by then")]
    return [f"{n:,} decisions {why}" for n, why in left_out if n]


def _evidence(model: DecisionModel) -> str:
    found = {
        "per_person": "effects differ between people",
        "one_action": "contact pays, but no difference between people is supported",
        "nobody": "no effect that covers its cost",
    }[model.evidence_.supported_mode]
    aged = "" if model.recency.gain is None else f"; {model.recency.sentence}"
    return f"{found} (p = {model.evidence_.heterogeneity_p:.2g} that people do not differ){aged}"


def _aliases(registered: registry.Registered, alias: str) -> str:
    said = f"{registered.name} version {registered.version} is the {alias}"
    if alias != registry.CHAMPION and registry.CHAMPION in registered.aliases:
        said += ", and the champion, because there was none"
    return said


def _parameters(dataset: Dataset, model: DecisionModel, sides: Split) -> dict[str, Any]:
    return {
        "data": dataset.origin,
        "data_fingerprint": fingerprint(dataset),
        **{f"n_{table}": n for table, n in sizes(dataset).items()},
        "playbook": dataset.playbook.name,
        "playbook_version": dataset.playbook.version,
        "propensity_version": __version__,
        "split": sides.kind,
        "half_life_days": model.recency.half_life_days,
        "n_training": len(sides.training),
        "n_held_out": len(sides.held_out),
        "supported_mode": model.evidence_.supported_mode,
        "mode": model.mode,
        **{f"weight_{name}": weight for name, weight in model.reactivation.weights_.items()},
    }


def _optional_parameters(
    model: DecisionModel, now: pd.Timestamp | None, tuned: Tuning | None, source: Source | LedgerSource | None
) -> dict[str, Any]:
    """What only some trainings have: a time, a search, a source that is found again."""
    told: dict[str, Any] = {} if now is None else {"as_of": now.isoformat()}
    if tuned is not None:
        told |= tuned.parameters(list(model.reactivation.weights_))
    return told | (source.to_parameters() if source else {})


def _metrics(model: DecisionModel, assessment: Assessment) -> dict[str, float]:
    figures: dict[str, float] = {"heterogeneity_t": model.evidence_.heterogeneity_t}
    estimates: dict[str, Estimate] = {"autoc": assessment.autoc, "qini": assessment.qini}
    for policy in assessment.policies:
        for name in CURRENCIES:
            estimates[f"{policy.key}.{name}_per_1000"] = getattr(policy, name)
    # MLflow keeps numbers only: a slope that does not exist is left out
    estimates |= {f"{name}_slope": slope for name, slope in assessment.slopes.items()}
    for name, estimate in estimates.items():
        figures |= {name: estimate.value, f"{name}.low": estimate.low, f"{name}.high": estimate.high}
    return figures
