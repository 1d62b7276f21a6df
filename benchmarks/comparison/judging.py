"""What predicted effects are worth on the test half: the same people, scores and rules for all competitors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from comparison.problems import Problem
from propensity.evaluation import dr_scores, qini_score
from propensity.learners import SLearner
from propensity.learners.folds import stratified_folds
from propensity.model import DecisionModel
from propensity.policy import best_action, profit, rule_action

N_FOLDS = 5
NOBODY, SAME_FOR_ALL, RULES, DECISIONS, ORACLE = (
    "nobody",
    "the same action for all",
    "the rule playbook",
    "Propensity decision model",
    "oracle",
)


@dataclass(frozen=True)
class Judge:
    """What the test half says of actions.

    Attributes
    ----------
    worth, reaction : array (n, n actions - 1)
        Of each action against control: net value, and effect on the outcome that competitors learn. For experiments
        both are differences of doubly robust scores; in the simulated program they are the truth.
    allowed : bool array (n, n actions - 1)
    slope, offset : array (n, n actions - 1)
        A predicted effect's net value is slope x effect + offset: the same rule for all competitors.
    references : dict of int arrays (n,)
        Policies that no effects are predicted for: position of each person's action, -1 for nobody.
    """

    worth: np.ndarray
    reaction: np.ndarray
    allowed: np.ndarray
    slope: np.ndarray
    offset: np.ndarray
    references: dict[str, np.ndarray]

    def choose(self, effect: np.ndarray) -> np.ndarray:
        """Each person's action of greatest predicted net value, (n,); -1 where none is positive."""
        return _best(self.slope * effect + self.offset, self.allowed)

    def values(self, choice: np.ndarray) -> np.ndarray:
        """Each person's net value (n,) under a policy, against contacting nobody."""
        rows = np.arange(len(choice))
        return np.where(choice < 0, 0.0, self.worth[rows, np.maximum(choice, 0)])

    def qini_parts(self, effect: np.ndarray) -> np.ndarray:
        """Each person's part (n,) in the QINI, averaged over actions; their mean is that of `qini_score`."""
        n, n_effects = effect.shape
        parts = np.zeros(n)
        for a in range(n_effects):
            can = self.allowed[:, a]
            part = _qini_parts(self.reaction[can, a], effect[can, a])
            parts[can] += part * (n / can.sum()) / n_effects
        return parts

    def save(self, file: Path) -> None:
        """Write as one file."""
        arrays = {k: v for k, v in vars(self).items() if k != "references"}
        np.savez_compressed(file, **arrays, **{f"policy:{k}": v for k, v in self.references.items()})

    @classmethod
    def load(cls, file: Path) -> Judge:
        """Read what `save` wrote."""
        with np.load(file) as arrays:
            own = {k: arrays[k] for k in arrays.files if not k.startswith("policy:")}
            references = {k.removeprefix("policy:"): arrays[k] for k in arrays.files if k.startswith("policy:")}
        return cls(**own, references=references)


