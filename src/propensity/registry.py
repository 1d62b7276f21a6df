"""The MLflow registry: log a model, give it an alias, load it again. The only file of the core that knows MLflow."""

from __future__ import annotations

import io
import json
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

# MLflow and its libraries must not phone home or draw over our own progress display; they read this when imported
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
# a server that does not answer is said so within seconds, not minutes
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")

import logging

import mlflow
import pandas as pd
from mlflow.entities import Metric, Param
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.tracking import MlflowClient
from mlflow.types.schema import AnyType, ColSpec, DataType, Schema
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from propensity import __version__
from propensity.contract import CUSTOMERS
from propensity.decision import DECISION_COLUMNS
from propensity.errors import InputError, JobError
from propensity.features import required_columns
from propensity.model import DecisionModel
from propensity.registered import CHALLENGER, CHAMPION, DEFAULT_TRACKING_URI, MODEL_FILES, Registered, model_files

# three of its loggers announce database migrations line by line on the first use
for _name in ("mlflow.store.db.utils", "mlflow.tracking", "alembic", "alembic.runtime.migration"):
    logging.getLogger(_name).setLevel(logging.WARNING)


RunStatus = Literal["FINISHED", "FAILED", "KILLED"]
_ALIAS_TO_COME = "alias_to_come"
"""Tag of a version whose aliases were not given yet."""


@dataclass(frozen=True)
class ChildRun:
    """A part of a training that gets a run of its own under the model's, such as a trial of a search.

    Attributes
    ----------
    name : str
    status : {"FINISHED", "FAILED", "KILLED"}
    parameters : dict
    metrics : dict of list of float
        The values of each, in the order in which they came.
    tags : dict of str
    started_ms, ended_ms : int
        Since 1970.
    """

    name: str
    status: RunStatus
    parameters: dict[str, Any]
    metrics: dict[str, list[float]]
    tags: dict[str, str]
    started_ms: int
    ended_ms: int


def tracking_uri() -> str:
    """The usual environment variable, or a SQLite file in the working directory."""
    uri = os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_TRACKING_URI
    mlflow.set_tracking_uri(uri)
    return uri


def _is_there(uri: str) -> bool:
    """Whether there may be something at an address: MLflow would make a SQLite file to look into it."""
    file = uri.removeprefix("sqlite:///")
    return file == uri or bool(os.environ.get("MLFLOW_REGISTRY_URI")) or Path(file).is_file()


def register(
    model: DecisionModel,
    name: str,
    *,
    experiment: str,
    parameters: dict[str, Any],
    metrics: dict[str, float],
    artifacts: dict[str, dict[str, Any]],
    tables: dict[str, pd.DataFrame] | None = None,
    texts: dict[str, str] | None = None,
    children: Sequence[ChildRun] = (),
    alias: str = CHALLENGER,
    tags: dict[str, str] | None = None,
    check: Callable[[], None] = lambda: None,
) -> Registered:
    """Log a model with its figures, register it, and give the version an alias.

    Where the model has no champion yet, the version becomes that as well. The version is made when all is logged and
    the run is over, and aliases are given last: wherever it is stopped, no version lacks a part, and all aliases point
    where they did (see `give_aliases`).

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
    tables : dict of DataFrame, optional
        Parquet files by name.
    texts : dict of str, optional
        Text files by name.
    children : sequence of ChildRun
        Runs under the model's.
    alias : str
    tags : dict of str, optional
        Of the run, from its start, and of the version.
    check : callable, optional
        Called before the version is made; what it raises ends the registration.

    Raises
    ------
    JobError
        MLflow does not answer.
    """
    uri = tracking_uri()
    with _answering(uri):
        mlflow.set_experiment(experiment)
        with mlflow.start_run(tags=tags) as run, tempfile.TemporaryDirectory() as aside:
            mlflow.log_params(parameters)
            mlflow.log_metrics(metrics)
            _log_children(run, children)
            for file, content in artifacts.items():
                mlflow.log_dict(content, file)
            for file, text in (texts or {}).items():
                mlflow.log_text(text, file)
            for file, table in (tables or {}).items():
                table.to_parquet(Path(aside) / file, index=False)
                mlflow.log_artifact(str(Path(aside) / file))
            directory = Path(aside) / MODEL_FILES
            model.save(directory)
            with _quiet():
                info = mlflow.pyfunc.log_model(
                    name="model",
                    python_model=str(Path(__file__).with_name("pyfunc_model.py")),
                    artifacts={MODEL_FILES: str(directory)},
                    signature=_signature(model),
                    pip_requirements=[f"propensity=={__version__}"],
                )
        check()
        with _quiet():
            made = mlflow.register_model(info.model_uri, name, tags={**(tags or {}), _ALIAS_TO_COME: alias})
    registered = give_aliases(Registered(name, str(made.version), run.info.run_id, uri, ()))
    model.version = registered.title
    return registered


