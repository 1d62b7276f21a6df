"""Boosted trees for many people at once: who is in which node, as a table, instead of a walk for each person and tree.

LightGBM walks down every tree for every row, and for a pooled model once more for every arm. Here each different
condition is answered once for all rows, nodes are conjunctions of these answers, and a product with the values of the
leaves sums them up. A split by the action divides the arms and not the rows, so that all arms share one table. The
predictions are those of LightGBM up to the order of summation.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple, Self
from weakref import WeakKeyDictionary, WeakSet

import lightgbm as lgb
import numpy as np

from propensity.learners._typing import Matrix, Vector

CHUNK = 256
"""Rows in one step, so that its tables stay in the processor's cache."""
SCORES_ENOUGH = 20_000
"""Rows times outputs; for fewer, reading a booster's trees takes longer than LightGBM's predictions."""
FEWEST_SCORES = 100
"""Rows times outputs; for fewer, LightGBM is as fast as a table that is there already."""
CHECKED_ROWS = 16
TOLERANCE = 1e-9

Outputs = np.ndarray[tuple[int], np.dtype[np.bool_]]
Positions = np.ndarray[tuple[int], np.dtype[np.intp]]


class UnknownTreesError(ValueError):
    """Trees of a kind that is not known here."""


@dataclass(frozen=True)
class _Condition:
    """What a split asks of a feature; ``below`` or one of ``codes`` is left, and so may be a missing value."""

    feature: int
    below: float
    codes: tuple[int, ...]
    missing_is_left: bool

    @classmethod
    def of(cls, split: dict[str, Any]) -> Self:
        """The condition of a split as LightGBM writes it down."""
        if split["decision_type"] == "==":
            codes = tuple(sorted(int(code) for code in str(split["threshold"]).split("||")))
            return cls(split["split_feature"], np.nan, codes, False)
        # without missing values in training, LightGBM takes a missing value for 0
        missing = {"NaN": split["default_left"], "None": split["threshold"] >= 0}.get(split["missing_type"])
        if split["decision_type"] != "<=" or missing is None:
            raise UnknownTreesError(f"split by {split['decision_type']} with missing {split['missing_type']}")
        return cls(split["split_feature"], split["threshold"], (), bool(missing))


class _Leaf(NamedTuple):
    node: int
    outputs: Outputs
    value: float


class _Level(NamedTuple):
    """Nodes of one depth: their place in the table, the nodes above them, and the answers that lead to them."""

    nodes: slice
    above: Positions
    answers: Positions


class _Sum(NamedTuple):
    """Outputs that the same leaves count for: the nodes of these (leaves,), and their values (leaves, outputs)."""

    outputs: Positions
    nodes: Positions
    values: Matrix


class DenseTrees:
    """The raw scores of a booster of numerical and categorical splits.

    Parameters
    ----------
    booster : Booster
    n_columns : int
        Columns of the features. Further columns of the booster are those of the arms.
    arms : array (n arms, further columns), optional
        Every row is scored under each. Without it there is an output a class.

    Attributes
    ----------
    chances : bool
        Whether the booster predicts chances, whose log-odds the raw scores are.

    Raises
    ------
    UnknownTreesError
    """

    def __init__(self, booster: lgb.Booster, n_columns: int, arms: Matrix | None = None) -> None:
        dump = booster.dump_model()
        n_classes = dump["num_tree_per_iteration"]
        self.chances = str(dump.get("objective")) == "binary sigmoid:1"
        if arms is not None and n_classes != 1:
            raise UnknownTreesError(f"{n_classes} classes under arms")
        self._n_columns, self._arms = n_columns, arms
        self._n_outputs = n_classes if arms is None else len(arms)
        self._conditions: dict[_Condition, int] = {}
        # of every node (the first is the root of all trees): the node above it, the answer that leads to it, its depth
        self._nodes = [(0, 0, 0)]
        self._leaves: list[_Leaf] = []
        for number, tree in enumerate(dump["tree_info"]):
            own = np.arange(self._n_outputs) == number % n_classes
            self._add(tree["tree_structure"], 0, own if arms is None else np.ones(self._n_outputs, dtype=bool))
        self._lay_out(n_classes)

    def _add(self, part: dict[str, Any], node: int, outputs: Outputs) -> None:
        """Take over what lies below a node, for some of the outputs."""
        if "split_feature" not in part:
            if "leaf_coeff" in part:
                raise UnknownTreesError("linear trees")
            self._leaves.append(_Leaf(node, outputs, float(part["leaf_value"])))
            return
        condition = _Condition.of(part)
        of_arm = condition.feature - self._n_columns
        if of_arm >= 0:
            if self._arms is None:
                raise UnknownTreesError(f"a split by column {condition.feature} of {self._n_columns}")
            left = _Conditions([condition]).answers(self._arms[:, of_arm])[0]
            for child, side in (("left_child", outputs & left), ("right_child", outputs & ~left)):
                if side.any():
                    self._add(part[child], node, side)
            return
        number = self._conditions.setdefault(condition, len(self._conditions))
        for child, answer in (("left_child", 2 * number), ("right_child", 2 * number + 1)):
            self._nodes.append((node, answer, self._nodes[node][2] + 1))
            self._add(part[child], len(self._nodes) - 1, outputs)

    def _lay_out(self, n_classes: int) -> None:
        """Arrange what was taken over as arrays."""
        features: dict[int, list[_Condition]] = {}
        for condition in self._conditions:
            features.setdefault(condition.feature, []).append(condition)
        self._by_feature = {
            feature: (np.array([self._conditions[c] for c in own]), _Conditions(own))
            for feature, own in features.items()
        }
        above, answers, depth = np.array(self._nodes, dtype=np.intp).T
        order = np.argsort(depth, kind="stable")
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        starts = np.searchsorted(depth[order], np.arange(depth.max() + 2))
        self._levels = [
            _Level(slice(a, b), place[above[order[a:b]]], answers[order[a:b]]) for a, b in pairwise(starts[1:])
        ]
        self._constant: Vector = np.zeros(self._n_outputs)
        nodes: list[dict[int, Vector]] = [{} for _ in range(n_classes)]
        for leaf in self._leaves:
            values: Vector = leaf.value * leaf.outputs.astype(np.float64)
            if leaf.node == 0:
                self._constant += values
                continue
            of_class = nodes[int(np.argmax(leaf.outputs)) if n_classes > 1 else 0]
            of_class[place[leaf.node]] = of_class.get(place[leaf.node], 0.0) + values
        self._sums = []
        for k, values_of in enumerate(nodes):
            outputs = np.array([k]) if n_classes > 1 else np.arange(self._n_outputs)
            table = np.array(list(values_of.values())).reshape(len(values_of), self._n_outputs)
            self._sums.append(_Sum(outputs, np.array(list(values_of), dtype=np.intp), table[:, outputs]))

    def raw_scores(self, X: Matrix) -> Matrix:
        """Raw scores (n, outputs) of rows (n, n_columns)."""
        scores = np.empty((len(X), self._n_outputs))
        for start in range(0, len(X), CHUNK):
            scores[start : start + CHUNK] = self._scores(X[start : start + CHUNK])
        return scores

    def _scores(self, X: Matrix) -> Matrix:
        yes_and_no = np.empty((len(self._conditions), 2, len(X)), dtype=bool)
        for feature, (numbers, conditions) in self._by_feature.items():
            yes_and_no[numbers, 0] = conditions.answers(X[:, feature])
        np.logical_not(yes_and_no[:, 0], out=yes_and_no[:, 1])
        answers = yes_and_no.reshape(-1, len(X))
        inside = np.empty((len(self._nodes), len(X)), dtype=bool)
        inside[0] = True
        for level in self._levels:
            np.logical_and(inside[level.above], answers[level.answers], out=inside[level.nodes])
        scores = np.tile(self._constant, (len(X), 1))
        for part in self._sums:
            scores[:, part.outputs] += inside[part.nodes].astype(np.float64).T @ part.values
        return scores


