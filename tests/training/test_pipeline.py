"""Training registers what it assessed, and MLflow shows the assessment's own figures."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from simulated_waves import waves_dataset

from propensity import registry
from propensity.assessment import Assessment
from propensity.contact_times import ContactTimes
from propensity.contract import CONTROL, CUSTOMERS
from propensity.errors import InputError, JobError
from propensity.features import required_columns
from propensity.frame import is_held_out_of_training
from propensity.model import DecisionModel
from propensity.progress import Silent, Steps
from propensity_training import pipeline
from propensity_training.pipeline import STEPS, train
from propensity_training.unseen import PEOPLE_FILE, fingerprint


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
    assert told["split"] == "customers"
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
    with (
        pytest.raises(InputError, match=r"nobody among \d+ got miss_you_email_percent_off"),
        Steps(STEPS) as steps,
    ):
        train(replace(small_dataset, contacts=contacts), held_out_share=0.2, seed=seed, alias="x", steps=steps)


def test_who_is_left_out_is_told_apart_from_who_is_held_out(small_dataset):
    steps = Silent(pipeline.STEPS)
    settings = pipeline.Settings(0.5, 0, "customers")
    told = []
    for left_out in ((), ("9 decisions whose chances were not logged", "3 decisions for x, which is rare")):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(steps, "_line", told.append)
            pipeline._hold_out(replace(small_dataset, left_out=left_out), None, settings, steps)
    assert "left out" not in told[0]
    said = (
        "at random (as asked); left out: 9 decisions whose chances were not logged; 3 decisions for x, which is rare ("
    )
    assert said in told[1]


def all_came_back(dataset):
    decided = dataset.contacts[["customer_id", "decision_id", "decided_at"]]
    table = decided.rename(columns={"decided_at": "at"}).assign(event_id=decided["decision_id"], type="reactivated")
    return table.assign(source="a test", amount=0.0, at=table["at"] + pd.Timedelta(days=1))


@pytest.mark.parametrize(
    ("outcomes", "value", "found"),
    [
        (lambda data: data.outcomes[data.outcomes["type"] == "sent"], {}, "no reactivations"),
        (all_came_back, {}, "reactivations"),
        (
            lambda data: data.outcomes[data.outcomes["type"] != "purchased"],
            {"revenue_effect": "direct"},
            "no revenue",
        ),
    ],
)
def test_outcomes_that_do_not_differ_are_refused_in_words_of_their_owner(small_dataset, outcomes, value, found):
    book = small_dataset.playbook
    book = book.model_copy(update={"value": book.value.model_copy(update=value)})
    said = r"^a test: the \d,\d{3} decisions that teach do not differ in what followed them "
    with pytest.raises(InputError, match=rf"{said}\({found}\), so .* whether outcomes are missing$"):
        learn_here(replace(small_dataset, outcomes=outcomes(small_dataset), playbook=book))


def test_too_few_decisions_that_teach_are_counted_and_the_share_of_people_is_named(small_dataset):
    contacts = small_dataset.contacts
    few = contacts[contacts["action"] != CONTROL].groupby("action").head(60)
    with pytest.raises(
        InputError,
        match=r"^2 % of them: at least 50 decisions for each action must teach, found 0 for control, \d\d for better_"
        r"email_update, .*; bring more people, with a larger --people-share if one was named, or hold fewer out$",
    ):
        learn_here(replace(small_dataset, contacts=few, origin="2 % of them"))


def learn_here(dataset):
    return pipeline.learn(dataset, pipeline.Settings(0.5, 0), now=None, steps=Silent(pipeline.STEPS))


def train_here(dataset, **options):
    with Steps(STEPS) as steps:
        return train(dataset, **{"held_out_share": 0.5, "seed": 0, "alias": "challenger", "steps": steps, **options})


def saved(result, directory):
    """Every file of a model, but for the name it got in the registry."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(result.model, "version", "the same")
        result.model.save(directory)
    return {str(f.relative_to(directory)): f.read_bytes() for f in directory.rglob("*") if f.is_file()}


def test_training_again_gives_the_same_model_and_the_next_version_challenges(
    empty_mlflow, small_dataset, trained, tmp_path, capsys
):
    again = [train_here(small_dataset) for _ in range(2)]
    assert [a.registered.version for a in again] == ["1", "2"]
    assert [a.registered.aliases for a in again] == [("challenger", "champion"), ("challenger",)]
    said = capsys.readouterr().out
    assert "version 1 is the challenger, and the champion, because there was none" in said
    assert "version 2 is the challenger (" in said
    assert [registry.find(None, alias).version for alias in ("champion", "challenger")] == ["1", "2"]
    one, other, first = (saved(a, tmp_path / name) for a, name in zip((*again, trained), "abc", strict=True))
    assert one == other == first
    assert [name for name in one if name.startswith("boosters/")]
    people = small_dataset.customers.head(300)
    pd.testing.assert_frame_equal(
        again[0].model.predict(people, people["as_of"]).effect,
        trained.model.predict(people, people["as_of"]).effect,
        check_exact=True,
    )


