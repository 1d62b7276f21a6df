"""Campaign tools that go on asking and reporting whatever happens to the service, and note what it acknowledged."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Self

import httpx
import pandas as pd
import sqlalchemy as sa

from propensity.ledger import Ledger, schema
from propensity.policy import codes

CAMPAIGN, AT, SOURCE = "survival", "2026-03-05T09:00:00Z", "load"
PAUSE_SECONDS = 0.01
"""After each answer: two cores serve and ask at once."""


def asked(*customer_ids: str, **more: Any) -> dict[str, Any]:
    """The body of a request for decisions."""
    rows = [{"customer_id": c, "churned_at": "2025-12-15T00:00:00Z", "consent_email": True} for c in customer_ids]
    return {"campaign": CAMPAIGN, "at": AT, "customers": rows, **more}


def event(event_id: str, customer_id: str) -> dict[str, Any]:
    """The body of a report."""
    return {"id": event_id, "source": SOURCE, "type": "opened", "subject": customer_id, "time": AT}


def is_safe(decision: dict[str, Any]) -> bool:
    """Whether a decision is the one that is given while nothing can be recorded."""
    return decision["reason_codes"] == [codes.LEDGER_UNAVAILABLE] and (
        decision["status"],
        decision["send"],
        decision["action"],
        decision["assignment"],
        decision["decision_id"],
    ) == ("decided", False, "control", "fallback", None)


def is_unavailable(response: httpx.Response) -> bool:
    """Whether a report was put off as it should be."""
    return (
        response.status_code == 503
        and response.headers["content-type"] == "application/problem+json"
        and response.json()["status"] == 503
        and float(response.headers["retry-after"]) > 0
    )


@dataclass
class Noted:
    """What callers were told; an id is written down only after its answer came.

    Attributes
    ----------
    decisions : dict
        Recorded decisions, by customer.
    events : set of str
    n_safe, n_put_off, n_unanswered : int
        Decisions while nothing could be recorded, reports that were to be sent again, requests without an answer.
    wrong : list of str
        Answers that nobody should get.
    """

    decisions: dict[str, dict[str, Any]] = field(default_factory=dict)
    events: set[str] = field(default_factory=set)
    n_safe: int = 0
    n_put_off: int = 0
    n_unanswered: int = 0
    wrong: list[str] = field(default_factory=list)


class Load:
    """Threads that each ask for decisions on new people, repeat some, and report events, until they are stopped.

    Parameters
    ----------
    key : str
    address : str or None
        None: the service is away, and nobody asks.
    n_threads : int
    """

    def __init__(self, key: str, address: str | None = None, n_threads: int = 4) -> None:
        self.address, self.noted = address, Noted()
        self._headers = {"authorization": f"Bearer {key}"}
        self._stopping, self._noting = threading.Event(), threading.Lock()
        self._threads = [threading.Thread(target=self._ask, args=(n,)) for n in range(n_threads)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, thread: int) -> None:
        number = 0
        with httpx.Client(headers=self._headers, timeout=20, trust_env=False) as client:
            while not self._stopping.is_set():
                time.sleep(PAUSE_SECONDS)
                if (address := self.address) is None:
                    continue
                number += 1
                # every fourth asks again about somebody of before
                who = f"p{thread}-{number if number % 4 else number // 2}"
                try:
                    decided = client.post(f"{address}/v1/decisions", json=asked(who))
                    self._note_decision(who, decided)
                    reported = client.post(f"{address}/v1/outcomes", json=event(f"e-{who}-{number}", who))
                    self._note_event(f"e-{who}-{number}", reported)
                except httpx.TransportError:
                    with self._noting:
                        self.noted.n_unanswered += 1

    def _note_decision(self, who: str, response: httpx.Response) -> None:
        with self._noting:
            if response.status_code != 200:
                self._note_put_off(response)
                return
            (decision,) = response.json()["decisions"]
            if is_safe(decision):
                self.noted.n_safe += 1
            elif decision["status"] != "decided" or decision["decision_id"] is None:
                self.noted.wrong.append(str(decision))
            elif self.noted.decisions.setdefault(who, decision) != decision:
                self.noted.wrong.append(f"told {self.noted.decisions[who]}, then {decision}")

    def _note_event(self, event_id: str, response: httpx.Response) -> None:
        with self._noting:
            if response.status_code == 202 and response.json()["rejected"] == 0:
                self.noted.events.add(event_id)
            else:
                self._note_put_off(response)

    def _note_put_off(self, response: httpx.Response) -> None:
        if is_unavailable(response):
            self.noted.n_put_off += 1
        else:
            self.noted.wrong.append(f"{response.status_code} {response.text}")


def require_all_recorded_once(ledger_url: str, noted: Noted) -> None:
    """Every acknowledged decision and event is in the ledger as it was told, none twice, and each is counted once."""
    ledger = Ledger(ledger_url).open()
    with ledger.engine.connect() as connection:
        decisions = pd.DataFrame(connection.execute(sa.select(schema.decisions)).mappings().all())
        events = connection.scalars(sa.select(schema.events.c.event_id).where(schema.events.c.source == SOURCE)).all()
    at = pd.Timestamp(AT).to_pydatetime()
    used = ledger.used_alone(CAMPAIGN, at, at)["contacts"]
    ledger.close()
    assert most(decisions["decision_id"]) == most(decisions["customer_id"]) == most(events) == 1
    told = {who: {k: v for k, v in decision.items() if k != "status"} for who, decision in noted.decisions.items()}
    stands = dict(zip(decisions["customer_id"], decisions["answer"], strict=True))
    assert told.items() <= {who: stands.get(who) for who in told}.items()
    assert noted.events <= set(events)
    sent = decisions[decisions["action"] != "control"]
    assert used.sum() == len(sent)


def most(values: Iterable[Any]) -> int:
    """How often the most frequent value is there."""
    return max(Counter(values).values())


def require_repeats_are_the_same(client: httpx.Client, noted: Noted) -> None:
    """Asked again, the service tells what it told."""
    people = list(noted.decisions)
    for start in range(0, len(people), 200):
        part = people[start : start + 200]
        answer = client.post("/v1/decisions", json=asked(*part), timeout=30).raise_for_status().json()
        assert answer["decisions"] == [noted.decisions[who] for who in part]
