"""Which version an alias of the MLflow registry points to, found without MLflow, whose import takes a second.

Services ask every few seconds. A database is asked by SQL, a tracking server over its public REST interface; where
either needs more than an address, `registry` asks in their place. No question waits longer than `PATIENCE_SECONDS`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from propensity.errors import InputError, JobError

if TYPE_CHECKING:
    import sqlalchemy as sa

CHAMPION = "champion"
CHALLENGER = "challenger"
DEFAULT_TRACKING_URI = "sqlite:///mlflow.db"
MODEL_FILES = "decision_model"
"""Name under which a model's own files are logged."""
PATIENCE_SECONDS = 5
_SIGNED_IN = ("USERNAME", "PASSWORD", "TOKEN", "AUTH", "AWS_SIGV4", "INSECURE_TLS", "SERVER_CERT_PATH", "WORKSPACE")
"""Of ``MLFLOW_TRACKING_...`` and ``MLFLOW_WORKSPACE``: settings of a tracking server that MLflow itself must apply."""


class RegistryDown(JobError):  # noqa: N818 - what it says
    """The registry does not answer."""


@dataclass(frozen=True)
class Registered:
    """A registered model: its name, version, the run that made it, where MLflow keeps all that, and its aliases."""

    name: str
    version: str
    run_id: str
    tracking_uri: str
    aliases: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """Name and version, as decisions are logged under."""
        return f"{self.name}/{self.version}"


@dataclass(frozen=True)
class Pointed:
    """The version that an alias points to.

    Attributes
    ----------
    name, version, run_id : str
        The run tells versions of the same number apart, where a registry was made anew.
    registered_at : datetime or None
    directory : Path or None
        Where its files lie, if this machine has them.
    """

    name: str
    version: str
    run_id: str
    registered_at: datetime | None = None
    directory: Path | None = None

    @property
    def title(self) -> str:
        """Name and version, as decisions are logged under."""
        return f"{self.name}/{self.version}"

    def is_same(self, other: Pointed | None) -> bool:
        """Whether both are the same version of the same registry."""
        return other is not None and (self.title, self.run_id) == (other.title, other.run_id)


def tracking_address() -> str:
    """Where MLflow keeps its registry: the usual environment variables, or a SQLite file in the working directory."""
    named = os.environ.get("MLFLOW_REGISTRY_URI") or os.environ.get("MLFLOW_TRACKING_URI")
    return named or DEFAULT_TRACKING_URI


def look(name: str | None = None, alias: str = CHAMPION, uri: str | None = None) -> Pointed:
    """The version that an alias points to.

    Parameters
    ----------
    name : str, optional
        Without it, the only registered model.
    alias : str
    uri : str, optional
        Of the registry; default: `tracking_address`.

    Raises
    ------
    InputError
        The registry has no such model or alias, or several models and no name is given.
    RegistryDown
        It does not answer.
    """
    uri = uri or tracking_address()
    scheme = urlsplit(uri).scheme.partition("+")[0]
    if scheme in ("sqlite", "postgresql"):
        return _in_database(name, alias, uri)
    if scheme in ("http", "https") and not _needs_mlflow():
        return _over_http(name, alias, uri.rstrip("/"))
    return _by_mlflow(name, alias)


def model_files(logged: Path) -> Path:
    """A model's own files among all that MLflow logged of a version."""
    return logged / "artifacts" / MODEL_FILES


def shown(uri: str) -> str:
    """An address without its password."""
    parts = urlsplit(uri)
    return uri.replace(f":{parts.password}@", ":***@", 1) if parts.password else uri


def _needs_mlflow() -> bool:
    settings = [f"MLFLOW_TRACKING_{name}" for name in _SIGNED_IN] + ["MLFLOW_WORKSPACE"]
    return any(os.environ.get(name) for name in settings)


def _by_mlflow(name: str | None, alias: str) -> Pointed:
    from propensity import registry

    try:
        found = registry.find(name, alias)
    except JobError as error:
        raise RegistryDown(str(error)) from error
    return Pointed(found.name, found.version, found.run_id)


# ------------------------------------------------------------------------------------------------------ a database

_WORKSPACE = "workspace = :workspace"
_NAMES = f"SELECT name FROM registered_models WHERE {_WORKSPACE} ORDER BY name"
_VERSION = (
    "SELECT v.version, v.run_id, v.creation_time, COALESCE(v.storage_location, v.source) AS place "
    "FROM registered_model_aliases a JOIN model_versions v "
    "ON v.workspace = a.workspace AND v.name = a.name AND v.version = a.version "
    "WHERE a.workspace = :workspace AND a.name = :name AND a.alias = :alias"
)


