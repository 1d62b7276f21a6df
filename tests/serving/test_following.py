"""How a worker follows the registry's alias: what it serves, what it refuses, what it falls back on."""

from __future__ import annotations

import json
import math
import os
import shutil
import socket
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import mlflow
import pytest
from starlette.testclient import TestClient

from propensity import registry
from propensity.checksums import file_digest
from propensity.deciding import Wave
from propensity.errors import InputError
from propensity.ledger import Ledger, approve_playbook
from propensity.playbook import Playbook
from propensity.registered import Pointed, RegistryDown, look, model_files
from propensity_serving import checks, copies, state
from propensity_serving.app import build_app
from propensity_serving.checks import require_sane_decisions
from propensity_serving.refusal import ModelRefused
from propensity_serving.requests import check_customers
from propensity_serving.settings import Settings
from propensity_serving.state import ServingState

MODEL = "propensity-small"
PERSON = {"customer_id": "anna", "churned_at": "2025-12-15T00:00:00Z", "consent_email": True}


class Registry:
    """An MLflow of a test: versions are copies of the files of the first one."""

    def __init__(self, uri: str, directory: Path) -> None:
        self.file = Path(uri.removeprefix("sqlite:///"))
        self.client = mlflow.MlflowClient(uri)
        self.directory = directory
        first = look(MODEL, "champion", uri)
        self.run_id, self.first = first.run_id, first.directory

    def add(self, change=lambda logged: None) -> str:
        """Another version, its files changed."""
        logged = self.directory / f"version-{time.monotonic_ns()}"
        shutil.copytree(self.first, logged)
        change(logged)
        return str(self.client.create_model_version(MODEL, str(logged), self.run_id).version)

    def promote(self, version: str) -> None:
        self.client.set_registered_model_alias(MODEL, "champion", version)


@pytest.fixture
def versions(registry_copy: str, tmp_path: Path) -> Registry:
    return Registry(registry_copy, tmp_path)


@pytest.fixture
def settings(tmp_path: Path, email_playbook: Playbook) -> Settings:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    ledger = Ledger(url).create()
    approve_playbook(ledger, email_playbook, who="Ann")
    ledger.close()
    return Settings(url, None, "champion", False, 0.1, tmp_path / "state")


def a_worker() -> Iterator[ServingState]:
    made = ServingState()
    yield made
    made.stop()


worker, another, last = (pytest.fixture(a_worker, name=name) for name in ("worker", "another", "last"))


def told(worker: ServingState) -> dict:
    with TestClient(build_app(worker)) as client:
        response = client.get("/v1/models")
        return response.json() | {"status": response.status_code}


def change_state(logged: Path, change) -> None:
    """Change a model and give it the checksums of what it has become."""
    files = model_files(logged)
    content = json.loads((files / "model.json").read_text())
    change(content)
    (files / "model.json").write_text(json.dumps(content))
    manifest = json.loads((files / "manifest.json").read_text())
    manifest["model.json"] = file_digest(files / "model.json")
    (files / "manifest.json").write_text(json.dumps(manifest))


# ------------------------------------------------------------------------------------------------- looking it up


def test_what_is_found_by_sql_is_what_mlflow_finds(versions):
    versions.promote(versions.add())
    for asked in (MODEL, None):
        found, expected = look(asked, "champion"), registry.find(asked, "champion")
        assert (found.name, found.version, found.run_id) == (expected.name, expected.version, expected.run_id)
    made = versions.client.get_model_version(MODEL, found.version).creation_timestamp
    assert found.registered_at.timestamp() == made / 1000
    assert (found.directory / "MLmodel").is_file()


def test_what_the_registry_lacks_is_one_sentence(versions):
    with pytest.raises(InputError, match="has no model 'other' with the alias 'champion'"):
        look("other", "champion")
    with pytest.raises(InputError, match="has no model 'propensity-small' with the alias 'later'"):
        look(MODEL, "later")
    versions.client.create_registered_model("other")
    with pytest.raises(InputError, match="several models; name one with --model: other, propensity-small"):
        look(None, "champion")


