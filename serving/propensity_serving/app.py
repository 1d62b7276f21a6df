"""The HTTP application: a Starlette app that BentoML mounts, and that runs on any ASGI server as well."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import entry_points

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from propensity_serving import metrics
from propensity_serving.answering import Answering
from propensity_serving.lazy import LazyApp
from propensity_serving.openapi import specification
from propensity_serving.problems import Faults, Problem, tell_http_problem, tell_problem
from propensity_serving.routes import customers, decisions, holdouts, models, outcomes, suppressions
from propensity_serving.state import ServingState

PAGES = "propensity.pages"
"""Entry points of this group make an ASGI app of pages from a ledger; each is mounted under its own name."""


def build_app(state: ServingState) -> Starlette:
    """The application around a worker's state."""
    answering = Answering(state)

    async def openapi(request: Request) -> Response:
        return JSONResponse(specification(state.model))

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        # no request is open any more; what was begun in their place is finished
        await run_in_threadpool(answering.close)

    return Starlette(
        routes=[
            *decisions.routes(state, answering),
            *outcomes.routes(state),
            *suppressions.routes(state),
            *holdouts.routes(state),
            *customers.routes(state),
            *models.routes(state),
            *metrics.routes(),
            Route("/openapi.json", openapi),
            *_pages(state),
        ],
        exception_handlers={Problem: tell_problem, HTTPException: tell_http_problem},
        middleware=[Middleware(metrics.Timed), Middleware(Faults)],
        lifespan=lifespan,
    )


def _pages(state: ServingState) -> list[BaseRoute]:
    routes: list[BaseRoute] = []
    for pages in entry_points(group=PAGES):
        routes += [
            Mount(f"/{pages.name}", app=LazyApp(lambda pages=pages: pages.load()(lambda: state.required()[1]))),
            Route(f"/{pages.name}", lambda _, name=pages.name: RedirectResponse(f"/{name}/")),
        ]
    return routes
