"""Training from a ledger as a job: run twice, at once, killed and taken up again, and made again."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import mlflow
import pandas as pd
import pytest
import sqlalchemy as sa
from ledger_learning import AT, record_program
from training_process import LEASE_SECONDS

from propensity import registry
from propensity.ledger import Ledger, leases, schema
from propensity.ledger.leases import Held, lease
from propensity.simulation import simulate
from propensity_training import job, provenance, source
from propensity_training.unseen import fingerprint

AS_OF = "2026-08-01"
NAME = "propensity-small"
PROCESS = Path(__file__).with_name("training_process.py")
Start = Callable[[str], subprocess.Popen[str]]


@pytest.fixture(scope="module")
def program(email_playbook):
    return simulate(2_200, seed=1, playbook=email_playbook, effect_scale=12)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request, tmp_path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.db'}"
    return request.getfixturevalue("postgres_database")


@pytest.fixture
def taught(url, program, email_playbook):
    made = Ledger(url).create()
    record_program(made, program, email_playbook)
    yield made
    with made.engine.begin() as connection:
        connection.execute(schema.leases.delete())
    made.close()


@pytest.fixture
def start(taught, url, empty_mlflow, tmp_path, monkeypatch):
    """Starts a training that stops at a moment; it has reached it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(leases, "LEASE_SECONDS", LEASE_SECONDS)
    processes = []

    def begin(moment: str) -> subprocess.Popen[str]:
        marker = tmp_path / f"{moment}.reached"
        command = [sys.executable, str(PROCESS), moment, str(marker), "--from-ledger", url, "--as-of", AS_OF, "--wait"]
        made = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ)
        processes.append(made)
        ends = time.monotonic() + 120
        while not marker.exists():
            assert made.poll() is None, made.stdout.read()
            assert time.monotonic() < ends
            time.sleep(0.1)
        return made

    yield begin
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()


def killed(process: subprocess.Popen[str]) -> str:
    """What a process had said when it was killed."""
    process.kill()
    return process.communicate()[0]


def states() -> list[str]:
    client = mlflow.MlflowClient(registry.tracking_uri())
    runs = client.search_runs([e.experiment_id for e in client.search_experiments()], order_by=["start_time"])
    return [run.info.status for run in runs]


def versions() -> list[str]:
    return [row["version"] for row in registry.versions()]


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_wherever_it_is_killed_the_next_one_goes_on_and_leaves_nothing_half_done(start, taught, url, propensity):
    assert "Learn from" not in killed(start("fit"))
    assert states() == versions() == []
    assert "Learn from" in killed(start("assessment"))
    assert states() == versions() == []
    assert "as a run found that was stopped later" in killed(start("logging"))
    assert (states(), versions()) == (["RUNNING"], [])
    assert "as a run found that was stopped later" in killed(start("aliases"))
    assert sorted(states()) == ["FINISHED", "KILLED"]
    assert versions() == ["1"]
    assert registry.champion_version(NAME) is None
    code, out, _ = propensity("train", "--from-ledger", url, "--as-of", AS_OF, "--wait")
    assert code == 0
    assert "Nothing is trained: propensity-small/1 learnt the same" in out
    assert registry.find(NAME, "champion").version == registry.find(NAME, "challenger").version == "1"
    # the first champion is a row too, once
    assert propensity("train", "--from-ledger", url, "--as-of", AS_OF)[0] == 0
    (row,) = taught.promotions(NAME)
    assert (row["from_version"], row["to_version"], row["why"]) == (None, "1", job.FIRST)
    assert registry.load(NAME)[0].predict is not None


