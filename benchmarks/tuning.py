"""Does tuning make better decisions than the default learners?

On the simulated program, whose truth is known: the share of the oracle's gain over the best single action that a
policy for each person reaches, with and without tuned learners. On Hillstrom's visits: what held-out people say.
`python benchmarks/tuning.py --trials 30 --runs 3`. Seeds are 0, 1, 2, ...; no seed is left out.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import pandas as pd

from propensity import datasets, playbook
from propensity.assessment import PEOPLE, assess
from propensity.contract import CONTROL
from propensity.evaluation import Estimate
from propensity.frame import is_held_out_of_training, training_frame
from propensity.model import DecisionModel
from propensity.playbook import Playbook
from propensity.policy import profit
from propensity.simulation import simulate
from propensity.simulation.program import Truth
from propensity_training.comparison import compare
from propensity_training.tuning import Budget, Tuning, tune


class Pair:
    """The default model and the tuned one, learnt from the same people."""

    def __init__(self, frame: pd.DataFrame, book: Playbook, seed: int, n_trials: int) -> None:
        held_out = is_held_out_of_training(frame["customer_id"], 0.5, seed)
        learnt, self.unseen = (frame[rows].reset_index(drop=True) for rows in (~held_out, held_out))
        self.seconds: list[float] = []
        self.usual = self._timed(lambda: DecisionModel(book, seed).fit(learnt))
        self.search: Tuning = self._timed(lambda: tune(learnt, book, Budget(n_trials), seed=seed))
        # without a tuned learner the models are the same
        self.tuned = self.usual
        if self.search.chosen:
            self.tuned = self._timed(lambda: DecisionModel(book, seed, self.search.learners).fit(learnt))

    def _timed(self, work):
        start = time.monotonic()
        done = work()
        self.seconds.append(time.monotonic() - start)
        return done

    def cells(self) -> list[str]:
        """What was found, for a row of a table."""
        chosen = ", ".join(f"{t.kind} {t.score:.4f}" for t in self.search.chosen) or "none"
        weights = list(self.tuned.reactivation.weights_.values())[-len(self.search.chosen) :]
        joined = " ".join(f"{w:.2f}" for w in weights) if self.search.chosen else ""
        p = [f"{model.evidence_.heterogeneity_p:.2g}" for model in (self.usual, self.tuned)]
        return [*p, chosen, joined, f"{self.seconds[0]:.0f}", f"{self.seconds[1]:.0f}"]


COLUMNS = ["p default", "p tuned", "tuned learners, score", "weights", "fit, s", "search, s"]


def row(cells: list[str]) -> None:
    print(f"| {' | '.join(cells)} |", flush=True)


def heading(cells: list[str]) -> None:
    row(cells)
    row(["---"] * len(cells))


def gains(people: pd.DataFrame, truth: Truth, book: Playbook, actions: list[str]) -> pd.DataFrame:
    """True net value of each action a person may get, 0 of control, NaN elsewhere."""
    expected = [
        table.loc[people["customer_id"], actions].to_numpy()
        for table in (truth.expected_revenue, truth.reactivation_probability, truth.unsubscribe_probability)
    ]
    profits = profit(*expected, book, actions)
    gain = pd.DataFrame(profits - profits[:, :1], columns=actions)
    return gain.where(truth.eligible.loc[people["customer_id"], actions].to_numpy())


def simulated(options: argparse.Namespace) -> None:
    book = playbook.load("default")
    names = ["default", "tuned", "default", "tuned", "oracle", "best single action"]
    units = ["share", "share", *["net value"] * 4]
    print(f"\nSimulated program, {options.customers:,} customers, half held out; net value per 1,000, true\n")
    heading(["seed", *(f"{u}, {n}" for u, n in zip(units, names, strict=True)), *COLUMNS])
    differences = []
    for seed in range(options.runs):
        program = simulate(options.customers, seed=seed, playbook=book)
        window = book.program.attribution_window_days
        frame = training_frame(program.customers, program.contacts, program.outcomes, window_days=window)
        pair = Pair(frame, book, seed, options.trials)
        people = pair.unseen
        gain = gains(people, program.truth, book, pair.usual.actions)
        gain[CONTROL] = 0.0
        # who may not get the single action gets nothing
        single, oracle = gain.fillna(0.0).mean().max(), gain.max(axis=1).mean()

        def worth(model: DecisionModel, gain: pd.DataFrame = gain, people: pd.DataFrame = people) -> float:
            column = gain.columns.get_indexer(pd.Index(model.choose(people, people["decided_at"], "per_person")))
            return float(gain.to_numpy()[np.arange(len(gain)), column].mean())

        values = [worth(pair.usual), worth(pair.tuned)]
        shares = [(v - single) / (oracle - single) for v in values]
        differences.append(shares[1] - shares[0])
        figures = [f"{v * PEOPLE:,.0f}" for v in (*values, oracle, single)]
        row([str(seed), *(f"{s:.1%}" for s in shares), *figures, *pair.cells()])
    error = np.std(differences, ddof=1) / np.sqrt(len(differences)) if len(differences) > 1 else np.nan
    print(f"\ntuned minus default: {np.mean(differences):+.1%} of what the oracle gains (standard error {error:.1%})")


def hillstrom(options: argparse.Namespace) -> None:
    dataset = datasets.load("hillstrom")
    book = dataset.playbook
    frame = training_frame(
        dataset.customers, dataset.contacts, dataset.outcomes, window_days=book.program.attribution_window_days
    )
    n_people = min(options.people, len(frame))
    print(f"\nHillstrom, {n_people:,} people, half held out; 95 % intervals, per 1,000 held-out people\n")
    names = ["QINI, default", "QINI, tuned", "tuned minus default, visits", "net value", "people who differ"]
    heading(["seed", *names, *COLUMNS])
    for seed in range(options.hillstrom_runs):
        pair = Pair(frame.sample(n_people, random_state=seed).reset_index(drop=True), book, seed, options.trials)
        compared = compare(pair.tuned, pair.usual, pair.unseen, book)
        rankings = [assess(model, pair.unseen).qini.times(PEOPLE) for model in (pair.usual, pair.tuned)]
        paired = [compared.difference[name] for name in ("reactivations", "expected_value")]
        row(
            [
                str(seed),
                *(interval(e) for e in (*rankings, *paired)),
                f"{compared.n_different / compared.n_decisions:.0%}",
                *pair.cells(),
            ]
        )


def interval(estimate: Estimate) -> str:
    return f"{estimate.value:.2f} ({estimate.low:.2f} to {estimate.high:.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--runs", type=int, default=3, help="simulated programs")
    parser.add_argument("--customers", type=int, default=20_000, help="of a simulated program")
    parser.add_argument("--hillstrom-runs", type=int, default=1, help="draws of people and of who is held out")
    parser.add_argument("--people", type=int, default=64_000, help="of Hillstrom's")
    options = parser.parse_args()
    start = time.monotonic()
    if options.runs:
        simulated(options)
    if options.hillstrom_runs:
        hillstrom(options)
    print(f"\n{time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main()
