"""Deciding for the people of a wave: from what is known of them to one decision each, within the limits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from propensity.contract import CONTROL
from propensity.decision import Chosen, Moments, as_table, decision_columns
from propensity.people import Customers, People
from propensity.policy import (
    BUDGET,
    Drawn,
    Eligibility,
    Limit,
    Situation,
    Terms,
    TouchHistory,
    WavePlan,
    action_probabilities,
    archetype_by_rule,
    best_action,
    best_under_prices,
    changed_since,
    codes,
    drawn_actions,
    eligibility,
    first_moments,
    following,
    keep_to_sequence,
    plan_wave,
    spend_table,
    touch_history,
    used_by,
    wave_limits,
    what_stops,
    window_end,
    window_number,
    within_limits,
    within_room,
)
from propensity.reasons.assignment import Assigned, Told
from propensity.segments import Segmented

if TYPE_CHECKING:
    from propensity.model import DecisionModel, Predictions

PolicyMode = Literal["per_person", "one_action", "nobody"]
POLICY_CODES: dict[PolicyMode, tuple[str, str]] = {
    "per_person": ("worth_more_than_it_costs", "no_action_pays"),
    "one_action": ("best_action_for_all", "no_action_pays"),
    "nobody": ("", "no_effect_found"),
}
"""Reason codes of a policy's own decisions: to contact, and not to."""
TIE_BREAK = 1e-9
"""Share of the values' size by which people who tie are told apart, so that prices can say who comes first."""


@dataclass(frozen=True, eq=False)
class Decisions:
    """Decisions on the people of a wave.

    Attributes
    ----------
    columns : dict
        `decision.DECISION_COLUMNS`: arrays and lists (n,), times without a zone; what is the same for all, once.
    probabilities : DataFrame (n, actions with control)
        The chance of every action; learning from these decisions needs those of actions that were not served, too.
    """

    columns: dict[str, Any]
    probabilities: pd.DataFrame

    @property
    def table(self) -> pd.DataFrame:
        """As a table, DataFrame (n, columns), in the order of the people and with their index."""
        return as_table(self.columns, self.probabilities.index)


