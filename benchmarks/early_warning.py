"""How often does the check of early effects warn where nothing is wrong, and does it find an arm of the wrong sign?

`python benchmarks/early_warning.py --models 6 --runs 20`. Each model is trained and assessed on a simulated program of
its own; each run lets it decide on one wave of other people, of whom a tenth is held out, and looks 31 days later. Then
the same with a model that learnt from the same data in which its best arm brought back as many less than no contact as
it did more. Seeds are 0, 1, 2, ...; none is left out. Runs of one model share its reference, so the interval of the
share of false alarms is that of means by model.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

from propensity import playbook
from propensity.dataset import Dataset, OutcomeWords
from propensity.frame import split, training_frame
from propensity.held_out import held_out_people
from propensity.model import DecisionModel
from propensity.monitoring.early import Early, came_back_early, early_effects, early_warning
from propensity.monitoring.results import LEVEL, Check
from propensity.playbook import Playbook
from propensity.simulation import DECIDED_AT, simulate
from propensity.simulation.followed import follow, recorded

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from planted import best_arm, mirrored

ACTIONS = ("better_email_update", "miss_you_email_percent_off")
EFFECT_SCALE = 6.0
WAVE_AT = pd.Timestamp(DECIDED_AT) + pd.Timedelta(days=120)
LOOKED_AT = WAVE_AT + pd.Timedelta(days=31)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=6)
    parser.add_argument("--runs", type=int, default=20, help="of each model, with nothing wrong")
    parser.add_argument("--found-runs", type=int, default=5, help="of each planted model and size of wave")
    parser.add_argument(
        "--people", type=int, nargs="+", default=[5_000, 20_000], help="in a wave; the first if healthy"
    )
    parser.add_argument("--training", type=int, default=12_000, help="people whom a model learns from or is judged by")
    options = parser.parse_args()
    full = playbook.load("default")
    book = full.model_copy(update={"actions": {name: full.actions[name] for name in ACTIONS}})
    print(f"level of the check {LEVEL:.2%}")
    start = time.monotonic()
    alarms = np.zeros((options.models, options.runs))
    found = {people: np.zeros((options.models, options.found_runs)) for people in options.people}
    p_values: list[float] = []
    few = 0
    for number in range(options.models):
        dataset = simulated(book, number, options.training)
        model, arm = trained(dataset, number), best_arm(dataset)
        for run in range(options.runs):
            check = look(model, 10_000 * (number + 1) + run, options.people[0])
            alarms[number, run] = check.status == "alarm"
            few += check.status == "not enough data"
            p_values += [f.p_value for f in check.findings if not np.isnan(f.p_value)]
        planted = trained(mirrored(dataset, arm), number)
        for people, raised in found.items():
            for run in range(options.found_runs):
                check = look(planted, 1_000_000 * (number + 1) + run, people)
                raised[number, run] = check.status == "alarm"
        print(
            f"model {number}: {int(alarms[number].sum())} false alarms; {arm} mirrored is found in "
            + ", ".join(f"{int(raised[number].sum())} of waves of {people:,}" for people, raised in found.items())
            + f"; {check.sentence}",
            flush=True,
        )
    by_model = alarms.mean(axis=1)
    error = by_model.std(ddof=1) / np.sqrt(len(by_model)) if len(by_model) > 1 else float("nan")
    tested = np.array(p_values)
    print(
        f"nothing wrong, waves of {options.people[0]:,}: an alarm in {int(alarms.sum())} of {alarms.size} runs "
        f"(standard error {error:.1%}), {few} without enough data; of {len(tested):,} findings "
        f"{(tested < 0.05).mean():.1%} have p < 0.05"
    )
    for people, raised in found.items():
        print(f"best arm mirrored, waves of {people:,}: found in {int(raised.sum())} of {raised.size}")
    print(f"{time.monotonic() - start:.0f} s")


def simulated(book: Playbook, seed: int, people: int) -> Dataset:
    """A program that drew at random."""
    program = simulate(people, seed=seed, playbook=book, effect_scale=EFFECT_SCALE)
    tables = (program.customers, program.contacts, program.outcomes)
    return Dataset("simulated", "Simulated", "a benchmark", "c", OutcomeWords(), book, *tables, tables[0].iloc[:0], ())


def trained(dataset: Dataset, seed: int) -> DecisionModel:
    """A model that learnt from one half and was assessed on the other."""
    window = dataset.playbook.program.attribution_window_days
    frame = training_frame(dataset.customers, dataset.contacts, dataset.outcomes, window_days=window)
    sides = split(frame, window_days=window, share=0.5, seed=seed, kind="customers")
    model = DecisionModel(dataset.playbook, seed).fit(sides.training)
    unseen = held_out_people(model, sides.held_out)
    model.reference = model.reference.with_held_out(unseen.predictions, {}, Early.of(unseen, dataset.outcomes))
    return model


def look(model: DecisionModel, seed: int, people: int) -> Check:
    """The check, 31 days after a wave that the model decided."""
    wave = follow(
        people,
        lambda customers: model.decide_with_probabilities(customers, at=WAVE_AT, campaign="wave"),
        seed=seed,
        playbook=model.playbook,
        decided_at=WAVE_AT,
        effect_scale=EFFECT_SCALE,
    )
    decisions, customers, events = recorded({WAVE_AT: wave})
    reachable = decisions[decisions["assignment"] != "suppressed"].reset_index(drop=True)
    events = events[events["at"] < LOOKED_AT]
    frame = training_frame(customers, reachable, events, window_days=model.playbook.program.attribution_window_days)
    unseen = held_out_people(model, frame)
    share = model.reference.early.share
    assert share is not None
    now = early_effects(unseen, came_back_early(unseen.frame, events), share)
    return early_warning("the wave", model.reference.early, now)


if __name__ == "__main__":
    main()
