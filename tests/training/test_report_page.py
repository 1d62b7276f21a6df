"""A report says what its figures say, carries everything inside, and trusts no text."""

from __future__ import annotations

import copy
import html
import json
import re
from dataclasses import replace

import mlflow
import numpy as np
import pytest

from propensity import registry
from propensity.assessment import assess_people
from propensity.contact_times import BestTime, ContactTimes
from propensity.dataset import OutcomeWords
from propensity.errors import JobError
from propensity.evaluation import Estimate
from propensity.frame import training_frame
from propensity.granting import Gate
from propensity.held_out import held_out_people
from propensity.model import DecisionModel
from propensity.pages.words import left_alone
from propensity.playbook import Playbook
from propensity.progress import Steps
from propensity.simulation import simulate
from propensity_training import pipeline
from propensity_training.report import document, model_report, render, words
from propensity_training.report.cautions import cautions
from propensity_training.report.contents import FeatureShare

EVIL = "<script>alert('x')</script> & \"quoted\""


def texts(markup: str) -> str:
    """What a reader sees, in one line."""
    without_style = re.sub(r"<style>.*?</style>", " ", markup, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", without_style)).split())


def kinds(report) -> set[str]:
    return {c.kind for c in cautions(report)}


def estimate(value: float, error: float) -> Estimate:
    return Estimate(value, error, value - 1.96 * error, value + 1.96 * error, 1_000, 0.95)


def valued(report, key: str = "model", **figures: Estimate):
    """The same report with other figures of one policy."""
    policies = tuple(replace(p, **figures) if p.key == key else p for p in report.assessment.policies)
    return replace(report, assessment=replace(report.assessment, policies=policies))


def sloped(report, **slopes: Estimate):
    return replace(report, assessment=replace(report.assessment, slopes=slopes))


@pytest.fixture(scope="module")
def report(trained):
    return trained.report


@pytest.fixture(scope="module")
def small_people(trained):
    return held_out_people(trained.model, trained.split.held_out)


@pytest.fixture
def moded(trained, small_dataset, small_people):
    """The report of the same model in a mode, which held-out people granted or not."""

    def make(mode, granted=None):
        model = copy.copy(trained.model)
        model.mode = mode
        assessment = assess_people(model, small_people, mode=mode)
        gate = Gate(mode, granted or mode, "They said so.")
        return model_report(model, small_dataset, small_people, replace(assessment, gate=gate), title="m", split="some")

    return make


@pytest.mark.parametrize("mode", ["nobody", "one_action", "per_person"])
def test_every_sentence_and_caution_is_on_the_page_and_in_the_json(moded, mode):
    found = moded(mode)
    content = document(found)
    shown = texts(render(found))
    sentences = [content["headline"], *content["lead"], *(c["sentence"] for c in content["cautions"])]
    sentences += [words.segments(found), words.cost(found), words.overlap(found), words.sample_ratio(found)]
    assert all(" ".join(sentence.split()) in shown for sentence in sentences)


def test_the_page_shows_the_jsons_figures(trained):
    figures = json.loads(json.dumps(document(trained.report)))["figures"]
    shown = texts(trained.page)
    for arm in figures["arms"]:
        name = "no contact" if arm["action"] == "control" else arm["action"].replace("_", " ")
        share = arm["reactivated_share"]
        assert (
            f"{name} {arm['n_training']:,} {arm['n']:,} {100 * arm['share']:.1f} % {100 * arm['logged_share']:.1f} % "
            f"{arm['effective_n']:,.0f} {arm['reactivated']:,} {100 * share['value']:.2f} % {100 * share['low']:.2f} % "
            f"to {100 * share['high']:.2f} %"
        ) in shown
    for policy in figures["assessment"]["policies"]:
        extra = policy["reactivations"]
        if policy["key"] != "nobody":
            assert f"{extra['value']:+,.1f} {extra['low']:+,.1f} to {extra['high']:+,.1f}" in shown
    for row in figures["segments"]["rows"]:
        assert f"{row['level']} {row['n']:,}" in shown
    for row in figures["assessment"]["effect_calibration"]:
        assert f"{row['group']} {row['n']:,}" in shown
    for part in figures["plan"]["by_action"]:
        assert f"{part['name'].replace('_', ' ')} {part['n']:,} {words.percent(part['share'])}" in shown


def test_a_page_needs_nothing_from_outside(trained):
    assert trained.page.count("<svg") >= 7
    outside = r"(?:src|href(?!=.data:,)|action|srcset|data)\s*=|url\(|@import|<script|<link(?! rel=.icon)"
    outside += "|<iframe|<object|<embed|<img|<image"
    assert not re.findall(outside, trained.page)
    assert set(re.findall(r"https?://[^\"' <]+", trained.page)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }


def test_no_text_becomes_markup(report):
    arms = tuple(replace(arm, action=EVIL) for arm in report.arms)
    effects = tuple(replace(e, action=EVIL) for e in report.learnt.effects)
    plan = replace(report.plan, by_action=(replace(report.plan.by_action[0], name=EVIL),), left_alone_because={EVIL: 1})
    segments = replace(report.segments, n_found=1, rows=[{**report.segments.rows[0], "segment": EVIL, "level": EVIL}])
    gate = replace(report.assessment.gate, why=EVIL)
    policies = tuple(
        replace(p, key=EVIL if p.key == "rules" else p.key, title=EVIL) for p in report.assessment.policies
    )
    evil = replace(
        report,
        **dict.fromkeys(("title", "data", "origin", "playbook", "many", "split"), EVIL),
        arms=arms,
        learnt=replace(report.learnt, effects=effects, weights={"reactivation": {EVIL: 1.0}}, best_action=EVIL),
        plan=plan,
        segments=segments,
        assessment=replace(report.assessment, gate=gate, policies=policies),
        importance=(FeatureShare(EVIL, 1.0),),
    )
    markup = render(evil)
    assert "<script" not in markup
    assert html.unescape(markup).count(EVIL) > 20


# -------------------------------------------------------------------------------------------------------- sentences
def test_headlines_say_what_the_model_does(moded, report):
    assert words.headline(moded("nobody")) == "Contact nobody: contact is not shown to pay for itself."
    # people who would grant more do not let it be said that contact does not pay
    assert words.headline(moded("nobody", "one_action")) == "This model contacts none of these people."
    same = moded("one_action")
    best = same.learnt.best_action
    assert words.headline(same).startswith(f"Send {best.replace('_', ' ')} to everybody who may get it")
    only_best = replace(same.plan, by_action=tuple(p for p in same.plan.by_action if p.name == best))
    assert words.headline(replace(same, plan=only_best)).endswith("to everybody who may get it.")
    others = replace(same.plan, by_action=(replace(same.plan.by_action[0], name="something_else"),))
    assert "none of these people may get" in words.headline(replace(same, plan=others))
    personal = moded("per_person")
    share = f"{100 * personal.plan.contacted / personal.held_out.n_decisions:.1f} %"
    assert words.headline(personal).startswith(f"Choose for each person: {share} are contacted, with ")
    broken = replace(report, sample_ratio=report.sample_ratio._replace(healthy=False, p_value=0.0))
    assert words.headline(broken).startswith("Do not rely on this report")
    assert "sample_ratio" in kinds(broken)


@pytest.mark.parametrize(
    ("net", "told"),
    [(estimate(50, 10), False), (estimate(50, 40), True), (estimate(-50, 10), False), (estimate(0.5, 10), True)],
)
def test_no_value_is_claimed_that_its_interval_does_not_show(moded, net, told):
    found = valued(moded("one_action"), net_value=net)
    (sentence,) = [s for s in words.lead(found) if s.startswith("For each 1,000 people")]
    assert ("does not tell it from nothing" in sentence) == told
    assert ("wide_interval" in kinds(found)) == told
    assert f"{net.value:+,.2f} (95 % sure: {net.low:+,.2f} to {net.high:+,.2f})" in sentence or net.high >= 100


def test_a_model_that_contacts_nobody_claims_nothing_for_itself(moded):
    found = moded("nobody")
    said = " ".join(words.lead(found))
    assert "it would contact none" in said
    assert "against contacting nobody, that brings" not in said
    assert "Against " not in said
    assert {"wide_interval", "few_followed"}.isdisjoint(kinds(found))
    for value, told in ((estimate(50, 10), True), (estimate(50, 40), False)):
        said = words.lead(valued(found, "one_action", expected_value=value))[1]
        assert "would have brought" in said
        assert ("cannot be told from nothing" in said) != told


@pytest.mark.parametrize(
    ("gain", "said"),
    [
        (estimate(30, 5), "more, beyond chance"),
        (estimate(-30, 5), "less, beyond chance"),
        (estimate(3, 5), "a difference that cannot be told from chance"),
    ],
)
def test_rivals_are_compared_by_their_paired_interval(moded, gain, said):
    found = moded("per_person")
    rival = found.assessment.policy("one_action")
    found = valued(found, "one_action", model_minus_this={**rival.model_minus_this, "expected_value": gain})
    title = rival.title.replace("_", " ")
    (sentence,) = [s for s in words.lead(found) if s.startswith(f"Against {title}")]
    assert sentence.endswith(f"{said}.")


def test_equal_decisions_are_no_rival(moded):
    said = words.lead(moded("per_person"))
    assert not [s for s in said if s.startswith("Against each person's best")]


def test_people_who_would_grant_another_mode_are_named(moded):
    found = moded("one_action", "nobody")
    assert "Its policy is one action for all; these people would grant no contact." in words.lead(found)
    assert "demoted" in kinds(found)
    assert not [s for s in words.lead(moded("one_action")) if "would grant" in s]


@pytest.mark.parametrize(
    ("slope", "said", "warned"),
    [
        (estimate(1.0, 0.2), "within chance", False),
        (estimate(0.5, 0.1), "claims too much", True),
        (estimate(2.0, 0.1), "claims too little", True),
        (estimate(0.3, 0.5), "cannot be told", False),
        (estimate(0.0, 0.2), "claims too much", True),
        (estimate(-1.0, 0.1), "wrong way round", True),
        (None, "do not vary", False),
    ],
)
def test_calibration_in_words(report, slope, said, warned):
    found = sloped(report, **({} if slope is None else {"effect": slope}))
    assert said in words.calibration(found, "effect", "effects of contact")
    assert ("effect_slope" in kinds(found)) == warned


@pytest.mark.parametrize(
    ("autoc", "said"),
    [
        (estimate(0.02, 0.005), "gain more from contact than others do, beyond chance"),
        (estimate(-0.02, 0.005), "its order is wrong"),
        (estimate(0.002, 0.005), "cannot be told"),
    ],
)
def test_ranking_in_words(report, autoc, said):
    found = replace(report, assessment=replace(report.assessment, autoc=autoc))
    assert said in words.ranking(found)
    constant = replace(found, curves=replace(found.curves, ranked=False, toc=[]))
    assert "the same effect of contact for everybody" in words.ranking(constant)
    assert "constant_effect" in kinds(constant)
    assert "Qini curve)" not in render(constant)


@pytest.mark.parametrize(("n_found", "said"), [(0, "none differs"), (1, "one differs"), (3, "3 differ")])
def test_segments_say_how_many_were_tested(report, n_found, said):
    found = replace(report, segments=replace(report.segments, n_found=n_found))
    assert f"{report.segments.n_tested:,} segments of {report.segments.n_features} features" in words.segments(found)
    assert said in words.segments(found)
    assert "No segment holds enough" in words.segments(replace(report, segments=replace(report.segments, n_tested=0)))


def test_small_arms_and_small_chances_are_warned_of(report):
    arms = (*report.arms[:-1], replace(report.arms[-1], n=40, reactivated=3))
    assert "small_arms" in kinds(replace(report, arms=arms))
    few = (*report.arms[:-1], replace(report.arms[-1], n=400, reactivated=3))
    assert {"few_returns"} <= kinds(replace(report, arms=few))
    rare = replace(report, overlap=replace(report.overlap, smallest=0.004, n_below_1_percent=7))
    (caution,) = [c for c in cautions(rare) if c.kind == "small_probability"]
    assert "0.40 %" in caution.sentence
    assert "7 people" in caution.sentence
    plan = replace(report.plan, left_alone_because={"no_chance_logged": 12})
    assert {"unknown_actions", "no_chance"} <= kinds(replace(report, n_unknown=3, plan=plan))


@pytest.mark.parametrize("reason", ["no_consent_email", "cooling_off", "some_new_rule", "no_action_pays"])
def test_reasons_to_leave_alone_are_words(reason):
    assert "_" not in left_alone(reason)


# ------------------------------------------------------------------------------------------- other models and data
@pytest.fixture(scope="module")
def one_arm_direct(email_playbook, small_dataset):
    """Few people, one action, and revenue learnt directly; no effect at all."""
    content = email_playbook.model_dump()
    content["value"]["revenue_effect"] = "direct"
    content["actions"] = {"miss_you_email_percent_off": content["actions"]["miss_you_email_percent_off"]}
    book = Playbook.model_validate(content)
    program = simulate(2_400, seed=5, playbook=book, effect_scale=0)
    frame = training_frame(
        program.customers, program.contacts, program.outcomes, window_days=book.program.attribution_window_days
    )
    half = np.arange(len(frame)) % 2 == 0
    model = DecisionModel(book, 0).fit(frame[half].reset_index(drop=True))
    people = held_out_people(model, frame[~half].reset_index(drop=True))
    dataset = replace(small_dataset, playbook=book, words=OutcomeWords(reactivated_plural="orders"))
    assessment = assess_people(model, people)
    model.restrict(assessment.gate.granted)
    return model_report(model, dataset, people, assessment, title="few", split="half of few people")


def test_one_arm_few_people_and_direct_revenue_have_a_page_too(one_arm_direct):
    report = one_arm_direct
    assert [arm.action for arm in report.arms] == ["control", "miss_you_email_percent_off"]
    assert set(report.learnt.weights) == {"reactivation", "revenue"}
    assert report.mode == "nobody"
    shown = texts(render(report))
    assert "Contact nobody: contact is not shown to pay for itself." in shown
    assert "orders" in shown
    assert "reactivations" not in shown
    # measured and expected value are the same thing then, and are not told twice
    assert "By the playbook's rule" not in " ".join(words.lead(report))
    json.dumps(document(report), allow_nan=False)


def test_without_training_people_the_page_leaves_them_out(moded):
    shown = texts(render(moded("one_action")))
    assert "Side Decisions People First decision Last decision held out" in shown
    assert "Arm Held out Share" in shown


@pytest.mark.real_data
def test_the_report_of_a_real_experiment(hillstrom, hillstrom_frame):
    part = hillstrom_frame.sample(8_000, random_state=0).reset_index(drop=True)
    training, held_out = part.iloc[:4_000], part.iloc[4_000:].reset_index(drop=True)
    model = DecisionModel(hillstrom.playbook, 0).fit(training)
    people = held_out_people(model, held_out)
    assessment = assess_people(model, people)
    model.restrict(assessment.gate.granted)
    report = model_report(model, hillstrom, people, assessment, title="h", split="half", training=training)
    shown = texts(render(report))
    assert "Hillstrom e-mail experiment" in shown
    assert "visits" in shown
    assert report.overlap.smallest == pytest.approx(1 / 3)
    assert sum(arm.n for arm in report.arms) == 4_000
    visits = held_out.groupby("action")["reactivated"].sum()
    assert {arm.action: arm.reactivated for arm in report.arms} == visits.to_dict()


# --------------------------------------------------------------------------------------------------------- registry
def test_the_page_lies_beside_the_model(mlflow_of_trained):
    run = mlflow_of_trained.registered.run_id
    page = mlflow.artifacts.load_text(f"runs:/{run}/report.html")
    assert page == mlflow_of_trained.page == render(mlflow_of_trained.report)


def test_a_report_that_fails_registers_nothing(empty_mlflow, small_dataset, small_model, monkeypatch):
    def fail(_):
        raise JobError("no page today")

    monkeypatch.setattr(DecisionModel, "fit", lambda self, frame: copy.copy(small_model))
    monkeypatch.setattr(pipeline, "render", fail)
    with pytest.raises(JobError, match="no page today"), Steps(pipeline.STEPS) as steps:
        pipeline.train(small_dataset, held_out_share=0.5, seed=0, alias="challenger", steps=steps)
    assert registry.versions() == []


# ------------------------------------------------------------------------------------------------- times of contact
def test_it_says_what_was_found_of_times_and_that_it_was_only_observed(report):
    assert "Times of contact were not compared" in texts(render(report))  # the program is sent on one day
    none = replace(report, contact_times=ContactTimes({}, 55, 9_000))
    assert "none was shown to be better. Contact goes out as soon as it may." in texts(render(none))
    best = BestTime(1, (8, 12), 1_234, 26, 0.314, 0.0512, 0.06, 0.01)
    found = replace(report, contact_times=ContactTimes({"in_app": best}, 55, 9_000))
    shown = texts(render(found))
    assert (
        "In app: people who were sent a message on Tuesdays between 8:00 and 12:00, by their own clocks, answered more "
        "(31.4 % of 1,234 opened or clicked within 48 hours, about 5.1 points more" in shown
    )
    assert "a difference which was observed, and no effect" in shown
    assert document(found)["figures"]["contact_times"]["best"]["in_app"]["hours"] == [8, 12]
