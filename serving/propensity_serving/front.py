"""The index page of the service."""

from __future__ import annotations

from typing import Any

from starlette.responses import HTMLResponse

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
