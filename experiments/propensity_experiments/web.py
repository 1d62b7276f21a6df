"""The pages, as an ASGI application that the service mounts."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import quote

import pandas as pd
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from propensity.errors import InputError
from propensity.ledger import Ledger, LedgerUnavailable
from propensity_experiments import downloads, page, pdf
from propensity_experiments.background import Background, Made
from propensity_experiments.contents import Summary
from propensity_experiments.listing import Listed, listed
from propensity_experiments.summary import summarise

FILES: dict[str, tuple[str, Callable[[Summary], str | bytes]]] = {
    ".csv": ("text/csv; charset=utf-8", downloads.as_csv),
    ".json": ("application/json", downloads.as_json),
    ".pdf": ("application/pdf", pdf.as_pdf),
}
"""Media type and maker of each file that an experiment can be had as, by its ending."""

KEPT_SECONDS, KEPT = 60.0, 8
"""A summary is shown again for so long, so many of them: a page and its files hold the same figures."""
LIST_SECONDS = 5.0
"""The list of experiments is shown again for so long."""
PATIENCE_SECONDS = 2.0
"""A request waits for what is being computed for so long; the service itself gives a request 10 seconds."""
AGAIN_SECONDS = 5
"""After which a page that waits asks again."""
_AGAIN = {"retry-after": str(AGAIN_SECONDS), "cache-control": "no-store"}

Summariser = Callable[[Ledger, str], Summary]


def summary_of_now(ledger: Ledger, campaign: str) -> Summary:
    """The summary of a campaign as the ledger is."""
    return summarise(ledger, campaign, now=pd.Timestamp.now("UTC"))


class Desk:
    """Answers for pages and files, from what is made in the background."""

    def __init__(self, ledger: Callable[[], Ledger], summariser: Summariser, patience_seconds: float) -> None:
        self._ledger, self._summariser, self._patience = ledger, summariser, patience_seconds
        self.lists: Background[list[Listed]] = Background(fresh_seconds=LIST_SECONDS, kept=1)
        self.summaries: Background[Summary] = Background(fresh_seconds=KEPT_SECONDS, kept=KEPT)
        # what was made of one summary stays what it is
        self.files: Background[str | bytes] = Background(fresh_seconds=math.inf, kept=2 * KEPT)

    def index(self) -> Response:
        """The list of experiments."""
        found = self.lists.of("", lambda: listed(self._ledger(), datetime.now(UTC)), self._patience)
        if found is None:
            return _waiting_page("The list of experiments")
        return HTMLResponse(page.render_list(found.value))

    def one(self, asked: str, *, by_browser: bool) -> Response:
        """A page, or a file where no experiment has the whole of what is asked for as its name."""
        name, ending = next(((asked.removesuffix(e), e) for e in FILES if asked.endswith(e)), (asked, ""))
        if ending and asked in {row["campaign"] for row in self._ledger().campaigns()}:
            name, ending = asked, ""
        until = time.monotonic() + self._patience
        summary = self.summary(name, self._patience)
        if summary is None:
            return _waiting(name, page_asks=by_browser or not ending)
        made = FILES[ending][1] if ending else _served
        # drawing charts takes as long as many a summary, and a PDF takes seconds
        left = max(0.0, until - time.monotonic())
        file = self.files.of((name, ending, summary.value.as_of), lambda: made(summary.value), left)
        if file is None:
            return _waiting(name, page_asks=by_browser or not ending)
        if ending:
            saved_as = f"attachment; filename*=UTF-8''{quote(name.rsplit('/', 1)[-1] + ending, safe='')}"
            return Response(file.value, media_type=FILES[ending][0], headers={"content-disposition": saved_as})
        html = page.with_newer_under_way(str(file.value)) if summary.stale else str(file.value)
        return HTMLResponse(html, headers={"content-security-policy": page.served_policy()})

    def summary(self, campaign: str, patience_seconds: float) -> Made[Summary] | None:
        """The summary of a campaign, of now or of a minute ago; an older one, or None, while it is computed."""
        self._ledger().campaign(campaign)  # a name that is not there is told at once, and is never waited for
        return self.summaries.of(campaign, lambda: self._summariser(self._ledger(), campaign), patience_seconds)


def _served(summary: Summary) -> str:
    return page.render(summary, "served")


def pages(
    ledger: Callable[[], Ledger],
    *,
    summariser: Summariser = summary_of_now,
    patience_seconds: float = PATIENCE_SECONDS,
) -> Starlette:
    """The list of experiments, the page of each, and its files: its address with ``.csv``, ``.json`` or ``.pdf``.

    What is not computed yet is answered with 202: a page that asks again by itself, or for files a sentence with
    ``Retry-After``.

    Parameters
    ----------
    ledger : callable
        Gives the open ledger; called for each request.
    summariser : callable
        Computes the summary of a campaign from a ledger.
    patience_seconds : float
        How long a request waits for what is being computed.
    """
    desk = Desk(ledger, summariser, patience_seconds)

    async def index(request: Request) -> Response:
        return await run_in_threadpool(desk.index)

    async def one(request: Request) -> Response:
        try:
            by_browser = "text/html" in request.headers.get("accept", "")
            return await run_in_threadpool(desk.one, request.path_params["asked"], by_browser=by_browser)
        except pdf.NoPdfError as error:
            return HTMLResponse(page.render_problem("There is no PDF here", str(error)), 501)
        except InputError as error:
            return HTMLResponse(page.render_problem("This experiment cannot be shown", str(error)), 404)

    async def away(request: Request, error: Exception) -> Response:
        html = page.render_problem("Nothing can be shown at the moment", "the ledger does not answer; try again soon")
        return HTMLResponse(html, 503, {"retry-after": "2"})

    async def broken(request: Request, error: Exception) -> Response:
        html = page.render_problem(
            "This could not be computed", f"{type(error).__name__}: {error}. The service's log says more."
        )
        return HTMLResponse(html, 500)

    made = Starlette(
        routes=[Route("/", index), Route("/{asked:path}", one)],
        exception_handlers={LedgerUnavailable: away, Exception: broken},
    )
    made.state.desk = desk
    return made


def _waiting(campaign: str, *, page_asks: bool) -> Response:
    """To a browser the page that asks again by itself, also for a file; to a program a sentence."""
    if page_asks:
        return _waiting_page(f"The summary of {campaign}")
    detail = f"the summary of {campaign} is being computed; ask again in {AGAIN_SECONDS} seconds"
    return JSONResponse({"detail": detail}, 202, _AGAIN)


def _waiting_page(what: str) -> Response:
    return HTMLResponse(page.render_waiting(what, AGAIN_SECONDS), 202, _AGAIN)
