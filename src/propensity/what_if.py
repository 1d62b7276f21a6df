"""What-ifs: the same people decided on under several playbooks, budgets and caps, before anything is sent.

Nothing is learnt, recorded or used up. Draws of holdout and exploration are those that the wave itself would have, so
that who moves between two scenarios moves because of what they change.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from statsmodels.stats.proportion import proportion_confint

from propensity import playbook as playbooks
from propensity.contract import CONTROL, as_text
from propensity.decide_file import planned
from propensity.deciding import Wave
from propensity.errors import InputError
from propensity.evaluation import Estimate
from propensity.evaluation.estimate import estimate_with_error
from propensity.model import DecisionModel
from propensity.playbook import Playbook
from propensity.policy import Terms, best_column, offer_costs
from propensity.scoring import decide_within
from propensity.wave_file import Tally, WaveFile, WaveSummary
from propensity.wave_ledger import people_of
from propensity.wave_people import customers_of, look_through

FIRST = "as it is"
"""Name of the scenario that others are compared with, unless it has one."""
CAPACITY = "capacity."
"""Short for ``channels.NAME.capacity_per_week``."""
UNKNOWN = "unknown"
COUNTS = ("people", "may_be_contacted", "contacted", "offered")


@dataclass(frozen=True)
class Scenario:
    """What a wave would be decided by.

    Attributes
    ----------
    name : str
    playbook : Playbook
    budget : float or None
        Currency; None: the playbook's.
    weeks : float
        For which capacities a week are meant.
    """

    name: str
    playbook: Playbook
    budget: float | None = None
    weeks: float = 1.0

    def changed(self, settings: Mapping[str, Any]) -> Scenario:
        """Another scenario, made from this one.

        Parameters
        ----------
        settings : mapping
            ``name``, ``playbook`` (one, its file, or the name of a shipped one), ``budget``, ``weeks``,
            ``capacity.CHANNEL`` (contacts a week), or any setting of the playbook by its place (see
            `playbook.changed`).

        Raises
        ------
        InputError, PlaybookError
            A setting that there is not, or a value that cannot be.
        """
        rest = dict(settings)
        name = str(rest.pop("name", ", ".join(f"{key}={_short(value)}" for key, value in settings.items())))
        given = rest.pop("playbook", self.playbook)
        book = given if isinstance(given, Playbook) else playbooks.load(given)
        budget = _amount("budget", rest.pop("budget", self.budget), least=0.0)
        weeks = _amount("weeks", rest.pop("weeks", self.weeks), least=0.01)
        places = {
            f"channels.{key.removeprefix(CAPACITY)}.capacity_per_week" if key.startswith(CAPACITY) else key: value
            for key, value in rest.items()
        }
        return Scenario(name, playbooks.changed(book, places) if places else book, budget, weeks or self.weeks)


def read_settings(text: str) -> dict[str, str]:
    """Settings as they are written on a command line: ``budget=5000 capacity.direct_outreach=200``.

    Raises
    ------
    InputError
        A part is no KEY=VALUE.
    """
    try:
        parts = shlex.split(text)
    except ValueError as error:
        raise InputError(f"--scenario {text!r}: a quotation mark is not closed") from error
    for part in parts:
        if not part.partition("=")[0] or "=" not in part:
            raise InputError(
                f"--scenario {text!r}: expected KEY=VALUE such as budget=5000 or capacity.email=2000, found {part!r}"
            )
    if not parts:
        raise InputError("--scenario: expected KEY=VALUE, found nothing")
    return {key: value for key, _, value in (part.partition("=") for part in parts)}


def _short(value: Any) -> str:
    return value.name if isinstance(value, Playbook) else str(value)


def _amount(name: str, value: Any, least: float) -> float | None:
    if value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = np.nan
    if not (np.isfinite(number) and number >= least):
        raise InputError(f"{name}: expected a number of at least {least:g}, found {value!r}")
    return number


@dataclass
class Outlook:
    """What a scenario would do, counted while people pass by.

    Attributes
    ----------
    scenario : Scenario
    model : DecisionModel
        Under the scenario's playbook.
    terms : Terms
    summary : WaveSummary
    assignments : Counter
        People by assignment (policy, explore, holdout, suppressed, fallback).
    offers_cost : float
        Of offers, as far as they are expected to be redeemed, in currency.
    messages : set
        Actions and value tiers for which a message must be made: one each; of unknown value counts as mass.
    cells : dict of array
        For each of the model's measures, contacts by cell (`MeasuredEffects.contacts`).
    predicted_returns, predicted_revenue : float
        Extra ones of those who are contacted, by the model; people, and currency.
    moves : Counter
        People by their action in the first scenario and in this one.
    rates : dict of DataFrame
        For each protected column, `COUNTS` of people by value.
    """

    scenario: Scenario
    model: DecisionModel
    terms: Terms
    summary: WaveSummary
    assignments: Counter[str] = field(default_factory=Counter)
    offers_cost: float = 0.0
    messages: set[tuple[str, str]] = field(default_factory=set)
    cells: dict[str, np.ndarray] = field(default_factory=dict)
    predicted_returns: float = 0.0
    predicted_revenue: float = 0.0
    moves: Counter[tuple[str, str]] = field(default_factory=Counter)
    rates: dict[str, pd.DataFrame] = field(default_factory=dict)

    @property
    def not_learnt(self) -> list[str]:
        """Actions of the playbook of which the model knows nothing, so that nobody gets them here."""
        return [a for a in self.scenario.playbook.actions if a not in self.model.actions]

    @property
    def production_cost(self) -> float:
        """Of the messages that must be made, in currency, by the playbook's tiers."""
        tiers = self.scenario.playbook.tiers
        return sum(tiers[tier].production_cost_currency for _, tier in self.messages if tier in tiers)

    @property
    def expected(self) -> dict[str, Estimate]:
        """Extra people who come back (``reactivated``) and extra ``revenue``, currency, that contact brings.

        Both as measured; but where the playbook takes revenue to come through returns, revenue is the measured returns
        times what one brings by the model: few people spend much, and intervals around their sum would not hold.
        """
        found = {name: measured.total(self.cells[name]) for name, measured in self.model.measured_.items()}
        through_returns = self.scenario.playbook.value.revenue_effect == "through_reactivation"
        if through_returns and self.predicted_returns > 0:
            found["revenue"] = _in_money(
                found["reactivated"],
                self.predicted_revenue / self.predicted_returns,
                self.model.amount.relative_error_,
            )
        return found

    def add(self, people: Wave, before: np.ndarray | None) -> np.ndarray:
        """Decide for a batch and count it; ``before`` (n,): actions in the first scenario. Returns the actions (n,)."""
        scenario = self.scenario
        decided = decide_within(people, self.summary.left(), scenario.budget, scenario.weeks, self.terms)
        decisions = decided.decisions
        self.summary.add(Tally.of(decisions), decided.used, decided.planned)
        action = decisions["action"].to_numpy(dtype=object)
        self.assignments.update(decisions["assignment"])
        sent = action != CONTROL
        tier = people.segments["value_tier"].astype(object).replace(UNKNOWN, "mass").to_numpy()
        self.messages.update(zip(action[sent], tier[sent], strict=True))
        expected = people.predictions
        labels = list(expected.effect.columns)
        cost = dict(zip(labels, offer_costs(self.scenario.playbook, labels), strict=True))
        for label in set(action) - {CONTROL}:
            chance = expected.reactivated.loc[action == label, label].clip(0.0, 1.0)
            self.offers_cost += cost[label] * float(chance.sum())
        best = best_column(expected.net_value, people.eligible.allowed)
        self._count_cells(action, best, {"reactivated": expected.effect, "revenue": expected.extra_revenue})
        self.moves.update(zip(action if before is None else before, action, strict=True))
        self._count_rates(people.people.table, decisions)
        return action

    def _count_cells(self, action: np.ndarray, best: np.ndarray, predicted: dict[str, pd.DataFrame]) -> None:
        column = predicted["revenue"].columns.get_indexer(pd.Index(action))
        gets = np.flatnonzero(column >= 0)
        self.predicted_returns += float(predicted["reactivated"].to_numpy()[gets, column[gets]].sum())
        self.predicted_revenue += float(predicted["revenue"].to_numpy()[gets, column[gets]].sum())
        for name, values in predicted.items():
            found = self.model.measured_[name].contacts(values.to_numpy(), column, best)
            self.cells[name] = self.cells.get(name, 0.0) + found

    def _count_rates(self, people: pd.DataFrame, decisions: pd.DataFrame) -> None:
        offers = self.scenario.playbook.offers
        costly = [name for name, offer in offers.items() if offer.cost_if_redeemed_currency > 0]
        counts = pd.DataFrame(
            {
                "people": 1,
                "may_be_contacted": decisions["assignment"] != "suppressed",
                "contacted": decisions["send"].astype(bool),
                "offered": decisions["offer"].isin(costly),
            },
            index=decisions.index,
        ).astype(int)
        for column in self.scenario.playbook.features.protected:
            if column not in people:
                raise InputError(
                    f"customers.{column}: the playbook names it as protected, and the customers have no such column; "
                    "add it, or take it out of features.protected"
                )
            value = as_text(people[column]).fillna(UNKNOWN).to_numpy(dtype=object)
            found = counts.groupby(value).sum()
            self.rates[column] = self.rates[column].add(found, fill_value=0) if column in self.rates else found

    def to_json(self, first: Outlook) -> dict[str, Any]:
        """Everything as JSON-ready values; ``first`` is the outlook that this one is compared with."""
        actions = self.summary.actions
        return {
            "name": self.scenario.name,
            "playbook": self.scenario.playbook.name,
            "playbook_version": self.scenario.playbook.version,
            "budget": self.scenario.budget
            if self.scenario.budget is not None
            else self.scenario.playbook.budget.currency_per_wave,
            "weeks": self.scenario.weeks,
            "people": self.summary.people,
            "contacted": self.contacted,
            "held_out": self.assignments["holdout"],
            "explored": self.assignments["explore"],
            "contacts_cost": float(actions["cost"].sum()),
            "offers_cost": self.offers_cost,
            "messages": len(self.messages),
            "production_cost": self.production_cost,
            "expected": {name: _as_json(found) for name, found in self.expected.items()},
            "net_value_predicted": float(actions["net_value"].sum()),
            "actions": {
                str(label): {"people": int(row["people"]), "contacts_cost": float(row["cost"])}
                for label, row in actions.iterrows()
            },
            "funnel": self.summary.funnel().to_dict(orient="records"),
            "limits": {
                name: {"amount": amount, "used": self.summary.used[name], "price": self.summary.prices[name]}
                for name, amount in self.summary.amounts.items()
            },
            "moves": [{"from": a, "to": b, "people": n} for (a, b), n in self.moves.most_common() if a != b],
            "moved": self.moved if self is not first else None,
            "protected": {column: rates_by_value(counts) for column, counts in self.rates.items()},
            "not_learnt": self.not_learnt,
        }

    @property
    def contacted(self) -> int:
        """People who are contacted."""
        return int(self.summary.actions["people"].sum())

    @property
    def moved(self) -> dict[str, int]:
        """People who get something else than in the first scenario, by what becomes of them."""
        kinds: Counter[str] = Counter({"newly contacted": 0, "no longer contacted": 0, "another action": 0})
        for (before, after), n in self.moves.items():
            if before != after:
                kind = {before: "newly contacted", after: "no longer contacted"}.get(CONTROL, "another action")
                kinds[kind] += n
        return dict(kinds)


