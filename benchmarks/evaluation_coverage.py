"""Do the intervals of the evaluation hold the truth as often as they say?

Simulates campaigns with four actions whose truth is known, served with probabilities that depend on the person, and
counts how often each 95 % interval holds what it estimates: `python benchmarks/evaluation_coverage.py --runs 500`.
Seeds are 0, 1, 2, ...; no seed is left out. The outcome model behind the scores is wrong on purpose (the same for all).

Then people whom another policy decided on, who seldom got what the policy would give that is judged: with and without
the variance that scores should have (`policy_value`).
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from propensity.evaluation import (
    Estimate,
    autoc_score,
    auuc_score,
    best_linear_predictor,
    calibration_table,
    calibration_test,
    cost_curve,
    cost_qini_score,
    dr_scores,
    ips_value,
    policy_value,
    qini_score,
    segment_effects,
    snips_value,
    toc_curve,
)
from propensity.evaluation.groups import groups_of_equal_size

ACTIONS = ["control", "mail", "sms", "call"]
COSTS = {"mail": 1.0, "sms": 0.5, "call": 4.0}
SHARES = np.arange(1, 11) / 10
BUDGETS = np.array([0.25, 0.5, 1.0, 1.5])
POPULATION = 1_000_000
"""People from whom the truth is computed, without noise."""


class Campaign(NamedTuple):
    """People of a simulated campaign; arrays (n, 4) by action."""

    x: np.ndarray
    propensity: pd.DataFrame
    expected: np.ndarray
    predicted: pd.DataFrame


class Scenario(NamedTuple):
    strength: float
    revenue: bool


SCENARIOS = {
    "strong effects, 0/1": Scenario(1.0, revenue=False),
    "no effects, 0/1": Scenario(0.0, revenue=False),
    "strong effects, revenue": Scenario(1.0, revenue=True),
}


def people(n: int, scenario: Scenario, rng: np.random.Generator) -> Campaign:
    """Draw people: chances of each action, expected outcomes, and a model's predicted effects of middling quality."""
    x = rng.random((n, 3))
    logits = np.column_stack([np.full(n, 1.0), 0.5 * x[:, 1], x[:, 0], x[:, 0] - x[:, 1] - 0.5])
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    base = 0.1 + 0.15 * x[:, 1]
    effects = np.column_stack([0.15 * x[:, 0] ** 2, 0.1 * (x[:, 0] - 0.3), 0.3 * x[:, 0] * x[:, 1]])
    expected = base[:, None] + scenario.strength * np.column_stack([np.zeros(n), effects])
    guesses = np.column_stack([0.1 * x[:, 0] + 0.02 * x[:, 2], 0.04 * x[:, 0] + 0.001, 0.2 * x[:, 0] * x[:, 2] + 0.03])
    scale = 100.0 if scenario.revenue else 1.0
    return Campaign(
        x=x,
        propensity=pd.DataFrame(chances, columns=ACTIONS),
        expected=scale * expected,
        predicted=pd.DataFrame(scale * guesses, columns=ACTIONS[1:]),
    )


