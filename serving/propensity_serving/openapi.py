"""The service's own description, put together from what each module of routes says."""

from __future__ import annotations

from typing import Any

from propensity import __version__
from propensity.model import DecisionModel
from propensity_serving.described import problems
from propensity_serving.routes import customers, decisions, holdouts, models, outcomes, suppressions

_PROBLEM = {
    "type": "object",
    "properties": {
        "type": {"type": "string"},
        "status": {"type": "integer"},
        "title": {"type": "string"},
        "detail": {"type": "string"},
    },
}


_ALWAYS = problems("401", "403", "408", "413", "414", "421", "429", "431", "500", "503", "504")
"""What the edge and the server may answer on every route."""

_PARTS: tuple[Any, ...] = (decisions, outcomes, suppressions, holdouts, customers, models)


def specification(model: DecisionModel | None) -> dict[str, Any]:
    """OpenAPI 3.1 description; with a model, its features are part of a customer."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Propensity",
            "version": __version__,
            "description": "Whom to contact, with which archetype, channel and offer.",
        },
        "paths": {path: _with_problems(said) for part in _PARTS for path, said in part.paths().items()},
        "components": {"schemas": {**_schemas(model), "Problem": _PROBLEM}},
    }


def _with_problems(path: dict[str, Any]) -> dict[str, Any]:
    """A path with the problems of the edge added to each of its methods."""
    return {
        name: {**said, "responses": {**said["responses"], **_ALWAYS}} if isinstance(said, dict) else said
        for name, said in path.items()
    }


def _schemas(model: DecisionModel | None) -> dict[str, Any]:
    return {name: said for part in _PARTS for name, said in part.schemas(model).items()}