def give_aliases(registered: Registered) -> Registered:
    """Give a version the alias that it was registered for, unless it had it before; the version with its aliases."""
    with _answering(registered.tracking_uri):
        client = MlflowClient(registered.tracking_uri)
        alias = client.get_model_version(registered.name, registered.version).tags.get(_ALIAS_TO_COME)
        if alias is not None:
            aliases = {alias} if champion_version(registered.name) else {alias, CHAMPION}
            for given in sorted(aliases, reverse=True):
                client.set_registered_model_alias(registered.name, given, registered.version)
            client.delete_model_version_tag(registered.name, registered.version, _ALIAS_TO_COME)
    return find(registered.name, registered.version)


def tagged(name: str, tag: str, value: str) -> Registered | None:
    """The newest version of a model that has a tag, or None."""
    uri = tracking_uri()
    with _answering(uri):
        client = MlflowClient()
        if _registered_model(client, name) is None:
            return None
        found = [v for v in client.search_model_versions(f"name = '{name}'") if v.tags.get(tag) == value]
    return find(name, max((str(v.version) for v in found), key=int)) if found else None


def end_dead_runs(experiment: str, tag: str, value: str) -> int:
    """Mark as killed the runs with a tag that never ended, and those under them; how many there were."""
    uri = tracking_uri()
    with _answering(uri):
        client = MlflowClient()
        known = client.get_experiment_by_name(experiment)
        if known is None:
            return 0
        running = client.search_runs([known.experiment_id], "attributes.status = 'RUNNING'")
        dead = {run.info.run_id for run in running if run.data.tags.get(tag) == value}
        dead |= {run.info.run_id for run in running if run.data.tags.get(MLFLOW_PARENT_RUN_ID) in dead}
        for run_id in dead:
            client.set_terminated(run_id, "KILLED")
    return len(dead)


def _log_children(parent: mlflow.ActiveRun, children: Sequence[ChildRun]) -> None:
    """Log runs under a run; three calls a child, because each takes tens of milliseconds."""
    client = MlflowClient()
    for child in children:
        made = client.create_run(
            parent.info.experiment_id,
            start_time=child.started_ms,
            tags={MLFLOW_PARENT_RUN_ID: parent.info.run_id, **child.tags},
            run_name=child.name,
        )
        metrics = [
            Metric(name, value, child.ended_ms, step)
            for name, values in child.metrics.items()
            for step, value in enumerate(values)
        ]
        client.log_batch(made.info.run_id, metrics, [Param(k, str(v)) for k, v in child.parameters.items()])
        client.set_terminated(made.info.run_id, child.status, end_time=child.ended_ms)


