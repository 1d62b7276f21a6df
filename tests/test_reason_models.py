"""Reasons for churn in decisions: read from exit answers, told by features, and only where that was shown to work."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pandas as pd
import pytest

from propensity import contract, playbook
from propensity.deciding import Wave
from propensity.features import FeatureBuilder
from propensity.ledger import Ledger
from propensity.model import DecisionModel
from propensity.persistence import load_state, save_state
from propensity.playbook import Playbook
from propensity.reasons import ReasonModels
from propensity.reasons.report import least_people

WORDS = {
    "price": "far too expensive for what it is",
    "service_problem": "nobody in support ever answered me",
    "disengaged": "simply forgot that it was there",
}
SECRET = "Wolfeschlegelsteinhausen"
AT = pd.Timestamp("2026-03-20T08:00Z")


def leavers(n: int = 900, seed: int = 0, *, confused: float = 0.0, common: float = 0.4) -> pd.DataFrame:
    """People with a reason, an answer that tells it but for a share of them, and a feature that does so too."""
    rng = np.random.default_rng(seed)
    reason = rng.choice(list(WORDS), n, p=[common, (1 - common) / 2, (1 - common) / 2])
    said = np.where(rng.random(n) < confused, rng.permutation(reason), reason)
    signal = pd.Series(said).map({"price": 1.0, "service_problem": -1.0, "disengaged": 0.0}).to_numpy()
    filler = rng.choice(["well", "honestly", "sorry", "anyway"], n)
    answers = [f"{word} {WORDS[s]} {tail}" for word, s, tail in zip(filler, said, filler[::-1], strict=True)]
    return pd.DataFrame({"x": signal + rng.normal(0, 0.7, n), "exit_answer": answers, "reason": reason})


def fit(people: pd.DataFrame, **options: object) -> ReasonModels:
    return ReasonModels.fit(people[["x"]], people["reason"], people.get("exit_answer"), 0, **options)


def assign(models: ReasonModels, people: pd.DataFrame, minimum: float = 0.6) -> pd.DataFrame:
    stated = people["reason"] if "reason" in people else pd.Series(None, index=people.index, dtype=object)
    return models.assign(
        stated, people.get("exit_answer"), lambda who: people.loc[who, ["x"]], minimum, "no_longer_needed"
    )


@pytest.fixture(scope="module")
def models() -> ReasonModels:
    return fit(leavers())


def test_what_people_stated_comes_first_then_what_they_wrote_then_what_is_known_of_them(models):
    people = pd.DataFrame(
        {
            "reason": ["price", None, None, None],
            "exit_answer": [WORDS["service_problem"], WORDS["service_problem"], None, "???"],
            "x": [0.0, 3.0, 3.0, 3.0],
        },
        index=list("abcd"),
    )
    found = assign(models, people)
    assert found["source"].tolist() == ["stated", "text", "predicted", "predicted"]
    assert found["reason"].tolist() == ["price", "service_problem", "price", "price"]


@pytest.mark.parametrize("answers", [[None, None], ["???", ""], ["???", None]])
def test_answers_that_say_nothing_leave_it_to_what_is_known_of_people(models, answers):
    people = pd.DataFrame({"exit_answer": answers, "x": [3.0, 3.0]})
    assert assign(models, people)["source"].tolist() == ["predicted"] * 2
    stated = people.assign(reason="price")
    assert assign(models, stated)["source"].tolist() == ["stated"] * 2


def test_who_is_not_told_surely_enough_falls_back(models):
    people = pd.DataFrame({"x": [3.0, 0.0]})
    assert assign(models, people, minimum=0.9)["source"].tolist() == ["predicted", "fallback"]
    found = assign(models, people, minimum=1.0)
    assert set(found["source"]) == {"fallback"}
    assert set(found["reason"]) == {"no_longer_needed"}


def test_a_model_without_signal_tells_nobodys_reason_even_where_one_reason_is_that_of_most():
    people = leavers(confused=1.0, common=0.8)
    models = fit(people)
    assert [report.shown for report in models.reports] == [False, False]
    found = assign(models, people.drop(columns="reason"), minimum=0.5)
    assert set(found["source"]) == {"fallback"}


def test_with_signal_only_those_whom_it_speaks_for_get_the_reason_of_most():
    people = leavers(2000, confused=0.5, common=0.7).drop(columns="exit_answer")
    models = fit(people)
    unseen = leavers(2000, seed=1, confused=0.5, common=0.7)
    found = assign(models, unseen.drop(columns="reason"), minimum=0.5)
    told = found["source"] == "predicted"
    share = models.features.model.shares["price"]
    assert share > 0.65
    assert 0.2 < told.mean() < 0.9
    assert (found.loc[told & (found["reason"] == "price"), "probability"] > share).all()
    right = (found["reason"] == unseen["reason"])[told].mean()
    assert right > share + 0.05
    assert found.loc[told, "probability"].mean() == pytest.approx(right, abs=0.04)


def test_rare_reasons_are_left_out_without_a_warning_and_named_in_the_report():
    people = leavers(600)
    people.loc[: least_people() - 2, "reason"] = "fit_problem"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        models = fit(people)
    for report in models.reports:
        assert report.left_out == {"fit_problem": least_people() - 1}
        assert "fit_problem" not in report.counts
        assert report.n == 600 - least_people() + 1


def test_too_few_reasons_or_nothing_in_common_teach_nothing():
    people = leavers(600)
    assert fit(people.assign(reason="price")) == ReasonModels()
    assert fit(people.assign(reason=None)) == ReasonModels()
    assert fit(people.assign(exit_answer=[str(i) for i in range(600)])).text is None
    assert fit(people.drop(columns="exit_answer")).text is None


def test_reports_say_what_asking_for_a_chance_does_and_how_calibrated_chances_are(models):
    people = leavers(2500, seed=5, confused=0.4)
    for report in fit(people, minimum=0.45).reports:
        assert [row.minimum for row in report.sureness] == [0.4, 0.45, 0.5, 0.6, 0.7, 0.8]
        shares = [row.share for row in report.sureness]
        assert shares == sorted(shares, reverse=True)
        for row in report.sureness:
            assert row.claimed is None or row.claimed == pytest.approx(row.right, abs=0.05)
        assert {row["reason"] for row in report.calibration} == set(report.counts)
        held = [row["low"] <= row["predicted"] <= row["high"] for row in report.calibration]
        assert np.mean(held) > 0.7


def test_saved_models_tell_the_same(models, tmp_path):
    save_state(models.to_state(), tmp_path / "saved")
    again = ReasonModels.from_state(load_state(tmp_path / "saved"))
    people = leavers(200, seed=3).drop(columns="reason")
    pd.testing.assert_frame_equal(assign(again, people), assign(models, people))
    for one, other in zip(again.reports, models.reports, strict=True):
        assert one.to_state() == other.to_state()
    nothing = ReasonModels.from_state(json.loads(json.dumps(ReasonModels().to_state())))
    assert nothing == ReasonModels()


# ------------------------------------------------------------------------------------------------- in a decision model


@pytest.fixture(scope="module")
def answering(small_frame: pd.DataFrame) -> pd.DataFrame:
    """The small program's people, whose answers tell what was stated, or would have been."""
    rng = np.random.default_rng(0)
    reason = pd.Series(rng.choice(list(WORDS), len(small_frame)), index=small_frame.index, dtype="str")
    answers = reason.map(WORDS) + pd.Series(rng.choice(["", " sorry", " well"], len(reason)), index=reason.index)
    wrote = rng.random(len(reason)) < 0.8
    return small_frame.assign(
        reason=reason.where(rng.random(len(reason)) < 0.5), exit_answer=answers.where(wrote), told=reason
    )


