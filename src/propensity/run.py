"""The whole job on a data set, as its users would do it: the doors are called by their commands and over HTTP."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pandas as pd

from propensity import datasets
from propensity.campaigns import about_campaign
from propensity.contract import CUSTOMERS
from propensity.datasets import Dataset
from propensity.errors import InputError, JobError
from propensity.features import required_columns
from propensity.files import point_link, written_aside
from propensity.frame import is_held_out_of_training
from propensity.ledger import Ledger, approve_playbook, decision_answers
from propensity.ledger.keys import DECIDE, create_key, revoke_keys
from propensity.progress import Steps

BATCH = 1_000
TRAINING = {"--split": "customers", "--alias": "champion"}
"""How the job trains: it decides for the people held out at random, and serves the model at once."""
READY_SECONDS = 60
KEY_LIFETIME = timedelta(days=1)
"""Of the job's own key, which is revoked as soon as the job has asked; this is for a job that was killed."""


def run_job(
    *,
    data: str,
    mapping: Path | None,
    playbook_path: Path | None,
    quarantine: Path | None,
    out: Path,
    held_out_share: float,
    port: int,
    seed: int,
    shuffle_arms: int | None,
) -> None:
    """Read, check, train, evaluate, register, serve, decide, record and summarise; print what came out.

    Everything is made in a directory of its own under ``out``, which gets its name when the job has succeeded.

    Raises
    ------
    InputError, ContractError, PlaybookError
        The data cannot be used, or ``out`` cannot be made.
    JobError
        A step failed; its own words say why.
    """
    started = time.monotonic()
    dataset = datasets.load(
        data,
        mapping=mapping,
        playbook_path=playbook_path,
        quarantine=quarantine is not None,
        seed=seed,
        shuffle_arms=shuffle_arms,
    )
    print(f"Data: {dataset.origin}.", flush=True)
    if quarantine is not None:
        print(datasets.write_quarantine(dataset, quarantine), flush=True)
    target = out / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{dataset.name}"
    source = {
        "--data": data,
        "--mapping": mapping,
        "--playbook": playbook_path,
        "--quarantine": quarantine,
        "--seed": seed,
        "--shuffle-arms": shuffle_arms,
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"out {out}: cannot be made ({error.strerror}); name another directory with --out") from error
    model_name = f"propensity-{dataset.playbook.name}" + ("" if shuffle_arms is None else "-rehearsal")
    with written_aside(target) as aside, Steps(6) as steps:
        aside.mkdir()
        with steps.step("Read and check the data") as step:
            step.result = datasets.description(dataset)
        with steps.step("Train, assess on held-out people, register in MLflow") as step:
            trained = _train(
                aside / "training.json", {**source, "--held-out": held_out_share, **TRAINING}, model_name, steps
            )
            step.result = f"{trained['model_version']} is the champion; policy: {trained['mode'].replace('_', ' ')}"
        ledger = Ledger(f"sqlite:///{aside / 'ledger.db'}").create()
        with steps.step("Record the experiment in the ledger") as step:
            next_campaign = _record(ledger, dataset, trained)
            step.result = f"{len(dataset.contacts):,} contacts, {len(dataset.outcomes):,} outcomes"
        people = _held_out_people(dataset, held_out_share, seed)
        with ExitStack() as running:
            key = running.enter_context(_own_key(ledger))
            with steps.step("Start the service from the registry") as step:
                url = step.result = running.enter_context(_service(ledger, model_name, port, aside))
            with steps.step(f"Ask it over HTTP for decisions on {len(people):,} held-out people") as step:
                decisions = _ask(url, key, people, next_campaign, dataset, steps)
                step.result = f"{int(decisions['send'].sum()):,} to contact"
        with steps.step("Write the summary") as step:
            _check_recorded(ledger, next_campaign, decisions)
            ledger.close()
            summary = _summarise(ledger, dataset.campaign, aside)
            _write_decisions(aside / "decisions.parquet", decisions)
            step.result = "summary.html"
    point_link(out / "latest", target.name)
    _print_result(summary, target, time.monotonic() - started)


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "propensity", *arguments]


