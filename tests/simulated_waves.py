"""Simulated waves for tests that need people, what was done to them, and the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pandas as pd

from propensity.dataset import Dataset, OutcomeWords
from propensity.frame import training_frame
from propensity.playbook import Playbook
from propensity.simulation import SimulatedProgram, simulate
from propensity.simulation.program import DECIDED_AT

FEW_ACTIONS = (
    "better_in_app_trial",
    "circumstances_email_price_hold",
    "fit_in_app_downgrade",
    "miss_you_email_percent_off",
    "miss_you_push_points",
)


@dataclass(frozen=True)
class Wave:
    """A simulated wave, its training frame in two parts by customer, and the truth."""

    program: SimulatedProgram
    train: pd.DataFrame
    test: pd.DataFrame

    @property
    def unseen_customers(self) -> pd.DataFrame:
        """Customers whom training never saw, in the order of ``test``."""
        customers = self.program.customers.set_index("customer_id", drop=False)
        return customers.loc[self.test["customer_id"]].reset_index(drop=True)


def simulated_wave(n_customers: int, book: Playbook, *, seed: int, effect_scale: float) -> Wave:
    program = simulate(n_customers, seed=seed, playbook=book, effect_scale=effect_scale)
    frame = training_frame(
        program.customers, program.contacts, program.outcomes, window_days=book.program.attribution_window_days
    )
    learns = np.random.default_rng(0).random(len(frame)) < 0.6
    return Wave(program, frame[learns].reset_index(drop=True), frame[~learns].reset_index(drop=True))


def waves_dataset(
    book: Playbook, *, sizes: Sequence[int], days: Sequence[int], effect_scale: float, n_again: int = 0, seed: int = 1
) -> Dataset:
    """Simulated waves as one data set, so many days after the usual one, each on other people.

    But for ``n_again`` contacts of the last wave: these are with people who had one in the first.
    """
    tables: dict[str, list[pd.DataFrame]] = {"customers": [], "contacts": [], "outcomes": []}
    first: list[str] = []
    for number, (n, day) in enumerate(zip(sizes, days, strict=True)):
        at = DECIDED_AT + timedelta(days=day)
        program = simulate(n, seed=seed + number, playbook=book, effect_scale=effect_scale, decided_at=at)
        contacted = list(program.contacts["customer_id"])
        name = {c: f"w{number}-{c}" for c in program.customers["customer_id"]}
        if number == len(sizes) - 1:
            name |= dict(zip(contacted[:n_again], first, strict=False))
        first = first or [name[c] for c in contacted]
        for key, rows in tables.items():
            table = getattr(program, key).copy()
            table["customer_id"] = table["customer_id"].map(name)
            for own in {"decision_id", "event_id"} & set(table):
                table[own] = (f"w{number}-" + table[own].astype("str")).where(table[own].notna())
            rows.append(table)
    return Dataset(
        name="waves",
        title="Waves",
        origin="a test",
        campaign=str(tables["contacts"][0]["campaign"].iloc[0]),
        words=OutcomeWords(),
        playbook=book,
        quarantined=pd.DataFrame(),
        violations=(),
        **{key: pd.concat(rows, ignore_index=True) for key, rows in tables.items()},
    )
