"""Do the statistics of experiments agree with tea-tasting where both compute the same?

tea-tasting stays out of the lock; it goes beside ours without its own dependencies:
`pip install --no-deps -r benchmarks/inference-peers-requirements.txt`, then `python benchmarks/inference_peers.py`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import tea_tasting as tt

from propensity.inference import holm, lift, sample_ratio_test


def main() -> None:
    rng = np.random.default_rng(0)
    n = 20_000
    sent, past = rng.random(n) < 0.3, rng.exponential(size=n)
    bought = rng.random(n) < 0.05 + 0.01 * sent
    spent = bought * (past + rng.exponential(30, n))
    data = pd.DataFrame({"variant": sent.astype(int), "bought": bought.astype(int), "spent": spent, "past": past})
    chances = pd.DataFrame({"control": np.full(n, 0.7), "mail": 0.3})
    action = np.where(sent, "mail", "control")
    theirs = tt.Experiment(
        bought=tt.Mean("bought", use_t=False),
        spent=tt.Mean("spent", use_t=False),
        adjusted=tt.Mean("spent", covariate="past", use_t=False),
        ratio=tt.SampleRatio({0: 7, 1: 3}, method="norm", correction=False),
    ).analyze(data)
    print("| figure | ours | tea-tasting | relative difference |\n|---|---|---|---|")

    def row(figure: str, ours: float, other: float) -> None:
        print(f"| {figure} | {ours:.8f} | {other:.8f} | {abs(ours / other - 1):.1e} |")

    for name, key, column, covariates in (
        ("share who bought", "bought", "bought", None),
        ("revenue", "spent", "spent", None),
        ("revenue, adjusted (theirs: one slope for both arms)", "adjusted", "spent", past[:, None]),
    ):
        (found,) = lift(data[column], action, chances, covariates=covariates)
        other = theirs[key]
        row(f"{name}: difference", found.difference, other.effect_size)
        row(f"{name}: lower bound", found.low, other.effect_size_ci_lower)
        row(f"{name}: upper bound", found.high, other.effect_size_ci_upper)
        row(f"{name}: p-value", found.p_value, other.pvalue)
        if found.relative is not None:
            low = found.relative.low
            row(f"{name}: relative, lower (ours Fieller, theirs delta)", low, other.rel_effect_size_ci_lower)
    row("sample ratio: p-value", sample_ratio_test(action, chances).p_value, theirs["ratio"].pvalue)
    several = tt.adjust_fwer(theirs, ("bought", "spent"), method="bonferroni", arbitrary_dependence=True).to_dicts()
    for ours, other in zip(holm([x["pvalue"] for x in several]), several, strict=True):
        row(f"Holm: {other['metric']}", ours, other["pvalue_adj"])


if __name__ == "__main__":
    main()
