"""Whoever does the work, the decisions and the models are the same; a worker that is killed changes nothing."""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from math import ceil

import numpy as np
import pandas as pd
import psutil
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from propensity.decide_file import decide_file
from propensity.deciding import Wave
from propensity.engines.chosen import EngineName, chosen
from propensity.errors import InputError, JobError
from propensity.learners import SLearner, TLearner, UpliftStack
from propensity.ledger import Ledger, schema
from propensity.threads import done_by
from propensity.wave_file import WaveFile

N_BATCHES = 10
"""Of the people of a wave here."""


def decided(model, wave, out, engine=None, show=lambda done, total: None, **options):
    summary = decide_file(model, wave, out, engine=engine, show=show, **options)
    return summary, out.read_bytes()


@pytest.fixture
def used_up(monkeypatch):
    """No price is asked for what is scarce, so that it is used up before the file ends."""
    plan = Wave.plan

    def free(wave, limits, share=1.0):
        made = plan(wave, limits, share)
        return replace(made, terms=replace(made.terms, prices=dict.fromkeys(made.terms.prices, 0.0)))

    monkeypatch.setattr(Wave, "plan", free)


@pytest.fixture
def of_threads(model, wave, tmp_path, used_up):
    """What threads of this process decide; a limit is used up in it."""
    summary, content = decided(model, wave, tmp_path / "local.parquet")
    codes = {codes[0] for codes in pq.read_table(tmp_path / "local.parquet")["reason_codes"].to_pylist()}
    assert {"limits_reached", "suppressed"} <= codes
    assert summary.tried["people"].sum() > 0
    return summary, content


@pytest.mark.parametrize("n_parts", [1, 2, 5, N_BATCHES])
def test_decisions_are_the_same_in_any_parts(two_workers, model, wave, tmp_path, of_threads, monkeypatch, n_parts):
    submitted, submit = [], two_workers._submit
    monkeypatch.setattr(two_workers, "batches", ceil(N_BATCHES / n_parts))
    monkeypatch.setattr(two_workers, "_submit", lambda what, *rest: submitted.append(what) or submit(what, *rest))
    summary, content = decided(model, wave, tmp_path / "dask.parquet", two_workers)
    assert content == of_threads[1]
    assert summary.used == pytest.approx(of_threads[0].used)
    assert summary.funnel().equals(of_threads[0].funnel())
    np.testing.assert_allclose(summary.actions.to_numpy(), of_threads[0].actions.to_numpy())
    # what was thought to be left is right in one part, and wrong where others use it up at the same time
    asked_again = sum(what.__name__ == "score_part" for what in submitted) - n_parts
    assert (asked_again > 0) == (n_parts > 1)


def test_a_ledger_keeps_the_same_and_decisions_that_stand_stay(two_workers, model, wave, people, tmp_path):
    kept = []
    people[::3].to_parquet(tmp_path / "some.parquet")
    for name, engine in (("local", None), ("dask", two_workers)):
        with closing(Ledger(f"sqlite:///{tmp_path / name}.db").create()) as ledger:
            some = WaveFile(tmp_path / "some.parquet", wave.at, wave.campaign, wave.weeks, ledger=ledger)
            decided(model, some, tmp_path / "some_decided.parquet", engine)
            summary, content = decided(model, replace(some, source=wave.source), tmp_path / "out.parquet", engine)
            assert summary.standing == len(people[::3])
            answers = ledger.standing(pq.read_table(tmp_path / "out.parquet")["decision_id"].to_pylist())
            assert len(answers) == len(people)
            with ledger.engine.connect() as connection:
                rows = connection.execute(
                    sa.select(schema.decisions.c.customer_id, schema.decisions.c.probabilities).order_by("customer_id")
                ).all()
            kept.append((content, answers, rows))
    assert kept[0] == kept[1]


def test_a_worker_that_is_killed_loses_and_doubles_nothing(dask_installed, model, wave, tmp_path, of_threads):
    from propensity.engines.dask_engine import DaskEngine

    killed = []

    def kill_one(done: int, total: int) -> None:
        if not killed:
            killed.append(workers.pop())
            os.kill(killed[0], signal.SIGKILL)

    with DaskEngine(workers=2) as engine:
        workers = list(engine.client.run(os.getpid).values())
        _, content = decided(model, wave, tmp_path / "dask.parquet", engine, kill_one)
    assert killed
    assert content == of_threads[1]


