"""A published summary is read again as it was, whatever came after."""

from __future__ import annotations

import json
from dataclasses import replace

import pandas as pd
from starlette.testclient import TestClient

from propensity_experiments import page
from propensity_experiments.summary import summarise
from propensity_experiments.verdict import verdict
from propensity_experiments.web import pages

LATER = pd.Timestamp("2026-06-01T00:00:00Z")
AFTER = {"event_id": "late", "source": "shop", "customer_id": "spring-399", "type": "purchased", "amount": 999.0}


def test_what_was_published_stays_as_it_was(propensity, experiment, tmp_path):
    url, html, file = experiment.engine.url, tmp_path / "page.html", tmp_path / "summary.json"
    ledger = ("--ledger", url)
    code, said, _ = propensity("experiment", "published", "spring", *ledger)
    assert (code, "Nothing of spring was published" in said) == (0, True)
    code, said, _ = propensity("experiment", "publish", "spring", "--who", "Ann", *ledger)
    assert (code, said.startswith("Published as number 1 of spring; fingerprint")) == (0, True)
    experiment.add_outcomes(pd.DataFrame([AFTER]).assign(at=pd.Timestamp("2026-03-03T00:00:00Z")))
    propensity("experiment", "publish", "spring", "--who", "Bert", *ledger)
    assert (
        propensity("experiment", "published", "spring", "--number", 1, "--html", html, "--json", file, *ledger)[0] == 0
    )
    first = json.loads(file.read_text())
    propensity("experiment", "published", "spring", "--json", file, *ledger)
    second = json.loads(file.read_text())
    buyers = [[x["totals"][0]["with_it"] for x in content["outcomes"]] for content in (first, second)]
    assert buyers == [[20, 5, 5], [21, 6, 6]]  # a purchase is a return
    assert first["fingerprint"] != second["fingerprint"]
    assert first["verdict"]["headline"] in html.read_text()
    code, said, _ = propensity("experiment", "published", "spring", *ledger)
    assert ("Ann" in said, "Bert" in said, first["fingerprint"] in said) == (True, True, True)


def test_the_page_says_what_was_published_and_whether_it_holds(propensity, experiment):
    ledger = ("--ledger", experiment.engine.url)
    assert "What was published" not in page.render(summarise(experiment, "spring", now=LATER))
    propensity("experiment", "publish", "spring", "--who", "Ann & Bert", *ledger)
    summary = summarise(experiment, "spring", now=LATER)
    (published,) = summary.published
    assert (published.number, published.who, published.unchanged) == (1, "Ann & Bert", True)
    assert published.fingerprint == summary.fingerprint
    assert published.headline == verdict(summary).headline
    shown = page.render(summary)
    assert f"by Ann &amp; Bert: <q>{published.headline}</q>" in shown
    assert "The figures have not changed since" in shown
    # nothing new, and fewer windows are over
    early = summarise(experiment, "spring", now=pd.Timestamp("2026-03-10T00:00:00Z"))
    assert not early.published[0].unchanged
    experiment.add_outcomes(pd.DataFrame([AFTER]).assign(at=pd.Timestamp("2026-03-03T00:00:00Z")))
    propensity("experiment", "publish", "spring", "--who", "Cleo", *ledger)
    both = summarise(experiment, "spring", now=LATER)
    assert [(p.who, p.unchanged) for p in both.published] == [("Cleo", True), ("Ann & Bert", False)]
    assert "The figures have changed since" in page.render(both)
    faulty = replace(both, health=replace(both.health, faults=("broken",)))
    assert published.headline not in page.render(faulty)
    assert "must not be relied on" in page.render(faulty)


def test_what_cannot_be_published_is_one_sentence(propensity, experiment):
    ledger = ("--ledger", experiment.engine.url)
    for arguments, said in (
        (("publish", "sprng", "--who", "Ann"), "campaign sprng: is not in the ledger"),
        (("publish", "spring", "--who", " "), "who: expected the name of the person who publishes"),
        (("published", "spring", "--number", 7), "no such published summary (published: none)"),
    ):
        code, _, error = propensity("experiment", *arguments, *ledger)
        assert (code, len(error.splitlines())) == (2, 1)
        assert said in error


def test_a_page_and_its_files_hold_the_same_figures(experiment):
    with TestClient(pages(lambda: experiment, patience_seconds=60.0)) as client:
        before = client.get("/spring.json").json()
        experiment.add_outcomes(pd.DataFrame([AFTER]).assign(at=pd.Timestamp("2026-03-03T00:00:00Z")))
        assert client.get("/spring.json").json() == before
        assert before["fingerprint"] in client.get("/spring").text
        assert client.get("/sprng").status_code == 404
