"""Training: from a data set to a registered, assessed model."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import pandas as pd

from propensity import __version__, registry
from propensity.assessment import CURRENCIES, Assessment, assess
from propensity.datasets import Dataset
from propensity.errors import InputError
from propensity.evaluation import Estimate
from propensity.frame import is_held_out_of_training, require_separate_windows, training_frame
from propensity.model import DecisionModel
from propensity.progress import Steps


@dataclass(frozen=True)
class TrainingResult:
    """A registered model and what it was worth on held-out people."""

    registered: registry.Registered
    model: DecisionModel
    assessment: Assessment
    n_training: int


def train(
    dataset: Dataset, *, held_out_share: float, seed: int, alias: str, steps: Steps, model_name: str | None = None
) -> TrainingResult:
    """Fit, assess on people that the fit never saw, and register.

    Parameters
    ----------
    dataset : Dataset
    held_out_share : float
        Share of customers kept for the assessment.
    seed : int
    alias : str
        Given to the registered version.
    steps : Steps
        Where progress is shown; three steps are used.
    model_name : str, optional
        Of the registered model; ``propensity-<playbook>`` by default.

    Raises
    ------
    InputError
        Too few people on either side.
    """
    window = dataset.playbook.program.attribution_window_days
    require_separate_windows(dataset.contacts, window)
    frame = training_frame(dataset.customers, dataset.contacts, dataset.outcomes, window_days=window)
    held_out = is_held_out_of_training(frame["customer_id"], held_out_share, seed)
    training, unseen = frame[~held_out].reset_index(drop=True), frame[held_out].reset_index(drop=True)
    lacking = set(training["action"]) - set(unseen["action"])
    if lacking:
        raise InputError(f"held-out people: nobody among {len(unseen)} got {', '.join(sorted(lacking))}; hold out more")
    with steps.step(f"Learn from {len(training):,} people what contact causes") as step:
        model = DecisionModel(dataset.playbook, seed).fit(training)
        step.result = _evidence(model)
    with steps.step(f"Assess on {len(unseen):,} people that training never saw") as step:
        assessment = assess(model, unseen)
        model.restrict(assessment.gate.granted)
        step.result = assessment.gate.why
    with steps.step("Register the model in MLflow") as step:
        registered = registry.register(
            model,
            model_name or f"propensity-{dataset.playbook.name}",
            experiment=f"propensity-{dataset.name}",
            parameters=_parameters(dataset, model, seed, held_out_share, len(training), len(unseen)),
            metrics=_metrics(model, assessment),
            artifacts={"assessment.json": assessment.to_json()},
            alias=alias,
        )
        step.result = f"{registered.name} version {registered.version} is the {alias}"
    return TrainingResult(registered, model, assessment, len(training))


def _evidence(model: DecisionModel) -> str:
    found = {
        "per_person": "effects differ between people",
        "one_action": "contact pays, but no difference between people is supported",
        "nobody": "no effect that covers its cost",
    }[model.evidence_.supported_mode]
    return f"{found} (p = {model.evidence_.heterogeneity_p:.2g} that people do not differ)"


def _parameters(
    dataset: Dataset, model: DecisionModel, seed: int, held_out_share: float, n_training: int, n_held_out: int
) -> dict[str, Any]:
    return {
        "data": dataset.origin,
        "data_fingerprint": fingerprint(dataset),
        "playbook": dataset.playbook.name,
        "playbook_version": dataset.playbook.version,
        "propensity_version": __version__,
        "seed": seed,
        "held_out_share": held_out_share,
        "n_training": n_training,
        "n_held_out": n_held_out,
        "supported_mode": model.evidence_.supported_mode,
        "mode": model.mode,
        **{f"weight_{name}": weight for name, weight in model.reactivation.weights_.items()},
    }


def _metrics(model: DecisionModel, assessment: Assessment) -> dict[str, float]:
    figures: dict[str, float] = {"heterogeneity_t": model.evidence_.heterogeneity_t}
    estimates: dict[str, Estimate] = {"autoc": assessment.autoc, "qini": assessment.qini}
    for policy in assessment.policies:
        for name in CURRENCIES:
            estimates[f"{policy.key}.{name}_per_1000"] = getattr(policy, name)
    for name, estimate in estimates.items():
        figures |= {name: estimate.value, f"{name}.low": estimate.low, f"{name}.high": estimate.high}
    slopes = {"propensity_slope": assessment.propensity_slope, "effect_slope": assessment.effect_slope}
    # MLflow keeps numbers only: a slope that does not exist is left out
    return figures | {name: slope for name, slope in slopes.items() if slope == slope}


def fingerprint(dataset: Dataset) -> str:
    """Hash of the three tables' content, 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for table in (dataset.customers, dataset.contacts, dataset.outcomes):
        digest.update(pd.util.hash_pandas_object(table, index=False).to_numpy().tobytes())
    return digest.hexdigest()[:16]
