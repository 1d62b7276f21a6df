"""Fixtures shared by the tests. Real data are read where they lie and never copied."""

from __future__ import annotations

import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

if "PYTEST_XDIST_WORKER" in os.environ:
    # the tests are side by side already; read before anything is imported that starts threads
    os.environ.setdefault("PROPENSITY_THREADS", "1")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import mlflow
import pytest
import sqlalchemy as sa
from simulated_waves import FEW_ACTIONS, Wave, simulated_wave

from propensity import cli, datasets, playbook
from propensity.assessment import Assessment, assess
from propensity.datasets import Dataset, OutcomeWords
from propensity.frame import training_frame
from propensity.model import DecisionModel
from propensity.playbook import Playbook
from propensity.progress import Steps
from propensity.simulation import simulate
from propensity_training.pipeline import STEPS, TrainingResult, train

POSTGRES = os.environ.get("PROPENSITY_TEST_POSTGRES", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres")
CHROMIUM = Path(os.environ.get("PROPENSITY_TEST_CHROMIUM", "/usr/bin/chromium"))


LONGEST = (
    "training/test_from_ledger.py",
    "end_to_end/test_run.py",
    "ledger/test_waves.py",
    "engines/test_dask_engine.py",
    "learners/test_heterogeneity.py",
    "experiments/test_browser.py",
    "survival/test_kills.py",
    "training/test_planted_model.py",
    "training/test_pipeline.py",
    "training/test_commands.py",
    "survival/test_postgresql_away.py",
    "test_decide_file.py",
)
"""The files that take longest, the longest first: they begin first, so that no core waits for another in the end."""


def pytest_configure(config: pytest.Config) -> None:
    """Keep pytest-xdist from beginning with the files of most tests, which are quick ones."""
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files of `LONGEST` first."""
    places = {Path(__file__).parent / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


def lacking(what: str) -> NoReturn:
    """Skip a test for want of something; where a change is decided on (CI) that is a failure."""
    if os.environ.get("CI"):
        pytest.fail(f"{what}; in CI no test may be skipped for that")
    pytest.skip(what)


def real_file(name: str) -> Path:
    """A real data file, or a skip that says where it was looked for."""
    places = [directory for directory, _ in datasets.data_directories()]
    found = next((d / name for d in places if (d / name).is_file()), None)
    if found is None:
        pytest.skip(f"{name} is not in {', '.join(map(str, places))}")
    return found


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, so that whatever a command writes is seen."""
    directory = tmp_path / "here"
    directory.mkdir()
    monkeypatch.chdir(directory)
    return directory


@pytest.fixture(scope="session")
def hillstrom_file() -> Path:
    return real_file("hillstrom.csv.gz")


@pytest.fixture(scope="session")
def telco_file() -> Path:
    return real_file("telco_churn.csv.gz")


@pytest.fixture(scope="session")
def hillstrom(hillstrom_file: Path) -> Dataset:
    return datasets.read_wide(hillstrom_file, datasets.load_mapping("hillstrom"), "a test")


@pytest.fixture(scope="session")
def hillstrom_frame(hillstrom: Dataset):
    window = hillstrom.playbook.program.attribution_window_days
    return training_frame(hillstrom.customers, hillstrom.contacts, hillstrom.outcomes, window_days=window)


@pytest.fixture(scope="session")
def postgres_database() -> Iterator[str]:
    """The address of an empty PostgreSQL database that is dropped in the end."""
    server = sa.create_engine(POSTGRES, isolation_level="AUTOCOMMIT", connect_args={"connect_timeout": 3})
    name = f"propensity_test_{secrets.token_hex(6)}"
    try:
        with server.connect() as connection:
            connection.execute(sa.text(f"CREATE DATABASE {name}"))
    except sa.exc.OperationalError:
        lacking(f"no PostgreSQL answers at {POSTGRES}")
    yield server.url.set(database=name).render_as_string(hide_password=False)
    with server.connect() as connection:
        connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
    server.dispose()


@pytest.fixture(scope="session")
def dask_installed() -> None:
    """Skips where Dask is not installed."""
    if find_spec("distributed") is None:
        lacking("Dask is not installed; it is in the extra dask")


@pytest.fixture(scope="session")
def chromium() -> str:
    """Where the browser is."""
    if not CHROMIUM.is_file():
        lacking(f"no browser at {CHROMIUM}")
    return str(CHROMIUM)


@pytest.fixture(scope="session")
def email_playbook() -> Playbook:
    """The default playbook with two e-mails only."""
    content = playbook.load("default").model_dump()
    actions = {name: content["actions"][name] for name in ("better_email_update", "miss_you_email_percent_off")}
    return Playbook.model_validate({**content, "name": "small", "actions": actions, "never": ()})


@pytest.fixture(scope="session")
def small_dataset(email_playbook: Playbook) -> Dataset:
    """A simulated program whose e-mails work so well that few people show it."""
    program = simulate(3_000, seed=1, playbook=email_playbook, effect_scale=12)
    return Dataset(
        name="small",
        title="Small program",
        origin="a test",
        campaign=str(program.contacts["campaign"].iloc[0]),
        words=OutcomeWords(),
        playbook=email_playbook,
        customers=program.customers,
        contacts=program.contacts,
        outcomes=program.outcomes,
        quarantined=program.customers.iloc[:0],
        violations=(),
    )


@pytest.fixture(scope="session")
def small_frame(small_dataset: Dataset):
    window = small_dataset.playbook.program.attribution_window_days
    return training_frame(small_dataset.customers, small_dataset.contacts, small_dataset.outcomes, window_days=window)


@pytest.fixture(scope="session")
def small_model(small_dataset: Dataset, small_frame) -> DecisionModel:
    """A model that sends e-mail to people. Tests must not change it."""
    return DecisionModel(small_dataset.playbook, 0).fit(small_frame)


@pytest.fixture(scope="session")
def mlflow_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of MLflow that holds nothing, to copy: MLflow takes seconds to make one."""
    file = tmp_path_factory.mktemp("empty") / "mlflow.db"
    mlflow.MlflowClient(f"sqlite:///{file}").search_registered_models()
    return file


@pytest.fixture(scope="session")
def trained(small_dataset: Dataset, mlflow_database: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainingResult:
    """A training of the small program, registered in an MLflow of its own. Tests must not change it."""
    directory = tmp_path_factory.mktemp("mlflow")
    shutil.copy(mlflow_database, directory)
    with pytest.MonkeyPatch.context() as patch, Steps(STEPS) as steps:
        # MLflow puts artifacts beside a SQLite store into the working directory
        patch.chdir(directory)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{directory / 'mlflow.db'}")
        return train(small_dataset, held_out_share=0.5, seed=0, alias="champion", steps=steps)


@pytest.fixture
def mlflow_of_trained(trained: TrainingResult, monkeypatch: pytest.MonkeyPatch) -> Iterator[TrainingResult]:
    """The same, with the environment and MLflow itself pointing at its MLflow."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", trained.registered.tracking_uri)
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(trained.registered.tracking_uri)
    yield trained
    mlflow.set_tracking_uri(before)