def find(name: str | None = None, which: str = CHAMPION) -> Registered:
    """The version of a model that an alias points to, or that has a number.

    Parameters
    ----------
    name : str, optional
        Without it, the only registered model.
    which : str
        An alias, or the number of a version.

    Raises
    ------
    InputError
        No such model, alias or version, or several models and no name.
    JobError
        MLflow does not answer.
    """
    uri = tracking_uri()
    if not _is_there(uri):
        raise _no_model(uri)
    with _answering(uri):
        client = MlflowClient()
        name = name or _only_name(client, uri)
        found = _registered_model(client, name)
        if found is None:
            names = ", ".join(sorted(m.name for m in client.search_registered_models())) or "none"
            raise InputError(
                f"MLflow at {uri}: has no model {name!r} (registered models: {names}); "
                "name one of these, or make one with: propensity train --data ..."
            )
        aliases = _by_version(found.aliases)
        known = {str(v.version): v for v in client.search_model_versions(f"name = '{name}'")}
        pointing = [version for version, names in aliases.items() if which in names]
        version = pointing[0] if pointing else which
        if version not in known:
            listed = ", ".join(" ".join([v, *aliases.get(v, [])]) for v in sorted(known, key=int)) or "none"
            what = f"version {which}" if which.isdigit() else f"{which!r}"
            raise InputError(
                f"MLflow at {uri}: model {name!r} has no {what} (versions with their aliases: {listed}); "
                "name one of these, or make one with: propensity train --data ..."
            )
    return Registered(name, version, known[version].run_id, uri, tuple(aliases.get(version, ())))


def load(name: str | None = None, which: str = CHAMPION) -> tuple[DecisionModel, Registered]:
    """The model that an alias points to, or of a version; arguments and errors as for `find`."""
    registered = find(name, which)
    with tempfile.TemporaryDirectory() as aside:
        model = DecisionModel.load(model_files(download(registered.name, registered.version, Path(aside))))
    model.version = registered.title
    return model, registered


def download(name: str, version: str, directory: Path) -> Path:
    """The directory of all that MLflow logged of a version, in ``directory`` unless this machine has it elsewhere.

    Raises
    ------
    JobError
        MLflow does not answer, or has no such version.
    """
    uri = tracking_uri()
    with _answering(uri), _quiet():
        source = f"models:/{name}/{version}"
        return Path(mlflow.artifacts.download_artifacts(artifact_uri=source, dst_path=str(directory)))


def champion_version(name: str) -> str | None:
    """The version that is a model's champion, or None where there is no such model or it has none."""
    uri = tracking_uri()
    with _answering(uri):
        found = _registered_model(MlflowClient(), name)
    version = found.aliases.get(CHAMPION) if found else None
    return None if version is None else str(version)


def make_champion(name: str, version: str, *, instead_of: str | None, tags: dict[str, str]) -> None:
    """Point the champion's alias to a version, and tag the version.

    Parameters
    ----------
    name, version : str
    instead_of : str or None
        The version that was the champion when this was decided.
    tags : dict of str

    Raises
    ------
    JobError
        Another version has become the champion meanwhile, or MLflow does not answer.
    """
    found = champion_version(name)
    if found != instead_of:
        raise JobError(
            f"model {name}: version {found} became the champion while this was decided on (it was {instead_of}); "
            "look at propensity models, then try again"
        )
    uri = tracking_uri()
    with _answering(uri):
        client = MlflowClient()
        for key, value in tags.items():
            client.set_model_version_tag(name, version, key, value)
        client.set_registered_model_alias(name, CHAMPION, version)


def versions() -> list[dict[str, Any]]:
    """Every registered version, newest first.

    Returns
    -------
    list of dict
        ``name, version, aliases, created`` (ms since 1970), ``metrics`` and ``parameters`` of its run.
    """
    uri = tracking_uri()
    if not _is_there(uri):
        return []
    with _answering(uri):
        client = MlflowClient()
        rows = []
        for registered in client.search_registered_models():
            aliases = _by_version(registered.aliases)
            for found in client.search_model_versions(f"name = '{registered.name}'"):
                run = client.get_run(found.run_id).data
                rows.append(
                    {
                        "name": registered.name,
                        "version": str(found.version),
                        "aliases": aliases.get(str(found.version), []),
                        "created": found.creation_timestamp,
                        "metrics": run.metrics,
                        "parameters": run.params,
                    }
                )
    return sorted(rows, key=lambda r: -r["created"])


def parameters(registered: Registered) -> dict[str, str]:
    """What the run that made a model was told."""
    with _answering(registered.tracking_uri):
        return MlflowClient(registered.tracking_uri).get_run(registered.run_id).data.params


def run_parameters(run_id: str) -> dict[str, str]:
    """What a run was told.

    Raises
    ------
    InputError
        There is no such run.
    JobError
        MLflow does not answer.
    """
    uri = tracking_uri()
    try:
        return MlflowClient(uri).get_run(run_id).data.params
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise InputError(f"MLflow at {uri}: has no run {run_id!r}; the runs are shown by: mlflow ui") from error
        raise JobError(f"MLflow at {uri}: {_sentence(error)}") from error


