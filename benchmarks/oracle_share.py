"""How much of what can be gained does a model learn, and are its effects of the right size?

Draws simulated programs, whose truth is known, and fits a `DecisionModel` on the first decisions of half of the
customers, to the number that is asked for: `python benchmarks/oracle_share.py --runs 3 --contacts 100000`. Seeds are
0, 1, 2, ...; none is left out. The share is of the oracle's gain in returns over the truly best action for everybody,
on the customers of the other half, each person getting the eligible action of greatest effect. The slope is that of
true mean effects on predicted ones over tenths of all eligible pairs of person and action, by predicted effect.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import pandas as pd

from propensity import playbook
from propensity.frame import all_actions, is_held_out_of_training, training_frame
from propensity.model import DecisionModel
from propensity.simulation import simulate

TENTHS = np.linspace(0, 1, 11)[1:-1]


def slope_of_tenths(predicted: np.ndarray, true: np.ndarray) -> float:
    """Slope of the tenths' mean true effect on their mean predicted effect."""
    group = np.searchsorted(np.quantile(predicted, TENTHS), predicted)
    means = pd.DataFrame({"predicted": predicted, "true": true}).groupby(group).mean()
    return float(np.polyfit(means["predicted"], means["true"], 1)[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--contacts", type=int, default=100_000, help="logged contacts to learn from")
    options = parser.parse_args()
    book = playbook.load("default")
    window = book.program.attribution_window_days
    print("| seed | decisions, contacts | differences supported | share of the oracle's gain | slope | seconds |")
    print("|---|---|---|---|---|---|")
    for seed in range(options.runs):
        # nine in ten decisions are contacts, and some customers may get none
        program = simulate(int(options.contacts * 3), seed=seed, playbook=book)
        frame = training_frame(program.customers, program.contacts, program.outcomes, window_days=window)
        held_out = is_held_out_of_training(frame["customer_id"], 0.5, seed)
        train, unseen = frame[~held_out].reset_index(drop=True), frame[held_out].reset_index(drop=True)
        contacted = (train["action"] != "control").cumsum().to_numpy()
        if contacted[-1] < options.contacts:
            raise ValueError(f"expected {options.contacts:,} contacts to learn from, found {contacted[-1]:,}")
        train = train[contacted <= options.contacts].reset_index(drop=True)
        actions = all_actions([a for a in book.labels if a in set(train["action"])])
        start = time.monotonic()
        model = DecisionModel(book, seed).fit(train)
        stack = model.reactivation
        seconds = time.monotonic() - start
        chance = program.truth.reactivation_probability.loc[unseen["customer_id"], actions].to_numpy()
        allowed = program.truth.eligible.loc[unseen["customer_id"], actions[1:]].to_numpy()
        true = chance[:, 1:] - chance[:, :1]
        predicted = model.predict(unseen, unseen["decided_at"]).effect[actions[1:]].to_numpy()

        def gain(by: np.ndarray, allowed: np.ndarray = allowed, true: np.ndarray = true) -> float:
            value = np.where(allowed, by, 0.0)
            best = value.argmax(axis=1)
            rows = np.arange(len(best))
            return float(np.where(value[rows, best] > 0, true[rows, best], 0.0).mean())

        constant = max(np.where(allowed[:, a], true[:, a], 0.0).mean() for a in range(true.shape[1]))
        share = (gain(predicted) - constant) / (gain(true) - constant)
        print(
            f"| {seed} | {len(train):,}, {options.contacts:,} | {stack.heterogeneity_.supported} | {share:.1%} | "
            f"{slope_of_tenths(predicted[allowed], true[allowed]):.2f} | {seconds:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
