"""This product in a simulated world: it reads its ledger, decides, records, and retrains when enough is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from propensity import registry
from propensity.campaigns import about_campaign
from propensity.errors import InputError, JobError
from propensity.ledger import Ledger, approve_playbook
from propensity.ledger_dataset import ledger_dataset
from propensity.model import DecisionModel
from propensity.monthly_wave import Round, decide_round
from propensity.playbook import Playbook
from propensity.progress import Silent
from propensity.simulation.world import Course, Pilot
from propensity_training import pipeline, promotion
from propensity_training.program.rivals import Setting, campaign, worth
from propensity_training.source import LedgerSource

NAME = "this product"
WHO = "propensity simulate program"


@dataclass(frozen=True)
class Schedule:
    """When to train again, and how.

    Attributes
    ----------
    growth : float
        Train when decisions that teach are so many times those that the last training had.
    held_out_share : float
    seed : int
    """

    growth: float = 1.3
    held_out_share: float = 0.2
    seed: int = 0


@dataclass(frozen=True)
class Retraining:
    """A training in a wave: decisions that taught, after how long one counted half, and what the gate said."""

    wave: int
    decisions: int
    half_life_days: float | None
    promoted: bool
    why: str


@dataclass(eq=False)
class Product:
    """The loop in a world.

    Parameters
    ----------
    course : Course
    directory : Path
        For the ledger and files; MLflow is where its environment variable says.
    setting : Setting
    schedule : Schedule
    say : callable
        Told what happens, for people.

    Attributes
    ----------
    worth : list of float
        Wave by wave: currency, expected for those who came up.
    trainings : list of Retraining
    """

    course: Course
    directory: Path
    setting: Setting
    schedule: Schedule
    model_name: str
    say: Callable[[str], None] = lambda line: None
    name: str = NAME
    worth: list[float] = field(default_factory=list)
    trainings: list[Retraining] = field(default_factory=list)

    def begin(self, pilot: Pilot) -> None:
        """Import a randomised wave of the past, and learn from it."""
        world = self.course.world
        self.playbook: Playbook = world.playbook
        self._url = f"sqlite:///{self.directory / 'ledger.db'}"
        self.ledger = Ledger(self._url).create()
        approve_playbook(self.ledger, self.playbook, who=WHO, why="a simulated world")
        started = pilot.contacts["decided_at"].min().to_pydatetime()
        self.ledger.add_campaign("pilot", **about_campaign(self.playbook, title="Pilot", started_at=started))
        self.ledger.add_customers(pilot.customers)
        self.ledger.add_contacts(pilot.contacts)
        self.ledger.add_outcomes(pilot.outcomes)
        self._taught = 0
        if not self._train(1):
            raise InputError("the pilot teaches nothing; simulate a larger one with --pilot")

    @property
    def champion(self) -> DecisionModel:
        """The model that decides."""
        return registry.load(self.model_name, registry.CHAMPION)[0]

    def play(self, wave: int) -> None:
        """One wave: take in what was reported, learn if enough is new, decide, record, carry out."""
        world = self.course.world
        reported = self.course.reported(wave)
        if len(reported):
            self.ledger.add_outcomes(reported)
        if wave > 1:
            self._train(wave)
        due = self.course.due(wave)
        self.ledger.add_customers(due.customers)
        budget = self.setting.budget_per_person * len(due)
        asked = Round(world.at(wave), campaign(wave), budget, self.setting.weeks)
        out = self.directory / f"decisions-{wave:02d}.parquet"
        if decide_round(self.champion, self.ledger, asked, out) is None:
            raise InputError(f"wave {wave}: nobody comes up")
        decided = pd.read_parquet(out, columns=["customer_id", "decision_id", "action"]).set_index("customer_id")
        if len(decided) != len(due):
            raise JobError(f"wave {wave}: {len(due):,} people came up, {len(decided):,} were decided on")
        mine = decided.loc[due.customers["customer_id"]]
        action = mine["action"].to_numpy(dtype=object)
        self.course.follow(wave, due, action, mine["decision_id"].to_numpy(dtype=object))
        self.worth.append(worth(due, action, self.course))

    def _train(self, wave: int) -> bool:
        """Train if enough is new, and promote what passes the gate; whether there was a training."""
        now = self.course.world.at(wave)
        dataset = ledger_dataset(self.ledger, self.playbook, until=now)
        if len(dataset.contacts) < self.schedule.growth * self._taught:
            return False
        source = LedgerSource(self._url, now, self.playbook)
        trained = pipeline.train(
            dataset,
            held_out_share=self.schedule.held_out_share,
            seed=self.schedule.seed,
            alias=registry.CHALLENGER,
            steps=Silent(pipeline.STEPS),
            model_name=self.model_name,
            kind="customers",
            now=now,
            source=source,
            standing=promotion.standing_grant(self.model_name, dataset, source),
        )
        self._taught = len(dataset.contacts)
        why, promoted = trained.assessment.gate.why, registry.CHAMPION in trained.registered.aliases
        if not promoted:
            verdict = promotion.examine(
                self.model_name,
                trained.registered.version,
                dataset,
                margin_currency=0.0,
                now=now,
                steps=Silent(promotion.STEPS),
                retrained=True,
            )
            why, promoted = verdict.sentence, verdict.passed
            if promoted:
                promotion.promote(self.ledger, verdict, who=WHO, why=why, forced=False)
        self.trainings.append(Retraining(wave, self._taught, trained.model.recency.half_life_days, promoted, why))
        outcome = "promoted" if promoted else "kept back"
        self.say(f"wave {wave}: learnt from {self._taught:,} decisions, {outcome}: {why}")
        return True
