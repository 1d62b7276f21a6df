"""From a model, people whom it never saw, and its assessment to the figures of its report."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
from scipy import stats

from propensity.assessment import PEOPLE, Assessment
from propensity.contract import CONTROL
from propensity.dataset import Dataset
from propensity.deciding import POLICY_CODES, Wave
from propensity.held_out import HeldOutPeople
from propensity.inference import sample_ratio_test
from propensity.model import DecisionModel
from propensity.policy import best_action
from propensity.policy.decide import holdout_share
from propensity.reasons.assignment import SOURCES
from propensity_training.report import curves
from propensity_training.report.contents import (
    Arm,
    AverageEffect,
    FeatureShare,
    Interval,
    Learnt,
    ModelReport,
    Overlap,
    Part,
    Plan,
    Reasons,
    Side,
)
from propensity_training.report.segments import segments

QUANTILES = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 1.0)
Z95 = float(stats.norm.ppf(0.975))


def model_report(
    model: DecisionModel,
    dataset: Dataset,
    people: HeldOutPeople,
    assessment: Assessment,
    *,
    title: str,
    split: str,
    training: pd.DataFrame | None = None,
    importance: pd.DataFrame | None = None,
) -> ModelReport:
    """Compute all figures of a report.

    Parameters
    ----------
    model : DecisionModel
    dataset : Dataset
        Where the people come from.
    people : HeldOutPeople
        As from `held_out_people`: none that the model has seen.
    assessment : Assessment
        Of the model in its mode, on these people.
    title : str
        Of the model.
    split : str
        Who was held out, in words.
    training : DataFrame, optional
        Training frame of the people that it learnt from.
    importance : DataFrame, optional
        ``feature``, ``action`` and ``share``: each feature's share of what moves the predicted effect of the action;
        the rows of action "overall" count.
    """
    chosen = best_action(model.choice_value(people.predictions), people.allowed)
    playbook, assessed = model.playbook, assessment.curves
    if assessed is None:
        raise ValueError("assessment: expected one of these people, with its curves")
    return ModelReport(
        title=title,
        data=dataset.title,
        origin=dataset.origin,
        playbook=playbook.name,
        playbook_version=playbook.version,
        currency=playbook.currency,
        many=dataset.words.reactivated_plural,
        window_days=dataset.playbook.program.attribution_window_days,
        mode=model.mode,
        split=split,
        training=None if training is None else _side(training),
        held_out=_side(people.frame),
        n_unknown=people.n_unknown,
        arms=_arms(people, training),
        sample_ratio=sample_ratio_test(people.frame["action"], people.propensity),
        overlap=_overlap(people, chosen),
        learnt=_learnt(model, people),
        assessment=assessment,
        curves=curves.curves(model, people, assessed),
        segments=segments(model, people),
        plan=_plan(model, people, chosen),
        importance=_importance(importance),
        reasons=_reasons(model, people),
        contact_times=model.contact_times,
    )


def _side(frame: pd.DataFrame) -> Side:
    decided = frame["decided_at"]
    first, last = (f"{day:%Y-%m-%d}" for day in (decided.min(), decided.max()))
    return Side(len(frame), frame["customer_id"].nunique(), first, last)


def _arms(people: HeldOutPeople, training: pd.DataFrame | None) -> tuple[Arm, ...]:
    frame, n_all = people.frame, len(people.frame)
    taught = None if training is None else training["action"].value_counts()
    arms = []
    for action in people.propensity.columns:
        served = (frame["action"] == action).to_numpy()
        mine, n = frame[served], int(served.sum())
        back = int(mine["reactivated"].sum())
        arms.append(
            Arm(
                action=action,
                n_training=None if taught is None else int(taught.get(action, 0)),
                n=n,
                share=n / n_all,
                logged_share=float(people.propensity[action].mean()),
                effective_n=_effective_n(people.propensity.loc[served, action].to_numpy()),
                reactivated=back,
                reactivated_share=_share(back, n),
                revenue=float(mine["revenue"].mean()),
                unsubscribed_share=float(mine["unsubscribed"].mean()),
            )
        )
    return tuple(arms)


def _share(count: int, n: int) -> Interval:
    """A share with Wilson's interval; NaN of nobody."""
    if n == 0:
        return Interval(np.nan, np.nan, np.nan)
    found = stats.binomtest(count, n).proportion_ci(method="wilson")
    return Interval(count / n, float(found.low), float(found.high))


def _effective_n(probability: np.ndarray) -> float:
    weight = 1 / probability
    return float(weight.sum() ** 2 / (weight**2).sum()) if len(weight) else 0.0


