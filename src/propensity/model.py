"""The decision model: everything that is learnt, in one artifact that decides for customers."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from propensity import __version__
from propensity.answer_features import AnswerFeatures
from propensity.contact_times import ContactTimes
from propensity.contract import CONTROL
from propensity.deciding import PolicyMode, Wave
from propensity.errors import InputError
from propensity.evaluation.estimate import Estimate
from propensity.evaluation.expected import MeasuredEffects
from propensity.evaluation.scores import score_matrix
from propensity.features import FeatureBuilder, without_reason
from propensity.frame import all_actions, days_old, logged_propensity
from propensity.learners import UpliftStack
from propensity.learners.averages import average_effects
from propensity.learners.base import UpliftLearner
from propensity.learners.dense_trees import getting_ready
from propensity.learners.explanation import IMPORTANCE_COLUMNS, EffectExplainer
from propensity.learners.hurdle import AmountModel
from propensity.learners.recency import Recency, recency_of
from propensity.learners.sample import derive_seed
from propensity.monitoring.reference import Reference
from propensity.people import People
from propensity.persistence import load_state, save_state
from propensity.playbook import FACTORS, Learning, Playbook
from propensity.policy import Eligibility, best_action
from propensity.policy.exploration import adapted, open_share
from propensity.predictions import Predictions
from propensity.reactivation import ReactivationPropensity
from propensity.reasons import ReasonModels
from propensity.reasons.assignment import Told
from propensity.segments import SegmentBuilder
from propensity.training_evidence import TrainingEvidence, measure_effects, weigh_evidence

FORMAT = 6
"""Of saved models; those of another cannot be read."""

MADE_UP = 2_500
"""People for whom a model predicts to get ready."""
JUDGED_OPEN = 20_000
"""Training people on whom it is judged how open it is what is best."""
Z95 = 1.959964
MODES: tuple[PolicyMode, ...] = ("nobody", "one_action", "per_person")
NOTHING_TO_EXPLAIN = "Training found no differences between people in what contact does: there is nothing to explain."


class DecisionModel:
    """Learns what contact causes and decides whom to contact with what.

    Parameters
    ----------
    playbook : Playbook
    random_state : int
    tuned : sequence of UpliftLearner, optional
        Learners of the effect on coming back that join the default ones (see `UpliftStack`).

    Attributes
    ----------
    evidence_ : TrainingEvidence
    measured_ : dict of MeasuredEffects
        Measured effects on ``reactivated`` and on ``revenue`` by predicted ones, for totals over other people. By
        `fit`: out of fold, which understates what the model itself brings, for it learnt from more people; training
        replaces it by `held_out.measured_effects` of people whom no fit saw.
    reason_models : ReasonModels
        Tell the reason for churn of those who stated none.
    answers : AnswerFeatures
        What effects are told from beside the playbook's features, where people's reasons are known at all.
    explainer : EffectExplainer or None
        What the effects on coming back rest on; None where they are the same for everybody.
    mode : {"per_person", "one_action", "nobody"}
        How decisions are taken: each person's best action, the same action for everybody (the next best one for
        those who may not get it), or no contact beyond exploration. Set by training, lowered by `restrict`.
    reference : Reference
        What `monitor` compares later people with: of features by `fit`; of scores, and of how they came true, by
        training, of people whom no fit saw.
    contact_times : ContactTimes
        The best time of each channel; none until it is set.
    recency : Recency
        How much older decisions count in learning effects; by `fit`.
    open_share : float
        How open it is which action is best, from 0 to 0.5; by `fit`. What is tried out follows from it (`learning`).
    version : str
        Name under which decisions are logged; set when the model is registered.
    """

    def __init__(self, playbook: Playbook, random_state: int = 0, tuned: Sequence[UpliftLearner] | None = None) -> None:
        self.playbook = playbook
        self.random_state = random_state
        self.tuned = tuned
        self.contact_times = ContactTimes()
        self.version = "unregistered"

    def fit(self, frame: pd.DataFrame) -> Self:
        """Fit on a training frame (see `frame.training_frame`).

        Raises
        ------
        InputError
            An arm is missing or too small, or probabilities cannot be used.
        """
        seen = set(frame["action"])
        self.actions = all_actions([a for a in self.playbook.labels if a in seen])
        self.features = FeatureBuilder.fit(frame, self.playbook)
        self.reason_models = self._fit_reasons(frame)
        self.answers = AnswerFeatures.of(self.playbook) if _reasons_are_known(frame) else AnswerFeatures({})
        X = self.effect_features(frame, frame["decided_at"])
        propensity = logged_propensity(frame, self.actions)
        reactivated = frame["reactivated"].to_numpy(dtype=float)
        weight = self._weigh_by_age(X, frame, reactivated, propensity)
        self.reactivation = UpliftStack(derive_seed(self.random_state, "reactivation"), tuned=self.tuned).fit(
            X,
            frame["action"],
            reactivated,
            propensity=propensity,
            factors=self.playbook.factors(),
            sample_weight=weight,
        )
        untouched = (frame["action"] == CONTROL).to_numpy()
        predicted = self.reactivation.out_of_fold_outcome_
        self.propensity = ReactivationPropensity.fit(predicted[untouched, 0], reactivated[untouched])
        self.explainer = self._explain_effects(X)
        self.reference = Reference.fit(frame, self.features, self.playbook.program.attribution_window_days)
        self.segments = SegmentBuilder.fit(frame, frame["decided_at"], self.playbook)
        encoded = self.reactivation.encoder_.transform(X)
        self._fit_money(X, frame, propensity, weight)
        self.evidence_ = weigh_evidence(self, frame, propensity, predicted, weight)
        self.measured_ = measure_effects(self, frame, propensity, encoded, weight)
        self.mode: PolicyMode = self.evidence_.supported_mode
        self.open_share = self._open_share(encoded, propensity)
        return self

    def _open_share(self, encoded: np.ndarray, propensity: pd.DataFrame) -> float:
        """How open it is for training people which action is best (`policy.exploration.open_share`)."""
        some = slice(None, None, max(1, len(encoded) // JUDGED_OPEN))
        rows, possible = encoded[some], propensity.to_numpy()[some, 1:] > 0
        predicted = self._predict(rows, pd.RangeIndex(len(rows)))
        low, high = (bound.to_numpy() for bound in self.reactivation.interval_around(predicted.effect))
        money = self.playbook.value.margin_share * self.amount.predict(rows)[:, 1:]
        return open_share(predicted.net_value.to_numpy(), money * (high - low) / (2 * Z95), possible)

    @property
    def learning(self) -> Learning:
        """Shares of holdout and exploration: the playbook's, with exploration as open as it is what is best."""
        return adapted(self.playbook.learning, self.open_share)

    def effect_features(self, customers: pd.DataFrame, at: pd.Timestamp | pd.Series) -> pd.DataFrame:
        """What effects are told from, (n, d): the features, and how likely each archetype answers why they left."""
        people = People.of(customers)
        columns = self.features.columns(people, at)
        answered = self.answers.columns(self.reason_models.told_of(people, lambda: columns))
        return pd.DataFrame(columns | answered, index=customers.index)

    def reason_features(self, customers: pd.DataFrame, at: pd.Timestamp | pd.Series) -> pd.DataFrame:
        """What the reason for churn is told from, (n, d): all features but the reason and what is made from it."""
        return without_reason(self.features.transform(customers, at))

    def _fit_reasons(self, frame: pd.DataFrame) -> ReasonModels:
        """Models of the reasons for those who stated none; empty where too few did."""
        if "reason" not in frame:
            return ReasonModels()
        people = frame.drop_duplicates("customer_id")
        return ReasonModels.fit(
            self.reason_features(people, people["decided_at"]),
            people["reason"],
            people.get("exit_answer"),
            derive_seed(self.random_state, "reasons"),
            self.playbook.reasons.min_probability,
        )

    def _explain_effects(self, X: pd.DataFrame) -> EffectExplainer | None:
        """What the effects on coming back rest on; None where they are the same for everybody."""
        if not any(self.reactivation.weights_.values()):
            return None
        encoder = self.reactivation.encoder_
        return EffectExplainer(derive_seed(self.random_state, "explainer")).fit(
            encoder.transform(X), self.reactivation._effect, self.actions[1:], encoder
        )

    def _weigh_by_age(
        self, X: pd.DataFrame, frame: pd.DataFrame, reactivated: np.ndarray, propensity: pd.DataFrame
    ) -> np.ndarray:
        """How much each decision (n,) counts in learning effects, which follows from `recency`."""
        age = days_old(frame)
        self.recency = recency_of(
            X,
            frame["action"],
            reactivated,
            propensity,
            age,
            self.playbook.factors(),
            derive_seed(self.random_state, "recency"),
        )
        return self.recency.weights(age)

    def _fit_money(self, X: pd.DataFrame, frame: pd.DataFrame, propensity: pd.DataFrame, weight: np.ndarray) -> None:
        revenue = frame["revenue"].to_numpy(dtype=float)
        came_back = (frame["reactivated"] > 0).to_numpy()
        encoder = self.reactivation.encoder_
        arm = pd.Index(self.actions).get_indexer(pd.Index(frame["action"]))
        self.amount = AmountModel(self.random_state).fit(
            encoder.transform(X)[came_back], revenue[came_back], arm[came_back], len(self.actions), encoder.categorical
        )
        self.revenue: UpliftStack | None = None
        if self.playbook.value.revenue_effect == "direct":
            self.revenue = UpliftStack(derive_seed(self.random_state, "revenue")).fit(
                X,
                frame["action"],
                revenue,
                propensity=propensity,
                factors=self.playbook.factors(),
                sample_weight=weight,
            )
        unsubscribed = frame["unsubscribed"].to_numpy(dtype=float)
        share = np.full((len(frame), len(self.actions)), unsubscribed.mean())
        scores = score_matrix(unsubscribed, arm, propensity.to_numpy(), share)
        # opt-outs are too rare to tell people apart: one effect an action
        self.unsubscribe_effect = average_effects(scores, propensity.to_numpy(), weight=weight).shrunk

    def restrict(self, mode: PolicyMode) -> None:
        """Decide more simply than training supports; never less simply.

        Raises
        ------
        ValueError
            ``mode`` asks for more than training supports.
        """
        if MODES.index(mode) > MODES.index(self.evidence_.supported_mode):
            raise ValueError(f"mode: expected at most {self.evidence_.supported_mode!r}, found {mode!r}")
        self.mode = mode

    def under(self, playbook: Playbook) -> DecisionModel:
        """This model deciding by another playbook: what was learnt stays, money and rules are the other's.

        Of the playbook's actions only those count that were learnt under the same name with the same archetype,
        channel and offer. Such a model answers what-ifs: it explains no effects, and cannot be saved.

        Raises
        ------
        InputError
            No action of the playbook was learnt, or its segments are made from other columns.
        """
        if playbook.segments != self.playbook.segments:
            raise InputError(
                f"playbook {playbook.name}: its [segments] names other columns than the playbook that the model was "
                "trained with; train with it first"
            )
        kept = [a for a in self.actions[1:] if a in playbook.actions and _is_same(playbook, self.playbook, a)]
        if not kept:
            raise InputError(
                f"playbook {playbook.name}: expected at least one action that the model learnt "
                f"({', '.join(self.actions[1:])}), with the same archetype, channel and offer, found none"
            )
        other = copy.copy(self)
        other.playbook = playbook
        other.actions = all_actions(kept)
        other.evidence_ = self.evidence_.under(self.playbook, playbook, other.actions)
        other.segments = self.segments.under(playbook)
        other.explainer = None
        return other

    def predict(self, customers: pd.DataFrame, at: pd.Timestamp | pd.Series) -> Predictions:
        """What to expect of each person under each action.

        Parameters
        ----------
        customers : DataFrame (n, ...)
            Checked customers.
        at : Timestamp or Series (n,)
            When the decision is taken.
        """
        return self._predict(self._encode(customers, at), customers.index)

    @property
    def action_index(self) -> pd.Index:
        """The actions without control: columns of all tables that have one an action."""
        made = self.__dict__.get("_indexed")
        if made is None or made[0] is not self.actions:
            made = self.__dict__["_indexed"] = (self.actions, pd.Index(self.actions[1:]))
        return made[1]

    def _encode(self, customers: pd.DataFrame, at: pd.Timestamp | pd.Series) -> np.ndarray:
        people = People.of(customers)
        columns = self.features.columns(people, at)
        return self._encode_columns(columns, self.reason_models.told_of(people, lambda: columns))

    def _encode_columns(self, features: Mapping[str, Any], told: Told) -> np.ndarray:
        # one encoding for all parts of the model: they were fitted on the same table
        return self.reactivation.encoder_.matrix({**features, **self.answers.columns(told)}, len(told.stated))

    def _predict(self, encoded: np.ndarray, index: pd.Index) -> Predictions:
        effect = self.reactivation._effect(encoded)
        outcome = self.reactivation.outcome_learner_._outcome_without_contact(encoded)
        at_control = self.propensity.without_contact(outcome)
        reactivated = np.column_stack([at_control, at_control[:, None] + effect])
        revenue = self.amount.predict(encoded) * reactivated if self.revenue is None else self.revenue._outcome(encoded)
        unsubscribed = np.tile(np.r_[0.0, self.unsubscribe_effect], (len(encoded), 1))
        learnt = self.reactivation.actions_
        if self.actions != learnt:
            kept = [learnt.index(a) for a in self.actions]
            reactivated, revenue, unsubscribed = reactivated[:, kept], revenue[:, kept], unsubscribed[:, kept]
            effect = effect[:, [position - 1 for position in kept[1:]]]
        return Predictions.of(
            reactivated, revenue, unsubscribed, effect, self.playbook, self.actions, index, self.action_index
        )

    def prepare(self) -> None:
        """Get ready for many calls on few people each: batches are then scored many times faster, from the first on.

        Predicts for made-up people, so that what is worked out once (see `dense_trees`) is there.
        """
        encoder, rng = self.reactivation.encoder_, np.random.default_rng(0)
        made = rng.choice([np.nan, -1.0, 0.0, 0.5, 1.0, 10.0, 100.0, 1_000.0], (MADE_UP, len(encoder.columns)))
        for position in encoder.categorical:
            made[:, position] = rng.integers(-1, len(encoder.categories[encoder.columns[position]]), MADE_UP)
        made[made < -0.5] = np.nan
        with getting_ready():
            self._predict(made, pd.RangeIndex(MADE_UP))

    def importance(self) -> pd.DataFrame:
        """Which features drive the effect of contact on coming back.

        Returns
        -------
        DataFrame (n features x (1 + n actions), 5)
            See `EffectExplainer.importance`; ``mean_absolute`` in percentage points of the chance of coming back.
            Empty where effects are the same for everybody; ``attrs["note"]`` then says so.
        """
        if self.explainer is None:
            empty = pd.DataFrame(columns=list(IMPORTANCE_COLUMNS))
            empty.attrs["note"] = NOTHING_TO_EXPLAIN
            return empty
        table = self.explainer.importance()
        table["mean_absolute"] *= 100
        return table

    def reasons(self, customers: pd.DataFrame, at: pd.Timestamp | pd.Series, actions: np.ndarray) -> list[list[str]]:
        """Why each person's action (n,) does more or less for them than for the average person, in short codes.

        See `EffectExplainer.reasons` for the codes. There are none under control, and none where effects are the
        same for everybody.
        """
        encoded = self._encode(customers, at)
        return self._reasons(encoded, self.reactivation._effect(encoded), np.asarray(actions, dtype=object))

    def _reasons(self, encoded: np.ndarray, effect: np.ndarray, actions: np.ndarray) -> list[list[str]]:
        if self.explainer is None:
            return [[] for _ in actions]
        return self.explainer.reasons(encoded, effect, actions)

    def choice_value(self, predictions: Predictions, mode: PolicyMode | None = None) -> pd.DataFrame:
        """The values (n, actions without control) that decisions choose by, under the model's mode or another."""
        mode = mode or self.mode
        if mode == "per_person":
            return predictions.net_value
        averages = [self.evidence_.shrunk_net_value[a] if mode == "one_action" else 0.0 for a in self.actions[1:]]
        tiled = np.tile(averages, (len(predictions.net_value), 1))
        return pd.DataFrame(tiled, columns=predictions.net_value.columns, index=predictions.net_value.index)

    def eligible(
        self, customers: pd.DataFrame, at: pd.Timestamp | pd.Series, suppressed: Collection[str] = ()
    ) -> Eligibility:
        """Who may get which of the learnt actions."""
        return Wave(self, customers, at, suppressed=suppressed).eligible

    def choose(
        self, customers: pd.DataFrame, at: pd.Timestamp | pd.Series, mode: PolicyMode | None = None
    ) -> np.ndarray:
        """Each person's action (n,) without holdout or exploration."""
        values = self.choice_value(self.predict(customers, at), mode)
        return best_action(values, self.eligible(customers, at).allowed)

    def decide(
        self,
        customers: pd.DataFrame,
        *,
        at: pd.Timestamp,
        campaign: str = "default",
        suppressed: Collection[str] = (),
        contacts: pd.DataFrame | None = None,
        outcomes: pd.DataFrame | None = None,
        dry_run: bool = False,
    ) -> pd.DataFrame:
        """Decide for each customer.

        Parameters
        ----------
        customers : DataFrame (n, ...)
            Checked customers, each once.
        at : Timestamp
            When the decision is taken, aware.
        campaign : str
        suppressed : collection of str
            Ids that must not be contacted.
        contacts, outcomes : DataFrame, optional
            Checked tables of what was sent before and what people did; without them no rule on touches applies.
        dry_run : bool
            Decisions without ``decision_id``: they cannot be recorded.

        Returns
        -------
        DataFrame (n, columns)
            `decision.DECISION_COLUMNS`, in the order of ``customers``. Without limits; see `deciding.Wave` for those.
        """
        return self.decide_with_probabilities(
            customers,
            at=at,
            campaign=campaign,
            suppressed=suppressed,
            contacts=contacts,
            outcomes=outcomes,
            dry_run=dry_run,
        )[0]

    def decide_with_probabilities(
        self,
        customers: pd.DataFrame,
        *,
        at: pd.Timestamp,
        campaign: str = "default",
        suppressed: Collection[str] = (),
        contacts: pd.DataFrame | None = None,
        outcomes: pd.DataFrame | None = None,
        dry_run: bool = False,
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """`decide`, and beside it the chance of every action for every customer, (n, actions with control).

        Learning from these decisions later needs the chances of the actions that were not served, too.
        """
        wave = Wave(self, customers, at, campaign, suppressed, contacts, outcomes)
        decisions, probabilities = wave.decide()
        if dry_run:
            decisions["decision_id"] = None
        return decisions, probabilities

    def save(self, directory: str | Path) -> None:
        """Write the model as a directory of JSON and text files, whole or not at all."""
        save_state(
            {
                "format": FORMAT,
                "propensity_version": __version__,
                "version": self.version,
                "random_state": self.random_state,
                "playbook": self.playbook.model_dump(mode="json"),
                "actions": self.actions,
                "mode": self.mode,
                "evidence": asdict(self.evidence_),
                "features": self.features.to_state(),
                "reactivation": self.reactivation.to_state(),
                "explainer": self.explainer.to_state() if self.explainer else None,
                "propensity": asdict(self.propensity),
                "segments": self.segments.to_state(),
                "reasons": self.reason_models.to_state(),
                "answers": self.answers.to_state(),
                "amount": self.amount.to_state(),
                "revenue": self.revenue.to_state() if self.revenue else None,
                "unsubscribe_effect": self.unsubscribe_effect.tolist(),
                "measured": {name: effects.to_state() for name, effects in self.measured_.items()},
                "reference": self.reference.to_state(),
                "contact_times": self.contact_times.to_state(),
                "open_share": self.open_share,
                "recency": {"half_life_days": self.recency.half_life_days, "gain": self.recency.gain},
            },
            directory,
        )

    @classmethod
    def load(cls, directory: str | Path) -> DecisionModel:
        """Read a model that `save` wrote.

        Raises
        ------
        InputError
            Files are missing or were changed.
        """
        state = load_state(directory)
        if state["format"] != FORMAT:
            raise InputError(
                f"{directory}: expected a model of format {FORMAT}, found {state['format']}; train it again with this "
                "version"
            )
        model = cls(Playbook.model_validate(state["playbook"]), state["random_state"])
        model.version = state["version"]
        model.actions = list(state["actions"])
        model.mode = state["mode"]
        model.evidence_ = TrainingEvidence(**state["evidence"])
        model.features = FeatureBuilder.from_state(state["features"])
        model.reactivation = UpliftStack().load_state(state["reactivation"])
        model.explainer = EffectExplainer().load_state(state["explainer"]) if state.get("explainer") else None
        model.propensity = ReactivationPropensity(**state["propensity"])
        model.segments = SegmentBuilder.from_state(state["segments"])
        model.reason_models = ReasonModels.from_state(state["reasons"])
        model.answers = AnswerFeatures.from_state(state["answers"])
        model.amount = AmountModel().load_state(state["amount"])
        model.revenue = UpliftStack().load_state(state["revenue"]) if state["revenue"] else None
        model.unsubscribe_effect = np.asarray(state["unsubscribe_effect"])
        model.measured_ = {name: MeasuredEffects.from_state(effects) for name, effects in state["measured"].items()}
        model.reference = Reference.from_state(state["reference"])
        model.contact_times = ContactTimes.from_state(state["contact_times"])
        model.open_share = state["open_share"]
        gain = state["recency"]["gain"]
        model.recency = Recency(state["recency"]["half_life_days"], Estimate(*gain) if gain else None)
        return model


def _reasons_are_known(frame: pd.DataFrame) -> bool:
    """Whether anybody stated why they left."""
    return "reason" in frame and bool(frame["reason"].notna().any())


def _is_same(one: Playbook, other: Playbook, action: str) -> bool:
    return all(getattr(one.actions[action], part) == getattr(other.actions[action], part) for part in FACTORS)
