"""How long do the statistics of an experiment take? `python benchmarks/inference_scale.py --people 5000000`."""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable

import numpy as np
import pandas as pd

from propensity.inference import any_contact, balance_test, compare_arms, daily_sums, lift, return_curve, revenue_parts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=5_000_000)
    parser.add_argument("--arms", type=int, default=4, help="contacted ones")
    parser.add_argument("--covariates", type=int, default=6)
    options = parser.parse_args()
    rng, n = np.random.default_rng(0), options.people
    names = np.array(["control", *(f"arm_{k}" for k in range(options.arms))], dtype=object)
    action = names[rng.integers(len(names), size=n, dtype=np.int8)]
    chances = pd.DataFrame(np.full((n, len(names)), 1 / len(names)), columns=names)
    X = pd.DataFrame(rng.normal(size=(n, options.covariates))).add_prefix("x")
    y, day = (rng.random(n) < 0.01) * rng.exponential(50, n), rng.integers(0, 60, n)
    print("| what | s | peak memory so far, MB |\n|---|---|---|")

    def timed(what: str, call: Callable[[], object]) -> None:
        start = time.monotonic()
        call()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_000
        print(f"| {what} | {time.monotonic() - start:.1f} | {peak:,.0f} |", flush=True)

    timed("the people themselves", lambda: None)
    timed("`lift`", lambda: lift(y, action, chances))
    timed("`lift`, adjusted", lambda: lift(y, action, chances, covariates=X))
    timed("`compare_arms`, adjusted", lambda: compare_arms(y, action, chances, covariates=X))
    timed("`lift` of any contact, adjusted", lambda: lift(y, *any_contact(action, chances), covariates=X))
    timed("`revenue_parts`", lambda: revenue_parts(y, action, chances))
    timed("`daily_sums`", lambda: daily_sums(y, action, chances, day, arm="arm_0"))
    timed("`return_curve`", lambda: return_curve(day, y > 0))
    timed("`balance_test`", lambda: balance_test(X, action, chances))


if __name__ == "__main__":
    main()