@pytest.fixture(scope="module")
def waves(email_playbook):
    return waves_dataset(email_playbook, sizes=(1500, 800, 1500), days=(-200, -150, -100), effect_scale=12, n_again=100)


def test_waves_are_split_by_time_and_open_windows_wait(waves, empty_mlflow, capsys):
    first, between, last = sorted(set(waves.contacts["decided_at"]))
    found = train_here(waves, now=last + pd.Timedelta(days=90))
    assert found.split.kind == "time"
    assert set(found.split.training["decided_at"]) == {first}
    assert set(found.split.held_out["decided_at"]) == {last}
    n_between = (waves.contacts["decided_at"] == between).sum()
    said = capsys.readouterr().out
    assert f"{n_between} in between are on neither side; 100 people who taught do not count again" in said
    told = MlflowClient(empty_mlflow).get_run(found.registered.run_id).data.params
    assert (told["split"], told["n_held_out"]) == ("time", str(len(found.split.held_out)))
    # a day earlier the last wave's windows are open: nothing can be split by time any more
    earlier = train_here(waves, now=last + pd.Timedelta(days=89))
    n_open = (waves.contacts["decided_at"] == last).sum()
    assert earlier.split.kind == "customers"
    (step,) = [line for line in capsys.readouterr().out.splitlines() if "Hold people out" in line]
    # apart from who is held out
    assert f" days); left out: {n_open:,} decisions whose windows are open (" in step
    assert earlier.assessment.n_people + earlier.n_training == len(waves.contacts) - n_open


def test_before_any_window_has_closed_nothing_is_learnt(small_dataset):
    now = small_dataset.contacts["decided_at"].max() + pd.Timedelta(days=89)
    with pytest.raises(InputError, match=r"no decision has a closed .*\(90 days\).* closes on 2026-05-31"):
        train_here(small_dataset, now=now)


@pytest.mark.parametrize("broken", ["log_model", "alias", "people"])
def test_a_failure_on_the_way_moves_no_alias(trained, small_dataset, registry_copy, monkeypatch, broken):
    def fail(*_, **__):
        raise MlflowException("the disk is full")

    monkeypatch.setattr(DecisionModel, "fit", lambda self, frame: registry.load("propensity-small")[0])
    place, name = {
        "log_model": (mlflow.pyfunc, "log_model"),
        "alias": (MlflowClient, "set_registered_model_alias"),
        "people": (mlflow, "log_artifact"),
    }[broken]
    monkeypatch.setattr(place, name, fail)
    with pytest.raises(JobError, match=r"^MLflow at sqlite:.*: the disk is full$"):
        train_here(small_dataset)
    assert registry.find("propensity-small").version == trained.registered.version
    assert {a for row in registry.versions() for a in row["aliases"]} == {"champion"}


def test_the_artifact_of_training_people_holds_hashes_only(mlflow_of_trained):
    table = registry.table(mlflow_of_trained.registered, PEOPLE_FILE)
    assert list(table.columns) == ["customer_hash"]
    assert table["customer_hash"].dtype == "uint64"
    assert table["customer_hash"].is_monotonic_increasing
    assert len(table) == mlflow_of_trained.split.training["customer_id"].nunique()


def test_times_of_contact_are_learnt_from_training_alone_and_kept(small_dataset, empty_mlflow, monkeypatch):
    taught = []

    def fit(contacts, outcomes, customers, playbook):
        taught.extend(contacts["decision_id"])
        return ContactTimes({}, 55, len(contacts))

    monkeypatch.setattr(ContactTimes, "fit", staticmethod(fit))
    with Steps(STEPS) as steps:
        found = train(small_dataset, held_out_share=0.5, seed=0, alias="champion", steps=steps)
    assert set(taught) == set(found.split.training["decision_id"])
    assert registry.load(found.registered.name, "champion")[0].contact_times == ContactTimes({}, 55, len(taught))


def test_very_many_people_are_judged_by_some_of_them_the_same_each_time(small_dataset, empty_mlflow, monkeypatch):
    monkeypatch.setattr(pipeline, "JUDGES", 700)
    judged = [
        pipeline.learn(small_dataset, pipeline.Settings(0.5, 0), now=None, steps=Silent(pipeline.STEPS)) for _ in "ab"
    ]
    for found in judged:
        assert found.assessment.n_people == len(found.people.frame) == 700
        assert set(found.people.frame["decision_id"]) < set(found.sides.held_out["decision_id"])
    assert judged[0].assessment == judged[1].assessment
    assert judged[0].people.frame["decision_id"].tolist() == judged[1].people.frame["decision_id"].tolist()