def _overlap(people: HeldOutPeople, chosen: np.ndarray) -> Overlap:
    chances = people.propensity.to_numpy()
    action = people.frame["action"].to_numpy()
    served = chances[np.arange(len(action)), people.propensity.columns.get_indexer(pd.Index(action))]
    possible = np.where(chances > 0, chances, np.inf).min(axis=0)
    followed = action == chosen
    return Overlap(
        served_quantiles={f"{q:g}": float(np.quantile(served, q)) for q in QUANTILES},
        smallest=float(possible.min()),
        smallest_action=str(people.propensity.columns[int(possible.argmin())]),
        n_below_1_percent=int((served < 0.01).sum()),
        impossible_share=float((chances == 0).mean()),
        n_followed=int(followed.sum()),
        followed_effective_n=_effective_n(served[followed]),
    )


def _learnt(model: DecisionModel, people: HeldOutPeople) -> Learnt:
    evidence, averages = model.evidence_, model.reactivation.averages_
    weights = {"reactivation": dict(model.reactivation.weights_)}
    if model.revenue is not None:
        weights["revenue"] = dict(model.revenue.weights_)
    effects = []
    for place, action in enumerate(model.actions[1:]):
        could = (people.propensity[[action, CONTROL]] > 0).all(axis=1).to_numpy()
        held_out = people.scored.average_effect("reactivations", action, could) if could.sum() > 1 else None
        effects.append(
            AverageEffect(
                action=action,
                trained=_interval(averages.measured[place], averages.standard_error[place]),
                trained_shrunk=float(averages.shrunk[place]) * PEOPLE,
                held_out=None if held_out is None else held_out.times(PEOPLE),
                net_value_trained=_interval(
                    evidence.average_net_value[action], evidence.average_net_value_error[action]
                ),
                net_value_trained_shrunk=evidence.shrunk_net_value[action] * PEOPLE,
            )
        )
    return Learnt(
        supported_mode=evidence.supported_mode,
        heterogeneity_p=evidence.heterogeneity_p,
        heterogeneity_level=model.reactivation.heterogeneity_.level,
        weights=weights,
        best_action=evidence.best_action,
        effects=tuple(sorted(effects, key=lambda effect: -effect.net_value_trained_shrunk)),
    )


def _interval(value: float, error: float) -> Interval:
    return Interval(*(float(PEOPLE * x) for x in (value, value - Z95 * error, value + Z95 * error)))


def _plan(model: DecisionModel, people: HeldOutPeople, chosen: np.ndarray) -> Plan:
    contacted = chosen != CONTROL
    factors, n = model.playbook.factors(), len(chosen)

    def parts(names: np.ndarray) -> tuple[Part, ...]:
        return tuple(Part(str(name), count, count / n) for name, count in Counter(names).most_common())

    sent = chosen[contacted]
    parted = {part: parts(factors.loc[sent, part].to_numpy()) for part in ("archetype", "channel", "offer")}
    stopped_by = model.eligible(people.frame, people.frame["decided_at"]).stopped_by
    unpaid = POLICY_CODES[model.mode][1]
    # whoever no rule stops may still have had no chance of anything, which these data cannot judge
    otherwise = np.where(people.reachable, unpaid, "no_chance_logged")
    because = np.where(stopped_by.notna(), stopped_by, otherwise)[~contacted]
    return Plan(
        contacted=int(contacted.sum()),
        left_alone=int((~contacted).sum()),
        by_action=parts(sent),
        by_archetype=parted["archetype"],
        by_channel=parted["channel"],
        by_offer=parted["offer"],
        left_alone_because={str(reason): count for reason, count in Counter(because).most_common()},
        holdout_share=holdout_share(model.playbook.learning),
        explore_share=(1 - holdout_share(model.learning)) * model.learning.explore_share,
    )


def _reasons(model: DecisionModel, people: HeldOutPeople) -> Reasons | None:
    reports, rules = model.reason_models.reports, model.playbook.reasons
    if not reports:
        return None
    found = Wave(model, people.frame, people.frame["decided_at"]).reasons["source"].value_counts()
    return Reasons(
        reports=reports,
        sources={source: int(found.get(source, 0)) for source in SOURCES},
        min_probability=rules.min_probability,
        unknown_as=rules.unknown_as,
    )


def _importance(table: pd.DataFrame | None) -> tuple[FeatureShare, ...]:
    if table is None:
        return ()
    overall = table[table["action"] == "overall"].sort_values("share", ascending=False, kind="stable")
    shares = zip(overall["feature"], overall["share"], strict=True)
    return tuple(FeatureShare(str(feature), float(share)) for feature, share in shares if share > 0)