def _options(values: dict[str, object]) -> list[str]:
    return [part for name, value in values.items() if value is not None for part in (name, str(value))]


def _train(result: Path, options: dict[str, object], model_name: str, steps: Steps) -> dict[str, Any]:
    command = _command("train", *_options({**options, "--model": model_name, "--result": result}))
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
    ):
        for line in process.stdout or ():
            steps.detail(re.sub(r"^\[\d+/\d+\] ", "", line.strip()).split(": ")[0])
        process.wait()
        errors.seek(0)
        said = errors.read()
    _require_success(process.returncode, "training", said)
    return json.loads(result.read_text(encoding="utf-8"))


def _require_success(returncode: int, what: str, error: str) -> None:
    if returncode == 0:
        return
    lines = [line for line in error.strip().splitlines() if line.strip()]
    said = lines[-1].removeprefix("Error: ") if lines else "it said nothing"
    raise (InputError if returncode == 2 else JobError)(f"{what}: {said}")


def _record(ledger: Ledger, dataset: Dataset, trained: dict[str, Any]) -> str:
    """Write the experiment, its playbook and the model's assessment into the ledger; the name of the next wave."""
    next_campaign = f"{dataset.campaign}-next"
    about = partial(about_campaign, dataset.playbook, words=dataset.words)
    first = dataset.contacts["decided_at"].min()
    ledger.add_campaign(dataset.campaign, **about(title=dataset.title, started_at=first.to_pydatetime()))
    ledger.add_campaign(
        next_campaign,
        **about(
            title=f"{dataset.title}: next wave",
            follows=dataset.campaign,
            started_at=_decision_time(dataset).to_pydatetime(),
        ),
    )
    ledger.add_customers(dataset.customers)
    ledger.add_contacts(dataset.contacts)
    ledger.add_outcomes(dataset.outcomes)
    approve_playbook(
        ledger, dataset.playbook, who="propensity run", why="a rehearsal on past data: nobody is contacted"
    )
    ledger.add_assessment(dataset.campaign, trained["model_version"], trained["assessment"])
    ledger.add_promotion(
        who="propensity run",
        model=trained["registered"]["name"],
        from_version=None,
        to_version=trained["registered"]["version"],
        why=trained["assessment"]["gate"]["why"],
    )
    return next_campaign


def _decision_time(dataset: Dataset) -> pd.Timestamp:
    """The next wave is decided when the last window has closed."""
    window = pd.Timedelta(days=dataset.playbook.program.attribution_window_days)
    return dataset.contacts["decided_at"].max() + window


def _held_out_people(dataset: Dataset, share: float, seed: int) -> pd.DataFrame:
    """The held-out customers as the campaign tool would send them: the contract's columns and the features."""
    newest = dataset.customers.sort_values("as_of").drop_duplicates("customer_id", keep="last").sort_index()
    in_experiment = newest["customer_id"].isin(dataset.contacts["customer_id"])
    held_out = is_held_out_of_training(newest["customer_id"], share, seed)
    named = [c.name for c in (*CUSTOMERS, *required_columns(dataset.playbook))]
    return newest.loc[in_experiment & held_out, [c for c in dict.fromkeys(named) if c in newest]]


@contextmanager
def _own_key(ledger: Ledger) -> Iterator[str]:
    """A key for decisions; revoked in the end."""
    key, made = create_key(ledger, name="propensity run", scopes=[DECIDE], lifetime=KEY_LIFETIME)
    try:
        yield key
    finally:
        revoke_keys(ledger, made.prefix)