@pytest.fixture(scope="module")
def answered_model(answering: pd.DataFrame, email_playbook: Playbook) -> DecisionModel:
    return DecisionModel(email_playbook, 0).fit(answering.drop(columns="told"))


def test_decisions_read_reasons_from_answers_and_show_none_of_their_words(answered_model, answering, tmp_path):
    people = answering.drop_duplicates("customer_id").head(400).reset_index(drop=True)
    people["exit_answer"] = people["exit_answer"] + f" ask {SECRET}"
    decisions = answered_model.decide(people, at=AT, campaign="spring")
    read = decisions["reason_source"] == "text"
    assert (read == (people["reason"].isna() & people["exit_answer"].notna())).all()
    assert (decisions.loc[read, "reason_for_churn"] == people.loc[read, "told"]).all()
    assert SECRET not in decisions.to_csv()
    assert "forgot" not in decisions.to_csv()
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}").create()
    ledger.add_customers(contract.check("customers", people).good)
    ledger.close()
    assert SECRET.encode() not in (tmp_path / "ledger.db").read_bytes()


def test_answers_are_no_feature_and_do_not_move_what_contact_is_expected_to_do(answered_model, answering):
    assert "exit_answer" not in answered_model.features.transform(answering, answering["decided_at"])
    one = answered_model.predict(answering.head(200), AT)
    other = answered_model.predict(answering.head(200).assign(exit_answer="anything else"), AT)
    pd.testing.assert_frame_equal(one.profit, other.profit)


def test_a_saved_model_reads_answers_as_before(answered_model, answering, tmp_path):
    answered_model.save(tmp_path / "model")
    people = answering.drop_duplicates("customer_id").head(300).reset_index(drop=True)
    again = DecisionModel.load(tmp_path / "model").decide(people, at=AT, campaign="spring")
    pd.testing.assert_frame_equal(again, answered_model.decide(people, at=AT, campaign="spring"))


def test_reasons_are_told_from_segments_too_at_each_persons_time(small_frame, email_playbook):
    features = playbook.Features(categorical=("rfm", "time_since_churn", "plan_tier"))
    model = DecisionModel(email_playbook.model_copy(update={"features": features}))
    model.features = FeatureBuilder.fit(small_frame, model.playbook)
    X = model.reason_features(small_frame, small_frame["decided_at"])
    model.reason_models = ReasonModels.fit(X, pd.Series(np.where(X["plan_tier"] == "free", "price", "fit_problem")))
    people = small_frame.head(200)
    then = people["decided_at"] - pd.to_timedelta(np.arange(200), unit="D")
    found = Wave(model, people, then).reasons
    assert set(found["source"]) == {"stated", "predicted"}
    for row in range(0, 200, 40):
        alone = Wave(model, people.iloc[[row]], then.iloc[row]).reasons
        pd.testing.assert_frame_equal(alone, found.iloc[[row]])


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"features": {"categorical": ("exit_answer",)}}, "features.categorical"),
        ({"features": {"protected": ("exit_answer",)}}, "features.protected"),
        ({"segments": {"activity": "exit_answer"}}, "segments"),
        (
            {"actions": {"a": {"archetype": "we_miss_you", "channel": "email", "only": {"exit_answer": ("no",)}}}},
            "actions.a.only",
        ),
    ],
)
def test_a_playbook_may_not_use_what_people_wrote(change, where):
    content = playbook.load("default").model_dump(exclude_defaults=True)
    content |= {"never": (), "sequence": ()} if "actions" in change else {}
    with pytest.raises(ValueError, match=rf"{where}: exit_answer may hold personal data"):
        Playbook.model_validate({**content, **change})
