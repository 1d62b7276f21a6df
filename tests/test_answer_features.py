"""How likely an archetype answers why a person left, as a feature of effects."""

import numpy as np
import pandas as pd
import pytest

from propensity import playbook
from propensity.answer_features import ANSWERED_BY, BY_FEATURES, AnswerFeatures
from propensity.contract import REASONS
from propensity.deciding import Wave
from propensity.frame import logged_propensity
from propensity.learners import UpliftStack
from propensity.model import DecisionModel
from propensity.reasons.assignment import Chances, Told

BOOK = playbook.load("default")
FEATURES = AnswerFeatures.of(BOOK)


def told(stated: list[str | None], **chances: tuple[list[int], list[dict[str, float]]]) -> Told:
    """What is known of people: by source, of whom, and with which chances."""
    found = {}
    for source, (people, rows) in chances.items():
        values = np.array([[row.get(reason, 0.0) for reason in REASONS] for row in rows])
        found[source] = Chances(np.array(people), values, list(REASONS))
    return Told(np.array(stated, dtype=object), found, {})


def test_who_stated_a_reason_is_answered_by_the_archetype_that_the_playbook_names_and_by_no_other():
    columns = FEATURES.columns(told(list(REASONS)))
    for position, reason in enumerate(REASONS):
        answered = {name.removeprefix(ANSWERED_BY) for name, values in columns.items() if values[position] == 1}
        assert answered == {BOOK.archetype_of_reason()[reason]}
        assert sum(values[position] for values in columns.values()) == 1


def test_what_a_person_stated_counts_before_what_is_told_of_them_and_what_they_wrote_does_not():
    text, features = {"price": 0.75, "fit_problem": 0.25}, {"disengaged": 0.5, "price": 0.5}
    known = told(["service_problem", None, None], text=([1, 2], [text] * 2), predicted=([1], [features]))
    chances = pd.DataFrame(known.probabilities(BY_FEATURES), columns=list(REASONS))
    assert chances.loc[0, "service_problem"] == 1
    assert chances.loc[1, ["price", "disengaged"]].tolist() == [0.5, 0.5]
    assert chances.loc[2].isna().all()
    assert chances.loc[:1].sum(axis=1).eq(1).all()


def test_reasons_of_one_archetype_add_up_and_nothing_known_stays_missing():
    columns = FEATURES.columns(told([None, None], predicted=([0], [{"price": 0.5, "fit_problem": 0.25}])))
    assert columns[f"{ANSWERED_BY}wrong_fit_now_right"][0] == 0.75
    assert all(np.isnan(values[1]) for values in columns.values())


def test_with_one_kind_of_message_there_is_nothing_to_tell_apart():
    one = {name: action for name, action in BOOK.actions.items() if action.archetype == "we_miss_you"}
    assert AnswerFeatures.of(BOOK.model_copy(update={"actions": one})).columns(told(["price"])) == {}


def test_where_nobody_was_asked_why_they_left_effects_are_told_without(small_frame, email_playbook):
    silent = small_frame.assign(reason=None).drop(columns="exit_answer", errors="ignore")
    model = DecisionModel(email_playbook).fit(silent.astype({"reason": "str"}).assign(reason=pd.NA))
    assert not any(name.startswith(ANSWERED_BY) for name in model.reactivation.encoder_.columns)


def test_decisions_and_training_see_the_same(wave_model, wave):
    people, at = wave.unseen_customers, wave.test["decided_at"].iloc[0]
    decided = Wave(wave_model, people, at)._encoded
    columns = wave_model.reactivation.encoder_.columns
    assert sum(name.startswith(ANSWERED_BY) for name in columns) == 4
    np.testing.assert_array_equal(decided, wave_model._encode(people, at))
    trained = wave_model.reactivation.encoder_.transform(wave_model.effect_features(people, at))
    np.testing.assert_array_equal(decided, trained)


def test_a_saved_model_keeps_what_its_own_playbook_answers(wave_model, wave_model_saved, wave):
    loaded = DecisionModel.load(wave_model_saved)
    assert loaded.answers == wave_model.answers
    people, at = wave.unseen_customers.head(50), wave.test["decided_at"].iloc[0]
    np.testing.assert_array_equal(loaded._encode(people, at), wave_model._encode(people, at))


@pytest.mark.slow
def test_knowing_what_answers_a_reason_finds_better_actions(wave, wave_model, small_playbook):
    """By the true chances of people whom training never saw, against a stack without these features."""
    plain = wave_model.features.transform(wave.train, wave.train["decided_at"])
    without = UpliftStack(wave_model.reactivation.random_state).fit(
        plain,
        wave.train["action"],
        wave.train["reactivated"].to_numpy(dtype=float),
        propensity=logged_propensity(wave.train, wave_model.actions),
        factors=small_playbook.factors(),
    )
    truth = wave.program.truth
    people, at = wave.unseen_customers, wave.test["decided_at"].iloc[0]
    actions = wave_model.actions[1:]
    true = truth.reactivation_probability.loc[people["customer_id"], actions].to_numpy()
    may = truth.eligible.loc[people["customer_id"], actions].to_numpy()

    def won(effect: pd.DataFrame) -> np.ndarray:
        best = np.where(may, effect[actions].to_numpy(), -np.inf).argmax(axis=1)
        return true[np.arange(len(best)), best][may.any(axis=1)]

    more = won(wave_model.predict(people, at).effect) - won(without.effect(wave_model.features.transform(people, at)))
    assert more.mean() > 2 * more.std() / np.sqrt(len(more))
