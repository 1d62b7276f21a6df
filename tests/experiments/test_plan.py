"""A plan's experiment finds what it says, by the summary's own test; what cannot be planned is one sentence."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from propensity.errors import InputError
from propensity.inference import lift
from propensity_experiments.plan import Question, plan, sentences

QUESTION = Question(base=0.05, effect=0.02, people_a_day=100.0, window_days=30.0)


def test_the_planned_experiment_finds_the_effect_as_often_as_it_says():
    option = plan(QUESTION, holdout=0.2).advised
    assert option.held_out / option.people == pytest.approx(0.2, abs=0.001)
    rng, found, runs = np.random.default_rng(0), 0, 400
    chances = pd.DataFrame({"control": np.full(option.people, 0.2), "email": 0.8})
    action = np.where(np.arange(option.people) < option.held_out, "control", "email")
    for _ in range(runs):
        y = rng.random(option.people) < np.where(action == "email", 0.07, 0.05)
        found += lift(y, action, chances)[0].p_value < 0.05
    assert found / runs == pytest.approx(0.8, abs=3 * np.sqrt(0.8 * 0.2 / runs))


def test_days_are_those_of_contact_and_then_the_window():
    made = plan(QUESTION)
    for option in made.options:
        assert option.contact_days == -(-option.people // 100)
        assert option.days == option.contact_days + 30
        assert option.forgone == pytest.approx(0.02 * option.held_out)
    assert made.advised.people == min(x.people for x in made.options)


def test_with_few_days_the_smallest_holdout_that_fits_is_advised():
    quick, slow = plan(QUESTION, days=200), plan(QUESTION, days=2_000)
    assert slow.advised.holdout_share == 0.05
    assert quick.advised.holdout_share > 0.05
    assert all(x.days > 200 for x in quick.options if x.holdout_share < quick.advised.holdout_share)
    none = plan(QUESTION, days=40)
    assert none.advised is None
    assert sentences(none, word="visit", words="visits")[0].startswith("40 days are too few to find +20.0 visits")


def test_more_days_find_smaller_effects_down_to_the_wanted_one():
    made = plan(QUESTION, holdout=0.5)
    effects = [p.effect for p in made.curve if p.effect is not None]
    assert effects == sorted(effects, reverse=True)
    at = next(p for p in made.curve if p.contact_days == made.advised.contact_days)
    assert at.effect == pytest.approx(0.02, rel=0.02)


def test_several_arms_need_more_people_and_a_larger_share_of_them_held_out_than_each_gets():
    one, three = plan(QUESTION).advised, plan(Question(0.05, 0.02, 100.0, 30.0, arms=3)).advised
    assert three.people > 1.5 * one.people
    assert three.holdout_share > (1 - three.holdout_share) / 3


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--base", 0.05, "--people-a-day", 0), "people a day: expected a number above 0, found 0"),
        (("--base", 1.5, "--people-a-day", 10), "expected shares of people between 0 and 1, found 1.5"),
        (("--base", 0.05), "say --base and --people-a-day, or name an experiment of the ledger with --like"),
        (("--base", 0.05, "--people-a-day", 10, "--holdout", 1), "holdout: expected a share of people between 0 and 1"),
        (("--base", 0.05, "--people-a-day", 10, "--arms", 0), "arms: expected a number from 1 to 50, found 0"),
        (
            ("--base", 0.05, "--people-a-day", 10, "--days", 60),
            "days: expected more than the 90 days of the attrib",
        ),
        (("--like", "x", "--ledger", "sqlite:///gone.db"), "ledger sqlite:///gone.db: does not exist"),
    ],
)
def test_what_cannot_be_planned_is_one_sentence(propensity, options, said):
    code, _, error = propensity("experiment", "plan", "--effect", 0.01, *options)
    assert code == 2
    assert said in error
    assert len(error.splitlines()) == 1


def test_the_command_plans_like_an_earlier_experiment_and_writes_what_it_says(propensity, experiment, tmp_path):
    page, file = tmp_path / "plan.html", tmp_path / "plan.json"
    options = ("--effect", 0.02, "--like", "spring", "--ledger", experiment.engine.url, "--html", page, "--json", file)
    code, said, error = propensity("experiment", "plan", *options)
    assert (code, error) == (0, "")
    content = json.loads(file.read_text())
    # 20 of 400 came back without contact, 1,200 people a day, 14 days
    question = content["question"]
    assert (question["base"], question["people_a_day"], question["window_days"]) == (0.05, 1_200.0, 14.0)
    for sentence in content["sentences"]:
        assert sentence in said
        assert sentence in page.read_text()
    assert "+20.0 visits for each 1,000 people (5.00 % to 7.00 %)" in said
    assert f"{content['advised']['people']:,}" in said


def test_without_anybody_held_out_the_base_is_not_known(ledger, record_experiment, propensity):
    record_experiment(ledger, arms={"mens_email": (50, 5, 1)})
    code, _, error = propensity(
        "experiment", "plan", "--effect", 0.01, "--like", "spring", "--ledger", ledger.engine.url
    )
    assert (code, "say it with --base" in error) == (2, True)
    with pytest.raises(InputError, match="effect: expected the smallest increase"):
        Question(0.05, 0.0, 10.0, 30.0)
