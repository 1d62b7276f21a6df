"""How long does it take to evaluate a campaign of a million people, and how much memory?

Four actions, two of the evaluation's policies, every figure with its interval: `python benchmarks/evaluation_scale.py
--people 1000000`. Peak memory is that of the whole process, the simulated campaign included.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from propensity.evaluation import (
    autoc_score,
    auuc_score,
    best_linear_predictor,
    calibration_table,
    calibration_test,
    cost_curve,
    cost_qini_score,
    dr_scores,
    policy_value,
    qini_score,
    segment_effects,
    snips_value,
    toc_curve,
)

ACTIONS = ["control", "mail", "sms", "call"]
COSTS = {"mail": 1.0, "sms": 0.5, "call": 4.0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=1_000_000)
    options = parser.parse_args()
    n, rng = options.people, np.random.default_rng(0)
    x = rng.random((n, 3))
    propensity = pd.DataFrame(np.tile([0.4, 0.25, 0.2, 0.15], (n, 1)), columns=ACTIONS)
    arm = rng.choice(4, n, p=[0.4, 0.25, 0.2, 0.15])
    effects = np.column_stack([0.15 * x[:, 0] ** 2, 0.1 * (x[:, 0] - 0.3), 0.3 * x[:, 0] * x[:, 1]])
    expected = 0.2 + np.column_stack([np.zeros(n), effects])
    y = (rng.random(n) < expected[np.arange(n), arm]).astype(float)
    action = np.array(ACTIONS)[arm]
    outcome = pd.DataFrame(expected + 0.05 * (x[:, 2:] - 0.5), columns=ACTIONS)
    predicted = pd.DataFrame(effects + 0.05 * rng.normal(size=(n, 3)), columns=ACTIONS[1:])
    segments = pd.DataFrame(
        {
            "region": np.array(["north", "east", "south", "west"])[rng.integers(0, 4, n)],
            "tenure_days": np.where(rng.random(n) < 0.1, np.nan, x[:, 0] * 3000),
            "spend": rng.gamma(2.0, 50.0, n),
            "plan": pd.Categorical.from_codes(rng.integers(0, 12, n), [f"plan {k}" for k in range(12)]),
        }
    )
    policy = np.array(ACTIONS)[1 + predicted.to_numpy().argmax(axis=1)]
    to_all = np.full(n, "call")
    prepared = _megabytes()

    times: dict[str, float] = {}

    def timed(name: str, compute: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        result = compute()
        times[name] = time.perf_counter() - start
        return result

    scores = timed("doubly robust scores", lambda: dr_scores(y, action, propensity, outcome))
    column = predicted.to_numpy().argmax(axis=1)
    priority = predicted.to_numpy()[np.arange(n), column]
    gain = scores.to_numpy()[np.arange(n), column + 1] - scores["control"].to_numpy()
    timed("policy value", lambda: policy_value(scores, policy))
    timed("policy value, paired with one action", lambda: policy_value(scores, policy, to_all))
    timed("SNIPS, paired", lambda: snips_value(y, action, propensity, policy, to_all))
    timed("AUTOC", lambda: autoc_score(gain, priority))
    timed("QINI", lambda: qini_score(gain, priority))
    timed("AUUC", lambda: auuc_score(gain, priority))
    timed("TOC curve, both bands", lambda: toc_curve(gain, priority))
    timed("calibration table", lambda: calibration_table(priority, gain))
    timed("calibration test", lambda: calibration_test(priority, gain))
    timed("best linear predictor", lambda: best_linear_predictor(gain, priority))
    timed("segments", lambda: segment_effects(gain, segments))
    timed("cost curve", lambda: cost_curve(scores, predicted, COSTS))
    timed("QINI by cost", lambda: cost_qini_score(scores, predicted, COSTS))
    for name, seconds in times.items():
        print(f"| {name} | {seconds:.2f} s |")
    print(f"| all | {sum(times.values()):.1f} s |")
    print(f"{n:,} people; peak memory {_megabytes():,.0f} MB, of which {prepared:,.0f} MB to make the campaign")


def _megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
