"""Training registers what it assessed, and MLflow shows the assessment's own figures."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import mlflow
import pytest
from mlflow.tracking import MlflowClient

from propensity import registry
from propensity.assessment import Assessment
from propensity.contract import CUSTOMERS
from propensity.errors import InputError
from propensity.features import required_columns
from propensity.frame import is_held_out_of_training
from propensity.progress import Steps
from propensity_training.pipeline import fingerprint, train


@pytest.fixture
def run(mlflow_of_trained):
    return MlflowClient(mlflow_of_trained.registered.tracking_uri).get_run(mlflow_of_trained.registered.run_id)


def test_the_version_is_the_champion_and_the_model_bears_its_name(mlflow_of_trained):
    client = MlflowClient(mlflow_of_trained.registered.tracking_uri)
    found = client.get_model_version_by_alias("propensity-small", "champion")
    assert (str(found.version), found.run_id) == ("1", mlflow_of_trained.registered.run_id)
    assert mlflow_of_trained.model.version == "propensity-small/1"


def test_mlflow_shows_the_assessments_own_figures(run, mlflow_of_trained):
    assessment = mlflow_of_trained.assessment
    metrics = run.data.metrics
    for policy in assessment.policies:
        for name in ("reactivations", "revenue", "net_value"):
            key, estimate = f"{policy.key}.{name}_per_1000", getattr(policy, name)
            assert [metrics[key], metrics[f"{key}.low"], metrics[f"{key}.high"]] == [
                estimate.value,
                estimate.low,
                estimate.high,
            ]
    assert (metrics["autoc"], metrics["qini"]) == (assessment.autoc.value, assessment.qini.value)


def test_the_assessment_lies_beside_the_model_and_is_strict_json(mlflow_of_trained):
    content = registry.artifact(mlflow_of_trained.registered, "assessment.json")
    assert "NaN" not in json.dumps(content)
    assert Assessment.from_json(content).policies == mlflow_of_trained.assessment.policies


def test_the_run_says_which_data_and_settings_it_had(run, small_dataset):
    told = run.data.params
    assert told["data"] == small_dataset.origin
    assert told["data_fingerprint"] == fingerprint(small_dataset)
    assert told["playbook_version"] == small_dataset.playbook.version
    assert (told["seed"], told["held_out_share"]) == ("0", "0.5")
    assert int(told["n_training"]) + int(told["n_held_out"]) == len(small_dataset.contacts)


def test_the_fingerprint_changes_with_any_value(small_dataset):
    outcomes = small_dataset.outcomes.copy()
    outcomes.loc[0, "amount"] = 12.34
    assert fingerprint(replace(small_dataset, outcomes=outcomes)) != fingerprint(small_dataset)


def test_the_model_has_a_signature_with_every_column_of_a_decision(mlflow_of_trained):
    signature = mlflow.models.get_model_info("models:/propensity-small@champion").signature
    known = {c.name for c in (*CUSTOMERS, *required_columns(mlflow_of_trained.model.playbook))}
    assert set(signature.inputs.input_names()) == known
    assert "probability" in signature.outputs.input_names()


def test_no_artifact_is_a_pickle(mlflow_of_trained):
    database = mlflow_of_trained.registered.tracking_uri.removeprefix("sqlite:///")
    files = list(Path(database).parent.rglob("*"))
    assert {"model.json", "assessment.json", "MLmodel"} <= {f.name for f in files}
    assert not [f for f in files if f.suffix in (".pkl", ".pickle", ".joblib")]
    described = next(f for f in files if f.name == "MLmodel").read_text()
    assert "pyfunc_model.py" in described
    assert "python_model:" not in described


def test_mlflow_itself_can_predict_with_it(mlflow_of_trained, small_dataset):
    people = small_dataset.customers.head(100)
    model = mlflow.pyfunc.load_model("models:/propensity-small@champion")
    found = model.predict(people)
    told = mlflow_of_trained.model.decide(people, at=people["as_of"].max(), dry_run=True)
    assert list(found["action"]) == list(told["action"])
    assert found["send"].any()
    as_sent = people.astype({"as_of": str, "churned_at": str}).drop(columns=["account_access", "plan_tier"])
    assert len(model.predict(as_sent)) == len(people)
    assert found["probability"].to_numpy() == pytest.approx(told["probability"].to_numpy())


def test_an_arm_that_only_training_has_is_bad_input(small_dataset):
    contacts = small_dataset.contacts
    rare = contacts["action"] == "miss_you_email_percent_off"
    contacts = contacts[~rare | (rare.cumsum() == 1)]
    only = contacts.loc[rare, "customer_id"]
    seed = next(s for s in range(99) if not is_held_out_of_training(only, 0.2, s).any())
    with pytest.raises(InputError, match=r"nobody among \d+ got miss_you_email_percent_off"), Steps(3) as steps:
        train(replace(small_dataset, contacts=contacts), held_out_share=0.2, seed=seed, alias="x", steps=steps)
