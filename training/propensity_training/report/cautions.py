"""What a reader must know before believing a report's figures."""

from __future__ import annotations

from typing import NamedTuple

from propensity.model import MODES
from propensity_training.report import words
from propensity_training.report.contents import ModelReport

SMALL_PROBABILITY = 0.01
SMALL_ARM = 100
"""An arm of fewer held-out people says little; neither do so few who were served what the model would do."""
FEW_RETURNS = 10
"""With fewer of them the normal intervals of an arm's effect are too narrow."""


class Caution(NamedTuple):
    """A kind, for programs, and a sentence, for people."""

    kind: str
    sentence: str


def cautions(report: ModelReport) -> list[Caution]:
    """All cautions, the gravest first."""
    return [*_data(report), *_policy(report), *_predictions(report)]


def _data(report: ModelReport) -> list[Caution]:
    found, overlap = [], report.overlap
    if not report.sample_ratio.healthy:
        found.append(Caution("sample_ratio", words.sample_ratio(report)))
    if overlap.smallest < SMALL_PROBABILITY:
        served = f"{overlap.n_below_1_percent:,} people were served with a chance under 1 %"
        found.append(
            Caution(
                "small_probability",
                f"Somebody's chance of {words.arm(overlap.smallest_action)} was only "
                f"{words.percent(overlap.smallest, 2)}, and {served}: each counts for many, so figures swing.",
            )
        )
    small = [f"{words.arm(a.action)} ({a.n:,})" for a in report.arms if a.n < SMALL_ARM]
    if small:
        found.append(
            Caution(
                "small_arms", f"Few held-out people were served {_few(small)}: little can be said of what that does."
            )
        )
    few = [f"{words.arm(a.action)} ({a.reactivated:,})" for a in report.arms if a.reactivated < FEW_RETURNS <= a.n]
    if few:
        found.append(
            Caution("few_returns", f"Few {report.many} were seen with {_few(few)}: their intervals may be too narrow.")
        )
    if report.n_unknown:
        found.append(
            Caution(
                "unknown_actions",
                f"{report.n_unknown:,} held-out decisions were for actions that the model does not know; nothing here "
                "counts them.",
            )
        )
    unjudged = report.plan.left_alone_because.get("no_chance_logged", 0)
    if unjudged:
        found.append(
            Caution(
                "no_chance",
                f"{unjudged:,} people had no chance of any action that the model knows: what it would do with people "
                "like them is not judged here.",
            )
        )
    return found


def _policy(report: ModelReport) -> list[Caution]:
    found, gate, model = [], report.assessment.gate, report.assessment.policy("model")
    if MODES.index(gate.granted) < MODES.index(gate.proposed):
        proposed, granted = words.mode(gate.proposed), words.mode(gate.granted)
        found.append(Caution("demoted", f"Training proposed {proposed}, these people grant {granted}. {gate.why}"))
    if model is not None and report.plan.contacted:
        if model.net_value.low < 0 < model.net_value.high:
            found.append(
                Caution(
                    "wide_interval",
                    f"The measured net value for each 1,000 people, {report.currency} "
                    f"{words.sums(model.net_value, sign=True)}, may be a loss as well as a gain.",
                )
            )
        if report.overlap.followed_effective_n < SMALL_ARM:
            found.append(
                Caution(
                    "few_followed",
                    f"Only {report.overlap.n_followed:,} held-out people were served what the model would do (worth "
                    f"{report.overlap.followed_effective_n:,.0f} with equal chances): its value leans on predictions.",
                )
            )
    return found


def _predictions(report: ModelReport) -> list[Caution]:
    found, slopes = [], report.assessment.slopes
    for name, what in (("propensity", "chances to return"), ("effect", "effects of contact")):
        slope = slopes.get(name)
        if slope is not None and not slope.low <= 1 <= slope.high:
            found.append(Caution(f"{name}_slope", words.calibration(report, name, what)))
    effect = slopes.get("effect")
    if report.mode == "per_person" and effect is not None and effect.low <= 0 and effect.high >= 1:
        found.append(
            Caution(
                "effect_unconfirmed",
                "The model chooses per person, but these people do not confirm that its predicted effects go with the "
                "real ones.",
            )
        )
    if not report.curves.ranked:
        found.append(Caution("constant_effect", words.ranking(report)))
    return found


def _few(names: list[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