def test_two_at_once_are_one(start, url, taught, propensity, tmp_path):
    first = start("fit")
    for _ in range(2):
        code, out, _ = propensity("train", "--from-ledger", url, "--as-of", AS_OF)
        assert code == 0
        assert f"process {first.pid} does the training of {NAME}, since" in out
        # the lease would have lapsed without being renewed
        time.sleep(LEASE_SECONDS)
    killed(first)
    code, out, _ = propensity("train", "--from-ledger", url, "--as-of", AS_OF, "--wait")
    assert code == 0
    assert registry.find(NAME, "champion").version == "1"
    assert [(row["from_version"], row["to_version"]) for row in taught.promotions(NAME)] == [(None, "1")]
    assert not list((tmp_path / "cache" / "propensity" / "training").iterdir())


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_training_is_made_again_and_judged_from_the_ledger_as_it_is_now(taught, url, empty_mlflow, propensity):
    assert propensity("train", "--from-ledger", url, "--as-of", AS_OF)[0] == 0
    # the same once more is nothing, unless asked for; a later time without another closed window is the same
    code, out, _ = propensity("train", "--from-ledger", url, "--as-of", "2026-08-09")
    assert (code, versions()) == (0, ["1"])
    assert "Nothing is trained: propensity-small/1 learnt the same" in out
    assert propensity("train", "--from-ledger", url, "--as-of", AS_OF, "--seed", "1")[0] == 0
    assert sorted(versions()) == ["1", "2"]

    told = registry.parameters(registry.find(NAME, "1"))
    assert told["source_ledger"] == source.address(url)
    assert told["as_of"].startswith(AS_OF)
    assert {"code_version", "code_files", "version_lightgbm", "version_numpy", "seed", "playbook_version"} <= set(told)
    playbook = registry.artifact(registry.find(NAME, "1"), provenance.PLAYBOOK_FILE)
    assert playbook["name"] == "small"

    run = registry.find(NAME, "1").run_id
    code, out, err = propensity("train", "--reproduce", run)
    assert code == 0, out + err
    assert f"The data are the same ({told['data_fingerprint']})." in out
    assert "The model is the same, file by file" in out
    taught.erase("c0000003")
    code, out, _ = propensity("train", "--reproduce", run)
    assert code == 1
    assert f"was {told['data_fingerprint']}" in out
    assert "1 person was erased from the ledger since then" in out
    # whoever judges a challenger reads the ledger again, without the erased
    code, out, _ = propensity("evaluate", "--from-ledger", url, "--model", "propensity-small", "--alias", "1")
    assert code == 0
    assert "were in training and do not count" in out
    code, out, err = propensity("promote", "2", "--ledger", url, "--who", "Ann")
    assert "Read the data of its training again" in out, err
    assert len(versions()) == 2


def test_what_was_granted_stands_when_more_of_the_same_ledger_teaches(taught, url, empty_mlflow, propensity):
    options = ["train", "--from-ledger", url, "--as-of", AS_OF]
    assert propensity(*options, "--people-share", "0.6")[0] == 0
    assert propensity(*options)[0] == 0
    first, more = (registry.parameters(registry.find(NAME, version)) for version in "12")
    assert int(first["n_contacts"]) < int(more["n_contacts"])
    assert first["mode"] != "nobody"
    assert (first["standing"], more["standing"]) == ("nobody", first["mode"])
    assert (
        "The model is the same, file by file" in propensity("train", "--reproduce", registry.find(NAME, "2").run_id)[1]
    )
    # the same once more is nothing, although the champion could lend its grant by now
    assert "Nothing is trained" in propensity(*options)[1]


def test_a_lease_is_held_by_one_and_lapses_by_the_clock_of_the_database(taught):
    with lease(taught, "x", who="Ann", seconds=30) as mine:
        mine.require()
        with lease(taught, "x", who="Ben") as other:
            assert isinstance(other, Held)
            assert other.who == "Ann"
        with lease(taught, "y") as another:
            another.require()
        # as after a long sleep of this machine
        with taught.engine.begin() as connection:
            long_ago = pd.Timestamp("2020-01-01T00:00Z").to_pydatetime()
            connection.execute(sa.update(schema.leases).values(expires_at=long_ago))
        with lease(taught, "x", who="Ben") as other:
            other.require()
            with pytest.raises(leases.JobError, match="lapsed"):
                mine.require()
    with lease(taught, "x") as again:
        again.require()


def test_a_password_is_told_nowhere(email_playbook):
    told = source.LedgerSource("postgresql+psycopg://ann:secret@host/db", AT, email_playbook, ("a", "b"))
    parameters = {**told.to_parameters(), "as_of": AT.isoformat()}
    assert "secret" not in str(parameters)
    with pytest.raises(source.InputError, match="needs its password"):
        source.source_of(parameters, email_playbook)
    assert source.source_of(parameters, email_playbook, told.url) == told


def test_options_that_go_with_a_ledger_only(propensity):
    for options in (["--again"], ["--as-of", "2026-01-01"], ["--campaign", "a"]):
        assert propensity("train", *options)[0] == 2
    assert propensity("train", "--from-ledger", "sqlite:///x.db", "--data", "simulated")[0] == 2
    code, _, error = propensity("evaluate", "--from-ledger", "sqlite:///x.db", "--data", "simulated")
    assert (code, "takes the place of --data" in error) == (2, True)
    assert job.TRAINING != job.OF


def test_a_fingerprint_changes_with_any_table(small_dataset):
    from dataclasses import replace

    before = fingerprint(small_dataset)
    for table in ("customers", "contacts", "outcomes"):
        assert fingerprint(replace(small_dataset, **{table: getattr(small_dataset, table).iloc[1:]})) != before
