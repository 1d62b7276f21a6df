"""The pages, as an ASGI application that the service mounts."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from propensity.errors import InputError
from propensity.ledger import Ledger, LedgerUnavailable
from propensity_experiments import page
from propensity_experiments.summary import summarise


def pages(ledger: Callable[[], Ledger]) -> Starlette:
    """The list of experiments and the page of each.

    Parameters
    ----------
    ledger : callable
        Gives the open ledger; called for each request.
    """

    async def index(request: Request) -> Response:
        campaigns = await run_in_threadpool(ledger().campaigns)
        return HTMLResponse(page.render_list(campaigns))

    async def one(request: Request) -> Response:
        try:
            html = await run_in_threadpool(_render, ledger(), request.path_params["campaign"])
        except InputError as error:
            return HTMLResponse(page.render_problem("This experiment cannot be shown", str(error)), 404)
        return HTMLResponse(html)

    async def away(request: Request, error: Exception) -> Response:
        html = page.render_problem("Nothing can be shown at the moment", "the ledger does not answer; try again soon")
        return HTMLResponse(html, 503, {"retry-after": "2"})

    routes = [Route("/", index), Route("/{campaign:path}", one)]
    return Starlette(routes=routes, exception_handlers={LedgerUnavailable: away})


def _render(ledger: Ledger, campaign: str) -> str:
    return page.render(summarise(ledger, campaign, now=pd.Timestamp.now("UTC")))