def test_workers_here_listen_on_this_machine_alone(two_workers):
    me = psutil.Process()
    addresses = {
        connection.laddr.ip
        for process in (me, *me.children(recursive=True))
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert addresses == {"127.0.0.1"}


def test_no_model_is_sent_as_a_pickle(two_workers, model, wave, tmp_path, monkeypatch):
    sent = []
    submit = two_workers._submit

    def watched(function, *arguments):
        sent.extend(arguments)
        return submit(function, *arguments)

    monkeypatch.setattr(two_workers, "_submit", watched)
    decided(model, wave, tmp_path / "dask.parquet", two_workers)
    assert not any(isinstance(argument, type(model)) for argument in sent)
    archives = [argument for argument in sent if isinstance(argument, bytes)]
    assert len(archives) == 1
    assert archives[0].startswith(b"PK")


def clients():
    from distributed import Client

    return [each for each in gc.get_objects() if issubclass(type(each), Client)]


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nowhere", "tcp://here:abc", "tls://127.0.0.1:1"])
def test_a_scheduler_that_is_away_is_one_sentence(dask_installed, monkeypatch, address):
    from propensity.engines import dask_engine

    monkeypatch.setattr(dask_engine, "ANSWER_SECONDS", 0.5)
    there = clients()
    with pytest.raises(JobError, match=f"--scheduler {address}: does not answer .*'dask scheduler' shows") as told:
        dask_engine.DaskEngine(address).__enter__()
    assert "\n" not in str(told.value)
    # one that is half made would hold the process up at its end
    (tried,) = [client for client in clients() if not any(client is each for each in there)]
    assert tried.status == "closed"


@pytest.fixture
def scheduler(dask_installed):
    """A scheduler in a process of its own: the process, and its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen([*command, "--no-dashboard"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    ends = time.monotonic() + 60
    while time.monotonic() < ends and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            time.sleep(0.1)
    yield process, f"tcp://127.0.0.1:{port}"
    process.kill()
    process.wait()


@pytest.fixture
def logged():
    """What Dask's client logs, as far as its loggers let it through."""
    from propensity.engines.dask_engine import CONNECTION_LOGGERS

    class Kept(logging.Handler):
        def emit(self, record):
            records.append(record)

    records, handler = [], Kept()
    for name in CONNECTION_LOGGERS:
        logging.getLogger(name).addHandler(handler)
    yield records
    for name in CONNECTION_LOGGERS:
        logging.getLogger(name).removeHandler(handler)


@pytest.mark.parametrize("idle", [False, True])
def test_a_scheduler_that_is_lost_is_one_sentence_and_no_traceback(scheduler, logged, idle):
    """While work is waited for, and between work, for so long that Dask's client gives up."""
    from propensity.engines.dask_engine import DaskEngine

    process, address = scheduler
    with DaskEngine(address) as engine:
        engine.client._timeout = 0.5
        waiting = None if idle else engine._submit(len, "ab")
        # has reached the scheduler
        assert engine.client.nthreads() == {}
        process.kill()
        ends = time.monotonic() + 30
        while idle and engine.client.status != "closed":
            assert time.monotonic() < ends
            time.sleep(0.05)
        with pytest.raises(JobError, match=f"^--scheduler {address}: was lost while it worked; run it again$"):
            engine._result(waiting) if waiting is not None else engine.run(len, ["ab"])
        logging.getLogger("distributed.client").error("something else")
    assert [record.getMessage() for record in logged if record.levelno >= logging.ERROR] == ["something else"]
    assert not any(logging.getLogger(name).filters for name in ("distributed.client", "distributed.batched"))


def test_a_scheduler_without_workers_is_waited_for_and_told(dask_installed, model, wave, tmp_path, monkeypatch):
    from distributed import LocalCluster

    from propensity.engines import dask_engine

    monkeypatch.setattr(dask_engine, "WORKERLESS_SECONDS", 0)
    monkeypatch.setattr(dask_engine, "LOOK_SECONDS", 0.2)
    with (
        LocalCluster(n_workers=0, host="127.0.0.1", scheduler_kwargs={"dashboard_address": "127.0.0.1:0"}) as empty,
        dask_engine.DaskEngine(empty.scheduler_address) as engine,
        pytest.raises(JobError, match="has had no worker for 0 seconds; start some with 'dask worker ADDRESS'"),
    ):
        decide_file(model, wave, tmp_path / "out.parquet", engine=engine)
    assert not (tmp_path / "out.parquet").exists()


def test_workers_with_other_versions_are_refused(dask_installed):
    from propensity.engines import dask_engine

    dask_engine._require_same(dask_engine.versions())
    with pytest.raises(JobError, match=r"a worker of Dask has lightgbm \S+ instead of 0\.1; install the same"):
        dask_engine._require_same(dask_engine.versions() | {"lightgbm": "0.1"})


def test_without_dask_it_is_said_how_to_install_it(monkeypatch):
    monkeypatch.setattr("propensity.engines.chosen.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"^--engine dask: .* pip install 'propensity\[dask\]'$"):
        chosen(EngineName.dask).__enter__()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((EngineName.local, "tcp://127.0.0.1:1", None), "need --engine dask"),
        ((EngineName.local, None, 2), "need --engine dask"),
        ((EngineName.dask, "tcp://127.0.0.1:1", 2), "leave one of the two out"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options, said):
    with pytest.raises(InputError, match=said):
        chosen(*options).__enter__()


def test_fits_by_workers_are_those_of_threads(two_workers):
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(1_500, 4)), columns=list("abcd"))
    action = np.where(rng.random(len(X)) < 0.5, "mail", "control")
    y = (rng.random(len(X)) < 0.2 + 0.3 * (X["a"] > 0) * (action == "mail")).astype(float)

    def fitted():
        return UpliftStack(learners=[SLearner(), TLearner()], n_folds=3).fit(X, action, y)

    here, done = fitted(), []

    def counted(function, items):
        done.extend(items)
        return two_workers.run(function, items)

    with done_by(counted):
        there = fitted()
    # a model of outcomes for each pair of folds, and each learner on all but one, and once more for the test
    assert len(done) >= 3 + 2 * 3 + 2
    assert here.weights_ == there.weights_
    assert any(here.weights_.values())
    np.testing.assert_array_equal(here.effect(X).to_numpy(), there.effect(X).to_numpy())
    np.testing.assert_array_equal(here.out_of_fold_effect_, there.out_of_fold_effect_)
