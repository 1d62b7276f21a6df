"""The registry gives back the model that was registered, or says in one sentence why it cannot."""

from __future__ import annotations

import pandas as pd
import pytest
from mlflow.tracking import MlflowClient

from propensity import registry
from propensity.errors import InputError, JobError

AT = pd.Timestamp("2026-05-31T09:00:00Z")


def test_the_loaded_model_decides_as_the_trained_one_did(mlflow_of_trained, small_dataset):
    model, registered = registry.load("propensity-small", "champion")
    assert registered == mlflow_of_trained.registered
    assert model.version == mlflow_of_trained.model.version
    people = small_dataset.customers
    pd.testing.assert_frame_equal(
        model.decide(people, at=AT, campaign="c"), mlflow_of_trained.model.decide(people, at=AT, campaign="c")
    )


def test_without_a_name_the_only_model_is_meant(mlflow_of_trained):
    assert registry.load()[1].name == "propensity-small"


def test_versions_lists_the_model_with_its_alias_and_worth(mlflow_of_trained):
    (row,) = registry.versions()
    assert (row["name"], row["version"], row["aliases"]) == ("propensity-small", "1", ["champion"])
    worth = mlflow_of_trained.assessment.policy("model").net_value.value
    assert row["metrics"]["model.net_value_per_1000"] == worth


def test_a_missing_alias_names_what_there_is(mlflow_of_trained):
    said = r"'propensity-small' has no 'chalenger' \(versions with their aliases: 1 champion\); name one of these"
    with pytest.raises(InputError, match=said):
        registry.load("propensity-small", "chalenger")


def test_a_missing_model_names_what_there_is(mlflow_of_trained):
    with pytest.raises(InputError, match=r"has no model 'propensity' \(registered models: propensity-small\)"):
        registry.load("propensity")


def test_an_empty_registry_says_how_to_fill_it(empty_mlflow):
    assert registry.versions() == []
    with pytest.raises(InputError, match="holds no registered model; make one with: propensity train"):
        registry.load()


def test_several_models_need_a_name(empty_mlflow):
    client = MlflowClient(empty_mlflow)
    for name in ("b", "a"):
        client.create_registered_model(name)
    with pytest.raises(InputError, match="holds several models; name one with --model: a, b"):
        registry.load()


def test_a_version_is_found_by_its_number_as_by_its_alias(mlflow_of_trained):
    assert registry.find("propensity-small", "1") == registry.find("propensity-small", "champion")
    assert registry.find("propensity-small").aliases == ("champion",)


@pytest.mark.parametrize("which", ["2", "99"])
def test_a_missing_version_names_those_that_are(mlflow_of_trained, which):
    with pytest.raises(InputError, match=rf"has no version {which} \(versions with their aliases: 1 champion\)"):
        registry.load("propensity-small", which)


def test_who_is_the_champion(registry_copy):
    assert registry.champion_version("propensity-small") == "1"
    assert registry.champion_version("nobody's") is None
    MlflowClient().delete_registered_model_alias("propensity-small", "champion")
    assert registry.champion_version("propensity-small") is None
    registry.make_champion("propensity-small", "1", instead_of=None, tags={"who": "ann"})
    assert registry.champion_version("propensity-small") == "1"
    assert MlflowClient().get_model_version("propensity-small", "1").tags == {"who": "ann"}


def test_the_champion_is_not_moved_when_it_is_another_than_was_thought(registry_copy):
    with pytest.raises(JobError, match=r"version 1 became the champion while this was decided on \(it was 7\)"):
        registry.make_champion("propensity-small", "1", instead_of="7", tags={"who": "ann"})
    assert MlflowClient().get_model_version("propensity-small", "1").tags == {}


def test_the_parameters_of_a_run_come_with_its_version(mlflow_of_trained):
    (row,) = registry.versions()
    assert row["parameters"] == registry.parameters(mlflow_of_trained.registered)
    assert row["parameters"]["mode"] == mlflow_of_trained.model.mode


def test_a_file_that_was_not_logged_is_named(mlflow_of_trained):
    with pytest.raises(InputError, match=r"^model propensity-small/1: MLflow at .* keeps no nothing\.json"):
        registry.artifact(mlflow_of_trained.registered, "nothing.json")


def test_a_server_that_does_not_answer_is_a_failed_job_in_one_line(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    said = r"^MLflow at http://127\.0\.0\.1:9: does not answer; start it, or name another"
    for act in (registry.versions, registry.load, lambda: registry.champion_version("x")):
        with pytest.raises(JobError, match=said):
            act()


def test_runs_that_never_ended_are_marked_with_those_under_them(empty_mlflow):
    registry.tracking_uri()
    client = MlflowClient(empty_mlflow)
    experiment = client.create_experiment("trainings")
    mine = client.create_run(experiment, tags={"of": "here"}).info.run_id
    under = client.create_run(experiment, tags={"mlflow.parentRunId": mine}).info.run_id
    ended = client.create_run(experiment, tags={"of": "here"}).info.run_id
    client.set_terminated(ended, "FINISHED")
    other = client.create_run(experiment, tags={"of": "elsewhere"}).info.run_id
    assert registry.end_dead_runs("trainings", "of", "here") == 2
    found = {run: client.get_run(run).info.status for run in (mine, under, ended, other)}
    assert found == {mine: "KILLED", under: "KILLED", ended: "FINISHED", other: "RUNNING"}
    assert registry.end_dead_runs("no trainings", "of", "here") == 0
