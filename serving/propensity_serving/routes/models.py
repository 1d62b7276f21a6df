"""`/v1/models`: what serves, since when."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from propensity.model import DecisionModel
from propensity_serving.described import OPTIONAL_TEXT, problems
from propensity_serving.problems import Problem
from propensity_serving.state import ServingState, described


def routes(state: ServingState) -> list[BaseRoute]:
    """The routes around a worker's state."""

    async def models(request: Request) -> Response:
        return JSONResponse(answer(state))

    return [Route("/v1/models", models)]


def answer(state: ServingState) -> dict[str, Any]:
    """What serves in the worker that answers, and what it knows of the registry.

    Raises
    ------
    Problem
        503: nothing serves yet.
    """
    serving, refused, down = state.serving, state.refused, state.registry_down_since
    if serving is None:
        why = f"; version {refused.pointed.version} was refused: {refused.told}" if refused else ""
        raise Problem(503, "Not ready", f"no model is loaded yet; try again in a few seconds{why}")
    return {
        **described(serving),
        "registry_down_since": down.isoformat() if down else None,
        "refused": {
            "name": refused.pointed.name,
            "version": refused.pointed.version,
            "since": refused.since.isoformat(),
            "why": refused.told,
        }
        if refused
        else None,
        "previous": list(reversed(state.previous)),
    }


_TIME = {"type": ["string", "null"], "format": "date-time"}
_MODEL: dict[str, Any] = {
    "name": {**OPTIONAL_TEXT, "description": "of the registered model; null for one that was given by hand"},
    "version": {**OPTIONAL_TEXT, "description": "in the registry"},
    "model_version": {"type": "string", "description": "name and version, as decisions are recorded with"},
    "mode": {"type": "string", "enum": ["per_person", "one_action", "nobody"]},
    "playbook": {"type": "string"},
    "playbook_version": {"type": "string"},
    "alias": {"type": "string"},
    "registered_at": {**_TIME, "description": "when it was registered, at the end of its training"},
    "serving_since": {"type": "string", "format": "date-time"},
    "source": {
        "type": ["string", "null"],
        "enum": ["registry", "last good copy", None],
        "description": "last good copy: the registry did not answer, or its version was refused",
    },
}


def paths() -> dict[str, Any]:
    """What `openapi.json` says of the routes."""
    return {
        "/v1/models": {
            "get": {
                "summary": "What serves, since when",
                "description": "Of the worker that answers; each follows the registry's alias within one poll.",
                "responses": {
                    "200": {
                        "description": "The model",
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Models"}}},
                    },
                    **problems("503"),
                },
            }
        },
    }


def schemas(model: DecisionModel | None) -> dict[str, Any]:
    """Objects that the paths name."""
    refused = {
        "type": ["object", "null"],
        "description": "the version that the alias points to, where it did not pass its checks",
        "properties": {k: {"type": "string"} for k in ("name", "version", "since", "why")},
    }
    before = {"type": "object", "properties": {**_MODEL, "until": {"type": "string", "format": "date-time"}}}
    return {
        "Models": {
            "type": "object",
            "required": [*_MODEL, "registry_down_since", "refused", "previous"],
            "properties": {
                **_MODEL,
                "registry_down_since": {**_TIME, "description": "null while the registry answers"},
                "refused": refused,
                "previous": {"type": "array", "items": before, "description": "that served before, newest first"},
            },
        }
    }
