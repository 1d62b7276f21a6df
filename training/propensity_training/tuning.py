"""Tuning: a search for kinds and settings of learners that predict differences between people better."""

from __future__ import annotations

import hashlib
import math
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
from optuna.trial import FixedTrial, FrozenTrial, TrialState

from propensity import __version__
from propensity.errors import JobError
from propensity.features import FeatureBuilder
from propensity.frame import all_actions, logged_propensity
from propensity.learners._typing import Matrix
from propensity.learners.base import UpliftLearner
from propensity.learners.heterogeneity import Heterogeneity
from propensity.learners.sample import Sample, check_sample, derive_seed, factor_codes
from propensity.learners.search import KINDS, SearchScore, kinds_for, suggest_learner, usual_settings
from propensity.learners.stack import UpliftStack, default_learners
from propensity.playbook import Playbook
from propensity.progress import Steps
from propensity.registry import ChildRun, RunStatus
from propensity_training.search_storage import open_storage

N_CHOSEN = 2
"""Tuned learners that join the default ones, of different kinds."""
SEARCH_ROWS = 100_000
"""The search is made on at most so many people, drawn at random; as many as `UpliftStack` judges its learners on."""
BAR_WIDTH = 20
SECONDS_BETWEEN_LINES = 30.0
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
STATES = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "unfinished",
}
_STATUS: dict[str, RunStatus] = {"complete": "FINISHED", "failed": "FAILED"}


@dataclass(frozen=True)
class Budget:
    """How long to search, and where the search is kept.

    Attributes
    ----------
    n_trials : int, optional
        Stop at so many trials, with those that ``storage`` already holds.
    seconds : float, optional
        Stop after so much time. What is found then depends on the machine's speed.
    storage : Path, optional
        File that keeps the trials, so that a search that was stopped goes on.
    """

    n_trials: int | None = None
    seconds: float | None = None
    storage: Path | None = None

    def __post_init__(self) -> None:
        if self.n_trials is None and self.seconds is None:
            raise ValueError("budget: expected a number of trials or a time, found neither")


@dataclass(frozen=True)
class Trial:
    """One learner that was tried.

    Attributes
    ----------
    number : int
    state : {"complete", "pruned", "failed", "unfinished"}
    settings : dict
        ``kind`` and ``<kind>.<setting>``.
    score : float, optional
        See `SearchScore`; of complete trials.
    fold_scores : list of float
        Of each fold that was reached.
    started_ms, ended_ms : int
        Since 1970.
    error : str, optional
        Of failed trials.
    """

    number: int
    state: str
    settings: dict[str, Any]
    score: float | None
    fold_scores: list[float]
    started_ms: int
    ended_ms: int
    error: str | None = None

    @property
    def kind(self) -> str:
        """Kind of learner, of `KINDS`; empty where the trial failed before it was drawn."""
        return str(self.settings.get("kind", ""))

    def as_run(self) -> ChildRun:
        """The trial as a run of its own."""
        metrics = {"fold_score": self.fold_scores}
        if self.state != "unfinished":
            metrics["seconds"] = [(self.ended_ms - self.started_ms) / 1000]
        return ChildRun(
            name=f"trial {self.number}",
            status=_STATUS.get(self.state, "KILLED"),
            parameters=self.settings,
            metrics=metrics | ({} if self.score is None else {"score": [self.score]}),
            tags={"state": self.state} | ({} if self.error is None else {"error": self.error}),
            started_ms=self.started_ms,
            ended_ms=self.ended_ms,
        )


