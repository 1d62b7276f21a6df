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
from propensity.policy import codes
from propensity_serving.answering import DECIDED, REJECTED, Answering
from propensity_serving.bodies import read_json
from propensity_serving.described import OPTIONAL_NUMBER, OPTIONAL_TEXT, columns_object, problems
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


CAMPAIGN = {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "\\S"}
_DECISION: dict[str, dict[str, Any]] = {
    "explanation": {"type": "string", "description": "the decision in words, where the request says explain"},
    "status": {"type": "string", "enum": [DECIDED, REJECTED]},
    "error": {"type": "string", "description": "why a customer was rejected"},
    "decision_id": {**OPTIONAL_TEXT, "description": "the same for the same customer, campaign and window"},
    "customer_id": {"type": ["string", "null"]},
    "campaign": {"type": "string"},
    "send": {"type": "boolean", "description": "whether to contact this person"},
    "action": {"type": "string", "description": "label of the action; control is no contact"},
    "archetype": OPTIONAL_TEXT,
    "channel": OPTIONAL_TEXT,
    "offer": OPTIONAL_TEXT,
    "assignment": {"type": "string", "enum": list(codes.ASSIGNMENTS)},
    "probability": {"type": "number", "description": "chance of this action under the rule that drew it"},
    "reason_codes": {"type": "array", "items": {"type": "string"}},
    "reactivation_propensity": {**OPTIONAL_NUMBER, "description": "chance of coming back without contact"},
    "uplift": {**OPTIONAL_NUMBER, "description": "what contact adds to that chance"},
    "uplift_low": OPTIONAL_NUMBER,
    "uplift_high": OPTIONAL_NUMBER,
    "expected_revenue": {**OPTIONAL_NUMBER, "description": "extra revenue, currency a person"},
    "cost": {**OPTIONAL_NUMBER, "description": "of sending, currency"},
    "net_value": {**OPTIONAL_NUMBER, "description": "currency a person"},
    "reason_for_churn": OPTIONAL_TEXT,
    "archetype_probability": OPTIONAL_NUMBER,
    "not_before": {"type": "string", "format": "date-time"},
    "expires_at": {"type": "string", "format": "date-time"},
    "brief": OPTIONAL_TEXT,
    "model_version": {"type": "string"},
    "playbook_version": {"type": "string"},
    "feature_as_of": {"type": ["string", "null"], "format": "date-time"},
    "would_have_sent": {"type": "string", "description": "what this person would get if nobody were held out or tried"},
    "reason_source": {"type": "string", "enum": ["stated", "text", "predicted", "fallback"]},
    "archetype_by": {
        "type": ["string", "null"],
        "enum": [*codes.ARCHETYPE_BY, None],
        "description": "whether the reason for churn calls for this archetype too, or measured effects alone do",
    },
    "alternative": {**OPTIONAL_TEXT, "description": "the next best action that this person may get"},
    "alternative_net_value": {**OPTIONAL_NUMBER, "description": "currency a person"},
    "alternative_lost": {
        "type": ["string", "null"],
        "enum": [*codes.ALTERNATIVE_LOST, None],
        "description": "why the alternative was not chosen",
    },
    "touch": {"type": "integer", "description": "number of this contact with this person in the campaign; 0: none yet"},
    "next_action": {**OPTIONAL_TEXT, "description": "what follows if this brings no answer"},
    "next_not_before": {"type": ["string", "null"], "format": "date-time"},
    "contact_at": {
        "type": "string",
        "format": "date-time",
        "description": "when it best goes out; not_before where no time is known to be better",
    },
}


def paths() -> dict[str, Any]:
    """What `openapi.json` says of the routes."""
    return {
        "/v1/decisions": {
            "post": {
                "summary": "Decide for one customer or many, and record the decisions",
                "description": (
                    "A repeat for the same customer, campaign and decision window returns the decision that "
                    "stands, unless the customer has opted out, complained or come back since. What the ledger "
                    "knows of touches counts, and so do the prices and limits of the campaign's last wave. One "
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
        "Decision": {"type": "object", "properties": _DECISION, "required": ["status"]},
        "Decisions": {
            "type": "object",
            "properties": {
                "model_version": {"type": "string"},
                "decisions": {"type": "array", "items": {"$ref": "#/components/schemas/Decision"}},
                "what_if": {"type": "object", "description": "of a dry run with scenarios"},
            },
        },
    }
