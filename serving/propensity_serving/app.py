"""The HTTP application: a Starlette app that BentoML mounts, and that runs on any ASGI server as well."""

from __future__ import annotations

from importlib.metadata import entry_points

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from propensity_serving.answering import Answering
from propensity_serving.openapi import specification
from propensity_serving.problems import Faults, Problem, tell_http_problem, tell_problem
from propensity_serving.routes import customers, decisions, holdouts, models, outcomes, suppressions
from propensity_serving.state import ServingState

PAGES = "propensity.pages"
"""Entry points of this group make an ASGI app of pages from a ledger; each is mounted under its own name."""


def build_app(state: ServingState) -> Starlette:
    """The application around a worker's state."""

    async def openapi(request: Request) -> Response:
        return JSONResponse(specification(state.model))

    return Starlette(
        routes=[
            *decisions.routes(state, Answering(state)),
            *outcomes.routes(state),
            *suppressions.routes(state),
            *holdouts.routes(state),
            *customers.routes(state),
            *models.routes(state),
            Route("/openapi.json", openapi),
            *_pages(state),
        ],
        exception_handlers={Problem: tell_problem, HTTPException: tell_http_problem},
        middleware=[Middleware(Faults)],
    )


def _pages(state: ServingState) -> list[BaseRoute]:
    routes: list[BaseRoute] = []
    for pages in entry_points(group=PAGES):
        routes += [
            Mount(f"/{pages.name}", app=pages.load()(lambda: state.required()[1])),
            Route(f"/{pages.name}", lambda _, name=pages.name: RedirectResponse(f"/{name}/")),
        ]
    return routes