@dataclass(frozen=True)
class Tuning:
    """What a search found.

    Attributes
    ----------
    learners : list of UpliftLearner
        One for each of ``chosen``, as `DecisionModel` takes them.
    chosen : list of Trial
        The best trials of different kinds, best first: those that are better than no differences at all and are not
        among the default learners already.
    trials : list of Trial
        All of them.
    resumed : int
        Trials that the storage already held.
    test : Heterogeneity
        Of the default learners alone; where it supports no differences between people, nothing is chosen.
    summary : str
        For people.
    """

    learners: list[UpliftLearner]
    chosen: list[Trial]
    trials: list[Trial]
    resumed: int
    test: Heterogeneity
    summary: str

    def parameters(self, names: list[str]) -> dict[str, Any]:
        """Settings of the chosen learners, under the names that the stack gave them, the tuned ones last."""
        told: dict[str, Any] = {"tuning_trials": len(self.trials)}
        for name, trial in zip(names[len(names) - len(self.chosen) :], self.chosen, strict=True):
            told[f"tuned_{name}_trial"] = trial.number
            told |= {f"tuned_{name}_{k.removeprefix(trial.kind + '.')}": v for k, v in trial.settings.items()}
        return told

    def to_json(self) -> dict[str, Any]:
        """As JSON-ready values, without the learners themselves."""
        return {
            "trials": [asdict(t) for t in self.trials],
            "chosen": [t.number for t in self.chosen],
            "resumed": self.resumed,
            "test": asdict(self.test),
        }


def tune(
    frame: pd.DataFrame,
    playbook: Playbook,
    budget: Budget,
    *,
    seed: int,
    show: Callable[[str, float], None] = lambda text, share: None,
) -> Tuning:
    """Search learners of the effect on coming back, for a `DecisionModel` of this seed.

    Parameters
    ----------
    frame : DataFrame
        Training frame; people who are to judge the model must not be in it.
    playbook : Playbook
    budget : Budget
    seed : int
        The same seed, data and number of trials give the same result, in one go or in several.
    show : callable
        Told what is going on, and which share of the budget is used.

    Raises
    ------
    InputError
        The storage cannot be used, or the frame cannot be learnt from.
    JobError
        All trials failed, or the search was interrupted.

    Notes
    -----
    The first trials are the kinds' usual settings; then a tree-structured Parzen estimator draws (Bergstra et al. 2011;
    Falkner et al. 2018 for settings drawn jointly). A trial that after two folds or more lies below the median of the
    complete ones at the same fold is pruned.

    Learners that were chosen by these people's outcomes pass the test for differences between these people a little too
    often. So the stack tests the default ones alone, and none are tuned where these do not pass.
    """
    start = time.monotonic()
    sample, factors = _sample(frame, playbook, seed)
    search = _Search(sample, factors, budget, seed)
    resumed = len(search.finished())
    search.run(start, show)
    trials = [_trial(t) for t in search.study.get_trials(deepcopy=False)]
    _require_success(trials)
    show("test whether people differ", 1.0)
    stack_seed = derive_seed(seed, "reactivation")
    test = UpliftStack(stack_seed).fit_sample(sample, factors).heterogeneity_
    usual = {type(learner).__name__ for learner in default_learners(sample, factors, 0, sample.actions[0])}
    chosen = _choose(trials, len(sample.y), usual) if test.supported else []
    learners = [search.learner(FixedTrial(trial.settings)) for trial in chosen]
    return Tuning(learners, chosen, trials, resumed, test, _summary(trials, chosen, test, resumed, budget))


def shown_on(steps: Steps) -> Callable[[str, float], None]:
    """Show a search as a step's detail with a bar; elsewhere than on a terminal as a line now and then."""
    said = time.monotonic()

    def show(text: str, share: float) -> None:
        nonlocal said
        full = round(min(share, 1.0) * BAR_WIDTH)
        steps.detail(f"Search for learners {'━' * full}{'─' * (BAR_WIDTH - full)} {text}")
        if not sys.stdout.isatty() and time.monotonic() - said >= SECONDS_BETWEEN_LINES:
            said = time.monotonic()
            print(f"      {text}", flush=True)

    return show


