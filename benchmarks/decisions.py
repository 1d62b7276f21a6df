"""What are decisions worth, when effects are known and when they are learnt, and do what-ifs tell it beforehand?

Trains on the first contacts of a simulated program, whose truth is known, and decides on the customers of another one
within a budget and the channels' capacities: `python benchmarks/decisions.py --runs 3 --contacts 100000`. Seeds are
0, 1, 2, ...; none is left out. All figures are true net values for each 1,000 people of the wave:

- known effects: decisions, holdouts and exploration left out of the comparison, when the true effects are put in the
  model's place, against an oracle: the best allocation (its dual bound) of the same people within the same limits.
- learnt: decisions as they are, exploration included, against the rule playbook and the best e-mail for everybody who
  may get it, to the same people within the same limits. Nobody of the holdout gets anything under any of them.
- expected: whether the what-if's 95 % intervals of extra returns and extra revenue hold the true ones; effects were
  measured on about as many people of the first program, from whom the model did not learn.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

import numpy as np
import pandas as pd

from propensity import playbook
from propensity.contract import CONTROL
from propensity.deciding import Wave
from propensity.frame import training_frame
from propensity.held_out import held_out_people, measured_effects
from propensity.model import DecisionModel, Predictions
from propensity.policy import Limit, allocate, is_held_out, rule_action, used_by
from propensity.simulation import SimulatedProgram, simulate
from propensity.simulation.program import DECIDED_AT
from propensity.what_if import Scenario, compare

AT = pd.Timestamp(DECIDED_AT)
WEEKS = 4.0
CAMPAIGN = "next"


def true_predictions(model: DecisionModel, program: SimulatedProgram) -> Predictions:
    """The truth in the form of predictions, for all customers of a program."""
    truth = program.truth
    chances, money, leaving = (
        table[model.actions].to_numpy()
        for table in (truth.reactivation_probability, truth.expected_revenue, truth.unsubscribe_probability)
    )
    return Predictions.of(
        chances,
        money,
        leaving,
        chances[:, 1:] - chances[:, :1],
        model.playbook,
        model.actions,
        pd.RangeIndex(len(money)),
    )


def within(action: np.ndarray, limits: Sequence[Limit], labels: pd.Index) -> np.ndarray:
    """The actions (n,) until the limits are used up, in the order of the people; then nobody gets more of it."""
    kept = action.copy()
    for limit in limits:
        use = used_by(limit, labels, kept)
        kept[(use > 0) & (np.cumsum(use) > limit.amount)] = CONTROL
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--contacts", type=int, default=100_000, help="logged contacts to learn from")
    parser.add_argument("--people", type=int, default=50_000, help="of the wave")
    parser.add_argument("--budget", type=float, default=0.1, help="currency for each of them")
    options = parser.parse_args()
    book = playbook.load("default")
    print(
        "| seed | mode | known: decisions, oracle, share | learnt | rules | best e-mail | extra returns: true", end=""
    )
    print(" (what-if) | extra revenue: true (what-if) | spent of budget | seconds |\n|" + "---|" * 10)
    for seed in range(options.runs):
        start = time.monotonic()
        model = train(options.contacts, seed)
        program = simulate(options.people, seed=1_000_000 + seed, playbook=book)
        budget = options.budget * options.people
        people = program.customers.reset_index(drop=True)
        wave = Wave(model, people, AT, CAMPAIGN)
        known = Wave(model, people, AT, CAMPAIGN)
        truth = true_predictions(model, program)
        known.__dict__["predictions"] = truth
        known.__dict__["value"] = truth.net_value
        limits = known.limits(WEEKS, budget)
        labels = truth.net_value.columns
        served = ~is_held_out(people["customer_id"], CAMPAIGN, book.learning)

        def worth(action: np.ndarray, table: pd.DataFrame = truth.net_value) -> float:
            column = table.columns.get_indexer(pd.Index(action))
            return float(table.to_numpy()[np.arange(len(table)), column][column >= 0].sum())

        bound = allocate(truth.net_value[served], known.eligible.allowed[served], _of(limits, served)).upper_bound
        by_truth, _ = known.decide(limits)
        decided, _ = wave.decide(wave.limits(WEEKS, budget))
        learnt = decided["action"].to_numpy(dtype=object)
        allowed = wave.eligible.allowed
        by_rule = within(np.where(served, rule_action(people, book, allowed), CONTROL), limits, labels)
        emails = [a for a in labels if book.actions[a].channel == "email"]
        # the truly best one: no company that sends everybody the same e-mail knows more
        same = max(
            (within(np.where(served & allowed[a].to_numpy(), a, CONTROL), limits, labels) for a in emails), key=worth
        )
        outlook = compare(wave, [Scenario("as it is", book, budget, WEEKS)]).outlooks[0]
        spent = float(used_by(limits[0], labels, learnt).sum())
        per_1000 = 1000 / len(people)
        true_known = worth(by_truth["action"].to_numpy(dtype=object))
        cells = [
            str(seed),
            model.mode.replace("_", " "),
            f"{true_known * per_1000:,.0f}, {bound * per_1000:,.0f}, {true_known / bound:.1%}",
            f"{worth(learnt) * per_1000:,.0f}",
            f"{worth(by_rule) * per_1000:,.0f}, {worth(learnt) / worth(by_rule):.2f} times",
            f"{worth(same) * per_1000:,.0f}, {worth(learnt) / worth(same):.2f} times",
        ]
        for name, table in (("reactivated", truth.effect), ("revenue", truth.extra_revenue)):
            true, found = worth(learnt, table), outlook.expected[name]
            holds = "holds" if found.low <= true <= found.high else "MISSES"
            cells.append(f"{true:,.0f} ({found.value:,.0f}: {found.low:,.0f} to {found.high:,.0f}, {holds})")
        cells += [f"{spent / budget:.0%}", f"{time.monotonic() - start:.0f}"]
        print(f"| {' | '.join(cells)} |", flush=True)


def _of(limits: Sequence[Limit], people: np.ndarray) -> list[Limit]:
    """The same limits for some of the people."""
    return [Limit(x.name, x.amount, x.use[people] if isinstance(x.use, pd.DataFrame) else x.use) for x in limits]


def train(contacts: int, seed: int) -> DecisionModel:
    """A model that learnt from the first so many contacts of a program, measured on the other people of it."""
    book = playbook.load("default")
    program = simulate(int(contacts * 2.6), seed=seed, playbook=book)
    window = book.program.attribution_window_days
    frame = training_frame(program.customers, program.contacts, program.outcomes, window_days=window)
    contacted = (frame["action"] != CONTROL).cumsum().to_numpy()
    if contacted[-1] < contacts:
        raise ValueError(f"expected {contacts:,} contacts to learn from, found {contacted[-1]:,}")
    learns = contacted <= contacts
    model = DecisionModel(book, seed).fit(frame[learns].reset_index(drop=True))
    model.measured_ = measured_effects(held_out_people(model, frame[~learns].reset_index(drop=True)))
    return model


if __name__ == "__main__":
    main()
