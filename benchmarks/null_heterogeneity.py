"""How often are differences between people declared where there are none?

Shuffles who got what in the Hillstrom experiment, so that no effect exists, and tests for heterogeneity:
`python benchmarks/null_heterogeneity.py --runs 200`. Each run draws its people and its shuffle from its own seed,
0, 1, 2, ...; no seed is left out.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from propensity import datasets
from propensity.features import FeatureBuilder
from propensity.frame import all_actions, logged_propensity, training_frame
from propensity.learners import UpliftStack


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--rows", type=int, default=16_000, help="people in a run")
    parser.add_argument("--outcome", choices=["reactivated", "revenue"], default="reactivated")
    options = parser.parse_args()

    dataset = datasets.load("hillstrom")
    window = dataset.playbook.program.attribution_window_days
    frame = training_frame(dataset.customers, dataset.contacts, dataset.outcomes, window_days=window)
    X = FeatureBuilder.fit(frame, dataset.playbook).transform(frame, frame["decided_at"])
    propensity = logged_propensity(frame, all_actions(dataset.playbook.labels))
    start, statistics = time.monotonic(), []
    for seed in range(options.runs):
        rng = np.random.default_rng(seed)
        rows = rng.choice(len(frame), options.rows, replace=False)
        action = rng.permutation(frame["action"].to_numpy())[rows]
        stack = UpliftStack(seed).fit(
            X.iloc[rows], action, frame[options.outcome].to_numpy()[rows], propensity=propensity.iloc[rows]
        )
        statistics.append(stack.heterogeneity_.t_statistic)
    t = np.array(statistics)
    print(f"{options.runs} runs of {options.rows:,} people, {options.outcome}, {time.monotonic() - start:.0f} s")
    print(f"t-statistic: mean {t.mean():.3f}, standard deviation {t.std(ddof=1):.3f} (nominal 0 and 1)")
    for level, quantile in ((0.05, 1.6449), (0.01, 2.3263)):
        share = (t > quantile).mean()
        error = np.sqrt(level * (1 - level) / len(t))
        print(f"declared at level {level:.0%}: {share:.1%} of runs (nominal {level:.0%} +- {2 * error:.1%})")


if __name__ == "__main__":
    main()