def _sample(frame: pd.DataFrame, playbook: Playbook, seed: int) -> tuple[Sample, Matrix]:
    """What `DecisionModel` learns the effect on coming back from, or a random part of very much."""
    if len(frame) > SEARCH_ROWS:
        frame = frame.sample(SEARCH_ROWS, random_state=derive_seed(seed, "search rows")).sort_index()
    seen = set(frame["action"])
    actions = all_actions([a for a in playbook.labels if a in seen])
    X = FeatureBuilder.fit(frame, playbook).transform(frame, frame["decided_at"])
    sample = check_sample(
        X, frame["action"], frame["reactivated"].to_numpy(dtype=float), logged_propensity(frame, actions)
    )
    return sample, factor_codes(playbook.factors(), sample.actions)


class _Search:
    """A study that can be stopped at any time, and then goes on as if it had not been."""

    def __init__(self, sample: Sample, factors: Matrix, budget: Budget, seed: int) -> None:
        self.sample, self.factors, self.budget, self.seed = sample, factors, budget, seed
        self.kinds = kinds_for(sample.y)
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.study = optuna.create_study(
            storage=open_storage(budget.storage, self.name),
            study_name=self.name,
            direction="maximize",
            pruner=optuna.pruners.MedianPruner(n_startup_trials=len(self.kinds), n_warmup_steps=1),
            load_if_exists=True,
        )

    @property
    def name(self) -> str:
        """Names everything that the trials depend on: other data, or another search, make another study."""
        digest = hashlib.sha256()
        s = self.sample
        for array in (s.X, s.arm, s.y, s.propensity, s.weight, self.factors):
            digest.update(f"{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        ranges = [(kind, KINDS[kind].usual, KINDS[kind].ranges) for kind in self.kinds]
        digest.update(f"{s.actions} {s.encoder} {ranges}".encode())
        return f"propensity {__version__}, data and settings {digest.hexdigest()[:16]}, seed {self.seed}"

    def finished(self) -> list[FrozenTrial]:
        """Trials that have an end; those that a stop cut off do not count and are made again."""
        return self.study.get_trials(deepcopy=False, states=FINISHED)

    def learner(self, draws: Any) -> UpliftLearner:
        """The learner of a trial."""
        return suggest_learner(draws, self.kinds, len(self.sample.y), derive_seed(self.seed, "tuned"))

    def run(self, start: float, show: Callable[[str, float], None]) -> None:
        """Try learners until the budget is used."""
        n_trials, seconds = self.budget.n_trials, self.budget.seconds
        score: SearchScore | None = None
        n_done = len(self.finished())
        went_on = f"; went on with {n_done} from {self.budget.storage}" if n_done else ""
        try:
            while (n_trials is None or n_done < n_trials) and self._time_left(start):
                if score is None:
                    score = SearchScore(self.sample, self.factors, self.seed)
                spent = 0.0 if seconds is None else (time.monotonic() - start) / seconds
                share = max(spent, 0.0 if n_trials is None else n_done / n_trials)
                show(f"trial {n_done + 1}{f' of {n_trials}' if n_trials else ''}{self._best()}{went_on}", share)
                self._try(self._ask(n_done), score, start)
                n_done = len(self.finished())
        except KeyboardInterrupt:
            raise JobError(self._where_it_stands(n_done)) from None

    def _ask(self, n_done: int) -> optuna.Trial:
        with warnings.catch_warnings():
            # the sampler's option to draw a kind's settings jointly
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            # a seed for each trial: a sampler that is made anew when a search goes on would repeat its first draws; and
            # no look at running trials, among which are those that a stop cut off
            self.study.sampler = optuna.samplers.TPESampler(
                seed=derive_seed(self.seed, "trial", n_done), multivariate=True, group=True, constant_liar=False
            )
        waiting = self.study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
        if n_done < len(self.kinds) and not waiting:
            self.study.enqueue_trial(usual_settings(self.kinds[n_done], len(self.sample.y)))
        return self.study.ask()

    def _try(self, trial: optuna.Trial, score: SearchScore, start: float) -> None:
        """Score one learner fold by fold; without an end when the time is over."""
        fold_scores: list[float] = []
        so_far = math.nan
        state = TrialState.COMPLETE
        try:
            for k, found in enumerate(score.by_fold(self.learner(trial))):
                so_far = found.so_far
                if not math.isfinite(so_far):
                    raise ArithmeticError(f"the score of fold {k} is {so_far}")
                fold_scores.append(found.of_fold)
                trial.report(so_far, k)
                last = k == score.n_folds - 1
                if not last and trial.should_prune():
                    state = TrialState.PRUNED
                    break
                if not last and not self._time_left(start):
                    trial.set_user_attr("fold_scores", fold_scores)
                    return
        except Exception as error:  # noqa: BLE001 - whatever goes wrong with a learner is the result of its trial
            state = TrialState.FAIL
            trial.set_user_attr("error", f"{type(error).__name__}: {' '.join(str(error).split())}")
        trial.set_user_attr("fold_scores", fold_scores)
        self.study.tell(trial, so_far if state == TrialState.COMPLETE else None, state)

    def _time_left(self, start: float) -> bool:
        return self.budget.seconds is None or time.monotonic() - start < self.budget.seconds

    def _best(self) -> str:
        scores = [t.value for t in self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))]
        return f", best {max(s for s in scores if s is not None):.2g}" if scores else ""

    def _where_it_stands(self, n_done: int) -> str:
        if self.budget.storage is None:
            return f"tuning: interrupted after {n_done} trials, which are lost; --tune-storage FILE would keep them"
        return (
            f"tuning: interrupted after {n_done} trials, which {self.budget.storage} keeps; "
            "the same command goes on from there"
        )