@pytest.fixture
def registry_copy(trained: TrainingResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of an MLflow that holds the training of the small program and may be changed."""
    shutil.copy(trained.registered.tracking_uri.removeprefix("sqlite:///"), tmp_path)
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    return uri


@pytest.fixture
def empty_mlflow(mlflow_database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of an MLflow that holds nothing; the environment points at it."""
    shutil.copy(mlflow_database, tmp_path)
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    return uri


@pytest.fixture(scope="session")
def small_playbook() -> Playbook:
    """The default playbook with five of its actions, so that a wave of 20,000 tells them apart."""
    book = playbook.load("default")
    return book.model_copy(update={"actions": {k: v for k, v in book.actions.items() if k in FEW_ACTIONS}})


@pytest.fixture(scope="session")
def wave(small_playbook: Playbook) -> Wave:
    return simulated_wave(20_000, small_playbook, seed=3, effect_scale=1.0)


@pytest.fixture(scope="session")
def wave_model(wave: Wave, small_playbook: Playbook) -> DecisionModel:
    return DecisionModel(small_playbook).fit(wave.train)


@pytest.fixture(scope="session")
def wave_model_saved(wave_model: DecisionModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("models") / "wave"
    wave_model.save(directory)
    return directory


@pytest.fixture(scope="session")
def wave_assessment(wave: Wave, wave_model: DecisionModel) -> Assessment:
    return assess(wave_model, wave.test)


@pytest.fixture
def propensity(monkeypatch, capsys):
    """Runs a command: exit code, standard output, standard error."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["propensity", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            cli.main()
        said = capsys.readouterr()
        return int(caught.value.code or 0), said.out, said.err

    return run
