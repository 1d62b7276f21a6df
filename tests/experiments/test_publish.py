"""A published summary is read again as it was, whatever came after."""

from __future__ import annotations

import json

import pandas as pd
from starlette.testclient import TestClient

from propensity_experiments.web import pages

AFTER = {"event_id": "late", "source": "shop", "customer_id": "spring-399", "type": "purchased", "amount": 999.0}


def test_what_was_published_stays_as_it_was(propensity, experiment, tmp_path):
    url, page, file = experiment.engine.url, tmp_path / "page.html", tmp_path / "summary.json"
    ledger = ("--ledger", url)
    code, said, _ = propensity("experiment", "published", "spring", *ledger)
    assert (code, "Nothing of spring was published" in said) == (0, True)
    code, said, _ = propensity("experiment", "publish", "spring", "--who", "Ann", *ledger)
    assert (code, said.startswith("Published as number 1 of spring; fingerprint")) == (0, True)
    experiment.add_outcomes(pd.DataFrame([AFTER]).assign(at=pd.Timestamp("2026-03-03T00:00:00Z")))
    propensity("experiment", "publish", "spring", "--who", "Bert", *ledger)
    assert (
        propensity("experiment", "published", "spring", "--number", 1, "--html", page, "--json", file, *ledger)[0] == 0
    )
    first = json.loads(file.read_text())
    propensity("experiment", "published", "spring", "--json", file, *ledger)
    second = json.loads(file.read_text())
    buyers = [[x["totals"][0]["with_it"] for x in content["outcomes"]] for content in (first, second)]
    assert buyers == [[20, 5, 5], [21, 6, 6]]  # a purchase is a return
    assert first["fingerprint"] != second["fingerprint"]
    assert first["verdict"]["headline"] in page.read_text()
    code, said, _ = propensity("experiment", "published", "spring", *ledger)
    assert ("Ann" in said, "Bert" in said, first["fingerprint"] in said) == (True, True, True)


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
    with TestClient(pages(lambda: experiment)) as client:
        before = client.get("/spring.json").json()
        experiment.add_outcomes(pd.DataFrame([AFTER]).assign(at=pd.Timestamp("2026-03-03T00:00:00Z")))
        assert client.get("/spring.json").json() == before
        assert before["fingerprint"] in client.get("/spring").text
        assert client.get("/sprng").status_code == 404