def _in_database(name: str | None, alias: str, uri: str) -> Pointed:
    import sqlalchemy as sa  # not at the top: the command that starts the service knows this module too

    workspace = os.environ.get("MLFLOW_WORKSPACE") or "default"
    engine = _engine(uri)
    if engine.dialect.name == "sqlite" and not Path(engine.url.database or "").is_file():
        raise RegistryDown(f"MLflow at {shown(uri)}: the database does not exist")
    try:
        with engine.connect() as connection:
            if name is None:
                name = _only(list(connection.scalars(sa.text(_NAMES), {"workspace": workspace})), uri)
            asked = {"workspace": workspace, "name": name, "alias": alias}
            row = connection.execute(sa.text(_VERSION), asked).mappings().one_or_none()
    except sa.exc.DBAPIError as error:
        said = str(error.orig).strip().splitlines()[0]
        raise RegistryDown(f"MLflow at {shown(uri)}: cannot be read ({said})") from error
    if row is None:
        raise _no_alias(name, alias, uri)
    return Pointed(name, str(row["version"]), row["run_id"] or "", _time(row["creation_time"]), _local(row["place"]))


@cache
def _engine(uri: str) -> sa.Engine:
    """An engine that keeps no connection and waits for nothing for long."""
    import sqlalchemy as sa

    patience: dict[str, Any] = {"timeout": PATIENCE_SECONDS}
    if uri.startswith("postgresql"):
        patience = {"connect_timeout": PATIENCE_SECONDS, "options": f"-c statement_timeout={PATIENCE_SECONDS}s"}
    try:
        return sa.create_engine(uri, poolclass=sa.NullPool, connect_args=patience)
    except (sa.exc.ArgumentError, sa.exc.NoSuchModuleError) as error:
        raise InputError(f"MLFLOW_TRACKING_URI {shown(uri)}: is not an address that MLflow knows") from error
    except ModuleNotFoundError as error:
        raise InputError(f"MLFLOW_TRACKING_URI {shown(uri)}: needs {error.name}; install it") from error


# ----------------------------------------------------------------------------------------------- a tracking server


def _over_http(name: str | None, alias: str, uri: str) -> Pointed:
    if name is None:
        found = _ask(uri, "registered-models/search", max_results=10).get("registered_models", [])
        name = _only([str(model["name"]) for model in found], uri)
    answer = _ask(uri, "registered-models/alias", name=name, alias=alias)
    if not answer:
        raise _no_alias(name, alias, uri)
    version = answer["model_version"]
    made = _time(int(version.get("creation_timestamp") or 0))
    return Pointed(name, str(version["version"]), version.get("run_id") or "", made)


def _ask(uri: str, what: str, **values: Any) -> dict[str, Any]:
    """What the server says; nothing where it has no such thing."""
    import httpx

    try:
        answer = httpx.get(f"{uri}/api/2.0/mlflow/{what}", params=values, timeout=PATIENCE_SECONDS)
        content = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        raise RegistryDown(f"MLflow at {shown(uri)}: does not answer ({type(error).__name__})") from error
    if answer.status_code == 200:
        return content
    if content.get("error_code") in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
        return {}
    raise RegistryDown(f"MLflow at {shown(uri)}: answers {answer.status_code}")


# ------------------------------------------------------------------------------------------------------------ both


def _only(names: list[str], uri: str) -> str:
    if len(names) == 1:
        return names[0]
    if not names:
        raise InputError(
            f"MLflow at {shown(uri)}: holds no registered model; make one with: propensity train --data ..."
        )
    raise InputError(f"MLflow at {shown(uri)}: holds several models; name one with --model: {', '.join(sorted(names))}")


def _no_alias(name: str, alias: str, uri: str) -> InputError:
    return InputError(
        f"MLflow at {shown(uri)}: has no model {name!r} with the alias {alias!r}; look at: propensity models, or make "
        "one with: propensity train --data ..."
    )


def _time(milliseconds: int | None) -> datetime | None:
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else None


def _local(place: str | None) -> Path | None:
    """A place as a directory of this machine, or None."""
    parts = urlsplit(place or "")
    path = Path(unquote(parts.path)) if parts.scheme in ("", "file") and parts.netloc in ("", "localhost") else None
    return path if path is not None and path.is_absolute() and path.is_dir() else None
