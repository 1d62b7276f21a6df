"""The pages say what the summary says, carry everything inside, and trust no text."""

from __future__ import annotations

import html
import re
from dataclasses import replace

import pandas as pd
import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from propensity.ledger import schema
from propensity_experiments import page
from propensity_experiments.listing import listed
from propensity_experiments.summary import summarise
from propensity_experiments.verdict import verdict
from propensity_experiments.web import pages

LATER = pd.Timestamp("2026-06-01T00:00:00Z")
DAY = pd.Timedelta(days=1)
EVIL = "<script>alert('x')</script> & \"quoted\""


def texts(markup: str) -> str:
    """What a reader sees, in one line."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", markup)).split())


@pytest.mark.parametrize("mode", [None, "nobody", "one_action", "per_person"])
def test_every_sentence_of_the_verdict_is_on_the_page(experiment, assessed, mode):
    if mode:
        experiment.add_assessment("spring", "m/7", assessed(mode).to_json())
    summary = summarise(experiment, "spring", now=LATER)
    shown = texts(page.render(summary))
    told = verdict(summary)
    for sentence in (told.headline, *told.sentences):
        assert " ".join(sentence.split()) in shown
    assert ("Who to contact" in shown) == (mode is not None)


def test_the_table_shows_the_arms_numbers(experiment):
    shown = texts(page.render(summarise(experiment, "spring", now=LATER)))
    assert "not contacted – – 5.00 % 20 400" in shown
    assert re.search(r"mens email \+150\.0 \+\d+\.\d to \+\d+\.\d yes 20\.00 % 80 400", shown)
    assert re.search(r"mens email \+625 \+\d+ to \+\d+ \w+ 0\.750 30 400 300", shown)


def test_an_unhealthy_page_hides_the_policy(ledger, record_experiment, assessed):
    record_experiment(ledger, arms={"control": (400, 20, 5), "mens_email": (300, 80, 30)})
    ledger.add_assessment("spring", "m/7", assessed("per_person").to_json())
    shown = texts(page.render(summarise(ledger, "spring", now=LATER)))
    assert "Do not read these results" in shown
    assert "Who to contact" not in shown
    assert "next wave" not in shown


def test_no_text_becomes_markup(ledger, record_experiment):
    record_experiment(ledger, campaign=EVIL, title=EVIL, reactivated_words="<b>visits</b>")
    one = page.render(summarise(ledger, EVIL, now=LATER))
    for markup in (one, page.render_list(listed(ledger, LATER)), page.render_problem(EVIL, EVIL)):
        assert "<script>alert" not in markup
        assert "<b>" not in markup
        assert EVIL in html.unescape(markup)


def test_an_arm_of_one_person_is_shown_without_a_chart(ledger, record_experiment):
    record_experiment(ledger, arms={"control": (1, 0, 0), "mens_email": (1, 1, 0)})
    shown = texts(page.render(summarise(ledger, "spring", now=LATER)))
    assert re.search(r"mens email (– – )?100\.00 % 1 1 ", shown)


def test_the_application_lists_and_shows_experiments(ledger, record_experiment):
    record_experiment(ledger, campaign="a/b c?d#e%f", title="Odd name")
    client = TestClient(pages(lambda: ledger, patience_seconds=60.0))
    (link,) = re.findall(r'<td><a href="([^"]+)"', client.get("/").text)
    assert "Odd name" in client.get(f"/{html.unescape(link)}").raise_for_status().text
    lost = client.get("/nothing")
    assert lost.status_code == 404
    assert "a/b c?d#e%f" in html.unescape(lost.text)


def test_the_list_says_which_run_and_how_many_people_each_has(ledger, record_experiment, campaign_columns, propensity):
    empty = texts(page.render_list(listed(ledger, LATER)))
    assert "no experiment yet" in empty
    assert "propensity decide" in empty
    record_experiment(ledger)
    record_experiment(ledger, campaign="later", title="Later", started_at=LATER, arms={"control": (3, 0, 0)})
    ledger.add_campaign("none", **{**campaign_columns, "title": "None", "follows": None, "started_at": LATER - DAY})
    end = pd.Timestamp(campaign_columns["started_at"]) + 14 * DAY
    found = {x.campaign: x for x in listed(ledger, end - pd.Timedelta(seconds=1))}
    assert list(found) == ["later", "none", "spring"]
    spring = found["spring"]
    assert (spring.to_contact, spring.held_out) == (800, 400)
    assert spring.state == "running until 16 March 2026"
    assert found["none"].state == "no decisions"
    assert (found["later"].to_contact, found["later"].held_out) == (0, 3)
    (closed,) = [x for x in listed(ledger, end) if x.campaign == "spring"]
    assert closed.state == "closed since 16 March 2026"
    shown = texts(page.render_list(listed(ledger, LATER)))
    assert re.search("Spring mailing spring closed since 16 March 2026 800 400 2 March 2026", shown)
    code, said, _ = propensity("experiment", "list", "--ledger", str(ledger.engine.url))
    assert code == 0
    assert "closed since 16 March 2026" in said


def test_people_who_may_not_be_contacted_are_neither(ledger, record_experiment):
    record_experiment(ledger, arms={"control": (5, 0, 0), "mens_email": (7, 0, 0)})
    with ledger.engine.begin() as connection:
        row = connection.execute(sa.select(schema.decisions).where(schema.decisions.c.action == "control")).mappings()
        some = {**row.first(), "decision_id": "stopped", "customer_id": "stopped", "assignment": "suppressed"}
        connection.execute(schema.decisions.insert().values(some))
    assert ledger.counted_campaigns()["spring"][:2] == (7, 5)


def test_what_nobody_was_reported_to_do_is_no_finding(experiment):
    summary = summarise(experiment, "spring", now=LATER)
    assert {g.reported for g in summary.guardrails} == {False}
    shown = texts(page.render(summary))
    assert shown.count("none was reported of anybody") == 3
    assert "chart-guardrails" not in page._drawings(summary)
    assert "Opt-outs among those who did not come back" in shown
    assert "No unsubscribe or complaint of them was reported." in shown
    assert " -0.0 " not in shown
    assert "not reported" not in shown
    without = replace(summary, health=replace(summary.health, missing_outcomes=("opened",)))
    assert "Opened not reported not reported" in texts(page.render(without))
