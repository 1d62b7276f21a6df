"""`/v1/decisions`: who gets what."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from propensity.contract import CUSTOMERS
from propensity.features import required_columns
from propensity.ledger import LedgerUnavailable
from propensity.model import DecisionModel
from propensity_serving.answering import REJECTED, Answering
from propensity_serving.bodies import read_json
from propensity_serving.decision_fields import DECISION_FIELDS
from propensity_serving.described import columns_object, problems
from propensity_serving.fields import customer_in_path
from propensity_serving.problems import Problem
from propensity_serving.requests import (
    MAX_CUSTOMERS,
    MAX_SCENARIOS,
    parse_decision_request,
    parse_stored_request,
)
from propensity_serving.state import ServingState


def routes(state: ServingState, answering: Answering) -> list[BaseRoute]:
    """The routes around a worker's state, and how it answers."""

    async def decisions(request: Request) -> Response:
        asked = parse_decision_request(await read_json(request))
        return JSONResponse(await answering.answer(asked))

    async def of_stored(request: Request) -> Response:
        asked = parse_stored_request(request.query_params)
        _, ledger = state.required()
        at = asked.at or datetime.now(UTC)
        customer_id = customer_in_path(request)
        try:
            customer = await run_in_threadpool(ledger.newest_snapshot, customer_id, at)
            erased = customer is None and bool(await run_in_threadpool(ledger.erased, [customer_id]))
        except LedgerUnavailable:
            if asked.dry_run:
                raise
            return JSONResponse(answering.without_ledger(asked, customer_id)["decisions"][0])
        if erased:
            return JSONResponse(answering.for_erased(asked, customer_id)["decisions"][0])
        if customer is None:
            raise Problem(404, "Not found", "there is no snapshot of this customer; send one with PUT /v1/customers")
        content = await answering.answer(asked.model_copy(update={"customer": customer}))
        (item,) = content["decisions"]
        if item["status"] == REJECTED:
            raise Problem(422, "Snapshot cannot be decided on", item["error"])
        return JSONResponse(item)

    return [
        Route("/v1/decisions", decisions, methods=["POST"]),
        Route("/v1/decisions/{customer_id:customer}", of_stored),
    ]


CAMPAIGN = {
    "type": "string",
    "minLength": 1,
    "maxLength": 200,
    "pattern": "\\S",
    "description": "its name; blanks around it do not count",
}


def paths() -> dict[str, Any]:
    """What `openapi.json` says of the routes."""
    return {
        "/v1/decisions": {
            "post": {
                "summary": "Decide for one customer or many, and record the decisions",
                "description": (
                    "A repeat for the same customer, campaign and decision window returns the decision that "
                    "stands, unless the customer has opted out, complained or come back since, or is sent with "
                    "a no to the consent that the contact needs. What the ledger knows of touches counts, and so do "
                    "the prices and limits of the campaign's last wave. One "
                    "customer with a fault never fails the others."
                ),
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/DecisionRequest"}}},
                },
                "responses": {
                    "200": {
                        "description": "One answer for each customer, in the order asked",
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Decisions"}}},
                    },
                    **problems("400", "413", "415", "422", "500", "503"),
                },
            }
        },
        "/v1/decisions/{customer_id}": {
            "get": {
                "summary": "Decide for a customer whose snapshot is stored, and record the decision",
                "description": (
                    "For tools that can only GET: the newest snapshot is decided on as POST does, and the answer is "
                    "the decision alone, one flat object."
                ),
                "parameters": [
                    {"name": "customer_id", "in": "path", "required": True, "schema": {"type": "string"}},
                    {"name": "campaign", "in": "query", "required": True, "schema": CAMPAIGN},
                    {"name": "dry_run", "in": "query", "schema": {"type": "boolean"}},
                    {"name": "explain", "in": "query", "schema": {"type": "boolean"}},
                ],
                "responses": {
                    "200": {
                        "description": "The decision",
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Decision"}}},
                    },
                    **problems("404", "422", "500", "503"),
                },
            }
        },
    }


def schemas(model: DecisionModel | None) -> dict[str, Any]:
    """Objects that the paths name; with a model, its features are part of a customer."""
    columns = list(CUSTOMERS) + (required_columns(model.playbook) if model else [])
    return {
        "Customer": columns_object(columns, required=["customer_id", "churned_at"]),
        "DecisionRequest": {
            "type": "object",
            "required": ["campaign"],
            "additionalProperties": False,
            "properties": {
                "campaign": CAMPAIGN,
                "customer": {"$ref": "#/components/schemas/Customer"},
                "customers": {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": MAX_CUSTOMERS,
                    "items": {"$ref": "#/components/schemas/Customer"},
                },
                "at": {"type": "string", "format": "date-time", "description": "default: now"},
                "dry_run": {"type": "boolean", "description": "decide without recording"},
                "explain": {"type": "boolean", "description": "tell each decision in words too"},
                "scenarios": {
                    "type": "array",
                    "maxItems": MAX_SCENARIOS,
                    "items": {"type": "object"},
                    "description": (
                        "with dry_run: compare what these customers would get as it is with what they would "
                        "get under each of these settings: name, budget, weeks, capacity.CHANNEL, playbook (a "
                        "whole one, or the name of a shipped one), or any setting of the playbook by its place"
                    ),
                },
            },
        },
        "Decision": {"type": "object", "properties": DECISION_FIELDS, "required": ["status"]},
        "Decisions": {
            "type": "object",
            "properties": {
                "model_version": {"type": "string"},
                "decisions": {"type": "array", "items": {"$ref": "#/components/schemas/Decision"}},
                "what_if": {"type": "object", "description": "of a dry run with scenarios"},
            },
        },
    }
