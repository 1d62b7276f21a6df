"""Simulated waves for tests that need people, what was done to them, and the truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from propensity.frame import training_frame
from propensity.playbook import Playbook
from propensity.simulation import SimulatedProgram, simulate

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
    def test_customers(self) -> pd.DataFrame:
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
