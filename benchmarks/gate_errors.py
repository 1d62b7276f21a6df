"""How often do held-out people grant a model to contact anybody, where contact does nothing and where it pays?

`python benchmarks/gate_errors.py --runs 400`: one model learns from a simulated program of the default playbook. Then
many small programs are drawn, seeds 1000, 1001, ..., whose effects are the model's world's times each of `--scales`;
their people judge it as held-out people do, whose number is `--held-out`. Training is taken to have proposed to choose
per person, so that the shares are those among models that get so far; with a scale of 0 each grant is a mistake. The
last column is how often a champion's standing grant outlives such people.
"""

from __future__ import annotations

import argparse
import collections
import time
from dataclasses import replace

import pandas as pd
from scipy import stats

from propensity import playbook
from propensity.assessment import assess_people
from propensity.frame import training_frame
from propensity.held_out import held_out_people
from propensity.model import DecisionModel
from propensity.playbook import Playbook
from propensity.simulation import simulate

FIRST_SEED = 1_000


def frame_of(n: int, seed: int, book: Playbook, scale: float = 1.0) -> pd.DataFrame:
    """The training frame of a program of n people."""
    program = simulate(n, seed=seed, playbook=book, effect_scale=scale)
    window = book.program.attribution_window_days
    return training_frame(program.customers, program.contacts, program.outcomes, window_days=window)


def share(found: int, runs: int) -> str:
    """A share in percent with its 95 % interval (Clopper and Pearson)."""
    bounds = stats.binomtest(found, runs).proportion_ci()
    return f"{found / runs:.1%} ({bounds.low:.1%} to {bounds.high:.1%})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=400)
    parser.add_argument("--decisions", type=int, default=16_000, help="people of the program to learn from")
    parser.add_argument("--held-out", type=int, default=2_000, help="people of the programs that judge")
    parser.add_argument("--scales", type=float, nargs="+", default=[0.0, 0.5, 1.0])
    options = parser.parse_args()
    book = playbook.load("default")
    model = DecisionModel(book, 0).fit(frame_of(options.decisions, 0, book))
    print(f"Training proposed: {model.evidence_.supported_mode}; p = {model.evidence_.heterogeneity_p:.2g}")
    model.evidence_ = replace(model.evidence_, supported_mode="per_person")
    print("| effects | runs | per person | one action | contact at all | a standing grant stays | seconds |")
    print("|---|---|---|---|---|---|---|")
    for scale in options.scales:
        start = time.monotonic()
        granted = {standing: collections.Counter[str]() for standing in ("nobody", "per_person")}
        for seed in range(FIRST_SEED, FIRST_SEED + options.runs):
            people = held_out_people(model, frame_of(options.held_out, seed, book, scale))
            for standing, count in granted.items():
                count[assess_people(model, people, standing=standing).gate.granted] += 1
        first, runs = granted["nobody"], options.runs
        shares = [first["per_person"], first["one_action"], runs - first["nobody"]]
        shares.append(runs - granted["per_person"]["nobody"])
        told = " | ".join(share(n, runs) for n in shares)
        print(f"| {scale:g} | {runs} | {told} | {time.monotonic() - start:.0f} |", flush=True)


if __name__ == "__main__":
    main()
