"""Two models on the same people, in scores that favour neither."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from propensity.assessment import PEOPLE
from propensity.contract import CONTROL
from propensity.errors import InputError
from propensity.evaluation import Estimate, better_fit, mean_estimate, policy_shares, policy_value, with_least_error
from propensity.features import DERIVED, SEGMENT_FEATURES
from propensity.frame import all_actions, days_old, logged_propensity
from propensity.held_out import expectations, outcome_scores, score_variances
from propensity.model import DecisionModel
from propensity.playbook import Playbook
from propensity.policy import best_action

WORSE_LEVEL = 0.8
"""Of the interval by which effects are said to fit worse: of two models that are as good one in ten is said so. A later
one that learnt from more is kept back for nothing then; one with a part that is wrong is far below."""


@dataclass(frozen=True)
class Comparison:
    """A challenger's policy against a champion's.

    Attributes
    ----------
    n_decisions : int
        They are compared on.
    n_different : int
        Of these, on which the policies differ.
    difference : dict of Estimate
        Challenger minus champion, paired, per 1,000 people: in ``reactivations``, ``revenue``, ``net_value``,
        ``expected_value`` (see `assessment.PolicyResult`) and ``unsubscribed``.
    challenger, champion : dict of Estimate
        The same of each against contacting nobody.
    unsubscribed_by_contact : Estimate or None
        Challenger minus champion in what 1,000 contacts cause of opt-outs; None where one of them contacts nobody.
    better_fit : Estimate or None
        By how much closer the challenger's effects come to what happened (see `evaluation.better_fit`); None where both
        models' are the same.
    """

    n_decisions: int
    n_different: int
    difference: dict[str, Estimate]
    challenger: dict[str, Estimate]
    champion: dict[str, Estimate]
    unsubscribed_by_contact: Estimate | None = None
    better_fit: Estimate | None = None


def compare(challenger: DecisionModel, champion: DecisionModel, frame: pd.DataFrame, playbook: Playbook) -> Comparison:
    """Compare what two models would do with people that neither has seen.

    Parameters
    ----------
    challenger, champion : DecisionModel
        Each decides by its own mode and rules.
    frame : DataFrame (n, ...)
        Training frame.
    playbook : Playbook
        Turns outcomes into money: the data's own, the same for both.

    Raises
    ------
    InputError
        Somebody was served an action that neither model knows.

    Notes
    -----
    Decisions count by their age as they did when the challenger learnt effects. The outcome model behind the doubly
    robust scores is the mean of both models' (of the one that knows the action, where only one does). The scores are
    unbiased with any outcome model; this one leans to neither side.
    """
    models = (challenger, champion)
    served = set(frame["action"])
    labels = {a for model in models for a in model.actions} & {CONTROL, *playbook.labels}
    require_known(served, labels, "either model")
    actions = all_actions(sorted((labels | served) - {CONTROL}))
    propensity = logged_propensity(frame, actions)
    predictions = [model.predict(frame, frame["decided_at"]) for model in models]
    expected = [expectations(m, frame, p) for m, p in zip(models, predictions, strict=True)]
    merged = {name: _mean([e[name] for e in expected], actions) for name in expected[0]}
    scores = outcome_scores(frame, propensity, merged, playbook)
    variances = score_variances(propensity, merged, playbook)
    # what changed is what the challenger found to have changed
    weight = challenger.recency.weights(days_old(frame))
    policies = []
    for model, predicted in zip(models, predictions, strict=True):
        allowed = model.eligible(frame, frame["decided_at"]).allowed
        # what had no chance of being served cannot be judged on these people
        allowed &= propensity.reindex(columns=allowed.columns, fill_value=0.0).to_numpy() > 0
        policies.append(best_action(model.choice_value(predicted), allowed))
    new, old = policies
    nobody = np.full(len(frame), CONTROL, dtype=object)

    def values(policy: np.ndarray, baseline: np.ndarray) -> dict[str, Estimate]:
        return {
            name: policy_value(table, policy, baseline, weight=weight, variance=variances[name]).times(PEOPLE)
            for name, table in scores.items()
        }

    return Comparison(
        n_decisions=len(frame),
        n_different=int((new != old).sum()),
        difference=values(new, old),
        challenger=values(new, nobody),
        champion=values(old, nobody),
        unsubscribed_by_contact=_by_contact(scores["unsubscribed"], variances["unsubscribed"], new, old, weight),
        better_fit=better_fit(
            frame["reactivated"].to_numpy(dtype=float),
            frame["action"],
            propensity,
            merged["reactivated"],
            [p.effect for p in predictions],
            level=WORSE_LEVEL,
            weight=weight,
        ),
    )


def _by_contact(
    scores: pd.DataFrame, variance: pd.DataFrame, new: np.ndarray, old: np.ndarray, weight: np.ndarray
) -> Estimate | None:
    """How much more 1,000 contacts of the one policy cause than 1,000 of the other."""
    shares = [float(np.average(policy != CONTROL, weights=weight)) for policy in (new, old)]
    if not all(shares):
        return None
    # the shares are facts about these people and these policies: only the scores are uncertain
    nobody = policy_shares(scores, np.full(len(scores), CONTROL, dtype=object))
    contacts = [(policy_shares(scores, p) - nobody) / share for p, share in zip((new, old), shares, strict=True)]
    counted = contacts[0] - contacts[1]
    found = mean_estimate((counted * scores.to_numpy()).sum(axis=1), weight=weight)
    return with_least_error(found, counted, variance, weight).times(PEOPLE)


def require_known(served: set[str], known: set[str], whom: str) -> None:
    """Refuse data with an action that was never learnt."""
    unknown = sorted(served - known - {CONTROL})
    if unknown:
        raise InputError(
            f"contacts.action: {', '.join(unknown)} was never learnt by {whom} (known: "
            f"{', '.join(sorted(known - {CONTROL}))}); train on data that hold it, or leave these decisions out"
        )


def require_fit(model: DecisionModel, title: str, playbook: Playbook, frame: pd.DataFrame) -> None:
    """Refuse data that a model was not made for.

    Raises
    ------
    InputError
        They belong to another playbook, or lack columns that the model learnt from.
    """
    if playbook.name != model.playbook.name:
        raise InputError(
            f"playbook {playbook.name}: {title} was made for playbook {model.playbook.name}; name a model of "
            f"{playbook.name} with --model, or data of {model.playbook.name} with --data"
        )
    named = (*model.features.numeric, *model.features.categories)
    lacking = [name for name in named if name not in {*frame, *DERIVED, *SEGMENT_FEATURES}]
    if lacking:
        raise InputError(f"customers: lack {', '.join(lacking)}, which {title} learnt from; add the columns")


def _mean(tables: Sequence[pd.DataFrame], actions: list[str]) -> pd.DataFrame:
    """Mean of what is known of each action; every action is known to one model at least."""
    known = [table.reindex(columns=actions) for table in tables]
    return pd.DataFrame(np.nanmean([t.to_numpy() for t in known], axis=0), columns=actions, index=tables[0].index)
