"""The pages, as an ASGI application that the service mounts."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
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


KEPT_SECONDS, KEPT = 60.0, 8
"""A summary is shown again for so long, so many of them: a page and its files hold the same figures."""


class _Recent:
    """Summaries that were computed a moment ago; one that is being computed is waited for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._computing: dict[str, threading.Lock] = {}
        self._found: OrderedDict[str, tuple[float, Summary]] = OrderedDict()

    def of(self, ledger: Ledger, campaign: str) -> Summary:
        """The summary of a campaign of now, or of at most a minute ago."""
        with self._lock:
            mine = self._computing.setdefault(campaign, threading.Lock())
        try:
            with mine:
                kept = self._found.get(campaign)
                if kept is not None and time.monotonic() - kept[0] < KEPT_SECONDS:
                    return kept[1]
                found = summarise(ledger, campaign, now=pd.Timestamp.now("UTC"))
                with self._lock:
                    self._found[campaign] = (time.monotonic(), found)
                    while len(self._found) > KEPT:
                        self._found.popitem(last=False)
                return found
        finally:
            with self._lock:
                # names that are not there must not pile up
                if campaign not in self._found:
                    self._computing.pop(campaign, None)


def pages(ledger: Callable[[], Ledger]) -> Starlette:
    """The list of experiments, the page of each, and its files: its address with ``.csv``, ``.json`` or ``.pdf``.

    Parameters
    ----------
    ledger : callable
        Gives the open ledger; called for each request.
    """

    recent = _Recent()

    async def index(request: Request) -> Response:
        campaigns = await run_in_threadpool(ledger().campaigns)
        return HTMLResponse(page.render_list(campaigns))

    async def one(request: Request) -> Response:
        try:
            return await run_in_threadpool(_answer, recent, ledger(), request.path_params["asked"])
        except pdf.NoPdfError as error:
            return HTMLResponse(page.render_problem("There is no PDF here", str(error)), 501)
        except InputError as error:
            return HTMLResponse(page.render_problem("This experiment cannot be shown", str(error)), 404)

    async def away(request: Request, error: Exception) -> Response:
        html = page.render_problem("Nothing can be shown at the moment", "the ledger does not answer; try again soon")
        return HTMLResponse(html, 503, {"retry-after": "2"})

    routes = [Route("/", index), Route("/{asked:path}", one)]
    return Starlette(routes=routes, exception_handlers={LedgerUnavailable: away})


def _answer(recent: _Recent, ledger: Ledger, asked: str) -> Response:
    """A page, or a file where no experiment has the whole of what is asked for as its name."""
    name, ending = next(((asked.removesuffix(e), e) for e in FILES if asked.endswith(e)), (asked, ""))
    if not ending or asked in {row["campaign"] for row in ledger.campaigns()}:
        html = page.render(recent.of(ledger, asked), "served")
        return HTMLResponse(html, headers={"content-security-policy": page.served_policy()})
    media_type, made = FILES[ending]
    return Response(made(recent.of(ledger, name)), media_type=media_type)
