"""What people wrote when they left may be sent along: the reason is read from it, and it goes no further."""

from __future__ import annotations

import copy
import json
import logging
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from starlette.testclient import TestClient

from propensity.contract import PRIVATE
from propensity.ledger import Ledger
from propensity.reasons import ReasonModels
from propensity_serving.app import build_app
from propensity_serving.state import ServingState

SECRET = "Wolfeschlegelsteinhausen"


@pytest.fixture(scope="module")
def reader(small_model):
    """The small model, which also learnt to read answers."""
    rng = np.random.default_rng(0)
    reason = pd.Series(rng.choice(["price", "service_problem"], 300))
    answers = reason.map({"price": "far too expensive", "service_problem": "nobody answered me"})
    model = copy.copy(small_model)
    model.reason_models = ReasonModels.fit(pd.DataFrame(index=reason.index), reason, answers)
    return model


@pytest.fixture
def client(reader, tmp_path):
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}").create()
    with TestClient(build_app(ServingState(model=reader, ledger=ledger, serving_since=datetime.now(UTC)))) as client:
        yield client
    ledger.close()


def ask(client, **values):
    customer = {"customer_id": "anna", "churned_at": "2025-12-15T00:00:00Z", "consent_email": True, **values}
    body = {"campaign": "spring", "at": "2026-03-05T09:00:00Z", "customer": customer}
    return client.post("/v1/decisions", json=body)


def test_the_reason_is_read_and_the_words_go_no_further(client, tmp_path, caplog):
    with caplog.at_level(logging.DEBUG):
        response = ask(client, exit_answer=f"It is too EXPENSIVE, says {SECRET}")
    (decision,) = response.json()["decisions"]
    assert (decision["reason_for_churn"], decision["reason_source"]) == ("price", "text")
    assert SECRET not in response.text
    assert SECRET not in caplog.text
    assert SECRET.encode() not in b"".join(f.read_bytes() for f in tmp_path.glob("ledger.db*"))


def test_what_was_stated_counts_more_and_what_says_nothing_counts_nothing(client):
    (stated,) = ask(client, exit_answer="too expensive", reason="fit_problem").json()["decisions"]
    assert (stated["reason_for_churn"], stated["reason_source"]) == ("fit_problem", "stated")
    (nothing,) = ask(client, customer_id="berta", exit_answer="???").json()["decisions"]
    assert (nothing["reason_for_churn"], nothing["reason_source"]) == (None, "fallback")


@pytest.mark.parametrize("answer", [[SECRET], {"said": SECRET}])
def test_an_answer_that_is_no_text_is_refused_without_repeating_it(client, answer):
    response = ask(client, exit_answer=answer)
    (told,) = response.json()["decisions"]
    assert told["status"] == "rejected"
    assert "exit_answer: expected a single value" in told["error"]
    assert SECRET not in response.text


def test_a_faulty_customer_is_refused_without_repeating_the_answer(client):
    response = ask(client, exit_answer=SECRET, churned_at="last year")
    assert response.json()["decisions"][0]["status"] == "rejected"
    assert SECRET not in response.text


def test_the_service_describes_it_as_sent_but_never_answered(client):
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    for name in PRIVATE:
        assert schemas["Customer"]["properties"][name]["writeOnly"] is True
        assert name not in json.dumps(schemas["Decision"])