def test_a_registry_without_its_database_is_down_and_none_is_made(tmp_path):
    with pytest.raises(RegistryDown, match="the database does not exist"):
        look(MODEL, "champion", f"sqlite:///{tmp_path / 'gone.db'}")
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_refuses_or_hangs_is_down_soon_and_its_password_is_not_shown(monkeypatch):
    monkeypatch.setattr("propensity.registered.PATIENCE_SECONDS", 0.5)
    with socket.socket() as hanging:
        hanging.bind(("127.0.0.1", 0))
        address = f"http://me:secret@127.0.0.1:{hanging.getsockname()[1]}"
        for listening in (False, True):
            if listening:
                hanging.listen()
            started = time.monotonic()
            with pytest.raises(RegistryDown) as caught:
                look(MODEL, "champion", address)
            assert time.monotonic() - started < 5
            assert "does not answer" in str(caught.value)
            assert "secret" not in str(caught.value)


# ----------------------------------------------------------------------------------------------- what it goes on to


def test_it_serves_the_champion_and_says_what_and_since_when(versions, worker, settings):
    before = datetime.now(UTC)
    assert told(worker)["status"] == 503
    worker.turn(settings)
    assert worker.ready
    found = told(worker)
    assert (found["name"], found["version"], found["model_version"]) == (MODEL, "1", f"{MODEL}/1")
    assert (found["alias"], found["source"], found["refused"], found["previous"]) == ("champion", "registry", None, [])
    assert before <= datetime.fromisoformat(found["serving_since"]) <= datetime.now(UTC)
    assert datetime.fromisoformat(found["registered_at"]) < before


def test_a_promotion_is_picked_up_whole_and_the_old_model_is_let_go(versions, worker, settings):
    worker.turn(settings)
    old = worker.serving
    taken = worker.required()
    versions.promote(versions.add())
    worker.turn(settings)
    assert taken == (old.model, worker.ledger)  # a request in flight keeps what it took
    assert worker.model is not old.model
    assert (worker.model.version, worker.serving.pointed.version) == (f"{MODEL}/2", "2")
    (previous,) = told(worker)["previous"]
    assert (previous["version"], previous["until"]) == ("1", worker.serving.since.isoformat())
    # after gc.freeze only what has no cycles is let go
    gone = weakref.ref(old.model)
    del old, taken
    assert gone() is None


def test_without_a_change_nothing_is_loaded_again(versions, worker, settings):
    worker.turn(settings)
    serving = worker.serving
    worker.turn(settings)
    assert worker.serving is serving


def test_a_rollback_comes_from_the_registry_again(versions, worker, settings):
    worker.turn(settings)
    versions.promote(versions.add())
    worker.turn(settings)
    versions.promote("1")
    worker.turn(settings)
    assert [p["version"] for p in told(worker)["previous"]] == ["2", "1"]
    assert copies.last_good(settings.state, "champion").pointed.version == "1"


# --------------------------------------------------------------------------------------------- what it must not serve


def without_signature(logged: Path) -> None:
    text = (logged / "MLmodel").read_text()
    (logged / "MLmodel").write_text(text[: text.index("signature:")])


def corrupt(logged: Path) -> None:
    file = model_files(logged) / "model.json"
    file.write_text(file.read_text().replace('"mode"', '"made"', 1))


def lacking(logged: Path) -> None:
    next(model_files(logged).glob("boosters/*.txt")).unlink()


def unapproved(logged: Path) -> None:
    change_state(logged, lambda content: content["playbook"].update(currency="EUR"))


