"""What a model report holds. Every figure on the page, in `report.json` and in MLflow comes from one `ModelReport`.

Figures are of people whom training never saw, except where a name says ``trained`` or ``training``. None is rounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from propensity.assessment import Assessment, plain
from propensity.contact_times import ContactTimes
from propensity.evaluation import Estimate
from propensity.inference import SampleRatio
from propensity.model import PolicyMode
from propensity.reasons import ReasonReport

FOUND_BELOW = 0.05
"""A segment differs where its p-value, adjusted for all that were tested (Holm), is below this."""


class Interval(NamedTuple):
    """A value and its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Side:
    """One side of the split: decisions, the people they are about, and the days of the first and the last."""

    n_decisions: int
    n_people: int
    first_day: str
    last_day: str


@dataclass(frozen=True)
class Arm:
    """What was served to some held-out people, and what happened.

    Attributes
    ----------
    action : str
    n_training : int, optional
        Decisions that taught; None where the training data are not at hand.
    n : int
    share, logged_share : float
        Of all held-out decisions, as observed and as the logged probabilities say.
    effective_n : float
        People that the arm is worth once its probabilities are allowed for: (sum w)^2 / sum w^2, w = 1 / probability
        (Kish 1965).
    reactivated : int
    reactivated_share : Interval
        Wilson. Arms whose chances differ between people hold different people: the shares alone compare nothing.
    revenue, unsubscribed_share : float
        Currency a person; share.
    """

    action: str
    n_training: int | None
    n: int
    share: float
    logged_share: float
    effective_n: float
    reactivated: int
    reactivated_share: Interval
    revenue: float
    unsubscribed_share: float


@dataclass(frozen=True)
class Overlap:
    """How likely people were to be served what they were served.

    Attributes
    ----------
    served_quantiles : dict
        Logged probability of the served action by quantile, ``"0"`` (the smallest) to ``"1"``.
    smallest : float
        The smallest logged probability above 0 of any action for any person.
    smallest_action : str
    n_below_1_percent : int
        People served with a probability under 1 %.
    impossible_share : float
        Of all pairs of a person and an action (control too), those without any chance: these cannot be judged.
    n_followed : int
        People who were served what the model would have done.
    followed_effective_n : float
        What these are worth, as `Arm.effective_n`.
    """

    served_quantiles: dict[str, float]
    smallest: float
    smallest_action: str
    n_below_1_percent: int
    impossible_share: float
    n_followed: int
    followed_effective_n: float


@dataclass(frozen=True)
class AverageEffect:
    """One action's average effect on coming back, and its average net value in currency, per 1,000 people.

    Attributes
    ----------
    action : str
    trained : Interval
        As measured on the training people.
    trained_shrunk : float
        The same drawn towards the other actions: what the model starts from.
    held_out : Estimate, optional
        As measured on the held-out people; None where fewer than two could get it.
    net_value_trained : Interval
    net_value_trained_shrunk : float
        What a policy that is the same for everybody chooses by.
    """

    action: str
    trained: Interval
    trained_shrunk: float
    held_out: Estimate | None
    net_value_trained: Interval
    net_value_trained_shrunk: float


@dataclass(frozen=True)
class Learnt:
    """What training found.

    Attributes
    ----------
    supported_mode : {"per_person", "one_action", "nobody"}
    heterogeneity_p, heterogeneity_level : float
        Of the test that people differ, and the level below which they are said to.
    weights : dict
        Weight of each learner in the effect on ``reactivation``, and on ``revenue`` where that is learnt directly; all
        0 where differences between people are not supported.
    best_action : str
    effects : tuple of AverageEffect
        Those worth most to send to everybody first.
    """

    supported_mode: PolicyMode
    heterogeneity_p: float
    heterogeneity_level: float
    weights: dict[str, dict[str, float]]
    best_action: str
    effects: tuple[AverageEffect, ...]


@dataclass(frozen=True)
class Curves:
    """What the order of people by the model is worth, beside the curves of the assessment.

    Attributes
    ----------
    ranked : bool
        Whether the predicted effects of people's most effective actions differ at all.
    toc : list of dict
        Rows of `toc_curve`, per 1,000 people treated. Empty where nobody is ranked.
    cost : list of dict
        Rows of `cost_curve`: budget and value, before the cost of sending, in currency per 1,000 people of all.
    no_cost_curve : str
        Why there is none, where there is none.
    """

    ranked: bool
    toc: list[dict[str, Any]]
    cost: list[dict[str, Any]]
    no_cost_curve: str


