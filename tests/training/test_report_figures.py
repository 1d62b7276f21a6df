"""The figures of a report are those of the held-out people, worked out here the long way."""

from __future__ import annotations

import copy
import json

import numpy as np
import pandas as pd
import pytest
from mlflow.tracking import MlflowClient
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from propensity import registry
from propensity.assessment import assess_people
from propensity.contract import CONTROL
from propensity.evaluation import policy_value
from propensity.held_out import held_out_people
from propensity.model import MODES
from propensity.policy import contact_costs
from propensity_training.report import document, model_report


@pytest.fixture(scope="module")
def people(trained):
    return held_out_people(trained.model, trained.split.held_out)


@pytest.fixture(scope="module")
def report(trained):
    return trained.report


@pytest.fixture
def report_in_mode(trained, small_dataset, people):
    """The report of the same model under another mode."""

    def make(mode):
        model = copy.copy(trained.model)
        model.mode = mode
        assessment = assess_people(model, people, mode=mode)
        return model_report(model, small_dataset, people, assessment, title="m", split="some")

    return make


def test_both_sides_are_counted(report, trained):
    for side, frame in ((report.training, trained.split.training), (report.held_out, trained.split.held_out)):
        days = sorted({f"{day:%Y-%m-%d}" for day in frame["decided_at"]})
        assert (side.n_decisions, side.n_people) == (len(frame), len(set(frame["customer_id"])))
        assert (side.first_day, side.last_day) == (days[0], days[-1])


def test_arms_by_plain_counting(report, trained, people):
    rows = trained.split.held_out.to_dict("records")
    assert {a.action for a in report.arms} == {row["action"] for row in rows}
    for arm in report.arms:
        mine = [row for row in rows if row["action"] == arm.action]
        back = sum(row["reactivated"] for row in mine)
        weights = [1 / row["probability"] for row in mine]
        assert (arm.n, arm.reactivated, arm.share) == (len(mine), back, len(mine) / len(rows))
        assert arm.n_training == sum(trained.split.training["action"] == arm.action)
        assert arm.logged_share == pytest.approx(people.propensity[arm.action].sum() / len(rows))
        assert arm.effective_n == pytest.approx(sum(weights) ** 2 / sum(w**2 for w in weights))
        assert arm.reactivated_share[1:] == pytest.approx(proportion_confint(back, len(mine), method="wilson"))
        assert arm.revenue == pytest.approx(sum(row["revenue"] for row in mine) / len(mine))


@pytest.mark.parametrize("mode", MODES)
def test_the_plan_is_what_was_assessed(report_in_mode, people, trained, mode):
    report = report_in_mode(mode)
    plan, actions = report.plan, report.assessment.actions
    assert {p.name: p.n for p in plan.by_action} == {a: n for a, n in actions.items() if a != CONTROL}
    assert plan.left_alone == actions.get(CONTROL, 0) == sum(plan.left_alone_because.values())
    assert plan.contacted + plan.left_alone == len(people.frame)
    for kind in ("archetype", "channel", "offer"):
        parts = getattr(plan, f"by_{kind}")
        assert sum(p.n for p in parts) == plan.contacted
        for part in parts:
            which = [
                a for a in actions if a != CONTROL and getattr(trained.model.playbook.actions[a], kind) == part.name
            ]
            assert part.n == sum(actions[a] for a in which)
    if mode == "nobody":
        assert plan.contacted == 0
        assert "no_effect_found" in plan.left_alone_because


def test_overlap_by_plain_loops(report_in_mode, people, trained):
    found = report_in_mode("one_action").overlap
    served = [people.propensity.loc[i, a] for i, a in people.frame["action"].items()]
    positive = [p for row in people.propensity.to_numpy() for p in row if p > 0]
    assert (found.smallest, found.served_quantiles["0"], found.served_quantiles["1"]) == pytest.approx(
        (min(positive), min(served), max(served))
    )
    assert found.served_quantiles["0.5"] == pytest.approx(np.median(served))
    chosen = trained.model.choose(people.frame, people.frame["decided_at"], mode="one_action")
    follows = [p for p, a, c in zip(served, people.frame["action"], chosen, strict=True) if a == c]
    assert found.n_followed == len(follows)
    assert found.followed_effective_n == pytest.approx(
        sum(1 / p for p in follows) ** 2 / sum(1 / p**2 for p in follows)
    )
    assert found.impossible_share == pytest.approx((people.propensity.to_numpy() == 0).mean())