@dataclass(frozen=True, eq=False)
class Wave:
    """People about whom is decided together, and what is known of them.

    Parameters
    ----------
    model : DecisionModel
    customers : DataFrame (n, ...) or People
        Checked customers, each once.
    at : Timestamp, or Series (n,) to look back
        When the decision is (or was) taken, aware. To `decide`, and for what people went through, it must be one time.
    campaign : str
    suppressed : collection of str
        Ids that must not be contacted.
    contacts, outcomes : DataFrame, optional
        Checked tables of what was sent to these people, and what they did; without them no rule on touches applies.
    """

    model: DecisionModel
    customers: Customers
    at: pd.Timestamp | pd.Series
    campaign: str = "default"
    suppressed: Collection[str] = ()
    contacts: pd.DataFrame | None = None
    outcomes: pd.DataFrame | None = None

    def under(self, model: DecisionModel) -> Wave:
        """The same people decided on by this wave's model under another playbook; see `DecisionModel.under`."""
        other = replace(self, model=model)
        # what cached properties hold: what was learnt of these people is the same
        other.__dict__.update(people=self.people, _features=self._features, _told=self._told, _encoded=self._encoded)
        other.__dict__["predictions"] = self.predictions.under(model.playbook, model.actions)
        return other

    def by_stated_reasons(self) -> Wave:
        """The same people, told apart by the reasons that they stated themselves: no model is asked for one."""
        other = replace(self)
        fallback = self.model.playbook.reasons.unknown_as
        stated = Told.by_themselves(self.people.texts("reason")).assigned(0.0, fallback)
        other.__dict__.update(people=self.people, _assigned=stated)
        return other

    @cached_property
    def predictions(self) -> Predictions:
        """What the model expects under each action."""
        return self.model._predict(self._encoded, self.people.index)

    @cached_property
    def people(self) -> People:
        """The people column by column."""
        return People.of(self.customers)

    @cached_property
    def _encoded(self) -> np.ndarray:
        return self.model._encode_columns(self._features, self._told)

    @cached_property
    def _features(self) -> dict[str, Any]:
        return self.model.features.columns(self.people, self.at)

    @property
    def reasons(self) -> pd.DataFrame:
        """Reason for churn (n, 3): ``reason``, ``probability``, ``source`` (see `assigned_reasons`)."""
        return self._assigned.frame(self.people.index)

    @cached_property
    def _told(self) -> Told:
        return self.model.reason_models.told_of(self.people, lambda: self._features)

    @cached_property
    def _assigned(self) -> Assigned:
        rules = self.model.playbook.reasons
        return self._told.assigned(rules.min_probability, rules.unknown_as)

    @property
    def _reason(self) -> np.ndarray:
        return self._assigned.reason

    @cached_property
    def history(self) -> TouchHistory | None:
        """What people went through before."""
        if self.contacts is None or self.outcomes is None:
            return None
        playbook = self.model.playbook
        return touch_history(self.people, self.contacts, self.outcomes, playbook, self.now, self.campaign)

    @property
    def now(self) -> pd.Timestamp:
        """The one time at which it is decided."""
        if not isinstance(self.at, pd.Timestamp):
            raise TypeError("at: expected one time to decide at, found one for each person")
        return self.at

    @cached_property
    def segments(self) -> pd.DataFrame:
        """Named columns (n, segments); see `SEGMENTS`."""
        return self._segmented.frame()

    @cached_property
    def _segmented(self) -> Segmented:
        return self.model.segments.of(self.people, self.at)

    @cached_property
    def changed(self) -> np.ndarray:
        """For whom (n,) something changed since they left."""
        return changed_since(self.people, self._reason, self.model.playbook, self.at, self._segmented)

    @cached_property
    def _situation(self) -> Situation:
        return Situation(self.history, self._segmented, self._reason, self.changed)

    def what_stops(self, action: str) -> Counter[str]:
        """How many people each rule keeps from an action, everybody counted once."""
        return what_stops(action, self.people, self.model.playbook, self.at, self.suppressed, self._situation)

    @cached_property
    def eligible(self) -> Eligibility:
        """Who may get which of the learnt actions; in the middle of a sequence, what follows."""
        if self.history is None:
            return self.reachable
        return replace(
            self.reachable, allowed=keep_to_sequence(self.reachable.allowed, self.history, self.model.playbook)
        )

    @cached_property
    def reachable(self) -> Eligibility:
        """Who may get which of the learnt actions at some step of a sequence."""
        found = eligibility(self.people, self.model.playbook, self.at, self.suppressed, self._situation)
        actions = self.model.action_index
        # the same index as all other tables of actions, so that it need not be compared
        if actions.equals(found.allowed.columns):
            return Eligibility(found.allowed.set_axis(actions, axis=1), found.stopped_by)
        can = found.allowed[list(actions)].set_axis(actions, axis=1)
        unlearnt = found.stopped_by.isna() & ~can.any(axis=1)
        return Eligibility(can, found.stopped_by.mask(unlearnt, codes.NOT_LEARNT))

    @cached_property
    def value(self) -> pd.DataFrame:
        """What decisions choose by, (n, actions without control), in currency; people who tie are told apart."""
        value = self.model.choice_value(self.predictions)
        if self.model.mode != "one_action":
            return value
        learnt = self.model.reactivation.actions_[1:]
        order = self.model.reactivation._priority(self._encoded)[:, [learnt.index(a) for a in value.columns]]
        size = np.abs(order).max(initial=0.0)
        nudge = order / size if size > 0 else order
        return value * (1 + TIE_BREAK * nudge)

    @cached_property
    def spend(self) -> pd.DataFrame:
        """What each action is expected to cost, (n, actions without control), currency; see `policy.spend`."""
        chances = self.predictions.reactivated.to_numpy()[:, 1:]
        return spend_table(chances, self.model.playbook, self.model.action_index, self.people.index)

    def spent_on(self, action: np.ndarray) -> np.ndarray:
        """What each person's action (n,) is expected to cost, (n,), currency."""
        return used_by(Limit(BUDGET, np.inf, self.spend), self.spend.columns, action)

    def limits(self, weeks: float, budget: float | None = None) -> list[Limit]:
        """Budget and capacities for so many weeks; see `wave_limits`."""
        return wave_limits(self.model.playbook, self.spend, weeks=weeks, budget=budget)

    def plan(self, limits: Sequence[Limit], share: float = 1.0) -> WavePlan:
        """What each person would get within limits, which are for all; these people are a share of them."""
        return plan_wave(self.value, self.eligible.allowed, limits, self.model.learning, share=share)

    def _best(self, limits: Sequence[Limit], prices: Mapping[str, float]) -> np.ndarray:
        """What each person would get (n,) at the prices of a wave, while there is some left of its limits."""
        value, allowed = self.value, self.eligible.allowed
        best = best_under_prices(value, allowed, limits, prices)
        return within_room(best, value, allowed, limits, prices)

    def decide(
        self,
        limits: Sequence[Limit] = (),
        plan: WavePlan | Terms | None = None,
        room: Mapping[str, float] | None = None,
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Decide for everybody.

        Parameters
        ----------
        limits : sequence of Limit
        plan : WavePlan or Terms, optional
            Made from ``limits``: of these people, or the terms of a wave to which they are added. Default: one is made.
        room : mapping of str to float, optional
            With terms: what is left of the wave's plan by limit (`WavePlan.room`); default: as much as of ``limits``.

        Returns
        -------
        decisions : DataFrame (n, columns)
            `decision.DECISION_COLUMNS`, in the order of ``customers``.
        probabilities : DataFrame (n, actions with control)
            The chance of every action; learning from these decisions needs those of actions that were not served, too.
        """
        decided = self.decisions(limits, plan, room)
        return decided.table, decided.probabilities

    def decisions(
        self,
        limits: Sequence[Limit] = (),
        plan: WavePlan | Terms | None = None,
        room: Mapping[str, float] | None = None,
    ) -> Decisions:
        """`decide`, without making tables of it."""
        model, playbook, people, at = self.model, self.model.playbook, self.people, self.now
        window = window_number(at, playbook.program.decision_window_days)
        best, weights = self._planned(limits, plan, room)
        allowed = self.eligible.allowed
        probabilities = action_probabilities(best, allowed, model.learning, weights)
        drawn = drawn_actions(people.ids, allowed, probabilities, model.learning, self.campaign, window, best, weights)
        if limits:
            left_out = within_limits(drawn.action, self.value, limits)
            drawn.action[left_out], drawn.assignment[left_out] = CONTROL, "fallback"
        action = drawn.action
        first = first_moments(action, people, playbook, np.full(len(people), at.to_datetime64()))
        expires_at = window_end(window, playbook.program.decision_window_days)
        best_moment = model.contact_times.moments(action, first, people, playbook, expires_at)
        follows = following(
            action,
            list(self.value.columns),
            self.value.to_numpy(),
            self.reachable.allowed.to_numpy(),
            people,
            playbook,
            best_moment,
            self.history,
        )
        low, high = model.reactivation.interval_around(self.predictions.effect)
        columns = decision_columns(
            people,
            self._chosen(drawn),
            expected={
                "uplift": self.predictions.effect,
                "uplift_low": low,
                "uplift_high": high,
                "expected_revenue": self.predictions.extra_revenue,
                "net_value": self.predictions.net_value,
            },
            reactivation_propensity=self.predictions.reactivated.to_numpy()[:, 0],
            reasons=self._assigned,
            rule_archetype=archetype_by_rule(people, self._reason, self.changed, playbook),
            touch=np.zeros(len(people), dtype=int) if self.history is None else self.history.campaign_touches,
            moments=Moments(first, best_moment, follows.action, follows.not_before),
            playbook=playbook,
            at=at,
            campaign=self.campaign,
            model_version=model.version,
        )
        return Decisions(columns, probabilities)

    def _planned(
        self, limits: Sequence[Limit], plan: WavePlan | Terms | None, room: Mapping[str, float] | None
    ) -> tuple[np.ndarray, Mapping[str, float] | None]:
        """What each person would get (n,), and the weights of exploration, if it has any; see `decide`."""
        value, allowed = self.value, self.eligible.allowed
        if plan is None and not limits and np.isfinite(value.to_numpy()).all():
            return best_action(value, allowed), None
        plan = self.plan(limits) if plan is None else plan
        if isinstance(plan, WavePlan):
            return plan.best, plan.terms.explore_weights
        return self._best(limits if room is None else _left(limits, room), plan.prices), plan.explore_weights

    def _chosen(self, drawn: Drawn) -> Chosen:
        model, value, allowed = self.model, self.value, self.eligible.allowed
        # elsewhere a decision does not follow from the person's own effect
        personal = (drawn.assignment == "policy") & (model.mode == "per_person")
        effect = self.predictions.effect.to_numpy()
        return Chosen(
            drawn=drawn,
            unlimited=best_action(value, allowed),
            stopped_by=self.eligible.stopped_by,
            effect_reasons=model._reasons(self._encoded, effect, np.where(personal, drawn.action, CONTROL)),
            codes=POLICY_CODES[model.mode],
            value=pd.DataFrame(
                np.where(allowed.to_numpy(), value.to_numpy(), np.nan), columns=value.columns, index=value.index
            ),
        )


def _left(limits: Sequence[Limit], amounts: Mapping[str, float]) -> list[Limit]:
    """The limits with other amounts."""
    return [replace(limit, amount=amounts[limit.name]) for limit in limits]
