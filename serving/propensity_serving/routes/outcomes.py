"""`/v1/outcomes`: what happened, as CloudEvents."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from propensity.contract import OUTCOME_TYPES
from propensity.ledger import Ledger
from propensity.model import DecisionModel
from propensity_serving.described import OPTIONAL_TEXT, problems
from propensity_serving.events import (
    BATCH,
    SPEC_VERSION,
    STRUCTURED,
    TYPE_PREFIX,
    CheckedEvents,
    Reported,
    check_events,
    read_events,
)
from propensity_serving.fields import MAX_TEXT
from propensity_serving.receipts import ACCEPTED, DUPLICATE, MAX_ITEMS, receipt, receipt_schema, rejected
from propensity_serving.state import ServingState


def routes(state: ServingState) -> list[BaseRoute]:
    """The routes around a worker's state."""

    async def outcomes(request: Request) -> Response:
        reported = await read_events(request)
        # also where nothing could be used: to send the same again would never help
        return JSONResponse(await run_in_threadpool(record, state, reported), status_code=202)

    return [Route("/v1/outcomes", outcomes, methods=["POST"])]


def record(state: ServingState, reported: Reported) -> dict[str, Any]:
    """Record events; when this returns, they are in the ledger for good.

    Returns
    -------
    dict
        A receipt (see `receipts.receipt`), each result with the event's ``source`` and ``id``. Events of an erased
        person are said to be accepted, and are not kept.
    """
    model, ledger = state.required()
    checked = check_events(reported, model.playbook.currency, datetime.now(UTC))
    _reject_decisions_of_others(checked, ledger)
    return receipt(_results(reported.events, checked, ledger))


def _reject_decisions_of_others(checked: CheckedEvents, ledger: Ledger) -> None:
    """An event may name a decision that nobody knows yet, but none about another customer."""
    named = {row["decision_id"] for row in checked.rows.values()} - {None}
    owners = ledger.owners(sorted(named))
    for number, row in list(checked.rows.items()):
        if owners.get(row["decision_id"], row["customer_id"]) != row["customer_id"]:
            checked.reject(number, "data.decision_id: is a decision about another customer")


def _results(events: list[Any], checked: CheckedEvents, ledger: Ledger) -> list[dict[str, Any]]:
    new: set[tuple[str, str]] = set()
    erased: set[str] = set()
    if checked.rows:
        new = ledger.add_outcomes(checked.table)
        erased = ledger.erased(sorted({row["customer_id"] for row in checked.rows.values()}))
    seen: set[tuple[str, str]] = set()
    results = []
    for number, event in enumerate(events):
        if number in checked.faults:
            results.append(rejected(checked.faults[number], source=_told(event, "source"), id=_told(event, "id")))
            continue
        row = checked.rows[number]
        key = (row["source"], row["event_id"])
        is_first = key not in seen and (key in new or row["customer_id"] in erased)
        seen.add(key)
        results.append({"source": key[0], "id": key[1], "status": ACCEPTED if is_first else DUPLICATE})
    return results


def _told(event: Any, name: str) -> str | None:
    """An attribute of an event that cannot be used, where it is a text that tells which event it was."""
    value = event.get(name) if isinstance(event, dict) else None
    return value[:MAX_TEXT] if isinstance(value, str) else None


def paths() -> dict[str, Any]:
    """What `openapi.json` says of the routes."""
    one, many = {"$ref": "#/components/schemas/Event"}, {"$ref": "#/components/schemas/Events"}
    return {
        "/v1/outcomes": {
            "post": {
                "summary": "Report what happened to customers",
                "description": (
                    "CloudEvents 1.0 over HTTP: one event or a batch in structured mode, one in binary mode "
                    "(attributes in ce- headers, the data as the body), or the same JSON as application/json, where "
                    "specversion may be left out. An event that was reported before, by source and id, is a duplicate "
                    "and changes nothing, so whatever is in doubt may be sent again. One faulty event never fails the "
                    "rest. The answer is 202 even where every event was rejected, for sending them again would not "
                    "help; read the counts. When it comes, accepted events are in the ledger."
                ),
                "parameters": [
                    {"name": f"ce-{name}", "in": "header", "required": False, "schema": {"type": "string"}}
                    for name in ("specversion", "id", "source", "type", "subject", "time")
                ],
                "requestBody": {
                    "required": False,
                    "description": "May be left out in binary mode only, where the event has no data.",
                    "content": {
                        STRUCTURED: {"schema": one},
                        BATCH: {"schema": many},
                        "application/json": {
                            "schema": {"anyOf": [one, many, {"$ref": "#/components/schemas/EventData"}]}
                        },
                    },
                },
                "responses": {
                    "202": {
                        "description": "One result for each event, in the order given",
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/OutcomesReceipt"}}},
                    },
                    **problems("400", "413", "415", "422", "500", "503"),
                },
            }
        },
    }


def schemas(model: DecisionModel | None) -> dict[str, Any]:
    """Objects that the paths name."""
    text = {"type": ["string", "number"], "maxLength": MAX_TEXT}
    types = [word for outcome in OUTCOME_TYPES for word in (outcome, TYPE_PREFIX + outcome)]
    return {
        "EventData": {
            "type": "object",
            "properties": {
                "customer_id": {**text, "description": "whom it happened to; default: the event's subject"},
                "decision_id": {**OPTIONAL_TEXT, "description": "the decision that it answers, if known"},
                "amount": {
                    "type": ["number", "null"],
                    "description": "money that came in; negative: refund (of a purchase, as a purchased event)",
                },
                "currency": {**OPTIONAL_TEXT, "description": "must be the playbook's"},
            },
        },
        "Event": {
            "type": "object",
            "required": ["id", "source", "type"],
            "properties": {
                "specversion": {"type": "string", "const": SPEC_VERSION},
                "id": {**text, "description": "of the event, within its source"},
                "source": {**text, "description": "the system that reports it"},
                "type": {
                    "type": "string",
                    "examples": types,
                    "description": (
                        f"one of {', '.join(OUTCOME_TYPES)}; alone, after {TYPE_PREFIX}, or after a domain and that "
                        f"(org.example.{TYPE_PREFIX}purchased)"
                    ),
                },
                "subject": {**text, "description": "the customer id; data.customer_id counts more"},
                "time": {
                    "type": ["string", "null"],
                    "format": "date-time",
                    "description": "when it happened, at most a day ahead; default: when the request came",
                },
                "data": {"anyOf": [{"$ref": "#/components/schemas/EventData"}, {"type": "null"}]},
            },
        },
        "Events": {"type": "array", "maxItems": MAX_ITEMS, "items": {"$ref": "#/components/schemas/Event"}},
        "OutcomesReceipt": receipt_schema({"source": OPTIONAL_TEXT, "id": OPTIONAL_TEXT}),
    }
