"""The registry gives back the model that was registered, or says in one sentence why it cannot."""

from __future__ import annotations

import pandas as pd
import pytest
from mlflow.tracking import MlflowClient

from propensity import registry
from propensity.errors import InputError

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