def nonsense(logged: Path) -> None:
    change_state(logged, lambda content: content.pop("features"))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (without_signature, "MLflow knows no signature"),
        (corrupt, "files are missing, changed"),
        (lacking, "files are missing, changed"),
        (unapproved, "nobody approved its playbook small"),
        (nonsense, "files cannot be read"),
    ],
)
def test_a_bad_version_is_refused_once_and_the_old_one_stays(versions, worker, settings, caplog, change, why):
    worker.turn(settings)
    versions.promote(versions.add(change))
    for _ in range(3):
        worker._retry_at = 0.0  # as if time had passed
        worker.turn(settings)
    found = told(worker)
    assert (found["version"], found["refused"]["version"]) == ("1", "2")
    assert why in found["refused"]["why"]
    assert "/" not in found["refused"]["why"].replace(f"{MODEL}/2", "")
    assert len([r for r in caplog.records if r.getMessage().startswith("Refused: ")]) == 1
    assert copies.last_good(settings.state, "champion").pointed.version == "1"
    versions.promote("1")
    worker.turn(settings)
    assert told(worker)["refused"] is None


def test_a_refused_version_serves_when_its_playbook_is_approved(versions, worker, settings, email_playbook):
    worker.turn(settings)
    versions.promote(versions.add(unapproved))
    worker.turn(settings)
    approve_playbook(worker.ledger, email_playbook.model_copy(update={"currency": "EUR"}), who="Ann")
    worker.turn(settings)
    assert told(worker)["version"] == "1"  # it is not tried at every turn
    worker._retry_at = 0.0
    worker.turn(settings)
    assert (told(worker)["version"], told(worker)["refused"]) == ("2", None)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda d, p: (d.assign(net_value=math.nan), p), "net_value not finite"),
        (lambda d, p: (d.assign(uplift=math.inf), p), "uplift not finite"),
        (lambda d, p: (d.assign(probability=0.0), p), r"not in \(0, 1\]"),
        (lambda d, p: (d.assign(probability=1.2), p), r"not in \(0, 1\]"),
        (lambda d, p: (d.assign(action="carrier_pigeon"), p), "an action that the playbook does not have"),
        (lambda d, p: (d, p * 0.5), "do not add up to 1"),
    ],
)
def test_decisions_that_are_not_sane_are_refused(small_model, monkeypatch, spoil, why):
    require_sane_decisions(small_model)

    class Spoilt(Wave):
        def decide(self):
            return spoil(*super().decide())

    monkeypatch.setattr(checks, "Wave", Spoilt)
    with pytest.raises(ModelRefused, match=why):
        require_sane_decisions(small_model)


def test_each_category_that_a_model_learnt_is_tried(trained, monkeypatch):
    learnt = {name: trained.model.features.categories[name] for name in ("region", "reason")}
    tried: list[dict] = []

    def seen(rows, *rest):
        tried.extend(rows)
        return check_customers(rows, *rest)

    monkeypatch.setattr(checks, "check_customers", seen)
    require_sane_decisions(trained.model)
    assert any(learnt.values())
    for name, found in learnt.items():
        assert set(found) <= {row.get(name) for row in tried}, name


def test_a_model_that_cannot_decide_is_refused(small_model, monkeypatch):
    monkeypatch.setattr(small_model, "unsubscribe_effect", small_model.unsubscribe_effect * math.nan)
    with pytest.raises(ModelRefused, match="deciding for made customers failed"):
        require_sane_decisions(small_model)


# ------------------------------------------------------------------------------------------------- the last good copy


def test_with_the_registry_gone_it_starts_from_its_last_good_copy_and_says_so(
    versions, worker, another, settings, caplog
):
    worker.turn(settings)
    versions.file.rename(versions.file.with_suffix(".away"))
    worker.turn(settings)
    assert worker.ready  # what serves goes on
    another.turn(settings)
    assert another.ready
    found = told(another)
    assert (found["version"], found["source"]) == ("1", "last good copy")
    assert found["registry_down_since"] is not None
    assert "the database does not exist" in caplog.text
    with TestClient(build_app(another)) as client:
        asked = {"campaign": "c", "at": "2026-03-05T09:00:00Z", "customer": PERSON}
        assert client.post("/v1/decisions", json=asked).json()["decisions"][0]["status"] == "decided"
    versions.file.with_suffix(".away").rename(versions.file)
    another.turn(settings)
    found = told(another)
    assert (found["version"], found["source"], found["registry_down_since"]) == ("1", "registry", None)
    assert found["previous"] == []


