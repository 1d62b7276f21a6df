"""The HTTP application: a Starlette app that BentoML mounts, and that runs on any ASGI server as well."""

from __future__ import annotations

import json
import logging
from importlib.metadata import entry_points
from typing import Any

import pandas as pd
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from propensity.decide_online import decide_online
from propensity.ledger import Ledger
from propensity.model import DecisionModel
from propensity.pages.decision_words import EXPLANATION, explanation
from propensity_serving.openapi import specification
from propensity_serving.requests import (
    CheckedCustomers,
    DecisionRequest,
    Problem,
    check_customers,
    parse_decision_request,
    read_json,
)
from propensity_serving.state import ServingState
from propensity_serving.what_if import what_if

PAGES = "propensity.pages"
"""Entry points of this group make an ASGI app of pages from a ledger; each is mounted under its own name."""

logger = logging.getLogger("propensity.serving")

INDEX = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Propensity</title>
<link rel="stylesheet" href="static_content/swagger-ui.css">
<style>body { margin: 0; font-family: system-ui, sans-serif } header { padding: 1rem 1.5rem; background: #17324d }
header a { color: #fff; margin-right: 1.5rem } header strong { color: #fff; margin-right: 2rem }</style>
</head>
<body>
<header><strong>Propensity</strong><a href="experiments/">Experiments</a><a href="v1/models">Model</a>
<a href="metrics">Metrics</a><a href="openapi.json">OpenAPI</a></header>
<main id="api"><noscript>The API is described in <a href="openapi.json">openapi.json</a>.</noscript></main>
<script src="static_content/swagger-ui-bundle.js"></script>
<script>SwaggerUIBundle({ url: "openapi.json", dom_id: "#api", validatorUrl: null })</script>
</body>
</html>
"""


def build_app(state: ServingState) -> Starlette:
    """The application around a worker's state."""

    async def decisions(request: Request) -> Response:
        asked = parse_decision_request(await read_json(request))
        return JSONResponse(await run_in_threadpool(answer, state, asked))

    async def models(request: Request) -> Response:
        model, _ = _ready(state)
        return JSONResponse(
            {
                "model_version": model.version,
                "mode": model.mode,
                "playbook": model.playbook.name,
                "playbook_version": model.playbook.version,
                "serving_since": state.serving_since.isoformat() if state.serving_since else None,
            }
        )

    async def openapi(request: Request) -> Response:
        return JSONResponse(specification(state.model))

    routes: list[BaseRoute] = [
        Route("/v1/decisions", decisions, methods=["POST"]),
        Route("/v1/models", models),
        Route("/openapi.json", openapi),
    ]
    for pages in entry_points(group=PAGES):
        routes += [
            Mount(f"/{pages.name}", app=pages.load()(lambda: _ready(state)[1])),
            Route(f"/{pages.name}", lambda _, name=pages.name: RedirectResponse(f"/{name}/")),
        ]
    return Starlette(
        routes=routes,
        exception_handlers={Problem: _problem, HTTPException: _http_problem},
        middleware=[Middleware(Faults)],
    )


def answer(state: ServingState, asked: DecisionRequest) -> dict[str, Any]:
    """Decide for the customers of a request, and record the decisions unless it is a dry run.

    Returns
    -------
    dict
        ``model_version`` and ``decisions``, one an asked customer and in that order: a decision with ``status``
        "decided", or ``status`` "rejected" with ``error``. A dry run with scenarios also has ``what_if``.
    """
    model, ledger = _ready(state)
    at = pd.Timestamp(asked.at) if asked.at is not None else pd.Timestamp.now("UTC")
    at = at.tz_convert("UTC")
    checked = check_customers(asked.rows, model.playbook, at)
    answers: list[dict[str, Any]] = []
    if len(checked.table):
        answers = decide_online(model, ledger, checked.table, at=at, campaign=asked.campaign, dry_run=asked.dry_run)
    if asked.explain:
        currency = model.playbook.currency
        answers = [decision | {EXPLANATION: explanation(decision, currency)} for decision in answers]
    content: dict[str, Any] = {
        "model_version": model.version,
        "decisions": [_item(i, row, checked, answers) for i, row in enumerate(asked.rows)],
    }
    if asked.scenarios is not None and answers:
        table, campaign = checked.table, asked.campaign
        content["what_if"] = what_if(model, ledger, table, asked.scenarios, at=at, campaign=campaign)
    return content


def _item(number: int, row: dict[str, Any], checked: CheckedCustomers, answers: list[dict[str, Any]]) -> dict[str, Any]:
    if number in checked.faults:
        key = row.get("customer_id")
        told = str(key) if isinstance(key, (str, int, float)) else None
        return {"customer_id": told, "status": "rejected", "error": checked.faults[number]}
    return {"status": "decided", **answers[checked.position[number]]}


def _ready(state: ServingState) -> tuple[DecisionModel, Ledger]:
    if state.model is None or state.ledger is None:
        raise Problem(503, "Not ready", "the model or the ledger is not loaded yet; try again in a few seconds")
    return state.model, state.ledger


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # registered for this class
    return _problem_response(error.status, error.title, error.detail)


async def _http_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # registered for this class
    response = _problem_response(error.status_code, error.detail, f"{request.method} {request.url.path}")
    response.headers.update(error.headers or {})
    return response


class Faults:
    """Turns an internal fault into a problem, and logs it without what it said.

    The type and place of a fault are logged, never its message: that could hold a customer's data. For the same
    reason the fault ends here; a server would log all of it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on; answer in the application's place where it fails."""
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except Exception as error:  # noqa: BLE001 - whatever went wrong, the caller gets an answer
            place = error.__traceback__
            while place is not None and place.tb_next is not None:
                place = place.tb_next
            where = f"{place.tb_frame.f_code.co_filename}:{place.tb_lineno}" if place else "unknown"
            what = f"{scope.get('method')} {scope.get('path')}"
            logger.error("%s failed: %s at %s", what, type(error).__name__, where)
            if not started:
                detail = "the request could not be answered; it has been logged"
                await _problem_response(500, "Internal error", detail)(scope, receive, send)


def _problem_response(status: int, title: str, detail: str) -> Response:
    content = {"type": "about:blank", "status": status, "title": title, "detail": detail}
    return Response(json.dumps(content), status, media_type="application/problem+json")


class FrontPage:
    """Serves the index page in place of BentoML's, which loads a script from outside."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer ``/``; pass everything else on."""
        if scope["type"] == "http" and scope["path"] == "/":
            await HTMLResponse(INDEX)(scope, receive, send)
        else:
            await self.app(scope, receive, send)