def version_of_run(run_id: str) -> Registered:
    """The version that a run registered.

    Raises
    ------
    InputError
        It registered none.
    JobError
        MLflow does not answer.
    """
    uri = tracking_uri()
    with _answering(uri):
        found = MlflowClient(uri).search_model_versions(f"run_id = '{run_id}'")
    if not found:
        raise InputError(f"MLflow at {uri}: run {run_id} registered no model")
    return find(found[0].name, str(found[0].version))


def started_at(registered: Registered) -> pd.Timestamp:
    """When the run that made a version began."""
    with _answering(registered.tracking_uri):
        run = MlflowClient(registered.tracking_uri).get_run(registered.run_id)
    return pd.Timestamp(run.info.start_time, unit="ms", tz="UTC")


def artifact(registered: Registered, file: str) -> dict[str, Any]:
    """A JSON file that was logged beside a model; errors as for `table`."""
    return json.loads(_logged_file(registered, file).read_text(encoding="utf-8"))


def table(registered: Registered, file: str) -> pd.DataFrame:
    """A Parquet file that was logged beside a model.

    Raises
    ------
    InputError
        There is no such file: the model comes from an older version.
    JobError
        MLflow does not answer.
    """
    return pd.read_parquet(_logged_file(registered, file))


def _logged_file(registered: Registered, file: str) -> Path:
    with _answering(registered.tracking_uri):
        client = MlflowClient(registered.tracking_uri)
        if file not in {f.path for f in client.list_artifacts(registered.run_id)}:
            raise InputError(
                f"model {registered.title}: MLflow at {registered.tracking_uri} keeps no {file} of its training; "
                "train it again with this version of propensity"
            )
        with _quiet():
            return Path(client.download_artifacts(registered.run_id, file))


@contextmanager
def _answering(uri: str) -> Iterator[None]:
    """What goes wrong inside MLflow, in one sentence."""
    try:
        yield
    except MlflowException as error:
        raise JobError(f"MLflow at {uri}: {_sentence(error)}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Without MLflow's remarks on the screen; what goes wrong is an exception and is not held back."""
    with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def _only_name(client: MlflowClient, uri: str) -> str:
    names = [m.name for m in client.search_registered_models()]
    if len(names) == 1:
        return names[0]
    if not names:
        raise _no_model(uri)
    raise InputError(f"MLflow at {uri}: holds several models; name one with --model: {', '.join(sorted(names))}")


def _no_model(uri: str) -> InputError:
    return InputError(f"MLflow at {uri}: holds no registered model; make one with: propensity train --data ...")


def _registered_model(client: MlflowClient, name: str) -> Any:
    """MLflow's own description of a registered model, or None."""
    try:
        return client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise


def _by_version(aliases: dict[str, Any]) -> dict[str, list[str]]:
    """The aliases of each version that has some, sorted."""
    names: dict[str, list[str]] = {}
    for alias, version in sorted(aliases.items()):
        names.setdefault(str(version), []).append(alias)
    return names


def _signature(model: DecisionModel) -> ModelSignature:
    # MLflow's own times know no zone and its flags no missing value; the contract checks both when predicting
    kinds = {"text": DataType.string, "number": DataType.double, "time": AnyType(), "flag": AnyType()}
    inputs = [ColSpec(kinds[c.kind], c.name, required=c.required) for c in CUSTOMERS]
    inputs += [ColSpec(kinds[c.kind], c.name, required=False) for c in required_columns(model.playbook)]
    outputs = [ColSpec(DataType.string, name) for name in DECISION_COLUMNS]
    return ModelSignature(inputs=Schema(inputs), outputs=Schema(outputs))


def _sentence(error: MlflowException) -> str:
    said = str(error.message).strip().splitlines()[0]
    if " failed with exception" in said:
        # a page of the HTTP library's own words
        return "does not answer; start it, or name another with the environment variable MLFLOW_TRACKING_URI"
    return said
