"""The MLflow registry: log a model, give it an alias, load it again. The only file of the core that knows MLflow."""

from __future__ import annotations

import io
import json
import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# MLflow and its libraries must not phone home or draw over our own progress display; they read this when imported
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
# a server that does not answer is said so within seconds, not minutes
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")

import logging

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.tracking import MlflowClient
from mlflow.types.schema import AnyType, ColSpec, DataType, Schema

from propensity import __version__
from propensity.contract import CUSTOMERS
from propensity.decision import DECISION_COLUMNS
from propensity.errors import InputError, JobError
from propensity.features import required_columns
from propensity.model import DecisionModel

CHAMPION = "champion"
DEFAULT_TRACKING_URI = "sqlite:///mlflow.db"
_ARTIFACT = "decision_model"

# three of its loggers announce database migrations line by line on the first use
for _name in ("mlflow.store.db.utils", "mlflow.tracking", "alembic", "alembic.runtime.migration"):
    logging.getLogger(_name).setLevel(logging.WARNING)


@dataclass(frozen=True)
class Registered:
    """A registered model: its name, version, the run that made it, and where MLflow keeps all that."""

    name: str
    version: str
    run_id: str
    tracking_uri: str


def tracking_uri() -> str:
    """The usual environment variable, or a SQLite file in the working directory."""
    uri = os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_TRACKING_URI
    mlflow.set_tracking_uri(uri)
    return uri


def register(
    model: DecisionModel,
    name: str,
    *,
    experiment: str,
    parameters: dict[str, Any],
    metrics: dict[str, float],
    artifacts: dict[str, dict[str, Any]],
    alias: str = CHAMPION,
) -> Registered:
    """Log a model with its figures, register it, and give the version an alias.

    Parameters
    ----------
    model : DecisionModel
        Its ``version`` becomes ``<name>/<version in the registry>``.
    name : str
        Of the registered model.
    experiment : str
        Of the MLflow experiment.
    parameters, metrics : dict
    artifacts : dict of dict
        JSON files by name.
    alias : str

    Raises
    ------
    JobError
        MLflow does not answer.
    """
    uri = tracking_uri()
    try:
        mlflow.set_experiment(experiment)
        with mlflow.start_run() as run, tempfile.TemporaryDirectory() as aside:
            mlflow.log_params(parameters)
            mlflow.log_metrics(metrics)
            for file, content in artifacts.items():
                mlflow.log_dict(content, file)
            directory = Path(aside) / _ARTIFACT
            model.save(directory)
            with _quiet():
                info = mlflow.pyfunc.log_model(
                    name="model",
                    python_model=str(Path(__file__).with_name("pyfunc_model.py")),
                    artifacts={_ARTIFACT: str(directory)},
                    signature=_signature(model),
                    pip_requirements=[f"propensity=={__version__}"],
                    registered_model_name=name,
                )
        version = str(info.registered_model_version)
        model.version = _version_name(name, version)
        MlflowClient().set_registered_model_alias(name, alias, version)
    except MlflowException as error:
        raise JobError(f"MLflow at {uri}: {_sentence(error)}") from error
    return Registered(name, version, run.info.run_id, uri)


def load(name: str | None = None, alias: str = CHAMPION) -> tuple[DecisionModel, Registered]:
    """The model that an alias points to.

    Parameters
    ----------
    name : str, optional
        Without it, the only registered model.
    alias : str

    Raises
    ------
    InputError
        No such model or alias, or several models and no name.
    JobError
        MLflow does not answer.
    """
    uri = tracking_uri()
    try:
        client = MlflowClient()
        name = name or _only_name(client, uri)
        found = _version(client, name, alias, uri)
        local = Path(mlflow.artifacts.download_artifacts(artifact_uri=f"models:/{name}/{found.version}"))
    except MlflowException as error:
        raise JobError(f"MLflow at {uri}: {_sentence(error)}") from error
    model = DecisionModel.load(local / "artifacts" / _ARTIFACT)
    model.version = _version_name(name, found.version)
    return model, Registered(name, str(found.version), found.run_id, uri)


def versions() -> list[dict[str, Any]]:
    """Every registered version, newest first: name, version, aliases, created (ms since 1970), metrics of its run."""
    uri = tracking_uri()
    try:
        client = MlflowClient()
        rows = []
        for registered in client.search_registered_models():
            aliases: dict[str, list[str]] = {}
            for alias, version in registered.aliases.items():
                aliases.setdefault(str(version), []).append(alias)
            for found in client.search_model_versions(f"name = '{registered.name}'"):
                rows.append(
                    {
                        "name": registered.name,
                        "version": str(found.version),
                        "aliases": sorted(aliases.get(str(found.version), [])),
                        "created": found.creation_timestamp,
                        "metrics": client.get_run(found.run_id).data.metrics,
                    }
                )
    except MlflowException as error:
        raise JobError(f"MLflow at {uri}: {_sentence(error)}") from error
    return sorted(rows, key=lambda r: -r["created"])


def artifact(registered: Registered, file: str) -> dict[str, Any]:
    """A JSON file that was logged beside a model."""
    path = mlflow.artifacts.download_artifacts(
        run_id=registered.run_id, artifact_path=file, tracking_uri=registered.tracking_uri
    )
    return json.loads(Path(path).read_text(encoding="utf-8"))


@contextmanager
def _quiet() -> Iterator[None]:
    """Without MLflow's remarks on the screen; what goes wrong is an exception and is not held back."""
    with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def _version_name(name: str, version: object) -> str:
    return f"{name}/{version}"


def _only_name(client: MlflowClient, uri: str) -> str:
    names = [m.name for m in client.search_registered_models()]
    if len(names) == 1:
        return names[0]
    if not names:
        raise InputError(f"MLflow at {uri}: holds no registered model; make one with: propensity train --data ...")
    raise InputError(f"MLflow at {uri}: holds several models; name one with --model: {', '.join(sorted(names))}")


def _version(client: MlflowClient, name: str, alias: str, uri: str) -> Any:
    try:
        return client.get_model_version_by_alias(name, alias)
    except MlflowException as error:
        names = ", ".join(sorted(m.name for m in client.search_registered_models())) or "none"
        raise InputError(
            f"MLflow at {uri}: model {name!r} has no {alias!r} (registered models: {names}); "
            "make one with: propensity train --data ..."
        ) from error


def _signature(model: DecisionModel) -> ModelSignature:
    # MLflow's own times know no zone and its flags no missing value; the contract checks both when predicting
    kinds = {"text": DataType.string, "number": DataType.double, "time": AnyType(), "flag": AnyType()}
    inputs = [ColSpec(kinds[c.kind], c.name, required=c.required) for c in CUSTOMERS]
    inputs += [ColSpec(kinds[c.kind], c.name, required=False) for c in required_columns(model.playbook)]
    outputs = [ColSpec(DataType.string, name) for name in DECISION_COLUMNS]
    return ModelSignature(inputs=Schema(inputs), outputs=Schema(outputs))


def _sentence(error: MlflowException) -> str:
    return str(error.message).strip().splitlines()[0]
