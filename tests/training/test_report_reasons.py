"""The report says how well reasons for churn are told, and what decisions make of that."""

from __future__ import annotations

import copy
import html
import json
import re
from dataclasses import replace

import numpy as np
import pytest

from propensity.evaluation import Estimate
from propensity.held_out import held_out_people
from propensity.reasons import Learnt, ReasonModels
from propensity_training.report import document, model_report, render


def seen(page: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


@pytest.fixture(scope="module")
def people(trained):
    return held_out_people(trained.model, trained.split.held_out)


@pytest.fixture
def report_of(trained, small_dataset, people):
    def make(reason_models: ReasonModels):
        model = copy.copy(trained.model)
        model.reason_models = reason_models
        return model_report(model, small_dataset, people, trained.assessment, title="m", split="some")

    return make


def test_sources_are_those_of_the_decisions(trained, people):
    found = trained.report.reasons.sources
    at = people.frame["decided_at"].iloc[0]
    customers = people.frame.drop_duplicates("customer_id")
    decided = trained.model.decide(customers, at=at)["reason_source"].value_counts()
    assert sum(found.values()) == len(people.frame)
    assert {k: v for k, v in found.items() if v} == decided.to_dict()
    assert found["stated"] == people.frame["reason"].notna().sum()


def test_reports_are_those_that_training_kept_and_count_its_people(trained):
    (report,) = trained.report.reasons.reports
    training = trained.split.training.drop_duplicates("customer_id")
    stated = training["reason"].value_counts().to_dict()
    assert report.counts | report.left_out == stated
    assert trained.report.metrics()["reason_by_features.gain"] == report.gain.value


def test_every_figure_is_on_the_page_and_in_the_json(trained):
    page, told = seen(trained.page), json.loads(json.dumps(document(trained.report), allow_nan=False))
    (report,) = trained.report.reasons.reports
    assert report.sentence in page
    assert report.consequence in page
    for estimate in (report.auc, report.log_loss, report.gain, *report.auc_by_reason.values()):
        assert f"{estimate.low:.3f} to" in page or f"{estimate.low:+.3f} to" in page
    (figures,) = told["figures"]["reasons"]["reports"]
    assert figures["counts"] == report.counts
    assert figures["gain"]["low"] == report.gain.low
    assert [row["minimum"] for row in figures["sureness"]] == [row.minimum for row in report.sureness]


def test_a_model_that_says_no_more_than_the_shares_is_said_not_to_be_used(report_of, trained):
    report = trained.model.reason_models.features.report
    nothing = replace(report, gain=Estimate(0.001, 0.01, -0.0186, 0.0206, report.n, 0.95))
    made = report_of(ReasonModels(features=Learnt(None, nothing)))
    page = seen(render(made))
    assert "The features say next to nothing about why people left" in page
    assert "So decisions do not use it." in page
    assert made.reasons.sources["predicted"] == 0
    assert np.isclose(made.reasons.sources["fallback"] + made.reasons.sources["stated"], made.held_out.n_decisions)


def test_without_reasons_to_learn_from_there_is_no_section(report_of):
    made = report_of(ReasonModels())
    assert made.reasons is None
    assert "Why people left" not in seen(render(made))
    assert json.loads(json.dumps(document(made)))["figures"]["reasons"] is None
