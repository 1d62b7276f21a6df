"""How do time and memory of `UpliftStack().fit` grow with the data?

A randomised test of 4 arms with 30 features is drawn; one plain LightGBM fit of the outcome on features and arm (its
defaults: 100 trees of 31 leaves) is the measure: `python benchmarks/stack_scale.py --rows 1000000`. Each of the two
runs in a process of its own; memory is that process's peak beyond what it held before the fit.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time

import lightgbm as lgb
import numpy as np
import pandas as pd

from propensity.learners import UpliftStack
from propensity.threads import available_threads, threads_for

ARMS = np.array(["control", "call", "mail", "text"])


def draw(n: int) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(n, 30)), columns=[f"x{i}" for i in range(30)], copy=False)
    arm = rng.integers(4, size=n)
    effect = np.select([arm == 1, arm == 2, arm == 3], [0.04 * (X["x0"] > 0), 0.04 * (X["x1"] > 0), 0.01], 0.0)
    chance = 0.05 + 0.05 * (X["x2"] > 0) + 0.03 * (X["x3"] > 1) + effect
    return X, ARMS[arm], (rng.random(n) < chance).astype(float)


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(kind: str, n: int, results: multiprocessing.Queue) -> None:  # type: ignore[type-arg]
    X, action, y = draw(n)
    data_mb = (X.memory_usage().sum() + action.nbytes + y.nbytes) / 2**20
    before, start = peak_mb(), time.monotonic()
    if kind == "LightGBM":
        features = X.assign(arm=pd.Categorical(action))
        settings = {"objective": "binary", "verbose": -1, "num_threads": threads_for(n), "seed": 0}
        lgb.train(settings, lgb.Dataset(features, y), num_boost_round=100)
        said = ""
    else:
        stack = UpliftStack().fit(X, action, y)
        said = f"differences supported: {stack.heterogeneity_.supported}; weights {stack.weights_}"
    results.put((time.monotonic() - start, peak_mb() - before, data_mb, said))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    seconds = {}
    print(f"{options.rows:,} rows, 30 features, 4 arms, {available_threads()} threads")
    for kind in ("LightGBM", "UpliftStack"):
        results = context.Queue()
        process = context.Process(target=measure, args=(kind, options.rows, results))
        process.start()
        seconds[kind], more_mb, data_mb, said = results.get()
        process.join()
        print(
            f"{kind}: {seconds[kind]:.1f} s, {more_mb:.0f} MB beyond the data's {data_mb:.0f} MB "
            f"({more_mb / data_mb:.1f} times) {said}",
            flush=True,
        )
    print(f"the stack takes {seconds['UpliftStack'] / seconds['LightGBM']:.1f} times as long as one fit")


if __name__ == "__main__":
    main()
