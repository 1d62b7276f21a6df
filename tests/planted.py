"""A model that is wrong in one way: what one arm does has the other sign."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from propensity.contract import CONTROL
from propensity.dataset import Dataset
from propensity.frame import training_frame

RETURNS = ("reactivated", "purchased")


def mirrored(dataset: Dataset, arm: str, seed: int = 0) -> Dataset:
    """The data set in which an arm brings back as many less than no contact as it did more, or nobody.

    Of the people who were served it so many, drawn at random, lose their returns.
    """
    window = dataset.playbook.program.attribution_window_days
    frame = training_frame(dataset.customers, dataset.contacts, dataset.outcomes, window_days=window)
    rates = frame.groupby("action")["reactivated"].mean()
    kept = max(0.0, 2 * rates[CONTROL] - rates[arm]) / rates[arm]
    mine = frame.loc[(frame["action"] == arm) & (frame["reactivated"] > 0), "customer_id"]
    loses = mine[np.random.default_rng(seed).random(len(mine)) >= kept]
    outcomes = dataset.outcomes
    lost = outcomes["customer_id"].isin(loses) & outcomes["type"].isin(RETURNS)
    return replace(dataset, outcomes=outcomes[~lost].reset_index(drop=True), origin=f"{dataset.origin}, {arm} mirrored")


def best_arm(dataset: Dataset) -> str:
    """The arm that brings back most."""
    window = dataset.playbook.program.attribution_window_days
    frame: pd.DataFrame = training_frame(dataset.customers, dataset.contacts, dataset.outcomes, window_days=window)
    return str(frame.groupby("action")["reactivated"].mean().drop(CONTROL).idxmax())