def _best(value: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    value = np.where(allowed, value, -np.inf)
    best = value.argmax(axis=1)
    return np.where(value[np.arange(len(value)), best] > 0, best, -1)


def _qini_parts(gain: np.ndarray, priority: np.ndarray) -> np.ndarray:
    """Parts of `qini_score`, whose value has no use for a paired error without them."""
    n = len(gain)
    if np.ptp(priority) == 0:
        return np.zeros(n)
    weight = np.empty(n)
    order = np.argsort(-priority, kind="stable")
    weight[order] = (n - np.arange(n)) / n - (n + 1) / (2 * n)
    _, group = np.unique(priority, return_inverse=True)
    shared = (np.bincount(group, weight) / np.bincount(group))[group]
    parts = shared * (gain - gain.mean())
    if not np.isclose(parts.mean(), qini_score(gain, priority).value, atol=1e-12):
        raise AssertionError("these parts no longer sum to qini_score")
    return parts


def judge_by_scores(train: Problem, test: Problem, seed: int) -> Judge:
    """Cross-fitted doubly robust scores of the test half, whose outcome models see nothing of the training half."""
    arm = _arms(test)
    fold = stratified_folds(arm, test.y, N_FOLDS, seed)
    outcome = test.propensity * 0.0
    for k in range(N_FOLDS):
        rest, held_out = test.take(np.flatnonzero(fold != k)), np.flatnonzero(fold == k)
        model = SLearner(seed).fit(rest.X, rest.action, rest.y, propensity=rest.propensity, factors=rest.factors)
        outcome.iloc[held_out] = model.outcome(test.X.iloc[held_out])[test.actions].to_numpy()
    scores = dr_scores(test.y, test.action, test.propensity, outcome).to_numpy()
    gain = scores[:, 1:] - scores[:, :1]
    # chances are the same for everybody here, so that the arms' means are the inverse-propensity averages
    averages = np.array([train.y[train.action == a].mean() for a in train.actions])
    best = int(averages.argmax()) - 1
    n = len(test.y)
    return Judge(
        worth=gain,
        reaction=gain,
        allowed=np.ones(gain.shape, dtype=bool),
        slope=np.ones(gain.shape),
        offset=np.zeros(gain.shape),
        references={NOBODY: np.full(n, -1), SAME_FOR_ALL: np.full(n, best)},
    )


def judge_by_truth(train: Problem, test: Problem, seed: int) -> Judge:
    """The simulated program's truth; money comes of effects by the product's rule, learnt on the training half."""
    if test.program is None or train.program is None:
        raise ValueError("expected halves of a simulated program")
    book, frame, truth = test.program.playbook, test.program.frame, test.program.simulated.truth
    actions = test.actions
    of = {name: getattr(truth, name).loc[frame["customer_id"], actions].to_numpy() for name in _TRUTH}
    profits = profit(
        of["expected_revenue"], of["reactivation_probability"], of["unsubscribe_probability"], book, actions
    )
    worth = profits[:, 1:] - profits[:, :1]
    allowed = of["eligible"][:, 1:]

    model = DecisionModel(book, seed).fit(train.program.frame)
    predicted = model.predict(frame, frame["decided_at"])
    back, unsubscribed = predicted.reactivated.to_numpy(), predicted.unsubscribed.to_numpy()
    amount = predicted.revenue.to_numpy() / back
    at_control = np.tile(back[:, :1], (1, len(actions)))

    def gain_if(effect: float) -> np.ndarray:
        returning = at_control + np.r_[0.0, np.full(len(actions) - 1, effect)]
        profits = profit(amount * returning, returning, unsubscribed, book, actions)
        return profits[:, 1:] - profits[:, :1]

    offset = gain_if(0.0)

    can = model.eligible(frame, frame["decided_at"]).allowed
    return Judge(
        worth=worth,
        reaction=of["reactivation_probability"][:, 1:] - of["reactivation_probability"][:, :1],
        allowed=allowed,
        slope=gain_if(1.0) - offset,
        offset=offset,
        references={
            NOBODY: np.full(len(frame), -1),
            SAME_FOR_ALL: _positions(best_action(model.choice_value(predicted, "one_action"), can), actions),
            RULES: _positions(rule_action(frame, book, can), actions),
            DECISIONS: _positions(model.choose(frame, frame["decided_at"]), actions),
            ORACLE: _best(worth, allowed),
        },
    )


_TRUTH = ("expected_revenue", "reactivation_probability", "unsubscribe_probability", "eligible")


def _positions(labels: np.ndarray, actions: list[str]) -> np.ndarray:
    """Position among the actions without control, -1 for control."""
    return np.array([actions.index(label) for label in labels]) - 1


def _arms(problem: Problem) -> np.ndarray:
    return np.array([problem.actions.index(label) for label in problem.action])
