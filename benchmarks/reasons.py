"""Can the reasons for churn of the telephone company be told from what was known before people left?

`python benchmarks/reasons.py` prints what `propensity reasons report telco` measures (macro one-vs-rest AUC and
log-loss beside those of the class shares, with 95 % intervals), and the same without where people live.
`python benchmarks/reasons.py --coverage 200` draws leavers whose truth is known instead and counts how often the
intervals hold it; draw k has seed k, and none is left out.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import pandas as pd
from scipy.special import softmax
from sklearn.metrics import roc_auc_score

from propensity.contract import REASONS
from propensity.evaluation import Estimate
from propensity.leavers import read_leavers
from propensity.pages.words import interval
from propensity.reasons import ReasonModel, ReasonModels, ReasonReport, reason_report

PLACE = ("Latitude", "Longitude")


def print_report(title: str, report: ReasonReport) -> None:
    def row(name: str, model: Estimate, shares: str, difference: str) -> None:
        print(f"| {name} | {interval(model, 3)} | {shares} | {difference} |")

    print(f"\n{title}\n\n| | model | class shares | gain |\n|---|---|---|---|")
    row("macro AUC", report.auc, "0.5", interval(report.auc._replace(**_above(report.auc, 0.5)), 3, sign=True))
    row("log-loss", report.log_loss, interval(report.share_log_loss, 3), interval(report.gain, 3, sign=True))
    for name, area in report.auc_by_reason.items():
        row(f"AUC of {name} ({report.counts[name]:,})", area, "0.5", "")
    print(f"\n{report.sentence}")


def _above(estimate: Estimate, base: float) -> dict[str, float]:
    return {name: getattr(estimate, name) - base for name in ("value", "low", "high")}


def print_inferred(report: ReasonReport) -> None:
    print("\n| least chance asked for | people given a reason | chance claimed | right |\n|---|---|---|---|")
    for row in report.sureness:
        figures = "- | -" if row.claimed is None else f"{row.claimed:.1%} | {row.right:.1%}"
        print(f"| {row.minimum} | {row.share:.1%} | {figures} |")


def judged(X: pd.DataFrame, reason: pd.Series) -> ReasonReport:
    return ReasonModels.fit(X, reason).reports[0]


def draw(n: int, seed: int, strength: float) -> tuple[pd.DataFrame, pd.Series]:
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(rng.normal(size=(n, 6)), columns=[f"x{i}" for i in range(6)])
    score = np.column_stack([X["x0"], np.sin(2 * X["x1"]), -X["x0"], (X["x2"] > 0) * 1.0])
    chance = softmax(np.log([0.5, 0.3, 0.15, 0.05]) + strength * score, axis=1)
    code = (chance.cumsum(axis=1)[:, :-1] < rng.random((n, 1))).sum(axis=1)
    return X, pd.Series(np.array(REASONS[:4], dtype=object)[code])


def performance(model: ReasonModel, X: pd.DataFrame, reason: pd.Series) -> tuple[float, float, float, float]:
    """AUC, log-loss, the class shares' log-loss, and the gain, of one fold's model on fresh people."""
    chance = model.probabilities(X)
    stated = pd.Index(chance.columns).get_indexer(pd.Index(reason))
    loss = -np.log(chance.to_numpy()[np.arange(len(X)), stated]).mean()
    share_loss = -np.log(model.shares_)[stated].mean()
    areas = [roc_auc_score(reason == name, chance[name]) for name in chance]
    return float(np.mean(areas)), loss, share_loss, share_loss - loss


def print_coverage(runs: int, rows: int) -> None:
    print(f"{runs} draws of {rows:,} people; share of 95 % intervals that hold the truth\n")
    print("| signal | AUC | log-loss | shares' log-loss | gain | said that the features say something |")
    print("|---|---|---|---|---|---|")
    for name, strength in (("none", 0.0), ("weak", 0.2), ("strong", 0.8)):
        held, found = [], 0
        for seed in range(runs):
            models: list[ReasonModel] = []

            def factory(models: list[ReasonModel] = models) -> ReasonModel:
                models.append(ReasonModel())
                return models[-1]

            report = reason_report(factory, *draw(rows, seed, strength), seed)
            fresh = draw(20_000, 1_000_000 + seed, strength)
            truth = np.mean([performance(model, *fresh) for model in models], axis=0)
            estimates = (report.auc, report.log_loss, report.share_log_loss, report.gain)
            held.append([e.low - 1e-12 <= t <= e.high + 1e-12 for e, t in zip(estimates, truth, strict=True)])
            found += report.gain.low > 0
        cells = [f"{share:.1%}" for share in np.mean(held, axis=0)]
        print(f"| {' | '.join([name, *cells, f'{found / runs:.1%}'])} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--coverage", type=int, metavar="RUNS", help="simulate instead, so many times")
    parser.add_argument("--rows", type=int, default=1000, help="people in a simulated draw")
    options = parser.parse_args()
    start = time.monotonic()
    if options.coverage:
        print_coverage(options.coverage, options.rows)
    else:
        people = read_leavers("telco")
        X, reason = people.features, people.reason
        report = judged(X, reason)
        print(f"{report.n:,} leavers stated one of {len(report.counts)} reasons; {len(X) - report.n:,} gave none.")
        print(
            "The company is fictional (a sample by IBM): its author planted what features say of reasons, or did not."
        )
        print_report("Everything known before they left", report)
        print_inferred(report)
        print_report("Without where they live", judged(X.drop(columns=list(PLACE)), reason))
    print(f"\n{time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main()
