"""The problems that competitors are given: real experiments and the simulated program, each cut into two halves."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from propensity import datasets, playbook
from propensity.contract import CONTROL
from propensity.errors import InputError
from propensity.features import FeatureBuilder
from propensity.frame import all_actions, logged_propensity, training_frame
from propensity.simulation import SimulatedProgram, simulate

CHARITY_FILE = "charity_match.csv.gz"
MATCH_RATIOS = ("match_1_to_1", "match_2_to_1", "match_3_to_1")
# a third got the standard letter; the rest was split evenly over the ratios (Karlan and List 2007)
CHARITY_CHANCES = {CONTROL: 1 / 3, **dict.fromkeys(MATCH_RATIOS, 2 / 9)}
# what was known of a person before the letter; what was computed from responses or court cases in an area is left out
CHARITY_FEATURES = (
    *("hpa", "ltmedmra", "freq", "years", "mrm2", "female", "couple"),
    *("perbush", "close25", "red0", "redcty", "pwhite", "pblack", "page18_39", "ave_hh_sz", "median_hhincome"),
    *("powner", "psch_atlstba", "pop_propurban"),
)
CHARITY_MISSING = -999
QUICK_PEOPLE, QUICK_CUSTOMERS, CUSTOMERS = 6_000, 12_000, 40_000


@dataclass(frozen=True)
class Program:
    """What only the simulated program has: its contract rows, playbook and truth."""

    frame: pd.DataFrame
    playbook: playbook.Playbook
    simulated: SimulatedProgram


@dataclass(frozen=True)
class Problem:
    """People, what they were served and what happened.

    Attributes
    ----------
    title : str
    unit : str
        Of the net value, per 1,000 people.
    X : DataFrame (n, d)
    action, y : array (n,)
    propensity : DataFrame (n, n actions)
        Control first.
    factors : DataFrame or None
    program : Program or None
    """

    title: str
    unit: str
    X: pd.DataFrame
    action: np.ndarray
    y: np.ndarray
    propensity: pd.DataFrame
    factors: pd.DataFrame | None = None
    program: Program | None = None

    @property
    def actions(self) -> list[str]:
        """Control first."""
        return list(self.propensity.columns)

    @property
    def binary(self) -> bool:
        """Whether the outcome is 0 or 1."""
        return bool(np.isin(self.y, (0.0, 1.0)).all())

    def take(self, rows: np.ndarray) -> Problem:
        """The problem with these rows only."""
        program = self.program and Program(
            self.program.frame.iloc[rows].reset_index(drop=True), self.program.playbook, self.program.simulated
        )
        return Problem(
            self.title,
            self.unit,
            self.X.iloc[rows].reset_index(drop=True),
            self.action[rows],
            self.y[rows],
            self.propensity.iloc[rows].reset_index(drop=True),
            self.factors,
            program,
        )

    def fingerprint(self) -> str:
        """Changes with the data."""
        digest = hashlib.blake2b(digest_size=8)
        for table in (self.X, pd.DataFrame({"action": self.action, "y": self.y}), self.propensity):
            digest.update(pd.util.hash_pandas_object(table, index=False).to_numpy().tobytes())
            digest.update(",".join(map(str, table.columns)).encode())
        return digest.hexdigest()


def halves(name: str, split: int, quick: bool) -> tuple[Problem, Problem]:
    """Training and test half of a split, stratified by arm and outcome.

    The simulated program is another one in each split; of an experiment, each split cuts the same people anew.
    """
    problem = PROBLEMS[name](quick, split)
    if quick and problem.program is None:
        kept = np.random.default_rng(split).choice(len(problem.y), QUICK_PEOPLE, replace=False)
        problem = problem.take(np.sort(kept))
    stratum = pd.Series(problem.action).astype(str) + (problem.y != 0).astype(int).astype(str)
    rows = np.arange(len(problem.y))
    train, test = train_test_split(rows, test_size=0.5, random_state=split, stratify=stratum)
    return problem.take(np.sort(train)), problem.take(np.sort(test))


@cache
def _hillstrom() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    dataset = datasets.load("hillstrom")
    window = dataset.playbook.program.attribution_window_days
    frame = training_frame(dataset.customers, dataset.contacts, dataset.outcomes, window_days=window)
    X = FeatureBuilder.fit(frame, dataset.playbook).transform(frame, frame["decided_at"])
    return X, frame, logged_propensity(frame, all_actions(dataset.playbook.labels))


def hillstrom(outcome: str) -> Callable[[bool, int], Problem]:
    def make(quick: bool, split: int) -> Problem:
        X, frame, propensity = _hillstrom()
        y = {
            "visit": frame["reactivated"],
            "conversion": (frame["revenue"] > 0).astype(float),
            "spend": frame["revenue"],
        }
        title = f"Hillstrom e-mail experiment: {outcome}"
        unit = {"visit": "visits", "conversion": "buyers", "spend": "USD spent"}[outcome]
        return Problem(title, unit, X, frame["action"].to_numpy(dtype=object), y[outcome].to_numpy(), propensity)

    return make


@cache
def _charity() -> pd.DataFrame:
    places = [directory / CHARITY_FILE for directory, _ in datasets.data_directories()]
    file = next((place for place in places if place.is_file()), None)
    if file is None:
        raise InputError(f"{CHARITY_FILE}: is in none of {', '.join(str(p.parent) for p in places)}")
    return pd.read_csv(file)


def charity_action(wide: pd.DataFrame) -> np.ndarray:
    """Which letter each person got, (n,): the file says it in three columns."""
    ratio = np.select([wide["treat_ratio3"] == 1, wide["treat_ratio2"] == 1], [2, 1], 0)
    return np.where(wide["treatment"] == 0, CONTROL, np.array(MATCH_RATIOS, dtype=object)[ratio])


def charity(outcome: str) -> Callable[[bool, int], Problem]:
    def make(quick: bool, split: int) -> Problem:
        wide = _charity()
        # of two donors the amount is not known
        wide = wide[wide["out_amountgive"].notna()] if outcome == "amount" else wide
        X = wide[list(CHARITY_FEATURES)].replace(CHARITY_MISSING, np.nan).astype(float).reset_index(drop=True)
        y = wide[{"gave": "out_gavedum", "amount": "out_amountgive"}[outcome]].to_numpy(dtype=float)
        propensity = pd.DataFrame(CHARITY_CHANCES, index=X.index)
        unit = {"gave": "donors", "amount": "USD given"}[outcome]
        return Problem(f"Charity letters: {outcome}", unit, X, charity_action(wide), y, propensity)

    return make


def simulated(quick: bool, split: int) -> Problem:
    book = playbook.load("default")
    program = simulate(QUICK_CUSTOMERS if quick else CUSTOMERS, seed=split, playbook=book)
    window = book.program.attribution_window_days
    frame = training_frame(program.customers, program.contacts, program.outcomes, window_days=window)
    return Problem(
        title="Simulated win-back program, 26 actions, judged by its truth",
        unit="USD of true net value",
        X=FeatureBuilder.fit(frame, book).transform(frame, frame["decided_at"]),
        action=frame["action"].to_numpy(dtype=object),
        y=frame["reactivated"].to_numpy(),
        propensity=logged_propensity(frame, all_actions(book.labels)),
        factors=book.factors(),
        program=Program(frame, book, program),
    )


PROBLEMS: dict[str, Callable[[bool, int], Problem]] = {
    "hillstrom-visit": hillstrom("visit"),
    "hillstrom-conversion": hillstrom("conversion"),
    "hillstrom-spend": hillstrom("spend"),
    "charity-gave": charity("gave"),
    "charity-amount": charity("amount"),
    "simulated": simulated,
}


def write_halves(train: Problem, test: Problem, directory: Path) -> None:
    """Write what a competitor gets to see, in files that need none of our code to be read."""
    train.X.to_parquet(directory / "train.parquet")
    test.X.to_parquet(directory / "test.parquet")
    arm = pd.Index(train.actions).get_indexer(pd.Index(train.action))
    np.savez(
        directory / "served.npz",
        arm=arm,
        y=train.y,
        propensity=train.propensity.to_numpy(),
        actions=np.array(train.actions, dtype=str),
    )
    if train.factors is not None:
        train.factors.astype(str).to_parquet(directory / "factors.parquet")