@contextmanager
def _service(ledger: Ledger, model_name: str, port: int, directory: Path) -> Iterator[str]:
    """A running service and its address; stopped in the end."""
    command = _command("serve", *_options({"--port": port, "--ledger": ledger.name, "--model": model_name}))
    log = directory / "service.log"
    kept = tempfile.TemporaryDirectory()  # the last good copy of the model, which nobody needs after the run
    with log.open("w", encoding="utf-8") as output:
        # a process group of its own, so that its workers are stopped with it
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "PROPENSITY_STATE": kept.name},
        )
    try:
        yield _wait_until_ready(process, log)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        kept.cleanup()


def _wait_until_ready(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        text = log.read_text(encoding="utf-8")
        if process.poll() is not None:
            _require_success(process.returncode or 1, "the service stopped while starting", text)
        address = re.search(r"on (http://\S+)/ ", text)
        if address and _answers(f"{address[1]}/readyz"):
            return address[1]
        time.sleep(0.2)
    raise JobError(f"the service: was not ready in {READY_SECONDS} seconds; its log ends: {text[-300:].strip()}")


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def _ask(url: str, key: str, people: pd.DataFrame, campaign: str, dataset: Dataset, steps: Steps) -> pd.DataFrame:
    """Decisions for all people, by the thousand."""
    at = _decision_time(dataset).isoformat()
    answers: list[dict[str, Any]] = []
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=url, headers=headers, timeout=60, trust_env=False) as client:
        for start in range(0, len(people), BATCH):
            customers = decision_answers(people.iloc[start : start + BATCH])
            response = client.post("/v1/decisions", json={"campaign": campaign, "at": at, "customers": customers})
            if response.status_code != 200:
                raise JobError(f"the service: answered {response.status_code} to a call for decisions: {response.text}")
            answers += response.json()["decisions"]
            steps.detail(f"Decide: {len(answers):,} of {len(people):,}")
    rejected = [a for a in answers if a["status"] != "decided"]
    if rejected:
        raise JobError(f"the service: rejected {len(rejected)} people, the first because {rejected[0]['error']}")
    return pd.DataFrame(answers).drop(columns="status")


def _check_recorded(ledger: Ledger, campaign: str, decisions: pd.DataFrame) -> None:
    recorded = ledger.decisions(campaign)
    if set(recorded["decision_id"]) != set(decisions["decision_id"]):
        raise JobError(f"ledger {ledger.name}: holds {len(recorded)} decisions, the service gave {len(decisions)}")


def _write_decisions(file: Path, decisions: pd.DataFrame) -> None:
    table = decisions.copy()
    for column in ("not_before", "contact_at", "expires_at", "feature_as_of"):
        table[column] = pd.to_datetime(table[column], utc=True)
    with written_aside(file) as aside:
        table.to_parquet(aside, index=False)


def _summarise(ledger: Ledger, campaign: str, directory: Path) -> dict[str, Any]:
    files = {"--html": directory / "summary.html", "--json": directory / "summary.json"}
    command = _command("experiment", "summary", campaign, *_options({"--ledger": ledger.name, **files}))
    done = subprocess.run(command, capture_output=True, text=True)
    _require_success(done.returncode, "the summary", done.stderr)
    return json.loads(files["--json"].read_text(encoding="utf-8"))


def _print_result(summary: dict[str, Any], directory: Path, seconds: float) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=not sys.stdout.isatty())
    console.print()
    console.print(Text(summary["verdict"]["headline"], style="bold"))
    for sentence in filter(None, (summary["verdict"]["worth"], *summary["verdict"]["sentences"])):
        console.print(Text(f"  {sentence}"))
    console.print()
    for what, where in (
        ("Summary page", directory / "summary.html"),
        ("All its figures", directory / "summary.json"),
        ("Decisions", directory / "decisions.parquet"),
        ("Ledger", directory / "ledger.db"),
        ("Models", f"MLflow at {os.environ.get('MLFLOW_TRACKING_URI') or 'sqlite:///mlflow.db'}"),
    ):
        console.print(Text(f"{what + ':':<16} {where}"))
    console.print(Text(f"Done in {seconds:.0f} seconds."))
