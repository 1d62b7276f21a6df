"""Customer ids stand in paths, and must stand in no access log, trace or metric."""

from __future__ import annotations

from typing import Any

PREFIXES = ("/v1/customers/", "/v1/holdouts/")
"""Of paths that end in a customer id."""
_TRUE_PATH, _TRUE_RAW_PATH = "propensity.path", "propensity.raw_path"


def masked(path: str) -> str:
    """A path as a log may hold it."""
    prefix = next((p for p in PREFIXES if path.startswith(p)), None)
    return path if prefix is None else prefix + "{customer_id}"


def hide_from_server() -> None:
    """Let BentoML's metrics and logs see masked paths; `RestorePath` gives the application the true ones.

    The outermost of its layers counts requests by path, and there is no place for a layer of ours around it.
    """
    from bentoml._internal.server.http.instruments import RunnerTrafficMetricsMiddleware

    counted = RunnerTrafficMetricsMiddleware.__call__

    async def call(self: Any, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and (path := masked(scope["path"])) != scope["path"]:
            true = {_TRUE_PATH: scope["path"], _TRUE_RAW_PATH: scope.get("raw_path")}
            scope = {**scope, **true, "path": path, "raw_path": path.encode()}
        await counted(self, scope, receive, send)

    RunnerTrafficMetricsMiddleware.__call__ = call


class RestorePath:
    """Gives the application the path that was asked for."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass on, with the true path."""
        if _TRUE_PATH in scope:
            scope = {**scope, "path": scope[_TRUE_PATH], "raw_path": scope[_TRUE_RAW_PATH]}
        await self.app(scope, receive, send)