class _Conditions:
    """All conditions of one feature, or of one column of the arms.

    Attributes
    ----------
    below : array (conditions, 1)
    missing_is_left : array (conditions, 1) of bool
    has_code : array (conditions, codes + 1) of bool, or None
        Of a categorical feature; the last column stands for all codes that no condition names.
    """

    def __init__(self, conditions: list[_Condition]) -> None:
        self.below = np.array([c.below for c in conditions])[:, None]
        self.missing_is_left = np.array([c.missing_is_left for c in conditions])[:, None]
        self.has_code: np.ndarray | None = None
        if conditions[0].codes:
            self.has_code = np.zeros((len(conditions), 2 + max(max(c.codes) for c in conditions)), dtype=bool)
            for row, condition in zip(self.has_code, conditions, strict=True):
                row[list(condition.codes)] = True

    def answers(self, values: Vector) -> np.ndarray:
        """Whether each value is left by each condition, (conditions, n)."""
        missing = np.isnan(values)
        if self.has_code is not None:
            other = self.has_code.shape[1] - 1
            unnamed = missing | (values < 0) | (values > other)
            return np.asarray(self.has_code[:, np.where(unnamed, other, values).astype(np.intp)])
        left = np.asarray(values <= self.below)
        if missing.any():
            left[:, missing] = self.missing_is_left
        return left


_tables: WeakKeyDictionary[lgb.Booster, DenseTrees | None] = WeakKeyDictionary()
_ready: WeakSet[lgb.Booster] = WeakSet()
_getting_ready = ContextVar("getting_ready", default=False)


@contextmanager
def getting_ready() -> Iterator[None]:
    """Boosters that predict for many in this block use their tables for few, too, from now on.

    Not whenever a table happens to be there: the same people's scores should not depend on who was scored before.
    """
    token = _getting_ready.set(True)
    try:
        yield
    finally:
        _getting_ready.reset(token)


def dense_table(booster: lgb.Booster, X: Matrix, arms: Matrix | None = None) -> DenseTrees | None:
    """A booster's table for many rows (n, d), scored under each arm if there are any; made once for each booster.

    None where LightGBM itself had better be asked: there is little to score (for boosters of `getting_ready`, less),
    the trees are of an unknown kind, or some rows that LightGBM scores too come out otherwise. A booster is
    always asked about with the same arms.
    """
    n_outputs = booster.num_model_per_iteration() if arms is None else len(arms)
    if len(X) * n_outputs < (FEWEST_SCORES if booster in _ready else SCORES_ENOUGH):
        return None
    if _getting_ready.get():
        _ready.add(booster)
    if booster not in _tables:
        _tables[booster] = _checked(booster, X[:CHECKED_ROWS], arms)
    return _tables[booster]


def _checked(booster: lgb.Booster, X: Matrix, arms: Matrix | None) -> DenseTrees | None:
    try:
        table = DenseTrees(booster, X.shape[1], arms)
    except UnknownTreesError:
        return None
    expected = booster.predict(np.ascontiguousarray(under_each(X, arms)), raw_score=True, num_threads=1)
    return table if np.allclose(table.raw_scores(X).ravel(), np.ravel(expected), rtol=TOLERANCE) else None


def under_each(X: Matrix, arms: Matrix | None) -> Matrix:
    """Each row (n, d) once for each arm, followed by the arm's columns, (n x arms, d + further columns)."""
    if arms is None:
        return X
    return np.hstack([np.repeat(X, len(arms), axis=0), np.tile(arms, (len(X), 1))])