def _trial(found: FrozenTrial) -> Trial:
    started = found.datetime_start
    # a trial that was cut off has no end: the last that is known of it is its start
    ended = found.datetime_complete or started
    return Trial(
        number=found.number,
        state=STATES.get(found.state, "unfinished"),
        settings=dict(found.params),
        score=found.value if found.state == TrialState.COMPLETE else None,
        fold_scores=list(found.user_attrs.get("fold_scores", [])),
        started_ms=round(started.timestamp() * 1000) if started else 0,
        ended_ms=round(ended.timestamp() * 1000) if ended else 0,
        error=found.user_attrs.get("error"),
    )


def _require_success(trials: list[Trial]) -> None:
    failed = [t for t in trials if t.state == "failed"]
    if failed and not any(t.state in ("complete", "pruned") for t in trials):
        raise JobError(f"tuning: all {len(failed)} trials failed, the first ({failed[0].kind}) with {failed[0].error}")


def _choose(trials: list[Trial], n_rows: int, usual: set[str]) -> list[Trial]:
    """The best trial of each kind, best first, without those that the stack has by default (kinds ``usual``)."""
    best: dict[str, Trial] = {}
    for trial in sorted((t for t in trials if t.score is not None and t.score > 0), key=lambda t: -(t.score or 0.0)):
        best.setdefault(trial.kind, trial)
    news = [t for t in best.values() if t.kind not in usual or t.settings != usual_settings(t.kind, n_rows)]
    return news[:N_CHOSEN]


def _summary(trials: list[Trial], chosen: list[Trial], test: Heterogeneity, resumed: int, budget: Budget) -> str:
    counts = {state: sum(t.state == state for t in trials) for state in STATES.values()}
    others = ", ".join(f"{n} {state}" for state, n in counts.items() if n and state != "complete")
    said = f"{len(trials)} trials{f' ({others})' if others else ''}"
    if resumed:
        said = f"went on with {resumed} trials from {budget.storage}; {said}"
    if not test.supported:
        return f"{said}; no differences between people are supported (p = {test.p_value:.2g}), so none is used"
    if not chosen:
        return f"{said}; none better than the default learners, which stay alone"
    joined = " and ".join(f"{t.kind} (trial {t.number}, score {t.score:.2g})" for t in chosen)
    return f"{said}; to the default learners come {joined}"
