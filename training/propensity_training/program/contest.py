"""The same worlds under this product and under what else a company could do; and what came of it."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from propensity.errors import InputError
from propensity.simulation.world import SHIFTS, Course, Shift, World
from propensity.threads import THREADS_VARIABLE, available_threads
from propensity_training.program import rivals
from propensity_training.program.foresight import Foresight, foresight
from propensity_training.program.product import NAME, Product, Retraining, Schedule
from propensity_training.program.rivals import Asked, Rival, Setting

NOBODY, ORACLE, FORESIGHT, FROZEN = "nobody", "oracle", "best by features", "frozen"
POLICIES = {
    NOBODY: "Nobody is contacted",
    "blast": "The truly best e-mail for everybody",
    "propensity only": "The same e-mail for the half most likely to return",
    "rules": "Rule playbook",
    FROZEN: "This product, as the pilot left it",
    NAME: "This product",
    FORESIGHT: "Best by features: taught by the truth",
    ORACLE: "Oracle: knows each person",
}
"""Name and words of each policy, in the order of tables."""
RULES = 2
"""What the policies' names mean; counted up with every change of it, because worlds of different rules tell nothing
together. 1: the e-mail for everybody was what the pilot's model thought best; *best by features* had learnt from
60,000 people."""

SETTING, SCHEDULE = Setting(budget_per_person=0.25, weeks=30 / 7), Schedule()


@dataclass(frozen=True)
class Contest:
    """What is played.

    Attributes
    ----------
    worlds : int
        Their seeds are 0, 1, 2, ...
    waves : int
        A month each.
    newcomers, pilot : int
        People who come up for the first time in each wave, and in the randomised wave before the first.
    setting : Setting
    schedule : Schedule
    effect_scale : float
        See `World`.
    shifts : tuple of Shift
    """

    worlds: int = 20
    waves: int = 12
    newcomers: int = 4_000
    pilot: int = 20_000
    setting: Setting = SETTING
    schedule: Schedule = SCHEDULE
    effect_scale: float = 1.0
    shifts: tuple[Shift, ...] = SHIFTS


@dataclass(frozen=True)
class WorldResult:
    """One world: each policy's worth by wave above that of contacting nobody, currency, and the product's trainings."""

    seed: int
    gained: dict[str, list[float]]
    people: list[int]
    trainings: tuple[Retraining, ...]


@dataclass(frozen=True)
class Results:
    """All worlds.

    Attributes
    ----------
    contest : Contest
    worlds : tuple of WorldResult
    rules : int
        The `RULES` by which they were played.
    """

    contest: Contest
    worlds: tuple[WorldResult, ...]
    rules: int = RULES

    def gained(self, policy: str) -> np.ndarray:
        """(worlds, waves), currency."""
        return np.array([world.gained[policy] for world in self.worlds])

    def total(self, policy: str) -> tuple[float, float, float]:
        """Mean over worlds of what a policy gained in all waves, and its 95 % interval."""
        return mean_with_interval(self.gained(policy).sum(axis=1))

    def ratio(self, policy: str, to: str, waves: slice = slice(None)) -> tuple[float, float, float]:
        """Mean over worlds of a policy's gain divided by another's, in some waves, and its 95 % interval.

        Worlds in which the other gained nothing do not count; NaN where it nowhere gained anything.
        """
        gained, other = (self.gained(name)[:, waves].sum(axis=1) for name in (policy, to))
        some = other != 0
        return mean_with_interval(gained[some] / other[some])

    def more_than(self, policy: str, other: str) -> tuple[float, float, float]:
        """Mean over worlds of what a policy gained more than another, currency, and its 95 % interval."""
        return mean_with_interval((self.gained(policy) - self.gained(other)).sum(axis=1))

    def to_json(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any], contest: Contest) -> Results | None:
        """The results that `to_json` described; None where they are of another contest (the number of worlds aside).

        Results of other rules are read, to be shown as they are; files from before they were written down are of 1.

        Raises
        ------
        KeyError, TypeError, ValueError
            The content is not of `to_json`.
        """

        def described(of: dict[str, Any]) -> str:
            return json.dumps({**of, "worlds": 0}, sort_keys=True)

        if described(content["contest"]) != described(asdict(contest)):
            return None
        worlds = [
            WorldResult(**{**world, "trainings": tuple(Retraining(**training) for training in world["trainings"])})
            for world in content["worlds"]
        ]
        shape = dict.fromkeys(POLICIES, contest.waves)
        if any({name: len(by_wave) for name, by_wave in world.gained.items()} != shape for world in worlds):
            raise ValueError("a world without each policy's gain in each wave")
        return cls(contest, tuple(worlds), content.get("rules", 1))


def mean_with_interval(values: np.ndarray) -> tuple[float, float, float]:
    """Mean of independent values (n,) and its 95 % interval (Student's t); without bounds of one, NaN of none."""
    mean = float(values.mean()) if len(values) else float("nan")
    if len(values) < 2:
        return mean, float("nan"), float("nan")
    half = float(stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return mean, mean - half, mean + half


def play(
    contest: Contest,
    say: Callable[[str], None] = lambda line: None,
    *,
    before: Results | None = None,
    keep: Callable[[Results], None] = lambda results: None,
) -> Results:
    """Play all worlds, side by side on the cores that there are.

    Parameters
    ----------
    contest : Contest
    say : callable
        Told what happens, line by line.
    before : Results, optional
        Of a run that was stopped: its worlds are not played again.
    keep : callable
        Told the results so far after every world.

    Raises
    ------
    InputError
        ``before`` was played by other rules.
    """
    if before is not None and before.rules != RULES:
        raise InputError(f"worlds before were played by rules {before.rules}; expected rules {RULES}")
    found = list(before.worlds) if before else []
    seeds = sorted(set(range(contest.worlds)) - {world.seed for world in found})
    if not seeds:
        return Results(contest, tuple(found))
    say("Learning from the truth what features can tell")
    some = World(0, contest.newcomers, shifts=contest.shifts, effect_scale=contest.effect_scale)
    known = foresight(some, contest.waves)
    processes = min(available_threads(), len(seeds))
    with ProcessPoolExecutor(processes, get_context("spawn"), initializer=_end_with_parent) as pool:
        waiting = [pool.submit(play_world, contest, seed, known) for seed in seeds]
        for done in as_completed(waiting):
            world = done.result()
            found = sorted([*found, world], key=lambda x: x.seed)
            keep(Results(contest, tuple(found)))
            gained, possible = sum(world.gained[NAME]), sum(world.gained[ORACLE])
            told = (
                f"{gained / possible:.0%} of the oracle's gain" if possible else "gained by nobody, not by the oracle"
            )
            say(f"[{len(found)}/{contest.worlds}] world {world.seed}: this product {told}")
    return Results(contest, tuple(found))


def _end_with_parent() -> None:
    """End this process when the one that asked for it is gone, however it ended: nobody would read its world."""

    def watch() -> None:
        parent = parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    Thread(target=watch, daemon=True).start()


def play_world(contest: Contest, seed: int, known: Foresight, say: Callable[[str], None] | None = None) -> WorldResult:
    """One world under all policies; in a process of its own, because MLflow has one address a process."""
    os.environ[THREADS_VARIABLE] = "1"
    with tempfile.TemporaryDirectory(prefix="propensity-world-") as directory:
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{directory}/mlflow.db"
        os.chdir(directory)
        return _played(contest, seed, known, Path(directory), say or (lambda line: None))


def _played(contest: Contest, seed: int, known: Foresight, directory: Path, say: Callable[[str], None]) -> WorldResult:
    world = World(seed, contest.newcomers, shifts=contest.shifts, effect_scale=contest.effect_scale)
    product = Product(Course(world), directory, contest.setting, contest.schedule, f"world-{seed}", say)
    product.begin(world.pilot(contest.pilot))
    pilot_model = product.champion
    choices: dict[str, rivals.Choice] = {
        NOBODY: rivals.nobody,
        "blast": rivals.blast,
        "propensity only": rivals.by_propensity,
        "rules": rivals.by_rules,
        FROZEN: _frozen,
        FORESIGHT: known,
        ORACLE: rivals.by_truth,
    }
    others = [
        Rival(name, choose, Course(world), pilot_model, contest.setting, limits_itself=name == FROZEN)
        for name, choose in choices.items()
    ]
    people = []
    for wave in range(1, contest.waves + 1):
        for rival in others:
            rival.play(wave)
        product.play(wave)
        people.append(len(others[0].course.due(wave)))
        gained = {x.name: x.worth[-1] - others[0].worth[-1] for x in (*others, product)}
        say(f"wave {wave}: " + ", ".join(f"{name} {value:,.0f}" for name, value in gained.items()))
    product.ledger.close()
    nothing = np.array(others[0].worth)
    gains = {x.name: (np.array(x.worth) - nothing).tolist() for x in (*others, product)}
    return WorldResult(seed, {name: gains[name] for name in POLICIES}, people, tuple(product.trainings))


def _frozen(asked: Asked) -> np.ndarray:
    """What the model of the pilot decides, holdouts and exploration included."""
    people, setting = asked.people, asked.setting
    decided, _ = people.decide(people.limits(setting.weeks, setting.budget_per_person * len(asked.due)))
    return decided["action"].to_numpy(dtype=object)


def table(results: Results) -> pd.DataFrame:
    """One row a policy: what it gained on average, with 95 % intervals over worlds.

    Returns
    -------
    DataFrame
        ``policy``, ``gained``, ``low``, ``high`` (currency, all waves), and ``of_oracle``, ``of_best_by_features``,
        ``of_rules``: mean shares over worlds.
    """
    rows = []
    for name in POLICIES:
        if name == NOBODY:
            continue
        mean, low, high = results.total(name)
        shares = {f"of_{key}": results.ratio(name, to)[0] for key, to in _AGAINST.items()}
        rows.append({"policy": name, "gained": mean, "low": low, "high": high, **shares})
    return pd.DataFrame(rows)


_AGAINST = {"oracle": ORACLE, "best_by_features": FORESIGHT, "rules": "rules"}


def recovery(results: Results, shifts: Sequence[Shift]) -> pd.DataFrame:
    """This product's share of what the best by features gain, in the waves around each shift.

    Returns
    -------
    DataFrame
        ``shift``, ``wave`` and the share of each wave: mean over worlds with ``low`` and ``high``.
    """
    rows = []
    waves = results.contest.waves
    for shift in shifts:
        for wave in range(max(1, shift.wave - 1), min(waves, shift.wave + 4) + 1):
            mean, low, high = results.ratio(NAME, FORESIGHT, slice(wave - 1, wave))
            rows.append({"shift": shift.why, "wave": wave, "share": mean, "low": low, "high": high})
    return pd.DataFrame(rows, columns=["shift", "wave", "share", "low", "high"])
