"""Do the stack's 95 % intervals hold the truth?

Draws campaigns whose truth is known (two actions, 0/1 outcomes, effects that differ between people), fits
`UpliftStack()` on each, and counts on fresh people: `python benchmarks/interval_coverage.py --runs 500`. Campaign k has
seed k; none is left out. *Average*: the interval of an action's average effect. *Group*: the true mean effect of fresh
people whose prediction falls into the same fifth. *Person*: `effect_interval` against the true effect of the single
person, which it does not promise.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import pandas as pd
from scipy import stats

from propensity.learners import UpliftStack

LABELS = np.array(["control", "call", "mail"])


def draw(n: int, seed: int) -> tuple[pd.DataFrame, np.ndarray, np.ndarray, pd.DataFrame]:
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(rng.normal(size=(n, 6)), columns=[f"x{i}" for i in range(6)])
    effect = pd.DataFrame({"call": 0.12 * (X["x0"] > 0), "mail": 0.06 + 0.04 * np.tanh(X["x1"])})
    arm = rng.integers(3, size=n)
    chance = 0.1 + 0.08 * (X["x2"] > 0) + np.column_stack([np.zeros(n), effect])[np.arange(n), arm]
    return X, LABELS[arm], (rng.random(n) < chance).astype(float), effect


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--rows", type=int, default=3000, help="people in a campaign")
    options = parser.parse_args()
    start, supported = time.monotonic(), 0
    held: dict[str, list[float]] = {"average": [], "group": [], "person": []}
    z = stats.norm.ppf(0.975)
    for seed in range(options.runs):
        X, action, y, _ = draw(options.rows, seed)
        stack = UpliftStack(seed).fit(X, action, y)
        supported += stack.heterogeneity_.supported
        fresh, _, _, truth = draw(20_000, 1_000_000 + seed)
        predicted = stack.effect(fresh)
        low, high = stack.interval_around(predicted)
        for a, name in enumerate(truth):
            error = abs(stack.averages_.measured[a] - truth[name].mean())
            held["average"].append(float(error <= z * stack.averages_.standard_error[a]))
            group = np.searchsorted(stack.group_edges_[a], predicted[name].to_numpy(), side="right")
            mean = truth[name].groupby(group).mean()
            bounds = stack.group_intervals_[a][mean.index]
            held["group"].append(float(((bounds[:, 0] <= mean) & (mean <= bounds[:, 1])).mean()))
            held["person"].append(float(((low[name] <= truth[name]) & (truth[name] <= high[name])).mean()))
    print(
        f"{options.runs} campaigns of {options.rows:,} people; differences between people declared in "
        f"{supported / options.runs:.0%}; {time.monotonic() - start:.0f} s"
    )
    print("| 95 % interval of | holds the truth | error of that share |\n|---|---|---|")
    for name, shares in held.items():
        # both actions of a campaign share its people
        by_campaign = np.array(shares).reshape(options.runs, -1).mean(axis=1)
        print(f"| {name} | {by_campaign.mean():.1%} | {by_campaign.std(ddof=1) / np.sqrt(options.runs):.1%} |")


if __name__ == "__main__":
    main()
