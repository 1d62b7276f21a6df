"""What a model must pass before it serves."""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from propensity.contract import CONTROL, CUSTOMERS
from propensity.deciding import Wave
from propensity.errors import InputError
from propensity.features import required_columns
from propensity.model import DecisionModel
from propensity.registered import model_files
from propensity_serving.refusal import ModelRefused
from propensity_serving.requests import check_customers

MLFLOW_FILE = "MLmodel"
_CAMPAIGN = "check before serving"
_MUST_BE_NUMBERS = ("probability", "reactivation_propensity", "uplift", "expected_revenue", "cost", "net_value")


def read_model(files: Path, title: str) -> DecisionModel:
    """The model in a directory that `DecisionModel.save` wrote.

    Raises
    ------
    ModelRefused
        Files are missing or are not those that were saved.
    """
    try:
        model = DecisionModel.load(files)
    except InputError as error:
        raise ModelRefused(f"model {title}: {error}", "its files are missing, changed or of another format") from error
    except Exception as error:
        raise _refused(title, f"its files cannot be read ({type(error).__name__})") from error
    model.version = title
    return model


def read_logged(logged: Path, title: str) -> DecisionModel:
    """The model among all that MLflow logged of a version, which must have a signature; errors as for `read_model`."""
    try:
        described = yaml.safe_load((logged / MLFLOW_FILE).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        detail = f"model {title}: {logged / MLFLOW_FILE} cannot be read ({type(error).__name__})"
        raise ModelRefused(detail, "MLflow's description of it cannot be read") from error
    signature = described.get("signature") if isinstance(described, dict) else None
    if not (isinstance(signature, dict) and signature.get("inputs") and signature.get("outputs")):
        raise _refused(title, "MLflow knows no signature of it; train it again")
    return read_model(model_files(logged), title)


def require_sane_decisions(model: DecisionModel) -> None:
    """Let a model decide for made customers, which also makes it ready to answer at once.

    They are such as to take each way through a model: every reason and relationship, stated or written or not, with
    and without consent, values, features and categories that the model knows.

    Raises
    ------
    ModelRefused
        It fails, or a number is not finite, a probability not in (0, 1], an action not one of the playbook.
    """
    try:
        model.prepare()
        decisions, chances = _decide_for_made_customers(model)
    except Exception as error:
        detail = f"model {model.version}: deciding for made customers failed ({type(error).__name__}: {error})"
        raise ModelRefused(detail, "deciding for made customers failed") from error
    numbers = decisions[list(_MUST_BE_NUMBERS)].to_numpy(dtype=float)
    wrong = []
    if not np.isfinite(numbers).all():
        names = [n for n, column in zip(_MUST_BE_NUMBERS, numbers.T, strict=True) if not np.isfinite(column).all()]
        wrong.append(f"{', '.join(names)} not finite")
    probability = decisions["probability"].to_numpy(dtype=float)
    if not ((probability > 0) & (probability <= 1)).all():
        wrong.append("a probability that is not in (0, 1]")
    if not np.allclose(chances.to_numpy(dtype=float).sum(axis=1), 1.0):
        wrong.append("probabilities of the actions that do not add up to 1")
    if not set(decisions["action"]) <= {CONTROL, *model.playbook.labels}:
        wrong.append("an action that the playbook does not have")
    if wrong:
        raise _refused(model.version, f"its decisions for made customers have {'; '.join(wrong)}")


def _refused(title: str, why: str) -> ModelRefused:
    return ModelRefused(f"model {title}: {why}", why)


def _decide_for_made_customers(model: DecisionModel) -> tuple[pd.DataFrame, pd.DataFrame]:
    at = pd.Timestamp.now("UTC")
    rows = [{"customer_id": f"made-{i}", **row} for i, row in enumerate(_made_customers(model, at))]
    checked = check_customers(rows, model.playbook, at)
    if checked.faults:
        raise ValueError(f"made customers have faults: {'; '.join(sorted(set(checked.faults.values())))}")
    return Wave(model, checked.people, at, _CAMPAIGN).decide()


def _made_customers(model: DecisionModel, at: pd.Timestamp) -> list[dict[str, Any]]:
    required = required_columns(model.playbook)
    columns = [*CUSTOMERS, *required]
    choices = {c.name: c.choices for c in columns if c.choices}
    numbers = [c.name for c in columns if c.kind == "number"]
    flags = [c.name for c in columns if c.kind == "flag"]
    texts = [c.name for c in required if c.kind == "text" and not c.choices]
    learnt = {name: model.features.categories.get(name, ()) for name in texts}
    bare = {"churned_at": (at - pd.Timedelta(days=60)).isoformat()}
    whole = {**bare, **dict.fromkeys(flags, True), **dict.fromkeys(numbers, 100.0)}
    return [
        bare,
        whole,
        whole | dict.fromkeys(flags, False),
        whole | dict.fromkeys(numbers, 0.0),
        whole | dict.fromkeys(numbers, 1e6),
        whole | dict.fromkeys(texts, "unheard of"),
        whole | {"churned_at": (at - pd.Timedelta(days=2_000)).isoformat()},
        whole | {"exit_answer": "It was too expensive and nobody answered my questions."},
        *(whole | {name: choice} for name, allowed in choices.items() for choice in allowed),
        # each category once, those of several features side by side
        *(whole | dict(zip(learnt, together, strict=True)) for together in zip_longest(*learnt.values())),
    ]