def serve(campaign: Campaign, scenario: Scenario, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Outcome and served action of each person."""
    n = len(campaign.x)
    arm = (rng.random(n)[:, None] > campaign.propensity.to_numpy().cumsum(axis=1)[:, :-1]).sum(axis=1)
    expected = campaign.expected[np.arange(n), arm]
    if scenario.revenue:
        # amounts of those who come back: log-normal of mean 100
        y = (rng.random(n) < expected / 100) * 100 * np.exp(rng.normal(size=n) - 0.5)
    else:
        y = (rng.random(n) < expected).astype(float)
    return y, np.array(ACTIONS)[arm]


def chosen(campaign: Campaign) -> np.ndarray:
    return np.array(ACTIONS[1:])[campaign.predicted.to_numpy().argmax(axis=1)]


def best_gain(campaign: Campaign, scores: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Predicted effect of each person's chosen action, and its gain."""
    column = campaign.predicted.to_numpy().argmax(axis=1)
    rows = np.arange(len(column))
    values = scores.to_numpy()
    return campaign.predicted.to_numpy()[rows, column], values[rows, column + 1] - values[:, 0]


class Truth:
    """What the estimates estimate, from people whose expected outcomes are known."""

    def __init__(self, scenario: Scenario) -> None:
        population = people(POPULATION, scenario, np.random.default_rng(2**32))
        scores = pd.DataFrame(population.expected, columns=ACTIONS)
        predicted, gain = best_gain(population, scores)
        call = np.full(POPULATION, "call")
        line = best_linear_predictor(gain, predicted)
        calibration = calibration_test(predicted, gain)
        self.value = {
            "policy value": policy_value(scores, chosen(population)).value,
            "paired policy value": policy_value(scores, chosen(population), call).value,
            "AUTOC": autoc_score(gain, predicted).value,
            "QINI": qini_score(gain, predicted).value,
            "AUUC": auuc_score(gain, predicted).value,
            "best linear predictor: mean effect": line.mean_effect.value,
            "best linear predictor: slope": line.heterogeneity.value,
            "calibration slope": calibration.slope.value,
            "calibration difference": calibration.difference.value,
            "QINI by cost": cost_qini_score(scores, population.predicted, COSTS).value,
        }
        for name, alias in (("IPS", "policy value"), ("SNIPS", "policy value")):
            self.value[name] = self.value[alias]
            self.value[f"{name}, paired"] = self.value[f"paired {alias}"]
        self.toc = toc_curve(gain, predicted, SHARES)["toc"].to_numpy()
        curve = cost_curve(scores, population.predicted, COSTS, budgets=BUDGETS)
        self.curve = curve[["value", "over_random", "over_single"]]
        segments = segment_effects(gain, segment_columns(population))
        self.segments = segments["effect"].to_numpy()
        order = np.argsort(predicted)
        self.predicted, self.cumulative = predicted[order], np.concatenate([[0.0], np.cumsum(gain[order])])

    def between(self, edges: np.ndarray) -> np.ndarray:
        """True mean effect of people whose prediction lies between edges."""
        position = np.searchsorted(self.predicted, edges, side="right")
        position[0], position[-1] = 0, len(self.predicted)
        return np.diff(self.cumulative[position]) / np.diff(position)


def segment_columns(campaign: Campaign) -> pd.DataFrame:
    return pd.DataFrame({"region": np.where(campaign.x[:, 0] < 0.7, "north", "south"), "age": campaign.x[:, 1] // 0.25})


def held(campaign: Campaign, y: np.ndarray, action: np.ndarray, truth: Truth) -> Iterator[tuple[str, float]]:
    """Each interval's name and whether (or for what share of its parts) it holds the truth."""
    outcome = pd.DataFrame(y.mean(), index=campaign.propensity.index, columns=ACTIONS)
    scores = dr_scores(y, action, campaign.propensity, outcome)
    predicted, gain = best_gain(campaign, scores)
    policy, call = chosen(campaign), np.full(len(y), "call")
    line, calibration = best_linear_predictor(gain, predicted), calibration_test(predicted, gain)
    logged = (y, action, campaign.propensity)
    estimates: dict[str, Estimate] = {
        "policy value": policy_value(scores, policy),
        "paired policy value": policy_value(scores, policy, call),
        "IPS": ips_value(*logged, policy),
        "IPS, paired": ips_value(*logged, policy, call),
        "SNIPS": snips_value(*logged, policy),
        "SNIPS, paired": snips_value(*logged, policy, call),
        "AUTOC": autoc_score(gain, predicted),
        "QINI": qini_score(gain, predicted),
        "AUUC": auuc_score(gain, predicted),
        "best linear predictor: mean effect": line.mean_effect,
        "best linear predictor: slope": line.heterogeneity,
        "calibration slope": calibration.slope,
        "calibration difference": calibration.difference,
        "QINI by cost": cost_qini_score(scores, campaign.predicted, COSTS),
    }
    for name, estimate in estimates.items():
        yield name, estimate.low <= truth.value[name] <= estimate.high
    toc = toc_curve(gain, predicted, SHARES)
    inside = (toc["low"] <= truth.toc) & (truth.toc <= toc["high"])
    # all people gain no more than all people
    yield "TOC, pointwise", inside.iloc[:-1].mean()
    yield "TOC, simultaneous", ((toc["low_all"] <= truth.toc + 1e-12) & (truth.toc - 1e-12 <= toc["high_all"])).all()
    table = calibration_table(predicted, gain)
    group = groups_of_equal_size(predicted, 10, np.ones(len(y)))
    edges = np.concatenate([[-np.inf], pd.Series(predicted).groupby(group).max()])
    yield (
        "calibration deciles",
        np.mean((table["low"] <= truth.between(edges)) & (truth.between(edges) <= table["high"])),
    )
    segments = segment_effects(gain, segment_columns(campaign))
    yield "segments", np.mean((segments["low"] <= truth.segments) & (truth.segments <= segments["high"]))
    curve = cost_curve(scores, campaign.predicted, COSTS, budgets=BUDGETS)
    for name, low, high in (
        ("value", "low", "high"),
        ("over_random", "over_random_low", "over_random_high"),
        ("over_single", "over_single_low", "over_single_high"),
    ):
        true = truth.curve[name]
        yield f"cost curve: {name.replace('_', ' ')}", np.mean((curve[low] <= true) & (true <= curve[high]))


class Decided(NamedTuple):
    """People whom a policy decided on, and another policy worth the same that differs for a quarter of them.

    Attributes
    ----------
    n, n_actions : int
    explored : float
        Share who got an action at random.
    overstated : float
        By how much the model overstates the return of what the other policy gives.
    """

    n: int
    n_actions: int
    explored: float
    overstated: float


DECIDED = [
    Decided(n, k, explored, overstated)
    for n, k, explored in ((1_500, 26, 0.05), (1_500, 26, 0.0125), (7_500, 26, 0.0125), (1_500, 5, 0.05))
    for overstated in (0.0, 0.02)
]


def paired_value(case: Decided, rng: np.random.Generator) -> tuple[Estimate, Estimate]:
    """The other policy's value above that which decided, which is 0: without and with the variance of scores."""
    rows, actions = np.arange(case.n), ["control", *(f"a{i}" for i in range(case.n_actions))]
    old = 1 + rng.integers(0, case.n_actions, case.n)
    other = 1 + (old + rng.integers(0, case.n_actions - 1, case.n)) % case.n_actions
    new = np.where(rng.random(case.n) < 0.25, other, old)
    logged = np.full((case.n, len(actions)), case.explored / case.n_actions)
    logged[:, 0] = 0.1
    logged[rows, old] += 0.9 - case.explored
    arm = (rng.random(case.n)[:, None] > logged.cumsum(axis=1)[:, :-1]).sum(axis=1)
    y = (rng.random(case.n) < np.where(arm == 0, 0.04, 0.08)).astype(float)
    expected = np.full(logged.shape, 0.08)
    expected[:, 0] = 0.04
    expected[rows, new] += case.overstated * (new != old)
    labels = np.array(actions, dtype=object)
    scores = dr_scores(y, labels[arm], pd.DataFrame(logged, columns=actions), pd.DataFrame(expected, columns=actions))
    variance = pd.DataFrame(expected * (1 - expected) / logged, columns=actions)
    policies = labels[new], labels[old]
    return policy_value(scores, *policies), policy_value(scores, *policies, variance=variance)


def decided_by_a_policy(runs: int) -> None:
    """Print how often the intervals hold 0, and lie above it."""
    print("\n| decided by another policy: people, actions, explored, overstated | 95 % interval holds | lies above |")
    print("|---|---|---|")
    for case in DECIDED:
        found = [paired_value(case, np.random.default_rng(seed)) for seed in range(runs)]
        holds, above = (
            " with the variance, ".join(f"{np.mean([test(pair[k]) for pair in found]):.1%}" for k in (1, 0))
            for test in (lambda e: e.low <= 0 <= e.high, lambda e: e.low > 0)
        )
        case_told = f"{case.n:,}, {case.n_actions}, {case.explored:.2%}, {100 * case.overstated:g} points"
        print(f"| {case_told} | {holds} without | {above} without |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--people", type=int, default=5_000, help="people in a campaign")
    options = parser.parse_args()
    start = time.monotonic()
    columns: dict[str, dict[str, float]] = {}
    for title, scenario in SCENARIOS.items():
        truth, counts = Truth(scenario), defaultdict(list)
        for seed in range(options.runs):
            rng = np.random.default_rng(seed)
            campaign = people(options.people, scenario, rng)
            for name, hit in held(campaign, *serve(campaign, scenario, rng), truth):
                counts[name].append(float(hit))
        columns[title] = {name: float(np.mean(hits)) for name, hits in counts.items()}
    print(f"{options.runs} campaigns of {options.people:,} people a column, {time.monotonic() - start:.0f} s\n")
    print(f"| 95 % interval of | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
    for name in next(iter(columns.values())):
        print(f"| {name} | {' | '.join(f'{column[name]:.1%}' for column in columns.values())} |")
    decided_by_a_policy(options.runs)


if __name__ == "__main__":
    main()