def rates_by_value(counts: pd.DataFrame) -> list[dict[str, Any]]:
    """How often people of each value of a protected column are contacted and made an offer, with 95 % intervals.

    Parameters
    ----------
    counts : DataFrame (values, 4)
        `COUNTS` by value.

    Returns
    -------
    list of dict
        Most people first. Intervals are Wilson's.
    """
    rows = []
    for value, row in counts.sort_values("people", ascending=False, kind="stable").iterrows():
        people, may, contacted, offered = (int(row[name]) for name in COUNTS)
        rows.append(
            {
                "value": str(value),
                "people": people,
                "may_be_contacted": may / people,
                "contacted": _rate(contacted, people),
                "offered": _rate(offered, people),
            }
        )
    return rows


def _rate(count: int, people: int) -> dict[str, float]:
    low, high = proportion_confint(count, people, method="wilson")
    return {"value": count / people, "low": float(low), "high": float(high)}


def _in_money(returns: Estimate, currency_each: float, relative_error: float) -> Estimate:
    """Returns in currency, with the error of what one brings (a share of it) beside that of their number."""
    value = returns.value * currency_each
    error = float(np.hypot(returns.standard_error * currency_each, value * relative_error))
    return estimate_with_error(value, error, returns.n, returns.level)


def _as_json(found: Estimate) -> dict[str, float]:
    return {"value": found.value, "low": found.low, "high": found.high, "level": found.level}


