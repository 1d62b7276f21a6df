"""What Prometheus is told. Labels are words of the service and of playbooks: never a customer, never a path as asked.

With several workers prometheus-client keeps each one's figures in files (``PROMETHEUS_MULTIPROC_DIR``, which BentoML
sets) and adds them up when it is asked. It reads that variable when it is imported, so only workers import this module.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_DECISIONS = Counter(
    "propensity_decisions", "Decisions given, by what made them and what is done", ["assignment", "action", "dry_run"]
)
_REJECTED = Counter("propensity_rejected_customers", "Customers of requests for decisions who had a fault")
_FALLBACKS = Counter("propensity_fallbacks", "Decisions by rules in the model's place, or where limits left nothing")
_SECONDS = Histogram(
    "propensity_request_seconds",
    "Time until the answer began, by route",
    ["route", "method", "status"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
_SERVING = Gauge(
    "propensity_model_info", "1 for the version that serves", ["name", "version"], multiprocess_mode="mostrecent"
)
_SINCE = Gauge(
    "propensity_model_serving_since_timestamp_seconds",
    "When the model that serves began to",
    multiprocess_mode="mostrecent",
)
_REGISTERED = Gauge(
    "propensity_model_registered_timestamp_seconds",
    "When the model that serves was registered, after its training; 0: unknown",
    multiprocess_mode="mostrecent",
)
_FROM_COPY = Gauge(
    "propensity_model_from_last_good_copy",
    "1 while a worker serves its last good copy and not the registry's version",
    multiprocess_mode="livemax",
)
_LOADED = Counter("propensity_models_loaded", "Models that passed their checks and began to serve, by worker")
_REFUSED = Counter("propensity_models_refused", "Models that did not pass their checks, by worker")
_REGISTRY_UP = Gauge(
    "propensity_registry_up", "0 while the registry does not answer a worker", multiprocess_mode="livemin"
)
_LEDGER_UP = Gauge("propensity_ledger_up", "0 while the ledger does not answer a worker", multiprocess_mode="livemin")
_WRITTEN = Gauge(
    "propensity_ledger_last_write_timestamp_seconds",
    "When the ledger last acknowledged a write of the service",
    multiprocess_mode="max",
)
_WRITE_SECONDS = Histogram("propensity_ledger_request_seconds", "Time to decide and have it acknowledged by the ledger")


def decided(answers: Iterable[Mapping[str, Any]], *, dry_run: bool) -> None:
    """Count decisions as they are answered; a repeat counts again."""
    for answer in answers:
        _DECISIONS.labels(str(answer["assignment"]), str(answer["action"]), str(dry_run).lower()).inc()
        if answer["assignment"] == "fallback":
            _FALLBACKS.inc()


def rejected(n_customers: int) -> None:
    """Count customers with a fault."""
    _REJECTED.inc(n_customers)


def ledger_written(seconds: float) -> None:
    """Note that the ledger acknowledged a write, and how long it took to decide and write."""
    _WRITTEN.set_to_current_time()
    _WRITE_SECONDS.observe(seconds)


def ledger_answers(up: bool) -> None:
    """Note whether the ledger answered."""
    _LEDGER_UP.set(up)


def registry_answers(up: bool) -> None:
    """Note whether the registry answered."""
    _REGISTRY_UP.set(up)


def model_serves(
    name: str,
    version: str,
    since: datetime,
    registered_at: datetime | None,
    *,
    from_copy: bool,
    instead_of: tuple[str, str] | None,
) -> None:
    """Note which version serves, and that the one before (name, version) does not any more."""
    if instead_of is not None and instead_of != (name, version):
        _SERVING.labels(*instead_of).set(0)
    _SERVING.labels(name, version).set(1)
    _SINCE.set(since.timestamp())
    _REGISTERED.set(registered_at.timestamp() if registered_at else 0)
    _FROM_COPY.set(from_copy)


def model_loaded() -> None:
    """Count a model that passed its checks."""
    _LOADED.inc()


def model_refused() -> None:
    """Count a model that did not."""
    _REFUSED.inc()


class Timed:
    """Measures the time of each request until its answer begins, by the route that answered it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        mounted = scope.get("route")

        async def timed(message: Message) -> None:
            if message["type"] == "http.response.start":
                found = scope.get("route")
                route = getattr(found, "path", "none") if found is not mounted else "none"
                method = scope["method"] if scope["method"] in _METHODS else "other"
                _SECONDS.labels(route, method, str(message["status"])).observe(time.perf_counter() - started)
            await send(message)

        await self.app(scope, receive, timed)


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def routes() -> list[BaseRoute]:
    """``/metrics``, for all workers together whichever of them answers."""

    def metrics(request: Request) -> Response:
        return Response(text(), media_type=CONTENT_TYPE_LATEST)

    return [Route("/metrics", metrics)]


def text() -> bytes:
    """All figures, in Prometheus's own format."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(REGISTRY)
    _forget_dead_workers(Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]))
    together = CollectorRegistry()
    MultiProcessCollector(together)
    return generate_latest(together)


def _forget_dead_workers(directory: Path) -> None:
    """Remove what workers that are gone said of themselves; their counts stay."""
    for pid in {int(file.stem.rpartition("_")[2]) for file in directory.glob("gauge_live*_*.db")}:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            mark_process_dead(pid)
        except PermissionError:  # it is alive, and somebody else's
            continue