@dataclass(frozen=True)
class Segments:
    """Effects of each person's most effective allowed action, in reactivations per 1,000 people, by segment.

    Attributes
    ----------
    n_features : int
    n_tested : int
        Levels of features that were large enough to test; all p-values are adjusted for so many (Holm).
    n_too_small : int
        Levels that were not.
    n_found : int
        Of the tested ones, those that differ from everybody else.
    overall : Estimate
    rows : list of dict
        Rows of `segment_effects` that were tested, the surest first.
    """

    n_features: int
    n_tested: int
    n_too_small: int
    n_found: int
    overall: Estimate
    rows: list[dict[str, Any]]


@dataclass(frozen=True)
class Reasons:
    """How the reason for churn is told of people who stated none.

    Attributes
    ----------
    reports : tuple of ReasonReport
        By exit answers, by features. Of training people who stated a reason, each scored by a model that had not seen
        them.
    sources : dict
        Held-out decisions by where their reason comes from: ``stated``, ``text``, ``predicted``, ``fallback``.
    min_probability : float
    unknown_as : str
        The playbook's.
    """

    reports: tuple[ReasonReport, ...]
    sources: dict[str, int]
    min_probability: float
    unknown_as: str


@dataclass(frozen=True)
class Part:
    """Held-out people who would get an action, or an archetype, channel or offer, and their share of all."""

    name: str
    n: int
    share: float


@dataclass(frozen=True)
class Plan:
    """What the model would do with the held-out people, holdout and exploration apart.

    Attributes
    ----------
    contacted, left_alone : int
    by_action, by_archetype, by_channel, by_offer : tuple of Part
        The most frequent first.
    left_alone_because : dict
        People by reason: a rule of the playbook, ``no_chance_logged``, ``no_action_pays`` or ``no_effect_found``.
    holdout_share, explore_share : float
        Of everybody when the model decides, by the playbook.
    """

    contacted: int
    left_alone: int
    by_action: tuple[Part, ...]
    by_archetype: tuple[Part, ...]
    by_channel: tuple[Part, ...]
    by_offer: tuple[Part, ...]
    left_alone_because: dict[str, int]
    holdout_share: float
    explore_share: float


@dataclass(frozen=True)
class FeatureShare:
    """A feature's share of what moves the predicted effects, all actions together."""

    feature: str
    share: float


@dataclass(frozen=True)
class ModelReport:
    """A model, as far as people whom it never saw can judge it.

    Attributes
    ----------
    title : str
        Of the model.
    data, origin, playbook, playbook_version, currency : str
    many : str
        What several reactivations are called in these data.
    window_days : float
    mode : {"per_person", "one_action", "nobody"}
        How the model decides.
    split : str
        Who was held out, in words.
    training : Side, optional
        None where the training data are not at hand.
    held_out : Side
    n_unknown : int
        Held-out decisions for an action that the model does not know; no other figure counts them.
    importance : tuple of FeatureShare
        The largest first; empty where effects do not differ between people, or were not explained.
    reasons : Reasons, optional
        None where too few training people stated a reason to learn from.
    contact_times : ContactTimes
        The best times of contact, as training found them.
    """

    title: str
    data: str
    origin: str
    playbook: str
    playbook_version: str
    currency: str
    many: str
    window_days: float
    mode: PolicyMode
    split: str
    training: Side | None
    held_out: Side
    n_unknown: int
    arms: tuple[Arm, ...]
    sample_ratio: SampleRatio
    overlap: Overlap
    learnt: Learnt
    assessment: Assessment
    curves: Curves
    segments: Segments | None
    plan: Plan
    importance: tuple[FeatureShare, ...]
    reasons: Reasons | None
    contact_times: ContactTimes

    def to_json(self) -> dict[str, Any]:
        """As JSON-ready values; what is not a finite number becomes None."""
        return plain(self)

    def metrics(self) -> dict[str, float]:
        """Figures for MLflow's table of runs, beside those of the assessment."""
        figures = {
            "sample_ratio_p": self.sample_ratio.p_value,
            "smallest_probability": self.overlap.smallest,
            "followed_effective_n": self.overlap.followed_effective_n,
            "smallest_arm": float(min(arm.n for arm in self.arms)),
            "heterogeneity_p": self.learnt.heterogeneity_p,
            "contacted_share": self.plan.contacted / (self.plan.contacted + self.plan.left_alone),
        }
        for found in self.reasons.reports if self.reasons is not None else ():
            name = "reason_by_" + found.told_from.replace(" ", "_")
            figures |= {f"{name}.auc": found.auc.value, f"{name}.gain": found.gain.value}
            figures |= {f"{name}.gain.low": found.gain.low, f"{name}.gain.high": found.gain.high}
        if self.segments is not None:
            figures |= {
                "segments_tested": float(self.segments.n_tested),
                "segments_found": float(self.segments.n_found),
            }
        return figures
