"""`/v1/models`: what serves, since when."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from propensity.model import DecisionModel
from propensity_serving.described import problems
from propensity_serving.state import ServingState


def routes(state: ServingState) -> list[BaseRoute]:
    """The routes around a worker's state."""

    async def models(request: Request) -> Response:
        model, _ = state.required()
        return JSONResponse(
            {
                "model_version": model.version,
                "mode": model.mode,
                "playbook": model.playbook.name,
                "playbook_version": model.playbook.version,
                "serving_since": state.serving_since.isoformat() if state.serving_since else None,
            }
        )

    return [Route("/v1/models", models)]


def paths() -> dict[str, Any]:
    """What `openapi.json` says of the routes."""
    return {
        "/v1/models": {
            "get": {
                "summary": "What serves, since when",
                "responses": {
                    "200": {"description": "The model", "content": {"application/json": {}}},
                    **problems("503"),
                },
            }
        },
    }


def schemas(model: DecisionModel | None) -> dict[str, Any]:
    """Objects that the paths name: none."""
    return {}
