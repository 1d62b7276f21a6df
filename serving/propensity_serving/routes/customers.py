"""`/v1/customers`: what is known of people, what is held on one, and forgetting them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pandas as pd
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from propensity.known import snapshots
from propensity.ledger import Ledger, snapshot_rows
from propensity.model import DecisionModel
from propensity_serving.bodies import read_json
from propensity_serving.described import OPTIONAL_TEXT, problems
from propensity_serving.fields import customer_in_path
from propensity_serving.problems import Problem
from propensity_serving.receipts import ACCEPTED, DUPLICATE, MAX_ITEMS, items_of, receipt, receipt_schema, rejected
from propensity_serving.requests import check_customers
from propensity_serving.routes.holdouts import text_schema
from propensity_serving.state import ServingState

ROWS = ("snapshots", "decisions", "events")
"""What may be held on a person; of the erased there is none."""


def routes(state: ServingState) -> list[BaseRoute]:
    """The routes around a worker's state."""

    async def put(request: Request) -> Response:
        items = items_of(await read_json(request), "a customer")
        return JSONResponse(await run_in_threadpool(record, state, items))

    async def get(request: Request) -> Response:
        _, ledger = state.required()
        held = await run_in_threadpool(ledger.held_on, customer_in_path(request))
        if not any(held[name] for name in ROWS):
            raise Problem(404, "Not found", "nothing is held on this customer")
        return Response(json.dumps(held, default=_told), media_type="application/json")

    async def delete(request: Request) -> Response:
        _, ledger = state.required()
        await run_in_threadpool(ledger.erase, customer_in_path(request))
        return Response(status_code=204)  # whether or not anything was held

    one = "/v1/customers/{customer_id:customer}"
    return [
        Route("/v1/customers", put, methods=["PUT"]),
        Route(one, get, methods=["GET"]),
        Route(one, delete, methods=["DELETE"]),
    ]


def _told(value: Any) -> str:
    """A time of the ledger as JSON has it."""
    if not isinstance(value, datetime):
        raise TypeError(f"a {type(value).__name__} has no form in JSON")
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def record(state: ServingState, items: list[Any]) -> dict[str, Any]:
    """Record snapshots of customers: of their columns those that deciding and learning read.

    Returns
    -------
    dict
        A receipt (see `receipts.receipt`), each result with ``customer_id`` and ``as_of``. A snapshot that says when
        it was true is a duplicate if there is one of that time; one that does not, if the newest says the same.
    """
    model, ledger = state.required()
    now = pd.Timestamp.now("UTC").floor("us")
    rows = [item if isinstance(item, dict) else {} for item in items]
    checked = check_customers(rows, model.playbook, now) if rows else None
    results: list[dict[str, Any]] = []
    if checked is None:
        return receipt(results)
    kept = snapshots(checked.people, model.playbook).table
    timeless = {place for number, place in checked.position.items() if rows[number].get("as_of") is None}
    repeats = _repeats(kept, timeless, ledger) if len(kept) else set()
    fresh = kept.drop(index=sorted(repeats))
    new = ledger.add_customers(fresh) if len(fresh) else set()
    erased = ledger.erased(fresh["customer_id"].tolist())
    for number, item in enumerate(items):
        if number in checked.faults:
            fault = checked.faults[number] if isinstance(item, dict) else "customer: expected an object"
            key = rows[number].get("customer_id")
            results.append(rejected(fault, customer_id=key if isinstance(key, str) else None, as_of=None))
            continue
        row = kept.iloc[checked.position[number]]
        is_new = (row["customer_id"], row["as_of"].to_pydatetime()) in new or row["customer_id"] in erased
        told = {"customer_id": row["customer_id"], "as_of": _told(row["as_of"])}
        results.append({**told, "status": ACCEPTED if is_new else DUPLICATE})
    return receipt(results)


def _repeats(kept: pd.DataFrame, timeless: set[int], ledger: Ledger) -> set[int]:
    """Rows that came without a time and say what the person's newest snapshot says: a retry, or nothing new."""
    asked = kept.iloc[sorted(timeless)]
    newest = ledger.newest_snapshots(asked["customer_id"].tolist())
    said = ("churned_at", "attributes")
    return {
        place
        for place, row in zip(sorted(timeless), snapshot_rows(asked), strict=True)
        if (stands := newest.get(row["customer_id"])) and all(stands[name] == row[name] for name in said)
    }


def paths() -> dict[str, Any]:
    """What `openapi.json` says of the routes."""
    one = {"$ref": "#/components/schemas/Customer"}
    person = {"name": "customer_id", "in": "path", "required": True, "schema": text_schema()}
    return {
        "/v1/customers": {
            "put": {
                "summary": "Record what is known of customers",
                "description": (
                    "Snapshots, each true as of a time (as_of, default: now). Only what decisions and learning read is "
                    "kept, and nothing that is private (exit_answer). One that is there already changes nothing."
                ),
                "requestBody": {
                    "required": True,
                    "content": {
                        "application/json": {
                            "schema": {"anyOf": [one, {"type": "array", "maxItems": MAX_ITEMS, "items": one}]}
                        }
                    },
                },
                "responses": {
                    "200": {
                        "description": "One result for each customer, in the order given",
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/CustomersReceipt"}}},
                    },
                    **problems("400", "413", "415", "422", "500", "503"),
                },
            }
        },
        "/v1/customers/{customer_id}": {
            "parameters": [person],
            "get": {
                "summary": "Everything that is held on a person",
                "responses": {
                    "200": {
                        "description": "Snapshots, decisions and events",
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Held"}}},
                    },
                    **problems("404", "422", "500", "503"),
                },
            },
            "delete": {
                "summary": "Forget a person, and never contact them again",
                "description": (
                    "What past experiments are counted by stays under a random name. The answer is the same for people "
                    "of whom nothing was held: they are never contacted or recorded either."
                ),
                "responses": {"204": {"description": "Forgotten"}, **problems("422", "500", "503")},
            },
        },
    }


def schemas(model: DecisionModel | None) -> dict[str, Any]:
    """Objects that the paths name; `Customer` is that of decisions."""
    rows = {"type": "array", "items": {"type": "object"}}
    return {
        "Held": {
            "type": "object",
            "required": ["customer_id", "suppressed", "suppressed_by", "erased_at", *ROWS],
            "properties": {
                "customer_id": {"type": "string"},
                "suppressed": {"type": "boolean", "description": "whether they are never contacted again"},
                "suppressed_by": {**rows, "description": "the events that say so"},
                "erased_at": {"type": ["string", "null"], "format": "date-time"},
                **dict.fromkeys(ROWS, rows),
            },
        },
        "CustomersReceipt": receipt_schema(
            {"customer_id": OPTIONAL_TEXT, "as_of": {"type": ["string", "null"], "format": "date-time"}}
        ),
    }