def test_a_start_with_a_bad_champion_serves_what_served_before(versions, worker, another, settings):
    worker.turn(settings)
    versions.promote(versions.add(corrupt))
    another.turn(settings)
    found = told(another)
    assert (found["version"], found["source"], found["refused"]["version"]) == ("1", "last good copy", "2")


def test_a_copy_that_was_changed_is_not_served(versions, worker, another, last, settings, caplog):
    worker.turn(settings)
    copy = copies.last_good(settings.state, "champion")
    file = next(copy.pointed.directory.glob("boosters/*.txt"))
    file.write_text(file.read_text() + "\n")
    another.turn(settings)
    assert told(another)["source"] == "registry"  # which has the files
    copy.require_intact()  # they have taken its place
    file.write_text(file.read_text() + "\n")
    versions.file.unlink()
    last.turn(settings)
    assert not last.ready
    assert "is not the file that was saved" in caplog.text


def test_workers_that_keep_the_same_copy_at_once_leave_one_that_is_whole(versions, settings):
    pointed = look(MODEL, "champion")
    failed: list[Exception] = []

    def keep() -> None:
        try:
            for _ in range(10):
                copies.keep(settings.state, "champion", pointed, model_files(pointed.directory))
                copies.last_good(settings.state, "champion").require_intact()
        except Exception as error:  # noqa: BLE001 - told below
            failed.append(error)

    threads = [threading.Thread(target=keep) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    home = settings.state / "models" / MODEL
    kept = copies.last_good(settings.state, "champion").pointed.directory
    assert [p for p in home.iterdir() if p.is_dir()] == [kept]


def test_a_copy_that_another_worker_put_there_meanwhile_stays_in_its_place(versions, settings, monkeypatch):
    pointed = look(MODEL, "champion")
    copytree, put = shutil.copytree, []

    def another_is_quicker(*arguments: object) -> object:
        monkeypatch.setattr(shutil, "copytree", copytree)
        copies.keep(settings.state, "champion", pointed, model_files(pointed.directory))
        put.append(copies.last_good(settings.state, "champion").pointed.directory.stat().st_ino)
        return copytree(*arguments)

    monkeypatch.setattr(shutil, "copytree", another_is_quicker)
    copies.keep(settings.state, "champion", pointed, model_files(pointed.directory))
    assert [copies.last_good(settings.state, "champion").pointed.directory.stat().st_ino] == put


def test_nothing_that_is_kept_is_a_pickle_and_only_a_few_versions_are(versions, worker, settings):
    for number in range(1, copies.KEPT + 3):
        versions.promote(str(number))
        worker.turn(settings)
        versions.add(lambda logged, n=number: change_state(logged, lambda c: c.update(random_state=n)))
        assert copies.last_good(settings.state, "champion").pointed.version == str(number)
    home = settings.state / "models" / MODEL
    assert {p.name.partition("-")[0] for p in home.iterdir() if p.is_dir()} == {"3", "4", "5"}
    assert {p.suffix for p in home.rglob("*") if p.is_file()} == {".json", ".txt"}


def test_notes_of_others_that_cannot_be_read_do_no_harm(versions, settings):
    pointed = look(MODEL, "champion")
    home = settings.state / "models" / MODEL
    home.mkdir(parents=True)
    for name, content in (("one", "["), ("two", "[]"), ("three", "{}")):
        (home / f"{name}.json").write_text(content)
    copies.keep(settings.state, "champion", pointed, model_files(pointed.directory))
    assert copies.last_good(settings.state, "champion").pointed.version == "1"


def test_what_a_killed_worker_left_goes_after_a_while(versions, settings, monkeypatch):
    pointed = look(MODEL, "champion")
    left = settings.state / "models" / MODEL / ".1-abc-0123"
    left.mkdir(parents=True)
    os.utime(left, (0, 0))  # as a copy has it while it is made
    copies.keep(settings.state, "champion", pointed, model_files(pointed.directory))
    assert left.exists()
    monkeypatch.setattr(copies, "ASIDE_SECONDS", -1)
    copies.keep(settings.state, "champion", pointed, model_files(pointed.directory))
    assert not left.exists()
    assert copies.last_good(settings.state, "champion").pointed.directory.is_dir()


def test_a_version_whose_files_cannot_be_had_is_told_once_and_the_old_one_stays(
    versions, worker, settings, caplog, monkeypatch
):
    caplog.set_level("INFO")
    worker.turn(settings)
    versions.promote(versions.add())

    @contextmanager
    def gone(pointed: Pointed) -> Iterator[Path]:
        raise RegistryDown(f"model {pointed.title}: its files cannot be had")
        yield

    with monkeypatch.context() as patch:
        patch.setattr(state, "fetched", gone)
        worker.turn(settings)
        since = told(worker)["registry_down_since"]
        for _ in range(3):
            worker.turn(settings)
        assert (told(worker)["version"], told(worker)["registry_down_since"]) == ("1", since)
    assert since is not None
    said = [r.getMessage() for r in caplog.records if "files cannot be had" in r.getMessage()]
    assert said == [f"model {MODEL}/2: its files cannot be had"]
    assert "answers again" not in caplog.text
    worker.turn(settings)
    assert (told(worker)["version"], told(worker)["registry_down_since"]) == ("2", None)
    assert "MLflow: answers again" in caplog.text


def test_a_copy_of_what_is_refused_is_not_fetched_again(versions, worker, another, settings, tmp_path, monkeypatch):
    worker.turn(settings)
    fresh = f"sqlite:///{tmp_path / 'fresh.db'}"
    Ledger(fresh).create().close()
    brought: list[str] = []

    @contextmanager
    def counted(pointed: Pointed) -> Iterator[Path]:
        brought.append(pointed.title)
        yield pointed.directory

    monkeypatch.setattr(state, "fetched", counted)
    another.turn(replace(settings, ledger=fresh))  # in which nobody approved its playbook
    assert "nobody approved" in another.refused.told
    assert brought == []


# ------------------------------------------------------------------------------------------------------------ readiness


def test_it_is_not_ready_while_the_ledger_does_not_answer_and_recovers(versions, worker, settings, monkeypatch):
    monkeypatch.setattr(state, "LEDGER_FRESH_SECONDS", 0.0)
    worker.turn(settings)
    assert worker.ready
    file = Path(settings.ledger.removeprefix("sqlite:///"))
    worker.ledger.close()
    file.rename(file.with_suffix(".away"))
    assert not worker.ready
    file.unlink(missing_ok=True)
    worker.ledger.close()
    file.with_suffix(".away").rename(file)
    assert worker.ready


def test_whether_the_ledger_answers_is_told_by_one_request_at_a_time(versions, worker, settings, monkeypatch):
    worker.turn(settings)
    alone: list[bool] = []
    monkeypatch.setattr(worker, "_say", lambda *_: alone.append(worker._asking.locked()))
    assert worker.ready
    assert alone == [True]


def test_a_ledger_that_cannot_be_opened_gives_back_its_connections(versions, worker, settings, monkeypatch):
    closed: list[Ledger] = []

    def broken(self: Ledger) -> Ledger:
        raise RuntimeError("of no kind that was foreseen")

    monkeypatch.setattr(Ledger, "open", broken)
    monkeypatch.setattr(Ledger, "close", lambda self: closed.append(self))
    worker.turn(settings)
    assert (len(closed), worker.ledger) == (1, None)


def test_a_ledger_that_comes_later_is_opened_then(versions, worker, settings, tmp_path):
    file = Path(settings.ledger.removeprefix("sqlite:///"))
    file.rename(tmp_path / "later.db")
    worker.turn(settings)
    assert not worker.ready
    (tmp_path / "later.db").rename(file)
    worker.turn(settings)
    assert worker.ready