@dataclass(frozen=True)
class WhatIf:
    """What each scenario would do; the others are compared with the first."""

    outlooks: list[Outlook]
    model_version: str
    campaign: str
    at: pd.Timestamp

    def to_json(self) -> dict[str, Any]:
        """Everything as JSON-ready values."""
        return {
            "model_version": self.model_version,
            "campaign": self.campaign,
            "at": self.at.isoformat(),
            "currency": self.outlooks[0].scenario.playbook.currency,
            "scenarios": [outlook.to_json(self.outlooks[0]) for outlook in self.outlooks],
        }


def compare(
    wave: Wave,
    scenarios: Sequence[Scenario],
    *,
    n_people: int | None = None,
    batches: Callable[[], Iterator[Wave]] | None = None,
    show: Callable[[int, int], None] = lambda done, total: None,
) -> WhatIf:
    """Decide on the same people under several scenarios.

    Parameters
    ----------
    wave : Wave
        The people, or those of them who set the prices of what is scarce.
    scenarios : sequence of Scenario
    n_people : int, optional
        How many people there are in all; default: those of ``wave``.
    batches : callable, optional
        Gives all people, a part at a time; default: ``wave``.
    show : callable
        Told how many people are done, of how many.

    Raises
    ------
    InputError
        Two scenarios have one name, currencies differ, or nothing of a playbook was learnt.
    """
    _check(scenarios)
    n = n_people or len(wave.people)
    outlooks = []
    for scenario in scenarios:
        model = wave.model.under(scenario.playbook)
        terms, summary = planned(wave.under(model), scenario.budget, scenario.weeks, len(wave.people) / n)
        outlooks.append(Outlook(scenario, model, terms, summary))
    for people in batches() if batches else [wave]:
        first = None
        for outlook in outlooks:
            action = outlook.add(people.under(outlook.model), first)
            first = action if first is None else first
        show(outlooks[0].summary.people, n)
    return WhatIf(outlooks, wave.model.version, wave.campaign, wave.now)


def what_if_file(
    model: DecisionModel,
    wave: WaveFile,
    scenarios: Sequence[Scenario],
    show: Callable[[int, int], None] = lambda done, total: None,
) -> WhatIf:
    """`compare` for a file of customers, in constant memory; ``wave.budget`` and ``wave.weeks`` do not count here.

    With a ledger, what it knows of the people counts, but not that some have a decision already.
    """
    crowd = look_through(model, wave, skip_standing=False)
    return compare(
        people_of(model, crowd.sample, wave),
        scenarios,
        n_people=crowd.people,
        batches=lambda: (people_of(model, people, wave) for people in customers_of(model, wave.source, wave.at)),
        show=show,
    )


def _check(scenarios: Sequence[Scenario]) -> None:
    names = [scenario.name for scenario in scenarios]
    twice = next((name for name, n in Counter(names).items() if n > 1), None)
    if twice is not None:
        raise InputError(f"scenario {twice!r}: there are two of that name; give one another with name=...")
    currencies = sorted({scenario.playbook.currency for scenario in scenarios})
    if len(currencies) > 1:
        raise InputError(f"scenarios: expected one currency, found {' and '.join(currencies)}")
