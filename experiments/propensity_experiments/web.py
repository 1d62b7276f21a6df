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
from propensity_experiments import downloads, page, pdf
from propensity_experiments.contents import Summary
from propensity_experiments.summary import summarise

FILES: dict[str, tuple[str, Callable[[Summary], str | bytes]]] = {
    ".csv": ("text/csv; charset=utf-8", downloads.as_csv),
    ".json": ("application/json", downloads.as_json),
    ".pdf": ("application/pdf", pdf.as_pdf),
}
"""Media type and maker of each file that an experiment can be had as, by its ending."""


def pages(ledger: Callable[[], Ledger]) -> Starlette:
    """The list of experiments, the page of each, and its files: its address with ``.csv``, ``.json`` or ``.pdf``.

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
            return await run_in_threadpool(_answer, ledger(), request.path_params["asked"])
        except pdf.NoPdfError as error:
            return HTMLResponse(page.render_problem("There is no PDF here", str(error)), 501)
        except InputError as error:
            return HTMLResponse(page.render_problem("This experiment cannot be shown", str(error)), 404)

    async def away(request: Request, error: Exception) -> Response:
        html = page.render_problem("Nothing can be shown at the moment", "the ledger does not answer; try again soon")
        return HTMLResponse(html, 503, {"retry-after": "2"})

    routes = [Route("/", index), Route("/{asked:path}", one)]
    return Starlette(routes=routes, exception_handlers={LedgerUnavailable: away})


def _answer(ledger: Ledger, asked: str) -> Response:
    """A page, or a file where no experiment has the whole of what is asked for as its name."""
    name, ending = next(((asked.removesuffix(e), e) for e in FILES if asked.endswith(e)), (asked, ""))
    if not ending or asked in {row["campaign"] for row in ledger.campaigns()}:
        html = page.render(summarise(ledger, asked, now=pd.Timestamp.now("UTC")), "served")
        return HTMLResponse(html, headers={"content-security-policy": page.served_policy()})
    media_type, made = FILES[ending]
    return Response(made(summarise(ledger, name, now=pd.Timestamp.now("UTC"))), media_type=media_type)
