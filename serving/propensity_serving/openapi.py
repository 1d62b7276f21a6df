"""The service's own description, built from the contract and the request model."""

from __future__ import annotations

from typing import Any

from propensity import __version__
from propensity.contract import CUSTOMERS, PRIVATE, Column
from propensity.features import required_columns
from propensity.model import DecisionModel
from propensity.policy import codes
from propensity_serving.requests import MAX_CUSTOMERS, MAX_SCENARIOS

_TYPES: dict[str, dict[str, Any]] = {
    "text": {"type": "string"},
    "number": {"type": "number"},
    "time": {"type": "string", "format": "date-time"},
    "flag": {"type": "boolean"},
}
_OPTIONAL_TEXT = {"type": ["string", "null"]}
_OPTIONAL_NUMBER = {"type": ["number", "null"]}
_DECISION: dict[str, dict[str, Any]] = {
    "explanation": {"type": "string", "description": "the decision in words, where the request says explain"},
    "status": {"type": "string", "enum": ["decided", "rejected"]},
    "error": {"type": "string", "description": "why a customer was rejected"},
    "decision_id": {**_OPTIONAL_TEXT, "description": "the same for the same customer, campaign and window"},
    "customer_id": {"type": ["string", "null"]},
    "campaign": {"type": "string"},
    "send": {"type": "boolean", "description": "whether to contact this person"},
    "action": {"type": "string", "description": "label of the action; control is no contact"},
    "archetype": _OPTIONAL_TEXT,
    "channel": _OPTIONAL_TEXT,
    "offer": _OPTIONAL_TEXT,
    "assignment": {"type": "string", "enum": list(codes.ASSIGNMENTS)},
    "probability": {"type": "number", "description": "chance of this action under the rule that drew it"},
    "reason_codes": {"type": "array", "items": {"type": "string"}},
    "reactivation_propensity": {**_OPTIONAL_NUMBER, "description": "chance of coming back without contact"},
    "uplift": {**_OPTIONAL_NUMBER, "description": "what contact adds to that chance"},
    "uplift_low": _OPTIONAL_NUMBER,
    "uplift_high": _OPTIONAL_NUMBER,
    "expected_revenue": {**_OPTIONAL_NUMBER, "description": "extra revenue, currency a person"},
    "cost": {**_OPTIONAL_NUMBER, "description": "of sending, currency"},
    "net_value": {**_OPTIONAL_NUMBER, "description": "currency a person"},
    "reason_for_churn": _OPTIONAL_TEXT,
    "archetype_probability": _OPTIONAL_NUMBER,
    "not_before": {"type": "string", "format": "date-time"},
    "expires_at": {"type": "string", "format": "date-time"},
    "brief": _OPTIONAL_TEXT,
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
    "alternative": {**_OPTIONAL_TEXT, "description": "the next best action that this person may get"},
    "alternative_net_value": {**_OPTIONAL_NUMBER, "description": "currency a person"},
    "alternative_lost": {
        "type": ["string", "null"],
        "enum": [*codes.ALTERNATIVE_LOST, None],
        "description": "why the alternative was not chosen",
    },
    "touch": {"type": "integer", "description": "number of this contact with this person in the campaign; 0: none yet"},
    "next_action": {**_OPTIONAL_TEXT, "description": "what follows if this brings no answer"},
    "next_not_before": {"type": ["string", "null"], "format": "date-time"},
    "contact_at": {
        "type": "string",
        "format": "date-time",
        "description": "when it best goes out; not_before where no time is known to be better",
    },
}


def specification(model: DecisionModel | None) -> dict[str, Any]:
    """OpenAPI 3.1 description; with a model, its features are part of a customer."""
    customer = _customer(list(CUSTOMERS) + (required_columns(model.playbook) if model else []))
    problem = {
        "description": "A problem (RFC 9457)",
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    problems = dict.fromkeys(("400", "413", "422", "500", "503"), problem)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Propensity",
            "version": __version__,
            "description": "Whom to contact, with which archetype, channel and offer.",
        },
        "paths": {
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
                        **problems,
                    },
                }
            },
            "/v1/models": {
                "get": {
                    "summary": "What serves, since when",
                    "responses": {
                        "200": {"description": "The model", "content": {"application/json": {}}},
                        "503": problem,
                    },
                }
            },
        },
        "components": {
            "schemas": {
                "Customer": customer,
                "DecisionRequest": {
                    "type": "object",
                    "required": ["campaign"],
                    "additionalProperties": False,
                    "properties": {
                        "campaign": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "\\S"},
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
                "Problem": {
                    "type": "object",
                    "properties": {
                        "type": {"type": "string"},
                        "status": {"type": "integer"},
                        "title": {"type": "string"},
                        "detail": {"type": "string"},
                    },
                },
            }
        },
    }


def _customer(columns: list[Column]) -> dict[str, Any]:
    properties = {}
    for column in columns:
        kind = dict(_TYPES[column.kind])
        if column.choices is not None:
            kind["enum"] = list(column.choices)
        if column.name in PRIVATE:
            kind["writeOnly"] = True
        unit = f" ({column.unit})" if column.unit else ""
        properties[column.name] = {**kind, "description": column.meaning + unit}
    return {"type": "object", "required": ["customer_id", "churned_at"], "properties": properties}
