"""Only people whom no training saw may judge a model, whatever file they come in."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from propensity import registry
from propensity.errors import InputError
from propensity_training.unseen import PEOPLE_FILE, people_table, split_as, unseen_people


def take(dataset, people):
    """The part of a data set that is about these people."""
    tables = {
        name: table[table["customer_id"].isin(set(people))].reset_index(drop=True)
        for name in ("customers", "contacts", "outcomes")
        for table in [getattr(dataset, name)]
    }
    return replace(dataset, **tables)


def test_on_the_data_of_its_training_exactly_the_held_out_judge(mlflow_of_trained, small_dataset):
    found = unseen_people(small_dataset, [mlflow_of_trained.registered])
    assert list(found.frame["decision_id"]) == list(mlflow_of_trained.split.held_out["decision_id"])
    n_seen, n_left = mlflow_of_trained.n_training, len(found.frame)
    assert (found.n_people, found.n_seen) == (n_seen + n_left, n_seen)
    assert found.line == (
        f"{n_left:,} people judge; the data of the training itself: {n_seen:,} of {n_seen + n_left:,} people were in "
        "training and do not count"
    )


def test_the_split_of_a_run_is_made_again_from_what_the_run_was_told(mlflow_of_trained, small_dataset):
    again = split_as(small_dataset, registry.parameters(mlflow_of_trained.registered))
    pd.testing.assert_frame_equal(again.training, mlflow_of_trained.split.training)
    pd.testing.assert_frame_equal(again.held_out, mlflow_of_trained.split.held_out)


def test_in_another_file_whoever_was_in_training_does_not_count(mlflow_of_trained, small_dataset):
    taught = mlflow_of_trained.split.training["customer_id"]
    strangers = mlflow_of_trained.split.held_out["customer_id"].head(150)
    found = unseen_people(take(small_dataset, [*taught.head(70), *strangers]), [mlflow_of_trained.registered])
    assert set(found.frame["customer_id"]) == set(strangers)
    assert found.line == "150 people judge; 70 of 220 people were in training and do not count"


def test_a_renamed_file_of_training_people_is_refused(mlflow_of_trained, small_dataset):
    taught = mlflow_of_trained.split.training["customer_id"]
    said = r"300 of 300 people were in training and do not count; 0 are left, at least 100 are needed; bring data"
    with pytest.raises(InputError, match=said):
        unseen_people(take(small_dataset, taught.head(300)), [mlflow_of_trained.registered])


def test_of_two_models_nobody_may_have_been_in_either_training(register_version, trained, small_dataset):
    champion = registry.find("propensity-small")
    others = trained.split.held_out["customer_id"].iloc[::2]
    challenger = register_version(people=others, data=take(small_dataset, others))
    found = unseen_people(small_dataset, [challenger, champion])
    assert set(found.frame["customer_id"]) == set(trained.split.held_out["customer_id"].iloc[1::2])


def test_open_windows_do_not_judge(mlflow_of_trained, small_dataset):
    at = small_dataset.contacts["decided_at"].max()
    assert len(unseen_people(small_dataset, [mlflow_of_trained.registered], at + pd.Timedelta(days=90)).frame) > 100
    with pytest.raises(InputError, match="no decision has a closed attribution window"):
        unseen_people(small_dataset, [mlflow_of_trained.registered], at + pd.Timedelta(days=89))


def test_a_model_that_does_not_say_whom_it_saw_is_refused(registry_copy, trained, small_dataset):
    registered = registry.register(
        registry.load("propensity-small")[0], "old", experiment="old", parameters={}, metrics={}, artifacts={}
    )
    with pytest.raises(InputError, match=rf"^model old/1: .* keeps no {PEOPLE_FILE} of its training; train it again"):
        unseen_people(small_dataset, [registered])


def test_the_table_of_people_depends_on_who_they_are_alone():
    table = people_table(pd.Series(["b", "a", "b", "c"]))
    assert len(table) == 3
    pd.testing.assert_frame_equal(table, people_table(pd.Series(["c", "b", "a"])))
    assert not set(table["customer_hash"]) & set(people_table(pd.Series(["A", "d"]))["customer_hash"])
