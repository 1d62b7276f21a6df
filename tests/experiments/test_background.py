"""What takes long is computed beside the requests: each name once, errors told, older figures shown meanwhile."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pandas as pd
import pytest
from starlette.testclient import TestClient

from propensity.errors import InputError
from propensity.ledger import LedgerUnavailable
from propensity_experiments.background import Background
from propensity_experiments.summary import summarise
from propensity_experiments.web import pages

LATER = pd.Timestamp("2026-06-01T00:00:00Z")
LONG = 60.0
"""Seconds that nothing here takes."""


class Slow:
    """A summariser that goes on when it is let."""

    def __init__(self) -> None:
        self.begun, self.go_on = threading.Semaphore(0), threading.Semaphore(0)
        self.calls: list[str] = []
        self.error: Exception | None = None
        self.at_once = self.most_at_once = 0

    def __call__(self, ledger, campaign):
        self.calls.append(campaign)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.begun.release()
        assert self.go_on.acquire(timeout=LONG)
        self.at_once -= 1
        if self.error is not None:
            raise self.error
        return summarise(ledger, campaign, now=LATER)


@pytest.fixture
def slow() -> Slow:
    return Slow()


@pytest.fixture
def app(experiment, slow):
    return pages(lambda: experiment, summariser=slow, patience_seconds=0.0)


def finish(app, slow: Slow, campaign: str = "spring") -> None:
    """Let what is being computed end, and wait for it and its page."""
    slow.go_on.release()
    desk = app.state.desk
    desk.summary(campaign, LONG)
    TestClient(app, raise_server_exceptions=False).get(f"/{campaign}")
    end_of(desk.files)


def end_of(background: Background) -> None:
    """Wait until the thread has done all that was asked for before this."""
    background.of(object(), lambda: None, LONG)


def test_a_page_that_is_not_ready_is_light_and_asks_again_by_itself(app, slow):
    client = TestClient(app)
    waiting = client.get("/spring")
    assert (waiting.status_code, waiting.headers["retry-after"]) == (202, "5")
    assert '<meta http-equiv="refresh" content="5">' in waiting.text
    assert 'role="status"' in waiting.text
    assert "<script" not in waiting.text
    assert len(waiting.text) < 5_000
    for ending in ("csv", "json", "pdf"):
        file = client.get(f"/spring.{ending}")
        assert (file.status_code, file.headers["retry-after"]) == (202, "5")
        assert "is being computed" in file.json()["detail"]
        by_browser = client.get(f"/spring.{ending}", headers={"accept": "text/html,*/*"})
        assert (by_browser.status_code, 'http-equiv="refresh"' in by_browser.text) == (202, True)
    finish(app, slow)
    ready = client.get("/spring")
    assert (ready.status_code, "What each arm brought" in ready.text) == (200, True)
    assert slow.calls == ["spring"]
    assert client.get("/spring.json").status_code == 202
    end_of(app.state.desk.files)
    file = client.get("/spring.json", headers={"accept": "text/html,*/*"})
    assert file.headers["content-disposition"] == "attachment; filename*=UTF-8''spring.json"
    assert file.json()["fingerprint"] in ready.text
    assert slow.calls == ["spring"]


def test_however_many_ask_each_is_computed_once_and_one_at_a_time(experiment, record_experiment, slow):
    record_experiment(experiment, campaign="second", title="Second")
    app = pages(lambda: experiment, summariser=slow, patience_seconds=LONG)
    client = TestClient(app)
    with ThreadPoolExecutor(8) as many:
        asked = [many.submit(client.get, f"/{name}") for name in ("spring", "second") * 4]
        for _ in range(2):
            assert slow.begun.acquire(timeout=LONG)
            slow.go_on.release()
        assert [each.result(LONG).status_code for each in asked] == [200] * 8
    assert sorted(slow.calls) == ["second", "spring"]
    assert slow.most_at_once == 1


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InputError("the playbook of spring: is broken"), 404),
        (LedgerUnavailable("away"), 503),
        (ZeroDivisionError("by zero"), 500),
    ],
)
def test_an_error_is_told_to_the_next_who_asks_and_then_it_is_tried_again(app, slow, error, status):
    client = TestClient(app, raise_server_exceptions=False)
    slow.error = error
    assert client.get("/spring").status_code == 202
    slow.go_on.release()
    end_of(app.state.desk.summaries)
    assert client.get("/spring").status_code == status
    slow.error = None
    assert client.get("/spring").status_code == 202
    finish(app, slow)
    assert client.get("/spring").status_code == 200


def test_a_name_that_is_not_there_is_told_at_once(app, slow):
    client = TestClient(app)
    assert [client.get(f"/{name}").status_code for name in ("sprng", "sprng.json")] == [404, 404]
    assert slow.calls == []


def test_older_figures_are_shown_with_a_note_while_newer_are_computed(experiment, slow):
    now = [0.0]
    app = pages(lambda: experiment, summariser=slow, patience_seconds=0.0)
    app.state.desk.summaries._clock = lambda: now[0]
    client = TestClient(app)
    client.get("/spring")
    finish(app, slow)
    first = client.get("/spring").text
    assert "newer ones are being computed" not in first
    now[0] = 61.0
    older = client.get("/spring")
    assert (older.status_code, slow.calls) == (200, ["spring", "spring"])
    assert "newer ones are being computed" in older.text
    assert "As of 1 June 2026" in older.text
    finish(app, slow)
    assert client.get("/spring").text == first
    assert len(slow.calls) == 2


def test_only_the_newest_names_are_kept():
    made = Background[int](fresh_seconds=1e9, kept=2)
    calls = []
    for name in (1, 2, 3, 3, 2, 1):
        found = made.of(name, lambda n=name: calls.append(n) or 10 * n, LONG)
        assert (found.value, found.stale) == (10 * name, False)
    assert calls == [1, 2, 3, 1]


def test_an_old_error_is_forgotten():
    now = [0.0]
    made = Background[int](fresh_seconds=60.0, kept=2, clock=lambda: now[0])

    def fail() -> int:
        raise InputError("x")

    with suppress(InputError):  # it may have failed before anybody waits
        made.of("a", fail, 0.0)
    end_of(made)
    now[0] = 61.0
    assert made.of("a", lambda: 5, LONG).value == 5
