"""Is what an assessment says of a policy true?

Trains on simulated programs, whose truth is known, and compares the assessed net value of policies on held-out people
with their true one: `python benchmarks/truth.py --runs 4`. Seeds are 0, 1, 2, ...; no seed is left out.
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd

from propensity import playbook
from propensity.assessment import PEOPLE, assess
from propensity.frame import is_held_out_of_training, training_frame
from propensity.model import DecisionModel
from propensity.policy import profit, rule_action
from propensity.simulation import simulate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=4)
    parser.add_argument("--customers", type=int, default=40_000)
    options = parser.parse_args()
    book = playbook.load("default")
    print("| seed | granted | per person: assessed (95 %) | true | one action: assessed (95 %) | true |", end="")
    print(" rule playbook, true | oracle |\n|---|---|---|---|---|---|---|---|")
    for seed in range(options.runs):
        program = simulate(options.customers, seed=seed, playbook=book)
        window = book.program.attribution_window_days
        frame = training_frame(program.customers, program.contacts, program.outcomes, window_days=window)
        held_out = is_held_out_of_training(frame["customer_id"], 0.5, seed)
        model = DecisionModel(book, seed).fit(frame[~held_out].reset_index(drop=True))
        unseen = frame[held_out].reset_index(drop=True)
        assessment = assess(model, unseen)
        truth = program.truth

        def of(table: pd.DataFrame, people: pd.DataFrame = unseen, actions: list[str] = model.actions) -> np.ndarray:
            return table.loc[people["customer_id"], actions].to_numpy()

        profits = profit(
            of(truth.expected_revenue),
            of(truth.reactivation_probability),
            of(truth.unsubscribe_probability),
            book,
            model.actions,
        )
        gain = pd.DataFrame(profits - profits[:, :1], columns=model.actions)

        def worth(chosen: np.ndarray, gain: pd.DataFrame = gain) -> str:
            column = gain.columns.get_indexer(pd.Index(chosen))
            return f"{gain.to_numpy()[np.arange(len(gain)), column].mean() * PEOPLE:,.0f}"

        cells = [str(seed), assessment.gate.granted.replace("_", " ")]
        for mode in ("per_person", "one_action"):
            assessed = assessment.policy(mode)
            assert assessed is not None
            value = assessed.net_value
            cells += [f"{value.value:,.0f} ({value.low:,.0f} to {value.high:,.0f})"]
            cells += [worth(model.choose(unseen, unseen["decided_at"], mode))]
        allowed = model.eligible(unseen, unseen["decided_at"]).allowed
        cells += [worth(rule_action(unseen, book, allowed))]
        best = gain.where(of(truth.eligible)).fillna(-np.inf).max(axis=1)
        print(f"| {' | '.join(cells)} | {best.mean() * PEOPLE:,.0f} |", flush=True)


if __name__ == "__main__":
    main()