def test_measured_effects_are_those_of_giving_the_action_to_whoever_could_get_it(report, people, trained):
    evidence, averages = trained.model.evidence_, trained.model.reactivation.averages_
    values = [e.net_value_trained_shrunk for e in report.learnt.effects]
    assert values == sorted(values, reverse=True)
    for effect in report.learnt.effects:
        could = (people.propensity[effect.action] > 0) & (people.propensity[CONTROL] > 0)
        scores, n = people.scores["reactivations"][could], int(could.sum())
        expected = policy_value(scores, np.full(n, effect.action), np.full(n, CONTROL)).times(1000)
        assert (effect.held_out.value, effect.held_out.n) == (pytest.approx(expected.value), n)
        assert effect.held_out.standard_error >= expected.standard_error * (1 - 1e-9)
        place = trained.model.actions.index(effect.action) - 1
        assert effect.trained.value == pytest.approx(1000 * averages.measured[place])
        assert effect.trained.high - effect.trained.low == pytest.approx(
            2 * 1.96e3 * averages.standard_error[place], 1e-4
        )
        assert effect.net_value_trained_shrunk == pytest.approx(1000 * evidence.shrunk_net_value[effect.action])


def test_curves_by_plain_sorting(report, people):
    order = np.argsort(-people.predicted_gain, kind="stable")
    # people of equal rank are drawn at random: each has the mean of them all
    gain = pd.Series(people.observed_gain).groupby(people.predicted_gain).transform("mean").to_numpy()[order]
    for row in report.assessment.curves.qini[1:]:
        exact = row["share"] * len(gain)
        k = int(exact)
        treated = gain[:k].sum() + (exact - k) * (gain[k] if k < len(gain) else 0)
        assert row["gain"] == pytest.approx(1000 * treated / len(gain))
        assert row["random"] == pytest.approx(1000 * row["share"] * gain.mean())
    fifth = next(row for row in report.curves.toc if row["share"] == pytest.approx(0.2))
    assert fifth["toc"] == pytest.approx(1000 * (gain[: len(gain) // 5].mean() - gain.mean()), rel=0.05)
    assert report.curves.toc[-1]["toc"] == pytest.approx(0, abs=1e-9)
    shares = [row["share"] for row in report.assessment.curves.qini]
    area = np.trapezoid([row["gain"] - row["random"] for row in report.assessment.curves.qini], shares)
    # 50 straight pieces in place of one a person
    assert area == pytest.approx(1000 * report.assessment.qini.value, rel=0.02)


def test_the_cost_curve_ends_where_everybody_has_what_is_worth_most_before_its_cost(report, people, trained):
    model = trained.model
    price = pd.Series(contact_costs(model.playbook, model.actions), index=model.actions)
    assert (price.drop(CONTROL) > 0).all()
    gross = (people.predictions.net_value + price.drop(CONTROL)).where(people.allowed, -np.inf)
    best = [row.idxmax() if row.max() > 0 else CONTROL for _, row in gross.iterrows()]
    scores = people.scores["expected_value"] + price
    end = report.curves.cost[-1]
    assert end["value"] == pytest.approx(policy_value(scores, best, np.full(len(best), CONTROL)).value * 1000)
    assert end["spend"] == pytest.approx(end["budget"]) == pytest.approx(price[best].mean() * 1000)
    assert end["random"] == pytest.approx(end["value"])


def test_segments_are_corrected_for_all_that_were_tested(report, people, trained):
    found = report.segments
    X = trained.model.features.transform(people.frame, people.frame["decided_at"])[people.reachable]
    assert found.n_features == X.shape[1]
    assert found.n_tested == len(found.rows) > 20
    holm = multipletests([row["p_value"] for row in found.rows], method="holm")[1]
    assert [row["p_adjusted"] for row in found.rows] == pytest.approx(list(holm))
    assert found.n_found == int((holm < 0.05).sum())
    row = next(row for row in found.rows if row["segment"] == "plan_tier")
    members = (X["plan_tier"] == row["level"]).to_numpy()
    assert (row["n"], row["effect"]) == (members.sum(), pytest.approx(1000 * people.observed_gain[members].mean()))


def test_what_the_program_has_segments_for_is_cut_by_them(report, people, trained):
    frame = people.frame
    cut = {row["segment"] for row in report.segments.rows}
    assert {"reason_for_churn", "time_since_churn", "value_tier", "engagement", "tenure", "plan_tier"} <= cut
    assert not {"reason", "days_since_churn", "annual_value", "tenure_months", "logins_last_year"} & cut
    named = trained.model.segments.transform(frame, frame["decided_at"])[people.reachable]
    for row in report.segments.rows:
        if row["segment"] in named:
            assert row["n"] == (named[row["segment"]] == row["level"]).sum() > 0


def test_rows_in_another_order_make_the_same_report(trained, small_dataset, report):
    shuffled = trained.split.held_out.sample(frac=1, random_state=1).reset_index(drop=True)
    again = held_out_people(trained.model, shuffled)
    found = model_report(
        trained.model,
        small_dataset,
        again,
        assess_people(trained.model, again),
        title=report.title,
        split=report.split,
        training=trained.split.training,
        importance=trained.model.importance(),
    )
    one, other = (_rounded(r.to_json()) for r in (report, found))
    for content in (one, other):
        # two levels of one feature have the same p-value, and no order
        content["segments"]["rows"].sort(key=lambda row: (row["segment"], row["level"]))
    assert one == other


def _rounded(value):
    if isinstance(value, float):
        return float(f"{value:.6g}") if abs(value) > 1e-6 else 0.0
    if isinstance(value, dict):
        return {k: _rounded(v) for k, v in value.items()}
    return [_rounded(v) for v in value] if isinstance(value, list) else value


def test_actions_that_the_model_does_not_know_are_left_out_and_counted(trained, small_dataset, report):
    frame = trained.split.held_out.copy()
    n = len(frame)
    extra = frame.head(30).assign(action="better_in_app_trial", probability=frame["probability"].min())
    # the new arm takes its chance from all others, as if a tenth of everybody had been in it
    logged = [c for c in frame if c.startswith("probability_")]
    both = pd.concat([frame, extra], ignore_index=True)
    both[logged] *= 0.9
    both["probability_better_in_app_trial"] = 0.1
    people = held_out_people(trained.model, both)
    found = model_report(
        trained.model, small_dataset, people, assess_people(trained.model, people), title="m", split="s"
    )
    assert (found.n_unknown, found.held_out.n_decisions) == (30, n)
    for arm, as_before in zip(found.arms, report.arms, strict=True):
        assert (arm.action, arm.n, arm.reactivated) == (as_before.action, as_before.n, as_before.reactivated)
        assert arm.logged_share == pytest.approx(as_before.logged_share)
        assert arm.effective_n == pytest.approx(as_before.effective_n)


def test_importance_is_that_of_all_actions_together(trained, small_dataset, people):
    table = pd.DataFrame(
        {
            "feature": ["a", "b", "c", "a"],
            "action": ["overall", "overall", "overall", "miss_you_email_percent_off"],
            "share": [0.2, 0.8, 0.0, 1.0],
        }
    )

    def made(importance):
        return model_report(
            trained.model, small_dataset, people, trained.assessment, title="m", split="s", importance=importance
        ).importance

    assert [(f.feature, f.share) for f in made(table)] == [("b", 0.8), ("a", 0.2)]
    assert made(table.iloc[:0]) == made(None) == ()


def test_mlflow_keeps_the_same_figures(mlflow_of_trained):
    found = mlflow_of_trained
    assert registry.artifact(found.registered, "report.json") == json.loads(json.dumps(document(found.report)))
    client = MlflowClient(found.registered.tracking_uri)
    metrics = client.get_run(found.registered.run_id).data.metrics
    figures = found.report.metrics()
    assert {name: metrics[name] for name in figures} == figures
    assert figures["sample_ratio_p"] == found.report.sample_ratio.p_value
    assert all(np.isfinite(list(figures.values())))


def test_report_json_is_strict(report):
    # a figure that is no number raises here
    text = json.dumps(document(report), allow_nan=False)
    assert json.loads(text)["figures"]["title"] == report.title


def test_people_without_any_logged_chance_are_left_alone_for_that(trained, small_dataset):
    frame = trained.split.held_out.copy()
    may = trained.model.eligible(frame, frame["decided_at"]).allowed.any(axis=1)
    without = frame.index[(frame["action"] == CONTROL) & may][:10]
    frame.loc[without, [c for c in frame if c.startswith("probability_")]] = 0.0
    frame.loc[without, ["probability", "probability_control"]] = 1.0
    people = held_out_people(trained.model, frame)
    assessment = assess_people(trained.model, people, mode=trained.model.mode)
    plan = model_report(trained.model, small_dataset, people, assessment, title="m", split="s").plan
    assert plan.left_alone_because["no_chance_logged"] == len(without) == 10
    assert plan.left_alone == assessment.actions[CONTROL] >= 10
