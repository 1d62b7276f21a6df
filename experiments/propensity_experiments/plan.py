"""How large must an experiment be, how long does it take, and how many people should be held out?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from propensity.errors import InputError
from propensity.inference import minimum_detectable_effect, required_sample_size
from propensity.pages.words import percent
from propensity_experiments.contents import Summary

HOLDOUT_SHARES = (0.05, 0.1, 0.2, 0.3, 0.5)
"""Shares that are compared, beside the one with which the fewest people are needed."""
POINTS = 24
"""Of the curve of effect against days."""
LONGEST_DAYS = 3_650


@dataclass(frozen=True)
class Question:
    """What an experiment is to find.

    Attributes
    ----------
    base : float
        Outcome per person without contact: a share of people, or currency.
    effect : float
        The smallest extra that is worth finding, per person, same unit.
    sd : float or None
        Standard deviation of an amount over all people, those without one included; None: shares of people.
    arms : int
        Contacted arms that are compared with the people held out.
    people_a_day : float
        Who may be contacted or held out, on average.
    window_days : float
        Attribution window.
    power : float
        Chance of finding an effect of this size.
    alpha : float
        Chance of finding any where there is none.
    """

    base: float
    effect: float
    people_a_day: float
    window_days: float
    sd: float | None = None
    arms: int = 1
    power: float = 0.8
    alpha: float = 0.05

    def __post_init__(self) -> None:
        for name in ("people_a_day", "window_days"):
            if not 0 < getattr(self, name) < math.inf:
                raise InputError(f"{name.replace('_', ' ')}: expected a number above 0, found {getattr(self, name):g}")
        if not 1 <= self.arms <= 50:
            raise InputError(f"arms: expected a number from 1 to 50, found {self.arms}")
        if not 0 < self.effect < math.inf:
            raise InputError(f"effect: expected the smallest increase worth finding, above 0, found {self.effect:g}")

    def shares(self, holdout: float) -> list[float]:
        """Of all people: held out, then in each arm."""
        return [holdout, *[(1 - holdout) / self.arms] * self.arms]


@dataclass(frozen=True)
class Option:
    """The experiment with one share of people held out.

    Attributes
    ----------
    holdout_share : float
    people, held_out : int
        All of them, and those of them who are not contacted.
    contact_days : int
        Days until all of them were decided on.
    days : int
        Until the last window has closed and the result can be read.
    forgone : float
        What is lost by not contacting the held-out people, if the effect is there: people who come back, or currency.
    """

    holdout_share: float
    people: int
    held_out: int
    contact_days: int
    days: int
    forgone: float


@dataclass(frozen=True)
class Point:
    """What can be found when people were decided on for so many days; None: nothing that is possible."""

    contact_days: int
    days: int
    people: int
    effect: float | None


@dataclass(frozen=True)
class Plan:
    """The answer: options by holdout share, the one to take, and its curve of effect against days.

    ``advised`` is the smallest holdout that can be read in the days one has, or, where no days were named, the option
    that needs the fewest people; None where no option can be read in time.
    """

    question: Question
    days: int | None
    options: tuple[Option, ...]
    advised: Option | None
    curve: tuple[Point, ...]


def plan(question: Question, *, holdout: float | None = None, days: int | None = None) -> Plan:
    """Plan an experiment.

    Parameters
    ----------
    question : Question
    holdout : float, optional
        Share of people who are held out; without it several are compared.
    days : int, optional
        Within which the result is wanted, the attribution window included.

    Raises
    ------
    InputError
        A number is out of its range.

    Notes
    -----
    See `required_sample_size`. With k arms the fewest people are needed where the holdout is sqrt(k) times as large as
    an arm (Dunnett 1955, JASA 50).
    """
    best = math.sqrt(question.arms) / (question.arms + math.sqrt(question.arms))
    shares = sorted({*HOLDOUT_SHARES, round(best, 3)}) if holdout is None else [holdout]
    for share in shares:
        if not 0 < share < 1:
            raise InputError(f"holdout: expected a share of people between 0 and 1, found {share:g}")
    if days is not None and days <= question.window_days:
        raise InputError(
            f"days: expected more than the {question.window_days:g} days of the attribution window, found {days}: "
            "before it has closed nobody's outcome is complete"
        )
    options = tuple(_option(question, share) for share in shares)
    fits = options if days is None else tuple(x for x in options if x.days <= days)
    fewest = min(fits, key=lambda x: x.people, default=None)
    advised = fewest if days is None else min(fits, key=lambda x: x.holdout_share, default=None)
    drawn = advised or min(options, key=lambda x: x.people)
    return Plan(question, days, options, advised, _curve(question, drawn))


def question_of(summary: Summary, effect: float, *, people_a_day: float | None = None, **settings: float) -> Question:
    """The question for an experiment like one that was measured: its share who came back without contact, its pace.

    Raises
    ------
    InputError
        Nobody was held out in it.
    """
    primary = summary.primary
    held_out = [x for x in primary.totals if x.action == "control" and x.people] if primary else []
    if not held_out:
        raise InputError(
            f"campaign {summary.campaign['campaign']}: nobody whose window is over was held out, so how many come back "
            "without contact is not known; say it with --base"
        )
    pace = people_a_day if people_a_day is not None else summary.pace.people_a_day if summary.pace else 0.0
    base = held_out[0].with_it / held_out[0].people
    return Question(base, effect, pace, float(summary.campaign["window_days"]), **settings)  # type: ignore[arg-type]


def _option(question: Question, holdout: float) -> Option:
    needed = required_sample_size(
        question.base,
        question.effect,
        sd=question.sd,
        shares=question.shares(holdout),
        power=question.power,
        alpha=question.alpha,
    )
    held_out = needed.by_arm[0]
    contact_days = max(math.ceil(needed.people / question.people_a_day), 1)
    days = math.ceil(contact_days + question.window_days)
    return Option(holdout, needed.people, held_out, contact_days, days, held_out * question.effect)


def _curve(question: Question, option: Option) -> tuple[Point, ...]:
    """From a tenth of the days to three times as many."""
    last = min(3 * option.contact_days, LONGEST_DAYS)
    first = max(option.contact_days // 10, 1)
    steps = sorted({round(first + (last - first) * k / (POINTS - 1)) for k in range(POINTS)} | {option.contact_days})
    return tuple(_point(question, option.holdout_share, step) for step in steps)


def _point(question: Question, holdout: float, contact_days: int) -> Point:
    people = round(contact_days * question.people_a_day)
    effect = minimum_detectable_effect(
        people,
        question.base,
        sd=question.sd,
        shares=question.shares(holdout),
        power=question.power,
        alpha=question.alpha,
    )
    return Point(contact_days, math.ceil(contact_days + question.window_days), people, effect)


def sentences(found: Plan, *, word: str, words: str, currency: str = "") -> Sequence[str]:
    """The plan for a marketer."""
    question, option = found.question, found.advised
    wanted = _amount(question, question.effect, words, currency)
    if option is None:
        best = min(found.options, key=lambda x: x.days)
        return (
            f"{found.days} days are too few to find {wanted} with {question.people_a_day:,.0f} people a day.",
            f"It takes {best.days:,} days with {percent(best.holdout_share)} held out; or find more people, look for a "
            "larger effect, or compare fewer arms.",
        )
    lost = (
        f"{option.forgone:,.0f} {word if round(option.forgone) == 1 else words}"
        if question.sd is None
        else f"{currency} {option.forgone:,.0f} of {words}".strip()
    )
    return (
        f"Hold out {percent(option.holdout_share)} of the people: {option.held_out:,} of {option.people:,} are not "
        "contacted, by a draw that nobody can change.",
        f"Contact for {option.contact_days:,} days at {question.people_a_day:,.0f} people a day, and read the result "
        f"on day {option.days:,}, when the last window of {question.window_days:g} days has closed.",
        f"Then {wanted} are found in {percent(question.power, 0)} of experiments in which they are there, and "
        f"something is called found in {percent(question.alpha, 0)} of those without any effect.",
        f"What it costs: {lost} that contact would have brought to the people held out, if it works so well.",
    )


def _amount(question: Question, value: float, words: str, currency: str) -> str:
    if question.sd is None:
        rise = f"{percent(question.base, 2)} to {percent(question.base + value, 2)}"
        return f"{1000 * value:+,.1f} {words} for each 1,000 people ({rise})"
    return f"{currency} {value:+,.2f} of {words} a person".strip()
