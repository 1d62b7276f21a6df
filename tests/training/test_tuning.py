"""The search for learners: repeatable, stoppable, and blind to held-out people."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mlflow.tracking import MlflowClient
from test_commands import people

from propensity.errors import InputError, JobError
from propensity.learners import RLearner, SLearner
from propensity.learners.heterogeneity import Heterogeneity
from propensity.learners.search import GENERAL, FoldScore
from propensity.model import DecisionModel
from propensity.progress import Steps
from propensity_training import pipeline, tuning
from propensity_training.tuning import Budget, tune

DIFFER = Heterogeneity(supported=True, t_statistic=3.0, p_value=0.001, level=0.01)
ALIKE = Heterogeneity(supported=False, t_statistic=0.0, p_value=0.5, level=0.01)


class QuickScore:
    """Scores learners by a formula instead of fits: slow learning is good, and R-learners are."""

    n_folds = 5
    scored = 0
    stop_at: tuple[int, int, type[BaseException]] | None = None
    """Raise at this trial and fold."""
    broken: tuple[type, ...] = ()
    """Kinds that cannot be fitted."""

    def __init__(self, *_: object) -> None: ...

    def by_fold(self, learner):
        number, QuickScore.scored = QuickScore.scored, QuickScore.scored + 1
        trees = getattr(learner, "settings", None) or learner.effect_settings
        for k in range(self.n_folds):
            if QuickScore.stop_at and QuickScore.stop_at[:2] == (number, k):
                raise QuickScore.stop_at[2]
            if isinstance(learner, QuickScore.broken):
                raise ValueError("too little\n data")
            score = 0.03 * isinstance(learner, RLearner) - abs(np.log(trees.learning_rate / 0.02)) / 100
            yield FoldScore(score + k, score)


@pytest.fixture
def quick(monkeypatch):
    """Trials that cost nothing, on people who differ."""
    for name, value in {"scored": 0, "stop_at": None, "broken": ()}.items():
        monkeypatch.setattr(QuickScore, name, value)
    monkeypatch.setattr(tuning, "SearchScore", QuickScore)
    found_to(monkeypatch, DIFFER)


def found_to(monkeypatch, test: Heterogeneity) -> None:
    class Stack:
        heterogeneity_ = test

        def __init__(self, seed): ...

        def fit_sample(self, *_):
            return self

    monkeypatch.setattr(tuning, "UpliftStack", Stack)


@pytest.fixture
def search(small_frame, small_dataset):
    def run(n_trials: int | None = 20, seed: int = 0, **options):
        budget = Budget(n_trials, options.pop("seconds", None), options.pop("storage", None))
        return tune(small_frame.head(600), small_dataset.playbook, budget, seed=seed, **options)

    return run


def told(result) -> list[tuple]:
    return [(t.state, t.settings, t.score, t.fold_scores) for t in result.trials if t.state != "unfinished"]


def test_the_search_starts_from_what_is_usual_and_finds_better(quick, search):
    found = search(40)
    assert [t.kind for t in found.trials[: len(GENERAL)]] == list(GENERAL)
    assert [t.state for t in found.trials[: len(GENERAL)]] == ["complete"] * len(GENERAL)
    # no draw is made twice
    assert len({str(t.settings) for t in found.trials}) == 40
    best = found.chosen[0]
    assert best.kind == "RLearner"
    assert best.score == max(t.score for t in found.trials if t.score is not None)
    assert best.score > found.trials[GENERAL.index("RLearner")].score
    assert isinstance(found.learners[0], RLearner)
    assert found.learners[0].effect_settings.learning_rate == best.settings["RLearner.learning_rate"]


def test_hopeless_trials_are_pruned_after_two_folds_or_more(quick, search):
    found = search(40)
    pruned = [t for t in found.trials if t.state == "pruned"]
    assert pruned
    assert {len(t.fold_scores) for t in pruned} == {2}
    kept = [t.score for t in found.trials if t.state == "complete"]
    assert all(t.score is None for t in pruned)
    assert not {t.number for t in pruned} & {t.number for t in found.chosen}
    assert f"40 trials ({len(pruned)} pruned)" in found.summary
    assert len(kept) + len(pruned) == 40


def test_the_same_seed_finds_the_same_and_another_something_else(quick, search):
    one, other, another = search(), search(), search(seed=1)
    assert told(one) == told(other)
    assert str(one.learners) == str(other.learners)
    assert told(one)[len(GENERAL) :] != told(another)[len(GENERAL) :]


@pytest.mark.parametrize("stop_at", [(0, 0), (3, 2), (7, 0), (15, 1)])
def test_a_search_that_was_stopped_goes_on_as_if_it_had_not_been(quick, search, tmp_path, monkeypatch, stop_at):
    whole = search()
    file = tmp_path / "search.journal"
    monkeypatch.setattr(QuickScore, "scored", 0)
    monkeypatch.setattr(QuickScore, "stop_at", (*stop_at, KeyboardInterrupt))
    with pytest.raises(JobError, match=rf"after {stop_at[0]} trials, which .*search\.journal keeps; the same command"):
        search(storage=file)
    monkeypatch.setattr(QuickScore, "stop_at", None)
    shown = []
    found = search(storage=file, show=lambda text, share: shown.append((text, share)))
    assert told(found) == told(whole)
    assert str(found.learners) == str(whole.learners)
    assert found.resumed == stop_at[0]
    assert sum(t.state == "unfinished" for t in found.trials) == 1
    assert (f"went on with {stop_at[0]} from {file}" in shown[0][0]) == (stop_at[0] > 0)
    # a third time there is nothing left to do
    before = QuickScore.scored
    assert told(search(storage=file)) == told(whole)
    assert QuickScore.scored == before


def test_a_crash_in_the_middle_of_a_line_loses_that_line_only(quick, search, tmp_path):
    file = tmp_path / "search.journal"
    search(10, storage=file)
    file.write_bytes(file.read_bytes()[:-20])
    found = search(12, storage=file)
    assert found.resumed == 9
    again = search(12, storage=file)
    assert again.resumed == 12
    assert told(found) == told(again) == told(search(12))


def test_without_storage_an_interrupt_says_what_would_have_kept_the_trials(quick, search, monkeypatch):
    monkeypatch.setattr(QuickScore, "stop_at", (2, 0, KeyboardInterrupt))
    with pytest.raises(JobError, match=r"interrupted after 2 trials, which are lost; --tune-storage FILE would"):
        search()


def test_more_trials_later_count_those_that_are_there(quick, search, tmp_path):
    file = tmp_path / "search.journal"
    search(5, storage=file)
    assert told(search(20, storage=file)) == told(search(20))


def test_other_data_seeds_or_files_are_refused(quick, search, small_frame, small_dataset, tmp_path):
    file = tmp_path / "search.journal"
    search(2, storage=file)
    content = file.read_bytes()
    with pytest.raises(InputError, match=r"holds the search of other data, another seed or another version"):
        search(2, seed=1, storage=file)
    frame = small_frame.head(600).copy()
    frame.loc[0, "reactivated"] = 1 - frame.loc[0, "reactivated"]
    with pytest.raises(InputError, match="other data"):
        tune(frame, small_dataset.playbook, Budget(2, storage=file), seed=0)
    assert file.read_bytes() == content


@pytest.mark.parametrize(
    "content", [b"a,b\n1,2\n", bytes(range(256)), b"{}\n", b"[1]\n", b'{"op_code": 5, "worker_id": "x"}\n', b"a note"]
)
def test_a_file_of_something_else_is_refused_and_left_alone(quick, search, tmp_path, content):
    file = tmp_path / "mine"
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"--tune-storage .*mine: expected the trials of a search, found"):
        search(2, storage=file)
    assert file.read_bytes() == content


@pytest.mark.parametrize("place", [".", "nowhere/search.journal"])
def test_a_place_that_cannot_be_written_is_refused(quick, search, tmp_path, place):
    with pytest.raises(InputError, match=r"cannot be used \(.*\); name another file"):
        search(2, storage=tmp_path / place)


def test_a_learner_that_fails_is_recorded_and_the_search_goes_on(quick, search, monkeypatch):
    monkeypatch.setattr(QuickScore, "broken", (SLearner,))
    found = search(20)
    failed = [t for t in found.trials if t.state == "failed"]
    assert {t.kind for t in failed} == {"SLearner"}
    assert {t.error for t in failed} == {"ValueError: too little data"}
    assert found.chosen[0].kind == "RLearner"
    assert f"{len(failed)} failed" in found.summary


def test_if_all_fail_the_first_error_is_named(quick, search, monkeypatch):
    monkeypatch.setattr(QuickScore, "broken", (object,))
    with pytest.raises(JobError, match=r"all 4 trials failed, the first \(SLearner\) with ValueError: too little data"):
        search(4)


def test_the_time_ends_a_search_between_folds(quick, search, monkeypatch):
    now = iter(range(10_000))
    monkeypatch.setattr(tuning.time, "monotonic", lambda: float(next(now)))
    shown = []
    found = search(None, seconds=30.0, show=lambda text, share: shown.append(share))
    assert 1 < len(found.trials) < 20
    assert found.trials[-1].state == "unfinished"
    assert 0 < len(found.trials[-1].fold_scores) < QuickScore.n_folds
    assert {t.state for t in found.trials[:-1]} == {"complete"}
    assert shown == sorted(shown)
    assert "1 unfinished" in found.summary


def test_no_time_at_all_leaves_the_default_learners(quick, search):
    found = search(None, seconds=0.0)
    assert (found.trials, found.chosen, len(found.learners)) == ([], [], 0)
    assert found.summary.startswith("0 trials; none better than the default learners")


def test_where_people_do_not_differ_nothing_is_chosen(quick, search, monkeypatch):
    found_to(monkeypatch, ALIKE)
    found = search()
    assert (len(found.trials), found.chosen, len(found.learners)) == (20, [], 0)
    assert "no differences between people are supported (p = 0.5)" in found.summary


def test_optuna_says_nothing(quick, search, capfd):
    search(3)
    said = capfd.readouterr()
    assert (said.out, said.err) == ("", "")


def test_progress_is_a_line_now_and_then_where_there_is_no_terminal(capsys, monkeypatch):
    now = iter([0.0, 10.0, 31.0, 31.0, 40.0])
    monkeypatch.setattr(tuning.time, "monotonic", lambda: next(now))
    with Steps(1) as steps:
        show = tuning.shown_on(steps)
        for n in (1, 2, 3):
            show(f"trial {n} of 3", n / 3)
    assert capsys.readouterr().out == "      trial 2 of 3\n"


class EnoughError(Exception):
    """What was to be seen has happened."""


def train_here(dataset, n_trials: int, **options):
    with Steps(pipeline.STEPS + 1) as steps:
        budget = Budget(n_trials)
        return pipeline.train(
            dataset, held_out_share=0.5, seed=0, alias="challenger", steps=steps, tuning=budget, **options
        )


def test_each_trial_is_a_run_under_the_models(empty_mlflow, small_dataset, tmp_path, capsys):
    done = train_here(small_dataset, 8)
    assert done.tuning is not None
    assert done.tuning.test.supported
    client = MlflowClient(empty_mlflow)
    parent = client.get_run(done.registered.run_id)
    runs = client.search_runs([parent.info.experiment_id], f"tags.mlflow.parentRunId = '{parent.info.run_id}'")
    assert len(runs) == len(done.tuning.trials) == 8
    by_name = {run.info.run_name: run for run in runs}
    for trial in done.tuning.trials:
        run = by_name[f"trial {trial.number}"]
        assert run.data.tags["state"] == trial.state
        assert run.info.status == {"complete": "FINISHED", "failed": "FAILED"}.get(trial.state, "KILLED")
        assert run.data.params == {k: str(v) for k, v in trial.settings.items()}
        assert run.data.metrics.get("score") == trial.score
        history = client.get_metric_history(run.info.run_id, "fold_score")
        assert [m.value for m in sorted(history, key=lambda m: m.step)] == trial.fold_scores
        assert run.info.end_time - run.info.start_time == pytest.approx(1000 * run.data.metrics["seconds"])

    # what joined the stack is told with the model, under the stack's names
    assert parent.data.params["tuning_trials"] == "8"
    assert done.tuning.chosen
    names = list(done.model.reactivation.weights_)
    assert len(names) == 3 + len(done.tuning.chosen)
    for name, trial in zip(names[3:], done.tuning.chosen, strict=True):
        assert parent.data.params[f"tuned_{name}_kind"] == trial.kind == name.split(" ")[0]
        assert parent.data.params[f"tuned_{name}_n_trees"] == str(trial.settings[f"{trial.kind}.n_trees"])
    assert "Search for learners that tell people apart better: 8 trials" in capsys.readouterr().out

    # the saved model needs no search to decide as before
    done.model.save(tmp_path / "model")
    people = small_dataset.customers.head(50)
    again = DecisionModel.load(tmp_path / "model").predict(people, people["as_of"]).effect
    assert again.equals(done.model.predict(people, people["as_of"]).effect)


def test_held_out_people_do_not_matter(small_dataset, monkeypatch):
    frames, found = [], []

    def tune_only(frame, *arguments, **options):
        frames.append(frame)
        found.append(tune(frame, *arguments, **options))
        raise EnoughError

    monkeypatch.setattr(pipeline, "tune", tune_only)
    monkeypatch.setattr(pipeline.registry, "champion_version", lambda name: None)
    with pytest.raises(EnoughError):
        train_here(small_dataset, 2)
    # those who are not in training lose all their outcomes
    theirs = ~small_dataset.contacts["customer_id"].isin(frames[0]["customer_id"])
    assert theirs.sum() > 1000
    spoilt = small_dataset.contacts[theirs]
    kept = small_dataset.outcomes[~small_dataset.outcomes["customer_id"].isin(spoilt["customer_id"])]
    assert len(kept) < len(small_dataset.outcomes)
    with pytest.raises(EnoughError):
        train_here(replace(small_dataset, outcomes=kept), 2)
    assert told(found[0]) == told(found[1])
    assert str(found[0].learners) == str(found[1].learners)


def test_the_command_tunes_and_goes_on(propensity, empty_mlflow, tmp_path):
    people(1_200, 1).to_csv(tmp_path / "people.csv", index=False)
    train = ("train", "--data", "people.csv", "--mapping", "hillstrom", "--tune-storage", "search.journal")
    code, _, error = propensity(*train)
    assert (code, "tunes nothing by itself; add --tune-trials or --tune-minutes" in error) == (2, True)
    code, said, error = propensity(*train, "--tune-trials", 2, "--result", "train.json")
    assert (code, error) == (0, "")
    assert "[3/7] Search for learners that tell people apart better: 2 trials" in said
    assert json.loads(Path("train.json").read_text())["tuning"]["trials"][0]["settings"]["kind"] == "SLearner"
    code, said, _ = propensity(*train, "--tune-trials", 3)
    assert "went on with 2 trials from search.journal; 3 trials" in said
    code, _, error = propensity(*train, "--tune-trials", 3, "--seed", 1)
    assert (code, "name a new file" in error, len(error.splitlines())) == (2, True, 1)
