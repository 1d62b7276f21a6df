"""Paths hold customers' ids: BentoML, which labels its metrics by path, sees their templates instead."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from propensity_serving.edge.asked import ASKED

_PATH = "propensity.path"


class HiddenPath:
    """Puts the template of a path in its place; `RealPath` takes it back."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on."""
        asked = ASKED.get()
        if scope["type"] == "http" and asked is not None:
            scope = {**scope, "path": asked.rule.template, _PATH: scope["path"]}
        await self.app(scope, receive, send)


class RealPath:
    """Inside of BentoML's metrics, the path is what was asked for."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on."""
        if _PATH in scope:
            scope = {**scope, "path": scope[_PATH]}
        await self.app(scope, receive, send)
