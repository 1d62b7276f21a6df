"""`/v1/holdouts`: who is held out, for tools that cannot ask for a decision before each message."""

from __future__ import annotations

from typing import Any

import pandas as pd
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from propensity.model import DecisionModel
from propensity.playbook import Learning
from propensity.policy import is_held_out
from propensity_serving.described import problems
from propensity_serving.fields import MAX_TEXT, Unfit, customer_in_path, text_of
from propensity_serving.problems import Problem
from propensity_serving.state import ServingState


def routes(state: ServingState) -> list[BaseRoute]:
    """The routes around a worker's state."""

    async def holdouts(request: Request) -> Response:
        model, _ = state.required()
        try:
            campaign = text_of("campaign", request.query_params.get("campaign"))
        except Unfit as error:
            raise Problem(422, "Request not understood", f"{error} (as in ?campaign=spring)") from error
        return JSONResponse(holdout(model.playbook.learning, customer_in_path(request), campaign))

    return [Route("/v1/holdouts/{customer_id:customer}", holdouts)]


def holdout(learning: Learning, customer_id: str, campaign: str) -> dict[str, Any]:
    """Whether a person is held out, everywhere or in a campaign; it depends on nothing else, and never changes."""

    def held(**none: float) -> bool:
        return bool(is_held_out(pd.Series([customer_id]), campaign, learning.model_copy(update=none))[0])

    return {
        "customer_id": customer_id,
        "campaign": campaign,
        "held_out": held(),
        "global_holdout": held(campaign_holdout_share=0.0),
        "campaign_holdout": held(holdout_share=0.0),
    }


def paths() -> dict[str, Any]:
    """What `openapi.json` says of the routes."""
    return {
        "/v1/holdouts/{customer_id}": {
            "get": {
                "summary": "Whether a person is held out",
                "description": (
                    "The draw that decisions use: the same always, also for people of whom nothing is known. As long "
                    "as the playbook's shares and salt stay, the answer may be kept. Who is not held out may still "
                    "have opted out: that only a decision tells."
                ),
                "parameters": [
                    {"name": "customer_id", "in": "path", "required": True, "schema": text_schema()},
                    {"name": "campaign", "in": "query", "required": True, "schema": text_schema()},
                ],
                "responses": {
                    "200": {
                        "description": "Held out or not",
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Holdout"}}},
                    },
                    **problems("422", "500", "503"),
                },
            }
        },
    }


def text_schema() -> dict[str, Any]:
    """A text in a path or query."""
    return {"type": "string", "minLength": 1, "maxLength": MAX_TEXT, "pattern": "\\S"}


def schemas(model: DecisionModel | None) -> dict[str, Any]:
    """Objects that the paths name."""
    flag = {"type": "boolean"}
    return {
        "Holdout": {
            "type": "object",
            "required": ["customer_id", "campaign", "held_out", "global_holdout", "campaign_holdout"],
            "properties": {
                "customer_id": {"type": "string"},
                "campaign": {"type": "string"},
                "held_out": {**flag, "description": "in one of the two: send nothing"},
                "global_holdout": {**flag, "description": "from every campaign"},
                "campaign_holdout": {**flag, "description": "from this campaign"},
            },
        }
    }
