"""Applications that are made later than they are named, because what they import takes long."""

from __future__ import annotations

import threading
from collections.abc import Callable

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Receive, Scope, Send


class LateApp(Starlette):
    """An application that is empty until it becomes another."""

    def become(self, app: Starlette) -> None:
        """Have another's routes, middleware and handlers."""
        self.router, self.state = app.router, app.state
        self.user_middleware, self.exception_handlers = app.user_middleware, app.exception_handlers


class LazyApp:
    """Makes an application when it is first asked, once, in a thread, so that other requests are answered meanwhile."""

    def __init__(self, make: Callable[[], ASGIApp]) -> None:
        self._make = make
        self._app: ASGIApp | None = None
        self._lock = threading.Lock()

    def made(self) -> ASGIApp:
        """The application."""
        with self._lock:
            if self._app is None:
                self._app = self._make()
            return self._app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on to the application."""
        app = self._app or await run_in_threadpool(self.made)
        await app(scope, receive, send)
